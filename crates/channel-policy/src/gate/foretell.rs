//! What can be said of a message without a look at a store.

use channel_core::Event;

use super::lately::Known;
use super::subject::{self, Kind};
use super::{Gate, Pass, Step, sender};
use crate::reason::Reason;

impl Gate {
    /// The rules that a message has to pass, as far as they need no store. Those who were let in
    /// of late after a look at one count as let in.
    pub(super) fn walk_without_io(&self, event: &Event) -> Result<Pass, Reason> {
        let access = self.access(&event.channel).ok_or(Reason::UnknownChannel)?;
        let Kind::Somebody(subject) = subject::read(event) else {
            return Err(Reason::UnknownEvent);
        };
        let mut pass = Pass {
            reason: Reason::NotAllowed,
            bound: None,
            skip: 0,
            context: None,
        };
        let steps = [
            sender(&subject),
            self.trigger(&subject, access, &mut pass),
            self.length(&subject),
        ];
        for step in steps {
            if let Step::Refused(reason) | Step::Answered(reason, _) = step {
                return Err(reason);
            }
        }
        let known = self.lately.find(subject.account(), self.clock.elapsed());
        let is_paired = known.as_ref().is_some_and(|it| self.is_paired_still(it));
        let may = self
            .may_before_pairing(&subject, access)
            .or_else(|| is_paired.then_some(Step::Allowed(Reason::Paired)))
            .or_else(|| self.may_after_pairing(&subject, access));
        match may {
            Some(Step::Allowed(reason)) => pass.reason = reason,
            Some(Step::Refused(reason)) => return Err(reason),
            _ => return Err(Reason::NotAllowed),
        }
        if self.identities.is_some() {
            pass.bound = known.and_then(|it| it.bound);
            if pass.bound.is_none() && self.require_bound {
                return Err(Reason::Unbound);
            }
        }
        Ok(pass)
    }

    /// Whether nobody has taken a pairing back since, as far as this process knows.
    fn is_paired_still(&self, known: &Known) -> bool {
        let now = self.pairing.as_ref().map(|pairing| pairing.revocations());
        known.paired.is_some() && known.paired == now
    }

    /// Remembers who was let in after a look at a store, and forgets who was not.
    pub(super) fn remember(
        &self,
        event: &Event,
        outcome: &Result<Pass, Step>,
        revocations: Option<u64>,
    ) {
        if self.pairing.is_none() && self.identities.is_none() {
            return;
        }
        let Kind::Somebody(subject) = subject::read(event) else {
            return;
        };
        let known = outcome.as_ref().ok().map(|pass| Known {
            paired: revocations.filter(|_| pass.reason == Reason::Paired),
            bound: pass.bound.clone(),
        });
        match known.filter(|known| known.paired.is_some() || known.bound.is_some()) {
            Some(known) => self
                .lately
                .note(subject.account(), known, self.clock.elapsed()),
            None if is_lasting(outcome) => self.lately.forget(subject.account()),
            None => {}
        }
    }
}

/// Whether a refusal is about who writes, and not about this one message.
fn is_lasting(outcome: &Result<Pass, Step>) -> bool {
    let Err(Step::Refused(reason) | Step::Answered(reason, _)) = outcome else {
        return false;
    };
    !matches!(
        reason,
        Reason::NotAddressed
            | Reason::RateLimited
            | Reason::TooLong
            | Reason::StoreUnavailable
            | Reason::UnknownEvent
    )
}
