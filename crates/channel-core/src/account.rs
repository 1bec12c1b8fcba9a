//! Who speaks, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{ChannelId, ChatId, MessageId, Platform, SenderId, ThreadId, WorkspaceId};

/// A sender on a platform, globally unique: platform, workspace and sender id.
///
/// The workspace is part of the key only on platforms whose sender ids are unique inside
/// a workspace and not beyond.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AccountRef {
    /// The platform.
    pub platform: Platform,
    /// The tenant, where it scopes the sender id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// The platform's id of the sender.
    pub sender: SenderId,
}

impl AccountRef {
    /// An account on a platform whose sender ids are globally unique.
    #[must_use]
    pub const fn new(platform: Platform, sender: SenderId) -> Self {
        Self {
            platform,
            workspace: None,
            sender,
        }
    }

    /// Scopes the account to a workspace.
    #[must_use]
    pub fn in_workspace(mut self, workspace: WorkspaceId) -> Self {
        self.workspace = Some(workspace);
        self
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.workspace {
            Some(workspace) => write!(f, "{}:{workspace}:{}", self.platform, self.sender),
            None => write!(f, "{}:{}", self.platform, self.sender),
        }
    }
}

/// How well the platform vouches for a sender's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Proof {
    /// Somebody claims it; nothing checks it. Never enough to bind an account.
    Claimed,
    /// The platform delivered it over a connection that we opened with our credentials.
    Asserted,
    /// The platform signed it, or the sender proved a secret of their own.
    Verified,
}

/// What kind of sender wrote a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SenderKind {
    /// A person.
    #[default]
    Person,
    /// Another bot or app.
    Bot,
    /// The chat itself: an anonymous administrator or a channel post.
    Chat,
    /// The platform: a service message.
    System,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sender {
    /// The key for allowlists, bindings and limits.
    pub account: AccountRef,
    /// What kind of sender it is.
    pub kind: SenderKind,
    /// How well the identity is proven.
    pub proof: Proof,
    /// The name to show; chosen by the sender, never a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Sender {
    /// A person without a name.
    #[must_use]
    pub const fn new(account: AccountRef, proof: Proof) -> Self {
        Self {
            account,
            kind: SenderKind::Person,
            proof,
            name: None,
        }
    }
}

/// What kind of place a chat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChatKind {
    /// One person and the bot.
    Direct,
    /// Several people.
    Group,
    /// One writes, many read.
    Broadcast,
}

/// A place messages go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Chat {
    /// The platform's id.
    pub id: ChatId,
    /// What kind of place it is.
    pub kind: ChatKind,
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

impl Chat {
    /// A chat without a title.
    #[must_use]
    pub const fn new(id: ChatId, kind: ChatKind) -> Self {
        Self {
            id,
            kind,
            title: None,
        }
    }
}

/// One message that exists on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageRef {
    /// The chat that holds it.
    pub chat: ChatId,
    /// Its id in that chat.
    pub id: MessageId,
}

impl MessageRef {
    /// Points at a message.
    #[must_use]
    pub const fn new(chat: ChatId, id: MessageId) -> Self {
        Self { chat, id }
    }
}

/// The ordering key: one channel, one chat, one thread.
///
/// Events with the same key are handled one after the other; all others side by side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conversation {
    /// The channel.
    pub channel: ChannelId,
    /// The chat.
    pub chat: ChatId,
    /// The thread, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadId>,
}

impl Conversation {
    /// The conversation of a chat and, where there is one, a thread.
    #[must_use]
    pub const fn new(channel: ChannelId, chat: ChatId, thread: Option<ThreadId>) -> Self {
        Self {
            channel,
            chat,
            thread,
        }
    }
}
