//! Looking at the platform, waiting for it, and breaking it.

use std::time::Duration;

use serde_json::Value;

use super::engine::Feishu;
use super::faults::{Fault, Plan};
use super::ledger::Call;
use super::model::{Author, CardView, Delivery, MessageView, Press};
use crate::common::shared::{Platform as _, WaitError};

impl Feishu {
    /// All messages of a chat, oldest first.
    #[must_use]
    pub fn history(&self, chat: &str) -> Vec<MessageView> {
        self.messages(|message| message.chat == chat)
    }

    /// All messages that an app has sent, oldest first.
    #[must_use]
    pub fn sent(&self, app: &str) -> Vec<MessageView> {
        let author = Author::App(app.to_owned());
        self.messages(|message| message.author == author)
    }

    fn messages(&self, wanted: impl Fn(&MessageView) -> bool) -> Vec<MessageView> {
        self.quietly(|state| {
            let messages = state.messages.values();
            messages
                .filter(|message| wanted(message))
                .cloned()
                .collect()
        })
    }

    /// The chat of an app with one person, when there is one.
    #[must_use]
    pub fn private_chat(&self, app: &str, user: &str) -> String {
        self.with(|state| state.p2p(app, user))
    }

    /// A card entity.
    #[must_use]
    pub fn card(&self, id: &str) -> Option<CardView> {
        self.quietly(|state| state.cards.get(id).cloned())
    }

    /// The card entities of an app, oldest first.
    #[must_use]
    pub fn cards(&self, app: &str) -> Vec<CardView> {
        self.quietly(|state| {
            let cards = state.cards.values();
            cards.filter(|card| card.app == app).cloned().collect()
        })
    }

    /// Presses of buttons, oldest first.
    #[must_use]
    pub fn presses(&self) -> Vec<Press> {
        self.quietly(|state| state.presses.iter().cloned().collect())
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

    /// Every event that was made for an app, oldest first, as it was first sent.
    #[must_use]
    pub fn events(&self, app: &str) -> Vec<Value> {
        self.quietly(|state| {
            let own = state.events.iter().filter(|(owner, _)| owner == app);
            own.map(|(_, event)| event.clone()).collect()
        })
    }

    /// How many long connections an app has.
    #[must_use]
    pub fn connections(&self, app: &str) -> usize {
        self.quietly(|state| state.apps.get(app).map_or(0, |app| app.connections.len()))
    }

    /// Cuts every long connection of an app without a word.
    pub fn cut(&self, app: &str) {
        self.each_socket(app, crate::common::socket::Socket::cut);
    }

    /// Lets every long connection of an app stay open and do nothing any more, as behind a router that forgot it.
    pub fn stall(&self, app: &str) {
        self.each_socket(app, crate::common::socket::Socket::stall);
    }

    /// Closes every long connection of an app properly, as before maintenance.
    pub fn drain(&self, app: &str) {
        self.each_socket(app, |socket| socket.close(1001, "going away"));
    }

    fn each_socket(&self, app: &str, act: impl Fn(&crate::common::socket::Socket)) {
        self.with(|state| {
            if let Some(app) = state.apps.get_mut(app) {
                for connection in app.connections.drain(..) {
                    act(&connection.socket);
                }
            }
        });
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
#[derive(Debug, Clone, Copy)]
pub struct Faults<'a>(&'a Feishu);

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

    /// The next `count` events are delivered twice.
    pub fn duplicate_events(&self, count: u32) {
        self.0.with(|state| state.faults.duplicate = count);
    }

    /// The next `count` payloads come with their last piece first.
    pub fn reorder_fragments(&self, count: u32) {
        self.0.with(|state| state.faults.reorder = count);
    }

    /// The next `count` webhook bodies are signed with another key.
    pub fn wrong_signatures(&self, count: u32) {
        self.0.with(|state| state.faults.forge = count);
    }

    /// Callbacks come in frames of `type` card, as some tenants see them.
    pub fn card_frames(&self, on: bool) {
        self.0.with(|state| state.faults.card_frames = on);
    }

    /// The long connection stays open, but brings neither events nor pongs.
    pub fn silent(&self, on: bool) {
        self.0.with(|state| state.faults.silent = on);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        self.0.with(|state| state.faults = Plan::default());
    }
}
