//! What may be sent, and how refusals read. <https://core.telegram.org/bots/api#sendmessage>

use std::time::Duration;

use channel_emulator::telegram::{FloodLimits, Group, Place, Standing, TelegramConfig};
use serde_json::{Value, json};

use crate::api::{ADA, BOT, DIRECT, World};

async fn text(world: &World, text: &str) -> (u16, String) {
    world
        .refusal("sendMessage", json!({"chat_id": ADA, "text": text}))
        .await
}

#[tokio::test]
async fn counts_the_limit_in_utf16_units_after_parsing() {
    let world = World::started().await;
    for fits in ["x".repeat(4096), "😀".repeat(2048)] {
        world
            .result("sendMessage", json!({"chat_id": ADA, "text": fits}))
            .await;
    }
    let tags = format!("<b>{}</b>", "x".repeat(4096));
    world
        .result(
            "sendMessage",
            json!({"chat_id": ADA, "text": tags, "parse_mode": "HTML"}),
        )
        .await;
    assert_eq!(
        text(&world, &"x".repeat(4097)).await,
        (400, "Bad Request: message is too long".into())
    );
    assert_eq!(
        text(&world, &"😀".repeat(2049)).await.1,
        "Bad Request: message is too long"
    );
    // 2200 characters, but more than 32 KiB before parsing.
    let heavy = "<i><u>x</u></i>".repeat(2200);
    let heavy = json!({"chat_id": ADA, "text": heavy, "parse_mode": "HTML"});
    assert_eq!(
        world.refusal("sendMessage", heavy).await.1,
        "Bad Request: message is too long"
    );
    let light = "<i><u>x</u></i>".repeat(2100);
    world
        .result(
            "sendMessage",
            json!({"chat_id": ADA, "text": light, "parse_mode": "HTML"}),
        )
        .await;
}

#[tokio::test]
async fn wants_a_text_and_trims_it() {
    let world = World::started().await;
    assert_eq!(
        text(&world, "").await,
        (400, "Bad Request: message text is empty".into())
    );
    assert_eq!(
        text(&world, " \n\t ").await.1,
        "Bad Request: message text is empty"
    );
    let params = json!({"chat_id": ADA, "text": "  <b> hi </b> ", "parse_mode": "HTML"});
    let sent = world.result("sendMessage", params).await;
    assert_eq!(sent["text"], "hi");
    assert_eq!(
        sent["entities"],
        json!([{"type": "bold", "offset": 0, "length": 2}])
    );
}

#[tokio::test]
async fn checks_explicit_entities() {
    let world = World::started().await;
    let send = async |entities: Value| {
        world
            .call(
                "sendMessage",
                json!({"chat_id": ADA, "text": "😀 bold", "entities": entities}),
            )
            .await
    };
    let good = send(json!([{"type": "bold", "offset": 3, "length": 4}])).await;
    assert_eq!(good.1["result"]["entities"][0]["type"], "bold");
    for bad in [
        json!([{"type": "bold", "offset": 3, "length": 5}]),
        json!([{"type": "bold", "offset": 1, "length": 2}]),
        json!([{"type": "bold", "offset": 0, "length": 1}]),
        json!([{"type": "bold", "offset": -1, "length": 1}]),
        json!([{"type": "text_link", "offset": 0, "length": 2}]),
        json!([{"offset": 0, "length": 2}]),
    ] {
        assert_eq!(send(bad.clone()).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn finds_mentions_commands_and_links_by_itself() {
    let world = World::started().await;
    let sent = world
        .result(
            "sendMessage",
            json!({"chat_id": ADA, "text": "/go @ada_t http://a.test/b?c. #tag"}),
        )
        .await;
    let kinds: Vec<_> = sent["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entity| entity["type"].clone())
        .collect();
    assert_eq!(kinds, ["bot_command", "mention", "url", "hashtag"]);
    assert_eq!(sent["entities"][2]["length"], "http://a.test/b?c".len());
}

#[tokio::test]
async fn replies_only_to_messages_that_are_there() {
    let world = World::started().await;
    let reply = async |parameters: Value| {
        world
            .call(
                "sendMessage",
                json!({"chat_id": ADA, "text": "x", "reply_parameters": parameters}),
            )
            .await
            .1
    };
    assert_eq!(
        reply(json!({"message_id": 1})).await["result"]["reply_to_message"]["text"],
        "/start"
    );
    assert_eq!(
        reply(json!({"message_id": 99})).await["description"],
        "Bad Request: message to be replied not found"
    );
    let lenient = reply(json!({"message_id": 99, "allow_sending_without_reply": true})).await;
    assert_eq!(lenient["result"]["reply_to_message"], Value::Null);
    assert_eq!(
        reply(json!({"message_id": 1, "quote": "star"})).await["ok"],
        true
    );
    assert_eq!(
        reply(json!({"message_id": 1, "quote": "moon"})).await["description"],
        "Bad Request: QUOTE_TEXT_INVALID"
    );
    world.delete(DIRECT, 1).unwrap();
    assert_eq!(reply(json!({"message_id": 1})).await["ok"], false);
}

#[tokio::test]
async fn checks_keyboards() {
    let world = World::started().await;
    let send = async |button: Value| {
        let markup = json!({"inline_keyboard": [[button]]});
        world
            .call(
                "sendMessage",
                json!({"chat_id": ADA, "text": "x", "reply_markup": markup}),
            )
            .await
            .1
    };
    let fits = send(json!({"text": "A", "callback_data": "x".repeat(64)})).await;
    assert_eq!(
        fits["result"]["reply_markup"]["inline_keyboard"][0][0]["text"],
        "A"
    );
    // 33 letters, 66 bytes.
    for data in ["", &"x".repeat(65), &"ä".repeat(33)] {
        let refused = send(json!({"text": "A", "callback_data": data})).await;
        assert_eq!(
            refused["description"], "Bad Request: BUTTON_DATA_INVALID",
            "{data}"
        );
    }
    assert_eq!(
        send(json!({"text": "A", "url": "not a url"})).await["description"],
        "Bad Request: BUTTON_URL_INVALID"
    );
    assert_eq!(
        send(json!({"text": "A", "url": "https://a.test"})).await["ok"],
        true
    );
    assert_eq!(send(json!({"text": "A"})).await["ok"], false);
    assert_eq!(
        send(json!({"text": "A", "url": "https://a.test", "callback_data": "a"})).await["ok"],
        false
    );
    assert_eq!(
        send(json!({"text": "A", "copy_text": {"text": "x".repeat(257)}})).await["ok"],
        false
    );
    let (_, error) = world
        .refusal(
            "sendMessage",
            json!({"chat_id": ADA, "text": "x", "reply_markup": "{"}),
        )
        .await;
    assert!(
        error.contains("can't parse reply keyboard markup JSON object"),
        "{error}"
    );
}

#[tokio::test]
async fn refuses_to_write_where_the_bot_may_not() {
    let world = World::new().await;
    let hello = async |chat: i64| {
        world
            .refusal("sendMessage", json!({"chat_id": chat, "text": "hello"}))
            .await
    };
    let forbidden = |words: &str| (403, format!("Forbidden: {words}"));
    assert_eq!(
        hello(ADA).await,
        forbidden("bot can't initiate conversation with a user")
    );
    assert_eq!(
        hello(4040).await,
        (400, "Bad Request: chat not found".into())
    );
    assert_eq!(
        hello(-4040).await,
        (400, "Bad Request: chat not found".into())
    );
    world.private_text(BOT, ADA, "/start").unwrap();
    world.block(BOT, ADA).unwrap();
    assert_eq!(hello(ADA).await, forbidden("bot was blocked by the user"));
    world.unblock(BOT, ADA).unwrap();
    world
        .result("sendMessage", json!({"chat_id": ADA, "text": "hello"}))
        .await;
    world.deactivate(ADA);
    assert_eq!(hello(ADA).await, forbidden("user is deactivated"));

    world.user(7, "Bo");
    let group = world
        .group(&Group::new(-1_001_234_567_890, "Kit").bot(BOT))
        .unwrap();
    world
        .stand(Place::Shared(group), BOT, 7, Standing::Kicked)
        .unwrap();
    assert_eq!(
        hello(group).await,
        forbidden("bot was kicked from the supergroup chat")
    );
    world
        .stand(Place::Shared(group), BOT, 7, Standing::Left)
        .unwrap();
    assert_eq!(
        hello(group).await,
        forbidden("bot is not a member of the supergroup chat")
    );
    let channel = world
        .group(&Group::new(-1_009, "News").channel().bot(BOT))
        .unwrap();
    assert_eq!(
        hello(channel).await.1,
        "Bad Request: need administrator rights in the channel chat"
    );
    let (status, error) = world.refusal("sendMessage", json!({"text": "x"})).await;
    assert_eq!(
        (status, error.as_str()),
        (400, "Bad Request: chat_id is empty")
    );
}

#[tokio::test]
async fn an_upgraded_group_names_its_new_id() {
    let world = World::new().await;
    let group = world.group(&Group::new(-77, "Kit").bot(BOT)).unwrap();
    let new = world.migrate_to_supergroup(group, ADA).unwrap();
    assert!(new < -1_000_000_000_000);
    let (status, answer) = world
        .call("sendMessage", json!({"chat_id": group, "text": "x"}))
        .await;
    assert_eq!(status, 400);
    assert_eq!(
        answer["description"],
        "Bad Request: group chat was upgraded to a supergroup chat"
    );
    assert_eq!(answer["parameters"]["migrate_to_chat_id"], new);
    world
        .result("sendMessage", json!({"chat_id": new, "text": "x"}))
        .await;
    let pending = world.updates_pending(BOT);
    assert_eq!(pending[0]["message"]["migrate_to_chat_id"], new);
    assert_eq!(pending[1]["message"]["migrate_from_chat_id"], group);
    assert_eq!(pending[1]["message"]["chat"]["type"], "supergroup");
}

#[tokio::test]
async fn writes_into_topics_that_exist() {
    let world = World::new().await;
    let forum = world
        .group(&Group::new(-1_001_000_000_001, "Kit").forum().admin(BOT))
        .unwrap();
    let topic = world
        .result(
            "createForumTopic",
            json!({"chat_id": forum, "name": "Plans"}),
        )
        .await;
    let thread = topic["message_thread_id"].clone();
    let send = async |thread: Value| {
        world
            .call(
                "sendMessage",
                json!({"chat_id": forum, "text": "x", "message_thread_id": thread}),
            )
            .await
            .1
    };
    let sent = send(thread.clone()).await;
    assert_eq!(sent["result"]["message_thread_id"], thread);
    assert_eq!(sent["result"]["is_topic_message"], true);
    assert_eq!(
        send(json!(4040)).await["description"],
        "Bad Request: message thread not found"
    );
    let (_, error) = world
        .refusal(
            "createForumTopic",
            json!({"chat_id": forum, "name": "x".repeat(129)}),
        )
        .await;
    assert_eq!(error, "Bad Request: TOPIC_TITLE_INVALID");
    world
        .result(
            "deleteForumTopic",
            json!({"chat_id": forum, "message_thread_id": thread}),
        )
        .await;
    assert_eq!(send(thread).await["ok"], false);
}

#[tokio::test]
async fn flood_control_says_how_long_to_wait() {
    let limits = FloodLimits::default();
    let world = World::with(TelegramConfig::default().flood_control(limits)).await;
    world.private_text(BOT, ADA, "/start").unwrap();
    let send = async || {
        world
            .call("sendMessage", json!({"chat_id": ADA, "text": "x"}))
            .await
    };
    for _ in 0..limits.chat_burst {
        assert_eq!(send().await.0, 200);
    }
    let (status, answer) = send().await;
    assert_eq!(
        (status, &answer["description"]),
        (429, &json!("Too Many Requests: retry after 1"))
    );
    assert_eq!(answer["parameters"]["retry_after"], 1);
    world.advance(Duration::from_secs(1));
    assert_eq!(send().await.0, 200);
    assert_eq!(send().await.0, 429);
    world.faults().flood_control(false);
    assert_eq!(send().await.0, 200);
}

#[tokio::test]
async fn a_group_takes_twenty_messages_a_minute() {
    let world = World::with(TelegramConfig::default().flood_control(FloodLimits::default())).await;
    let group = world.group(&Group::new(-9, "Kit").bot(BOT)).unwrap();
    let send = async || {
        world
            .call("sendMessage", json!({"chat_id": group, "text": "x"}))
            .await
    };
    for _ in 0..20 {
        assert_eq!(send().await.0, 200);
        world.advance(Duration::from_secs(1));
    }
    let (status, answer) = send().await;
    assert_eq!(
        (status, &answer["parameters"]["retry_after"]),
        (429, &json!(40))
    );
    world.advance(Duration::from_secs(40));
    assert_eq!(send().await.0, 200);
}

#[tokio::test]
async fn all_chats_together_have_a_rate_too() {
    let world = World::with(TelegramConfig::default().flood_control(FloodLimits::default())).await;
    let mut refused = 0;
    for user in 1000..1040 {
        world.user(user, "Somebody");
        world.private_text(BOT, user, "/start").unwrap();
        let (status, _) = world
            .call("sendMessage", json!({"chat_id": user, "text": "x"}))
            .await;
        refused += u32::from(status == 429);
    }
    assert_eq!(refused, 10);
}

#[tokio::test]
async fn sends_the_small_kinds() {
    let world = World::started().await;
    let at = json!({"chat_id": ADA, "latitude": 48.1, "longitude": 11.5, "title": "Home", "address": "Street 1"});
    assert_eq!(
        world.result("sendLocation", at.clone()).await["location"]["latitude"],
        48.1
    );
    assert_eq!(
        world.result("sendVenue", at).await["venue"]["title"],
        "Home"
    );
    assert_eq!(
        world
            .refusal(
                "sendLocation",
                json!({"chat_id": ADA, "latitude": 91, "longitude": 0})
            )
            .await
            .0,
        400
    );
    let contact = json!({"chat_id": ADA, "phone_number": "+1", "first_name": "Bo"});
    assert_eq!(
        world.result("sendContact", contact).await["contact"]["first_name"],
        "Bo"
    );
    let poll =
        json!({"chat_id": ADA, "question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]});
    assert_eq!(
        world.result("sendPoll", poll).await["poll"]["options"][1]["voter_count"],
        0
    );
    assert_eq!(
        world
            .refusal(
                "sendPoll",
                json!({"chat_id": ADA, "question": "?", "options": ["a"]})
            )
            .await
            .0,
        400
    );
    let dice = world.result("sendDice", json!({"chat_id": ADA})).await;
    assert!((1..=6).contains(&dice["dice"]["value"].as_i64().unwrap()));
    let rich = json!({"chat_id": ADA, "rich_message": {"markdown": "# Title"}});
    assert!(world.result("sendRichMessage", rich).await["rich_message"].is_object());
    let both = json!({"chat_id": ADA, "rich_message": {"markdown": "a", "html": "b"}});
    assert_eq!(world.refusal("sendRichMessage", both).await.0, 400);
}

#[tokio::test]
async fn drafts_have_a_number_and_leave_no_message() {
    let world = World::started().await;
    let draft = json!({"chat_id": ADA, "draft_id": 7, "text": "thin"});
    assert_eq!(world.result("sendMessageDraft", draft).await, true);
    assert_eq!(
        world
            .result(
                "sendMessageDraft",
                json!({"chat_id": ADA, "draft_id": 7, "text": ""})
            )
            .await,
        true
    );
    assert_eq!(
        world
            .refusal(
                "sendMessageDraft",
                json!({"chat_id": ADA, "draft_id": 0, "text": "x"})
            )
            .await
            .0,
        400
    );
    let group = world.group(&Group::new(-9, "Kit").bot(BOT)).unwrap();
    let in_group = json!({"chat_id": group, "draft_id": 7, "text": "x"});
    assert_eq!(world.refusal("sendMessageDraft", in_group).await.0, 400);
    assert!(world.sent(BOT).is_empty());
    assert_eq!(world.look(|view| view.drafts().count()), 2);
}

#[tokio::test]
async fn copies_and_forwards() {
    let world = World::started().await;
    let said = world.private_text(BOT, ADA, "hello").unwrap();
    let params = json!({"chat_id": ADA, "from_chat_id": ADA, "message_id": said});
    let copy = world.result("copyMessage", params.clone()).await;
    let copy = world
        .look(|view| view.message(DIRECT, copy["message_id"].as_i64().unwrap()))
        .unwrap();
    assert_eq!(copy.text.as_deref(), Some("hello"));
    let forwarded = world.result("forwardMessage", params).await;
    assert_eq!(forwarded["forward_origin"]["sender_user"]["id"], ADA);
    let missing = json!({"chat_id": ADA, "from_chat_id": ADA, "message_id": 99});
    assert_eq!(
        world.refusal("copyMessage", missing.clone()).await.1,
        "Bad Request: message to copy not found"
    );
    assert_eq!(
        world.refusal("forwardMessage", missing).await.1,
        "Bad Request: message to forward not found"
    );
}

#[tokio::test]
async fn checks_command_lists() {
    let world = World::new().await;
    let set = async |commands: Value| {
        world
            .call("setMyCommands", json!({ "commands": commands }))
            .await
    };
    let good = json!([{"command": "start", "description": "begin"}]);
    assert_eq!(set(good.clone()).await.0, 200);
    assert_eq!(world.result("getMyCommands", json!({})).await, good);
    for bad in ["Start", "", "a-b", &"x".repeat(33)] {
        let (status, answer) = set(json!([{"command": bad, "description": "x"}])).await;
        assert_eq!(
            (status, &answer["description"]),
            (400, &json!("Bad Request: BOT_COMMAND_INVALID")),
            "{bad}"
        );
    }
    let many: Vec<_> = (0..101)
        .map(|n| json!({"command": format!("c{n}"), "description": "x"}))
        .collect();
    assert_eq!(set(many.into()).await.0, 400);
    let german =
        json!({"commands": good, "language_code": "de", "scope": {"type": "all_private_chats"}});
    world.result("setMyCommands", german).await;
    world.result("deleteMyCommands", json!({})).await;
    assert_eq!(world.result("getMyCommands", json!({})).await, json!([]));
    let scoped = json!({"language_code": "de", "scope": {"type": "all_private_chats"}});
    assert_eq!(world.result("getMyCommands", scoped).await, good);
}
