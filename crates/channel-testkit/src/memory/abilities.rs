//! Sending, and all that can be done besides.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Body, Card, Cards, Channel, ChannelInfo, CommandInfo, Commands,
    Delete, Destination, Edit, Error, ErrorKind, Events, History, Identity, Media, MessageRef,
    OutboundMessage, Parts, React, Receipt, Repeat, ReplyStream, Result, Stream, Typing, Webhook,
    async_trait,
};

use super::MemoryChannel;
use super::platform::{SentMessage, part_key, parts, remember, words};
use super::wire::{BOT, PLATFORM};

#[async_trait]
impl Channel for MemoryChannel {
    fn info(&self) -> &ChannelInfo {
        &self.0.info
    }

    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        self.send_after(message, Receipt::default())
    }

    async fn probe(&self) -> Result<Identity> {
        self.call(
            "probe",
            |_| Ok(Identity::new(BOT, "Bot").with_username(BOT)),
        )
    }

    fn as_webhook(&self) -> Option<&dyn Webhook> {
        self.0.webhook.then_some(self as _)
    }
    fn as_events(&self) -> Option<&dyn Events> {
        (!self.0.webhook).then_some(self as _)
    }
    fn as_edit(&self) -> Option<&dyn Edit> {
        Some(self)
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        Some(self)
    }
    fn as_react(&self) -> Option<&dyn React> {
        Some(self)
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        Some(self)
    }
    fn as_media(&self) -> Option<&dyn Media> {
        Some(self)
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        Some(self)
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        Some(self)
    }
    fn as_commands(&self) -> Option<&dyn Commands> {
        Some(self)
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        Some(self)
    }
    fn as_history(&self) -> Option<&dyn History> {
        Some(self)
    }
}

impl MemoryChannel {
    /// Sends what follows the messages of a receipt, if that has any.
    fn send_after(&self, message: &OutboundMessage, mut receipt: Receipt) -> Result<Receipt> {
        let done = receipt.messages.len();
        let parts = parts(message, self.0.info.limits.text).into_iter();
        for (number, mut part) in parts.enumerate().skip(done) {
            part.key = part_key(message, number);
            match self.post(part) {
                Ok(at) => receipt.messages.push(at),
                Err(error) => return Err(error.with_delivered(receipt)),
            }
        }
        Ok(receipt)
    }

    /// Shows one platform message.
    fn post(&self, part: SentMessage) -> Result<MessageRef> {
        let takes_keys = matches!(self.0.info.guarantees.send(), Repeat::Keyed(_));
        let now = self.0.clock.now();
        self.0
            .state
            .change(|state| state.post(part, takes_keys, now))
            .map_err(|error| error.on(PLATFORM, "send message"))
    }
}

#[async_trait]
impl Parts for MemoryChannel {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        Ok(parts(message, self.0.info.limits.text).len())
    }

    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        let Some(mut part) = parts(message, self.0.info.limits.text)
            .into_iter()
            .nth(part)
        else {
            let error = Error::new(ErrorKind::Invalid, "the message has no such part");
            return Err(error.on(PLATFORM, "send part"));
        };
        part.key.clone_from(&message.key);
        Ok(Receipt::new(vec![self.post(part)?]))
    }
}

#[async_trait]
impl Cards for MemoryChannel {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        self.call("update card", |state| {
            state.find(target)?.show_card(card);
            Ok(())
        })
    }
}

#[async_trait]
impl Edit for MemoryChannel {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        let text = words(&message.body);
        let both = message.card.is_some() && !text.is_empty();
        if both || !self.0.info.limits.text.fits(&text) {
            let error = Error::new(ErrorKind::Invalid, "the text does not fit into one message");
            return Err(error.on(PLATFORM, "edit message"));
        }
        self.call("edit message", |state| {
            let shown = state.find(target)?;
            shown.text = text;
            shown.buttons.clear();
            shown.card = None;
            if let Some(card) = &message.card {
                shown.show_card(card);
            }
            shown.buttons.extend(message.buttons.iter().cloned());
            Ok(())
        })
    }
}

#[async_trait]
impl Delete for MemoryChannel {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        self.call("delete message", |state| {
            state.find(target)?;
            state.sent.retain(|message| message.at != *target);
            Ok(())
        })
    }
}

#[async_trait]
impl React for MemoryChannel {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        self.call("react", |state| {
            let reactions = state.reactions.entry(target.clone()).or_default();
            reactions.insert(emoji.to_owned());
            Ok(())
        })
    }

    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        self.call("take reaction back", |state| {
            if let Some(reactions) = state.reactions.get_mut(target) {
                reactions.remove(emoji);
            }
            Ok(())
        })
    }
}

#[async_trait]
impl Typing for MemoryChannel {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        self.call("show typing", |state| {
            remember(&mut state.typing, to.clone());
            Ok(())
        })
    }

    fn lasts(&self) -> Duration {
        Duration::from_secs(5)
    }
}

#[async_trait]
impl Media for MemoryChannel {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        self.call("download file", |state| {
            match state.files.get(&attachment.id) {
                Some(bytes) if bytes.len() as u64 > max_bytes => {
                    Err(Error::new(ErrorKind::Invalid, "the file is too large"))
                }
                Some(bytes) => Ok(bytes.clone()),
                None => Err(Error::new(ErrorKind::NotFound, "the file is gone")),
            }
        })
    }
}

#[async_trait]
impl Actions for MemoryChannel {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        self.call("answer action", |state| {
            let answer = (action.id.clone(), notice.map(str::to_owned));
            remember(&mut state.answered, answer);
            Ok(())
        })
    }
}

#[async_trait]
impl Commands for MemoryChannel {
    async fn publish_commands(&self, commands: &[CommandInfo]) -> Result<()> {
        self.call("publish commands", |state| {
            state.commands = commands.to_vec();
            Ok(())
        })
    }
}

#[async_trait]
impl Stream for MemoryChannel {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        Ok(Box::new(Growing {
            channel: self.clone(),
            to: to.clone(),
            shown: None,
            last: None,
        }))
    }

    async fn resume(
        &self,
        to: &Destination,
        shown: &Receipt,
    ) -> Result<Option<Box<dyn ReplyStream>>> {
        Ok(Some(Box::new(Growing {
            channel: self.clone(),
            to: to.clone(),
            shown: shown.first().cloned(),
            last: None,
        })))
    }
}

/// An answer that is edited as it grows.
struct Growing {
    channel: MemoryChannel,
    to: Destination,
    shown: Option<MessageRef>,
    /// When the last preview was tried.
    last: Option<Duration>,
}

impl Growing {
    async fn preview(&mut self, message: &OutboundMessage) -> Result<()> {
        match &self.shown {
            Some(shown) => self.channel.edit(shown, message).await,
            None => {
                self.shown = self.channel.send(message).await?.first().cloned();
                Ok(())
            }
        }
    }
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let limits = &self.channel.0.info.limits;
        let now = self.channel.0.clock.elapsed();
        let early = self
            .last
            .is_some_and(|last| now.saturating_sub(last) < limits.edit_pause_direct);
        if early || !limits.text.fits(&words(body)) {
            return Ok(());
        }
        self.last = Some(now);
        let message = OutboundMessage::new(self.to.clone(), body.clone());
        match self.preview(&message).await {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Unauthenticated | ErrorKind::Forbidden
                ) =>
            {
                Err(error)
            }
            // Finishing makes up for it.
            _ => Ok(()),
        }
    }

    fn shown(&self) -> Option<Receipt> {
        Some(Receipt::new(self.shown.iter().cloned().collect()))
    }

    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        let Some(shown) = self.shown else {
            return self.channel.send(&message).await;
        };
        let limit = self.channel.0.info.limits.text;
        let Some(first) = parts(&message, limit).into_iter().next() else {
            self.channel.delete(&shown).await?;
            return Ok(Receipt::default());
        };
        self.channel.call("finish answer", |state| {
            let preview = state.find(&shown)?;
            preview.text = first.text;
            preview.card = first.card;
            preview.files = first.files;
            preview.buttons = first.buttons;
            Ok(())
        })?;
        self.channel.send_after(&message, Receipt::new(vec![shown]))
    }
}
