//! What the bot says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{
    AttachmentKind, Button, ButtonAction, ChatId, Destination, Error, ErrorKind, MessageId,
    MessageRef, OutboundMessage, Purpose, Receipt, Result, Upload, UploadSource,
};

use crate::Standard;
use crate::auth::random_text;
use crate::history::Owner;
use crate::hub::{Hub, Place};
use crate::link::Link;
use crate::message::{PLATFORM, media_id};
use crate::parts::Plan;
use crate::render::{Part, render};
use crate::standard::Shared;
use crate::time;
use crate::wire::client::{FileKind, Format, TypingState};
use crate::wire::server::{self, File, ServerFrame};
use crate::wire::{MAX_ATTACHMENTS, MAX_INLINE, MAX_INLINE_TOTAL};

/// How long a typing sign lasts, in seconds.
pub(crate) const TYPING_SECONDS: u64 = 10;

/// One message of ours, ready to be numbered.
pub(crate) struct Draft<'a> {
    pub(crate) text: &'a str,
    pub(crate) format: Format,
    pub(crate) quotes: Option<&'a str>,
    pub(crate) thread: Option<&'a str>,
    pub(crate) files: &'a [File],
    pub(crate) buttons: Vec<Vec<server::Button>>,
    pub(crate) purpose: Purpose,
    pub(crate) is_final: bool,
}

pub(crate) fn fail(kind: ErrorKind, message: impl Into<String>, operation: &'static str) -> Error {
    Error::new(kind, message).on(PLATFORM, operation)
}

impl Standard {
    /// The conversation of a chat id.
    pub(crate) fn place_of(&self, chat: &ChatId, operation: &'static str) -> Result<Place> {
        let place = Place::parse(chat).ok_or_else(|| {
            let message = "a chat id is client/conversation or room:name";
            fail(ErrorKind::NotFound, message, operation)
        })?;
        match place.client() {
            Some(client) if !self.0.admits(client) => {
                let message = "allow_from does not let the client in";
                Err(fail(ErrorKind::Forbidden, message, operation))
            }
            None if !self.0.hub().has_room(place.conversation()) => {
                let message = "the room is not configured";
                Err(fail(ErrorKind::NotFound, message, operation))
            }
            _ => Ok(place),
        }
    }

    pub(crate) fn post(&self, message: &OutboundMessage) -> Result<Receipt> {
        const OPERATION: &str = "send message";
        let place = self.place_of(&message.to.target().chat, OPERATION)?;
        let parts = render(&message.body);
        if parts.is_empty() && message.attachments.is_empty() {
            return Ok(Receipt::default());
        }
        let mut hub = self.0.hub();
        if let Some(key) = &message.key
            && let Some(messages) = hub.sent_before(&place, key)
        {
            return Ok(receipt(&place, messages.to_vec()));
        }
        let batches = self.files(&mut hub, &message.attachments, OPERATION)?;
        let messages = self.post_parts(&mut hub, &place, message, &parts, &batches, OPERATION)?;
        if let Some(key) = &message.key {
            hub.remember_send(&place, key.clone(), messages.clone());
        }
        drop(hub);
        Ok(receipt(&place, messages))
    }

    /// Posts all parts.
    pub(crate) fn post_parts(
        &self,
        hub: &mut Hub,
        place: &Place,
        message: &OutboundMessage,
        parts: &[Part<'_>],
        batches: &[Vec<File>],
        operation: &'static str,
    ) -> Result<Vec<MessageId>> {
        let plan = Plan::new(parts, batches.len());
        let messages: Vec<_> = (0..plan.len())
            .map(|index| {
                let files = plan.batch(index).and_then(|batch| batches.get(batch));
                let draft = plan.draft(message, index, files.map_or(&[], Vec::as_slice));
                self.0.publish(hub, place, &draft)
            })
            .collect();
        if messages.is_empty() {
            return Err(fail(ErrorKind::Invalid, "nothing to send", operation));
        }
        Ok(messages)
    }

    /// The files in batches that one frame may hold.
    pub(crate) fn files(
        &self,
        hub: &mut Hub,
        uploads: &[Upload],
        operation: &'static str,
    ) -> Result<Vec<Vec<File>>> {
        let mut batches: Vec<Vec<File>> = Vec::new();
        let mut inline = 0;
        for upload in uploads {
            let starts_batch = batches
                .last()
                .is_none_or(|batch| batch.len() >= MAX_ATTACHMENTS);
            if starts_batch {
                inline = 0;
                batches.push(Vec::new());
            }
            let file = self.file(hub, upload, &mut inline, operation)?;
            if let Some(batch) = batches.last_mut() {
                batch.push(file);
            }
        }
        Ok(batches)
    }

    fn file(
        &self,
        hub: &mut Hub,
        upload: &Upload,
        inline: &mut usize,
        operation: &'static str,
    ) -> Result<File> {
        let mut file = File {
            kind: match upload.kind {
                AttachmentKind::Image | AttachmentKind::Sticker => FileKind::Image,
                AttachmentKind::Audio | AttachmentKind::Voice => FileKind::Audio,
                AttachmentKind::Video | AttachmentKind::Animation => FileKind::Video,
                _ => FileKind::File,
            },
            name: (!upload.name.is_empty()).then(|| upload.name.clone()),
            mime: upload.mime.clone(),
            size: upload.bytes(),
            data: None,
            url: None,
            media_id: None,
        };
        let gone = || fail(ErrorKind::NotFound, "the file is no longer kept", operation);
        match &upload.source {
            UploadSource::Bytes(bytes) => {
                let limit = self.0.config.media_bytes;
                if bytes.len() > limit {
                    let message = format!("the file is {} bytes, limit is {limit}", bytes.len());
                    return Err(fail(ErrorKind::Invalid, message, operation));
                }
                if bytes.len() <= MAX_INLINE && *inline + bytes.len() <= MAX_INLINE_TOTAL {
                    *inline += bytes.len();
                    file.data = Some(STANDARD.encode(bytes));
                } else {
                    let now = hub.now;
                    hub.media.make_room(bytes.len(), 1, now).map_err(|_| {
                        let message = "no room for the file at the moment";
                        fail(ErrorKind::Unavailable, message, operation)
                    })?;
                    let id = random_text(&*self.0.transport.random, 18);
                    hub.media.insert(id.clone(), bytes.clone(), now);
                    file.media_id = Some(id);
                }
            }
            UploadSource::Url(url) => file.url = Some(url.clone()),
            UploadSource::Existing(id) => match media_id(id) {
                Some(id) => {
                    file.size = Some(hub.media.size(id).ok_or_else(gone)? as u64);
                    file.media_id = Some(id.to_owned());
                }
                None if id.as_str().starts_with("https://") => file.url = Some(id.to_string()),
                None => return Err(gone()),
            },
            _ => {
                let message = "no such source of a file";
                return Err(fail(ErrorKind::Unsupported, message, operation));
            }
        }
        Ok(file)
    }

    pub(crate) fn change(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        const OPERATION: &str = "edit message";
        let place = self.place_of(&target.chat, OPERATION)?;
        let parts = render(&message.body);
        let mut hub = self.0.hub();
        let batches = self.files(&mut hub, &message.attachments, OPERATION)?;
        let ([part], [] | [_]) = (parts.as_slice(), batches.as_slice()) else {
            let message = "the new content must be one text that fits into one message";
            return Err(fail(ErrorKind::Invalid, message, OPERATION));
        };
        let files = batches.first().map_or(&[][..], Vec::as_slice);
        let buttons = buttons(&message.buttons);
        self.0
            .finish_edit(&mut hub, &place, target.id.as_str(), part, files, buttons)
            .ok_or_else(|| not_ours(OPERATION))
    }

    pub(crate) fn remove(&self, target: &MessageRef) -> Result<()> {
        const OPERATION: &str = "delete message";
        let place = self.place_of(&target.chat, OPERATION)?;
        let mut hub = self.0.hub();
        if known_owner(&hub, &place, target.id.as_str()) == Some(&Owner::Bot) {
            self.0.publish_delete(&mut hub, &place, target.id.as_str());
            return Ok(());
        }
        Err(not_ours(OPERATION))
    }

    pub(crate) fn publish_reaction(
        &self,
        target: &MessageRef,
        emoji: &str,
        remove: bool,
    ) -> Result<()> {
        const OPERATION: &str = "react";
        let place = self.place_of(&target.chat, OPERATION)?;
        if emoji.is_empty() || emoji.len() > 64 {
            let message = "a reaction is 1 to 64 bytes";
            return Err(fail(ErrorKind::Invalid, message, OPERATION));
        }
        let mut hub = self.0.hub();
        if known_owner(&hub, &place, target.id.as_str()).is_none() {
            let message = "the message is not known, or no longer";
            return Err(fail(ErrorKind::NotFound, message, OPERATION));
        }
        let ts = self.0.timestamp();
        hub.publish(&place, None, None, |seq, cursor| {
            ServerFrame::Reaction(server::Reaction {
                target: target.id.as_str(),
                emoji,
                remove,
                conversation: place.conversation(),
                ts: &ts,
                from: self.0.bot(),
                seq,
                cursor,
            })
            .encode()
        });
        Ok(())
    }

    pub(crate) fn show_typing(&self, to: &Destination) -> Result<()> {
        let place = self.place_of(&to.target().chat, "start typing")?;
        let frame = ServerFrame::Typing(server::Typing {
            conversation: place.conversation(),
            from: self.0.bot(),
            state: TypingState::Start,
            ttl: TYPING_SECONDS,
        });
        let nobody: Option<&Link> = None;
        self.0
            .hub()
            .preview(&place, "typing/", nobody, &frame.encode());
        Ok(())
    }
}

pub(crate) fn receipt(place: &Place, messages: Vec<MessageId>) -> Receipt {
    let at = |id| MessageRef::new(place.chat.clone(), id);
    Receipt::new(messages.into_iter().map(at).collect())
}

fn known_owner<'a>(hub: &'a Hub, place: &Place, id: &str) -> Option<&'a Owner> {
    Some(&hub.history(place)?.known(id)?.owner)
}

fn not_ours(operation: &'static str) -> Error {
    let message = "the message is not one of ours, or no longer known";
    fail(ErrorKind::NotFound, message, operation)
}

/// The buttons as frames carry them; their ids count rows and columns.
pub(crate) fn buttons(rows: &[Vec<Button>]) -> Vec<Vec<server::Button>> {
    let button = |row: usize, column: usize, button: &Button| {
        let (value, url) = match &button.action {
            ButtonAction::Press(value) => (Some(value.clone()), None),
            ButtonAction::Open(url) => (None, Some(url.clone())),
            _ => (None, None),
        };
        server::Button {
            id: format!("b{row}-{column}"),
            label: button.label.clone(),
            value,
            url,
        }
    };
    rows.iter()
        .enumerate()
        .map(|(row, buttons)| {
            let buttons = buttons.iter().enumerate();
            buttons
                .map(|(column, it)| button(row, column, it))
                .collect()
        })
        .collect()
}

impl Shared {
    pub(crate) fn timestamp(&self) -> String {
        time::rfc3339(self.transport.clock.now())
    }

    pub(crate) fn bot(&self) -> server::From<'_> {
        server::From {
            id: &self.config.bot_id,
            name: Some(&self.config.bot_name),
            kind: Some("bot"),
        }
    }

    /// Numbers, stores and sends one message.
    pub(crate) fn publish(&self, hub: &mut Hub, place: &Place, draft: &Draft<'_>) -> MessageId {
        let id = hub.next_message_id(place);
        let ts = self.timestamp();
        hub.publish(place, None, None, |seq, cursor| {
            ServerFrame::Message(Box::new(server::Message {
                id: &id,
                seq,
                cursor,
                conversation: place.conversation(),
                ts: &ts,
                from: self.bot(),
                text: draft.text,
                format: draft.format,
                in_reply_to: draft.quotes,
                thread: draft.thread,
                attachments: draft.files,
                buttons: &draft.buttons,
                purpose: match draft.purpose {
                    Purpose::Reasoning => Some("reasoning"),
                    Purpose::Tool => Some("tool"),
                    Purpose::System => Some("system"),
                    _ => None,
                },
                is_final: draft.is_final,
            }))
            .encode()
        });
        let id = MessageId::from(id);
        hub.history_mut(place)
            .remember(id.clone(), Owner::Bot, &draft.buttons);
        id
    }

    /// The next revision of a message of ours; `None` if it is not one.
    pub(crate) fn next_rev(&self, hub: &mut Hub, place: &Place, id: &str) -> Option<u64> {
        hub.history(place)?;
        let known = hub.history_mut(place).known_mut(id)?;
        (known.owner == Owner::Bot).then(|| {
            known.rev += 1;
            known.rev
        })
    }

    /// Publishes the last word of a message; `None` if the message is not ours.
    pub(crate) fn finish_edit(
        &self,
        hub: &mut Hub,
        place: &Place,
        id: &str,
        part: &Part<'_>,
        files: &[File],
        buttons: Vec<Vec<server::Button>>,
    ) -> Option<()> {
        let rev = self.next_rev(hub, place, id)?;
        let ts = self.timestamp();
        hub.publish(place, Some(id), None, |seq, cursor| {
            ServerFrame::Edit(server::Edit {
                id,
                rev,
                seq: Some(seq),
                cursor: Some(cursor),
                conversation: place.conversation(),
                ts: &ts,
                from: self.bot(),
                text: &part.text,
                format: part.format,
                attachments: files,
                buttons: Some(&buttons),
                is_final: true,
            })
            .encode()
        });
        if let Some(known) = hub.history_mut(place).known_mut(id) {
            known.buttons = buttons.into();
        }
        Some(())
    }

    pub(crate) fn publish_delete(&self, hub: &mut Hub, place: &Place, id: &str) {
        let ts = self.timestamp();
        hub.publish(place, Some(id), None, |seq, cursor| {
            ServerFrame::Delete(server::Delete {
                id,
                seq,
                cursor,
                conversation: place.conversation(),
                ts: &ts,
                from: self.bot(),
            })
            .encode()
        });
        if let Some(known) = hub.history_mut(place).known_mut(id) {
            known.deleted = true;
        }
    }
}
