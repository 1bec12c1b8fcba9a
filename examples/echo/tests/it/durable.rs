//! The bot with a store on disk, killed and stopped at bad moments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use channel_kit::core::Body;
use channel_kit::delivery::{EventState, PartState, SqliteStore, Store as _};
use channel_testkit::disk::Folder;

use crate::process::Echo;
use crate::telegram::Site;

/// Where the store lies.
pub(crate) struct Disk(Folder);

impl Disk {
    pub(crate) fn new() -> Self {
        Self(Folder::new())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("bot.db")
    }

    pub(crate) fn variable(&self) -> String {
        format!("sqlite:{}", self.store().display())
    }
}

fn start(site: &Site, disk: &Disk) -> Echo {
    site.start_with(&[("CHANNEL_STORE", &disk.variable())])
}

/// How often each text was sent.
fn heard(site: &Site) -> BTreeMap<String, usize> {
    let mut heard = BTreeMap::new();
    for text in site
        .telegram
        .sent(site.bot)
        .into_iter()
        .filter_map(|sent| sent.text)
    {
        *heard.entry(text).or_default() += 1;
    }
    heard
}

/// What the store says may not have arrived.
async fn held(store: &SqliteStore) -> BTreeSet<String> {
    let dead = store.dead_deliveries(None, 1000).await.unwrap();
    let texts = dead
        .into_iter()
        .map(|dead| match dead.delivery.delivery.message.body {
            Body::Plain(text) | Body::Markdown(text) => text,
            other => panic!("the echo says plain text, not {other:?}"),
        });
    texts.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_fifty_times_it_loses_nothing_and_doubles_nothing() {
    let (site, disk) = (Site::open().await, Disk::new());
    let mut said = Vec::new();
    for round in 0..50_u64 {
        let echo = start(&site, &disk);
        for n in 0..5 {
            let text = format!("round {round} message {n}");
            site.says(&text);
            said.push(format!("echo: {text}"));
        }
        // From "before anything" over "in the first write" to "all is answered".
        tokio::time::sleep(Duration::from_micros(1511 * round)).await;
        echo.kill();
    }
    let echo = start(&site, &disk);
    let store = SqliteStore::open(disk.store()).await.unwrap();
    let done = async {
        loop {
            let counts = store.counts().await.unwrap();
            let of = |state| counts.events.get(&state).copied().unwrap_or_default();
            if of(EventState::Handled) + of(EventState::Dead) == said.len() as u64 {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let counts = tokio::time::timeout(Duration::from_secs(60), done)
        .await
        .expect("every event has a final state");
    assert_eq!(echo.terminate(), Some(0));
    let heard = heard(&site);
    let doubled: Vec<_> = heard.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    // The platform has no keys: what was on the wire when the process died is uncertain, and
    // nothing else may be missing.
    let held = held(&store).await;
    for text in said.iter().filter(|text| !heard.contains_key(*text)) {
        assert!(
            held.contains(text),
            "{text} is missing, and no delivery says so"
        );
    }
    let uncertain = counts
        .parts
        .get(&PartState::Uncertain)
        .copied()
        .unwrap_or_default();
    assert!(
        uncertain <= 50,
        "{uncertain} uncertain in 50 crashes of one conversation"
    );
    assert_eq!(counts.events.get(&EventState::Dead), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_under_load_it_loses_doubles_and_doubts_nothing() {
    let (site, disk) = (Site::open().await, Disk::new());
    let mut said = Vec::new();
    for round in 0..20_u64 {
        let echo = start(&site, &disk).ready("telegram");
        for n in 0..10 {
            let text = format!("round {round} message {n}");
            site.says(&text);
            said.push(format!("echo: {text}"));
        }
        tokio::time::sleep(Duration::from_micros(977 * round)).await;
        let told = std::time::Instant::now();
        assert_eq!(echo.terminate(), Some(0));
        let took = told.elapsed();
        assert!(took < Duration::from_secs(10), "the stop took {took:?}");
    }
    let echo = start(&site, &disk).ready("telegram");
    let all = site.telegram.wait_for(Duration::from_secs(60), |view| {
        (view.sent(site.bot).len() >= said.len()).then_some(())
    });
    all.await.expect("everything is answered");
    assert_eq!(echo.terminate(), Some(0));
    let heard = heard(&site);
    for text in &said {
        assert_eq!(heard.get(text), Some(&1), "{text}");
    }
    let store = SqliteStore::open(disk.store()).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.parts.get(&PartState::Uncertain), None);
    assert_eq!(
        counts.events.get(&EventState::Handled),
        Some(&(said.len() as u64))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_store_is_refused() {
    let (site, disk) = (Site::open().await, Disk::new());
    let first = start(&site, &disk).ready("telegram");
    let mut second = start(&site, &disk);
    assert_eq!(second.child.wait().unwrap().code(), Some(2));
    assert_eq!(first.terminate(), Some(0));
}
