//! Building [`Bindings`].

use std::fmt;
use std::sync::Arc;

use channel_core::{Clock, Error, Random, Result};
use channel_policy::Audit;

use super::offer::MOST_LIVE;
use super::{Bindings, Inner, fits};
use crate::code::Made;
use crate::flights::Flights;
use crate::notice::Notices;
use crate::platform::ConnectPlatform;
use crate::seal::Sealer;
use crate::store::{BindingStore, LiveCodes};

/// Builds [`Bindings`]; made by [`Bindings::builder`].
#[must_use]
pub struct BindingsBuilder {
    store: Arc<dyn BindingStore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    application: String,
    platforms: Vec<ConnectPlatform>,
    sealer: Option<Sealer>,
    audit: Option<Arc<dyn Audit>>,
    notices: Option<Arc<dyn Notices>>,
    live_codes: LiveCodes,
}

impl fmt::Debug for BindingsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindingsBuilder")
            .field("store", &self.store)
            .field("platforms", &self.platforms)
            .finish_non_exhaustive()
    }
}

impl Bindings {
    /// Starts building, for an application with this name for people.
    pub fn builder(
        application: impl Into<String>,
        store: impl BindingStore + 'static,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> BindingsBuilder {
        BindingsBuilder {
            store: Arc::new(store),
            clock,
            random,
            application: application.into(),
            platforms: Vec::new(),
            sealer: None,
            audit: None,
            notices: None,
            live_codes: MOST_LIVE,
        }
    }
}

impl BindingsBuilder {
    /// Lets accounts be connected on a platform. On others a connect command is ordinary
    /// text.
    pub fn platform(mut self, platform: ConnectPlatform) -> Self {
        self.platforms.push(platform);
        self
    }

    /// Encrypts credentials.
    pub fn sealer(mut self, sealer: Sealer) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// Records what becomes of bindings.
    pub fn audit(mut self, audit: Arc<dyn Audit>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Tells owners what they have to learn.
    pub fn notices(mut self, notices: Arc<dyn Notices>) -> Self {
        self.notices = Some(notices);
        self
    }

    /// Lets only the newest code of an owner hold on each platform: making one spoils the one
    /// before. Without this up to five hold at once, and the sixth is refused.
    ///
    /// Stricter, as a code that was left lying somewhere dies with the next one; and who opens
    /// the page twice can only use what it shows last.
    pub const fn newest_code_only(mut self) -> Self {
        self.live_codes = LiveCodes::Newest;
        self
    }

    /// Checks everything; no I/O.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming what to mend.
    pub fn build(self) -> Result<Bindings> {
        if !fits(&self.application, 128) {
            return Err(Error::config("the application needs a name for people"));
        }
        for (index, platform) in self.platforms.iter().enumerate() {
            let name = platform.platform();
            if !fits(name.as_str(), 32) {
                return Err(Error::config("a platform has 1 to 32 characters"));
            }
            let before = self.platforms.iter().take(index);
            if before.into_iter().any(|other| other.platform() == name) {
                return Err(Error::config(format!("the platform {name} is there twice")));
            }
        }
        Ok(Bindings(Arc::new(Inner {
            store: self.store,
            clock: self.clock,
            random: self.random,
            application: self.application,
            platforms: self.platforms,
            sealer: self.sealer,
            audit: self.audit,
            notices: self.notices,
            live_codes: self.live_codes,
            made: Made::new(),
            flights: Flights::default(),
        })))
    }
}
