//! The files of a store in SQLite, and who may use them.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{Event, EventKind, Raw, Unknown};
use channel_delivery::{
    Durability, NewEvent, Outcome, Recorded, SqliteStore, Store as _, StoreErrorKind, WorkerId,
};
use channel_testkit::disk::Folder;

const LEASE: Duration = Duration::from_secs(30);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn event(id: &str) -> NewEvent {
    let unknown = Unknown::new("odd", Raw::default());
    let kind = EventKind::Unknown(Box::new(unknown));
    NewEvent::new(Event::new(id.into(), "acme".into(), kind))
}

#[tokio::test]
async fn new_files_are_for_their_owner_alone() {
    let folder = Folder::new();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store
        .enroll(&WorkerId::new("a"), LEASE, now())
        .await
        .unwrap();
    for name in ["store.db", "store.db-wal", "store.db-lock"] {
        let found = std::fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let folder = Folder::new();
    let missing = SqliteStore::open(folder.path().join("no/store.db")).await;
    assert_eq!(missing.unwrap_err().kind(), StoreErrorKind::Config);
    let text = folder.path().join("text");
    std::fs::write(&text, "this is a letter and no database".repeat(100)).unwrap();
    let refused = SqliteStore::open(&text).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Config, "{refused}");
}

async fn edit(path: &std::path::Path, sql: &'static str) {
    use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let options = options.create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_and_a_strange_database_are_refused() {
    let folder = Folder::new();
    let path = folder.path().join("store.db");
    drop(SqliteStore::open(&path).await.unwrap());
    edit(&path, "PRAGMA user_version = 4711").await;
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Config);
    assert!(refused.to_string().contains("4711"), "{refused}");
    let strange = folder.path().join("strange.db");
    edit(&strange, "CREATE TABLE people (name TEXT)").await;
    let refused = SqliteStore::open(&strange).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Config, "{refused}");
}

#[tokio::test]
async fn one_event_that_cannot_be_read_is_set_aside_and_the_others_go_on() {
    let folder = Folder::new();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let me = store
        .enroll(&WorkerId::new("a"), LEASE, now())
        .await
        .unwrap();
    let events = vec![event("1"), event("2")];
    store.record(me, events, now()).await.unwrap();
    edit(&path, "UPDATE payloads SET event = '{' WHERE seq = 1").await;
    store.leave(me, now()).await.unwrap();
    let me = store
        .enroll(&WorkerId::new("b"), LEASE, now())
        .await
        .unwrap();
    let claimed = store.claim(me, 9, now()).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].event, event("2").event);
    let dead = store.dead_events(None, 9).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].id.as_str(), "1");
    assert!(store.drop_event(dead[0].seq, now()).await.unwrap());
}

/// Plays the other process when it is started by the test below.
#[tokio::test]
async fn a_second_process_may_look_but_not_enrol() {
    let other = "CHANNEL_OTHER_PROCESS";
    if let Some(path) = std::env::var_os(other) {
        let store = SqliteStore::open(path).await.unwrap();
        let refused = store.enroll(&WorkerId::new("b"), LEASE, now()).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Config);
        assert!(refused.to_string().contains("in use by another process"));
        let dead = store.dead_events(None, 9).await.unwrap();
        assert!(store.retry_event(dead[0].seq, now()).await.unwrap());
        return;
    }
    let folder = Folder::new();
    let path = folder.path().join("store.db");
    let store = SqliteStore::builder(&path).durability(Durability::Relaxed);
    let store = store.open().await.unwrap();
    let me = store
        .enroll(&WorkerId::new("a"), LEASE, now())
        .await
        .unwrap();
    let recorded = store.record(me, vec![event("1")], now()).await.unwrap();
    let Recorded::Fresh { seq, .. } = recorded[0] else {
        panic!("{recorded:?}");
    };
    store.begin(me, seq, now()).await.unwrap();
    let reason = "too often".to_owned();
    store
        .finish(me, seq, Outcome::Dead { reason }, now())
        .await
        .unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "stores::files::a_second_process_may_look_but_not_enrol";
    let done = command
        .args(["--exact", name, "--nocapture"])
        .env(other, &path);
    let done = done.output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stdout)
    );
    let claimed = store.claim(me, 9, now()).await.unwrap();
    assert_eq!(claimed.len(), 1, "what the other process has retried");
    store.leave(me, now()).await.unwrap();
    let second = SqliteStore::open(&path).await.unwrap();
    let next = second.enroll(&WorkerId::new("c"), LEASE, now()).await;
    assert!(
        next.is_ok(),
        "the lock is let go when the last worker leaves"
    );
}
