//! Which calls one message becomes. Pure: the same message has the same calls before and
//! after a restart.

use channel_core::{
    AttachmentKind, Body, Card, CardBlock, ChatId, Content, Destination, Error, OutboundMessage,
    Result, Upload, UploadSource,
};
use serde_json::{Value, json};

use crate::buttons::Buttons;
use crate::config::LineConfig;
use crate::error::invalid;
use crate::files::{self, Place};
use crate::inbound::ReplyContext;
use crate::render::{self, is_blank, is_media_url};
use crate::{flex, limits};

pub(crate) const OPERATION: &str = "send message";

/// A chat that a call goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    pub(crate) chat: &'a ChatId,
}

impl<'a> Room<'a> {
    /// Reads a chat id: `U...` is a person, `C...` a group and `R...` a room
    /// (<https://developers.line.biz/en/docs/messaging-api/getting-user-ids/>).
    pub(crate) fn of(chat: &'a ChatId, operation: &'static str) -> Result<Self, Error> {
        let text = chat.as_str();
        let known = ['U', 'C', 'R'].iter().any(|first| text.starts_with(*first));
        if known && files::is_token(text) {
            Ok(Self { chat })
        } else {
            let words = "a chat of line is U, C or R and letters and digits";
            Err(invalid(words, operation))
        }
    }

    pub(crate) fn is_direct(self) -> bool {
        self.chat.as_str().starts_with('U')
    }
}

/// How many calls a message takes.
pub(crate) fn count(config: &LineConfig, message: &OutboundMessage) -> Result<usize> {
    Ok(calls(config, message)?.len())
}

/// The calls of a message: up to five messages each.
pub(crate) fn calls(config: &LineConfig, message: &OutboundMessage) -> Result<Vec<Vec<Value>>> {
    let room = Room::of(&message.to.target().chat, OPERATION)?;
    let messages = messages(config, room, message)?;
    let calls = messages.chunks(limits::MESSAGES);
    Ok(calls.map(<[Value]>::to_vec).collect())
}

fn messages(config: &LineConfig, room: Room<'_>, message: &OutboundMessage) -> Result<Vec<Value>> {
    let buttons = Buttons::of(message.buttons.iter().flatten(), OPERATION)?;
    if let Some(card) = &message.card {
        return match flex::card(card, &buttons, OPERATION)? {
            Some(card) => {
                let mut all = words_of(room, message, None);
                all.push(card);
                all.extend(files_of(config, &message.attachments));
                quote(&message.to, &mut all)?;
                Ok(all)
            }
            // Too large for LINE's own form: the same words and buttons as text.
            None => messages(config, room, &spelled_out(message, card)),
        };
    }
    let long_labels = buttons.long_labels();
    let mut all = words_of(room, message, long_labels.as_deref());
    all.extend(files_of(config, &message.attachments));
    if !buttons.is_empty() && !all.is_empty() {
        place(&buttons, &mut all);
    }
    quote(&message.to, &mut all)?;
    Ok(all)
}

/// The words of a message, and what follows them.
fn words_of(room: Room<'_>, message: &OutboundMessage, after: Option<&str>) -> Vec<Value> {
    let mut words = render::plain(&message.body);
    if let Some(after) = after
        && !message.is_empty()
    {
        if !is_blank(&words) {
            words.push_str("\n\n");
        }
        words.push_str(after);
    }
    // In a direct chat there is nobody else to be told.
    let mentions = if room.is_direct() {
        Vec::new()
    } else {
        render::mentions(&message.body)
    };
    render::texts(&words, &mentions)
}

/// The message with its card turned into words and buttons, formatting kept.
fn spelled_out(message: &OutboundMessage, card: &Card) -> OutboundMessage {
    let mut message = message.clone();
    message.body = Body::Content(channel_text::content_of(&message.body).into_owned());
    let mut card = card.clone();
    for block in &mut card.blocks {
        if let CardBlock::Text(body) = block {
            let content: Content = channel_text::content_of(body).into_owned();
            *body = Body::Content(content);
        }
    }
    message.card = Some(Box::new(card));
    message.without_card().into_owned()
}

/// Puts the buttons where they are seen: into the only, short text, under the last message,
/// or into messages of their own.
fn place(buttons: &Buttons<'_>, all: &mut Vec<Value>) {
    if let [only] = all.as_mut_slice()
        && only["type"] == "text"
        && let Some(template) = only["text"].as_str().and_then(|it| buttons.template(it))
    {
        *only = template;
        return;
    }
    match (buttons.quick_reply(), all.last_mut()) {
        (Some(quick_reply), Some(last)) => set(last, "quickReply", quick_reply),
        _ => all.extend(buttons.flex()),
    }
}

fn set(message: &mut Value, field: &str, value: Value) {
    if let Some(fields) = message.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// Quotes what is answered, if the first message can quote
/// (<https://developers.line.biz/en/docs/messaging-api/get-quote-tokens/>).
fn quote(to: &Destination, all: &mut [Value]) -> Result<()> {
    let Destination::Reply(reply) = to else {
        return Ok(());
    };
    let context: Option<ReplyContext> = reply.context()?;
    let token = context
        .and_then(|context| context.quote)
        .filter(|_| reply.message().is_some());
    let quotes = |message: &&mut Value| {
        ["text", "textV2", "sticker"]
            .iter()
            .any(|kind| message["type"] == *kind)
    };
    if let (Some(token), Some(first)) = (token, all.first_mut().filter(quotes)) {
        set(first, "quoteToken", json!(token));
    }
    Ok(())
}

fn files_of(config: &LineConfig, uploads: &[Upload]) -> Vec<Value> {
    let files = uploads
        .iter()
        .flat_map(|upload| match native(config, upload) {
            Some(message) => vec![message],
            None => render::texts(&in_words(upload), &[]),
        });
    files.collect()
}

/// A file in LINE's own form, where it has one: LINE fetches pictures, films and recordings
/// from an address, and knows its stickers; it takes no bytes and no other files
/// (<https://developers.line.biz/en/docs/messaging-api/message-types/>).
fn native(config: &LineConfig, upload: &Upload) -> Option<Value> {
    if let UploadSource::Existing(id) = &upload.source
        && let Some(Place::Sticker { package, sticker }) = files::place(id)
    {
        return Some(json!({"type": "sticker", "packageId": package, "stickerId": sticker}));
    }
    let url = address(upload).filter(|url| is_media_url(url))?;
    match upload.kind {
        AttachmentKind::Image => {
            Some(json!({"type": "image", "originalContentUrl": url, "previewImageUrl": url}))
        }
        AttachmentKind::Video => {
            let preview = config.video_preview.as_deref()?;
            Some(json!({"type": "video", "originalContentUrl": url, "previewImageUrl": preview}))
        }
        AttachmentKind::Audio | AttachmentKind::Voice => Some(json!({"type": "audio",
            "originalContentUrl": url, "duration": limits::AUDIO_MILLISECONDS})),
        _ => None,
    }
}

fn address(upload: &Upload) -> Option<&str> {
    match &upload.source {
        UploadSource::Url(url) => Some(url),
        UploadSource::Existing(id) => match files::place(id)? {
            Place::Outside(url) => Some(url),
            Place::Content(_) | Place::Sticker { .. } => None,
        },
        _ => None,
    }
}

/// What stands in for a file that LINE does not take: its name, and its address or its size.
fn in_words(upload: &Upload) -> String {
    let name = if is_blank(&upload.name) {
        "file"
    } else {
        upload.name.as_str()
    };
    match (address(upload), upload.bytes()) {
        (Some(url), _) if is_blank(&upload.name) => url.to_owned(),
        (Some(url), _) => format!("{name}\n{url}"),
        (None, Some(bytes)) => format!("[{name}, {bytes} bytes]"),
        (None, None) => format!("[{name}]"),
    }
}
