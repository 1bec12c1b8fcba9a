//! Time and randomness as arguments.

use std::fmt;
use std::future::Future;
use std::time::{Duration, SystemTime};

use futures_core::future::BoxFuture;
use futures_util::future::{Either, select};

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

/// Runs a future for at most `limit`.
///
/// # Errors
///
/// [`Elapsed`] if it was not done; the future is dropped.
pub async fn timeout<F>(clock: &dyn Clock, limit: Duration, future: F) -> Result<F::Output, Elapsed>
where
    F: Future + Send,
{
    let sleep = clock.sleep(limit);
    match select(std::pin::pin!(future), sleep).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(((), _)) => Err(Elapsed),
    }
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
