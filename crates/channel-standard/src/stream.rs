//! A reply that grows.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Destination, MessageId, MessageRef, OutboundMessage, Purpose, Receipt, ReplyStream,
    Result, async_trait,
};

use crate::Standard;
use crate::hub::Place;
use crate::link::Link;
use crate::outbound::{Draft, buttons};
use crate::render::{preview, render};
use crate::wire::server::{self, ServerFrame};

/// The shortest pause between two previews. There is no platform that asks for one; each
/// preview carries the whole text, and no eye follows faster.
pub(crate) const PREVIEW_PAUSE: Duration = Duration::from_millis(33);

/// A message that is shown while it is written: a message frame, edits that may be lost,
/// and a final edit that may not.
pub(crate) struct Growing {
    channel: Standard,
    to: Destination,
    place: Place,
    shown: Option<MessageId>,
    last: Option<Duration>,
}

impl Growing {
    pub(crate) fn new(channel: Standard, to: &Destination) -> Result<Self> {
        let place = channel.place_of(&to.target().chat, "stream message")?;
        Ok(Self {
            channel,
            to: to.clone(),
            place,
            shown: None,
            last: None,
        })
    }
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let shared = Arc::clone(&self.channel.0);
        let now = shared.transport.clock.elapsed();
        let too_early = self
            .last
            .is_some_and(|last| now.saturating_sub(last) < PREVIEW_PAUSE);
        let part = if too_early { None } else { preview(body) };
        let Some(part) = part else { return Ok(()) };
        self.last = Some(now);
        let mut hub = shared.hub();
        let Some(id) = &self.shown else {
            let target = self.to.target();
            let draft = Draft {
                text: &part.text,
                format: part.format,
                quotes: self.to.quoted().map(MessageId::as_str),
                thread: target.thread.as_ref().map(|thread| thread.as_str()),
                files: &[],
                buttons: Vec::new(),
                purpose: Purpose::Reply,
                is_final: false,
            };
            self.shown = Some(shared.publish(&mut hub, &self.place, &draft));
            return Ok(());
        };
        // A message that is no longer known cannot be previewed; the end makes up for it.
        let Some(rev) = shared.next_rev(&mut hub, &self.place, id.as_str()) else {
            return Ok(());
        };
        let edit = ServerFrame::Edit(server::Edit {
            id: id.as_str(),
            rev,
            seq: None,
            cursor: None,
            conversation: self.place.conversation(),
            ts: &shared.timestamp(),
            from: shared.bot(),
            text: &part.text,
            format: part.format,
            attachments: &[],
            buttons: None,
            is_final: false,
        });
        let nobody: Option<&Link> = None;
        hub.preview(&self.place, id.as_str(), nobody, &edit.encode());
        Ok(())
    }

    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        const OPERATION: &str = "stream message";
        let message = message.without_card();
        let Some(id) = &self.shown else {
            return self.channel.post(&message);
        };
        let shared = &self.channel.0;
        let parts = render(&message.body);
        let mut hub = shared.hub();
        let Some((first, rest)) = parts.split_first() else {
            // Nothing is left to say: what was shown goes, files are a message of their own.
            shared.publish_delete(&mut hub, &self.place, id.as_str());
            drop(hub);
            return self.channel.post(&message);
        };
        let batches = self
            .channel
            .files(&mut hub, &message.attachments, OPERATION)?;
        let is_single = rest.is_empty() && batches.len() <= 1;
        let (files, last_buttons) = if is_single {
            let files = batches.first().map_or(&[][..], Vec::as_slice);
            (files, buttons(&message.buttons))
        } else {
            (&[][..], Vec::new())
        };
        let edited = shared.finish_edit(
            &mut hub,
            &self.place,
            id.as_str(),
            first,
            files,
            last_buttons,
        );
        if edited.is_none() {
            drop(hub);
            return self.channel.post(&message);
        }
        let mut messages = vec![id.clone()];
        if !is_single {
            let more = self.channel.post_parts(
                &mut hub,
                &self.place,
                &message,
                rest,
                &batches,
                OPERATION,
            )?;
            messages.extend(more);
        }
        drop(hub);
        let at = |id| MessageRef::new(self.place.chat.clone(), id);
        Ok(Receipt::new(messages.into_iter().map(at).collect()))
    }
}
