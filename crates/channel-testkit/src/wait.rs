//! State that futures wait on.

use std::future::{Future, poll_fn};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Locks even after a panic elsewhere: a failed assertion in one task must not hide the
/// message of another.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value that wakes whoever waits for it to change.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Mutex<Watched<T>>);

#[derive(Debug, Default)]
struct Watched<T> {
    value: T,
    waiting: Vec<Waker>,
}

impl<T> Shared<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(Watched {
            value,
            waiting: Vec::new(),
        }))
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&lock(&self.0).value)
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut watched = lock(&self.0);
        let result = change(&mut watched.value);
        let waiting = std::mem::take(&mut watched.waiting);
        drop(watched);
        waiting.into_iter().for_each(Waker::wake);
        result
    }

    /// Ready once `take` finds what it looks for; `take` may change the value only then.
    pub(crate) fn poll_until<R>(
        &self,
        cx: &Context<'_>,
        take: impl FnOnce(&mut T) -> Option<R>,
    ) -> Poll<R> {
        let mut watched = lock(&self.0);
        if let Some(found) = take(&mut watched.value) {
            let waiting = std::mem::take(&mut watched.waiting);
            drop(watched);
            waiting.into_iter().for_each(Waker::wake);
            return Poll::Ready(found);
        }
        if !watched.waiting.iter().any(|old| old.will_wake(cx.waker())) {
            watched.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(crate) fn until<'a, R: 'a>(
        &'a self,
        mut take: impl FnMut(&mut T) -> Option<R> + 'a,
    ) -> impl Future<Output = R> + 'a {
        poll_fn(move |cx| self.poll_until(cx, &mut take))
    }
}
