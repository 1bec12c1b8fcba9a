//! Files that go out (<https://core.telegram.org/bots/api#sending-files>).

use channel_core::{
    AttachmentKind, Error, Limits, MessageRef, Multipart, Result, Upload, UploadSource,
};
use serde::Serialize;

use crate::address::{Address, Place};
use crate::call::{Fault, Pace};
use crate::client::{Method, Payload, json};
use crate::error::invalid;
use crate::limits;
use crate::outbound::{Envelope, Sent};
use crate::render::{Entity, Keyboard, Words, is_blank};
use crate::shared::Shared;

/// Files that one call sends: one, or an album.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    files: &'a [Upload],
}

/// How a kind of file is sent: method, field, and name inside an album.
const fn route(kind: AttachmentKind) -> (Method, &'static str, Option<&'static str>) {
    match kind {
        AttachmentKind::Image => (Method::SendPhoto, "photo", Some("photo")),
        AttachmentKind::Video => (Method::SendVideo, "video", Some("video")),
        AttachmentKind::Audio => (Method::SendAudio, "audio", Some("audio")),
        AttachmentKind::Voice => (Method::SendVoice, "voice", None),
        AttachmentKind::Animation => (Method::SendAnimation, "animation", None),
        AttachmentKind::Sticker => (Method::SendSticker, "sticker", None),
        // Kinds that later versions add are files, too.
        _ => (Method::SendDocument, "document", Some("document")),
    }
}

/// Whether two neighbours may share an album: pictures and films may, documents and
/// sounds only with their like.
fn together(a: AttachmentKind, b: AttachmentKind) -> bool {
    let is_visual = |kind| matches!(kind, AttachmentKind::Image | AttachmentKind::Video);
    route(a).2.is_some() && (a == b || is_visual(a) && is_visual(b))
}

/// Checks the files and puts neighbours together.
pub(crate) fn batches<'a>(files: &'a [Upload], limits: &Limits) -> Result<Vec<Batch<'a>>> {
    for file in files {
        check(file, limits)?;
    }
    Ok(files
        .chunk_by(|a, b| together(a.kind, b.kind))
        .flat_map(|group| group.chunks(limits::ALBUM))
        .map(|files| Batch { files })
        .collect())
}

fn check(file: &Upload, limits: &Limits) -> Result<(), Error> {
    let operation = route(file.kind).0.operation();
    match &file.source {
        UploadSource::Bytes(bytes) => {
            let max = limits.upload_bytes_for(file.kind);
            let length = bytes.len() as u64;
            if length == 0 {
                return Err(invalid("the file is empty", operation));
            }
            if length > max {
                return Err(invalid(
                    format!("file is {length} bytes, limit is {max}"),
                    operation,
                ));
            }
            Ok(())
        }
        UploadSource::Url(url) if url.starts_with("https://") || url.starts_with("http://") => {
            Ok(())
        }
        UploadSource::Url(_) => Err(invalid(
            "telegram fetches files from https:// and http:// addresses only",
            operation,
        )),
        UploadSource::Existing(id) if !is_blank(id.as_str()) => Ok(()),
        _ => Err(invalid(
            "the file has no source that telegram knows",
            operation,
        )),
    }
}

impl Batch<'_> {
    fn is_album(&self) -> bool {
        self.files.len() > 1
    }

    pub(crate) fn takes_keyboard(&self) -> bool {
        !self.is_album()
    }

    pub(crate) fn takes_caption(&self) -> bool {
        self.files
            .first()
            .is_some_and(|file| file.kind != AttachmentKind::Sticker)
    }
}

#[derive(Serialize)]
struct Media<'a> {
    r#type: &'static str,
    media: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    caption_entities: &'a [Entity],
}

/// Sends one batch.
pub(crate) async fn send(
    shared: &Shared,
    envelope: &Envelope<'_>,
    batch: &Batch<'_>,
    caption: Option<&Words>,
    keyboard: Option<&Keyboard<'_>>,
    pace: Pace,
) -> Result<Vec<MessageRef>, Fault> {
    let Some((first, rest)) = batch.files.split_first() else {
        return Ok(Vec::new());
    };
    let (method, field, _) = route(first.kind);
    let room = &envelope.room;
    if matches!(room.address, Address::Guest { .. } | Address::Inline) {
        return Err(invalid("files cannot be sent there", method.operation()).into());
    }
    let mut fields = envelope_fields(envelope);
    let quote = envelope.quote.as_ref().map(text);
    if rest.is_empty() {
        if let Some(words) = caption {
            fields.push(("caption", words.text.clone()));
            if !words.entities.is_empty() {
                fields.push(("caption_entities", text(&words.entities)));
            }
        }
        if let Some(keyboard) = keyboard {
            fields.push(("reply_markup", text(keyboard)));
        }
        if let Some(value) = reference(first) {
            fields.push((field, value));
        }
        let names = [field.to_owned()];
        let sent: Sent = shared
            .call_chat(method, room, pace, |place| {
                form(
                    shared,
                    place,
                    quote.as_deref(),
                    &fields,
                    names.iter().zip(batch.files),
                )
            })
            .await?;
        return Ok(vec![sent.at(room)]);
    }
    let names: Vec<String> = (0..batch.files.len()).map(|n| format!("file{n}")).collect();
    let media: Vec<Media<'_>> = batch
        .files
        .iter()
        .zip(&names)
        .enumerate()
        .map(|(index, (file, name))| {
            let caption = caption.filter(|_| index == 0);
            Media {
                r#type: route(file.kind).2.unwrap_or("document"),
                media: reference(file).unwrap_or_else(|| format!("attach://{name}")),
                caption: caption.map(|words| words.text.as_str()),
                caption_entities: caption.map_or(&[], |words| &words.entities),
            }
        })
        .collect();
    fields.push(("media", text(&media)));
    let sent: Vec<Sent> = shared
        .call_chat(Method::SendMediaGroup, room, pace, |place| {
            form(
                shared,
                place,
                quote.as_deref(),
                &fields,
                names.iter().zip(batch.files),
            )
        })
        .await?;
    Ok(sent.iter().map(|sent| sent.at(room)).collect())
}

fn envelope_fields(envelope: &Envelope<'_>) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if let Some(ephemeral) = &envelope.ephemeral {
        fields.push(("ephemeral_message_parameters", text(ephemeral)));
    }
    if envelope.silent {
        fields.push(("disable_notification", "true".to_owned()));
    }
    fields
}

/// A file that Telegram has or fetches itself.
fn reference(file: &Upload) -> Option<String> {
    match &file.source {
        UploadSource::Url(url) => Some(url.clone()),
        UploadSource::Existing(id) => Some(id.as_str().to_owned()),
        _ => None,
    }
}

/// Nested objects travel as JSON text inside a form.
fn text(value: &impl Serialize) -> String {
    String::from_utf8(json(value)).unwrap_or_default()
}

fn form<'a>(
    shared: &Shared,
    place: Place<'_>,
    quote: Option<&str>,
    fields: &[(&'static str, String)],
    files: impl Iterator<Item = (&'a String, &'a Upload)>,
) -> Payload {
    let mut form = Multipart::new(&*shared.client.transport.random);
    for (name, value) in place.fields().iter().chain(fields) {
        form = form.text(name, value);
    }
    if let Some(quote) = quote.filter(|_| !place.is_new) {
        form = form.text("reply_parameters", quote);
    }
    for (field, file) in files {
        if let UploadSource::Bytes(bytes) = &file.source {
            let name = if is_blank(&file.name) {
                "file"
            } else {
                &file.name
            };
            let mime = file.mime.as_deref().unwrap_or("application/octet-stream");
            form = form.file(field, name, mime, bytes.clone());
        }
    }
    Payload::form(form)
}
