//! Slack's numbers, and what they allow to promise.

use std::time::Duration;

use channel_core::{
    Guarantees, Limits, Rate, Redelivery, Repeat, ReplyWay, Result, TextLimit, TextUnit,
};

use crate::error::invalid;

/// The longest text of a message, as it is sent: with its escapes. `chat.update` refuses
/// more, and clients cut longer texts apart
/// (<https://docs.slack.dev/reference/methods/chat.update/>). Slack writes "characters";
/// UTF-16 units are never fewer than that.
pub(crate) const TEXT: TextLimit = TextLimit::new(4000, TextUnit::Utf16);
/// The longest text of a section (<https://docs.slack.dev/reference/block-kit/blocks/section-block/>).
pub(crate) const SECTION: TextLimit = TextLimit::new(3000, TextUnit::Utf16);
/// The longest text of all Markdown blocks of a message, and of one call that streams
/// (<https://docs.slack.dev/reference/block-kit/blocks/markdown-block/>).
pub(crate) const MARKDOWN: usize = 12_000;
/// The longest text of one field of a section, and how many there may be.
pub(crate) const FIELD: usize = 2000;
pub(crate) const FIELDS: usize = 10;
/// The longest heading (<https://docs.slack.dev/reference/block-kit/blocks/header-block/>).
pub(crate) const HEADER: usize = 150;
/// The most blocks of a message (<https://docs.slack.dev/reference/block-kit/blocks/>).
pub(crate) const BLOCKS: usize = 50;
/// The longest sum of blocks, as JSON: beyond some 13,200 bytes Slack refuses them without
/// having documented why (<https://github.com/slackapi/bolt-js/issues/2509>).
pub(crate) const BLOCKS_JSON: usize = 12_500;
/// The most elements of one row (<https://docs.slack.dev/reference/block-kit/blocks/actions-block/>).
pub(crate) const ROW: usize = 25;
/// The longest label of a button, its value and its address
/// (<https://docs.slack.dev/reference/block-kit/block-elements/button-element/>).
pub(crate) const LABEL: usize = 75;
pub(crate) const VALUE: usize = 2000;
pub(crate) const BUTTON_URL: usize = 3000;
/// The most options to choose from, and the longest value of one
/// (<https://docs.slack.dev/reference/block-kit/composition-objects/option-object/>).
pub(crate) const OPTIONS: usize = 100;
pub(crate) const OPTION_VALUE: usize = 150;
/// The longest `block_id`, `action_id` and `callback_id`
/// (<https://docs.slack.dev/reference/block-kit/blocks/>).
pub(crate) const BLOCK_ID: usize = 255;
/// The most blocks of a dialog, its longest title and button, what it may carry along, and its
/// size as JSON (<https://docs.slack.dev/reference/views/modal-views/>,
/// <https://docs.slack.dev/reference/methods/views.open/>).
pub(crate) const VIEW_BLOCKS: usize = 100;
pub(crate) const VIEW_LABEL: usize = 24;
pub(crate) const VIEW_METADATA: usize = 3000;
pub(crate) const VIEW_JSON: usize = 250_000;
/// The longest input that somebody can type into a menu that is believed, in bytes.
pub(crate) const TYPED: usize = 3000;
/// The longest description of a picture
/// (<https://docs.slack.dev/reference/block-kit/blocks/image-block/>).
pub(crate) const ALT: usize = 2000;

/// The largest request that is taken, in bytes.
pub(crate) const BODY: usize = 1 << 20;
/// The longest id of Slack's that is believed, in bytes.
pub(crate) const ID: usize = 64;

/// How long the application may think about an answer that Slack waits for. Slack waits 3 s
/// (<https://docs.slack.dev/interactivity/handling-user-interaction/#acknowledgment_response>);
/// the last one is for the record and the way back.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long Slack shows that an app is about something
/// (<https://docs.slack.dev/reference/methods/assistant.threads.setStatus/>).
pub(crate) const STATUS: Duration = Duration::from_secs(120);

/// How long a `response_url` works, and how often
/// (<https://docs.slack.dev/interactivity/handling-user-interaction/#message_responses>).
pub(crate) const RESPONSE: ReplyWay =
    ReplyWay::within("response_url", Duration::from_secs(30 * 60), 5);
/// Anything else is posted.
pub(crate) const POST: ReplyWay = ReplyWay::always("chat.postMessage");

/// A native stream is left before the server closes it, after some five minutes
/// (<https://github.com/vercel/chat/issues/637>).
pub(crate) const STREAM_LASTS: Duration = Duration::from_secs(4 * 60);

/// How long Slack delivers an event again: at once, after a minute, after five
/// (<https://docs.slack.dev/apis/events-api/#error-handling>).
pub(crate) const KEPT: Duration = Duration::from_secs(6 * 60);

/// Whether a text has one character at least and `most` at most, in UTF-16 units.
pub(crate) fn check_text(
    what: &str,
    text: &str,
    most: usize,
    operation: &'static str,
) -> Result<()> {
    if !text.is_empty() && TextLimit::new(most, TextUnit::Utf16).fits(text) {
        return Ok(());
    }
    let message = format!("{what} has to have 1 to {most} characters");
    Err(invalid(message, operation))
}

/// The limits that others need.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::new(TEXT);
    limits.action_bytes = VALUE;
    // https://slack.com/help/articles/201330736-Add-files-to-Slack
    limits.upload_bytes = vec![(None, 1 << 30)];
    limits.download_bytes = 1 << 30;
    // Each file is a message of its own.
    limits.attachments = usize::MAX;
    // https://docs.slack.dev/apis/web-api/rate-limits
    let second = Duration::from_secs(1);
    limits.rate_direct = Some(Rate::new(1, second));
    limits.rate_group = Some(Rate::new(1, second));
    // Edits are tier 3, fifty a minute for the whole workspace.
    limits.edit_pause_direct = Duration::from_millis(1200);
    limits.edit_pause_group = Duration::from_millis(1200);
    limits
}

/// What can be promised. `chat.postMessage` takes no key, but what is hung on a message as
/// metadata can be read back; files and answers by `response_url` carry none.
pub(crate) fn guarantees() -> Guarantees {
    Guarantees::new(Redelivery::For(KEPT), Repeat::ReadBack)
        .call("send a file", Repeat::Doubles)
        .call(
            "answer a slash command by its response_url",
            Repeat::Doubles,
        )
        .call("answer a press with a notice", Repeat::Doubles)
        .call("edit a message", Repeat::Idempotent)
        .call("delete a message", Repeat::Idempotent)
        .call("react", Repeat::Idempotent)
}
