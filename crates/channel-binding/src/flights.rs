//! Messages on their way to bound accounts, and those who wait for them to arrive.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use channel_core::{AccountRef, Platform, Result as CoreResult};

/// Who is on the way, and who waits. A binding is taken back between messages: whoever takes
/// it back lets nobody begin, waits for those who have begun, and only then writes.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    under_way: HashMap<Key, usize>,
    closed: HashMap<u64, Whose>,
    next: u64,
    waiting: Vec<Waker>,
}

/// An account in whatever workspace: one binding may serve several.
type Key = (Platform, String);

/// Whose messages are to wait.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Whose {
    /// Those to these accounts, in whatever workspace.
    Accounts(Vec<AccountRef>),
    /// Those to all accounts of a platform.
    Platform(Platform),
}

/// A message on its way, until this is dropped.
pub(crate) struct Flight {
    flights: Flights,
    key: Key,
}

/// Nobody begins, until this is dropped.
pub(crate) struct Closed {
    flights: Flights,
    id: u64,
}

impl Whose {
    fn has(&self, (platform, sender): &Key) -> bool {
        match self {
            Self::Accounts(accounts) => accounts
                .iter()
                .any(|it| it.platform == *platform && it.sender.as_str() == sender),
            Self::Platform(it) => it == platform,
        }
    }
}

impl Flights {
    /// Begins, once nobody takes back what the account is bound by.
    pub(crate) async fn begin(&self, account: &AccountRef) -> Flight {
        poll_fn(|context| match self.try_begin(account) {
            Ok(flight) => Poll::Ready(flight),
            Err(mut state) => state.wait(context),
        })
        .await
    }

    /// The same at once, or the state in which it cannot.
    fn try_begin(&self, account: &AccountRef) -> Result<Flight, MutexGuard<'_, State>> {
        let key = (account.platform.clone(), account.sender.as_str().to_owned());
        let mut state = self.state();
        if state.closed.values().any(|whose| whose.has(&key)) {
            return Err(state);
        }
        *state.under_way.entry(key.clone()).or_default() += 1;
        drop(state);
        let flights = self.clone();
        Ok(Flight { flights, key })
    }

    /// The same at once or not at all.
    pub(crate) fn begin_now(&self, account: &AccountRef) -> Option<Flight> {
        self.try_begin(account).ok()
    }

    /// Lets nobody begin from now on.
    pub(crate) fn close(&self, whose: Whose) -> Closed {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.closed.insert(id, whose);
        drop(state);
        Closed {
            flights: self.clone(),
            id,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let waiting = take(&mut state.waiting);
        drop(state);
        for waker in waiting {
            waker.wake();
        }
    }
}

impl State {
    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        self.waiting.push(context.waker().clone());
        Poll::Pending
    }

    /// Whether one is on its way that somebody waits for.
    fn is_awaited(&self, closed: u64) -> bool {
        let whose = self.closed.get(&closed);
        let is_one = |key| whose.is_some_and(|whose| whose.has(key));
        self.under_way.keys().any(is_one)
    }
}

impl Closed {
    /// Waits until none is on its way.
    pub(crate) async fn until_landed(&self) {
        poll_fn(|context| {
            let mut state = self.flights.state();
            match state.is_awaited(self.id) {
                true => state.wait(context),
                false => Poll::Ready(()),
            }
        })
        .await;
    }
}

#[async_trait]
impl crate::store::Closed for Closed {
    async fn landed(&self) -> CoreResult<bool> {
        Ok(!self.flights.state().is_awaited(self.id))
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Closed").field(&self.id).finish()
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.flights.change(|state| {
            state.closed.remove(&self.id);
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.change(|state| {
            if let Some(count) = state.under_way.get_mut(&self.key) {
                *count -= 1;
                if *count == 0 {
                    state.under_way.remove(&self.key);
                }
            }
        });
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("under_way", &self.state().under_way.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use channel_testkit::VirtualClock;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    const ACME: Platform = Platform::new("acme");

    fn account(sender: &str) -> AccountRef {
        AccountRef::new(ACME, sender.into())
    }

    fn now<T>(work: impl Future<Output = T>) -> T {
        VirtualClock::new().block_on(work)
    }

    fn waits(work: impl Future) -> bool {
        pin!(work)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    #[test]
    fn who_takes_back_waits_for_those_on_the_way_and_lets_nobody_else_begin() {
        for whose in [
            || Whose::Accounts(vec![account("a")]),
            || Whose::Platform(ACME),
        ] {
            let flights = Flights::default();
            let first = now(flights.begin(&account("a")));
            let second = now(flights.begin(&account("a")));
            let closed = flights.close(whose());
            assert!(waits(closed.until_landed()));
            assert!(waits(flights.begin(&account("a"))));
            drop(first);
            assert!(waits(closed.until_landed()));
            drop(second);
            now(closed.until_landed());
            assert!(waits(flights.begin(&account("a"))));
            let elsewhere = AccountRef::new(Platform::new("other"), "a".into());
            drop(now(flights.begin(&elsewhere)));
            drop(closed);
            drop(now(flights.begin(&account("a"))));
            let state = flights.state();
            assert!(state.under_way.is_empty() && state.closed.is_empty());
        }
    }

    #[test]
    fn others_do_not_wait() {
        let flights = Flights::default();
        let flight = now(flights.begin(&account("b")));
        let closed = flights.close(Whose::Accounts(vec![account("a")]));
        now(closed.until_landed());
        drop(now(flights.begin(&account("b"))));
        drop(flight);
    }
}
