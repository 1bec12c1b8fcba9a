//! Doors for the fuzzer and the benches into what is private.

/// What reads bytes that nobody has vouched for.
pub mod fuzz {
    use channel_core::{ChannelId, Event, Proof, Raw};

    use crate::PLATFORM;
    use crate::frame::{Frame, answer};
    use crate::inbound::Reader;

    /// Reads a frame and what is inside of it; `None` if either cannot be read.
    #[must_use]
    pub fn frame(text: &[u8]) -> Option<Event> {
        let frame = Frame::read(text)?;
        let raw = Raw::new(frame.payload());
        let channel = ChannelId::new(PLATFORM.as_str());
        let reader = Reader {
            channel: &channel,
            shared: None,
            proof: Proof::Asserted,
        };
        reader.framed(&frame, frame.message_id(), &raw)
    }

    /// The answer to a frame, if it has a name.
    #[must_use]
    pub fn answered(text: &[u8]) -> Option<String> {
        let frame = Frame::read(text)?;
        Some(answer(frame.message_id()?, &frame.echo()))
    }
}
