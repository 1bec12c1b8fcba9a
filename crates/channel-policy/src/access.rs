//! Who may talk to one channel.

use channel_core::{Case, Error, Result};
use serde::Deserialize;

use crate::allowlist::Allowlist;
use crate::trigger::{GroupConfig, GroupTriggers};

/// Who may write to the bot in a direct chat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DirectPolicy {
    /// Who is on an allowlist; everybody else is ignored silently.
    #[default]
    Allowlist,
    /// As `allowlist`, and everybody else gets a code that an administrator may approve.
    Pairing,
    /// Everybody.
    Open,
    /// Nobody.
    Disabled,
}

impl std::str::FromStr for DirectPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "allowlist" => Ok(Self::Allowlist),
            "pairing" => Ok(Self::Pairing),
            "open" => Ok(Self::Open),
            "disabled" => Ok(Self::Disabled),
            _ => Err(Error::config(
                "a direct-message policy is allowlist, pairing, open or disabled",
            )),
        }
    }
}

/// Who may talk to one channel, as a configuration file holds it. By default nobody.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AccessConfig {
    /// Answers everyone.
    pub allow_all: bool,
    /// Senders that may; see [`Allowlist`] for the spellings.
    pub allow_from: Vec<String>,
    /// Shared chats in which everybody may.
    pub allow_chats: Vec<String>,
    /// Roles that may, as the [`Directory`](crate::Directory) names them.
    pub allow_roles: Vec<String>,
    /// Who may in direct chats; `allowlist` if absent.
    pub direct: DirectPolicy,
    /// What is meant for the bot in shared chats.
    pub groups: GroupConfig,
    /// Whether `Ada` and `ada` are one, in ids, handles and chats. If absent it is as the
    /// platform has it ([`Spelling`](channel_core::Spelling)).
    pub ignore_case: Option<bool>,
}

impl AccessConfig {
    /// Nobody may.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone.
    #[must_use]
    pub const fn allow_all(mut self) -> Self {
        self.allow_all = true;
        self
    }

    /// Lets a sender; see [`Allowlist`] for the spellings.
    #[must_use]
    pub fn allow_from(mut self, sender: impl Into<String>) -> Self {
        self.allow_from.push(sender.into());
        self
    }

    /// Lets everybody in a shared chat.
    #[must_use]
    pub fn allow_chat(mut self, chat: impl Into<String>) -> Self {
        self.allow_chats.push(chat.into());
        self
    }

    /// Lets everybody with a role.
    #[must_use]
    pub fn allow_role(mut self, role: impl Into<String>) -> Self {
        self.allow_roles.push(role.into());
        self
    }

    /// Says who may in direct chats.
    #[must_use]
    pub const fn direct(mut self, policy: DirectPolicy) -> Self {
        self.direct = policy;
        self
    }

    /// Says what is meant for the bot in shared chats.
    #[must_use]
    pub fn groups(mut self, groups: GroupConfig) -> Self {
        self.groups = groups;
        self
    }

    /// Takes `Ada` and `ada` for one, whatever the platform does.
    #[must_use]
    pub const fn ignore_case(mut self) -> Self {
        self.ignore_case = Some(true);
        self
    }

    /// Takes `Ada` and `ada` for two, whatever the platform does.
    #[must_use]
    pub const fn respect_case(mut self) -> Self {
        self.ignore_case = Some(false);
        self
    }
}

/// The checked settings of one channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) allow_all: bool,
    pub(crate) senders: Allowlist,
    pub(crate) chats: Allowlist,
    pub(crate) roles: Vec<String>,
    pub(crate) direct: DirectPolicy,
    pub(crate) groups: GroupTriggers,
}

impl Access {
    pub(crate) fn new(config: &AccessConfig) -> Result<Self> {
        let case = config.ignore_case.map(|ignore| match ignore {
            true => Case::Insensitive,
            false => Case::Sensitive,
        });
        Ok(Self {
            allow_all: config.allow_all,
            senders: Allowlist::of_platform(&config.allow_from, case)?,
            chats: Allowlist::of_platform(&config.allow_chats, case)?,
            roles: config.allow_roles.clone(),
            direct: config.direct,
            groups: GroupTriggers::read(&config.groups, case)?,
        })
    }

    /// Whether it names anybody, be it everyone with `*`.
    pub(crate) fn has_list(&self) -> bool {
        !self.senders.is_empty() || !self.chats.is_empty() || !self.roles.is_empty()
    }

    /// Whether it needs somebody who knows handles and roles.
    pub(crate) fn needs_directory(&self) -> bool {
        self.senders.has_handles() || !self.roles.is_empty()
    }
}
