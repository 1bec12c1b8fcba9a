//! What the bot sends over the connection
//! (<https://developer.work.weixin.qq.com/document/path/101463>).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{Destination, Error, ErrorKind, MessageRef, OutboundMessage, Receipt, Result};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::{ANSWERED_WITHIN, call};
use super::{Shared, frame};
use crate::api::Call;
use crate::error::{Fault, Reason};
use crate::inbound::ReplyContext;
use crate::parts::{self, no_such_part, send_all};
use crate::upload::{Content, Outgoing, outgoing};
use crate::{PLATFORM, card, render};

const SEND: Call = Call::once("send message");
/// The largest chunk of an upload, before base64
/// (<https://developer.work.weixin.qq.com/document/path/101463>).
const CHUNK: usize = 512 * 1024;
/// How long a chunk may take.
const CHUNK_WITHIN: Duration = Duration::from_secs(30);

/// One message of a plan.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Words(String),
    Card(Value),
    File(Outgoing<'a>),
}

impl parts::Part for Part<'_> {
    fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// What a message becomes, in order.
pub(super) fn plan<'a>(shared: &Shared, message: &'a OutboundMessage) -> Result<Vec<Part<'a>>> {
    let native = card::of_message(message, &*shared.pump.transport.random)?;
    let words = |body| render::for_ai(body).into_iter().map(Part::Words);
    let mut parts = Vec::new();
    match native {
        Some(native) => {
            if !native.holds_words {
                parts.extend(words(&message.body));
            }
            parts.extend(native.before.iter().flat_map(words));
            parts.push(Part::Card(native.card));
        }
        None => {
            let message = message.without_card();
            parts.extend(words(&message.body));
            let buttons = render::buttons_as_words(&message.buttons);
            parts.extend(words(&channel_core::Body::plain(buttons)));
        }
    }
    for upload in &message.attachments {
        parts.push(Part::File(outgoing(upload, &shared.info.limits)?));
    }
    Ok(parts)
}

/// The request that a message answers, where there is one.
pub(super) fn request_of(to: &Destination) -> Result<Option<String>> {
    let Destination::Reply(reply) = to else {
        return Ok(None);
    };
    let context: Option<ReplyContext> = reply.context()?;
    Ok(context.and_then(|context| context.request))
}

/// Sends a message.
pub(super) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let parts = plan(shared, message)?;
    send_parts(shared, &message.to, &parts, Receipt::default()).await
}

/// Sends parts after those that a receipt names already.
pub(super) async fn send_parts(
    shared: &Shared,
    to: &Destination,
    parts: &[Part<'_>],
    receipt: Receipt,
) -> Result<Receipt> {
    let clock = &*shared.pump.transport.clock;
    send_all(clock, parts, receipt, |part| {
        Box::pin(send_part(shared, to, part))
    })
    .await
}

/// Sends one part of a message.
pub(super) async fn send_one(
    shared: &Shared,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    let parts = plan(shared, message)?;
    let part = parts.get(part).ok_or_else(no_such_part)?;
    let at = send_part(shared, &message.to, part).await?;
    Ok(Receipt::new(vec![at]))
}

async fn send_part(
    shared: &Shared,
    to: &Destination,
    part: &Part<'_>,
) -> Result<MessageRef, Fault> {
    let (kind, content, id) = match part {
        Part::Words(text) => ("markdown", json!({"content": text}), None),
        Part::Card(card) => {
            shared.cards.sent(card);
            let id = card::task_of(card).map(str::to_owned);
            ("template_card", card.clone(), id)
        }
        Part::File(file) => {
            let media_id = upload(shared, file).await?;
            (file.kind, json!({"media_id": media_id}), None)
        }
    };
    let body = json!({"msgtype": kind, kind: content});
    let sent = deliver(shared, to, body, part).await?;
    Ok(MessageRef::new(
        to.target().chat.clone(),
        id.unwrap_or(sent).into(),
    ))
}

/// Answers the request while it can be answered, else writes to the chat.
async fn deliver(
    shared: &Shared,
    to: &Destination,
    body: Value,
    part: &Part<'_>,
) -> Result<String, Fault> {
    if let Some(request) = request_of(to)? {
        // Words that answer are a stream of one frame: it ends the sign that the bot thinks.
        let stream = stream_id(shared);
        let answer = match part {
            Part::Words(text) => stream_frame(&stream, text, true),
            _ => body.clone(),
        };
        match respond(shared, &request, answer).await {
            Ok(()) => return Ok(stream),
            Err(fault) if fault.reason == Reason::TooLate => {}
            Err(fault) => return Err(fault),
        }
    }
    push(shared, to, body).await
}

pub(super) fn stream_id(shared: &Shared) -> String {
    frame::request_id("stream", &*shared.pump.transport.random)
}

pub(super) fn stream_frame(id: &str, text: &str, finish: bool) -> Value {
    json!({"msgtype": "stream", "stream": {"id": id, "finish": finish, "content": text}})
}

/// Answers a callback.
pub(super) async fn respond(shared: &Shared, request: &str, body: Value) -> Result<(), Fault> {
    let command = "aibot_respond_msg";
    let answered = call(&shared.pump, SEND, command, request, body, ANSWERED_WITHIN).await;
    answered.map(|_| ())
}

/// Writes to a chat; the platform finds out what kind it is.
pub(super) async fn push(
    shared: &Shared,
    to: &Destination,
    mut body: Value,
) -> Result<String, Fault> {
    let command = "aibot_send_msg";
    card::set(&mut body, "chatid", Some(json!(to.target().chat.as_str())));
    let id = frame::request_id(command, &*shared.pump.transport.random);
    call(&shared.pump, SEND, command, &id, body, ANSWERED_WITHIN).await?;
    Ok(id)
}

#[derive(Deserialize)]
struct Begun {
    upload_id: String,
}

#[derive(Deserialize)]
struct Uploaded {
    media_id: String,
}

async fn upload(shared: &Shared, file: &Outgoing<'_>) -> Result<String, Fault> {
    const UPLOAD: Call = Call::repeatable("upload file");
    let bytes = match file.content {
        Content::Existing(id) => return Ok(id.to_owned()),
        Content::Bytes(bytes) => bytes,
    };
    let ask = |step: &'static str, body: Value| async move {
        let id = frame::request_id(step, &*shared.pump.transport.random);
        call(&shared.pump, UPLOAD, step, &id, body, CHUNK_WITHIN).await
    };
    let unreadable = || {
        let error = Error::new(ErrorKind::Protocol, "the answer cannot be read");
        Fault::from(error.on(PLATFORM, UPLOAD.operation))
    };
    let init = json!({"type": file.kind, "filename": file.name, "total_size": bytes.len(),
        "total_chunks": bytes.len().div_ceil(CHUNK), "md5": hex::encode(Md5::digest(bytes))});
    let begun = ask("aibot_upload_media_init", init).await?;
    let begun: Begun = serde_json::from_slice(&begun).map_err(|_| unreadable())?;
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        let body = json!({"upload_id": begun.upload_id, "chunk_index": index, "base64_data": STANDARD.encode(chunk)});
        ask("aibot_upload_media_chunk", body).await?;
    }
    let finish = json!({"upload_id": begun.upload_id});
    let uploaded = ask("aibot_upload_media_finish", finish).await?;
    let uploaded: Uploaded = serde_json::from_slice(&uploaded).map_err(|_| unreadable())?;
    Ok(uploaded.media_id)
}
