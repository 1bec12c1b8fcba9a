//! Real time and real randomness.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use channel_core::{Clock, Random};
use futures_core::future::BoxFuture;
use tokio::time::Instant;

/// The clock of the machine; waits with tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The clock; all of them share one start.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The random source of the operating system.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct OsRandom;

impl OsRandom {
    /// The random source.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Random for OsRandom {
    /// Fills the buffer.
    ///
    /// # Panics
    ///
    /// If the operating system has no random bytes to give, which a supported system does
    /// not do once it has started. Codes and nonces made of anything else could be foreseen.
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}
