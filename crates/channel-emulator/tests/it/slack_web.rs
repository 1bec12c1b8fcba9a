//! The Web API: who may call what, and what messages, channels, files and views become.

use std::time::Duration;

use channel_emulator::slack::{Fault, NewApp, Outcome, Post};
use http::Method;
use serde_json::{Value, json};

use crate::line_api::exchange;
use crate::slack_api::{SECRET, TOKEN, World, quick};

#[tokio::test]
async fn names_the_bot_and_its_scopes() {
    let world = World::new().await;
    let answered = world.answered("auth.test", json!({})).await;
    let answer = answered.json();
    assert_eq!(answer["user_id"], world.bot.bot_user);
    assert_eq!(answer["bot_id"], world.bot.bot_id);
    assert_eq!(answer["team_id"], world.team);
    assert_eq!(answer["url"], "https://kit-hq.slack.com/");
    assert!(
        answered.headers["x-oauth-scopes"]
            .to_str()
            .unwrap()
            .contains("chat:write")
    );
}

#[tokio::test]
async fn tokens_are_judged_one_by_one() {
    let world = World::new().await;
    let call = async |headers: &[(&str, &str)], body: &str| {
        let answer = world.send("auth.test", headers, body).await.json();
        answer["error"].as_str().unwrap_or("none").to_owned()
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(call(&[form, ("authorization", "")], "").await, "not_authed");
    assert_eq!(
        call(&[form, ("authorization", "Bearer nonsense")], "").await,
        "invalid_auth"
    );
    let body = format!("token={TOKEN}");
    assert_eq!(call(&[form, ("authorization", "")], &body).await, "none");
    // In JSON a token is no argument.
    let body = json!({"token": TOKEN}).to_string();
    let json = ("content-type", "application/json");
    assert_eq!(
        call(&[json, ("authorization", "")], &body).await,
        "not_authed"
    );
    assert_eq!(
        world.refusal("apps.connections.open", json!({})).await,
        "not_allowed_token_type"
    );
    assert_eq!(world.refusal("chat.fly", json!({})).await, "unknown_method");
    world.ok("auth.revoke", json!({"test": true})).await;
    world.ok("auth.revoke", json!({})).await;
    assert_eq!(world.refusal("auth.test", json!({})).await, "token_revoked");
    world.uninstall(&world.app, &world.team);
    assert_eq!(
        world.refusal("auth.test", json!({})).await,
        "account_inactive"
    );
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let mut app = NewApp::new("Kit", SECRET);
    app.scopes = "chat:write".to_owned();
    let world = World::with(quick(), app).await;
    let answer = world.answered("users.info", json!({})).await.json();
    assert_eq!(answer["error"], "missing_scope");
    assert_eq!(answer["needed"], "users:read");
    assert_eq!(answer["provided"], "chat:write");
}

#[tokio::test]
async fn messages_are_written_threaded_changed_and_deleted() {
    let world = World::new().await;
    let root = world.say(&world.general, &world.ada, "root").unwrap();
    let params = json!({"channel": "#general", "text": "reply", "thread_ts": root});
    let answer = world.ok("chat.postMessage", params).await;
    let ts = answer["ts"].as_str().unwrap();
    assert_eq!(answer["message"]["bot_id"], world.bot.bot_id);
    assert_eq!(answer["message"]["parent_user_id"], world.ada);
    let answer = world
        .form(
            "chat.update",
            &[("channel", &world.general), ("ts", ts), ("text", "changed")],
        )
        .await;
    assert_eq!(answer["text"], "changed");
    let under_reply = json!({"channel": world.general, "text": "x", "thread_ts": ts});
    assert_eq!(
        world.refusal("chat.postMessage", under_reply).await,
        "cannot_reply_to_message"
    );
    let foreign = json!({"channel": world.general, "ts": root, "text": "mine now"});
    assert_eq!(
        world.refusal("chat.update", foreign.clone()).await,
        "cant_update_message"
    );
    assert_eq!(
        world.refusal("chat.delete", foreign).await,
        "cant_delete_message"
    );
    let replies = world
        .form(
            "conversations.replies",
            &[("channel", &world.general), ("ts", &root)],
        )
        .await;
    assert_eq!(replies["messages"][0]["reply_count"], 1);
    assert_eq!(replies["messages"][1]["text"], "changed");
    world
        .ok("chat.delete", json!({"channel": world.general, "ts": ts}))
        .await;
    let again = json!({"channel": world.general, "ts": ts});
    assert_eq!(
        world.refusal("chat.delete", again).await,
        "message_not_found"
    );
}

#[tokio::test]
async fn an_update_keeps_the_blocks_that_it_does_not_name() {
    let world = World::new().await;
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*b*"}}]);
    let params = json!({"channel": world.general, "text": "t", "blocks": blocks});
    let ts = world.ok("chat.postMessage", params).await["ts"].clone();
    world
        .ok(
            "chat.update",
            json!({"channel": world.general, "ts": ts, "text": "u"}),
        )
        .await;
    assert_eq!(world.sent(&world.app)[0].blocks, blocks);
    let emptied = json!({"channel": world.general, "ts": ts, "text": "u", "blocks": []});
    world.ok("chat.update", emptied).await;
    assert_eq!(world.sent(&world.app)[0].blocks, Value::Null);
}

#[tokio::test]
async fn who_may_write_where() {
    let world = World::new().await;
    let bea = world.user(&world.team, "Bea").unwrap();
    let open = world.channel(&world.team, "open", &[&bea]).unwrap();
    let secret = world
        .private_channel(&world.team, "secret", &[&bea])
        .unwrap();
    let write = async |channel: &str| {
        world
            .refusal("chat.postMessage", json!({"channel": channel, "text": "x"}))
            .await
    };
    assert_eq!(write(&open).await, "not_in_channel");
    assert_eq!(write(&secret).await, "channel_not_found");
    assert_eq!(write("C0NONE").await, "channel_not_found");
    world.archive(&world.general);
    assert_eq!(write(&world.general).await, "is_archived");
    assert_eq!(
        world
            .refusal("chat.postMessage", json!({"text": "x"}))
            .await,
        "invalid_arguments"
    );
    assert_eq!(
        world
            .refusal("chat.postMessage", json!({"channel": world.direct}))
            .await,
        "no_text"
    );
    // A person's id stands for the direct channel.
    world.post(&bea, "hello").await;
    let opened = world.ok("conversations.open", json!({"users": bea})).await;
    let direct = opened["channel"]["id"].as_str().unwrap();
    assert_eq!(world.history(direct)[0].text, "hello");
    let bot = json!({"users": world.bot.bot_user});
    assert_eq!(
        world.refusal("conversations.open", bot).await,
        "cannot_dm_bot"
    );
}

#[tokio::test]
async fn limits_of_content() {
    let world = World::new().await;
    let post = async |field: &str, value: Value| {
        let mut params = json!({"channel": world.general});
        params[field] = value;
        world.answered("chat.postMessage", params).await.json()
    };
    let answer = post("text", "x".repeat(40_001).into()).await;
    assert_eq!(answer["warning"], "message_truncated");
    assert_eq!(world.sent(&world.app)[0].text.len(), 40_000);
    assert_eq!(
        post("markdown_text", "x".repeat(12_001).into()).await["error"],
        "msg_too_long"
    );
    let section = |text: &str| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let answer = post("blocks", json!([section(&"x".repeat(3001))])).await;
    assert_eq!(answer["error"], "invalid_blocks");
    let said = answer["response_metadata"]["messages"][0].as_str().unwrap();
    assert!(
        said.contains("less than 3001 characters") && said.contains("/blocks/0/text/text"),
        "{said}"
    );
    let many = json!(vec![json!({"type": "divider"}); 51]);
    assert_eq!(post("blocks", many).await["error"], "invalid_blocks");
    let heavy = json!(vec![section(&"x".repeat(2900)); 5]);
    assert_eq!(post("blocks", heavy).await["error"], "msg_blocks_too_long");
    let button = |id: &str| json!({"type": "button", "action_id": id, "text": {"type": "plain_text", "text": "A"}});
    let twins = json!([{"type": "actions", "elements": [button("a"), button("a")]}]);
    assert_eq!(post("blocks", twins).await["error"], "invalid_blocks");
    let long = json!([{"type": "actions", "elements": [{"type": "button", "action_id": "a",
        "text": {"type": "plain_text", "text": "x".repeat(76)}}]}]);
    assert_eq!(post("blocks", long).await["error"], "invalid_blocks");
    assert_eq!(
        post("blocks", "no json".into()).await["error"],
        "invalid_blocks_format"
    );
    let both = json!({"channel": world.general, "text": "a", "markdown_text": "b"});
    assert_eq!(
        world.refusal("chat.postMessage", both).await,
        "markdown_text_conflict"
    );
}

#[tokio::test]
async fn rates_count_by_method_and_posts_by_channel() {
    let world = World::new().await;
    for _ in 0..20 {
        world.form("conversations.list", &[]).await;
    }
    let answered = world.answered("conversations.list", json!({})).await;
    assert_eq!(answered.status, 429);
    assert_eq!(answered.headers["retry-after"], "60");
    assert_eq!(
        answered.json(),
        json!({"ok": false, "error": "ratelimited"})
    );
    world.advance(Duration::from_secs(60));
    assert_eq!(world.form("conversations.list", &[]).await["ok"], true);
    for number in 0..20 {
        world.post(&world.general, &number.to_string()).await;
    }
    let params = json!({"channel": world.general, "text": "one too many"});
    let answered = world.answered("chat.postMessage", params).await;
    assert_eq!(
        (answered.status, answered.headers["retry-after"].as_bytes()),
        (429, &b"1"[..])
    );
    world.post(&world.direct, "another channel").await;
    world.advance(Duration::from_secs(1));
    world.post(&world.general, "now").await;
}

#[tokio::test]
async fn ephemeral_and_scheduled_messages() {
    let world = World::new().await;
    let params = json!({"channel": world.general, "user": world.ada, "text": "psst"});
    let answer = world.ok("chat.postEphemeral", params).await;
    let ts = answer["message_ts"].clone();
    assert_eq!(
        world.ephemerals(&world.general)[0].only_for.as_ref(),
        Some(&world.ada)
    );
    assert!(world.history(&world.general).is_empty());
    let edit = json!({"channel": world.general, "ts": ts, "text": "x"});
    assert_eq!(
        world.refusal("chat.update", edit).await,
        "message_not_found"
    );
    let stranger = world.user(&world.team, "Bea").unwrap();
    let params = json!({"channel": world.general, "user": stranger, "text": "psst"});
    assert_eq!(
        world.refusal("chat.postEphemeral", params).await,
        "user_not_in_channel"
    );

    let later = |at: u64| json!({"channel": world.general, "text": "later", "post_at": at});
    assert_eq!(
        world.refusal("chat.scheduleMessage", later(1)).await,
        "time_in_past"
    );
    let far = 1_700_000_000 + 121 * 86_400;
    assert_eq!(
        world.refusal("chat.scheduleMessage", later(far)).await,
        "time_too_far"
    );
    let first = world.ok("chat.scheduleMessage", later(1_700_000_100)).await;
    world.ok("chat.scheduleMessage", later(1_700_000_200)).await;
    let id = first["scheduled_message_id"].clone();
    let cancel = json!({"channel": world.general, "scheduled_message_id": id});
    world
        .ok("chat.deleteScheduledMessage", cancel.clone())
        .await;
    assert_eq!(
        world.refusal("chat.deleteScheduledMessage", cancel).await,
        "invalid_scheduled_message_id"
    );
    world.advance(Duration::from_secs(201));
    let posted = world
        .wait_for(crate::slack_api::PATIENCE, |slack| {
            slack.history(&world.general).pop()
        })
        .await;
    assert_eq!(posted.unwrap().via, "chat.scheduleMessage");
}

#[tokio::test]
async fn streams_run_in_threads_and_end() {
    let world = World::new().await;
    let root = world.say(&world.general, &world.ada, "tell me").unwrap();
    let mut params = json!({"channel": world.general, "thread_ts": root, "markdown_text": "one "});
    assert_eq!(
        world.refusal("chat.startStream", params.clone()).await,
        "missing_recipient_user_id"
    );
    params["recipient_user_id"] = world.ada.clone().into();
    params["recipient_team_id"] = world.team.clone().into();
    let ts = world.ok("chat.startStream", params.clone()).await["ts"].clone();
    let piece = |text: &str| json!({"channel": world.general, "ts": ts, "markdown_text": text});
    world.ok("chat.appendStream", piece("two ")).await;
    assert_eq!(
        world
            .refusal(
                "chat.update",
                json!({"channel": world.general, "ts": ts, "text": "x"})
            )
            .await,
        "streaming_state_conflict"
    );
    let answer = world.ok("chat.stopStream", piece("three")).await;
    assert_eq!(answer["message"]["text"], "one two three");
    assert_eq!(
        world.refusal("chat.appendStream", piece("four")).await,
        "message_not_in_streaming_state"
    );
    let ts = world.ok("chat.startStream", params).await["ts"].clone();
    world.advance(Duration::from_secs(301));
    let late = json!({"channel": world.general, "ts": ts, "markdown_text": "late"});
    assert_eq!(
        world.refusal("chat.stopStream", late).await,
        "message_not_in_streaming_state"
    );
}

#[tokio::test]
async fn reactions_are_counted() {
    let world = World::new().await;
    let ts = world.say(&world.general, &world.ada, "hi").unwrap();
    let eyes = json!({"channel": world.general, "timestamp": ts, "name": "eyes"});
    world.ok("reactions.add", eyes.clone()).await;
    assert_eq!(
        world.refusal("reactions.add", eyes.clone()).await,
        "already_reacted"
    );
    world
        .react(&world.general, &world.ada, &ts, "eyes", true)
        .unwrap();
    let got = world
        .form(
            "reactions.get",
            &[("channel", &world.general), ("timestamp", &ts)],
        )
        .await;
    assert_eq!(got["message"]["reactions"][0]["count"], 2);
    world.ok("reactions.remove", eyes.clone()).await;
    assert_eq!(world.refusal("reactions.remove", eyes).await, "no_reaction");
    let colons = json!({"channel": world.general, "timestamp": ts, "name": ":eyes:"});
    assert_eq!(world.refusal("reactions.add", colons).await, "invalid_name");
}

#[tokio::test]
async fn files_go_up_in_three_steps_and_come_down_with_the_token() {
    let world = World::new().await;
    let asked = world
        .form(
            "files.getUploadURLExternal",
            &[("filename", "a.txt"), ("length", "5")],
        )
        .await;
    let json_body = json!({"filename": "a.txt", "length": 5});
    assert_eq!(
        world.refusal("files.getUploadURLExternal", json_body).await,
        "invalid_arguments"
    );
    let id = asked["file_id"].as_str().unwrap();
    let complete = json!({"files": [{"id": id, "title": "A"}], "channel_id": world.general,
        "initial_comment": "here"});
    assert_eq!(
        world
            .refusal("files.completeUploadExternal", complete.clone())
            .await,
        "file_not_found"
    );
    let base = world.server.base_url();
    let path = asked["upload_url"]
        .as_str()
        .unwrap()
        .strip_prefix(&base)
        .unwrap()
        .to_owned();
    let octets = [("content-type", "application/octet-stream")];
    let short = exchange(&base, Method::POST, &path, &octets, "four")
        .await
        .unwrap();
    assert_eq!(short.status, 400);
    let sent = exchange(&base, Method::POST, &path, &octets, "hello")
        .await
        .unwrap();
    assert_eq!(sent.status, 200);
    let done = world.ok("files.completeUploadExternal", complete).await;
    assert!(done.get("ts").is_none());
    let shared = world.sent(&world.app).pop().unwrap();
    assert_eq!((shared.files.len(), shared.text.as_str()), (1, "here"));
    let info = world.form("files.info", &[("file", id)]).await;
    assert_eq!(
        info["file"]["shares"]["public"][&world.general][0]["ts"],
        shared.ts
    );
    let url = info["file"]["url_private_download"].as_str().unwrap();
    let path = url.strip_prefix(&base).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let granted = exchange(&base, Method::GET, path, &[("authorization", &bearer)], "")
        .await
        .unwrap();
    assert_eq!(&granted.body[..], b"hello");
    assert_eq!(granted.headers["content-type"], "text/plain");
    let login = exchange(&base, Method::GET, path, &[("authorization", "")], "")
        .await
        .unwrap();
    assert_eq!(login.status, 200);
    assert!(
        login.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
}

#[tokio::test]
async fn a_form_upload_is_the_same() {
    let world = World::new().await;
    let asked = world
        .form(
            "files.getUploadURLExternal",
            &[("filename", "a.txt"), ("length", "5")],
        )
        .await;
    let base = world.server.base_url();
    let path = asked["upload_url"]
        .as_str()
        .unwrap()
        .strip_prefix(&base)
        .unwrap()
        .to_owned();
    let body = "--xx\r\nContent-Disposition: form-data; name=\"body\"; filename=\"a.txt\"\r\n\r\nhello\r\n--xx--\r\n";
    let kind = [("content-type", "multipart/form-data; boundary=xx")];
    assert_eq!(
        exchange(&base, Method::POST, &path, &kind, body)
            .await
            .unwrap()
            .status,
        200
    );
    assert_eq!(
        &world.file(asked["file_id"].as_str().unwrap()).unwrap()[..],
        b"hello"
    );
}

#[tokio::test]
async fn history_pages_backwards_and_hides_metadata() {
    let world = World::new().await;
    let first = world.say(&world.general, &world.ada, "first").unwrap();
    world
        .say(
            &world.general,
            &world.ada,
            Post::text("reply").in_thread(&first),
        )
        .unwrap();
    let metadata = json!({"event_type": "kit", "event_payload": {"key": "1"}});
    world
        .ok(
            "chat.postMessage",
            json!({"channel": world.general, "text": "second", "metadata": metadata}),
        )
        .await;
    let page = world
        .form(
            "conversations.history",
            &[("channel", &world.general), ("limit", "1")],
        )
        .await;
    assert_eq!(page["messages"][0]["text"], "second");
    assert!(page["messages"][0].get("metadata").is_none());
    assert_eq!(page["has_more"], true);
    let cursor = page["response_metadata"]["next_cursor"].as_str().unwrap();
    let next = world
        .form(
            "conversations.history",
            &[
                ("channel", &world.general),
                ("limit", "1"),
                ("cursor", cursor),
            ],
        )
        .await;
    assert_eq!(next["messages"][0]["text"], "first");
    assert_eq!(next["has_more"], false);
    let since = world
        .form(
            "conversations.history",
            &[
                ("channel", &world.general),
                ("oldest", &first),
                ("include_all_metadata", "1"),
            ],
        )
        .await;
    assert_eq!(since["messages"].as_array().unwrap().len(), 1);
    assert_eq!(since["messages"][0]["metadata"], metadata);
}

#[tokio::test]
async fn faults_strike_once_and_are_recorded() {
    let world = World::new().await;
    let refusal = |error: &str| Fault::Refuse {
        error: error.to_owned(),
    };
    world
        .faults()
        .next("chat.postMessage", 1, refusal("msg_too_long"));
    let params = json!({"channel": world.general, "text": "x"});
    assert_eq!(
        world.refusal("chat.postMessage", params.clone()).await,
        "msg_too_long"
    );
    world
        .faults()
        .next("chat.postMessage", 1, Fault::RateLimited { retry_after: 7 });
    let answered = world.answered("chat.postMessage", params.clone()).await;
    assert_eq!(
        (answered.status, answered.headers["retry-after"].as_bytes()),
        (429, &b"7"[..])
    );
    world.faults().any(1, Fault::ServerError { status: 503 });
    let answered = world.answered("chat.postMessage", params.clone()).await;
    assert_eq!(answered.status, 503);
    world
        .faults()
        .next("chat.postMessage", 1, Fault::LoseAnswer);
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
    ];
    let base = world.server.base_url();
    let lost = exchange(
        &base,
        Method::POST,
        "/api/chat.postMessage",
        &headers,
        &params.to_string(),
    )
    .await;
    assert!(lost.is_none());
    assert_eq!(world.sent(&world.app).len(), 1);
    let last = world.calls().pop().unwrap();
    assert_eq!(
        (last.outcome, last.app.as_str()),
        (Outcome::AnswerLost, world.app.as_str())
    );
}
