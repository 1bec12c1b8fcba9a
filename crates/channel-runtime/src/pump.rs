//! From the stream of a channel to the lanes.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Backoff, Error, Event, EventKind, Events, Received, Refused, timeout};
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use crate::driver::{Core, Entry, hear, stopped};
use crate::durable::Unbroken;
use crate::inbox::{AckSlot, Deadlines, Duty, Noted};
use crate::lanes::Place;

/// Silence after which a connection is taken for dead, whatever it says of itself: the
/// 90 s within which a stream has to prove life, and a margin.
const SILENCE: Duration = Duration::from_secs(95);

/// How long a stream that is left may take to settle what is being recorded.
const SETTLE_WITHIN: Duration = Duration::from_secs(2);

/// Why a stream is left.
pub(crate) enum Left {
    Stopping,
    Ended,
    Silent,
    Failed(Error),
    Panicked,
}

/// An event that is being recorded, with its duty.
type Recording = BoxFuture<'static, (Received, Result<(), Refused>)>;

struct Pump<'a> {
    core: &'a Arc<Core>,
    entry: &'a Arc<Entry>,
    /// Room for the next event, reserved before the platform is asked for it.
    place: Option<Place>,
    /// Without a store: duties that are settled at the latest then.
    deadlines: Deadlines,
    /// With a store: events on their way into it.
    recording: FuturesUnordered<Recording>,
    unbroken: Unbroken,
    /// An event was refused: nothing more is asked for before all those behind it have been
    /// refused too, so that the channel goes on with the first of them.
    rewinds: bool,
    /// While the store does not answer, the platform is asked for nothing.
    pause: Option<BoxFuture<'static, ()>>,
    backoff: Backoff,
}

/// Moves events from a stream to the lanes, and settles duties that have waited long
/// enough.
pub(crate) async fn pump(
    core: &Arc<Core>,
    entry: &Arc<Entry>,
    events: &dyn Events,
    stop: &mut watch::Receiver<bool>,
) -> Left {
    let mut pump = Pump {
        core,
        entry,
        place: None,
        deadlines: Deadlines::default(),
        recording: FuturesUnordered::new(),
        unbroken: Unbroken::default(),
        rewinds: false,
        pause: None,
        backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(5)),
    };
    let left = pump.run(events, stop).await;
    // What is being recorded may be on record already: it is acknowledged, not dropped.
    let settle = async {
        while let Some((received, recorded)) = pump.recording.next().await {
            settle(received, recorded.is_ok()).await;
        }
    };
    if timeout(core.clock.as_ref(), SETTLE_WITHIN, settle)
        .await
        .is_err()
    {
        tracing::warn!(channel = %entry.channel.info().id, "events were not recorded in time; expecting them again");
    }
    left
}

/// Tells the channel that an event is safe, or that it is to come again.
async fn settle(received: Received, safe: bool) {
    let told = if safe {
        channel_delivery::failpoint::hit("acked");
        received.ack().await
    } else {
        received.nak().await
    };
    if let Err(error) = told {
        tracing::debug!(%error, safe, "the platform was not told; expecting the event again");
    }
}

impl Pump<'_> {
    async fn run(&mut self, events: &dyn Events, stop: &mut watch::Receiver<bool>) -> Left {
        let core = self.core;
        let mut stream = events.events();
        let mut last_item = core.clock.elapsed();
        let mut silence = core.clock.sleep(SILENCE);
        // One timer for all deadlines: it is armed for the first and then looks anew.
        let mut due: Option<BoxFuture<'static, ()>> = None;
        loop {
            if due.is_none()
                && let Some(at) = self.deadlines.next()
            {
                due = Some(core.clock.sleep(at.saturating_sub(core.clock.elapsed())));
            }
            if self.rewinds && self.recording.is_empty() {
                self.rewinds = false;
                self.unbroken = Unbroken::default();
            }
            let listens = self.place.is_some() && self.pause.is_none() && !self.rewinds;
            tokio::select! {
                biased;
                () = stopped(stop) => return Left::Stopping,
                () = when(&mut due) => {
                    due = None;
                    let now = core.clock.elapsed();
                    while let Some(slot) = self.deadlines.pop_due(now) {
                        if let Some(settling) = slot.settle() {
                            settling.await;
                        }
                    }
                }
                Some((received, recorded)) = self.recording.next() => {
                    self.recorded(received, recorded).await;
                }
                () = when(&mut self.pause) => {
                    self.pause = None;
                    last_item = core.clock.elapsed();
                }
                reserved = core.lanes.reserve(), if self.place.is_none() => {
                    self.place = Some(reserved);
                    // Silence is measured from when somebody listens.
                    last_item = core.clock.elapsed();
                }
                item = stream.next(), if listens => {
                    last_item = core.clock.elapsed();
                    match item {
                        Some(Ok(received)) => self.take(received, last_item).await,
                        Some(Err(error)) => return Left::Failed(error),
                        None => return Left::Ended,
                    }
                }
                () = &mut silence => {
                    let quiet = core.clock.elapsed().saturating_sub(last_item);
                    // While there is no room nobody listens, so silence proves nothing.
                    if quiet >= SILENCE && listens {
                        return Left::Silent;
                    }
                    silence = core.clock.sleep(SILENCE.saturating_sub(quiet).max(Duration::from_secs(1)));
                }
            }
        }
    }

    async fn recorded(&mut self, received: Received, recorded: Result<(), Refused>) {
        match &recorded {
            Ok(()) => self.backoff.reset(),
            Err(refused) => {
                self.rewinds = true;
                tracing::debug!(channel = %self.entry.channel.info().id, %refused, "event not taken");
                if self.pause.is_none() {
                    let wait = self.backoff.wait(self.core.random.as_ref());
                    self.backoff.failed(Duration::ZERO);
                    self.pause = Some(self.core.clock.sleep(wait));
                }
            }
        }
        settle(received, recorded.is_ok()).await;
    }

    async fn take(&mut self, mut received: Received, now: Duration) {
        let (core, entry) = (self.core, self.entry);
        let Some(event) = received.take() else {
            return;
        };
        entry.board.prove(core.clock.now());
        if let EventKind::Connection(news) = event.kind {
            return hear(core, entry, news);
        }
        entry.board.meters.received.add();
        // A secret is not written down, but handled before it is acknowledged.
        if core.durable.is_some() && !core.policy.is_secret(&event) {
            self.record(event, received).await;
        } else {
            self.remember(event, received, now).await;
        }
    }

    /// With a store: the event is safe when it is on record.
    async fn record(&mut self, event: Event, received: Received) {
        let (core, entry) = (self.core, self.entry);
        channel_delivery::failpoint::hit("received");
        if !core.admits(&event) {
            entry.board.meters.ignored.add();
            return settle(received, true).await;
        }
        let (Some(durable), Some(place)) = (&core.durable, self.place.take()) else {
            return;
        };
        let cursor = received.cursor().map(str::to_owned);
        let safe = durable.record(entry, &self.unbroken, vec![(event, cursor, place)]);
        self.recording
            .push(async move { (received, safe.await) }.boxed());
    }

    /// With nothing but memory: the event is safe when it has been handled.
    async fn remember(&mut self, event: Event, received: Received, now: Duration) {
        let (core, entry) = (self.core, self.entry);
        let meters = &entry.board.meters;
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
        let Some(place) = self.place.take() else {
            // Not reached: the stream is only asked for more with a place in hand. The event
            // is forgotten again, so that its redelivery is taken.
            core.seen.forget(key);
            return;
        };
        let slot = AckSlot::new(duty);
        self.deadlines
            .push(now.saturating_add(core.ack_within), slot.clone());
        core.submit(entry, event, key, slot, place);
    }
}

/// Waits for something that may not be there.
async fn when(future: &mut Option<BoxFuture<'static, ()>>) {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}
