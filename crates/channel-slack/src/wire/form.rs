//! `application/x-www-form-urlencoded` bodies.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The most fields that a form may have; Slack sends some fifteen.
const MAX_FIELDS: usize = 64;

/// A form whose names are unique.
#[derive(Debug)]
pub(crate) struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    /// Reads a form; `None` if it is not UTF-8, names a field twice or has too many.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let mut fields: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let is_twice = fields.iter().any(|(known, _)| *known == name);
            if is_twice || fields.len() >= MAX_FIELDS {
                return None;
            }
            fields.push((name, decode(value)?));
        }
        Some(Self(fields))
    }

    /// A field that is there and not blank.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let value = fields.find_map(|(known, value)| (known == name).then_some(&**value))?;
        (!value.is_empty()).then_some(value)
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_and_names_are_unique() {
        let form = Form::parse(b"a=1+2&b=%7B%22%C3%A9%22%7D&c=&d").unwrap();
        assert_eq!(form.get("a"), Some("1 2"));
        assert_eq!(form.get("b"), Some("{\"\u{e9}\"}"));
        assert_eq!(
            (form.get("c"), form.get("d"), form.get("e")),
            (None, None, None)
        );
        for bad in [&b"a=1&a=2"[..], b"a=%ff", b"\xff=1", b"a=1&%61=2"] {
            assert!(Form::parse(bad).is_none());
        }
        let many: Vec<_> = (0..65).map(|n| format!("f{n}=1")).collect();
        assert!(Form::parse(many.join("&").as_bytes()).is_none());
    }
}
