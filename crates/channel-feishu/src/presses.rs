//! Presses that wait for their answer: what is said over a card goes into the answer to the
//! very request, or frame, that brought the press
//! (<https://open.feishu.cn/document/feishu-cards/card-callback-communication>).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use serde_json::{Value, json};

use crate::limits;
use crate::shared::{Shared, lock};

/// How many presses wait at a time; the oldest is answered with nothing.
const OPEN: usize = 1024;

/// Hands on an answer.
type Send = Box<dyn FnOnce(Value) + std::marker::Send>;

/// Presses of which the platform still waits for the answer.
#[derive(Default)]
pub(crate) struct Presses(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    open: HashMap<String, Press>,
    order: VecDeque<String>,
}

struct Press {
    /// When it came in, in monotonic time.
    since: Duration,
    answer: Option<Value>,
    /// How the answer goes out, once the event is safe.
    send: Option<Send>,
    /// Of a request that waits for it.
    waiting: Option<Waker>,
}

impl fmt::Debug for Presses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presses({} open)", lock(&self.0).open.len())
    }
}

/// A short notice over the card.
pub(crate) fn toast(notice: &str) -> Value {
    json!({"toast": {"type": "info", "content": notice}})
}

impl Presses {
    /// A press has come in.
    pub(crate) fn open(&self, id: &str, now: Duration) {
        let mut inner = lock(&self.0);
        while inner.order.len() >= OPEN
            && let Some(oldest) = inner.order.pop_front()
        {
            if let Some(send) = inner.open.remove(&oldest).and_then(|press| press.send) {
                send(json!({}));
            }
        }
        let press = Press {
            since: now,
            answer: None,
            send: None,
            waiting: None,
        };
        if inner.open.insert(id.to_owned(), press).is_none() {
            inner.order.push_back(id.to_owned());
        }
    }

    /// What is to be said; `false` if nobody waits for it any more.
    pub(crate) fn answer(&self, id: &str, answer: Value, now: Duration) -> bool {
        let mut inner = lock(&self.0);
        let Some(press) = inner.open.get_mut(id) else {
            return false;
        };
        if now.saturating_sub(press.since) > limits::PRESS {
            inner.forget(id);
            return false;
        }
        if let Some(send) = press.send.take() {
            inner.forget(id);
            drop(inner);
            send(answer);
            return true;
        }
        press.answer = Some(answer);
        if let Some(waker) = press.waiting.take() {
            waker.wake();
        }
        true
    }

    /// The event is safe: the answer, if it is there already; else it goes out by `send`
    /// once it is.
    #[cfg(feature = "net")]
    pub(crate) fn settle(
        &self,
        id: &str,
        send: impl FnOnce(Value) + std::marker::Send + 'static,
    ) -> Option<Value> {
        let mut inner = lock(&self.0);
        let Some(press) = inner.open.get_mut(id) else {
            return Some(json!({}));
        };
        let Some(answer) = press.answer.take() else {
            press.send = Some(Box::new(send));
            return None;
        };
        inner.forget(id);
        Some(answer)
    }

    /// The answer has taken too long: it is nothing.
    #[cfg(feature = "net")]
    pub(crate) fn expire(&self, id: &str) {
        let press = {
            let mut inner = lock(&self.0);
            inner.forget(id)
        };
        if let Some(send) = press.and_then(|press| press.send) {
            send(json!({}));
        }
    }

    /// Waits for the answer, for a request that is held open.
    pub(crate) fn wait(
        shared: &Arc<Shared>,
        id: &str,
    ) -> impl Future<Output = Value> + std::marker::Send + 'static {
        let (shared, id) = (Arc::clone(shared), id.to_owned());
        poll_fn(move |cx| {
            let mut inner = lock(&shared.presses.0);
            let Some(press) = inner.open.get_mut(&id) else {
                return Poll::Ready(json!({}));
            };
            match press.answer.take() {
                Some(answer) => {
                    inner.forget(&id);
                    Poll::Ready(answer)
                }
                None => {
                    press.waiting = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}

impl Inner {
    fn forget(&mut self, id: &str) -> Option<Press> {
        self.order.retain(|known| known != id);
        self.open.remove(id)
    }
}
