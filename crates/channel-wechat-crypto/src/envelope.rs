//! The envelope around an encrypted message
//! (<https://developer.work.weixin.qq.com/document/path/90968>).

use std::borrow::Cow;

use crate::MAX_ENCRYPTED;
use crate::cipher::Sealed;
use crate::xml::{XmlError, XmlLimits, parse_xml};
use crate::xml_write::XmlWriter;

/// What surrounds `Encrypt`: two levels and a handful of fields.
pub const ENVELOPE: XmlLimits = XmlLimits::new(MAX_ENCRYPTED, 2, 8, MAX_ENCRYPTED, &[]);

/// Reads an envelope, whose signature has not been checked yet, and takes out the encrypted
/// text.
///
/// # Errors
///
/// [`XmlError`] if it is not an envelope.
pub fn read_envelope(body: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    let envelope = parse_xml(body, &ENVELOPE)?;
    let mut fields = envelope.children.into_iter();
    let encrypted = fields.find(|field| field.name == "Encrypt");
    encrypted
        .map(|field| field.text)
        .filter(|text| !text.is_empty())
        .ok_or(XmlError::Malformed)
}

/// Writes the envelope of an answer.
#[must_use]
pub fn write_envelope(sealed: &Sealed) -> String {
    XmlWriter::new()
        .text("Encrypt", &sealed.encrypt)
        .text("MsgSignature", &sealed.signature)
        .number("TimeStamp", sealed.timestamp)
        .text("Nonce", &sealed.nonce)
        .finish()
}
