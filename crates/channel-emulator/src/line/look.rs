//! Looking at the platform, waiting for it, and breaking it.

use std::time::Duration;

use serde_json::Value;

use super::engine::Line;
use super::faults::Fault;
use super::ledger::Call;
use super::model::{Author, Delivery, Loading, MessageView};
use crate::common::shared::{Platform as _, WaitError};

impl Line {
    /// All messages of a chat, oldest first.
    #[must_use]
    pub fn history(&self, bot: &str, chat: &str) -> Vec<MessageView> {
        self.messages(|message| message.bot == bot && message.chat == chat)
    }

    /// All messages that an account has sent, oldest first.
    #[must_use]
    pub fn sent(&self, bot: &str) -> Vec<MessageView> {
        let author = Author::Bot(bot.to_owned());
        self.messages(|message| message.author == author)
    }

    fn messages(&self, wanted: impl Fn(&MessageView) -> bool) -> Vec<MessageView> {
        self.quietly(|state| {
            state
                .messages
                .iter()
                .filter(|m| wanted(m))
                .cloned()
                .collect()
        })
    }

    /// The ledger of calls, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.quietly(|state| state.ledger.calls().cloned().collect())
    }

    /// Tries to deliver events, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.quietly(|state| state.deliveries.iter().cloned().collect())
    }

    /// Every event that was made for an account, oldest first, as it was first sent.
    #[must_use]
    pub fn events(&self, bot: &str) -> Vec<Value> {
        self.quietly(|state| {
            let own = state.events.iter().filter(|(owner, _)| owner == bot);
            own.map(|(_, event)| event.clone()).collect()
        })
    }

    /// Loading animations that no message has ended yet and whose time is not over.
    #[must_use]
    pub fn loadings(&self, bot: &str) -> Vec<Loading> {
        self.quietly(|state| {
            let now = state.now_ms;
            let runs = |loading: &&Loading| {
                let length = i64::try_from(loading.seconds).unwrap_or(0) * 1000;
                loading.bot == bot && now < loading.at_ms.saturating_add(length)
            };
            state.loadings.iter().filter(runs).cloned().collect()
        })
    }

    /// Ids of the messages that were marked as read, in order.
    #[must_use]
    pub fn reads(&self) -> Vec<String> {
        self.quietly(|state| state.reads.iter().cloned().collect())
    }

    /// Waits until `found` gives something; it is asked again after every change.
    ///
    /// # Errors
    /// When nothing is found within `patience`.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut found: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, WaitError> {
        self.shared().wait_for(patience, || found(self)).await
    }

    /// The switches that make calls and deliveries fail.
    #[must_use]
    pub const fn faults(&self) -> Faults<'_> {
        Faults(self)
    }
}

/// Switches for what goes wrong.
#[derive(Debug)]
pub struct Faults<'a>(&'a Line);

impl Faults<'_> {
    /// The next `count` calls of an endpoint (its short name in the [`Call`]) fail like this.
    pub fn next(&self, method: &str, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.rules.add(Some(method), count, fault));
    }

    /// The next `count` calls fail like this, whatever they are.
    pub fn any(&self, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.rules.add(None, count, fault));
    }

    /// The next `count` webhook bodies are delivered twice, without the mark of a redelivery.
    pub fn duplicate_deliveries(&self, count: u32) {
        self.0.with(|state| state.faults.duplicate = count);
    }

    /// The next `count` webhook bodies of several events have them in reverse order.
    pub fn reorder_events(&self, count: u32) {
        self.0.with(|state| state.faults.reorder = count);
    }

    /// The next `count` webhook bodies are signed with another secret.
    pub fn wrong_signatures(&self, count: u32) {
        self.0.with(|state| state.faults.forge = count);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        self.0
            .with(|state| state.faults = super::faults::Plan::default());
    }
}
