//! Which messages one message becomes. Pure: the same message has the same parts before and
//! after a restart.

use channel_core::{Body, Card, CardBlock, OutboundMessage, Result, Upload};
use serde_json::Value;

use crate::card::{self, Scene};
use crate::error::invalid;
use crate::render::{self, Outgoing, Words};

pub(crate) const OPERATION: &str = "send message";

/// What one part sends.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    Post(Outgoing),
    File(&'a Upload),
}

/// Plans a message.
pub(crate) fn plan<'a>(message: &'a OutboundMessage, scene: Scene<'_>) -> Result<Vec<Part<'a>>> {
    let posts = posts(message, scene)?;
    let mut parts: Vec<_> = posts.into_iter().map(Part::Post).collect();
    parts.extend(message.attachments.iter().map(Part::File));
    Ok(parts)
}

/// The messages before the files.
pub(crate) fn posts(message: &OutboundMessage, scene: Scene<'_>) -> Result<Vec<Outgoing>> {
    if message.is_empty() {
        return Ok(Vec::new());
    }
    let words = render::words(&message.body);
    let has_buttons = message.buttons.iter().any(|row| !row.is_empty());
    if message.card.is_none() && !has_buttons {
        return Ok(words.iter().map(Words::message).collect());
    }
    let (last, before) = match words.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, &[][..]),
    };
    let above: Vec<Value> = last.map(Words::element).into_iter().collect();
    let empty = Card::new("");
    let shown = message.card.as_deref().unwrap_or(&empty);
    if let Some(card) = card::portable(shown, above, &message.buttons, scene, OPERATION)? {
        let mut posts: Vec<_> = before.iter().map(Words::message).collect();
        posts.push(of_card(&card));
        return Ok(posts);
    }
    match &message.card {
        // Too much for one card: the same words and buttons, over several messages.
        Some(card) => posts_of(&spelled_out(message, card), scene),
        None => posts_of(message, scene),
    }
}

/// Words as messages of their own, and the buttons in a card below.
fn posts_of(message: &OutboundMessage, scene: Scene<'_>) -> Result<Vec<Outgoing>> {
    let words = render::words(&message.body);
    let mut posts: Vec<_> = words.iter().map(Words::message).collect();
    let rows = card::rows(&message.buttons, scene, OPERATION)?;
    if !rows.is_empty() {
        let card = card::of(&rows);
        if !card::fits(&card) {
            return Err(invalid("the buttons do not fit into one card", OPERATION));
        }
        posts.push(of_card(&card));
    }
    Ok(posts)
}

/// The message with its card turned into words and buttons, formatting kept.
fn spelled_out(message: &OutboundMessage, card: &Card) -> OutboundMessage {
    let content = |body: &Body| Body::Content(channel_text::content_of(body).into_owned());
    let mut message = message.clone();
    message.body = content(&message.body);
    let mut card = card.clone();
    for block in &mut card.blocks {
        if let CardBlock::Text(body) = block {
            *body = content(body);
        }
    }
    message.card = Some(Box::new(card));
    message.without_card().into_owned()
}

pub(crate) fn of_card(card: &Value) -> Outgoing {
    Outgoing {
        kind: "interactive",
        content: card.to_string(),
    }
}
