//! Files that came with messages
//! (<https://developers.line.biz/en/reference/messaging-api/#get-content>).

use std::time::Duration;

use bytes::Bytes;
use channel_core::{Attachment, Error, ErrorKind, Result};

use crate::PLATFORM;
use crate::error::{Failure, invalid};
use crate::files::{self, Place};
use crate::shared::Shared;

const OPERATION: &str = "download";
/// The pauses while LINE prepares a file; together what a caller is willing to wait.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 8, 8];

/// Fetches a file of at most `max_bytes` bytes.
pub(crate) async fn download(
    shared: &Shared,
    attachment: &Attachment,
    max_bytes: u64,
) -> Result<Bytes> {
    let max = max_bytes.min(shared.info.limits.download_bytes);
    if let Some(bytes) = attachment.bytes.filter(|bytes| *bytes > max) {
        let message = format!("file is {bytes} bytes, limit is {max}");
        return Err(invalid(message, OPERATION));
    }
    match files::place(&attachment.id) {
        Some(Place::Content(message)) => content(shared, message, max).await,
        Some(Place::Outside(url)) => shared.client.outside(url, max).await.map_err(failed),
        Some(Place::Sticker { .. }) => Err(wrong(
            ErrorKind::Unsupported,
            "line does not hand out the pictures of stickers",
        )),
        None => Err(invalid("that is no file of line", OPERATION)),
    }
}

async fn content(shared: &Shared, message: &str, max: u64) -> Result<Bytes> {
    for seconds in PAUSES {
        let fetched = shared.client.content(message, max).await;
        if let Some(bytes) = fetched.map_err(failed)? {
            return Ok(bytes);
        }
        // Pictures have no progress to ask for, so a failing question decides nothing.
        let progress = shared.client.transcoding(message).await;
        if progress.is_ok_and(|progress| progress == "failed") {
            let words = "line could not prepare the file";
            return Err(wrong(ErrorKind::NotFound, words));
        }
        let pause = Duration::from_secs(seconds);
        shared.transport().clock.sleep(pause).await;
    }
    let fetched = shared.client.content(message, max).await;
    fetched.map_err(failed)?.ok_or_else(|| {
        wrong(ErrorKind::Unavailable, "line still prepares the file")
            .with_retry_after(Duration::from_secs(30))
    })
}

fn failed(failure: Failure) -> Error {
    // The same content may be asked for again.
    let gone = matches!(failure.status(), Some(404 | 410));
    let error = failure.into_error(OPERATION, true);
    if gone {
        wrong(ErrorKind::NotFound, "the file is gone")
    } else {
        error
    }
}

fn wrong(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).on(PLATFORM, OPERATION)
}
