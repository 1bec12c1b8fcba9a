//! Files that go out: uploaded first, then sent by their id
//! (<https://open.dingtalk.com/document/orgapp/upload-media-files>).
//!
//! Voice notes and films are sent as files: DingTalk wants a length, and a picture, that nobody
//! here knows.

use bytes::Bytes;
use channel_core::{AttachmentKind, Error, Multipart, Result, Secret, Upload, UploadSource};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Call, Payload};
use crate::error::{Failure, Reason, invalid};
use crate::read::is_code;
use crate::shared::Shared;
use crate::{limits, media, render};

/// A file that is uploaded twice is a file that nobody sees twice.
const UPLOAD: Call = Call::repeatable("send file");

#[derive(Deserialize)]
struct Uploaded {
    media_id: String,
}

fn is_image(upload: &Upload) -> bool {
    let mime = upload.mime.as_deref().unwrap_or_default();
    matches!(
        upload.kind,
        AttachmentKind::Image | AttachmentKind::Animation
    ) && !mime.contains("svg")
}

fn wrong(words: impl Into<String>) -> Error {
    invalid(words, UPLOAD.operation)
}

/// Refuses what cannot be sent, before anything is.
pub(crate) fn check(upload: &Upload) -> Result<()> {
    if let UploadSource::Existing(id) = &upload.source {
        return match is_code(id.as_str()) {
            true => Ok(()),
            false => Err(wrong("the file is not one of dingtalk")),
        };
    }
    match upload.bytes() {
        Some(0) => Err(wrong("the file is empty")),
        Some(bytes) if bytes > limits::FILE => {
            let words = format!("file is {bytes} bytes, limit is {}", limits::FILE);
            Err(wrong(words))
        }
        _ => Ok(()),
    }
}

/// Uploads a file; `msgKey` and `msgParam` of the message that shows it.
pub(crate) async fn upload(shared: &Shared, upload: &Upload) -> Result<(&'static str, Value)> {
    let is_image = is_image(upload);
    let bytes = match &upload.source {
        UploadSource::Bytes(bytes) => bytes.clone(),
        // DingTalk fetches pictures itself.
        UploadSource::Url(url) if is_image && url.starts_with("https://") => {
            return Ok(("sampleImageMsg", json!({"photoURL": url})));
        }
        UploadSource::Url(url) => {
            let fetched = shared.client.fetch(url, limits::FILE).await;
            fetched.map_err(|failure| failure.into_error(UPLOAD.operation, true))?
        }
        // Uploaded by the app.
        UploadSource::Existing(id) if id.as_str().starts_with('@') => {
            return Ok(shown(is_image, upload, id.as_str()));
        }
        // A file of somebody else's message has to become one of the robot's.
        UploadSource::Existing(id) => media::fetch(shared, id, limits::FILE).await?,
        _ => return Err(wrong("dingtalk takes no files from there")),
    };
    let kind = if is_image { "image" } else { "file" };
    let id = put(shared, kind, named(upload), bytes).await?;
    Ok(shown(is_image, upload, &id))
}

/// The name to show; a file without one is refused.
fn named(upload: &Upload) -> &str {
    if render::is_blank(&upload.name) {
        "file"
    } else {
        &upload.name
    }
}

fn shown(is_image: bool, upload: &Upload, id: &str) -> (&'static str, Value) {
    if is_image {
        return ("sampleImageMsg", json!({"photoURL": id}));
    }
    let name = named(upload);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let extension = extension.unwrap_or("bin").to_ascii_lowercase();
    let param = json!({"mediaId": id, "fileName": name, "fileType": extension});
    ("sampleFile", param)
}

async fn put(shared: &Shared, kind: &str, name: &str, bytes: Bytes) -> Result<String> {
    let form = Multipart::new(&*shared.client.transport.random)
        .text("type", kind)
        .file("media", name, "application/octet-stream", bytes);
    let payload = Payload::form(form);
    let call = |token: Secret| {
        let payload = payload.clone();
        let token = utf8_percent_encode(token.expose(), NON_ALPHANUMERIC).to_string();
        let path = format!("/media/upload?access_token={token}&type={kind}");
        async move {
            let uploaded: Result<Uploaded, Failure> =
                shared.client.old(Method::POST, &path, payload).await;
            uploaded
        }
    };
    let token = shared.old_token().await?;
    let uploaded = match call(token.clone()).await {
        Err(failure) if failure.reason() == Reason::Token => {
            shared.old_token_refused(&token).await;
            call(shared.old_token().await?).await
        }
        first => first,
    };
    let uploaded = uploaded.map_err(|failure| failure.into_error(UPLOAD.operation, true))?;
    Ok(uploaded.media_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_shown_as_what_it_is() {
        use AttachmentKind::{Audio, File, Image, Video, Voice};
        for (kind, name, key, extension) in [
            (Image, "a.png", "sampleImageMsg", None),
            (Voice, "a.ogg", "sampleFile", Some("ogg")),
            (Audio, "a.mp3", "sampleFile", Some("mp3")),
            (Video, "a.mp4", "sampleFile", Some("mp4")),
            (File, "a.PDF", "sampleFile", Some("pdf")),
            (File, "a", "sampleFile", Some("bin")),
        ] {
            let upload = Upload::new(kind, name, UploadSource::Bytes("x".into()));
            let (found, param) = shown(is_image(&upload), &upload, "@m");
            assert_eq!(found, key, "{name}");
            assert_eq!(param["fileType"].as_str(), extension, "{name}");
        }
    }

    #[test]
    fn what_dingtalk_does_not_take_is_said_before() {
        let most = usize::try_from(limits::FILE).unwrap();
        let bytes = |bytes: usize| vec![0_u8; bytes];
        assert!(check(&Upload::file("a", bytes(0))).is_err());
        assert!(check(&Upload::file("a", bytes(most))).is_ok());
        assert!(check(&Upload::file("a", bytes(most + 1))).is_err());
        let existing =
            |id: &str| Upload::new(AttachmentKind::File, "a", UploadSource::Existing(id.into()));
        assert!(check(&existing("@lAD1")).is_ok() && check(&existing("dc+/=")).is_ok());
        assert!(check(&existing("a b")).is_err() && check(&existing("")).is_err());
    }
}
