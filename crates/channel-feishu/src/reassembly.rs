//! Putting events together that came in several frames.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::frame::Frame;

/// The most frames of one event. Feishu names no bound; an event is below 256 KiB.
const MAX_SUM: usize = 128;
/// The largest event, in bytes.
const MAX_EVENT: usize = 2 << 20;
/// How many events may be incomplete at a time, and how many bytes of them are kept.
const MAX_OPEN: usize = 64;
const MAX_BYTES: usize = 8 << 20;
/// How long the next part of an event is waited for: Node's SDK waits 10 s, Python's 5 s.
const WAIT: Duration = Duration::from_secs(10);

/// Events of which parts are missing.
#[derive(Default)]
pub(crate) struct Reassembly {
    open: HashMap<String, Open>,
    bytes: usize,
}

struct Open {
    parts: Vec<Option<Bytes>>,
    bytes: usize,
    touched: Duration,
}

impl std::fmt::Debug for Reassembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reassembly")
            .field("open", &self.open.len())
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// What has become of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// The payload of an event is complete.
    Whole(Bytes),
    /// Others are still to come.
    Part,
    /// The frame contradicts itself or those before it.
    Refused,
}

impl Reassembly {
    /// Adds the payload of a frame; the parts may come in any order.
    pub(crate) fn add(&mut self, frame: &Frame, now: Duration) -> Added {
        self.expire(now);
        let number = |name: &str, absent: usize| match frame.header(name) {
            None | Some("") => Some(absent),
            Some(text) if text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            Some(_) => None,
        };
        let (Some(sum), Some(seq)) = (number("sum", 1), number("seq", 0)) else {
            return Added::Refused;
        };
        let payload = frame.payload.clone().unwrap_or_default();
        if sum <= 1 {
            return if seq == 0 && payload.len() <= MAX_EVENT {
                Added::Whole(payload)
            } else {
                Added::Refused
            };
        }
        let id = frame.header("message_id").unwrap_or_default();
        if sum > MAX_SUM || seq >= sum || id.is_empty() || id.len() > crate::limits::ID {
            return Added::Refused;
        }
        self.add_part(id, sum, seq, payload, now)
    }

    fn add_part(&mut self, id: &str, sum: usize, seq: usize, part: Bytes, now: Duration) -> Added {
        if !self.open.contains_key(id) {
            self.make_room(part.len());
            let open = Open {
                parts: vec![None; sum],
                bytes: 0,
                touched: now,
            };
            self.open.insert(id.to_owned(), open);
        }
        let Some(open) = self.open.get_mut(id) else {
            return Added::Refused;
        };
        let size = open.bytes + part.len();
        if open.parts.len() != sum || size > MAX_EVENT {
            self.forget(id);
            return Added::Refused;
        }
        open.touched = now;
        let Some(place) = open.parts.get_mut(seq) else {
            return Added::Refused;
        };
        match place {
            // Twice the same is once.
            Some(known) if *known == part => {}
            Some(_) => {
                self.forget(id);
                return Added::Refused;
            }
            None => {
                self.bytes += part.len();
                open.bytes = size;
                *place = Some(part);
            }
        }
        if open.parts.iter().any(Option::is_none) {
            self.shrink(id);
            return Added::Part;
        }
        let mut whole = BytesMut::with_capacity(open.bytes);
        for part in open.parts.iter().flatten() {
            whole.extend_from_slice(part);
        }
        self.forget(id);
        Added::Whole(whole.freeze())
    }

    /// Forgets everything, as it is after a loss: Feishu sends the whole event again.
    #[cfg(feature = "net")]
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.bytes = 0;
    }

    fn expire(&mut self, now: Duration) {
        let bytes = &mut self.bytes;
        self.open.retain(|_, open| {
            let is_young = now.saturating_sub(open.touched) < WAIT;
            if !is_young {
                *bytes = bytes.saturating_sub(open.bytes);
            }
            is_young
        });
    }

    /// The oldest gives way.
    fn make_room(&mut self, wanted: usize) {
        while self.open.len() >= MAX_OPEN || self.bytes + wanted > MAX_BYTES {
            let Some(oldest) = self.oldest("") else {
                return;
            };
            self.forget(&oldest);
        }
    }

    /// Others give way to the one that has just grown.
    fn shrink(&mut self, grown: &str) {
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.oldest(grown) else {
                return;
            };
            self.forget(&oldest);
        }
    }

    fn oldest(&self, but: &str) -> Option<String> {
        let others = self.open.iter().filter(|(id, _)| *id != but);
        let oldest = others.min_by_key(|(_, open)| open.touched);
        oldest.map(|(id, _)| id.clone())
    }

    fn forget(&mut self, id: &str) {
        if let Some(open) = self.open.remove(id) {
            self.bytes = self.bytes.saturating_sub(open.bytes);
        }
    }
}

#[cfg(all(test, feature = "net"))]
mod tests {
    use super::*;
    use crate::frame::{DATA, Header};

    const FRAGMENTS: [&str; 2] = [
        "08011002180720012a0d0a047479706512056576656e742a100a0a6d6573736167655f696412026d392a080a0373756d1201322a080a037365711201302a0e0a0874726163655f69641202743942057b2261223a",
        "08011002180720012a0d0a047479706512056576656e742a100a0a6d6573736167655f696412026d392a080a0373756d1201322a080a037365711201312a0e0a0874726163655f6964120274394202317d",
    ];
    const NOW: Duration = Duration::from_secs(100);

    fn frame(id: &str, sum: &str, seq: &str, payload: &str) -> Frame {
        Frame {
            method: DATA,
            headers: vec![
                Header::new("message_id", id),
                Header::new("sum", sum),
                Header::new("seq", seq),
            ],
            payload: Some(payload.to_owned().into()),
            ..Frame::default()
        }
    }

    #[test]
    fn fragments_of_the_sdks_come_together_in_any_order() {
        let frames = FRAGMENTS.map(|hex| Frame::read(hex::decode(hex).unwrap().into()).unwrap());
        for order in [[0, 1], [1, 0]] {
            let mut all = Reassembly::default();
            assert_eq!(all.add(&frames[order[0]], NOW), Added::Part);
            let whole = Added::Whole(Bytes::from_static(b"{\"a\":1}"));
            assert_eq!(all.add(&frames[order[1]], NOW), whole);
            assert_eq!((all.open.len(), all.bytes), (0, 0));
        }
    }

    #[test]
    fn a_part_twice_is_a_part_once() {
        let mut all = Reassembly::default();
        assert_eq!(all.add(&frame("m", "2", "0", "ab"), NOW), Added::Part);
        assert_eq!(all.add(&frame("m", "2", "0", "ab"), NOW), Added::Part);
        assert_eq!(all.bytes, 2);
        let whole = Added::Whole(Bytes::from_static(b"abc"));
        assert_eq!(all.add(&frame("m", "2", "1", "c"), NOW), whole);
    }

    #[test]
    fn contradictions_are_refused_and_forgotten() {
        let mut all = Reassembly::default();
        for (id, sum, seq) in [
            ("m", "2", "2"),
            ("m", "129", "0"),
            ("m", "-1", "0"),
            ("m", "2", "-1"),
            ("m", "2.0", "0"),
            ("m", "99999999999999999999", "0"),
            ("", "2", "0"),
            ("m", "1", "1"),
            ("m", "x", "0"),
        ] {
            assert_eq!(all.add(&frame(id, sum, seq, "x"), NOW), Added::Refused);
        }
        assert_eq!(all.open.len(), 0);
        // larksuite/node-sdk#201: a later part with another sum.
        assert_eq!(all.add(&frame("m", "2", "0", "x"), NOW), Added::Part);
        assert_eq!(all.add(&frame("m", "3", "1", "y"), NOW), Added::Refused);
        assert_eq!(all.add(&frame("m", "2", "1", "y"), NOW), Added::Part);
        assert_eq!(all.add(&frame("m", "2", "1", "other"), NOW), Added::Refused);
        assert_eq!((all.open.len(), all.bytes), (0, 0));
    }

    #[test]
    fn what_stays_incomplete_is_given_up() {
        let mut all = Reassembly::default();
        assert_eq!(all.add(&frame("m", "2", "0", "x"), NOW), Added::Part);
        let late = NOW + WAIT;
        assert_eq!(all.add(&frame("m", "2", "1", "y"), late), Added::Part);
        assert_eq!(all.bytes, 1, "the first part is gone");
    }

    #[test]
    fn memory_is_bounded() {
        let mut all = Reassembly::default();
        for n in 0..MAX_OPEN * 3 {
            all.add(&frame(&n.to_string(), "2", "0", "x"), NOW);
        }
        assert_eq!(all.open.len(), MAX_OPEN);
        let large = "x".repeat(1 << 20);
        for n in 0..40 {
            all.add(&frame(&format!("l{n}"), "3", "0", &large), NOW);
            all.add(&frame(&format!("l{n}"), "3", "1", &large), NOW);
        }
        assert!(all.bytes <= MAX_BYTES, "{}", all.bytes);
        let sum: usize = all.open.values().map(|open| open.bytes).sum();
        assert_eq!(sum, all.bytes);
        let mut one = Reassembly::default();
        for n in 0..3 {
            one.add(&frame("m", "4", &n.to_string(), &large), NOW);
        }
        assert_eq!(one.bytes, 0, "an event over the bound is forgotten");
    }
}
