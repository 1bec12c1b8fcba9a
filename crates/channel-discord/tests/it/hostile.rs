//! Whatever the gateway or a stranger sends: no panic, and the next event comes.

use channel_core::{Frame, Webhook as _};
use serde_json::{Value, json};

use crate::fake::{DIRECT, Fake, ME, command, direct, grouped, press};
use crate::gateway::{SECOND, Watch};

/// Values that nobody expects.
fn odd() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}\u{feff}\u{202e}<@9001><@"),
        json!("9".repeat(10_000)),
        json!([]),
        json!([null, {}, [[]]]),
        json!({}),
        json!({"id": {"id": []}}),
    ]
}

/// A payload with each of its fields, at any depth, replaced by each odd value, or left out.
fn mutations(value: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    let mut paths = Vec::new();
    paths_of(value, String::new(), &mut paths);
    for path in paths {
        for it in odd() {
            let mut changed = value.clone();
            *changed.pointer_mut(&path).unwrap() = it;
            out.push(changed);
        }
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut changed = value.clone();
        if let Some(fields) = changed.pointer_mut(parent).and_then(Value::as_object_mut) {
            fields.remove(name);
            out.push(changed);
        }
    }
    out
}

fn paths_of(value: &Value, path: String, out: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, it)| (name.clone(), it)).collect(),
        Value::Array(all) => all
            .iter()
            .enumerate()
            .map(|(n, it)| (n.to_string(), it))
            .collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let path = format!("{path}/{name}");
        out.push(path.clone());
        paths_of(child, path, out);
    }
}

fn samples() -> Vec<(&'static str, Value)> {
    let mut rich = grouped(1, "701", "<@9001> hi <:x:1>");
    rich["mentions"] = json!([{"id": ME, "username": "kitbot"}]);
    rich["attachments"] = json!([{"id": "1", "filename": "a", "size": 1, "content_type": "image/png", "url": "https://cdn.discordapp.com/a"}]);
    rich["sticker_items"] = json!([{"id": "1", "name": "s", "format_type": 1}]);
    rich["type"] = json!(19);
    rich["edited_timestamp"] = json!("2026-11-20T12:01:00.000000+00:00");
    rich["message_reference"] = json!({"type": 0, "message_id": "2", "channel_id": "701"});
    rich["referenced_message"] = json!({"id": "2", "author": {"id": ME}});
    rich["message_snapshots"] = json!([{"message": {"content": "x", "attachments": []}}]);
    let mut modal = press(3, DIRECT, "1", "m");
    modal["type"] = json!(5);
    modal["data"] = json!({"custom_id": "m", "components": [{"type": 1, "components": [{"custom_id": "a", "value": "b"}]}]});
    vec![
        ("MESSAGE_CREATE", rich.clone()),
        ("MESSAGE_UPDATE", rich),
        ("MESSAGE_DELETE", json!({"id": "1", "channel_id": "7"})),
        (
            "MESSAGE_DELETE_BULK",
            json!({"ids": ["1", "2"], "channel_id": "7"}),
        ),
        (
            "MESSAGE_REACTION_ADD",
            json!({"user_id": "42", "channel_id": "7", "message_id": "1", "emoji": {"id": null, "name": "x"}}),
        ),
        ("INTERACTION_CREATE", command(1, DIRECT, "ask", "x")),
        ("INTERACTION_CREATE", press(2, DIRECT, "1", "v")),
        ("INTERACTION_CREATE", modal),
        ("GUILD_CREATE", json!({"id": "5", "unavailable": false})),
        ("GUILD_DELETE", json!({"id": "5"})),
    ]
}

#[test]
fn no_payload_of_the_gateway_stops_the_next_one() {
    let fake = Fake::new();
    let mut count = 0;
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(SECOND).await;
        for (name, sample) in samples() {
            for payload in mutations(&sample) {
                fake.dispatch(name, payload);
                count += 1;
                if count % 500 == 0 {
                    watch.run(SECOND).await;
                }
            }
        }
        watch.run(SECOND * 5).await;
        watch.texts.clear();
        fake.dispatch("MESSAGE_CREATE", direct(9, "still here"));
        watch.run(SECOND).await;
        assert_eq!(watch.texts, ["still here"]);
        assert_eq!(fake.transport.sockets.attempts(), 1);
    });
    println!("{count} payloads");
    assert!(count > 1500);
}

#[test]
fn no_frame_of_the_gateway_stops_the_next_one() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(SECOND).await;
        let peer = fake.peers().remove(0);
        for text in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            r#"{"op":null}"#,
            r#"{"op":0}"#,
            r#"{"op":0,"d":null}"#,
            r#"{"op":0,"t":"MESSAGE_CREATE","d":{}}"#,
            r#"{"op":99,"d":{}}"#,
            r#"{"op":11,"d":[]}"#,
            r#"{"op":10,"d":{"heartbeat_interval":0}}"#,
            r#"{"t":"X","s":-1,"op":0,"d":1}"#,
            r#"{"t":"X","s":1,"op":0,"d":"#,
            r#"{"t":"\u0058","s":1,"op":0,"d":1}"#,
        ] {
            peer.send_text(text);
        }
        peer.send_text("[".repeat(100_000));
        peer.send_text(format!(
            r#"{{"op":0,"s":1,"t":"X","d":{}}}"#,
            "[".repeat(100_000)
        ));
        peer.send(Frame::Binary(b"\xff\x00"[..].into()));
        watch.run(SECOND).await;
        fake.dispatch("MESSAGE_CREATE", direct(9, "still here"));
        watch.run(SECOND).await;
        assert_eq!(watch.texts, ["still here"]);
    });
}

#[test]
fn a_greeting_that_is_none_is_tried_again_and_never_in_a_loop() {
    for hello in [
        "",
        "{}",
        r#"{"op":10}"#,
        r#"{"op":10,"d":{"heartbeat_interval":"x"}}"#,
        r#"{"op":9,"d":false}"#,
    ] {
        let fake = Fake::new();
        let discord = fake.channel();
        fake.run(async {
            let mut watch = Watch::new(&fake, &discord);
            let server = async {
                loop {
                    let peer = fake.transport.sockets.accept().await;
                    peer.send_text(hello);
                    peer.gone().await;
                }
            };
            {
                let test = std::pin::pin!(watch.run(SECOND * 600));
                futures_util::future::select(test, std::pin::pin!(server)).await;
            }
            let attempts = fake.transport.sockets.attempts();
            assert!(
                (10..=60).contains(&attempts),
                "{attempts} attempts after {hello}"
            );
            assert!(watch.error.is_none());
        });
    }
}

#[test]
fn no_signed_body_is_answered_with_a_server_error() {
    let fake = Fake::new();
    let discord = fake.endpoint();
    let mut count = 0;
    for (_, sample) in samples() {
        // Each is verified, which takes its time without optimisation.
        for body in mutations(&sample).into_iter().step_by(5) {
            count += 1;
            let request = fake.signed(body.to_string());
            if let Err(rejection) = discord.receive(&request, fake.now()) {
                assert!(rejection.status().is_client_error());
            }
        }
    }
    assert!(count > 300);
}
