//! What a channel says about itself.

use serde::{Deserialize, Serialize};

use crate::binding::BindingScope;
use crate::guarantee::Guarantees;
use crate::id::{ChannelId, Platform};
use crate::limits::Limits;
use crate::pacing::Pacing;

/// Identity and limits of one channel; data, never I/O.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// The application's name for this channel, unique in a process.
    pub id: ChannelId,
    /// The platform.
    pub platform: Platform,
    /// The platform's numbers.
    pub limits: Limits,
    /// What the platform makes possible to promise.
    pub guarantees: Guarantees,
    /// How fast it may send, for whoever spaces its requests out.
    pub pacing: Pacing,
    /// Where a binding holds that was made in one place: what the ids of senders mean.
    pub binding_scope: BindingScope,
    /// Which spellings of ids and handles are one.
    pub spelling: Spelling,
}

/// Whether capitals make a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Case {
    /// `Ada` and `ada` are two.
    #[default]
    Sensitive,
    /// `Ada` and `ada` are one.
    Insensitive,
}

/// How a platform compares ids and handles, for whoever looks for one on a list.
///
/// A fact about a platform, declared by its adapter. What is taken for one that is not lets
/// somebody in whom nobody has named: only what the vendor says is declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Spelling {
    /// The ids of senders and chats.
    pub ids: Case,
    /// The unique handles of people, without `@`.
    pub handles: Case,
}

impl Spelling {
    /// Every character counts, in ids and in handles.
    #[must_use]
    pub const fn exact() -> Self {
        Self {
            ids: Case::Sensitive,
            handles: Case::Sensitive,
        }
    }

    /// Says how ids are compared.
    #[must_use]
    pub const fn ids(mut self, case: Case) -> Self {
        self.ids = case;
        self
    }

    /// Says how handles are compared.
    #[must_use]
    pub const fn handles(mut self, case: Case) -> Self {
        self.handles = case;
        self
    }
}

impl ChannelInfo {
    /// Describes a channel of which nothing can be promised.
    #[must_use]
    pub fn new(id: ChannelId, platform: Platform, limits: Limits) -> Self {
        Self {
            id,
            platform,
            limits,
            guarantees: Guarantees::default(),
            pacing: Pacing::off(),
            binding_scope: BindingScope::default(),
            spelling: Spelling::default(),
        }
    }

    /// Says what can be promised.
    #[must_use]
    pub fn guarantees(mut self, guarantees: Guarantees) -> Self {
        self.guarantees = guarantees;
        self
    }

    /// Says where a binding holds; in its workspace unless said otherwise.
    #[must_use]
    pub const fn binding_scope(mut self, scope: BindingScope) -> Self {
        self.binding_scope = scope;
        self
    }

    /// Says how ids and handles are compared; to the letter unless said otherwise.
    #[must_use]
    pub const fn spelling(mut self, spelling: Spelling) -> Self {
        self.spelling = spelling;
        self
    }

    /// Says how fast it may send.
    #[must_use]
    pub fn pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = pacing;
        self
    }
}

/// Who the bot is on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The platform's id of the bot.
    pub id: String,
    /// The name that people mention, where there is one, without its mark.
    pub username: Option<String>,
    /// The name that is shown.
    pub name: String,
    /// What the bot may still send on its own account, where the platform counts that and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// How many messages a bot may send on its own account in the present period of the platform's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quota {
    /// How many; `None` if there is no limit.
    pub limit: Option<u64>,
    /// How many have been sent, as the platform counts.
    pub used: u64,
}

impl Quota {
    /// What the platform says.
    #[must_use]
    pub const fn new(limit: Option<u64>, used: u64) -> Self {
        Self { limit, used }
    }

    /// How many are left; `None` if there is no limit.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.used))
    }
}

impl Identity {
    /// A bot without a name to mention.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            username: None,
            name: name.into(),
            quota: None,
        }
    }

    /// Adds the name that people mention.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Adds what the bot may still send.
    #[must_use]
    pub const fn with_quota(mut self, quota: Option<Quota>) -> Self {
        self.quota = quota;
        self
    }
}
