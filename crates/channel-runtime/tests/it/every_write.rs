//! A process dies at each write of the way in, before it or after it, and the next one goes on.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::{AllowEveryone, async_trait};
use channel_delivery::{
    Attempt, EventState, Fence, MemoryStore, NewEvent, Outcome, Recorded, Seq, Store, StoreError,
    StoreLayer, StoredEvent, WorkerId,
};
use channel_runtime::Bot;
use channel_testkit::{MemoryChannel, VirtualClock};
use tokio::sync::Notify;

use crate::pauses::transport;

/// Who says what. `twice` fails once, after it was answered, and `never` each time.
const SAID: [(&str, &str); 5] = [
    ("ada", "first"),
    ("ada", "twice"),
    ("ada", "third"),
    ("bob", "other"),
    ("eve", "never"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

/// The store as one process sees it, which dies at one of its writes.
#[derive(Debug, Clone)]
struct Mortal {
    inner: MemoryStore,
    dies: Option<(usize, When)>,
    writes: Arc<AtomicUsize>,
    /// The number of the last write that ended something.
    last_end: Arc<AtomicUsize>,
    is_dead: Arc<AtomicBool>,
    death: Arc<Notify>,
}

impl Mortal {
    fn new(inner: &MemoryStore, dies: Option<(usize, When)>) -> Self {
        Self {
            inner: inner.clone(),
            dies,
            writes: Arc::default(),
            last_end: Arc::default(),
            is_dead: Arc::default(),
            death: Arc::default(),
        }
    }

    /// Writes, with the number of the write, unless the process dies over it.
    async fn write<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> (usize, Result<T, StoreError>) {
        self.lives().await;
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.dies_at(number, When::Before).await;
        let answer = call.await;
        self.dies_at(number, When::After).await;
        (number, answer)
    }

    async fn lives(&self) {
        if self.is_dead.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
    }

    async fn dies_at(&self, number: usize, when: When) {
        if self.dies == Some((number, when)) {
            self.is_dead.store(true, Ordering::SeqCst);
            self.death.notify_one();
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl StoreLayer for Mortal {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn enroll(
        &self,
        worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError> {
        self.write(self.inner.enroll(worker, lease, now)).await.1
    }

    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.lives().await;
        self.inner.renew(fence, lease, now).await
    }

    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.write(self.inner.record(fence, events, now)).await.1
    }

    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.write(self.inner.claim(fence, limit, now)).await.1
    }

    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.write(self.inner.owned(fence, after, limit)).await.1
    }

    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        self.write(self.inner.begin(fence, event, now)).await.1
    }

    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let call = self.inner.finish(fence, event, outcome, now);
        let (number, finished) = self.write(call).await;
        self.last_end.store(number, Ordering::SeqCst);
        finished
    }
}

/// What outlives a process.
struct World {
    clock: VirtualClock,
    store: MemoryStore,
    channel: MemoryChannel,
    /// How often the handler was called with each text.
    calls: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl World {
    fn new() -> Self {
        let clock = VirtualClock::new();
        let channel = MemoryChannel::builder().clock(Arc::new(clock.clone()));
        let world = Self {
            channel: channel.build(),
            clock,
            store: MemoryStore::new(),
            calls: Arc::default(),
        };
        for (who, text) in SAID {
            world.channel.user(who).says(text);
        }
        world
    }

    fn bot(&self, store: &Mortal) -> Bot {
        let calls = Arc::clone(&self.calls);
        Bot::new(AllowEveryone)
            .transport(transport(&self.clock, 0x80))
            .store(store.clone())
            .attempts(2)
            .channel(self.channel.clone())
            .on_message(move |message| {
                let call = {
                    let mut calls = calls.lock().unwrap();
                    let call = calls.entry(message.text.clone()).or_default();
                    *call += 1;
                    *call
                };
                async move {
                    if message.text == "never" {
                        return Err("as asked".into());
                    }
                    message.reply(message.text.clone()).await?;
                    match message.text == "twice" && call == 1 {
                        true => Err("as asked".into()),
                        false => Ok(()),
                    }
                }
            })
    }

    /// Runs a process to the end of all events, or to its own; whether it has died.
    async fn process(&self, store: &Mortal) -> bool {
        let work = async {
            let running = self.bot(store).start().await.unwrap();
            while self.events_in(EventState::is_final).await < SAID.len() as u64 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            running.stop().await;
        };
        let life = async {
            tokio::select! {
                biased;
                () = store.death.notified() => true,
                () = work => false,
            }
        };
        self.clock.drive(life).await
    }

    async fn events_in(&self, is_meant: impl Fn(EventState) -> bool) -> u64 {
        let counts = self.store.counts().await.unwrap();
        let meant = counts.events.iter().filter(|(state, _)| is_meant(**state));
        meant.map(|(_, count)| count).sum()
    }

    /// What the platform was told is received is on record.
    async fn check_acknowledged(&self, what: &str) {
        let recorded = self.events_in(|_| true).await;
        let acknowledged = SAID.len() - self.channel.unacknowledged();
        assert!(
            acknowledged as u64 <= recorded,
            "{what}: {acknowledged} acknowledged, {recorded} on record"
        );
    }

    async fn check(&self, what: &str) {
        assert_eq!(self.channel.unacknowledged(), 0, "{what}");
        assert_eq!(
            self.events_in(|state| state == EventState::Handled).await,
            4
        );
        let texts = self.channel.texts();
        let ada: Vec<_> = texts.iter().filter(|text| *text != "other").collect();
        assert_eq!(ada, ["first", "twice", "third"], "{what}");
        assert_eq!(texts.len(), 4, "{what}: {texts:?}");
        let calls = self.calls.lock().unwrap().clone();
        for entry in self.store.journal(None, 10).await.unwrap() {
            let channel_core::EventKind::Message(message) = &entry.event.event.kind else {
                continue;
            };
            let text = &message.text;
            let called = calls.get(text).copied().unwrap_or_default();
            let counted = entry.event.attempts;
            assert!(called <= counted, "{what}: {text} {called} > {counted}");
        }
    }
}

#[tokio::test]
async fn every_write_of_the_way_in_may_be_the_last() {
    let quiet = World::new();
    let store = Mortal::new(&quiet.store, None);
    assert!(!quiet.process(&store).await);
    quiet.check("quiet").await;
    let writes = store.last_end.load(Ordering::SeqCst);
    // Enrolment, record and claim, and two for each of seven attempts.
    assert!(writes >= 17, "{writes}");
    for write in 1..=writes {
        for when in [When::Before, When::After] {
            let what = format!("{when:?} write {write} of {writes}");
            let world = World::new();
            let first = Mortal::new(&world.store, Some((write, when)));
            let died = world.process(&first).await;
            assert!(died || (write, when) == (writes, When::After), "{what}");
            world.check_acknowledged(&what).await;
            let next = Mortal::new(&world.store, None);
            assert!(!world.process(&next).await, "{what}");
            world.check(&what).await;
        }
    }
}
