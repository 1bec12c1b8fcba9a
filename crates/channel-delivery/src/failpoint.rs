//! Named points at which a test makes the process die.
//!
//! With the feature `failpoint`, a process that was started with
//! `CHANNEL_FAILPOINT=name:N` aborts when it reaches the point `name` for the N-th time.
//! Without the feature a point is nothing.
//!
//! The points, in the order in which an event passes them: `received` and `verified` (nothing
//! is written), `inserted` (it is on record), `acked` (the platform has heard so), `claimed`
//! (what an older process left is ours now, events or deliveries), `planned` (the plan of an
//! answer is written), `sending` (the attempt is written and no byte has left), `sent` (the
//! platform has answered and nothing is written), `recorded` (the result is written) and
//! `deleted` (the event has its final state, and nothing is left to do).

/// Passes a point.
#[cfg(feature = "failpoint")]
pub fn hit(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let setting = std::env::var("CHANNEL_FAILPOINT").ok()?;
        let (name, at) = setting.split_once(':')?;
        Some((name.to_owned(), at.parse().ok()?))
    });
    static HITS: AtomicU64 = AtomicU64::new(0);

    if let Some((armed, at)) = &*ARMED
        && armed == name
        && HITS.fetch_add(1, Ordering::Relaxed) + 1 == *at
    {
        std::process::abort();
    }
}

/// Passes a point.
#[cfg(not(feature = "failpoint"))]
#[inline(always)]
pub const fn hit(_name: &str) {}
