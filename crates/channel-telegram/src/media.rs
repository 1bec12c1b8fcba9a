//! Files that came with messages (<https://core.telegram.org/bots/api#getfile>).

use bytes::Bytes;
use channel_core::{Attachment, Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::PLATFORM;
use crate::client::{Method, Payload, json};
use crate::error::invalid;
use crate::shared::Shared;

/// What a path of a file may hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'_')
    .remove(b'-')
    .remove(b'.');

/// Fetches a file of at most `max_bytes` bytes.
pub(crate) async fn download(
    shared: &Shared,
    attachment: &Attachment,
    max_bytes: u64,
) -> Result<Bytes> {
    #[derive(Serialize)]
    struct Fields<'a> {
        file_id: &'a str,
    }
    #[derive(Deserialize)]
    struct Found {
        file_path: Option<String>,
        file_size: Option<u64>,
    }
    let method = Method::GetFile;
    let max = max_bytes.min(shared.info.limits.download_bytes);
    check_size(attachment.bytes, max)?;
    let fields = json(&Fields {
        file_id: attachment.id.as_str(),
    });
    let found: Found = shared
        .client
        .call(method, Payload::json(fields))
        .await
        .map_err(|failure| failure.into_error(method))?;
    check_size(found.file_size, max)?;
    let path = found
        .file_path
        .ok_or_else(|| wrong(ErrorKind::NotFound, "the file is not available"))?;
    let path = safe_path(&path)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    shared.client.file(&path, max).await.map_err(|failure| {
        // The token has just worked: the file's link has expired.
        if failure.status() == Some(404) {
            wrong(ErrorKind::NotFound, "the file is gone").with_code("404")
        } else {
            failure.into_error(method)
        }
    })
}

fn check_size(bytes: Option<u64>, max: u64) -> Result<()> {
    match bytes {
        Some(bytes) if bytes > max => Err(invalid(
            format!("file is {bytes} bytes, limit is {max}"),
            Method::GetFile.operation(),
        )),
        _ => Ok(()),
    }
}

fn wrong(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).on(PLATFORM, Method::GetFile.operation())
}

/// A path as part of an address; it must not lead anywhere else.
fn safe_path(path: &str) -> Result<String> {
    // A server started with --local names a file on its own disk. It is not opened: the
    // name comes from outside, and the disk may be another machine's.
    if path.starts_with('/') || path.contains([':', '\\']) {
        return Err(wrong(
            ErrorKind::Unsupported,
            "the bot api server keeps its files to itself: run it without --local",
        ));
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(wrong(
            ErrorKind::Protocol,
            "the path of the file is not valid",
        ));
    }
    Ok(utf8_percent_encode(path, PLAIN).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_files_of_the_bot() {
        assert_eq!(safe_path("photos/file_1.jpg").unwrap(), "photos/file_1.jpg");
        assert_eq!(safe_path("a b?c#d%2e").unwrap(), "a%20b%3Fc%23d%252e");
        for bad in [
            "/etc/passwd",
            "a/../b",
            "..",
            "",
            "a//b",
            "C:\\x",
            "http://x/y",
        ] {
            assert!(safe_path(bad).is_err(), "{bad}");
        }
    }
}
