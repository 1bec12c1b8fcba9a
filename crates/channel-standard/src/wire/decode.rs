//! From bytes to a frame.
//!
//! `v` and `type` are read first, without touching the rest of the frame; then the frame
//! is read once into the type that it names.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::Str;
use super::client::{ClientFrame, FrameError, PingFrame};

/// Decodes one text frame. Pure; any bytes are allowed.
///
/// # Errors
///
/// A [`FrameError`] that holds nothing of the input.
pub fn decode_frame(bytes: &[u8]) -> Result<ClientFrame<'_>, FrameError> {
    let kind = match quick_kind(bytes) {
        Some(kind) => kind,
        None => Head::peek(bytes)?,
    };
    let frame = match kind {
        Kind::Hello => read(bytes).map(|it| ClientFrame::Hello(Box::new(it))),
        Kind::Message => read(bytes).map(ClientFrame::Message),
        Kind::Edit => read(bytes).map(ClientFrame::Edit),
        Kind::Delete => read(bytes).map(ClientFrame::Delete),
        Kind::Reaction => read(bytes).map(ClientFrame::Reaction),
        Kind::Action => read(bytes).map(ClientFrame::Action),
        Kind::Typing => read(bytes).map(ClientFrame::Typing),
        Kind::Ack => read(bytes).map(ClientFrame::Ack),
        Kind::Ping => read(bytes).map(ClientFrame::Ping),
        Kind::Pong => read::<PingFrame<'_>>(bytes).map(|_| ClientFrame::Pong),
        Kind::Unknown => read(bytes).map(ClientFrame::Unknown),
    };
    frame.map_err(|_| FrameError::Malformed)
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes)
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Hello,
    Message,
    Edit,
    Delete,
    Reaction,
    Action,
    Typing,
    Ack,
    Ping,
    Pong,
    Unknown,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "hello" => Self::Hello,
            "message" => Self::Message,
            "edit" => Self::Edit,
            "delete" => Self::Delete,
            "reaction" => Self::Reaction,
            "action" => Self::Action,
            "typing" => Self::Typing,
            "ack" => Self::Ack,
            "ping" => Self::Ping,
            "pong" => Self::Pong,
            _ => Self::Unknown,
        }
    }
}

/// The kind of a frame that begins with `v` and `type`, as nearly all do; `None` if it
/// begins otherwise. The typed reader checks the whole frame afterwards.
fn quick_kind(bytes: &[u8]) -> Option<Kind> {
    let mut rest = bytes;
    for token in ["{", "\"v\"", ":", "1", ",", "\"type\"", ":"] {
        rest = rest.trim_ascii_start().strip_prefix(token.as_bytes())?;
    }
    let name = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = name.iter().position(|&b| matches!(b, b'"' | b'\\'))?;
    let (name, rest) = name.split_at(end);
    // An escape may spell a name that is known; such a frame is read the long way.
    if rest.first() != Some(&b'"') {
        return None;
    }
    std::str::from_utf8(name).ok().map(Kind::of)
}

/// The members that say how to read the rest.
#[derive(Default)]
struct Head {
    version: Option<Version>,
    kind: Option<Kind>,
}

impl Head {
    /// Reads no further than needed: the typed reader checks the whole frame afterwards.
    fn peek(bytes: &[u8]) -> Result<Kind, FrameError> {
        let mut head = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        // Stopping inside the object is an error to the deserializer; what matters is
        // what has been seen by then.
        let _ = HeadSeed(&mut head).deserialize(&mut deserializer);
        match (head.version, head.kind) {
            (Some(Version::One), Some(kind)) => Ok(kind),
            (Some(Version::Other), Some(_)) => Err(FrameError::Version),
            _ => Err(FrameError::Malformed),
        }
    }
}

struct HeadSeed<'h>(&'h mut Head);

impl<'de> DeserializeSeed<'de> for HeadSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeadSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Str<'de>>()? {
            match &*name {
                "v" => self.0.version = Some(map.next_value()?),
                "type" => self.0.kind = Some(Kind::of(&map.next_value::<Str<'de>>()?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if self.0.version.is_some() && self.0.kind.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Other,
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version number")
            }

            fn visit_u64<E>(self, version: u64) -> Result<Version, E> {
                Ok(if version == 1 {
                    Version::One
                } else {
                    Version::Other
                })
            }

            fn visit_i64<E>(self, _: i64) -> Result<Version, E> {
                Ok(Version::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Version, E> {
                Ok(Version::Other)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_type_wherever_it_stands() {
        let frame = br#"{"text":"hi","id":"m-1","type":"message","v":1}"#;
        let Ok(ClientFrame::Message(message)) = decode_frame(frame) else {
            panic!("not a message");
        };
        assert_eq!(message.text.as_deref(), Some("hi"));
        assert!(message.text.is_some_and(|text| text.is_borrowed()));
    }

    #[test]
    fn the_quick_way_to_the_type_agrees_with_the_long_one() {
        let cases = [
            (r#"{"v":1,"type":"ping"}"#, true),
            ("\n{ \"v\" : 1 ,\t\"type\": \"ping\" }", true),
            (r#"{"v":1,"type":"p\u0069ng"}"#, false),
            (r#"{"v":1.0,"type":"ping"}"#, false),
            (r#"{"v":10,"type":"ping"}"#, false),
            (r#"{"type":"ping","v":1}"#, false),
        ];
        for (frame, is_quick) in cases {
            let quick = quick_kind(frame.as_bytes());
            assert_eq!(quick.is_some(), is_quick, "{frame}");
            if quick.is_some() {
                assert!(matches!(Head::peek(frame.as_bytes()), Ok(Kind::Ping)));
            }
        }
        let escaped = br#"{"v":1,"type":"p\u0069ng"}"#;
        assert!(matches!(decode_frame(escaped), Ok(ClientFrame::Ping(_))));
    }

    #[test]
    fn a_member_that_comes_twice_is_malformed() {
        for frame in [
            r#"{"v":1,"type":"message","id":"a","id":"b","text":"x"}"#,
            r#"{"v":1,"type":"message","type":"ping","id":"a","text":"x"}"#,
            r#"{"v":1,"type":"message","id":"a","text":"x","v":2}"#,
        ] {
            assert_eq!(
                decode_frame(frame.as_bytes()).err(),
                Some(FrameError::Malformed),
                "{frame}"
            );
        }
    }

    #[test]
    fn tells_a_wrong_version_from_a_malformed_frame() {
        let wrong = [r#"{"v":2,"type":"ping"}"#, r#"{"type":"ping","v":1.5}"#];
        for frame in wrong {
            assert_eq!(
                decode_frame(frame.as_bytes()).err(),
                Some(FrameError::Version)
            );
        }
        let malformed = [
            "",
            "1",
            "[]",
            r#"{"type":"ping"}"#,
            r#"{"v":"1","type":"ping"}"#,
            r#"{"v":1,"type":5}"#,
            r#"{"v":1,"type":"ping""#,
            r#"{"v":1,"type":"ping"} x"#,
            r#"{"v":1,"type":"message","id":"a","text":"\ud800"}"#,
        ];
        for frame in malformed {
            assert_eq!(
                decode_frame(frame.as_bytes()).err(),
                Some(FrameError::Malformed),
                "{frame}"
            );
        }
    }

    #[test]
    fn keeps_the_id_of_a_frame_of_an_unknown_type() {
        let frame = br#"{"v":1,"type":"teleport","id":"x-1","where":[1,{}]}"#;
        let Ok(ClientFrame::Unknown(unknown)) = decode_frame(frame) else {
            panic!("not unknown");
        };
        assert_eq!(unknown.id.as_deref(), Some("x-1"));
    }
}
