//! Sending files. <https://core.telegram.org/bots/api#sending-files>

use serde_json::{Map, Value};

use super::super::answer::{Answer, ApiError};
use super::super::files::{FileKind, Stored, image_size};
use super::super::markup::utf16_len;
use super::super::params::Upload;
use super::Context;
use super::send::caption_fields;

impl Context<'_> {
    pub(super) fn send_file(&mut self, kind: FileKind) -> Answer {
        let out = self.outgoing()?;
        let field = kind.field();
        let given = self.params.text(field).map(String::from);
        let caption = self.caption()?;
        let number = match (self.params.file(field).cloned(), given) {
            (Some(upload), _) => self.store_upload(kind, upload)?,
            (None, Some(given)) => self.given_file(kind, &given)?,
            (None, None) => {
                return Err(ApiError::bad(format!(
                    "there is no {} in the request",
                    field.replace('_', " ")
                )));
            }
        };
        let mut content = self.state.files.describe(number);
        if !matches!(kind, FileKind::Sticker | FileKind::VideoNote) {
            content.extend(caption_fields(&caption));
        }
        if kind == FileKind::Audio
            && let Some(Value::Object(audio)) = content.get_mut(field)
        {
            for name in ["performer", "title"] {
                if let Some(value) = self.params.text(name) {
                    audio.insert(name.to_owned(), value.as_ref().into());
                }
            }
        }
        self.deliver(&out, content)
    }

    /// A file given as text: `attach://part`, a file id, or an address that could not be fetched.
    fn given_file(&mut self, kind: FileKind, given: &str) -> Result<u64, ApiError> {
        let unknown = || ApiError::bad("wrong file identifier/HTTP URL specified");
        if let Some(part) = given.strip_prefix("attach://") {
            let upload = self.params.file(part).cloned().ok_or_else(unknown)?;
            return self.store_upload(kind, upload);
        }
        if given.starts_with("http://") || given.starts_with("https://") {
            return Err(ApiError::bad("failed to get HTTP URL content"));
        }
        let (number, file) = self
            .state
            .files
            .resolve(given, self.bot)
            .ok_or_else(unknown)?;
        if file.kind != kind {
            let (is, wanted) = (file.kind.title(), kind.title());
            return Err(ApiError::bad(format!(
                "can't use file of type {is} as {wanted}"
            )));
        }
        Ok(number)
    }

    fn store_upload(&mut self, kind: FileKind, upload: Upload) -> Result<u64, ApiError> {
        if upload.bytes.is_empty() {
            return Err(ApiError::bad("file must be non-empty"));
        }
        let limit = if kind == FileKind::Photo {
            self.config.photo_limit
        } else {
            self.config.upload_limit
        };
        if upload.bytes.len() > limit {
            return Err(ApiError::too_large());
        }
        if kind == FileKind::Photo && image_size(&upload.bytes).is_none() {
            return Err(ApiError::bad("IMAGE_PROCESS_FAILED"));
        }
        Ok(self
            .state
            .files
            .add(Stored::new(kind, upload.name, upload.mime, upload.bytes)))
    }

    /// One `InputMedia` object: the content of a message.
    pub(super) fn input_media(
        &mut self,
        media: &Value,
    ) -> Result<(FileKind, Map<String, Value>), ApiError> {
        let text = |name: &str| media.get(name).and_then(Value::as_str);
        let kind = match text("type") {
            Some("photo") => FileKind::Photo,
            Some("document") => FileKind::Document,
            Some("audio") => FileKind::Audio,
            Some("video") => FileKind::Video,
            Some("animation") => FileKind::Animation,
            _ => {
                return Err(ApiError::bad(
                    "can't parse InputMedia: wrong media type specified",
                ));
            }
        };
        let given = text("media")
            .ok_or_else(|| ApiError::bad("can't parse InputMedia: media not found"))?;
        let entities = media.get("caption_entities").and_then(Value::as_array);
        let caption = self.format(
            text("caption").unwrap_or_default(),
            text("parse_mode"),
            entities.map(Vec::as_slice),
        )?;
        if utf16_len(&caption.text) > 1024 {
            return Err(ApiError::bad("message caption is too long"));
        }
        let number = self.given_file(kind, given)?;
        let mut content = self.state.files.describe(number);
        content.extend(caption_fields(&caption));
        Ok((kind, content))
    }

    pub(super) fn send_media_group(&mut self) -> Answer {
        let mut out = self.outgoing()?;
        out.markup = None;
        let media = self
            .params
            .list("media")
            .ok_or_else(|| ApiError::bad("can't parse media JSON object"))?;
        if !(2..=10).contains(&media.len()) {
            return Err(ApiError::bad("group must include 2-10 items"));
        }
        let mut contents = Vec::new();
        for item in &media {
            contents.push(self.input_media(item)?);
        }
        let kinds: Vec<FileKind> = contents.iter().map(|(kind, _)| *kind).collect();
        let alone = |kind: FileKind| kinds.iter().all(|other| *other == kind);
        let pictures = kinds
            .iter()
            .all(|kind| matches!(kind, FileKind::Photo | FileKind::Video));
        if !pictures && !alone(FileKind::Document) && !alone(FileKind::Audio) {
            return Err(ApiError::bad(
                "document and audio can't be mixed with other media types",
            ));
        }
        self.flood(out.place, i64::try_from(contents.len()).unwrap_or(i64::MAX))?;
        let album = (self.state.random() >> 8).to_string();
        let mut sent = Vec::new();
        for (_, mut content) in contents {
            content.insert("media_group_id".into(), album.as_str().into());
            let id = self.put_message(&out, content);
            sent.push(self.state.message_json(out.place, id, self.bot));
        }
        Ok(sent.into())
    }
}

/// The `file_unique_id` of what a message holds, which says whether two contents show the same file.
pub(super) fn same_file(a: &Map<String, Value>, b: &Map<String, Value>, kind: FileKind) -> bool {
    let mark = |content: &Map<String, Value>| {
        let held = content.get(kind.field())?;
        held.as_array()
            .map_or(Some(held), |sizes| sizes.last())?
            .get("file_id")
            .cloned()
    };
    mark(a).is_some() && mark(a) == mark(b)
}
