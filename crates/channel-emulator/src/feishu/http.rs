//! The open platform over HTTP. <https://open.feishu.cn/document/server-docs/api-call-guide/calling-process/overview>

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State as Shared;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, respond, summary};
use super::engine::Feishu;
use super::faults::Fault;
use super::ledger::Call;
use super::methods::{self, Context, Upload};
use super::route::{Route, route};
use super::state::State;
use crate::common::ledger::{Entry, Outcome};
use crate::server::{Cut, cut};

/// The largest JSON body, in bytes: 150 KB of text, with room for the rest.
const MAX_JSON: usize = 256 * 1024;
/// The largest upload, in bytes: 30 MB and the form around it.
const MAX_UPLOAD: usize = 31 * 1024 * 1024;

/// A call that has an entry in the ledger.
pub(crate) struct Entered {
    entry: Entry<Feishu>,
    method: &'static str,
    log_id: String,
    connection: Option<Cut>,
}

impl Entered {
    pub(crate) fn new(
        feishu: &Feishu,
        method: &'static str,
        app: &str,
        head: &Parts,
        body: Value,
    ) -> Self {
        let (at_ms, log_id) = feishu.quietly(|state| (state.now_ms, state.hex()));
        let call = Call {
            number: 0,
            at_ms,
            bot: app.to_owned(),
            method: method.to_owned(),
            path: head.uri.path().chars().take(200).collect(),
            body,
            log_id: log_id.clone(),
            outcome: Outcome::Pending,
            status: None,
            answer: None,
        };
        Self {
            entry: Entry::begin(feishu, call),
            method,
            log_id,
            connection: head.extensions.get::<Cut>().cloned(),
        }
    }

    /// The fault that waits for this call.
    pub(crate) fn fault(&self, feishu: &Feishu) -> Option<Fault> {
        feishu.with(|state| state.faults.rules.take(self.method))
    }

    pub(crate) fn end(self, outcome: Outcome, answer: Option<(u16, Value)>) {
        self.entry.end(outcome, answer);
    }

    /// Does the work and answers, or does what a fault says.
    pub(crate) async fn run(self, feishu: &Feishu, work: impl FnOnce() -> Response) -> Response {
        let mut loses = false;
        match self.fault(feishu) {
            Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Some(Fault::DropBefore) => {
                let connection = self.connection.clone();
                self.end(Outcome::Dropped, None);
                return cut(connection).await;
            }
            Some(Fault::Hang) => return std::future::pending().await,
            Some(Fault::LoseAnswer) => loses = true,
            Some(fault) => return self.instead(&fault),
            None => {}
        }
        let response = work();
        let (response, body) = peek(response).await;
        let answer = Some((response.status().as_u16(), body));
        if loses {
            let connection = self.connection.clone();
            self.end(Outcome::AnswerLost, answer);
            return cut(connection).await;
        }
        self.end(Outcome::Answered, answer);
        response
    }

    /// What a fault answers in place of the call.
    fn instead(self, fault: &Fault) -> Response {
        let error = match fault {
            Fault::TooManyRequests { .. } => {
                ApiError::with_status(429, 99_991_400, "request trigger frequency limit")
            }
            Fault::Refuse {
                status,
                code,
                message,
            } => ApiError::with_status(*status, *code, message.clone()),
            Fault::ServerError { status } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                self.end(Outcome::Answered, Some((status.as_u16(), Value::Null)));
                return status.into_response();
            }
            _ => ApiError::rate(),
        };
        let answer: Answer = Err(error);
        let mut response = respond(&answer, &self.log_id);
        if let Fault::TooManyRequests { retry_after } = fault {
            let wait = HeaderValue::from(*retry_after);
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        self.end(Outcome::Answered, Some(summary(&answer)));
        response
    }
}

/// A response, and its body for the ledger; what is not JSON stands as its size.
async fn peek(response: Response) -> (Response, Value) {
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let seen = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({ "bytes": bytes.len() }));
    (Response::from_parts(head, Body::from(bytes)), seen)
}

/// Everything below `/open-apis/`.
pub(crate) async fn api(Shared(feishu): Shared<Feishu>, request: Request<Body>) -> Response {
    feishu.deliver();
    let (head, body) = request.into_parts();
    let found = route(&head.method, head.uri.path());
    let name = found.as_ref().map_or("unknown", |route| route.name);
    let is_upload = found.as_ref().is_some_and(|route| route.is_upload());
    let limit = if is_upload { MAX_UPLOAD } else { MAX_JSON };
    let bytes = to_bytes(body, limit).await;
    let caller = caller(&feishu, &head.headers);
    let mut read = Err(ApiError::with_status(413, 413, "request entity too large"));
    if let Ok(bytes) = bytes {
        read = content(&head, is_upload, bytes).await;
    }
    let seen = match &read {
        Ok((body, _)) => body.clone(),
        Err(_) => Value::Null,
    };
    let app = caller.as_deref().unwrap_or_default();
    let entered = Entered::new(&feishu, name, app, &head, masked(seen));
    let log_id = entered.log_id.clone();
    entered
        .run(&feishu, || {
            let answer = found
                .ok_or_else(ApiError::not_found)
                .and_then(|route| answer(&feishu, &route, caller.as_ref(), &head, read?));
            respond(&answer, &log_id)
        })
        .await
}

fn answer(
    feishu: &Feishu,
    route: &Route<'_>,
    caller: Result<&String, &ApiError>,
    head: &Parts,
    (body, upload): (Value, Option<Upload>),
) -> Answer {
    let query = |name: &str| -> Option<String> {
        let pairs = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        pairs
            .into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    if route.name == "token" {
        return feishu.with(|state| methods::token(state, feishu.config(), &body));
    }
    let app = caller.map_err(Clone::clone)?;
    feishu.with(|state| {
        throttle(state, feishu, app, route)?;
        let mut context = Context {
            state,
            app,
            id: route.id,
            second: route.second,
            body: &body,
            query: &query,
            upload,
        };
        methods::run(route.name, &mut context)
    })
}

/// 50 calls a second and 1,000 a minute for one method of an app.
/// <https://open.feishu.cn/document/server-docs/api-call-guide/frequency-control>
fn throttle(
    state: &mut State,
    feishu: &Feishu,
    app: &str,
    route: &Route<'_>,
) -> Result<(), ApiError> {
    if !feishu.config().rates {
        return Ok(());
    }
    let key = format!("{app}/{}", route.name);
    let second = state.allows(&format!("{key}/s"), 50, 1000);
    if second && state.allows(&format!("{key}/m"), 1000, 60_000) {
        Ok(())
    } else {
        Err(ApiError::rate())
    }
}

/// The app that a token was given to.
fn caller(feishu: &Feishu, headers: &HeaderMap) -> Result<String, ApiError> {
    let header = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(ApiError::no_token)?;
    let token = header
        .to_str()
        .ok()
        .and_then(|header| header.strip_prefix("Bearer "))
        .filter(|token| !token.is_empty())
        .ok_or_else(ApiError::no_token)?;
    feishu.quietly(|state| {
        let now = state.now_ms;
        let owns = |app: &&super::model::App| {
            let mut tokens = app.tokens.iter();
            tokens.any(|(one, ends)| one.0 == token && *ends > now)
        };
        let app = state.apps.values().find(owns);
        app.map(|app| app.id.clone()).ok_or_else(ApiError::token)
    })
}

/// The body: JSON, or the fields and the file of a form.
async fn content(
    head: &Parts,
    is_upload: bool,
    bytes: Bytes,
) -> Result<(Value, Option<Upload>), ApiError> {
    let kind = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if is_upload {
        return methods::form(kind, bytes).await;
    }
    if head.method == Method::GET || head.method == Method::DELETE && bytes.is_empty() {
        return Ok((Value::Null, None));
    }
    let body: Value = serde_json::from_slice(&bytes)
        .map_err(|_| ApiError::new(9499, "Invalid parameter type in json"))?;
    if body.is_object() {
        Ok((body, None))
    } else {
        Err(ApiError::new(9499, "Invalid parameter type in json"))
    }
}

/// The ledger keeps no secret.
fn masked(mut body: Value) -> Value {
    if let Some(secret) = body.get_mut("app_secret") {
        *secret = Value::from("***");
    }
    body
}
