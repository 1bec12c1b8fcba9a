//! Files that go out: uploaded first, then sent by their key
//! (<https://open.feishu.cn/document/server-docs/im-v1/image/create>,
//! <https://open.feishu.cn/document/server-docs/im-v1/file/create>).

use bytes::Bytes;
use channel_core::{AttachmentKind, Error, Multipart, Result, Upload, UploadSource};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Call, Data, Payload};
use crate::error::invalid;
use crate::limits;
use crate::media::{self, Place};
use crate::render::Outgoing;
use crate::shared::Shared;

/// A file that is uploaded twice is a file that nobody sees twice.
const UPLOAD: Call = Call::repeatable("send file");

#[derive(Deserialize)]
struct Image {
    image_key: String,
}

#[derive(Deserialize)]
struct File {
    file_key: String,
}

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Image,
    Sticker,
    /// A voice note; Feishu plays Opus.
    Audio,
    /// A film; Feishu plays MP4.
    Media,
    File,
}

impl Way {
    const fn kind(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Sticker => "sticker",
            Self::Audio => "audio",
            Self::Media => "media",
            Self::File => "file",
        }
    }
}

fn extension(name: &str) -> String {
    let dot = name.rsplit_once('.').map(|(_, extension)| extension);
    dot.unwrap_or_default().to_ascii_lowercase()
}

fn way(upload: &Upload) -> Way {
    let extension = extension(&upload.name);
    let mime = upload.mime.as_deref().unwrap_or_default();
    match upload.kind {
        AttachmentKind::Sticker => Way::Sticker,
        AttachmentKind::Image | AttachmentKind::Animation if !mime.contains("svg") => Way::Image,
        AttachmentKind::Voice | AttachmentKind::Audio
            if extension == "opus" || mime.contains("opus") =>
        {
            Way::Audio
        }
        AttachmentKind::Video if extension == "mp4" || mime == "video/mp4" => Way::Media,
        _ => Way::File,
    }
}

/// The kinds of files that Feishu shows in their own way.
fn file_type(way: Way, name: &str) -> &'static str {
    match (way, extension(name).as_str()) {
        (Way::Audio, _) => "opus",
        (Way::Media, _) => "mp4",
        (_, "pdf") => "pdf",
        (_, "doc" | "docx") => "doc",
        (_, "xls" | "xlsx") => "xls",
        (_, "ppt" | "pptx") => "ppt",
        _ => "stream",
    }
}

const fn most(way: Way) -> u64 {
    match way {
        Way::Image => limits::IMAGE,
        _ => limits::FILE,
    }
}

/// Refuses what cannot be sent, before anything is.
pub(crate) fn check(upload: &Upload) -> Result<()> {
    let way = way(upload);
    if let UploadSource::Existing(id) = &upload.source {
        return match media::place(id) {
            Some(_) => Ok(()),
            None => Err(wrong("the file is not one of feishu")),
        };
    }
    if way == Way::Sticker {
        return Err(wrong(
            "a sticker is sent by its id: feishu takes no new ones",
        ));
    }
    match upload.bytes() {
        Some(0) => Err(wrong("the file is empty")),
        Some(bytes) if bytes > most(way) => {
            let words = format!("file is {bytes} bytes, limit is {}", most(way));
            Err(wrong(words))
        }
        _ => Ok(()),
    }
}

fn wrong(words: impl Into<String>) -> Error {
    invalid(words, UPLOAD.operation)
}

/// Uploads a file; the message that shows it.
pub(crate) async fn upload(shared: &Shared, upload: &Upload) -> Result<Outgoing> {
    let way = way(upload);
    let bytes = match &upload.source {
        UploadSource::Bytes(bytes) => bytes.clone(),
        UploadSource::Url(url) => {
            let fetched = shared.client.outside(url, most(way)).await;
            fetched.map_err(|failure| failure.into_error(UPLOAD.operation, true))?
        }
        UploadSource::Existing(id) => match media::place(id) {
            Some(Place::Own(key)) => return Ok(shown(way, key)),
            Some(Place::Message { key, .. }) if way == Way::Sticker => return Ok(shown(way, key)),
            // A file of somebody else's message has to become one of the bot's.
            _ => media::fetch(shared, id, most(way)).await?,
        },
        _ => return Err(wrong("feishu takes no files from there")),
    };
    let key = match way {
        Way::Image => image(shared, &upload.name, bytes).await?,
        _ => file(shared, way, &upload.name, bytes).await?,
    };
    Ok(shown(way, &key))
}

fn shown(way: Way, key: &str) -> Outgoing {
    let content: Value = match way {
        Way::Image => json!({ "image_key": key }),
        _ => json!({ "file_key": key }),
    };
    Outgoing {
        kind: way.kind(),
        content: content.to_string(),
    }
}

/// The name to show; Feishu refuses a file without one.
fn named(name: &str) -> &str {
    if crate::render::is_blank(name) {
        "file"
    } else {
        name
    }
}

async fn image(shared: &Shared, name: &str, bytes: Bytes) -> Result<String> {
    let form = Multipart::new(&*shared.client.transport.random)
        .text("image_type", "message")
        .file("image", named(name), "application/octet-stream", bytes);
    let path = "/open-apis/im/v1/images";
    let Data { data } = shared
        .call::<Data<Image>>(UPLOAD, Method::POST, path, Payload::form(form))
        .await?;
    Ok(data.image_key)
}

async fn file(shared: &Shared, way: Way, name: &str, bytes: Bytes) -> Result<String> {
    let name = named(name);
    let form = Multipart::new(&*shared.client.transport.random)
        .text("file_type", file_type(way, name))
        .text("file_name", name)
        .file("file", name, "application/octet-stream", bytes);
    let path = "/open-apis/im/v1/files";
    let Data { data } = shared
        .call::<Data<File>>(UPLOAD, Method::POST, path, Payload::form(form))
        .await?;
    Ok(data.file_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: AttachmentKind, name: &str) -> (Way, &'static str) {
        let upload = Upload::new(kind, name, UploadSource::Bytes("x".into()));
        let way = way(&upload);
        (way, file_type(way, name))
    }

    #[test]
    fn each_file_is_shown_as_what_it_is() {
        use AttachmentKind::{Audio, File, Image, Video, Voice};
        for (kind, name, wanted) in [
            (Image, "a.png", (Way::Image, "stream")),
            (Voice, "a.opus", (Way::Audio, "opus")),
            (Audio, "a.mp3", (Way::File, "stream")),
            (Video, "a.mp4", (Way::Media, "mp4")),
            (Video, "a.avi", (Way::File, "stream")),
            (File, "a.PDF", (Way::File, "pdf")),
            (File, "a.docx", (Way::File, "doc")),
            (File, "a", (Way::File, "stream")),
        ] {
            assert_eq!(of(kind, name), wanted, "{name}");
        }
    }

    #[test]
    fn what_feishu_does_not_take_is_said_before() {
        let bytes = |bytes: usize| vec![0_u8; bytes];
        assert!(check(&Upload::file("a", bytes(0))).is_err());
        assert!(check(&Upload::file("a", bytes(1))).is_ok());
        assert!(check(&Upload::image("a.png", bytes(10 << 20))).is_ok());
        assert!(check(&Upload::image("a.png", bytes((10 << 20) + 1))).is_err());
        let sticker = |source| Upload::new(AttachmentKind::Sticker, "", source);
        assert!(check(&sticker(UploadSource::Bytes("x".into()))).is_err());
        assert!(check(&sticker(UploadSource::Existing("om_1/f/sticker".into()))).is_ok());
        assert!(check(&sticker(UploadSource::Existing("../x".into()))).is_err());
    }
}
