//! The channel and what its parts share.

use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use channel_core::{
    AttachmentKind, ChannelId, ChannelInfo, Guarantees, Limits, Redelivery, Repeat, Result, Route,
    Secret, TextLimit, TextUnit, Transport,
};

use crate::auth::{Credentials, Failures, Grant};
use crate::config::{AckAfter, StandardBuilder, StandardConfig};
use crate::hub::Hub;
use crate::link::{Bounds, Closing, Link};
use crate::message::PLATFORM;
use crate::origin::Origins;
use crate::routes;
use crate::stream::PREVIEW_PAUSE;
use crate::wire::{MAX_ATTACHMENTS, MAX_TEXT};

/// The standard channel: browsers and custom clients connect to us over a websocket.
///
/// Cheap to clone; clones are the same channel.
#[derive(Clone)]
pub struct Standard(pub(crate) Arc<Shared>);

/// What a [`Standard`] can say about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StandardHealth {
    /// Open connections.
    pub connections: usize,
    /// How long the oldest durable frame has waited for a client's acknowledgement.
    pub oldest_unacked: Option<Duration>,
    /// Previews that slow connections have not seen. Nothing durable is ever dropped
    /// from a connection that goes on.
    pub dropped: u64,
    /// Durable frames that expired, or were given up, before a client acknowledged them.
    pub undelivered: u64,
}

/// What all parts of a channel share.
pub(crate) struct Shared {
    pub(crate) config: StandardConfig,
    pub(crate) info: ChannelInfo,
    pub(crate) origins: Origins,
    pub(crate) transport: Transport,
    pub(crate) paths: Vec<String>,
    pub(crate) routes: Vec<Route>,
    pub(crate) credentials: Mutex<Credentials>,
    pub(crate) failures: Mutex<Failures>,
    connections: Mutex<Connections>,
    hub: Mutex<Hub>,
}

/// All connections, those that have not said hello included.
#[derive(Default)]
struct Connections {
    next: u64,
    open: HashMap<u64, (Grant, Arc<Link>)>,
    /// Who waits for the last connection to end.
    waiting: Vec<Waker>,
}

/// The place of one connection among all; free again when it is dropped.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    number: u64,
    pub(crate) grant: Grant,
    pub(crate) link: Arc<Link>,
}

/// The hub, locked, with its time set.
pub(crate) struct Locked<'a>(MutexGuard<'a, Hub>);

impl Deref for Locked<'_> {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Hub {
        &mut self.0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What can be promised. Clients send again what was not acknowledged, so that depends on
/// when they are told. Keys of sends are recognised while the process lives, but it takes
/// the end of the process to lose the answer of a send, so that is not claimed.
fn guarantees(ack_after: AckAfter) -> Guarantees {
    let redelivery = match ack_after {
        AckAfter::Stored => Redelivery::UntilAcknowledged,
        AckAfter::Delivered => Redelivery::Never,
    };
    Guarantees::new(redelivery, Repeat::Doubles)
        .call("edit a message", Repeat::Idempotent)
        .call("delete a message", Repeat::Idempotent)
        .call("react", Repeat::Idempotent)
        .call("answer a press", Repeat::Idempotent)
}

impl Standard {
    /// Begins with the defaults; [`token`](StandardBuilder::token) is the only thing that
    /// is needed.
    pub fn builder() -> StandardBuilder {
        StandardBuilder::default()
    }

    /// Begins with a configuration.
    pub const fn from_config(config: StandardConfig) -> StandardBuilder {
        StandardBuilder::new(config)
    }

    /// The channel of the variables that [`StandardConfig::from_env`] reads.
    ///
    /// # Errors
    ///
    /// As for [`StandardConfig::from_env`] and [`StandardBuilder::build`].
    pub fn from_env() -> Result<Self> {
        StandardBuilder::new(StandardConfig::from_env()?).build()
    }

    pub(crate) fn new(config: StandardConfig, origins: Origins, transport: Transport) -> Self {
        let mut limits = Limits::new(TextLimit::new(MAX_TEXT, TextUnit::CodePoints));
        limits.upload_bytes = vec![(None::<AttachmentKind>, config.media_bytes as u64)];
        limits.download_bytes = config.media_bytes as u64;
        limits.attachments = MAX_ATTACHMENTS;
        limits.edit_pause_direct = PREVIEW_PAUSE;
        limits.edit_pause_group = PREVIEW_PAUSE;
        let base = config.base_path().to_owned();
        let mut paths = vec![config.path.clone()];
        if base != config.path {
            paths.push(base.clone());
        }
        // A number that differs from process to process: histories do not outlive one.
        let mut boot = [0; 4];
        transport.random.fill(&mut boot);
        let boot = format!("c{:08x}", u32::from_le_bytes(boot));
        Self(Arc::new(Shared {
            info: ChannelInfo::new(ChannelId::new(&config.id), PLATFORM, limits)
                .guarantees(guarantees(config.ack_after)),
            origins,
            transport,
            paths,
            routes: routes::routes(&base, config.media_bytes),
            credentials: Mutex::new(Credentials::new(&config.token, &config.client_tokens)),
            failures: Mutex::default(),
            connections: Mutex::default(),
            hub: Mutex::new(Hub::new(&config, boot)),
            config,
        }))
    }

    /// Replaces the shared token. Connections that were opened with the old one are closed
    /// with 4401.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](channel_core::ErrorKind::Config) if the token is empty or the
    /// token of a client.
    pub fn rotate_token(&self, token: &Secret) -> Result<()> {
        let fail = |message| Err(channel_core::Error::config(message));
        if token.is_empty() {
            return fail("token must not be empty");
        }
        let mut clients = self.0.config.client_tokens.values();
        if clients.any(|client| client.expose() == token.expose()) {
            return fail("token must differ from the tokens of clients");
        }
        lock(&self.0.credentials).replace_shared(token);
        self.0.close_revoked();
        Ok(())
    }

    /// Counts and ages, for dashboards and alarms.
    #[must_use]
    pub fn health(&self) -> StandardHealth {
        let connections = self.0.connections();
        let hub = self.0.hub();
        StandardHealth {
            connections,
            oldest_unacked: hub.oldest_unacked(),
            dropped: hub.counters.dropped,
            undelivered: hub.counters.undelivered,
        }
    }
}

impl fmt::Debug for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standard")
            .field("id", &self.info.id)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn hub(&self) -> Locked<'_> {
        let mut hub = lock(&self.hub);
        hub.now = self.transport.clock.elapsed();
        Locked(hub)
    }

    pub(crate) fn credentials(&self) -> MutexGuard<'_, Credentials> {
        lock(&self.credentials)
    }

    pub(crate) fn failures(&self) -> MutexGuard<'_, Failures> {
        lock(&self.failures)
    }

    pub(crate) fn connections(&self) -> usize {
        lock(&self.connections).open.len()
    }

    /// Whether another connection has a place.
    pub(crate) fn has_room(&self) -> bool {
        self.connections() < self.config.max_connections
    }

    /// Reserves the place of a connection, before the upgrade, so that no later check can
    /// be raced; `None` if there is none.
    pub(crate) fn reserve(self: &Arc<Self>, grant: &Grant) -> Option<Slot> {
        let mut connections = lock(&self.connections);
        if connections.open.len() >= self.config.max_connections {
            return None;
        }
        let number = connections.next;
        connections.next += 1;
        let link = Arc::new(Link::new(Bounds {
            frames: self.config.queue_frames,
            bytes: self.config.queue_bytes,
        }));
        let entry = (grant.clone(), Arc::clone(&link));
        connections.open.insert(number, entry);
        Some(Slot {
            shared: Arc::clone(self),
            number,
            grant: grant.clone(),
            link,
        })
    }

    fn close_revoked(&self) {
        let credentials = self.credentials();
        for (grant, link) in lock(&self.connections).open.values() {
            if !credentials.still_grants(grant) {
                link.close(Closing::REVOKED);
            }
        }
    }

    pub(crate) fn close_all(&self, closing: Closing) {
        for (_, link) in lock(&self.connections).open.values() {
            link.close(closing);
        }
    }

    /// Whether every connection has ended; if not, the waker is called when they have.
    pub(crate) fn all_gone(&self, waker: &Waker) -> bool {
        let mut connections = lock(&self.connections);
        if connections.open.is_empty() {
            return true;
        }
        if !connections.waiting.iter().any(|it| it.will_wake(waker)) {
            connections.waiting.push(waker.clone());
        }
        false
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut connections = lock(&self.shared.connections);
        connections.open.remove(&self.number);
        if connections.open.is_empty() {
            for waker in connections.waiting.drain(..) {
                waker.wake();
            }
        }
    }
}
