//! A bot at work.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Channel as _, ChannelId, Clock, Error, ErrorKind, Intake, OutboundMessage, Receipt, Result,
    timeout,
};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::driver::{Core, Entry, drive, introduce, stopped};
use crate::durable::{DurableChannel, Request, run_recorder};
use crate::full::FullNotice;
use crate::intake::WebhookIntake;
use crate::status::{ChannelState, ChannelStatus};

/// How long the platform may take to hear the last acknowledgements.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why a bot ends whose store another process has taken over.
const LOST: &str = "the lease on the store is lost: another process has taken over, or the store was away for too long";

/// Why a bot ends whose recorder has a bug.
const PANICKED: &str = "recording events panicked";

/// A bot at work. Dropping it ends it without draining; [`stop`](Self::stop) is the
/// polite way.
pub struct Running {
    core: Arc<Core>,
    entries: Vec<Arc<Entry>>,
    drivers: JoinSet<Result<()>>,
    /// The last channel that has failed for good.
    last_failure: Option<Error>,
    /// What is done besides: what a store needs, words to those who find no room.
    upkeep: JoinSet<()>,
    drain_within: Duration,
    #[cfg(feature = "webhook")]
    server: Option<channel_webhook::Server>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("status", &self.status())
            .field("lanes", &self.core.lanes)
            .finish_non_exhaustive()
    }
}

impl Running {
    pub(crate) async fn start(
        core: Arc<Core>,
        entries: Vec<Arc<Entry>>,
        requests: Option<mpsc::UnboundedReceiver<Request>>,
        drain_within: Duration,
        listen: Option<SocketAddr>,
        served_elsewhere: bool,
    ) -> Result<Self> {
        let mut running = Self {
            core,
            entries,
            drivers: JoinSet::new(),
            last_failure: None,
            upkeep: JoinSet::new(),
            drain_within,
            #[cfg(feature = "webhook")]
            server: None,
        };
        running.serve(listen).await?;
        if listen.is_none() && !served_elsewhere {
            running.require_own_connections()?;
        }
        if let Some(requests) = requests {
            running.keep_up(requests);
        }
        if running.core.full.is_some() {
            running
                .upkeep
                .spawn(FullNotice::send(Arc::clone(&running.core)));
        }
        for entry in &running.entries {
            let (core, entry) = (Arc::clone(&running.core), Arc::clone(entry));
            if entry.channel.as_events().is_some() {
                running.drivers.spawn(drive(core, entry));
            } else {
                core.set_state(&entry, ChannelState::Ready);
                running.drivers.spawn(introduce(core, entry));
            }
        }
        Ok(running)
    }

    /// Does what a store needs done while the bot runs.
    fn keep_up(&mut self, requests: mpsc::UnboundedReceiver<Request>) {
        let (core, entries) = (Arc::clone(&self.core), self.entries.clone());
        let recorder = run_recorder(core, entries, requests);
        self.drivers.spawn(async move {
            let ended = AssertUnwindSafe(recorder).catch_unwind().await;
            // Without a recorder the bot would be deaf and look healthy.
            ended.map_err(|_| Error::new(ErrorKind::Unavailable, PANICKED))
        });
        let core = Arc::clone(&self.core);
        self.upkeep.spawn(async move {
            if let Some(durable) = &core.durable {
                durable.recover(core.clock.as_ref()).await;
            }
        });
        // If another worker takes over, nothing may go on here.
        let core = Arc::clone(&self.core);
        self.drivers.spawn(async move {
            let Some(durable) = &core.durable else {
                return Ok(());
            };
            let mut stop = core.stop.subscribe();
            tokio::select! {
                biased;
                _ = durable.worker.keep() => {}
                () = stopped(&mut stop) => return Ok(()),
            }
            tracing::error!("the lease on the store is lost; stopping");
            core.stop.send_replace(true);
            core.lanes.abort();
            Err(Error::new(ErrorKind::Unavailable, LOST))
        });
    }

    #[cfg(feature = "webhook")]
    async fn serve(&mut self, listen: Option<SocketAddr>) -> Result<()> {
        let Some(address) = listen else {
            return Ok(());
        };
        self.require_own_paths()?;
        let mut host = channel_webhook::Host::new(Arc::clone(&self.core.clock));
        for entry in &self.entries {
            host = host.mount(Arc::clone(&entry.channel), self.intake_of(entry));
        }
        let server = channel_webhook::Server::bind(address, host.router()).await?;
        tracing::info!(address = %server.address(), "listening");
        self.server = Some(server);
        Ok(())
    }

    #[cfg(not(feature = "webhook"))]
    #[expect(
        clippy::unused_async,
        reason = "the same shape with and without a listener"
    )]
    async fn serve(&mut self, _listen: Option<SocketAddr>) -> Result<()> {
        Ok(())
    }

    /// Two channels cannot listen on one path.
    #[cfg(feature = "webhook")]
    fn require_own_paths(&self) -> Result<()> {
        let mut taken = std::collections::HashMap::new();
        for entry in &self.entries {
            let id = &entry.channel.info().id;
            let hooks = entry.channel.as_webhook().map(|webhook| webhook.routes());
            let sockets = entry
                .channel
                .as_socket_server()
                .map(|server| server.paths());
            let hooks = hooks.unwrap_or_default().iter();
            let sockets = sockets.unwrap_or_default().iter();
            let paths = hooks
                .map(|route| (&route.method, route.path.as_str()))
                .chain(sockets.map(|path| (&http::Method::GET, path.as_str())));
            for path in paths {
                if let Some(other) = taken.insert(path, id) {
                    return Err(Error::config(format!(
                        "the channels {other} and {id} both serve {} {}; give one another path",
                        path.0, path.1
                    )));
                }
            }
        }
        Ok(())
    }

    /// Without a listener every channel that receives has to do so by itself.
    fn require_own_connections(&self) -> Result<()> {
        for entry in &self.entries {
            let channel = &entry.channel;
            // A channel that only sends needs no listener.
            let is_served = channel.as_webhook().is_some() || channel.as_socket_server().is_some();
            if channel.as_events().is_none() && is_served {
                return Err(Error::config(format!(
                    "channel {} receives over HTTP and nothing listens; give the bot an address (feature `webhook`), or say that it is served elsewhere",
                    entry.channel.info().id
                )));
            }
        }
        Ok(())
    }

    fn intake_of(&self, entry: &Arc<Entry>) -> Arc<dyn Intake> {
        Arc::new(WebhookIntake {
            core: Arc::clone(&self.core),
            entry: Arc::clone(entry),
        })
    }

    /// Where to put a channel's events when the application serves its webhooks itself.
    #[must_use]
    pub fn intake(&self, channel: &ChannelId) -> Option<Arc<dyn Intake>> {
        self.entry(channel).map(|entry| self.intake_of(entry))
    }

    /// The address that webhooks and websockets are served on.
    #[cfg(feature = "webhook")]
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(channel_webhook::Server::address)
    }

    /// What the bot knows about its channels.
    #[must_use]
    pub fn status(&self) -> Vec<ChannelStatus> {
        self.entries
            .iter()
            .map(|entry| entry.board.read())
            .collect()
    }

    /// What became of the messages that were sent, and what is on the way: numbers for an
    /// operator. `None` without a store.
    #[cfg(feature = "store")]
    #[must_use]
    pub fn deliveries(&self) -> Option<channel_delivery::Tally> {
        let durable = self.core.durable.as_ref()?;
        Some(durable.outbox.tally())
    }

    /// Sends a message on the application's own account.
    ///
    /// # Errors
    ///
    /// `Config` if there is no such channel, else as for
    /// [`Channel::send`](channel_core::Channel::send).
    pub async fn send(&self, channel: &ChannelId, message: &OutboundMessage) -> Result<Receipt> {
        let entry = self
            .entry(channel)
            .ok_or_else(|| Error::config(format!("there is no channel {channel}")))?;
        match &self.core.durable {
            Some(durable) => {
                let channel = Arc::clone(&entry.channel);
                DurableChannel::unasked(channel, durable.outbox.clone())
                    .send(message)
                    .await
            }
            None => entry.channel.send(message).await,
        }
    }

    fn entry(&self, channel: &ChannelId) -> Option<&Arc<Entry>> {
        self.entries
            .iter()
            .find(|entry| entry.channel.info().id == *channel)
    }

    /// Waits until every channel that has a connection of its own has failed for good,
    /// and no other channel is left; or until another process has taken over the store.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn failed(&mut self) -> Error {
        let others = self
            .entries
            .iter()
            .any(|entry| entry.channel.as_events().is_none());
        loop {
            match self.drivers.join_next().await {
                Some(Ok(Err(error))) if [LOST, PANICKED].contains(&error.message()) => {
                    return error;
                }
                Some(Ok(Err(error))) => self.last_failure = Some(error),
                Some(Ok(Ok(()))) => {}
                Some(Err(join)) => {
                    tracing::error!(error = %join, "a channel's driver ended abnormally");
                }
                None if others => std::future::pending().await,
                None => match self.last_failure.take() {
                    Some(error) => return error,
                    None => std::future::pending().await,
                },
            }
            let connected = self
                .entries
                .iter()
                .filter(|entry| entry.channel.as_events().is_some());
            let mut states = connected.map(|entry| entry.board.read().state);
            let all_failed = states.all(|state| matches!(state, ChannelState::Failed { .. }));
            if all_failed
                && !others
                && let Some(error) = self.last_failure.take()
            {
                return error;
            }
        }
    }

    /// Stops: takes nothing new, lets handlers finish for as long as the bot was told,
    /// then tells the platforms what has been acknowledged.
    ///
    /// Events whose handlers did not finish in time are not acknowledged; the platforms
    /// deliver them again.
    pub async fn stop(mut self) {
        self.core.stop.send_replace(true);
        #[cfg(feature = "webhook")]
        if let Some(server) = &self.server {
            server.close();
        }
        let clock = Arc::clone(&self.core.clock);
        let drivers = async { while self.drivers.join_next().await.is_some() {} };
        if timeout(clock.as_ref(), CLOSE_WITHIN, drivers)
            .await
            .is_err()
        {
            tracing::warn!("an acknowledgement did not end in time");
            self.drivers.shutdown().await;
        }
        let drained = timeout(clock.as_ref(), self.drain_within, self.core.lanes.drained());
        if drained.await.is_err() {
            tracing::warn!(lanes = ?self.core.lanes, "handlers did not finish in time");
            self.core.lanes.abort();
        }
        self.leave(clock.as_ref()).await;
        let closing = self.entries.iter().map(|entry| async {
            if let Some(events) = entry.channel.as_events() {
                match timeout(clock.as_ref(), CLOSE_WITHIN, events.close()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "last acknowledgements not delivered")
                    }
                    Err(_) => tracing::debug!("last acknowledgements not delivered in time"),
                }
            }
            self.core.set_state(entry, ChannelState::Stopped);
        });
        futures_util::future::join_all(closing).await;
        #[cfg(feature = "webhook")]
        if let Some(server) = self.server.take() {
            server.finish(CLOSE_WITHIN, clock.as_ref()).await;
        }
    }

    /// Gives back what a store has of ours, so that the next process need not wait for the
    /// lease to end.
    async fn leave(&mut self, clock: &dyn Clock) {
        if let Some(durable) = &self.core.durable {
            durable.leave(clock, CLOSE_WITHIN).await;
        }
        self.upkeep.shutdown().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The drivers and the listener end with their handles; what is in the lanes has
        // none here.
        self.core.stop.send_replace(true);
        self.core.lanes.abort();
    }
}

/// Waits until the process is told to stop; listens from the call on, not from the first
/// poll.
pub(crate) fn terminated() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    #[cfg(unix)]
    let terminate = async {
        match terminate {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    async {
        let interrupt = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = interrupt => {}
            () = terminate => {}
        }
    }
}
