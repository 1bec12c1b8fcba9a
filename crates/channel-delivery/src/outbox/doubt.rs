//! A part that may have arrived.

use std::time::Duration;

use channel_core::{Error, ErrorKind, MessageRef, Receipt, Repeat};

use super::attempt::part_key;
use super::drive::{Driver, Next, STREAM};
use super::record::{Settled, Write};
use super::report::count;
use super::settings::OnUncertain;
use super::shared::Halt;
use crate::outbound::PartState;

/// What may be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Sending it again has no second effect.
    Again,
    /// The platform can be asked; if it knows nothing, send again.
    LookUp,
    /// The platform can be asked, but what it does not find may be there all the same.
    LookUpOnly,
    /// The bot decides.
    Choose,
}

impl Driver<'_> {
    /// Resolves a part that was being sent when its process died, or of which the answer
    /// was lost.
    pub(super) async fn resolve(&mut self, index: usize) -> Result<Next, Halt> {
        self.record.shared.check()?;
        if self.is_streamed(index) && self.can_edit_again().await {
            return self.send_again(index).await;
        }
        match self.way(index) {
            Way::Again => self.send_again(index).await,
            Way::LookUp => match self.look_up(index).await? {
                Found::There(at) => self.arrived(index, Receipt::new(vec![at])).await,
                Found::NotThere => self.send_again(index).await,
                Found::Later => Ok(Next::Doubt(index)),
                Found::Unknown => self.choose(index).await,
            },
            Way::LookUpOnly => match self.look_up(index).await? {
                Found::There(at) => self.arrived(index, Receipt::new(vec![at])).await,
                Found::Later => Ok(Next::Doubt(index)),
                Found::NotThere | Found::Unknown => self.choose(index).await,
            },
            Way::Choose => self.choose(index).await,
        }
    }

    fn is_streamed(&self, index: usize) -> bool {
        let part = self.record.part(index);
        part.is_some_and(|part| part.reason.as_deref() == Some(STREAM))
    }

    fn way(&self, index: usize) -> Way {
        let channel = &self.outlet.channel;
        let reads = channel.as_history().is_some();
        let streamed = self.is_streamed(index);
        let to = &self.record.stored.delivery.message.to;
        match channel.info().guarantees.sending_to(to) {
            Repeat::ReadBack if reads && streamed => Way::LookUpOnly,
            Repeat::ReadBack if reads => Way::LookUp,
            _ if streamed => Way::Choose,
            Repeat::Idempotent => Way::Again,
            Repeat::Keyed(span) if self.key_is_good(index, span) => Way::Again,
            _ => Way::Choose,
        }
    }

    /// Whether the platform still knows the key; a tenth of the span is left for the way
    /// there and for clocks that differ.
    fn key_is_good(&self, index: usize, span: Duration) -> bool {
        let age = match self.began {
            Some(began) => self.now().saturating_sub(began),
            None => self.record.part(index).map_or(Duration::MAX, |part| {
                let first = part.not_before.max(self.record.stored.planned_at);
                let now = self.record.shared.worker.now();
                now.duration_since(first).unwrap_or_default()
            }),
        };
        // A request that waits comes later than it is decided.
        let waits = self.wait_until.unwrap_or_default();
        age.saturating_add(waits.saturating_sub(self.now())) < span / 10 * 9
    }

    async fn send_again(&mut self, index: usize) -> Result<Next, Halt> {
        if self.is_overdue() && self.attempts > 0 {
            return self.hold(index).await;
        }
        self.pause().await?;
        self.take_turn().await?;
        count(&self.record.shared.counters.retried);
        let Some(part) = self.begun(index) else {
            return Ok(Next::End);
        };
        self.record
            .write(vec![(index, part)], Write::Intent)
            .await?;
        crate::failpoint::hit("sending");
        Ok(Next::Send(index))
    }

    async fn choose(&mut self, index: usize) -> Result<Next, Halt> {
        let delivery = &self.record.stored.delivery;
        match self.record.shared.settings.choice(delivery) {
            OnUncertain::Hold => self.hold(index).await,
            OnUncertain::ResendMarked => {
                count(&self.record.shared.counters.resent_marked);
                self.marked = true;
                self.send_again(index).await
            }
        }
    }

    async fn hold(&mut self, index: usize) -> Result<Next, Halt> {
        let how = Settled::new(PartState::Uncertain, "uncertain: it may have arrived");
        let how = how.because_of(ErrorKind::Uncertain);
        self.settle(index, how).await
    }

    async fn pause(&mut self) -> Result<(), Halt> {
        match self.wait_until.take() {
            Some(until) => {
                let wait = until.saturating_sub(self.now());
                self.record.shared.pause(wait).await
            }
            None => Ok(()),
        }
    }

    async fn look_up(&mut self, index: usize) -> Result<Found, Halt> {
        self.pause().await?;
        let key = part_key(&self.record.stored.delivery.key, index);
        let message = &mut self.record.stored.delivery.message;
        message.key = Some(key);
        let Some(history) = self.outlet.channel.as_history() else {
            return Ok(Found::Unknown);
        };
        let shared = self.record.shared;
        let find = history.find(message);
        let limit = shared.settings.attempt_timeout;
        let found = channel_core::timeout(shared.clock.as_ref(), limit, find).await;
        let found = found
            .unwrap_or_else(|elapsed| Err(Error::new(ErrorKind::Unavailable, elapsed.to_string())));
        let error = match found {
            Ok(Some(at)) => return Ok(Found::There(at)),
            Ok(None) => return Ok(Found::NotThere),
            Err(error) => error,
        };
        let wait = error.retry_after().unwrap_or_default().max(self.back_off());
        let may_answer_later = error.kind().is_retryable()
            && !self.is_overdue()
            && wait <= shared.settings.longest_wait;
        if !may_answer_later {
            return Ok(Found::Unknown);
        }
        self.wait_until = Some(self.now().saturating_add(wait));
        Ok(Found::Later)
    }
}

/// What the platform says about a part.
enum Found {
    There(MessageRef),
    NotThere,
    /// Ask again.
    Later,
    /// It does not say.
    Unknown,
}
