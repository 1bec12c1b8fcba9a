//! Abilities that pretend.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Actions, Attachment, Body, CommandInfo, Commands, Delete, Destination, Edit, Error,
    ErrorKind, Media, MessageRef, OutboundMessage, React, Result, Typing, async_trait,
};

use super::Broken;
use super::send::text_of;

#[async_trait]
impl Edit for Broken {
    async fn edit(&self, target: &MessageRef, message: &OutboundMessage) -> Result<()> {
        let text = text_of(&message.body);
        let mut message = message.clone();
        if !self.limit().fits(&text) {
            if !self.has("refuses_an_edit_that_does_not_fit") {
                return Err(Error::new(ErrorKind::Invalid, "too long"));
            }
            message.body = Body::Plain(self.split(&text, "none").remove(0));
        }
        if self.has("accepts_an_edit_that_changes_nothing") {
            let sent = self.0.channel.sent();
            if sent.iter().any(|it| it.at == *target && it.text == text) {
                return Err(Error::new(ErrorKind::Invalid, "not modified"));
            }
        }
        if self.has("edits_a_message") {
            return Ok(());
        }
        self.0.channel.edit(target, &message).await
    }
}

#[async_trait]
impl Delete for Broken {
    async fn delete(&self, target: &MessageRef) -> Result<()> {
        if self.has("deletes_a_message") {
            let new = self.0.deleted.lock().unwrap().insert(target.clone());
            return new
                .then_some(())
                .ok_or_else(|| Error::new(ErrorKind::NotFound, "gone"));
        }
        match self.0.channel.delete(target).await {
            Err(_) if self.has("finds_nothing_to_delete_twice") => Ok(()),
            result => result,
        }
    }
}

#[async_trait]
impl React for Broken {
    async fn react(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        let other = self.has("reacts");
        let emoji = if other { "\u{1f44e}" } else { emoji };
        self.0.channel.react(target, emoji).await
    }

    async fn unreact(&self, target: &MessageRef, emoji: &str) -> Result<()> {
        if self.has("takes_a_reaction_back") {
            return Ok(());
        }
        let other = self.has("reacts");
        let emoji = if other { "\u{1f44e}" } else { emoji };
        self.0.channel.unreact(target, emoji).await
    }
}

#[async_trait]
impl Typing for Broken {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        if self.has("shows_that_it_writes") {
            return Ok(());
        }
        self.0.channel.start_typing(to).await
    }

    fn lasts(&self) -> Duration {
        self.0.channel.lasts()
    }
}

#[async_trait]
impl Media for Broken {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        let max = if self.has("refuses_a_download_over_the_bound") {
            u64::MAX
        } else {
            max_bytes
        };
        let bytes = self.0.channel.download(attachment, max).await?;
        if self.has("downloads_a_file") {
            return Ok(Bytes::from(String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(bytes)
    }
}

#[async_trait]
impl Actions for Broken {
    async fn answer_action(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        if self.has("answers_a_press") {
            return Ok(());
        }
        self.0.channel.answer_action(action, notice).await
    }
}

#[async_trait]
impl Commands for Broken {
    async fn publish_commands(&self, commands: &[CommandInfo]) -> Result<()> {
        let mut all = Vec::new();
        if self.has("publishes_commands") {
            // Adds to the menu instead of replacing it.
            all = self.0.channel.commands();
        }
        all.extend_from_slice(commands);
        self.0.channel.publish_commands(&all).await
    }
}
