//! What bots get to know of what people do.

use channel_emulator::telegram::{
    ActionError, BotOptions, Group, Place, Post, Standing, Telegram, TelegramConfig,
};
use serde_json::{Value, json};

use crate::api::{ADA, BOT, DIRECT, World, last_id};

fn pending_texts(world: &World) -> Vec<String> {
    let text = |update: &Value| update["message"]["text"].as_str().map(str::to_owned);
    world.updates_pending(BOT).iter().filter_map(text).collect()
}

#[tokio::test]
async fn privacy_mode_shows_a_bot_what_is_meant_for_it() {
    let world = World::new().await;
    let group = world.group(&Group::new(-5, "Kit").bot(BOT)).unwrap();
    let sent = world
        .result(
            "sendMessage",
            json!({"chat_id": group, "text": "I am here"}),
        )
        .await;
    let mine = sent["message_id"].as_i64().unwrap();
    for text in [
        "just talk",
        "@KIT_bot hi",
        "@other_bot hi",
        "/cmd",
        "/cmd@kit_bot",
        "/cmd@other_bot",
        "mail a@kit_bot",
    ] {
        world.group_text(group, ADA, text).unwrap();
    }
    let place = Place::Shared(group);
    world
        .post(place, ADA, Post::text("an answer").reply_to(mine))
        .unwrap();
    assert_eq!(
        pending_texts(&world),
        ["@KIT_bot hi", "/cmd", "/cmd@kit_bot", "an answer"]
    );
    world
        .stand(place, BOT, ADA, Standing::Administrator)
        .unwrap();
    world.group_text(group, ADA, "to all").unwrap();
    assert_eq!(
        pending_texts(&world).last().unwrap(),
        "to all",
        "administrators see everything"
    );
}

#[tokio::test]
async fn a_bot_without_privacy_mode_reads_all() {
    let telegram = Telegram::new(TelegramConfig::default());
    let bot = telegram
        .add_bot_with("9:X", "nosy_bot", &BotOptions::default().reads_all())
        .unwrap();
    telegram.user(ADA, "Ada");
    let group = telegram.group(&Group::new(-5, "Kit").bot(bot)).unwrap();
    telegram.group_text(group, ADA, "just talk").unwrap();
    assert_eq!(telegram.updates_pending(bot).len(), 1);
}

#[tokio::test]
async fn mentions_are_marked_in_utf16_units() {
    let world = World::new().await;
    let group = world.group(&Group::new(-5, "Kit").bot(BOT)).unwrap();
    world.group_text(group, ADA, "😀 @kit_bot hi").unwrap();
    let message = &world.updates_pending(BOT)[0]["message"];
    assert_eq!(
        message["entities"],
        json!([{"type": "mention", "offset": 3, "length": 8}])
    );
    assert_eq!(
        message["chat"],
        json!({"id": group, "type": "group", "title": "Kit"})
    );
}

#[tokio::test]
async fn an_edit_shows_with_its_date_and_the_same_id() {
    let world = World::started().await;
    let id = world.private_text(BOT, ADA, "helo").unwrap();
    world.edit(DIRECT, id, "hello").unwrap();
    let edited = &world.updates_pending(BOT)[1]["edited_message"];
    assert_eq!(
        (&edited["message_id"], &edited["text"]),
        (&json!(id), &json!("hello"))
    );
    assert!(edited["edit_date"].is_i64());
}

#[tokio::test]
async fn reactions_reach_administrators_who_asked() {
    let world = World::new().await;
    let plain = world.group(&Group::new(-1, "Plain").bot(BOT)).unwrap();
    let admin = world.group(&Group::new(-2, "Admin").admin(BOT)).unwrap();
    world
        .result(
            "getUpdates",
            json!({"allowed_updates": ["message_reaction"]}),
        )
        .await;
    for group in [plain, admin] {
        let id = world.group_text(group, ADA, "hello").unwrap();
        world.react(Place::Shared(group), id, ADA, &["👍"]).unwrap();
        world.react(Place::Shared(group), id, ADA, &[]).unwrap();
    }
    let updates = world.updates_pending(BOT);
    assert_eq!(updates.len(), 2);
    let reaction = &updates[0]["message_reaction"];
    assert_eq!(reaction["chat"]["id"], admin);
    assert_eq!(reaction["old_reaction"], json!([]));
    assert_eq!(
        reaction["new_reaction"],
        json!([{"type": "emoji", "emoji": "👍"}])
    );
    assert_eq!(
        updates[1]["message_reaction"]["old_reaction"],
        reaction["new_reaction"]
    );
}

#[tokio::test]
async fn blocking_and_unblocking_is_told() {
    let world = World::started().await;
    world.block(BOT, ADA).unwrap();
    assert_eq!(
        world.private_text(BOT, ADA, "x"),
        Err(ActionError::NotAllowed(ADA))
    );
    world.unblock(BOT, ADA).unwrap();
    let updates = world.updates_pending(BOT);
    let status = |update: &Value| {
        let member = &update["my_chat_member"];
        (
            member["old_chat_member"]["status"].clone(),
            member["new_chat_member"]["status"].clone(),
        )
    };
    assert_eq!(status(&updates[0]), (json!("member"), json!("kicked")));
    assert_eq!(status(&updates[1]), (json!("kicked"), json!("member")));
    assert_eq!(updates[0]["my_chat_member"]["chat"]["type"], "private");
    assert_eq!(
        updates[0]["my_chat_member"]["new_chat_member"]["user"]["is_bot"],
        true
    );
}

#[tokio::test]
async fn joining_a_group_is_told_twice() {
    let world = World::new().await;
    let group = world.group(&Group::new(-5, "Kit")).unwrap();
    world
        .stand(Place::Shared(group), BOT, ADA, Standing::Member)
        .unwrap();
    let updates = world.updates_pending(BOT);
    assert_eq!(
        updates[0]["my_chat_member"]["old_chat_member"]["status"],
        "left"
    );
    assert_eq!(updates[1]["message"]["new_chat_members"][0]["id"], BOT);
}

#[tokio::test]
async fn the_first_message_of_a_topic_answers_its_service_message() {
    let world = World::new().await;
    let forum = world
        .group(&Group::new(-1_001_000_000_001, "Kit").forum().admin(BOT))
        .unwrap();
    let thread = world.topic(forum, ADA, "Plans").unwrap();
    world
        .post(
            Place::Shared(forum),
            ADA,
            Post::text("hello").in_topic(thread),
        )
        .unwrap();
    let updates = world.updates_pending(BOT);
    assert_eq!(
        updates[0]["message"]["forum_topic_created"]["name"],
        "Plans"
    );
    let message = &updates[1]["message"];
    assert_eq!(
        (&message["message_thread_id"], &message["is_topic_message"]),
        (&json!(thread), &json!(true))
    );
    assert_eq!(message["reply_to_message"]["message_id"], thread);
    assert!(message["reply_to_message"]["forum_topic_created"].is_object());
    let lost = world.post(Place::Shared(forum), ADA, Post::text("x").in_topic(99));
    assert_eq!(lost, Err(ActionError::UnknownTopic(99)));
}

#[tokio::test]
async fn channels_post_without_a_person() {
    let world = World::new().await;
    let channel = world
        .group(&Group::new(-1_009, "News").channel().admin(BOT))
        .unwrap();
    world.post(Place::Shared(channel), ADA, "breaking").unwrap();
    let post = &world.updates_pending(BOT)[0]["channel_post"];
    assert_eq!(post["sender_chat"]["id"], channel);
    assert_eq!(post["from"], Value::Null);
}

#[tokio::test]
async fn updates_of_any_kind_can_be_injected() {
    let world = World::started().await;
    let id = world
        .inject(BOT, json!({"update_id": 1, "kind_of_next_year": {"x": 1}}))
        .unwrap();
    assert_eq!(
        world.updates_pending(BOT),
        [json!({"update_id": id, "kind_of_next_year": {"x": 1}})]
    );
    assert_eq!(last_id(&world), id);
    assert!(world.inject(BOT, json!({"update_id": 1})).is_err());
    assert_eq!(
        world.inject(5, json!({"x": 1})),
        Err(ActionError::UnknownBot(5))
    );
}

#[tokio::test]
async fn people_cannot_do_the_impossible() {
    let world = World::new().await;
    assert_eq!(
        world.private_text(BOT, 7, "x"),
        Err(ActionError::UnknownUser(7))
    );
    assert_eq!(
        world.private_text(7, ADA, "x"),
        Err(ActionError::UnknownBot(7))
    );
    assert_eq!(
        world.group_text(-7, ADA, "x"),
        Err(ActionError::UnknownChat(-7))
    );
    let answer = Post::text("x").reply_to(99);
    assert_eq!(
        world.post(DIRECT, ADA, answer),
        Err(ActionError::UnknownMessage(99))
    );
    assert!(world.group(&Group::new(5, "Positive")).is_err());
    assert!(world.add_bot("no number", "x_bot").is_err());
}

#[test]
fn everything_public_can_cross_threads() {
    const fn assert<T: Send + Sync>() {}
    assert::<Telegram>();
    assert::<channel_emulator::TelegramServer>();
    assert::<channel_emulator::Server>();
    assert::<channel_emulator::telegram::MessageView>();
}
