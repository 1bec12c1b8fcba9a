//! Which Slack messages one message becomes. Pure: the same message has the same parts
//! before and after a restart.

use std::borrow::Cow;

use channel_core::{Body, OutboundMessage, Result, Upload};
use serde_json::Value;

use crate::client::Method;
use crate::error::invalid;
use crate::render::{self, Words};
use crate::{blocks, limits};

/// What one part sends.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    Post(Post),
    File(&'a Upload),
}

/// A message with words, with blocks, or with both.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Post {
    /// The words; beside blocks, what a notification shows.
    pub(crate) text: String,
    /// Whether marks in the text are meant.
    pub(crate) is_marked: bool,
    /// Whether Slack would take something in the text for a mark.
    pub(crate) is_misread: bool,
    pub(crate) blocks: Vec<Value>,
    /// Whether the text alone says the same, should Slack refuse the blocks.
    pub(crate) is_said_by_text: bool,
    /// The words as blocks, for calls that cannot be told to leave marks alone.
    pub(crate) literal: Vec<Value>,
}

impl Post {
    pub(crate) fn of(words: &Words) -> Self {
        let is_misread = words.is_misread();
        let literal = if is_misread {
            blocks::words(words)
        } else {
            Vec::new()
        };
        let blocks = match words.markdown {
            Some(_) => blocks::words(words),
            None => Vec::new(),
        };
        Self {
            text: words.text.clone(),
            is_marked: words.is_marked,
            is_misread,
            blocks,
            is_said_by_text: true,
            literal,
        }
    }

    /// The blocks for a call that always looks for marks in the text.
    pub(crate) fn literal_blocks(&self) -> &[Value] {
        if self.blocks.is_empty() {
            &self.literal
        } else {
            &self.blocks
        }
    }
}

/// The message with its card as words and buttons.
fn spelled_out(message: &OutboundMessage) -> OutboundMessage {
    let mut message = message.clone();
    // The words above the card keep their formatting.
    message.body = Body::Content(channel_text::content_of(&message.body).into_owned());
    message.without_card().into_owned()
}

/// Plans a message.
pub(crate) fn plan(message: &OutboundMessage) -> Result<Vec<Part<'_>>> {
    let mut parts: Vec<Part<'_>> = posts(message)?.into_iter().map(Part::Post).collect();
    parts.extend(message.attachments.iter().map(Part::File));
    Ok(parts)
}

/// The messages before the files.
pub(crate) fn posts(message: &OutboundMessage) -> Result<Vec<Post>> {
    let operation = Method::PostMessage.operation();
    if message.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(card) = &message.card {
        if let Some(shown) = blocks::card(card, operation)
            && let Some(posts) = with_blocks(message, shown, &card_text(message))?
        {
            return Ok(posts);
        }
        // Too much for Block Kit: the same words and buttons, over several messages.
        return posts(&spelled_out(message));
    }
    match with_blocks(message, Vec::new(), "")? {
        Some(posts) => Ok(posts),
        None => Err(invalid(
            "the buttons do not fit into one message",
            operation,
        )),
    }
}

/// What a notification says of a card.
fn card_text(message: &OutboundMessage) -> String {
    let content = message.card.as_ref().map(|card| card.to_content());
    let body = Body::Content(content.unwrap_or_default());
    let first = render::words(&body).into_iter().next();
    first.map(|words| words.text).unwrap_or_default()
}

/// Puts blocks and buttons under the last of the words; `None` if they do not fit together.
fn with_blocks(
    message: &OutboundMessage,
    shown: Vec<Value>,
    shown_text: &str,
) -> Result<Option<Vec<Post>>> {
    let operation = Method::PostMessage.operation();
    let mut words = render::words(&message.body);
    let buttons = blocks::rows(&message.buttons, 0, operation)?;
    if shown.is_empty() && buttons.is_empty() {
        return Ok(Some(words.iter().map(Post::of).collect()));
    }
    let last = words.pop();
    let mut posts: Vec<Post> = words.iter().map(Post::of).collect();
    let mut under: Vec<Value> = last.as_ref().map(blocks::words).unwrap_or_default();
    under.extend(shown);
    let above = under.len();
    under.extend(buttons);
    if !blocks::fit_together(&under) {
        // Fewer, longer rows.
        let all: Vec<_> = message.buttons.iter().flatten().cloned().collect();
        under.truncate(above);
        under.extend(blocks::rows(&[all], 0, operation)?);
    }
    if !blocks::fit_together(&under) {
        return Ok(None);
    }
    let text: Cow<'_, str> = match &last {
        Some(last) => last.text.as_str().into(),
        None if shown_text.is_empty() => labels(message).into(),
        None => shown_text.into(),
    };
    posts.push(Post {
        text: render::cut(&text, limits::TEXT.max),
        is_marked: last.as_ref().is_some_and(|last| last.is_marked) || !shown_text.is_empty(),
        is_misread: false,
        blocks: under,
        is_said_by_text: false,
        literal: Vec::new(),
    });
    Ok(Some(posts))
}

fn labels(message: &OutboundMessage) -> String {
    let labels = message
        .buttons
        .iter()
        .flatten()
        .map(|button| button.label.as_str());
    render::escape(&labels.collect::<Vec<_>>().join(" | "))
}
