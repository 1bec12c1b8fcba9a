//! One task that records events and feeds the lanes.
//!
//! There is one, so that the order in which events are recorded is the order in which they
//! enter their lanes, whether they come from a connection, a webhook or the backlog.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{ChannelId, Event, Refused};
use channel_delivery::{
    EventState, NewEvent, Recorded, Seq, StoreError, StoreErrorKind, StoredEvent,
};
use tokio::sync::{mpsc, oneshot};

use super::Durable;
use super::job::{self, Progress};
use crate::driver::{Core, Entry, stopped};
use crate::lanes::{Job, Place};
use crate::status::lock;

/// How many requests share one write.
const BATCH: usize = 256;
/// How many events of the backlog are taken at once.
const CLAIM: usize = 64;
/// How often somebody looks for events that nobody works on: those of a worker that died,
/// and dead ones that somebody wants to be tried again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Events of one channel that are to be recorded, all or none.
pub(crate) struct Request {
    pub(crate) entry: Arc<Entry>,
    pub(crate) events: Vec<(Event, Option<String>, Place)>,
    /// Events that one stream has handed over one after the other share it.
    pub(crate) run: Unbroken,
    pub(crate) done: oneshot::Sender<Result<(), Refused>>,
}

/// Whether every event of a stream is on record so far.
///
/// An event that could not be recorded comes again, and those behind it must come after it:
/// recorded first they would overtake it, and their cursor would pass it for good.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unbroken(Arc<AtomicBool>);

impl Unbroken {
    fn holds(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }

    fn ends(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The events that this process is at work on, or has in a lane.
#[derive(Debug, Clone, Default)]
struct InHand(Arc<Mutex<HashMap<Seq, u32>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    all: InHand,
    event: Seq,
}

impl InHand {
    fn has(&self, event: Seq) -> bool {
        lock(&self.0).contains_key(&event)
    }

    /// Twice at once is possible: a dead event is revived before its job has quite ended.
    fn take(&self, event: Seq) -> Held {
        *lock(&self.0).entry(event).or_default() += 1;
        let all = self.clone();
        Held { all, event }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = lock(&self.all.0);
        if let Some(times) = all.get_mut(&self.event) {
            *times -= 1;
            if *times == 0 {
                all.remove(&self.event);
            }
        }
    }
}

struct Recorder<'a> {
    core: &'a Arc<Core>,
    durable: &'a Durable,
    entries: HashMap<ChannelId, Arc<Entry>>,
    /// Whether the last look left something behind.
    backlog: bool,
    look_at: Duration,
    /// Whether the store may have given us events and its answer was lost: nobody else takes
    /// them up then, and when they come again they are known.
    in_doubt: bool,
    /// How far the look for them has come.
    looked_at: Option<Seq>,
    in_hand: InHand,
}

/// Records and feeds until the bot stops and every request has its answer.
pub(crate) async fn run(
    core: Arc<Core>,
    entries: Vec<Arc<Entry>>,
    mut requests: mpsc::UnboundedReceiver<Request>,
) {
    let Some(durable) = &core.durable else { return };
    let mut stop = core.stop.subscribe();
    let mut recorder = Recorder {
        core: &core,
        durable,
        entries: entries
            .into_iter()
            .map(|entry| (entry.channel.info().id.clone(), entry))
            .collect(),
        backlog: true,
        look_at: Duration::ZERO,
        in_doubt: false,
        looked_at: None,
        in_hand: InHand::default(),
    };
    let mut batch = Vec::new();
    loop {
        let idle = recorder.look_at.saturating_sub(core.clock.elapsed());
        tokio::select! {
            biased;
            // What died with the last process comes before what is new.
            place = core.lanes.reserve(), if recorder.backlog => recorder.feed(place).await,
            got = requests.recv_many(&mut batch, BATCH) => {
                if got == 0 {
                    return;
                }
                recorder.record(std::mem::take(&mut batch)).await;
                recorder.look(core.clock.elapsed());
            }
            () = core.clock.sleep(idle), if !recorder.backlog => {
                recorder.look(core.clock.elapsed());
            }
            () = stopped(&mut stop) => break,
        }
    }
    // Those who wait for an answer get one; nothing new is taken.
    requests.close();
    while requests.recv_many(&mut batch, BATCH).await > 0 {
        recorder.record(std::mem::take(&mut batch)).await;
    }
}

impl Recorder<'_> {
    fn look(&mut self, now: Duration) {
        if now >= self.look_at {
            self.backlog = true;
        }
    }

    async fn record(&mut self, requests: Vec<Request>) {
        let (requests, late): (Vec<_>, Vec<_>) = requests
            .into_iter()
            .partition(|request| request.run.holds());
        for request in late {
            refuse(request, unavailable("an earlier event was not recorded"));
        }
        if requests.is_empty() {
            return;
        }
        // They come before what is recorded now.
        if let Err(error) = self.resolve().await {
            return refuse_all(requests, &error);
        }
        let now = self.durable.worker.now();
        let events: Vec<NewEvent> = requests
            .iter()
            .flat_map(|request| &request.events)
            .map(|(event, cursor, _)| {
                let new = NewEvent::new(event.clone());
                match cursor {
                    Some(cursor) => new.cursor(cursor.clone()),
                    None => new,
                }
            })
            .collect();
        channel_delivery::failpoint::hit("verified");
        let store = self.durable.worker.store();
        match store.record(self.durable.worker.fence(), events, now).await {
            Ok(recorded) => {
                channel_delivery::failpoint::hit("inserted");
                let mut recorded = recorded.into_iter();
                for request in requests {
                    self.submit(request, &mut recorded);
                }
            }
            Err(error) => {
                self.doubt(&error);
                refuse_all(requests, &error);
            }
        }
    }

    /// The store may have done what it was asked for.
    fn doubt(&mut self, error: &StoreError) {
        if error.kind() == StoreErrorKind::Unavailable {
            self.in_doubt = true;
            self.looked_at = None;
        }
    }

    /// Takes up what the store has given us by a write whose answer was lost.
    async fn resolve(&mut self) -> Result<(), StoreError> {
        while self.in_doubt {
            let worker = &self.durable.worker;
            let owned = worker.store().owned(worker.fence(), self.looked_at, CLAIM);
            let owned = owned.await?;
            let is_last = owned.len() < CLAIM;
            for event in owned {
                self.looked_at = Some(event.seq);
                if self.in_hand.has(event.seq) {
                    continue;
                }
                if let Some(entry) = self.entries.get(&event.event.channel).cloned() {
                    // If it was refused, its place was given back.
                    self.start(&entry, event, self.core.lanes.overbook());
                }
            }
            self.in_doubt = !is_last;
        }
        Ok(())
    }

    fn submit(&mut self, request: Request, recorded: &mut impl Iterator<Item = Recorded>) {
        let now = self.durable.worker.now();
        for (event, _, place) in request.events {
            match recorded.next() {
                Some(Recorded::Fresh { seq, mine: true }) => {
                    let event = StoredEvent::new(seq, event, EventState::Received, 0, now);
                    self.start(&request.entry, event, place);
                }
                Some(Recorded::Fresh { mine: false, .. }) => self.look_at = Duration::ZERO,
                Some(_) => request.entry.board.meters.duplicates.add(),
                // Not reached: there is an answer for every event.
                None => tracing::error!("the store did not answer for every event"),
            }
        }
        // Whoever asked may be gone; the events are safe.
        drop(request.done.send(Ok(())));
    }

    /// Takes up what nobody works on.
    async fn feed(&mut self, first: Place) {
        let mut places = vec![first];
        while places.len() < CLAIM
            && let Some(mut more) = self.core.lanes.try_reserve(1)
        {
            places.append(&mut more);
        }
        self.backlog = false;
        self.look_at = self.core.clock.elapsed().saturating_add(LOOK_EVERY);
        // Before others are claimed, of which some may stand behind them.
        if let Err(error) = self.resolve().await {
            tracing::warn!(%error, "the store does not say what it has recorded");
            return;
        }
        let worker = &self.durable.worker;
        let claimed = worker
            .store()
            .claim(worker.fence(), places.len(), worker.now());
        let claimed = match claimed.await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "the backlog cannot be read");
                self.doubt(&error);
                return;
            }
        };
        if !claimed.is_empty() {
            channel_delivery::failpoint::hit("claimed");
        }
        self.backlog = claimed.len() >= places.len();
        for event in claimed {
            let Some(entry) = self.entries.get(&event.event.channel).cloned() else {
                tracing::warn!(channel = %event.event.channel, event = %event.seq, "an event waits for a channel that is not there");
                continue;
            };
            if let Some(place) = places.pop() {
                self.start(&entry, event, place);
            }
        }
    }

    fn start(&self, entry: &Arc<Entry>, stored: StoredEvent, place: Place) {
        let in_hand = self.in_hand.take(stored.seq);
        let (progress, event) = Progress::of(stored);
        let (lane, turn) = self.core.turn(event);
        let slot = turn.slot().cloned();
        let run = job::run(job::Recorded {
            core: Arc::clone(self.core),
            entry: Arc::clone(entry),
            lane: lane.clone(),
            progress,
            turn,
            place,
            in_hand,
        });
        let job = Job {
            run: Box::pin(run),
            slot,
        };
        self.core.lanes.submit(lane, job);
    }
}

fn refuse_all(requests: Vec<Request>, error: &StoreError) {
    tracing::error!(%error, events = requests.len(), "events not recorded; the platform is to come again");
    for request in requests {
        request.run.ends();
        let refused = match error.kind() {
            StoreErrorKind::Fenced => Refused::Stopping,
            _ => unavailable(&error.to_string()),
        };
        refuse(request, refused);
    }
}

fn unavailable(why: &str) -> Refused {
    let error = channel_core::Error::new(channel_core::ErrorKind::Unavailable, why);
    Refused::Failed(error)
}

/// Tells whoever handed the events over that they are to come again.
fn refuse(request: Request, refused: Refused) {
    for _ in &request.events {
        request.entry.board.meters.rejected.add();
    }
    // Whoever asked may be gone.
    drop(request.done.send(Err(refused)));
}
