//! Answers that the platform comes to fetch
//! (<https://developer.work.weixin.qq.com/document/path/101031>).
//!
//! The first request of a message is answered with a stream; from then on the platform asks
//! for its state about once a second, and each answer holds the whole text. This is the one
//! place that knows what it has been told.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use channel_core::Clock;
use serde_json::{Value, json};

use crate::card::set;

/// How many streams are remembered; the oldest is forgotten first.
const SESSIONS: usize = 1000;
/// How long the platform may be silent about a stream before it counts as gone.
const ASKS_WITHIN: Duration = Duration::from_secs(10);
/// How much earlier than the platform we end a stream.
const MARGIN: Duration = Duration::from_secs(30);

/// What an answer finally is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Final {
    pub(super) text: String,
    pub(super) pictures: Vec<Value>,
    pub(super) card: Option<Value>,
}

#[derive(Debug)]
struct Session {
    text: String,
    answer: Option<Final>,
    opened: Duration,
    asked: Duration,
    /// The request that brought the message is still open.
    is_first_open: bool,
    /// Words are coming.
    is_growing: bool,
    /// Whether a late answer has another way.
    has_url: bool,
    /// The platform was told that this is all.
    is_closed: bool,
    /// It was told the answer.
    is_taken: bool,
    waiting: Vec<Waker>,
}

/// All streams of a channel. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    inner: Arc<Mutex<Inner>>,
    rules: Arc<Rules>,
}

/// How long streams last, and what they end with.
#[derive(Debug)]
pub(super) struct Rules {
    /// How long a stream without a word is kept, where the answer has another way.
    pub(super) quiet: Duration,
    /// How long any is kept.
    pub(super) longest: Duration,
    /// What is shown when the answer comes later by another way.
    pub(super) late: String,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, Session>,
    order: VecDeque<String>,
}

/// What became of a final answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    /// An open request will carry it.
    Held,
    /// It waits to be fetched.
    Waiting,
    /// Nobody will fetch it.
    Gone,
}

impl Sessions {
    pub(super) fn new(quiet: Duration, lasts: Duration, late: String) -> Self {
        Self {
            inner: Arc::default(),
            rules: Arc::new(Rules {
                quiet,
                longest: lasts.saturating_sub(MARGIN),
                late,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a stream, unless the message comes again: then the present state is the
    /// answer.
    pub(super) fn open(&self, id: &str, has_url: bool, now: Duration) -> Option<Value> {
        let mut inner = self.lock();
        if inner.by_id.contains_key(id) {
            return Some(inner.state(id, now, &self.rules));
        }
        if inner.order.len() >= SESSIONS
            && let Some(oldest) = inner.order.pop_front()
            && let Some(session) = inner.by_id.remove(&oldest)
        {
            wake(session.waiting);
        }
        inner.order.push_back(id.to_owned());
        inner.by_id.insert(
            id.to_owned(),
            Session {
                text: String::new(),
                answer: None,
                opened: now,
                asked: now,
                is_first_open: true,
                is_growing: false,
                has_url,
                is_closed: false,
                is_taken: false,
                waiting: Vec::new(),
            },
        );
        None
    }

    /// The present state, for a platform that asks. `None` if the stream is not known.
    pub(super) fn ask(&self, id: &str, now: Duration) -> Option<Value> {
        let mut inner = self.lock();
        inner
            .by_id
            .contains_key(id)
            .then(|| inner.state(id, now, &self.rules))
    }

    /// What the request that brought a message is answered with, once there is a word.
    pub(super) fn first(&self, id: &str) -> First {
        First {
            sessions: self.clone(),
            id: id.to_owned(),
        }
    }

    /// Shows the text so far to whoever asks next.
    pub(super) fn show(&self, id: &str, text: String) {
        let mut inner = self.lock();
        if let Some(session) = inner.by_id.get_mut(id)
            && session.answer.is_none()
            && !session.is_closed
        {
            session.text = text;
            session.is_growing = true;
            wake(std::mem::take(&mut session.waiting));
        }
    }

    /// Offers the final answer to whoever asks next.
    pub(super) fn finish(&self, id: &str, answer: Final, now: Duration) -> Offered {
        let mut inner = self.lock();
        let Some(session) = inner.by_id.get_mut(id) else {
            return Offered::Gone;
        };
        let is_asked = now.saturating_sub(session.asked) <= ASKS_WITHIN;
        if session.is_closed || session.answer.is_some() || !(session.is_first_open || is_asked) {
            return Offered::Gone;
        }
        session.answer = Some(answer);
        wake(std::mem::take(&mut session.waiting));
        if session.is_first_open {
            Offered::Held
        } else {
            Offered::Waiting
        }
    }

    /// Waits until the platform has fetched the final answer; bound it from outside.
    pub(super) async fn taken(&self, id: &str) {
        poll_fn(|cx| {
            let mut inner = self.lock();
            let Some(session) = inner.by_id.get_mut(id) else {
                // Forgotten, so it will never be known: the bound decides.
                return Poll::Pending;
            };
            if session.is_taken {
                return Poll::Ready(());
            }
            session.wait(cx);
            Poll::Pending
        })
        .await;
    }

    /// Takes an offer back, unless it has been fetched: whether it has.
    pub(super) fn withdraw(&self, id: &str) -> bool {
        let mut inner = self.lock();
        let Some(session) = inner.by_id.get_mut(id) else {
            return false;
        };
        if !session.is_taken {
            session.answer = None;
            session.is_closed = true;
        }
        session.is_taken
    }
}

impl Inner {
    fn state(&mut self, id: &str, now: Duration, rules: &Rules) -> Value {
        let Some(session) = self.by_id.get_mut(id) else {
            return ended(id, &rules.late);
        };
        session.asked = now;
        let age = now.saturating_sub(session.opened);
        if let Some(answer) = &session.answer {
            session.is_taken = true;
            session.is_closed = true;
            wake(std::mem::take(&mut session.waiting));
            return answer.frame(id);
        }
        let is_quiet = !session.is_growing && session.has_url && age >= rules.quiet;
        if session.is_closed || is_quiet || age >= rules.longest {
            session.is_closed = true;
            let text = if session.text.is_empty() {
                &rules.late
            } else {
                &session.text
            };
            return ended(id, text);
        }
        running(id, &session.text)
    }
}

impl Session {
    fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiting.iter().any(|old| old.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }
}

fn wake(waiting: Vec<Waker>) {
    waiting.into_iter().for_each(Waker::wake);
}

/// A stream that goes on.
pub(super) fn running(id: &str, text: &str) -> Value {
    json!({"msgtype": "stream", "stream": {"id": id, "finish": false, "content": text}})
}

/// A stream that has ended with these words.
pub(super) fn ended(id: &str, text: &str) -> Value {
    json!({"msgtype": "stream", "stream": {"id": id, "finish": true, "content": text}})
}

impl Final {
    fn frame(&self, id: &str) -> Value {
        let mut frame = ended(id, &self.text);
        let pictures = (!self.pictures.is_empty()).then(|| json!(self.pictures));
        if let Some(stream) = frame.get_mut("stream") {
            set(stream, "msg_item", pictures);
        }
        if let Some(card) = &self.card {
            set(
                &mut frame,
                "msgtype",
                Some(json!("stream_with_template_card")),
            );
            set(&mut frame, "template_card", Some(card.clone()));
        }
        frame
    }
}

/// The request that brought a message, while it is open.
#[derive(Debug)]
pub(super) struct First {
    sessions: Sessions,
    id: String,
}

impl First {
    /// The state, once there is a word to show.
    pub(super) async fn state(&self, clock: &dyn Clock) -> Value {
        poll_fn(|cx| {
            let mut inner = self.sessions.lock();
            match inner.by_id.get_mut(&self.id) {
                Some(session) if session.answer.is_none() && session.text.is_empty() => {
                    session.wait(cx);
                    Poll::Pending
                }
                _ => Poll::Ready(inner.state(&self.id, clock.elapsed(), &self.sessions.rules)),
            }
        })
        .await
    }
}

impl Drop for First {
    fn drop(&mut self) {
        let mut inner = self.sessions.lock();
        if let Some(session) = inner.by_id.get_mut(&self.id) {
            session.is_first_open = false;
            wake(std::mem::take(&mut session.waiting));
        }
    }
}
