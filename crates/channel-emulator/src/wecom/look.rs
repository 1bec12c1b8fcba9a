//! Looking at the platform, waiting for it, and breaking it.

use std::time::Duration;

use serde_json::Value;

use super::engine::Wecom;
use super::faults::{Fault, Plan};
use super::ledger::Call;
use super::link::disconnect;
use super::model::{Author, Delivery, MessageView};
use super::xml;
use crate::common::shared::{Platform as _, WaitError};

impl Wecom {
    /// All messages of a chat with a bot, oldest first.
    #[must_use]
    pub fn history(&self, bot: &str, chat: &str) -> Vec<MessageView> {
        self.messages(|message| message.bot == bot && message.chat == chat)
    }

    /// All messages that a bot has sent, oldest first; streams as they are now.
    #[must_use]
    pub fn sent(&self, bot: &str) -> Vec<MessageView> {
        let author = Author::Bot(bot.to_owned());
        self.messages(|message| message.author == author)
    }

    fn messages(&self, wanted: impl Fn(&MessageView) -> bool) -> Vec<MessageView> {
        self.quietly(|state| {
            let messages = state.messages.iter();
            messages
                .filter(|message| wanted(message))
                .cloned()
                .collect()
        })
    }

    /// The ledger of calls and commands, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.quietly(|state| state.ledger.calls().cloned().collect())
    }

    /// Tries to reach bots, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.quietly(|state| state.deliveries.iter().cloned().collect())
    }

    /// Everything that happened to a bot, in clear, oldest first: XML as objects. Refreshes of streams are not among it.
    #[must_use]
    pub fn events(&self, bot: &str) -> Vec<Value> {
        self.quietly(|state| {
            let own = state.told.iter().filter(|(owner, _)| owner == bot);
            own.map(|(_, payload)| {
                let document = xml::parse(payload).map(|document| document.to_json());
                document.unwrap_or_else(|| serde_json::from_str(payload).unwrap_or_default())
            })
            .collect()
        })
    }

    /// Whether a bot has a live long connection.
    #[must_use]
    pub fn is_connected(&self, bot: &str) -> bool {
        self.quietly(|state| state.links.contains_key(bot))
    }

    /// A file that a bot has uploaded: kind, name and bytes.
    #[must_use]
    pub fn media(&self, id: &str) -> Option<(String, String, bytes::Bytes)> {
        self.quietly(|state| {
            let media = state.media.get(id)?;
            Some((media.kind.clone(), media.name.clone(), media.bytes.clone()))
        })
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

    /// Lets the access token of an app expire now: 42001 from now on.
    pub fn expire_token(&self, bot: &str) {
        self.with(|state| {
            let now = state.now_ms;
            if let Some(bot) = state.bots.get_mut(bot)
                && let Some((_, until)) = &mut bot.token
            {
                *until = now;
            }
        });
    }

    /// Withdraws the access token of an app: 40014 from now on.
    pub fn revoke_token(&self, bot: &str) {
        self.with(|state| {
            if let Some(bot) = state.bots.get_mut(bot) {
                bot.retire(40014);
            }
        });
    }

    /// Drops the long connection of a bot without a word.
    pub fn drop_link(&self, bot: &str) {
        self.with(|state| {
            if let Some(link) = state.links.remove(bot) {
                link.socket.cut();
            }
        });
    }

    /// Ends the long connection of a bot as a second subscription does: with `disconnected_event`.
    pub fn disconnect_link(&self, bot: &str) {
        self.with(|state| {
            if let Some(link) = state.links.remove(bot) {
                disconnect(&link, bot);
            }
        });
    }

    /// The switches that make calls and deliveries fail.
    #[must_use]
    pub const fn faults(&self) -> Faults<'_> {
        Faults(self)
    }
}

/// Switches for what goes wrong.
#[derive(Debug)]
pub struct Faults<'a>(&'a Wecom);

impl Faults<'_> {
    /// The next `count` calls of an endpoint or command (its name in the [`Call`]) fail like this.
    pub fn next(&self, method: &str, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.rules.add(Some(method), count, fault));
    }

    /// The next `count` calls fail like this, whatever they are.
    pub fn any(&self, count: u32, fault: Fault) {
        self.0
            .with(|state| state.faults.rules.add(None, count, fault));
    }

    /// The next `count` callbacks or frames are delivered twice.
    pub fn duplicate_deliveries(&self, count: u32) {
        self.0.with(|state| state.faults.duplicate = count);
    }

    /// The next `count` callbacks are signed with another token.
    pub fn wrong_signatures(&self, count: u32) {
        self.0.with(|state| state.faults.forge = count);
    }

    /// The next `count` callbacks were signed ten minutes ago.
    pub fn stale_signatures(&self, count: u32) {
        self.0.with(|state| state.faults.stale = count);
    }

    /// The next `count` frames of long connections have control characters in them.
    pub fn noisy_frames(&self, count: u32) {
        self.0.with(|state| state.faults.noise = count);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        self.0.with(|state| state.faults = Plan::default());
    }
}
