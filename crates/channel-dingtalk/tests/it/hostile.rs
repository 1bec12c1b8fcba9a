//! Input that means harm: nothing panics, nothing hangs, nothing answers 5xx.

use channel_core::{InboundMessage as _, Webhook as _};
use channel_dingtalk::DingTalkMessage;
use channel_testkit::SeededRandom;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::fake::{Fake, MESSAGES, PRESSES, direct, frame, mention, message, press, with_session};
use crate::socket::{latest, next, ready_with, settle};

fn samples() -> Vec<(&'static str, Value)> {
    let rich = json!({"richText": [{"text": "a"}, {"type": "picture", "downloadCode": "dc1"},
        {"type": "at", "atName": "n", "atUserId": "staff2"}]});
    let mut reply = direct("msg2", " again");
    reply["originalMsgId"] = json!("msg0");
    reply["originalProcessQueryKey"] = json!("pqk0");
    reply["text"]["isReplyMsg"] = json!(true);
    reply["text"]["repliedMsg"] = json!({"msgType": "text", "msgId": "msg0",
        "senderId": "$:LWCP_v1:$u2", "createdAt": 1, "content": {"text": "old"}});
    let mut quote = direct("msg3", "older");
    quote["quoteMessage"] = json!({"msgId": "msg0", "msgtype": "text", "senderNick": "n"});
    let file = json!({"downloadCode": "dc1", "fileName": "a.pdf", "fileId": "1", "spaceId": "2"});
    let record = json!({"title": "t", "summary": "s", "chatRecord": "[]"});
    vec![
        (
            MESSAGES,
            with_session(direct("msg1", "hello"), "direct", 1_767_231_000_000),
        ),
        (
            MESSAGES,
            with_session(mention("msg4", "hello"), "group", 1_767_231_000_000),
        ),
        (MESSAGES, reply),
        (MESSAGES, quote),
        (MESSAGES, message("msg5", "richText", rich)),
        (MESSAGES, message("msg6", "file", file)),
        (
            MESSAGES,
            message(
                "msg7",
                "audio",
                json!({"downloadCode": "dc1", "duration": 3000, "recognition": "hi"}),
            ),
        ),
        (MESSAGES, message("msg8", "chatRecord", record)),
        (PRESSES, press("track1", Some("cid2"), "yes")),
        (PRESSES, press("track1", None, "yes")),
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
        json!("{\"cardPrivateData\":{\"actionIds\":[5]}}"),
        json!("[[[["),
        json!({"richText": {}}),
        json!("$:LWCP_v1:$bot"),
        json!("https://oapi.dingtalk.com@evil.example/"),
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
fn every_field_of_a_request_may_be_anything() {
    let fake = Fake::new();
    let channel = fake.channel();
    let mut tried = 0;
    for (_, sample) in samples() {
        for with in odd() {
            let mut all = Vec::new();
            spoiled(&sample, &with, &mut all);
            for message in all {
                match channel.receive(&fake.request(&message), fake.now()) {
                    Ok(accepted) => assert_eq!(accepted.events.len(), 1),
                    Err(rejection) => assert_eq!(rejection.status().as_u16(), 400),
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 2000, "{tried}");
}

#[test]
fn every_field_of_a_frame_may_be_anything() {
    let mut read = 0;
    let mut tried = 0;
    for (topic, sample) in samples() {
        for with in odd() {
            let mut all = Vec::new();
            spoiled(&sample, &with, &mut all);
            let mut frames: Vec<_> = all
                .into_iter()
                .map(|payload| frame("CALLBACK", topic, "m1", &payload))
                .collect();
            spoiled(&frame("CALLBACK", topic, "m1", &sample), &with, &mut frames);
            for frame in frames {
                let text = frame.to_string();
                tried += 1;
                read += usize::from(channel_dingtalk::fuzz::frame(text.as_bytes()).is_some());
                if let Some(answer) = channel_dingtalk::fuzz::answered(text.as_bytes()) {
                    let answer: Value = serde_json::from_str(&answer).unwrap();
                    assert_eq!(
                        answer["headers"]["messageId"],
                        frame["headers"]["messageId"]
                    );
                }
            }
        }
    }
    assert!(tried > 2000 && read > tried / 10, "{read} of {tried}");
}

#[test]
fn ten_thousand_mutations_of_each_sample_do_no_harm() {
    let fake = Fake::new();
    let channel = fake.channel();
    let random = SeededRandom::new(7);
    let pick = |below: usize| usize::try_from(random.next_u64() % below as u64).unwrap();
    for (topic, sample) in samples() {
        let inner = sample.to_string().into_bytes();
        let outer = frame("CALLBACK", topic, "m1", &sample)
            .to_string()
            .into_bytes();
        for round in 0..10_000 {
            let mut bytes = if round % 2 == 0 {
                inner.clone()
            } else {
                outer.clone()
            };
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
            let event = channel_dingtalk::fuzz::frame(&bytes);
            if let Some(message) = event.as_ref().and_then(|event| event.message()) {
                let native: DingTalkMessage = message.native().unwrap();
                assert_eq!(native.id(), message.id);
                assert_eq!(native.account(), message.sender.account);
            }
            let _ = channel_dingtalk::fuzz::answered(&bytes);
            let millis = fake.millis().to_string();
            let request = crate::fake::signed_at(bytes.into(), &millis, crate::fake::SECRET);
            if let Err(rejection) = channel.receive(&request, fake.now()) {
                assert!(rejection.status().as_u16() < 500);
            }
        }
    }
}

/// Bodies that nobody should send, as requests and as frames.
fn bodies() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "[{}]",
        "{}",
        "null",
        "true",
        "0",
        "-1e999",
        "\"",
        "\u{feff}{}",
        "{\"msgId\":1e400}",
        "{\"msgId\":\"\\ud800\"}",
        "{\"msgId\":\"a\",\"msgId\":\"b\"}",
        "{\"\":{\"\":{}}}",
        "<xml/>",
        "<!DOCTYPE a>",
        "a=b&c=%zz",
        "payload=%7B",
        "\u{0}",
        "{\"data\":\"{\"}",
        "{\"data\":null}",
        "{\"type\":\"SYSTEM\"}",
        "{\"type\":\"SYSTEM\",\"headers\":{\"topic\":\"ping\"}}",
        "{\"type\":\"SYSTEM\",\"headers\":{\"topic\":\"disconnect\"}}",
        "{\"type\":\"CALLBACK\",\"headers\":{\"topic\":\"/v1.0/im/bot/messages/get\"}}",
        "{\"type\":\"EVENT\",\"headers\":{\"eventId\":\"\"}}",
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    all.push(b"\xff\xfe\x00{".to_vec());
    all.push(b"[".repeat(100_000));
    all.push(b"{\"a\":".repeat(100_000));
    all.push(b"{\"data\":".repeat(100_000));
    all.push(vec![b'9'; 100_000]);
    all
}

#[test]
fn odd_bodies_are_refused() {
    let fake = Fake::new();
    let channel = fake.channel();
    let millis = fake.millis().to_string();
    for body in bodies() {
        let request = crate::fake::signed_at(body.clone().into(), &millis, crate::fake::SECRET);
        let verdict = channel.receive(&request, fake.now());
        match verdict {
            Ok(accepted) => assert_eq!(accepted.events[0].name(), "unknown"),
            Err(rejection) => assert!(matches!(rejection.status().as_u16(), 400 | 413)),
        }
        let _ = channel_dingtalk::fuzz::frame(&body);
    }
}

#[tokio::test]
async fn odd_frames_leave_the_stream_as_it_was() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready_with(&fake, fake.carded()).await;
            let peer = latest(&fake);
            for body in bodies() {
                peer.send(channel_core::Frame::Text(body.clone().into()));
                peer.send_binary(body);
            }
            for (topic, sample) in samples() {
                for with in odd() {
                    let mut all = Vec::new();
                    spoiled(&frame("CALLBACK", topic, "x1", &sample), &with, &mut all);
                    all.iter().for_each(|one| peer.send_json(one));
                    // What can be told apart is an event, and all else is nothing.
                    while let Ok(Some(received)) = within(&fake, stream.next()).await {
                        received.unwrap().ack().await.unwrap();
                    }
                    settle(&fake).await;
                }
            }
            fake.say(&direct("last", "still here"));
            loop {
                let received = next(&mut stream).await;
                let is_last = received.message().is_some_and(|it| it.text == "still here");
                received.ack().await.unwrap();
                if is_last {
                    break;
                }
            }
        })
        .await;
}

async fn within<F: Future + Send>(
    fake: &Fake,
    future: F,
) -> Result<F::Output, channel_core::Elapsed> {
    let clock = &fake.transport.clock;
    channel_core::timeout(clock, std::time::Duration::from_millis(1), future).await
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
    assert_eq!(routes, [256 << 10]);
    for size in [(256 << 10) + 1, 1 << 22] {
        let body = vec![b'x'; size].into();
        let request = http::Request::post("/dingtalk/webhook").body(body).unwrap();
        let rejection = channel.receive(&request, fake.now()).unwrap_err();
        assert_eq!(rejection.status().as_u16(), 413);
    }
}

#[test]
fn pain_38_nobody_gets_in_by_name() {
    // A display name is never an id: it comes from whoever chose it.
    let fake = Fake::new();
    let channel = fake.channel();
    let mut message = mention("msg1", "hi");
    message["senderNick"] = json!("staff-admin");
    // Nor is an id of another kind taken for a staff id.
    for (staff, wanted) in [
        (json!("staff1"), "staff1"),
        (json!("$:LWCP_v1:$admin"), "$:LWCP_v1:$u1"),
        (json!("union:admin"), "$:LWCP_v1:$u1"),
        (json!(""), "$:LWCP_v1:$u1"),
        (Value::Null, "$:LWCP_v1:$u1"),
    ] {
        message["senderStaffId"] = staff;
        let accepted = channel
            .receive(&fake.request(&message), fake.now())
            .unwrap();
        let sender = &accepted.events[0].message().unwrap().sender;
        assert_eq!(sender.account.sender.as_str(), wanted);
        assert_eq!(sender.name.as_deref(), Some("staff-admin"));
    }
}
