//! The platform's side of a callback address.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Accepted, Answer, Clock as _, Event, Rejection, Secret, Webhook};
use channel_testkit::VirtualClock;
use channel_wechat_crypto::{CallbackQuery, MessageCipher, Sealed, write_envelope};
use http::{Method, Request};

pub(crate) const TOKEN: &str = "syntheticTOKEN1canary";
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
pub(crate) const CORP: &str = "wwcorp00000000001";
pub(crate) const NONCE: &str = "1372623149";

/// How a request is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrap {
    Xml,
    Json,
}

/// A callback address as the platform knows it.
#[derive(Clone)]
pub(crate) struct Platform {
    pub(crate) cipher: MessageCipher,
    pub(crate) path: &'static str,
    pub(crate) wrap: Wrap,
    pub(crate) clock: VirtualClock,
}

impl Platform {
    pub(crate) fn new(clock: VirtualClock, path: &'static str, wrap: Wrap, receiver: &str) -> Self {
        Self {
            cipher: MessageCipher::new(Secret::new(TOKEN), &Secret::new(KEY), receiver).unwrap(),
            path,
            wrap,
            clock,
        }
    }

    pub(crate) fn seal(&self, plain: &str) -> Sealed {
        let now = self.clock.now();
        self.cipher
            .seal(plain.as_bytes(), now, NONCE, *b"0123456789abcdef")
            .unwrap()
    }

    /// A message as the platform posts it.
    pub(crate) fn request(&self, plain: &str) -> Request<Bytes> {
        let sealed = self.seal(plain);
        let query = query(&sealed);
        let body = match self.wrap {
            Wrap::Xml => write_envelope(&sealed),
            Wrap::Json => format!(r#"{{"encrypt":"{}"}}"#, sealed.encrypt),
        };
        Request::builder()
            .method(Method::POST)
            .uri(format!("{}?{query}", self.path))
            .body(Bytes::from(body))
            .unwrap()
    }

    /// The look at who serves the address.
    pub(crate) fn challenge(&self, echo: &str) -> Request<Bytes> {
        let sealed = self.seal(echo);
        let escaped = sealed
            .encrypt
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        let query = query(&sealed);
        Request::get(format!("{}?{query}&echostr={escaped}", self.path))
            .body(Bytes::new())
            .unwrap()
    }

    pub(crate) fn deliver(
        &self,
        webhook: &dyn Webhook,
        plain: &str,
    ) -> Result<Accepted, Rejection> {
        webhook.receive(&self.request(plain), self.clock.now())
    }

    /// The event of a message that is let in.
    pub(crate) fn event(&self, webhook: &dyn Webhook, plain: &str) -> Event {
        let mut accepted = self.deliver(webhook, plain).unwrap();
        assert_eq!(accepted.events.len(), 1, "{plain}");
        accepted.events.remove(0)
    }

    /// Reads an encrypted answer.
    pub(crate) fn open_answer(&self, body: &[u8]) -> serde_json::Value {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap();
        let query = format!(
            "msg_signature={}&timestamp={}&nonce={}",
            json["msgsignature"].as_str().unwrap(),
            json["timestamp"].as_u64().unwrap(),
            json["nonce"].as_str().unwrap()
        );
        assert_eq!(json["nonce"], NONCE);
        let query = CallbackQuery::parse(&query).unwrap();
        let encrypt = json["encrypt"].as_str().unwrap();
        let plain = self.cipher.open(&query, encrypt, self.clock.now()).unwrap();
        serde_json::from_slice(&plain).unwrap()
    }
}

fn query(sealed: &Sealed) -> String {
    format!(
        "msg_signature={}&timestamp={}&nonce={}",
        sealed.signature, sealed.timestamp, sealed.nonce
    )
}

pub(crate) fn now(accepted: &Accepted) -> &http::Response<Bytes> {
    match &accepted.answer {
        Answer::Now(response) => response,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn seconds(clock: &VirtualClock) -> u64 {
    let now: SystemTime = clock.now();
    now.duration_since(UNIX_EPOCH).unwrap().as_secs()
}
