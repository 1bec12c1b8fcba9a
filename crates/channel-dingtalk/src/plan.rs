//! Which messages one message becomes. Pure: the same message has the same parts before and
//! after a restart.

use channel_core::{Body, Button, ButtonAction, Card, CardBlock, OutboundMessage, Result, Upload};

use crate::error::invalid;
use crate::render::{self, Words};
use crate::{card, limits};

pub(crate) const OPERATION: &str = "send message";

/// What one part sends.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    Words(Words),
    /// Words with buttons that open addresses: label and address of each.
    Links(Words, Vec<(String, String)>),
    /// An AI card.
    Card(card::Shown),
    File(&'a Upload),
}

/// What the way out can show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    /// Whether there is a template for cards, and somebody to deliver them to.
    pub(crate) has_cards: bool,
    /// Whether their buttons can be pressed.
    pub(crate) has_presses: bool,
}

/// Plans a message.
pub(crate) fn plan(message: &OutboundMessage, scene: Scene) -> Result<Vec<Part<'_>>> {
    let mut parts = posts(message, scene)?;
    parts.extend(message.attachments.iter().map(Part::File));
    Ok(parts)
}

/// The messages before the files.
pub(crate) fn posts(message: &OutboundMessage, scene: Scene) -> Result<Vec<Part<'static>>> {
    if message.is_empty() {
        return Ok(Vec::new());
    }
    let buttons = || message.buttons.iter().any(|row| !row.is_empty());
    if message.card.is_none() && !buttons() {
        let words = render::words(&message.body);
        return Ok(words.into_iter().map(Part::Words).collect());
    }
    let is_card = message.card.is_some();
    let flat = spelled_out(message);
    let rows: Vec<&Button> = flat.buttons.iter().flatten().collect();
    check(&rows)?;
    let mut words = render::words(&flat.body);
    let can_press =
        |button: &&Button| scene.has_presses || matches!(button.action, ButtonAction::Open(_));
    if scene.has_cards && rows.iter().all(can_press) && (is_card || !rows.is_empty()) {
        let last = words.pop();
        let text = last.map(|last| last.markdown(render::Dialect::Card).0);
        let shown = card::Shown::new(text.unwrap_or_default(), &rows);
        let mut parts: Vec<_> = words.into_iter().map(Part::Words).collect();
        parts.push(Part::Card(shown));
        return Ok(parts);
    }
    let links: Vec<_> = rows.iter().filter_map(|button| link(button)).collect();
    if links.len() == rows.len() && (1..=limits::LINKS).contains(&links.len()) {
        let mut parts: Vec<_> = Vec::new();
        let last = match words.pop() {
            Some(last) => last,
            None => match render::words(&Body::plain("\u{2026}")).pop() {
                Some(dots) => dots,
                None => return Ok(Vec::new()),
            },
        };
        parts.extend(words.into_iter().map(Part::Words));
        parts.push(Part::Links(last, links));
        return Ok(parts);
    }
    // Nobody loses what the buttons offer.
    let spelled = render::words(&Body::plain(in_words(&rows)));
    words.extend(spelled);
    Ok(words.into_iter().map(Part::Words).collect())
}

fn link(button: &Button) -> Option<(String, String)> {
    match &button.action {
        ButtonAction::Open(url) => Some((button.label.clone(), url.clone())),
        _ => None,
    }
}

fn in_words(rows: &[&Button]) -> String {
    let lines = rows.iter().map(|button| match &button.action {
        ButtonAction::Open(url) => format!("{}: {url}", button.label),
        _ => format!("\u{b7} {}", button.label),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Refuses buttons that cannot be shown, before anything is.
fn check(rows: &[&Button]) -> Result<()> {
    for button in rows {
        if render::is_blank(&button.label) {
            return Err(invalid("a button needs a label", OPERATION));
        }
        match &button.action {
            ButtonAction::Press(value) if value.len() > limits::VALUE => {
                let words = format!(
                    "the value of a button is {} bytes, limit is {}",
                    value.len(),
                    limits::VALUE
                );
                return Err(invalid(words, OPERATION));
            }
            ButtonAction::Open(url)
                if !url.starts_with("https://") && !url.starts_with("http://") =>
            {
                return Err(invalid(
                    "a button opens http and https addresses",
                    OPERATION,
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The message with its card turned into words and buttons, formatting kept.
pub(crate) fn spelled_out(message: &OutboundMessage) -> OutboundMessage {
    let Some(card) = &message.card else {
        return message.clone();
    };
    let content = |body: &Body| Body::Content(channel_text::content_of(body).into_owned());
    let mut message = message.clone();
    message.body = content(&message.body);
    let mut card = Card::clone(card);
    for block in &mut card.blocks {
        if let CardBlock::Text(body) = block {
            *body = content(body);
        }
    }
    message.card = Some(Box::new(card));
    message.without_card().into_owned()
}
