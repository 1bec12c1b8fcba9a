//! Building a gate.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{ChannelId, Clock, Error, Result};

use crate::access::{Access, AccessConfig};
use crate::allowlist::Allowlist;
use crate::audit::Audit;
use crate::context::Overheard;
use crate::gate::Gate;
use crate::gate::lately::Lately;
use crate::gate::spelt::Spelt;
use crate::gate::told::Told;
use crate::identity::{Directory, Identities};
use crate::pairing::Pairing;
use crate::rate::{RateLimiter, RateLimits};
use crate::reason::Counts;
use crate::store::PairingRequest;

/// How many senders, and as many chats, have a bucket at once.
const BUCKETS: usize = 20_000;

/// How long somebody who was told how to connect is not told again.
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// Builds a [`Gate`]; made by [`Gate::builder`].
#[must_use]
pub struct GateBuilder {
    clock: Arc<dyn Clock>,
    channels: Vec<(ChannelId, AccessConfig)>,
    others: Option<AccessConfig>,
    allow_from: Vec<String>,
    allow_all: bool,
    strict: bool,
    limits: Option<RateLimits>,
    max_chars: usize,
    pairing: Option<Arc<Pairing>>,
    identities: Option<Arc<dyn Identities>>,
    require_bound: bool,
    directory: Option<Arc<dyn Directory>>,
    audit: Option<Arc<dyn Audit>>,
}

impl fmt::Debug for GateBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateBuilder")
            .field("channels", &self.channels)
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// Starts building a gate that lets nobody pass.
    pub fn builder(clock: Arc<dyn Clock>) -> GateBuilder {
        GateBuilder {
            clock,
            channels: Vec::new(),
            others: None,
            allow_from: Vec::new(),
            allow_all: false,
            strict: false,
            limits: Some(RateLimits::default()),
            max_chars: 4096,
            pairing: None,
            identities: None,
            require_bound: true,
            directory: None,
            audit: None,
        }
    }
}

impl GateBuilder {
    /// Says who may talk to a channel.
    pub fn channel(mut self, id: impl Into<ChannelId>, access: AccessConfig) -> Self {
        self.channels.push((id.into(), access));
        self
    }

    /// Says who may talk to every channel that has no settings of its own. Without this
    /// nobody may.
    pub fn other_channels(mut self, access: AccessConfig) -> Self {
        self.others = Some(access);
        self
    }

    /// Lets a sender on every channel: `platform:id`, or `*` for everyone. Ids and handles are
    /// compared as their platform does it.
    pub fn allow_from(mut self, sender: impl Into<String>) -> Self {
        self.allow_from.push(sender.into());
        self
    }

    /// Lets everyone on every channel.
    pub const fn allow_all(mut self) -> Self {
        self.allow_all = true;
        self
    }

    /// Refuses to start while a channel has no allowlist; for bots that face the public.
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Sets how many messages a minute are taken; 10 of a sender, 30 in a chat by default.
    pub const fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Takes any number of messages.
    pub const fn without_rate_limits(mut self) -> Self {
        self.limits = None;
        self
    }

    /// Sets how long a message may be, in characters: 128 to 32768, 4096 by default.
    pub const fn max_chars(mut self, chars: usize) -> Self {
        self.max_chars = chars;
        self
    }

    /// Lets strangers ask for approval, where a channel's direct-message policy is
    /// `pairing`, and lets those pass who were approved.
    pub fn pairing(mut self, pairing: Arc<Pairing>) -> Self {
        self.pairing = Some(pairing);
        self
    }

    /// Looks for connect commands and finds out whose account it is. From then on only
    /// bound accounts pass; see [`require_bound_identity`](Self::require_bound_identity).
    pub fn identities(mut self, identities: Arc<dyn Identities>) -> Self {
        self.identities = Some(identities);
        self
    }

    /// Says whether an account has to be bound; it has to by default, once there are
    /// [`identities`](Self::identities).
    pub const fn require_bound_identity(mut self, require: bool) -> Self {
        self.require_bound = require;
        self
    }

    /// Knows the handles and roles that allowlists name.
    pub fn directory(mut self, directory: Arc<dyn Directory>) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Records every verdict.
    pub fn audit(mut self, audit: Arc<dyn Audit>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Checks everything and makes the gate.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config), naming the channel and what
    /// to mend.
    pub fn build(self) -> Result<Gate> {
        let mut access = HashMap::new();
        for (id, config) in &self.channels {
            let checked = self.read(id.as_str(), config)?;
            if access.insert(id.clone(), checked).is_some() {
                return Err(Error::config(format!("two settings for the channel {id}")));
            }
        }
        let others = self
            .others
            .as_ref()
            .map(|config| self.read("other channels", config))
            .transpose()?;
        let everywhere = Allowlist::of_all(&self.allow_from)?;
        if everywhere.has_handles() && self.directory.is_none() {
            return Err(Error::config(NEEDS_DIRECTORY));
        }
        let max_chars = self.max_chars.clamp(128, 32_768);
        if max_chars != self.max_chars {
            tracing::warn!(max_chars, "the length limit was outside 128 to 32768");
        }
        Ok(Gate {
            clock: self.clock,
            access,
            others,
            everywhere,
            spelt: Spelt::default(),
            allow_all: self.allow_all,
            strict: self.strict,
            limiter: self.limits.map(|limits| RateLimiter::new(limits, BUCKETS)),
            max_chars,
            pairing: self.pairing,
            identities: self.identities,
            require_bound: self.require_bound,
            directory: self.directory,
            audit: self.audit,
            counts: Counts::new(),
            told: Told::new(TELL_AGAIN),
            asked: Told::new(PairingRequest::TTL),
            lately: Lately::default(),
            overheard: Overheard::new(),
        })
    }

    fn read(&self, name: &str, config: &AccessConfig) -> Result<Access> {
        let named = |message: &str| Error::config(format!("access to {name}: {message}"));
        let access = Access::new(config).map_err(|error| named(error.message()))?;
        if access.needs_directory() && self.directory.is_none() {
            return Err(named(NEEDS_DIRECTORY));
        }
        if access.direct == crate::DirectPolicy::Pairing && self.pairing.is_none() {
            return Err(named("the policy pairing needs a pairing()"));
        }
        Ok(access)
    }
}

const NEEDS_DIRECTORY: &str = "a handle or role on an allowlist needs a directory()";
