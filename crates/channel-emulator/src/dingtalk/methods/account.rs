//! Tokens, and tickets of the stream gateway.

use http::header;
use serde_json::json;

use super::Context;
use crate::common::json::Parts as _;
use crate::dingtalk::answer::{Answer, ApiError, Reply};
use crate::dingtalk::model::{Hidden, Ticket};
use crate::dingtalk::state::millis;

/// Tickets of one app that wait to be used.
const MAX_TICKETS: usize = 100;

/// `POST /v1.0/gateway/connections/open`: exchanges credentials for an address and a ticket.
/// <https://open-dingtalk.github.io/developerpedia/docs/learn/stream/protocol/>
pub(super) fn open(context: &mut Context<'_>) -> Answer {
    let host = header_of(context, header::HOST).to_owned();
    let wants_json = header_of(context, header::ACCEPT).contains("application/json");
    let subscriptions = context.body.at("subscriptions").as_array();
    let topics = subscriptions.map(|all| {
        let pairs = all.iter().map(|one| {
            let (kind, topic) = (one.text("type"), one.text("topic"));
            let is_known = matches!(kind, "EVENT" | "CALLBACK") && !topic.is_empty();
            is_known.then(|| (kind.to_owned(), topic.to_owned()))
        });
        pairs.collect::<Option<Vec<_>>>()
    });
    let value = context.state.uuid();
    let now = context.state.now_ms;
    let (client, secret) = (
        context.body.text("clientId"),
        context.body.text("clientSecret"),
    );
    let app = context
        .state
        .apps
        .get_mut(client)
        .filter(|app| app.secret.0 == secret)
        .ok_or_else(ApiError::auth_failed)?;
    if app.disabled {
        return Err(ApiError::new(
            403,
            "unauthorizedClient",
            "the app is switched off",
        ));
    }
    let topics = topics
        .flatten()
        .filter(|topics| !topics.is_empty())
        .ok_or_else(|| ApiError::invalid("subscriptions is missing or holds a wrong entry"))?;
    if app.webhook.is_some() && topics.iter().any(|(kind, _)| kind == "CALLBACK") {
        return Err(ApiError::new(
            400,
            "subscription.notPermitted",
            "the robot is not in stream mode",
        ));
    }
    app.tickets.retain(|ticket| ticket.ends > now);
    if app.connections.len() >= context.config.max_connections || app.tickets.len() >= MAX_TICKETS {
        return Err(ApiError::new(429, "throttling", "too many connections"));
    }
    app.tickets.push(Ticket {
        value: Hidden(value.clone()),
        topics,
        ends: now.saturating_add(millis(context.config.ticket_life)),
    });
    let body = json!({"endpoint": format!("ws://{host}/dingtalk/connect"), "ticket": value});
    Ok(if wants_json {
        Reply::Json(body)
    } else {
        Reply::Xml(body)
    })
}

fn header_of<'a>(context: &'a Context<'_>, name: header::HeaderName) -> &'a str {
    let value = context.head.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// <https://open.dingtalk.com/document/orgapp/obtain-the-access_token-of-an-internal-app>
pub(super) fn token(context: &mut Context<'_>) -> Answer {
    let (key, secret) = (context.body.text("appKey"), context.body.text("appSecret"));
    let (key, secret) = (key.to_owned(), secret.to_owned());
    let (token, seconds) = fresh(context, &key, &secret).ok_or_else(|| {
        let words = "the client id or the client secret is invalid";
        ApiError::new(400, "invalidClientIdOrSecret", words)
    })?;
    Ok(Reply::Json(
        json!({"accessToken": token, "expireIn": seconds}),
    ))
}

/// <https://open.dingtalk.com/document/orgapp/obtain-orgapp-token>
pub(super) fn gettoken(context: &mut Context<'_>) -> Answer {
    let key = context.query.get("appkey").to_owned();
    let secret = context.query.get("appsecret").to_owned();
    let (token, seconds) = fresh(context, &key, &secret)
        .ok_or_else(|| ApiError::legacy(40_089, "invalid appkey or appsecret"))?;
    Ok(Reply::Json(json!({
        "errcode": 0,
        "errmsg": "ok",
        "access_token": token,
        "expires_in": seconds,
    })))
}

/// The token of an app and its remaining seconds: the same one for as long as it lives.
fn fresh(context: &mut Context<'_>, key: &str, secret: &str) -> Option<(String, i64)> {
    let new = context.state.hex();
    let now = context.state.now_ms;
    let life = millis(context.config.token_life);
    let app = context.state.apps.get_mut(key)?;
    if app.secret.0 != secret || app.disabled {
        return None;
    }
    if app.tokens.last().is_none_or(|(_, ends)| *ends <= now) {
        // The one before is kept to be told apart from what never was a token.
        if app.tokens.len() > 1 {
            app.tokens.remove(0);
        }
        app.tokens.push((Hidden(new), now.saturating_add(life)));
    }
    let (token, ends) = app.tokens.last()?;
    Some((token.0.clone(), (ends - now) / 1000))
}
