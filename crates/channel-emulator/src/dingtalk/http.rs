//! The API, the legacy endpoints and the webhooks over HTTP.
//! <https://open.dingtalk.com/document/orgapp/how-to-call-apis>

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State as Shared;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, respond, summary};
use super::engine::Dingtalk;
use super::faults::Fault;
use super::ledger::Call;
use super::methods::{self, Context, Upload};
use super::route::{Credential, Route, route};
use super::state::State;
use crate::common::json::Parts as _;
use crate::common::ledger::{Entry, Outcome};
use crate::server::{Cut, cut};

/// The largest JSON body, in bytes. Every message has a smaller limit of its own.
const MAX_JSON: usize = 1024 * 1024;
/// The largest upload, in bytes: 20 MB and the form around it.
const MAX_UPLOAD: usize = 21 * 1024 * 1024;
/// Calls of the card API that one app may make in a second. Seen in the notes of an official connector.
const CARD_QPS: usize = 40;

/// A call that has an entry in the ledger.
pub(crate) struct Entered {
    entry: Entry<Dingtalk>,
    method: &'static str,
    is_legacy: bool,
    pub(crate) request_id: String,
    connection: Option<Cut>,
}

impl Entered {
    pub(crate) fn new(
        dingtalk: &Dingtalk,
        method: &'static str,
        is_legacy: bool,
        app: &str,
        head: &Parts,
        body: Value,
    ) -> Self {
        let (at_ms, request_id) =
            dingtalk.quietly(|state| (state.now_ms, state.uuid().to_uppercase()));
        let call = Call {
            number: 0,
            at_ms,
            bot: app.to_owned(),
            method: method.to_owned(),
            // Without the query, which holds credentials.
            path: head.uri.path().chars().take(200).collect(),
            body,
            request_id: request_id.clone(),
            outcome: Outcome::Pending,
            status: None,
            answer: None,
        };
        Self {
            entry: Entry::begin(dingtalk, call),
            method,
            is_legacy,
            request_id,
            connection: head.extensions.get::<Cut>().cloned(),
        }
    }

    pub(crate) fn end(self, outcome: Outcome, answer: Option<(u16, Value)>) {
        self.entry.end(outcome, answer);
    }

    /// Does what a fault says, if one waits for this call; gives the call back when it is to be executed.
    pub(crate) async fn meet(self, dingtalk: &Dingtalk) -> Result<(Self, bool), Response> {
        match dingtalk.with(|state| state.faults.rules.take(self.method)) {
            None => Ok((self, false)),
            Some(Fault::LoseAnswer) => Ok((self, true)),
            Some(Fault::Delay { ms }) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok((self, false))
            }
            Some(Fault::DropBefore) => {
                let connection = self.connection.clone();
                self.end(Outcome::Dropped, None);
                Err(cut(connection).await)
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(fault) => Err(self.instead(&fault)),
        }
    }

    /// Does the work and answers, or does what a fault says.
    async fn run(self, dingtalk: &Dingtalk, work: impl FnOnce() -> Answer) -> Response {
        let (entered, loses) = match self.meet(dingtalk).await {
            Ok(met) => met,
            Err(response) => return response,
        };
        let answer = work();
        let seen = Some(masked(summary(&answer, &entered.request_id)));
        if loses {
            let connection = entered.connection.clone();
            entered.end(Outcome::AnswerLost, seen);
            return cut(connection).await;
        }
        let response = respond(&answer, &entered.request_id);
        entered.end(Outcome::Answered, seen);
        response
    }

    /// What a fault answers in place of the call.
    fn instead(self, fault: &Fault) -> Response {
        let error = match fault {
            Fault::TooManyRequests { .. } => {
                ApiError::new(429, "throttling", "too many requests, try again later")
            }
            Fault::Refuse {
                status,
                code,
                message,
            } => ApiError::new(*status, code, message),
            Fault::Errcode { errcode, errmsg } => ApiError::legacy(*errcode, errmsg.clone()),
            Fault::ServerError { status } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                self.end(Outcome::Answered, Some((status.as_u16(), Value::Null)));
                return status.into_response();
            }
            _ if self.is_legacy => ApiError::legacy_limit(),
            _ => ApiError::qps(),
        };
        let answer: Answer = Err(error);
        let mut response = respond(&answer, &self.request_id);
        if let Fault::TooManyRequests { retry_after } = fault
            && *retry_after > 0
        {
            let wait = HeaderValue::from(*retry_after);
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        let seen = summary(&answer, &self.request_id);
        self.end(Outcome::Answered, Some(seen));
        response
    }
}

/// Everything but the websocket.
pub(crate) async fn api(Shared(dingtalk): Shared<Dingtalk>, request: Request<Body>) -> Response {
    dingtalk.deliver();
    let (head, body) = request.into_parts();
    let found = route(&head.method, head.uri.path());
    let name = found.map_or("unknown", |route| route.name);
    let limit = if name == "upload" {
        MAX_UPLOAD
    } else {
        MAX_JSON
    };
    let is_legacy = found.is_some_and(Route::is_legacy);
    let bytes = to_bytes(body, limit).await;
    let mut read = Err(ApiError::new(
        413,
        "RequestEntityTooLarge",
        "the body is too large",
    ));
    if let Ok(bytes) = bytes {
        read = content(found, &head, bytes).await;
    }
    let seen = match &read {
        Ok((body, _)) => without_secrets(body.clone()),
        Err(_) => Value::Null,
    };
    let query = Query::of(&head);
    let caller = found.map_or(Err(ApiError::not_found()), |route| {
        dingtalk.quietly(|state| caller(state, route, &head, &query))
    });
    let bot = match &caller {
        Ok(app) if !app.is_empty() => app.clone(),
        _ => own_name(name, &seen, &query),
    };
    let entered = Entered::new(&dingtalk, name, is_legacy, &bot, &head, seen);
    entered
        .run(&dingtalk, || {
            let route = found.ok_or_else(ApiError::not_found)?;
            let app = caller?;
            let (body, upload) = read?;
            dingtalk.with(|state| {
                admit(state, &dingtalk, &app, route)?;
                let mut context = Context {
                    config: dingtalk.config(),
                    state,
                    app: &app,
                    head: &head,
                    body: &body,
                    query: &query,
                    upload,
                };
                methods::run(route.name, &mut context)
            })
        })
        .await
}

/// Whether an app has the permission, and has not called too often.
fn admit(state: &mut State, dingtalk: &Dingtalk, app: &str, route: Route) -> Result<(), ApiError> {
    let denied = state.apps.get(app).zip(route.permission);
    if let Some((_, name)) = denied.filter(|(app, name)| app.denied.contains(*name)) {
        return Err(ApiError::permission(name));
    }
    if route.is_card()
        && dingtalk.config().rates
        && !state.allows(&format!("{app}/card"), CARD_QPS, 1000)
    {
        return Err(ApiError::qps());
    }
    Ok(())
}

/// The parameters of an address.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    fn of(head: &Parts) -> Self {
        let query = head.uri.query().unwrap_or_default();
        Self(
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// The app that a token was given to; empty where the endpoint itself looks at a credential.
fn caller(state: &State, route: Route, head: &Parts, query: &Query) -> Result<String, ApiError> {
    let token = match route.credential {
        Credential::Own => return Ok(String::new()),
        Credential::Query => query.get("access_token"),
        Credential::Header => head
            .headers
            .get("x-acs-dingtalk-access-token")
            .and_then(|token| token.to_str().ok())
            .unwrap_or_default(),
    };
    let now = state.now_ms;
    let mut ended = false;
    for app in state.apps.values() {
        for (one, ends) in &app.tokens {
            if one.0 == token {
                if *ends > now {
                    return Ok(app.id.clone());
                }
                ended = true;
            }
        }
    }
    Err(match route.credential {
        Credential::Query if ended => ApiError::legacy(42_001, "access_token has expired"),
        Credential::Query => ApiError::legacy(40_014, "invalid access_token"),
        _ => ApiError::token(),
    })
}

/// Who calls an endpoint that has a credential of its own, as far as it says.
fn own_name(name: &str, body: &Value, query: &Query) -> String {
    let known = match name {
        "open" => body.text("clientId"),
        "token" => body.text("appKey"),
        "gettoken" => query.get("appkey"),
        "custom_send" => "custom",
        _ => "",
    };
    known.chars().take(100).collect()
}

/// The body: JSON, or the fields and the file of a form.
async fn content(
    route: Option<Route>,
    head: &Parts,
    bytes: Bytes,
) -> Result<(Value, Option<Upload>), ApiError> {
    let is_get = head.method == http::Method::GET;
    let Some(route) = route.filter(|_| !is_get) else {
        return Ok((Value::Null, None));
    };
    let kind = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if route.name == "upload" {
        return methods::form(kind, bytes).await;
    }
    let is_json = kind
        .trim()
        .to_ascii_lowercase()
        .starts_with("application/json");
    let body = serde_json::from_slice::<Value>(&bytes).ok();
    match body.filter(Value::is_object) {
        Some(body) if is_json => Ok((body, None)),
        _ if route.is_legacy() && !is_json => Err(ApiError::legacy(
            43_004,
            "invalid HTTP header Content-Type, expected application/json",
        )),
        _ if route.is_legacy() => Err(ApiError::legacy(40_035, "missing parameter json")),
        _ => Err(ApiError::invalid("the body has to be a JSON object")),
    }
}

/// The ledger keeps no secret of a caller.
fn without_secrets(mut body: Value) -> Value {
    for name in ["clientSecret", "appSecret"] {
        if let Some(secret) = body.get_mut(name) {
            *secret = Value::from("***");
        }
    }
    body
}

/// Nor one that the platform gives out.
fn masked((status, mut body): (u16, Value)) -> (u16, Value) {
    for name in ["accessToken", "access_token", "ticket", "downloadUrl"] {
        if let Some(secret) = body.get_mut(name) {
            *secret = json!("***");
        }
    }
    (status, body)
}
