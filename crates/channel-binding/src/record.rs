//! What is kept about a binding.

use std::time::SystemTime;

use channel_core::{
    AccountRef, Binding, BindingId, BindingState, Bound, OwnerId, Platform, Proof, WorkspaceId,
};
use serde::{Deserialize, Serialize};

/// Whether a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BindingStatus {
    /// It holds.
    Connected,
    /// It was taken back, or taken over by another owner. Its conversations stay.
    Revoked,
}

impl BindingStatus {
    /// The name in the store and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Revoked => "revoked",
        }
    }

    /// Reads the name; what is not known does not hold.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == Self::Connected.as_str() {
            Self::Connected
        } else {
            Self::Revoked
        }
    }
}

/// One binding. It holds no secret: credentials are kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BindingRecord {
    /// Its id, at most 64 characters.
    pub id: BindingId,
    /// The application's own user, at most 64 characters.
    pub owner: OwnerId,
    /// Whether it holds.
    pub status: BindingStatus,
    /// The account: platform, workspace where there is one, sender id.
    pub account: AccountRef,
    /// How well the platform vouched for the account when it was bound.
    pub proof: Proof,
    /// The name that the sender shows, cut at 256 characters.
    pub account_name: Option<String>,
    /// The name of the workspace, cut at 256 characters.
    pub workspace_name: Option<String>,
    /// The bot that the account talks to, where the platform tells.
    pub bot_user_id: Option<String>,
    /// What the account has granted.
    pub scopes: Vec<String>,
    /// What can be done with it.
    pub capabilities: Vec<String>,
    /// Whatever the application keeps besides; JSON.
    pub metadata: serde_json::Value,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it was last bound or revoked.
    pub updated_at: SystemTime,
    /// When the account last wrote, to the minute.
    pub last_seen_at: Option<SystemTime>,
    /// When something last failed.
    pub last_error_at: Option<SystemTime>,
}

impl BindingRecord {
    /// What travels with an event of this account.
    #[must_use]
    pub fn bound(&self, sender: &AccountRef) -> Bound {
        Bound::new(self.id.clone(), self.owner.clone(), sender.clone())
            .in_workspace(self.account.workspace.clone())
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.account.platform
    }
}

/// The workspace as the store keeps it: empty where there is none.
pub(crate) fn workspace_key(account: &AccountRef) -> &str {
    account.workspace.as_ref().map_or("", WorkspaceId::as_str)
}

impl Binding for BindingRecord {
    fn account(&self) -> &AccountRef {
        &self.account
    }
    fn owner(&self) -> &OwnerId {
        &self.owner
    }
    fn workspace(&self) -> Option<&WorkspaceId> {
        self.account.workspace.as_ref()
    }
    fn state(&self) -> BindingState {
        match self.status {
            BindingStatus::Connected => BindingState::Active,
            BindingStatus::Revoked => BindingState::Revoked,
        }
    }
}
