//! The Bot API over HTTP. <https://core.telegram.org/bots/api#making-requests>

use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use super::answer::{Answer, ApiError, envelope, respond};
use super::engine::Telegram;
use super::faults::Fault;
use super::methods::is_loopback;
use super::params::{Params, Upload};
use crate::client;
use crate::common::ledger::Outcome;
use crate::server::{Cut, cut};

/// Files given by address; beyond this the platform does not fetch them.
const MAX_FETCH: usize = 20 * 1024 * 1024;
/// How long the platform tries.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything below `/bot` and `/file/bot`.
pub(crate) async fn serve(Shared(telegram): Shared<Telegram>, request: Request<Body>) -> Response {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return respond(&Err(ApiError::new(405, "Method Not Allowed")));
    }
    let path = request.uri().path().to_owned();
    if let Some(rest) = path.strip_prefix("/file/bot") {
        return file(&telegram, rest);
    }
    let Some((token, method)) = path
        .strip_prefix("/bot")
        .and_then(|rest| rest.split_once('/'))
    else {
        return respond(&Err(ApiError::not_found()));
    };
    let connection = request.extensions().get::<Cut>().cloned();
    let method = method.trim_end_matches('/').to_owned();
    match authenticate(&telegram, token) {
        Ok(bot) => call(&telegram, bot, &method, request, connection).await,
        Err((claimed, error)) => {
            let answer = Err(error);
            telegram
                .begin(claimed, &method, &Params::default(), false)
                .end(Outcome::Answered, Some(envelope(&answer)));
            respond(&answer)
        }
    }
}

/// The bot a token belongs to. Clients may escape its colon. The error comes with the id the token claims.
fn authenticate(telegram: &Telegram, token: &str) -> Result<i64, (i64, ApiError)> {
    let token = percent_decode_str(token).decode_utf8_lossy();
    let well_formed = |secret: &&str| {
        !secret.is_empty()
            && secret
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let (id, _) = token
        .split_once(':')
        .filter(|(_, secret)| well_formed(secret))
        .and_then(|(id, secret)| Some((id.parse::<i64>().ok().filter(|id| *id > 0)?, secret)))
        .ok_or_else(|| (0, ApiError::not_found()))?;
    telegram.quietly(|state| match state.bots.get(&id) {
        Some(bot) if bot.token.0 == token && !bot.revoked => Ok(id),
        _ => Err((id, ApiError::unauthorized())),
    })
}

async fn call(
    telegram: &Telegram,
    bot: i64,
    method: &str,
    request: Request<Body>,
    connection: Option<Cut>,
) -> Response {
    let name = method.to_ascii_lowercase();
    let mut params = match Params::read(request, telegram.config().upload_limit).await {
        Ok(params) => params,
        Err(error) => {
            let answer = Err(error);
            telegram
                .begin(bot, method, &Params::default(), false)
                .end(Outcome::Answered, Some(envelope(&answer)));
            return respond(&answer);
        }
    };
    let entry = telegram.begin(bot, method, &params, false);
    let mut lose_answer = false;
    match telegram.with(|state| state.faults.rules.take(&name)) {
        None => {}
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::LoseAnswer) => lose_answer = true,
        Some(Fault::DropBefore) => {
            entry.end(Outcome::Dropped, None);
            return cut(connection).await;
        }
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::TooManyRequests { retry_after }) => {
            let answer = Err(ApiError::too_many(retry_after));
            entry.end(Outcome::Answered, Some(envelope(&answer)));
            return respond(&answer);
        }
        Some(Fault::Refuse {
            error_code,
            description,
        }) => {
            let answer = Err(ApiError::new(error_code, description));
            entry.end(Outcome::Answered, Some(envelope(&answer)));
            return respond(&answer);
        }
        Some(Fault::ServerError { status }) => {
            let answer = Err(ApiError::new(status, "Internal Server Error"));
            entry.end(Outcome::Answered, Some(envelope(&answer)));
            return server_error(status, &answer);
        }
    }
    fetch_files(&mut params).await;
    let answer = if name == "getupdates" {
        telegram.get_updates(bot, &params).await
    } else {
        telegram.execute(bot, &name, &params)
    };
    if lose_answer {
        entry.end(Outcome::AnswerLost, Some(envelope(&answer)));
        return cut(connection).await;
    }
    entry.end(Outcome::Answered, Some(envelope(&answer)));
    respond(&answer)
}

/// 500 comes from the Bot API itself; 502 to 504 come from the gateways before it, which answer in HTML.
fn server_error(status: u16, answer: &Answer) -> Response {
    let mut response = respond(answer);
    if matches!(status, 502..=504) {
        let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let reason = code.canonical_reason().unwrap_or_default();
        *response.body_mut() = Body::from(format!("<html><h1>{status} {reason}</h1></html>"));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    }
    response
}

/// `/file/bot<token>/<path>`, with the part before the token taken off.
fn file(telegram: &Telegram, rest: &str) -> Response {
    let found = rest
        .split_once('/')
        .ok_or_else(ApiError::not_found)
        .and_then(|(token, path)| {
            let bot = authenticate(telegram, token).map_err(|(_, error)| error)?;
            let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
            let bytes = telegram.quietly(|state| state.files.fetch(bot, &path, state.now()));
            bytes.ok_or_else(ApiError::not_found)
        });
    match found {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            let kind = HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(error) => respond(&Err(error)),
    }
}

/// Fetches files that are given by address, so that they look uploaded. Only this machine is reachable.
async fn fetch_files(params: &mut Params) {
    for field in [
        "photo",
        "document",
        "audio",
        "video",
        "animation",
        "voice",
        "video_note",
        "sticker",
    ] {
        if let Some(url) = params.text(field).map(String::from)
            && let Some(file) = fetch(&url).await
        {
            params.add_file(field, file);
        }
    }
    let (mut media, single) = match params.nested("media") {
        Ok(Some(Value::Array(media))) => (media, false),
        Ok(Some(object @ Value::Object(_))) => (vec![object], true),
        _ => return,
    };
    for (index, item) in media.iter_mut().enumerate().take(10) {
        let url = item.get("media").and_then(Value::as_str).map(str::to_owned);
        if let Some(url) = url
            && let Some(file) = fetch(&url).await
            && let Some(item) = item.as_object_mut()
        {
            let part = format!("fetched{index}");
            item.insert("media".into(), format!("attach://{part}").into());
            params.add_file(&part, file);
        }
    }
    let media = if single {
        media.pop().unwrap_or_default()
    } else {
        media.into()
    };
    params.replace("media", media);
}

async fn fetch(url: &str) -> Option<Upload> {
    if !url.starts_with("http://") {
        return None;
    }
    let url = Url::parse(url).ok().filter(is_loopback)?;
    let answer = client::request(
        Method::GET,
        &url,
        Vec::new(),
        Bytes::new(),
        MAX_FETCH,
        FETCH_TIMEOUT,
    )
    .await;
    let (200, bytes) = answer.ok()? else {
        return None;
    };
    let name = url
        .path_segments()
        .and_then(|mut segments| segments.next_back())
        .map(str::to_owned);
    Some(Upload {
        name: name.filter(|name| !name.is_empty()),
        mime: None,
        bytes,
    })
}
