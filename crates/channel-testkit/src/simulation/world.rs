//! What all parts of one simulation share: time, chance, the trace and what went wrong.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use channel_core::Clock as _;

use super::invariant::{Invariant, Violation};
use crate::clock::VirtualClock;
use crate::random::SeededRandom;
use crate::wait::lock;

/// How many lines of a trace are kept.
const LINES: usize = 200_000;

pub(super) struct World {
    pub(super) clock: VirtualClock,
    random: SeededRandom,
    /// For what was added later, so that what a seed decides besides stays as it is.
    aside: SeededRandom,
    /// Whether faults are over and everything has to come to rest.
    calm: AtomicBool,
    trace: Mutex<Trace>,
    violation: Mutex<Option<Violation>>,
    root: Mutex<Option<Waker>>,
    stuck: AtomicBool,
    steps: AtomicU64,
    /// Whether the wall clock has jumped: moments on record mean little from then on.
    jumped: AtomicBool,
    /// When something last went wrong.
    disturbed: Mutex<Duration>,
}

#[derive(Default)]
struct Trace {
    wanted: bool,
    lines: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64, traced: bool) -> Arc<Self> {
        Arc::new(Self {
            clock: VirtualClock::new(),
            random: SeededRandom::new(seed),
            aside: SeededRandom::new(!seed),
            calm: AtomicBool::new(false),
            trace: Mutex::new(Trace {
                wanted: traced,
                lines: Vec::new(),
            }),
            violation: Mutex::default(),
            root: Mutex::default(),
            stuck: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            jumped: AtomicBool::new(false),
            disturbed: Mutex::default(),
        })
    }

    /// A number under `bound`; 0 if that is 0.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.random.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// A number under `bound` that takes nothing from those of [`below`](Self::below); 0 if
    /// that is 0.
    pub(super) fn aside(&self, bound: u64) -> u64 {
        self.aside.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// Yes in so many of a thousand cases.
    pub(super) fn chance(&self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// Yes in so many of a thousand cases, and never once faults are over.
    pub(super) fn fault(&self, permille: u64) -> bool {
        // Drawn in any case, so that the same seed goes on alike.
        let drawn = self.chance(permille);
        let fails = drawn && !self.is_calm();
        if fails {
            self.disturb();
        }
        fails
    }

    /// Sets the wall clock forward, or back.
    pub(super) fn jump(&self, seconds: i64) {
        self.disturb();
        self.jumped.store(true, Ordering::Relaxed);
        let by = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 {
            self.clock.jump_back(by);
        } else {
            self.clock.jump_forward(by);
        }
        self.note(|| format!("the wall clock jumps by {seconds} s"));
    }

    pub(super) fn has_jumped(&self) -> bool {
        self.jumped.load(Ordering::Relaxed)
    }

    /// Remembers that something went wrong now.
    pub(super) fn disturb(&self) {
        self.disturb_until(self.elapsed());
    }

    /// Remembers that what went wrong lasts.
    pub(super) fn disturb_until(&self, moment: Duration) {
        let mut disturbed = lock(&self.disturbed);
        *disturbed = moment.max(*disturbed);
    }

    /// Whether nothing has gone wrong since a moment.
    pub(super) fn is_undisturbed_since(&self, since: Duration) -> bool {
        *lock(&self.disturbed) < since
    }

    pub(super) fn next_u64(&self) -> u64 {
        self.random.next_u64()
    }

    /// A span between nothing and `most`, in whole milliseconds.
    pub(super) fn span(&self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.below(most.saturating_add(1)))
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(super) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.note(|| "faults are over".to_owned());
    }

    /// Writes a line of the trace, if one is wanted.
    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        let mut trace = lock(&self.trace);
        if trace.wanted && trace.lines.len() < LINES {
            let at = self.elapsed();
            trace
                .lines
                .push(format!("{:>9.3} {}", at.as_secs_f64(), line()));
        }
    }

    pub(super) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.trace).lines)
    }

    /// A promise is broken. The first one is kept and ends the simulation.
    pub(super) fn broken(&self, invariant: Invariant, what: impl FnOnce() -> String) {
        let mut violation = lock(&self.violation);
        if violation.is_some() {
            return;
        }
        let what = what();
        *violation = Some(Violation {
            invariant,
            at: self.elapsed(),
            what: what.clone(),
        });
        drop(violation);
        self.note(|| format!("BROKEN {invariant}: {what}"));
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        lock(&self.violation).clone()
    }

    pub(super) fn is_broken(&self) -> bool {
        lock(&self.violation).is_some()
    }

    /// Nothing can run: time goes on. If nobody waits for it either, the simulation hangs.
    pub(super) fn idle(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        if self.clock.sleepers() > 0 {
            self.clock.advance_to_next();
            return;
        }
        self.stuck.store(true, Ordering::Relaxed);
        if let Some(root) = lock(&self.root).take() {
            root.wake();
        }
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    pub(super) fn set_root(&self, root: &Waker) {
        *lock(&self.root) = Some(root.clone());
    }

    /// How often time has moved.
    pub(super) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}
