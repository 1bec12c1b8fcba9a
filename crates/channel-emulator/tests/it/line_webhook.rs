//! Events: what they look like and how they reach a webhook.

use std::time::Duration;

use channel_emulator::line::{LineConfig, NewBot, Post, PostKind};
use http::Method;
use serde_json::{Value, json};

use crate::line_api::{Hook, PATIENCE, SECRET, TOKEN, World, exchange};

async fn delivered(world: &World, count: usize) {
    world
        .wait_for(PATIENCE, |line| {
            (line.deliveries().len() >= count).then_some(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn delivers_signed_events_in_order() {
    let hook = Hook::new(&[]).await;
    let world = World::hooked(&hook, false).await;
    for text in ["one", "two", "three"] {
        world.say(&world.bot, &world.ada, text).unwrap();
    }
    delivered(&world, 3).await;
    let bodies = hook.bodies();
    let texts: Vec<_> = bodies
        .iter()
        .map(|b| &b["events"][0]["message"]["text"])
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!(bodies[0]["destination"], world.bot);
    let event = &bodies[0]["events"][0];
    assert_eq!(
        event["source"],
        json!({"type": "user", "userId": world.ada})
    );
    assert_eq!(
        (&event["mode"], &event["type"]),
        (&json!("active"), &json!("message"))
    );
    assert_eq!(event["timestamp"], 1_790_000_000_000_u64);
    assert_eq!(event["webhookEventId"].as_str().unwrap().len(), 26);
    assert_eq!(event["deliveryContext"], json!({"isRedelivery": false}));
    assert!(
        hook.raw()
            .iter()
            .all(|(signature, _)| signature.len() == 44)
    );
}

#[tokio::test]
async fn a_wrong_signature_can_be_asked_for() {
    let hook = Hook::new(&[]).await;
    let world = World::hooked(&hook, false).await;
    world.faults().wrong_signatures(1);
    for count in 1..=3 {
        world.verify(&world.bot).unwrap();
        delivered(&world, count).await;
    }
    let raw = hook.raw();
    let bodies: Vec<_> = raw.iter().map(|(_, body)| body).collect();
    assert!(bodies[0] == bodies[1] && bodies[1] == bodies[2]);
    assert_ne!(raw[0].0, raw[1].0);
    assert_eq!(raw[1].0, raw[2].0);
}

#[tokio::test]
async fn delivers_again_with_the_mark_where_redelivery_is_on() {
    let hook = Hook::new(&[500, 503]).await;
    let world = World::hooked(&hook, true).await;
    let token = world.token("hello");
    delivered(&world, 3).await;
    let bodies = hook.bodies();
    let part = |name: &str| {
        bodies
            .iter()
            .map(|b| b["events"][0][name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(part("replyToken"), vec![json!(token); 3]);
    assert!(
        part("webhookEventId")
            .windows(2)
            .all(|pair| pair[0] == pair[1])
    );
    let marks: Vec<_> = part("deliveryContext")
        .iter()
        .map(|c| c["isRedelivery"].clone())
        .collect();
    assert_eq!(marks, [json!(false), json!(true), json!(true)]);
    let attempts: Vec<_> = world
        .deliveries()
        .iter()
        .map(|d| (d.attempt, d.status))
        .collect();
    assert_eq!(attempts, [(1, Some(500)), (2, Some(503)), (3, Some(200))]);
}

#[tokio::test]
async fn a_refused_event_is_lost_without_redelivery() {
    let hook = Hook::new(&[500]).await;
    let config = LineConfig::default().webhook_retry(Duration::ZERO, 3);
    let bot = NewBot::new(SECRET, TOKEN, "Kit").webhook(&hook.url());
    let world = World::with(config, bot).await;
    for (text, count) in [("lost", 1), ("next", 2), ("last", 3)] {
        world.say(&world.bot, &world.ada, text).unwrap();
        delivered(&world, count).await;
    }
    let bodies = hook.bodies();
    let texts: Vec<_> = bodies
        .iter()
        .map(|body| body["events"][0]["message"]["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["lost", "next", "last"]);
}

#[tokio::test]
async fn keeps_nothing_while_there_is_no_webhook() {
    let hook = Hook::new(&[]).await;
    let world = World::new().await;
    world.say(&world.bot, &world.ada, "lost").unwrap();
    world.set_webhook(&world.bot, &hook.url()).unwrap();
    world.use_webhook(&world.bot, false);
    world.say(&world.bot, &world.ada, "lost too").unwrap();
    world.use_webhook(&world.bot, true);
    world.say(&world.bot, &world.ada, "seen").unwrap();
    delivered(&world, 3).await;
    assert_eq!(hook.bodies().len(), 1);
    assert_eq!(world.deliveries()[0].error.as_deref(), Some("webhook_off"));
}

#[tokio::test]
async fn an_endpoint_that_is_away_or_on_another_machine_could_not_be_connected() {
    let hook = Hook::new(&[]).await;
    let url = hook.url();
    drop(hook);
    let world = World::new().await;
    for url in [url.as_str(), "https://203.0.113.9/hook"] {
        world.set_webhook(&world.bot, url).unwrap();
        world.say(&world.bot, &world.ada, "x").unwrap();
        let count = world.deliveries().len().max(1);
        delivered(&world, count).await;
        let failed = world.deliveries().pop().unwrap();
        assert_eq!(
            (failed.status, failed.error.as_deref()),
            (None, Some("could_not_connect")),
            "{url}"
        );
    }
}

#[tokio::test]
async fn several_events_come_in_one_body_and_can_be_reordered_and_doubled() {
    let hook = Hook::new(&[]).await;
    let world = World::hooked(&hook, false).await;
    let ben = world.user("Ben");
    world.hold(&world.bot);
    world.say(&world.bot, &world.ada, "ada").unwrap();
    world.say(&world.bot, &ben, "ben").unwrap();
    world.faults().reorder_events(1);
    world.faults().duplicate_deliveries(1);
    assert_eq!(world.release(&world.bot), 2);
    delivered(&world, 2).await;
    let bodies = hook.bodies();
    assert_eq!(bodies[0], bodies[1]);
    let events = bodies[0]["events"].as_array().unwrap();
    let texts: Vec<_> = events.iter().map(|e| &e["message"]["text"]).collect();
    assert_eq!(texts, ["ben", "ada"]);
}

#[tokio::test]
async fn a_test_of_the_webhook_has_no_events_and_says_how_it_went() {
    let hook = Hook::new(&[200, 404]).await;
    let world = World::hooked(&hook, false).await;
    let path = "/v2/bot/channel/webhook/test";
    let fine = world.send(Method::POST, path, &[], "").await.json();
    assert_eq!(
        (&fine["success"], &fine["statusCode"], &fine["reason"]),
        (&json!(true), &json!(200), &json!("OK"))
    );
    assert_eq!(
        hook.bodies()[0],
        json!({"destination": world.bot, "events": []})
    );
    let bad = world
        .post(path, json!({"endpoint": hook.url()}))
        .await
        .json();
    assert_eq!(
        (&bad["success"], &bad["reason"]),
        (&json!(false), &json!("ERROR_STATUS_CODE"))
    );
}

#[tokio::test]
async fn verify_events_have_dummy_reply_tokens_that_never_work() {
    let hook = Hook::new(&[]).await;
    let world = World::hooked(&hook, false).await;
    world.verify(&world.bot).unwrap();
    delivered(&world, 1).await;
    let events = hook.bodies()[0]["events"].clone();
    assert_eq!(events[0]["replyToken"], "0".repeat(32));
    assert_eq!(events[1]["replyToken"], "f".repeat(32));
    assert_eq!(
        world.reply(&"0".repeat(32), "hi").await.message(),
        "Invalid reply token"
    );
}

#[tokio::test]
async fn a_bot_on_standby_gets_no_reply_token() {
    let world = World::new().await;
    world.set_standby(&world.bot, &world.ada, true);
    world.say(&world.bot, &world.ada, "x").unwrap();
    let event = world.events(&world.bot).pop().unwrap();
    assert_eq!(
        (&event["mode"], &event["replyToken"]),
        (&json!("standby"), &Value::Null)
    );
    world.set_standby(&world.bot, &world.ada, false);
    world.token("active again");
}

#[tokio::test]
async fn marks_mentions_in_utf_16_units_in_groups_only() {
    let world = World::new().await;
    let ben = world.user("Ben");
    let group = world
        .group("Team", Some(&world.bot), &[&world.ada, &ben])
        .unwrap();
    world.post_text(&group, "🍎 @Kit and @Ben, @All");
    let event = world.events(&world.bot).pop().unwrap();
    let found = &event["message"]["mention"]["mentionees"];
    assert_eq!(
        found,
        &json!([
            {"type": "user", "userId": world.bot, "isSelf": true, "index": 3, "length": 4},
            {"type": "user", "userId": ben, "isSelf": false, "index": 12, "length": 4},
            {"type": "all", "index": 18, "length": 4},
        ])
    );
    assert_eq!(
        event["source"],
        json!({"type": "group", "groupId": group, "userId": world.ada})
    );
    world.say(&world.bot, &world.ada, "@Kit hi").unwrap();
    let direct = world.events(&world.bot).pop().unwrap();
    assert_eq!(direct["message"]["mention"], Value::Null);
    world
        .server
        .post(
            &world.bot,
            &group,
            &world.ada,
            Post::text("who?").anonymous(),
        )
        .unwrap();
    let hidden = world.events(&world.bot).pop().unwrap();
    assert_eq!(hidden["source"], json!({"type": "group", "groupId": group}));
}

impl World {
    fn post_text(&self, chat: &str, text: &str) {
        (**self).post(&self.bot, chat, &self.ada, text).unwrap();
    }
}

#[tokio::test]
async fn people_follow_block_enter_and_leave() {
    let world = World::new().await;
    let (bot, ada) = (world.bot.as_str(), world.ada.as_str());
    let group = world.group("Team", None, &[ada]).unwrap();
    world.follow(bot, ada).unwrap();
    world.unfollow(bot, ada).unwrap();
    assert!(world.say(bot, ada, "blocked").is_err());
    world.follow(bot, ada).unwrap();
    world.join(bot, &group).unwrap();
    let ben = world.user("Ben");
    world.set_member(&group, &ben, true).unwrap();
    world.set_member(&group, &ben, false).unwrap();
    world.leave(bot, &group).unwrap();
    let events = world.events(bot);
    let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "follow",
            "unfollow",
            "follow",
            "join",
            "memberJoined",
            "memberLeft",
            "leave"
        ]
    );
    assert_eq!(events[0]["follow"], json!({"isUnblocked": false}));
    assert_eq!(events[2]["follow"], json!({"isUnblocked": true}));
    let repliable: Vec<_> = events.iter().map(|e| e["replyToken"].is_string()).collect();
    assert_eq!(repliable, [true, false, true, true, true, false, false]);
    let other = world.add_bot(&NewBot::new(SECRET, "t2", "Other")).unwrap();
    world.join(&other, &group).unwrap();
    assert!(world.join(bot, &group).is_err(), "one account in a group");
}

#[tokio::test]
async fn buttons_are_pressed_and_messages_unsent() {
    let world = World::new().await;
    let actions = json!([
        {"type": "postback", "label": "Yes", "data": "ok:1", "displayText": "Yes"},
        {"type": "message", "label": "No", "text": "no, thanks"},
    ]);
    let template = json!({"type": "confirm", "text": "?", "actions": actions});
    let answer = world
        .push(json!({"type": "template", "altText": "a", "template": template}))
        .await;
    let id = answer.json()["sentMessages"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let press = |wanted: &str| world.press(&world.bot, &world.ada, &world.ada, &id, wanted);
    press("ok:1").unwrap();
    press("No").unwrap();
    assert!(press("Maybe").is_err());
    let events = world.events(&world.bot);
    assert_eq!(
        (&events[0]["type"], &events[0]["postback"]),
        (&json!("postback"), &json!({"data": "ok:1"}))
    );
    assert_eq!(events[1]["message"]["text"], "no, thanks");
    let said = world
        .say(&world.bot, &world.ada, Post::text("oops").quoting(&id))
        .unwrap();
    assert_eq!(
        world.events(&world.bot)[2]["message"]["quotedMessageId"],
        id
    );
    world
        .unsend(&world.bot, &world.ada, &world.ada, &said)
        .unwrap();
    assert_eq!(
        world.events(&world.bot)[3]["unsend"],
        json!({"messageId": said})
    );
}

#[tokio::test]
async fn content_is_fetched_from_the_data_host_when_it_is_ready() {
    let world = World::new().await;
    let film = Post::media(PostKind::Video, "video/mp4", "film").preparing(2);
    let id = world.say(&world.bot, &world.ada, film).unwrap();
    let path = format!("/v2/bot/message/{id}/content");
    assert_eq!(world.get(&path).await.status, 404, "the other host");
    assert_eq!(world.data("/v2/bot/info").await.status, 404);
    assert_eq!(world.data(&path).await.status, 202);
    let status = world.data(&format!("{path}/transcoding")).await.json();
    assert_eq!(status, json!({"status": "processing"}));
    let ready = world.data(&path).await;
    assert_eq!((ready.status, &ready.body[..]), (200, &b"film"[..]));
    assert_eq!(ready.headers["content-type"], "video/mp4");
    assert_eq!(world.data(&format!("{path}/preview")).await.status, 200);
    world.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(world.data(&path).await.status, 410);
    assert_eq!(world.data("/v2/bot/message/1/content").await.status, 404);
    let elsewhere = Post::media(PostKind::Audio, "audio/mp4", "").external("https://e.test/a.m4a");
    let id = world.say(&world.bot, &world.ada, elsewhere).unwrap();
    assert_eq!(
        world
            .data(&format!("/v2/bot/message/{id}/content"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_slow_endpoint_times_out() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let config = LineConfig::default().webhook_timeout(Duration::from_millis(50));
    let world = World::with(config, NewBot::new(SECRET, TOKEN, "Kit").webhook(&url)).await;
    world.say(&world.bot, &world.ada, "x").unwrap();
    delivered(&world, 1).await;
    assert_eq!(
        world.deliveries()[0].error.as_deref(),
        Some("request_timeout")
    );
}

#[tokio::test]
async fn the_control_api_does_what_the_methods_do() {
    let hook = Hook::new(&[]).await;
    let world = World::new().await;
    let base = world.server.api_base();
    let control = async |path: &str, body: Value| {
        let path = format!("/_control/line/{path}");
        let answer = exchange(&base, Method::POST, &path, &[], &body.to_string())
            .await
            .unwrap();
        assert_eq!(
            answer.status,
            200,
            "{path} {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    };
    let bot =
        json!({"secret": "s", "token": "t", "name": "Second", "webhook": hook.url(), "quota": 5});
    let bot = control("bots", bot).await["bot"].clone();
    let eve = control("users", json!({"name": "Eve"})).await["user"].clone();
    let group = json!({"name": "Team", "bot": bot, "members": [eve]});
    let group = control("groups", group).await["chat"].clone();
    let post = json!({"kind": "image", "base64": "aGVsbG8=", "mime": "image/png"});
    let said = json!({"action": "post", "bot": bot, "chat": group, "user": eve, "post": post});
    assert!(control("actions", said).await["message"].is_string());
    delivered(&world, 1).await;
    assert_eq!(hook.bodies()[0]["events"][0]["source"]["groupId"], group);
    let fault =
        json!({"method": "info", "fault": {"fault": "refuse", "status": 403, "message": "no"}});
    control("faults", fault).await;
    assert_eq!(world.get("/v2/bot/info").await.status, 403);
    control("clock", json!({"advance_ms": 1000})).await;
    let calls = world
        .get("/_control/line/calls?method=info&wait_ms=1000")
        .await
        .json();
    assert_eq!(
        (&calls[0]["status"], &calls[0]["bot"]),
        (&json!(403), &json!(world.bot))
    );
    let wrong = json!({"action": "leave", "bot": bot, "chat": "C0"}).to_string();
    let refused = exchange(&base, Method::POST, "/_control/line/actions", &[], &wrong)
        .await
        .unwrap();
    assert_eq!(refused.status, 400);
}
