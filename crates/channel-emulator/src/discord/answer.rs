//! What calls are answered with, and the platform's errors.
//!
//! <https://docs.discord.com/developers/topics/opcodes-and-status-codes>

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// What an endpoint gives back.
pub(crate) type Answer = Result<Reply, ApiError>;

/// A successful answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// 200 with a body.
    Json(Value),
    /// 201 with a body.
    Created(Value),
    /// 204.
    Empty,
}

/// An error as the platform words it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: u32,
    pub(crate) message: String,
    pub(crate) errors: Option<Value>,
    /// Milliseconds until it may work.
    pub(crate) retry_after_ms: Option<i64>,
}

/// An error of the published table: HTTP status, code, words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known(u16, u32, &'static str);

pub(crate) const UNAUTHORIZED: Known = Known(401, 0, "401: Unauthorized");
pub(crate) const NOT_FOUND: Known = Known(404, 0, "404: Not Found");
pub(crate) const NOT_ALLOWED: Known = Known(405, 0, "405: Method Not Allowed");
pub(crate) const UNKNOWN_APPLICATION: Known = Known(404, 10002, "Unknown Application");
pub(crate) const UNKNOWN_CHANNEL: Known = Known(404, 10003, "Unknown Channel");
pub(crate) const UNKNOWN_GUILD: Known = Known(404, 10004, "Unknown Guild");
pub(crate) const UNKNOWN_MEMBER: Known = Known(404, 10007, "Unknown Member");
pub(crate) const UNKNOWN_MESSAGE: Known = Known(404, 10008, "Unknown Message");
pub(crate) const UNKNOWN_USER: Known = Known(404, 10013, "Unknown User");
pub(crate) const UNKNOWN_EMOJI: Known = Known(400, 10014, "Unknown Emoji");
pub(crate) const UNKNOWN_WEBHOOK: Known = Known(404, 10015, "Unknown Webhook");
pub(crate) const UNKNOWN_INTERACTION: Known = Known(404, 10062, "Unknown interaction");
pub(crate) const UNKNOWN_COMMAND: Known = Known(404, 10063, "Unknown application command");
pub(crate) const SLOW_MODE: Known = Known(
    429,
    20016,
    "This action cannot be performed due to slowmode rate limit.",
);
pub(crate) const MAX_REACTIONS: Known =
    Known(400, 30010, "Maximum number of reactions reached (20).");
pub(crate) const MAX_COMMANDS: Known = Known(
    400,
    30032,
    "Maximum number of application commands reached (100).",
);
pub(crate) const TOO_LARGE: Known = Known(413, 40005, "Request entity too large");
pub(crate) const ALREADY_ACKNOWLEDGED: Known =
    Known(400, 40060, "Interaction has already been acknowledged.");
pub(crate) const BAD_CLIENT: Known = Known(403, 40333, "internal network error");
pub(crate) const MISSING_ACCESS: Known = Known(403, 50001, "Missing Access");
pub(crate) const NOT_IN_DM: Known = Known(403, 50003, "Cannot execute action on a DM channel");
pub(crate) const NOT_THE_AUTHOR: Known =
    Known(403, 50005, "Cannot edit a message authored by another user");
pub(crate) const EMPTY_MESSAGE: Known = Known(400, 50006, "Cannot send an empty message");
pub(crate) const CANNOT_DM: Known = Known(403, 50007, "Cannot send messages to this user");
pub(crate) const NO_MUTUAL_GUILD: Known = Known(
    403,
    50278,
    "Cannot send messages to this user due to having no mutual guilds",
);
pub(crate) const NOT_TEXT: Known = Known(400, 50008, "Cannot send messages in a non-text channel");
pub(crate) const MISSING_PERMISSIONS: Known = Known(403, 50013, "Missing Permissions");
pub(crate) const SYSTEM_MESSAGE: Known =
    Known(403, 50021, "Cannot execute action on a system message");
pub(crate) const WRONG_CHANNEL_TYPE: Known =
    Known(400, 50024, "Cannot execute action on this channel type");
pub(crate) const WEBHOOK_TOKEN: Known = Known(401, 50027, "Invalid Webhook Token");
pub(crate) const FORM: Known = Known(400, 50035, "Invalid Form Body");
pub(crate) const ARCHIVED: Known = Known(400, 50083, "Thread is archived");
pub(crate) const BAD_JSON: Known = Known(400, 50109, "The request body contains invalid JSON.");
pub(crate) const REPLY_WITHOUT_HISTORY: Known = Known(
    400,
    160_002,
    "Cannot reply without permission to read message history",
);
pub(crate) const THREAD_EXISTS: Known = Known(
    400,
    160_004,
    "A thread has already been created for this message",
);
pub(crate) const THREAD_LOCKED: Known = Known(400, 160_005, "Thread is locked");

impl From<Known> for ApiError {
    fn from(known: Known) -> Self {
        Self::new(known.0, known.1, known.2)
    }
}

impl ApiError {
    pub(crate) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            errors: None,
            retry_after_ms: None,
        }
    }

    /// The same, with the time until it may work.
    pub(crate) const fn after(mut self, ms: i64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// One wrong field; `path` is its place, such as `["embeds", "0", "title"]`.
    pub(crate) fn field(path: &[&str], code: &str, message: impl Into<String>) -> Self {
        let mut form = Form::default();
        form.fail(path, code, message);
        Self {
            errors: Some(Value::Object(form.errors)),
            ..FORM.into()
        }
    }

    fn body(&self) -> Value {
        let mut body = json!({"message": self.message, "code": self.code});
        if let (Some(errors), Some(body)) = (&self.errors, body.as_object_mut()) {
            body.insert("errors".into(), errors.clone());
        }
        if let (Some(ms), Some(body)) = (self.retry_after_ms, body.as_object_mut()) {
            body.insert("retry_after".into(), seconds(ms).into());
        }
        body
    }
}

/// Everything that is wrong with a body.
///
/// <https://docs.discord.com/developers/reference#error-messages>
#[derive(Debug, Default)]
pub(crate) struct Form {
    errors: Map<String, Value>,
}

impl Form {
    pub(crate) fn fail(&mut self, path: &[&str], code: &str, message: impl Into<String>) {
        let mut at = &mut self.errors;
        for step in path {
            let next = at.entry((*step).to_owned()).or_insert_with(|| json!({}));
            let Some(next) = next.as_object_mut() else {
                return;
            };
            at = next;
        }
        let errors = at.entry("_errors").or_insert_with(|| json!([]));
        if let Some(errors) = errors.as_array_mut() {
            errors.push(json!({"code": code, "message": message.into()}));
        }
    }

    pub(crate) fn required(&mut self, path: &[&str]) {
        self.fail(path, "BASE_TYPE_REQUIRED", "This field is required");
    }

    pub(crate) fn choices(&mut self, path: &[&str], of: &str) {
        let message = format!("Value must be one of {{{of}}}.");
        self.fail(path, "BASE_TYPE_CHOICES", message);
    }

    /// Checks a length; lengths are in code points.
    pub(crate) fn length(&mut self, path: &[&str], length: usize, min: usize, max: usize) {
        if (min..=max).contains(&length) {
            return;
        }
        if min == 0 {
            let message = format!("Must be {max} or fewer in length.");
            self.fail(path, "BASE_TYPE_MAX_LENGTH", message);
        } else {
            let message = format!("Must be between {min} and {max} in length.");
            self.fail(path, "BASE_TYPE_BAD_LENGTH", message);
        }
    }

    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(ApiError {
            errors: Some(Value::Object(self.errors)),
            ..FORM.into()
        })
    }
}

/// Milliseconds as the fractional seconds of a body.
pub(crate) fn seconds(ms: i64) -> f64 {
    f64::from(i32::try_from(ms.max(0)).unwrap_or(i32::MAX)) / 1000.0
}

/// Status and body as they go into the ledger and over the wire.
pub(crate) fn written(answer: &Answer) -> (u16, Value) {
    match answer {
        Ok(Reply::Json(body)) => (200, body.clone()),
        Ok(Reply::Created(body)) => (201, body.clone()),
        Ok(Reply::Empty) => (204, Value::Null),
        Err(error) => (error.status, error.body()),
    }
}

/// The HTTP answer. Clients read a media type with anything behind it as text, so there is nothing behind it; a 429
/// that did not come through the platform's proxy would lack the `Via`.
pub(crate) fn respond(status: u16, body: &Value) -> Response {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let has_body = !text.is_empty();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if has_body {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    headers.insert(header::VIA, HeaderValue::from_static("1.1 google"));
    response
}
