//! The store in SQLite beside the one in memory: whatever workers ask of both, in whatever
//! order and however much of it at once, both answer the same and have the same afterwards.
//!
//! The one in memory does one thing after the other by rules that can be read; the other one
//! does many at a time by statements that cannot.

mod call;
mod draw;
mod state;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::SystemTime;

use channel_delivery::{Durability, Fence, MemoryStore, SqliteStore, Store as _, StoreErrorKind};
use channel_testkit::disk::Folder;
use futures_util::future::join_all;

use call::{Answer, Call};
use draw::Draw;
use state::{Page, State};

const SEEDS: u64 = 16;
/// How many batches a seed asks for.
const BATCHES: u64 = 40;
/// The most requests of a batch.
const AT_ONCE: u64 = 12;
/// How many requests are shown when something differs.
const SHOWN: usize = 25;

/// Other seeds than those: `17..18` replays one.
const VARIABLE: &str = "CHANNEL_DELIVERY_SEEDS";

struct Pair {
    seed: u64,
    path: PathBuf,
    memory: MemoryStore,
    sqlite: SqliteStore,
    draw: Draw,
    /// Who holds the lock of the file.
    holders: BTreeSet<Fence>,
    /// What was asked last.
    trace: VecDeque<String>,
    asked: usize,
}

async fn open(path: &std::path::Path) -> SqliteStore {
    let store = SqliteStore::builder(path).durability(Durability::Relaxed);
    store.open().await.unwrap()
}

impl Pair {
    async fn new(seed: u64, folder: &Folder) -> Self {
        let path = folder.path().join(format!("{seed}.db"));
        Self {
            seed,
            memory: MemoryStore::new(),
            sqlite: open(&path).await,
            path,
            draw: Draw::new(seed),
            holders: BTreeSet::new(),
            trace: VecDeque::new(),
            asked: 0,
        }
    }

    fn note(&mut self, line: String) {
        self.trace.push_back(line);
        if self.trace.len() > SHOWN {
            self.trace.pop_front();
        }
    }

    fn differs(&self, what: &str, memory: &str, sqlite: &str) -> ! {
        let seed = self.seed;
        let trace: Vec<_> = self.trace.iter().map(String::as_str).collect();
        panic!(
            "seed {seed}, {what}:\n in memory {memory}\n in SQLite {sqlite}\nafter\n{}\n\
             replay with {VARIABLE}={seed}..{} cargo test -p channel-delivery --test it alike",
            trace.join("\n"),
            seed + 1
        );
    }

    /// Draws requests, each from what those before have left, asks the store in memory one
    /// after the other and that in SQLite all at once.
    async fn step(&mut self) {
        let mut batch: Vec<(Call, SystemTime, Answer)> = Vec::new();
        for _ in 0..=self.draw.below(AT_ONCE) {
            self.draw.wait();
            let call = self.draw.call(&self.memory).await;
            if batch
                .iter()
                .any(|(before, ..)| call.goes_apart_from(before))
            {
                break;
            }
            let (now, asked) = (self.draw.now, call.clone());
            self.note(format!("{} at {}: {call:?}", self.asked, millis(now)));
            let answer = self.ask_memory(call).await;
            self.draw.heard(&asked, &answer);
            self.asked += 1;
            batch.push((asked, now, answer));
        }
        self.draw.all_is_answered();
        self.note("together".to_owned());
        let asks = batch.iter();
        let asks = asks.map(|(call, now, _)| call.clone().ask(&self.sqlite, *now));
        let answers = join_all(asks).await;
        for ((call, _, memory), sqlite) in batch.iter().zip(&answers) {
            if !sqlite.agrees_with(memory) {
                let (memory, sqlite) = (format!("{memory:?}"), format!("{sqlite:?}"));
                self.differs(&format!("{call:?}"), &memory, &sqlite);
            }
        }
    }

    async fn ask_memory(&mut self, call: Call) -> Answer {
        if matches!(call, Call::Enroll(_)) && self.holders.is_empty() {
            // Nobody holds the lock: whoever else was at work is dead.
            for fence in self.draw.workers.clone() {
                let _ = self.memory.leave(fence, self.draw.now).await;
            }
            self.draw.alive.clear();
        }
        let asked = call.clone();
        let answer = call.ask(&self.memory, self.draw.now).await;
        match (&answer, asked.fence()) {
            (Answer::Enrolled(fence), _) => {
                self.holders.insert(*fence);
                self.draw.workers.push(*fence);
                self.draw.alive.push(*fence);
            }
            (Answer::Refused(StoreErrorKind::Fenced, _), Some(fence)) => self.forget(fence).await,
            (Answer::Done, Some(fence)) if matches!(asked, Call::Leave(_)) => {
                self.holders.remove(&fence);
                self.forget(fence).await;
            }
            _ => {}
        }
        answer
    }

    /// A worker that was refused is dead, or has asked for what is another one's.
    async fn forget(&mut self, fence: Fence) {
        if self.memory.owned(fence, None, 1).await.is_err() {
            self.draw.alive.retain(|alive| *alive != fence);
        }
    }

    async fn compare(&mut self, page: Page) {
        let (alive, now) = (&self.draw.workers, self.draw.now);
        let memory = State::of(&self.memory, page, alive, now).await;
        let sqlite = State::of(&self.sqlite, page, alive, now).await;
        if let Some((what, memory, sqlite)) = memory.difference(&sqlite) {
            self.differs(&format!("{what} on {page:?}"), &memory, &sqlite);
        }
    }

    /// The file is closed, and opened by a process that has not enrolled.
    async fn reopen(&mut self) {
        self.sqlite.close().await;
        self.sqlite = open(&self.path).await;
        self.holders.clear();
        self.note("the file is closed and opened again".to_owned());
    }

    async fn run(&mut self) {
        for _ in 0..BATCHES {
            self.step().await;
            if self.draw.chance(8) {
                self.reopen().await;
            }
            let page = match self.draw.chance(70) {
                true => Page::ALL,
                false => Page::draw(&self.draw),
            };
            self.compare(page).await;
        }
        self.sqlite.close().await;
    }
}

fn millis(now: SystemTime) -> u128 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_millis() % 10_000_000
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(seeds) = std::env::var(VARIABLE) else {
        return 0..SEEDS;
    };
    let (from, to) = seeds.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

/// On one thread, so that what is asked together reaches the writer together, and in order.
#[tokio::test]
async fn sqlite_answers_as_memory_does_whatever_is_asked() {
    let folder = Folder::new();
    for seed in seeds() {
        Pair::new(seed, &folder).await.run().await;
    }
}
