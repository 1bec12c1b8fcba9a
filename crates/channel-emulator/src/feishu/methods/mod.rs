//! The endpoints.

mod account;
mod cards;
mod files;
mod messages;
mod reactions;

use serde_json::Value;

use super::answer::{Answer, ApiError};
use super::model::MessageView;
use super::state::State;
use crate::common::json::Parts as _;

pub(crate) use account::token;
pub(crate) use files::{Upload, form};

/// What an endpoint works on.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    /// The app that calls.
    pub(crate) app: &'a str,
    /// The first id in the path.
    pub(crate) id: &'a str,
    /// The second one.
    pub(crate) second: &'a str,
    pub(crate) body: &'a Value,
    pub(crate) query: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) upload: Option<Upload>,
}

impl Context<'_> {
    /// A field that has to be a text.
    fn text(&self, name: &'static str) -> Result<&str, ApiError> {
        self.body
            .at(name)
            .as_str()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| ApiError::field(name))
    }

    /// The message in the path, if it is there and in a chat of the bot.
    fn message(&mut self) -> Result<&mut MessageView, ApiError> {
        if self.id.starts_with("omt_") {
            return Err(ApiError::new(
                99_992_354,
                "The request you send is not a valid {open_message_id} or not exists",
            ));
        }
        let message = self
            .state
            .messages
            .get(self.id)
            .ok_or_else(ApiError::gone)?;
        if !self.state.is_inside(self.app, &message.chat) {
            return Err(ApiError::not_in_chat());
        }
        self.state
            .messages
            .get_mut(self.id)
            .ok_or_else(ApiError::gone)
    }
}

/// Runs any endpoint but the one that gives tokens.
pub(crate) fn run(name: &str, context: &mut Context<'_>) -> Answer {
    match name {
        "bot_info" => account::bot_info(context),
        "user" => account::user(context),
        "chats" => account::chats(context),
        "chat" => account::chat(context),
        "members" => account::members(context),
        "send" => messages::send(context),
        "reply" => messages::reply(context),
        "edit" => messages::edit(context),
        "update_card" => messages::update_card(context),
        "recall" => messages::recall(context),
        "message" => messages::message(context),
        "history" => messages::history(context),
        "react" => reactions::react(context),
        "unreact" => reactions::unreact(context),
        "reactions" => reactions::list(context),
        "upload_image" => files::upload_image(context),
        "upload_file" => files::upload_file(context),
        "image" | "file" => files::own(context),
        "resource" => files::resource(context),
        "create_card" => cards::create(context),
        "replace_card" => cards::replace(context),
        "card_settings" => cards::settings(context),
        "element_content" => cards::content(context),
        "add_element" => cards::add(context),
        "replace_element" | "patch_element" | "delete_element" => cards::element(context, name),
        "batch_update" => cards::batch(context),
        "id_convert" => cards::id_convert(context),
        "late_update" => cards::late_update(context),
        _ => Err(ApiError::scope()),
    }
}
