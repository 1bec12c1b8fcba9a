//! The endpoints.

mod account;
mod cards;
mod files;
mod robot;
mod webhook;

use http::request::Parts;
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, Reply};
use super::config::DingtalkConfig;
use super::http::Query;
use super::state::State;
use crate::common::json::Parts as _;

pub(crate) use cards::{apply, variables};
pub(crate) use files::{Upload, form};
pub(crate) use webhook::say;

/// What an endpoint works on.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a DingtalkConfig,
    pub(crate) state: &'a mut State,
    /// The app that calls.
    pub(crate) app: &'a str,
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Value,
    pub(crate) query: &'a Query,
    pub(crate) upload: Option<Upload>,
}

impl Context<'_> {
    /// A text field that must not be empty.
    fn text(&self, name: &str) -> Result<&str, ApiError> {
        let text = self.body.text(name);
        if text.is_empty() {
            return Err(ApiError::invalid(&format!("{name} is missing")));
        }
        Ok(text)
    }

    /// The robot that the body names has to be that of the app.
    fn robot(&self) -> Result<(), ApiError> {
        let code = self.body.text("robotCode");
        if code.is_empty() {
            return Err(ApiError::parameter(
                "robotCode.empty",
                "the robotCode of the robot is empty",
            ));
        }
        self.own_robot(code)
    }

    fn own_robot(&self, code: &str) -> Result<(), ApiError> {
        let app = self.state.apps.get(self.app).ok_or_else(ApiError::token)?;
        if app.robot_code == code {
            return Ok(());
        }
        Err(ApiError::parameter(
            "robotCode.auth",
            "the robotCode does not belong to the app that calls",
        ))
    }

    /// The group that the body names, with the robot inside.
    fn group(&self) -> Result<String, ApiError> {
        let chat = self.body.text("openConversationId");
        let group = self.state.chats.get(chat);
        if group.is_some_and(|group| group.title.is_some()) && self.state.is_inside(self.app, chat)
        {
            return Ok(chat.to_owned());
        }
        Err(ApiError::parameter(
            "openConversationId.invalid",
            "the openConversationId is invalid or the robot is not in the group",
        ))
    }
}

/// Runs an endpoint.
pub(crate) fn run(name: &str, context: &mut Context<'_>) -> Answer {
    match name {
        "open" => account::open(context),
        "token" => account::token(context),
        "gettoken" => account::gettoken(context),
        "custom_send" => webhook::custom(context),
        "session_send" => webhook::session(context),
        "upload" => files::upload(context),
        "download" => files::download(context),
        "file" => files::file(context),
        "batch_send" => robot::batch_send(context),
        "group_send" => robot::group_send(context),
        "batch_recall" => robot::recall(context, None),
        "group_recall" => {
            let group = context.group()?;
            robot::recall(context, Some(&group))
        }
        "emotion_reply" => robot::emotion(context, true),
        "emotion_recall" => robot::emotion(context, false),
        "create_card" => cards::create(context),
        "deliver_card" => cards::deliver(context),
        "create_and_deliver" => cards::create_and_deliver(context),
        "update_card" => cards::update(context),
        "stream_card" => cards::stream(context),
        "send_old_card" => cards::send_old(context),
        "update_old_card" => cards::update_old(context),
        _ => Err(ApiError::not_found()),
    }
}

/// What several endpoints answer.
fn success() -> Reply {
    Reply::Json(json!({"success": true, "result": true}))
}
