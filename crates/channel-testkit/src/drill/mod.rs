//! The deafness drill: whatever happens to a connection, the channel says so within 90 s, is back
//! within 30 s of its end, and loses nothing that its platform delivers again.
//!
//! One way through all faults for all platforms that keep a connection, on virtual time and on
//! real sockets. An adapter brings a [`Rig`]; [`drill`] does the rest, and its [`Verdict`] tells
//! which promise was broken.

mod harness;
mod quick;
mod weather;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock, Connection, EventId, EventKind, Received, Result, timeout};
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;

pub use harness::{Hurry, leaves_nothing, outlive};
pub use quick::QuickClock;
pub use weather::Weather;

const SECOND: Duration = Duration::from_secs(1);
/// How long a connection may be dead before the channel says so.
const RED: Duration = Duration::from_secs(90);
/// How soon after the end of a fault events come again.
const BACK: Duration = Duration::from_secs(30);
/// From when on a connection counts as stable for everybody.
const STABLE: Duration = Duration::from_secs(70);
/// How many events come at a time.
const PIECE: usize = 250;
/// The shortest time between two attempts on average, in a fault that lasts.
const PACE: Duration = Duration::from_secs(8);

/// What befalls a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Neither end sees anything of the other any more.
    HalfOpen,
    /// The platform says nothing, on old and new connections alike, while its transport answers.
    Silence,
    /// The server wants to be left.
    Drain,
    /// The machine sleeps for an hour, and the connection is dead then.
    Sleep,
    /// No names are resolved for ten minutes.
    NoNames,
    /// Handshakes are refused with 429 for ten minutes.
    Refused,
    /// Who asks where to connect is refused with 5xx and 429 for ten minutes.
    NoTicket,
    /// Whatever connection there is is cut every 5 s, for an hour.
    Flapping,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 8] = [
        Self::HalfOpen,
        Self::Silence,
        Self::Drain,
        Self::Sleep,
        Self::NoNames,
        Self::Refused,
        Self::NoTicket,
        Self::Flapping,
    ];

    /// What befalls the network, whatever the platform does.
    pub const NETWORK: [Self; 5] = [
        Self::Sleep,
        Self::NoNames,
        Self::Refused,
        Self::NoTicket,
        Self::Flapping,
    ];

    /// Whether the channel has to say that it is deaf. After the others it may have a new
    /// connection before the old one is gone.
    const fn shows(self) -> bool {
        !matches!(self, Self::Drain | Self::Sleep)
    }
}

/// A channel and its platform.
pub trait Rig: Send + Sync {
    /// The clock of the channel.
    fn clock(&self) -> Arc<dyn Clock>;
    /// What the channel's transport is exposed to.
    fn weather(&self) -> &Weather;
    /// A new stream of the channel's events.
    fn events(&self) -> BoxStream<'static, Result<Received>>;
    /// A person writes the number to the bot.
    fn tell(&self, number: usize);
    /// Makes the present connection half-open.
    fn hang(&self);
    /// Breaks the present connection, if there is one.
    fn cut(&self);
    /// Says nothing any more, or again.
    fn silence(&self, on: bool);
    /// Asks the channel to leave the present connection.
    fn drain(&self);
    /// The wall clock runs ahead, as after a sleep of the machine.
    fn sleep(&self, span: Duration);
    /// Delivers again what was not acknowledged, where a platform does so after a while and this one
    /// has no clock of its own.
    fn redeliver(&self) {}
}

/// How much of it is done.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Scale {
    /// How many numbered events come.
    pub events: usize,
    /// How many of them come during the fault, where it lasts.
    pub meanwhile: usize,
    /// How long outages last.
    pub outage: Duration,
    /// How long a connection flaps.
    pub flapping: Duration,
}

impl Scale {
    /// As it is asked for: ten thousand events, ten minutes, an hour.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            events: 10_000,
            meanwhile: 10_000,
            outage: Duration::from_secs(600),
            flapping: Duration::from_secs(3600),
        }
    }

    /// For faults that run beside each other on real sockets: outages of 40 s, and 200 events during
    /// each, because how fast a busy machine reads is not what is asked.
    #[must_use]
    pub const fn brief() -> Self {
        let outage = Duration::from_secs(40);
        Self::full().telling(200, 200).lasting(outage, outage)
    }

    /// With so many events, and so many of them during the fault.
    #[must_use]
    pub const fn telling(mut self, events: usize, meanwhile: usize) -> Self {
        self.events = events;
        self.meanwhile = meanwhile;
        self
    }

    /// With shorter outages, for clocks that do not run ahead.
    #[must_use]
    pub const fn lasting(mut self, outage: Duration, flapping: Duration) -> Self {
        self.outage = outage;
        self.flapping = flapping;
        self
    }
}

/// What a drill has shown.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// The fault.
    pub fault: Fault,
    /// How long it took to be told.
    pub red: Option<Duration>,
    /// How long after the end an event came that was told after the end.
    pub back: Option<Duration>,
    /// The events that never came.
    pub lost: Vec<usize>,
    /// How many events came as several.
    pub doubled: usize,
    /// How often it was said that something may be missing.
    pub gaps: usize,
    /// How often it was tried to connect.
    pub attempts: usize,
    /// How long the fault lasted.
    pub lasted: Duration,
    /// Why the stream has ended, if it has.
    pub ended: Option<String>,
}

impl Verdict {
    /// The promises that were broken.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut promise = |kept: bool, words: String| {
            if !kept {
                broken.push(words);
            }
        };
        let red = self.red.map_or(!self.fault.shows(), |red| red <= RED);
        promise(red, format!("red within 90 s: {:?}", self.red));
        let back = self.back.is_some_and(|back| back <= BACK);
        promise(back, format!("back within 30 s: {:?}", self.back));
        let lost = self.lost.len();
        promise(lost == 0, format!("nothing is lost: {lost} events"));
        promise(self.doubled == 0, format!("doubled: {}", self.doubled));
        let most = 6 + self.lasted.as_millis() / PACE.as_millis();
        let calm = self.attempts as u128 <= most;
        promise(calm, format!("{} attempts, not {most}", self.attempts));
        promise(self.attempts > 0, "there was an attempt".to_owned());
        promise(self.ended.is_none(), format!("ended: {:?}", self.ended));
        broken
    }

    /// # Panics
    ///
    /// If a promise was broken.
    pub fn check(&self) {
        let broken = self.broken();
        assert!(broken.is_empty(), "{:?}: {broken:?}", self.fault);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}: red {:?}, back {:?}, {} lost, {} gaps, {} attempts in {:?}",
            self.fault,
            self.red,
            self.back,
            self.lost.len(),
            self.gaps,
            self.attempts,
            self.lasted
        )
    }
}

/// Lets one fault befall a channel whose connection is stable.
///
/// Panics if the channel is not ready within half a minute in the first place.
pub async fn drill(rig: &dyn Rig, fault: Fault, scale: Scale) -> Verdict {
    let mut watch = Watch::new(rig);
    assert!(
        watch.until(BACK, Watch::is_ready).await,
        "the channel is ready"
    );
    watch.run(STABLE).await;
    watch.news.clear();
    let before = rig.weather().attempts();
    let began = watch.now();
    watch.befall(fault, scale, began).await;
    let red = watch.lost_at().map(|at| at.saturating_sub(began));
    // The end of what is dead for good is that it is noticed.
    let ended = match (fault, watch.lost_at()) {
        (Fault::HalfOpen, Some(at)) => at,
        (Fault::Drain | Fault::Sleep, _) => began,
        _ => watch.now(),
    };
    // A platform that does not know yet that a connection is dead may send to it what is told first.
    let first = watch.told;
    let is_back = move |watch: &Watch<'_>| watch.latest.is_some_and(|(number, _)| number >= first);
    while !is_back(&watch) && watch.now() < ended + BACK * 4 {
        watch.tell(1);
        watch.until(SECOND, is_back).await;
    }
    let back = watch.latest.filter(|(number, _)| *number >= first);
    let back = back.map(|(_, at)| at.saturating_sub(ended));
    let lasted = watch.now().saturating_sub(began);
    let attempts = rig.weather().attempts() - before;
    while watch.told < scale.events {
        watch.tell(PIECE.min(scale.events - watch.told));
        watch.run(SECOND / 2).await;
    }
    for _ in 0..10 {
        if watch.has_everything() {
            break;
        }
        rig.redeliver();
        watch.until(BACK, Watch::has_everything).await;
    }
    let is_gap = |(_, news): &&(Duration, Connection)| matches!(news, Connection::Gap { .. });
    Verdict {
        fault,
        red,
        back,
        lost: (0..watch.told)
            .filter(|number| !watch.ids.contains_key(number))
            .collect(),
        doubled: watch.doubled,
        gaps: watch.news.iter().filter(is_gap).count(),
        attempts,
        lasted,
        ended: watch.ended,
    }
}

/// Somebody who reads the stream and acknowledges what comes.
struct Watch<'a> {
    rig: &'a dyn Rig,
    clock: Arc<dyn Clock>,
    stream: BoxStream<'static, Result<Received>>,
    told: usize,
    /// As which event each number came.
    ids: HashMap<usize, EventId>,
    /// The highest number so far, and when it came.
    latest: Option<(usize, Duration)>,
    doubled: usize,
    news: Vec<(Duration, Connection)>,
    ready: bool,
    ended: Option<String>,
}

impl<'a> Watch<'a> {
    fn new(rig: &'a dyn Rig) -> Self {
        Self {
            rig,
            clock: rig.clock(),
            stream: rig.events(),
            told: 0,
            ids: HashMap::new(),
            latest: None,
            doubled: 0,
            news: Vec::new(),
            ready: false,
            ended: None,
        }
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn is_ready(&self) -> bool {
        self.ready
    }

    fn has_everything(&self) -> bool {
        self.ids.len() == self.told
    }

    fn lost_at(&self) -> Option<Duration> {
        let lost = |(_, news): &&(Duration, Connection)| matches!(news, Connection::Lost { .. });
        self.news.iter().find(lost).map(|(at, _)| *at)
    }

    fn tell(&mut self, count: usize) {
        for number in self.told..self.told + count {
            self.rig.tell(number);
        }
        self.told += count;
    }

    /// Reads for so long.
    async fn run(&mut self, span: Duration) {
        self.until(span, |_| false).await;
    }

    /// Reads until it is as wanted, at most for so long; says whether it is.
    async fn until(
        &mut self,
        span: Duration,
        wanted: impl Fn(&Self) -> bool + Send + Sync,
    ) -> bool {
        let clock = Arc::clone(&self.clock);
        let reading = async {
            while !wanted(self) {
                self.read().await;
            }
        };
        timeout(&*clock, span, reading).await.is_ok()
    }

    async fn read(&mut self) {
        if self.ended.is_some() {
            return std::future::pending().await;
        }
        let mut received = match self.stream.next().await {
            Some(Ok(received)) => received,
            Some(Err(error)) => {
                self.ended = Some(error.to_string());
                return;
            }
            None => {
                self.ended = Some("without a reason".to_owned());
                return;
            }
        };
        let now = self.now();
        if let Some(event) = received.take() {
            match event.kind {
                EventKind::Message(message) => {
                    if let Ok(number) = message.text.parse() {
                        if self.latest.is_none_or(|(latest, _)| number > latest) {
                            self.latest = Some((number, now));
                        }
                        let known = self.ids.entry(number).or_insert_with(|| event.id.clone());
                        self.doubled += usize::from(*known != event.id);
                    }
                }
                EventKind::Connection(news) => {
                    self.ready |= news == Connection::Ready;
                    self.news.push((now, news));
                }
                _ => {}
            }
        }
        if let Err(error) = received.ack().await {
            self.ended = Some(error.to_string());
        }
    }

    /// Lets it happen, and people write meanwhile; returns at its end.
    async fn befall(&mut self, fault: Fault, scale: Scale, began: Duration) {
        let (rig, weather) = (self.rig, self.rig.weather().clone());
        match fault {
            Fault::HalfOpen => {
                rig.hang();
                self.chat_until_red(scale, began).await;
            }
            Fault::Silence => {
                rig.silence(true);
                self.chat_until_red(scale, began).await;
                self.run(SECOND * 60).await;
                rig.silence(false);
            }
            Fault::Drain => {
                self.tell(PIECE.min(scale.meanwhile));
                rig.drain();
                self.tell(PIECE.min(scale.meanwhile));
            }
            Fault::Sleep => {
                rig.hang();
                self.tell(PIECE.min(scale.meanwhile));
                rig.sleep(SECOND * 3600);
            }
            Fault::NoNames => {
                weather.no_names(true);
                self.outage(scale).await;
                weather.no_names(false);
            }
            Fault::Refused => {
                weather.refusing(true);
                self.outage(scale).await;
                weather.refusing(false);
            }
            Fault::NoTicket => {
                weather.no_ticket(true);
                self.outage(scale).await;
                weather.no_ticket(false);
            }
            Fault::Flapping => {
                let each =
                    scale.meanwhile * 5 / usize::try_from(scale.flapping.as_secs()).unwrap_or(1);
                while self.now() < began + scale.flapping {
                    rig.cut();
                    self.tell(each);
                    self.run(SECOND * 5).await;
                }
                rig.cut();
            }
        }
    }

    /// People write all the time, until the channel says that it is deaf.
    async fn chat_until_red(&mut self, scale: Scale, began: Duration) {
        while self.lost_at().is_none() && self.now() < began + RED * 2 {
            if self.told + PIECE <= scale.meanwhile {
                self.tell(PIECE);
            }
            self.until(SECOND * 2, |watch| watch.lost_at().is_some())
                .await;
        }
    }

    /// The connection breaks and cannot be opened, and people write all the time.
    async fn outage(&mut self, scale: Scale) {
        self.rig.cut();
        let pieces = u32::try_from(scale.meanwhile.div_ceil(PIECE)).unwrap_or(1);
        for _ in 0..pieces {
            self.tell(PIECE.min(scale.meanwhile));
            self.run(scale.outage / pieces).await;
        }
    }
}
