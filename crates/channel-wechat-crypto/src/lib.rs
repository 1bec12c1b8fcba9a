#![doc = include_str!("../README.md")]

mod cipher;
mod envelope;
mod key;
mod query;
mod signature;
mod xml;
mod xml_plain;
mod xml_write;

pub use cipher::{MessageCipher, Refused, Sealed};
pub use envelope::{ENVELOPE, read_envelope, write_envelope};
pub use key::AesKey;
pub use query::CallbackQuery;
pub use xml::{Element, XmlError, XmlLimits, parse_xml};
pub use xml_write::XmlWriter;

/// The largest `Encrypt` text that is looked at, in bytes: 4 MiB, as large as a whole
/// request may be.
pub const MAX_ENCRYPTED: usize = 4 << 20;
/// How far the timestamp of a request may be from now, either way, in seconds. A policy of
/// ours: the platforms name no number, and their retries come within 15 s.
pub const WINDOW_SECONDS: u64 = 300;
