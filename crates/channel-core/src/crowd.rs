//! Sockets that may all be cut at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::{Random, random_unit};

/// From how many sockets on they count as a crowd.
const CROWD: usize = 10;

/// What each socket of a crowd adds to the span over which it comes back.
const SHARE: Duration = Duration::from_millis(600);

/// The widest span that a crowd takes by itself: proof of life is due every 90 s.
const WIDEST: Duration = Duration::from_secs(60);

/// The golden ratio's fraction: steps of it, taken modulo 1, fill the unit evenly however
/// many there are.
const STEP: f64 = 0.618_033_988_749_894_9;

/// Sockets that come back one after the other when all of them are cut at once.
///
/// Up to nine sockets each come back after the usual first wait, half a second to a second:
/// a single bot is not kept waiting. From ten on the first wait is spread over 600 ms for
/// each, at most one minute, so that no more than two of them come back in a second, and of
/// 100 that are cut at once no ten seconds see more than 20. What is spread is only the
/// first attempt after a cut; the attempts after it follow the usual waits.
///
/// The sockets that are opened through one [`Transport`](crate::Transport) and its clones are
/// one crowd if not set otherwise.
#[derive(Debug, Clone, Default)]
pub struct Crowd(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    members: AtomicUsize,
    turns: AtomicU64,
    /// Where in the span the first turn is, so that processes do not take the same turns.
    start: OnceLock<f64>,
}

impl Crowd {
    /// A crowd without sockets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many sockets belong to it.
    #[must_use]
    pub fn members(&self) -> usize {
        self.0.members.load(Ordering::Relaxed)
    }

    /// A place in it for one more socket.
    #[must_use]
    pub fn join(&self) -> CrowdMember {
        self.0.members.fetch_add(1, Ordering::Relaxed);
        CrowdMember(self.clone())
    }

    /// The span that it takes by itself; zero if it is too small to matter.
    fn span(&self) -> Duration {
        let members = self.members();
        if members < CROWD {
            return Duration::ZERO;
        }
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        SHARE.saturating_mul(members).min(WIDEST)
    }

    /// A moment within the span. Each alone may be any; together they keep their distance.
    fn turn(&self, span: Duration, random: &dyn Random) -> Duration {
        let start = self.0.start.get_or_init(|| random_unit(random));
        // Exact for the first 2^32 turns; then it starts over.
        let turn = self.0.turns.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX);
        let turn = f64::from(u32::try_from(turn).unwrap_or_default());
        span.mul_f64(turn.mul_add(STEP, *start).fract())
    }
}

/// One socket's place in a crowd, given up when it is dropped.
#[derive(Debug)]
pub struct CrowdMember(Crowd);

impl CrowdMember {
    /// The wait of a socket that was cut together with others; `None` if the usual one
    /// will do. `span` replaces the one that the crowd takes by itself.
    #[must_use]
    pub fn wait(&self, span: Option<Duration>, random: &dyn Random) -> Option<Duration> {
        let span = span.unwrap_or_else(|| self.0.span());
        (!span.is_zero()).then(|| self.0.turn(span, random))
    }
}

impl Drop for CrowdMember {
    fn drop(&mut self) {
        self.0.0.members.fetch_sub(1, Ordering::Relaxed);
    }
}
