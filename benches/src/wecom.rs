//! WeCom: an encrypted callback of a custom app to an event.

use bytes::Bytes;
use channel_core::{Result, Secret};
use channel_wechat_crypto::MessageCipher;
use channel_wecom::WecomApp;
use http::Request;

use crate::canned::Canned;
use crate::hooks::{self, BATCH, NOW};

const CORP: &str = "ww1234567890abcdef";
const TOKEN: &str = "benchtoken";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Text messages of members, encrypted and signed.
#[must_use]
pub fn requests() -> Vec<Request<Bytes>> {
    let cipher = MessageCipher::new(Secret::new(TOKEN), &Secret::new(KEY), CORP);
    let cipher = cipher.expect("the key is one");
    (0..BATCH).map(|n| request(&cipher, n)).collect()
}

fn request(cipher: &MessageCipher, n: usize) -> Request<Bytes> {
    let message = format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[user{n:05}]]></FromUserName><CreateTime>{NOW}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[Is the <big> room free at three & for how long? 三点的会议室有空吗？]]></Content><MsgId>{}</MsgId><AgentID>1000002</AgentID></xml>",
        7_000_000_000_000_000_000_usize + n
    );
    let nonce = (137_000_000 + n * 7919).to_string();
    let sealed = cipher
        .seal(
            message.as_bytes(),
            hooks::now(),
            &nonce,
            *b"0123456789abcdef",
        )
        .expect("the message is short");
    let body = format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{}]]></Encrypt><AgentID><![CDATA[1000002]]></AgentID></xml>",
        sealed.encrypt
    );
    let address = format!(
        "/wecom?msg_signature={}&timestamp={NOW}&nonce={nonce}",
        sealed.signature
    );
    Request::post(address)
        .header("content-type", "text/xml")
        .body(Bytes::from(body))
        .expect("the request is right")
}

/// A channel that takes them.
///
/// # Errors
///
/// If the settings are refused.
pub fn channel() -> Result<WecomApp> {
    WecomApp::builder()
        .corp_id(CORP)
        .corp_secret("bench")
        .agent_id(1_000_002)
        .callback(TOKEN, KEY)
        .transport(Canned::new(Vec::new(), Bytes::new()).transport())
        .build()
}

/// The floor: query, SHA-1, Base64, AES and an XML reader, each straight from its crate.
pub mod floor {
    use aes::Aes256;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use cbc::Decryptor;
    use cbc::cipher::block_padding::NoPadding;
    use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
    use http::Request;
    use quick_xml::Reader;
    use quick_xml::events::Event;
    use sha1::{Digest as _, Sha1};
    use subtle::ConstantTimeEq as _;

    use super::{CORP, TOKEN};

    /// The bytes of the key.
    #[must_use]
    pub fn key() -> [u8; 32] {
        let bytes = STANDARD.decode(format!("{}=", super::KEY));
        let bytes = bytes.expect("the key is Base64");
        bytes.try_into().expect("it holds 32 bytes")
    }

    #[derive(Debug, Default)]
    struct Inbound {
        to: String,
        from: String,
        kind: String,
        content: String,
        id: u64,
        created: u64,
        agent: String,
    }

    /// Verifies, decrypts and reads; says how many were right.
    pub fn receive(key: &[u8; 32], requests: &[Request<Bytes>]) -> usize {
        let read = |request| open(key, request).map(|read| drop(std::hint::black_box(read)));
        requests.iter().filter_map(read).count()
    }

    fn open(key: &[u8; 32], request: &Request<Bytes>) -> Option<Inbound> {
        let (mut claimed, mut time, mut nonce) = ("", "", "");
        for pair in request.uri().query()?.split('&') {
            match pair.split_once('=')? {
                ("msg_signature", value) => claimed = value,
                ("timestamp", value) => time = value,
                ("nonce", value) => nonce = value,
                _ => {}
            }
        }
        let encrypted = encrypted(std::str::from_utf8(request.body()).ok()?)?;
        let mut parts = [TOKEN, time, nonce, &encrypted];
        parts.sort_unstable();
        let mut hash = Sha1::new();
        parts.iter().for_each(|part| hash.update(part));
        let mut wanted = [0; 20];
        hex::decode_to_slice(claimed, &mut wanted).ok()?;
        let digest: [u8; 20] = hash.finalize().into();
        if !bool::from(digest.ct_eq(&wanted)) {
            return None;
        }
        let mut bytes = STANDARD.decode(&encrypted).ok()?;
        let plain = Decryptor::<Aes256>::new_from_slices(key, key.get(..16)?)
            .ok()?
            .decrypt_padded::<NoPadding>(&mut bytes)
            .ok()?;
        let pad = usize::from(*plain.last()?);
        if !(1..=32).contains(&pad) {
            return None;
        }
        let plain = plain.get(..plain.len().checked_sub(pad)?)?;
        let length = u32::from_be_bytes(plain.get(16..20)?.try_into().ok()?);
        let end = usize::try_from(length).ok()?.checked_add(20)?;
        if plain.get(end..)? != CORP.as_bytes() {
            return None;
        }
        inner(std::str::from_utf8(plain.get(20..end)?).ok()?)
    }

    fn encrypted(body: &str) -> Option<String> {
        let mut reader = Reader::from_str(body);
        let mut inside = false;
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => inside = start.name().as_ref() == "Encrypt",
                Event::CData(text) if inside => return Some(text.into_inner().into_owned()),
                Event::Eof => return None,
                _ => {}
            }
        }
    }

    fn inner(text: &str) -> Option<Inbound> {
        let mut reader = Reader::from_str(text);
        let mut inbound = Inbound::default();
        let mut field = 0;
        loop {
            let text = match reader.read_event().ok()? {
                Event::Start(start) => {
                    let name = start.name();
                    let name: &str = name.as_ref();
                    field = match name {
                        "ToUserName" => 1,
                        "FromUserName" => 2,
                        "MsgType" => 3,
                        "Content" => 4,
                        "MsgId" => 5,
                        "CreateTime" => 6,
                        "AgentID" => 7,
                        _ => 0,
                    };
                    continue;
                }
                Event::CData(text) => text.into_inner().into_owned(),
                Event::Text(text) => text.xml10_content().into_owned(),
                Event::Eof => return Some(inbound),
                _ => continue,
            };
            match field {
                1 => inbound.to = text,
                2 => inbound.from = text,
                3 => inbound.kind = text,
                4 => inbound.content = text,
                5 => inbound.id = text.parse().ok()?,
                6 => inbound.created = text.parse().ok()?,
                7 => inbound.agent = text,
                _ => {}
            }
            field = 0;
        }
    }
}
