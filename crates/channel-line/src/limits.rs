//! LINE's numbers, and what they allow to promise.
//!
//! Where no other page is named they are from
//! <https://developers.line.biz/en/reference/messaging-api/>.

use std::time::Duration;

use channel_core::{
    AttachmentKind, Guarantees, Limits, Pacing, Rate, Redelivery, Repeat, ReplyWay, Rule, Scope,
    TextLimit, TextUnit,
};

/// The longest text of a message
/// (<https://developers.line.biz/en/docs/messaging-api/text-character-count/>).
pub(crate) const TEXT: TextLimit = TextLimit::new(5000, TextUnit::Utf16);
/// The most messages of one call.
pub(crate) const MESSAGES: usize = 5;
/// The longest words on a button.
pub(crate) const LABEL: TextLimit = TextLimit::new(20, TextUnit::Graphemes);
/// The longest value that a button carries back. LINE allows 300 characters; as many bytes
/// are never more.
pub(crate) const ACTION_BYTES: usize = 300;
/// The longest words that a press puts into the chat, in the unit that counts most.
pub(crate) const DISPLAY: TextLimit = TextLimit::new(300, TextUnit::Utf16);
/// The longest address that a button opens, in characters.
pub(crate) const OPEN: TextLimit = TextLimit::new(1000, TextUnit::CodePoints);
/// The most quick replies under a message.
pub(crate) const QUICK_REPLIES: usize = 13;
/// The most buttons of a buttons template, and its longest text.
pub(crate) const TEMPLATE_BUTTONS: usize = 4;
pub(crate) const TEMPLATE_TEXT: TextLimit = TextLimit::new(160, TextUnit::Graphemes);
/// The longest text that stands in for a card where it cannot be shown.
pub(crate) const ALT_TEXT: TextLimit = TextLimit::new(400, TextUnit::Graphemes);
/// The largest bubble of a Flex message, in bytes of JSON
/// (<https://developers.line.biz/en/reference/messaging-api/#bubble>).
pub(crate) const BUBBLE_BYTES: usize = 30_000;
/// The most buttons that the adapter puts into one bubble.
pub(crate) const BUBBLE_BUTTONS: usize = 30;
/// The longest address of a picture or a film, in characters.
pub(crate) const MEDIA_URL: TextLimit = TextLimit::new(2000, TextUnit::CodePoints);
/// The most mentions of one text.
pub(crate) const MENTIONS: usize = 20;
/// The length that an audio message shows, in milliseconds: LINE wants one and does not
/// find it out, and the length of the file is not known here.
pub(crate) const AUDIO_MILLISECONDS: u64 = 60_000;

/// How long the loading animation stays, in whole steps of 5 s up to this.
pub(crate) const LOADING: Duration = Duration::from_secs(60);
/// How long a reply token is trusted by default. LINE says one minute and does not promise
/// it (<https://developers.line.biz/en/reference/messaging-api/#send-reply-message>).
pub(crate) const REPLY_WINDOW: u64 = 50;
/// How long LINE recognises a retry key
/// (<https://developers.line.biz/en/docs/messaging-api/retrying-api-request/>).
pub(crate) const RETRY_KEY: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest webhook request that is taken, in bytes.
pub(crate) const BODY: usize = 1 << 20;
/// The most events of one request, and the most members that one event may name.
pub(crate) const EVENTS: usize = 100;
/// How deep the JSON of an event may nest.
pub(crate) const DEPTH: usize = 16;
/// The longest text that is taken, in bytes.
pub(crate) const INBOUND_TEXT: usize = 64 << 10;
/// How far ahead of our clock an event may be.
pub(crate) const AHEAD: Duration = Duration::from_secs(60);

/// The name of the way that costs nothing.
pub(crate) const REPLY: &str = "reply";

/// The ways of an answer, first choice first.
pub(crate) fn ways(window: Duration) -> Vec<ReplyWay> {
    vec![
        ReplyWay::within(REPLY, window, 1).carrying(MESSAGES),
        ReplyWay::always("push").carrying(MESSAGES),
    ]
}

/// Requests of a channel to an endpoint in a second
/// (<https://developers.line.biz/en/reference/messaging-api/#rate-limits>).
const PER_SECOND: u32 = 2000;

/// The limits that code outside needs.
pub(crate) fn all() -> Limits {
    const MB: u64 = 1_000_000;
    let mut limits = Limits::new(TEXT);
    limits.action_bytes = ACTION_BYTES;
    // By address only: LINE takes no bytes, and no other kind of file.
    limits.upload_bytes = vec![
        (Some(AttachmentKind::Image), 10 * MB),
        (Some(AttachmentKind::Video), 200 * MB),
        (Some(AttachmentKind::Audio), 200 * MB),
        (Some(AttachmentKind::Voice), 200 * MB),
        (None, 0),
    ];
    limits.rate_total = Some(Rate::new(PER_SECOND, Duration::from_secs(1)));
    limits
}

/// How fast the outbox may let requests go: what all endpoints that send have together.
pub(crate) fn pacing() -> Pacing {
    let second = Duration::from_secs(1);
    Pacing::off().rule(Rule::within(Scope::Channel, PER_SECOND, second, 200))
}

/// What can be promised. A push carries a key, so that a second attempt does nothing twice;
/// a reply token works once, and nothing tells whether it has.
pub(crate) fn guarantees() -> Guarantees {
    // Whether LINE delivers again is a switch in its console, and for how long is not said.
    Guarantees::new(Redelivery::Never, Repeat::Keyed(RETRY_KEY))
        .replying(Repeat::Doubles)
        .call("show the loading animation", Repeat::Idempotent)
}
