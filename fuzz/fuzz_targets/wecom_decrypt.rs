//! Whatever is posted to WeCom's callbacks, sealed well, sealed badly or not at all, is an event or a refusal.

#![no_main]

mod world;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use channel_core::{
    Accepted, Channel, InboundMessage as _, Rejection, Secret,
};
use channel_wechat_crypto::{AesKey, MessageCipher};
use channel_wecom::{WecomAibot, WecomApp, WecomBot, WecomMessage};
use futures_util::FutureExt as _;
use http::Request;
use libfuzzer_sys::fuzz_target;
use sha1::{Digest as _, Sha1};

use world::{World, transport};

const TOKEN: &str = "syntheticTOKEN1";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const CORP: &str = "wwcorp00000000001";
const NONCE: &str = "1372623149";
/// When every request is signed, and comes.
const SECONDS: u64 = 1_760_000_000;

fuzz_target!(|data: &[u8]| {
    for product in [Product::App, Product::Bot, Product::Aibot] {
        let channel = product.channel();
        // As it is: nobody has the token, so nobody gets in.
        let _ = post(&channel, product, "msg_signature=0&timestamp=1760000000&nonce=1", data);
        if let Ok(query) = std::str::from_utf8(data)
            && query.len() < 8000
            && query.bytes().all(|byte| byte.is_ascii_graphic())
        {
            assert!(post(&channel, product, query, b"").is_err());
        }
        // Any plain text behind the right key and signature.
        let key = AesKey::from_encoding_aes_key(&Secret::new(KEY)).expect("the key is right");
        if let Some(sealed) = key.seal_file(data) {
            let encrypt = STANDARD.encode(sealed);
            if let Ok(accepted) = deliver(&channel, product, encrypt) {
                look(&channel, &accepted);
            }
        }
        // Any message, sealed as the platform does it.
        let cipher = MessageCipher::new(Secret::new(TOKEN), &Secret::new(KEY), product.receiver());
        let cipher = cipher.expect("the key is right");
        if let Ok(sealed) = cipher.seal(data, now(), NONCE, [7; 16]) {
            // Sealed well, it may still be meant for another app.
            if let Ok(accepted) = deliver(&channel, product, sealed.encrypt) {
                look(&channel, &accepted);
            }
        }
    }
});

#[derive(Clone, Copy)]
enum Product {
    App,
    Bot,
    Aibot,
}

impl Product {
    const fn receiver(self) -> &'static str {
        match self {
            Self::App => CORP,
            Self::Bot | Self::Aibot => "",
        }
    }

    fn channel(self) -> Arc<dyn Channel> {
        let world = Arc::new(World::default());
        let transport = transport(&world);
        match self {
            Self::App => {
                let builder = WecomApp::builder().corp_id(CORP).corp_secret("secret").agent_id(1);
                let channel = builder.callback(TOKEN, KEY).transport(transport).build();
                Arc::new(channel.expect("the settings are right"))
            }
            Self::Bot => {
                let builder = WecomBot::builder().callback(TOKEN, KEY).transport(transport);
                Arc::new(builder.build().expect("the settings are right"))
            }
            Self::Aibot => {
                let builder = WecomAibot::builder().callback(TOKEN, KEY).transport(transport);
                Arc::new(builder.build().expect("the settings are right"))
            }
        }
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(SECONDS)
}

/// Posts a ciphertext with the right signature.
fn deliver(
    channel: &Arc<dyn Channel>,
    product: Product,
    encrypt: String,
) -> Result<Accepted, Rejection> {
    let seconds = SECONDS.to_string();
    let mut parts = [TOKEN, &seconds, NONCE, &encrypt];
    parts.sort_unstable();
    let signature: String = Sha1::digest(parts.concat())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let query = format!("msg_signature={signature}&timestamp={seconds}&nonce={NONCE}");
    let body = match product {
        Product::Aibot => format!("{{\"encrypt\":\"{encrypt}\"}}"),
        Product::App | Product::Bot => format!("<xml><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"),
    };
    post(channel, product, &query, body.as_bytes())
}

fn post(
    channel: &Arc<dyn Channel>,
    product: Product,
    query: &str,
    body: &[u8],
) -> Result<Accepted, Rejection> {
    let path = match product {
        Product::App => "/webhook/wecom-app",
        Product::Bot => "/webhook/wecom",
        Product::Aibot => "/webhook/wecom-aibot",
    };
    let Ok(request) = Request::post(format!("{path}?{query}"))
        .header("content-type", "text/xml")
        .body(Bytes::copy_from_slice(body))
    else {
        return Err(Rejection::malformed("no request"));
    };
    let webhook = channel.as_webhook().expect("it has a callback");
    webhook.receive(&request, now())
}

/// Asks an event everything that can be asked, and answers it.
fn look(channel: &Arc<dyn Channel>, accepted: &Accepted) {
    for event in &accepted.events {
        let _ = (event.name(), event.sender(), event.conversation());
        let Some(message) = event.message() else {
            continue;
        };
        let _ = (message.content(), message.command(), message.attachments());
        if let Ok(native) = message.native::<WecomMessage>() {
            let _ = (native.content(), native.attachments());
        }
        let _ = channel.send(&message.reply(message.text.as_str())).now_or_never();
    }
}
