//! Who and what is there, and what happens: the Rust side of the control API.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::engine::Slack;
use super::interact::Doing;
use super::model::{ActionError, App, Hidden, Installation, Kind, NewApp, Place, Team, Urls, User};
use super::people::Post;
use super::sockets::Sockets;
use super::state::State;

/// Why connections are asked to leave. <https://docs.slack.dev/apis/events-api/using-socket-mode/#disconnect>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Disconnect {
    /// The server goes away in about ten seconds.
    Warning,
    /// The routine refresh of a socket after hours.
    RefreshRequested,
    /// Socket Mode was switched off.
    LinkDisabled,
}

impl Slack {
    /// Adds an app; gives its id.
    ///
    /// # Errors
    /// When the app-level token or the client is taken, or a request URL cannot be one.
    pub fn add_app(&self, new: &NewApp) -> Result<String, ActionError> {
        let urls = Urls {
            events: address(new.events_url.as_deref())?,
            interactions: address(new.interactions_url.as_deref())?,
            options: address(new.options_url.as_deref())?,
            commands: address(new.commands_url.as_deref())?,
        };
        self.with(|state| {
            let taken = |token: &String| state.tokens.contains_key(token);
            if new.app_token.as_ref().is_some_and(taken) {
                return Err(ActionError::Invalid("the app-level token is taken"));
            }
            let id = state.id("A");
            let client_id = new.client_id.clone();
            let client_id = client_id.unwrap_or_else(|| format!("1.{}", id.to_lowercase()));
            if state.apps.values().any(|app| app.client_id == client_id) {
                return Err(ActionError::Invalid("the client id is taken"));
            }
            if let Some(token) = &new.app_token {
                state.adopt(token, Kind::App, (&id, ""), "", "connections:write");
            }
            let app = App {
                id: id.clone(),
                name: new.name.clone(),
                signing_secret: Hidden(new.signing_secret.clone()),
                client_id,
                client_secret: Hidden(new.client_secret.clone()),
                redirect_urls: new.redirect_urls.clone(),
                scopes: new.scopes.clone(),
                events: new.events.clone(),
                urls,
                rotation: new.rotation,
                messages_tab: new.messages_tab,
                socket_mode: new.app_token.is_some(),
                installs: std::collections::BTreeMap::new(),
                sockets: Sockets::default(),
            };
            state.apps.insert(id.clone(), app);
            Ok(id)
        })
    }

    /// Sets the request URL of events, and the one of interactivity, options and commands.
    ///
    /// # Errors
    /// When the app is unknown or an address cannot be one.
    pub fn set_urls(&self, app: &str, events: &str, interactions: &str) -> Result<(), ActionError> {
        let (events, rest) = (address(Some(events))?, address(Some(interactions))?);
        self.with(|state| {
            let app = state.apps.get_mut(app).ok_or(ActionError::UnknownApp)?;
            app.urls = Urls {
                events,
                interactions: rest.clone(),
                options: rest.clone(),
                commands: rest,
            };
            Ok(())
        })
    }

    /// Adds a workspace; gives its id.
    #[expect(
        clippy::must_use_candidate,
        reason = "adding the workspace is the point"
    )]
    pub fn workspace(&self, name: &str) -> String {
        self.with(|state| {
            let id = state.id("T");
            let team = Team {
                name: name.to_owned(),
                domain: name.to_lowercase().replace(' ', "-"),
            };
            state.teams.insert(id.clone(), team);
            id
        })
    }

    /// Installs an app with this bot token and the scopes that it asks for.
    ///
    /// # Errors
    /// When one of them is unknown, or the token is taken.
    pub fn install(
        &self,
        app: &str,
        team: &str,
        bot_token: &str,
    ) -> Result<Installation, ActionError> {
        self.with(|state| {
            let scopes = state
                .apps
                .get(app)
                .ok_or(ActionError::UnknownApp)?
                .scopes
                .clone();
            if !state.teams.contains_key(team) {
                return Err(ActionError::UnknownTeam);
            }
            if state.tokens.contains_key(bot_token) {
                return Err(ActionError::Invalid("the bot token is taken"));
            }
            let install = state.set_up(app, team);
            state.adopt(
                bot_token,
                Kind::Bot,
                (app, team),
                &install.bot_user,
                &scopes,
            );
            Ok(Installation {
                app: app.to_owned(),
                team: team.to_owned(),
                bot_user: install.bot_user,
                bot_id: install.bot_id,
            })
        })
    }

    /// Takes an app out of a workspace: `tokens_revoked`, then `app_uninstalled`, and no token works any more.
    pub fn uninstall(&self, app: &str, team: &str) {
        self.with(|state| state.remove(app, team));
    }

    /// Revokes all tokens of an app in a workspace, and tells it.
    pub fn revoke(&self, app: &str, team: &str) {
        self.with(|state| state.revoke_all(app, team));
    }

    /// Adds a person to a workspace; gives the user id.
    ///
    /// # Errors
    /// When the workspace is unknown.
    pub fn user(&self, team: &str, name: &str) -> Result<String, ActionError> {
        self.with(|state| {
            if !state.teams.contains_key(team) {
                return Err(ActionError::UnknownTeam);
            }
            let id = state.id("U");
            let user = User {
                team: team.to_owned(),
                name: name.to_owned(),
                deleted: false,
                bot: None,
            };
            state.users.insert(id.clone(), user);
            Ok(id)
        })
    }

    /// Adds a public channel with these people and bots, without telling anybody; gives its id.
    ///
    /// # Errors
    /// When the workspace or a member is unknown there.
    pub fn channel(&self, team: &str, name: &str, members: &[&str]) -> Result<String, ActionError> {
        self.gather(team, name, Place::Public, members)
    }

    /// Adds a private channel.
    ///
    /// # Errors
    /// As [`Slack::channel`].
    pub fn private_channel(
        &self,
        team: &str,
        name: &str,
        members: &[&str],
    ) -> Result<String, ActionError> {
        self.gather(team, name, Place::Private, members)
    }

    fn gather(
        &self,
        team: &str,
        name: &str,
        place: Place,
        members: &[&str],
    ) -> Result<String, ActionError> {
        self.with(|state| {
            if !state.teams.contains_key(team) {
                return Err(ActionError::UnknownTeam);
            }
            let here = |id: &&str| state.users.get(*id).is_some_and(|user| user.team == team);
            if !members.iter().all(here) {
                return Err(ActionError::UnknownUser);
            }
            let members: BTreeSet<String> = members.iter().map(|id| (*id).to_owned()).collect();
            Ok(state.gather(team, name, place, members))
        })
    }

    /// The direct channel of a person and the bot of an app.
    ///
    /// # Errors
    /// When the person is unknown, or the app is not in the person's workspace.
    pub fn direct(&self, app: &str, user: &str) -> Result<String, ActionError> {
        self.with(|state| {
            let team = state
                .users
                .get(user)
                .ok_or(ActionError::UnknownUser)?
                .team
                .clone();
            let install = state.install(app, &team).ok_or(ActionError::UnknownApp)?;
            let bot = install.bot_user.clone();
            Ok(state.direct(&bot, user))
        })
    }

    /// Invites somebody into a channel.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn invite(&self, channel: &str, user: &str, inviter: &str) -> Result<(), ActionError> {
        self.with(|state| {
            known(state, channel, user)?;
            state.enter(channel, user, Some(inviter));
            Ok(())
        })
    }

    /// Throws somebody out of a channel.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn kick(&self, channel: &str, user: &str) -> Result<(), ActionError> {
        self.with(|state| {
            known(state, channel, user)?;
            state.leave(channel, user);
            Ok(())
        })
    }

    /// Archives a channel.
    pub fn archive(&self, channel: &str) {
        self.with(|state| {
            if let Some(channel) = state.channels.get_mut(channel) {
                channel.archived = true;
            }
        });
    }

    /// Lets a person write in a channel; gives the `ts`.
    ///
    /// # Errors
    /// When the person cannot write there, or the thread is unknown.
    pub fn say(
        &self,
        channel: &str,
        user: &str,
        post: impl Into<Post>,
    ) -> Result<String, ActionError> {
        let post = post.into();
        self.with(|state| state.say(channel, user, &post))
    }

    /// Lets a person change an own message.
    ///
    /// # Errors
    /// When there is no such message of that person.
    pub fn edit(&self, channel: &str, user: &str, ts: &str, text: &str) -> Result<(), ActionError> {
        self.with(|state| state.edit(channel, user, ts, text))
    }

    /// Lets a person delete an own message.
    ///
    /// # Errors
    /// When there is no such message of that person.
    pub fn unsay(&self, channel: &str, user: &str, ts: &str) -> Result<(), ActionError> {
        self.with(|state| state.unsay(channel, user, ts))
    }

    /// Lets a person put a reaction on a message, or take it away.
    ///
    /// # Errors
    /// When there is no such message, or the reaction is there (not there) already.
    pub fn react(
        &self,
        channel: &str,
        user: &str,
        ts: &str,
        name: &str,
        wanted: bool,
    ) -> Result<(), ActionError> {
        self.with(|state| state.react(channel, ts, user, name, wanted))
            .map_err(ActionError::Invalid)
    }

    /// Presses a button of a message, or chooses an option, by `action_id`, value or text; gives the number of the
    /// [`Interaction`](super::Interaction).
    ///
    /// # Errors
    /// When there is no such message or element.
    pub fn press(
        &self,
        channel: &str,
        user: &str,
        ts: &str,
        wanted: &str,
    ) -> Result<u64, ActionError> {
        self.with(|state| state.press(channel, user, ts, wanted))
    }

    /// The same in a modal or home tab.
    ///
    /// # Errors
    /// When there is no such view or element.
    pub fn press_in_view(&self, view: &str, wanted: &str) -> Result<u64, ActionError> {
        self.with(|state| state.press_in_view(view, wanted))
    }

    /// Submits a modal with these values, by `block_id` and `action_id` as the platform shows them.
    ///
    /// # Errors
    /// When the view is not open.
    pub fn submit(&self, view: &str, values: &Value) -> Result<u64, ActionError> {
        self.with(|state| state.submit(view, values))
    }

    /// Closes a modal.
    ///
    /// # Errors
    /// When the view is not open.
    pub fn dismiss(&self, view: &str) -> Result<(), ActionError> {
        self.with(|state| state.dismiss(view))
    }

    /// Lets a person use a slash command of an app; gives the number of the interaction.
    ///
    /// # Errors
    /// When the app, person or channel is unknown.
    pub fn command(
        &self,
        app: &str,
        channel: &str,
        user: &str,
        command: &str,
        text: &str,
    ) -> Result<u64, ActionError> {
        self.with(|state| {
            let team = state
                .users
                .get(user)
                .ok_or(ActionError::UnknownUser)?
                .team
                .clone();
            state.command(&doing(app, &team, user, Some(channel)), command, text)
        })
    }

    /// Lets a person use a global shortcut; gives the number of the interaction.
    ///
    /// # Errors
    /// When the app or person is unknown.
    pub fn shortcut(&self, app: &str, user: &str, callback_id: &str) -> Result<u64, ActionError> {
        self.with(|state| {
            let team = state
                .users
                .get(user)
                .ok_or(ActionError::UnknownUser)?
                .team
                .clone();
            let action_ts = state.ts();
            let fields = json!({"callback_id": callback_id, "action_ts": action_ts});
            state.interact("shortcut", &doing(app, &team, user, None), fields)
        })
    }

    /// Lets a person use a shortcut on a message; gives the number of the interaction.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn message_shortcut(
        &self,
        app: &str,
        channel: &str,
        user: &str,
        ts: &str,
        callback_id: &str,
    ) -> Result<u64, ActionError> {
        self.with(|state| {
            let team = state
                .users
                .get(user)
                .ok_or(ActionError::UnknownUser)?
                .team
                .clone();
            let message = state
                .message(channel, ts)
                .ok_or(ActionError::UnknownMessage)?
                .clone();
            let fields =
                json!({"callback_id": callback_id, "action_ts": state.ts(), "message_ts": ts});
            let doing = Doing {
                message: Some(&message),
                ..doing(app, &team, user, Some(channel))
            };
            state.interact("message_action", &doing, fields)
        })
    }

    /// Lets a person open the home tab of an app.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn open_home(&self, app: &str, user: &str) -> Result<(), ActionError> {
        let channel = self.direct(app, user)?;
        self.with(|state| {
            let team = state.users.get(user).ok_or(ActionError::UnknownUser)?.team.clone();
            let ts = state.ts();
            let event = json!({"type": "app_home_opened", "user": user, "channel": channel, "tab": "home",
                "event_ts": ts});
            state.emit(app, &team, &channel, "app_home_opened", &event);
            Ok(())
        })
    }

    /// Sends an event of any kind to an app; gives its `event_id`, unless the app has not subscribed to it.
    #[expect(clippy::must_use_candidate, reason = "sending the event is the point")]
    pub fn event(&self, app: &str, team: &str, event: &Value) -> Option<String> {
        self.with(|state| {
            let kind = event
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            state.emit(app, team, "", &kind, event)
        })
    }

    /// Delivers an event once more, as it was; false when it is not known.
    #[expect(clippy::must_use_candidate, reason = "delivering it is the point")]
    pub fn resend(&self, app: &str, event_id: &str) -> bool {
        self.with(|state| state.resend(app, event_id))
    }

    /// Asks all sockets of an app to leave. With `LinkDisabled` the app gets no new ones.
    pub fn disconnect(&self, app: &str, reason: Disconnect) {
        self.with(|state| {
            let grace = state.settings.refresh_grace;
            let Some(app) = state.apps.get_mut(app) else {
                return;
            };
            let word = match reason {
                Disconnect::Warning => "warning",
                Disconnect::RefreshRequested => "refresh_requested",
                Disconnect::LinkDisabled => {
                    app.socket_mode = false;
                    "link_disabled"
                }
            };
            app.sockets.disconnect(word, grace);
        });
    }

    /// Drops all sockets of an app without a word.
    pub fn cut_sockets(&self, app: &str) {
        self.with(|state| {
            if let Some(app) = state.apps.get(app) {
                app.sockets.each(crate::common::socket::Socket::cut);
            }
        });
    }

    /// Leaves all sockets of an app open, and neither reads nor writes nor pings on them any more.
    pub fn stall_sockets(&self, app: &str) {
        self.with(|state| {
            if let Some(app) = state.apps.get(app) {
                app.sockets.each(crate::common::socket::Socket::stall);
            }
        });
    }
}

fn doing<'a>(app: &'a str, team: &'a str, user: &'a str, channel: Option<&'a str>) -> Doing<'a> {
    Doing {
        app,
        team,
        user,
        channel,
        message: None,
        view: None,
    }
}

fn known(state: &State, channel: &str, user: &str) -> Result<(), ActionError> {
    state
        .channels
        .get(channel)
        .ok_or(ActionError::UnknownChannel)?;
    state.users.get(user).ok_or(ActionError::UnknownUser)?;
    Ok(())
}

/// A request URL: HTTPS, or HTTP on this machine.
fn address(url: Option<&str>) -> Result<Option<Url>, ActionError> {
    let Some(url) = url else {
        return Ok(None);
    };
    let invalid = ActionError::Invalid("a request URL is HTTPS, or HTTP on this machine");
    let url: Url = url.parse().map_err(|_| invalid)?;
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => Ok(Some(url)),
        "http" if is_here => Ok(Some(url)),
        _ => Err(invalid),
    }
}
