//! A setting that only a power cut would tell apart is read back from the connection.

use std::time::Duration;

use channel_testkit::disk::Folder;
use sqlx::SqliteConnection;

use super::Durability;
use super::files::Files;

const NORMAL: i64 = 1;
const FULL: i64 = 2;

async fn synchronous(connection: &mut SqliteConnection) -> i64 {
    let pragma = sqlx::query_scalar("PRAGMA synchronous");
    pragma.fetch_one(connection).await.unwrap()
}

async fn writer(folder: &Folder, durability: Durability) -> SqliteConnection {
    let files = Files {
        path: folder.path().join("store.db"),
        durability,
        busy_timeout: Duration::from_secs(5),
    };
    files.create().unwrap();
    files.writer().await.unwrap()
}

#[tokio::test]
async fn a_full_store_syncs_every_commit_and_a_relaxed_one_does_not() {
    let folder = Folder::new();
    let mut full = writer(&folder, Durability::default()).await;
    assert_eq!(synchronous(&mut full).await, FULL);
    let mut relaxed = writer(&folder, Durability::Relaxed).await;
    assert_eq!(synchronous(&mut relaxed).await, NORMAL);
    let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode");
    assert_eq!(mode.fetch_one(&mut full).await.unwrap(), "wal");
}
