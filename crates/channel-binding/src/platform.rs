//! Platforms that accounts can be connected on.

use std::fmt;
use std::sync::Arc;

use channel_core::{BindingScope, ChannelInfo, Platform};
use serde::Serialize;

type Link = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How a person delivers a connect code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectMode {
    /// By opening a link, which sends `/start <code>`.
    DeepLink,
    /// By sending `/connect <code>`.
    BindingCode,
}

/// A platform that accounts can be connected on, as its adapter and the application
/// declare it.
#[derive(Clone)]
pub struct ConnectPlatform {
    platform: Platform,
    name: String,
    link: Option<Link>,
    scope: BindingScope,
}

impl fmt::Debug for ConnectPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectPlatform")
            .field("platform", &self.platform)
            .field("mode", &self.mode())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl ConnectPlatform {
    /// A platform where people send `/connect <code>`; the name is for people.
    #[must_use]
    pub fn by_code(platform: Platform, name: impl Into<String>) -> Self {
        Self {
            platform,
            name: name.into(),
            link: None,
            scope: BindingScope::Workspace,
        }
    }

    /// A platform where people open a link that carries the code. `link` makes it out of
    /// the code, or says `None` while the bot's own name is not known: then the platform is
    /// not configured.
    #[must_use]
    pub fn by_link(
        platform: Platform,
        name: impl Into<String>,
        link: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            link: Some(Arc::new(link)),
            ..Self::by_code(platform, name)
        }
    }

    /// Says where a binding holds; in its workspace by default.
    #[must_use]
    pub const fn scope(mut self, scope: BindingScope) -> Self {
        self.scope = scope;
        self
    }

    /// Takes from its adapter where a binding holds.
    #[must_use]
    pub const fn declared_by(self, channel: &ChannelInfo) -> Self {
        self.scope(channel.binding_scope)
    }

    /// The platform.
    #[must_use]
    pub const fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How a person delivers a connect code.
    #[must_use]
    pub const fn mode(&self) -> ConnectMode {
        match self.link {
            Some(_) => ConnectMode::DeepLink,
            None => ConnectMode::BindingCode,
        }
    }

    /// Whether a person can connect now.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        // Any text in the place of the code tells.
        self.link.as_ref().is_none_or(|link| link("code").is_some())
    }

    pub(crate) const fn is_personal(&self) -> bool {
        matches!(self.scope, BindingScope::Personal)
    }

    pub(crate) fn link(&self, code: &str) -> Option<String> {
        self.link.as_ref().and_then(|link| link(code))
    }

    /// The command that carries the code.
    pub(crate) const fn word(&self) -> &'static str {
        match self.mode() {
            ConnectMode::DeepLink => "start",
            ConnectMode::BindingCode => "connect",
        }
    }
}
