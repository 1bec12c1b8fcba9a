//! Answers and the platform's errors. <https://open.feishu.cn/document/server-docs/getting-started/server-error-codes>

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// What a call gives back.
pub(crate) type Answer = Result<Reply, ApiError>;

/// A success.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// `data` of an answer with code 0.
    Data(Value),
    /// A whole body, where the platform does not use `data`.
    Whole(Value),
    /// A file, with its name.
    Bytes(Bytes, String),
}

/// An error as the platform words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The platform's code.
    pub(crate) code: i64,
    /// Its words.
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn with_status(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self {
            status,
            ..Self::new(code, message)
        }
    }

    pub(crate) fn invalid(why: &str) -> Self {
        Self::new(
            230_001,
            format!("Your request contains an invalid request parameter, ext={why}"),
        )
    }

    pub(crate) fn field(name: &str) -> Self {
        Self::new(99_992_402, format!("field validation failed: {name}"))
    }

    pub(crate) fn token() -> Self {
        Self::new(
            99_991_663,
            "Invalid access token for authorization. Please make a test attempt with the correct token.",
        )
    }

    pub(crate) fn no_token() -> Self {
        Self::new(
            99_991_661,
            "Missing access token for authorization. Please make a test attempt with the correct token.",
        )
    }

    pub(crate) fn scope() -> Self {
        Self::new(
            99_991_672,
            "Access denied. One of the following scopes is required",
        )
    }

    /// The limit of an app over one method, with HTTP 400 and not 429.
    pub(crate) fn rate() -> Self {
        Self::new(99_991_400, "request trigger frequency limit")
    }

    /// The limit of one chat or message.
    pub(crate) fn chat_rate() -> Self {
        Self::new(230_020, "This operation triggers the frequency limit.")
    }

    pub(crate) fn not_in_chat() -> Self {
        Self::new(230_002, "Bot/User can NOT be out of the chat.")
    }

    pub(crate) fn recalled() -> Self {
        Self::new(230_011, "The message was recalled.")
    }

    pub(crate) fn gone() -> Self {
        Self::new(231_003, "The message is not found.")
    }

    pub(crate) fn not_sender() -> Self {
        Self::new(230_012, "Bot is NOT the sender of the message.")
    }

    pub(crate) fn card(sub: i64, why: &str) -> Self {
        Self::new(
            230_099,
            format!("Failed to create card content, ext=ErrCode: {sub}; ErrMsg: {why}; "),
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::with_status(404, 404, "404 page not found")
    }

    fn json(&self) -> Value {
        json!({"code": self.code, "msg": self.message})
    }
}

/// Status and body as they go into the ledger; bytes stand as their size.
pub(crate) fn summary(answer: &Answer) -> (u16, Value) {
    match answer {
        Ok(Reply::Data(data)) => (200, json!({"code": 0, "msg": "success", "data": data})),
        Ok(Reply::Whole(body)) => (200, body.clone()),
        Ok(Reply::Bytes(bytes, name)) => (200, json!({"bytes": bytes.len(), "name": name})),
        Err(error) => (error.status, error.json()),
    }
}

/// The HTTP answer.
pub(crate) fn respond(answer: &Answer, log_id: &str) -> Response {
    let (status, body) = summary(answer);
    let mut response = match answer {
        Ok(Reply::Bytes(bytes, name)) => {
            let mut response = Response::new(Body::from(bytes.clone()));
            let disposition = format!("attachment; filename=\"{}\"", plain(name));
            let headers = response.headers_mut();
            let kind = HeaderValue::from_static("application/octet-stream");
            headers.insert(header::CONTENT_TYPE, kind);
            if let Ok(value) = HeaderValue::from_str(&disposition) {
                headers.insert(header::CONTENT_DISPOSITION, value);
            }
            response
        }
        _ => {
            let mut response = Response::new(Body::from(body.to_string()));
            let kind = HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
    };
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(id) = HeaderValue::from_str(log_id) {
        response.headers_mut().insert("x-tt-logid", id);
    }
    response
}

/// A name as it may stand in a header.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
        .take(100)
        .collect()
}
