//! Bots, people, guilds and what happens among them: the methods of [`Discord`] for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::engine::Discord;
use super::ledger::Call;
use super::model::{ActionError, App, Channel, Delivery, Guild, Hidden, Id, User, kind};
use super::post::{Ask, NewBot, NewGuild, Post};
use super::sessions::{Audience, ConnectionView, intent};
use super::view::{InteractionView, MessageView, Typing};
use crate::common::shared::{Platform as _, WaitError};

impl Discord {
    /// Adds a bot; gives its id, which is also that of its application.
    ///
    /// # Errors
    /// When the token or the id is taken.
    pub fn add_bot(&self, new: &NewBot) -> Result<u64, ActionError> {
        self.with(|state| {
            let taken = |app: &App| app.token.0 == new.token || Some(app.id) == new.id;
            if new.token.is_empty() || state.apps.values().any(taken) {
                return Err(ActionError::Invalid("the token or the id is taken"));
            }
            let id = new.id.unwrap_or_else(|| state.id());
            let mut seed = [0; 32];
            let digits = state.hex();
            for (byte, digit) in seed.iter_mut().zip(digits.bytes()) {
                *byte = digit;
            }
            let app = App {
                id,
                token: Hidden(new.token.clone()),
                name: new.name.clone(),
                seed: Hidden(seed),
                privileged: new.privileged,
                endpoint: None,
                events: None,
                revoked: false,
                shards: new.shards,
                starts: (state.now_ms, 0),
                identified: BTreeMap::new(),
                commands: BTreeMap::new(),
            };
            state.apps.insert(id, app);
            Ok(id)
        })
    }

    /// Withdraws a bot's token: calls are answered 401, and its connections are closed with 4004.
    ///
    /// # Errors
    /// When the bot is unknown.
    pub fn revoke_token(&self, bot: u64) -> Result<(), ActionError> {
        self.with(|state| {
            state
                .apps
                .get_mut(&bot)
                .ok_or(ActionError::UnknownBot)?
                .revoked = true;
            state.end_sessions(bot, (4004, "Authentication failed."));
            Ok(())
        })
    }

    /// Sets which privileged intents the portal has on: bits 1, 8 and 15.
    ///
    /// # Errors
    /// When the bot is unknown.
    pub fn privileged(&self, bot: u64, intents: u64) -> Result<(), ActionError> {
        self.with(|state| {
            state
                .apps
                .get_mut(&bot)
                .ok_or(ActionError::UnknownBot)?
                .privileged = intents;
            Ok(())
        })
    }

    /// Sets the seed of the key that signs what is posted to the endpoint.
    ///
    /// # Errors
    /// When the bot is unknown.
    pub fn signing_seed(&self, bot: u64, seed: [u8; 32]) -> Result<(), ActionError> {
        self.with(|state| {
            state
                .apps
                .get_mut(&bot)
                .ok_or(ActionError::UnknownBot)?
                .seed = Hidden(seed);
            Ok(())
        })
    }

    /// The key that verifies what is posted to the endpoint, in hexadecimal digits, as the portal shows it.
    ///
    /// # Errors
    /// When the bot is unknown.
    pub fn public_key(&self, bot: u64) -> Result<String, ActionError> {
        self.quietly(|state| {
            let app = state.apps.get(&bot).ok_or(ActionError::UnknownBot)?;
            Ok(app.verify_key())
        })
    }

    /// Sets the interactions endpoint without trying it; interactions no longer come over the gateway then.
    ///
    /// # Errors
    /// When the bot is unknown or the address is none.
    pub fn endpoint(&self, bot: u64, url: Option<&str>) -> Result<(), ActionError> {
        let url = address(url)?;
        self.with(|state| {
            state
                .apps
                .get_mut(&bot)
                .ok_or(ActionError::UnknownBot)?
                .endpoint = url;
            Ok(())
        })
    }

    /// Sets the address for webhook events without trying it.
    ///
    /// # Errors
    /// When the bot is unknown or the address is none.
    pub fn events(&self, bot: u64, url: Option<&str>) -> Result<(), ActionError> {
        let url = address(url)?;
        self.with(|state| {
            state
                .apps
                .get_mut(&bot)
                .ok_or(ActionError::UnknownBot)?
                .events = url;
            Ok(())
        })
    }

    /// Lets a guild go through an outage: GUILD_DELETE with `unavailable`, and GUILD_CREATE when it is `over`.
    ///
    /// # Errors
    /// When the guild is unknown.
    pub fn outage(&self, guild: u64, over: bool) -> Result<(), ActionError> {
        self.with(|state| {
            let at = state.guilds.get(&guild).ok_or(ActionError::UnknownGuild)?;
            for app in at.bots.clone() {
                if over {
                    state.welcome(app, guild);
                } else {
                    let to = Audience {
                        app,
                        guild: Some(guild),
                        intents: intent::GUILDS,
                    };
                    let data = json!({"id": guild.to_string(), "unavailable": true});
                    state.emit(to, "GUILD_DELETE", &data);
                }
            }
            Ok(())
        })
    }

    /// Adds a person; gives the id.
    #[expect(clippy::must_use_candidate, reason = "adding the person is the point")]
    pub fn user(&self, name: &str) -> u64 {
        self.user_with_id(None, name)
    }

    /// Adds a person with an id of choice; gives the id.
    #[expect(clippy::must_use_candidate, reason = "adding the person is the point")]
    pub fn user_with_id(&self, id: Option<u64>, name: &str) -> u64 {
        self.with(|state| {
            let id = id.unwrap_or_else(|| state.id());
            let user = User {
                id,
                name: name.to_owned(),
                closed: false,
            };
            state.users.insert(user.id, user);
            id
        })
    }

    /// Lets a person take no direct messages from bots any more: 50007.
    ///
    /// # Errors
    /// When the person is unknown.
    pub fn close_directs(&self, user: u64) -> Result<(), ActionError> {
        self.with(|state| {
            state
                .users
                .get_mut(&user)
                .ok_or(ActionError::UnknownUser)?
                .closed = true;
            Ok(())
        })
    }

    /// Adds a guild with a text channel called `general`; gives the ids of both. Bots in it are told.
    ///
    /// # Errors
    /// When a bot or person is unknown, or the id is taken.
    pub fn guild(&self, new: &NewGuild) -> Result<(u64, u64), ActionError> {
        self.with(|state| {
            if !new.bots.iter().all(|bot| state.apps.contains_key(bot)) {
                return Err(ActionError::UnknownBot);
            }
            if !new
                .members
                .iter()
                .all(|user| state.users.contains_key(user))
            {
                return Err(ActionError::UnknownUser);
            }
            let id = new.id.unwrap_or_else(|| state.id());
            if state.guilds.contains_key(&id) {
                return Err(ActionError::Invalid("the id is taken"));
            }
            let guild = Guild {
                id,
                name: new.name.clone(),
                bots: new.bots.iter().copied().collect(),
                members: new.members.iter().copied().collect(),
                joined_ms: state.now_ms,
            };
            state.guilds.insert(id, guild);
            let general = state.id();
            state.add_channel(Channel::new(general, kind::TEXT, Some(id), "general"));
            for bot in &new.bots {
                state.welcome(*bot, id);
            }
            Ok((id, general))
        })
    }

    /// Adds a channel to a guild: 0 text, 5 announcements, 15 forum; gives its id.
    ///
    /// # Errors
    /// When the guild is unknown.
    pub fn channel(&self, guild: u64, name: &str, kind: u64) -> Result<u64, ActionError> {
        self.with(|state| {
            if !state.guilds.contains_key(&guild) {
                return Err(ActionError::UnknownGuild);
            }
            let id = state.id();
            state.add_channel(Channel::new(id, kind, Some(guild), name));
            state.announce_channel(id, "CHANNEL_CREATE");
            Ok(id)
        })
    }

    /// Adds a bot to a guild.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn join(&self, bot: u64, guild: u64) -> Result<(), ActionError> {
        self.with(|state| {
            if !state.apps.contains_key(&bot) {
                return Err(ActionError::UnknownBot);
            }
            let at = state
                .guilds
                .get_mut(&guild)
                .ok_or(ActionError::UnknownGuild)?;
            if at.bots.insert(bot) {
                state.welcome(bot, guild);
            }
            Ok(())
        })
    }

    /// Throws a bot out of a guild: GUILD_DELETE without `unavailable`.
    ///
    /// # Errors
    /// When the guild is unknown.
    pub fn leave(&self, bot: u64, guild: u64) -> Result<(), ActionError> {
        self.with(|state| {
            let at = state
                .guilds
                .get_mut(&guild)
                .ok_or(ActionError::UnknownGuild)?;
            if at.bots.remove(&bot) {
                let to = Audience {
                    app: bot,
                    guild: Some(guild),
                    intents: intent::GUILDS,
                };
                state.emit(to, "GUILD_DELETE", &json!({"id": guild.to_string()}));
            }
            Ok(())
        })
    }

    /// The direct conversation of a bot and a person, made when there is none; gives its id.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn direct(&self, bot: u64, user: u64) -> Result<u64, ActionError> {
        self.with(|state| {
            if !state.apps.contains_key(&bot) {
                return Err(ActionError::UnknownBot);
            }
            if !state.users.contains_key(&user) {
                return Err(ActionError::UnknownUser);
            }
            Ok(state.direct(bot, user))
        })
    }

    /// Takes permissions away from a bot in a channel and its threads; 0 gives all back.
    ///
    /// # Errors
    /// When the channel is unknown.
    pub fn deny(&self, bot: u64, channel: u64, permissions: u64) -> Result<(), ActionError> {
        self.with(|state| {
            let at = state
                .channels
                .get_mut(&channel)
                .ok_or(ActionError::UnknownChannel)?;
            at.denied.insert(bot, permissions);
            Ok(())
        })
    }

    /// Lets a person write; gives the message id.
    ///
    /// # Errors
    /// When the person is not in the channel, or the answered message is unknown.
    pub fn post(&self, channel: u64, user: u64, post: impl Into<Post>) -> Result<u64, ActionError> {
        let post = post.into();
        self.with(|state| state.post(channel, user, post))
    }

    /// Changes the text of a person's message.
    ///
    /// # Errors
    /// When there is no such message of a person.
    pub fn edit(&self, channel: u64, message: u64, text: &str) -> Result<(), ActionError> {
        self.with(|state| state.edit(channel, message, text))
    }

    /// Deletes any message by hand.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn delete(&self, channel: u64, message: u64) -> Result<(), ActionError> {
        self.with(|state| {
            state
                .erase(channel, message)
                .map_err(|_| ActionError::UnknownMessage)
        })
    }

    /// Lets a person react.
    ///
    /// # Errors
    /// When the person is not in the channel, or there is no such message or emoji.
    pub fn react(
        &self,
        channel: u64,
        message: u64,
        user: u64,
        emoji: &str,
    ) -> Result<(), ActionError> {
        self.with(|state| state.react((channel, message), user, emoji, true))
    }

    /// Takes a reaction of a person away.
    ///
    /// # Errors
    /// As [`Discord::react`].
    pub fn unreact(
        &self,
        channel: u64,
        message: u64,
        user: u64,
        emoji: &str,
    ) -> Result<(), ActionError> {
        self.with(|state| state.react((channel, message), user, emoji, false))
    }

    /// Lets a person begin to type.
    ///
    /// # Errors
    /// When the person is not in the channel.
    pub fn typing(&self, channel: u64, user: u64) -> Result<(), ActionError> {
        self.with(|state| {
            state.person_in(channel, user)?;
            state.note_typing(channel, user);
            state.announce_typing(channel, user);
            Ok(())
        })
    }

    /// Opens a thread, from a message or without; gives its id, which is that of the message.
    ///
    /// # Errors
    /// When the person is not in the channel, or there is no such message.
    pub fn thread(
        &self,
        channel: u64,
        user: u64,
        message: Option<u64>,
        name: &str,
    ) -> Result<u64, ActionError> {
        self.with(|state| state.start_thread(channel, user, message, name))
    }

    /// Archives a thread: bots that write there are refused with 50083.
    ///
    /// # Errors
    /// When there is no such thread.
    pub fn archive(&self, thread: u64) -> Result<(), ActionError> {
        self.with(|state| {
            let now = state.now_ms;
            let at = state
                .channels
                .get_mut(&thread)
                .and_then(|at| at.thread.as_mut());
            let at = at.ok_or(ActionError::UnknownChannel)?;
            (at.archived, at.changed_ms) = (true, now);
            state.announce_channel(thread, "THREAD_UPDATE");
            Ok(())
        })
    }

    /// Pins a message: MESSAGE_UPDATE without `edited_timestamp`, which is no edit.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn pin(&self, channel: u64, message: u64) -> Result<(), ActionError> {
        self.with(|state| {
            state
                .any_message(channel, message)
                .ok_or(ActionError::UnknownMessage)?;
            state.set_pinned(channel, message, true);
            Ok(())
        })
    }

    /// Lets a person run a command, press a button and the like; gives the id of the interaction.
    ///
    /// # Errors
    /// When the person is not in the channel, or there is no such command, component or modal.
    pub fn ask(&self, bot: u64, channel: u64, user: u64, ask: Ask) -> Result<u64, ActionError> {
        self.with(|state| state.ask(bot, channel, user, ask))
    }

    /// All messages of a channel, oldest first.
    #[must_use]
    pub fn history(&self, channel: u64) -> Vec<MessageView> {
        self.quietly(|state| state.history(channel))
    }

    /// Everything a bot has written, oldest first.
    #[must_use]
    pub fn sent(&self, bot: u64) -> Vec<MessageView> {
        self.quietly(|state| state.sent(bot))
    }

    /// How far an interaction has been answered.
    #[must_use]
    pub fn interaction(&self, id: u64) -> Option<InteractionView> {
        self.quietly(|state| state.interaction_view(id))
    }

    /// The token of an interaction, for a program that answers without having received it; empty when it is unknown.
    #[must_use]
    pub fn token_of(&self, interaction: u64) -> String {
        self.quietly(|state| {
            let asked = state.interactions.get(&interaction);
            asked.map(|asked| asked.token.clone()).unwrap_or_default()
        })
    }

    /// Typing indicators that were not ended by a message.
    #[must_use]
    pub fn typings(&self) -> Vec<Typing> {
        self.quietly(|state| {
            let now = state.now_ms;
            state
                .typing
                .iter()
                .filter(|typing| now - typing.at_ms < 10_000)
                .copied()
                .collect()
        })
    }

    /// Connections to the gateway, open and past, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionView> {
        self.quietly(|state| {
            state
                .connections
                .values()
                .map(|connection| connection.view.clone())
                .collect()
        })
    }

    /// The connections of a bot that are open and have a session.
    #[must_use]
    pub fn connected(&self, bot: u64) -> Vec<ConnectionView> {
        let mut connections = self.connections();
        connections.retain(|at| at.bot == Some(bot) && at.closed.is_none() && at.session.is_some());
        connections
    }

    /// What endpoints were sent.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.quietly(|state| state.deliveries.iter().cloned().collect())
    }

    /// The ledger: every call of REST, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.quietly(|state| state.ledger.calls().cloned().collect())
    }

    /// 401, 403 and 429 answers in the present ten minutes.
    #[must_use]
    pub fn invalid_requests(&self) -> u32 {
        self.quietly(|state| state.limits.invalid())
    }

    /// Asks `look` after every change until it gives something.
    ///
    /// # Errors
    /// When it gives nothing within `patience`.
    pub async fn wait_for<R>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&Self) -> Option<R>,
    ) -> Result<R, WaitError> {
        self.shared().wait_for(patience, || look(self)).await
    }
}

fn address(url: Option<&str>) -> Result<Option<url::Url>, ActionError> {
    let url = url.map(url::Url::parse).transpose();
    url.map_err(|_| ActionError::Invalid("that is no address"))
}

impl super::state::State {
    /// Tells a bot that it is in a guild.
    fn welcome(&mut self, app: Id, guild: Id) {
        if let Some(shown) = self.guild_json(guild, app, true) {
            let to = Audience {
                app,
                guild: Some(guild),
                intents: intent::GUILDS,
            };
            self.emit(to, "GUILD_CREATE", &shown);
        }
    }
}
