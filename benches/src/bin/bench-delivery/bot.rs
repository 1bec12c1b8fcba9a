//! A whole bot on SQLite: what the store costs together with everything around it.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;
use channel_core::{
    Acknowledge, AllowEveryone, Channel, ChannelId, ChannelInfo, Event, Events, Guarantees,
    Identity, Limits, MessageRef, OutboundMessage, Platform, Receipt, Received, Redelivery, Repeat,
    TextLimit, TextUnit,
};
use channel_delivery::SqliteStore;
use channel_runtime::{Bot, Running};
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::files::{Folder, load, median, spread};
use crate::lanes::{LANES, event};

const SPAN: Duration = Duration::from_secs(3);
/// Half of 5,000 messages in and 2,000 out a second.
const PACE: f64 = 2_500.0;

/// A platform in memory: it answers at once, and people say as much as they are told to.
#[derive(Clone)]
struct People(Arc<Inner>);

struct Inner {
    info: ChannelInfo,
    says: mpsc::UnboundedSender<(Event, u64)>,
    hears: Mutex<Option<mpsc::UnboundedReceiver<(Event, u64)>>>,
    /// When each event should have arrived.
    due: Mutex<Vec<Instant>>,
    /// From then to its acknowledgement, in ms.
    took: Mutex<Vec<f64>>,
    handled: AtomicU64,
    sent: AtomicU64,
    /// Whether an answer is followed by the next message.
    talkative: AtomicBool,
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("People")
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inner")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl People {
    fn new() -> Self {
        let limits = Limits::new(TextLimit::new(4096, TextUnit::CodePoints));
        let repeat = Repeat::Keyed(Duration::from_secs(86_400));
        let platform = Platform::new("telegram");
        let info = ChannelInfo::new(ChannelId::new("telegram"), platform, limits)
            .guarantees(Guarantees::new(Redelivery::UntilAcknowledged, repeat));
        let (says, hears) = mpsc::unbounded_channel();
        Self(Arc::new(Inner {
            info,
            says,
            hears: Mutex::new(Some(hears)),
            due: Mutex::default(),
            took: Mutex::default(),
            handled: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            talkative: AtomicBool::new(false),
        }))
    }

    /// Somebody says something, which was due then.
    fn say(&self, lane: usize, due: Instant) {
        let token = {
            let mut all = lock(&self.0.due);
            all.push(due);
            all.len() as u64 - 1
        };
        // Nobody listens to a bot that has stopped.
        let _ = self.0.says.send((event(lane).event, token));
    }

    fn is_handled(&self, chat: &str) {
        self.0.handled.fetch_add(1, Ordering::Relaxed);
        if self.0.talkative.load(Ordering::Relaxed)
            && let Ok(lane) = chat.parse()
        {
            self.say(lane, Instant::now());
        }
    }

    /// A bot that answers so many of five messages.
    async fn bot(&self, store: SqliteStore, answers: u64) -> Result<Running> {
        let (people, number) = (self.clone(), Arc::new(AtomicU64::new(0)));
        let bot = Bot::new(AllowEveryone)
            .store(store)
            .channel(self.clone())
            .on_message(move |message| {
                let people = people.clone();
                let is_answered = number.fetch_add(1, Ordering::Relaxed) % 5 < answers;
                async move {
                    if is_answered {
                        message.reply(format!("echo: {}", message.text)).await?;
                    }
                    people.is_handled(message.chat.id.as_str());
                    Ok(())
                }
            });
        Ok(bot.start().await?)
    }
}

#[async_trait]
impl Acknowledge for Inner {
    async fn ack(&self, token: u64) -> channel_core::Result<()> {
        let due = lock(&self.due)
            .get(usize::try_from(token).unwrap_or(0))
            .copied();
        let took = due.map_or(f64::NAN, |due| due.elapsed().as_secs_f64() * 1e3);
        lock(&self.took).push(took);
        Ok(())
    }
    async fn nak(&self, _: u64) -> channel_core::Result<()> {
        Ok(())
    }
    fn abandon(&self, _: u64) {}
}

#[async_trait]
impl Channel for People {
    fn info(&self) -> &ChannelInfo {
        &self.0.info
    }

    async fn send(&self, message: &OutboundMessage) -> channel_core::Result<Receipt> {
        let number = self.0.sent.fetch_add(1, Ordering::Relaxed);
        let chat = message.to.target().chat.clone();
        let sent = MessageRef::new(chat, number.to_string().into());
        Ok(Receipt::new(vec![sent]))
    }

    async fn probe(&self) -> channel_core::Result<Identity> {
        Ok(Identity::new("bot", "Bot"))
    }

    fn as_events(&self) -> Option<&dyn Events> {
        Some(self)
    }
}

#[async_trait]
impl Events for People {
    fn events(&self) -> BoxStream<'static, channel_core::Result<Received>> {
        let Some(hears) = lock(&self.0.hears).take() else {
            return futures_util::stream::pending().boxed();
        };
        let inner = Arc::clone(&self.0);
        futures_util::stream::unfold(hears, move |mut hears| {
            let duty: Arc<dyn Acknowledge> = Arc::clone(&inner) as _;
            async move {
                let (event, token) = hears.recv().await?;
                Some((Ok(Received::new(event, duty, token)), hears))
            }
        })
        .boxed()
    }

    async fn close(&self) -> channel_core::Result<()> {
        Ok(())
    }
}

/// One message at a time in each lane, as fast as it goes; messages a second.
async fn saturated(path: &Path, answers: u64) -> Result<f64> {
    let (store, people) = (SqliteStore::open(path).await?, People::new());
    let running = people.bot(store, answers).await?;
    people.0.talkative.store(true, Ordering::Relaxed);
    for lane in 0..LANES {
        people.say(lane, Instant::now());
    }
    tokio::time::sleep(SPAN / 6).await;
    let (start, before) = (Instant::now(), people.0.handled.load(Ordering::Relaxed));
    tokio::time::sleep(SPAN).await;
    let count = people.0.handled.load(Ordering::Relaxed) - before;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    people.0.talkative.store(false, Ordering::Relaxed);
    running.stop().await;
    Ok(rate)
}

/// Messages at a steady rate, two of five of them answered; how long each took from when it was
/// due to its acknowledgement, in ms, sorted.
async fn paced(path: &Path) -> Result<Vec<f64>> {
    let (store, people) = (SqliteStore::open(path).await?, People::new());
    let running = people.bot(store, 2).await?;
    let (start, step) = (Instant::now(), Duration::from_secs_f64(1.0 / PACE));
    let mut next = start;
    for lane in (0..LANES).cycle() {
        if next > start + SPAN {
            break;
        }
        tokio::time::sleep_until(next.into()).await;
        people.say(lane, next);
        next += step;
    }
    running.stop().await;
    let mut took = std::mem::take(&mut *lock(&people.0.took));
    took.sort_by(f64::total_cmp);
    Ok(took)
}

pub(crate) async fn run_rounds(rounds: u64) -> Result<()> {
    let folder = Folder::new("bot")?;
    println!(
        "{LANES} conversations, files in {}",
        folder.path().display()
    );
    let (mut inbound, mut echoes) = (Vec::new(), Vec::new());
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let file = |name: &str| folder.file(&format!("{name}{round}"));
        let heard = saturated(&file("heard"), 0).await?;
        let echoed = saturated(&file("echoed"), 5).await?;
        let took = paced(&file("paced")).await?;
        let part = |thousandths: usize| {
            let place = took.len() * thousandths / 1000;
            took.get(place).copied().unwrap_or(f64::NAN)
        };
        println!(
            "round {round}: {heard:.0} handled, {echoed:.0} answered a second; acknowledged at \
             {PACE} a second p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms of {}; load {}",
            part(500),
            part(990),
            took.last().copied().unwrap_or(f64::NAN),
            took.len(),
            load()
        );
        inbound.push(heard);
        echoes.push(echoed);
        p50.push(part(500));
        p99.push(part(990));
    }
    println!(
        "handled           {} messages a second",
        spread(&inbound, 0)
    );
    println!("answered          {} messages a second", spread(&echoes, 0));
    println!("acknowledged p50  {} ms", spread(&p50, 2));
    println!("acknowledged p99  {} ms", spread(&p99, 2));
    let holds = median(&inbound) >= 5_000.0 && median(&echoes) >= 2_000.0 && median(&p99) < 25.0;
    anyhow::ensure!(
        holds,
        "expected 5,000 handled, 2,000 answered, p99 under 25 ms"
    );
    Ok(())
}
