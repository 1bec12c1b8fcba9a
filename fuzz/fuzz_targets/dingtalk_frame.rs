//! Whatever comes over a stream of DingTalk's is a frame or none, its answer names the frame, and
//! a message in it can be stored and read back.

#![no_main]

use channel_core::InboundMessage as _;
use channel_dingtalk::{DingTalkMessage, fuzz};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(answer) = fuzz::answered(data) {
        assert!(answer.starts_with(
            r#"{"code":200,"headers":{"contentType":"application/json","messageId":""#
        ));
    }
    let Some(event) = fuzz::frame(data) else {
        return;
    };
    assert!(!event.id.as_str().is_empty());
    let Some(message) = event.message() else {
        return;
    };
    let native: DingTalkMessage = message.native().expect("the payload can be read back");
    assert_eq!(native.id(), message.id);
    assert_eq!(native.text(), message.text);
    assert_eq!(native.account(), message.sender.account);
});
