//! WeCom's numbers, product by product.

use std::time::Duration;

use channel_core::{AttachmentKind, Limits, Pacing, Rate, Rule, Scope, TextLimit, TextUnit};

const MB: u64 = 1 << 20;

/// The longest text of an app's message and of a group bot's, in bytes; an app's longer one
/// is cut without a word (<https://developer.work.weixin.qq.com/document/path/90236>).
pub(crate) const TEXT: TextLimit = TextLimit::new(2048, TextUnit::Bytes);
/// The longest Markdown of an app's message
/// (<https://developer.work.weixin.qq.com/document/path/90236>).
pub(crate) const APP_MARKDOWN: usize = 2048;
/// The longest Markdown of a group bot's message, of either kind
/// (<https://developer.work.weixin.qq.com/document/path/99110>).
pub(crate) const BOT_MARKDOWN: usize = 4096;
/// The longest content of an AI bot's stream or Markdown
/// (<https://developer.work.weixin.qq.com/document/path/101031>).
pub(crate) const AI_TEXT: TextLimit = TextLimit::new(20_480, TextUnit::Bytes);
/// A file has to be larger than this, in bytes
/// (<https://developer.work.weixin.qq.com/document/path/90253>).
pub(crate) const FILE_OVER: u64 = 5;
/// The largest voice note, AMR (<https://developer.work.weixin.qq.com/document/path/90253>).
pub(crate) const VOICE: u64 = 2 * MB;
/// The largest picture and film of an app, and of the long connection
/// (<https://developer.work.weixin.qq.com/document/path/90253>).
pub(crate) const PICTURE: u64 = 10 * MB;
/// The largest picture of a group bot, before base64
/// (<https://developer.work.weixin.qq.com/document/path/99110>).
pub(crate) const BOT_PICTURE: u64 = 2 * MB;
/// The largest file (<https://developer.work.weixin.qq.com/document/path/90253>).
pub(crate) const FILE: u64 = 20 * MB;
/// The most pictures in one answer of an AI bot
/// (<https://developer.work.weixin.qq.com/document/path/101031>).
pub(crate) const AI_PICTURES: usize = 10;
/// The largest file that people send to an AI bot
/// (<https://developer.work.weixin.qq.com/document/path/100719>).
pub(crate) const AI_INBOUND: u64 = 100 * MB;
/// The longest key of a card's button, in bytes
/// (<https://developer.work.weixin.qq.com/document/path/101032>).
pub(crate) const KEY_BYTES: usize = 1024;
/// The most buttons of a card (<https://developer.work.weixin.qq.com/document/path/101032>).
pub(crate) const BUTTONS: usize = 6;
/// The most options of a list of a card
/// (<https://developer.work.weixin.qq.com/document/path/101032>).
pub(crate) const OPTIONS: usize = 20;
/// The most name-value rows and the most links of a card
/// (<https://developer.work.weixin.qq.com/document/path/101032>).
pub(crate) const CARD_ROWS: usize = 6;
/// See [`CARD_ROWS`].
pub(crate) const CARD_JUMPS: usize = 3;
/// How much earlier than it expires a token is renewed. A rule of ours.
pub(crate) const TOKEN_EARLY: Duration = Duration::from_secs(300);
/// The wait after a refusal for frequency, which is counted by the minute
/// (<https://developer.work.weixin.qq.com/document/path/90312>).
pub(crate) const FREQUENCY_WAIT: Duration = Duration::from_secs(60);

/// How long the platform asks for the state of a stream, from the message on
/// (<https://developer.work.weixin.qq.com/document/path/101031>).
pub(crate) const STREAM_LASTS: Duration = Duration::from_secs(6 * 60);
/// How long a `response_url` works, once
/// (<https://developer.work.weixin.qq.com/document/path/101138>).
pub(crate) const RESPONSE_URL_LASTS: Duration = Duration::from_secs(60 * 60);

/// The largest request body. A rule of ours.
pub(crate) const MAX_BODY: usize = 4 << 20;

/// The limits of a group bot.
pub(crate) fn of_bot() -> Limits {
    let mut limits = Limits::new(TEXT);
    limits.action_bytes = KEY_BYTES;
    limits.upload_bytes = vec![
        (Some(AttachmentKind::Image), BOT_PICTURE),
        (Some(AttachmentKind::Voice), VOICE),
        (None, FILE),
    ];
    limits.download_bytes = FILE;
    limits.attachments = 20;
    // https://developer.work.weixin.qq.com/document/path/99110
    let rate = Rate::new(20, Duration::from_secs(60));
    limits.rate_group = Some(rate);
    limits.rate_total = Some(rate);
    limits
}

/// The limits of a custom app.
pub(crate) fn of_app() -> Limits {
    let mut limits = Limits::new(TEXT);
    limits.action_bytes = KEY_BYTES;
    limits.upload_bytes = uploads();
    limits.download_bytes = FILE;
    limits.attachments = 20;
    // https://developer.work.weixin.qq.com/document/path/90312
    limits.rate_direct = Some(Rate::new(30, Duration::from_secs(60)));
    limits
}

/// The limits of an AI bot, of either kind.
pub(crate) fn of_aibot() -> Limits {
    let mut limits = Limits::new(AI_TEXT);
    limits.action_bytes = KEY_BYTES;
    limits.upload_bytes = uploads();
    limits.download_bytes = AI_INBOUND;
    limits.attachments = 20;
    // https://developer.work.weixin.qq.com/document/path/101463
    let rate = Rate::new(30, Duration::from_secs(60));
    limits.rate_direct = Some(rate);
    limits.rate_group = Some(rate);
    limits
}

/// The limits of an AI bot by callback, which sends pictures and no other file
/// (<https://developer.work.weixin.qq.com/document/path/101031>).
pub(crate) fn of_called_aibot() -> Limits {
    let mut limits = of_aibot();
    limits.upload_bytes = vec![(Some(AttachmentKind::Image), PICTURE), (None, 0)];
    limits.attachments = AI_PICTURES;
    limits
}

fn uploads() -> Vec<(Option<AttachmentKind>, u64)> {
    // Larger pictures, films and voice notes go as files.
    vec![(None, FILE)]
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How fast the outbox may let messages to a group go: 20 a minute
/// (<https://developer.work.weixin.qq.com/document/path/91770>).
pub(crate) fn pacing_of_bot() -> Pacing {
    Pacing::off().rule(Rule::within(Scope::Chat, 20, MINUTE, 5))
}

/// The same for one member or conversation: 30 a minute and 1,000 an hour. An application's
/// messages beyond that are dropped without an error
/// (<https://developer.work.weixin.qq.com/document/path/90312>,
/// <https://developer.work.weixin.qq.com/document/path/101463>).
pub(crate) fn pacing_of_chat() -> Pacing {
    Pacing::off()
        .rule(Rule::within(Scope::Chat, 30, MINUTE, 5))
        .rule(Rule::within(Scope::Chat, 1000, HOUR, 100))
}
