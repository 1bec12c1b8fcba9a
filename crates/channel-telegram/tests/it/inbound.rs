//! Updates as events.

use channel_core::{
    Addressed, AttachmentKind, ChatKind, Event, EventKind, Identity, InboundMessage, MemberState,
    Message, Proof, SenderKind,
};
use channel_telegram::TelegramMessage;
use serde_json::{Value, json};

use crate::fake::{ADA, BOT, grouped, private};
use crate::webhook::deliver;

fn event(update: Value) -> Event {
    let mut full = json!({"update_id": 500});
    full.as_object_mut()
        .unwrap()
        .extend(update.as_object().unwrap().clone());
    deliver(&full.to_string()).unwrap()
}

pub(crate) fn message(of: Value) -> Message {
    match event(json!({"message": of})).kind {
        EventKind::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn with(mut base: Value, fields: Value) -> Value {
    base.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    base
}

#[test]
fn a_direct_text() {
    let event = event(json!({"message": private(5, "hello")}));
    assert_eq!(event.id.as_str(), "500");
    assert_eq!(event.channel.as_str(), "telegram");
    let message = event.message().unwrap();
    assert_eq!(message.id.as_str(), "5");
    assert_eq!(
        (message.chat.id.as_str(), message.chat.kind),
        ("42", ChatKind::Direct)
    );
    assert_eq!(message.sender.account.to_string(), "telegram:42");
    assert_eq!(message.sender.kind, SenderKind::Person);
    assert_eq!(message.sender.proof, Proof::Asserted);
    assert_eq!(message.sender.name.as_deref(), Some("Ada"));
    assert_eq!(message.text, "hello");
    assert_eq!(message.formatted, None);
    assert_eq!(message.addressed, Addressed::Direct);
    let since = message
        .sent_at
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH);
    assert_eq!(since.unwrap().as_secs(), 1_700_000_000);
    assert_eq!(message.return_address.message().unwrap().as_str(), "5");
}

#[test]
fn ids_beyond_the_precision_of_a_float_stay_exact() {
    let id = 9_007_199_254_740_993_i64;
    let fields = json!({"chat": {"id": -id, "type": "group", "title": "T"}, "message_id": id});
    let message = message(with(grouped("x"), fields));
    assert_eq!(message.chat.id.as_i64(), Some(-id));
    assert_eq!(message.id.as_i64(), Some(id));
}

#[test]
fn mentions_are_found_by_utf16_offsets_whatever_the_case() {
    let mention = |text: &str, offset: u64, length: u64| {
        let entities =
            json!({"entities": [{"type": "mention", "offset": offset, "length": length}]});
        message(with(grouped(text), entities)).addressed
    };
    assert_eq!(mention("@kit_bot hi", 0, 8), Addressed::Mention);
    assert_eq!(mention("😀 @KIT_Bot hi", 3, 8), Addressed::Mention);
    assert_eq!(mention("@kit_bot2 hi", 0, 9), Addressed::No);
    assert_eq!(mention("@kit_bot hi", 0, u64::MAX), Addressed::No);
    assert_eq!(mention("@kit_bot hi", u64::MAX, 1), Addressed::No);
    assert_eq!(
        message(grouped("@kit_bot without entity")).addressed,
        Addressed::No
    );
    let user = json!({"entities": [{"type": "text_mention", "offset": 0, "length": 3,
        "user": {"id": BOT, "is_bot": true, "first_name": "Kit"}}]});
    assert_eq!(
        message(with(grouped("Kit!"), user)).addressed,
        Addressed::Mention
    );
    let caption = json!({"text": null, "caption": "@kit_bot", "caption_entities":
        [{"type": "mention", "offset": 0, "length": 8}]});
    assert_eq!(
        message(with(grouped(""), caption)).addressed,
        Addressed::Mention
    );
}

#[test]
fn commands_for_another_bot_are_not_ours() {
    let command = |base: Value, length: usize| {
        let entities =
            json!({"entities": [{"type": "bot_command", "offset": 0, "length": length}]});
        message(with(base, entities))
    };
    assert_eq!(
        command(grouped("/run now"), 4).addressed,
        Addressed::Command
    );
    let ours = command(grouped("/run@Kit_Bot now"), 12);
    assert_eq!(ours.addressed, Addressed::Command);
    assert_eq!(ours.command().unwrap().name, "run");
    assert_eq!(
        command(grouped("/run@other_bot now"), 14).addressed,
        Addressed::No
    );
    assert_eq!(
        command(private(1, "/run@other_bot"), 14).addressed,
        Addressed::No
    );
    assert_eq!(command(private(1, "/run"), 4).addressed, Addressed::Direct);
    let replying = with(
        grouped("/run@other_bot"),
        json!({"reply_to_message":
        {"message_id": 3, "from": {"id": BOT, "is_bot": true, "first_name": "Kit"}}}),
    );
    assert_eq!(command(replying, 14).addressed, Addressed::No);
}

#[test]
fn a_reply_to_the_bot_is_meant_for_it() {
    let reply = |from: i64| {
        let fields = json!({"reply_to_message":
            {"message_id": 8, "date": 1, "from": {"id": from, "is_bot": true, "first_name": "X"}}});
        message(with(grouped("yes"), fields))
    };
    let ours = reply(BOT);
    assert_eq!(ours.addressed, Addressed::Reply);
    assert!(ours.reply_to.unwrap().mine);
    let others = reply(7);
    assert_eq!(others.addressed, Addressed::No);
    assert!(!others.reply_to.unwrap().mine);
}

/// Telegram names no message of this chat there, and sends the words all the same.
#[test]
fn a_quote_from_another_chat_is_told_of() {
    let quotes = |fields: Value| {
        let it = message(with(private(5, "what is this?"), fields));
        assert_eq!(it.reply_to, None);
        it.quotes
    };
    let origin = json!({"type": "hidden_user", "sender_user_name": "Eve", "date": 1});
    assert!(quotes(json!({"external_reply": {"origin": origin}})));
    assert!(quotes(
        json!({"quote": {"text": "your code", "position": 0}})
    ));
    assert!(!quotes(json!({})));
}

#[test]
fn pain_34_a_topic_is_a_thread_and_rides_in_the_return_address() {
    let topic = json!({"message_thread_id": 77, "is_topic_message": true,
        "reply_to_message": {"message_id": 77, "from": {"id": BOT, "is_bot": true, "first_name": "K"},
            "forum_topic_created": {"name": "T", "icon_color": 1}}});
    let message_in = message(with(grouped("in a topic"), topic));
    assert_eq!(message_in.thread.as_ref().unwrap().as_str(), "77");
    assert_eq!(
        message_in.reply_to, None,
        "the notice is not what the person replied to"
    );
    assert_eq!(message_in.addressed, Addressed::No);
    let target = message_in.return_address.target();
    assert_eq!(target.thread.as_ref().unwrap().as_str(), "77");
    // In a group without topics the number only counts a chain of replies.
    let chain = json!({"message_thread_id": 77});
    assert_eq!(message(with(grouped("no topic"), chain)).thread, None);
}

#[test]
fn every_kind_of_attachment() {
    let file = |name: &str| {
        json!({"file_id": name, "file_unique_id": "u", "file_size": 7,
        "file_name": "n.bin", "mime_type": "a/b"})
    };
    let cases = [
        ("document", AttachmentKind::File),
        ("audio", AttachmentKind::Audio),
        ("video", AttachmentKind::Video),
        ("voice", AttachmentKind::Voice),
        ("video_note", AttachmentKind::Video),
        ("sticker", AttachmentKind::Sticker),
        ("live_photo", AttachmentKind::Video),
    ];
    for (field, kind) in cases {
        let message = message(with(private(1, ""), json!({ field: file("F") })));
        let [attachment] = message.attachments.as_slice() else {
            panic!("{field}: {:?}", message.attachments);
        };
        assert_eq!(
            (attachment.kind, attachment.id.as_str()),
            (kind, "F"),
            "{field}"
        );
        assert_eq!(attachment.bytes, Some(7));
        assert_eq!(attachment.name.as_deref(), Some("n.bin"));
    }
    let animation = json!({"animation": file("A"), "document": file("A")});
    let animation = message(with(private(1, ""), animation)).attachments;
    assert_eq!(animation.len(), 1);
    assert_eq!(animation[0].kind, AttachmentKind::Animation);
    let paid = json!({"paid_media": {"star_count": 1, "paid_media": [
        {"type": "photo", "photo": [{"file_id": "P", "width": 1, "height": 1}]},
        {"type": "video", "video": {"file_id": "V"}}, {"type": "preview"}]}});
    assert_eq!(message(with(private(1, ""), paid)).attachments.len(), 2);
}

#[test]
fn a_photo_is_its_largest_size_and_an_album_keeps_its_name() {
    let photo = json!({"text": null, "caption": "look", "media_group_id": "13579", "photo": [
        {"file_id": "L", "file_unique_id": "l", "width": 1280, "height": 960, "file_size": 91000},
        {"file_id": "S", "file_unique_id": "s", "width": 90, "height": 67, "file_size": 1200}]});
    let message = message(with(private(10, ""), photo));
    assert_eq!(message.text, "look");
    assert_eq!(message.album.as_deref(), Some("13579"));
    assert_eq!(message.attachments.len(), 1);
    assert_eq!(message.attachments[0].id.as_str(), "L");
    assert_eq!(message.attachments[0].mime.as_deref(), Some("image/jpeg"));
}

#[test]
fn who_wrote_is_never_guessed_from_placeholders() {
    let anonymous = json!({"from": {"id": 1_087_968_824, "is_bot": true, "first_name": "Group"},
        "sender_chat": {"id": -1_001_234_567_890_i64, "type": "supergroup", "title": "Kit"}});
    let message_of = message(with(grouped("psst"), anonymous));
    assert_eq!(message_of.sender.kind, SenderKind::Chat);
    assert_eq!(message_of.sender.account.sender.as_str(), "-1001234567890");
    assert_eq!(message_of.sender.name.as_deref(), Some("Kit"));

    let post = json!({"message_id": 3, "date": 1, "text": "news",
        "chat": {"id": -100_777, "type": "channel", "title": "News"},
        "sender_chat": {"id": -100_777, "type": "channel", "title": "News"}});
    let EventKind::Message(post) = event(json!({ "channel_post": post })).kind else {
        panic!("expected a message");
    };
    assert_eq!(post.chat.kind, ChatKind::Broadcast);
    assert_eq!(post.sender.kind, SenderKind::Chat);

    let bot = json!({"from": {"id": 7, "is_bot": true, "first_name": "Other"}});
    assert_eq!(
        message(with(grouped("beep"), bot)).sender.kind,
        SenderKind::Bot
    );
}

#[test]
fn the_bots_own_messages_are_never_addressed() {
    let own = [
        json!({"from": {"id": BOT, "is_bot": true, "first_name": "Kit"}}),
        json!({"via_bot": {"id": BOT, "is_bot": true, "first_name": "Kit"}}),
        json!({"sender_business_bot": {"id": BOT, "is_bot": true, "first_name": "Kit"}}),
    ];
    for fields in own {
        let entities = json!({"entities": [{"type": "mention", "offset": 0, "length": 8}]});
        let message = message(with(with(grouped("@kit_bot"), entities), fields.clone()));
        assert_eq!(message.addressed, Addressed::No, "{fields}");
        assert_eq!(message.sender.kind, SenderKind::Bot, "{fields}");
        assert_eq!(
            self::message(with(private(1, "x"), fields)).addressed,
            Addressed::No
        );
    }
}

#[test]
fn other_id_spaces_do_not_collide() {
    let business = json!({"business_message": with(private(5, "hi"), json!({"business_connection_id": "bc:1"}))});
    let EventKind::Message(business) = event(business).kind else {
        panic!("expected a message");
    };
    assert_eq!(business.chat.id.as_str(), "business:bc:1:42");
    assert_eq!(business.addressed, Addressed::Direct);
    let owner = with(
        private(6, "hi"),
        json!({"business_connection_id": "bc:1",
        "from": {"id": 99, "is_bot": false, "first_name": "Owner"}}),
    );
    let EventKind::Message(owner) = event(json!({ "business_message": owner })).kind else {
        panic!("expected a message");
    };
    assert_eq!(
        owner.addressed,
        Addressed::No,
        "the owner writes to the customer"
    );

    let guest = json!({"guest_message": with(grouped("help"), json!({"guest_query_id": "q1"}))});
    let EventKind::Message(guest) = event(guest).kind else {
        panic!("expected a message");
    };
    assert_eq!(guest.chat.id.as_str(), "guest:q1");
    assert_eq!(guest.addressed, Addressed::Mention);

    let ephemeral = with(
        grouped("psst"),
        json!({"message_id": 0, "ephemeral_message_id": 3}),
    );
    assert_eq!(message(ephemeral).id.as_str(), "ephemeral:3");

    let deleted = json!({"deleted_business_messages": {"business_connection_id": "bc:1",
        "chat": {"id": 42, "type": "private"}, "message_ids": [1, 2]}});
    let EventKind::Deleted(deleted) = event(deleted).kind else {
        panic!("expected a deletion");
    };
    assert_eq!(deleted.messages.len(), 2);
    assert_eq!(deleted.messages[0].chat.as_str(), "business:bc:1:42");
}

#[test]
fn edits_hold_the_new_words() {
    let edited =
        json!({"edited_message": with(private(5, "hello 2"), json!({"edit_date": 1_700_000_100}))});
    let event = event(edited);
    assert_eq!(event.name(), "edited");
    let EventKind::Edited(message) = event.kind else {
        panic!("expected an edit");
    };
    assert_eq!(message.text, "hello 2");
}

#[test]
fn presses_name_the_button_and_where_it_is() {
    let press = |message: Value| {
        json!({"callback_query": {"id": "4382bfdwdsb323b2d9", "data": "approve:1", "chat_instance": "-9",
            "from": {"id": ADA, "is_bot": false, "first_name": "Ada"}, "message": message}})
    };
    let in_topic = with(
        grouped("Run it?"),
        json!({"message_thread_id": 7, "is_topic_message": true}),
    );
    let EventKind::Action(action) = event(press(in_topic)).kind else {
        panic!("expected an action");
    };
    assert_eq!(
        (action.id.as_str(), action.value.as_str()),
        ("4382bfdwdsb323b2d9", "approve:1")
    );
    assert_eq!(action.message.unwrap().as_str(), "9");
    assert_eq!(action.thread.unwrap().as_str(), "7");
    assert_eq!(
        action
            .return_address
            .target()
            .thread
            .as_ref()
            .unwrap()
            .as_str(),
        "7"
    );
    // Too old to be told: a stub without sender, date 0.
    let stub = json!({"chat": {"id": 42, "type": "private"}, "message_id": 11, "date": 0});
    let EventKind::Action(action) = event(press(stub)).kind else {
        panic!("expected an action");
    };
    assert_eq!(action.message.unwrap().as_str(), "11");
    let inline = json!({"callback_query": {"id": "1", "data": "x", "chat_instance": "-9",
        "inline_message_id": "I", "from": {"id": ADA, "is_bot": false, "first_name": "Ada"}}});
    let EventKind::Action(action) = event(inline).kind else {
        panic!("expected an action");
    };
    assert_eq!(action.chat.id.as_str(), "inline:-9");
    assert_eq!(action.message.unwrap().as_str(), "I");
    assert_eq!(action.return_address.target().chat.as_str(), "42");
}

#[test]
fn reactions_are_the_difference() {
    let update = json!({"message_reaction": {"message_id": 9, "date": 1,
        "chat": {"id": -1_001_234_567_890_i64, "type": "supergroup", "title": "Kit"},
        "user": {"id": ADA, "is_bot": false, "first_name": "Ada"},
        "old_reaction": [{"type": "emoji", "emoji": "👎"}, {"type": "emoji", "emoji": "🔥"}],
        "new_reaction": [{"type": "emoji", "emoji": "🔥"}, {"type": "custom_emoji", "custom_emoji_id": "5"},
            {"type": "paid"}]}});
    let EventKind::Reaction(reaction) = event(update).kind else {
        panic!("expected a reaction");
    };
    assert_eq!(reaction.added, ["custom:5", "paid"]);
    assert_eq!(reaction.removed, ["👎"]);
    assert_eq!(reaction.message.id.as_str(), "9");
    assert_eq!(reaction.sender.account.sender.as_str(), "42");
}

#[test]
fn memberships_blocks_and_moves() {
    let member = |field: &str, kind: &str, status: &str, user: i64| {
        let update = json!({ field: {"date": 1,
            "chat": {"id": 42, "type": kind, "title": "T"},
            "from": {"id": ADA, "is_bot": false, "first_name": "Ada"},
            "old_chat_member": {"status": "member", "user": {"id": user, "first_name": "U"}},
            "new_chat_member": {"status": status, "is_member": false, "user": {"id": user, "first_name": "U"}}}});
        match event(update).kind {
            EventKind::Membership(membership) => *membership,
            other => panic!("{other:?}"),
        }
    };
    let blocked = member("my_chat_member", "private", "kicked", BOT);
    assert_eq!(
        (blocked.state, blocked.is_me),
        (MemberState::Removed, false)
    );
    assert_eq!(
        blocked.member.account.sender.as_str(),
        "42",
        "the person has blocked the bot"
    );
    let thrown_out = member("my_chat_member", "group", "kicked", BOT);
    assert_eq!(
        (thrown_out.state, thrown_out.is_me),
        (MemberState::Removed, true)
    );
    for (status, state) in [
        ("member", MemberState::Joined),
        ("administrator", MemberState::Joined),
        ("left", MemberState::Left),
        ("restricted", MemberState::Left),
    ] {
        let change = member("chat_member", "group", status, 7);
        assert_eq!((change.state, change.is_me), (state, false), "{status}");
    }
    let joined = with(
        grouped(""),
        json!({"text": null, "new_chat_members": [{"id": 7, "first_name": "Bob"}]}),
    );
    assert_eq!(event(json!({ "message": joined })).name(), "membership");
    let several = with(
        grouped(""),
        json!({"new_chat_members": [{"id": 7}, {"id": 8}]}),
    );
    assert_eq!(event(json!({ "message": several })).name(), "unknown");
    let left = with(
        grouped(""),
        json!({"left_chat_member": {"id": 7, "first_name": "Bob"}}),
    );
    assert_eq!(event(json!({ "message": left })).name(), "membership");

    for fields in [
        json!({"chat": {"id": -5, "type": "group"}, "migrate_to_chat_id": -1_000_000_000_005_i64}),
        json!({"chat": {"id": -1_000_000_000_005_i64, "type": "supergroup"}, "migrate_from_chat_id": -5}),
    ] {
        let EventKind::Moved(moved) = event(json!({"message": with(grouped(""), fields)})).kind
        else {
            panic!("expected a move");
        };
        assert_eq!(
            (moved.from.as_str(), moved.to.as_str()),
            ("-5", "-1000000000005")
        );
    }
}

#[test]
fn notices_are_the_platforms_and_not_a_persons() {
    let pinned = with(
        private(1, ""),
        json!({"text": null, "pinned_message": private(0, "x")}),
    );
    let message = message(pinned);
    assert_eq!(message.sender.kind, SenderKind::System);
    assert_eq!(message.addressed, Addressed::No);
}

#[test]
fn notices_that_nobody_knows_yet_are_no_empty_messages() {
    let envelope = json!({"text": null, "reply_to_message": {"message_id": 8}, "is_paid_post": true,
        "a_flag_of_tomorrow": true, "edit_date": 1, "has_protected_content": true, "author_signature": "x"});
    for name in [
        "telepathy_enabled",
        "gift",
        "checklist_tasks_done",
        "paid_message_price_changed",
    ] {
        for chat in [private(1, ""), grouped("")] {
            let mut notice = with(chat, envelope.clone());
            notice[name] = json!({"owned_gift_id": "1", "text": "inside", "location": {}});
            let EventKind::Unknown(unknown) = event(json!({ "message": notice })).kind else {
                panic!("expected an unknown event");
            };
            assert_eq!(unknown.name, name);
            assert!(!unknown.raw.is_empty());
        }
    }
    let EventKind::Unknown(unknown) =
        event(json!({"edited_message": with(private(1, ""), json!({"text": null}))})).kind
    else {
        panic!("expected an unknown event");
    };
    assert_eq!(unknown.name, "edited_message");
    // What a person sends without words stays theirs, with the payload to read it from.
    for name in [
        "location",
        "contact",
        "venue",
        "dice",
        "poll",
        "game",
        "story",
        "checklist",
        "rich_message",
    ] {
        let mut sent = with(private(1, ""), envelope.clone());
        sent[name] = json!({});
        assert_eq!(message(sent).addressed, Addressed::Direct, "{name}");
    }
}

#[test]
fn unknown_updates_are_kept_under_their_name() {
    let event = event(json!({"poll_answer": {"poll_id": "1", "option_ids": [1]}}));
    let EventKind::Unknown(unknown) = event.kind else {
        panic!("expected an unknown event");
    };
    assert_eq!(unknown.name, "poll_answer");
    assert!(unknown.raw.as_slice().starts_with(br#"{"poll_answer""#) || !unknown.raw.is_empty());
}

#[test]
fn the_native_type_agrees_with_the_common_one_before_and_after_storage() {
    let entities = json!({"entities": [{"type": "mention", "offset": 0, "length": 8},
        {"type": "bold", "offset": 9, "length": 2}], "document": {"file_id": "D"},
        "reply_to_message": {"message_id": 8, "from": {"id": BOT}}, "message_thread_id": 7, "is_topic_message": true});
    for fields in [
        with(grouped("@kit_bot hi"), entities),
        private(5, "hello"),
        private(5, ""),
    ] {
        let came = message(fields);
        let stored: Message = serde_json::from_str(&serde_json::to_string(&came).unwrap()).unwrap();
        for message in [&came, &stored] {
            let bot = Identity::new(BOT.to_string(), "Kit").with_username("kit_bot");
            let native = message.native::<TelegramMessage>().unwrap().seen_by(&bot);
            assert_eq!(native.update_id(), 500);
            assert_eq!(native.id(), message.id);
            assert_eq!(native.chat(), message.chat.id);
            assert_eq!(native.chat_kind(), message.chat.kind);
            assert_eq!(native.thread(), message.thread);
            assert_eq!(native.account(), message.sender.account);
            assert_eq!(native.sender_name(), message.sender.name.as_deref());
            assert_eq!(native.sender_kind(), message.sender.kind);
            assert_eq!(native.text(), message.text);
            assert_eq!(native.content(), message.content());
            assert_eq!(native.attachments(), message.attachments());
            assert_eq!(native.addressed(), message.addressed);
            assert_eq!(native.reply_to(), message.reply_to);
            assert_eq!(native.sent_at(), message.sent_at);
            assert!(!native.is_edit());
        }
    }
    let direct = message(private(5, "x"))
        .native::<TelegramMessage>()
        .unwrap();
    assert_eq!(direct.addressed(), Addressed::Direct);
    assert_eq!(direct.username(), Some("ada_t"));
}
