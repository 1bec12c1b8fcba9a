use std::sync::Arc;

use channel_core::async_trait;
use channel_delivery::conformance::{Subject, run, run_some};
use channel_delivery::{MemoryStore, Store};

/// A store in memory whose clone survives its worker, as in a simulation.
struct Memory {
    exclusive: bool,
}

#[async_trait]
impl Subject for Memory {
    async fn fresh(&self) -> Arc<dyn Store> {
        let store = MemoryStore::builder().exclusive(self.exclusive);
        Arc::new(store.build())
    }

    async fn reopened(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        Some(store)
    }

    fn proves_death(&self) -> bool {
        self.exclusive
    }
}

#[tokio::test]
async fn the_store_in_memory_conforms() {
    let report = run(&Memory { exclusive: false }).await;
    print!("{report}");
    report.assert_conforms();
}

/// Checks with two workers at once are not for a store that allows one.
#[tokio::test]
async fn an_exclusive_store_in_memory_ends_the_leases_of_the_dead_at_once() {
    let only = |name: &str| name == "a_crash_frees_what_the_dead_worker_owned";
    let report = run_some(&Memory { exclusive: true }, only).await;
    assert_eq!(report.checks().len(), 1);
    report.assert_conforms();
}
