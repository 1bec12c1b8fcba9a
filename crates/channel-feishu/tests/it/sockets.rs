//! The deafness drill once more, on real sockets against the emulator. The platform asks for pings every five
//! seconds and repeats every two, so that minutes are seconds; what is asked of the channel stays as it is.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use channel_core::{Connection, Event, EventKind, Events as _, Received, Result};
use channel_emulator::feishu::{Feishu as Emulator, FeishuConfig, FeishuServer, NewApp};
use channel_feishu::Feishu;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

const APP: &str = "cli_0000000000000001";
const SECRET: &str = "synthetic_app_secret_0001";
const RED: Duration = Duration::from_secs(90);
const BACK: Duration = Duration::from_secs(30);
/// Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(55);
const EVENTS: usize = 10_000;

struct Drill {
    server: FeishuServer,
    ada: String,
    stream: BoxStream<'static, Result<Received>>,
    told: usize,
    seen: HashSet<String>,
    news: Vec<(Instant, Connection)>,
}

impl Drill {
    async fn new() -> Self {
        let again = [Duration::from_secs(2); 100];
        let config = FeishuConfig::default().connection(5, 1, 1);
        let server = Emulator::start(config.redelivery(&again)).await.unwrap();
        server.add_app(&NewApp::new(APP, SECRET, "Kit")).unwrap();
        let ada = server.user("Ada");
        let builder = Feishu::builder().app(APP, SECRET);
        let channel = builder.api_base(server.api_base()).build().unwrap();
        let mut drill = Self {
            stream: channel.events(),
            server,
            ada,
            told: 0,
            seen: HashSet::new(),
            news: Vec::new(),
        };
        drill.until(|drill| drill.is_back(Instant::now())).await;
        drill
    }

    /// Takes what comes until it is as wanted.
    async fn until(&mut self, wanted: impl Fn(&Self) -> bool + Send + Sync) {
        let work = async {
            while !wanted(self) {
                let mut received = self.stream.next().await.unwrap().unwrap();
                let event = received.take().unwrap();
                received.ack().await.unwrap();
                self.keep(event);
            }
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap();
    }

    fn keep(&mut self, event: Event) {
        match event.kind {
            EventKind::Message(message) => {
                self.seen.insert(message.text.to_string());
            }
            EventKind::Connection(news) => self.news.push((Instant::now(), news)),
            _ => {}
        }
    }

    fn tell(&mut self, count: usize) {
        for number in self.told..self.told + count {
            let words = number.to_string();
            self.server.say(APP, &self.ada, words.as_str()).unwrap();
        }
        self.told += count;
    }

    /// When it was last said that the connection is lost, since then.
    fn lost_at(&self, since: Instant) -> Option<Instant> {
        let lost = |(at, news): &&(Instant, Connection)| {
            *at >= since && matches!(news, Connection::Lost { .. })
        };
        self.news.iter().find(lost).map(|(at, _)| *at)
    }

    fn is_back(&self, now: Instant) -> bool {
        let last = self.news.iter().rev().find(|(at, news)| {
            *at <= now && !matches!(news, Connection::Alive | Connection::Gap { .. })
        });
        matches!(last, Some((_, Connection::Ready)))
    }

    fn has_everything(&self) -> bool {
        self.seen.len() == self.told
    }

    /// How often an address was asked for.
    fn attempts(&self) -> usize {
        let calls = self.server.calls();
        calls
            .iter()
            .filter(|call| call.method == "ws_endpoint")
            .count()
    }
}

#[tokio::test]
async fn whatever_ends_a_connection_none_of_ten_thousand_events_is_lost() {
    let mut drill = Drill::new().await;
    let ends: [fn(&Emulator, &str); 3] = [Emulator::stall, Emulator::cut, Emulator::drain];
    for end in ends {
        let attempts = drill.attempts();
        let began = Instant::now();
        end(drill.server.feishu(), APP);
        drill.tell(EVENTS / 5);
        drill.until(|drill| drill.lost_at(began).is_some()).await;
        let red = drill.lost_at(began).unwrap();
        assert!(red - began <= RED, "{:?}", red - began);
        drill.until(|drill| drill.is_back(Instant::now())).await;
        assert!(red.elapsed() <= BACK, "{:?}", red.elapsed());
        drill.until(Drill::has_everything).await;
        let tried = drill.attempts() - attempts;
        assert!((1..=3).contains(&tried), "{tried} attempts");
    }
    // A connection that breaks again and again.
    let attempts = drill.attempts();
    for _ in 0..8 {
        drill.server.cut(APP);
        drill.tell(EVENTS / 20);
        let began = Instant::now();
        drill.until(|drill| drill.lost_at(began).is_some()).await;
        drill.until(|drill| drill.is_back(Instant::now())).await;
        assert!(began.elapsed() <= BACK, "{:?}", began.elapsed());
    }
    drill.until(Drill::has_everything).await;
    assert_eq!(drill.told, EVENTS);
    let tried = drill.attempts() - attempts;
    assert!((8..=16).contains(&tried), "{tried} attempts");
}

#[tokio::test]
async fn a_platform_that_falls_silent_is_noticed_and_tells_everything_afterwards() {
    let mut drill = Drill::new().await;
    let attempts = drill.attempts();
    let began = Instant::now();
    drill.server.faults().silent(true);
    drill.tell(EVENTS);
    drill.until(|drill| drill.lost_at(began).is_some()).await;
    let red = drill.lost_at(began).unwrap() - began;
    assert!(red <= RED, "{red:?}");
    drill.server.faults().silent(false);
    let ended = Instant::now();
    drill.until(|drill| drill.is_back(Instant::now())).await;
    assert!(ended.elapsed() <= BACK, "{:?}", ended.elapsed());
    drill.until(Drill::has_everything).await;
    let tried = drill.attempts() - attempts;
    assert!((1..=4).contains(&tried), "{tried} attempts");
}
