//! Events on their way to the application, and which frames have been seen before.

use std::collections::{HashMap, VecDeque};
use std::sync::Weak;
use std::task::Waker;
use std::time::SystemTime;

use channel_core::{Event, EventId, EventKind};

use crate::link::Link;
use crate::mirror::Mirror;
use crate::seen::Seen;

/// SHA-256 of what a frame says.
pub(crate) type Hash = [u8; 32];

/// The frame that an acknowledgement is for.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The connection that sent it last.
    pub(crate) link: Weak<Link>,
    /// The id to repeat.
    pub(crate) of: String,
    pub(crate) conversation: String,
}

/// An event that the application has not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) event: Event,
    pub(crate) answer: Answer,
    /// What other devices get to see once the application has taken the event.
    pub(crate) mirror: Option<Mirror>,
    /// Whether the client has had its `ack`.
    pub(crate) answered: bool,
    remembered: bool,
}

impl Waiting {
    /// Whether it is the press of a button, which the application answers by itself.
    pub(crate) const fn is_press(&self) -> bool {
        matches!(self.event.kind, EventKind::Action(_))
    }
}

/// What is known of a frame id.
#[derive(Debug)]
struct Past {
    hash: Hash,
    state: PastState,
}

#[derive(Debug)]
enum PastState {
    Waiting(u64),
    Accepted(SystemTime, Option<Box<Press>>),
}

/// A press of a button that the application has stored: it is answered when the
/// application says so.
#[derive(Debug)]
pub(crate) struct Press {
    pub(crate) answer: Answer,
    pub(crate) answered: bool,
}

/// Where an answer to a press goes.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Waiting(&'a mut Waiting),
    Accepted(&'a mut Press),
}

/// How a frame with an id is to be treated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    New,
    /// The same has been accepted before.
    Duplicate(SystemTime),
    /// The same is on its way; its acknowledgement will come.
    Waiting,
    /// The id was used for something else.
    Conflict,
    /// There is no room.
    Busy,
}

/// The queue between the connections and the application.
#[derive(Debug)]
pub(crate) struct Inbox {
    limit: usize,
    next: u64,
    waiting: HashMap<u64, Waiting>,
    queue: VecDeque<u64>,
    /// Taken and dropped by the application: for its next stream, or for the client that
    /// sends them again.
    returned: VecDeque<u64>,
    seen: Seen<Past>,
    /// The number of the stream that is live.
    stream: u64,
    waker: Option<Waker>,
}

impl Inbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            next: 0,
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            returned: VecDeque::new(),
            seen: Seen::new(),
            stream: 0,
            waker: None,
        }
    }

    /// Looks an id up; a frame that is sent again moves its answer to the connection that
    /// it came through now.
    pub(crate) fn admit(
        &mut self,
        id: &EventId,
        hash: Option<&Hash>,
        answer: &Answer,
    ) -> Admission {
        if let Some(hash) = hash
            && let Some(seen) = self.seen.get_mut(id)
        {
            if *hash != seen.hash {
                return Admission::Conflict;
            }
            let token = match &mut seen.state {
                PastState::Waiting(token) => *token,
                PastState::Accepted(at, press) => {
                    if let Some(press) = press {
                        press.answer = answer.clone();
                        press.answered = true;
                    }
                    return Admission::Duplicate(*at);
                }
            };
            if let Some(waiting) = self.waiting.get_mut(&token) {
                waiting.answer = answer.clone();
            }
            if let Some(at) = self.returned.iter().position(|&it| it == token) {
                self.returned.remove(at);
                self.queue.push_back(token);
                self.wake();
            }
            return Admission::Waiting;
        }
        if self.waiting.len() >= self.limit {
            // An event that the application has dropped can be sent again by its client.
            match self.returned.pop_front() {
                Some(token) => self.forget(token),
                None => return Admission::Busy,
            }
        }
        Admission::New
    }

    /// Queues an event that has been admitted.
    pub(crate) fn push(
        &mut self,
        event: Event,
        hash: Option<Hash>,
        answer: Answer,
        mirror: Option<Mirror>,
    ) {
        let token = self.next;
        self.next += 1;
        if let Some(hash) = hash {
            let state = PastState::Waiting(token);
            self.seen.insert(event.id.clone(), Past { hash, state });
        }
        let waiting = Waiting {
            event,
            answer,
            mirror,
            answered: false,
            remembered: hash.is_some(),
        };
        self.waiting.insert(token, waiting);
        self.queue.push_back(token);
        self.wake();
    }

    /// Begins a stream and ends the one before it; dropped events come first.
    pub(crate) fn begin_stream(&mut self) -> u64 {
        self.stream += 1;
        let mut returned: Vec<u64> = self.returned.drain(..).collect();
        returned.sort_unstable();
        for token in returned.into_iter().rev() {
            self.queue.push_front(token);
        }
        self.wake();
        self.stream
    }

    /// Whether a stream is still the live one.
    pub(crate) const fn is_live(&self, stream: u64) -> bool {
        self.stream == stream
    }

    /// Takes the next event, or has the caller woken when there is one.
    pub(crate) fn take(&mut self, waker: &Waker) -> Option<(u64, &mut Waiting)> {
        while let Some(token) = self.queue.pop_front() {
            if self.waiting.contains_key(&token) {
                return self.waiting.get_mut(&token).map(|it| (token, it));
            }
        }
        self.waker = Some(waker.clone());
        None
    }

    /// The application has acknowledged.
    pub(crate) fn accept(&mut self, token: u64, now: SystemTime) -> Option<Waiting> {
        let waiting = self.waiting.remove(&token)?;
        if let Some(seen) = self.seen.get_mut(&waiting.event.id)
            && waiting.remembered
        {
            let press = waiting.is_press().then(|| {
                Box::new(Press {
                    answer: waiting.answer.clone(),
                    answered: waiting.answered,
                })
            });
            seen.state = PastState::Accepted(now, press);
        }
        Some(waiting)
    }

    /// The application could not take it: the client is to send it again.
    pub(crate) fn refuse(&mut self, token: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&token)?;
        if waiting.remembered {
            self.seen.remove(&waiting.event.id);
        }
        Some(waiting)
    }

    /// The application has dropped it.
    pub(crate) fn give_back(&mut self, token: u64) {
        if self.waiting.contains_key(&token) {
            self.returned.push_back(token);
        }
    }

    fn forget(&mut self, token: u64) {
        let _ = self.refuse(token);
    }

    /// Whether an id is remembered.
    pub(crate) fn knows(&self, id: &EventId) -> bool {
        self.seen.contains(id)
    }

    /// The press with this id.
    pub(crate) fn find_press(&mut self, id: &EventId) -> Option<Found<'_>> {
        match &mut self.seen.get_mut(id)?.state {
            PastState::Accepted(_, press) => press.as_deref_mut().map(Found::Accepted),
            PastState::Waiting(token) => {
                let waiting = self.waiting.get_mut(token)?;
                waiting.is_press().then_some(Found::Waiting(waiting))
            }
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
