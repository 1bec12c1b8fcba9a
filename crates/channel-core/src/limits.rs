//! Numbers of a platform, each with its unit.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::attachment::AttachmentKind;

/// The unit in which a platform counts text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TextUnit {
    /// Bytes of UTF-8.
    Bytes,
    /// Unicode scalar values.
    CodePoints,
    /// UTF-16 code units, as in JavaScript and Java.
    Utf16,
    /// User-perceived characters (extended grapheme clusters).
    Graphemes,
}

impl TextUnit {
    /// Measures a text in this unit.
    ///
    /// Additive over concatenation, except for [`Graphemes`](Self::Graphemes), where two
    /// texts may join into fewer clusters.
    #[must_use]
    pub fn measure(self, text: &str) -> usize {
        match self {
            Self::Bytes => text.len(),
            Self::CodePoints => text.chars().count(),
            Self::Utf16 => text.chars().map(char::len_utf16).sum(),
            Self::Graphemes => text.graphemes(true).count(),
        }
    }
}

/// The longest text that one message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TextLimit {
    /// The number of units.
    pub max: usize,
    /// What is counted.
    pub unit: TextUnit,
}

impl TextLimit {
    /// A limit of `max` units.
    #[must_use]
    pub const fn new(max: usize, unit: TextUnit) -> Self {
        Self { max, unit }
    }

    /// Whether a text fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        // UTF-8 never takes fewer bytes than any other unit counts, so short texts are
        // judged without scanning them.
        text.len() <= self.max || self.unit.measure(text) <= self.max
    }
}

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rate {
    /// How many times.
    pub count: u32,
    /// In which span of time.
    pub per: Duration,
}

impl Rate {
    /// `count` times in each `per`.
    #[must_use]
    pub const fn new(count: u32, per: Duration) -> Self {
        Self { count, per }
    }

    /// The pause between two calls that keeps exactly to the rate.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.per / self.count.max(1)
    }
}

/// The numbers of one platform that code outside its adapter needs.
///
/// Start from [`Limits::new`] and set what the platform documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// The longest text of one message.
    pub text: TextLimit,
    /// The longest caption of a message with an attachment.
    pub caption: TextLimit,
    /// The longest value that a button carries back, in bytes of UTF-8.
    pub action_bytes: usize,
    /// The largest file that can be sent, in bytes, by kind; the last entry whose kind is
    /// `None` is for all others.
    pub upload_bytes: Vec<(Option<AttachmentKind>, u64)>,
    /// The largest file that can be downloaded, in bytes.
    pub download_bytes: u64,
    /// Attachments in one message.
    pub attachments: usize,
    /// Sends to one direct chat.
    pub rate_direct: Option<Rate>,
    /// Sends to one group.
    pub rate_group: Option<Rate>,
    /// Sends to all chats together.
    pub rate_total: Option<Rate>,
    /// The shortest pause between two edits of a streamed reply in a direct chat.
    pub edit_pause_direct: Duration,
    /// The same in a group.
    pub edit_pause_group: Duration,
}

impl Limits {
    /// Limits of a platform that says nothing but the length of its texts.
    #[must_use]
    pub const fn new(text: TextLimit) -> Self {
        Self {
            text,
            caption: text,
            action_bytes: usize::MAX,
            upload_bytes: Vec::new(),
            download_bytes: u64::MAX,
            attachments: usize::MAX,
            rate_direct: None,
            rate_group: None,
            rate_total: None,
            edit_pause_direct: Duration::from_secs(1),
            edit_pause_group: Duration::from_secs(1),
        }
    }

    /// The largest file of a kind that can be sent, in bytes.
    #[must_use]
    pub fn upload_bytes_for(&self, kind: AttachmentKind) -> u64 {
        let of = |wanted: Option<AttachmentKind>| {
            self.upload_bytes
                .iter()
                .find_map(|(kind, bytes)| (*kind == wanted).then_some(*bytes))
        };
        of(Some(kind)).or_else(|| of(None)).unwrap_or(u64::MAX)
    }
}
