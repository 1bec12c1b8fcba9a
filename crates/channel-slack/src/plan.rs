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
    if !blocks::fit_together(&under) {
        return Ok(None);
    }
    let text: Cow<'_, str> = match &last {
        Some(last) => last.text.as_str().into(),
        None if shown_text.is_empty() => labels(message).into(),
        None => shown_text.into(),
    };
    let is_marked = last.as_ref().is_some_and(|last| last.is_marked) || !shown_text.is_empty();
    posts.push(shown_as(&text, is_marked, under));
    for row in fewest(message, buttons, &posts)? {
        let Some(post) = posts.last_mut() else {
            break;
        };
        post.blocks.push(row);
        if blocks::fit_together(&post.blocks) {
            continue;
        }
        // The rest stands under a message of its own.
        let row: Vec<Value> = post.blocks.pop().into_iter().collect();
        if !blocks::fit_together(&row) {
            return Ok(None);
        }
        posts.push(shown_as("\u{2026}", false, row));
    }
    // What had no words of its own was there for the buttons.
    posts.retain(|post| !post.blocks.is_empty() || !post.text.is_empty());
    Ok(Some(posts))
}

/// The rows as they were asked for, or fewer and longer ones where they would not fit.
fn fewest(message: &OutboundMessage, rows: Vec<Value>, posts: &[Post]) -> Result<Vec<Value>> {
    let above = posts.last().map(|post| post.blocks.clone());
    let all: Vec<Value> = above
        .unwrap_or_default()
        .into_iter()
        .chain(rows.iter().cloned())
        .collect();
    if blocks::fit_together(&all) {
        return Ok(rows);
    }
    let buttons: Vec<_> = message.buttons.iter().flatten().cloned().collect();
    blocks::rows(&[buttons], 0, Method::PostMessage.operation())
}

fn shown_as(text: &str, is_marked: bool, blocks: Vec<Value>) -> Post {
    Post {
        text: render::cut(text, limits::TEXT.max),
        is_marked,
        is_misread: false,
        blocks,
        is_said_by_text: false,
        literal: Vec::new(),
    }
}

fn labels(message: &OutboundMessage) -> String {
    let labels = message
        .buttons
        .iter()
        .flatten()
        .map(|button| button.label.as_str());
    render::escape(&labels.collect::<Vec<_>>().join(" | "))
}
