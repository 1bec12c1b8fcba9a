//! Files that came with messages
//! (<https://docs.discord.com/developers/reference#signed-attachment-cdn-urls>).

use bytes::Bytes;
use channel_core::{Attachment, Result};

use crate::address::origin;
use crate::client::Op;
use crate::error::{invalid, unsupported};
use crate::shared::Shared;

/// Where Discord keeps files.
const HOSTS: [&str; 2] = ["https://cdn.discordapp.com", "https://media.discordapp.net"];

/// Fetches a file of at most `max_bytes` bytes, without credentials.
pub(crate) async fn download(
    shared: &Shared,
    attachment: &Attachment,
    max_bytes: u64,
) -> Result<Bytes> {
    let operation = Op::Download.operation();
    let max = max_bytes.min(shared.info.limits.download_bytes);
    if let Some(bytes) = attachment.bytes.filter(|bytes| *bytes > max) {
        let message = format!("file is {bytes} bytes, limit is {max}");
        return Err(invalid(message, operation));
    }
    let url = attachment.id.as_str();
    let host = origin(url);
    let is_theirs = host.is_some_and(|host| HOSTS.contains(&host));
    let is_own = host.is_some() && host == origin(&shared.client.base);
    if !is_theirs && !is_own {
        return Err(unsupported("the file is not on discord", operation));
    }
    let fetched = shared.client.fetch(url, max).await;
    fetched.map_err(|failure| failure.into_error(Op::Download, true))
}
