//! Frames of clients to events.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use channel_core::{
    AccountRef, Action, ActionId, Addressed, ChannelId, Chat, ChatKind, Deleted, Event, EventId,
    EventKind, MessageId, MessageRef, Proof, Raw, Reaction, ReplyTo, Sender, SenderId, Target,
};

use crate::addressed::{addressed, addressed_text};
use crate::auth::random_text;
use crate::check::{check_message, check_text, checked_id};
use crate::code::{Code, Refusal};
use crate::digest::{Hasher, hash_message};
use crate::history::{Known, Owner};
use crate::hub::{Hub, Place};
use crate::inbox::{Admission, Answer, Hash};
use crate::message::{
    Client, Context, PLATFORM, StandardMessage, attachment, envelope, without_data,
};
use crate::mirror::{Mirror, MirrorKind, from_client};
use crate::session::Session;
use crate::standard::Shared;
use crate::time;
use crate::wire::client::{
    ActionFrame, ClientFrame, DeleteFrame, EditFrame, FileFrame, MessageFrame, ReactionFrame,
};
use crate::wire::decode::decode_frame;
use crate::wire::server::{self, Ack, File, ServerFrame};
use crate::wire::{DEFAULT_CONVERSATION, is_id};

/// The longest reaction, in bytes of UTF-8.
const MAX_EMOJI: usize = 64;

/// A frame whose event is to be made under the hub's lock.
struct Submission<'a> {
    place: &'a Place,
    /// The id that the answer repeats.
    of: &'a str,
    event: EventId,
    /// What the frame says; without it a repetition is not recognised.
    hash: Option<Hash>,
}

type Made = Result<(EventKind, Option<MirrorKind>), Refusal>;

impl Session {
    pub(crate) fn message(&mut self, frame: &MessageFrame<'_>, bytes: &Bytes) {
        let id = match checked_id(frame.id.as_deref()) {
            Ok(id) => id,
            Err(code) => return self.refuse(None, None, code.into()),
        };
        let Some(place) = self.place(Some(id), frame.conversation.as_deref()) else {
            return;
        };
        let blobs = match check_message(frame) {
            Ok(blobs) => blobs,
            Err(code) => {
                return self.refuse(Some(id), Some(place.conversation()), code.into());
            }
        };
        let submission = Submission {
            place: &place,
            of: id,
            event: self.event_id(&place, id),
            hash: Some(hash_message(frame)),
        };
        let shared = Arc::clone(&self.shared);
        let Some(client) = &self.client else { return };
        self.submit(submission, |hub| {
            if hub
                .history(&place)
                .and_then(|history| history.known(id))
                .is_some_and(|known| !known.is_of(&client.id))
            {
                return Err(Code::IdConflict.into());
            }
            let stored = store(&shared, hub, &blobs, frame)?;
            let quotes_me = frame.reply_to.as_deref().is_some_and(|id| {
                hub.history(&place)
                    .and_then(|history| history.known(id))
                    .map_or_else(|| id.starts_with("s-"), |known| known.owner == Owner::Bot)
            });
            let context = Context {
                client: &client.id,
                verified: client.verified,
                name: client.name.as_deref(),
                at: shared.stamp(),
                addressed: addressed(&shared, &place, frame, quotes_me),
                replies_to_me: quotes_me,
            };
            let raw = if blobs.iter().any(Option::is_some) {
                envelope(&context, &without_data(frame, &stored))
            } else {
                envelope(&context, bytes)
            };
            let files = frame.attachments.as_deref().unwrap_or_default();
            let attachments = files
                .iter()
                .zip(&stored)
                .filter_map(|(file, stored)| {
                    attachment(file, stored.as_ref().map(|(id, size)| (id.as_str(), *size)))
                })
                .collect();
            let message = StandardMessage::read(&context, &place, frame, attachments).into_message(
                &shared.info.id,
                shared.proof(client),
                raw,
            );
            hub.history_mut(&place).remember(
                message.id.clone(),
                Owner::Client(client.id.clone()),
                &[],
            );
            let mirror = MirrorKind::Message {
                format: frame.format.unwrap_or_default(),
                files: files.iter().zip(stored).map(mirrored_file).collect(),
            };
            Ok((EventKind::Message(Box::new(message)), Some(mirror)))
        });
    }

    pub(crate) fn edit(&mut self, frame: &EditFrame<'_>, bytes: &Bytes, now: Duration) {
        let id = match checked_id(frame.id.as_deref()) {
            Ok(id) => id,
            Err(code) => return self.refuse(None, None, code.into()),
        };
        let Some(text) = frame.text.as_deref() else {
            return self.bad_frame(now);
        };
        let Some(place) = self.place(Some(id), frame.conversation.as_deref()) else {
            return;
        };
        if let Err(code) = check_text(text) {
            return self.refuse(Some(id), Some(place.conversation()), code.into());
        }
        let Some(client) = &self.client else { return };
        let shared = Arc::clone(&self.shared);
        let hub = shared.hub();
        let newest = hub
            .history(&place)
            .and_then(|history| history.known(id))
            .map_or(0, |known| known.rev);
        let rev = frame.rev.unwrap_or(newest + 1);
        let event = EventId::from(format!("{}/edit/{rev}", self.event_id(&place, id)));
        // A late edit changes nothing, and its client need not send it again.
        let is_late = rev < newest && !hub.inbox.knows(&event);
        drop(hub);
        if is_late {
            return self.superseded(id, &place);
        }
        if frame.is_final == Some(false) {
            return self.preview_edit(frame, &place, id, rev, text);
        }
        let format = frame.format.unwrap_or_default();
        let mut hash = Hasher::new("edit");
        hash.add(Some(text));
        hash.add(Some(format.as_str()));
        let submission = Submission {
            place: &place,
            of: id,
            event,
            hash: Some(hash.finish()),
        };
        self.submit(submission, |hub| {
            let known = own_message(hub, &place, id, &client.id)?;
            known.rev = known.rev.max(rev);
            let context = Context {
                client: &client.id,
                verified: client.verified,
                name: client.name.as_deref(),
                at: shared.stamp(),
                addressed: if place.kind() == ChatKind::Direct {
                    Addressed::Direct
                } else {
                    addressed_text(&shared, text)
                },
                replies_to_me: false,
            };
            let as_message = MessageFrame::of_edit(frame);
            let message = StandardMessage::read(&context, &place, &as_message, Vec::new())
                .into_message(
                    &shared.info.id,
                    shared.proof(client),
                    envelope(&context, bytes),
                );
            let mirror = MirrorKind::Edit { format, rev };
            Ok((EventKind::Edited(Box::new(message)), Some(mirror)))
        });
    }

    fn superseded(&self, id: &str, place: &Place) {
        let ack = ServerFrame::Ack(Ack {
            of: id,
            conversation: place.conversation(),
            status: Some("superseded"),
            duplicate: Some(false),
            ts: Some(&time::rfc3339(self.shared.transport.clock.now())),
            cursor: None,
            notice: None,
        });
        self.link().push(ack.encode());
    }

    /// A client's own text while it grows: other devices see it, the application does not.
    fn preview_edit(&self, frame: &EditFrame<'_>, place: &Place, id: &str, rev: u64, text: &str) {
        let Some(client) = &self.client else { return };
        let mut hub = self.shared.hub();
        match own_message(&mut hub, place, id, &client.id) {
            Ok(known) if rev > known.rev => known.rev = rev,
            Ok(_) => return,
            Err(refusal) => {
                drop(hub);
                return self.refuse(Some(id), Some(place.conversation()), refusal);
            }
        }
        let edit = ServerFrame::Edit(server::Edit {
            id,
            rev,
            seq: None,
            cursor: None,
            conversation: place.conversation(),
            ts: &time::rfc3339(self.shared.transport.clock.now()),
            from: from_client(client.id.as_str()),
            text,
            format: frame.format.unwrap_or_default(),
            attachments: &[],
            buttons: None,
            is_final: false,
        });
        hub.preview(place, id, Some(self.link()), &edit.encode());
    }

    pub(crate) fn delete(&mut self, frame: &DeleteFrame<'_>, bytes: &Bytes) {
        let id = match checked_id(frame.id.as_deref()) {
            Ok(id) => id,
            Err(code) => return self.refuse(None, None, code.into()),
        };
        let Some(place) = self.place(Some(id), frame.conversation.as_deref()) else {
            return;
        };
        let Some(client) = &self.client else { return };
        let submission = Submission {
            place: &place,
            of: id,
            event: EventId::from(format!("{}/delete", self.event_id(&place, id))),
            hash: Some(Hasher::new("delete").finish()),
        };
        self.submit(submission, |hub| {
            own_message(hub, &place, id, &client.id)?;
            let message = MessageRef::new(place.chat.clone(), MessageId::new(id));
            let deleted = Deleted::new(vec![message], Raw::new(bytes.clone()));
            let mirror = MirrorKind::Delete {
                client: client.id.to_string(),
            };
            Ok((EventKind::Deleted(Box::new(deleted)), Some(mirror)))
        });
    }

    pub(crate) fn reaction(&mut self, frame: &ReactionFrame<'_>, bytes: &Bytes, now: Duration) {
        let target = match checked_id(frame.target.as_deref()) {
            Ok(target) => target,
            Err(code) => return self.refuse(None, None, code.into()),
        };
        let id = frame.id.as_deref();
        if id.is_some_and(|id| !is_id(id)) {
            return self.refuse(None, None, Code::InvalidId.into());
        }
        let emoji = frame.emoji.as_deref().unwrap_or_default();
        if emoji.is_empty() || emoji.len() > MAX_EMOJI || emoji.chars().any(char::is_control) {
            return self.bad_frame(now);
        }
        let of = id.unwrap_or(target);
        let Some(place) = self.place(Some(of), frame.conversation.as_deref()) else {
            return;
        };
        let Some(client) = &self.client else { return };
        let remove = frame.remove.unwrap_or_default();
        let (event, hash) = match id {
            Some(id) => {
                let mut hash = Hasher::new("reaction");
                hash.add(Some(target));
                hash.add(Some(emoji));
                hash.add(remove.then_some("remove"));
                (self.event_id(&place, id), Some(hash.finish()))
            }
            // Without an id each frame counts: adding again what was taken back is new.
            None => {
                let unique = random_text(&*self.shared.transport.random, 12);
                let event = self.event_id(&place, &format!("{target}/reaction/{unique}"));
                (event, None)
            }
        };
        let submission = Submission {
            place: &place,
            of,
            event,
            hash,
        };
        let shared = Arc::clone(&self.shared);
        self.submit(submission, |hub| {
            hub.history(&place)
                .and_then(|history| history.known(target))
                .ok_or(Code::UnknownMessage)?;
            let message = MessageRef::new(place.chat.clone(), MessageId::new(target));
            let reply = shared.reply_to(&place).quoting(message.id.clone());
            let raw = Raw::new(bytes.clone());
            let mut reaction = Reaction::new(message, shared.sender(client), reply, raw);
            let changed = if remove {
                &mut reaction.removed
            } else {
                &mut reaction.added
            };
            changed.push(emoji.to_owned());
            Ok((
                EventKind::Reaction(Box::new(reaction)),
                Some(MirrorKind::Reaction),
            ))
        });
    }

    pub(crate) fn action(&mut self, frame: &ActionFrame<'_>, bytes: &Bytes, now: Duration) {
        let id = match checked_id(frame.id.as_deref()) {
            Ok(id) => id,
            Err(code) => return self.refuse(None, None, code.into()),
        };
        let (Some(message), Some(button)) = (frame.message.as_deref(), frame.button.as_deref())
        else {
            return self.bad_frame(now);
        };
        let Some(place) = self.place(Some(id), frame.conversation.as_deref()) else {
            return;
        };
        let Some(client) = &self.client else { return };
        let mut hash = Hasher::new("action");
        hash.add(Some(message));
        hash.add(Some(button));
        let submission = Submission {
            place: &place,
            of: id,
            event: self.event_id(&place, id),
            hash: Some(hash.finish()),
        };
        let shared = Arc::clone(&self.shared);
        let action_id = ActionId::new(submission.event.as_str());
        self.submit(submission, |hub| {
            let value = hub
                .history(&place)
                .and_then(|history| history.known(message))
                .ok_or(Code::UnknownMessage)?
                .buttons
                .iter()
                .flatten()
                .find(|it| it.id == button)
                .and_then(|it| it.value.clone())
                // The value is the one that was sent out; a client that claims another
                // one has been given another button.
                .filter(|value| frame.value.as_deref().is_none_or(|claim| claim == value))
                .ok_or(Code::UnknownButton)?;
            let message = MessageId::new(message);
            let chat = Chat::new(place.chat.clone(), place.kind());
            let reply = shared.reply_to(&place).quoting(message.clone());
            let raw = Raw::new(bytes.clone());
            let sender = shared.sender(client);
            let mut action = Action::new(action_id, sender, value, chat, reply, raw);
            action.message = Some(message);
            Ok((EventKind::Action(Box::new(action)), None))
        });
    }

    /// The deduplication key: no part of it can hold a slash, so no two keys meet.
    fn event_id(&self, place: &Place, id: &str) -> EventId {
        let client = self.client.as_ref().map_or("", |client| client.id.as_str());
        EventId::from(format!("{client}/{}/{id}", place.conversation()))
    }

    /// Admits a frame, makes its event and queues it, all under one lock.
    fn submit(&self, submission: Submission<'_>, make: impl FnOnce(&mut Hub) -> Made) {
        let Submission {
            place,
            of,
            event,
            hash,
        } = submission;
        let conversation = place.conversation();
        let answer = Answer {
            link: Arc::downgrade(self.link()),
            of: of.to_owned(),
            conversation: conversation.to_owned(),
        };
        let mut hub = self.shared.hub();
        let refusal = match hub.inbox.admit(&event, hash.as_ref(), &answer) {
            Admission::Waiting => return,
            Admission::Duplicate(at) => {
                self.link().push(ack(&answer, true, at, None));
                return;
            }
            Admission::Conflict => Code::IdConflict.into(),
            Admission::Busy => Refusal::BUSY,
            Admission::New => match make(&mut hub) {
                Ok((kind, mirror)) => {
                    let mirror = mirror.map(|kind| Mirror {
                        place: place.clone(),
                        from: Arc::downgrade(self.link()),
                        kind,
                    });
                    let event = Event::new(event, self.shared.info.id.clone(), kind);
                    hub.inbox.push(event, hash, answer, mirror);
                    return;
                }
                Err(refusal) => refusal,
            },
        };
        drop(hub);
        self.refuse(Some(of), Some(conversation), refusal);
    }
}

impl Known {
    fn is_of(&self, client: &SenderId) -> bool {
        matches!(&self.owner, Owner::Client(owner) if owner == client)
    }
}

impl Shared {
    /// The time as a message carries it: to the millisecond, so that it survives storing.
    fn stamp(&self) -> SystemTime {
        let now = self.transport.clock.now();
        time::from_millis(time::millis(now)).unwrap_or(now)
    }

    fn proof(&self, client: &Client) -> Proof {
        match client.verified {
            true => Proof::Verified,
            false if self.config.trust_claimed_client_id => Proof::Asserted,
            false => Proof::Claimed,
        }
    }

    fn sender(&self, client: &Client) -> Sender {
        let account = AccountRef::new(PLATFORM, client.id.clone());
        let mut sender = Sender::new(account, self.proof(client));
        sender.name.clone_from(&client.name);
        sender
    }

    fn reply_to(&self, place: &Place) -> ReplyTo {
        ReplyTo::new(self.info.id.clone(), Target::chat(place.chat.clone()))
    }
}

/// An acknowledgement of a client's frame.
pub(crate) fn ack(answer: &Answer, duplicate: bool, at: SystemTime, notice: Option<&str>) -> Bytes {
    ServerFrame::Ack(Ack {
        of: &answer.of,
        conversation: &answer.conversation,
        status: Some("accepted"),
        duplicate: Some(duplicate),
        ts: Some(&time::rfc3339(at)),
        cursor: None,
        notice,
    })
    .encode()
}

fn own_message<'a>(
    hub: &'a mut Hub,
    place: &Place,
    id: &str,
    client: &SenderId,
) -> Result<&'a mut Known, Refusal> {
    // A history is only begun by something worth keeping.
    if hub.history(place).is_none() {
        return Err(Code::UnknownMessage.into());
    }
    match hub.history_mut(place).known_mut(id) {
        None => Err(Code::UnknownMessage.into()),
        Some(known) if !known.is_of(client) => Err(Code::NotOwner.into()),
        Some(known) => Ok(known),
    }
}

/// Keeps the bytes of the files that came inside the frame.
fn store(
    shared: &Shared,
    hub: &mut Hub,
    blobs: &[Option<Bytes>],
    frame: &MessageFrame<'_>,
) -> Result<Vec<Option<(String, u64)>>, Refusal> {
    let files = frame.attachments.as_deref().unwrap_or_default();
    for file in files {
        // An upload that is gone by now cannot be part of an accepted message.
        if let Some(id) = &file.media_id
            && hub.media.size(id).is_none()
        {
            return Err(Code::InvalidMedia.into());
        }
    }
    let inline = blobs.iter().flatten();
    let (bytes, count) = inline.fold((0, 0), |(bytes, count), blob| {
        (bytes + blob.len(), count + 1)
    });
    let now = hub.now;
    if count > 0 {
        hub.media
            .make_room(bytes, count, now)
            .map_err(|_| Refusal::BUSY)?;
    }
    let stored = blobs.iter().zip(files).map(|(blob, file)| match blob {
        Some(blob) => {
            let id = random_text(&*shared.transport.random, 18);
            hub.media.insert(id.clone(), blob.clone(), now);
            Some((id, blob.len() as u64))
        }
        None => file
            .media_id
            .as_deref()
            .and_then(|id| Some((id.to_owned(), hub.media.size(id)? as u64))),
    });
    Ok(stored.collect())
}

fn mirrored_file((file, stored): (&FileFrame<'_>, Option<(String, u64)>)) -> File {
    File {
        kind: file.kind.unwrap_or_default(),
        name: file.name.as_deref().map(str::to_owned),
        mime: file.mime.as_deref().map(str::to_owned),
        size: stored.as_ref().map(|&(_, size)| size).or(file.size),
        data: None,
        url: file.url.as_deref().map(str::to_owned),
        media_id: stored.map(|(id, _)| id),
    }
}

/// Decodes a `message` frame and makes its event, as for an unverified client in a direct
/// conversation. Pure; files are not looked up.
///
/// # Errors
///
/// The code of the error frame that would be sent.
pub fn decode_event(
    bytes: &Bytes,
    channel: &ChannelId,
    client: &SenderId,
    at: SystemTime,
) -> Result<Event, &'static str> {
    let Ok(ClientFrame::Message(frame)) = decode_frame(bytes) else {
        return Err(Code::BadFrame.as_str());
    };
    let id = checked_id(frame.id.as_deref()).map_err(Code::as_str)?;
    check_message(&frame).map_err(Code::as_str)?;
    let conversation = frame
        .conversation
        .as_deref()
        .unwrap_or(DEFAULT_CONVERSATION);
    if !is_id(conversation) {
        return Err(Code::InvalidId.as_str());
    }
    let place = Place::direct(client, conversation);
    let context = Context {
        client,
        verified: false,
        name: None,
        at,
        addressed: Addressed::Direct,
        replies_to_me: false,
    };
    let files = frame.attachments.as_deref().unwrap_or_default();
    let attachments = files.iter().filter_map(|file| attachment(file, None));
    let event = EventId::from(format!("{client}/{conversation}/{id}"));
    let message = StandardMessage::read(&context, &place, &frame, attachments.collect())
        .into_message(channel, Proof::Claimed, envelope(&context, bytes));
    let kind = EventKind::Message(Box::new(message));
    Ok(Event::new(event, channel.clone(), kind))
}
