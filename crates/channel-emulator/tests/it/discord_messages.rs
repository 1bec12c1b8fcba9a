//! Messages, reactions, threads, direct conversations and files.

use std::time::Duration;

use channel_emulator::discord::{NewBot, NewGuild, Post};
use http::Method;
use serde_json::{Value, json};

use crate::discord_api::{AGENT, TOKEN, World};
use crate::line_api::exchange;

/// The errors of a field of a refused message.
async fn errors(world: &World, body: Value, field: &str) -> String {
    let answer = world.write(body).await;
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["code"]),
        (400, &json!(50035)),
        "{body}"
    );
    let pointer = format!("/errors/{field}/_errors/0/code");
    let code = body
        .pointer(&pointer)
        .unwrap_or_else(|| unreachable!("{body}"));
    code.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn wants_a_token_an_agent_and_a_known_path() {
    let world = World::new().await;
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let answer = world.send(Method::GET, path, headers, "").await;
        (answer.status, answer.json()["code"].as_u64().unwrap_or(1))
    };
    let me = "/users/@me";
    assert_eq!(get(me, &[]).await.0, 200);
    for wrong in ["", TOKEN, "Bearer x", "Bot wrong"] {
        assert_eq!(
            get(me, &[("authorization", wrong)]).await,
            (401, 0),
            "{wrong}"
        );
    }
    assert_eq!(get(me, &[("user-agent", "curl/8")]).await, (403, 40333));
    assert_eq!(get("/nonsense", &[]).await, (404, 0));
    assert_eq!(get("/channels/x", &[]).await, (400, 50035));
    let deleted = world.call(Method::DELETE, me, &Value::Null).await;
    assert_eq!(deleted.status, 405);
    let headers = [("authorization", "Bot x"), ("user-agent", AGENT)];
    let base = world.server.base_url();
    let old = exchange(&base, Method::GET, "/api/v6/users/@me", &headers, "").await;
    assert_eq!(old.unwrap().json()["code"], 50041);
    let answer = world.send(Method::GET, me, &[], "").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(answer.headers.contains_key("via"));
}

#[tokio::test]
async fn a_content_has_2000_code_points_and_a_message_something_to_show() {
    let world = World::new().await;
    world.faults().rate_limits(false);
    assert_eq!(
        world
            .write(json!({"content": "😀".repeat(2000)}))
            .await
            .status,
        200
    );
    let long = json!({"content": "x".repeat(2001)});
    assert_eq!(
        errors(&world, long, "content").await,
        "BASE_TYPE_MAX_LENGTH"
    );
    for empty in [
        json!({}),
        json!({"content": ""}),
        json!({"content": "  ", "embeds": []}),
    ] {
        assert_eq!(world.refused(empty).await, (400, 50006));
    }
    let broken = world
        .send(Method::POST, &world.messages(), &[], "{\"content\":")
        .await;
    assert_eq!(
        (broken.status, &broken.json()["code"]),
        (400, &json!(50109))
    );
    let untyped = [("content-type", "text/plain")];
    let untyped = world
        .send(Method::POST, &world.messages(), &untyped, "{}")
        .await;
    assert_eq!(
        (untyped.status, &untyped.json()["code"]),
        (400, &json!(50035))
    );
    let list = world.send(Method::POST, &world.messages(), &[], "[]").await;
    assert_eq!(list.status, 400);
}

#[tokio::test]
async fn embeds_nonces_and_mentions_have_limits() {
    let world = World::new().await;
    world.faults().rate_limits(false);
    let embed = |embed: Value| json!({"embeds": [embed]});
    let title = embed(json!({"title": "x".repeat(257)}));
    assert_eq!(
        errors(&world, title, "embeds/0/title").await,
        "BASE_TYPE_MAX_LENGTH"
    );
    let field = embed(json!({"fields": [{"name": "n"}]}));
    assert_eq!(
        errors(&world, field, "embeds/0/fields/0/value").await,
        "BASE_TYPE_REQUIRED"
    );
    let half = json!({"description": "x".repeat(3001)});
    let heavy = json!({"embeds": [half, half]});
    assert_eq!(
        errors(&world, heavy, "embeds").await,
        "MAX_EMBED_SIZE_EXCEEDED"
    );
    let many = json!({"embeds": vec![json!({"title": "x"}); 11]});
    assert_eq!(errors(&world, many, "embeds").await, "BASE_TYPE_MAX_LENGTH");
    let nonce = json!({"content": "x", "nonce": "n".repeat(26)});
    assert_eq!(errors(&world, nonce, "nonce").await, "BASE_TYPE_MAX_LENGTH");
    let both = json!({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}});
    let code = errors(&world, both, "allowed_mentions").await;
    assert_eq!(code, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE");
}

#[tokio::test]
async fn components_are_checked_in_depth() {
    let world = World::new().await;
    world.faults().rate_limits(false);
    let button = |id: &str| json!({"type": 2, "style": 1, "label": "x", "custom_id": id});
    let row = |components: Value| json!({"content": "x", "components": [{"type": 1, "components": components}]});
    assert_eq!(
        world
            .write(row(json!([button("a"), button("b")])))
            .await
            .status,
        200
    );
    let twice = row(json!([button("a"), button("a")]));
    let at = "components/0/components/1/custom_id";
    assert_eq!(
        errors(&world, twice, at).await,
        "COMPONENT_CUSTOM_ID_DUPLICATED"
    );
    let six: Vec<Value> = (0..6).map(|n| button(&n.to_string())).collect();
    assert_eq!(
        errors(&world, row(six.into()), "components/0/components").await,
        "BASE_TYPE_BAD_LENGTH"
    );
    let long = row(json!([button(&"x".repeat(101))]));
    let at = "components/0/components/0/custom_id";
    assert_eq!(errors(&world, long, at).await, "BASE_TYPE_BAD_LENGTH");
    let bare = json!({"components": [button("a")]});
    assert_eq!(
        errors(&world, bare, "components/0/type").await,
        "BASE_TYPE_CHOICES"
    );
    let text = |text: String| json!([{"type": 10, "content": text}]);
    let second = json!({"flags": 1 << 15, "components": text("x".repeat(4000))});
    assert_eq!(world.write(second).await.status, 200);
    let long = json!({"flags": 1 << 15, "components": text("x".repeat(4001))});
    assert_eq!(
        errors(&world, long, "components").await,
        "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"
    );
    let mixed = json!({"flags": 1 << 15, "content": "x", "components": text("x".into())});
    let code = errors(&world, mixed, "content").await;
    assert_eq!(code, "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2");
}

#[tokio::test]
async fn a_nonce_is_enforced_for_a_while_and_per_author() {
    let world = World::new().await;
    let body = json!({"content": "once", "nonce": "n", "enforce_nonce": true});
    let first = world.write(body.clone()).await.json();
    assert_eq!(
        (
            &world.write(body.clone()).await.json()["id"],
            &first["nonce"]
        ),
        (&first["id"], &json!("n"))
    );
    let loose = json!({"content": "again", "nonce": "n"});
    assert_ne!(world.write(loose).await.json()["id"], first["id"]);
    world.advance(Duration::from_secs(301));
    assert_ne!(world.write(body).await.json()["id"], first["id"]);
    assert_eq!(world.history(world.general).len(), 3);
}

#[tokio::test]
async fn replies_point_at_messages_that_exist() {
    let world = World::new().await;
    let said = world.post(world.general, world.ada, "hi").unwrap();
    let reply = |id: u64, strict: bool| {
        let reference = json!({"message_id": id.to_string(), "fail_if_not_exists": strict});
        json!({"content": "yes", "message_reference": reference, "allowed_mentions": {"parse": [], "replied_user": true}})
    };
    let sent = world.write(reply(said, true)).await.json();
    assert_eq!(
        (&sent["type"], &sent["referenced_message"]["content"]),
        (&json!(19), &json!("hi"))
    );
    assert_eq!(sent["mentions"][0]["id"], world.ada.to_string());
    assert_eq!(
        errors(&world, reply(1, true), "message_reference").await,
        "REPLIES_UNKNOWN_MESSAGE"
    );
    let plain = world.write(reply(1, false)).await.json();
    assert_eq!(
        (&plain["type"], plain.get("message_reference")),
        (&json!(0), None)
    );
    world.deny(world.bot, world.general, 1 << 16).unwrap();
    assert_eq!(world.refused(reply(said, true)).await, (400, 160_002));
}

#[tokio::test]
async fn only_the_author_edits_and_moderators_delete() {
    let world = World::new().await;
    let said = world.post(world.general, world.ada, "hi").unwrap();
    let path = format!("{}/{said}", world.messages());
    let edit = world
        .call(Method::PATCH, &path, &json!({"content": "mine now"}))
        .await;
    assert_eq!((edit.status, &edit.json()["code"]), (403, &json!(50005)));
    world.deny(world.bot, world.general, 1 << 13).unwrap();
    let delete = async || world.call(Method::DELETE, &path, &Value::Null).await;
    assert_eq!(delete().await.json()["code"], 50013);
    world.deny(world.bot, world.general, 0).unwrap();
    let gone = delete().await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(delete().await.json()["code"], 10008);
    let mine = world.write(json!({"content": "mine"})).await.json();
    let path = format!("{}/{}", world.messages(), mine["id"].as_str().unwrap());
    let edited = world
        .call(Method::PATCH, &path, &json!({"content": "changed"}))
        .await
        .json();
    assert_eq!(edited["content"], "changed");
    assert!(
        edited["edited_timestamp"]
            .as_str()
            .unwrap()
            .starts_with("2026-09-21T")
    );
}

#[tokio::test]
async fn permissions_and_membership_decide() {
    let world = World::new().await;
    let text = || json!({"content": "x"});
    for (bits, refusal) in [(1 << 11, (403, 50013)), (1 << 10, (403, 50001))] {
        world.deny(world.bot, world.general, bits).unwrap();
        assert_eq!(world.refused(text()).await, refusal);
    }
    world.deny(world.bot, world.general, 0).unwrap();
    let other = world.add_bot(&NewBot::new("other", "other")).unwrap();
    let (_, foreign) = world.guild(&NewGuild::new("Other", &[other], &[])).unwrap();
    let path = format!("/channels/{foreign}/messages");
    assert_eq!(
        world.call(Method::POST, &path, &text()).await.json()["code"],
        50001
    );
    assert_eq!(
        world
            .call(Method::GET, "/channels/1", &Value::Null)
            .await
            .json()["code"],
        10003
    );
    world.leave(world.bot, world.guild).unwrap();
    assert_eq!(world.refused(text()).await, (403, 50001));
}

#[tokio::test]
async fn direct_conversations_want_a_person_who_can_be_reached() {
    let world = World::new().await;
    let open = async |user: u64| {
        let body = json!({"recipient_id": user.to_string()});
        world.call(Method::POST, "/users/@me/channels", &body).await
    };
    let first = open(world.ada).await.json();
    assert_eq!(
        (&first["type"], &first["recipients"][0]["id"]),
        (&json!(1), &json!(world.ada.to_string()))
    );
    assert_eq!(open(world.ada).await.json()["id"], first["id"]);
    assert_eq!(open(7).await.json()["code"], 50007);
    let write = async |channel: &Value| {
        let path = format!("/channels/{}/messages", channel.as_str().unwrap());
        world
            .call(Method::POST, &path, &json!({"content": "x"}))
            .await
    };
    assert_eq!(write(&first["id"]).await.status, 200);
    world.close_directs(world.ada).unwrap();
    assert_eq!(write(&first["id"]).await.json()["code"], 50007);
    let stranger = world.user("Eve");
    let second = open(stranger).await.json();
    assert_eq!(write(&second["id"]).await.json()["code"], 50278);
}

#[tokio::test]
async fn threads_have_the_id_of_their_message_and_can_be_archived() {
    let world = World::new().await;
    let said = world.post(world.general, world.ada, "start").unwrap();
    let path = format!("{}/{said}/threads", world.messages());
    let open = async |body: Value| world.call(Method::POST, &path, &body).await;
    assert_eq!(open(json!({"name": ""})).await.json()["code"], 50035);
    assert_eq!(
        open(json!({"name": "x", "auto_archive_duration": 5}))
            .await
            .json()["code"],
        50035
    );
    let made = open(json!({"name": "details"})).await;
    assert_eq!(
        (made.status, &made.json()["id"]),
        (201, &json!(said.to_string()))
    );
    assert_eq!(open(json!({"name": "again"})).await.json()["code"], 160_004);
    let inside = format!("/channels/{said}/messages");
    let write = async || {
        world
            .call(Method::POST, &inside, &json!({"content": "x"}))
            .await
    };
    assert_eq!(write().await.status, 200);
    world.archive(said).unwrap();
    assert_eq!(write().await.json()["code"], 50083);
    let unarchive = json!({"archived": false});
    world
        .call(Method::PATCH, &format!("/channels/{said}"), &unarchive)
        .await;
    assert_eq!(write().await.status, 200);
    let forum = world.channel(world.guild, "forum", 15).unwrap();
    let path = format!("/channels/{forum}/threads");
    let post = json!({"name": "post", "message": {"content": "first"}});
    let post = world.call(Method::POST, &path, &post).await.json();
    assert_eq!(post["message"]["id"], post["id"]);
    let direct = format!("/channels/{forum}/messages");
    assert_eq!(
        world
            .call(Method::POST, &direct, &json!({"content": "x"}))
            .await
            .json()["code"],
        50008
    );
}

#[tokio::test]
async fn reactions_are_emoji_and_at_most_twenty() {
    let world = World::new().await;
    world.faults().rate_limits(false);
    let said = world.post(world.general, world.ada, "hi").unwrap();
    let react = async |emoji: &str| {
        let path = format!("{}/{said}/reactions/{emoji}/@me", world.messages());
        world.call(Method::PUT, &path, &Value::Null).await
    };
    assert_eq!(react("%F0%9F%94%A5").await.status, 204);
    assert_eq!(react("custom:41771983429993937").await.status, 204);
    assert_eq!(react("nonsense").await.json()["code"], 10014);
    for number in 0..18_u8 {
        assert_eq!(
            react(&format!("%F0%9F%98%{:X}", 0x80 + number))
                .await
                .status,
            204
        );
    }
    assert_eq!(react("%F0%9F%91%8D").await.json()["code"], 30010);
    world.react(world.general, said, world.ada, "🔥").unwrap();
    let seen = world.history(world.general);
    assert_eq!(
        seen[0].reactions[0].by,
        [world.bot.to_string(), world.ada.to_string()]
    );
}

#[tokio::test]
async fn files_are_uploaded_described_and_served_by_signed_addresses() {
    let world = World::new().await;
    let body = "--b\r\nContent-Disposition: form-data; name=\"payload_json\"\r\nContent-Type: application/json\r\n\r\n\
                {\"content\":\"look\",\"attachments\":[{\"id\":0,\"description\":\"first\"}]}\r\n\
                --b\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"a b.txt\"\r\n\r\nhello\r\n--b--\r\n";
    let multipart = [("content-type", "multipart/form-data; boundary=b")];
    let sent = world
        .send(Method::POST, &world.messages(), &multipart, body)
        .await;
    assert_eq!(sent.status, 200);
    let file = sent.json()["attachments"][0].clone();
    assert_eq!(
        (&file["filename"], &file["size"], &file["description"]),
        (&json!("a_b.txt"), &json!(5), &json!("first"))
    );
    let base = world.server.base_url();
    let get = async |url: &str| {
        let path = url.strip_prefix(&base).unwrap().to_owned();
        exchange(&base, Method::GET, &path, &[], "").await.unwrap()
    };
    let url = file["url"].as_str().unwrap();
    assert_eq!(get(url).await.body, "hello");
    assert_eq!(get(&url.replace("hm=", "hm=0")).await.status, 404);
    world.advance(Duration::from_secs(24 * 60 * 60 + 1));
    assert_eq!(get(url).await.status, 404);
    let unknown = body.replace("\"id\":0", "\"id\":3");
    let refused = world
        .send(Method::POST, &world.messages(), &multipart, &unknown)
        .await;
    assert_eq!(refused.json()["code"], 50035);
    let call = world.calls().remove(0);
    assert_eq!(call.body["files"][0]["size"], 5);
}

#[tokio::test]
async fn history_pages_in_both_directions() {
    let world = World::new().await;
    let ids: Vec<u64> = (0..5)
        .map(|number| {
            world
                .post(world.general, world.ada, number.to_string().as_str())
                .unwrap()
        })
        .collect();
    let page = async |query: String| -> Vec<String> {
        let path = format!("{}?{query}", world.messages());
        let answer = world.call(Method::GET, &path, &Value::Null).await.json();
        let texts = answer
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"].as_str());
        texts.map(|text| text.unwrap().to_owned()).collect()
    };
    assert_eq!(page("limit=2".into()).await, ["4", "3"]);
    assert_eq!(page(format!("limit=2&before={}", ids[2])).await, ["1", "0"]);
    assert_eq!(page(format!("limit=2&after={}", ids[1])).await, ["3", "2"]);
    assert_eq!(
        page(format!("limit=3&around={}", ids[2])).await,
        ["3", "2", "1"]
    );
    let path = format!("{}?limit=101", world.messages());
    assert_eq!(
        world.call(Method::GET, &path, &Value::Null).await.status,
        400
    );
}

#[tokio::test]
async fn a_pinned_message_is_updated_and_not_edited() {
    let world = World::new().await;
    let (mut line, _) = world.ready().await;
    let said = world
        .post(world.general, world.ada, Post::text("hi"))
        .unwrap();
    line.event("MESSAGE_CREATE").await;
    world.pin(world.general, said).unwrap();
    line.event("CHANNEL_PINS_UPDATE").await;
    let frame = line.event("MESSAGE_UPDATE").await;
    assert_eq!(
        (&frame["d"]["pinned"], &frame["d"]["edited_timestamp"]),
        (&json!(true), &Value::Null)
    );
    world.edit(world.general, said, "hello").unwrap();
    let frame = line.event("MESSAGE_UPDATE").await;
    assert!(frame["d"]["edited_timestamp"].is_string());
    world.delete(world.general, said).unwrap();
    let frame = line.event("MESSAGE_DELETE").await;
    let guild = world.guild.to_string();
    assert_eq!(
        (&frame["d"]["id"], &frame["d"]["guild_id"]),
        (&json!(said.to_string()), &json!(guild))
    );
}

#[tokio::test]
async fn a_forward_shows_a_snapshot_without_its_author() {
    let world = World::new().await;
    let (mut line, _) = world.ready().await;
    let direct = world.direct(world.bot, world.ada).unwrap();
    let said = world.post(direct, world.ada, "to be forwarded").unwrap();
    line.event("MESSAGE_CREATE").await;
    world
        .post(
            world.general,
            world.ada,
            Post::text("").forward(direct, said),
        )
        .unwrap();
    let frame = line.event("MESSAGE_CREATE").await;
    assert_eq!(frame["d"]["message_reference"]["type"], 1);
    let snapshot = &frame["d"]["message_snapshots"][0]["message"];
    assert_eq!(
        (&snapshot["content"], snapshot.get("author")),
        (&json!("to be forwarded"), None)
    );
    assert_eq!(frame["d"].get("referenced_message"), None);
}
