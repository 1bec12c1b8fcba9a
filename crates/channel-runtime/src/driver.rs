//! From a channel's events to the lanes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{
    Action, Authorized, AuthorizedEvent, Backoff, Channel, ChatId, Clock, Connection, Conversation,
    Denied, Error, ErrorKind, Event, EventKind, Events, InboundMessage as _, Intake, Policy,
    Random, Received, Refused, SenderKind, authorize, timeout,
};
use futures_util::future::{BoxFuture, pending};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{oneshot, watch};

use crate::bot::GroupMode;
use crate::handler::{Handler, HandlerResult, Handlers};
use crate::inbox::{AckSlot, Deadlines, Duty, EventKey, Noted, Seen};
use crate::incoming::Incoming;
use crate::lanes::{Lanes, Place};
use crate::status::{Board, ChannelState, ChannelStatus};

/// Silence after which a connection is taken for dead, whatever it says of itself: the
/// 90 s within which a stream has to prove life, and a margin.
const SILENCE: Duration = Duration::from_secs(95);

/// How long typing may be shown for one message.
const LONGEST_TYPING: Duration = Duration::from_secs(300);

pub(crate) type StatusHook = Arc<dyn Fn(&ChannelStatus) + Send + Sync>;

/// What all channels of a bot share.
pub(crate) struct Core {
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) handlers: Handlers,
    pub(crate) groups: GroupMode,
    pub(crate) typing: bool,
    pub(crate) ack_within: Duration,
    pub(crate) answer_within: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) lanes: Lanes,
    pub(crate) seen: Seen,
    pub(crate) hook: Option<StatusHook>,
    pub(crate) stop: watch::Sender<bool>,
}

/// One channel of a bot.
pub(crate) struct Entry {
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) board: Board,
}

impl Core {
    pub(crate) fn set_state(&self, entry: &Entry, state: ChannelState) {
        if entry.board.set(state, self.clock.now()) {
            let status = entry.board.read();
            tracing::info!(channel = %status.channel, state = ?status.state, "channel state");
            if let Some(hook) = &self.hook {
                hook(&status);
            }
        }
    }

    /// The cheap checks without I/O: whether an event is the bot's business at all.
    fn admits(&self, event: &Event) -> bool {
        let (sender, direct, addressed) = match &event.kind {
            EventKind::Message(message) | EventKind::Edited(message) => (
                message.sender.kind,
                message.chat.kind == channel_core::ChatKind::Direct,
                message.addressed().is_to_me(),
            ),
            _ => return true,
        };
        let groups = match self.groups {
            GroupMode::WhenAddressed => addressed,
            GroupMode::Always => true,
            GroupMode::Never => false,
        };
        sender != SenderKind::Bot && (direct || groups)
    }

    fn submit(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        event: Event,
        key: EventKey,
        slot: AckSlot,
        place: Place,
    ) {
        self.seen.begin(key, slot.clone());
        let under_way = UnderWay {
            core: Arc::clone(self),
            key,
        };
        let conversation = event
            .conversation()
            .unwrap_or_else(|| Conversation::new(event.channel.clone(), ChatId::new(""), None));
        let job = process(under_way, Arc::clone(entry), event, slot, place).boxed();
        self.lanes.submit(conversation, job);
    }
}

/// An event between the inbox and the end of its handler.
struct UnderWay {
    core: Arc<Core>,
    key: EventKey,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.core.seen.end(self.key);
    }
}

/// Judges and handles one event; settles its duty whatever the outcome.
async fn process(
    under_way: UnderWay,
    entry: Arc<Entry>,
    event: Event,
    slot: AckSlot,
    place: Place,
) {
    let id = event.id.clone();
    let work = AssertUnwindSafe(judge_and_handle(&under_way.core, &entry, event)).catch_unwind();
    let meters = &entry.board.meters;
    match work.await {
        Ok(Outcome::Handled) => meters.handled.add(),
        Ok(Outcome::Refused) => meters.refused.add(),
        Ok(Outcome::Ignored) => meters.ignored.add(),
        Ok(Outcome::Failed(error)) => {
            meters.failed.add();
            tracing::warn!(channel = %entry.channel.info().id, event = %id, error = %error, "handler failed");
        }
        Err(_) => {
            meters.panicked.add();
            tracing::error!(channel = %entry.channel.info().id, event = %id, "handler panicked");
        }
    }
    // An adapter that panics here must not take the conversation with it.
    if AssertUnwindSafe(slot.settle())
        .catch_unwind()
        .await
        .is_err()
    {
        tracing::error!(channel = %entry.channel.info().id, event = %id, "acknowledging panicked");
    }
    drop(under_way);
    drop(place);
}

enum Outcome {
    Handled,
    Refused,
    Ignored,
    Failed(crate::handler::BoxError),
}

impl From<HandlerResult> for Outcome {
    fn from(result: HandlerResult) -> Self {
        match result {
            Ok(()) => Self::Handled,
            Err(error) => Self::Failed(error),
        }
    }
}

async fn judge_and_handle(core: &Core, entry: &Entry, event: Event) -> Outcome {
    match authorize(core.policy.as_ref(), event).await {
        Ok(event) => handle(core, entry, event).await,
        Err(denied) => {
            tracing::debug!(channel = %denied.event.channel, reason = denied.reason, "refused");
            tell_why(entry, denied).boxed().await;
            Outcome::Refused
        }
    }
}

async fn tell_why(entry: &Entry, denied: Denied) {
    let (Some(answer), Some(message)) = (denied.answer, denied.event.message()) else {
        return;
    };
    if let Err(error) = entry.channel.send(&message.reply(answer)).await {
        tracing::debug!(%error, "the refusal could not be told");
    }
}

/// Runs the handler of an event.
async fn handle(core: &Core, entry: &Entry, event: Authorized<Event>) -> Outcome {
    match begin(core, entry, event) {
        Begun::Ignored => Outcome::Ignored,
        Begun::Handler(work) => work.await.into(),
        Begun::Typing(work) => work.await.into(),
        Begun::Action(work) => work.await,
    }
}

/// A handler that has been called.
enum Begun<'a> {
    Ignored,
    Handler(BoxFuture<'static, HandlerResult>),
    Typing(BoxFuture<'a, HandlerResult>),
    Action(BoxFuture<'a, Outcome>),
}

/// Calls the handler of an event. Not async, so that the event is not kept, once for each
/// step that it goes through, in the future of every event under way.
fn begin<'a>(core: &'a Core, entry: &'a Entry, event: Authorized<Event>) -> Begun<'a> {
    let handlers = &core.handlers;
    let channel = || Arc::clone(&entry.channel);
    let unanswered = || Arc::new(AtomicBool::new(false));
    match event.into_parts() {
        Some(AuthorizedEvent::Message(message)) => match &handlers.message {
            Some(handler) => {
                let to = core.typing.then(|| message.return_address.clone());
                let work = handler(Incoming::new(message, channel(), unanswered()));
                match to {
                    Some(to) => Begun::Typing(while_typing(core, entry, to.into(), work).boxed()),
                    None => Begun::Handler(work),
                }
            }
            None => Begun::Ignored,
        },
        Some(AuthorizedEvent::Edited(message)) => match &handlers.edited {
            Some(handler) => {
                Begun::Handler(handler(Incoming::new(message, channel(), unanswered())))
            }
            None => Begun::Ignored,
        },
        Some(AuthorizedEvent::Action(action)) => match &handlers.action {
            Some(handler) => Begun::Action(act(entry, handler, action).boxed()),
            None => Begun::Ignored,
        },
        Some(other) => match &handlers.other {
            Some(handler) => Begun::Handler(handler(channel(), other)),
            None => Begun::Ignored,
        },
        None => Begun::Ignored,
    }
}

/// Runs the handler of a press, then takes the platform's waiting sign away.
async fn act(entry: &Entry, handler: &Handler<Action>, action: Authorized<Action>) -> Outcome {
    let answered = Arc::new(AtomicBool::new(false));
    let press = (*action).clone();
    let incoming = Incoming::new(action, Arc::clone(&entry.channel), Arc::clone(&answered));
    let outcome = Outcome::from(handler(incoming).await);
    if let (false, Some(actions)) = (answered.load(Ordering::Relaxed), entry.channel.as_actions())
        && let Err(error) = actions.answer_action(&press, None).await
    {
        tracing::debug!(%error, "the press could not be answered");
    }
    outcome
}

/// Shows that an answer is being written for as long as the handler runs.
async fn while_typing(
    core: &Core,
    entry: &Entry,
    to: channel_core::Destination,
    work: BoxFuture<'static, HandlerResult>,
) -> HandlerResult {
    let Some(typing) = entry.channel.as_typing() else {
        return work.await;
    };
    let sign = async {
        let began = core.clock.elapsed();
        while core.clock.elapsed().saturating_sub(began) < LONGEST_TYPING {
            if let Err(error) = typing.start_typing(&to).await {
                tracing::debug!(%error, "typing could not be shown");
                break;
            }
            // Renewed a little before it ends.
            core.clock.sleep(typing.lasts().mul_f64(0.8)).await;
        }
        pending::<()>().await;
    };
    tokio::select! {
        biased;
        result = work => result,
        () = sign => Ok(()),
    }
}

/// Asks the platform who the bot is, on behalf of a channel that only receives over HTTP:
/// without that some cannot tell when they are mentioned. A connection asks by itself.
pub(crate) async fn introduce(core: Arc<Core>, entry: Arc<Entry>) -> Result<(), Error> {
    let mut stop = core.stop.subscribe();
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let error = tokio::select! {
            probed = entry.channel.probe() => match probed {
                Ok(_) => return Ok(()),
                Err(error) => error,
            },
            () = stopped(&mut stop) => return Ok(()),
        };
        tracing::warn!(channel = %entry.channel.info().id, %error, "the platform does not say who the bot is");
        if !error.kind().is_retryable() {
            return Ok(());
        }
        let wait = error
            .retry_after()
            .unwrap_or_else(|| backoff.wait(core.random.as_ref()));
        backoff.failed(Duration::ZERO);
        tokio::select! {
            () = core.clock.sleep(wait) => {}
            () = stopped(&mut stop) => return Ok(()),
        }
    }
}

/// Why a stream is left.
enum Left {
    Stopping,
    Ended,
    Silent,
    Failed(Error),
    Panicked,
}

/// Waits until the bot is told to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender is gone only when nobody is left to stop for.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Keeps one channel's stream running until the bot stops or going on is pointless.
pub(crate) async fn drive(core: Arc<Core>, entry: Arc<Entry>) -> Result<(), Error> {
    let mut stop = core.stop.subscribe();
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let Some(events) = entry.channel.as_events() else {
            return Ok(());
        };
        let began = core.clock.elapsed();
        // A stream that panics is made again: without a driver the channel would be deaf
        // and look healthy.
        let left = AssertUnwindSafe(pump(&core, &entry, events, &mut stop))
            .catch_unwind()
            .await
            .unwrap_or(Left::Panicked);
        let cause = match left {
            Left::Stopping => {
                core.set_state(&entry, ChannelState::Stopped);
                return Ok(());
            }
            Left::Failed(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Unauthenticated | ErrorKind::Config | ErrorKind::Forbidden
                ) =>
            {
                let reason = error.to_string();
                tracing::error!(channel = %entry.channel.info().id, %error, "channel failed for good");
                core.set_state(&entry, ChannelState::Failed { reason });
                return Err(error);
            }
            Left::Failed(error) => error.to_string(),
            Left::Ended => "the stream ended".to_owned(),
            Left::Silent => "no proof of life".to_owned(),
            Left::Panicked => {
                tracing::error!(channel = %entry.channel.info().id, "the stream panicked");
                "the stream panicked".to_owned()
            }
        };
        entry.board.meters.reconnects.add();
        core.set_state(&entry, ChannelState::Reconnecting { cause });
        backoff.failed(core.clock.elapsed().saturating_sub(began));
        tokio::select! {
            () = core.clock.sleep(backoff.wait(core.random.as_ref())) => {}
            () = stopped(&mut stop) => {
                core.set_state(&entry, ChannelState::Stopped);
                return Ok(());
            }
        }
    }
}

/// Moves events from a stream to the lanes, and settles duties that have waited long
/// enough.
async fn pump(
    core: &Arc<Core>,
    entry: &Arc<Entry>,
    events: &dyn Events,
    stop: &mut watch::Receiver<bool>,
) -> Left {
    let mut stream = events.events();
    let mut deadlines = Deadlines::default();
    let mut place: Option<Place> = None;
    let mut last_item = core.clock.elapsed();
    let mut silence = core.clock.sleep(SILENCE);
    // One timer for all deadlines: it is armed for the first and then looks anew.
    let mut due: Option<BoxFuture<'static, ()>> = None;
    loop {
        if due.is_none()
            && let Some(at) = deadlines.next()
        {
            due = Some(core.clock.sleep(at.saturating_sub(core.clock.elapsed())));
        }
        tokio::select! {
            biased;
            () = stopped(stop) => return Left::Stopping,
            () = async { match due.as_mut() { Some(due) => due.await, None => pending().await } } => {
                due = None;
                let now = core.clock.elapsed();
                while let Some(slot) = deadlines.pop_due(now) {
                    slot.settle().await;
                }
            }
            reserved = core.lanes.reserve(), if place.is_none() => {
                place = Some(reserved);
                // Silence is measured from when somebody listens.
                last_item = core.clock.elapsed();
            }
            item = stream.next(), if place.is_some() => {
                last_item = core.clock.elapsed();
                match item {
                    Some(Ok(received)) => {
                        take(core, entry, received, &mut place, &mut deadlines, last_item).await;
                    }
                    Some(Err(error)) => return Left::Failed(error),
                    None => return Left::Ended,
                }
            }
            () = &mut silence => {
                let quiet = core.clock.elapsed().saturating_sub(last_item);
                // While there is no room nobody listens, so silence proves nothing.
                if quiet >= SILENCE && place.is_some() {
                    return Left::Silent;
                }
                silence = core.clock.sleep(SILENCE.saturating_sub(quiet).max(Duration::from_secs(1)));
            }
        }
    }
}

async fn take(
    core: &Arc<Core>,
    entry: &Arc<Entry>,
    mut received: Received,
    place: &mut Option<Place>,
    deadlines: &mut Deadlines,
    now: Duration,
) {
    let Some(event) = received.take() else {
        return;
    };
    entry.board.prove(core.clock.now());
    if let EventKind::Connection(news) = event.kind {
        return hear(core, entry, news);
    }
    let meters = &entry.board.meters;
    meters.received.add();
    let key = core.seen.key(&event.channel, &event.id);
    let duty = Duty::Received(received);
    match core.seen.note(key, now) {
        Noted::Fresh if core.admits(&event) => {}
        Noted::Fresh => {
            meters.ignored.add();
            return duty.settle().await;
        }
        Noted::Known => {
            meters.duplicates.add();
            return duty.settle().await;
        }
        Noted::UnderWay(slot) => {
            meters.duplicates.add();
            if let Some(duty) = slot.join(duty) {
                duty.settle().await;
            }
            return;
        }
    }
    let Some(place) = place.take() else {
        // Not reached: the stream is only asked for more with a place in hand. The event
        // is forgotten again, so that its redelivery is taken.
        core.seen.forget(key);
        return;
    };
    let slot = AckSlot::new(duty);
    deadlines.push(now.saturating_add(core.ack_within), slot.clone());
    core.submit(entry, event, key, slot, place);
}

fn hear(core: &Core, entry: &Entry, news: Connection) {
    match news {
        Connection::Ready | Connection::Alive => core.set_state(entry, ChannelState::Ready),
        Connection::Lost { cause, retry_in } => {
            tracing::debug!(channel = %entry.channel.info().id, cause, ?retry_in, "connection lost");
            entry.board.meters.reconnects.add();
            core.set_state(entry, ChannelState::Reconnecting { cause });
        }
        Connection::Gap { cause, .. } => {
            tracing::warn!(channel = %entry.channel.info().id, cause, "events may have been missed");
            entry.board.meters.gaps.add();
        }
        other => tracing::debug!(news = ?other, "connection"),
    }
}

/// Takes the events of one channel's webhooks.
pub(crate) struct WebhookIntake {
    pub(crate) core: Arc<Core>,
    pub(crate) entry: Arc<Entry>,
}

impl std::fmt::Debug for WebhookIntake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WebhookIntake")
            .field(&self.entry.channel.info().id)
            .finish()
    }
}

#[async_trait]
impl Intake for WebhookIntake {
    async fn take(&self, events: Vec<Event>) -> Result<(), Refused> {
        let (core, meters) = (&self.core, &self.entry.board.meters);
        if *core.stop.borrow() {
            return Err(Refused::Stopping);
        }
        let now = core.clock.elapsed();
        self.entry.board.prove(core.clock.now());
        // Room comes first: an event noted by one who then finds no room would meanwhile
        // pass for a duplicate, and be acknowledged, where it is delivered twice at once.
        let Some(mut places) = core.lanes.try_reserve(events.len()) else {
            for _ in &events {
                meters.received.add();
                meters.rejected.add();
            }
            return Err(Refused::Full);
        };
        let mut safe = Vec::with_capacity(events.len());
        for event in events {
            meters.received.add();
            let key = core.seen.key(&event.channel, &event.id);
            let (done, settled) = oneshot::channel();
            let duty = Duty::Webhook(done);
            match core.seen.note(key, now) {
                Noted::Fresh if core.admits(&event) => {
                    let Some(place) = places.pop() else {
                        // Not reached: there is a place for every event.
                        core.seen.forget(key);
                        return Err(Refused::Full);
                    };
                    core.submit(&self.entry, event, key, AckSlot::new(duty), place);
                }
                Noted::Fresh => {
                    meters.ignored.add();
                    continue;
                }
                Noted::Known => {
                    meters.duplicates.add();
                    continue;
                }
                Noted::UnderWay(slot) => {
                    meters.duplicates.add();
                    if slot.join(duty).is_some() {
                        continue;
                    }
                }
            }
            safe.push(async move { settled.await.map_err(|_| key) });
        }
        drop(places);
        // In memory an event is safe once it has been handled. The platform cannot be
        // kept waiting for that for ever.
        let all = futures_util::future::join_all(safe);
        let Ok(outcomes) = timeout(core.clock.as_ref(), core.answer_within, all).await else {
            tracing::trace!(channel = %self.entry.channel.info().id, "acknowledged before handled");
            return Ok(());
        };
        // Dropped unhandled: the bot stops, and the platform is to come again.
        let mut dropped = outcomes.into_iter().filter_map(Result::err).peekable();
        if dropped.peek().is_none() {
            return Ok(());
        }
        for key in dropped {
            core.seen.forget(key);
        }
        Err(Refused::Stopping)
    }
}
