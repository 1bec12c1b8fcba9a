//! What a bot may choose.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::report::Report;
use super::spawn::{Spawn, TokioSpawn};
use crate::outbound::NewDelivery;

/// What to do with a part that may have arrived, on a platform that cannot tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnUncertain {
    /// Stop the delivery and report it: at most once.
    #[default]
    Hold,
    /// Send it again with a visible note: at least once, never doubled in silence.
    ResendMarked,
}

/// Chooses for each delivery.
type Choose = dyn Fn(&NewDelivery) -> OnUncertain + Send + Sync;

/// How an [`Outbox`](super::Outbox) works.
#[derive(Clone)]
#[non_exhaustive]
pub struct OutboxSettings {
    pub(super) give_up_after: Duration,
    pub(super) longest_wait: Duration,
    pub(super) attempt_timeout: Duration,
    pub(super) dead_target_for: Duration,
    on_uncertain: OnUncertain,
    choose: Option<Arc<Choose>>,
    pub(super) note: String,
    pub(super) at_once: usize,
    pub(super) recovered_at_once: usize,
    pub(super) report: Option<Arc<dyn Report>>,
    pub(super) spawn: Arc<dyn Spawn>,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            give_up_after: Duration::from_secs(600),
            longest_wait: Duration::from_secs(3600),
            attempt_timeout: Duration::from_secs(300),
            dead_target_for: Duration::from_secs(3600),
            on_uncertain: OnUncertain::Hold,
            choose: None,
            note: "(sent again: the first attempt may have arrived)".to_owned(),
            at_once: 1024,
            recovered_at_once: 1024,
            report: None,
            spawn: Arc::new(TokioSpawn),
        }
    }
}

impl OutboxSettings {
    /// Gives up a delivery that still fails this long after it came into hand; 600 s.
    ///
    /// A wait that the platform asked for is never cut short by it: the attempt after that
    /// wait is the last one.
    #[must_use]
    pub const fn give_up_after(mut self, after: Duration) -> Self {
        self.give_up_after = after;
        self
    }

    /// Gives up at once where a platform asks for a longer wait than this; 3,600 s.
    #[must_use]
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// Takes an attempt that is not done in this time for uncertain; 300 s. Adapters have
    /// deadlines of their own: this is for one that hangs.
    #[must_use]
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sends nothing to a chat for this long after it refused us; 3,600 s.
    #[must_use]
    pub const fn dead_target_for(mut self, span: Duration) -> Self {
        self.dead_target_for = span;
        self
    }

    /// Chooses between at most once and at least once; at most once.
    #[must_use]
    pub const fn on_uncertain(mut self, choice: OnUncertain) -> Self {
        self.on_uncertain = choice;
        self
    }

    /// Chooses between them for each delivery: by its channel, by what it answers, by the binding
    /// that it is for (`message.bound`). Comes before [`on_uncertain`](Self::on_uncertain), and is
    /// asked only where the platform cannot tell; it has to be quick and must not block.
    ///
    /// ```
    /// use channel_delivery::{OnUncertain, OutboxSettings};
    ///
    /// let settings = OutboxSettings::default().on_uncertain_by(|delivery| {
    ///     let owner = delivery.message.bound.as_ref().map(|bound| bound.owner.as_str());
    ///     match owner {
    ///         Some("night-watch") => OnUncertain::ResendMarked,
    ///         _ => OnUncertain::Hold,
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn on_uncertain_by(
        mut self,
        choose: impl Fn(&NewDelivery) -> OnUncertain + Send + Sync + 'static,
    ) -> Self {
        self.choose = Some(Arc::new(choose));
        self
    }

    /// What is chosen for a delivery.
    pub(super) fn choice(&self, delivery: &NewDelivery) -> OnUncertain {
        let choose = self.choose.as_ref();
        choose.map_or(self.on_uncertain, |choose| choose(delivery))
    }

    /// Sets the words above a message that is sent again.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Limits how many deliveries of one channel are under way at once; more wait for their
    /// place. 1,024.
    #[must_use]
    pub const fn at_once(mut self, deliveries: usize) -> Self {
        self.at_once = deliveries;
        self
    }

    /// Limits how many recovered deliveries are in hand at once; 1,024.
    #[must_use]
    pub const fn recovered_at_once(mut self, deliveries: usize) -> Self {
        self.recovered_at_once = deliveries;
        self
    }

    /// Tells somebody about each delivery that failed for good.
    #[must_use]
    pub fn report(mut self, report: impl Report) -> Self {
        self.report = Some(Arc::new(report));
        self
    }

    /// Runs deliveries somewhere else than on the Tokio runtime of the caller.
    #[must_use]
    pub fn spawn_on(mut self, spawn: Arc<dyn Spawn>) -> Self {
        self.spawn = spawn;
        self
    }
}

impl fmt::Debug for OutboxSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxSettings")
            .field("give_up_after", &self.give_up_after)
            .field("longest_wait", &self.longest_wait)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("dead_target_for", &self.dead_target_for)
            .field("on_uncertain", &self.on_uncertain)
            .field("at_once", &self.at_once)
            .field("recovered_at_once", &self.recovered_at_once)
            .finish_non_exhaustive()
    }
}
