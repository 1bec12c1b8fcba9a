//! The endpoints.

mod account;
mod content;
mod send;

use serde_json::Value;

use super::answer::{Answer, ApiError};
use super::config::LineConfig;
use super::model::Bot;
use super::state::State;

pub(crate) use account::{address, test_webhook};

/// What an endpoint works on.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) config: &'a LineConfig,
    pub(crate) bot: &'a str,
    pub(crate) ids: (&'a str, &'a str),
    pub(crate) body: &'a Value,
    pub(crate) retry_key: Option<&'a str>,
    pub(crate) request_id: &'a str,
}

impl Context<'_> {
    fn account(&mut self) -> Result<&mut Bot, ApiError> {
        self.state
            .bots
            .get_mut(self.bot)
            .ok_or_else(|| ApiError::unauthorized("invalid token"))
    }
}

/// Runs any endpoint but the test of a webhook, which waits for its answer.
pub(crate) fn run(name: &str, context: &mut Context<'_>) -> Answer {
    match name {
        "reply" => send::reply(context),
        "push" => send::push(context),
        "multicast" => send::multicast(context),
        "broadcast" => send::broadcast(context),
        "validate" => send::validate(context),
        "quota" => account::quota(context),
        "consumption" => account::consumption(context),
        "info" => account::info(context),
        "profile" => account::profile(context),
        "group_summary" => account::group_summary(context),
        "member" => account::member(context),
        "member_count" => account::member_count(context),
        "member_ids" | "followers" => account::ids(context, name),
        "leave" => account::leave(context),
        "loading" => account::loading(context),
        "mark_as_read" => account::mark_as_read(context),
        "webhook" => account::webhook(context),
        "set_webhook" => account::set_webhook(context),
        "content" => content::content(context),
        "preview" => content::preview(context),
        "transcoding" => content::transcoding(context),
        // Narrowcast and what else belongs to plans that are not emulated.
        _ => Err(ApiError::no_access()),
    }
}
