//! One recorded event, from its first attempt to its final state.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use channel_core::{Channel, Conversation, Error, ErrorKind, Event, EventId};
use channel_delivery::{
    Attempt, EventState, Outcome, Seq, StoreError, StoreErrorKind, StoredEvent, Undelivered,
    Unfinished,
};
use futures_util::FutureExt as _;

use super::channel::{DurableChannel, own_chat};
use super::recorder::Held;
use super::{Durable, insist};
use crate::driver::{Core, Entry, stopped};
use crate::handle::{Handling, judge_and_handle};
use crate::handler::BoxError;
use crate::lanes::Place;
use crate::overlap::{Fate, Taken, Turn};

/// After how many attempts an event is set aside whose handler is not to blame: its process
/// did not survive, and is more often killed than poisoned; or a reply has no end yet, because
/// the store was out of reach or another worker has it, which lasts as long as a lease.
const BLAMELESS: u32 = 10;
/// From how many deaths on an event waits before it is attempted once more.
const SUSPICIOUS: u32 = 3;
/// The first pause before another attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: an event that fails holds up its conversation.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same with what is added to spread attempts. Whoever reads that an event waits for
/// longer has a clock that was set back, or another one than who wrote it.
const LONGEST_WAIT: Duration = Duration::from_secs(45);

/// A recorded event that waits for its turn.
pub(crate) struct Recorded {
    pub(crate) core: Arc<Core>,
    pub(crate) entry: Arc<Entry>,
    pub(crate) lane: Conversation,
    pub(crate) progress: Progress,
    pub(crate) turn: Turn,
    pub(crate) place: Place,
    pub(crate) in_hand: Held,
}

/// How far an event has come, without the event itself.
pub(crate) struct Progress {
    seq: Seq,
    id: EventId,
    state: EventState,
    attempts: u32,
    not_before: SystemTime,
}

impl Progress {
    /// Takes an event and its progress apart.
    pub(crate) fn of(stored: StoredEvent) -> (Self, Event) {
        let progress = Self {
            seq: stored.seq,
            id: stored.event.id.clone(),
            state: stored.state,
            attempts: stored.attempts,
            not_before: stored.not_before,
        };
        (progress, stored.event)
    }
}

/// Attempts the event until it has a final state, the bot stops, or somebody else has taken
/// over. What is not finished is taken up from the store.
pub(crate) async fn run(recorded: Recorded) {
    let Recorded {
        core,
        entry,
        lane,
        progress,
        turn,
        place,
        in_hand,
    } = recorded;
    if let Some(durable) = &core.durable {
        let run = Run {
            core: &core,
            durable,
            entry: &entry,
            progress,
        };
        let seq = run.progress.seq;
        if let Err(error) = run.until_final(&lane, turn).await {
            tracing::error!(channel = %entry.channel.info().id, event = %seq, %error, "the event is left to the store");
        }
    }
    drop((place, in_hand));
}

struct Run<'a> {
    core: &'a Arc<Core>,
    durable: &'a Durable,
    entry: &'a Entry,
    progress: Progress,
}

impl Run<'_> {
    async fn until_final(self, lane: &Conversation, turn: Turn) -> Result<(), StoreError> {
        let Progress {
            state, attempts, ..
        } = self.progress;
        if state == EventState::Handling && attempts >= self.durable.attempts.max(BLAMELESS) {
            self.entry.board.meters.dead.add();
            let reason = format!("the process ended in the last of {attempts} attempts");
            return self.end(Outcome::Dead { reason }).await;
        }
        let clock = self.core.clock.as_ref();
        let taken = turn
            .take(&self.core.lanes, lane, clock, &self.core.stop)
            .await;
        let meters = &self.entry.board.meters;
        let remark = match taken {
            Ok(taken) => {
                let ended = self.attempt_all(&taken).await;
                // Those that were joined to it have been handled only if it has.
                if !matches!(ended, Ok(true)) {
                    taken.give_back();
                }
                return ended.map(drop);
            }
            Err(Fate::PassedOver) => {
                meters.passed_over.add();
                "passed over"
            }
            Err(_) => {
                meters.joined.add();
                "joined to the message before"
            }
        };
        // On record as handled, because nothing more is to happen with it: while the bot stops
        // too, or the next process would handle it once more.
        self.count_attempt().await?;
        let remark = Some(remark.to_owned());
        self.end(Outcome::Handled { remark }).await
    }

    /// When the first attempt may begin. An event over which processes have died again and
    /// again waits, longer each time: if another one is to blame, it is out of harm's way
    /// meanwhile, and if it is to blame itself, the others are.
    fn not_before(&self) -> SystemTime {
        let Progress {
            state,
            attempts,
            not_before,
            ..
        } = self.progress;
        if state != EventState::Handling || attempts < SUSPICIOUS {
            return not_before;
        }
        let times = attempts.saturating_sub(SUSPICIOUS).saturating_add(1);
        let wait = FIRST_PAUSE.saturating_mul(times).min(LONGEST_PAUSE);
        // Spread, so that suspects do not begin together.
        let wait = wait.mul_f64(0.5 + channel_core::random_unit(self.core.random.as_ref()));
        let now = self.durable.worker.now();
        now.checked_add(wait).unwrap_or(now)
    }

    /// Whether it has been handled or refused in the end, and is neither dead nor left to
    /// the next process.
    async fn attempt_all(&self, taken: &Taken) -> Result<bool, StoreError> {
        let mut not_before = self.not_before();
        let mut failures = match self.progress.state {
            EventState::Retrying => self.progress.attempts,
            _ => 0,
        };
        loop {
            if !wait_until(self.core, self.durable, not_before).await {
                return Ok(false);
            }
            if self.begin().await?.is_none() {
                return Ok(false);
            }
            failures = failures.saturating_add(1);
            let channel: Arc<dyn Channel> = Arc::new(DurableChannel::answering(
                Arc::clone(&self.entry.channel),
                self.durable,
                self.progress.seq,
                self.progress.id.clone(),
                own_chat(&taken.event),
            ));
            let work = judge_and_handle(self.core, &channel, taken.event.clone());
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            let outcome = outcome(self.core, self.durable, self.entry, failures, ended);
            let next = match &outcome {
                Outcome::Retry { not_before, .. } => Some(*not_before),
                _ => None,
            };
            let is_dead = matches!(outcome, Outcome::Dead { .. });
            self.end(outcome).await?;
            if next.is_none() {
                channel_delivery::failpoint::hit("deleted");
            }
            match next {
                Some(next) => not_before = next,
                None => return Ok(!is_dead),
            }
        }
    }

    /// Begins an attempt; `None` if the bot stops first.
    async fn begin(&self) -> Result<Option<Attempt>, StoreError> {
        if *self.core.stop.borrow() {
            return Ok(None);
        }
        self.count_attempt().await.map(Some)
    }

    async fn count_attempt(&self) -> Result<Attempt, StoreError> {
        let (worker, seq) = (&self.durable.worker, self.progress.seq);
        let (clock, random) = (self.core.clock.as_ref(), self.core.random.as_ref());
        insist(clock, random, || {
            worker.store().begin(worker.fence(), seq, worker.now())
        })
        .await
    }

    async fn end(&self, outcome: Outcome) -> Result<(), StoreError> {
        let (worker, seq) = (&self.durable.worker, self.progress.seq);
        let in_doubt = AtomicBool::new(false);
        insist(self.core.clock.as_ref(), self.core.random.as_ref(), || {
            let finish = worker
                .store()
                .finish(worker.fence(), seq, outcome.clone(), worker.now());
            async {
                let finished = finish.await;
                match finished.as_ref().map_err(StoreError::kind) {
                    Err(StoreErrorKind::Unavailable) => in_doubt.store(true, Ordering::Relaxed),
                    // Nobody else ends it: the write whose answer was lost has done so.
                    Err(StoreErrorKind::Illegal) if in_doubt.load(Ordering::Relaxed) => {
                        return Ok(());
                    }
                    _ => {}
                }
                finished
            }
        })
        .await
    }
}

/// Waits for an attempt's time; `false` if the bot stops first. An event that has not begun
/// needs no hurry then: it is on record.
async fn wait_until(core: &Core, durable: &Durable, not_before: SystemTime) -> bool {
    let mut stop = core.stop.subscribe();
    let wait = not_before
        .duration_since(durable.worker.now())
        .unwrap_or_default();
    if wait.is_zero() {
        return !*stop.borrow();
    }
    // Looked at once and then measured on the monotonic clock, so that a clock that is set
    // back does not hold the conversation.
    tokio::select! {
        biased;
        () = stopped(&mut stop) => false,
        () = core.clock.sleep(wait.min(LONGEST_WAIT)) => true,
    }
}

fn outcome(
    core: &Core,
    durable: &Durable,
    entry: &Entry,
    attempt: u32,
    ended: Result<Handling, Box<dyn std::any::Any + Send>>,
) -> Outcome {
    let meters = &entry.board.meters;
    let mut attempts = durable.attempts;
    let reason = match ended {
        Ok(Handling::Handled) => {
            meters.handled.add();
            return Outcome::Handled { remark: None };
        }
        Ok(Handling::Ignored) => {
            meters.ignored.add();
            return Outcome::Handled {
                remark: Some("no handler".to_owned()),
            };
        }
        Ok(Handling::Refused(reason)) => {
            meters.refused.add();
            return Outcome::Refused {
                reason: reason.to_owned(),
            };
        }
        Ok(Handling::Failed(error)) => {
            meters.failed.add();
            tracing::warn!(channel = %entry.channel.info().id, attempt, %error, "handler failed");
            if let Some(remark) = beyond_retry(&error) {
                return Outcome::Handled {
                    remark: Some(remark),
                };
            }
            if is_unfinished(&error) {
                attempts = attempts.max(BLAMELESS);
            }
            because(&error)
        }
        Err(_) => {
            meters.panicked.add();
            tracing::error!(channel = %entry.channel.info().id, attempt, "handler panicked");
            "the handler panicked".to_owned()
        }
    };
    // Being told to stop is no fault of the event.
    let cut_off = *core.stop.borrow();
    if attempt >= attempts && !cut_off {
        meters.dead.add();
        tracing::error!(channel = %entry.channel.info().id, attempt, reason, "event set aside");
        return Outcome::Dead { reason };
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(10));
    let pause = doubled.min(LONGEST_PAUSE);
    // A little earlier or later, so that what failed together is not tried together.
    let pause = pause.mul_f64(0.75 + channel_core::random_unit(core.random.as_ref()) / 2.0);
    let now = durable.worker.now();
    Outcome::Retry {
        not_before: now.checked_add(pause).unwrap_or(now),
        reason,
    }
}

/// What is kept about a failure: its kind and the platform's code, if a channel has failed.
/// Never its text, which may say what people wrote.
fn because(error: &BoxError) -> String {
    let mut cause: Option<&dyn std::error::Error> = Some(error.as_ref());
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<Error>() {
            let kind = error.kind();
            return match error.code().filter(|code| is_code(code)) {
                Some(code) => format!("the handler failed: {kind} ({code})"),
                None => format!("the handler failed: {kind}"),
            };
        }
        cause = error.source();
    }
    "the handler failed".to_owned()
}

/// A code is a number or a word, whatever a platform writes there.
fn is_code(code: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=64).contains(&code.len()) && code.bytes().all(is_word)
}

/// A failure that another attempt cannot mend: the platform has refused, or the delivery
/// that failed is on record with an end of its own.
fn beyond_retry(error: &BoxError) -> Option<String> {
    let error = error.downcast_ref::<Error>()?;
    let on_record =
        std::error::Error::source(error).is_some_and(|source| source.is::<Undelivered>());
    let refused = matches!(
        error.kind(),
        ErrorKind::Invalid | ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Unsupported
    );
    (on_record || refused).then(|| format!("a call failed: {}", error.kind()))
}

/// Whether the handler failed only because a reply has no end yet.
fn is_unfinished(error: &BoxError) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| {
        let open = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Uncertain);
        open && Unfinished::is_cause_of(error)
    })
}
