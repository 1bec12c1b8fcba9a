//! Looking at the platform, waiting for it, and breaking it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::deliver::{Delivery, Target};
use super::engine::Slack;
use super::faults::{Fault, Plan};
use super::interact::Interaction;
use super::ledger::Call;
use super::model::MessageView;
use crate::common::shared::{Platform as _, WaitError};

impl Slack {
    /// All messages of a channel with their replies, oldest first.
    #[must_use]
    pub fn history(&self, channel: &str) -> Vec<MessageView> {
        self.quietly(|state| {
            let messages = state
                .channels
                .get(channel)
                .map(|known| known.messages.values());
            let messages = messages.into_iter().flatten();
            messages
                .map(|message| state.message_view(channel, message))
                .collect()
        })
    }

    /// All messages that an app has written, in all channels, oldest first.
    #[must_use]
    pub fn sent(&self, app: &str) -> Vec<MessageView> {
        self.quietly(|state| {
            let mut sent = Vec::new();
            for (id, channel) in &state.channels {
                let own = channel
                    .messages
                    .values()
                    .filter(|message| message.bot.as_ref().is_some_and(|(owner, _)| owner == app));
                sent.extend(own.map(|message| state.message_view(id, message)));
            }
            sent.sort_by(|one, other| one.ts.cmp(&other.ts));
            sent
        })
    }

    /// Messages that only one person sees, oldest first.
    #[must_use]
    pub fn ephemerals(&self, channel: &str) -> Vec<MessageView> {
        self.quietly(|state| {
            let here = state.ephemerals.iter().filter(|(at, _)| at == channel);
            here.map(|(_, message)| state.message_view(channel, message))
                .collect()
        })
    }

    /// Every event that was made for an app, oldest first, in its envelope.
    #[must_use]
    pub fn events(&self, app: &str) -> Vec<Value> {
        self.quietly(|state| {
            let own = state.events.iter().filter(|(owner, _)| owner == app);
            own.map(|(_, event)| event.clone()).collect()
        })
    }

    /// Tries to deliver something, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.quietly(|state| state.deliveries.iter().cloned().collect())
    }

    /// Acknowledged events of an app.
    #[must_use]
    pub fn acknowledged(&self, app: &str) -> usize {
        self.quietly(|state| {
            let done = state.deliveries.iter().filter(|delivery| {
                delivery.app == app && delivery.target == Target::Events && delivery.error.is_none()
            });
            done.count()
        })
    }

    /// Interactions and commands, oldest first.
    #[must_use]
    pub fn interactions(&self) -> Vec<Interaction> {
        self.quietly(|state| state.interactions.iter().cloned().collect())
    }

    /// One interaction.
    #[must_use]
    pub fn interaction(&self, number: u64) -> Option<Interaction> {
        self.quietly(|state| {
            let mut newest = state.interactions.iter().rev();
            newest.find(|one| one.number == number).cloned()
        })
    }

    /// The views that a person sees, oldest first.
    #[must_use]
    pub fn views(&self, user: &str) -> Vec<Value> {
        self.quietly(|state| {
            let open = state
                .views
                .values()
                .filter(|view| view.user == user && view.open);
            open.map(|view| view.json.clone()).collect()
        })
    }

    /// The status that is shown in an assistant thread.
    #[must_use]
    pub fn status(&self, channel: &str, thread: &str) -> Option<String> {
        let key = (channel.to_owned(), thread.to_owned());
        self.quietly(|state| {
            let (status, until_ms) = state.statuses.get(&key)?;
            (state.now_ms < *until_ms).then(|| status.clone())
        })
    }

    /// The bytes of a file.
    #[must_use]
    pub fn file(&self, id: &str) -> Option<Bytes> {
        self.quietly(|state| state.files.get(id).map(|file| file.bytes.clone()))
    }

    /// Open sockets of an app.
    #[must_use]
    pub fn sockets(&self, app: &str) -> usize {
        self.quietly(|state| state.apps.get(app).map_or(0, |app| app.sockets.len()))
    }

    /// Which socket of an app was opened last, of those that are open: each has a higher number
    /// than the one before.
    #[must_use]
    pub fn newest_socket(&self, app: &str) -> Option<u64> {
        self.quietly(|state| state.apps.get(app)?.sockets.newest())
    }

    /// Envelopes of an app that wait for a socket or for their acknowledgement.
    #[must_use]
    pub fn pending(&self, app: &str) -> usize {
        self.quietly(|state| state.apps.get(app).map_or(0, |app| app.sockets.pending()))
    }

    /// The ledger of calls, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.quietly(|state| state.ledger.calls().cloned().collect())
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
pub struct Faults<'a>(&'a Slack);

impl Faults<'_> {
    /// The next `count` calls of a method (its name in the [`Call`]) fail like this.
    pub fn next(&self, method: &str, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.rules.add(Some(method), count, fault));
    }

    /// The next `count` calls fail like this, whatever they are.
    pub fn any(&self, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.rules.add(None, count, fault));
    }

    /// The next `count` events are delivered twice over HTTP, without the headers of a redelivery.
    pub fn duplicate_deliveries(&self, count: u32) {
        self.0.with(|state| state.faults.duplicate = count);
    }

    /// The next `count` requests are signed with another secret.
    pub fn wrong_signatures(&self, count: u32) {
        self.0.with(|state| state.faults.forge = count);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        self.0.with(|state| state.faults = Plan::default());
    }
}
