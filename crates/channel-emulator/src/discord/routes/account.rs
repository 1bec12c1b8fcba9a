//! The bot itself, its application and its direct conversations.

use serde_json::{Value, json};
use url::Url;

use super::super::answer::{self, Answer, ApiError, Reply};
use super::super::model::read_id;
use super::Context;

/// <https://docs.discord.com/developers/events/gateway#get-gateway>
pub(super) fn gateway(context: &mut Context<'_>) -> Answer {
    let url = format!("ws://{}/gateway", context.state.authority);
    Ok(Reply::Json(json!({ "url": url })))
}

/// <https://docs.discord.com/developers/events/gateway#get-gateway-bot>
pub(super) fn gateway_bot(context: &mut Context<'_>) -> Answer {
    let state = &context.state;
    let app = state.app(context.app)?;
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let (since, used) = if state.now_ms - app.starts.0 >= DAY_MS {
        (state.now_ms, 0)
    } else {
        app.starts
    };
    let total = state.config.session_starts;
    Ok(Reply::Json(json!({
        "url": format!("ws://{}/gateway", state.authority), "shards": app.shards.max(1),
        "session_start_limit": {
            "total": total, "remaining": total.saturating_sub(used), "reset_after": since + DAY_MS - state.now_ms,
            "max_concurrency": state.config.max_concurrency,
        },
    })))
}

/// <https://docs.discord.com/developers/resources/user#get-current-user>
pub(super) fn me(context: &mut Context<'_>) -> Answer {
    let mut user = context.state.user_json(context.app);
    if let Some(user) = user.as_object_mut() {
        user.insert("verified".into(), true.into());
        user.insert("mfa_enabled".into(), false.into());
        user.insert("email".into(), Value::Null);
        user.insert("locale".into(), "en-US".into());
        user.insert("flags".into(), 0.into());
        user.insert("bio".into(), "".into());
    }
    Ok(Reply::Json(user))
}

/// <https://docs.discord.com/developers/resources/user#get-user>
pub(super) fn user(context: &mut Context<'_>) -> Answer {
    let id = context.id("user")?;
    let state = &context.state;
    if state.users.contains_key(&id) || state.apps.contains_key(&id) {
        Ok(Reply::Json(state.user_json(id)))
    } else {
        Err(answer::UNKNOWN_USER.into())
    }
}

/// <https://docs.discord.com/developers/resources/user#create-dm>
pub(super) fn open_direct(context: &mut Context<'_>) -> Answer {
    let recipient = context.fields()?.get("recipient_id");
    let Some(recipient) = recipient else {
        let error = ApiError::field(
            &["recipient_id"],
            "BASE_TYPE_REQUIRED",
            "This field is required",
        );
        return Err(error);
    };
    let user = read_id(recipient).ok_or_else(|| {
        ApiError::field(
            &["recipient_id"],
            "NUMBER_TYPE_COERCE",
            "Value is not snowflake.",
        )
    })?;
    if !context.state.users.contains_key(&user) {
        return Err(answer::CANNOT_DM.into());
    }
    let id = context.state.direct(context.app, user);
    let channel = context.state.visible(context.app, id)?;
    Ok(Reply::Json(context.state.channel_json(channel)))
}

/// <https://docs.discord.com/developers/resources/application#get-current-application>
pub(super) fn application(context: &mut Context<'_>) -> Answer {
    let state = &context.state;
    let app = state.app(context.app)?;
    let owner = state.users.keys().next().copied().unwrap_or(1);
    let flags = state.app_flags(context.app);
    Ok(Reply::Json(json!({
        "id": app.id.to_string(), "name": app.name, "icon": null, "description": "", "summary": "",
        "bot_public": true, "bot_require_code_grant": false, "verify_key": app.verify_key(),
        "flags": flags, "flags_new": flags.to_string(), "owner": state.user_json(owner), "team": null,
        "bot": state.user_json(app.id), "approximate_guild_count":
            state.guilds.values().filter(|guild| guild.bots.contains(&app.id)).count(),
        "interactions_endpoint_url": app.endpoint.as_ref().map(ToString::to_string),
        "redirect_uris": [], "role_connections_verification_url": null, "rpc_origins": [], "hook": true,
        "integration_types_config": {"0": {}}, "event_webhooks_url": app.events.as_ref().map(ToString::to_string),
        "event_webhooks_status": if app.events.is_some() { 2 } else { 1 },
    })))
}

/// <https://docs.discord.com/developers/resources/application#edit-current-application>
///
/// Addresses that come here have been tried already, before the state was locked.
pub(super) fn edit_application(context: &mut Context<'_>) -> Answer {
    let fields = context.fields()?;
    let address = |field: &str| {
        let url = fields.get(field)?.as_str().filter(|url| !url.is_empty());
        Some(url.and_then(|url| Url::parse(url).ok()))
    };
    let (endpoint, events) = (
        address("interactions_endpoint_url"),
        address("event_webhooks_url"),
    );
    let id = context.app;
    let app = context.state.app_mut(id)?;
    if let Some(url) = endpoint {
        app.endpoint = url;
    }
    if let Some(url) = events {
        app.events = url;
    }
    application(context)
}
