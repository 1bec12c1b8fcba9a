//! Files that came with messages: a code is exchanged for an address that lasts a short while
//! (<https://open.dingtalk.com/document/orgapp/download-the-file-content-of-the-robot-receiving-message>).

use bytes::Bytes;
use channel_core::{FileId, Result};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Call, Payload};
use crate::error::invalid;
use crate::read::is_code;
use crate::shared::Shared;

const DOWNLOAD: Call = Call::repeatable("download");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    download_url: String,
}

/// Fetches a file of at most `max_bytes` bytes. The address was written by DingTalk and not by
/// us, so it goes through the guard, and without a token.
pub(crate) async fn fetch(shared: &Shared, id: &FileId, max_bytes: u64) -> Result<Bytes> {
    let operation = DOWNLOAD.operation;
    let max = max_bytes.min(shared.info.limits.download_bytes);
    if !is_code(id.as_str()) {
        return Err(invalid("the file is not one of dingtalk", operation));
    }
    let fields = json!({"robotCode": shared.config.robot_code(), "downloadCode": id.as_str()});
    let path = "/v1.0/robot/messageFiles/download";
    let found: Found = shared
        .call(DOWNLOAD, Method::POST, path, Payload::json(&fields))
        .await?;
    let fetched = shared.client.fetch(&found.download_url, max).await;
    fetched.map_err(|failure| failure.into_error(operation, true))
}
