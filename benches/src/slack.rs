//! Slack: a signed request of the Events API to an event.

use bytes::Bytes;
use channel_core::Result;
use channel_slack::Slack;
use http::Request;

use crate::canned::Canned;
use crate::hooks::{self, BATCH, NOW, SECRET};

/// Messages in channels, as long as people write them, with the blocks that Slack adds.
#[must_use]
pub fn requests() -> Vec<Request<Bytes>> {
    (0..BATCH).map(request).collect()
}

fn request(n: usize) -> Request<Bytes> {
    let text = "The nightly import stopped half-way again: the log ends after the third file, and nothing was written to the table since. Can somebody with access to the machine look whether the disk is full before we start it anew?";
    let ts = format!("{NOW}.{n:06}");
    let body = format!(
        r#"{{"token":"unused0123456789","team_id":"T0123ABCDEF","context_team_id":"T0123ABCDEF","context_enterprise_id":null,"api_app_id":"A0123ABCDEF","event":{{"user":"U01AAAA{n:04}","type":"message","ts":"{ts}","client_msg_id":"7d1b7c52-7b1e-4f5e-9d3a-{n:012}","text":"{text}","team":"T0123ABCDEF","blocks":[{{"type":"rich_text","block_id":"b{n:04}","elements":[{{"type":"rich_text_section","elements":[{{"type":"text","text":"{text}"}}]}}]}}],"channel":"C01BBBB{n:04}","event_ts":"{ts}","channel_type":"channel"}},"type":"event_callback","event_id":"Ev{n:012}","event_time":{NOW},"authorizations":[{{"enterprise_id":null,"team_id":"T0123ABCDEF","user_id":"U0BOTBOT000","is_bot":true,"is_enterprise_install":false}}],"is_ext_shared_channel":false,"event_context":"4-eyJldCI6Im1lc3NhZ2UiLCJ0aWQiOiJUMDEyM0FCQ0RFRiJ9"}}"#
    );
    let now = NOW.to_string();
    let digest = hooks::signature(&[b"v0:", now.as_bytes(), b":", body.as_bytes()]);
    Request::post("/slack/events")
        .header("content-type", "application/json")
        .header("x-slack-request-timestamp", now)
        .header("x-slack-signature", format!("v0={}", hex::encode(digest)))
        .body(Bytes::from(body))
        .expect("the request is right")
}

/// A channel that takes them.
///
/// # Errors
///
/// If the settings are refused.
pub fn channel() -> Result<Slack> {
    Slack::builder()
        .bot_token("xoxb-1-bench")
        .signing_secret(SECRET)
        .api_base("http://127.0.0.1:3800")
        .transport(Canned::new(Vec::new(), Bytes::new()).transport())
        .build()
}

/// The floor: the signature, and serde into types that own what they say.
#[expect(dead_code, reason = "reading the fields is what is measured")]
pub mod floor {
    use bytes::Bytes;
    use hmac::{Hmac, Mac as _};
    use http::Request;
    use serde::Deserialize;
    use sha2::Sha256;

    use crate::hooks::{NOW, header};

    #[derive(Debug, Deserialize)]
    struct Envelope {
        team_id: String,
        api_app_id: String,
        r#type: String,
        event_id: String,
        event_time: u64,
        event: Message,
    }

    #[derive(Debug, Deserialize)]
    struct Message {
        r#type: String,
        user: Option<String>,
        bot_id: Option<String>,
        subtype: Option<String>,
        text: Option<String>,
        ts: String,
        thread_ts: Option<String>,
        channel: String,
        channel_type: Option<String>,
        client_msg_id: Option<String>,
    }

    /// Verifies and decodes; says how many were right.
    pub fn receive(keyed: &Hmac<Sha256>, requests: &[Request<Bytes>]) -> usize {
        let read = |request: &Request<Bytes>| {
            let time = header(request, "x-slack-request-timestamp");
            let seconds: u64 = std::str::from_utf8(time).ok()?.parse().ok()?;
            if NOW.abs_diff(seconds) > 300 {
                return None;
            }
            let mut claimed = [0; 32];
            let text = header(request, "x-slack-signature").strip_prefix(b"v0=")?;
            hex::decode_to_slice(text, &mut claimed).ok()?;
            let mut mac = keyed.clone();
            for part in [b"v0:", time, b":", request.body()] {
                mac.update(part);
            }
            mac.verify_slice(&claimed).ok()?;
            let envelope: Envelope = serde_json::from_slice(request.body()).ok()?;
            std::hint::black_box(envelope);
            Some(())
        };
        requests.iter().filter_map(read).count()
    }
}
