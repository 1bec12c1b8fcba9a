//! A platform, a clock and a scheduler in memory: what the tests of the outbox run in.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{
    Body, Channel, ChannelId, ChannelInfo, Clock, Error, ErrorKind, Guarantees, History, Identity,
    Limits, Message, MessageId, MessageRef, OutboundMessage, Pacing, Parts, Platform, Random,
    Receipt, Redelivery, Repeat, Result, Target, TextLimit, TextUnit,
};
use channel_delivery::{
    Counts, Failure, MemoryStore, Outbox, OutboxSettings, PartState, Spawn, Store, Worker,
};
use channel_testkit::{SeededRandom, VirtualClock};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const CHANNEL: &str = "fake";

/// What one request meets.
pub(crate) enum Fault {
    /// The platform answers with an error.
    Error(Error),
    /// The message arrives and the answer does not.
    LostAnswer,
    /// Neither arrives, and nobody knows.
    LostRequest,
    /// Nothing ever comes back.
    Hang,
    /// The adapter has a bug.
    Panic,
    /// The process dies with the message on the platform or not.
    Crash { shown: bool },
}

/// A message that a user sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) chat: String,
    pub(crate) text: String,
    pub(crate) key: String,
}

#[derive(Default)]
struct State {
    shown: Vec<Shown>,
    /// When each request came, and for which text.
    requests: Vec<(Duration, String)>,
    faults: VecDeque<(String, Fault)>,
    keys: Vec<(String, MessageRef)>,
    finds: VecDeque<Error>,
    crashed: bool,
    latency: Duration,
    on_request: Option<Box<dyn FnMut() + Send>>,
}

/// The platform behind the fake channel; outlives every process.
#[derive(Clone)]
pub(crate) struct FakePlatform {
    state: Arc<Mutex<State>>,
    clock: VirtualClock,
}

impl FakePlatform {
    fn new(clock: &VirtualClock) -> Self {
        Self {
            state: Arc::default(),
            clock: clock.clone(),
        }
    }

    /// The next request for this text meets a fault; faults for one text come in order.
    pub(crate) fn fault(&self, text: &str, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.faults.push_back((text.to_owned(), fault));
    }

    pub(crate) fn error(&self, text: &str, error: Error) {
        self.fault(text, Fault::Error(error));
    }

    pub(crate) fn find_fails(&self, error: Error) {
        self.state.lock().unwrap().finds.push_back(error);
    }

    pub(crate) fn on_request(&self, hook: impl FnMut() + Send + 'static) {
        self.state.lock().unwrap().on_request = Some(Box::new(hook));
    }

    pub(crate) fn shown(&self) -> Vec<Shown> {
        self.state.lock().unwrap().shown.clone()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.shown().into_iter().map(|shown| shown.text).collect()
    }

    pub(crate) fn texts_in(&self, chat: &str) -> Vec<String> {
        let shown = self.shown().into_iter();
        let there = shown.filter(|shown| shown.chat == chat);
        there.map(|shown| shown.text).collect()
    }

    /// When requests came, in milliseconds after the first.
    pub(crate) fn request_times(&self) -> Vec<u128> {
        let state = self.state.lock().unwrap();
        let first = state.requests.first().map_or(Duration::ZERO, |(at, _)| *at);
        let times = state.requests.iter();
        times.map(|(at, _)| (*at - first).as_millis()).collect()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .requests
            .iter()
            .map(|(_, text)| text.clone())
            .collect()
    }

    pub(crate) fn crash(&self) {
        self.state.lock().unwrap().crashed = true;
    }

    pub(crate) fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    fn has_crashed(&self) -> bool {
        std::mem::take(&mut self.state.lock().unwrap().crashed)
    }

    fn take_fault(&self, text: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let at = state.faults.iter().position(|(of, _)| of == text)?;
        state.faults.remove(at).map(|(_, fault)| fault)
    }

    fn show(&self, keyed: bool, shown: Shown) -> MessageRef {
        let mut state = self.state.lock().unwrap();
        if let Some((_, at)) = state.keys.iter().find(|(key, _)| *key == shown.key)
            && keyed
        {
            return at.clone();
        }
        let id = MessageId::from(i64::try_from(state.shown.len()).unwrap() + 1);
        let at = MessageRef::new(shown.chat.as_str().into(), id);
        state.keys.push((shown.key.clone(), at.clone()));
        state.shown.push(shown);
        at
    }

    /// Shows a text without a key.
    pub(crate) async fn edit(&self, chat: String, text: String) -> Result<Receipt> {
        let key = String::new();
        self.request(false, Shown { chat, text, key }).await
    }

    /// Lets each answer take this long.
    pub(crate) fn takes(&self, latency: Duration) {
        self.state.lock().unwrap().latency = latency;
    }

    async fn request(&self, keyed: bool, shown: Shown) -> Result<Receipt> {
        let latency = {
            let mut state = self.state.lock().unwrap();
            let now = self.clock.elapsed();
            state.requests.push((now, shown.text.clone()));
            if let Some(hook) = &mut state.on_request {
                hook();
            }
            state.latency
        };
        if !latency.is_zero() {
            self.clock.sleep(latency).await;
        }
        let lost = || Error::new(ErrorKind::Uncertain, "the connection broke");
        match self.take_fault(&shown.text) {
            None => Ok(Receipt::new(vec![self.show(keyed, shown)])),
            Some(Fault::Error(error)) => Err(error),
            Some(Fault::LostRequest) => Err(lost()),
            Some(Fault::LostAnswer) => {
                self.show(keyed, shown);
                Err(lost())
            }
            Some(Fault::Hang) => pending().await,
            Some(Fault::Panic) => panic!("a bug in the adapter"),
            Some(Fault::Crash { shown: arrives }) => {
                if arrives {
                    self.show(keyed, shown);
                }
                self.crash();
                pending().await
            }
        }
    }
}

/// A channel whose messages become one part for each stretch between bars.
pub(crate) struct FakeChannel {
    info: ChannelInfo,
    platform: FakePlatform,
    parts: bool,
}

impl fmt::Debug for FakeChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeChannel")
    }
}

fn words(message: &OutboundMessage) -> String {
    match &message.body {
        Body::Plain(text) | Body::Markdown(text) => text.clone(),
        Body::Content(content) => content.to_plain(),
        _ => String::new(),
    }
}

impl FakeChannel {
    fn is_keyed(&self) -> bool {
        matches!(self.info.guarantees.send(), Repeat::Keyed(_))
    }

    async fn post(&self, message: &OutboundMessage, text: String) -> Result<Receipt> {
        let key = message.key.as_ref().map(ToString::to_string);
        let shown = Shown {
            chat: message.to.target().chat.to_string(),
            text,
            key: key.unwrap_or_default(),
        };
        self.platform.request(self.is_keyed(), shown).await
    }
}

#[async_trait]
impl Channel for FakeChannel {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        self.post(message, words(message)).await
    }
    async fn probe(&self) -> Result<Identity> {
        Err(Error::new(ErrorKind::Unsupported, "nobody"))
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        self.parts.then_some(self as &dyn Parts)
    }
    fn as_history(&self) -> Option<&dyn History> {
        let reads = self.info.guarantees.send() == Repeat::ReadBack;
        reads.then_some(self as &dyn History)
    }
}

#[async_trait]
impl Parts for FakeChannel {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        let text = words(message);
        if text.contains("forbidden words") {
            return Err(Error::new(ErrorKind::Invalid, "not these words"));
        }
        Ok(text.split('|').filter(|part| !part.is_empty()).count())
    }

    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        let text = words(message);
        let text = text.split('|').nth(part).unwrap().to_owned();
        self.post(message, text).await
    }
}

#[async_trait]
impl History for FakeChannel {
    async fn history(&self, _: &Target, _: Option<&MessageId>, _: usize) -> Result<Vec<Message>> {
        Ok(Vec::new())
    }

    async fn find(&self, sent: &OutboundMessage) -> Result<Option<MessageRef>> {
        let mut state = self.platform.state.lock().unwrap();
        if let Some(error) = state.finds.pop_front() {
            return Err(error);
        }
        let key = sent.key.as_ref().map(ToString::to_string);
        let found = state.keys.iter().find(|(at, _)| Some(at) == key.as_ref());
        Ok(found.map(|(_, at)| at.clone()))
    }
}

/// Holds tasks until the world runs them.
#[derive(Debug, Default)]
struct Tasks(Mutex<Vec<Held>>);

struct Held(BoxFuture<'static, ()>);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(Held(task));
    }
}

/// Names differ, and waits are as long as they are called.
#[derive(Debug)]
struct NoJitter(SeededRandom);

impl Random for NoJitter {
    fn fill(&self, buffer: &mut [u8]) {
        match buffer.len() {
            8 => buffer.fill(0xff),
            _ => self.0.fill(buffer),
        }
    }
}

/// Everything around an outbox. What is in `running` is the process; the platform, the
/// store and the time outlive it.
pub(crate) struct World {
    pub(crate) clock: VirtualClock,
    pub(crate) platform: FakePlatform,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: OutboxSettings,
    pub(crate) failures: Arc<Mutex<Vec<Failure>>>,
    pub(crate) repeat: Repeat,
    pub(crate) pacing: Pacing,
    pub(crate) parts: bool,
    pub(crate) lease: Duration,
    tasks: RefCell<Arc<Tasks>>,
    running: RefCell<FuturesUnordered<BoxFuture<'static, ()>>>,
    starts: RefCell<u64>,
}

impl World {
    pub(crate) fn new(repeat: Repeat) -> Self {
        let clock = VirtualClock::new();
        let failures: Arc<Mutex<Vec<Failure>>> = Arc::default();
        let heard = Arc::clone(&failures);
        let report = move |failure: &Failure| heard.lock().unwrap().push(failure.clone());
        Self {
            platform: FakePlatform::new(&clock),
            clock,
            store: Arc::new(MemoryStore::new()),
            settings: OutboxSettings::default().report(report),
            failures,
            repeat,
            pacing: Pacing::off(),
            parts: true,
            lease: LEASE,
            tasks: RefCell::default(),
            running: RefCell::default(),
            starts: RefCell::new(0),
        }
    }

    pub(crate) fn set(&mut self, change: impl FnOnce(OutboxSettings) -> OutboxSettings) {
        self.settings = change(self.settings.clone());
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        let limits = Limits::new(TextLimit::new(1000, TextUnit::CodePoints));
        let guarantees = Guarantees::new(Redelivery::Never, self.repeat);
        let info = ChannelInfo::new(CHANNEL.into(), Platform::new("fake"), limits);
        Arc::new(FakeChannel {
            info: info.guarantees(guarantees).pacing(self.pacing.clone()),
            platform: self.platform.clone(),
            parts: self.parts,
        })
    }

    /// A new process without channels: enrolled, its lease kept alive.
    pub(crate) fn boot(&self) -> (Outbox, Worker) {
        *self.starts.borrow_mut() += 1;
        let seeded = SeededRandom::new(*self.starts.borrow());
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let store = Arc::clone(&self.store);
        let start = Worker::start(store, Arc::clone(&clock), &seeded, self.lease);
        let worker = self.run(start).unwrap();
        let tasks: Arc<dyn Spawn> = self.tasks.borrow().clone();
        let keeper = worker.clone();
        tasks.spawn(Box::pin(async move {
            keeper.keep().await;
        }));
        let random = Arc::new(NoJitter(seeded));
        let settings = self.settings.clone().spawn_on(tasks);
        (Outbox::new(worker.clone(), clock, random, settings), worker)
    }

    /// A new process.
    pub(crate) fn start(&self) -> Outbox {
        let (outbox, _) = self.boot();
        outbox.register(self.channel());
        outbox
    }

    /// A new process after the leases of all older ones have ended, which goes on with what
    /// they left until nothing is left.
    pub(crate) fn restart(&self) -> Outbox {
        self.crash();
        self.clock.advance(self.lease);
        let outbox = self.start();
        self.run(async {
            outbox.recover().await.unwrap();
            outbox.drained().await;
        });
        outbox
    }

    /// Runs a future and all tasks.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.run_or_crash(future).expect("nothing crashes here")
    }

    /// As `run`; `None` if the process died, and all its tasks with it.
    pub(crate) fn run_or_crash<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let ended = self.clock.block_on(poll_fn(|cx| {
            loop {
                if self.platform.has_crashed() {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(output));
                }
                let mut running = self.running.borrow_mut();
                let new = std::mem::take(&mut *self.tasks.borrow().0.lock().unwrap());
                let any_new = !new.is_empty();
                running.extend(new.into_iter().map(|held| held.0));
                match running.poll_next_unpin(cx) {
                    Poll::Ready(Some(())) => {}
                    _ if any_new => {}
                    _ if self.platform.state.lock().unwrap().crashed => {}
                    _ if !self.tasks.borrow().0.lock().unwrap().is_empty() => {}
                    _ => return Poll::Pending,
                }
            }
        }));
        if ended.is_none() {
            self.crash();
        }
        ended
    }

    /// Kills the process.
    pub(crate) fn crash(&self) {
        *self.tasks.borrow_mut() = Arc::default();
        *self.running.borrow_mut() = FuturesUnordered::new();
    }

    pub(crate) fn clock_now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn clock_sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(span)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.run(self.store.counts()).unwrap()
    }

    pub(crate) fn in_state(&self, state: PartState) -> u64 {
        self.counts().parts.get(&state).copied().unwrap_or(0)
    }

    /// Parts that are in no final state.
    pub(crate) fn unfinished(&self) -> u64 {
        let counts = self.counts().parts.into_iter();
        let open = counts.filter(|(state, _)| !state.is_final());
        open.map(|(_, count)| count).sum()
    }
}

pub(crate) fn fake() -> &'static ChannelId {
    static ID: LazyLock<ChannelId> = LazyLock::new(|| ChannelId::new(CHANNEL));
    &ID
}

pub(crate) fn to(chat: &str, text: &str) -> OutboundMessage {
    OutboundMessage::new(Target::chat(chat), text).key(format!("key of {text}"))
}

pub(crate) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "words that must not be kept")
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const KEYED: Repeat = Repeat::Keyed(Duration::from_secs(3600));
