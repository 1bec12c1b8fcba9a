//! Doors for the fuzzer and the benches into what is private.

/// What reads bytes that nobody has vouched for.
pub mod fuzz {
    use std::time::Duration;

    use bytes::Bytes;
    use channel_core::{ChannelId, Event, Proof, Raw, Secret};

    use crate::PLATFORM;
    use crate::crypto::Cipher;
    use crate::frame::Frame;
    use crate::inbound::Reader;
    use crate::reassembly::{Added, Reassembly};
    use crate::wire::Envelope;

    /// Reads frames, each of a length that its first two bytes tell, and puts their events
    /// together; how many bytes of events there were. `None` if a frame that was written is
    /// not read as the same again.
    #[must_use]
    pub fn frames(mut bytes: &[u8]) -> Option<usize> {
        let mut parts = Reassembly::default();
        let mut whole = 0;
        let mut now = Duration::ZERO;
        while let Some((head, rest)) = bytes.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*head)).min(rest.len());
            let (one, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            bytes = others;
            now += Duration::from_millis(100);
            if let Some(frame) = Frame::read(Bytes::copy_from_slice(one)) {
                let again = Frame::read(frame.write())?;
                if again != frame {
                    return None;
                }
                if let Added::Whole(payload) = parts.add(&frame, now) {
                    whole += payload.len();
                }
            }
        }
        Some(whole)
    }

    /// What a frame brings that holds a whole event; `None` if it cannot be read.
    #[must_use]
    pub fn event(frame: Bytes, app: &str, me: &str) -> Option<Event> {
        let frame = Frame::read(frame)?;
        let Added::Whole(payload) = Reassembly::default().add(&frame, Duration::ZERO) else {
            return None;
        };
        let raw = Raw::new(payload);
        let text = std::str::from_utf8(raw.as_slice()).ok()?;
        let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
        let channel = ChannelId::new(PLATFORM.as_str());
        let reader = Reader {
            channel: &channel,
            app,
            me: Some(me),
            memory: None,
            proof: Proof::Asserted,
        };
        reader.events(&envelope, &raw)?.pop()
    }

    /// Opens a sealed text with a key.
    #[must_use]
    pub fn open(key: &str, sealed: &str) -> Option<Vec<u8>> {
        Cipher::new(Secret::new(key)).open(sealed)
    }
}
