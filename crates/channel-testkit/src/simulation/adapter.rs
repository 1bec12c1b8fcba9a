//! The adapter of the simulated platform, as one process runs it.

mod growing;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    Acknowledge, Body, Channel, ChannelId, ChannelInfo, ChatId, Clock as _, Connection, Error,
    ErrorKind, Events, History, Identity, Limits, Message, MessageId, MessageRef, OutboundMessage,
    Parts, Receipt, Received, Result, Scope, Stream, Target, TextLimit, TextUnit, async_trait,
};
use futures_core::stream::BoxStream;
use futures_util::stream;

use super::bug::Bug;
use super::gate::Gate;
use super::hazard::Hazard;
use super::platform::{CHANNEL, NAME, Platform, Request};
use super::scenario::Receiving;
use super::words::{parts, payload};
use crate::wait::lock;

/// How long an idle connection waits before it looks again.
const POLL: Duration = Duration::from_millis(700);
/// How often an idle connection proves that it lives.
const ALIVE: Duration = Duration::from_secs(40);

#[derive(Clone)]
pub(super) struct Adapter {
    inner: Arc<Inner>,
    /// Whether an outbox beside the bot's own sends through it.
    beside: bool,
}

pub(super) struct Inner {
    pub(super) info: ChannelInfo,
    pub(super) gate: Arc<Gate>,
    pub(super) hazard: Arc<Hazard>,
    pub(super) platform: Arc<Platform>,
    pub(super) bug: Option<Bug>,
    /// Where the connection reads next, where the adapter remembers that.
    place: Mutex<usize>,
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Adapter({})", self.inner.gate.number)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inner({})", self.gate.number)
    }
}

pub(super) fn text_of(body: &Body) -> &str {
    match body {
        Body::Plain(text) | Body::Markdown(text) => text,
        _ => "",
    }
}

impl Adapter {
    pub(super) fn new(
        gate: &Arc<Gate>,
        hazard: &Arc<Hazard>,
        platform: &Arc<Platform>,
        bug: Option<Bug>,
    ) -> Self {
        let limits = Limits::new(TextLimit::new(4096, TextUnit::Utf16));
        let info = ChannelInfo::new(ChannelId::new(CHANNEL), NAME, limits)
            .guarantees(hazard.scenario.guarantees());
        let info = match bug {
            Some(Bug::DeclaresNoPace) => info,
            _ => info.pacing(hazard.scenario.pacing()),
        };
        let inner = Arc::new(Inner {
            info,
            gate: Arc::clone(gate),
            hazard: Arc::clone(hazard),
            platform: Arc::clone(platform),
            bug,
            place: Mutex::new(0),
        });
        Self {
            inner,
            beside: false,
        }
    }

    /// The same adapter for another outbox: each waits on its own when it is told to.
    pub(super) fn beside(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            beside: true,
        }
    }

    /// Tells later whether anything of the adapter is still there.
    pub(super) fn watch(&self) -> std::sync::Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    fn has(&self, bug: Bug) -> bool {
        self.inner.has(bug)
    }

    /// One request, from the bot to the platform and back.
    async fn request(
        &self,
        chat: &ChatId,
        text: &str,
        key: Option<&str>,
        edits: Option<&MessageRef>,
    ) -> Result<MessageRef> {
        let Inner {
            gate,
            hazard,
            platform,
            ..
        } = &*self.inner;
        let (world, rates) = (&hazard.world, hazard.scenario.rates);
        gate.pass().await;
        if hazard.crashes(rates.send_crash) {
            gate.die::<()>(&format!("before {text:?} leaves")).await;
        }
        let left = world.elapsed();
        // On its way it does not matter what becomes of the process.
        let way = world.span(hazard.scenario.platform_delay);
        world.clock.sleep(way).await;
        if world.fault(rates.send_error) {
            world.note(|| format!("p{} {text:?} does not get through", gate.number));
            let error = Error::new(ErrorKind::Unavailable, "no connection").with_code("503");
            return Err(error.on(NAME, "send message"));
        }
        let request = Request {
            sender: self.sender(),
            chat,
            text,
            key,
            edits,
            left,
        };
        let answer = platform.arrive(&request);
        if hazard.crashes(rates.send_crash) {
            gate.die::<()>(&format!("after {text:?} has arrived")).await;
        }
        let lost = answer.is_ok() && world.fault(rates.lost_answer);
        gate.sleep(world.span(hazard.scenario.platform_delay)).await;
        if lost {
            world.note(|| format!("p{} the answer to {text:?} is lost", gate.number));
            let kind = if self.has(Bug::LostAnswerIsAFailure) {
                ErrorKind::Unavailable
            } else {
                ErrorKind::Uncertain
            };
            return Err(Error::new(kind, "no answer").on(NAME, "send message"));
        }
        if let Err(error) = &answer
            && error.limited() == Scope::Channel
            && let Some(wait) = error.retry_after()
        {
            platform.told(self.sender(), wait);
        }
        answer.map_err(|error| error.on(NAME, "send message"))
    }

    fn sender(&self) -> (u64, bool) {
        (self.inner.gate.number, self.beside)
    }

    async fn send_text(
        &self,
        chat: &ChatId,
        text: &str,
        key: Option<&str>,
        edits: Option<&MessageRef>,
    ) -> Result<Receipt> {
        if self.has(Bug::WaitsWhileSending) && self.inner.hazard.scenario.paced.is_some() {
            self.inner.gate.sleep(Duration::from_secs(3)).await;
        }
        self.inner.gate.pass().await;
        let what = payload(text).unwrap_or("a note");
        self.inner
            .platform
            .leaves(self.sender(), chat.as_str(), what);
        let key = key.filter(|_| !self.has(Bug::DropsKeys));
        if self.has(Bug::SaysSentTooSoon) && self.inner.hazard.world.chance(200) {
            let at = MessageRef::new(chat.clone(), MessageId::from("soon"));
            return Ok(Receipt::new(vec![at]));
        }
        let sent = self.request(chat, text, key, edits).await;
        if self.has(Bug::SendsTwice) && sent.is_ok() {
            let _ = self.request(chat, text, Some("another"), None).await;
        }
        if self.has(Bug::SendsAgainLater) && sent.is_err() {
            let (again, chat, text) = (self.clone(), chat.clone(), text.to_owned());
            tokio::spawn(async move {
                again.inner.gate.sleep(Duration::from_secs(60)).await;
                let _ = again.request(&chat, &text, None, None).await;
            });
        }
        if self.has(Bug::KeepsEverySend) {
            let kept = self.clone();
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(kept);
            });
        }
        let forgets = self.has(Bug::DropsRetryAfter);
        match sent {
            Err(error) if self.has(Bug::LimitsOneChat) => Err(error.with_limited(Scope::Chat)),
            Err(error) if forgets && error.retry_after().is_some() => {
                let error = Error::new(error.kind(), error.message().to_owned());
                Err(error.on(NAME, "send message"))
            }
            sent => Ok(Receipt::new(vec![sent?])),
        }
    }
}

impl Inner {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn reads_by_itself(&self) -> bool {
        self.hazard.scenario.receiving == Receiving::Cursor
    }

    /// The next event that is there.
    fn take(&self) -> Option<usize> {
        if !self.reads_by_itself() {
            return self.platform.next_for(self.gate.number);
        }
        let mut place = lock(&self.place);
        let number = self.platform.at(*place)?;
        *place += 1;
        Some(number)
    }

    /// The event is to come again.
    fn put_back(&self, number: usize) {
        if self.reads_by_itself() {
            let mut place = lock(&self.place);
            *place = (*place).min(number);
        } else {
            self.platform.give_back(number);
        }
    }
}

fn number_of(token: u64) -> usize {
    usize::try_from(token).unwrap_or(usize::MAX)
}

#[async_trait]
impl Acknowledge for Inner {
    async fn ack(&self, token: u64) -> Result<()> {
        self.gate.pass().await;
        let delay = self.hazard.scenario.platform_delay / 4;
        self.gate.sleep(self.hazard.world.span(delay)).await;
        self.platform.acknowledge(number_of(token));
        Ok(())
    }

    async fn nak(&self, token: u64) -> Result<()> {
        self.gate.pass().await;
        if self.has(Bug::GivesBackAsAcknowledged) {
            self.platform.acknowledge(number_of(token));
        } else {
            self.put_back(number_of(token));
        }
        Ok(())
    }

    fn abandon(&self, token: u64) {
        if !self.gate.is_dead() {
            self.put_back(number_of(token));
        }
    }
}

#[async_trait]
impl Channel for Adapter {
    fn info(&self) -> &ChannelInfo {
        &self.inner.info
    }

    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        let chat = &message.to.target().chat;
        let mut receipt = Receipt::default();
        for (number, text) in parts(text_of(&message.body)).iter().enumerate() {
            let key = message.key.as_ref().map(|key| match number {
                0 => key.as_str().to_owned(),
                number => format!("{key}/{number}"),
            });
            match self.send_text(chat, text, key.as_deref(), None).await {
                Ok(sent) => receipt.messages.extend(sent.messages),
                Err(error) if receipt.messages.is_empty() => return Err(error),
                Err(error) => return Err(error.with_delivered(receipt)),
            }
        }
        Ok(receipt)
    }

    async fn probe(&self) -> Result<Identity> {
        self.inner.gate.pass().await;
        Ok(Identity::new("bot", "Bot"))
    }

    fn as_events(&self) -> Option<&dyn Events> {
        (self.inner.hazard.scenario.receiving != Receiving::Webhook).then_some(self as _)
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        Some(self)
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
    fn as_history(&self) -> Option<&dyn History> {
        Some(self)
    }
}

#[async_trait]
impl Parts for Adapter {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        Ok(parts(text_of(&message.body)).len())
    }

    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        let texts = parts(text_of(&message.body));
        let Some(text) = texts.get(part) else {
            let error = Error::new(ErrorKind::Invalid, "the message has no such part");
            return Err(error.on(NAME, "send part"));
        };
        let chat = &message.to.target().chat;
        let key = message.key.as_ref().map(|key| key.as_str());
        let sent = self.send_text(chat, text, key, None).await;
        if self.has(Bug::SendsAhead)
            && sent.is_ok()
            && let Some(next) = texts.get(part + 1)
        {
            let _ = self.request(chat, next, key, None).await;
        }
        sent
    }
}

#[async_trait]
impl History for Adapter {
    async fn history(&self, _: &Target, _: Option<&MessageId>, _: usize) -> Result<Vec<Message>> {
        Ok(Vec::new())
    }

    async fn find(&self, sent: &OutboundMessage) -> Result<Option<MessageRef>> {
        let Inner { gate, hazard, .. } = &*self.inner;
        gate.pass().await;
        let delay = hazard.world.span(hazard.scenario.platform_delay);
        gate.sleep(delay).await;
        if hazard.world.fault(hazard.scenario.rates.send_error) {
            return Err(Error::new(ErrorKind::Unavailable, "no connection").on(NAME, "find"));
        }
        let key = sent.key.as_ref().map(|key| key.as_str());
        let found = key.and_then(|key| self.inner.platform.find(key));
        hazard
            .world
            .note(|| format!("p{} looks for {key:?}: {}", gate.number, found.is_some()));
        Ok(match self.inner.bug {
            Some(Bug::FindsNothing) => None,
            Some(Bug::FindsEverything) => {
                let chat = sent.to.target().chat.clone();
                Some(MessageRef::new(chat, MessageId::from("any")))
            }
            _ => found,
        })
    }
}

/// An open connection.
struct Feed {
    adapter: Adapter,
    greeted: bool,
    ended: bool,
    last: Duration,
}

impl Feed {
    fn news(&mut self, news: Connection) -> Received {
        self.last = self.adapter.inner.hazard.world.elapsed();
        Received::connection(ChannelId::new(CHANNEL), news)
    }

    async fn next(&mut self) -> Option<Result<Received>> {
        loop {
            let inner = Arc::clone(&self.adapter.inner);
            let world = &inner.hazard.world;
            if self.ended {
                return None;
            }
            inner.gate.pass().await;
            if !self.greeted {
                self.greeted = true;
                return Some(Ok(self.news(Connection::Ready)));
            }
            if world.fault(inner.hazard.scenario.rates.disconnect) {
                world.note(|| format!("p{} is cut off", inner.gate.number));
                self.greeted = false;
                self.ended = world.chance(600);
                if self.ended && world.chance(500) {
                    let error = Error::new(ErrorKind::Unavailable, "cut off");
                    return Some(Err(error.on(NAME, "events")));
                }
                let cause = "cut off".to_owned();
                let retry_in = Duration::ZERO;
                return Some(Ok(self.news(Connection::Lost { cause, retry_in })));
            }
            if let Some(number) = inner.take() {
                return Some(Ok(self.received(&inner, number)));
            }
            let now = world.elapsed();
            if now.saturating_sub(self.last) >= ALIVE {
                return Some(Ok(self.news(Connection::Alive)));
            }
            let said = inner.platform.next_said();
            let wait = said.map_or(POLL, |at| at.saturating_sub(now).min(POLL));
            inner.gate.sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    fn received(&mut self, inner: &Arc<Inner>, number: usize) -> Received {
        let world = &inner.hazard.world;
        self.last = world.elapsed();
        world.note(|| format!("p{} reads e{number}", inner.gate.number));
        if inner.has(Bug::AcknowledgesOnReceipt) {
            inner.platform.acknowledge(number);
        }
        let duty = Arc::clone(inner);
        let received = Received::new(inner.platform.event(number), duty, number as u64);
        if inner.reads_by_itself() {
            received.with_cursor((number + 1).to_string())
        } else {
            received
        }
    }
}

#[async_trait]
impl Events for Adapter {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        let feed = Feed {
            adapter: self.clone(),
            greeted: false,
            ended: false,
            last: self.inner.hazard.world.elapsed(),
        };
        Box::pin(stream::unfold(feed, |mut feed| async move {
            let item = feed.next().await?;
            Some((item, feed))
        }))
    }

    fn resume(&self, cursor: &str) {
        if let Ok(place) = cursor.parse() {
            let number = self.inner.gate.number;
            let world = &self.inner.hazard.world;
            world.note(|| format!("p{number} goes on at e{place}"));
            *lock(&self.inner.place) = place;
        }
    }

    async fn close(&self) -> Result<()> {
        self.inner.gate.pass().await;
        Ok(())
    }
}
