//! Parameters of a call: query string, form, JSON and multipart, made one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

use super::answer::ApiError;

/// Anything that is not a file; the platform's own bound on text is far below.
const MAX_FIELD: usize = 1024 * 1024;
/// Parts of one multipart body, files and fields together.
const MAX_PARTS: usize = 128;
/// Room for the fields and boundaries around an upload.
const OVERHEAD: usize = 1024 * 1024;
/// A client that is refused for size may be read this much further, so that it sees the answer and not a reset.
const DRAIN: usize = 128 * 1024 * 1024;
/// A body that takes longer than this is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A file sent along with a call.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) name: Option<String>,
    pub(crate) mime: Option<String>,
    pub(crate) bytes: Bytes,
}

/// What a call came with. In forms every value is a string, in JSON it has its own type; the getters accept both.
#[derive(Debug, Default)]
pub(crate) struct Params {
    values: Map<String, Value>,
    files: BTreeMap<String, Upload>,
}

impl Params {
    /// Reads the query and, for POST, the body, of at most `upload_limit` bytes per file.
    pub(crate) async fn read(
        request: Request<Body>,
        upload_limit: usize,
    ) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let mut params = Self::default();
        if let Some(query) = head.uri.query() {
            params.add_form(query.as_bytes());
        }
        if head.method == Method::GET {
            return Ok(params);
        }
        let encoding = head.headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding.as_bytes() != b"identity") {
            return Err(ApiError::new(415, "Unsupported Media Type"));
        }
        let kind = head
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let bytes = tokio::time::timeout(
            BODY_TIMEOUT,
            collect(body, upload_limit.saturating_add(OVERHEAD)),
        )
        .await
        .map_err(|_| ApiError::new(408, "Request Timeout"))??;
        let essence = kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => params.add_json(&bytes)?,
            "multipart/form-data" => params.add_multipart(kind, bytes, upload_limit).await?,
            "application/x-www-form-urlencoded" => params.add_form(&bytes),
            _ if bytes.is_empty() => {}
            _ => return Err(ApiError::bad("unsupported content type of the request")),
        }
        Ok(params)
    }

    /// Parameters from a JSON object, such as the body that answers a webhook.
    pub(crate) const fn from_object(values: Map<String, Value>) -> Self {
        Self {
            values,
            files: BTreeMap::new(),
        }
    }

    fn add_form(&mut self, form: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(form).take(MAX_PARTS) {
            self.values
                .insert(name.into_owned(), Value::String(value.into_owned()));
        }
    }

    fn add_json(&mut self, body: &[u8]) -> Result<(), ApiError> {
        if body.is_empty() {
            return Ok(());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(values)) => {
                self.values.extend(values);
                Ok(())
            }
            _ => Err(ApiError::bad("can't parse request body JSON object")),
        }
    }

    async fn add_multipart(
        &mut self,
        kind: &str,
        body: Bytes,
        upload_limit: usize,
    ) -> Result<(), ApiError> {
        let malformed = |_| ApiError::bad("can't parse multipart request body");
        let boundary = multer::parse_boundary(kind).map_err(malformed)?;
        let mut parts =
            multer::Multipart::new(stream::iter([Ok::<_, std::io::Error>(body)]), boundary);
        let mut count = 0;
        while let Some(part) = parts.next_field().await.map_err(malformed)? {
            count += 1;
            if count > MAX_PARTS {
                return Err(ApiError::bad("too many parts in the request body"));
            }
            let Some(field) = part.name().map(str::to_owned) else {
                continue;
            };
            let name = part.file_name().map(str::to_owned);
            let mime = part.content_type().map(ToString::to_string);
            let bytes = part.bytes().await.map_err(malformed)?;
            if name.is_some() {
                if bytes.len() > upload_limit {
                    return Err(ApiError::too_large());
                }
                self.files.insert(field, Upload { name, mime, bytes });
            } else if bytes.len() > MAX_FIELD {
                return Err(ApiError::too_large());
            } else {
                let value = String::from_utf8(bytes.into())
                    .map_err(|_| ApiError::bad("strings must be encoded in UTF-8"))?;
                self.values.insert(field, Value::String(value));
            }
        }
        Ok(())
    }

    /// The value as it came; empty strings and nulls count as absent.
    fn raw(&self, name: &str) -> Option<&Value> {
        self.values
            .get(name)
            .filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// A string; numbers and booleans count as their spelling.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.raw(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            other => Some(Cow::Owned(other.to_string())),
        }
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        integer(self.raw(name)?)
    }

    /// `true`, `yes` and `1` in any case, as a string or as a JSON value.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.raw(name).is_some_and(truth)
    }

    /// A nested value: plain in JSON bodies, a JSON string in forms.
    pub(crate) fn nested(&self, name: &str) -> Result<Option<Value>, ApiError> {
        match self.raw(name) {
            None => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| {
                ApiError::bad(format!(
                    "can't parse {} JSON object",
                    name.replace('_', " ")
                ))
            }),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// A nested array, or `None` when it is absent or no array.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<Value>> {
        match self.nested(name) {
            Ok(Some(Value::Array(items))) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn file(&self, name: &str) -> Option<&Upload> {
        self.files.get(name)
    }

    pub(crate) fn add_file(&mut self, name: &str, file: Upload) {
        self.files.insert(name.to_owned(), file);
    }

    pub(crate) fn replace(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// The parameters for the ledger: files by name and size.
    pub(crate) fn record(&self) -> Value {
        let mut record = self.values.clone();
        for (field, file) in &self.files {
            record.insert(
                field.clone(),
                json!({"file_name": file.name, "mime_type": file.mime, "file_size": file.bytes.len()}),
            );
        }
        record.into()
    }
}

/// An integer, also when it is spelled as a string.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A boolean in any of the spellings the platform takes.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_i64() == Some(1),
        Value::String(text) => matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1"),
        _ => false,
    }
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let mut kept = Vec::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::bad("can't read the request body"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        size = size.saturating_add(data.len());
        if size <= limit {
            kept.extend_from_slice(&data);
        } else if size > limit.saturating_add(DRAIN) {
            break;
        } else {
            kept = Vec::new();
        }
    }
    if size > limit {
        Err(ApiError::too_large())
    } else {
        Ok(kept.into())
    }
}
