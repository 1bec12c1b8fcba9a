//! A store that fails, or whose process dies, at a write that a test chooses.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::Clock as _;
use channel_delivery::{
    Ahead, DeliveryId, Fence, MemoryStore, NewDelivery, Part, Planned, Store, StoreError,
    StoreErrorKind, StoreLayer, StoredDelivery,
};

use crate::outbox_world::FakePlatform;

/// What happens at the chosen write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Nothing is written, and the store says so.
    FailBefore,
    /// It is written, and the answer is lost.
    FailAfter,
    /// The process dies and nothing is written.
    CrashBefore,
    /// It is written and the process dies.
    CrashAfter,
    /// It is written, and the answer comes after a minute.
    Late,
}

impl At {
    pub(crate) const ALL: [Self; 4] = [
        Self::FailBefore,
        Self::FailAfter,
        Self::CrashBefore,
        Self::CrashAfter,
    ];
}

#[derive(Debug, Default)]
struct Plan {
    writes: usize,
    /// From which write on, for how many, and what.
    at: Option<(usize, usize, At)>,
    renewals_fail: bool,
    claims_fail: bool,
    /// How many looks at what is ahead lose their answers.
    lost_looks: u32,
}

#[derive(Clone)]
pub(crate) struct FlakyStore {
    inner: Arc<MemoryStore>,
    plan: Arc<Mutex<Plan>>,
    platform: FakePlatform,
}

impl std::fmt::Debug for FlakyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlakyStore")
    }
}

fn unavailable() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the disk is full")
}

impl FlakyStore {
    pub(crate) fn new(platform: &FakePlatform) -> Self {
        Self {
            inner: Arc::new(MemoryStore::new()),
            plan: Arc::default(),
            platform: platform.clone(),
        }
    }

    /// From the `first` write on, counted from 1, `count` of them go wrong.
    pub(crate) fn fail(&self, first: usize, count: usize, at: At) {
        let mut plan = self.plan.lock().unwrap();
        plan.writes = 0;
        plan.at = Some((first, count, at));
    }

    pub(crate) fn writes(&self) -> usize {
        self.plan.lock().unwrap().writes
    }

    pub(crate) fn renewals_fail(&self, fail: bool) {
        self.plan.lock().unwrap().renewals_fail = fail;
    }

    pub(crate) fn claims_fail(&self, fail: bool) {
        self.plan.lock().unwrap().claims_fail = fail;
    }

    pub(crate) fn looks_ahead_lose_answers(&self, times: u32) {
        self.plan.lock().unwrap().lost_looks = times;
    }

    /// What happens to this write.
    fn next(&self) -> Option<At> {
        let mut plan = self.plan.lock().unwrap();
        plan.writes += 1;
        let (first, count, at) = plan.at?;
        (first..first.saturating_add(count))
            .contains(&plan.writes)
            .then_some(at)
    }

    async fn write<T, F>(&self, write: F) -> Result<T, StoreError>
    where
        T: Send,
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        match self.next() {
            None => write.await,
            Some(At::FailBefore) => Err(unavailable()),
            Some(At::FailAfter) => {
                write.await?;
                Err(unavailable())
            }
            Some(At::CrashBefore) => {
                self.platform.crash();
                pending().await
            }
            Some(At::CrashAfter) => {
                write.await?;
                self.platform.crash();
                pending().await
            }
            Some(At::Late) => {
                let written = write.await;
                self.platform.clock().sleep(Duration::from_secs(60)).await;
                written
            }
        }
    }
}

#[async_trait]
impl StoreLayer for FlakyStore {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }

    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        if self.plan.lock().unwrap().renewals_fail {
            return Err(unavailable());
        }
        self.inner.renew(fence, lease, now).await
    }

    async fn plan(
        &self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        self.write(self.inner.plan(fence, delivery, now)).await
    }

    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.write(self.inner.update(fence, delivery, parts, now))
            .await
    }

    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        if self.plan.lock().unwrap().claims_fail {
            let down = "the store does not answer";
            return Err(StoreError::new(StoreErrorKind::Unavailable, down));
        }
        self.inner.claim_deliveries(fence, limit, now).await
    }
    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        let ahead = self.inner.ahead(fence, delivery, limit, now).await?;
        let mut plan = self.plan.lock().unwrap();
        match plan.lost_looks {
            0 => Ok(ahead),
            _ => {
                plan.lost_looks -= 1;
                Err(unavailable())
            }
        }
    }
}
