//! The whole way of a message on virtual time, with seeded faults and crashes.
//!
//! A fake platform with a ledger, an adapter, `channel_runtime::Bot` with a durable store,
//! and a handler: all of the product between the platform and the application runs as it
//! is. Around it a seed decides what users say, how long everything takes, which calls
//! fail, whose answers are lost, when a process dies (before or after any write, before or
//! after any request), stands still, or gets company. In the end, and on the way, the
//! [`Invariant`]s are checked.
//!
//! ```
//! use channel_testkit::simulation;
//!
//! let run = simulation::run(7, None, false);
//! assert_eq!(run.violation, None);
//! ```
//!
//! That the checks see something is shown by [`Bug`]s, which are planted in wrappers at the
//! seams, each of them found within 10,000 seeds.

mod adapter;
mod application;
mod audit;
mod bug;
mod drive;
mod flawed;
mod gate;
mod hazard;
mod invariant;
mod ledger;
mod platform;
mod process;
mod scenario;
mod store;
mod verdict;
mod webhook;
mod words;
mod world;

pub use bug::{Bug, UnknownBug};
pub use drive::{Run, run, run_for};
pub use invariant::{Invariant, Violation};
