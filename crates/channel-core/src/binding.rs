//! Whose account is this.

use std::any::Any;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::AccountRef;
use crate::id::{BindingId, OwnerId, WorkspaceId};

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

/// Which binding an event was resolved to, by whoever judged it.
///
/// Plain data that travels with the event. Whoever acts on it later, after a queue or a
/// restart, resolves again and compares: what rides on a message is never trusted alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bound {
    /// The binding.
    pub binding: BindingId,
    /// The application's own user.
    pub owner: OwnerId,
    /// The account as the platform delivered it.
    pub account: AccountRef,
    /// The workspace that the binding is limited to, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
}

impl Bound {
    /// The owner of an account that is not limited to a workspace.
    #[must_use]
    pub const fn new(binding: BindingId, owner: OwnerId, account: AccountRef) -> Self {
        Self {
            binding,
            owner,
            account,
            workspace: None,
        }
    }

    /// Limits it to a workspace.
    #[must_use]
    pub fn in_workspace(mut self, workspace: Option<WorkspaceId>) -> Self {
        self.workspace = workspace;
        self
    }
}

/// Where a binding that was made in one place holds.
///
/// A fact about a platform, declared by its adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BindingScope {
    /// In the workspace that it was made in, and nowhere else: sender ids may mean somebody
    /// else elsewhere.
    #[default]
    Workspace,
    /// Everywhere on the platform: sender ids are globally unique, so that one binding
    /// serves every shared space.
    Personal,
}

/// The source of the error of a message that was not sent because the binding it is for does
/// not hold any more: it is not the platform that refuses, and the chat is as good as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "written as a value, and never to hold one"
)]
pub struct NotBound;

impl fmt::Display for NotBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its binding was taken back")
    }
}

impl std::error::Error for NotBound {}

/// Proof that a binding holds, and is not taken back by this process before this is dropped.
///
/// Whoever takes a binding back waits for those who hold it, and they hold it for one call to
/// a platform.
#[must_use]
#[derive(Default)]
pub struct Hold(Option<Box<dyn Any + Send + Sync>>);

impl Hold {
    /// Holds for as long as the guard lives.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(guard)))
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("is_guarded", &self.0.is_some())
            .finish()
    }
}
