use std::sync::Arc;

use channel_core::async_trait;
use channel_delivery::conformance::{Subject, run};
use channel_delivery::{SqliteStore, Store};
use channel_testkit::disk::Folder;

/// Each check has a file of its own in one folder.
struct Sqlite {
    folder: Folder,
    number: std::sync::atomic::AtomicU32,
}

impl Sqlite {
    fn new() -> Self {
        Self {
            folder: Folder::new(),
            number: 0.into(),
        }
    }

    async fn open(&self, number: u32) -> Arc<dyn Store> {
        let path = self.folder.path().join(format!("{number}.db"));
        Arc::new(SqliteStore::open(path).await.expect("the store opens"))
    }
}

#[async_trait]
impl Subject for Sqlite {
    async fn fresh(&self) -> Arc<dyn Store> {
        let number = self
            .number
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.open(number + 1).await
    }

    async fn reopened(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        drop(store);
        Some(
            self.open(self.number.load(std::sync::atomic::Ordering::Relaxed))
                .await,
        )
    }

    fn proves_death(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_in_sqlite_conforms() {
    let report = run(&Sqlite::new()).await;
    print!("{report}");
    report.assert_conforms();
}
