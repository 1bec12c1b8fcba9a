//! What Feishu says, as it is written, signed and sealed.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use http::Request;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{ADA, APP, BOT, DIRECT, GROUP, VERIFICATION};

/// Seals a text as Feishu does.
pub(crate) fn seal(key: &str, clear: &str) -> String {
    let iv: [u8; 16] = std::array::from_fn(|n| u8::try_from(n).unwrap());
    let key: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let cipher = cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into());
    let sealed = cipher.encrypt_padded_vec::<Pkcs7>(clear.as_bytes());
    STANDARD.encode([&iv[..], &sealed].concat())
}

/// The signature of a body.
pub(crate) fn signature(timestamp: &str, nonce: &str, key: &str, body: &[u8]) -> String {
    let text = [timestamp.as_bytes(), nonce.as_bytes(), key.as_bytes(), body].concat();
    hex::encode(Sha256::digest(text))
}

pub(crate) fn signed_at(path: &str, body: Bytes, timestamp: &str, key: &str) -> Request<Bytes> {
    let signature = signature(timestamp, "nonce0001", key, &body);
    Request::post(path)
        .header("content-type", "application/json")
        .header("x-lark-request-timestamp", timestamp)
        .header("x-lark-request-nonce", "nonce0001")
        .header("x-lark-signature", signature)
        .body(body)
        .unwrap()
}

/// An event as it is delivered.
pub(crate) fn envelope(id: u64, kind: &str, event: Value) -> Value {
    json!({"schema": "2.0", "header": {"event_id": format!("ev{id}"), "event_type": kind,
        "create_time": "1767225600000", "token": VERIFICATION, "app_id": APP, "tenant_key": "tk0001"},
        "event": event})
}

/// A message of Ada's.
pub(crate) fn message(id: &str, chat: &str, kind: &str, content: Value) -> Value {
    let chat_type = if chat == DIRECT { "p2p" } else { "group" };
    json!({"sender": {"sender_id": {"union_id": "on_1", "user_id": "u1", "open_id": ADA},
            "sender_type": "user", "tenant_key": "tk0001"},
        "message": {"message_id": id, "create_time": "1767225600000", "update_time": "1767225600000",
            "chat_id": chat, "chat_type": chat_type, "message_type": kind, "content": content.to_string()}})
}

/// A text of Ada's in the direct chat.
pub(crate) fn direct(id: &str, text: &str) -> Value {
    message(id, DIRECT, "text", json!({ "text": text }))
}

/// A text of Ada's in a group that mentions the bot.
pub(crate) fn mention(id: &str, text: &str) -> Value {
    let mut message = message(
        id,
        GROUP,
        "text",
        json!({"text": format!("@_user_1 {text}")}),
    );
    message["message"]["mentions"] = json!([{"key": "@_user_1",
        "id": {"open_id": BOT, "union_id": "on_b", "user_id": ""}, "name": "kit",
        "tenant_key": "tk0001", "mentioned_type": "bot"}]);
    message
}

/// A press of a button of a message.
pub(crate) fn press(token: &str, chat: &str, message: &str, value: &Value) -> Value {
    json!({"operator": {"tenant_key": "tk0001", "open_id": ADA, "union_id": "on_1"}, "token": token,
        "action": {"tag": "button", "value": value, "timezone": "Asia/Shanghai", "form_value": {},
            "input_value": "", "option": "", "options": [], "checked": false},
        "host": "im_message", "context": {"open_message_id": message, "open_chat_id": chat}})
}
