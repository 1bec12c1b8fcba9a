//! What follows the first answer to an interaction.
//!
//! <https://docs.discord.com/developers/interactions/receiving-and-responding#followup-messages>

use super::super::answer::{self, Answer, ApiError, Reply};
use super::super::model::{Id, Interaction, Stage, flag};
use super::Context;
use super::interactions::{belongs, voice};

/// The interaction behind the application and token of the path.
fn asked(context: &mut Context<'_>) -> Result<Interaction, ApiError> {
    let app = context.id("webhook")?;
    let token = context.params.get("token");
    let found = context
        .state
        .interactions
        .values()
        .find(|asked| asked.app == app && asked.token == token)
        .cloned()
        .ok_or(answer::UNKNOWN_WEBHOOK)?;
    let life = i64::try_from(context.state.config.interaction_life.as_millis());
    if context.state.now_ms - found.at_ms > life.unwrap_or(i64::MAX) {
        return Err(answer::WEBHOOK_TOKEN.into());
    }
    // Until the first answer there is no webhook.
    if found.stage == Stage::Open {
        return Err(answer::UNKNOWN_WEBHOOK.into());
    }
    context.app = app;
    Ok(found)
}

/// The message of the path: `@original` or an id.
fn message(context: &Context<'_>, asked: &Interaction) -> Result<Id, ApiError> {
    let id = if context.params.get("message") == "@original" {
        asked.original.ok_or(answer::UNKNOWN_MESSAGE)?
    } else {
        context.id("message")?
    };
    context
        .state
        .any_message(asked.channel, id)
        .filter(|message| belongs(message, asked))
        .map(|message| message.id)
        .ok_or_else(|| answer::UNKNOWN_MESSAGE.into())
}

pub(super) fn follow_up(context: &mut Context<'_>) -> Answer {
    let asked = asked(context)?;
    let body = context.fields()?.clone();
    let draft = context.draft(&body)?;
    draft.must_not_be_empty()?;
    let deferred = asked
        .original
        .filter(|_| asked.stage == Stage::Acknowledged(5))
        .and_then(|id| context.state.any_message(asked.channel, id))
        .filter(|message| message.flags & flag::LOADING != 0)
        .map(|message| message.id);
    let state = &mut *context.state;
    let message = match deferred {
        // The first one after a deferral fills the message that waits.
        Some(id) => state.rewrite(asked.channel, id, draft)?,
        None => {
            let voice = voice(&asked, draft.flags.unwrap_or(0) & flag::EPHEMERAL);
            state.write(asked.app, asked.channel, draft, voice)?
        }
    };
    Ok(Reply::Json(state.message_json(&message, asked.app, true)))
}

pub(super) fn get(context: &mut Context<'_>) -> Answer {
    let asked = asked(context)?;
    let id = message(context, &asked)?;
    let message = context
        .state
        .any_message(asked.channel, id)
        .ok_or(answer::UNKNOWN_MESSAGE)?;
    Ok(Reply::Json(
        context.state.message_json(message, asked.app, true),
    ))
}

pub(super) fn edit(context: &mut Context<'_>) -> Answer {
    let asked = asked(context)?;
    let id = message(context, &asked)?;
    let body = context.fields()?.clone();
    let draft = context.draft(&body)?;
    let message = context.state.rewrite(asked.channel, id, draft)?;
    Ok(Reply::Json(
        context.state.message_json(&message, asked.app, true),
    ))
}

pub(super) fn delete(context: &mut Context<'_>) -> Answer {
    let asked = asked(context)?;
    let id = message(context, &asked)?;
    context.state.erase(asked.channel, id)?;
    Ok(Reply::Empty)
}
