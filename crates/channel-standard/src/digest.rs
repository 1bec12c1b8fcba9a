//! What a frame says, as a digest: a frame that is sent again is known by it.

use sha2::{Digest as _, Sha256};

use crate::inbox::Hash;
use crate::wire::client::MessageFrame;

/// The canonical content of a frame: every part with its length, so that no two contents
/// look alike.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn new(kind: &str) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.add(Some(kind));
        hasher
    }

    pub(crate) fn add(&mut self, part: Option<&str>) {
        match part {
            Some(part) => {
                self.0.update((part.len() as u64 + 1).to_le_bytes());
                self.0.update(part);
            }
            None => self.0.update(0u64.to_le_bytes()),
        }
    }

    pub(crate) fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

pub(crate) fn hash_message(frame: &MessageFrame<'_>) -> Hash {
    let mut hasher = Hasher::new("message");
    hasher.add(frame.text.as_deref());
    let format = frame.format.unwrap_or_default();
    hasher.add(Some(format.as_str()));
    hasher.add(frame.reply_to.as_deref());
    hasher.add(frame.thread.as_deref());
    for file in frame.attachments.as_deref().unwrap_or_default() {
        hasher.add(Some(file.kind.unwrap_or_default().as_str()));
        for part in [
            &file.name,
            &file.mime,
            &file.data,
            &file.url,
            &file.media_id,
        ] {
            hasher.add(part.as_deref());
        }
    }
    hasher.finish()
}
