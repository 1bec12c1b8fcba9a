//! What an app sends (<https://developer.work.weixin.qq.com/document/path/90236>).

use bytes::Bytes;
use channel_core::{
    Attachment, ChatId, Error, MessageRef, Multipart, OutboundMessage, Receipt, Result, Secret,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use crate::api::{Call, Payload};
use crate::card;
use crate::error::{Fault, invalid, of_code};
use crate::parts::{self, no_such_part, send_all};
use crate::render::{self, Words};
use crate::upload::{Content, Outgoing, outgoing};

const SEND: Call = Call::once("send message");

/// One message of a plan.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Words(Words),
    Card(Value),
    File(Outgoing<'a>),
}

impl parts::Part for Part<'_> {
    fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    msgid: String,
    #[serde(default)]
    invaliduser: String,
    response_code: Option<Secret>,
}

#[derive(Deserialize)]
struct Uploaded {
    media_id: String,
}

/// What a message becomes, in order.
pub(super) fn plan<'a>(shared: &Shared, message: &'a OutboundMessage) -> Result<Vec<Part<'a>>> {
    let native = card::of_message(message, &*shared.api.transport.random)?;
    let markdown = shared.config.markdown;
    let words = |body| render::for_app(body, markdown).into_iter().map(Part::Words);
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
            if !buttons.is_empty() {
                parts.extend(words(&channel_core::Body::plain(buttons)));
            }
        }
    }
    for upload in &message.attachments {
        parts.push(Part::File(outgoing(upload, &shared.info.limits)?));
    }
    Ok(parts)
}

/// The user that a message goes to; never a whole corp by accident.
fn receiver(message: &OutboundMessage) -> Result<&ChatId> {
    let chat = &message.to.target().chat;
    let id = chat.as_str();
    if id.is_empty() || id.contains('|') || id.eq_ignore_ascii_case("@all") {
        return Err(invalid("the target has to be one user id", SEND.operation));
    }
    Ok(chat)
}

/// Sends a message.
pub(super) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let chat = receiver(message)?;
    let parts = plan(shared, message)?;
    let clock = &*shared.api.transport.clock;
    send_all(clock, &parts, Receipt::default(), |part| {
        Box::pin(send_part(shared, chat, part))
    })
    .await
}

/// Sends one part of a message.
pub(super) async fn send_one(
    shared: &Shared,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    let chat = receiver(message)?;
    let parts = plan(shared, message)?;
    let part = parts.get(part).ok_or_else(no_such_part)?;
    let at = send_part(shared, chat, part).await?;
    Ok(Receipt::new(vec![at]))
}

async fn send_part(shared: &Shared, chat: &ChatId, part: &Part<'_>) -> Result<MessageRef, Fault> {
    let (kind, content) = match part {
        Part::Words(Words::Text(text)) => ("text", json!({"content": text})),
        Part::Words(Words::Markdown(text) | Words::MarkdownV2(text)) => {
            ("markdown", json!({"content": text}))
        }
        Part::Card(card) => ("template_card", card.clone()),
        Part::File(file) => {
            let media_id = upload(shared, file).await?;
            (file.kind, json!({"media_id": media_id}))
        }
    };
    let fields = json!({
        "touser": chat.as_str(),
        "msgtype": kind,
        "agentid": shared.config.agent_id,
        kind: content,
    });
    let payload = Payload::json(&fields);
    let sent: Sent = shared.post(SEND, "message/send", &[], &payload).await?;
    // The id comes back in lower case, and it was the only one.
    if sent.invaliduser.split('|').any(|user| !user.is_empty()) {
        return Err(of_code(81_013, SEND.operation));
    }
    let id = if sent.msgid.is_empty() {
        card::task(&*shared.api.transport.random)
    } else {
        sent.msgid
    };
    if let Some(code) = sent.response_code {
        shared.sent_cards.remember(&id, code);
    }
    Ok(MessageRef::new(chat.clone(), id.into()))
}

async fn upload(shared: &Shared, file: &Outgoing<'_>) -> Result<String, Error> {
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
    let call = Call::repeatable("upload file");
    let query = [("type", file.kind)];
    let payload = Payload::form(form);
    let uploaded: Uploaded = shared.post(call, "media/upload", &query, &payload).await?;
    Ok(uploaded.media_id)
}

/// Fetches a file (<https://developer.work.weixin.qq.com/document/path/90254>).
pub(super) async fn download(
    shared: &Shared,
    attachment: &Attachment,
    max_bytes: u64,
) -> Result<Bytes> {
    let call = Call::repeatable("download");
    let max = max_bytes.min(shared.info.limits.download_bytes);
    let get = |address: Secret| async move { shared.api.fetch(call, &address, max, false).await };
    let query = [("media_id", attachment.id.as_str())];
    Ok(shared.with_token("media/get", &query, get).await?)
}
