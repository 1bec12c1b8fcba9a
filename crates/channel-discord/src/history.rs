//! Reading what was written
//! (<https://docs.discord.com/developers/resources/message#get-channel-messages>).

use channel_core::{Message, MessageId, MessageRef, OutboundMessage, Proof, Raw, Result, Target};
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::{Call, Op};
use crate::error::unsupported;
use crate::inbound::Reader;
use crate::outbound::{Envelope, nonce};
use crate::shared::Shared;
use crate::{address, wire};

/// How many messages one call brings.
const PAGE: usize = 100;
/// How many calls one reading makes.
const PAGES: usize = 20;

async fn page(
    shared: &Shared,
    room: &str,
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<Box<RawValue>>> {
    let mut rest = format!("/messages?limit={}", limit.clamp(1, PAGE));
    if let Some(before) = before {
        rest.push_str(&format!("&before={before}"));
    }
    let call = Call::of_channel(Op::Messages, Method::GET, room, &rest);
    Ok(shared.call(&call, Some(shared.patience())).await?)
}

#[derive(Deserialize)]
struct Place {
    id: String,
    nonce: Option<serde_json::Value>,
}

/// The last messages of a chat, newest first.
pub(crate) async fn history(
    shared: &Shared,
    of: &Target,
    before: Option<&MessageId>,
    limit: usize,
) -> Result<Vec<Message>> {
    let operation = Op::Messages.operation();
    let room = address::room(of, operation)?;
    let before = before
        .map(|id| address::message(id, operation))
        .transpose()?;
    let mut before = before.map(str::to_owned);
    let mut messages = Vec::new();
    for _ in 0..PAGES {
        let left = limit - messages.len();
        if left == 0 {
            break;
        }
        let read = page(shared, room, before.as_deref(), left).await?;
        let is_last = read.len() < left.min(PAGE);
        let last = read.last().and_then(|raw| place(raw)).map(|it| it.id);
        messages.extend(read.iter().filter_map(|raw| message(shared, raw)));
        messages.truncate(limit);
        if is_last || last.is_none() {
            break;
        }
        before = last.filter(|id| address::is_id(id));
    }
    Ok(messages)
}

fn place(raw: &RawValue) -> Option<Place> {
    serde_json::from_str(raw.get()).ok()
}

fn message(shared: &Shared, raw: &RawValue) -> Option<Message> {
    let wire: wire::Message<'_> = serde_json::from_str(raw.get()).ok()?;
    let me = shared.me();
    let reader = Reader {
        channel: &shared.info.id,
        me: me.as_deref(),
        proof: Proof::Asserted,
    };
    let mut message = reader.message(&wire, &Raw::new(raw.get().to_owned().into()))?;
    // What is read over HTTP does not name its server, so that nothing tells a direct chat.
    message.chat.kind = channel_core::ChatKind::Group;
    if wire.guild_id.is_none() && message.addressed == channel_core::Addressed::Direct {
        message.addressed = channel_core::Addressed::No;
    }
    Some(message)
}

/// Looks for a message that was sent under a key, by its nonce, where Discord shows it.
pub(crate) async fn find(shared: &Shared, sent: &OutboundMessage) -> Result<Option<MessageRef>> {
    let Some(key) = &sent.key else {
        return Ok(None);
    };
    let envelope = Envelope::new(&sent.to, sent.silent)?;
    if envelope.right.is_some() {
        let message = "an answer to an interaction carries nothing to be found by";
        return Err(unsupported(message, Op::Messages.operation()));
    }
    let wanted = nonce(key, 0);
    let read = page(shared, envelope.room, None, PAGE).await?;
    let found = read.iter().filter_map(|raw| place(raw)).find(|place| {
        let nonce = place.nonce.as_ref().and_then(serde_json::Value::as_str);
        nonce == Some(wanted.as_str())
    });
    Ok(found.map(|place| MessageRef::new(envelope.room.into(), place.id.into())))
}
