//! The cipher and the signature of webhooks, and the wire form of the long connection.
//!
//! <https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/encrypt-key-encryption-configuration-case>

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use sha2::{Digest as _, Sha256};

/// Encrypts a body: base64 of the initial vector and AES-256-CBC under the SHA-256 of the key.
pub(crate) fn encrypt(key: &str, iv: [u8; 16], plain: &[u8]) -> String {
    let key = Sha256::digest(key.as_bytes());
    let mut sealed = iv.to_vec();
    sealed.extend(Encryptor::<Aes256>::new(&key, &iv.into()).encrypt_padded_vec::<Pkcs7>(plain));
    STANDARD.encode(sealed)
}

/// `X-Lark-Signature`: hex of the SHA-256 over timestamp, nonce, key and raw body.
pub(crate) fn sign(timestamp: &str, nonce: &str, key: &str, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    for part in [timestamp.as_bytes(), nonce.as_bytes(), key.as_bytes(), body] {
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

/// A frame of the long connection (proto2; the first four fields are written even when they are zero).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Frame {
    #[prost(uint64, required, tag = "1")]
    pub(crate) seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    pub(crate) log_id: u64,
    #[prost(int32, required, tag = "3")]
    pub(crate) service: i32,
    /// 0 is control, 1 data.
    #[prost(int32, required, tag = "4")]
    pub(crate) method: i32,
    #[prost(message, repeated, tag = "5")]
    pub(crate) headers: Vec<Header>,
    #[prost(string, optional, tag = "6")]
    pub(crate) payload_encoding: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(crate) payload_type: Option<String>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub(crate) payload: Option<Vec<u8>>,
    #[prost(string, optional, tag = "9")]
    pub(crate) log_id_new: Option<String>,
}

/// A header of a frame.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Header {
    #[prost(string, required, tag = "1")]
    pub(crate) key: String,
    #[prost(string, required, tag = "2")]
    pub(crate) value: String,
}

impl Frame {
    /// Of `type` pong, with the settings of the client.
    pub(crate) fn pong(service: i32, payload: Vec<u8>) -> Self {
        Self::new(0, service, &[("type", "pong")], payload)
    }

    /// A frame with these headers.
    pub(crate) fn new(
        method: i32,
        service: i32,
        headers: &[(&str, &str)],
        payload: Vec<u8>,
    ) -> Self {
        let headers = headers.iter().map(|(key, value)| Header {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        });
        Self {
            seq_id: 0,
            log_id: 0,
            service,
            method,
            headers: headers.collect(),
            payload_encoding: None,
            payload_type: None,
            payload: Some(payload),
            log_id_new: None,
        }
    }

    /// The value of a header.
    pub(crate) fn header(&self, key: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.key == key)?;
        Some(&header.value)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    const KEY: &str = "ek-0123456789abcdef";
    const SEALED: &str = "AAECAwQFBgcICQoLDA0OD6oRSW79wpcl20n/nx/Wym4R2q6uEcM8jpZr6KJ6Unt7U/PutRMvfFOtES9FvYabyZ5RoaqukQBBmip+8YTJCQBqaS7aaM7jkln3jfEdWEHiX1oCBrvq5lfFhLHJyWc5Yw==";

    /// Made by lark-oapi 1.7.5 and @larksuiteoapi/node-sdk 1.74.0, which agree.
    #[test]
    fn encrypts_and_signs_as_the_official_sdks_do() {
        let plain =
            br#"{"challenge":"c0ffee-0001","token":"vt-synthetic-0001","type":"url_verification"}"#;
        let iv = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(encrypt(KEY, iv, plain), SEALED);
        let body = format!(r#"{{"encrypt":"{SEALED}"}}"#);
        assert_eq!(
            sign("1700000000", "nonce0001", KEY, body.as_bytes()),
            "8d1f3559c79769b9054c58ece629d32ac0c11b516d7762abde0a82c06a40c595"
        );
        assert_eq!(
            sign("1700000000", "nonce0001", KEY, br#"{"hello":"world"}"#),
            "72e6915c2e9f132c58e9194e80351325b77b60f29ef30987c296166a4380de13"
        );
    }

    /// Caught from the official SDKs.
    #[test]
    fn frames_are_those_of_the_official_sdks() {
        let ping = hex::decode("08001000180720002a0c0a0474797065120470696e67").unwrap();
        let frame = Frame::decode(ping.as_slice()).unwrap();
        assert_eq!((frame.service, frame.header("type")), (7, Some("ping")));
        let config = br#"{"ReconnectCount":-1,"ReconnectInterval":120,"ReconnectNonce":30,"PingInterval":90}"#;
        assert_eq!(
            hex::encode(Frame::pong(7, config.to_vec()).encode_to_vec()),
            "08001000180720002a0c0a04747970651204706f6e6742537b225265636f6e6e656374436f756e74223a2d312c225265636f6e6e656374496e74657276616c223a3132302c225265636f6e6e6563744e6f6e6365223a33302c2250696e67496e74657276616c223a39307d"
        );
    }
}
