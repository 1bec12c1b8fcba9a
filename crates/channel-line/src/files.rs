//! Names of files: what stands in a [`FileId`] of this channel.
//!
//! | file id | is |
//! |---|---|
//! | `530000000000000001` | the content of the message of that id, kept by LINE for a while |
//! | `https://...` | a file on the server of whoever sent it |
//! | `sticker:446/1988` | a sticker: package and sticker |

use channel_core::FileId;

/// Where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Content(&'a str),
    Outside(&'a str),
    Sticker { package: &'a str, sticker: &'a str },
}

/// The id of a sticker.
pub(crate) fn sticker_id(package: &str, sticker: &str) -> FileId {
    FileId::from(format!("sticker:{package}/{sticker}"))
}

/// Reads a file id; `None` for what is none of this channel.
pub(crate) fn place(id: &FileId) -> Option<Place<'_>> {
    let text = id.as_str();
    if let Some(rest) = text.strip_prefix("sticker:") {
        let (package, sticker) = rest.split_once('/')?;
        let fits = is_digits(package) && is_digits(sticker);
        return fits.then_some(Place::Sticker { package, sticker });
    }
    if text.starts_with("https://") {
        return Some(Place::Outside(text));
    }
    // It becomes part of an address, so nothing that leads elsewhere is let in.
    is_token(text).then_some(Place::Content(text))
}

fn is_digits(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text may stand in a path as it is.
pub(crate) fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ids_lead_nowhere_else() {
        let place = |text: &str| match super::place(&FileId::from(text)) {
            Some(Place::Content(_)) => "content",
            Some(Place::Outside(_)) => "outside",
            Some(Place::Sticker { .. }) => "sticker",
            None => "none",
        };
        assert_eq!(place("530000000000000001"), "content");
        assert_eq!(place("https://files.example/a.jpg"), "outside");
        assert_eq!(place(sticker_id("446", "1988").as_str()), "sticker");
        for bad in [
            "",
            "..",
            "a/b",
            "a?b",
            "http://x.example",
            "sticker:a/b",
            "sticker:1",
            "a%2f",
            "file:///etc",
        ] {
            assert_eq!(place(bad), "none", "{bad}");
        }
    }
}
