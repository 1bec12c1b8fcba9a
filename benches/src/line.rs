//! LINE: a signed webhook to its events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use channel_core::Result;
use channel_line::Line;
use http::Request;

use crate::canned::Canned;
use crate::hooks::{self, BATCH, NOW, SECRET};

/// Text messages of people, one in each request.
#[must_use]
pub fn requests() -> Vec<Request<Bytes>> {
    (0..BATCH).map(request).collect()
}

fn request(n: usize) -> Request<Bytes> {
    let body = format!(
        r#"{{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[{{"type":"message","message":{{"type":"text","id":"{}","quoteToken":"q3Plxr4AgKd7Zz{n:012}","text":"Is the shop open on Monday, or is it closed because of the holiday? I would come by in the morning, number {n}."}},"webhookEventId":"01HZZZZZZZZZZZ{n:012}","deliveryContext":{{"isRedelivery":false}},"timestamp":{NOW}123,"source":{{"type":"user","userId":"U00000000000000000000000000{n:06}"}},"replyToken":"38ef843bde154d9b91c2{n:012}","mode":"active"}}]}}"#,
        100_000_000_000_000_usize + n
    );
    let digest = hooks::signature(&[body.as_bytes()]);
    Request::post("/line")
        .header("content-type", "application/json; charset=utf-8")
        .header("x-line-signature", STANDARD.encode(digest))
        .body(Bytes::from(body))
        .expect("the request is right")
}

/// A channel that takes them.
///
/// # Errors
///
/// If the settings are refused.
pub fn channel() -> Result<Line> {
    Line::builder()
        .channel_secret(SECRET)
        .channel_access_token("bench")
        .webhook_path("/line")
        .transport(Canned::new(Vec::new(), Bytes::new()).transport())
        .build()
}

/// The floor: the signature, and serde into types that own what they say.
#[expect(dead_code, reason = "reading the fields is what is measured")]
pub mod floor {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use hmac::{Hmac, Mac as _};
    use http::Request;
    use serde::Deserialize;
    use sha2::Sha256;

    use crate::hooks::header;

    #[derive(Debug, Deserialize)]
    struct Callback {
        destination: String,
        events: Vec<Event>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        r#type: String,
        webhook_event_id: String,
        timestamp: u64,
        reply_token: Option<String>,
        mode: String,
        source: Source,
        message: Option<Message>,
        delivery_context: Delivery,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Delivery {
        is_redelivery: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Source {
        r#type: String,
        user_id: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        r#type: String,
        id: String,
        quote_token: Option<String>,
        text: Option<String>,
    }

    /// Verifies and decodes; says how many were right.
    pub fn receive(keyed: &Hmac<Sha256>, requests: &[Request<Bytes>]) -> usize {
        let read = |request: &Request<Bytes>| {
            let mut claimed = [0; 36];
            let text = header(request, "x-line-signature");
            let length = STANDARD.decode_slice(text, &mut claimed).ok()?;
            let mut mac = keyed.clone();
            mac.update(request.body());
            mac.verify_slice(claimed.get(..length)?).ok()?;
            let callback: Callback = serde_json::from_slice(request.body()).ok()?;
            std::hint::black_box(callback);
            Some(())
        };
        requests.iter().filter_map(read).count()
    }
}
