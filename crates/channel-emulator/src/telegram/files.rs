//! Stored files, their ids and their links.
//!
//! <https://core.telegram.org/bots/api#file>

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::model::put;

/// All stored bytes together; the oldest files go first.
const MAX_STORED: usize = 512 * 1024 * 1024;
const MAX_FILES: usize = 20_000;
/// "It is guaranteed that the link will be valid for at least 1 hour."
const LINK_LIFE: i64 = 3600;
/// Marks a file id inside stored messages; each bot sees its own id in its place.
const MARK: &str = "\u{1}file:";

/// The kinds of file the platform tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileKind {
    /// An image, shown as such and made smaller by the platform.
    Photo,
    /// Any file.
    Document,
    /// Music.
    Audio,
    /// A film.
    Video,
    /// A GIF, or a film without sound.
    Animation,
    /// A spoken note.
    Voice,
    /// A round film.
    VideoNote,
    /// A sticker.
    Sticker,
}

impl FileKind {
    /// The field of a message that holds it, and of the call that sends it.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Document => "document",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Animation => "animation",
            Self::Voice => "voice",
            Self::VideoNote => "video_note",
            Self::Sticker => "sticker",
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Photo => "AgAC",
            Self::Document => "BQAC",
            Self::Audio => "CQAC",
            Self::Video => "BAAC",
            Self::Animation => "CgAC",
            Self::Voice => "AwAC",
            Self::VideoNote => "DQAC",
            Self::Sticker => "CAAC",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::Photo => "photos",
            Self::Document => "documents",
            Self::Audio => "music",
            Self::Video => "videos",
            Self::Animation => "animations",
            Self::Voice => "voice",
            Self::VideoNote => "video_notes",
            Self::Sticker => "stickers",
        }
    }

    /// The name used in error texts.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Photo => "Photo",
            Self::Document => "Document",
            Self::Audio => "Audio",
            Self::Video => "Video",
            Self::Animation => "Animation",
            Self::Voice => "VoiceNote",
            Self::VideoNote => "VideoNote",
            Self::Sticker => "Sticker",
        }
    }
}

/// A stored file.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) kind: FileKind,
    pub(crate) name: Option<String>,
    pub(crate) mime: Option<String>,
    pub(crate) bytes: Bytes,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Stored {
    /// A file that was sent; `name` and `mime` as the sender gave them.
    pub(crate) fn new(
        kind: FileKind,
        name: Option<String>,
        mime: Option<String>,
        bytes: Bytes,
    ) -> Self {
        let (width, height) = image_size(&bytes).unwrap_or((640, 480));
        Self {
            kind,
            name,
            mime,
            bytes,
            width,
            height,
        }
    }
}

/// A one-pixel GIF, the small size of every photo: whoever takes the first size instead of the last notices.
const THUMBNAIL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Every file of the emulator.
#[derive(Debug, Default)]
pub(crate) struct Files {
    stored: BTreeMap<u64, Stored>,
    size: usize,
    last: u64,
    ids: HashMap<String, (u64, i64)>,
    links: HashMap<(i64, String), (u64, i64)>,
}

impl Files {
    pub(crate) fn add(&mut self, file: Stored) -> u64 {
        self.size = self.size.saturating_add(file.bytes.len());
        self.last += 1;
        self.stored.insert(self.last, file);
        while (self.size > MAX_STORED || self.stored.len() > MAX_FILES)
            && let Some((number, gone)) = self.stored.pop_first()
        {
            self.size = self.size.saturating_sub(gone.bytes.len());
            self.ids.retain(|_, (known, _)| *known != number);
        }
        self.last
    }

    /// The placeholder that stands for a file inside a stored message.
    pub(crate) fn mark(number: u64) -> String {
        format!("{MARK}{number}")
    }

    /// The same for all bots, and not usable to fetch the file.
    pub(crate) fn unique_id(number: u64) -> String {
        format!(
            "AQAD{:012x}",
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
        )
    }

    /// The fields of a message that holds the file.
    pub(crate) fn describe(&mut self, number: u64) -> Map<String, Value> {
        let Some(file) = self.stored.get(&number).cloned() else {
            return Map::new();
        };
        let mut object = Map::from_iter([
            ("file_id".to_owned(), Value::from(Self::mark(number))),
            ("file_unique_id".to_owned(), Self::unique_id(number).into()),
            ("file_size".to_owned(), file.bytes.len().into()),
        ]);
        if matches!(
            file.kind,
            FileKind::Photo | FileKind::Video | FileKind::Animation | FileKind::Sticker
        ) {
            object.insert("width".into(), file.width.into());
            object.insert("height".into(), file.height.into());
        }
        if matches!(
            file.kind,
            FileKind::Audio
                | FileKind::Video
                | FileKind::Animation
                | FileKind::Voice
                | FileKind::VideoNote
        ) {
            object.insert("duration".into(), 1.into());
        }
        match file.kind {
            FileKind::VideoNote => {
                object.insert("length".into(), 240.into());
            }
            FileKind::Sticker => {
                object.insert("type".into(), "regular".into());
                object.insert("is_animated".into(), false.into());
                object.insert("is_video".into(), false.into());
            }
            FileKind::Photo => {
                let bytes = Bytes::from_static(THUMBNAIL);
                let small = self.add(Stored::new(FileKind::Photo, None, None, bytes));
                let small = json!({
                    "file_id": Self::mark(small), "file_unique_id": Self::unique_id(small),
                    "file_size": THUMBNAIL.len(), "width": 90, "height": 67,
                });
                return Map::from_iter([("photo".to_owned(), json!([small, object]))]);
            }
            _ => {}
        }
        if !matches!(file.kind, FileKind::Sticker | FileKind::VideoNote) {
            put(&mut object, "mime_type", file.mime);
            if file.kind != FileKind::Voice {
                put(&mut object, "file_name", file.name);
            }
        }
        let mut fields =
            Map::from_iter([(file.kind.field().to_owned(), Value::from(object.clone()))]);
        if file.kind == FileKind::Animation {
            fields.insert("document".into(), object.into());
        }
        fields
    }

    /// The id under which `bot` knows a file; other bots know it under other ids.
    fn id_for(&mut self, number: u64, bot: i64) -> String {
        let prefix = self
            .stored
            .get(&number)
            .map_or("BQAC", |file| file.kind.prefix());
        let salt = number.wrapping_mul(0xd6e8_feb8_6659_fd93)
            ^ bot.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let id = format!("{prefix}AgADBAADY6cxG{salt:016x}-{number:x}_{bot:x}QI");
        self.ids.insert(id.clone(), (number, bot));
        id
    }

    /// Replaces every placeholder in `fields` by the ids of `bot`.
    pub(crate) fn localize(&mut self, fields: &mut Map<String, Value>, bot: i64) {
        for value in fields.values_mut() {
            self.localize_value(value, bot);
        }
    }

    fn localize_value(&mut self, value: &mut Value, bot: i64) {
        match value {
            Value::String(text) => {
                if let Some(number) = text
                    .strip_prefix(MARK)
                    .and_then(|number| number.parse().ok())
                {
                    *text = self.id_for(number, bot);
                }
            }
            Value::Array(items) => items
                .iter_mut()
                .for_each(|item| self.localize_value(item, bot)),
            Value::Object(fields) => self.localize(fields, bot),
            _ => {}
        }
    }

    /// The file a bot means by `id`; an id made for another bot means nothing.
    pub(crate) fn resolve(&self, id: &str, bot: i64) -> Option<(u64, &Stored)> {
        let (number, owner) = *self.ids.get(id)?;
        let file = self.stored.get(&number)?;
        (owner == bot).then_some((number, file))
    }

    /// A path under which `bot` may fetch the file for the next hour.
    pub(crate) fn link(&mut self, number: u64, bot: i64, now: i64) -> Option<String> {
        let file = self.stored.get(&number)?;
        let extension = match (
            file.kind,
            file.name.as_deref().and_then(|name| name.rsplit_once('.')),
        ) {
            (FileKind::Photo, _) => ".jpg".to_owned(),
            (_, Some((_, extension)))
                if extension.len() <= 8
                    && extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                format!(".{extension}")
            }
            _ => String::new(),
        };
        let path = format!("{}/file_{number}{extension}", file.kind.folder());
        self.links.retain(|_, (_, until)| *until >= now);
        self.links
            .insert((bot, path.clone()), (number, now.saturating_add(LINK_LIFE)));
        Some(path)
    }

    /// The bytes behind a link that is still valid.
    pub(crate) fn fetch(&self, bot: i64, path: &str, now: i64) -> Option<Bytes> {
        let (number, until) = self.links.get(&(bot, path.to_owned()))?;
        (*until >= now).then(|| self.stored.get(number).map(|file| file.bytes.clone()))?
    }
}

/// Width and height when the bytes are an image the platform takes as a photo.
pub(crate) fn image_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let be16 = |at: usize| {
        Some(u32::from(u16::from_be_bytes([
            *bytes.get(at)?,
            *bytes.get(at + 1)?,
        ])))
    };
    let le16 = |at: usize| {
        Some(u32::from(u16::from_le_bytes([
            *bytes.get(at)?,
            *bytes.get(at + 1)?,
        ])))
    };
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        // The two high bytes of both numbers are zero for anything below 65536 pixels.
        return Some((be16(18)?, be16(22)?));
    }
    if bytes.starts_with(b"GIF8") {
        return Some((le16(6)?, le16(8)?));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some((512, 512));
    }
    if !bytes.starts_with(b"\xff\xd8\xff") {
        return None;
    }
    // JPEG: walk the segments to the frame header, which holds the size.
    let mut at = 2_usize;
    while bytes.get(at) == Some(&0xff) {
        let marker = *bytes.get(at + 1)?;
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Some((be16(at + 7)?, be16(at + 5)?));
        }
        at = at
            .checked_add(2)?
            .checked_add(usize::try_from(be16(at + 2)?).ok()?)?;
    }
    Some((640, 480))
}
