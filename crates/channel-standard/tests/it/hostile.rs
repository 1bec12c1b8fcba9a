//! Input that nobody should send.

use std::time::Duration;

use channel_standard::frames::{decode_event, decode_frame};
use channel_testkit::{SeededRandom, assert_absent, canary};
use serde_json::{Value, json};

use crate::world::{Client, TOKEN, World, bearer, message, types};

/// A text that must never come back; it is no valid id.
const MARK: &str = "never echo me!";

/// One valid frame of each type.
fn samples() -> Vec<Value> {
    vec![
        json!({"v":1,"type":"hello","id":"h-1","client_id":"web-1","name":"Ada",
            "user_agent":"demo/1.0","caps":["edit"],"resume":{"default":"c1.42"}}),
        json!({"v":1,"type":"message","id":"m-01","conversation":"default","text":"hi **there**",
            "format":"markdown","reply_to":"s-41","thread":"t1","ts":"2026-11-20T12:00:00Z",
            "attachments":[{"kind":"image","name":"a.png","mime":"image/png","size":2,"data":"aGk="},
                {"kind":"file","name":"b.pdf","size":9,"url":"https://e.x/b.pdf"}],
            "meta":{"k":"v"}}),
        json!({"v":1,"type":"edit","id":"m-01","rev":2,"conversation":"default","text":"x",
            "format":"plain","final":true}),
        json!({"v":1,"type":"delete","id":"m-01","conversation":"default"}),
        json!({"v":1,"type":"reaction","id":"r-1","target":"m-01","emoji":"👀","remove":false,
            "conversation":"default"}),
        json!({"v":1,"type":"action","id":"a-01","conversation":"default","message":"s-43",
            "button":"approve","value":"v1"}),
        json!({"v":1,"type":"typing","conversation":"default","state":"start","ttl":10}),
        json!({"v":1,"type":"ack","conversation":"default","cursor":"c1.45"}),
        json!({"v":1,"type":"ping","id":"p-1"}),
        json!({"v":1,"type":"pong","id":"p-1"}),
    ]
}

/// Values that fit nowhere, or only just.
fn nasty() -> Vec<String> {
    let mut out: Vec<String> = [
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "1e400",
        "18446744073709551616",
        "[]",
        "{}",
        r#""""#,
        r#""\u0000""#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        "\"\u{feff}\"",
        r#"{"a":{"a":{"a":[]}}}"#,
    ]
    .map(str::to_owned)
    .into();
    out.push(format!("\"{MARK}\""));
    out.push(format!("\"{}\"", MARK.repeat(5000)));
    out.push(format!("{}{}", "[".repeat(5000), "]".repeat(5000)));
    out
}

/// Each member of each sample replaced by each nasty value, left out, and doubled.
fn corpus() -> Vec<String> {
    let mut out: Vec<String> = [
        "",
        " ",
        "null",
        "true",
        "1",
        "\"x\"",
        "[]",
        "[{}]",
        "{}",
        "{",
        "}",
        "{\"v\":1}",
        "\u{feff}{\"v\":1,\"type\":\"ping\"}",
        "{\"v\":1,\"type\":\"ping\"}{}",
        "{'v':1}",
        "{\"v\":1,\"type\":\"ping\",}",
        "{\"v\":1,\"type\":\"ping\"}//",
        "\0",
        "{\"v\":1,\"type\":\"p\0\"}",
        "{\"v\":1,\"v\":1,\"type\":\"ping\"}",
        "{\"type\":\"error\",\"v\":1}",
        "{\"type\":\"welcome\",\"v\":1}",
    ]
    .map(str::to_owned)
    .into();
    for depth in [127, 128, 129, 100_000] {
        out.push(format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        out.push(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
    }
    for sample in samples() {
        let members = sample.as_object().unwrap();
        for name in members.keys() {
            let others = || members.iter().filter(|(other, _)| *other != name);
            let joined = |extra: &[String]| {
                let mut parts: Vec<String> = others()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                parts.extend_from_slice(extra);
                format!("{{{}}}", parts.join(","))
            };
            out.push(joined(&[]));
            let good = format!("\"{name}\":{}", members[name]);
            out.push(joined(&[good.clone(), good]));
            for value in nasty() {
                out.push(joined(&[format!("\"{name}\":{value}")]));
            }
        }
    }
    out
}

/// Keeps a connection that is open and has said hello.
fn open(world: &mut World, client: Option<Client>) -> Client {
    match client {
        Some(client) if !client.is_over() => client,
        _ => world.join("web-1"),
    }
}

#[test]
fn no_malformed_frame_panics_comes_back_or_hurts_anybody_else() {
    let corpus = corpus();
    assert!(corpus.len() >= 200, "{} bodies", corpus.len());
    let mut world = World::new();
    let bob = world.join("web-2");
    let mut client = None;
    for body in &corpus {
        // As the first frame, and in an open session.
        let fresh = world.connect();
        let joined = open(&mut world, client.take());
        for socket in [&fresh, &joined] {
            socket.send_text(body);
        }
        while let Some(event) = world.event() {
            assert!(event.sender().is_some() || event.name() == "deleted");
        }
        for socket in [&fresh, &joined] {
            for frame in socket.frames() {
                assert!(!frame.to_string().contains(MARK), "{frame}");
            }
        }
        client = Some(joined);
        world.advance(Duration::from_secs(21));
    }
    assert_eq!(
        types(&world.ask(&bob, &message("m-1", "still here"))),
        [""; 0]
    );
    assert!(world.event().is_some());
    assert_eq!(types(&bob.frames()), ["ack"]);
}

#[test]
fn ten_thousand_mutations_of_each_kind_of_frame_are_survived() {
    let random = SeededRandom::new(1);
    let mut world = World::new();
    let samples: Vec<Vec<u8>> = samples()
        .iter()
        .map(|sample| sample.to_string().into_bytes())
        .collect();
    let channel = "standard".into();
    let client_id = "web-1".into();
    let mut client = None;
    for round in 0..10_000usize {
        for (number, sample) in samples.iter().enumerate() {
            let mut bytes = sample.clone();
            for _ in 0..=random.next_u64() % 4 {
                mutate(&mut bytes, &random);
            }
            let bytes = bytes::Bytes::from(bytes);
            let decoded = decode_frame(&bytes).is_ok();
            let event = decode_event(&bytes, &channel, &client_id, std::time::UNIX_EPOCH);
            assert!(decoded || event.is_err());
            // One in ten goes the whole way.
            if round % samples.len() == number
                && let Ok(text) = String::from_utf8(bytes.to_vec())
            {
                let socket = open(&mut world, client.take());
                socket.send_text(&text);
                while world.event().is_some() {}
                socket.frames();
                world.fake.clock.advance(Duration::from_millis(50));
                client = Some(socket);
            }
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &SeededRandom) {
    if bytes.is_empty() {
        return;
    }
    let pick = |below: usize| usize::try_from(random.next_u64()).unwrap_or(0) % below.max(1);
    let at = pick(bytes.len());
    match pick(6) {
        0 => bytes[at] ^= 1 << pick(8),
        1 => bytes.truncate(at),
        2 => {
            bytes.remove(at);
        }
        3 => bytes.insert(at, b"\"{}[],:\\\0\xff9e-"[pick(13)]),
        4 => {
            let end = (at + pick(16)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = pick(bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => bytes[at] = u8::try_from(pick(256)).unwrap_or(0),
    }
}

#[test]
fn decoding_never_keeps_nested_input_busy() {
    let started = std::time::Instant::now();
    let deep = format!(
        "{{\"v\":1,\"type\":\"message\",\"id\":\"m\",\"text\":\"x\",\"x\":{}{}}}",
        "[".repeat(500_000),
        "]".repeat(500_000)
    );
    assert!(
        decode_frame(deep.as_bytes()).is_ok(),
        "an unknown member is skipped"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn no_secret_is_ever_shown() {
    let (shared, own) = (canary(), canary());
    let mut world = World::with(|builder| {
        builder
            .token(shared.as_str())
            .client_token("web-1", own.as_str())
            .configure(|config| {
                config.allow_token_query = true;
            })
    });
    let mut shown = format!("{:?} {:?}", world.channel, world.channel.health());
    let config = channel_standard::Standard::builder()
        .token(shared.as_str())
        .client_token("web-1", own.as_str());
    shown += &format!("{config:?}");
    let twice = config.clone().client_token("web-2", own.as_str());
    shown += &format!(
        "{:?}",
        twice.transport(world.fake.transport()).build().unwrap_err()
    );
    let query = format!("/standard/ws?token={shared}");
    let mut by_query = bearer("wrong");
    *by_query.uri_mut() = query.parse().unwrap();
    let refused = world.upgrade(&by_query).unwrap_err();
    shown += &format!("{refused:?} {:?}", refused.body());
    for token in [&shared, &own] {
        let upgrade = world.upgrade(&bearer(token)).unwrap();
        shown += &format!("{upgrade:?}");
        let socket = world.serve(upgrade);
        socket.send(&json!({"v":1,"type":"hello","client_id":"web-1"}));
        socket.send(&json!({"v":1,"type":"hello","client_id":"web-2"}));
        socket.send(&message("m-1", "hi"));
        world.settle();
        shown += &format!("{:?}", socket.frames());
    }
    while let Some(event) = world.event() {
        shown += &serde_json::to_string(&event).unwrap();
    }
    assert!(world.channel.rotate_token(&own.as_str().into()).is_err());
    shown += &format!("{:?}", world.channel.rotate_token(&own.as_str().into()));
    for secret in [&shared, &own] {
        assert_absent(secret, &shown);
    }
    assert!(!shown.contains(TOKEN));
}
