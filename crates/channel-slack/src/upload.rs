//! Files that go out, by the external upload
//! (<https://docs.slack.dev/messaging/working-with-files/#upload>).

use std::time::Duration;

use channel_core::{Error, ErrorKind, MessageRef, Result, Upload, UploadSource};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::PLATFORM;
use crate::address::{self, Address, is_ts};
use crate::client::{Method, Payload};
use crate::error::{invalid, unsupported};
use crate::outbound::Envelope;
use crate::shared::Shared;

/// How long Slack is given to say which message a file has become.
const LOOKS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_millis(1500),
];

#[derive(Deserialize)]
struct Granted {
    upload_url: String,
    file_id: String,
}

#[derive(Deserialize)]
struct Completed {}

#[derive(Deserialize)]
struct Opened {
    channel: OpenedChat,
}

#[derive(Deserialize)]
struct OpenedChat {
    id: String,
}

/// Whether a file can be sent at all.
pub(crate) fn check(file: &Upload) -> Result<()> {
    let operation = Method::UploadUrl.operation();
    match &file.source {
        UploadSource::Bytes(bytes) if bytes.is_empty() => {
            Err(invalid("slack takes no empty files", operation))
        }
        UploadSource::Bytes(bytes) if bytes.len() as u64 > 1 << 30 => {
            Err(invalid("the file is larger than 1 GiB", operation))
        }
        UploadSource::Bytes(_) => Ok(()),
        _ => Err(unsupported("slack takes files as bytes only", operation)),
    }
}

/// Uploads one file into a chat.
pub(crate) async fn send(
    shared: &Shared,
    envelope: &Envelope<'_>,
    file: &Upload,
    patience: Duration,
) -> Result<MessageRef> {
    let UploadSource::Bytes(bytes) = &file.source else {
        return check(file).and(Err(unsupported(
            "slack takes files as bytes only",
            "send file",
        )));
    };
    let at = envelope.at;
    let channel = chat_of(shared, at, patience).await?;
    let name = if file.name.trim().is_empty() {
        "file"
    } else {
        &file.name
    };
    let length = bytes.len().to_string();
    let payload = Payload::form(&[("filename", name), ("length", &length)]);
    let granted: Granted = shared
        .call_chat(Method::UploadUrl, at, payload, Some(patience))
        .await?;
    if !address::is_trusted(&granted.upload_url, "slack.com", &shared.client.base) {
        return Err(Error::new(
            ErrorKind::Protocol,
            "the upload address is not one of slack",
        )
        .on(PLATFORM, Method::UploadUrl.operation()));
    }
    let method = Method::UploadBytes;
    let sent = shared
        .client
        .post_to(&granted.upload_url, Payload::bytes(bytes.clone()))
        .await;
    sent.map_err(|failure| failure.into_error(method))?;

    let files = json!([{"id": granted.file_id, "title": name}]).to_string();
    let mut fields = vec![("files", files.as_str()), ("channel_id", channel.as_str())];
    fields.extend(envelope.thread.map(|thread| ("thread_ts", thread)));
    let payload = Payload::form(&fields);
    let Completed {} = shared
        .call_chat(Method::CompleteUpload, at, payload, Some(patience))
        .await?;
    let chat = Address::chat(at.workspace, &channel);
    let ts = look_up(shared, at, &granted.file_id, &channel).await;
    let id = ts.unwrap_or_else(|| format!("file:{}", granted.file_id));
    Ok(MessageRef::new(chat, id.into()))
}

/// The chat to share into; a person has to be turned into one first.
async fn chat_of(shared: &Shared, at: Address<'_>, patience: Duration) -> Result<String> {
    if !at.channel.starts_with(['U', 'W']) {
        return Ok(at.channel.to_owned());
    }
    let payload = Payload::form(&[("users", at.channel)]);
    let opened: Opened = shared
        .call_chat(Method::OpenChat, at, payload, Some(patience))
        .await?;
    Ok(opened.channel.id)
}

/// Asks which message a file has become: the upload does not tell. Slack shares it a moment
/// later; the file has been sent whatever comes of this.
async fn look_up(shared: &Shared, at: Address<'_>, file: &str, channel: &str) -> Option<String> {
    for wait in LOOKS {
        if !wait.is_zero() {
            shared.client.transport.clock.sleep(wait).await;
        }
        let payload = Payload::form(&[("file", file)]);
        let info: Value = shared
            .call_chat(Method::FileInfo, at, payload, None)
            .await
            .ok()?;
        let shares = ["public", "private"].iter().find_map(|kind| {
            let shares = info.pointer(&format!("/file/shares/{kind}"))?;
            let ts = shares.get(channel)?.get(0)?.get("ts")?.as_str()?;
            is_ts(ts).then(|| ts.to_owned())
        });
        if shares.is_some() {
            return shares;
        }
    }
    None
}
