//! Frames of the long connection (<https://developer.work.weixin.qq.com/document/path/101463>).

use std::borrow::Cow;

use bytes::Bytes;
use channel_core::Random;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A frame that came in.
#[derive(Debug)]
pub(super) struct Inbound {
    /// What it brings; an answer to a request of ours has none.
    pub(super) command: Option<String>,
    pub(super) request: String,
    pub(super) code: i64,
    pub(super) body: Bytes,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    cmd: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    headers: Headers<'a>,
    #[serde(default)]
    errcode: i64,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Headers<'a> {
    #[serde(borrow, default)]
    req_id: Cow<'a, str>,
}

/// Reads a frame; `None` if it is not one.
pub(super) fn read(text: &Bytes) -> Option<Inbound> {
    let text = without_controls(text);
    // A list would be read as the fields in their order.
    if !text.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let wire: Wire<'_> = serde_json::from_slice(&text).ok()?;
    Some(Inbound {
        command: wire.cmd.map(Cow::into_owned).filter(|cmd| !cmd.is_empty()),
        request: wire.headers.req_id.into_owned(),
        code: wire.errcode,
        body: wire
            .body
            .map(|body| text.slice_ref(body.get().as_bytes()))
            .unwrap_or_default(),
    })
}

/// WeCom's own SDK takes control characters out before it reads JSON, so they seem to come.
fn without_controls(text: &Bytes) -> Bytes {
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(*byte, b'\t' | b'\n' | b'\r');
    if text.iter().any(is_control) {
        text.iter()
            .copied()
            .filter(|byte| !is_control(byte))
            .collect()
    } else {
        text.clone()
    }
}

/// Writes a frame.
pub(super) fn write(command: &str, request: &str, body: Option<Value>) -> String {
    let mut frame = json!({"cmd": command, "headers": {"req_id": request}});
    crate::card::set(&mut frame, "body", body);
    frame.to_string()
}

/// A name for a request that no other has.
pub(super) fn request_id(command: &str, random: &dyn Random) -> String {
    let mut bytes = [0; 12];
    random.fill(&mut bytes);
    format!("{command}_{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_with_and_without_what_may_be_missing() {
        let read = |text: &str| read(&Bytes::copy_from_slice(text.as_bytes()));
        let ack = read(r#"{"headers":{"req_id":"q1"},"errcode":0,"errmsg":"ok"}"#).unwrap();
        assert_eq!(
            (ack.command, ack.request.as_str(), ack.code),
            (None, "q1", 0)
        );
        let callback = "{\"cmd\":\"aibot_msg_callback\",\u{1}\"headers\":{\"req_id\":\"r\"},\"body\":{\"a\": 1}}";
        let callback = read(callback).unwrap();
        assert_eq!(callback.command.as_deref(), Some("aibot_msg_callback"));
        assert_eq!(callback.body, "{\"a\": 1}");
        for bad in [
            "",
            "x",
            "[]",
            "{\"cmd\":1}",
            "{\"headers\":{\"req_id\":5}}",
            "{\"errcode\":\"x\"}",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
