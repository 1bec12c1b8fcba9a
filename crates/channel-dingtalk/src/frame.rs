//! Frames of stream mode: JSON in text frames, with JSON as a text inside
//! (<https://open.dingtalk.com/document/direction/stream-mode-protocol-access-description>).

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits;

/// Topics of `SYSTEM` frames.
#[cfg(feature = "net")]
pub(crate) const PING: &str = "ping";
#[cfg(feature = "net")]
pub(crate) const DISCONNECT: &str = "disconnect";
/// Topics of `CALLBACK` frames.
pub(crate) const MESSAGES: &str = "/v1.0/im/bot/messages/get";
pub(crate) const CARDS: &str = "/v1.0/card/instances/callback";

/// A frame from DingTalk.
#[derive(Deserialize)]
pub(crate) struct Frame<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) headers: Headers<'a>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Headers<'a> {
    #[serde(borrow, default)]
    pub(crate) message_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) topic: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) event_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) event_type: Option<Cow<'a, str>>,
}

impl<'a> Frame<'a> {
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        // A list would be read as an object that has nothing.
        let is_object = text.trim_ascii_start().starts_with(b"{");
        serde_json::from_slice(text).ok().filter(|_| is_object)
    }

    pub(crate) fn topic(&self) -> &str {
        self.headers.topic.as_deref().unwrap_or_default()
    }

    /// Whether nothing comes by this connection any more.
    #[cfg(feature = "net")]
    pub(crate) fn is_notice(&self) -> bool {
        self.kind.as_deref() == Some("SYSTEM") && self.topic() == DISCONNECT
    }

    /// The id under which a frame is answered.
    pub(crate) fn message_id(&self) -> Option<&str> {
        let id = self.headers.message_id.as_deref();
        id.filter(|id| (1..=limits::ID).contains(&id.len()))
    }

    /// The JSON inside: it comes as a text, and where it does not it is taken as it is.
    pub(crate) fn payload(&self) -> Bytes {
        let Some(data) = self.data else {
            return Bytes::new();
        };
        match serde_json::from_str::<String>(data.get()) {
            Ok(text) => Bytes::from(text),
            Err(_) => Bytes::copy_from_slice(data.get().as_bytes()),
        }
    }

    /// The data as it came, for a ping, which is answered with it.
    pub(crate) fn echo(&self) -> String {
        self.data
            .and_then(|data| serde_json::from_str(data.get()).ok())
            .unwrap_or_else(|| "{}".to_owned())
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    code: u16,
    headers: AnswerHeaders<'a>,
    message: &'a str,
    data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerHeaders<'a> {
    content_type: &'a str,
    message_id: &'a str,
}

/// Says that a frame was taken.
pub(crate) fn answer(message_id: &str, data: &str) -> String {
    let answer = Answer {
        code: 200,
        headers: AnswerHeaders {
            content_type: "application/json",
            message_id,
        },
        message: "OK",
        data,
    };
    // Texts and a number always serialise.
    serde_json::to_string(&answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_the_documentation_shows() {
        let text = r#"{"specVersion":"1.0","type":"CALLBACK","headers":{"appId":"a","connectionId":"c1","contentType":"application/json","messageId":"m1","time":"1700000000000","topic":"/v1.0/im/bot/messages/get"},"data":"{\"msgId\":\"msg1\"}"}"#;
        let frame = Frame::read(text.as_bytes()).unwrap();
        assert_eq!(frame.kind.as_deref(), Some("CALLBACK"));
        assert_eq!((frame.topic(), frame.message_id()), (MESSAGES, Some("m1")));
        assert_eq!(frame.payload(), r#"{"msgId":"msg1"}"#);
        let answer = answer("m1", r#"{"response":{}}"#);
        let wanted = r#"{"code":200,"headers":{"contentType":"application/json","messageId":"m1"},"message":"OK","data":"{\"response\":{}}"}"#;
        assert_eq!(answer, wanted);
    }

    #[test]
    fn what_is_not_a_text_inside_is_taken_as_it_is() {
        let of = |text: &str| Frame::read(text.as_bytes()).map(|it| it.payload());
        assert_eq!(of(r#"{"data":{"a":1}}"#).unwrap(), r#"{"a":1}"#);
        assert_eq!(of("{}").unwrap(), "");
        assert!(of("[]").is_none() && of("").is_none() && of("{\"headers\":5}").is_none());
        let long = format!(r#"{{"headers":{{"messageId":"{}"}}}}"#, "m".repeat(257));
        assert_eq!(Frame::read(long.as_bytes()).unwrap().message_id(), None);
    }
}
