//! The gateway: sessions, resume, close codes, intents, compression and what can go wrong.

use std::time::Duration;

use channel_emulator::discord::{Discord, DiscordConfig, Fault, Mute, NewGuild};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::discord_api::{INTENTS, Line, TOKEN, World};
use crate::line_api::PATIENCE;

/// The session of READY and where to resume it.
fn session(ready: &Value) -> (&Value, &str) {
    (
        &ready["d"]["session_id"],
        ready["d"]["resume_gateway_url"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn greets_identifies_and_counts_dispatches_from_one() {
    let world = World::new().await;
    let mut line = Line::open(&world.server.gateway_url(), "v=10&encoding=json").await;
    let hello = line.next().await;
    assert_eq!(
        (&hello["op"], &hello["s"], &hello["t"]),
        (&json!(10), &Value::Null, &Value::Null)
    );
    assert_eq!(hello["d"]["heartbeat_interval"], 41_250);
    assert!(
        line.is_quiet().await,
        "heartbeats are answered before identify too"
    );
    line.identify(INTENTS).await;
    let ready = line.event("READY").await;
    assert_eq!((&ready["op"], &ready["s"]), (&json!(0), &json!(1)));
    let data = &ready["d"];
    assert_eq!(data["user"]["id"], world.bot.to_string());
    assert_eq!(data["application"]["id"], world.bot.to_string());
    assert_eq!(
        data["guilds"],
        json!([{"id": world.guild.to_string(), "unavailable": true}])
    );
    let guild = line.event("GUILD_CREATE").await;
    assert_eq!(
        (&guild["s"], &guild["d"]["name"]),
        (&json!(2), &json!("Team"))
    );
    assert_eq!(guild["d"]["channels"][0]["id"], world.general.to_string());
    world.ask_for_heartbeat(world.bot);
    assert_eq!(line.next().await["op"], 1);
    line.send(json!({"op": 1, "d": 2})).await;
    assert_eq!(line.next().await["op"], 11);
    let seen = world.connected(world.bot).pop().unwrap();
    assert_eq!(
        (seen.heartbeats, seen.heartbeat_seq, seen.how),
        (2, Some(2), Some("identify"))
    );
}

#[tokio::test]
async fn closes_with_the_code_of_each_mistake() {
    let world = World::new().await;
    let after = async |frame: Value| {
        let mut line = world.connect().await;
        line.send(frame).await;
        line.closed().await
    };
    let identify = async |fields: Value| {
        let mut line = world.connect().await;
        line.identify_with(fields).await;
        line.closed().await
    };
    assert_eq!(after(json!({"op": 8, "d": {}})).await, Some(4003));
    assert_eq!(after(json!({"d": {}})).await, Some(4002));
    assert_eq!(after(json!("text")).await, Some(4002));
    assert_eq!(
        after(json!({"op": 1, "d": "x".repeat(4100)})).await,
        Some(4002)
    );
    assert_eq!(
        identify(json!({"token": "wrong", "intents": 0})).await,
        Some(4004)
    );
    assert_eq!(
        identify(json!({"intents": 0, "shard": [1, 1]})).await,
        Some(4010)
    );
    assert_eq!(identify(json!({"intents": 1_u64 << 40})).await, Some(4013));
    assert_eq!(identify(json!({"intents": 1 << 17})).await, Some(4013));
    assert_eq!(identify(json!({"intents": 1 << 8})).await, Some(4014));
    let (mut line, _) = world.ready().await;
    line.identify(INTENTS).await;
    assert_eq!(line.closed().await, Some(4005));
    let mut old = Line::open(&world.server.gateway_url(), "v=6&encoding=json").await;
    assert_eq!(old.closed().await, Some(4012));
    let codes: Vec<_> = world
        .connections()
        .into_iter()
        .filter_map(|at| at.closed)
        .collect();
    assert!(codes.iter().all(|closed| closed.by == "server"));
}

#[tokio::test]
async fn an_unknown_opcode_and_too_many_frames_close_too() {
    let world = World::with(DiscordConfig::default().identifies(1, Duration::ZERO, 1000)).await;
    let (mut line, _) = world.ready().await;
    line.send(json!({"op": 99, "d": null})).await;
    assert_eq!(line.closed().await, Some(4001));
    let (mut line, _) = world.ready().await;
    for _ in 0..120 {
        line.send(json!({"op": 1, "d": null})).await;
    }
    assert_eq!(line.closed().await, Some(4008));
}

#[tokio::test]
async fn replays_what_was_missed_and_says_when_it_is_done() {
    let world = World::new().await;
    let (line, ready) = world.ready().await;
    let (id, url) = session(&ready);
    world.end(line, 4000).await;
    for number in 0..3 {
        world
            .post(world.general, world.ada, number.to_string().as_str())
            .unwrap();
    }
    let mut line = world.connect_to(url, "v=10&encoding=json").await;
    line.resume(id, 2).await;
    for number in 0..3 {
        let frame = line.event("MESSAGE_CREATE").await;
        assert_eq!(
            (&frame["s"], &frame["d"]["content"]),
            (&json!(3 + number), &json!(number.to_string()))
        );
    }
    assert_eq!(line.event("RESUMED").await["s"], 6);
    let at = world.connected(world.bot).pop().unwrap();
    assert_eq!(
        (at.how, at.resumed_from, at.path.as_str()),
        (Some("resume"), Some(2), "/gateway/resume")
    );
    // A second resume replays events, and not the RESUMED among them.
    world.end(line, 4200).await;
    let mut line = world.connect_to(url, "v=10&encoding=json").await;
    line.resume(id, 4).await;
    assert_eq!(line.event("MESSAGE_CREATE").await["s"], 5);
    assert_eq!(line.event("RESUMED").await["s"], 7);
}

#[tokio::test]
async fn a_session_ends_by_1000_by_age_and_by_too_much_missed() {
    let config = DiscordConfig::default()
        .sessions(Duration::from_secs(180), 4)
        .identifies(1, Duration::ZERO, 1000);
    let world = World::with(config).await;
    let resumed = async |id: &Value, url: &str, seq: u64| {
        let mut line = world.connect_to(url, "v=10&encoding=json").await;
        line.resume(id, seq).await;
        line.next().await
    };
    let invalid = json!({"op": 9, "d": false, "s": null, "t": null});
    let (line, ready) = world.ready().await;
    let (id, url) = session(&ready);
    world.end(line, 1000).await;
    assert_eq!(resumed(id, url, 2).await, invalid);
    let (line, ready) = world.ready().await;
    let (id, url) = session(&ready);
    world.end(line, 4000).await;
    world.advance(Duration::from_secs(181));
    assert_eq!(resumed(id, url, 2).await, invalid);
    let (line, ready) = world.ready().await;
    let (id, url) = session(&ready);
    world.end(line, 4000).await;
    for _ in 0..5 {
        world.post(world.general, world.ada, "x").unwrap();
    }
    assert_eq!(resumed(id, url, 2).await, invalid);
    let (line, ready) = world.ready().await;
    let (id, url) = session(&ready);
    world.end(line, 4000).await;
    let mut line = world.connect_to(url, "v=10&encoding=json").await;
    line.resume(id, 99).await;
    assert_eq!(line.closed().await, Some(4007));
}

#[tokio::test]
async fn identifies_are_rationed_by_key_and_by_day() {
    let world =
        World::with(DiscordConfig::default().identifies(1, Duration::from_secs(5), 2)).await;
    let (_first, _) = world.ready().await;
    let mut line = world.connect().await;
    line.identify(INTENTS).await;
    assert_eq!(line.next().await["op"], 9);
    world.advance(Duration::from_secs(5));
    line.identify(INTENTS).await;
    line.event("READY").await;
    let limit = world
        .call(http::Method::GET, "/gateway/bot", &Value::Null)
        .await
        .json();
    assert_eq!(limit["session_start_limit"]["remaining"], 0);
    // The third of the day ends all sessions, and the token is reset.
    world.advance(Duration::from_secs(5));
    let mut third = world.connect().await;
    third.identify(INTENTS).await;
    assert_eq!(third.closed().await, Some(4004));
    line.event("GUILD_CREATE").await;
    assert_eq!(line.closed().await, Some(4004));
    let me = world
        .call(http::Method::GET, "/users/@me", &Value::Null)
        .await;
    assert_eq!(me.status, 401);
}

#[tokio::test]
async fn events_go_to_the_intents_and_the_shard_that_they_belong_to() {
    let config = DiscordConfig::default().identifies(16, Duration::from_secs(5), 1000);
    let world = World::with(config).await;
    let far = NewGuild::new("Far", &[world.bot], &[world.ada]).id((7 << 22) + 5);
    let (_, far) = world.guild(&far).unwrap();
    let near = NewGuild::new("Near", &[world.bot], &[world.ada]).id((8 << 22) + 5);
    let (_, near) = world.guild(&near).unwrap();
    let direct = world.direct(world.bot, world.ada).unwrap();
    let mut lines = Vec::new();
    for shard in 0..2 {
        let mut line = world.connect().await;
        // Without GUILDS there is no GUILD_CREATE, and without the content intent no text.
        line.identify_with(json!({"intents": 512 | 4096, "shard": [shard, 2]}))
            .await;
        assert_eq!(line.event("READY").await["d"]["shard"], json!([shard, 2]));
        lines.push(line);
    }
    let mut one = lines.pop().unwrap();
    let mut zero = lines.pop().unwrap();
    world.post(far, world.ada, "far").unwrap();
    world.post(near, world.ada, "near").unwrap();
    world.post(direct, world.ada, "direct").unwrap();
    world.typing(near, world.ada).unwrap();
    let frame = one.event("MESSAGE_CREATE").await;
    assert_eq!(
        (&frame["d"]["channel_id"], &frame["d"]["content"]),
        (&json!(far.to_string()), &json!(""))
    );
    assert!(one.is_quiet().await);
    let frame = zero.event("MESSAGE_CREATE").await;
    assert_eq!(frame["d"]["channel_id"], near.to_string());
    let frame = zero.event("MESSAGE_CREATE").await;
    assert_eq!(
        (&frame["d"]["content"], frame["d"].get("guild_id")),
        (&json!("direct"), None)
    );
    assert!(zero.is_quiet().await);
}

#[tokio::test]
async fn both_streams_and_whole_messages_are_compressed() {
    let world = World::with(DiscordConfig::default().identifies(1, Duration::ZERO, 1000)).await;
    let mut line = Line::open(
        &world.server.gateway_url(),
        "v=10&encoding=json&compress=zlib-stream",
    )
    .await;
    let mut inflate = flate2::Decompress::new(true);
    let mut read = async |line: &mut Line| -> Value {
        let Some(Message::Binary(bytes)) = line.raw().await else {
            unreachable!("expected a binary frame");
        };
        assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
        let mut text = Vec::with_capacity(100_000);
        inflate
            .decompress_vec(&bytes, &mut text, flate2::FlushDecompress::Sync)
            .unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    assert_eq!(read(&mut line).await["op"], 10);
    line.identify(INTENTS).await;
    assert_eq!(read(&mut line).await["t"], "READY");
    assert_eq!(read(&mut line).await["t"], "GUILD_CREATE");
    let mut line = world.connect().await;
    line.identify_with(json!({"intents": 1, "compress": true}))
        .await;
    let Some(Message::Binary(bytes)) = line.raw().await else {
        unreachable!("expected a binary frame");
    };
    let mut text = Vec::with_capacity(100_000);
    flate2::Decompress::new(true)
        .decompress_vec(&bytes, &mut text, flate2::FlushDecompress::Finish)
        .unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&text).unwrap()["t"],
        "READY"
    );
    let mut line = Line::open(&world.server.gateway_url(), "v=10&compress=brotli").await;
    assert_eq!(line.closed().await, Some(4002));
}

#[tokio::test]
async fn a_connection_can_be_deaf_in_two_ways() {
    let world = World::new().await;
    let (mut line, ready) = world.ready().await;
    assert_eq!(world.mute(world.bot, Mute::Silent), 1);
    world.post(world.general, world.ada, "one").unwrap();
    assert!(
        line.is_quiet().await,
        "heartbeats go on while dispatches wait"
    );
    world.mute(world.bot, Mute::Off);
    assert_eq!(line.event("MESSAGE_CREATE").await["d"]["content"], "one");
    world.mute(world.bot, Mute::HalfOpen);
    line.send(json!({"op": 1, "d": 3})).await;
    world.post(world.general, world.ada, "two").unwrap();
    let (id, url) = session(&ready);
    let mut next = world.connect_to(url, "v=10&encoding=json").await;
    next.resume(id, 3).await;
    assert_eq!(next.event("MESSAGE_CREATE").await["d"]["content"], "two");
    assert_eq!(
        world.connections()[0].heartbeats,
        1,
        "nothing is read from a half-open one"
    );
}

#[tokio::test]
async fn new_connections_can_be_deaf_from_hello_on() {
    let world = World::new().await;
    world.faults().mute_new(Mute::Silent);
    let mut line = world.connect().await;
    line.identify(INTENTS).await;
    assert!(line.is_quiet().await, "READY is a dispatch too");
    world.mute(world.bot, Mute::Off);
    line.event("READY").await;
    world.faults().mute_new(Mute::HalfOpen);
    let mut deaf = world.connect().await;
    deaf.send(json!({"op": 1, "d": null})).await;
    assert!(line.event("GUILD_CREATE").await.is_object());
    let deaf = world.connections().pop().unwrap();
    assert_eq!((deaf.heartbeats, deaf.closed), (0, None));
}

#[tokio::test]
async fn orders_close_cut_reconnect_and_invalidate() {
    let config = DiscordConfig::default().identifies(1, Duration::ZERO, 1000);
    let world = World::with(config).await;
    let (mut line, _) = world.ready().await;
    world.reconnect(world.bot);
    assert_eq!(line.next().await["op"], 7);
    world.invalidate(world.bot, false);
    assert_eq!(
        line.next().await,
        json!({"op": 9, "d": false, "s": null, "t": null})
    );
    line.identify(INTENTS).await;
    line.event("READY").await;
    line.event("GUILD_CREATE").await;
    world.cut(world.bot);
    assert_eq!(line.closed().await, None);
    let (mut line, _) = world.ready().await;
    world.drain();
    assert_eq!(line.next().await["op"], 7);
    assert_eq!(line.closed().await, Some(4000));
    let (mut line, _) = world.ready().await;
    world.revoke_token(world.bot).unwrap();
    assert_eq!(line.closed().await, Some(4004));
}

#[tokio::test]
async fn dispatches_can_come_twice_and_in_the_wrong_order() {
    let world = World::new().await;
    let (mut line, _) = world.ready().await;
    world.faults().duplicate_dispatches(1);
    world.post(world.general, world.ada, "a").unwrap();
    let twice = [
        line.event("MESSAGE_CREATE").await,
        line.event("MESSAGE_CREATE").await,
    ];
    assert_eq!(twice[0], twice[1]);
    world.mute(world.bot, Mute::Silent);
    world.post(world.general, world.ada, "b").unwrap();
    world.post(world.general, world.ada, "c").unwrap();
    world.faults().reorder_dispatches(1);
    world.mute(world.bot, Mute::Off);
    assert_eq!(line.event("MESSAGE_CREATE").await["d"]["content"], "c");
    assert_eq!(line.event("MESSAGE_CREATE").await["d"]["content"], "b");
}

#[tokio::test]
async fn who_does_not_beat_is_timed_out() {
    let world = World::with(DiscordConfig::default().heartbeat(Duration::from_millis(50))).await;
    let (mut line, _) = world.ready().await;
    assert_eq!(line.closed().await, Some(4009));
}

#[tokio::test]
async fn steps_of_the_gateway_meet_faults() {
    let world = World::new().await;
    world
        .faults()
        .next("gateway.connect", 1, Fault::Banned { retry_after: 3 });
    let socket =
        tokio::net::TcpStream::connect(world.server.base_url().trim_start_matches("http://"))
            .await
            .unwrap();
    let url = format!("{}?v=10", world.server.gateway_url());
    let refused = tokio_tungstenite::client_async(url, socket)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("429"), "{refused}");
    world
        .faults()
        .next("gateway.identify", 1, Fault::DropBefore);
    let mut line = world.connect().await;
    line.identify(INTENTS).await;
    assert_eq!(line.closed().await, None);
    world.faults().next("gateway.heartbeat", 1, Fault::Hang);
    let (mut line, _) = world.ready().await;
    line.send(json!({"op": 1, "d": 2})).await;
    line.send(json!({"op": 1, "d": 2})).await;
    assert_eq!(line.next().await["op"], 11);
    assert_eq!(
        world.connected(world.bot)[0].heartbeats,
        1,
        "the first one was not seen"
    );
}

#[tokio::test]
async fn an_outage_of_a_guild_is_not_a_removal_and_members_are_told_on_request() {
    let world = World::new().await;
    let (mut line, _) = world.ready().await;
    world.outage(world.guild, false).unwrap();
    assert_eq!(line.event("GUILD_DELETE").await["d"]["unavailable"], true);
    world.outage(world.guild, true).unwrap();
    line.event("GUILD_CREATE").await;
    let wanted =
        json!({"guild_id": world.guild.to_string(), "query": "", "limit": 0, "nonce": "n"});
    line.send(json!({"op": 8, "d": wanted})).await;
    let chunk = line.event("GUILD_MEMBERS_CHUNK").await;
    assert_eq!(
        (
            &chunk["d"]["nonce"],
            chunk["d"]["members"].as_array().unwrap().len()
        ),
        (&json!("n"), 2)
    );
    world.leave(world.bot, world.guild).unwrap();
    assert_eq!(
        line.event("GUILD_DELETE").await["d"].get("unavailable"),
        None
    );
}

#[tokio::test]
async fn a_session_outlives_the_server() {
    let world = World::new().await;
    let (mut line, ready) = world.ready().await;
    let discord: Discord = world.server.discord().clone();
    world.server.stop();
    assert_eq!(line.closed().await, None);
    let lost = discord
        .wait_for(PATIENCE, |discord| discord.connections()[0].closed.clone())
        .await
        .unwrap();
    assert_eq!(lost.by, "lost");
    discord.post(world.general, world.ada, "meanwhile").unwrap();
    let again = Discord::on(discord, ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let mut line = Line::open(&again.gateway_url(), "v=10").await;
    assert_eq!(line.next().await["op"], 10);
    // A token may come with the prefix of the header.
    let data =
        json!({"token": format!("Bot {TOKEN}"), "session_id": ready["d"]["session_id"], "seq": 2});
    line.send(json!({"op": 6, "d": data})).await;
    assert_eq!(
        line.event("MESSAGE_CREATE").await["d"]["content"],
        "meanwhile"
    );
}
