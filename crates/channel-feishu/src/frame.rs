//! The frames of the long connection: protobuf without a published schema, as both official
//! SDKs write it (<https://github.com/larksuite/oapi-sdk-python/blob/v2_main/lark_oapi/ws/pb/pbbp2.proto>).

use bytes::Bytes;
use prost::Message as _;

/// A frame that says something about the connection.
#[cfg(feature = "net")]
pub(crate) const CONTROL: i32 = 0;
/// A frame that brings an event.
#[cfg(feature = "net")]
pub(crate) const DATA: i32 = 1;
/// The most headers of a frame; official frames have six.
const MAX_HEADERS: usize = 64;

/// A frame of either direction.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(crate) struct Frame {
    #[prost(uint64, required, tag = "1")]
    pub(crate) seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    pub(crate) log_id: u64,
    #[prost(int32, required, tag = "3")]
    pub(crate) service: i32,
    #[prost(int32, required, tag = "4")]
    pub(crate) method: i32,
    #[prost(message, repeated, tag = "5")]
    pub(crate) headers: Vec<Header>,
    #[prost(string, optional, tag = "6")]
    pub(crate) payload_encoding: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(crate) payload_type: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub(crate) payload: Option<Bytes>,
    #[prost(string, optional, tag = "9")]
    pub(crate) log_id_new: Option<String>,
}

/// A name and a value.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(crate) struct Header {
    #[prost(string, required, tag = "1")]
    pub(crate) key: String,
    #[prost(string, required, tag = "2")]
    pub(crate) value: String,
}

/// The payload is somebody's message.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("method", &self.method)
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Header(***)")
    }
}

impl Frame {
    /// Reads a frame; `None` if it is none, or has more headers than make sense.
    pub(crate) fn read(bytes: Bytes) -> Option<Self> {
        // An empty header takes two bytes here and 48 in memory.
        (headers(&bytes)? <= MAX_HEADERS).then(|| Self::decode(bytes).ok())?
    }

    /// The frame as it goes over the wire.
    pub(crate) fn write(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// The frame that asks for a sign of life.
    #[cfg(feature = "net")]
    pub(crate) fn ping(service: i32) -> Self {
        Self {
            service,
            method: CONTROL,
            headers: vec![Header::new("type", "ping")],
            ..Self::default()
        }
    }

    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|header| header.key == name);
        found.map(|header| header.value.as_str())
    }

    /// Turns the frame into its own answer: the same with the time that it took and another
    /// payload.
    #[cfg(feature = "net")]
    pub(crate) fn into_answer(mut self, milliseconds: u128, payload: impl Into<Bytes>) -> Self {
        self.headers
            .push(Header::new("biz_rt", &milliseconds.to_string()));
        self.payload = Some(payload.into());
        self
    }
}

#[cfg(feature = "net")]
impl Header {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        Self {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }
}

/// How many headers a frame has, without making any.
fn headers(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let mut count = 0;
    while !rest.is_empty() {
        let key = prost::encoding::decode_varint(&mut rest).ok()?;
        let length = match key & 7 {
            0 => {
                prost::encoding::decode_varint(&mut rest).ok()?;
                0
            }
            1 => 8,
            2 => usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?,
            5 => 4,
            // Groups: nobody uses them.
            _ => return None,
        };
        rest = rest.get(length..)?;
        count += usize::from(key >> 3 == 5);
    }
    Some(count)
}

#[cfg(all(test, feature = "net"))]
mod tests {
    use super::*;

    const PING: &str = "08001000180720002a0c0a0474797065120470696e67";
    const PONG: &str = "08001000180720002a0c0a04747970651204706f6e6742537b225265636f6e6e656374436f756e74223a2d312c225265636f6e6e656374496e74657276616c223a3132302c225265636f6e6e6563744e6f6e6365223a33302c2250696e67496e74657276616c223a39307d";
    const DATA_FRAME: &str = "08011002180720012a0d0a047479706512056576656e742a100a0a6d6573736167655f696412026d312a080a0373756d1201312a080a037365711201302a0e0a0874726163655f69641202743142027b7d";
    const ANSWER: &str = "08011002180720012a0d0a047479706512056576656e742a100a0a6d6573736167655f696412026d312a080a0373756d1201312a080a037365711201302a0e0a0874726163655f6964120274312a0b0a0662697a5f7274120130420c7b22636f6465223a3230307d";

    fn bytes(hex: &str) -> Bytes {
        hex::decode(hex).unwrap_or_default().into()
    }

    #[test]
    fn frames_are_those_of_both_official_sdks() {
        assert_eq!(hex::encode(Frame::ping(7).write()), PING);
        let pong = Frame::read(bytes(PONG)).unwrap();
        assert_eq!((pong.method, pong.header("type")), (CONTROL, Some("pong")));
        assert_eq!(hex::encode(pong.write()), PONG);
        let data = Frame::read(bytes(DATA_FRAME)).unwrap();
        assert_eq!((data.seq_id, data.log_id, data.service), (1, 2, 7));
        assert_eq!(data.header("trace_id"), Some("t1"));
        assert_eq!(data.payload.as_deref(), Some(&b"{}"[..]));
        assert_eq!(hex::encode(data.write()), DATA_FRAME);
        let answer = data.into_answer(0, &br#"{"code":200}"#[..]);
        assert_eq!(hex::encode(answer.write()), ANSWER);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let whole = bytes(DATA_FRAME);
        for end in 0..whole.len() {
            // Cut between two fields it is a frame with less in it.
            let _ = Frame::read(whole.slice(..end));
        }
        for hex in ["ff", "0b", "08", "2aff", "0a", "ffffffffffffffffffff01"] {
            assert!(Frame::read(bytes(hex)).is_none(), "{hex}");
        }
        let many: Vec<u8> = [0x2a, 0].repeat(65);
        assert!(Frame::read(many.into()).is_none());
        let few: Vec<u8> = [0x2a, 0].repeat(64);
        assert_eq!(Frame::read(few.into()).unwrap().headers.len(), 64);
    }

    #[test]
    fn a_frame_shows_nothing_of_its_payload() {
        let shown = format!("{:?}", Frame::read(bytes(PONG)).unwrap());
        assert!(!shown.contains("Reconnect"), "{shown}");
    }
}
