//! The API for owners, and the page where they connect their accounts.

mod api;
mod auth;
mod page;
mod reply;
mod runtime;
mod session;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use channel_core::{Error, Platform, Random, Result, Secret};
use channel_policy::{RateLimiter, RateLimits};

pub use auth::{Caller, OwnerAuth};
pub use runtime::{CredentialField, Runtime, RuntimeSettings, RuntimeValues};
pub use session::CookieSessions;

use crate::bindings::Bindings;
use auth::Csrf;

/// Whether a platform can be used now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlatformState {
    /// Its channel runs.
    #[default]
    Running,
    /// Its channel does not run; it is listed, and nothing can be connected.
    NotRunning,
    /// The operator has switched it off; it is not listed.
    Disabled,
}

/// How often in a minute one administrator may change how platforms are set up.
const ADMIN_RATE: u32 = 30;

type States = Arc<dyn Fn(&Platform) -> PlatformState + Send + Sync>;

/// The API for owners and the connect page, as a router that an application merges into
/// its own, behind its own login.
///
/// Every route needs an owner; what changes something needs the token of the page too.
/// Nothing that it says can be cached.
#[must_use]
pub struct OwnerApi {
    bindings: Bindings,
    auth: Arc<dyn OwnerAuth>,
    base: String,
    csrf: Secret,
    origin: Option<String>,
    enabled: bool,
    states: States,
    settings: Option<Arc<RuntimeSettings>>,
}

impl fmt::Debug for OwnerApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerApi")
            .field("bindings", &self.bindings)
            .field("auth", &self.auth)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    bindings: Bindings,
    auth: Arc<dyn OwnerAuth>,
    base: Arc<str>,
    csrf: Arc<Csrf>,
    enabled: bool,
    states: States,
    settings: Option<Arc<RuntimeSettings>>,
    /// What one administrator may ask for in a minute.
    limiter: Arc<RateLimiter>,
}

impl OwnerApi {
    /// The API of these bindings behind this login, at `/connect`.
    ///
    /// The secret against forged requests is random: behind several processes set
    /// [`csrf_secret`](Self::csrf_secret).
    pub fn new(bindings: Bindings, auth: impl OwnerAuth + 'static, random: &dyn Random) -> Self {
        let mut secret = [0; 32];
        random.fill(&mut secret);
        Self {
            bindings,
            auth: Arc::new(auth),
            base: "/connect".to_owned(),
            csrf: Secret::new(hex::encode(secret)),
            origin: None,
            enabled: true,
            states: Arc::new(|_| PlatformState::Running),
            settings: None,
        }
    }

    /// Serves everything below another path.
    pub fn at(mut self, base: impl Into<String>) -> Self {
        self.base = base.into();
        self
    }

    /// Derives the tokens against forged requests from this secret.
    pub fn csrf_secret(mut self, secret: impl Into<Secret>) -> Self {
        self.csrf = secret.into();
        self
    }

    /// Names the origin that browsers see, such as `https://app.example`: behind a proxy
    /// that passes another host on. By default it is the host of the request.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Switches connecting on or off; off, the routes stay and refuse.
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Asks the application whether a platform can be used now.
    pub fn states(
        mut self,
        states: impl Fn(&Platform) -> PlatformState + Send + Sync + 'static,
    ) -> Self {
        self.states = Arc::new(states);
        self
    }

    /// Lets administrators set the credentials of platforms.
    pub fn runtime(mut self, settings: Arc<RuntimeSettings>) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Makes the router.
    ///
    /// # Errors
    ///
    /// `Config` if the path is not made of plain segments, or the secret is shorter than 32
    /// bytes.
    pub fn router(self) -> Result<Router> {
        let is_plain = |segment: &str| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        let fits = self
            .base
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(is_plain));
        if !fits {
            return Err(Error::config(
                "the path of the connect page is / and plain segments, such as /connect",
            ));
        }
        if self.csrf.expose().len() < 32 {
            return Err(Error::config(
                "the secret against forged requests needs at least 32 bytes",
            ));
        }
        let shared = Shared {
            bindings: self.bindings,
            auth: self.auth,
            base: self.base.into(),
            csrf: Arc::new(Csrf::new(self.csrf, self.origin)),
            enabled: self.enabled,
            states: self.states,
            settings: self.settings,
            limiter: Arc::new(RateLimiter::new(RateLimits::new(ADMIN_RATE, 600), 1024)),
        };
        Ok(api::routes(shared))
    }
}
