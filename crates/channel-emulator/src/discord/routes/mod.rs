//! The endpoints of REST.
//!
//! <https://docs.discord.com/developers/reference>

mod account;
mod channels;
mod commands;
mod guilds;
mod interactions;
mod messages;
mod reactions;
mod webhooks;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value};

use super::answer::{self, Answer, ApiError, Known};
use super::body::Payload;
use super::limits::Rate;
use super::model::Id;
use super::state::State;

pub(crate) use interactions::apply as apply_callback;
pub(crate) use reactions::emoji;

/// A call as an endpoint sees it.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    /// The bot; on routes that know none, 0.
    pub(crate) app: Id,
    pub(crate) params: &'a Params,
    pub(crate) query: &'a BTreeMap<String, String>,
    pub(crate) payload: &'a Payload,
}

impl Context<'_> {
    /// A snowflake of the path.
    pub(crate) fn id(&self, name: &'static str) -> Result<Id, ApiError> {
        let text = self.params.get(name);
        text.parse().map_err(|_| {
            let field = format!("{name}_id");
            let message = format!("Value \"{}\" is not snowflake.", short(text));
            ApiError::field(&[&field], "NUMBER_TYPE_COERCE", message)
        })
    }

    pub(crate) fn fields(&self) -> Result<&Map<String, Value>, ApiError> {
        self.payload.fields()
    }

    /// Whether a query parameter is true.
    pub(crate) fn asks(&self, name: &str) -> bool {
        self.query
            .get(name)
            .is_some_and(|value| matches!(value.as_str(), "true" | "True" | "1"))
    }
}

fn short(text: &str) -> String {
    text.chars().take(32).collect()
}

/// The variable parts of a path.
#[derive(Debug, Default)]
pub(crate) struct Params {
    parts: Vec<(&'static str, String)>,
    /// The bot of the interaction whose token is in the path.
    owner: Option<Id>,
}

impl Params {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.parts
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value.as_str())
    }

    pub(crate) const fn of(mut self, owner: Option<Id>) -> Self {
        self.owner = owner;
        self
    }

    pub(crate) const fn owner(&self) -> Option<Id> {
        self.owner
    }

    /// The resource that has buckets of its own.
    pub(crate) fn major(&self) -> String {
        ["channel", "guild", "webhook"]
            .iter()
            .map(|name| self.get(name))
            .find(|value| !value.is_empty())
            .map_or_else(String::new, |value| format!("{value}{}", self.get("token")))
    }
}

type Handler = fn(&mut Context<'_>) -> Answer;

/// An endpoint.
pub(crate) struct Route {
    /// Method and template: the name in the ledger and for faults.
    pub(crate) name: &'static str,
    /// The token stands in the path, so no bot is known.
    pub(crate) open: bool,
    pub(crate) rate: Rate,
    pub(crate) run: Handler,
}

const fn route(name: &'static str, rate: Rate, run: Handler) -> Route {
    Route {
        name,
        open: false,
        rate,
        run,
    }
}

const fn open(name: &'static str, rate: Rate, run: Handler) -> Route {
    Route {
        name,
        open: true,
        rate,
        run,
    }
}

const SLOW: Rate = Rate(5, 5_000);
const USUAL: Rate = Rate(10, 5_000);
const READ: Rate = Rate(50, 1_000);

/// Numbers are those seen in practice; the platform publishes none and tells them in the headers.
static ROUTES: &[Route] = &[
    route("GET /gateway/bot", READ, account::gateway_bot),
    open("GET /gateway", READ, account::gateway),
    route("GET /users/@me", READ, account::me),
    route("GET /users/@me/guilds", READ, guilds::mine),
    route("GET /users/{user}", READ, account::user),
    route("POST /users/@me/channels", USUAL, account::open_direct),
    route("GET /applications/@me", READ, account::application),
    route("PATCH /applications/@me", SLOW, account::edit_application),
    route("GET /oauth2/applications/@me", READ, account::application),
    route(
        "GET /applications/{application}/commands",
        USUAL,
        commands::list,
    ),
    route(
        "POST /applications/{application}/commands",
        SLOW,
        commands::create,
    ),
    route(
        "PUT /applications/{application}/commands",
        SLOW,
        commands::overwrite,
    ),
    route(
        "GET /applications/{application}/commands/{command}",
        USUAL,
        commands::get,
    ),
    route(
        "PATCH /applications/{application}/commands/{command}",
        SLOW,
        commands::edit,
    ),
    route(
        "DELETE /applications/{application}/commands/{command}",
        SLOW,
        commands::delete,
    ),
    route(
        "GET /applications/{application}/guilds/{guild}/commands",
        USUAL,
        commands::list,
    ),
    route(
        "POST /applications/{application}/guilds/{guild}/commands",
        SLOW,
        commands::create,
    ),
    route(
        "PUT /applications/{application}/guilds/{guild}/commands",
        SLOW,
        commands::overwrite,
    ),
    route(
        "GET /applications/{application}/guilds/{guild}/commands/{command}",
        USUAL,
        commands::get,
    ),
    route(
        "PATCH /applications/{application}/guilds/{guild}/commands/{command}",
        SLOW,
        commands::edit,
    ),
    route(
        "DELETE /applications/{application}/guilds/{guild}/commands/{command}",
        SLOW,
        commands::delete,
    ),
    route("GET /guilds/{guild}", READ, guilds::get),
    route("GET /guilds/{guild}/channels", READ, guilds::channels),
    route(
        "GET /guilds/{guild}/threads/active",
        READ,
        guilds::active_threads,
    ),
    route("GET /guilds/{guild}/members/{user}", READ, guilds::member),
    route("GET /channels/{channel}", READ, channels::get),
    route("PATCH /channels/{channel}", SLOW, channels::edit),
    route("POST /channels/{channel}/typing", SLOW, channels::typing),
    route(
        "POST /channels/{channel}/threads",
        USUAL,
        channels::open_thread,
    ),
    route(
        "PUT /channels/{channel}/thread-members/@me",
        USUAL,
        channels::join_thread,
    ),
    route(
        "DELETE /channels/{channel}/thread-members/@me",
        USUAL,
        channels::leave_thread,
    ),
    route("GET /channels/{channel}/messages", READ, messages::history),
    route("POST /channels/{channel}/messages", SLOW, messages::create),
    route(
        "POST /channels/{channel}/messages/bulk-delete",
        Rate(1, 1_000),
        messages::bulk_delete,
    ),
    route(
        "PUT /channels/{channel}/messages/pins/{message}",
        SLOW,
        messages::pin,
    ),
    route(
        "DELETE /channels/{channel}/messages/pins/{message}",
        SLOW,
        messages::unpin,
    ),
    route(
        "PUT /channels/{channel}/pins/{message}",
        SLOW,
        messages::pin,
    ),
    route(
        "DELETE /channels/{channel}/pins/{message}",
        SLOW,
        messages::unpin,
    ),
    route(
        "GET /channels/{channel}/messages/{message}",
        READ,
        messages::get,
    ),
    route(
        "PATCH /channels/{channel}/messages/{message}",
        SLOW,
        messages::edit,
    ),
    route(
        "DELETE /channels/{channel}/messages/{message}",
        Rate(5, 1_000),
        messages::delete,
    ),
    route(
        "POST /channels/{channel}/messages/{message}/threads",
        USUAL,
        channels::thread_from_message,
    ),
    route(
        "GET /channels/{channel}/messages/{message}/reactions/{emoji}",
        READ,
        reactions::list,
    ),
    route(
        "DELETE /channels/{channel}/messages/{message}/reactions/{emoji}",
        Rate(1, 250),
        reactions::clear,
    ),
    route(
        "DELETE /channels/{channel}/messages/{message}/reactions",
        Rate(1, 250),
        reactions::clear,
    ),
    route(
        "PUT /channels/{channel}/messages/{message}/reactions/{emoji}/@me",
        Rate(1, 250),
        reactions::add,
    ),
    route(
        "DELETE /channels/{channel}/messages/{message}/reactions/{emoji}/@me",
        Rate(1, 250),
        reactions::remove,
    ),
    route(
        "DELETE /channels/{channel}/messages/{message}/reactions/{emoji}/{user}",
        Rate(1, 250),
        reactions::remove_of,
    ),
    open(
        "POST /interactions/{interaction}/{token}/callback",
        READ,
        interactions::callback,
    ),
    open(
        "POST /webhooks/{webhook}/{token}",
        SLOW,
        webhooks::follow_up,
    ),
    open(
        "GET /webhooks/{webhook}/{token}/messages/{message}",
        READ,
        webhooks::get,
    ),
    open(
        "PATCH /webhooks/{webhook}/{token}/messages/{message}",
        SLOW,
        webhooks::edit,
    ),
    open(
        "DELETE /webhooks/{webhook}/{token}/messages/{message}",
        SLOW,
        webhooks::delete,
    ),
];

/// The endpoint for a method and a path below the version, in segments that are not yet unescaped.
pub(crate) fn find(method: &Method, path: &str) -> Result<(&'static Route, Params), Known> {
    let given: Vec<&str> = path.split('/').skip(1).collect();
    let mut error = answer::NOT_FOUND;
    for route in ROUTES {
        let Some((verb, template)) = route.name.split_once(' ') else {
            continue;
        };
        let Some(params) = fit(template, &given) else {
            continue;
        };
        if verb == method.as_str() {
            return Ok((route, params));
        }
        error = answer::NOT_ALLOWED;
    }
    Err(error)
}

fn fit(template: &'static str, given: &[&str]) -> Option<Params> {
    let mut params = Params::default();
    let mut rest = given.iter();
    for wanted in template.split('/').skip(1) {
        let segment = rest.next()?;
        match wanted
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) => {
                let text = percent_encoding::percent_decode_str(segment)
                    .decode_utf8()
                    .ok()?;
                params.parts.push((name, text.into_owned()));
            }
            None if wanted == *segment => {}
            // `@me` and the like may come escaped.
            None if percent_encoding::percent_decode_str(segment).eq(wanted.bytes()) => {}
            None => return None,
        }
    }
    rest.next().is_none().then_some(params)
}
