//! The Web API over HTTP. <https://docs.slack.dev/apis/web-api/>

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, respond, summary};
use super::engine::Slack;
use super::faults::Fault;
use super::ledger::Call;
use super::methods::{self, Method, oauth};
use super::model::Token;
use super::params::Params;
use super::state::{State, bound};
use crate::common::ledger::{Entry, Outcome};
use crate::common::shared::Platform as _;
use crate::server::{Cut, cut};

/// `/api/<method>`.
pub(crate) async fn api(
    Shared(slack): Shared<Slack>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Response {
    slack.deliver();
    let (head, body) = request.into_parts();
    let connection = head.extensions.get::<Cut>().cloned();
    let query = head.uri.query().unwrap_or_default();
    let limit = slack.config().body_limit;
    let params = match to_bytes(body, limit).await {
        Ok(body) => Params::read(&head.headers, query, &body),
        Err(_) => Err(ApiError::status(413, "request_too_large")),
    };
    let mut call = Call {
        number: 0,
        at_ms: 0,
        app: String::new(),
        team: String::new(),
        method: name.chars().take(100).collect(),
        params: params.as_ref().map(Params::shown).unwrap_or_default(),
        outcome: Outcome::Pending,
        status: None,
        answer: None,
    };
    let ready = params.and_then(|params| prepare(&slack, &name, &head.headers, params));
    let caller = match &ready {
        Ok(Ready::Method { token, .. }) => (token.app.clone(), token.team.clone()),
        _ => Default::default(),
    };
    (call.app, call.team) = caller;
    let entry = begin(&slack, call);
    match ready {
        Err(error) => finish(entry, Ok(Err(error)), "", connection).await,
        Ok(ready) => {
            let scopes = match &ready {
                Ready::Method { token, .. } => join(token),
                Ready::Client { .. } => String::new(),
            };
            let done = perform(&slack, &name, || execute(&slack, &name, &ready)).await;
            finish(entry, done, &scopes, connection).await
        }
    }
}

fn join(token: &Token) -> String {
    let scopes: Vec<&str> = token.scopes.iter().map(String::as_str).collect();
    scopes.join(",")
}

/// A call whose caller is known.
enum Ready {
    Method {
        method: &'static Method,
        token: Token,
        secret: String,
        params: Params,
    },
    /// It shows the credentials of a client, or takes none.
    Client {
        credentials: (String, String),
        params: Params,
    },
}

/// Opens an entry in the ledger.
pub(crate) fn begin(slack: &Slack, call: Call) -> Entry<Slack> {
    let at_ms = slack.quietly(|state| state.now_ms);
    Entry::begin(slack, Call { at_ms, ..call })
}

/// Why there is no answer.
pub(crate) enum Silence {
    Dropped,
    /// It was done all the same.
    Lost(Answer),
}

/// Does a call, or what a fault says instead.
pub(crate) async fn perform(
    slack: &Slack,
    name: &str,
    work: impl FnOnce() -> Answer,
) -> Result<Answer, Silence> {
    let fault = slack.with(|state| state.faults.rules.take(name));
    match fault {
        None => Ok(work()),
        Some(Fault::RateLimited { retry_after }) => Ok(Err(ApiError::rate(retry_after))),
        Some(Fault::ServerError { status }) => Ok(Err(ApiError::status(status, "<html>"))),
        Some(Fault::Refuse { error }) => Ok(Err(ApiError::new(error))),
        Some(Fault::FailAfter) => {
            let _ = work();
            Ok(Err(ApiError::new("fatal_error")))
        }
        Some(Fault::LoseAnswer) => Err(Silence::Lost(work())),
        Some(Fault::DropBefore) => Err(Silence::Dropped),
        Some(Fault::Delay { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(work())
        }
        Some(Fault::Hang) => std::future::pending().await,
    }
}

/// Answers, and closes the entry in the ledger.
pub(crate) async fn finish(
    entry: Entry<Slack>,
    done: Result<Answer, Silence>,
    scopes: &str,
    connection: Option<Cut>,
) -> Response {
    match done {
        Ok(answer) => {
            entry.end(Outcome::Answered, Some(hide(summary(&answer))));
            if let Err(error) = &answer
                && error.code == "<html>"
            {
                return page(error.status);
            }
            respond(&answer, "synthetic-request-id", scopes)
        }
        Err(Silence::Lost(answer)) => {
            entry.end(Outcome::AnswerLost, Some(hide(summary(&answer))));
            cut(connection).await
        }
        Err(Silence::Dropped) => {
            entry.end(Outcome::Dropped, None);
            cut(connection).await
        }
    }
}

/// Tokens do not belong into the ledger.
fn hide((status, mut body): (u16, Value)) -> (u16, Value) {
    for place in ["", "/authed_user"] {
        for name in ["access_token", "refresh_token"] {
            if let Some(token) = body.pointer_mut(&format!("{place}/{name}")) {
                *token = "...".into();
            }
        }
    }
    (status, body)
}

/// What a gateway answers.
fn page(status: u16) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = Response::new(Body::from("<html><body>server error</body></html>"));
    *response.status_mut() = code;
    let kind = header::HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Finds method and caller, and counts the call.
fn prepare(
    slack: &Slack,
    name: &str,
    headers: &HeaderMap,
    mut params: Params,
) -> Result<Ready, ApiError> {
    let is_client = matches!(
        name,
        "oauth.v2.access" | "oauth.v2.exchange" | "apps.uninstall"
    );
    if is_client || (name == "api.test" && bearer(headers).is_none()) {
        if is_client {
            params.without_json();
            params.with_token(bearer(headers));
        }
        let credentials = credentials(headers, &params);
        return Ok(Ready::Client {
            credentials,
            params,
        });
    }
    let method = methods::find(name)
        .ok_or_else(|| ApiError::new("unknown_method").with("req_method", name))?;
    if !method.json {
        params.without_json();
    }
    let in_body = || params.text("token").filter(|_| !params.is_json);
    let secret = bearer(headers).or_else(in_body);
    let secret = secret.ok_or_else(|| ApiError::new("not_authed"))?;
    let token = slack.quietly(|state| authenticate(state, &secret))?;
    if slack.config().rates {
        slack.quietly(|state| count(state, &token, method))?;
    }
    Ok(Ready::Method {
        method,
        token,
        secret,
        params,
    })
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty())
        .then(|| token.trim().to_owned())
}

/// Id and secret of a client: HTTP Basic, or arguments.
fn credentials(headers: &HeaderMap, params: &Params) -> (String, String) {
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|header| header.to_str().ok())
        .and_then(|header| header.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((id, secret)) = basic.as_deref().and_then(|pair| pair.split_once(':')) {
        return (id.to_owned(), secret.to_owned());
    }
    let argument = |name: &str| params.text(name).unwrap_or_default();
    (argument("client_id"), argument("client_secret"))
}

/// Whose token it is, if it can still be used.
pub(crate) fn authenticate(state: &State, secret: &str) -> Result<Token, ApiError> {
    let token = state.tokens.get(secret);
    let token = token.ok_or_else(|| ApiError::new("invalid_auth"))?;
    if !token.team.is_empty() && state.install(&token.app, &token.team).is_none() {
        return Err(ApiError::new("account_inactive"));
    }
    if token.revoked {
        return Err(ApiError::new("token_revoked"));
    }
    if token.expires_ms.is_some_and(|end| state.now_ms >= end) {
        return Err(ApiError::new("token_expired"));
    }
    Ok(token.clone())
}

/// Calls count by method, app and workspace, in whole minutes from the first one.
fn count(state: &mut State, token: &Token, method: &'static Method) -> Result<(), ApiError> {
    let now = state.now_ms;
    let key = (format!("{}/{}", token.app, token.team), method.name);
    if !state.rates.contains_key(&key) {
        bound(&mut state.rates);
    }
    let (since, calls) = state.rates.entry(key).or_insert((now, 0));
    if now - *since >= 60_000 {
        (*since, *calls) = (now, 0);
    }
    if *calls >= method.tier.a_minute() {
        let left = u64::try_from(60_000 - (now - *since)).unwrap_or(0);
        return Err(ApiError::rate(left.div_ceil(1000).max(1)));
    }
    *calls += 1;
    Ok(())
}

fn execute(slack: &Slack, name: &str, ready: &Ready) -> Answer {
    slack.shared().with(|state| match ready {
        Ready::Method {
            method,
            token,
            secret,
            params,
        } => {
            let mut call = methods::Call {
                state,
                config: slack.config(),
                secret,
                token,
                params,
            };
            methods::run(method, &mut call)
        }
        Ready::Client {
            credentials: (id, secret),
            params,
        } => {
            let client = (id.as_str(), secret.as_str());
            let answer = oauth::run(name, state, slack.config(), client, params);
            answer.unwrap_or_else(|| match params.text("error") {
                Some(error) => Err(ApiError::new(error)),
                None => Ok(json!({"args": params.shown()})),
            })
        }
    })
}
