//! The deafness drill once more, on real sockets against the emulator. HELLO asks for heartbeats every two seconds, so
//! that minutes are seconds; what is asked of the channel stays as it is.

use std::time::{Duration, Instant};

use channel_core::{Connection, EventKind, Events as _, Received, Result};
use channel_discord::Discord;
use channel_emulator::discord::{
    Discord as Emulator, DiscordConfig, DiscordServer, Mute, NewBot, NewGuild,
};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

const TOKEN: &str = "synthetic.discord.token";
const RED: Duration = Duration::from_secs(90);
const BACK: Duration = Duration::from_secs(30);
/// Nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(55);
const EVENTS: usize = 10_000;

struct Drill {
    server: DiscordServer,
    bot: u64,
    ada: u64,
    direct: u64,
    stream: BoxStream<'static, Result<Received>>,
    told: usize,
    /// Every message, in the order in which it came.
    heard: Vec<String>,
    news: Vec<(Instant, Connection)>,
}

impl Drill {
    async fn new() -> Self {
        let config = DiscordConfig::default().heartbeat(Duration::from_secs(2));
        let server = Emulator::start(config).await.unwrap();
        let bot = server.add_bot(&NewBot::new(TOKEN, "kitbot")).unwrap();
        let ada = server.user("Ada");
        server.guild(&NewGuild::new("Kit", &[bot], &[ada])).unwrap();
        let direct = server.direct(bot, ada).unwrap();
        let builder = Discord::builder().bot_token(TOKEN);
        let channel = builder.api_base(server.api_base()).build().unwrap();
        let mut drill = Self {
            stream: channel.events(),
            server,
            bot,
            ada,
            direct,
            told: 0,
            heard: Vec::new(),
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
                    EventKind::Message(message) => self.heard.push(message.text.to_string()),
                    EventKind::Connection(news) => self.news.push((Instant::now(), news)),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap();
    }

    fn tell(&mut self, count: usize) {
        for number in self.told..self.told + count {
            let words = number.to_string();
            self.server
                .post(self.direct, self.ada, words.as_str())
                .unwrap();
        }
        self.told += count;
    }

    /// When it was first said that the connection is lost, since then.
    fn lost_at(&self, since: Instant) -> Option<Instant> {
        let lost = |(at, news): &&(Instant, Connection)| {
            *at >= since && matches!(news, Connection::Lost { .. })
        };
        self.news.iter().find(lost).map(|(at, _)| *at)
    }

    fn is_back(&self) -> bool {
        let mut news = self.news.iter().rev().map(|(_, news)| news);
        let last = news.find(|news| matches!(news, Connection::Ready | Connection::Lost { .. }));
        matches!(last, Some(Connection::Ready))
    }

    fn has_everything(&self) -> bool {
        self.heard.len() >= self.told
    }

    fn gaps(&self) -> usize {
        let gaps = self.news.iter();
        gaps.filter(|(_, news)| matches!(news, Connection::Gap { .. }))
            .count()
    }

    /// Each number once, in order, in one session that was resumed.
    fn assert_complete(&self, count: usize) {
        let wanted: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        assert!(self.heard == wanted, "lost, doubled or out of order");
        assert_eq!(self.gaps(), 0);
        let identifies = self.server.connections();
        let identifies = identifies.iter().filter(|it| it.how == Some("identify"));
        assert_eq!(identifies.count(), 1);
    }

    /// Breaks the connection, tells numbers meanwhile, and wants to be told within the times.
    async fn survive(&mut self, count: usize, end: impl FnOnce(&Emulator, u64) + Send) {
        let attempts = self.server.connections().len();
        let began = Instant::now();
        end(self.server.discord(), self.bot);
        self.tell(count);
        self.until(|drill| drill.lost_at(began).is_some()).await;
        let red = self.lost_at(began).unwrap();
        assert!(red - began <= RED, "{:?}", red - began);
        self.until(Self::is_back).await;
        assert!(red.elapsed() <= BACK, "{:?}", red.elapsed());
        self.until(Self::has_everything).await;
        let tried = self.server.connections().len() - attempts;
        assert!((1..=3).contains(&tried), "{tried} attempts");
    }
}

#[tokio::test]
async fn whatever_ends_a_connection_each_of_ten_thousand_events_comes_once_and_in_order() {
    let mut drill = Drill::new().await;
    let half_open = |server: &Emulator, bot| {
        server.mute(bot, Mute::HalfOpen);
    };
    let cut = |server: &Emulator, bot| {
        server.cut(bot);
    };
    let drain = |server: &Emulator, _| {
        server.drain();
    };
    drill.survive(EVENTS / 4, half_open).await;
    drill.survive(EVENTS / 4, cut).await;
    drill.survive(EVENTS / 2, drain).await;
    drill.assert_complete(EVENTS);
}

#[tokio::test]
async fn a_connection_that_breaks_again_and_again_loses_nothing_and_is_no_storm() {
    let mut drill = Drill::new().await;
    for _ in 0..4 {
        drill
            .survive(EVENTS / 50, |server, bot| {
                server.cut(bot);
            })
            .await;
    }
    drill.assert_complete(EVENTS / 50 * 4);
}

#[tokio::test]
async fn what_discord_does_not_repeat_is_a_gap() {
    let mut drill = Drill::new().await;
    drill.tell(100);
    drill.until(Drill::has_everything).await;
    drill.server.forget_sessions(drill.bot);
    drill.server.cut(drill.bot);
    let began = Instant::now();
    // Nobody repeats these.
    drill.tell(100);
    drill.until(|drill| drill.gaps() == 1).await;
    drill.until(Drill::is_back).await;
    assert!(began.elapsed() <= BACK, "{:?}", began.elapsed());
    let missed = drill.told - drill.heard.len();
    drill.tell(100);
    drill
        .until(|drill| drill.heard.len() + missed >= drill.told)
        .await;
    assert_eq!(drill.heard.last().unwrap(), "299");
}
