//! The way of an event through a store.
//!
//! An event is recorded before the platform hears "received"; every attempt and its end are
//! written; every reply goes through the outbox. What runs in this process is only the
//! shortest way: all of it can be taken up again from the store.

mod channel;
mod job;
mod recorder;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{Backoff, Clock, Event, Random, Refused, timeout};
#[cfg(feature = "store")]
use channel_core::{Channel, Result, Transport};
use channel_delivery::{Outbox, StoreError, StoreErrorKind, Worker};
#[cfg(feature = "store")]
use channel_delivery::{OutboxSettings, Store};
use tokio::sync::{mpsc, oneshot};

pub(crate) use channel::DurableChannel;
pub(crate) use recorder::{Request, Unbroken, run as run_recorder};

use crate::driver::Entry;
use crate::lanes::Place;

/// How often somebody looks for deliveries that nobody works on.
const RECOVER_EVERY: Duration = Duration::from_secs(2);

/// How often what is long finished is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How many events and deliveries are forgotten at once.
const SWEEP: usize = 1000;

/// Between two batches the store is left alone for so many times as long as one has taken:
/// forgetting keeps up with what comes in, and leaves three quarters of the store to it.
const REST: u32 = 3;

/// The shortest rest.
const SHORTEST_REST: Duration = Duration::from_millis(5);

/// What a bot with a store has besides.
pub(crate) struct Durable {
    pub(crate) worker: Worker,
    pub(crate) outbox: Outbox,
    /// After how many attempts an event is set aside.
    pub(crate) attempts: u32,
    /// How long what is finished stays on record.
    pub(crate) keep_for: Duration,
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    /// Without the feature there is none, and the compiler knows it: no program pays for a
    /// store that it cannot have.
    #[cfg(not(feature = "store"))]
    #[expect(dead_code, reason = "it is there so that nothing can be")]
    never: std::convert::Infallible,
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl Durable {
    /// Enrols with a store. What comes back besides is for [`run_recorder`].
    ///
    /// # Errors
    ///
    /// If the store does not let us: in use by another process, or not there.
    #[cfg(feature = "store")]
    pub(crate) async fn start(
        store: Arc<dyn Store>,
        transport: &Transport,
        channels: &[Arc<dyn Channel>],
        settings: OutboxSettings,
        (attempts, keep_for): (u32, Duration),
    ) -> Result<(Self, mpsc::UnboundedReceiver<Request>)> {
        let (clock, random) = (&transport.clock, &transport.random);
        for channel in channels {
            if let Some(events) = channel.as_events()
                && let Some(cursor) = store.cursor(&channel.info().id).await?
            {
                events.resume(&cursor);
            }
        }
        let lease = store.lease();
        let worker = Worker::start(store, Arc::clone(clock), random.as_ref(), lease).await?;
        let outbox = Outbox::new(
            worker.clone(),
            Arc::clone(clock),
            Arc::clone(random),
            settings,
        );
        for channel in channels {
            outbox.register(Arc::clone(channel));
        }
        // As many requests wait as there are places in the lanes: each holds its own.
        let (requests, received) = mpsc::unbounded_channel();
        let durable = Self {
            worker,
            outbox,
            attempts,
            keep_for,
            requests,
        };
        Ok((durable, received))
    }

    /// Resumes deliveries that nobody works on and forgets what is long finished, for ever.
    pub(crate) async fn recover(&self, clock: &dyn Clock) {
        let mut recover_at = clock.elapsed();
        let mut sweep_at = recover_at;
        loop {
            if clock.elapsed() >= recover_at {
                if let Err(error) = self.outbox.recover().await {
                    tracing::warn!(%error, "unfinished deliveries cannot be read");
                }
                recover_at = clock.elapsed().saturating_add(RECOVER_EVERY);
            }
            if clock.elapsed() >= sweep_at {
                let pause = self.sweep(clock).await;
                sweep_at = clock.elapsed().saturating_add(pause);
            }
            let next = recover_at.min(sweep_at);
            clock.sleep(next.saturating_sub(clock.elapsed())).await;
        }
    }

    /// Forgets a batch of what is long finished; how long to wait before the next.
    async fn sweep(&self, clock: &dyn Clock) -> Duration {
        let Some(before) = self.worker.now().checked_sub(self.keep_for) else {
            return SWEEP_EVERY;
        };
        let began = clock.elapsed();
        match self.worker.store().sweep(before, SWEEP).await {
            Ok(swept) => {
                let batch = u64::try_from(SWEEP).unwrap_or(u64::MAX);
                let took = clock.elapsed().saturating_sub(began);
                // A full batch means that there is more.
                match swept.events >= batch || swept.deliveries >= batch {
                    true => took.saturating_mul(REST).max(SHORTEST_REST),
                    false => SWEEP_EVERY,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what is finished was not swept");
                SWEEP_EVERY
            }
        }
    }

    /// Ends the outbox and gives back what is ours, so that the next process need not wait
    /// for the lease to end.
    pub(crate) async fn leave(&self, clock: &dyn Clock, within: Duration) {
        self.outbox.stop();
        if timeout(clock, within, self.outbox.drained()).await.is_err() {
            tracing::warn!(tally = ?self.outbox.tally(), "deliveries did not end in time");
        }
        match timeout(clock, within, self.worker.leave()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the store was not told of the end"),
            Err(_) => tracing::warn!("the store was not told of the end in time"),
        }
    }

    /// Hands events over to be recorded; the answer comes when they are safe, or cannot be
    /// taken. Events handed over later are recorded later.
    pub(crate) fn record(
        &self,
        entry: &Arc<Entry>,
        run: &Unbroken,
        events: Vec<(Event, Option<String>, Place)>,
    ) -> impl Future<Output = Result<(), Refused>> + Send + use<> {
        let (done, safe) = oneshot::channel();
        let sent = self.requests.send(Request {
            entry: Arc::clone(entry),
            events,
            run: run.clone(),
            done,
        });
        async move {
            match sent {
                // Nobody records any more.
                Err(_) => Err(Refused::Stopping),
                Ok(()) => safe.await.unwrap_or(Err(Refused::Stopping)),
            }
        }
    }
}

/// Repeats a write until the store is there again.
///
/// # Errors
///
/// Whatever waiting does not mend.
pub(crate) async fn insist<T, F, Fut>(
    clock: &dyn Clock,
    random: &dyn Random,
    mut write: F,
) -> Result<T, StoreError>
where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = std::result::Result<T, StoreError>> + Send,
    T: Send,
{
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        match write().await {
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                tracing::warn!(%error, "the store does not answer");
                let wait = backoff.wait(random);
                backoff.failed(Duration::ZERO);
                clock.sleep(wait).await;
            }
            done => return done,
        }
    }
}
