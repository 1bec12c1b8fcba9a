//! What WeCom sends, in the four forms that it has, read into one.

pub(crate) mod aibot;
pub(crate) mod app;
pub(crate) mod bot;
pub(crate) mod file;

use channel_core::{Attachment, Secret};
use channel_wechat_crypto::XmlLimits;
use md5::{Digest as _, Md5};

/// Bounds of a decrypted message: events of an address book nest to depth 6.
pub(crate) const INNER: XmlLimits = XmlLimits::new(
    256 << 10,
    7,
    128,
    64 << 10,
    &["item", "SelectedItem", "OptionId", "MsgItem", "Actions"],
);

/// Something that happened, from whichever product.
#[derive(Debug)]
pub(crate) struct Item {
    /// The deduplication key.
    pub(crate) key: String,
    /// Where, and who did it.
    pub(crate) place: Option<Place>,
    /// When, in seconds since 1970.
    pub(crate) at: Option<u64>,
    /// Where an answer can be posted: a webhook's address with its key, or a
    /// `response_url`.
    pub(crate) url: Option<Secret>,
    pub(crate) what: What,
}

/// Who, and in which chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) user: String,
    pub(crate) name: Option<String>,
    pub(crate) chat: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Single,
    Group,
    /// A bulletin board of a group.
    Board,
}

#[derive(Debug)]
pub(crate) enum What {
    Said {
        id: String,
        text: String,
        attachments: Vec<Attachment>,
        /// Whether words of another message come with it.
        quotes: bool,
    },
    Pressed {
        value: String,
        /// The card's own id.
        task: Option<String>,
        /// What the platform wants back to change the card.
        token: Option<String>,
    },
    Joined,
    Left,
    /// The bot itself was put into a chat, or taken out of it.
    MeJoined,
    MeLeft,
    /// Somebody opened the chat for the first time today.
    Entered,
    /// The platform asks for the state of a stream.
    Refresh(String),
    /// Another connection has taken over.
    Disconnected,
    Other(String),
}

/// A key for events that have no id: the same fields, the same key.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// What cannot be read: kept, with a key of its bytes.
pub(crate) fn unreadable(raw: &[u8]) -> Item {
    Item {
        key: format!("raw-{}", digest([raw])),
        place: None,
        at: None,
        url: None,
        what: What::Other("unreadable".to_owned()),
    }
}

/// An id that a sender could stretch is cut to its hash.
pub(crate) fn short(id: &str) -> String {
    if id.len() <= 128 {
        id.to_owned()
    } else {
        digest([id.as_bytes()])
    }
}
