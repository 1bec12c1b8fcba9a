//! Answers and the platform's errors. <https://docs.slack.dev/apis/web-api/#responses>

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// What a call gives back.
pub(crate) type Answer = Result<Value, ApiError>;

/// An error as the platform words it. All but a few travel with HTTP 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) status: u16,
    /// Seconds of the `Retry-After` header.
    pub(crate) retry_after: Option<u64>,
    /// Fields beside `error`.
    pub(crate) extra: Map<String, Value>,
}

impl ApiError {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.into(),
            status: 200,
            retry_after: None,
            extra: Map::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// `response_metadata.messages`.
    pub(crate) fn says(self, messages: &[String]) -> Self {
        self.with("response_metadata", json!({"messages": messages}))
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self::new("invalid_arguments").says(&[format!("[ERROR] missing required field: {field}")])
    }

    pub(crate) fn invalid(why: &str) -> Self {
        Self::new("invalid_arguments").says(&[format!("[ERROR] {why}")])
    }

    /// <https://docs.slack.dev/apis/web-api/rate-limits/>
    pub(crate) fn rate(seconds: u64) -> Self {
        Self {
            status: 429,
            retry_after: Some(seconds),
            ..Self::new("ratelimited")
        }
    }

    pub(crate) fn status(status: u16, code: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            ..Self::new(code)
        }
    }
}

/// Adds a warning to a success.
pub(crate) fn warn(answer: &mut Value, warning: &str) {
    let Some(body) = answer.as_object_mut() else {
        return;
    };
    let joined = match body.get("warning").and_then(Value::as_str) {
        Some(earlier) => format!("{earlier},{warning}"),
        None => warning.to_owned(),
    };
    body.insert("warning".into(), joined.into());
    let metadata = body.entry("response_metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        let warnings = metadata.entry("warnings").or_insert_with(|| json!([]));
        if let Some(warnings) = warnings.as_array_mut() {
            warnings.push(warning.into());
        }
    }
}

/// Status and body as they go into the ledger and over the wire.
pub(crate) fn summary(answer: &Answer) -> (u16, Value) {
    match answer {
        Ok(body) => {
            let mut answer = Map::from_iter([("ok".to_owned(), true.into())]);
            if let Value::Object(body) = body {
                answer.extend(body.clone());
            }
            (200, answer.into())
        }
        Err(error) => {
            let mut answer = Map::from_iter([("ok".to_owned(), false.into())]);
            answer.insert("error".into(), error.code.clone().into());
            answer.extend(error.extra.clone());
            (error.status, answer.into())
        }
    }
}

/// The HTTP answer.
pub(crate) fn respond(answer: &Answer, request_id: &str, scopes: &str) -> Response {
    let (status, body) = summary(answer);
    let mut response = json_response(status, &body);
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).ok();
    if let Some(id) = text(request_id) {
        headers.insert("x-slack-req-id", id);
    }
    if let Some(scopes) = text(scopes).filter(|_| !scopes.is_empty()) {
        headers.insert("x-oauth-scopes", scopes);
    }
    if let Err(ApiError {
        retry_after: Some(seconds),
        ..
    }) = answer
    {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    response
}

pub(crate) fn json_response(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A plain text answer.
pub(crate) fn text_response(status: u16, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
