//! Answers and the platform's errors.
//!
//! <https://developers.line.biz/en/reference/messaging-api/#error-responses>

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
    Json(u16, Value),
    /// The bytes of a content, with their media type.
    Bytes(Bytes, String),
}

impl Reply {
    pub(crate) const fn ok(body: Value) -> Self {
        Self::Json(200, body)
    }
}

/// One entry of `details`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) message: String,
    pub(crate) property: String,
}

/// An error as the platform words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) details: Vec<Detail>,
    /// Of a 409: what the accepted request sent, and its id.
    pub(crate) accepted: Option<(Value, String)>,
}

impl ApiError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            details: Vec::new(),
            accepted: None,
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// "The request body has X error(s)".
    pub(crate) fn body(details: Vec<Detail>) -> Self {
        let message = format!("The request body has {} error(s)", details.len());
        Self {
            details,
            ..Self::bad(message)
        }
    }

    pub(crate) fn property(name: &str) -> Self {
        Self::bad(format!(
            "The property, '{name}', in the request body is invalid (line: -, column: -)"
        ))
    }

    pub(crate) fn unauthorized(reason: &str) -> Self {
        Self::new(
            401,
            format!(
                "Authentication failed due to the following reason: {reason}. Confirm that the access token in \
                 the authorization header is valid."
            ),
        )
    }

    pub(crate) fn no_access() -> Self {
        Self::new(403, "Access to this API is not available for your account")
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "Not found")
    }

    pub(crate) fn reply_token() -> Self {
        Self::bad("Invalid reply token")
    }

    pub(crate) fn rate() -> Self {
        Self::new(
            429,
            "The API rate limit has been exceeded. Try again later.",
        )
    }

    pub(crate) fn monthly() -> Self {
        Self::new(429, "You have reached your monthly limit.")
    }

    pub(crate) fn accepted(sent: Value, request_id: String) -> Self {
        Self {
            accepted: Some((sent, request_id)),
            ..Self::new(409, "The retry key is already accepted")
        }
    }

    fn json(&self) -> Value {
        let mut body = json!({"message": self.message});
        if let Some(body) = body.as_object_mut() {
            if !self.details.is_empty() {
                let details = self
                    .details
                    .iter()
                    .map(|detail| json!({"message": detail.message, "property": detail.property}));
                body.insert("details".into(), details.collect());
            }
            if let Some((sent, _)) = &self.accepted {
                body.insert("sentMessages".into(), sent.clone());
            }
        }
        body
    }
}

/// Status and body as they go into the ledger; bytes stand as their size.
pub(crate) fn summary(answer: &Answer) -> (u16, Value) {
    match answer {
        Ok(Reply::Json(status, body)) => (*status, body.clone()),
        Ok(Reply::Bytes(bytes, kind)) => (200, json!({"bytes": bytes.len(), "type": kind})),
        Err(error) => (error.status, error.json()),
    }
}

/// The HTTP answer.
pub(crate) fn respond(answer: &Answer, request_id: &str) -> Response {
    let (status, kind, body) = match answer {
        Ok(Reply::Bytes(bytes, kind)) => (200, kind.as_str(), Body::from(bytes.clone())),
        _ => {
            let (status, body) = summary(answer);
            (status, "application/json", Body::from(body.to_string()))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).ok();
    if let Some(kind) = text(kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if let Some(id) = text(request_id) {
        headers.insert("x-line-request-id", id);
    }
    if let Err(ApiError {
        accepted: Some((_, id)),
        ..
    }) = answer
        && let Some(id) = text(id)
    {
        headers.insert("x-line-accepted-request-id", id);
    }
    response
}
