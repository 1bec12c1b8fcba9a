//! The answer to a request that is kept open for it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use serde_json::Value;

use crate::shared::lock;

#[derive(Debug, Default)]
struct Slot(Mutex<(Option<Value>, Option<Waker>)>);

/// The end of whoever keeps the request open: resolves to the answer.
#[derive(Debug)]
pub(crate) struct Open(Arc<Slot>);

/// The end of whoever has the answer.
#[derive(Debug)]
pub(crate) struct Answering(Weak<Slot>);

/// An answer to come.
pub(crate) fn answer() -> (Answering, Open) {
    let slot = Arc::new(Slot::default());
    (Answering(Arc::downgrade(&slot)), Open(slot))
}

impl Answering {
    /// Answers, if the request is still open; says whether it is.
    pub(crate) fn with(self, answer: Value) -> bool {
        let Some(slot) = self.0.upgrade() else {
            return false;
        };
        let mut state = lock(&slot.0);
        state.0 = Some(answer);
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
        true
    }
}

impl Future for Open {
    type Output = Value;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Value> {
        let mut state = lock(&self.0.0);
        match state.0.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                state.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
