//! Whatever a client of the standard channel sends is a frame or an error, and what
//! becomes an event can be stored and read back.

#![no_main]

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use channel_core::{ChannelId, InboundMessage as _, SenderId};
use channel_standard::StandardMessage;
use channel_standard::frames::{ClientFrame, decode_event, decode_frame};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let frame = decode_frame(data);
    let channel = ChannelId::new("standard");
    let client = SenderId::new("web-1");
    let Ok(event) = decode_event(&Bytes::copy_from_slice(data), &channel, &client, UNIX_EPOCH)
    else {
        return;
    };
    let Ok(ClientFrame::Message(frame)) = frame else {
        panic!("an event without a message");
    };
    let message = event.message().expect("only messages are decoded");
    assert_eq!(message.sender.account.sender, client);
    assert!(!message.id.as_str().is_empty());
    let files = frame.attachments.unwrap_or_default();
    if files.iter().any(|file| file.data.is_some()) {
        // A session stores the bytes and puts an id in their place.
        return;
    }
    let native: StandardMessage = message.native().expect("the payload can be read back");
    assert_eq!(native.id(), message.id);
    assert_eq!(native.text(), message.text);
});
