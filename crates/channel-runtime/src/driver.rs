//! From a channel's events to the lanes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Backoff, Channel, ChatId, Clock, Connection, Conversation, Error, ErrorKind, Event, EventId,
    EventKind, InboundMessage as _, Policy, Random, SenderKind,
};
use futures_util::FutureExt as _;
use tokio::sync::watch;

use crate::bot::GroupMode;
use crate::durable::Durable;
use crate::full::FullNotice;
use crate::handle::{Handling, judge_and_handle};
use crate::handler::Handlers;
use crate::inbox::{AckSlot, EventKey, Seen};
use crate::lanes::{Job, Lanes, Place};
use crate::overlap::{Fate, Overlap, Turn, pass_over};
use crate::pump::{Left, pump};
use crate::status::{Board, ChannelState, ChannelStatus};

pub(crate) type StatusHook = Arc<dyn Fn(&ChannelStatus) + Send + Sync>;

/// What all channels of a bot share.
pub(crate) struct Core {
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) handlers: Handlers,
    pub(crate) groups: GroupMode,
    pub(crate) overlap: Overlap,
    pub(crate) typing: bool,
    pub(crate) ack_within: Duration,
    pub(crate) answer_within: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) lanes: Lanes,
    pub(crate) seen: Seen,
    pub(crate) hook: Option<StatusHook>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) durable: Option<Durable>,
    /// Tells who writes that there is no room, where somebody wants that.
    pub(crate) full: Option<FullNotice>,
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
            // A hook that panics must not take the channel with it.
            if let Some(hook) = &self.hook
                && std::panic::catch_unwind(AssertUnwindSafe(|| hook(&status))).is_err()
            {
                tracing::error!(channel = %status.channel, "the status hook panicked");
            }
        }
    }

    /// The cheap checks without I/O: whether an event is the bot's business at all.
    pub(crate) fn admits(&self, event: &Event) -> bool {
        let message = match &event.kind {
            EventKind::Message(message) => message,
            EventKind::Edited(_) if self.handlers.edited.is_none() => return false,
            EventKind::Edited(message) => message,
            // Without a handler a press is still answered, so that the button does not hang.
            EventKind::Action(_) => return true,
            _ => return self.handlers.other.is_some(),
        };
        let direct = message.chat.kind == channel_core::ChatKind::Direct;
        let groups = match self.groups {
            // The policy's own gate decides; two would disagree.
            _ if self.policy.judges_groups() => true,
            GroupMode::WhenAddressed => message.addressed().is_to_me(),
            GroupMode::Always => true,
            GroupMode::Never => false,
        };
        message.sender.kind != SenderKind::Bot && (direct || groups)
    }

    pub(crate) fn submit(
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
        let (lane, mut turn) = self.turn(event);
        let slot_of_turn = turn.slot().cloned();
        let entry = Arc::clone(entry);
        let run = match turn.take_plain() {
            Some(event) => process(under_way, entry, event, slot, place).boxed(),
            None => process_in_turn(under_way, entry, lane.clone(), turn, slot, place).boxed(),
        };
        let job = Job {
            run,
            slot: slot_of_turn,
        };
        self.lanes.submit(lane, job);
    }

    /// Finds the lane of an event and its place among those that wait there.
    pub(crate) fn turn(&self, event: Event) -> (Conversation, Turn) {
        let lane = match (self.overlap, &event.kind) {
            // A lane of its own.
            (Overlap::Concurrent, EventKind::Message(message)) => Conversation::new(
                event.channel.clone(),
                ChatId::new(format!("{}\0{}", message.chat.id, event.id)),
                None,
            ),
            _ => lane_of(&event),
        };
        let turn = Turn::new(self.overlap, event, self.clock.elapsed());
        if self.overlap == Overlap::Latest && turn.slot().is_some() {
            pass_over(&self.lanes.waiting(&lane));
        }
        (lane, turn)
    }
}

/// The lane of an event; what belongs to no conversation shares one for each channel.
pub(crate) fn lane_of(event: &Event) -> Conversation {
    event
        .conversation()
        .unwrap_or_else(|| Conversation::new(event.channel.clone(), ChatId::new(""), None))
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
///
/// There is one of these futures for each event under way.
#[expect(
    clippy::manual_async_fn,
    reason = "the arguments of an async function are kept twice"
)]
fn process(
    under_way: UnderWay,
    entry: Arc<Entry>,
    event: Event,
    slot: AckSlot,
    place: Place,
) -> impl Future<Output = ()> + Send {
    async move {
        handle(&under_way.core, &entry, event).await;
        settle(&entry, &slot).await;
        drop(under_way);
        drop(place);
    }
}

/// The same for one that others in its lane may join or take the place of.
async fn process_in_turn(
    under_way: UnderWay,
    entry: Arc<Entry>,
    lane: Conversation,
    turn: Turn,
    slot: AckSlot,
    place: Place,
) {
    let core = &under_way.core;
    let taken = turn.take(&core.lanes, &lane, core.clock.as_ref(), &core.stop);
    match taken.await {
        Ok(taken) => handle(core, &entry, taken.event).await,
        Err(Fate::PassedOver) => entry.board.meters.passed_over.add(),
        Err(_) => entry.board.meters.joined.add(),
    }
    settle(&entry, &slot).await;
    drop(under_way);
    drop(place);
}

fn handle<'a>(
    core: &'a Core,
    entry: &'a Entry,
    event: Event,
) -> impl Future<Output = ()> + Send + 'a {
    let id = event.id.clone();
    let work = judge_and_handle(core, &entry.channel, event);
    AssertUnwindSafe(work)
        .catch_unwind()
        .map(move |outcome| count(entry, &id, outcome.ok()))
}

/// Acknowledges an event.
async fn settle(entry: &Entry, slot: &AckSlot) {
    let Some(settling) = slot.settle() else {
        return;
    };
    // An adapter that panics here must not take the conversation with it.
    if AssertUnwindSafe(settling).catch_unwind().await.is_err() {
        tracing::error!(channel = %entry.channel.info().id, "acknowledging panicked");
    }
}

/// Counts what has become of an event; nothing if its handler panicked.
fn count(entry: &Entry, event: &EventId, outcome: Option<Handling>) {
    let meters = &entry.board.meters;
    let channel = &entry.channel.info().id;
    match outcome {
        Some(Handling::Handled) => meters.handled.add(),
        Some(Handling::Refused(_)) => meters.refused.add(),
        Some(Handling::Ignored) => meters.ignored.add(),
        Some(Handling::Failed(error)) => {
            meters.failed.add();
            tracing::warn!(%channel, %event, %error, "handler failed");
        }
        None => {
            meters.panicked.add();
            tracing::error!(%channel, %event, "handler panicked");
        }
    }
}

/// Asks the platform who the bot is, on behalf of a channel that only receives over HTTP:
/// without that some cannot tell when they are mentioned. A connection asks by itself.
pub(crate) async fn introduce(core: Arc<Core>, entry: Arc<Entry>) -> Result<(), Error> {
    let mut stop = core.stop.subscribe();
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let error = tokio::select! {
            biased;
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
            biased;
            () = core.clock.sleep(wait) => {}
            () = stopped(&mut stop) => return Ok(()),
        }
    }
}

/// Waits until the bot is told to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
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
            biased;
            () = core.clock.sleep(backoff.wait(core.random.as_ref())) => {}
            () = stopped(&mut stop) => {
                core.set_state(&entry, ChannelState::Stopped);
                return Ok(());
            }
        }
    }
}

/// Notes what a connection says about itself.
pub(crate) fn hear(core: &Core, entry: &Entry, news: Connection) {
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
