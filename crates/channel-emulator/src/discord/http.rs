//! REST over HTTP. <https://docs.discord.com/developers/reference>

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{self, Answer, ApiError, respond, written};
use super::body::Payload;
use super::engine::Discord;
use super::faults::Fault;
use super::ledger::Call;
use super::limits::{Quota, Wait};
use super::model::Id;
use super::routes::{self, Context, Params, Route};
use crate::common::ledger::{Entry, Outcome};
use crate::server::{Cut, cut};

/// The only version that is emulated.
const BASE: &str = "/api/v10";

/// A call that has been let in.
struct Admitted {
    route: &'static Route,
    params: Params,
    app: Option<Id>,
}

/// Everything below `/api/`.
pub(crate) async fn serve(Shared(discord): Shared<Discord>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    discord.note_authority(&head.headers);
    if let Some(after_ms) = discord.quietly(|state| state.limits.banned(state.now_ms)) {
        return banned(after_ms);
    }
    let connection = head.extensions.get::<Cut>().cloned();
    let path = head.uri.path();
    let admitted = admit(&discord, &head.method, path, &head.headers);
    let payload = match &admitted {
        Ok(_) => {
            let limit = discord.quietly(|state| state.config.upload_limit);
            Payload::read(&head.headers, body, limit).await
        }
        Err(_) => Ok(Payload::default()),
    };
    let entry = Entry::begin(
        &discord,
        call(&discord, path, &admitted, payload.as_ref().ok()),
    );
    let (admitted, payload) = match (admitted, payload) {
        (Ok(admitted), Ok(payload)) => (admitted, payload),
        (Err(error), _) | (_, Err(error)) => {
            return finish(&discord, entry, &Err(error), None);
        }
    };
    let mut lose_answer = false;
    let name = admitted.route.name;
    match discord.with(|state| state.faults.take(name)) {
        None => {}
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::LoseAnswer) => lose_answer = true,
        Some(Fault::DropBefore) => {
            entry.end(Outcome::Dropped, None);
            return cut(connection).await;
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(fault) => return refuse(&discord, entry, &fault),
    }
    let major = admitted.params.major();
    let quota = discord.with(|state| {
        let now = state.now_ms;
        state
            .limits
            .take(admitted.app, name, &major, admitted.route.rate, now)
    });
    let quota = match quota {
        Ok(quota) => quota,
        Err(wait) => return limited(&discord, entry, &wait),
    };
    if let Err(error) = try_endpoints(&discord, &admitted, &payload).await {
        return finish(&discord, entry, &Err(error), quota.as_ref());
    }
    let query: BTreeMap<String, String> = head
        .uri
        .query()
        .map(|query| {
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .take(32)
                .collect()
        })
        .unwrap_or_default();
    let answer = discord.with(|state| {
        let mut context = Context {
            state,
            app: admitted.app.unwrap_or(0),
            params: &admitted.params,
            query: &query,
            payload: &payload,
        };
        (admitted.route.run)(&mut context)
    });
    if lose_answer {
        entry.end(Outcome::AnswerLost, Some(written(&answer)));
        return cut(connection).await;
    }
    finish(&discord, entry, &answer, quota.as_ref())
}

fn admit(
    discord: &Discord,
    method: &http::Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Admitted, ApiError> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding.as_bytes() != b"identity") {
        return Err(ApiError::new(415, 0, "415: Unsupported Media Type"));
    }
    let below = path
        .strip_prefix(BASE)
        .filter(|below| below.starts_with('/'))
        .ok_or_else(|| ApiError::new(400, 50041, "Invalid API version provided"))?;
    let mut found = routes::find(method, below);
    if let Ok((route, params)) = &mut found
        && route.open
    {
        let params = std::mem::take(params);
        let app = discord.quietly(|state| {
            let token = params.get("token");
            let mut asked = state.interactions.values();
            asked
                .find(|asked| asked.token == token)
                .map(|asked| asked.app)
        });
        // The global limit is of bots; these endpoints are exempt from it.
        return Ok(Admitted {
            route,
            params: params.of(app),
            app: None,
        });
    }
    // Where the token is in the path, the platform takes any client: well-known libraries name themselves only here.
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    if !agent.is_some_and(|agent| agent.starts_with("DiscordBot (")) {
        return Err(answer::BAD_CLIENT.into());
    }
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bot "))
        .ok_or(answer::UNAUTHORIZED)?;
    let app = discord.quietly(|state| {
        let mut apps = state.apps.values();
        apps.find(|app| app.token.0 == token && !app.revoked)
            .map(|app| app.id)
    });
    let app = app.ok_or(answer::UNAUTHORIZED)?;
    let (route, params) = found?;
    Ok(Admitted {
        route,
        params,
        app: Some(app),
    })
}

fn call(
    discord: &Discord,
    path: &str,
    admitted: &Result<Admitted, ApiError>,
    payload: Option<&Payload>,
) -> Call {
    let mut path: String = path.trim_start_matches(BASE).chars().take(200).collect();
    let mut bot = None;
    let mut method = "unknown";
    if let Ok(admitted) = admitted {
        method = admitted.route.name;
        bot = admitted.app.or_else(|| admitted.params.owner());
        let token = admitted.params.get("token");
        if !token.is_empty() {
            path = path.replace(token, "{token}");
        }
    }
    Call {
        number: 0,
        at_ms: discord.quietly(|state| state.now_ms),
        bot,
        method: method.to_owned(),
        path,
        body: payload.map(Payload::record).unwrap_or_default(),
        outcome: Outcome::Pending,
        status: None,
        answer: None,
    }
}

fn finish(
    discord: &Discord,
    entry: Entry<Discord>,
    answer: &Answer,
    quota: Option<&Quota>,
) -> Response {
    let (status, body) = written(answer);
    if matches!(status, 401 | 403 | 429) {
        discord.with(|state| state.limits.count_invalid(state.now_ms));
    }
    let mut response = respond(status, &body);
    if let Some(quota) = quota {
        quota.write(response.headers_mut());
    }
    if let Err(ApiError {
        retry_after_ms: Some(ms),
        ..
    }) = answer
    {
        let whole = (ms.max(&0) + 999) / 1000;
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(whole));
    }
    entry.end(Outcome::Answered, Some((status, body)));
    response
}

fn limited(discord: &Discord, entry: Entry<Discord>, wait: &Wait) -> Response {
    if !wait.shared {
        discord.with(|state| state.limits.count_invalid(state.now_ms));
    }
    let body = wait.body();
    let mut response = respond(429, &body);
    wait.write(response.headers_mut());
    entry.end(Outcome::Answered, Some((429, body)));
    response
}

/// A fault that has an answer.
fn refuse(discord: &Discord, entry: Entry<Discord>, fault: &Fault) -> Response {
    match fault {
        Fault::TooManyRequests {
            retry_after_ms,
            global,
            shared,
        } => {
            let wait = Wait {
                after_ms: i64::try_from(*retry_after_ms).unwrap_or(i64::MAX),
                global: *global,
                shared: *shared,
                quota: None,
            };
            limited(discord, entry, &wait)
        }
        Fault::Banned { retry_after } => {
            entry.end(Outcome::Answered, Some((429, Value::Null)));
            banned(i64::try_from(retry_after.saturating_mul(1000)).unwrap_or(i64::MAX))
        }
        Fault::Refuse {
            status,
            code,
            message,
        } => finish(
            discord,
            entry,
            &Err(ApiError::new(*status, *code, message.clone())),
            None,
        ),
        Fault::ServerError { status } => {
            entry.end(Outcome::Answered, Some((*status, Value::Null)));
            server_error(*status)
        }
        _ => respond(500, &Value::Null),
    }
}

/// 500 comes from the platform itself; 502 to 504 come from what is before it, which answers in HTML.
pub(crate) fn server_error(status: u16) -> Response {
    if !matches!(status, 502..=504) {
        return respond(
            status,
            &json!({"message": format!("{status}: Internal Server Error"), "code": 0}),
        );
    }
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let reason = code.canonical_reason().unwrap_or_default();
    page(code, format!("<html><h1>{status} {reason}</h1></html>"))
}

/// The network before the platform has had enough: HTML and no `Via`.
pub(crate) fn banned(after_ms: i64) -> Response {
    let text = "<html><title>Access denied | discord.com used Cloudflare to restrict access</title></html>";
    let mut response = page(StatusCode::TOO_MANY_REQUESTS, text.to_owned());
    let whole = (after_ms.max(0) + 999) / 1000;
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(whole));
    response
}

fn page(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let html = HeaderValue::from_static("text/html; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

/// Addresses that an application gives itself are tried before they are kept.
async fn try_endpoints(
    discord: &Discord,
    admitted: &Admitted,
    payload: &Payload,
) -> Result<(), ApiError> {
    let (true, Some(app)) = (
        admitted.route.name == "PATCH /applications/@me",
        admitted.app,
    ) else {
        return Ok(());
    };
    for (field, events) in [
        ("interactions_endpoint_url", false),
        ("event_webhooks_url", true),
    ] {
        let url = payload.value.get(field).and_then(Value::as_str);
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            continue;
        };
        let tried = match url::Url::parse(url) {
            Ok(url) => discord.try_endpoint(app, &url, events).await.is_ok(),
            Err(_) => false,
        };
        if !tried {
            let code = "APPLICATION_INTERACTIONS_ENDPOINT_URL_INVALID";
            let message = "The specified interactions endpoint url could not be verified.";
            return Err(ApiError::field(&[field], code, message));
        }
    }
    Ok(())
}

impl Discord {
    /// Addresses in answers begin with what the caller used, unless the port is its own.
    pub(crate) fn note_authority(&self, headers: &HeaderMap) {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        if let Some(host) = host.filter(|host| host.len() <= 255) {
            self.quietly(|state| {
                if !state.has_port {
                    host.clone_into(&mut state.authority);
                }
            });
        }
    }
}
