//! Files at addresses, some of them encrypted
//! (<https://developer.work.weixin.qq.com/document/path/100719>).

use bytes::Bytes;
use channel_core::{Attachment, Error, ErrorKind, Result, Secret};
use channel_wechat_crypto::AesKey;

use crate::PLATFORM;
use crate::api::{Api, Call, is_ours};
use crate::error::invalid;
use crate::wire::file;

const DOWNLOAD: Call = Call::repeatable("download");
/// The most bytes that padding adds.
const PADDING: u64 = 32;

/// Fetches a file, and decrypts it with its own key or with the bot's.
pub(crate) async fn download(
    api: &Api,
    configured: &str,
    key: Option<&AesKey>,
    attachment: &Attachment,
    max_bytes: u64,
) -> Result<Bytes> {
    let wrong =
        |kind, message: &'static str| Error::new(kind, message).on(PLATFORM, DOWNLOAD.operation);
    let not_ours = || {
        wrong(
            ErrorKind::Invalid,
            "the attachment is not one of this channel",
        )
    };
    let (own, url) = file::parse(&attachment.id).ok_or_else(not_ours)?;
    let own = own
        .map(|own| AesKey::from_base64(&Secret::new(own)))
        .transpose()
        .map_err(|_| wrong(ErrorKind::Protocol, "the key of the file is not one"))?;
    let key = own.as_ref().or(key);
    let room = if key.is_some() { PADDING } else { 0 };
    // Whoever writes to the bot does not choose the address, but the platform's answer is
    // not believed blindly either.
    let guarded = !is_ours(url, configured);
    let address = Secret::new(url);
    let bytes = api
        .fetch(DOWNLOAD, &address, max_bytes.saturating_add(room), guarded)
        .await?;
    let Some(key) = key else {
        return Ok(bytes);
    };
    let plain = key
        .open_file(&bytes)
        .ok_or_else(|| wrong(ErrorKind::Protocol, "the file cannot be decrypted"))?;
    if plain.len() as u64 > max_bytes {
        return Err(invalid(
            format!("file is {} bytes, limit is {max_bytes}", plain.len()),
            DOWNLOAD.operation,
        ));
    }
    Ok(plain.into())
}
