//! Answers and the platform's errors. <https://developer.work.weixin.qq.com/document/path/90313>

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// What a call gives back.
pub(crate) type Answer = Result<Reply, ApiError>;

/// A success.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Fields beside `errcode` and `errmsg`.
    Json(Value),
    /// A file.
    File {
        bytes: Bytes,
        mime: String,
        name: String,
    },
}

impl Reply {
    pub(crate) const fn ok() -> Self {
        Self::Json(Value::Null)
    }
}

/// An error of the platform: a number, and words which tests should not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: i64,
    pub(crate) words: String,
}

impl ApiError {
    pub(crate) fn new(code: i64, words: impl Into<String>) -> Self {
        Self {
            code,
            words: words.into(),
        }
    }

    /// 40058, which names the field where there is one.
    pub(crate) fn parameter(detail: &str) -> Self {
        Self::new(40058, format!("{detail} invalid Request Parameter"))
    }

    pub(crate) fn too_long(field: &str, limit: usize) -> Self {
        Self::parameter(&format!("{field} exceed max length {limit}."))
    }

    pub(crate) fn kind() -> Self {
        Self::new(40008, "invalid message type")
    }

    pub(crate) fn media() -> Self {
        Self::new(40007, "invalid media_id")
    }

    pub(crate) fn empty() -> Self {
        Self::new(44004, "empty content")
    }

    pub(crate) fn json() -> Self {
        Self::new(47001, "data format error")
    }

    pub(crate) fn rate() -> Self {
        Self::new(45009, "api freq out of limit")
    }

    pub(crate) fn request_id() -> Self {
        Self::new(846_605, "invalid req_id")
    }

    pub(crate) fn stream() -> Self {
        Self::new(846_608, "stream message update expired")
    }
}

/// The JSON of an answer, as the ledger keeps it too.
pub(crate) fn body(answer: &Answer, hint: u64) -> Value {
    match answer {
        Ok(Reply::Json(fields)) => {
            let mut body = Map::from_iter([
                ("errcode".to_owned(), json!(0)),
                ("errmsg".to_owned(), json!("ok")),
            ]);
            if let Value::Object(fields) = fields {
                body.extend(fields.clone());
            }
            body.into()
        }
        Ok(Reply::File { bytes, mime, name }) => {
            json!({"bytes": bytes.len(), "type": mime, "name": name})
        }
        Err(ApiError { code, words }) => json!({
            "errcode": code,
            "errmsg": format!(
                "{words}, hint: [{hint}], from ip: 127.0.0.1, more info at \
                 https://open.work.weixin.qq.com/devtool/query?e={code}"
            ),
        }),
    }
}

/// The HTTP answer: 200, whatever happened.
pub(crate) fn respond(answer: &Answer, body: &Value) -> Response {
    let text = |text: &str| HeaderValue::from_str(text).ok();
    let (kind, name, body) = match answer {
        Ok(Reply::File { bytes, mime, name }) => (mime.as_str(), name, Body::from(bytes.clone())),
        _ => (
            "application/json; charset=UTF-8",
            &String::new(),
            Body::from(body.to_string()),
        ),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Some(kind) = text(kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if !name.is_empty() {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        if let Some(name) = text(&format!("attachment; filename*=UTF-8''{name}")) {
            headers.insert(header::CONTENT_DISPOSITION, name);
        }
    }
    response
}
