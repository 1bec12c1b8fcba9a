//! What the platform publishes of sizes and rates, in one place.

/// Text by webhook, in bytes. <https://developer.work.weixin.qq.com/document/path/91770>
pub(super) const WEBHOOK_TEXT: usize = 2048;
/// Markdown by webhook, in bytes. <https://developer.work.weixin.qq.com/document/path/91770>
pub(super) const WEBHOOK_MARKDOWN: usize = 4096;
/// A picture by webhook before base64, in bytes. <https://developer.work.weixin.qq.com/document/path/91770>
pub(super) const WEBHOOK_IMAGE: usize = 2 * MIB;
/// Messages of a group bot per minute. <https://developer.work.weixin.qq.com/document/path/91770>
pub(super) const WEBHOOK_RATE: u32 = 20;
/// Articles of a news message. <https://developer.work.weixin.qq.com/document/path/91770>
pub(super) const ARTICLES: usize = 8;
/// Title and description of an article, in bytes. <https://developer.work.weixin.qq.com/document/path/91770>
pub(super) const ARTICLE: (usize, usize) = (128, 512);

/// Text and markdown of an app, in bytes; longer text is cut. <https://developer.work.weixin.qq.com/document/path/90236>
pub(super) const APP_TEXT: usize = 2048;
/// Messages of an app to one member per minute and hour; more are dropped without a word.
/// <https://developer.work.weixin.qq.com/document/path/90236>
pub(super) const APP_MEMBER_RATE: (u32, u32) = (30, 1000);
/// Calls per minute, corporation and API. <https://developer.work.weixin.qq.com/document/path/90312>
pub(super) const CORP_RATE: u32 = 10_000;
/// How long a message can be taken back. <https://developer.work.weixin.qq.com/document/path/94867>
pub(super) const RECALL_MS: i64 = 24 * HOUR_MS;
/// How long the code of a card can be used. <https://developer.work.weixin.qq.com/document/path/94888>
pub(super) const CARD_CODE_MS: i64 = 72 * HOUR_MS;

/// A stream, and markdown of an AI bot, in bytes. <https://developer.work.weixin.qq.com/document/path/101031>
pub(super) const AI_CONTENT: usize = 20_480;
/// Pictures at the end of a stream. <https://developer.work.weixin.qq.com/document/path/101031>
pub(super) const STREAM_ITEMS: usize = 10;
/// The id of a feedback, in bytes. <https://developer.work.weixin.qq.com/document/path/101031>
pub(super) const FEEDBACK_ID: usize = 256;
/// How long a `response_url` can be used. <https://developer.work.weixin.qq.com/document/path/101138>
pub(super) const RESPONSE_MS: i64 = HOUR_MS;
/// How long the address of a file can be used. <https://developer.work.weixin.qq.com/document/path/100719>
pub(super) const MEDIA_URL_MS: i64 = 5 * MINUTE_MS;

/// Replies and pushes of a long connection per conversation, minute and hour.
/// <https://developer.work.weixin.qq.com/document/path/101463>
pub(super) const LINK_RATE: (u32, u32) = (30, 1000);
/// Uploads of a long connection per minute and hour.
/// <https://developer.work.weixin.qq.com/document/path/101463>
pub(super) const UPLOAD_RATE: (u32, u32) = (30, 1000);
/// How long a callback can be answered. <https://developer.work.weixin.qq.com/document/path/101463>
pub(super) const ANSWER_MS: i64 = 24 * HOUR_MS;
/// How long an event can be answered with a welcome or a card.
/// <https://developer.work.weixin.qq.com/document/path/101463>
pub(super) const EVENT_ANSWER_MS: i64 = 5000;
/// A piece of an upload, in bytes. <https://developer.work.weixin.qq.com/document/path/101463>
pub(super) const CHUNK: usize = 512 * 1024;
/// Pieces of an upload. <https://developer.work.weixin.qq.com/document/path/101463>
pub(super) const CHUNKS: usize = 100;
/// How long an upload may take. <https://developer.work.weixin.qq.com/document/path/101463>
pub(super) const UPLOAD_MS: i64 = 30 * MINUTE_MS;

/// How long media can be used. <https://developer.work.weixin.qq.com/document/path/90253>
pub(super) const MEDIA_MS: i64 = 72 * HOUR_MS;
/// Media have more than this, in bytes. <https://developer.work.weixin.qq.com/document/path/90253>
pub(super) const MEDIA_MIN: usize = 5;

/// The largest file of a kind, in bytes. <https://developer.work.weixin.qq.com/document/path/90253>
pub(super) const fn media(kind: &[u8]) -> Option<usize> {
    match kind {
        b"image" | b"video" => Some(10 * MIB),
        b"voice" => Some(2 * MIB),
        b"file" => Some(20 * MIB),
        _ => None,
    }
}

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
const MIB: usize = 1024 * 1024;
