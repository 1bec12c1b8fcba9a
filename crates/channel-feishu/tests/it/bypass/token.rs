//! Ways around the verification token, where no key signs.

use channel_core::Webhook as _;
use channel_feishu::Mode;
use serde_json::{Value, json};

use super::{event, request};
use crate::fake::{APP, APP_SECRET, Fake, VERIFICATION};

#[test]
fn without_a_key_the_token_is_all_and_nothing_gets_around_it() {
    let fake = Fake::new();
    let builder = fake
        .builder()
        .mode(Mode::Webhook)
        .verification_token(VERIFICATION);
    let channel = builder.build().unwrap();
    let mut rows = 0;
    let mut refused = |token: Option<Value>, at: &str| {
        let mut event = event();
        event["header"].as_object_mut().unwrap().remove("token");
        if let Some(token) = token {
            match at {
                "header" => event["header"]["token"] = token,
                "event" => event["event"]["token"] = token,
                _ => event["token"] = token,
            }
        }
        let request = request(event.to_string(), &[]);
        let rejection = channel.receive(&request, fake.now()).unwrap_err();
        assert_eq!(rejection.status().as_u16(), 401);
        rows += 1;
    };
    refused(None, "header");
    for at in ["header", "top"] {
        for token in [
            json!(""),
            json!(" "),
            json!("vt-synthetic-0002"),
            json!("VT-SYNTHETIC-0001"),
            json!("vt-synthetic-000"),
            json!("vt-synthetic-00011"),
            json!(format!(" {VERIFICATION}")),
            json!(format!("{VERIFICATION}\n")),
            json!([VERIFICATION]),
            json!({"a": VERIFICATION}),
            json!(true),
            json!(0),
            Value::Null,
            json!(APP),
            json!(APP_SECRET),
        ] {
            refused(Some(token), at);
        }
    }
    refused(Some(json!(VERIFICATION)), "event");
    assert!(rows > 30);
    // A header with another token is not made up for by a good one beside it.
    let mut event = event();
    event["token"] = json!(VERIFICATION);
    event["header"]["token"] = json!("wrong");
    assert!(
        channel
            .receive(&request(event.to_string(), &[]), fake.now())
            .is_err()
    );
}
