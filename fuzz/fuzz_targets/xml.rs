//! Whatever is no XML of WeChat's or WeCom's is refused, and what is read can be written and read again.

#![no_main]

use channel_wechat_crypto::{
    ENVELOPE, Element, XmlLimits, XmlWriter, parse_xml, read_envelope,
};
use libfuzzer_sys::fuzz_target;

/// The limits of a decrypted message of WeCom.
const INNER: XmlLimits = XmlLimits::new(256 << 10, 7, 128, 64 << 10, &["item"]);

fuzz_target!(|data: &[u8]| {
    for limits in [&XmlLimits::MESSAGE, &ENVELOPE, &INNER] {
        if let Ok(root) = parse_xml(data, limits) {
            assert!(data.len() <= limits.bytes);
            let mut elements = 0;
            look(&root, limits, 1, &mut elements);
            assert!(elements <= limits.elements + 1);
        }
    }
    let _ = read_envelope(data);
    // What people write comes back as they wrote it, but for what no XML can hold.
    if let Ok(text) = std::str::from_utf8(data) {
        let written = XmlWriter::new().text("Content", text).finish();
        if let Ok(read) = parse_xml(written.as_bytes(), &INNER) {
            let read = read.get("Content").unwrap_or("");
            assert!(read == text || text.contains(|c: char| c.is_control() || c > '\u{ffef}'));
        }
    }
});

/// Every element is within the limits.
fn look(element: &Element, limits: &XmlLimits, depth: usize, elements: &mut usize) {
    *elements += 1;
    assert!(depth <= limits.depth && element.text.len() <= limits.text);
    let _ = (element.get("Content"), element.number("MsgId"));
    for child in &element.children {
        look(child, limits, depth + 1, elements);
    }
}
