//! Minting: what an owner gets to connect an account with.

use std::time::Duration;

use channel_core::{Error, ErrorKind, OwnerId, Platform, Result, Secret};
use channel_policy::AuditEvent;

#[cfg(doc)]
use super::BindingsBuilder;
use super::{Bindings, fits};
use crate::code::{self, CodeHash};
use crate::platform::ConnectMode;
use crate::store::{LiveCodes, Minted, NewCode};

/// How long a connect code holds; at exactly its end it still does.
pub(crate) const TTL: Duration = Duration::from_secs(600);
/// How many live codes an owner has on one platform, unless the newest alone is to hold.
pub(super) const MOST_LIVE: LiveCodes = LiveCodes::AtMost(5);

/// A connect code and how to use it. The only time that the code is to be seen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectOffer {
    /// The platform that it holds on.
    pub platform: Platform,
    /// How it is delivered.
    pub mode: ConnectMode,
    /// The link to open, where there is one; it carries the code.
    pub url: Option<Secret>,
    /// The code.
    pub code: Secret,
    /// What to do, for people; it carries the code.
    pub instruction: Secret,
    /// How long it holds.
    pub expires_in: Duration,
}

impl Bindings {
    /// Whether a code that was made here, and may still hold, stands in a text, however it is shown.
    pub(crate) fn shows_own_code(&self, text: &str) -> bool {
        self.0.made.are_in(text, TTL, self.0.clock.elapsed())
    }

    /// Makes a connect code for an owner.
    ///
    /// # Errors
    ///
    /// `Invalid` if the owner's id is not 1 to 64 characters, `NotFound` if the platform is
    /// not one of ours, `Config` if it is not configured, `RateLimited` if five codes of
    /// the owner are live there and not the [newest alone](BindingsBuilder::newest_code_only)
    /// is to hold, `Unavailable`.
    pub async fn mint(&self, owner: &OwnerId, platform: &str) -> Result<ConnectOffer> {
        if !fits(owner.as_str(), 64) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the id of an owner is 1 to 64 characters",
            ));
        }
        let declared = self.platform(platform).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "nothing can be connected on this platform",
            )
        })?;
        let code = code::generate(self.0.random.as_ref());
        let url = declared.link(code.expose());
        if declared.mode() == ConnectMode::DeepLink && url.is_none() {
            return Err(Error::config("the platform is not configured"));
        }
        let now = self.now();
        let hash = CodeHash::of(code.expose())
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the random source is broken"))?;
        let new = NewCode {
            hash,
            owner: owner.clone(),
            platform: declared.platform().clone(),
            now,
            expires_at: now + TTL,
        };
        match self
            .within(self.0.store.mint(&new, self.0.live_codes))
            .await?
        {
            Minted::Kept => {}
            Minted::Full => {
                return Err(Error::new(
                    ErrorKind::RateLimited,
                    "five connect codes are waiting to be used already",
                )
                .with_retry_after(TTL));
            }
        }
        let elapsed = self.0.clock.elapsed();
        self.0.made.note(code.expose(), TTL, elapsed);
        if let Some(audit) = &self.0.audit {
            audit.record(AuditEvent::new(now, "code_minted", true, "code_minted").owner(owner));
        }
        let instruction = match &url {
            Some(_) => format!("Open the link and press Start in {}", declared.name()),
            None => format!(
                "Send /connect {} to the {} {} bot",
                code.expose(),
                self.0.application,
                declared.name()
            ),
        };
        Ok(ConnectOffer {
            platform: declared.platform().clone(),
            mode: declared.mode(),
            url: url.map(Secret::new),
            code,
            instruction: Secret::new(instruction),
            expires_in: TTL,
        })
    }
}
