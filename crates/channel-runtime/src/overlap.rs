//! What happens to messages that come while another one of their conversation is handled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    AccountRef, Clock, Conversation, Event, EventKind, InboundMessage as _, Message, MessageId,
};
use futures_util::FutureExt as _;
use tokio::sync::watch;

use crate::driver::stopped;
use crate::lanes::Lanes;
use crate::status::lock;

/// What happens to messages that come while another one of their conversation is handled.
///
/// Only new messages are meant; edits, presses and all else keep their place in the row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlap {
    /// One after the other.
    #[default]
    Queue,
    /// Of those that wait, only the newest is handled when its turn comes; the others are
    /// passed over, and counted.
    Latest,
    /// What one sender writes in quick succession is one message: their texts, line by
    /// line. So are files that come within 750 ms of one another, their captions line by
    /// line. Files are not joined to texts, and a command is never joined to anything; all of
    /// them keep their order.
    Debounce {
        /// How long the sender has to be quiet.
        quiet: Duration,
        /// The longest that the first message waits.
        longest: Duration,
    },
    /// All at once, in no order.
    Concurrent,
}

impl Overlap {
    /// Joins what one sender writes within 800 ms, for at most 5 s.
    #[must_use]
    pub const fn debounce() -> Self {
        Self::Debounce {
            quiet: Duration::from_millis(800),
            longest: Duration::from_secs(5),
        }
    }
}

/// How long a sender of files has to be quiet: platforms send one message for each.
const FILES_WITHIN: Duration = Duration::from_millis(750);

/// What a message may be joined to: more of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joins {
    Words,
    Files,
    Nothing,
}

impl Joins {
    fn of(message: &Message) -> Self {
        if message.command().is_some() {
            Self::Nothing
        } else if message.attachments.is_empty() {
            Self::Words
        } else {
            Self::Files
        }
    }
}

/// A message that waits for its turn, where others can still change its fate.
#[derive(Debug, Clone)]
pub(crate) struct Slot(Arc<Mutex<Waiting>>);

#[derive(Debug)]
struct Waiting {
    event: Option<Event>,
    fate: Fate,
    sender: AccountRef,
    arrived: Duration,
    joins: Joins,
}

/// What has become of a message that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its turn has come.
    Handle,
    /// A newer one is handled in its place.
    PassedOver,
    /// It was joined to one before it.
    Joined,
}

impl Slot {
    /// A slot for a new message; `None` for every other event.
    pub(crate) fn of(event: &Event, arrived: Duration) -> Option<Self> {
        let EventKind::Message(message) = &event.kind else {
            return None;
        };
        Some(Self(Arc::new(Mutex::new(Waiting {
            event: None,
            fate: Fate::Handle,
            sender: message.sender.account.clone(),
            arrived,
            joins: Joins::of(message),
        }))))
    }

    fn put(&self, event: Event) {
        lock(&self.0).event = Some(event);
    }

    fn pass_over(&self) {
        lock(&self.0).fate = Fate::PassedOver;
    }
}

/// A message on its way to its turn, and how it gets along with others.
#[derive(Debug)]
pub(crate) struct Turn {
    event: Option<Event>,
    slot: Option<Slot>,
    overlap: Overlap,
}

/// An event whose turn has come, with those that were joined to it.
pub(crate) struct Taken {
    pub(crate) event: Event,
    joined: Vec<(Slot, Event)>,
}

impl Turn {
    pub(crate) fn new(overlap: Overlap, event: Event, arrived: Duration) -> Self {
        let slot = match overlap {
            Overlap::Latest | Overlap::Debounce { .. } => Slot::of(&event, arrived),
            Overlap::Queue | Overlap::Concurrent => None,
        };
        let event = match &slot {
            Some(slot) => {
                slot.put(event);
                None
            }
            None => Some(event),
        };
        Self {
            event,
            slot,
            overlap,
        }
    }

    pub(crate) const fn slot(&self) -> Option<&Slot> {
        self.slot.as_ref()
    }

    /// Takes an event of which nothing can become but to be handled.
    pub(crate) const fn take_plain(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// Takes the event when its turn has come.
    ///
    /// # Errors
    ///
    /// What else has become of it.
    pub(crate) async fn take(
        self,
        lanes: &Lanes,
        conversation: &Conversation,
        clock: &dyn Clock,
        stop: &watch::Sender<bool>,
    ) -> Result<Taken, Fate> {
        let Some(slot) = self.slot else {
            return self.event.map(Taken::alone).ok_or(Fate::Joined);
        };
        let (fate, joins) = {
            let waiting = lock(&slot.0);
            (waiting.fate, waiting.joins)
        };
        if let (Overlap::Debounce { quiet, longest }, Fate::Handle) = (self.overlap, fate) {
            let quiet = match joins {
                Joins::Words => Some(quiet),
                Joins::Files => Some(FILES_WITHIN),
                Joins::Nothing => None,
            };
            if let Some(quiet) = quiet {
                // Few wait like this, and all would have to keep room for it.
                let taken = joined(&slot, lanes, conversation, clock, stop, quiet, longest);
                return taken.boxed().await.ok_or(Fate::Joined);
            }
        }
        let mut waiting = lock(&slot.0);
        match waiting.fate {
            Fate::Handle => waiting.event.take().map(Taken::alone).ok_or(Fate::Joined),
            fate => Err(fate),
        }
    }
}

impl Taken {
    const fn alone(event: Event) -> Self {
        Self {
            event,
            joined: Vec::new(),
        }
    }

    /// Lets those that were joined be handled on their own after all.
    pub(crate) fn give_back(self) {
        for (slot, event) in self.joined {
            let mut waiting = lock(&slot.0);
            waiting.event = Some(event);
            waiting.fate = Fate::Handle;
            // Not joined again: one of them may be what fails.
            waiting.joins = Joins::Nothing;
        }
    }
}

/// Waits until the sender is quiet, then takes all that they have written.
async fn joined(
    slot: &Slot,
    lanes: &Lanes,
    conversation: &Conversation,
    clock: &dyn Clock,
    stop: &watch::Sender<bool>,
    quiet: Duration,
    longest: Duration,
) -> Option<Taken> {
    let mut stop = stop.subscribe();
    let (sender, first, kind) = {
        let waiting = lock(&slot.0);
        (waiting.sender.clone(), waiting.arrived, waiting.joins)
    };
    loop {
        let waiting = lanes.waiting(conversation);
        let mut last = first;
        let mut group = Vec::new();
        let mut flush = *stop.borrow_and_update();
        for other in waiting {
            let (same, joins, arrived) = {
                let other = lock(&other.0);
                (other.sender == sender, other.joins, other.arrived)
            };
            if !same {
                continue;
            }
            if joins != kind {
                // A command, or a file after words: what came before it is complete.
                flush = true;
                break;
            }
            last = last.max(arrived);
            group.push(other);
        }
        let now = clock.elapsed();
        let until = last
            .saturating_add(quiet)
            .min(first.saturating_add(longest));
        if flush || now >= until {
            return take_all(slot, group);
        }
        tokio::select! {
            biased;
            () = stopped(&mut stop) => {}
            () = clock.sleep(until.saturating_sub(now)) => {}
            () = lanes.changed() => {}
        }
    }
}

fn take_all(slot: &Slot, group: Vec<Slot>) -> Option<Taken> {
    let mut event = lock(&slot.0).event.take()?;
    let mut joined = Vec::new();
    for other in group {
        let taken = {
            let mut waiting = lock(&other.0);
            let taken = waiting.event.take();
            if taken.is_some() {
                waiting.fate = Fate::Joined;
            }
            taken
        };
        if let Some(taken) = taken {
            if let (EventKind::Message(first), EventKind::Message(next)) =
                (&mut event.kind, &taken.kind)
            {
                join(first, next);
            }
            joined.push((other, taken));
        }
    }
    Some(Taken { event, joined })
}

/// Adds a message to the one before it: the answer goes to the newest.
fn join(first: &mut Message, next: &Message) {
    if first.attachments.is_empty() || !first.text.is_empty() && !next.text.is_empty() {
        first.text.push('\n');
    }
    first.text.push_str(&next.text);
    first.attachments.extend_from_slice(&next.attachments);
    // Marks of the parts do not fit the whole.
    first.formatted = None;
    let id: MessageId = std::mem::replace(&mut first.id, next.id.clone());
    first.joined.push(id);
    first.return_address = next.return_address.clone();
    first.sent_at = next.sent_at;
    first.raw = next.raw.clone();
    if !first.addressed.is_to_me() {
        first.addressed = next.addressed;
    }
}

/// Passes over every message that waits.
pub(crate) fn pass_over(waiting: &[Slot]) {
    for slot in waiting {
        slot.pass_over();
    }
}
