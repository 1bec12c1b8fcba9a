//! One request to a channel.

use std::panic::AssertUnwindSafe;

use channel_core::{
    Block, Body, Call, Channel, Content, Error, ErrorKind, IdempotencyKey, Inline, OutboundMessage,
    Parts, Receipt, ReplyStream, Result, timeout,
};
use futures_util::FutureExt as _;

use super::limiter::Place;
use super::shared::Shared;

/// The key of one part: the same in each attempt and after each restart.
pub(super) fn part_key(key: &IdempotencyKey, part: usize) -> IdempotencyKey {
    IdempotencyKey::from(format!("{key}.{part}"))
}

/// How the parts of a plan reach the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One by one.
    ByPart,
    /// As one message that the channel splits by itself.
    Whole,
    /// Not at all: the plan was made by rules that no longer hold.
    Unfit,
}

impl Shape {
    pub(super) fn of(channel: &dyn Channel, message: &OutboundMessage, planned: usize) -> Self {
        let counted = channel.as_parts().map(|parts| parts.parts(message));
        match (counted, planned) {
            (Some(Ok(parts)), planned) if parts == planned => Self::ByPart,
            (_, 1) => Self::Whole,
            _ => Self::Unfit,
        }
    }
}

/// What one attempt sends.
pub(super) enum Request<'a> {
    /// One part of the message, as it is.
    Part(&'a OutboundMessage, usize),
    /// The same with a note that it is a repetition.
    Marked(&'a OutboundMessage, usize),
    /// The end of a streamed answer.
    Stream(Box<dyn ReplyStream>, &'a OutboundMessage),
}

/// Makes an attempt. What does not answer in time and what panics is uncertain.
pub(super) async fn attempt(
    shared: &Shared,
    channel: &dyn Channel,
    shape: Shape,
    request: Request<'_>,
) -> Result<Receipt> {
    let call = async {
        match request {
            Request::Part(message, part) => send(channel, shape, message, part).await,
            Request::Marked(message, part) => resend(shared, channel, shape, message, part).await,
            Request::Stream(stream, message) => stream.finish(message.clone()).await,
        }
    };
    let call = AssertUnwindSafe(call).catch_unwind();
    match timeout(shared.clock.as_ref(), shared.settings.attempt_timeout, call).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Error::new(ErrorKind::Uncertain, "the channel panicked")),
        Err(elapsed) => Err(Error::new(ErrorKind::Uncertain, elapsed.to_string())),
    }
}

async fn send(
    channel: &dyn Channel,
    shape: Shape,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    match (shape, channel.as_parts()) {
        (Shape::ByPart, Some(parts)) => parts.send_part(message, part).await,
        (Shape::Whole, _) => channel.send(message).await,
        _ => Err(Error::new(
            ErrorKind::Invalid,
            "the plan does not fit the channel",
        )),
    }
}

/// Sends a part again so that nobody takes it for a second message: with the note above it
/// where that leaves one part, else after a message that is the note.
async fn resend(
    shared: &Shared,
    channel: &dyn Channel,
    shape: Shape,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    let note = shared.settings.note.as_str();
    let marked = with_note(message, note);
    let alone = |parts: &dyn Parts| part == 0 && is_one(parts, message) && is_one(parts, &marked);
    match (shape, channel.as_parts()) {
        (Shape::Whole, _) => return channel.send(&marked).await,
        (Shape::ByPart, Some(parts)) if alone(parts) => return parts.send_part(&marked, 0).await,
        _ => {}
    }
    let mut above = OutboundMessage::new(message.to.clone(), note).purpose(message.purpose);
    above.bound.clone_from(&message.bound);
    above.key = message
        .key
        .as_ref()
        .map(|key| IdempotencyKey::from(format!("{key}.note")));
    let mut receipt = channel.send(&above).await?;
    // The lease may have run out over the note, and a successor sends the part.
    if let Some(lost) = shared.worker.why_lost() {
        return Err(Error::new(ErrorKind::Uncertain, lost.to_string()));
    }
    let place = Place {
        info: channel.info(),
        chat: &message.to.target().chat,
        call: Call::Send,
    };
    if let Some(wait) = shared.limiter.blocked(&place, shared.clock.elapsed()) {
        let early = Error::new(ErrorKind::RateLimited, "not its turn any more");
        return Err(early.with_retry_after(wait));
    }
    let sent = send(channel, shape, message, part).await?;
    receipt.messages.extend(sent.messages);
    Ok(receipt)
}

fn is_one(parts: &dyn Parts, message: &OutboundMessage) -> bool {
    parts.parts(message).is_ok_and(|count| count == 1)
}

fn with_note(message: &OutboundMessage, note: &str) -> OutboundMessage {
    let mut marked = message.clone();
    marked.body = match &message.body {
        Body::Plain(text) => Body::Plain(joined(note, "\n", text)),
        Body::Markdown(text) => Body::Markdown(joined(note, "\n\n", text)),
        Body::Content(content) => {
            let mut blocks = vec![Block::Paragraph(vec![Inline::text(note)])];
            blocks.extend(content.blocks.iter().cloned());
            Body::Content(Content::new(blocks))
        }
        _ => message.body.clone(),
    };
    marked
}

fn joined(note: &str, between: &str, text: &str) -> String {
    if text.is_empty() {
        return note.to_owned();
    }
    format!("{note}{between}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use channel_core::Target;

    #[test]
    fn each_part_has_a_key_of_its_own() {
        let key = IdempotencyKey::new("k");
        assert_eq!(part_key(&key, 0).as_str(), "k.0");
        assert_ne!(part_key(&key, 1), part_key(&key, 11));
    }

    #[test]
    fn the_note_stands_above_every_kind_of_body() {
        for body in [
            Body::plain("words"),
            Body::markdown("words"),
            Body::Content(Content::plain("words")),
            Body::default(),
        ] {
            let message = OutboundMessage::new(Target::chat("c"), body);
            let text = match with_note(&message, "again").body {
                Body::Plain(text) | Body::Markdown(text) => text,
                Body::Content(content) => content.to_plain(),
                _ => String::new(),
            };
            assert!(text.starts_with("again"), "{text}");
        }
    }
}
