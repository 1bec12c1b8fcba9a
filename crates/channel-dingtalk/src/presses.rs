//! Presses that wait for their answer: what is said over a card goes into the answer to the very
//! frame that brought the press (<https://open.dingtalk.com/document/orgapp/event-callback-card>).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::limits;
use crate::shared::lock;

/// How many presses wait at a time; the oldest is answered with nothing.
#[cfg(feature = "net")]
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
    /// How the answer goes out, once the event is safe; in several frames if it came in several.
    send: Vec<Send>,
}

impl fmt::Debug for Presses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presses({} open)", lock(&self.0).open.len())
    }
}

/// The answer to a press. A card has no notices; whoever pressed gets one as the variable
/// `notice` of their own view of the card, which the template may show.
pub(crate) fn answer(notice: Option<String>) -> Value {
    match notice {
        None => json!({"response": {}}),
        Some(notice) => json!({"response": {
            "cardUpdateOptions": {"updateCardDataByKey": true, "updatePrivateDataByKey": true},
            "userPrivateData": {"cardParamMap": {"notice": notice}}}}),
    }
}

impl Presses {
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
        let waiting = std::mem::take(&mut press.send);
        if waiting.is_empty() {
            press.answer = Some(answer);
            return true;
        }
        inner.forget(id);
        drop(inner);
        waiting.into_iter().for_each(|send| send(answer.clone()));
        true
    }
}

#[cfg(feature = "net")]
impl Presses {
    /// A press has come in; one that comes again while it waits is the same.
    pub(crate) fn open(&self, id: &str, now: Duration) {
        let mut inner = lock(&self.0);
        if inner.open.contains_key(id) {
            return;
        }
        let mut late = Vec::new();
        while inner.order.len() >= OPEN
            && let Some(oldest) = inner.order.pop_front()
        {
            late.extend(inner.open.remove(&oldest).map(|press| press.send));
        }
        let press = Press {
            since: now,
            answer: None,
            send: Vec::new(),
        };
        inner.open.insert(id.to_owned(), press);
        inner.order.push_back(id.to_owned());
        drop(inner);
        late.into_iter()
            .flatten()
            .for_each(|send| send(answer(None)));
    }

    /// The event is safe: the answer, if it is there already; else it goes out by `send`
    /// once it is.
    pub(crate) fn settle(
        &self,
        id: &str,
        send: impl FnOnce(Value) + std::marker::Send + 'static,
    ) -> Option<Value> {
        let mut inner = lock(&self.0);
        let Some(press) = inner.open.get_mut(id) else {
            return Some(answer(None));
        };
        let Some(answer) = press.answer.take() else {
            press.send.push(Box::new(send));
            return None;
        };
        inner.forget(id);
        Some(answer)
    }

    /// The answer has taken too long: it is nothing.
    pub(crate) fn expire(&self, id: &str) {
        let press = {
            let mut inner = lock(&self.0);
            inner.forget(id)
        };
        let waiting = press.map(|press| press.send).unwrap_or_default();
        waiting.into_iter().for_each(|send| send(answer(None)));
    }
}

impl Inner {
    fn forget(&mut self, id: &str) -> Option<Press> {
        self.order.retain(|known| known != id);
        self.open.remove(id)
    }
}
