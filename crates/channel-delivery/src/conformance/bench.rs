//! What the checks stand on.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{
    AccountRef, Chat, ChatKind, Event, EventKind, IdempotencyKey, Message, MessageRef,
    OutboundMessage, Platform, Proof, Raw, Receipt, ReplyTo, Sender, Target, Unknown,
};

use super::Subject;
use crate::inbound::{NewEvent, Outcome, Recorded, Seq, StoredEvent};
use crate::outbound::{NewDelivery, Part, PartState, StoredDelivery};
use crate::store::{Store, StoreError, StoreErrorKind};
use crate::worker::{Fence, WorkerId};

/// Why a check ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(String),
    Ignored,
}

pub(crate) type Done = Result<(), Stop>;

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(format!("{:?}: {error}", error.kind()))
    }
}

/// Fails with these words unless it holds.
pub(crate) fn ensure(holds: bool, words: impl fmt::Display) -> Done {
    match holds {
        true => Ok(()),
        false => Err(Stop::Failed(words.to_string())),
    }
}

pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Done {
    ensure(
        found == expected,
        format_args!("{what}: expected {expected:?}, found {found:?}"),
    )
}

/// The call has to be refused like this.
pub(crate) fn refused<T: fmt::Debug>(
    what: &str,
    result: Result<T, StoreError>,
    kind: StoreErrorKind,
) -> Done {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        other => Err(Stop::Failed(format!(
            "{what}: expected {kind:?}, found {other:?}"
        ))),
    }
}

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A moment, in whole seconds after the beginning.
pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

pub(crate) struct Bench<'a> {
    subject: &'a dyn Subject,
    store: Mutex<Option<Arc<dyn Store>>>,
}

impl<'a> Bench<'a> {
    pub(crate) async fn new(subject: &'a dyn Subject) -> Self {
        Self {
            subject,
            store: Mutex::new(Some(subject.fresh().await)),
        }
    }

    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, Stop> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.clone().ok_or(Stop::Ignored)
    }

    /// The process dies and starts again. No other handle may be left.
    pub(crate) async fn restart(&self) -> Result<Arc<dyn Store>, Stop> {
        let store = {
            let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            store.take().ok_or(Stop::Ignored)?
        };
        let store = self.subject.reopened(store).await.ok_or(Stop::Ignored)?;
        let mut place = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::clone(&store));
        Ok(store)
    }

    pub(crate) fn proves_death(&self) -> bool {
        self.subject.proves_death()
    }

    /// Enrols a worker at the beginning.
    pub(crate) async fn worker(&self, name: &str) -> Result<Fence, Stop> {
        self.worker_at(name, at(0)).await
    }

    pub(crate) async fn worker_at(&self, name: &str, now: SystemTime) -> Result<Fence, Stop> {
        let worker = WorkerId::new(name);
        Ok(self.store()?.enroll(&worker, LEASE, now).await?)
    }

    /// Records one event; it has to be new and the recorder's own.
    pub(crate) async fn recorded(&self, fence: Fence, event: Event) -> Result<Seq, Stop> {
        match self.record(fence, event).await? {
            Recorded::Fresh { seq, mine: true } => Ok(seq),
            other => Err(Stop::Failed(format!(
                "expected a fresh event of the worker's own, found {other:?}"
            ))),
        }
    }

    pub(crate) async fn record(&self, fence: Fence, event: Event) -> Result<Recorded, Stop> {
        let events = vec![NewEvent::new(event)];
        let answers = self.store()?.record(fence, events, at(0)).await?;
        match answers.as_slice() {
            [answer] => Ok(*answer),
            other => Err(Stop::Failed(format!("expected one answer: {other:?}"))),
        }
    }

    pub(crate) async fn claimed(&self, fence: Fence, now: SystemTime) -> Result<Vec<Seq>, Stop> {
        let claimed = self.store()?.claim(fence, 100, now).await?;
        Ok(seqs(&claimed))
    }

    /// Plans one delivery; it has to be new.
    pub(crate) async fn planned(
        &self,
        fence: Fence,
        key: &str,
        parts: usize,
    ) -> Result<StoredDelivery, Stop> {
        let planned = self
            .store()?
            .plan(fence, delivery(key, parts), at(0))
            .await?;
        ensure(planned.is_new, "a new key was found planned")?;
        Ok(planned.delivery)
    }

    /// Ends an event's way: begins it, and finishes it like this.
    pub(crate) async fn ended(&self, fence: Fence, seq: Seq, outcome: Outcome) -> Done {
        let store = self.store()?;
        store.begin(fence, seq, at(1)).await?;
        Ok(store.finish(fence, seq, outcome, at(1)).await?)
    }

    /// A delivery with one part in this state, owned by the worker.
    pub(crate) async fn part_in(
        &self,
        fence: Fence,
        key: &str,
        state: PartState,
    ) -> Result<StoredDelivery, Stop> {
        let store = self.store()?;
        let mut planned = self.planned(fence, key, 1).await?;
        let mut part = Part::prepared();
        let steps: &[PartState] = match state {
            PartState::Prepared => &[],
            PartState::Suppressed | PartState::Dead | PartState::Sending => &[state],
            _ => &[PartState::Sending, state],
        };
        for step in steps {
            part = step_to(&part, *step);
            let change = vec![(0, part.clone())];
            store.update(fence, planned.id, change, at(1)).await?;
        }
        planned.parts = vec![part];
        Ok(planned)
    }
}

/// What a worker would write to bring a part into this state.
pub(crate) fn step_to(part: &Part, state: PartState) -> Part {
    let part = part.clone();
    match state {
        PartState::Sending => part.sending(),
        PartState::Delivered => part.delivered(receipt()),
        PartState::Failed => part.failed(at(60), "busy"),
        state => part.because(state, "why"),
    }
}

pub(crate) fn receipt() -> Receipt {
    Receipt::new(vec![MessageRef::new("ada".into(), "m1".into())])
}

pub(crate) fn seqs(events: &[StoredEvent]) -> Vec<Seq> {
    events.iter().map(|event| event.seq).collect()
}

/// Somebody writes `words` in a chat; the id is the event's.
pub(crate) fn said(id: &str, chat: &str, words: &str) -> Event {
    let channel = channel_core::ChannelId::new("acme");
    let account = AccountRef::new(Platform::new("acme"), "ada".into());
    let mut message = Message::new(
        id.into(),
        Chat::new(chat.into(), ChatKind::Group),
        Sender::new(account, Proof::Verified),
        ReplyTo::new(channel.clone(), Target::chat(chat)),
    );
    message.text = words.to_owned();
    Event::new(id.into(), channel, EventKind::Message(Box::new(message)))
}

/// Something happens in no conversation.
pub(crate) fn nowhere(id: &str) -> Event {
    let unknown = Unknown::new("odd", Raw::default());
    let kind = EventKind::Unknown(Box::new(unknown));
    Event::new(id.into(), "acme".into(), kind)
}

pub(crate) fn delivery(key: &str, parts: usize) -> NewDelivery {
    let message = OutboundMessage::new(
        Target::chat("ada"),
        channel_core::Body::plain(format!("words of {key}")),
    );
    NewDelivery::new("acme".into(), IdempotencyKey::new(key), message, parts)
}

pub(crate) const fn handled() -> Outcome {
    Outcome::Handled { remark: None }
}

pub(crate) fn dead() -> Outcome {
    Outcome::Dead {
        reason: "too often".to_owned(),
    }
}

pub(crate) fn retry(not_before: SystemTime) -> Outcome {
    Outcome::Retry {
        not_before,
        reason: "busy".to_owned(),
    }
}
