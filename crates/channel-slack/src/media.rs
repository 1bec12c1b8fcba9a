//! Files that came with messages (<https://docs.slack.dev/reference/objects/file-object/>).

use bytes::Bytes;
use channel_core::{Attachment, Error, ErrorKind, Result};
use http::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::PLATFORM;
use crate::address::{is_id, is_trusted};
use crate::client::{Method, Payload};
use crate::error::invalid;
use crate::shared::Shared;

#[derive(Deserialize)]
struct Info {
    file: InfoFile,
}

#[derive(Deserialize)]
struct InfoFile {
    url_private_download: Option<String>,
    url_private: Option<String>,
    size: Option<u64>,
}

/// Fetches a file of at most `max_bytes` bytes. The token goes to Slack's hosts only.
pub(crate) async fn download(
    shared: &Shared,
    attachment: &Attachment,
    max_bytes: u64,
) -> Result<Bytes> {
    let method = Method::Download;
    let max = max_bytes.min(shared.info.limits.download_bytes);
    check_size(attachment.bytes, max)?;
    let id = attachment.id.as_str();
    let (workspace, place) = if shared.is_many() {
        match id.split_once('/') {
            Some((workspace, place)) if is_id(workspace) => (Some(workspace), place),
            _ => return Err(wrong(ErrorKind::Invalid, "the file names no workspace")),
        }
    } else {
        (None, id)
    };
    let url = if is_id(place) {
        address_of(shared, workspace, place, max).await?
    } else {
        place.to_owned()
    };
    if !is_trusted(&url, "slack.com", &shared.client.base) {
        return Err(wrong(ErrorKind::Unsupported, "the file is not on slack"));
    }
    let token = shared.token(workspace).await?;
    let response = shared
        .client
        .fetch(&url, &token, max)
        .await
        .map_err(|failure| {
            let error = failure.into_error(method);
            match error.code() {
                Some("404") => wrong(ErrorKind::NotFound, "the file is gone").with_code("404"),
                _ => error,
            }
        })?;
    // Without the scope Slack shows its login page, with status 200.
    let is_page = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    let is_html = attachment
        .mime
        .as_deref()
        .is_some_and(|mime| mime.starts_with("text/html"));
    if is_page && !is_html {
        return Err(wrong(
            ErrorKind::Forbidden,
            "slack shows its login page: the token lacks the scope files:read",
        ));
    }
    Ok(response.into_body())
}

/// Asks where a file is, of which an event of a shared channel tells the id only.
async fn address_of(
    shared: &Shared,
    workspace: Option<&str>,
    file: &str,
    max: u64,
) -> Result<String> {
    let method = Method::FileInfo;
    let info: Info = shared
        .call(workspace, method, Payload::form(&[("file", file)]))
        .await
        .map_err(|failure| failure.into_error(method))?;
    check_size(info.file.size, max)?;
    let url = info.file.url_private_download.or(info.file.url_private);
    url.ok_or_else(|| wrong(ErrorKind::NotFound, "the file is not available"))
}

fn check_size(bytes: Option<u64>, max: u64) -> Result<()> {
    match bytes {
        Some(bytes) if bytes > max => Err(invalid(
            format!("file is {bytes} bytes, limit is {max}"),
            Method::Download.operation(),
        )),
        _ => Ok(()),
    }
}

fn wrong(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).on(PLATFORM, Method::Download.operation())
}
