//! Whatever comes over a long connection of Feishu's is a frame or none, a frame that is
//! written reads as itself, and no more comes out of the parts than went in.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = channel_feishu::fuzz::frames(data).expect("a frame reads as itself");
    assert!(whole <= data.len());
});
