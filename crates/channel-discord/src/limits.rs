//! Discord's numbers, and what they allow to promise.

use std::time::Duration;

use channel_core::{
    Guarantees, Limits, Pacing, Rate, Redelivery, Repeat, ReplyWay, Rule, Scope, TextLimit,
    TextUnit,
};

/// The longest text of a message
/// (<https://docs.discord.com/developers/resources/message#create-message>). Discord counts
/// code points (<https://github.com/discord/discord-api-docs/issues/1315>).
pub(crate) const TEXT: TextLimit = TextLimit::new(2000, TextUnit::CodePoints);
/// Buttons of a row, rows of a message, options of a select, and their lengths
/// (<https://docs.discord.com/developers/components/reference>).
pub(crate) const ROW: usize = 5;
pub(crate) const ROWS: usize = 5;
pub(crate) const OPTIONS: usize = 25;
pub(crate) const LABEL: usize = 80;
pub(crate) const CUSTOM_ID: usize = 100;
pub(crate) const OPTION: usize = 100;
pub(crate) const PLACEHOLDER: usize = 150;
pub(crate) const BUTTON_URL: usize = 512;
/// Embeds (<https://docs.discord.com/developers/resources/message#embed-object-embed-limits>).
pub(crate) const EMBED_TITLE: usize = 256;
pub(crate) const EMBED_DESCRIPTION: usize = 4096;
pub(crate) const EMBED_FIELDS: usize = 25;
pub(crate) const EMBED_NAME: usize = 256;
pub(crate) const EMBED_VALUE: usize = 1024;
pub(crate) const EMBED_FOOTER: usize = 2048;
pub(crate) const EMBED_TOTAL: usize = 6000;
/// Files of one message, and the largest one where nobody pays for more
/// (<https://docs.discord.com/developers/reference#uploading-files>).
pub(crate) const FILES: usize = 10;
pub(crate) const FILE: u64 = 10 << 20;
/// The largest request with files.
pub(crate) const REQUEST: u64 = 25 << 20;
/// The longest nonce (<https://docs.discord.com/developers/resources/message#create-message>).
pub(crate) const NONCE: usize = 25;
/// How long a nonce is known. Discord says "the past few minutes".
pub(crate) const NONCE_KNOWN: Duration = Duration::from_secs(120);
/// The longest name and description of a command, and how many there may be
/// (<https://docs.discord.com/developers/interactions/application-commands>).
pub(crate) const COMMAND_NAME: usize = 32;
pub(crate) const COMMAND_DESCRIPTION: usize = 100;
pub(crate) const COMMANDS: usize = 100;
/// The longest name of a thread
/// (<https://docs.discord.com/developers/resources/channel#start-thread-from-message>).
pub(crate) const THREAD_NAME: usize = 100;
/// The largest request that is taken, in bytes.
pub(crate) const BODY: usize = 1 << 20;
/// How long the token of an interaction works
/// (<https://docs.discord.com/developers/interactions/receiving-and-responding#followup-messages>).
pub(crate) const TOKEN: Duration = Duration::from_secs(15 * 60);
/// An interaction is answered within three seconds or never
/// (<https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-callback>);
/// the deferral leaves earlier, so that it arrives in time.
pub(crate) const DEFER_AFTER: Duration = Duration::from_millis(1500);
pub(crate) const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// The message that a deferral has announced.
pub(crate) const ORIGINAL: ReplyWay = ReplyWay::within("original", TOKEN, 1);
/// Messages after it.
pub(crate) const FOLLOW_UP: ReplyWay = ReplyWay::within("follow-up", TOKEN, u32::MAX);
/// Anything else is an ordinary message.
pub(crate) const POST: ReplyWay = ReplyWay::always("message");
/// How long the typing sign stays
/// (<https://docs.discord.com/developers/resources/channel#trigger-typing-indicator>).
pub(crate) const TYPING: Duration = Duration::from_secs(10);
/// For how long a session is sure to be resumed. Discord says "a few minutes".
pub(crate) const RESUMABLE: Duration = Duration::from_secs(60);

/// The limits that others need.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::new(TEXT);
    limits.action_bytes = CUSTOM_ID;
    limits.upload_bytes = vec![(None, FILE)];
    limits.download_bytes = 500 << 20;
    limits.attachments = FILES;
    // https://docs.discord.com/developers/topics/rate-limits: buckets are told by the
    // server; five messages in five seconds to a chat is what it has told for years.
    let five = Duration::from_secs(5);
    limits.rate_direct = Some(Rate::new(5, five));
    limits.rate_group = Some(Rate::new(5, five));
    limits.rate_total = Some(Rate::new(50, Duration::from_secs(1)));
    limits.edit_pause_direct = Duration::from_millis(1200);
    limits.edit_pause_group = Duration::from_millis(1200);
    limits
}

/// How fast the outbox may let requests go: the limit of all of them together
/// (<https://docs.discord.com/developers/topics/rate-limits#global-rate-limit>). Those of each
/// route are not published; the adapter learns them from the answers.
pub(crate) fn pacing() -> Pacing {
    Pacing::off().rule(Rule::within(Scope::Channel, 50, Duration::from_secs(1), 10))
}

/// What can be promised: a message carries a nonce by which Discord knows it again.
pub(crate) fn guarantees() -> Guarantees {
    Guarantees::new(Redelivery::For(RESUMABLE), Repeat::Keyed(NONCE_KNOWN))
        .call("answer a command, first message", Repeat::Idempotent)
        .call(
            "answer a command where the bot is no member, later messages",
            Repeat::Doubles,
        )
        .call("answer a press with a notice", Repeat::Doubles)
        .call("edit a message", Repeat::Idempotent)
        .call("delete a message", Repeat::Idempotent)
        .call("react", Repeat::Idempotent)
        .call("start a thread", Repeat::Doubles)
}
