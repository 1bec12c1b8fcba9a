//! Sending, and all that can be done besides.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Body, Channel, ChannelInfo, CommandInfo, Commands, Delete,
    Destination, Edit, Error, ErrorKind, Events, Identity, Media, MessageRef, OutboundMessage,
    React, Receipt, ReplyStream, Result, Stream, Typing, Webhook, async_trait,
};

use super::MemoryChannel;
use super::platform::{parts, remember, words};
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
}

impl MemoryChannel {
    /// Sends what follows the messages of a receipt, if that has any.
    fn send_after(&self, message: &OutboundMessage, receipt: Receipt) -> Result<Receipt> {
        let mut parts = parts(message, self.0.info.limits.text);
        parts.drain(..receipt.messages.len().min(parts.len()));
        self.0
            .state
            .change(|state| state.send(parts, receipt))
            .map_err(|error| error.on(PLATFORM, "send message"))
    }
}

#[async_trait]
impl Edit for MemoryChannel {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        let text = words(&message.body);
        if !self.0.info.limits.text.fits(&text) {
            let error = Error::new(ErrorKind::Invalid, "the text does not fit into one message");
            return Err(error.on(PLATFORM, "edit message"));
        }
        self.call("edit message", |state| {
            let shown = state.find(target)?;
            shown.text = text;
            shown.buttons.clone_from(&message.buttons);
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
            preview.files = first.files;
            preview.buttons = first.buttons;
            Ok(())
        })?;
        self.channel.send_after(&message, Receipt::new(vec![shown]))
    }
}
