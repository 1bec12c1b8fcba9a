//! The frames of protocol `channel-kit.v1`.

pub(crate) mod client;
pub(crate) mod decode;
pub(crate) mod server;
mod text;

pub use text::Str;

/// The subprotocol, and the name of this protocol.
pub(crate) const PROTOCOL: &str = "channel-kit.v1";

/// The conversation of a frame that names none.
pub(crate) const DEFAULT_CONVERSATION: &str = "default";

/// The longest text of one message, in Unicode scalar values.
pub(crate) const MAX_TEXT: usize = 32_768;

/// The largest inline file, in bytes after decoding.
pub(crate) const MAX_INLINE: usize = 256 << 10;

/// The inline files of one frame together, in bytes after decoding.
pub(crate) const MAX_INLINE_TOTAL: usize = 512 << 10;

/// The largest `meta` object, in bytes as sent.
pub(crate) const MAX_META: usize = 4 << 10;

/// The most files of one message.
pub(crate) const MAX_ATTACHMENTS: usize = 16;

/// Whether a text is 1 to 64 of `[A-Za-z0-9._:-]`: ids of messages, and conversations.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// Whether a text is 1 to 64 of `[A-Za-z0-9._-]`: the id of a client.
pub(crate) fn is_client_id(text: &str) -> bool {
    is_id(text) && !text.contains(':')
}
