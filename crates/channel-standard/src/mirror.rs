//! What the other devices of a client, and the other members of a room, get to see.

use channel_core::{Event, EventKind, MessageRef, Sender};

use crate::hub::{Hub, Place};
use crate::wire::client::Format;
use crate::wire::server::{self, File, ServerFrame};

/// What an event does not say itself.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) place: Place,
    pub(crate) from: std::sync::Weak<crate::link::Link>,
    pub(crate) kind: MirrorKind,
}

#[derive(Debug)]
pub(crate) enum MirrorKind {
    Message { format: Format, files: Vec<File> },
    Edit { format: Format, rev: u64 },
    Delete { client: String },
    Reaction,
}

impl Mirror {
    /// Stores the event as a durable frame and sends it to everybody but its sender.
    pub(crate) fn publish(&self, hub: &mut Hub, event: &Event, ts: &str) {
        let from = self.from.upgrade();
        let except = from.as_deref();
        let conversation = self.place.conversation();
        match (&self.kind, &event.kind) {
            (MirrorKind::Message { format, files }, EventKind::Message(message)) => {
                let frame = |seq, cursor: &str| {
                    ServerFrame::Message(Box::new(server::Message {
                        id: message.id.as_str(),
                        seq,
                        cursor,
                        conversation,
                        ts,
                        from: from_sender(&message.sender),
                        text: &message.text,
                        format: *format,
                        in_reply_to: message.reply_to.as_ref().map(|quoted| quoted.id.as_str()),
                        thread: message.thread.as_ref().map(|thread| thread.as_str()),
                        attachments: files,
                        buttons: &[],
                        purpose: None,
                        is_final: true,
                    }))
                    .encode()
                };
                hub.publish(&self.place, None, except, frame);
            }
            (MirrorKind::Edit { format, rev }, EventKind::Edited(message)) => {
                let id = message.id.as_str();
                let frame = |seq, cursor: &str| {
                    ServerFrame::Edit(server::Edit {
                        id,
                        rev: *rev,
                        seq: Some(seq),
                        cursor: Some(cursor),
                        conversation,
                        ts,
                        from: from_sender(&message.sender),
                        text: &message.text,
                        format: *format,
                        attachments: &[],
                        buttons: None,
                        is_final: true,
                    })
                    .encode()
                };
                hub.publish(&self.place, Some(id), except, frame);
            }
            (MirrorKind::Delete { client }, EventKind::Deleted(deleted)) => {
                for MessageRef { id, .. } in &deleted.messages {
                    let frame = |seq, cursor: &str| {
                        ServerFrame::Delete(server::Delete {
                            id: id.as_str(),
                            seq,
                            cursor,
                            conversation,
                            ts,
                            from: from_client(client),
                        })
                        .encode()
                    };
                    hub.publish(&self.place, Some(id.as_str()), except, frame);
                }
            }
            (MirrorKind::Reaction, EventKind::Reaction(reaction)) => {
                let added = reaction.added.iter().map(|emoji| (emoji, false));
                let removed = reaction.removed.iter().map(|emoji| (emoji, true));
                for (emoji, remove) in added.chain(removed) {
                    let frame = |seq, cursor: &str| {
                        ServerFrame::Reaction(server::Reaction {
                            target: reaction.message.id.as_str(),
                            emoji,
                            remove,
                            conversation,
                            ts,
                            from: from_sender(&reaction.sender),
                            seq,
                            cursor,
                        })
                        .encode()
                    };
                    hub.publish(&self.place, None, except, frame);
                }
            }
            _ => {}
        }
    }
}

fn from_sender(sender: &Sender) -> server::From<'_> {
    server::From {
        id: sender.account.sender.as_str(),
        name: sender.name.as_deref(),
        kind: Some("user"),
    }
}

pub(crate) const fn from_client(id: &str) -> server::From<'_> {
    server::From {
        id,
        name: None,
        kind: Some("user"),
    }
}
