//! The methods of the Web API. <https://docs.slack.dev/reference/methods/>

mod account;
mod chat;
mod content;
mod conversations;
pub(crate) mod files;
pub(crate) mod oauth;
mod reactions;
pub(crate) mod schedule;
mod stream;
pub(crate) mod views;

use serde_json::Value;

use super::answer::{Answer, ApiError, warn};
use super::config::SlackConfig;
use super::model::{Install, Kind, Place, Token};
use super::params::Params;
use super::state::State;

/// Calls a minute. <https://docs.slack.dev/apis/web-api/rate-limits/>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// One a minute and more; "a small amount of burst behavior is tolerated", and here ten are.
    One,
    Two,
    Three,
    Four,
    /// "Hundreds a minute", or a limit of another kind.
    Special,
}

impl Tier {
    pub(crate) const fn a_minute(self) -> u32 {
        match self {
            Self::One => 10,
            Self::Two => 20,
            Self::Three => 50,
            Self::Four => 100,
            Self::Special => 600,
        }
    }
}

/// One method.
#[derive(Clone, Copy)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) tier: Tier,
    /// Scopes of which one is needed; none where the method sees to that itself.
    scopes: &'static [&'static str],
    kinds: &'static [Kind],
    /// It takes JSON bodies.
    pub(crate) json: bool,
    run: fn(&mut Call<'_>) -> Answer,
}

const TEAM: &[Kind] = &[Kind::Bot, Kind::User];

const fn method(
    name: &'static str,
    tier: Tier,
    scopes: &'static [&'static str],
    run: fn(&mut Call<'_>) -> Answer,
) -> Method {
    Method {
        name,
        tier,
        scopes,
        kinds: TEAM,
        json: true,
        run,
    }
}

const fn form(method: Method) -> Method {
    Method {
        json: false,
        ..method
    }
}

const fn only(method: Method, kinds: &'static [Kind]) -> Method {
    Method { kinds, ..method }
}

const WRITE: &[&str] = &["chat:write"];
const ANY: &[&str] = &[];

/// All methods that take a token; what takes client credentials is in [`oauth`].
static METHODS: &[Method] = &[
    method("api.test", Tier::Four, ANY, account::api_test),
    only(
        method(
            "apps.connections.open",
            Tier::One,
            &["connections:write"],
            account::connect,
        ),
        &[Kind::App],
    ),
    method(
        "assistant.threads.setStatus",
        Tier::Special,
        &["assistant:write", "chat:write"],
        account::set_status,
    ),
    method("auth.revoke", Tier::Three, ANY, account::revoke),
    method("auth.test", Tier::Special, ANY, account::auth_test),
    form(method(
        "bots.info",
        Tier::Three,
        &["users:read"],
        account::bots_info,
    )),
    method("chat.appendStream", Tier::Four, WRITE, stream::append),
    method("chat.delete", Tier::Three, WRITE, chat::delete),
    method(
        "chat.deleteScheduledMessage",
        Tier::Three,
        WRITE,
        schedule::delete,
    ),
    form(method(
        "chat.getPermalink",
        Tier::Special,
        ANY,
        chat::permalink,
    )),
    method("chat.postEphemeral", Tier::Four, WRITE, chat::ephemeral),
    method("chat.postMessage", Tier::Special, WRITE, chat::post),
    method(
        "chat.scheduleMessage",
        Tier::Three,
        WRITE,
        schedule::schedule,
    ),
    method(
        "chat.scheduledMessages.list",
        Tier::Three,
        ANY,
        schedule::list,
    ),
    method("chat.startStream", Tier::Two, WRITE, stream::start),
    method("chat.stopStream", Tier::Two, WRITE, stream::stop),
    method("chat.update", Tier::Three, WRITE, chat::update),
    form(method(
        "conversations.history",
        Tier::Three,
        ANY,
        conversations::history,
    )),
    form(method(
        "conversations.info",
        Tier::Three,
        ANY,
        conversations::info,
    )),
    method(
        "conversations.join",
        Tier::Three,
        &["channels:join"],
        conversations::join,
    ),
    form(method(
        "conversations.list",
        Tier::Two,
        ANY,
        conversations::list,
    )),
    form(method(
        "conversations.members",
        Tier::Four,
        ANY,
        conversations::members,
    )),
    method(
        "conversations.open",
        Tier::Three,
        &["im:write", "mpim:write"],
        conversations::open,
    ),
    form(method(
        "conversations.replies",
        Tier::Three,
        ANY,
        conversations::replies,
    )),
    method(
        "files.completeUploadExternal",
        Tier::Four,
        &["files:write"],
        files::complete,
    ),
    method("files.delete", Tier::Three, &["files:write"], files::delete),
    form(method(
        "files.getUploadURLExternal",
        Tier::Four,
        &["files:write"],
        files::upload_url,
    )),
    form(method(
        "files.info",
        Tier::Four,
        &["files:read"],
        files::info,
    )),
    method(
        "reactions.add",
        Tier::Three,
        &["reactions:write"],
        reactions::add,
    ),
    form(method(
        "reactions.get",
        Tier::Three,
        &["reactions:read"],
        reactions::get,
    )),
    method(
        "reactions.remove",
        Tier::Two,
        &["reactions:write"],
        reactions::remove,
    ),
    form(method(
        "team.info",
        Tier::Three,
        &["team:read"],
        account::team_info,
    )),
    form(method(
        "users.info",
        Tier::Four,
        &["users:read"],
        account::users_info,
    )),
    form(method(
        "users.list",
        Tier::Two,
        &["users:read"],
        account::users_list,
    )),
    method("views.open", Tier::Four, ANY, views::open),
    method("views.publish", Tier::Four, ANY, views::publish),
    method("views.push", Tier::Four, ANY, views::push),
    method("views.update", Tier::Four, ANY, views::update),
];

/// A method by its name.
pub(crate) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// What a method works with.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) config: &'a SlackConfig,
    /// The token itself, for methods that end its life.
    pub(crate) secret: &'a str,
    pub(crate) token: &'a Token,
    pub(crate) params: &'a Params,
}

/// Runs a call whose token is known.
pub(crate) fn run(method: &Method, call: &mut Call<'_>) -> Answer {
    if !method.kinds.contains(&call.token.kind) {
        return Err(ApiError::new("not_allowed_token_type"));
    }
    if !method.scopes.is_empty() && !method.scopes.iter().any(|scope| call.may(scope)) {
        return Err(call.lacks(method.scopes.first().copied().unwrap_or_default()));
    }
    let mut answer = (method.run)(call);
    if let Ok(body) = &mut answer
        && call.params.lacks_charset
    {
        warn(body, "missing_charset");
    }
    answer
}

impl Call<'_> {
    pub(crate) fn may(&self, scope: &str) -> bool {
        self.token.scopes.contains(scope)
    }

    pub(crate) fn lacks(&self, scope: &str) -> ApiError {
        let provided: Vec<&str> = self.token.scopes.iter().map(String::as_str).collect();
        ApiError::new("missing_scope")
            .with("needed", scope)
            .with("provided", provided.join(","))
    }

    /// The bot of a bot token.
    pub(crate) fn install(&self) -> Option<Install> {
        self.state
            .install(&self.token.app, &self.token.team)
            .cloned()
    }

    /// App and bot id with which a bot token writes.
    pub(crate) fn bot(&self) -> Option<(String, String)> {
        let install = self.install()?;
        (self.token.kind == Kind::Bot).then(|| (self.token.app.clone(), install.bot_id))
    }

    /// A channel that the caller can see, by the argument `channel`.
    pub(crate) fn channel(&mut self) -> Result<String, ApiError> {
        let wanted = self.params.required("channel")?;
        self.resolve(&wanted)
    }

    /// A channel by its id or name, or the direct one of a person.
    pub(crate) fn resolve(&mut self, wanted: &str) -> Result<String, ApiError> {
        let team = &self.token.team;
        let is_person = self
            .state
            .users
            .get(wanted)
            .is_some_and(|user| user.team == *team);
        if is_person {
            let install = self
                .install()
                .ok_or_else(|| ApiError::new("account_inactive"))?;
            return Ok(self.state.direct(&install.bot_user, wanted));
        }
        let name = wanted.strip_prefix('#').unwrap_or(wanted);
        let user = &self.token.user;
        let seen = self.state.channels.iter().find(|(id, channel)| {
            channel.team == *team
                && (id.as_str() == wanted
                    || (channel.place == Place::Public && channel.name == name))
                && (channel.place == Place::Public || channel.members.contains(user))
        });
        seen.map(|(id, _)| id.clone())
            .ok_or_else(|| ApiError::new("channel_not_found"))
    }

    /// A channel in which the caller may write.
    pub(crate) fn writable(&mut self) -> Result<String, ApiError> {
        let id = self.channel()?;
        let channel = self.state.channels.get(&id);
        let channel = channel.ok_or_else(|| ApiError::new("channel_not_found"))?;
        if channel.archived {
            return Err(ApiError::new("is_archived"));
        }
        if !channel.members.contains(&self.token.user) && !self.may("chat:write.public") {
            return Err(ApiError::new("not_in_channel"));
        }
        Ok(id)
    }

    /// Refuses a reader who lacks the scope of this kind of channel, such as `im:history`.
    pub(crate) fn readable(&self, id: &str, what: &str) -> Result<(), ApiError> {
        let place = self.state.channels.get(id).map(|channel| channel.place);
        let place = place.ok_or_else(|| ApiError::new("channel_not_found"))?;
        let scope = format!("{}:{what}", place.scope());
        if self.may(&scope) {
            Ok(())
        } else {
            Err(self.lacks(&scope))
        }
    }

    /// The page of a list that `cursor` and `limit` ask for, and the next cursor.
    pub(crate) fn page(
        &self,
        all: Vec<Value>,
        default: usize,
        most: usize,
    ) -> Result<(Vec<Value>, String), ApiError> {
        let limit = self.params.number("limit", default, most)?;
        let from = match self.params.text("cursor") {
            None => 0,
            Some(cursor) => cursor
                .strip_prefix("next:")
                .and_then(|number| number.parse::<usize>().ok())
                .ok_or_else(|| ApiError::new("invalid_cursor"))?,
        };
        let end = from.saturating_add(limit);
        let next = if end < all.len() {
            format!("next:{end}")
        } else {
            String::new()
        };
        let page = all.into_iter().skip(from).take(limit).collect();
        Ok((page, next))
    }
}
