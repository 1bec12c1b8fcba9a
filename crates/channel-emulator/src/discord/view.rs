//! What tests see of the platform.

use serde::Serialize;
use serde_json::Value;

use super::model::{Author, Id, Message, Stage, maybe_text, text};
use super::state::State;

/// A typing indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Typing {
    /// Where.
    #[serde(serialize_with = "text")]
    pub channel: u64,
    /// Who.
    #[serde(serialize_with = "text")]
    pub user: u64,
    /// Since when, in milliseconds since the epoch; it lasts ten seconds or until a message.
    pub at_ms: i64,
}

/// An emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReactionView {
    /// The emoji, or the name of a guild's emoji.
    pub emoji: String,
    /// Who put it there.
    pub by: Vec<String>,
}

/// A file under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileView {
    /// Its id.
    #[serde(serialize_with = "text")]
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: Option<String>,
    /// Its size in bytes.
    pub size: usize,
    /// Path and query of an address that works for a day.
    pub path: String,
}

/// A message as everybody with access sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MessageView {
    /// Its id.
    #[serde(serialize_with = "text")]
    pub id: u64,
    /// Where it is.
    #[serde(serialize_with = "text")]
    pub channel: u64,
    /// Who wrote it.
    #[serde(serialize_with = "text")]
    pub author: u64,
    /// The author is a bot.
    pub by_bot: bool,
    /// `type`.
    pub kind: u64,
    /// The text.
    pub text: String,
    /// Flags.
    pub flags: u64,
    /// The message it replies to.
    #[serde(serialize_with = "maybe_text")]
    pub reply_to: Option<u64>,
    /// Who is pinged.
    pub pings: Vec<String>,
    /// Everybody is pinged.
    pub pings_everyone: bool,
    /// It has been edited.
    pub edited: bool,
    /// The nonce it was sent with.
    pub nonce: Option<Value>,
    /// Only this person sees it.
    #[serde(serialize_with = "maybe_text")]
    pub only_for: Option<u64>,
    /// Embeds.
    pub embeds: Vec<Value>,
    /// Components.
    pub components: Vec<Value>,
    /// Files.
    pub files: Vec<FileView>,
    /// Reactions.
    pub reactions: Vec<ReactionView>,
}

/// An interaction and how far it has been answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct InteractionView {
    /// Its id.
    #[serde(serialize_with = "text")]
    pub id: u64,
    /// The bot that was asked.
    #[serde(serialize_with = "text")]
    pub bot: u64,
    /// `type`: 2 command, 3 component, 4 completion, 5 modal.
    pub kind: u64,
    /// Type of the first answer, when there was one in time.
    pub answered: Option<u64>,
    /// The message that answers it.
    #[serde(serialize_with = "maybe_text")]
    pub message: Option<u64>,
    /// Choices of a completion, or the modal.
    pub shown: Option<Value>,
}

impl State {
    pub(crate) fn message_view(&self, message: &Message) -> MessageView {
        let now = self.now_ms / 1000;
        let ids = |ids: &[Id]| ids.iter().map(ToString::to_string).collect();
        MessageView {
            id: message.id,
            channel: message.channel,
            author: message.author.id(),
            by_bot: matches!(message.author, Author::Bot(_)),
            kind: message.kind,
            text: message.content.clone(),
            flags: message.flags,
            reply_to: message.reference.map(|(_, _, id)| id),
            pings: ids(&message.mentions),
            pings_everyone: message.mention_everyone,
            edited: message.edited_ms.is_some(),
            nonce: message.nonce.clone(),
            only_for: message.only_for,
            embeds: message.embeds.clone(),
            components: message.components.clone(),
            files: message
                .attachments
                .iter()
                .map(|file| FileView {
                    id: file.id,
                    name: file.name.clone(),
                    content_type: file.content_type.clone(),
                    size: file.bytes.len(),
                    path: file.path(message.channel, now + 86_400, now),
                })
                .collect(),
            reactions: message
                .reactions
                .iter()
                .map(|reaction| ReactionView {
                    emoji: reaction.emoji.name.clone(),
                    by: ids(&reaction.by),
                })
                .collect(),
        }
    }

    pub(crate) fn history(&self, channel: Id) -> Vec<MessageView> {
        self.channels
            .get(&channel)
            .into_iter()
            .flat_map(|channel| channel.messages.values())
            .map(|message| self.message_view(message))
            .collect()
    }

    /// What a bot has written, in all channels, oldest first.
    pub(crate) fn sent(&self, app: Id) -> Vec<MessageView> {
        let mut sent: Vec<&Message> = self
            .channels
            .values()
            .flat_map(|channel| channel.messages.values())
            .filter(|message| message.author == Author::Bot(app))
            .collect();
        sent.sort_by_key(|message| message.id);
        sent.into_iter()
            .map(|message| self.message_view(message))
            .collect()
    }

    pub(crate) fn interaction_view(&self, id: Id) -> Option<InteractionView> {
        let asked = self.interactions.get(&id)?;
        Some(InteractionView {
            id,
            bot: asked.app,
            kind: asked.kind,
            answered: match asked.stage {
                Stage::Open => None,
                Stage::Acknowledged(kind) => Some(kind),
            },
            message: asked.original,
            shown: asked.shown.clone(),
        })
    }
}
