//! What the commands of a long connection do.

use serde_json::{Value, json};

use super::upload;
use crate::wecom::answer::{Answer, ApiError, Reply};
use crate::wecom::check;
use crate::wecom::config::WecomConfig;
use crate::wecom::limits::{ANSWER_MS, EVENT_ANSWER_MS, LINK_RATE};
use crate::wecom::model::{Cause, Topic, Via};
use crate::wecom::passive;
use crate::wecom::state::State;

/// A command from a connection that has subscribed.
pub(super) struct Command<'a> {
    pub(super) state: &'a mut State,
    pub(super) config: &'a WecomConfig,
    pub(super) bot: &'a str,
    pub(super) request: &'a str,
    pub(super) body: &'a Value,
}

impl Command<'_> {
    pub(super) fn field(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// What the bot was told under the `req_id` of this command, on this connection.
    fn cause(&self) -> Result<Cause, ApiError> {
        let link = self.state.links.get(self.bot);
        link.and_then(|link| link.requests.get(self.request))
            .filter(|cause| self.state.now_ms - cause.at_ms < ANSWER_MS)
            .cloned()
            .ok_or_else(ApiError::request_id)
    }

    fn throttle(&mut self, chat: &str) -> Result<(), ApiError> {
        let key = format!("{} {chat}", self.bot);
        if self.config.rates && !self.state.count(&key, "link", LINK_RATE) {
            return Err(ApiError::rate());
        }
        Ok(())
    }
}

/// Runs a command; ping and subscribe are the connection's own.
pub(super) fn run(name: &str, command: &mut Command<'_>) -> Answer {
    match name {
        "aibot_respond_msg" => respond(command),
        "aibot_respond_welcome_msg" => welcome(command),
        "aibot_respond_update_msg" => update(command),
        "aibot_send_msg" => push(command),
        "aibot_upload_media_init" => upload::begin(command),
        "aibot_upload_media_chunk" => upload::chunk(command),
        "aibot_upload_media_finish" => upload::finish(command),
        _ => Err(ApiError::new(40066, "invalid cmd")),
    }
}

/// Media by kind, markdown or a card.
fn say(command: &mut Command<'_>, chat: &str, via: Via) -> Answer {
    let bot = command.bot;
    let kind = check::kind(command.body)?;
    match kind {
        "markdown" => check::ai_markdown(command.body)?,
        "template_card" => {
            let card = command
                .body
                .get("template_card")
                .cloned()
                .unwrap_or_default();
            check::new_card(command.state, bot, &card)?;
        }
        "file" | "image" | "voice" | "video" => {
            check::link_media(command.state, bot, command.body, kind)?;
        }
        _ => return Err(ApiError::kind()),
    }
    let shown = json!({"msgtype": kind, kind: command.body.get(kind)});
    command.state.say((bot, chat), via, shown);
    Ok(Reply::ok())
}

fn respond(command: &mut Command<'_>) -> Answer {
    let cause = command.cause()?;
    if cause.topic != Topic::Message {
        return Err(ApiError::request_id());
    }
    command.throttle(&cause.chat)?;
    let kind = check::kind(command.body)?;
    if !matches!(kind, "stream" | "stream_with_template_card") {
        return say(command, &cause.chat, Via::Respond);
    }
    let id = command
        .body
        .get("stream")
        .and_then(|part| part.get("id")?.as_str())
        .unwrap_or("");
    let key = (command.bot.to_owned(), id.to_owned());
    let life = i64::try_from(command.config.stream_life.as_millis()).unwrap_or(i64::MAX);
    let now = command.state.now_ms;
    if let Some(stream) = command.state.streams.get_mut(&key)
        && now - stream.since_ms >= life
    {
        stream.is_finished = true;
    }
    passive::show(
        command.state,
        command.bot,
        &cause,
        command.body,
        Via::Respond,
    )?;
    Ok(Reply::ok())
}

/// An event that is answered at once.
fn fresh(command: &Command<'_>, name: &str) -> Result<Cause, ApiError> {
    let cause = command.cause()?;
    let is_fresh = command.state.now_ms - cause.at_ms < EVENT_ANSWER_MS;
    (is_fresh && cause.topic == Topic::Event(name.to_owned()))
        .then_some(cause)
        .ok_or_else(ApiError::request_id)
}

fn welcome(command: &mut Command<'_>) -> Answer {
    let cause = fresh(command, "enter_chat")?;
    match check::kind(command.body)? {
        "text" => {
            check::greeting(command.body)?;
            let shown = json!({"msgtype": "text", "text": command.body.get("text")});
            command
                .state
                .say((command.bot, &cause.chat), Via::Welcome, shown);
            Ok(Reply::ok())
        }
        "template_card" => say(command, &cause.chat, Via::Welcome),
        _ => Err(ApiError::kind()),
    }
}

fn update(command: &mut Command<'_>) -> Answer {
    let cause = fresh(command, "template_card_event")?;
    if command.field("response_type") != "update_template_card" {
        return Err(ApiError::parameter("response_type"));
    }
    passive::update(command.state, command.bot, &cause, command.body)?;
    Ok(Reply::ok())
}

fn push(command: &mut Command<'_>) -> Answer {
    let chat = command.field("chatid").to_owned();
    let kind = command.body.get("chat_type").and_then(Value::as_u64);
    let has_spoken = command
        .state
        .bot(command.bot)
        .is_some_and(|bot| bot.spoken.contains(&chat));
    let fits = match kind {
        Some(1) => !command.state.is_group(&chat),
        Some(2) => command.state.is_group(&chat),
        None | Some(0) => true,
        _ => false,
    };
    if !has_spoken || !fits {
        return Err(ApiError::new(93006, "invalid chatid"));
    }
    command.throttle(&chat)?;
    say(command, &chat, Via::Push)
}
