//! The deafness drill once more, on real sockets against the emulator. DingTalk tells a client no intervals, so both
//! sides live eight times as fast: the channel by its clock, the platform by its settings. What is asked of the channel
//! stays as it is.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Connection, EventKind, Events as _, Received, Result};
use channel_dingtalk::DingTalk;
use channel_emulator::dingtalk::{Dingtalk as Emulator, DingtalkConfig, DingtalkServer, NewApp};
use channel_http::SystemClock;
use channel_testkit::drill::QuickClock;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use crate::emulator::{APP, SECRET};

const ADA: &str = "staff1";
const RED: Duration = Duration::from_secs(90);
const BACK: Duration = Duration::from_secs(30);
/// By the clock of the machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(55);
const EVENTS: usize = 10_000;
/// How many of them come before the connection is back: how fast a busy machine reads the others is not what is asked.
const MEANWHILE: usize = 250;
const PACE: u32 = 8;

struct Drill {
    server: DingtalkServer,
    clock: QuickClock,
    stream: BoxStream<'static, Result<Received>>,
    told: usize,
    seen: HashSet<String>,
    news: Vec<(Duration, Connection)>,
}

impl Drill {
    async fn new() -> Self {
        let seconds = |seconds: u64| Duration::from_secs(seconds) / PACE;
        let config = DingtalkConfig::default()
            .redelivery(seconds(32), 1000)
            .heartbeat(seconds(20), seconds(30), seconds(90))
            .drain_grace(seconds(10));
        let server = Emulator::start(config).await.unwrap();
        server.add_app(&NewApp::new(APP, SECRET, "Kit")).unwrap();
        server.user(ADA, "Ada");
        let clock = QuickClock::new(Arc::new(SystemClock::new()), PACE);
        let mut transport = channel_http::transport();
        transport.clock = Arc::new(clock.clone());
        transport.crowd = channel_core::Crowd::new();
        let builder = DingTalk::builder().app(APP, SECRET).transport(transport);
        let channel = builder.api_base(server.api_base()).build().unwrap();
        let mut drill = Self {
            stream: channel.events(),
            server,
            clock,
            told: 0,
            seen: HashSet::new(),
            news: Vec::new(),
        };
        drill.until(Self::is_back).await;
        drill
    }

    /// Takes what comes until it is as wanted.
    async fn until(&mut self, wanted: impl Fn(&Self) -> bool + Send + Sync) {
        let work = async {
            while !wanted(self) {
                let mut received = self.stream.next().await.unwrap().unwrap();
                let event = received.take().unwrap();
                received.ack().await.unwrap();
                match event.kind {
                    EventKind::Message(message) => {
                        self.seen.insert(message.text.to_string());
                    }
                    EventKind::Connection(news) => self.news.push((self.clock.elapsed(), news)),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap();
    }

    fn tell(&mut self, count: usize) {
        for number in self.told..self.told + count {
            let words = number.to_string();
            self.server.say(APP, ADA, words.as_str()).unwrap();
        }
        self.told += count;
    }

    /// When it was first said since then that the connection is lost.
    fn lost_at(&self, since: Duration) -> Option<Duration> {
        let lost = |(at, news): &&(Duration, Connection)| {
            *at >= since && matches!(news, Connection::Lost { .. })
        };
        self.news.iter().find(lost).map(|(at, _)| *at)
    }

    fn gaps(&self, since: Duration) -> usize {
        let gap = |(at, news): &&(Duration, Connection)| {
            *at >= since && matches!(news, Connection::Gap { .. })
        };
        self.news.iter().filter(gap).count()
    }

    fn is_back(&self) -> bool {
        let last = self
            .news
            .iter()
            .rev()
            .find(|(_, news)| !matches!(news, Connection::Alive | Connection::Gap { .. }));
        matches!(last, Some((_, Connection::Ready)))
    }

    fn has_everything(&self) -> bool {
        self.seen.len() == self.told
    }

    /// How often a ticket was asked for.
    fn attempts(&self) -> usize {
        let calls = self.server.calls();
        calls.iter().filter(|call| call.method == "open").count()
    }

    /// Until the present connection has lasted for so long that what befalls it is the first of its kind.
    async fn is_stable(&mut self) {
        let stable = self.clock.elapsed() + Duration::from_secs(65);
        // Signs of life come every 20 s.
        self.until(|drill| drill.clock.elapsed() >= stable).await;
    }

    /// Until the loss is told and mended, within the times that are promised.
    async fn falls_and_rises(&mut self, began: Duration) {
        self.until(|drill| drill.lost_at(began).is_some()).await;
        let red = self.lost_at(began).unwrap();
        assert!(red - began <= RED, "{:?}", red - began);
        self.until(Self::is_back).await;
        let back = self.clock.elapsed() - red;
        assert!(back <= BACK, "{back:?}");
    }
}

#[tokio::test]
async fn whatever_ends_a_connection_none_of_ten_thousand_events_is_lost() {
    let mut drill = Drill::new().await;
    // Half open, and cut.
    for end in [Emulator::stall, Emulator::cut] {
        let attempts = drill.attempts();
        let began = drill.clock.elapsed();
        end(drill.server.dingtalk(), APP);
        drill.tell(MEANWHILE);
        drill.falls_and_rises(began).await;
        drill.tell(EVENTS / 4 - MEANWHILE);
        drill.until(Drill::has_everything).await;
        assert!(drill.gaps(began) >= 1, "a loss may have cost something");
        let tried = drill.attempts() - attempts;
        assert!((1..=3).contains(&tried), "{tried} attempts");
    }
    // A notice: the next connection is there before the old one goes.
    drill.is_stable().await;
    let attempts = drill.attempts();
    let began = drill.clock.elapsed();
    drill.server.drain(APP);
    drill.tell(MEANWHILE);
    drill.until(Drill::has_everything).await;
    assert!(drill.clock.elapsed() - began <= BACK);
    drill.tell(EVENTS / 2 - MEANWHILE);
    drill.until(Drill::has_everything).await;
    assert!(drill.lost_at(began).is_none(), "{:?}", drill.news);
    assert_eq!((drill.attempts(), drill.gaps(began)), (attempts + 1, 0));
    assert_eq!(drill.told, EVENTS);
}

#[tokio::test]
async fn a_connection_that_breaks_again_and_again_is_no_storm_and_loses_nothing() {
    let mut drill = Drill::new().await;
    drill.is_stable().await;
    let attempts = drill.attempts();
    for _ in 0..5 {
        let began = drill.clock.elapsed();
        drill.server.cut(APP);
        drill.tell(MEANWHILE);
        drill.falls_and_rises(began).await;
        drill.tell(EVENTS * 2 / 25 - MEANWHILE);
        drill.until(Drill::has_everything).await;
    }
    let tried = drill.attempts() - attempts;
    assert!((5..=8).contains(&tried), "{tried} attempts");
}

#[tokio::test]
async fn a_platform_that_falls_silent_is_noticed_and_tells_everything_afterwards() {
    let mut drill = Drill::new().await;
    // It is known to speak by itself.
    drill.until(|drill| drill.server.pongs(APP) > 0).await;
    let attempts = drill.attempts();
    let began = drill.clock.elapsed();
    drill.server.faults().silent(true);
    drill.tell(MEANWHILE);
    drill.until(|drill| drill.lost_at(began).is_some()).await;
    let red = drill.lost_at(began).unwrap() - began;
    assert!(red <= RED, "{red:?}");
    drill.server.faults().silent(false);
    let ended = drill.clock.elapsed();
    drill.until(Drill::is_back).await;
    let back = drill.clock.elapsed() - ended;
    assert!(back <= BACK, "{back:?}");
    drill.tell(EVENTS - MEANWHILE);
    drill.until(Drill::has_everything).await;
    let tried = drill.attempts() - attempts;
    assert!((1..=4).contains(&tried), "{tried} attempts");
}

#[tokio::test]
async fn what_a_platform_loses_while_nobody_is_there_is_told_as_a_gap() {
    let mut drill = Drill::new().await;
    drill.tell(10);
    drill.until(Drill::has_everything).await;
    drill.server.faults().lossy(true);
    let began = drill.clock.elapsed();
    drill.server.cut(APP);
    drill.tell(EVENTS);
    drill.falls_and_rises(began).await;
    drill.until(|drill| drill.gaps(began) > 0).await;
    drill.server.faults().lossy(false);
    drill.tell(1);
    let last = (EVENTS + 10).to_string();
    drill.until(|drill| drill.seen.contains(&last)).await;
    let lost = drill.told - drill.seen.len();
    let admitted = drill.server.deliveries().into_iter();
    let admitted = admitted.filter(|one| one.error == Some("lost")).count();
    assert!(lost > 0 && admitted > 0, "{lost} lost, {admitted} admitted");
    assert_eq!(drill.gaps(began), 1);
}
