//! Sockets that may all be cut at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::{Random, random_unit};

/// From how many sockets on they count as a crowd.
const CROWD: usize = 10;

/// What each socket of a crowd adds to the span over which it comes back.
const SHARE: Duration = Duration::from_millis(700);

/// The widest span that a crowd takes by itself: whoever is back half a minute after a cut has
/// five seconds left for opening.
const WIDEST: Duration = Duration::from_secs(25);

/// How much of its span a crowd begins gently with, and how many of its sockets come back in it:
/// a server that has just come up is not met by all at once. Of the widest span it is the first
/// ten seconds, which are to see no more than a fifth.
const GENTLE_SPAN: f64 = 0.4;
const GENTLE_SHARE: f64 = 0.18;

/// The golden ratio's fraction: steps of it, taken modulo 1, fill the unit evenly however
/// many there are.
const STEP: f64 = 0.618_033_988_749_894_9;

/// Sockets that come back one after the other when all of them are cut at once.
///
/// Up to nine sockets each come back after the usual first wait, half a second to a second:
/// a single bot is not kept waiting. From ten on the first wait is spread over 700 ms for
/// each, at most 25 s, less than a fifth of them in the first two fifths of it: of ten to 35
/// no more than two come back in a second, and of 1,000 that are cut at once no more than 60,
/// the last of them soon enough to be open again within half a minute. What is spread is only
/// the first attempt after a cut; the attempts after it follow the usual waits.
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

    /// A number from 0 to 1. Each alone may be any; together they keep their distance.
    fn turn(&self, random: &dyn Random) -> f64 {
        let start = self.0.start.get_or_init(|| random_unit(random));
        // Exact for the first 2^32 turns; then it starts over.
        let turn = self.0.turns.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX);
        let turn = f64::from(u32::try_from(turn).unwrap_or_default());
        turn.mul_add(STEP, *start).fract()
    }
}

/// Where in a crowd's own span a turn is: few come first.
fn gently(turn: f64) -> f64 {
    if turn < GENTLE_SHARE {
        return turn / GENTLE_SHARE * GENTLE_SPAN;
    }
    let rest = (turn - GENTLE_SHARE) / (1.0 - GENTLE_SHARE);
    rest.mul_add(1.0 - GENTLE_SPAN, GENTLE_SPAN)
}

/// One socket's place in a crowd, given up when it is dropped.
#[derive(Debug)]
pub struct CrowdMember(Crowd);

impl CrowdMember {
    /// The wait of a socket that was cut together with others; `None` if the usual one
    /// will do. `span` replaces a narrower one that the crowd takes by itself, and is used
    /// evenly: it is for sockets that nobody here sees together. Zero turns both off.
    #[must_use]
    pub fn wait(&self, span: Option<Duration>, random: &dyn Random) -> Option<Duration> {
        let own = self.0.span();
        let (span, place): (_, fn(f64) -> f64) = match span {
            Some(span) if span.is_zero() || span > own => (span, |turn| turn),
            _ => (own, gently),
        };
        (!span.is_zero()).then(|| span.mul_f64(place(self.0.turn(random))))
    }
}

impl Drop for CrowdMember {
    fn drop(&mut self) {
        self.0.0.members.fetch_sub(1, Ordering::Relaxed);
    }
}
