//! One suite that every store runs.
//!
//! A store implements [`Subject`], and its test is two lines:
//!
//! ```
//! use std::sync::Arc;
//!
//! use channel_core::async_trait;
//! use channel_delivery::conformance::{Subject, run};
//! use channel_delivery::{MemoryStore, Store};
//!
//! struct Memory;
//!
//! #[async_trait]
//! impl Subject for Memory {
//!     async fn fresh(&self) -> Arc<dyn Store> {
//!         Arc::new(MemoryStore::new())
//!     }
//!     async fn reopened(&self, _store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
//!         None // gone with its process
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let report = run(&Memory).await;
//! report.assert_conforms();
//! # });
//! ```
//!
//! The suite needs a Tokio runtime, no clock, and no sleep. A check that a subject cannot run,
//! because it does not persist, is reported as ignored and never as passed.

mod bench;
mod deliveries;
mod events;
mod leases;
mod order;
mod recording;
mod tools;
mod transitions;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::store::Store;
use bench::{Bench, Stop};

/// A kind of store.
#[async_trait]
pub trait Subject: Send + Sync {
    /// An empty store.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// The same store after its process has died without a word, the handle that is given
    /// being the last one; `None` if it does not persist.
    async fn reopened(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>>;

    /// Whether a worker that enrols after a restart may claim at once what the dead one
    /// owned, instead of when its lease has run out.
    fn proves_death(&self) -> bool {
        false
    }
}

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The store does it.
    Passed,
    /// The subject cannot be asked.
    Ignored,
    /// What it did instead.
    Failed(String),
}

/// What became of all checks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Report {
    checks: Vec<(&'static str, Verdict)>,
}

impl Report {
    /// The checks and their verdicts, in the order in which they ran.
    #[must_use]
    pub fn checks(&self) -> &[(&'static str, Verdict)] {
        &self.checks
    }

    /// The names of the checks that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = |verdict: &Verdict| matches!(verdict, Verdict::Failed(_));
        let checks = self.checks.iter().filter(|(_, verdict)| failed(verdict));
        checks.map(|(name, _)| *name).collect()
    }

    /// Stops the test if a check failed.
    ///
    /// # Panics
    ///
    /// With the report, if a check failed.
    pub fn assert_conforms(&self) {
        assert!(self.failed().is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, verdict) in &self.checks {
            match verdict {
                Verdict::Passed => writeln!(f, "passed  {name}")?,
                Verdict::Ignored => writeln!(f, "ignored {name}")?,
                Verdict::Failed(why) => writeln!(f, "FAILED  {name}: {why}")?,
            }
        }
        Ok(())
    }
}

type Check = for<'a> fn(&'a Bench<'a>) -> BoxFuture<'a, Result<(), Stop>>;

macro_rules! checks {
    ($($module:ident { $($name:ident,)* })*) => {
        const CHECKS: &[(&str, Check)] = &[
            $($((stringify!($name), |bench| Box::pin($module::$name(bench))),)*)*
        ];
    };
}

checks! {
    recording {
        records_an_event_once,
        of_two_with_one_id_in_a_call_the_second_is_known,
        an_id_belongs_to_its_channel,
        moves_the_cursor_in_the_same_write,
        says_in_which_state_a_known_event_is,
        one_of_64_recorders_at_once_is_first,
        keeps_the_order_of_calls_that_are_made_together,
        keeps_records_over_a_restart,
    }
    transitions {
        refuses_every_illegal_transition_of_an_event,
        refuses_every_illegal_transition_of_a_part,
        refuses_what_is_not_there,
        updates_all_parts_or_none,
    }
    leases {
        each_enrolment_gets_a_greater_fence,
        a_late_writer_changes_nothing,
        a_lease_nobody_took_over_can_be_renewed,
        a_renewed_lease_keeps_what_it_owns,
        leaving_frees_at_once_what_is_unfinished,
        only_the_owner_begins_and_finishes,
        only_the_owner_updates_a_delivery,
        a_crash_frees_what_the_dead_worker_owned,
    }
    events {
        claims_the_oldest_first_up_to_the_limit,
        claims_an_event_once,
        leaves_the_conversation_of_another_worker_alone,
        gives_a_new_event_to_its_recorder_only_in_a_free_conversation,
        claims_what_waits_with_its_moment,
        counts_attempts_when_they_begin,
        finished_events_are_not_claimed,
        says_again_which_unfinished_events_a_worker_owns,
    }
    deliveries {
        plans_a_key_once,
        planning_again_takes_over_from_the_dead_only,
        claims_deliveries_that_move_oldest_first,
        keeps_receipts_reasons_and_moments,
        says_again_which_moving_deliveries_a_worker_owns,
        remembers_what_shows_an_answer,
        remembers_dead_targets_until_they_live_again,
    }
    order {
        says_whether_others_have_planned_before,
        takes_over_what_is_ahead_and_waits_for_the_living,
        claims_nothing_that_stands_behind_the_living,
    }
    tools {
        lists_dead_events_and_retries_them,
        a_dropped_event_does_not_come_back,
        lists_stuck_deliveries_and_retries_their_lost_parts,
        a_retried_delivery_is_tried_although_its_chat_did_not_want_us,
        a_dropped_delivery_is_not_sent_again,
        counts_every_state,
        sweeps_what_is_done_and_old,
        keeps_a_journal_of_events_and_answers,
    }
}

/// The names of all checks, in the order in which they run.
pub fn check_names() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}

/// Runs all checks, each on a store of its own.
pub async fn run(subject: &dyn Subject) -> Report {
    run_some(subject, |_| true).await
}

/// Runs the checks whose names are wanted.
pub async fn run_some(
    subject: &dyn Subject,
    wanted: impl Fn(&str) -> bool + Send + Sync,
) -> Report {
    let mut checks = Vec::new();
    for (name, check) in CHECKS.iter().filter(|(name, _)| wanted(name)) {
        let bench = Bench::new(subject).await;
        let verdict = match check(&bench).await {
            Ok(()) => Verdict::Passed,
            Err(Stop::Ignored) => Verdict::Ignored,
            Err(Stop::Failed(why)) => Verdict::Failed(why),
        };
        checks.push((*name, verdict));
    }
    Report { checks }
}
