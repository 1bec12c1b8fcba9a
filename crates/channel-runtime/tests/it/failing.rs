//! A store that fails on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use channel_core::async_trait;
use channel_delivery::{
    Fence, MemoryStore, NewEvent, Recorded, Store, StoreError, StoreErrorKind, StoreLayer,
};

#[derive(Debug, Clone)]
pub(crate) struct FailingStore {
    inner: MemoryStore,
    fails: Arc<AtomicBool>,
    loses: Arc<AtomicBool>,
}

impl FailingStore {
    pub(crate) fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            fails: Arc::default(),
            loses: Arc::default(),
        }
    }

    /// From now on every call fails, or none.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The next events are recorded, and the answer is lost.
    pub(crate) fn lose_an_answer(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl StoreLayer for FailingStore {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    fn reach(&self) -> Result<&dyn Store, StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            let full = "the disk is full";
            return Err(StoreError::new(StoreErrorKind::Unavailable, full));
        }
        Ok(&self.inner)
    }

    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        let recorded = self.reach()?.record(fence, events, now).await;
        if self.loses.swap(false, Ordering::SeqCst) {
            let gone = "the answer is lost";
            return Err(StoreError::new(StoreErrorKind::Unavailable, gone));
        }
        recorded
    }
}
