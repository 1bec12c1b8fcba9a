//! Telegram's numbers, and what they allow to promise.

use std::time::Duration;

use channel_core::{
    AttachmentKind, Guarantees, Limits, Rate, Redelivery, Repeat, TextLimit, TextUnit,
};

/// The longest text of a message (<https://core.telegram.org/bots/api#sendmessage>).
/// Telegram writes "characters"; entity offsets show that it counts UTF-16 units.
pub(crate) const TEXT: TextLimit = TextLimit::new(4096, TextUnit::Utf16);
/// The longest caption (<https://core.telegram.org/bots/api#sendphoto>).
pub(crate) const CAPTION: TextLimit = TextLimit::new(1024, TextUnit::Utf16);
/// The longest value of a button, in bytes of UTF-8
/// (<https://core.telegram.org/bots/api#inlinekeyboardbutton>).
pub(crate) const ACTION_BYTES: usize = 64;
/// The longest notice that answers a press, in characters
/// (<https://core.telegram.org/bots/api#answercallbackquery>).
pub(crate) const NOTICE_CHARS: usize = 200;
/// The most items of one album (<https://core.telegram.org/bots/api#sendmediagroup>).
pub(crate) const ALBUM: usize = 10;

/// The limits of Telegram's own server, or of a self-hosted one
/// (<https://core.telegram.org/bots/api#using-a-local-bot-api-server>).
pub(crate) fn of(cloud: bool) -> Limits {
    const MB: u64 = 1_000_000;
    let mut limits = Limits::new(TEXT);
    limits.caption = CAPTION;
    limits.action_bytes = ACTION_BYTES;
    limits.upload_bytes = if cloud {
        // https://core.telegram.org/bots/api#sending-files
        vec![(Some(AttachmentKind::Image), 10 * MB), (None, 50 * MB)]
    } else {
        vec![(Some(AttachmentKind::Image), 10 * MB), (None, 2000 * MB)]
    };
    limits.download_bytes = if cloud { 20 * MB } else { 2000 * MB };
    limits.attachments = ALBUM;
    // https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
    limits.rate_direct = Some(Rate::new(1, Duration::from_secs(1)));
    limits.rate_group = Some(Rate::new(20, Duration::from_secs(60)));
    limits.rate_total = Some(Rate::new(30, Duration::from_secs(1)));
    limits.edit_pause_direct = Duration::from_secs(1);
    limits.edit_pause_group = Duration::from_secs(3);
    limits
}

/// How long Telegram keeps updates (<https://core.telegram.org/bots/api#getting-updates>).
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What can be promised. Telegram has no idempotency key and a bot cannot read what is in a
/// chat, so a send whose answer was lost stays uncertain. All else sets a state.
pub(crate) fn guarantees() -> Guarantees {
    Guarantees::new(Redelivery::For(KEPT), Repeat::Doubles)
        .call("edit a message", Repeat::Idempotent)
        .call("delete a message", Repeat::Idempotent)
        .call("react", Repeat::Idempotent)
        .call("answer a press", Repeat::Idempotent)
        .call("publish commands", Repeat::Idempotent)
}
