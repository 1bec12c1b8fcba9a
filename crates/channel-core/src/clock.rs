//! Time and randomness as arguments.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures_core::future::BoxFuture;

/// Tells and waits for the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall-clock time; may jump.
    fn now(&self) -> SystemTime;

    /// Time since an arbitrary start; never goes back and does not count sleep of the
    /// machine.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// A future was not done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not done in time")
    }
}

impl std::error::Error for Elapsed {}

/// Runs a future for at most `limit`. A timer is made only if it is not ready at once.
///
/// # Errors
///
/// [`Elapsed`] if it was not done; the future is dropped.
pub fn timeout<F>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
where
    F: Future + Send,
{
    limited(clock, limit, future, false)
}

/// The same for what is mostly ready a moment later, when other tasks of this thread have
/// had their turn: then no timer is made either. It is polled once more for that.
///
/// # Errors
///
/// [`Elapsed`] if it was not done; the future is dropped.
pub fn timeout_after_turn<F>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> + Send
where
    F: Future + Send,
{
    limited(clock, limit, future, true)
}

async fn limited<F>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
    mut turn: bool,
) -> Result<F::Output, Elapsed>
where
    F: Future + Send,
{
    let mut future = pin!(future);
    let mut sleep = None;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if std::mem::take(&mut turn) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let sleep = sleep.get_or_insert_with(|| clock.sleep(limit));
        sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// Gives random bytes.
pub trait Random: fmt::Debug + Send + Sync {
    /// Fills the buffer with bytes that nobody can foresee.
    fn fill(&self, buffer: &mut [u8]);
}

/// A random number of 53 bits, evenly spread over `0.0..1.0`.
#[must_use]
pub fn random_unit(random: &dyn Random) -> f64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are exactly what an f64 holds"
    )]
    let unit = (u64::from_le_bytes(bytes) >> 11) as f64;
    unit / 9_007_199_254_740_992.0
}
