//! Known signatures: made by line-bot-sdk 3.27 (Python) and @line/bot-sdk 11 (Node), which
//! agree, or taken from the tests of the official SDKs.

use channel_core::{Rejection, Webhook as _};
use channel_line::Line;
use http::Request;

use crate::fake::{Fake, SECRET, TOKEN};

const L1: &str = r#"{"destination":"U00000000000000000000000000000000","events":[]}"#;
const L1_SIGNATURE: &str = "pvGd9kuTX8/AJ1a4UOE87rTOMMy+OCBUYFVmGKwSDxI=";
const L2: &str = r#"{"destination":"U00000000000000000000000000000000","events":[{"type":"message","mode":"active","timestamp":1760000000000,"source":{"type":"user","userId":"U11111111111111111111111111111111"},"webhookEventId":"01K70000000000000000000000","deliveryContext":{"isRedelivery":false},"replyToken":"00000000000000000000000000000001","message":{"id":"530000000000000001","type":"text","quoteToken":"qt-1","text":"hi 你好 🍎"}}]}"#;
const L2_SIGNATURE: &str = "8oFv7ecNADh2wJKr1AEEgEZnZ3r7t5hgZvXz9HFl4V0=";
const L3_SIGNATURE: &str = "L7tjh8LT8iPymTKHJanqmOxd6h2IIzdTiYlktmbZLqM=";

fn l3() -> String {
    L2.replace("hi 你好 🍎", r"hi \u4f60\u597d \ud83c\udf4e")
}

fn channel(secret: &str) -> Line {
    let fake = Fake::new();
    let builder = fake.builder().channel_secret(secret).max_age_seconds(0);
    builder.channel_access_token(TOKEN).build().unwrap()
}

fn receive(secret: &str, body: &str, signature: Option<&str>) -> Result<Vec<String>, Rejection> {
    let mut request = Request::post("/line/webhook");
    if let Some(signature) = signature {
        request = request.header("X-Line-Signature", signature);
    }
    let request = request.body(body.to_owned().into()).unwrap();
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_760_000_001);
    let accepted = channel(secret).receive(&request, now)?;
    let texts = accepted.events.iter().filter_map(|event| event.message());
    Ok(texts.map(|message| message.text.clone()).collect())
}

#[test]
fn accepts_what_the_official_sdks_sign() {
    assert_eq!(L1.len(), 63);
    assert_eq!(L2.len(), 424);
    assert_eq!(l3().len(), 438);
    let good = [
        (L1, L1_SIGNATURE, 0),
        (L2, L2_SIGNATURE, 1),
        (&l3(), L3_SIGNATURE, 1),
    ];
    for (body, signature, events) in good {
        let texts = receive(SECRET, body, Some(signature)).unwrap();
        assert_eq!(texts, vec!["hi 你好 🍎"; events]);
    }
}

#[test]
fn refuses_what_was_signed_for_other_bytes() {
    let refused = [
        (format!("{L2} "), L2_SIGNATURE),
        (l3(), L2_SIGNATURE),
        (L2.to_owned(), L3_SIGNATURE),
        (
            L1.to_owned(),
            "qvGd9kuTX8/AJ1a4UOE87rTOMMy+OCBUYFVmGKwSDxI=",
        ),
    ];
    for (body, signature) in refused {
        let rejection = receive(SECRET, &body, Some(signature)).unwrap_err();
        assert_eq!(rejection.status().as_u16(), 401);
    }
}

#[test]
fn refuses_other_spellings_of_the_right_bytes() {
    // The Node SDK compares decoded bytes and takes these; the Python SDK does not.
    for signature in [
        "pvGd9kuTX8/AJ1a4UOE87rTOMMy+OCBUYFVmGKwSDxJ=",
        "pvGd9kuTX8/AJ1a4UOE87rTOMMy+OCBUYFVmGKwSDxI",
        "pvGd9kuTX8_AJ1a4UOE87rTOMMy-OCBUYFVmGKwSDxI=",
    ] {
        assert!(receive(SECRET, L1, Some(signature)).is_err(), "{signature}");
    }
    for missing in [None, Some(""), Some("not base64 at all")] {
        let rejection = receive(SECRET, L1, missing).unwrap_err();
        assert_eq!(rejection.status().as_u16(), 401);
    }
}

#[test]
fn agrees_with_the_tests_of_the_official_sdks() {
    // line-bot-sdk-java, LineSignatureValidatorTest: `{}` lacks events, so a right signature
    // shows in another refusal than a wrong one.
    let java = "3q8QXTAGaey18yL8FWTqdVlbMr6hcuNvM4tefa0o9nA=";
    let status = |body: &str, secret: &str, signature: &str| {
        receive(secret, body, Some(signature))
            .unwrap_err()
            .status()
            .as_u16()
    };
    assert_eq!(status("{}", "SECRET", java), 400);
    assert_eq!(status("{}", "SECRET", "596359635963"), 401);
    // line-bot-sdk-python, tests/test_signature.py.
    let python = "/gg9a+LvFevTH1sd7XCQycD7tsWclCsInj7MhBHxN7k=";
    assert_eq!(status("bodybodybodybody", "channel_secret", python), 400);
    assert_eq!(
        status("bodybodybodybody", "channel_secret", "invalid_signature"),
        401
    );
}
