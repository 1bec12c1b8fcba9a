//! Changing, deleting, reacting and answering buttons. <https://core.telegram.org/bots/api#updating-messages>

use std::time::Duration;

use channel_emulator::telegram::{Group, Place};
use serde_json::{Value, json};

use crate::api::{ADA, BOT, DIRECT, World, png};

async fn said(world: &World, text: &str) -> i64 {
    let sent = world
        .result("sendMessage", json!({"chat_id": ADA, "text": text}))
        .await;
    sent["message_id"].as_i64().unwrap()
}

#[tokio::test]
async fn an_edit_keeps_the_message_and_remembers_what_it_said() {
    let world = World::started().await;
    let id = said(&world, "one").await;
    let edited = world
        .result(
            "editMessageText",
            json!({"chat_id": ADA, "message_id": id, "text": "two"}),
        )
        .await;
    assert_eq!(
        (&edited["message_id"], &edited["text"]),
        (&json!(id), &json!("two"))
    );
    assert!(edited["edit_date"].is_i64());
    let view = world.look(|view| view.message(DIRECT, id)).unwrap();
    assert_eq!(view.text.as_deref(), Some("two"));
    assert_eq!(view.earlier, [json!({"text": "one"})]);
    assert!(
        world.updates_pending(BOT).is_empty(),
        "a bot is not told of its own edits"
    );
}

#[tokio::test]
async fn refuses_edits_that_change_nothing_or_the_wrong_message() {
    let world = World::started().await;
    let id = said(&world, "one").await;
    let theirs = world.private_text(BOT, ADA, "mine").unwrap();
    let edit = async |id: i64, text: &str| {
        world
            .refusal(
                "editMessageText",
                json!({"chat_id": ADA, "message_id": id, "text": text}),
            )
            .await
            .1
    };
    assert!(
        edit(id, "one")
            .await
            .starts_with("Bad Request: message is not modified: ")
    );
    assert!(
        edit(id, " one ")
            .await
            .starts_with("Bad Request: message is not modified: "),
        "white space is no change"
    );
    assert_eq!(
        edit(99, "x").await,
        "Bad Request: message to edit not found"
    );
    assert_eq!(
        edit(theirs, "x").await,
        "Bad Request: message can't be edited"
    );
    assert_eq!(edit(id, "").await, "Bad Request: message text is empty");
    world.delete(DIRECT, id).unwrap();
    assert_eq!(
        edit(id, "x").await,
        "Bad Request: message to edit not found"
    );
}

#[tokio::test]
async fn an_edit_without_a_keyboard_takes_it_away() {
    let world = World::started().await;
    let markup = json!({"inline_keyboard": [[{"text": "A", "callback_data": "a"}]]});
    let sent = world
        .result(
            "sendMessage",
            json!({"chat_id": ADA, "text": "x", "reply_markup": markup}),
        )
        .await;
    let at = |more: Value| {
        let mut params = json!({"chat_id": ADA, "message_id": sent["message_id"]});
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        params
    };
    let same = world
        .refusal(
            "editMessageText",
            at(json!({"text": "x", "reply_markup": markup})),
        )
        .await;
    assert!(same.1.contains("message is not modified"));
    let bare = world
        .result("editMessageText", at(json!({"text": "x"})))
        .await;
    assert_eq!(bare["reply_markup"], Value::Null);
    let back = world
        .result(
            "editMessageReplyMarkup",
            at(json!({"reply_markup": markup})),
        )
        .await;
    assert_eq!(
        (&back["reply_markup"], &back["text"]),
        (&markup, &json!("x"))
    );
}

#[tokio::test]
async fn captions_and_files_are_edited_by_their_own_methods() {
    let world = World::started().await;
    let (_, sent) = world
        .upload(
            "sendPhoto",
            &[("chat_id", "42"), ("caption", "a")],
            "photo",
            "p",
            &png(4, 4),
        )
        .await;
    let id = sent["result"]["message_id"].clone();
    let text = world
        .refusal(
            "editMessageText",
            json!({"chat_id": ADA, "message_id": id, "text": "x"}),
        )
        .await;
    assert_eq!(
        text.1,
        "Bad Request: there is no text in the message to edit"
    );
    let caption = json!({"chat_id": ADA, "message_id": id, "caption": "b"});
    assert_eq!(
        world.result("editMessageCaption", caption.clone()).await["caption"],
        "b"
    );
    assert!(
        world
            .refusal("editMessageCaption", caption)
            .await
            .1
            .contains("message is not modified")
    );
    let media = json!({"type": "photo", "media": "attach://new", "caption": "c"}).to_string();
    let fields = [
        ("chat_id", "42"),
        ("message_id", &*id.to_string()),
        ("media", &*media),
    ];
    let (_, changed) = world
        .upload("editMessageMedia", &fields, "new", "n.png", &png(8, 8))
        .await;
    assert_eq!(changed["result"]["photo"][1]["width"], 8);
    let same =
        json!({"type": "photo", "media": changed["result"]["photo"][1]["file_id"], "caption": "c"});
    let same = world
        .refusal(
            "editMessageMedia",
            json!({"chat_id": ADA, "message_id": id, "media": same}),
        )
        .await;
    assert!(same.1.contains("message is not modified"), "{}", same.1);
    let text = said(&world, "no file").await;
    let caption = world
        .refusal(
            "editMessageCaption",
            json!({"chat_id": ADA, "message_id": text, "caption": "b"}),
        )
        .await;
    assert_eq!(
        caption.1,
        "Bad Request: there is no caption in the message to edit"
    );
}

#[tokio::test]
async fn messages_can_be_deleted_for_48_hours() {
    let world = World::started().await;
    let delete = async |id: i64| {
        world
            .call("deleteMessage", json!({"chat_id": ADA, "message_id": id}))
            .await
            .1
    };
    let first = said(&world, "first").await;
    let second = said(&world, "second").await;
    world.advance(Duration::from_secs(48 * 3600 - 1));
    assert_eq!(delete(first).await["result"], true);
    assert_eq!(
        delete(first).await["description"],
        "Bad Request: message to delete not found"
    );
    world.advance(Duration::from_secs(1));
    assert_eq!(
        delete(second).await["description"],
        "Bad Request: message can't be deleted for everyone"
    );
    assert!(
        world
            .look(|view| view.message(DIRECT, first))
            .unwrap()
            .deleted
    );
}

#[tokio::test]
async fn in_groups_only_administrators_delete_what_others_wrote() {
    let world = World::new().await;
    for (id, group, answer) in [
        (
            -1,
            Group::new(-1, "Plain").bot(BOT),
            "Bad Request: message can't be deleted",
        ),
        (-2, Group::new(-2, "Admin").admin(BOT), ""),
    ] {
        world.group(&group).unwrap();
        let theirs = world.group_text(id, ADA, "hello").unwrap();
        let (_, result) = world
            .call(
                "deleteMessage",
                json!({"chat_id": id, "message_id": theirs}),
            )
            .await;
        assert_eq!(result["description"].as_str().unwrap_or_default(), answer);
    }
}

#[tokio::test]
async fn deletes_many_and_skips_the_unknown() {
    let world = World::started().await;
    let ids = [said(&world, "a").await, said(&world, "b").await, 4040];
    world
        .result(
            "deleteMessages",
            json!({"chat_id": ADA, "message_ids": ids}),
        )
        .await;
    assert!(world.sent(BOT).iter().all(|message| message.deleted));
    let many: Vec<_> = (0..101).collect();
    assert_eq!(
        world
            .refusal(
                "deleteMessages",
                json!({"chat_id": ADA, "message_ids": many})
            )
            .await
            .0,
        400
    );
    assert_eq!(
        world
            .refusal("deleteMessages", json!({"chat_id": ADA, "message_ids": []}))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn a_bot_has_one_reaction_of_the_known_emoji() {
    let world = World::started().await;
    let react = async |emoji: &[&str]| {
        let list: Vec<_> = emoji
            .iter()
            .map(|emoji| json!({"type": "emoji", "emoji": emoji}))
            .collect();
        world
            .call(
                "setMessageReaction",
                json!({"chat_id": ADA, "message_id": 1, "reaction": list}),
            )
            .await
            .1
    };
    let shown = || {
        world
            .look(|view| view.message(DIRECT, 1))
            .unwrap()
            .reactions
            .get(&BOT)
            .cloned()
    };
    assert_eq!(react(&["👍"]).await["result"], true);
    assert_eq!(
        react(&["❤\u{fe0f}"]).await["result"],
        true,
        "with or without the variation selector"
    );
    assert_eq!(shown(), Some(vec!["❤\u{fe0f}".to_owned()]));
    assert_eq!(
        react(&["👍", "👎"]).await["description"],
        "Bad Request: REACTIONS_TOO_MANY"
    );
    assert_eq!(
        react(&["🧨"]).await["description"],
        "Bad Request: REACTION_INVALID"
    );
    assert_eq!(react(&[]).await["result"], true);
    assert_eq!(shown(), None);
    let missing = json!({"chat_id": ADA, "message_id": 99, "reaction": []});
    assert_eq!(
        world.refusal("setMessageReaction", missing).await.1,
        "Bad Request: message to react not found"
    );
}

#[tokio::test]
async fn a_pressed_button_is_answered_once_and_in_time() {
    let world = World::started().await;
    let markup = json!({"inline_keyboard": [[{"text": "A", "callback_data": "a"}]]});
    let sent = world
        .result(
            "sendMessage",
            json!({"chat_id": ADA, "text": "x", "reply_markup": markup}),
        )
        .await;
    let id = sent["message_id"].as_i64().unwrap();
    assert!(
        world.press(DIRECT, id, ADA, "b").is_err(),
        "there is no such button"
    );
    let query = world.press(DIRECT, id, ADA, "a").unwrap();
    let update = &world.updates_pending(BOT)[0]["callback_query"];
    assert_eq!(
        (&update["data"], &update["id"]),
        (&json!("a"), &json!(query))
    );
    assert_eq!(update["message"]["message_id"], id);
    let answer = async |query: &str, text: &str| {
        world
            .call(
                "answerCallbackQuery",
                json!({"callback_query_id": query, "text": text}),
            )
            .await
            .1["description"]
            .clone()
    };
    let old = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    assert_eq!(
        answer(&query, &"x".repeat(201)).await,
        "Bad Request: MESSAGE_TOO_LONG"
    );
    assert_eq!(answer(&query, "done").await, Value::Null);
    assert_eq!(answer(&query, "done").await, old);
    assert_eq!(answer("1234", "").await, old);
    let late = world.press(DIRECT, id, ADA, "a").unwrap();
    world.advance(Duration::from_secs(61));
    assert_eq!(answer(&late, "").await, old);
    let answered = world.look(|view| view.callback(&query).cloned()).unwrap();
    assert_eq!(answered.answer.unwrap()["text"], "done");
}

#[tokio::test]
async fn typing_is_shown_where_it_can_be() {
    let world = World::started().await;
    world
        .result(
            "sendChatAction",
            json!({"chat_id": ADA, "action": "typing"}),
        )
        .await;
    assert_eq!(
        world
            .look(|view| view.chat_actions().next().cloned())
            .unwrap()
            .action,
        "typing"
    );
    assert_eq!(
        world
            .refusal(
                "sendChatAction",
                json!({"chat_id": ADA, "action": "dancing"})
            )
            .await
            .0,
        400
    );
    let channel = world
        .group(&Group::new(-1_009, "News").channel().admin(BOT))
        .unwrap();
    assert_eq!(
        world
            .refusal(
                "sendChatAction",
                json!({"chat_id": channel, "action": "typing"})
            )
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn chats_and_members_can_be_looked_up() {
    let world = World::new().await;
    let group = world
        .group(&Group::new(-5, "Kit").username("kit_chat").admin(BOT))
        .unwrap();
    world.group_text(group, ADA, "hello").unwrap();
    let chat = world
        .result("getChat", json!({"chat_id": "@Kit_Chat"}))
        .await;
    assert_eq!(
        (&chat["id"], &chat["type"]),
        (&json!(group), &json!("group"))
    );
    let member = world
        .result("getChatMember", json!({"chat_id": group, "user_id": ADA}))
        .await;
    assert_eq!(
        (&member["status"], &member["user"]["id"]),
        (&json!("member"), &json!(ADA))
    );
    assert_eq!(
        world
            .refusal("getChatMember", json!({"chat_id": group, "user_id": 9}))
            .await
            .1,
        "Bad Request: user not found"
    );
    assert_eq!(
        world
            .result("getChatMemberCount", json!({"chat_id": group}))
            .await,
        2
    );
    world.result("leaveChat", json!({"chat_id": group})).await;
    assert_eq!(
        world.refusal("getChat", json!({"chat_id": group})).await.0,
        403
    );
    assert!(world.look(|view| view.history(Place::Shared(group))).len() == 1);
}
