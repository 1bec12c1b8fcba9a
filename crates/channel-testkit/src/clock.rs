//! Time that stands still until a test moves it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::Clock;
use futures_core::future::BoxFuture;

use crate::wait::lock;

/// 1 January 2026, 00:00 UTC.
const START: Duration = Duration::from_secs(1_767_225_600);

/// How often [`VirtualClock::drive`] lets other tasks run before it moves time.
const YIELDS: u32 = 64;

/// How often a future may be polled at one and the same time. One that is still busy then
/// is taken to spin: time moves on, so that a deadline ends it.
const SPINS: u32 = 1_000_000;

/// A [`Clock`] whose time only a test moves. Clones share the time.
///
/// Sleepers wake in the order of their deadlines, and in the order in which they fell
/// asleep where the deadlines are equal. The wall clock can jump without the monotonic
/// clock taking notice.
///
/// ```
/// use std::time::Duration;
/// use channel_core::Clock as _;
/// use channel_testkit::VirtualClock;
///
/// let clock = VirtualClock::new();
/// // A day passes at once: nothing else is left to do.
/// clock.block_on(clock.sleep(Duration::from_secs(86_400)));
/// assert_eq!(clock.elapsed(), Duration::from_secs(86_400));
/// ```
#[derive(Clone)]
pub struct VirtualClock(Arc<Mutex<Time>>);

struct Time {
    wall: SystemTime,
    elapsed: Duration,
    next_id: u64,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    watchers: Vec<Waker>,
}

impl Time {
    fn move_to(&mut self, elapsed: Duration) {
        self.wall += elapsed.saturating_sub(self.elapsed);
        self.elapsed = elapsed;
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualClock {
    /// A clock that shows 1 January 2026, 00:00 UTC.
    #[must_use]
    pub fn new() -> Self {
        Self::at(UNIX_EPOCH + START)
    }

    /// A clock that shows a given time.
    #[must_use]
    pub fn at(wall: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(Time {
            wall,
            elapsed: Duration::ZERO,
            next_id: 0,
            sleepers: BTreeMap::new(),
            watchers: Vec::new(),
        })))
    }

    /// Lets time pass and wakes everybody whose deadline it passes, in order.
    pub fn advance(&self, by: Duration) {
        let until = lock(&self.0).elapsed.saturating_add(by);
        while self.wake_first(until) {}
        lock(&self.0).move_to(until);
    }

    /// Moves to the next deadline and wakes one sleeper, if somebody sleeps;
    /// [`next_deadline`](Self::next_deadline) tells how far that is.
    pub fn advance_to_next(&self) {
        self.wake_first(Duration::MAX);
    }

    /// Sets the wall clock forward; sleepers sleep on.
    pub fn jump_forward(&self, by: Duration) {
        lock(&self.0).wall += by;
    }

    /// Sets the wall clock back; sleepers sleep on.
    pub fn jump_back(&self, by: Duration) {
        let mut time = lock(&self.0);
        time.wall = time.wall.checked_sub(by).unwrap_or(UNIX_EPOCH);
    }

    /// How many sleep now.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        lock(&self.0).sleepers.len()
    }

    /// The time until the first sleeper wakes.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let time = lock(&self.0);
        let (deadline, _) = *time.sleepers.keys().next()?;
        Some(deadline.saturating_sub(time.elapsed))
    }

    /// Waits, without moving time, until at least `count` sleep.
    pub fn wait_for_sleepers(&self, count: usize) -> impl Future<Output = ()> + Send + 'static {
        let time = Arc::clone(&self.0);
        poll_fn(move |cx| {
            let mut time = lock(&time);
            if time.sleepers.len() >= count {
                return Poll::Ready(());
            }
            if !time.watchers.iter().any(|old| old.will_wake(cx.waker())) {
                time.watchers.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// Runs a future and moves time to the next deadline whenever nothing else can run.
    ///
    /// A future that is polled a million times without a pause is taken to spin: time moves
    /// all the same, so that a retry without a wait ends in a timeout and not in a test
    /// that hangs.
    ///
    /// Works in any executor. Other tasks of a single-threaded one are given the chance to
    /// run before time moves; what waits for a real socket or another thread is not seen,
    /// so time would run ahead of it.
    pub async fn drive<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let signal = Arc::new(Signal {
            woken: AtomicBool::new(true),
            outer: Mutex::new(None),
        });
        let waker = Waker::from(Arc::clone(&signal));
        let mut idle = 0;
        let mut spins = 0;
        poll_fn(|cx| {
            *lock(&signal.outer) = Some(cx.waker().clone());
            if signal.woken.swap(false, Ordering::AcqRel) {
                idle = 0;
                spins += 1;
                if spins == SPINS {
                    spins = 0;
                    self.wake_first(Duration::MAX);
                }
                return match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(output) => Poll::Ready(output),
                    Poll::Pending => {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                };
            }
            if idle < YIELDS {
                idle += 1;
                cx.waker().wake_by_ref();
            } else if self.wake_first(Duration::MAX) {
                idle = 0;
                spins = 0;
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    /// Runs a future to its end on this thread, as [`drive`](Self::drive) does: no runtime
    /// is needed, and the same future takes the same steps each time.
    ///
    /// Blocks for ever if the future waits for something that never comes.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(self.drive(future));
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    fn wake_first(&self, until: Duration) -> bool {
        let mut time = lock(&self.0);
        let Some(first) = time.sleepers.first_entry() else {
            return false;
        };
        let deadline = first.key().0;
        if deadline > until {
            return false;
        }
        let waker = first.remove();
        let deadline = deadline.max(time.elapsed);
        time.move_to(deadline);
        drop(time);
        waker.wake();
        true
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = lock(&self.0);
        f.debug_struct("VirtualClock")
            .field("elapsed", &time.elapsed)
            .field("sleepers", &time.sleepers.len())
            .finish_non_exhaustive()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> SystemTime {
        lock(&self.0).wall
    }

    fn elapsed(&self) -> Duration {
        lock(&self.0).elapsed
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut time = lock(&self.0);
        let id = time.next_id;
        time.next_id += 1;
        Box::pin(Sleep {
            key: (time.elapsed.saturating_add(duration), id),
            time: Arc::clone(&self.0),
        })
    }
}

struct Sleep {
    key: (Duration, u64),
    time: Arc<Mutex<Time>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut time = lock(&self.time);
        if time.elapsed >= self.key.0 {
            time.sleepers.remove(&self.key);
            return Poll::Ready(());
        }
        time.sleepers.insert(self.key, cx.waker().clone());
        let watchers = std::mem::take(&mut time.watchers);
        drop(time);
        watchers.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        lock(&self.time).sleepers.remove(&self.key);
    }
}

/// Notes that the driven future can go on, and wakes the task that drives it.
struct Signal {
    woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let outer = lock(&self.outer).clone();
        if let Some(outer) = outer {
            outer.wake();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
