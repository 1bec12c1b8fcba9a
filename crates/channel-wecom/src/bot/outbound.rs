//! What a group bot sends (<https://developer.work.weixin.qq.com/document/path/99110>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{
    Body, Destination, Error, ErrorKind, MessageRef, Multipart, OutboundMessage, Receipt, Result,
    Secret,
};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::webhooks::{is_webhook, upload_address};
use crate::api::{Call, Done, Payload};
use crate::error::Fault;
use crate::inbound::ReplyContext;
use crate::parts::{self, no_such_part, send_all};
use crate::render::{self, Words};
use crate::upload::{Content, Outgoing, outgoing};
use crate::{PLATFORM, card, limits};

const SEND: Call = Call::once("send message");

/// One message of a plan.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Words(Words),
    File(Outgoing<'a>),
}

impl parts::Part for Part<'_> {
    fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// What a message becomes, in order. A group's webhook has no buttons, so they become
/// words.
pub(super) fn plan<'a>(shared: &Shared, message: &'a OutboundMessage) -> Result<Vec<Part<'a>>> {
    let words = message.without_card();
    let mut parts: Vec<_> = render::for_bot(&words.body)
        .into_iter()
        .map(Part::Words)
        .collect();
    let buttons = render::buttons_as_words(&words.buttons);
    if !buttons.is_empty() {
        parts.extend(
            render::for_bot(&Body::plain(buttons))
                .into_iter()
                .map(Part::Words),
        );
    }
    for upload in &message.attachments {
        parts.push(Part::File(outgoing(upload, &shared.info.limits)?));
    }
    Ok(parts)
}

/// The webhook of the message that is answered, of the chat, or the one configured.
fn webhook(shared: &Shared, to: &Destination) -> Result<Secret> {
    if let Destination::Reply(reply) = to {
        let context: Option<ReplyContext> = reply.context()?;
        // It was stored meanwhile: checked again.
        let url = context.and_then(|context| context.url);
        if let Some(url) = url.filter(|url| is_webhook(url, shared.configured())) {
            return Ok(Secret::new(url));
        }
    }
    let known = shared.webhooks.of(to.target().chat.as_str());
    known
        .or_else(|| shared.config.webhook_url.clone())
        .ok_or_else(|| {
            let message = "no webhook is known for the chat: set webhook_url";
            Error::new(ErrorKind::NotFound, message).on(PLATFORM, SEND.operation)
        })
}

/// Sends a message.
pub(super) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let parts = plan(shared, message)?;
    let clock = &*shared.api.transport.clock;
    send_all(clock, &parts, Receipt::default(), |part| {
        Box::pin(send_part(shared, &message.to, part))
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
    let webhook = webhook(shared, to)?;
    let (kind, content) = match part {
        Part::Words(Words::Text(text)) => ("text", json!({"content": text})),
        Part::Words(Words::Markdown(text)) => ("markdown", json!({"content": text})),
        Part::Words(Words::MarkdownV2(text)) => ("markdown_v2", json!({"content": text})),
        Part::File(file) => match picture(file) {
            Some(picture) => ("image", picture),
            None => {
                let kind = if file.kind == "voice" {
                    "voice"
                } else {
                    "file"
                };
                let media_id = upload(shared, &webhook, file, kind).await?;
                (kind, json!({"media_id": media_id}))
            }
        },
    };
    let payload = Payload::json(&json!({"msgtype": kind, kind: content}));
    // WeCom names no message; the name is ours.
    let id = card::task(&*shared.api.transport.random);
    let Done {} = shared.api.post_named(SEND, &webhook, payload, &id).await?;
    Ok(MessageRef::new(to.target().chat.clone(), id.into()))
}

/// A small picture travels inside the message.
fn picture(file: &Outgoing<'_>) -> Option<serde_json::Value> {
    let Content::Bytes(bytes) = file.content else {
        return None;
    };
    let fits = bytes.len() as u64 <= limits::BOT_PICTURE;
    (file.kind == "image" && fits)
        .then(|| json!({"base64": STANDARD.encode(bytes), "md5": hex::encode(Md5::digest(bytes))}))
}

async fn upload(
    shared: &Shared,
    webhook: &Secret,
    file: &Outgoing<'_>,
    kind: &str,
) -> Result<String, Fault> {
    #[derive(Deserialize)]
    struct Uploaded {
        media_id: String,
    }
    let bytes = match file.content {
        Content::Existing(id) => return Ok(id.to_owned()),
        Content::Bytes(bytes) => bytes.clone(),
    };
    let form = Multipart::new(&*shared.api.transport.random).file(
        "media",
        file.name,
        "application/octet-stream",
        bytes,
    );
    let address = upload_address(webhook, kind);
    let call = Call::repeatable("upload file");
    let uploaded: Uploaded = shared.api.post(call, &address, Payload::form(form)).await?;
    Ok(uploaded.media_id)
}
