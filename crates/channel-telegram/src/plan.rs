//! Which Telegram messages one message becomes. Pure: the same message has the same parts
//! before and after a restart.

use std::borrow::Cow;

use channel_core::{Body, OutboundMessage, Result};

use crate::address::Address;
use crate::client::Method;
use crate::error::invalid;
use crate::render::{self, Keyboard, Words};
use crate::shared::Shared;
use crate::upload::{self, Batch};

/// What one call sends: a text, or a file or album.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    Text(Words, Option<&'a Keyboard<'a>>),
    Files(Batch<'a>, Option<Words>, Option<&'a Keyboard<'a>>),
}

/// The message with its card as words and buttons: Telegram has no cards.
pub(crate) fn spelled_out(message: &OutboundMessage) -> Cow<'_, OutboundMessage> {
    if message.card.is_none() {
        return Cow::Borrowed(message);
    }
    // The words above the card keep their formatting.
    let mut message = message.clone();
    message.body = Body::Content(channel_text::content_of(&message.body).into_owned());
    Cow::Owned(message.without_card().into_owned())
}

/// How many calls a message takes; an album is one.
pub(crate) fn count(shared: &Shared, message: &OutboundMessage) -> Result<usize> {
    let operation = Method::SendMessage.operation();
    let message = spelled_out(message);
    let address = Address::parse(&message.to.target().chat, operation)?;
    let keyboard = render::keyboard(&message.buttons, operation)?;
    Ok(plan(shared, address, &message, keyboard.as_ref())?.len())
}

/// Plans a message without a card.
pub(crate) fn plan<'a>(
    shared: &Shared,
    address: Address<'_>,
    message: &'a OutboundMessage,
    keyboard: Option<&'a Keyboard<'a>>,
) -> Result<Vec<Part<'a>>> {
    let batches = upload::batches(&message.attachments, &shared.info.limits)?;
    let flat = render::flat(&message.body);
    let is_blank = render::is_blank(flat.text());
    let can_caption = batches.first().is_some_and(|first| {
        first.takes_caption() && (keyboard.is_none() || first.takes_keyboard())
    });
    let as_caption = can_caption && crate::limits::CAPTION.fits(flat.text());
    let (mut caption, texts) = if is_blank {
        (None, Vec::new())
    } else if as_caption {
        (Some(Words::of(flat)), Vec::new())
    } else {
        (None, render::parts(&flat))
    };
    let mut keyboard = keyboard;
    let last = texts.len().saturating_sub(1);
    let mut parts = Vec::with_capacity(texts.len() + batches.len());
    for (index, words) in texts.into_iter().enumerate() {
        let keyboard = if index == last { keyboard.take() } else { None };
        parts.push(Part::Text(words, keyboard));
    }
    for batch in batches {
        let keyboard = if batch.takes_keyboard() {
            keyboard.take()
        } else {
            None
        };
        parts.push(Part::Files(batch, caption.take(), keyboard));
    }
    if keyboard.is_some() && !parts.is_empty() {
        return Err(invalid(
            "an album takes no buttons: add words to carry them",
            Method::SendMediaGroup.operation(),
        ));
    }
    if matches!(address, Address::Guest { .. }) && parts.len() > 1 {
        let operation = Method::AnswerGuestQuery.operation();
        return Err(invalid("a guest query takes one message", operation));
    }
    Ok(parts)
}
