//! Feishu: frames of the long connection, and sealed requests, to their events.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use channel_core::{Event, Result};
use channel_feishu::{Feishu, Mode};
use http::Request;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::canned::Canned;
use crate::hooks::{BATCH, NOW};

const APP: &str = "cli_0000000000000001";
const BOT: &str = "ou_c245b0a7dff2725cfa2fb104f8b48b9d";
const KEY: &str = "ek-0123456789abcdef";
const TOKEN: &str = "vt-synthetic-0001";
const NONCE: &str = "1f3c9a77c0de";
/// Sixteen bytes that a request begins with; real ones are random.
const IV: &[u8; 16] = b"0123456789abcdef";

/// A text message in a group that mentions the bot.
fn envelope(n: usize) -> String {
    let text = r#"{\"text\":\"@_user_1 could you please look whether the nightly import has ended? 三点的会议室有空吗？\"}"#;
    format!(
        r#"{{"schema":"2.0","header":{{"event_id":"5e3702a84e847582be8db7fb{n:08}","event_type":"im.message.receive_v1","create_time":"{NOW}000","token":"{TOKEN}","app_id":"{APP}","tenant_key":"2ca1d211f64f6438"}},"event":{{"sender":{{"sender_id":{{"union_id":"on_8ed6aa67826108097d9ee143816345","user_id":"e33ggbyz","open_id":"ou_84aad35d084aa403a838cf73ee18467"}},"sender_type":"user","tenant_key":"736588c9260f175e"}},"message":{{"message_id":"om_5ce6d572455d361153b7cb{n:010}","create_time":"{NOW}123","update_time":"{NOW}123","chat_id":"oc_5ce6d572455d361153b7xx51da133945","chat_type":"group","message_type":"text","content":"{text}","mentions":[{{"key":"@_user_1","id":{{"union_id":"on_8ed6aa67826108097d9ee143816346","user_id":"","open_id":"{BOT}"}},"name":"kit","mentioned_type":"bot","tenant_key":"736588c9260f175e"}}]}}}}}}"#
    )
}

#[derive(Clone, PartialEq, prost::Message)]
struct Frame {
    #[prost(uint64, required, tag = "1")]
    seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    log_id: u64,
    #[prost(int32, required, tag = "3")]
    service: i32,
    #[prost(int32, required, tag = "4")]
    method: i32,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<Header>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    payload: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

/// Frames of the long connection with a message each.
#[must_use]
pub fn frames() -> Vec<Bytes> {
    let frame = |n| {
        let header = |(key, value): (&str, String)| Header {
            key: key.to_owned(),
            value,
        };
        let headers = [
            ("type", "event".to_owned()),
            ("message_id", format!("7a1d0c6e-4b1f-4f5e-9d3a-{n:012}")),
            ("sum", "1".to_owned()),
            ("seq", "0".to_owned()),
            ("trace_id", format!("0a1b2c3d4e5f60718293a4b5{n:08}")),
        ];
        let frame = Frame {
            seq_id: 1,
            log_id: 2,
            service: 33_554_678,
            method: 1,
            headers: headers.map(header).into(),
            payload: Some(envelope(n).into()),
        };
        frame.encode_to_vec().into()
    };
    (0..BATCH).map(frame).collect()
}

/// Turns frames into events; says how many messages they brought.
#[must_use]
pub fn decode(frames: &[Bytes]) -> usize {
    let read = |frame: &Bytes| event(std::hint::black_box(frame))?.message().map(drop);
    frames.iter().filter_map(read).count()
}

/// Turns a frame into an event.
#[must_use]
pub fn event(frame: &Bytes) -> Option<Event> {
    channel_feishu::fuzz::event(frame.clone(), APP, BOT)
}

/// Requests, sealed and signed.
#[must_use]
pub fn requests() -> Vec<Request<Bytes>> {
    (0..BATCH).map(request).collect()
}

fn request(n: usize) -> Request<Bytes> {
    let cipher = Encryptor::<Aes256>::new(&floor::key().into(), IV.into());
    let sealed = cipher.encrypt_padded_vec::<Pkcs7>(envelope(n).as_bytes());
    let sealed = STANDARD.encode([IV, &*sealed].concat());
    let body = format!(r#"{{"encrypt":"{sealed}"}}"#);
    let signature = Sha256::digest(format!("{NOW}{NONCE}{KEY}{body}"));
    Request::post("/feishu/events")
        .header("content-type", "application/json; charset=utf-8")
        .header("x-lark-request-timestamp", NOW.to_string())
        .header("x-lark-request-nonce", NONCE)
        .header("x-lark-signature", hex::encode(signature))
        .body(Bytes::from(body))
        .expect("the request is right")
}

/// A channel that takes them.
///
/// # Errors
///
/// If the settings are refused.
pub fn channel() -> Result<Feishu> {
    Feishu::builder()
        .app(APP, "bench")
        .mode(Mode::Webhook)
        .encrypt_key(KEY)
        .verification_token(TOKEN)
        .transport(Canned::new(Vec::new(), Bytes::new()).transport())
        .build()
}

/// The floors: what is sealed is opened, and serde reads into types that own what they say.
#[expect(dead_code, reason = "reading the fields is what is measured")]
pub mod floor {
    use std::borrow::Cow;

    use aes::Aes256;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use cbc::Decryptor;
    use cbc::cipher::block_padding::Pkcs7;
    use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
    use http::Request;
    use prost::Message as _;
    use serde::Deserialize;
    use sha2::{Digest as _, Sha256};
    use subtle::ConstantTimeEq as _;

    use crate::hooks::{NOW, header};

    #[derive(Debug, Deserialize)]
    struct Envelope {
        header: Header,
        event: Event,
    }

    #[derive(Debug, Deserialize)]
    struct Header {
        event_id: String,
        event_type: String,
        token: String,
        app_id: String,
    }

    #[derive(Debug, Deserialize)]
    struct Event {
        sender: Sender,
        message: Message,
    }

    #[derive(Debug, Deserialize)]
    struct Sender {
        sender_id: Ids,
        sender_type: String,
    }

    #[derive(Debug, Deserialize)]
    struct Ids {
        open_id: Option<String>,
        user_id: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    struct Message {
        message_id: String,
        parent_id: Option<String>,
        thread_id: Option<String>,
        create_time: Option<String>,
        chat_id: String,
        chat_type: String,
        message_type: String,
        content: String,
        mentions: Option<Vec<Mention>>,
    }

    #[derive(Debug, Deserialize)]
    struct Mention {
        key: String,
        id: Ids,
        name: String,
    }

    #[derive(Debug, Deserialize)]
    struct Text {
        text: String,
    }

    #[derive(Debug, Deserialize)]
    struct Sealed<'a> {
        #[serde(borrow)]
        encrypt: Cow<'a, str>,
    }

    /// The key of the cipher.
    #[must_use]
    pub fn key() -> [u8; 32] {
        Sha256::digest(super::KEY).into()
    }

    fn read(bytes: &[u8]) -> Option<(Envelope, Text)> {
        let envelope: Envelope = serde_json::from_slice(bytes).ok()?;
        let text = serde_json::from_str(&envelope.event.message.content).ok()?;
        Some((envelope, text))
    }

    /// Reads frames and what they bring; says how many were right.
    #[must_use]
    pub fn decode(frames: &[Bytes]) -> usize {
        let read = |frame: &Bytes| {
            let frame = super::Frame::decode(std::hint::black_box(frame).clone()).ok()?;
            let message = read(frame.payload.as_deref()?)?;
            std::hint::black_box((frame, message));
            Some(())
        };
        frames.iter().filter_map(read).count()
    }

    /// Verifies, opens and reads; says how many were right.
    #[must_use]
    pub fn receive(key: &[u8; 32], requests: &[Request<Bytes>]) -> usize {
        let read = |request| open(key, request).map(|read| drop(std::hint::black_box(read)));
        requests.iter().filter_map(read).count()
    }

    fn open(key: &[u8; 32], request: &Request<Bytes>) -> Option<(Envelope, Text)> {
        let time = header(request, "x-lark-request-timestamp");
        let seconds: u64 = std::str::from_utf8(time).ok()?.parse().ok()?;
        if NOW.abs_diff(seconds) > 300 {
            return None;
        }
        let nonce = header(request, "x-lark-request-nonce");
        let mut hash = Sha256::new();
        for part in [time, nonce, super::KEY.as_bytes(), request.body()] {
            hash.update(part);
        }
        let mut claimed = [0; 32];
        hex::decode_to_slice(header(request, "x-lark-signature"), &mut claimed).ok()?;
        let digest: [u8; 32] = hash.finalize().into();
        if !bool::from(digest.ct_eq(&claimed)) {
            return None;
        }
        let sealed: Sealed<'_> = serde_json::from_slice(request.body()).ok()?;
        let mut bytes = STANDARD.decode(&*sealed.encrypt).ok()?;
        let (iv, sealed) = bytes.split_first_chunk_mut::<16>()?;
        let cipher = Decryptor::<Aes256>::new(key.into(), (&*iv).into());
        let plain = cipher.decrypt_padded::<Pkcs7>(sealed).ok()?;
        let read = read(plain)?;
        let token = read.0.header.token.as_bytes();
        bool::from(token.ct_eq(super::TOKEN.as_bytes())).then_some(read)
    }
}
