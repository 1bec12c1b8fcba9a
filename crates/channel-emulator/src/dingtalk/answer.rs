//! Answers and the platform's errors: `{"code","message","requestid"}` with an HTTP status, and on the legacy endpoints
//! `errcode` with HTTP 200. <https://open.dingtalk.com/document/orgapp/error-code>

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
    /// A whole body.
    Json(Value),
    /// The same in XML, which is what the stream gateway answers to those who do not ask for JSON.
    Xml(Value),
    /// A file.
    Bytes(Bytes, String),
}

/// An error as the platform words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// Of the present API.
    Coded {
        status: u16,
        code: String,
        message: String,
    },
    /// Of a legacy endpoint.
    Legacy { errcode: i64, errmsg: String },
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: &str) -> Self {
        Self::Coded {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(crate) fn legacy(errcode: i64, errmsg: impl Into<String>) -> Self {
        Self::Legacy {
            errcode,
            errmsg: errmsg.into(),
        }
    }

    /// A parameter that is wrong in the way that the last part of `code` says.
    pub(crate) fn parameter(code: &str, message: &str) -> Self {
        Self::new(400, &format!("invalidParameter.{code}"), message)
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::parameter("param.invalid", message)
    }

    /// A token that is none, or has ended.
    pub(crate) fn token() -> Self {
        Self::new(
            401,
            "InvalidAuthentication",
            "the access token is not valid or has expired",
        )
    }

    /// Wrong credentials at `connections/open`; seen on the platform as `authFailed` with HTTP 401.
    pub(crate) fn auth_failed() -> Self {
        Self::new(401, "authFailed", "authentication failed")
    }

    /// A permission that the app lacks. The message names it.
    pub(crate) fn permission(name: &str) -> Self {
        Self::Coded {
            status: 403,
            code: "Forbidden.AccessDenied.AccessTokenPermissionDenied".to_owned(),
            message: format!("the app lacks the required permission: [{name}]"),
        }
    }

    /// The limit of calls.
    pub(crate) fn qps() -> Self {
        Self::new(
            403,
            "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi",
            "the call exceeds the QPS limit of the app for this API",
        )
    }

    /// Too many calls on a legacy endpoint.
    pub(crate) fn legacy_limit() -> Self {
        Self::legacy(90_030, "the number of calls is over the limit")
    }

    /// A security setting of a custom robot that a message does not meet.
    pub(crate) fn security(why: &str) -> Self {
        Self::legacy(310_000, why)
    }

    /// A webhook that is none, or has ended.
    pub(crate) fn webhook() -> Self {
        Self::legacy(300_001, "token is not exist")
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            404,
            "InvalidAction.NotFound",
            "the specified action is not found",
        )
    }

    fn status(&self) -> u16 {
        match self {
            Self::Coded { status, .. } => *status,
            Self::Legacy { .. } => 200,
        }
    }

    fn json(&self, request_id: &str) -> Value {
        match self {
            Self::Coded { code, message, .. } => {
                json!({"code": code, "message": message, "requestid": request_id})
            }
            Self::Legacy { errcode, errmsg } => json!({"errcode": errcode, "errmsg": errmsg}),
        }
    }
}

/// Status and body as they go into the ledger; bytes stand as their size.
pub(crate) fn summary(answer: &Answer, request_id: &str) -> (u16, Value) {
    match answer {
        Ok(Reply::Json(body) | Reply::Xml(body)) => (200, body.clone()),
        Ok(Reply::Bytes(bytes, name)) => (200, json!({"bytes": bytes.len(), "name": name})),
        Err(error) => (error.status(), error.json(request_id)),
    }
}

/// The HTTP answer.
pub(crate) fn respond(answer: &Answer, request_id: &str) -> Response {
    let (status, body) = summary(answer, request_id);
    let (kind, body) = match answer {
        Ok(Reply::Bytes(bytes, _)) => ("application/octet-stream", Body::from(bytes.clone())),
        Ok(Reply::Xml(_)) => ("application/xml;charset=utf-8", Body::from(xml(&body))),
        _ => (
            "application/json;charset=utf-8",
            Body::from(body.to_string()),
        ),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The texts of an object as elements.
fn xml(body: &Value) -> String {
    let fields = body.as_object().into_iter().flatten();
    let elements = fields.map(|(name, value)| {
        let value = value.as_str().unwrap_or_default().replace('&', "&amp;");
        format!("<{name}>{}</{name}>", value.replace('<', "&lt;"))
    });
    format!("<Response>{}</Response>", elements.collect::<String>())
}
