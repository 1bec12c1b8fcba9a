//! Writing what happens to a delivery.

use std::future::pending;
use std::time::Duration;

use channel_core::{ErrorKind, Receipt};

use super::ended::{self, Ended};
use super::report::Failure;
use super::shared::{Halt, Shared};
use crate::outbound::{Part, PartState, StoredDelivery};
use crate::store::{StoreError, StoreErrorKind};

const EARLIER_FAILED: &str = "an earlier part failed";
const EARLIER_UNCERTAIN: &str = "an earlier part is uncertain";
/// The longest pause between two attempts to write.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A delivery in hand together with its row.
pub(super) struct Record<'a> {
    pub(super) shared: &'a Shared,
    pub(super) stored: StoredDelivery,
}

/// Whether a write may be left undone when the outbox stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Nothing has happened on the platform yet: it may.
    Intent,
    /// The platform has answered: as long as the worker lives, it must not.
    Outcome,
}

/// How a part came to its end.
pub(super) struct Settled {
    pub(super) state: PartState,
    pub(super) reason: String,
    pub(super) kind: Option<ErrorKind>,
    /// What had arrived when it failed half-way.
    pub(super) partly: Option<Receipt>,
}

impl Settled {
    pub(super) fn new(state: PartState, reason: impl Into<String>) -> Self {
        Self {
            state,
            reason: reason.into(),
            kind: None,
            partly: None,
        }
    }

    pub(super) const fn because_of(mut self, kind: ErrorKind) -> Self {
        self.kind = Some(kind);
        self
    }
}

impl Record<'_> {
    pub(super) fn part(&self, index: usize) -> Option<&Part> {
        self.stored.parts.get(index)
    }

    /// Writes new states, for as long as it takes; then they hold in memory too.
    pub(super) async fn write(
        &mut self,
        changes: Vec<(usize, Part)>,
        write: Write,
    ) -> Result<(), Halt> {
        let worker = &self.shared.worker;
        let mut pause = Duration::from_millis(100);
        let mut ambiguous = false;
        loop {
            let written = worker.store().update(
                worker.fence(),
                self.stored.id,
                changes.clone(),
                worker.now(),
            );
            let Err(error) = written.await else { break };
            match error.kind() {
                StoreErrorKind::Unavailable => {
                    tracing::warn!(delivery = %self.stored.id, %error, "not recorded yet");
                    ambiguous = true;
                }
                // A write of which the answer was lost cannot be repeated: look.
                StoreErrorKind::Illegal if ambiguous => match self.look(&changes).await {
                    Ok(true) => break,
                    Err(look) if look.kind() == StoreErrorKind::Unavailable => {}
                    Ok(false) | Err(_) => return Err(Halt::Store(error)),
                },
                StoreErrorKind::Fenced => {
                    worker.check().await;
                    return Err(Halt::Taken);
                }
                _ => return Err(Halt::Store(error)),
            }
            self.wait_for_the_store(pause, write).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        for (index, part) in changes {
            self.note(index, &part);
            if let Some(place) = self.stored.parts.get_mut(index) {
                *place = part;
            }
        }
        Ok(())
    }

    /// What shows the answer, for as long as it takes to hear: what is to be sent next has to
    /// be written first.
    pub(super) async fn preview(&self) -> Result<Option<Receipt>, Halt> {
        let mut pause = Duration::from_millis(100);
        let plan = &self.stored.delivery;
        loop {
            match self.shared.preview(&plan.channel, &plan.key).await {
                Ok(noted) => return Ok(noted),
                Err(error) if error.kind() == StoreErrorKind::Unavailable => {}
                Err(error) => return Err(Halt::Store(error)),
            }
            self.wait_for_the_store(pause, Write::Intent).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn wait_for_the_store(&self, pause: Duration, write: Write) -> Result<(), Halt> {
        let stopped = async {
            match write {
                Write::Intent => self.shared.stopped().await,
                Write::Outcome => pending().await,
            }
        };
        tokio::select! {
            biased;
            lost = self.shared.worker.lost() => Err(Halt::Lost(lost)),
            () = stopped => Err(Halt::Stopping),
            () = self.shared.clock.sleep(pause) => Ok(()),
        }
    }

    /// Whether these states are on record: planning a key that is planned reads it.
    async fn look(&self, changes: &[(usize, Part)]) -> Result<bool, StoreError> {
        let worker = &self.shared.worker;
        let plan = self.stored.delivery.clone();
        let found = worker
            .store()
            .plan(worker.fence(), plan, worker.now())
            .await?;
        let parts = &found.delivery.parts;
        let same = |(index, part): &(usize, Part)| {
            let there = parts.get(*index);
            there.is_some_and(|there| there.state == part.state)
        };
        Ok(!found.is_new && changes.iter().all(same))
    }

    fn note(&self, index: usize, part: &Part) {
        self.shared.counters.ended(part.state);
        tracing::debug!(
            delivery = %self.stored.id,
            event = self.stored.delivery.answers.map(crate::Seq::number),
            channel = %self.stored.delivery.channel,
            part = index,
            state = %part.state,
            attempts = part.attempts,
            reason = part.reason.as_deref(),
            "part"
        );
    }

    /// Ends a part for good, and with it all after it: they are dead and not suppressed, so
    /// that a retry by hand resumes at the failed part and sends the rest.
    pub(super) async fn settle(&mut self, index: usize, how: Settled) -> Result<(), Halt> {
        let Some(part) = self.part(index).cloned() else {
            return Ok(());
        };
        let mut part = part.because(how.state, how.reason.as_str());
        part.receipt = how.partly;
        let mut changes = vec![(index, part)];
        let rest = match how.state {
            PartState::Uncertain => EARLIER_UNCERTAIN,
            _ => EARLIER_FAILED,
        };
        for (later, part) in self.stored.parts.iter().enumerate().skip(index + 1) {
            if part.state.is_final() {
                continue;
            }
            let state = match part.state {
                PartState::Sending => PartState::Uncertain,
                _ => PartState::Dead,
            };
            changes.push((later, part.clone().because(state, rest)));
        }
        self.write(changes, Write::Outcome).await?;
        crate::failpoint::hit("recorded");
        self.report(index, how.state, how.kind, how.reason);
        Ok(())
    }

    /// Ends a delivery that is not to be shown.
    pub(super) async fn suppress(&mut self, reason: &str) -> Result<(), Halt> {
        let changes = self.stored.parts.iter().enumerate();
        let changes = changes
            .filter(|(_, part)| part.state == PartState::Prepared)
            .map(|(index, part)| (index, part.clone().because(PartState::Suppressed, reason)))
            .collect();
        self.write(changes, Write::Intent).await
    }

    fn report(&self, part: usize, state: PartState, kind: Option<ErrorKind>, reason: String) {
        let StoredDelivery {
            id, delivery: plan, ..
        } = &self.stored;
        tracing::warn!(
            delivery = %id,
            event = plan.answers.map(crate::Seq::number),
            channel = %plan.channel,
            part,
            %state,
            reason,
            "a delivery has failed"
        );
        let Some(report) = &self.shared.settings.report else {
            return;
        };
        report.failed(&Failure {
            channel: plan.channel.clone(),
            target: plan.message.to.target().clone(),
            delivery: *id,
            key: plan.key.clone(),
            answers: plan.answers,
            state,
            part,
            parts: self.stored.parts.len(),
            kind,
            reason,
            delivered: ended::delivered(&self.stored),
        });
    }

    /// Why the chat did not want us the last time, if that was not long ago.
    pub(super) async fn refused_before(&self) -> Option<String> {
        let plan = &self.stored.delivery;
        let chat = &plan.message.to.target().chat;
        self.shared.dead_target(&plan.channel, chat).await
    }

    /// The chat wants us.
    pub(super) async fn revive(&self) {
        let plan = &self.stored.delivery;
        let chat = &plan.message.to.target().chat;
        self.shared.exhume(&plan.channel, chat).await;
    }

    /// What to tell whoever asked, when the record is final.
    pub(super) fn ended(&self) -> Ended {
        Ended::of_record(&self.stored)
    }

    /// What to tell whoever asked, when it is not. `unrecorded` is what the platform has
    /// and the record does not.
    pub(super) fn interrupted(
        &self,
        halt: &Halt,
        unrecorded: Option<Receipt>,
        doubt: bool,
    ) -> Ended {
        super::report::count(&self.shared.counters.interrupted);
        tracing::warn!(delivery = %self.stored.id, %halt, "a delivery was interrupted");
        let kind = match (&unrecorded, doubt) {
            (None, false) => ErrorKind::Unavailable,
            _ => ErrorKind::Uncertain,
        };
        let mut ended = Ended::not(kind, format!("the delivery was interrupted: {halt}"));
        if let Ended::Not(why) = &mut ended {
            why.delivered = ended::delivered(&self.stored);
            let unrecorded = unrecorded.unwrap_or_default();
            why.delivered.messages.extend(unrecorded.messages);
        }
        ended
    }
}
