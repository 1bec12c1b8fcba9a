//! What happens to the disk under a store in SQLite.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{Event, EventKind, Raw, Unknown};
use channel_delivery::{
    Fence, NewEvent, Recorded, SqliteStore, Store as _, StoreError, StoreErrorKind, WorkerId,
};
use channel_testkit::disk::{Folder, beside, in_own_mounts, mount, set_immutable};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn event(number: usize, size: usize) -> NewEvent {
    let raw = Raw::new(vec![b'x'; size].into());
    let unknown = Unknown::new("odd", raw);
    let kind = EventKind::Unknown(Box::new(unknown));
    let id = number.to_string().as_str().into();
    NewEvent::new(Event::new(id, "acme".into(), kind))
}

async fn enroll(store: &SqliteStore) -> Fence {
    let worker = WorkerId::new("a");
    let fence = store.enroll(&worker, Duration::from_secs(30), at(0)).await;
    fence.expect("a worker enrols")
}

async fn record(
    store: &SqliteStore,
    fence: Fence,
    number: usize,
    size: usize,
) -> Result<Recorded, StoreError> {
    let answers = store
        .record(fence, vec![event(number, size)], at(0))
        .await?;
    Ok(answers.into_iter().next().expect("an answer"))
}

/// Records until the store refuses; how many it has taken.
async fn record_until_refused(store: &SqliteStore, fence: Fence) -> (usize, StoreError) {
    for number in 0..100_000 {
        if let Err(error) = record(store, fence, number, 10_000).await {
            return (number, error);
        }
    }
    panic!("the disk never ended");
}

/// Everything that was answered is there, and nothing else.
async fn has_exactly(path: &Path, events: usize) {
    let store = SqliteStore::open(path).await.expect("the store opens");
    let found = store.journal(None, 200_000).await.expect("a journal");
    assert_eq!(found.len(), events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_clearly_and_goes_on_when_there_is_space() {
    if in_own_mounts("stores::faults::a_full_disk_refuses_clearly_and_goes_on_when_there_is_space")
    {
        return;
    }
    let folder = Folder::new();
    mount(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"], folder.path());
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let fence = enroll(&store).await;
    let (taken, error) = record_until_refused(&store, fence).await;
    assert!(taken > 50, "{taken} taken");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    let again = record(&store, fence, taken, 10_000).await.unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Unavailable, "{again}");
    let words = format!("{error}; {again}");
    assert!(words.contains("the disk is full"), "{words}");
    // Reading goes on meanwhile.
    assert_eq!(store.journal(None, 100_000).await.unwrap().len(), taken);
    mount(&["-o", "remount,size=64m"], folder.path());
    let next = record(&store, fence, taken, 10_000).await;
    assert!(
        matches!(next, Ok(Recorded::Fresh { mine: true, .. })),
        "{next:?}"
    );
    drop(store);
    has_exactly(&path, taken + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_disk_refuses_clearly_and_goes_on_when_it_can_be_written() {
    if in_own_mounts(
        "stores::faults::a_read_only_disk_refuses_clearly_and_goes_on_when_it_can_be_written",
    ) {
        return;
    }
    let folder = Folder::new();
    let (disk, seen) = (folder.path().join("disk"), folder.path().join("seen"));
    std::fs::create_dir(&disk).unwrap();
    std::fs::create_dir(&seen).unwrap();
    mount(&["--bind", disk.to_str().unwrap()], &seen);
    let path = seen.join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let fence = enroll(&store).await;
    record(&store, fence, 0, 10).await.unwrap();
    store.close().await;
    mount(&["-o", "remount,bind,ro"], &seen);
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    let closed = record(&store, fence, 1, 10).await.unwrap_err();
    assert_eq!(closed.kind(), StoreErrorKind::Unavailable, "{closed}");
    mount(&["-o", "remount,bind,rw"], &seen);
    let store = SqliteStore::open(&path).await.unwrap();
    let fence = enroll(&store).await;
    record(&store, fence, 1, 10).await.unwrap();
    drop(store);
    has_exactly(&path, 2).await;
}

/// The same while the store is open: the file itself may not be changed for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_may_not_be_changed_for_a_while_refuse_clearly() {
    let folder = Folder::new();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let fence = enroll(&store).await;
    record(&store, fence, 0, 10).await.unwrap();
    let log = beside(&path, "-wal");
    if !set_immutable(&[&path, &log], true) {
        return;
    }
    let refused = record(&store, fence, 1, 10).await;
    let again = record(&store, fence, 1, 10).await;
    assert!(set_immutable(&[&path, &log], false));
    for refused in [refused, again] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    }
    let next = record(&store, fence, 1, 10).await;
    assert!(matches!(next, Ok(Recorded::Fresh { .. })), "{next:?}");
    drop(store);
    has_exactly(&path, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_log_is_noticed_before_the_next_write_and_nothing_is_lost() {
    let folder = Folder::new();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let fence = enroll(&store).await;
    for number in 0..20 {
        record(&store, fence, number, 1_000).await.unwrap();
    }
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    let error = record(&store, fence, 20, 1_000).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    let next = record(&store, fence, 20, 1_000).await;
    assert!(matches!(next, Ok(Recorded::Fresh { .. })), "{next:?}");
    drop(store);
    has_exactly(&path, 21).await;
}

/// Cuts the log to this part of its length, in thousandths.
fn cut(path: &Path, permille: u64) {
    let log = beside(path, "-wal");
    let Ok(found) = std::fs::metadata(&log) else {
        return;
    };
    let length = (found.len() * permille / 1000).min(found.len().saturating_sub(1));
    let file = std::fs::OpenOptions::new().write(true).open(log);
    file.unwrap().set_len(length).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_cut_short_is_put_right_and_nothing_is_lost() {
    for permille in [0, 3, 250, 500, 900, 999, 1000] {
        let folder = Folder::new();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let fence = enroll(&store).await;
        for number in 0..20 {
            record(&store, fence, number, 1_000).await.unwrap();
        }
        cut(&path, permille);
        let error = record(&store, fence, 20, 1_000).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        // The same worker goes on, and no number is given a second time.
        let next = record(&store, fence, 20, 1_000).await;
        let Ok(Recorded::Fresh { seq, mine: true }) = next else {
            panic!("{permille}: {next:?}");
        };
        assert_eq!(seq.number(), 21, "{permille}");
        drop(store);
        has_exactly(&path, 21).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_while_the_log_is_cut_short_under_load() {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    const CUTS: usize = 60;

    let folder = Folder::new();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let fence = enroll(&store).await;
    let cuts = std::sync::Arc::new(AtomicUsize::new(0));
    let recorders: Vec<_> = (0..8)
        .map(|worker| {
            let (store, cuts) = (store.clone(), std::sync::Arc::clone(&cuts));
            tokio::spawn(async move {
                let (mut taken, mut refused) = (Vec::new(), 0);
                let mut number = 0;
                while cuts.load(Ordering::SeqCst) < CUTS || taken.len() < 50 {
                    let id = worker * 1_000_000 + number;
                    match record(&store, fence, id, 2_000).await {
                        Ok(Recorded::Fresh { seq, .. }) => taken.push((seq.number(), id)),
                        // What was refused may be there all the same.
                        Ok(_) => {}
                        Err(error) => {
                            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
                            refused += 1;
                        }
                    }
                    number += 1;
                }
                (taken, refused)
            })
        })
        .collect();
    let cutter = {
        let (path, cuts) = (path.clone(), std::sync::Arc::clone(&cuts));
        tokio::task::spawn_blocking(move || {
            for round in 0..CUTS as u64 {
                // Often before the last cut is put right.
                cut(&path, round * 379 % 1000);
                // As long as a batch takes, or two: at any point of one.
                std::thread::sleep(Duration::from_micros(700 + round * 911 % 9_000));
                cuts.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    // Who reads opens the store whenever it is closed, cut short or not.
    let reader = {
        let (store, cuts) = (store.clone(), std::sync::Arc::clone(&cuts));
        tokio::spawn(async move {
            while cuts.load(Ordering::SeqCst) < CUTS {
                let _ = store.journal(None, 1).await;
                tokio::task::yield_now().await;
            }
        })
    };
    cutter.await.unwrap();
    reader.await.unwrap();
    let mut taken = BTreeMap::new();
    let mut refused = 0;
    for recorder in recorders {
        let (some, not) = recorder.await.unwrap();
        refused += not;
        for (seq, id) in some {
            let before = taken.insert(seq, id);
            assert_eq!(before, None, "the number {seq} was given twice");
        }
    }
    assert!(refused > 0, "no cut was noticed");
    store.close().await;
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    let journal = store.journal(None, 1_000_000).await.unwrap();
    let there: BTreeMap<_, _> = journal
        .iter()
        .map(|entry| (entry.event.seq.number(), entry.event.event.id.to_string()))
        .collect();
    for (seq, id) in &taken {
        assert_eq!(there.get(seq), Some(&id.to_string()), "{seq} is lost");
    }
}

/// Another process may copy the log back and begin it anew: that is no damage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_another_connection_has_emptied_is_no_damage() {
    use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
    let folder = Folder::new();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let fence = enroll(&store).await;
    record(&store, fence, 0, 1_000).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut other = options.connect().await.unwrap();
    for number in 1..6 {
        other
            .execute("PRAGMA wal_checkpoint(TRUNCATE)")
            .await
            .unwrap();
        other
            .execute("UPDATE tallies SET count = count")
            .await
            .unwrap();
        let next = record(&store, fence, number, 1_000).await;
        assert!(matches!(next, Ok(Recorded::Fresh { .. })), "{next:?}");
    }
    other.close().await.unwrap();
    drop(store);
    has_exactly(&path, 6).await;
}
