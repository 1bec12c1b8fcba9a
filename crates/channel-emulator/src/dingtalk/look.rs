//! Looking at the platform, waiting for it, and breaking it.

use std::time::Duration;

use serde_json::Value;

use super::engine::Dingtalk;
use super::faults::{Fault, Plan};
use super::ledger::Call;
use super::model::{Author, CardView, Connection, Delivery, MessageView, Press};
use crate::common::shared::{Platform as _, WaitError};

impl Dingtalk {
    /// All messages of a conversation, oldest first.
    #[must_use]
    pub fn history(&self, chat: &str) -> Vec<MessageView> {
        self.messages(|message| message.chat == chat)
    }

    /// All messages that the robot of an app has sent, oldest first.
    #[must_use]
    pub fn sent(&self, app: &str) -> Vec<MessageView> {
        let author = Author::App(app.to_owned());
        self.messages(|message| message.author == author)
    }

    /// A message.
    #[must_use]
    pub fn message(&self, id: &str) -> Option<MessageView> {
        self.quietly(|state| state.messages.get(id).cloned())
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

    /// The conversation of a robot with one person.
    #[must_use]
    pub fn direct_chat(&self, app: &str, user: &str) -> String {
        self.with(|state| state.direct(app, user))
    }

    /// A card, by its `outTrackId`.
    #[must_use]
    pub fn card(&self, id: &str) -> Option<CardView> {
        self.quietly(|state| state.cards.get(id).cloned())
    }

    /// The cards of an app, by id.
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

    /// How pushes ended, in the order in which they did.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.quietly(|state| state.deliveries.iter().cloned().collect())
    }

    /// Everything that was made for an app, oldest first: the parsed `data` of the frames.
    #[must_use]
    pub fn events(&self, app: &str) -> Vec<Value> {
        self.quietly(|state| {
            let own = state.events.iter().filter(|(owner, _)| owner == app);
            own.map(|(_, event)| event.clone()).collect()
        })
    }

    /// How many stream connections of an app the platform takes for alive, without those that it has asked to go.
    #[must_use]
    pub fn connections(&self, app: &str) -> usize {
        self.count(app, |app| {
            let alive = app.iter().filter(|connection| !connection.draining);
            alive.count()
        })
    }

    /// How many `ping`s the present connections of an app have answered.
    #[must_use]
    pub fn pongs(&self, app: &str) -> u64 {
        self.count(app, |app| {
            app.iter().map(|connection| connection.pongs).sum()
        })
    }

    fn count<T: Default>(&self, app: &str, count: impl FnOnce(&[Connection]) -> T) -> T {
        self.quietly(|state| {
            let app = state.apps.get(app);
            app.map(|app| count(&app.connections)).unwrap_or_default()
        })
    }

    /// How much was pushed to an app and not acknowledged, or waits to be pushed.
    #[must_use]
    pub fn pending(&self, app: &str) -> usize {
        self.quietly(|state| {
            let app = state.apps.get(app);
            app.map_or(0, |app| {
                app.queue.len() + app.waiting.len() + usize::from(app.held.is_some())
            })
        })
    }

    /// Cuts every stream connection of an app without a word.
    pub fn cut(&self, app: &str) {
        self.with(|state| {
            if let Some(app) = state.apps.get_mut(app) {
                for connection in app.connections.drain(..) {
                    connection.socket.cut();
                }
            }
        });
    }

    /// Closes every stream connection of an app with a close frame, as when it has lived for long.
    pub fn close(&self, app: &str) {
        self.with(|state| {
            if let Some(app) = state.apps.get_mut(app) {
                for connection in app.connections.drain(..) {
                    connection
                        .socket
                        .close(1000, "persistent connection is timeout");
                }
            }
        });
    }

    /// Leaves every stream connection of an app half open: the platform goes on to take it for alive and to push to it,
    /// until its own `ping` has stayed unanswered for too long.
    pub fn stall(&self, app: &str) {
        self.with(|state| {
            if let Some(app) = state.apps.get_mut(app) {
                for connection in &app.connections {
                    connection.socket.stall();
                }
            }
        });
    }

    /// Sends `disconnect` to every stream connection of an app: from now on nothing is pushed to it, and it is closed
    /// after the time in the settings.
    pub fn drain(&self, app: &str) {
        self.with(|state| {
            let owner = state.apps.get(app);
            let ids: Vec<String> = owner
                .into_iter()
                .flat_map(|owner| &owner.connections)
                .map(|connection| connection.id.clone())
                .collect();
            for id in ids {
                state.drain(app, &id, "server maintenance");
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
pub struct Faults<'a>(&'a Dingtalk);

impl Faults<'_> {
    /// The next `count` calls of an endpoint (its short name in the [`Call`]) fail like this.
    pub fn next(&self, method: &str, count: u32, fault: Fault) {
        self.set(|plan| plan.rules.add(Some(method), count, fault));
    }

    /// The next `count` calls fail like this, whatever they are.
    pub fn any(&self, count: u32, fault: Fault) {
        self.set(|plan| plan.rules.add(None, count, fault));
    }

    /// The next `count` frames are pushed twice, with another `messageId`.
    pub fn duplicate_frames(&self, count: u32) {
        self.set(|plan| plan.duplicate = count);
    }

    /// The next `count` frames are held back until the one after them has gone.
    pub fn reorder_frames(&self, count: u32) {
        self.set(|plan| plan.reorder = count);
    }

    /// The next `count` posts of HTTP mode are signed with another secret.
    pub fn wrong_signatures(&self, count: u32) {
        self.set(|plan| plan.forge = count);
    }

    /// The next `count` posts of HTTP mode carry a signature that is more than an hour old.
    pub fn stale_signatures(&self, count: u32) {
        self.set(|plan| plan.stale = count);
    }

    /// Connections stay open and take frames, but the platform sends nothing any more.
    pub fn silent(&self, on: bool) {
        self.set(|plan| plan.silent = on);
    }

    /// What happens while an app has no connection is lost.
    pub fn lossy(&self, on: bool) {
        self.set(|plan| plan.lossy = on);
    }

    /// New connections are not told `REGISTERED`.
    pub fn unregistered(&self, on: bool) {
        self.set(|plan| plan.unregistered = on);
    }

    /// `conversationType` comes as a number.
    pub fn numbers(&self, on: bool) {
        self.set(|plan| plan.numbers = on);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        self.set(|plan| *plan = Plan::default());
    }

    fn set(&self, change: impl FnOnce(&mut Plan)) {
        self.0.with(|state| change(&mut state.faults));
    }
}
