//! Presses of cards that wait for their answer: the card changes in the answer to the very
//! request that brought the press
//! (<https://developer.work.weixin.qq.com/document/path/101031>).

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use serde_json::{Value, json};

use crate::card::{NOWHERE, set, task_of};

/// How many cards are remembered; the oldest is forgotten first.
const CARDS: usize = 1000;
/// Open presses, and the cards that were sent. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Presses(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    open: HashMap<String, Press>,
    cards: HashMap<String, Value>,
    order: VecDeque<String>,
}

struct Press {
    task: String,
    change: Option<Value>,
    waiting: Option<Waker>,
}

impl std::fmt::Debug for Presses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presses({} open)", self.lock().open.len())
    }
}

impl Presses {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a card, so that an answer to its press can keep what it says.
    pub(crate) fn sent(&self, card: &Value) {
        let Some(task) = task_of(card) else {
            return;
        };
        let mut inner = self.lock();
        if inner.order.len() >= CARDS
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.cards.remove(&oldest);
        }
        if inner.cards.insert(task.to_owned(), card.clone()).is_none() {
            inner.order.push_back(task.to_owned());
        }
    }

    /// The card with a notice in it, or a notice alone if the card is not known any more.
    pub(crate) fn noted(&self, task: &str, notice: &str) -> Value {
        let card = self.lock().cards.get(task).cloned();
        let Some(mut card) = card else {
            return json!({"card_type": "text_notice", "main_title": {"title": notice},
                "card_action": {"type": 1, "url": NOWHERE}, "task_id": task});
        };
        if let Some(key) = card.pointer("/button_list/0/key").cloned() {
            let button = json!([{"text": notice, "style": 2, "key": key}]);
            set(&mut card, "button_list", Some(button));
        }
        if let Some(button) = card.get_mut("submit_button") {
            set(button, "text", Some(json!(notice)));
        }
        if let Some(list) = card.get_mut("checkbox") {
            set(list, "disable", Some(json!(true)));
        }
        card
    }

    /// A press whose request is open.
    pub(super) fn open(&self, id: &str, task: &str) -> Open {
        let press = Press {
            task: task.to_owned(),
            change: None,
            waiting: None,
        };
        self.lock().open.insert(id.to_owned(), press);
        Open {
            presses: self.clone(),
            id: id.to_owned(),
        }
    }

    /// The card that a press is about, while its request is open.
    pub(super) fn task_of(&self, id: &str) -> Option<String> {
        self.lock().open.get(id).map(|press| press.task.clone())
    }

    /// Answers a press with a changed card; `false` if nobody waits for it any more.
    pub(super) fn answer(&self, id: &str, card: Value) -> bool {
        let mut inner = self.lock();
        let Some(press) = inner.open.get_mut(id) else {
            return false;
        };
        press.change = Some(card);
        if let Some(waker) = press.waiting.take() {
            waker.wake();
        }
        true
    }

    /// Answers the open press of a card.
    pub(super) fn update(&self, task: &str, card: Value) -> bool {
        let id = {
            let inner = self.lock();
            let found = inner.open.iter().find(|(_, press)| press.task == task);
            found.map(|(id, _)| id.clone())
        };
        id.is_some_and(|id| self.answer(&id, card))
    }
}

/// The open request of a press.
pub(super) struct Open {
    presses: Presses,
    id: String,
}

impl Open {
    /// The changed card, once there is one.
    pub(super) async fn change(&self) -> Value {
        poll_fn(|cx| {
            let mut inner = self.presses.lock();
            let press = inner.open.get_mut(&self.id);
            match press.map(|press| (press.change.take(), press)) {
                Some((Some(change), _)) => Poll::Ready(change),
                Some((None, press)) => {
                    press.waiting = Some(cx.waker().clone());
                    Poll::Pending
                }
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.presses.lock().open.remove(&self.id);
    }
}
