//! A process that is enrolled in a store.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::{Clock, Random, timeout};
use tokio::sync::watch;

use super::{lock, random_name};
use crate::store::{Store, StoreError, StoreErrorKind};
use crate::worker::{Fence, WorkerId};

/// The least time between two attempts to reach a store that does not answer.
const PATIENCE: Duration = Duration::from_millis(50);

/// Why a worker has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lost {
    /// The store says that somebody else has taken over.
    TakenOver,
    /// The lease has run out by our own clock: the store was out of reach for too long, and
    /// somebody may have taken over.
    Expired,
    /// It has left.
    Left,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TakenOver => "another worker has taken over",
            Self::Expired => "the lease has run out",
            Self::Left => "the worker has left",
        })
    }
}

/// A process that works on a store, from its enrolment until its lease ends. Cheap to clone.
///
/// Nothing runs by itself: somebody has to run [`keep`](Self::keep) for as long as the
/// worker is to live.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    id: WorkerId,
    fence: Fence,
    lease: Duration,
    /// The end of the lease on the monotonic clock, counted from before the store was asked.
    expires: Mutex<Duration>,
    lost: watch::Sender<Option<Lost>>,
}

impl Worker {
    /// Enrols under a new name.
    ///
    /// # Errors
    ///
    /// As the store's.
    pub async fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
        lease: Duration,
    ) -> Result<Self, StoreError> {
        let id = WorkerId::new(random_name(random));
        let begun = clock.elapsed();
        let fence = store.enroll(&id, lease, clock.now()).await?;
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            id,
            fence,
            lease,
            expires: Mutex::new(begun.saturating_add(lease)),
            lost: watch::Sender::new(None),
        })))
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &WorkerId {
        &self.0.id
    }

    /// Its fencing token.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.0.fence
    }

    /// The store that it works on.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// The wall-clock time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// Whether it has to stop.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.why_lost().is_some()
    }

    /// Waits until the worker has to stop, as [`keep`](Self::keep) finds out.
    pub async fn lost(&self) -> Lost {
        let mut lost = self.0.lost.subscribe();
        let found = lost.wait_for(Option::is_some).await;
        // The sender lives in `self`, so this future never sees it closed.
        found.ok().and_then(|lost| *lost).unwrap_or(Lost::Left)
    }

    /// Keeps the lease alive and ends when it is lost.
    ///
    /// Renews after each third of the lease, and sooner while the store does not answer: an
    /// outage shorter than the lease is survived.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops the renewals; another call goes on with them.
    pub async fn keep(&self) -> Lost {
        loop {
            if let Some(lost) = self.why_lost() {
                self.lose(lost);
                return lost;
            }
            let left = self.left();
            let third = self.0.lease / 3;
            // After a failure less than two thirds are left: the attempts come closer.
            let wait = if left > third * 2 { third } else { left / 4 };
            let pause = self.0.clock.sleep(wait.max(PATIENCE).min(left));
            tokio::select! {
                biased;
                () = pause => self.check().await,
                lost = self.lost() => return lost,
            }
        }
    }

    /// Renews the lease at once: for whoever was told that a row is not ours, and wants to
    /// know whether anything is.
    pub async fn check(&self) {
        let begun = self.0.clock.elapsed();
        let renewal = self
            .0
            .store
            .renew(self.0.fence, self.0.lease, self.0.clock.now());
        match timeout(self.0.clock.as_ref(), self.left(), renewal).await {
            Ok(Ok(())) => {
                let mut expires = lock(&self.0.expires);
                *expires = begun.saturating_add(self.0.lease).max(*expires);
            }
            Ok(Err(error)) if error.kind() == StoreErrorKind::Fenced => self.lose(Lost::TakenOver),
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not renewed"),
            Err(elapsed) => tracing::warn!(error = %elapsed, "the lease was not renewed"),
        }
    }

    /// Ends the lease, so that others go on with what is unfinished.
    ///
    /// # Errors
    ///
    /// As the store's; the lease then ends by itself.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.lose(Lost::Left);
        self.0.store.leave(self.0.fence, self.0.clock.now()).await
    }

    /// Why it has to stop, if it has to; also if nobody runs [`keep`](Self::keep).
    #[must_use]
    pub fn why_lost(&self) -> Option<Lost> {
        let known = *self.0.lost.borrow();
        known.or_else(|| self.left().is_zero().then_some(Lost::Expired))
    }

    fn left(&self) -> Duration {
        lock(&self.0.expires).saturating_sub(self.0.clock.elapsed())
    }

    /// The first reason stays.
    fn lose(&self, why: Lost) {
        self.0.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            if first {
                *lost = Some(why);
                tracing::info!(worker = %self.0.id, %why, "the worker stops");
            }
            first
        });
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.0.id)
            .field("fence", &self.0.fence)
            .field("lost", &*self.0.lost.borrow())
            .finish_non_exhaustive()
    }
}
