//! The envelope of the gateway
//! (<https://docs.discord.com/developers/events/gateway-events#payload-structure>).
//!
//! Discord writes `t`, `s` and `op` before `d`. Reading up to there tells whether the rest
//! is wanted, so that an event which nobody wants costs a few comparisons.

use serde::Deserialize;
use serde_json::value::RawValue;

/// How much of a frame is looked at to see whether it is wanted, in bytes: Discord's longest
/// name of an event has 38 characters.
const FRONT: usize = 128;

/// A frame with its payload as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) op: u64,
    pub(crate) seq: Option<u64>,
    pub(crate) name: &'a str,
    /// The payload; `null` where there is none.
    pub(crate) data: &'a str,
}

/// Reads a frame; `None` if it is not one.
///
/// A payload behind all other fields is taken to be the rest, without being looked at:
/// whoever cannot decode it reads the frame [carefully](careful) once more.
pub(crate) fn head(text: &str) -> Option<Frame<'_>> {
    ordered(text).or_else(|| careful(text))
}

/// The fields before the payload, as far as the beginning of a frame tells them; the payload
/// is empty. `None` if they do not stand there in full.
pub(crate) fn front(bytes: &[u8]) -> Option<Frame<'_>> {
    let bytes = bytes.get(..FRONT).unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?,
    };
    let (frame, _) = fields(text)?;
    Some(Frame { data: "", ..frame })
}

/// A frame whose payload stands last.
fn ordered(text: &str) -> Option<Frame<'_>> {
    let (frame, value) = fields(text)?;
    let data = value.trim_end().strip_suffix('}')?;
    Some(Frame { data, ..frame })
}

/// The fields before the payload, and whatever stands after its name.
fn fields(text: &str) -> Option<(Frame<'_>, &str)> {
    let mut rest = text.strip_prefix('{')?;
    let mut frame = Frame {
        op: u64::MAX,
        seq: None,
        name: "",
        data: "null",
    };
    // Four fields and no more: whatever else stands there is read the slow way.
    for known in 0..4 {
        // One character is looked for: a search for two begins with more work than it saves.
        let (key, value) = rest.strip_prefix('"')?.split_once('"')?;
        let value = value.strip_prefix(':')?;
        match key {
            "d" => {
                // With less before it, something may follow it.
                if known < 3 || frame.op == u64::MAX {
                    return None;
                }
                return Some((frame, value));
            }
            "op" => {
                let (number, after) = number(value)?;
                frame.op = number;
                rest = after;
            }
            "s" => match value.strip_prefix("null") {
                Some(after) => rest = after,
                None => {
                    let (number, after) = number(value)?;
                    frame.seq = Some(number);
                    rest = after;
                }
            },
            "t" => match value.strip_prefix("null") {
                Some(after) => rest = after,
                None => {
                    let (name, after) = value.strip_prefix('"')?.split_once('"')?;
                    if !is_name(name) {
                        return None;
                    }
                    frame.name = name;
                    rest = after;
                }
            },
            _ => return None,
        }
        rest = rest.strip_prefix(',')?;
    }
    None
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit())?;
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

fn is_name(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[derive(Deserialize)]
struct Wire<'a> {
    op: u64,
    s: Option<u64>,
    #[serde(borrow)]
    t: Option<&'a str>,
    #[serde(borrow)]
    d: Option<&'a RawValue>,
}

/// Reads a frame whatever its order.
pub(crate) fn careful(text: &str) -> Option<Frame<'_>> {
    // A name with escapes is none of Discord's.
    let wire: Wire<'_> = serde_json::from_str(text).ok()?;
    Some(Frame {
        op: wire.op,
        seq: wire.s,
        name: wire.t.unwrap_or_default(),
        data: wire.d.map_or("null", RawValue::get),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_in_any_order_and_with_any_space() {
        let wanted = Frame {
            op: 0,
            seq: Some(7),
            name: "MESSAGE_CREATE",
            data: r#"{"a":"}"}"#,
        };
        for text in [
            r#"{"t":"MESSAGE_CREATE","s":7,"op":0,"d":{"a":"}"}}"#,
            r#"{"op":0,"s":7,"t":"MESSAGE_CREATE","d":{"a":"}"}}"#,
            r#"{"op":0,"d":{"a":"}"},"s":7,"t":"MESSAGE_CREATE"}"#,
            r#"{"d":{"a":"}"},"op":0,"s":7,"t":"MESSAGE_CREATE","new":[1]}"#,
            r#"{ "op": 0, "s": 7, "t": "MESSAGE_CREATE", "d": {"a":"}"} }"#,
        ] {
            assert_eq!(head(text), Some(wanted), "{text}");
        }
        let hello = head(r#"{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}"#);
        let hello = hello.unwrap();
        assert_eq!((hello.op, hello.seq, hello.name), (10, None, ""));
        let ack = head(r#"{"op":11}"#).unwrap();
        assert_eq!((ack.op, ack.data), (11, "null"));
        let more = r#"{"t":"X","s":1,"op":0,"d":{},"new":{}}"#;
        assert_eq!(careful(more).unwrap().data, "{}");
    }

    #[test]
    fn the_beginning_of_a_frame_tells_what_it_is() {
        let long = "\u{4e2d}".repeat(200);
        let text = format!(r#"{{"t":"TYPING_START","s":7,"op":0,"d":{{"a":"{long}"}}}}"#);
        let read = front(text.as_bytes()).unwrap();
        assert_eq!((read.op, read.seq, read.name), (0, Some(7), "TYPING_START"));
        for text in [
            "",
            r#"{"op":0,"d":{},"s":7,"t":"TYPING_START"}"#,
            r#"{"t":"TYPING_START","s":7,"op":0"#,
            &format!(r#"{{"t":"{}","s":7,"op":0,"d":{{}}}}"#, "A".repeat(FRONT)),
        ] {
            assert_eq!(front(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for text in [
            "",
            "{",
            "null",
            "[]",
            r#"{"op":"0"}"#,
            r#"{"op":-1,"d":1}"#,
            r#"{"d":{}}"#,
        ] {
            assert_eq!(head(text), None, "{text}");
        }
    }
}
