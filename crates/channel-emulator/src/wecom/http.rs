//! The API over HTTP. <https://developer.work.weixin.qq.com/document/path/90664>

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, body, respond};
use super::engine::Wecom;
use super::faults::Fault;
use super::ledger::Call;
use super::limits::MEDIA_URL_MS;
use super::methods::{self, Context, File};
use crate::common::ledger::{Entry, Outcome};
use crate::server::{Cut, cut};

/// What a call brought along.
struct Brought {
    query: BTreeMap<String, String>,
    body: Value,
    file: Option<File>,
}

/// Everything below `/cgi-bin/`.
pub(crate) async fn api(Shared(wecom): Shared<Wecom>, request: Request<Body>) -> Response {
    wecom.deliver();
    let (head, incoming) = request.into_parts();
    let path = head.uri.path();
    let method = path.strip_prefix("/cgi-bin/").unwrap_or(path);
    let method: String = method.chars().take(100).collect();
    let query = query(head.uri.query().unwrap_or(""));
    let read = read(&wecom, &head.method, &head.headers, incoming).await;
    let (read, problem) = match read {
        Ok(read) => (read, None),
        Err(problem) => ((Value::Null, None), Some(problem)),
    };
    let brought = Brought {
        query,
        body: read.0,
        file: read.1,
    };
    let (bot, hint) = wecom.quietly(|state| {
        let bot = methods::owner(state, &method, &brought.query);
        (bot, state.random() >> 8)
    });
    let entry = wecom.begin(Call {
        number: 0,
        at_ms: 0,
        bot: bot.unwrap_or_default(),
        method: method.clone(),
        body: brought.body.clone(),
        outcome: Outcome::Pending,
        errcode: None,
        answer: None,
    });
    let connection = head.extensions.get::<Cut>().cloned();
    let fault = wecom.with(|state| state.faults.rules.take(&method));
    match &fault {
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Some(Fault::DropBefore) => {
            entry.end(Outcome::Dropped, None);
            return cut(connection).await;
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::ServerError { status }) => {
            entry.end(
                Outcome::Answered,
                Some((*status, json!({"status": status}))),
            );
            return gateway(*status);
        }
        Some(Fault::Refuse { errcode }) => {
            return end(entry, &Err(ApiError::new(*errcode, "refused")), hint);
        }
        _ => {}
    }
    let answer = match problem {
        Some(problem) => Err(problem),
        None => execute(&wecom, &head.method, &method, &brought),
    };
    if matches!(fault, Some(Fault::LoseAnswer)) {
        entry.end(Outcome::AnswerLost, Some((200, body(&answer, hint))));
        return cut(connection).await;
    }
    end(entry, &answer, hint)
}

fn execute(wecom: &Wecom, verb: &Method, method: &str, brought: &Brought) -> Answer {
    wecom.with(|state| {
        let mut context = Context {
            state,
            config: wecom.config(),
            query: &brought.query,
            body: &brought.body,
            file: brought.file.as_ref(),
        };
        methods::run(verb, method, &mut context)
    })
}

/// Answers, and closes the entry in the ledger.
fn end(entry: Entry<Wecom>, answer: &Answer, hint: u64) -> Response {
    let body = body(answer, hint);
    let response = respond(answer, &body);
    entry.end(Outcome::Answered, Some((200, body)));
    response
}

fn gateway(status: u16) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let page = format!("<html><h1>{status}</h1></html>");
    (code, [(header::CONTENT_TYPE, "text/html")], page).into_response()
}

/// Files that the platform gives addresses of; those of AI bots are encrypted.
/// <https://developer.work.weixin.qq.com/document/path/101463>
pub(crate) async fn media(Shared(wecom): Shared<Wecom>, Path(id): Path<String>) -> Response {
    let entry = wecom.begin(Call {
        number: 0,
        at_ms: 0,
        bot: String::new(),
        method: "media".to_owned(),
        body: json!({"id": id}),
        outcome: Outcome::Pending,
        errcode: None,
        answer: None,
    });
    let found = wecom.quietly(|state| {
        let now = state.now_ms;
        let media = state.media.get(&id)?;
        let is_young = now - media.at_ms < MEDIA_URL_MS;
        let bytes = match state.media_key(&id) {
            Some(key) => Bytes::from(key.seal(&media.bytes)),
            None => media.bytes.clone(),
        };
        is_young.then(|| (bytes, media.mime.clone(), media.name.clone()))
    });
    let Some((bytes, mime, name)) = found else {
        entry.end(Outcome::Answered, Some((404, json!({"status": 404}))));
        return StatusCode::NOT_FOUND.into_response();
    };
    entry.end(
        Outcome::Answered,
        Some((200, json!({"bytes": bytes.len()}))),
    );
    let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    if let Ok(mime) = HeaderValue::from_str(&mime) {
        headers.insert(header::CONTENT_TYPE, mime);
    }
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{name}")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

fn query(query: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// The JSON object of a body, or the file in it.
async fn read(
    wecom: &Wecom,
    method: &Method,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Value, Option<File>), ApiError> {
    let too_big = || ApiError::new(40006, "invalid file size");
    let bytes = to_bytes(body, wecom.config().body_limit)
        .await
        .map_err(|_| too_big())?;
    if method == Method::GET {
        return Ok((Value::Null, None));
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    if let Ok(boundary) = multer::parse_boundary(kind) {
        let file = file(&boundary, bytes).await?;
        return Ok((Value::Null, Some(file)));
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| ApiError::json())?;
    if value.is_object() {
        Ok((value, None))
    } else {
        Err(ApiError::json())
    }
}

/// The part `media` of a form. <https://developer.work.weixin.qq.com/document/path/90253>
async fn file(boundary: &str, bytes: Bytes) -> Result<File, ApiError> {
    let missing = || ApiError::new(44001, "empty media data");
    let body = stream::iter([Ok::<Bytes, std::io::Error>(bytes)]);
    let mut form = multer::Multipart::new(body, boundary);
    while let Some(field) = form.next_field().await.map_err(|_| missing())? {
        if field.name() != Some("media") {
            continue;
        }
        let name = field.file_name().unwrap_or("").to_owned();
        let mime = field
            .content_type()
            .map_or("application/octet-stream", |mime| mime.as_ref())
            .to_owned();
        let bytes = field.bytes().await.map_err(|_| missing())?;
        return Ok(File { name, mime, bytes });
    }
    Err(missing())
}
