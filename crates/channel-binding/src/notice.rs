//! What owners are told.

use std::fmt;

use async_trait::async_trait;
use channel_core::{OwnerId, Platform};

use crate::record::BindingRecord;

/// Something that an owner has to learn, by mail or on a page: not in the chat, which may
/// no longer be theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// An account was bound to the owner.
    Connected(BindingRecord),
    /// Another owner has bound the account: this binding is revoked. If that was not you,
    /// somebody else has your chat account.
    MovedAway(BindingRecord),
    /// A connect code was sent where others could read it, and holds no longer.
    CodeExposed {
        /// Whose code it was.
        owner: OwnerId,
        /// The platform that it was for.
        platform: Platform,
    },
}

impl Notice {
    /// Who has to learn it.
    #[must_use]
    pub const fn owner(&self) -> &OwnerId {
        match self {
            Self::Connected(binding) | Self::MovedAway(binding) => &binding.owner,
            Self::CodeExposed { owner, .. } => owner,
        }
    }

    /// A stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Connected(_) => "binding_connected",
            Self::MovedAway(_) => "binding_moved_away",
            Self::CodeExposed { .. } => "code_exposed",
        }
    }
}

/// Tells owners. It is given 5 s; a notice that cannot be delivered by then is its own to
/// keep.
#[async_trait]
pub trait Notices: fmt::Debug + Send + Sync {
    /// Tells one.
    async fn notify(&self, notice: &Notice);
}
