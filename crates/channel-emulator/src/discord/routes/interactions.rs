//! The first answer to an interaction.
//!
//! <https://docs.discord.com/developers/interactions/receiving-and-responding>

use serde_json::{Map, Value, json};

use super::super::answer::{self, Answer, ApiError, Form, Reply};
use super::super::components;
use super::super::model::{Id, Interaction, Message, Stage, flag};
use super::Context;
use super::messages::Voice;

/// Choices of an autocompletion.
const MAX_CHOICES: usize = 25;

/// What an answer has made.
#[derive(Debug)]
pub(crate) struct Applied {
    kind: u64,
    message: Option<Id>,
}

pub(super) fn callback(context: &mut Context<'_>) -> Answer {
    let id = context.id("interaction")?;
    let asked = context.state.interactions.get(&id);
    let asked = asked.filter(|asked| asked.token == context.params.get("token"));
    let asked = asked.ok_or(answer::UNKNOWN_INTERACTION)?.clone();
    context.app = asked.app;
    let body = context.fields()?.clone();
    let applied = apply(context, id, &body)?;
    if !context.asks("with_response") {
        return Ok(Reply::Empty);
    }
    let mut answer = json!({
        "interaction": {"id": id.to_string(), "type": asked.kind},
    });
    let message = applied
        .message
        .and_then(|message| context.state.any_message(asked.channel, message));
    if let (Some(message), Some(answer)) = (message, answer.as_object_mut()) {
        let shown = context.state.message_json(message, asked.app, true);
        let ephemeral = message.flags & flag::EPHEMERAL != 0;
        let loading = message.flags & flag::LOADING != 0;
        answer.insert(
            "interaction".into(),
            json!({
                "id": id.to_string(), "type": asked.kind, "response_message_id": message.id.to_string(),
                "response_message_loading": loading, "response_message_ephemeral": ephemeral,
            }),
        );
        answer.insert(
            "resource".into(),
            json!({"type": applied.kind, "message": shown}),
        );
    }
    Ok(Reply::Json(answer))
}

/// Types of callbacks that fit a type of interaction.
fn fits(asked: &Interaction, kind: u64) -> bool {
    match asked.kind {
        2 => matches!(kind, 4 | 5 | 9),
        3 => matches!(kind, 4..=7 | 9),
        4 => kind == 8,
        5 => matches!(kind, 4 | 5) || asked.message.is_some() && matches!(kind, 6 | 7),
        _ => kind == 1,
    }
}

/// Acts on an answer, which came to the callback endpoint or inline from the application's own.
pub(crate) fn apply(
    context: &mut Context<'_>,
    id: Id,
    body: &Map<String, Value>,
) -> Result<Applied, ApiError> {
    let asked = context.state.interactions.get(&id).cloned();
    let asked = asked.ok_or(answer::UNKNOWN_INTERACTION)?;
    let window = i64::try_from(context.state.config.interaction_window.as_millis());
    if asked.stage != Stage::Open {
        return Err(answer::ALREADY_ACKNOWLEDGED.into());
    }
    if context.state.now_ms - asked.at_ms > window.unwrap_or(i64::MAX) {
        return Err(answer::UNKNOWN_INTERACTION.into());
    }
    let mut form = Form::default();
    let kind = body.get("type").and_then(Value::as_u64);
    match kind {
        None => form.required(&["type"]),
        Some(kind) if !fits(&asked, kind) => form.choices(&["type"], "4, 5, 6, 7, 8, 9"),
        Some(_) => {}
    }
    form.finish()?;
    let kind = kind.unwrap_or_default();
    let data = body
        .get("data")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let mut form = Form::default();
    let mut shown = None;
    match kind {
        8 => {
            let choices = data
                .get("choices")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            form.length(&["data", "choices"], choices, 0, MAX_CHOICES);
            shown = Some(Value::Object(data.clone()));
        }
        9 => {
            let modal = Value::Object(data.clone());
            components::check_modal(&modal, &mut form);
            shown = Some(modal);
        }
        _ => {}
    }
    form.finish()?;
    let message = match kind {
        4 => {
            let draft = context.draft(&data)?;
            draft.must_not_be_empty()?;
            let voice = voice(&asked, draft.flags.unwrap_or(0) & flag::EPHEMERAL);
            Some(
                context
                    .state
                    .write(asked.app, asked.channel, draft, voice)?
                    .id,
            )
        }
        5 => {
            // Of the flags only this one counts in a deferral.
            let flags = data.get("flags").and_then(Value::as_u64).unwrap_or(0) & flag::EPHEMERAL;
            let draft = context.draft(&Map::new())?;
            let voice = voice(&asked, flags | flag::LOADING);
            Some(
                context
                    .state
                    .write(asked.app, asked.channel, draft, voice)?
                    .id,
            )
        }
        7 => {
            let draft = context.draft(&data)?;
            let message = asked.message.ok_or(answer::UNKNOWN_MESSAGE)?;
            Some(context.state.rewrite(asked.channel, message, draft)?.id)
        }
        6 => asked.message,
        _ => None,
    };
    if let Some(interaction) = context.state.interactions.get_mut(&id) {
        interaction.stage = Stage::Acknowledged(kind);
        interaction.original = message;
        interaction.shown = shown;
    }
    Ok(Applied { kind, message })
}

/// How an answer to an interaction looks.
pub(super) fn voice(asked: &Interaction, flags: u64) -> Voice {
    Voice {
        id: None,
        interaction: Some(asked.id),
        command: asked.kind == 2,
        only_for: (flags & flag::EPHEMERAL != 0).then_some(asked.user),
        flags,
    }
}

/// Whether a message is one of the answers to an interaction.
pub(super) fn belongs(message: &Message, asked: &Interaction) -> bool {
    message.interaction == Some(asked.id) || asked.original == Some(message.id)
}
