//! Events on their way to the application, and which frames have been seen before.

use std::collections::{HashMap, VecDeque};
use std::sync::Weak;
use std::task::Waker;
use std::time::SystemTime;

use channel_core::{Event, EventId};

use crate::link::Link;
use crate::mirror::Mirror;

/// Ids of inbound frames that are remembered.
const REMEMBERED: usize = 10_000;

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

/// What is known of a frame id.
#[derive(Debug)]
struct Seen {
    hash: Hash,
    state: SeenState,
}

#[derive(Debug, Clone, Copy)]
enum SeenState {
    Waiting(u64),
    Accepted(SystemTime),
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
    seen: HashMap<EventId, Seen>,
    order: VecDeque<EventId>,
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
            seen: HashMap::new(),
            order: VecDeque::new(),
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
        if let Some(seen) = hash.and(self.seen.get(id)) {
            if hash != Some(&seen.hash) {
                return Admission::Conflict;
            }
            return match seen.state {
                SeenState::Accepted(at) => Admission::Duplicate(at),
                SeenState::Waiting(token) => {
                    if let Some(waiting) = self.waiting.get_mut(&token) {
                        waiting.answer = answer.clone();
                    }
                    if let Some(at) = self.returned.iter().position(|&it| it == token) {
                        self.returned.remove(at);
                        self.queue.push_back(token);
                        self.wake();
                    }
                    Admission::Waiting
                }
            };
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
            self.remember(event.id.clone(), hash, token);
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

    fn remember(&mut self, id: EventId, hash: Hash, token: u64) {
        while self.order.len() >= REMEMBERED {
            if let Some(old) = self.order.pop_front() {
                self.seen.remove(&old);
            }
        }
        let state = SeenState::Waiting(token);
        if self.seen.insert(id.clone(), Seen { hash, state }).is_none() {
            self.order.push_back(id);
        }
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
            seen.state = SeenState::Accepted(now);
        }
        Some(waiting)
    }

    /// The application could not take it: the client is to send it again.
    pub(crate) fn refuse(&mut self, token: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&token)?;
        if waiting.remembered {
            // The id stays in the order, where it is harmless, until its turn comes.
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

    /// The event with this id, if it is not acknowledged yet; `Err` with the time of its
    /// acceptance if it is.
    pub(crate) fn find(&mut self, id: &EventId) -> Option<Result<&mut Waiting, SystemTime>> {
        match self.seen.get(id)?.state {
            SeenState::Accepted(at) => Some(Err(at)),
            SeenState::Waiting(token) => self.waiting.get_mut(&token).map(Ok),
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
