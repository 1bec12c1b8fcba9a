//! The Messaging API over HTTP. <https://developers.line.biz/en/reference/messaging-api/#common-specifications>

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State as Shared;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value;

use super::answer::{Answer, ApiError, respond, summary};
use super::engine::Line;
use super::faults::Fault;
use super::ledger::Call;
use super::methods::{self, Context};
use super::route::{Host, Lost, Route, route};
use super::state::State;
use crate::common::ledger::{Entry, Outcome};
use crate::server::{Cut, cut};

/// Everything on `api.line.me` that begins with `/v2/`.
pub(crate) async fn api(Shared(line): Shared<Line>, request: Request<Body>) -> Response {
    serve(&line, Host::Api, request).await
}

/// Everything on `api-data.line.me`.
pub(crate) async fn data(Shared(line): Shared<Line>, request: Request<Body>) -> Response {
    serve(&line, Host::Data, request).await
}

/// A call whose sender and endpoint are known.
struct Accepted<'a> {
    bot: String,
    route: Route<'a>,
    request_id: String,
    retry_key: Option<String>,
    body: Value,
}

async fn serve(line: &Line, host: Host, request: Request<Body>) -> Response {
    line.deliver();
    let (head, body) = request.into_parts();
    let mut call = Call {
        number: 0,
        at_ms: 0,
        bot: String::new(),
        method: String::new(),
        path: head.uri.path().chars().take(200).collect(),
        retry_key: None,
        body: Value::Null,
        request_id: line.quietly(State::uuid),
        outcome: Outcome::Pending,
        status: None,
        answer: None,
    };
    let accepted = accept(line, host, &head, body, &mut call).await;
    let request_id = call.request_id.clone();
    let entry = line.begin(call);
    match accepted {
        Ok(accepted) => {
            let connection = head.extensions.get::<Cut>().cloned();
            answer(line, &accepted, entry, connection).await
        }
        Err(error) => end(entry, &Err(error), &request_id),
    }
}

/// Checks everything about a call but what it asks for, and notes in the ledger's entry how far it came.
async fn accept<'a>(
    line: &Line,
    host: Host,
    head: &'a Parts,
    body: Body,
    call: &mut Call,
) -> Result<Accepted<'a>, ApiError> {
    let bot = authenticate(line, &head.headers)?;
    call.bot.clone_from(&bot);
    let route = route(host, &head.method, head.uri.path()).map_err(|lost| match lost {
        Lost::Path => ApiError::not_found(),
        Lost::Method => ApiError::new(405, "Method not allowed"),
    })?;
    route.name.clone_into(&mut call.method);
    throttle(line, &bot, &route)?;
    call.retry_key = retry_key(&head.headers);
    let body = read(line, &head.method, &head.headers, &route, body).await?;
    call.body = body.clone();
    Ok(Accepted {
        bot,
        route,
        request_id: call.request_id.clone(),
        retry_key: call.retry_key.clone(),
        body,
    })
}

/// Runs an accepted call, or does what a fault says.
async fn answer(
    line: &Line,
    accepted: &Accepted<'_>,
    entry: Entry<Line>,
    connection: Option<Cut>,
) -> Response {
    let request_id = &accepted.request_id;
    let fault = line.with(|state| state.faults.rules.take(accepted.route.name));
    match fault {
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::DropBefore) => {
            entry.end(Outcome::Dropped, None);
            return cut(connection).await;
        }
        Some(Fault::Hang) => return std::future::pending().await,
        _ => {}
    }
    if let Some(answer) = fault.as_ref().and_then(instead) {
        return gateway(end(entry, &answer, request_id), fault.as_ref());
    }
    let answer = execute(line, accepted).await;
    match fault {
        Some(Fault::LoseAnswer) => {
            entry.end(Outcome::AnswerLost, Some(summary(&answer)));
            cut(connection).await
        }
        Some(Fault::FailAfter) => {
            let failure = Err(ApiError::new(500, "Internal Server Error"));
            end(entry, &failure, request_id)
        }
        _ => end(entry, &answer, request_id),
    }
}

/// Answers, and closes the entry in the ledger.
fn end(entry: Entry<Line>, answer: &Answer, request_id: &str) -> Response {
    entry.end(Outcome::Answered, Some(summary(answer)));
    respond(answer, request_id)
}

async fn execute(line: &Line, accepted: &Accepted<'_>) -> Answer {
    if accepted.route.name == "test_webhook" {
        return methods::test_webhook(line, &accepted.bot, &accepted.body).await;
    }
    line.with(|state| {
        let mut context = Context {
            state,
            config: line.config(),
            bot: &accepted.bot,
            ids: accepted.route.ids,
            body: &accepted.body,
            retry_key: accepted.retry_key.as_deref(),
            request_id: &accepted.request_id,
        };
        methods::run(accepted.route.name, &mut context)
    })
}

/// What a fault answers in place of the call.
fn instead(fault: &Fault) -> Option<Answer> {
    let error = match fault {
        Fault::TooManyRequests => ApiError::rate(),
        Fault::MonthlyLimit => ApiError::monthly(),
        Fault::ServerError { status } => ApiError::new(*status, "Internal Server Error"),
        Fault::Refuse { status, message } => ApiError::new(*status, message.clone()),
        _ => return None,
    };
    Some(Err(error))
}

/// 502 to 504 come from a gateway, which answers in HTML.
fn gateway(mut response: Response, fault: Option<&Fault>) -> Response {
    if let Some(Fault::ServerError {
        status: status @ 502..=504,
    }) = fault
    {
        let code = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
        let reason = code.canonical_reason().unwrap_or_default();
        *response.body_mut() = Body::from(format!("<html><h1>{status} {reason}</h1></html>"));
        let kind = header::HeaderValue::from_static("text/html");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// The account a bearer token belongs to.
fn authenticate(line: &Line, headers: &HeaderMap) -> Result<String, ApiError> {
    let header = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| ApiError::unauthorized("missing authorization header"))?;
    let token = header
        .to_str()
        .ok()
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    line.quietly(|state| {
        let mut bots = state.bots.values();
        bots.find(|bot| Some(bot.token.0.as_str()) == token)
            .map(|bot| bot.id.clone())
    })
    .ok_or_else(|| ApiError::unauthorized("invalid token"))
}

/// Rates count per account and endpoint, in whole seconds.
fn throttle(line: &Line, bot: &str, route: &Route<'_>) -> Result<(), ApiError> {
    let limit = line.config().rate.unwrap_or(route.rate);
    line.quietly(|state| {
        let second = state.now_ms.div_euclid(1000);
        let (at, count) = state
            .rates
            .entry((bot.to_owned(), route.name))
            .or_insert((second, 0));
        if *at != second {
            (*at, *count) = (second, 0);
        }
        *count = count.saturating_add(1);
        if *count > limit {
            return Err(ApiError::rate());
        }
        Ok(())
    })
}

fn retry_key(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("x-line-retry-key")?;
    Some(
        String::from_utf8_lossy(key.as_bytes())
            .chars()
            .take(100)
            .collect(),
    )
}

/// The JSON object of a body; null where the endpoint takes none.
async fn read(
    line: &Line,
    method: &Method,
    headers: &HeaderMap,
    route: &Route<'_>,
    body: Body,
) -> Result<Value, ApiError> {
    let bytes = to_bytes(body, line.config().body_limit)
        .await
        .map_err(|_| ApiError::new(413, "Payload Too Large"))?;
    let is_empty_fine = matches!(route.name, "leave" | "test_webhook");
    if method == Method::GET || (is_empty_fine && bytes.is_empty()) {
        return Ok(Value::Null);
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::new(
            415,
            format!("The content type, {essence}, is not supported"),
        ));
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::bad(format!(
            "The request body could not be parsed as JSON (line: {}, column: {})",
            error.line(),
            error.column()
        ))
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(ApiError::bad(
            "The request body could not be parsed as JSON (line: 1, column: 1)",
        ))
    }
}
