//! Input that means harm: nothing panics, nothing hangs, nothing answers 5xx.

use channel_core::Webhook as _;
use channel_testkit::SeededRandom;
use serde_json::{Value, json};

use crate::fake::{Fake, direct, envelope, mention, message, press};

fn samples() -> Vec<(&'static str, Value)> {
    let post = json!({"title": "t", "content": [[{"tag": "text", "text": "a", "style": ["bold"]},
        {"tag": "at", "user_id": "@_user_1"}, {"tag": "img", "image_key": "img_1"}]]});
    vec![
        ("im.message.receive_v1", direct("om_1", "hello")),
        ("im.message.receive_v1", mention("om_2", "hello")),
        (
            "im.message.receive_v1",
            message("om_3", "oc_2", "post", post),
        ),
        (
            "im.message.receive_v1",
            message(
                "om_4",
                "oc_2",
                "file",
                json!({"file_key": "f", "file_name": "n"}),
            ),
        ),
        (
            "card.action.trigger",
            press("c-1", "oc_1", "om_9", &json!({"kit": "x"})),
        ),
        (
            "im.message.recalled_v1",
            json!({"message_id": "om_1", "chat_id": "oc_1"}),
        ),
        (
            "im.message.reaction.created_v1",
            json!({"message_id": "om_1", "reaction_type": {"emoji_type": "OK"},
            "operator_type": "user", "user_id": {"open_id": "ou_1"}}),
        ),
        (
            "im.chat.member.bot.added_v1",
            json!({"chat_id": "oc_2", "name": "g"}),
        ),
        (
            "im.chat.member.user.added_v1",
            json!({"chat_id": "oc_2", "users": [{"name": "a", "user_id": {"open_id": "ou_1"}}]}),
        ),
    ]
}

/// Values that no field expects.
fn odd() -> Vec<Value> {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!("\u{feff}x"),
        json!("../../etc"),
        json!("a".repeat(100_000)),
        json!([]),
        json!({}),
        deep,
        json!("{\"text\":"),
        json!("[[[["),
        json!({"tag": {}}),
    ]
}

/// Every place in a value, one after the other, replaced.
fn spoiled(value: &Value, with: &Value, out: &mut Vec<Value>) {
    out.push(with.clone());
    match value {
        Value::Object(fields) => {
            for name in fields.keys() {
                let mut inner = Vec::new();
                spoiled(&fields[name], with, &mut inner);
                for one in inner {
                    let mut copy = value.clone();
                    copy[name] = one;
                    out.push(copy);
                }
                let mut copy = value.clone();
                copy.as_object_mut().unwrap().remove(name);
                out.push(copy);
            }
        }
        Value::Array(items) => {
            for index in 0..items.len() {
                let mut inner = Vec::new();
                spoiled(&items[index], with, &mut inner);
                for one in inner {
                    let mut copy = value.clone();
                    copy[index] = one;
                    out.push(copy);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_may_be_anything() {
    let fake = Fake::new();
    let channel = fake.channel();
    let mut tried = 0;
    for (kind, event) in samples() {
        for with in odd() {
            let mut all = Vec::new();
            spoiled(&event, &with, &mut all);
            for event in all {
                let text = envelope(tried, kind, event).to_string();
                let request = fake.signed("/feishu/events", &text);
                match channel.receive(&request, fake.now()) {
                    Ok(accepted) => assert!(!accepted.events.is_empty()),
                    Err(rejection) => assert!(rejection.status().as_u16() < 500),
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 2000, "{tried}");
}

#[test]
fn ten_thousand_mutations_of_each_sample_do_no_harm() {
    let fake = Fake::new();
    let channel = fake.channel();
    let random = SeededRandom::new(7);
    let pick = |below: usize| usize::try_from(random.next_u64() % below as u64).unwrap();
    for (kind, event) in samples() {
        let text = envelope(1, kind, event).to_string().into_bytes();
        for _ in 0..1200 {
            let mut bytes = text.clone();
            for _ in 0..=pick(4) {
                let at = pick(bytes.len());
                match pick(4) {
                    0 => bytes[at] ^= 1 << pick(8),
                    1 => drop(bytes.drain(at..(at + pick(8)).min(bytes.len()))),
                    2 => bytes.insert(at, b"{}[]\",:\\0"[pick(9)]),
                    _ => bytes.truncate(at.max(1)),
                }
                if bytes.is_empty() {
                    bytes.push(b'{');
                }
            }
            let clear = String::from_utf8_lossy(&bytes);
            let request = fake.signed("/feishu/events", &clear);
            if let Err(rejection) = channel.receive(&request, fake.now()) {
                assert!(rejection.status().as_u16() < 500);
            }
        }
    }
}

#[test]
fn bodies_over_the_bound_are_refused_unread() {
    let fake = Fake::new();
    let channel = fake.channel();
    let routes: Vec<_> = channel
        .routes()
        .iter()
        .map(|route| route.max_body)
        .collect();
    assert_eq!(routes, [256 << 10; 2]);
    for size in [(256 << 10) + 1, 1 << 22] {
        let request = http::Request::post("/feishu/events")
            .body(vec![b'x'; size].into())
            .unwrap();
        assert_eq!(
            channel
                .receive(&request, fake.now())
                .unwrap_err()
                .status()
                .as_u16(),
            413
        );
    }
}

#[test]
fn pain_38_nobody_gets_in_by_name() {
    // A display name is never an id: it comes from whoever chose it.
    let fake = Fake::new();
    let channel = fake.channel();
    let mut event = mention("om_1", "hi");
    event["message"]["mentions"][0]["name"] = json!("ou_admin");
    let request = fake.event(&envelope(1, "im.message.receive_v1", event));
    let accepted = channel.receive(&request, fake.now()).unwrap();
    let message = accepted.events[0].message().unwrap();
    assert_eq!(message.sender.account.sender.as_str(), "ou_1");
    assert!(message.sender.name.is_none());
}
