//! How long a bot with a store waits before it does something again.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::{AllowEveryone, Clock as _, Transport, async_trait};
use channel_delivery::{
    Attempt, EventState, Fence, MemoryStore, Seq, Store, StoreError, StoreLayer, StoredDelivery,
    Swept,
};
use channel_runtime::{Bot, Running};
use channel_testkit::{FixedRandom, MemoryChannel, VirtualClock};

use crate::durable::until_counted;

/// A store that notes when it is asked what.
#[derive(Debug, Clone)]
struct Diary {
    inner: MemoryStore,
    clock: VirtualClock,
    /// When each attempt began.
    begun: Arc<Mutex<Vec<Duration>>>,
    /// When deliveries were looked after.
    looked: Arc<Mutex<Vec<Duration>>>,
    /// How many rows are left to sweep.
    old: Arc<Mutex<u64>>,
    swept: Arc<Mutex<Work>>,
    sweeps: Arc<Mutex<u32>>,
}

/// How many rows were swept, how long it took, and when the last of them was gone.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Work {
    rows: u64,
    took: Duration,
    done: Duration,
}

const SWEEP_TAKES: Duration = Duration::from_millis(40);

impl Diary {
    fn new(clock: &VirtualClock, old: u64) -> Self {
        Self {
            inner: MemoryStore::new(),
            clock: clock.clone(),
            begun: Arc::default(),
            looked: Arc::default(),
            old: Arc::new(Mutex::new(old)),
            swept: Arc::default(),
            sweeps: Arc::default(),
        }
    }

    fn swept(&self) -> Work {
        *self.swept.lock().unwrap()
    }

    fn sweeps(&self) -> u32 {
        *self.sweeps.lock().unwrap()
    }

    fn begun(&self) -> Vec<Duration> {
        self.begun.lock().unwrap().clone()
    }
}

#[async_trait]
impl StoreLayer for Diary {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        self.begun.lock().unwrap().push(self.clock.elapsed());
        self.inner.begin(fence, event, now).await
    }

    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        self.looked.lock().unwrap().push(self.clock.elapsed());
        self.inner.claim_deliveries(fence, limit, now).await
    }

    async fn sweep(&self, _: SystemTime, limit: usize) -> Result<Swept, StoreError> {
        *self.sweeps.lock().unwrap() += 1;
        self.clock.sleep(SWEEP_TAKES).await;
        let mut old = self.old.lock().unwrap();
        let events = (*old).min(limit as u64);
        *old -= events;
        let mut swept = self.swept.lock().unwrap();
        if events > 0 {
            swept.rows += events;
            swept.took += SWEEP_TAKES;
            swept.done = self.clock.elapsed();
        }
        let mut answer = Swept::default();
        answer.events = events;
        Ok(answer)
    }
}

pub(crate) fn transport(clock: &VirtualClock, chance: u8) -> Transport {
    let mut transport = channel_http::transport();
    transport.clock = Arc::new(clock.clone());
    transport.random = Arc::new(FixedRandom::new(chance));
    transport
}

async fn fails(store: &Diary, chance: u8) -> (Running, MemoryChannel) {
    let channel = MemoryChannel::new();
    let bot = Bot::new(AllowEveryone)
        .transport(transport(&store.clock, chance))
        .store(store.clone())
        .attempts(8)
        .channel(channel.clone())
        .on_message(|_| async { Err("as asked".into()) });
    (bot.start().await.unwrap(), channel)
}

#[tokio::test]
async fn the_pause_before_another_attempt_doubles_and_has_an_end() {
    for (chance, times) in [(0x00, 0.75), (0x80, 1.0), (0xff, 1.25)] {
        let clock = VirtualClock::new();
        let store = Diary::new(&clock, 0);
        let (running, channel) = fails(&store, chance).await;
        channel.user("ada").says("hi");
        let dead = until_counted(&store.inner, EventState::Dead, 1);
        clock.drive(dead).await;
        let begun = store.begun();
        let pauses = begun.windows(2).map(|two| two[1] - two[0]);
        let pauses: Vec<_> = pauses.map(|pause| pause.as_secs_f64()).collect();
        let expected = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0].map(|pause| pause * times);
        assert_eq!(pauses.len(), expected.len());
        for (pause, expected) in pauses.iter().zip(expected) {
            let near = (pause - expected).abs() < expected / 100.0;
            assert!(near, "{pauses:?}, and not {expected}");
        }
        clock.drive(running.stop()).await;
    }
}

/// As fast as they come in, with most of the store's time left to what comes in.
#[tokio::test]
async fn what_is_finished_is_forgotten_as_fast_as_it_may_come_in() {
    const OLD: u64 = 60_000;
    let clock = VirtualClock::new();
    let store = Diary::new(&clock, OLD);
    let (running, _) = fails(&store, 0x80).await;
    let all = async {
        while store.swept().rows < OLD {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    clock.drive(all).await;
    let Work { took, done, .. } = store.swept();
    assert!(done <= Duration::from_secs(OLD / 5000), "{done:?}");
    assert!(took <= done / 4 + SWEEP_TAKES, "{took:?} of {done:?}");
    // Nobody has waited for it who looks after deliveries.
    let mut looked = store.looked.lock().unwrap().clone();
    looked.retain(|at| *at <= done);
    let gaps = looked.windows(2).map(|two| two[1] - two[0]);
    assert!(looked.len() >= 4, "{looked:?}");
    assert!(
        gaps.max().unwrap() <= Duration::from_millis(2200),
        "{looked:?}"
    );
    clock.drive(running.stop()).await;
}

#[tokio::test]
async fn where_little_is_finished_the_store_is_seldom_swept() {
    let clock = VirtualClock::new();
    let store = Diary::new(&clock, 5);
    let (running, _) = fails(&store, 0x80).await;
    let a_while = clock.sleep(Duration::from_secs(59));
    clock.drive(a_while).await;
    assert_eq!(store.swept().rows, 5);
    assert_eq!(store.sweeps(), 1);
    clock.drive(running.stop()).await;
}
