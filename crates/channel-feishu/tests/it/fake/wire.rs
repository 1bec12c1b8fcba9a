//! Frames of the long connection.

use channel_core::Frame;
use prost::Message as _;
use serde_json::Value;

/// A frame, written down once more: the fake is not to share the adapter's mistakes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Wire {
    #[prost(uint64, required, tag = "1")]
    pub(crate) seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    pub(crate) log_id: u64,
    #[prost(int32, required, tag = "3")]
    pub(crate) service: i32,
    #[prost(int32, required, tag = "4")]
    pub(crate) method: i32,
    #[prost(message, repeated, tag = "5")]
    pub(crate) headers: Vec<Pair>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub(crate) payload: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Pair {
    #[prost(string, required, tag = "1")]
    pub(crate) key: String,
    #[prost(string, required, tag = "2")]
    pub(crate) value: String,
}

impl Wire {
    pub(crate) fn new(method: i32, headers: &[(&str, &str)], payload: &[u8]) -> Self {
        let pair = |(key, value): &(&str, &str)| Pair {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        Self {
            seq_id: 1,
            log_id: 2,
            service: 7,
            method,
            headers: headers.iter().map(pair).collect(),
            payload: Some(payload.to_vec()),
        }
    }

    /// A frame that brings a payload, whole or as a part.
    pub(crate) fn data(kind: &str, id: &str, (sum, seq): (usize, usize), payload: &[u8]) -> Self {
        let (sum, seq) = (sum.to_string(), seq.to_string());
        let headers = [
            ("type", kind),
            ("message_id", id),
            ("sum", sum.as_str()),
            ("seq", seq.as_str()),
            ("trace_id", "t1"),
        ];
        Self::new(1, &headers, payload)
    }

    pub(crate) fn header(&self, key: &str) -> Option<&str> {
        let found = self.headers.iter().find(|pair| pair.key == key);
        found.map(|pair| pair.value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.payload.as_deref().unwrap_or_default()).unwrap_or_default()
    }

    pub(crate) fn frame(&self) -> Frame {
        Frame::Binary(self.encode_to_vec().into())
    }
}
