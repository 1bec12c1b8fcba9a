//! The body of a call: JSON, or multipart with `payload_json` and files.
//!
//! <https://docs.discord.com/developers/reference#uploading-files>

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Map, Value, json};

use super::answer::{self, ApiError};

/// Bytes of one request.
const MAX_REQUEST: usize = 25 * 1024 * 1024;
/// Parts of one multipart body.
const MAX_PARTS: usize = 32;
/// A body that takes longer than this is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// An uploaded file: the part `files[number]`.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) number: u64,
    pub(crate) name: Option<String>,
    pub(crate) mime: Option<String>,
    pub(crate) bytes: Bytes,
}

/// What a call came with.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    pub(crate) value: Value,
    pub(crate) files: Vec<Upload>,
}

impl Payload {
    pub(crate) async fn read(
        headers: &HeaderMap,
        body: Body,
        upload_limit: usize,
    ) -> Result<Self, ApiError> {
        let body = Limited::new(body, MAX_REQUEST);
        let bytes = tokio::time::timeout(BODY_TIMEOUT, body.collect())
            .await
            .map_err(|_| ApiError::new(408, 0, "408: Request Timeout"))?
            .map_err(|_| answer::TOO_LARGE)?
            .to_bytes();
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => Ok(Self {
                value: json_body(&bytes)?,
                files: Vec::new(),
            }),
            "multipart/form-data" => multipart(kind, bytes, upload_limit).await,
            _ => {
                let message = "Expected \"Content-Type\" header to be one of {'application/json', \
                               'application/x-www-form-urlencoded', 'multipart/form-data'}.";
                Err(ApiError::field(&[], "CONTENT_TYPE_INVALID", message))
            }
        }
    }

    /// The fields of an object; an empty body is an empty object.
    pub(crate) fn fields(&self) -> Result<&Map<String, Value>, ApiError> {
        static EMPTY: std::sync::OnceLock<Map<String, Value>> = std::sync::OnceLock::new();
        match &self.value {
            Value::Object(fields) => Ok(fields),
            Value::Null => Ok(EMPTY.get_or_init(Map::new)),
            _ => Err(ApiError::field(
                &[],
                "DICT_TYPE_CONVERT",
                "Only dictionaries may be used in a DictType",
            )),
        }
    }

    /// The body for the ledger: files by name and size.
    pub(crate) fn record(&self) -> Value {
        if self.files.is_empty() {
            return self.value.clone();
        }
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|file| json!({"name": file.name, "mime": file.mime, "size": file.bytes.len()}))
            .collect();
        json!({"payload_json": self.value, "files": files})
    }
}

fn json_body(bytes: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|_| answer::BAD_JSON.into())
}

async fn multipart(kind: &str, body: Bytes, upload_limit: usize) -> Result<Payload, ApiError> {
    let malformed = |_| ApiError::from(answer::BAD_JSON);
    let boundary = multer::parse_boundary(kind).map_err(malformed)?;
    let mut parts = multer::Multipart::new(stream::iter([Ok::<_, std::io::Error>(body)]), boundary);
    let mut payload = Payload::default();
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        count += 1;
        if count > MAX_PARTS {
            return Err(answer::TOO_LARGE.into());
        }
        let field = part.name().unwrap_or_default().to_owned();
        let name = part.file_name().map(str::to_owned);
        let mime = part.content_type().map(ToString::to_string);
        let bytes = part.bytes().await.map_err(malformed)?;
        if field == "payload_json" {
            payload.value = json_body(&bytes)?;
        } else if let Some(number) = file_number(&field) {
            if bytes.len() > upload_limit {
                return Err(answer::TOO_LARGE.into());
            }
            payload.files.push(Upload {
                number,
                name,
                mime,
                bytes,
            });
        }
    }
    Ok(payload)
}

/// `files[n]`, and `file` of older clients.
fn file_number(field: &str) -> Option<u64> {
    if field == "file" {
        return Some(0);
    }
    field
        .strip_prefix("files[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}
