//! Whose account is this.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::AccountRef;
use crate::id::{OwnerId, WorkspaceId};

/// Proof that one account belongs to one owner; revocable by the owner.
pub trait Binding: fmt::Debug + Send + Sync {
    /// The account on the platform.
    fn account(&self) -> &AccountRef;
    /// The application's own user.
    fn owner(&self) -> &OwnerId;
    /// The workspace that the binding is limited to, if it is.
    fn workspace(&self) -> Option<&WorkspaceId>;
    /// Whether it holds.
    fn state(&self) -> BindingState;
}

/// Whether a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BindingState {
    /// Begun and not yet proven.
    Pending,
    /// Proven.
    Active,
    /// Taken back by the owner, or taken over by another.
    Revoked,
}
