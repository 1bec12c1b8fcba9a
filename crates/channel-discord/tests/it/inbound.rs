//! What Discord sends, as events: the samples of its documentation.

use channel_core::{
    Addressed, AttachmentKind, Channel as _, ChatKind, Event, EventKind, InboundMessage as _,
    Message, Proof, SenderKind,
};
use channel_discord::DiscordMessage;
use serde_json::{Value, json};

use crate::fake::{ADA, DIRECT, Fake, GROUP, GUILD, ME, direct, grouped};
use crate::gateway::{SECOND, Watch};

/// The event that a dispatch becomes; none if it is ignored.
fn read(name: &str, data: Value) -> Option<Event> {
    use channel_core::Events as _;
    use futures_util::StreamExt as _;
    let fake = Fake::new();
    let discord = fake.channel();
    fake.live(async {
        let mut watch = Watch::new(&fake, &discord);
        watch.run(SECOND).await;
        fake.dispatch(name, data);
        fake.dispatch("TELEPATHY", json!({}));
        drop(watch);
        let mut events = discord.events();
        while let Some(received) = events.next().await {
            let mut received = received.unwrap();
            let event = received.take().unwrap();
            received.ack().await.unwrap();
            match &event.kind {
                EventKind::Connection(_) => {}
                EventKind::Unknown(unknown) if unknown.name == "TELEPATHY" => return None,
                _ => return Some(event),
            }
        }
        None
    })
}

fn message(data: Value) -> Message {
    match read("MESSAGE_CREATE", data).unwrap().kind {
        EventKind::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_direct_message_is_read() {
    let it = message(direct("1300000000000000501", "hello"));
    assert_eq!(it.id.as_str(), "1300000000000000501");
    assert_eq!(
        (it.chat.id.as_str(), it.chat.kind),
        (DIRECT, ChatKind::Direct)
    );
    assert_eq!(
        (it.text.as_str(), it.addressed),
        ("hello", Addressed::Direct)
    );
    assert_eq!(it.sender.account.sender.as_str(), ADA);
    assert_eq!(it.sender.account.workspace, None);
    assert_eq!(
        (it.sender.name.as_deref(), it.sender.proof),
        (Some("Ada"), Proof::Asserted)
    );
    assert_eq!(it.return_address.message(), Some(&it.id));
    let native: DiscordMessage = it.native().unwrap();
    assert_eq!((native.source(), native.guild_id()), (Some("hello"), None));
    let at = it
        .sent_at
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(
        at.as_secs(),
        (1_300_000_000_000_000_501_u64 >> 22) / 1000 + 1_420_070_400
    );
}

#[test]
fn a_mention_a_reply_and_a_bystander_are_told_apart() {
    let mut mention = grouped("502", GROUP, "<@9001> hi");
    mention["mentions"] = json!([{"id": ME, "username": "kitbot", "bot": true}]);
    let it = message(mention);
    assert_eq!((it.text.as_str(), it.addressed), ("hi", Addressed::Mention));
    assert_eq!(it.chat.kind, ChatKind::Group);
    assert_eq!(
        message(grouped("503", GROUP, "hi")).addressed,
        Addressed::No
    );
    let mut reply = grouped("504", GROUP, "yes");
    reply["type"] = json!(19);
    reply["message_reference"] =
        json!({"type": 0, "message_id": "800", "channel_id": GROUP, "guild_id": GUILD});
    reply["referenced_message"] = json!({"id": "800", "channel_id": GROUP, "author": {"id": ME, "bot": true}, "content": "Run it?"});
    // A reply that pings names the bot among the mentioned.
    reply["mentions"] = json!([{"id": ME, "username": "kitbot"}]);
    let it = message(reply.clone());
    assert_eq!(it.addressed, Addressed::Reply);
    assert!(it.reply_to.unwrap().mine);
    reply["referenced_message"] = Value::Null;
    reply["mentions"] = json!([]);
    assert_eq!(message(reply).addressed, Addressed::No);
}

#[test]
fn files_voice_and_stickers_are_attachments() {
    let mut data = direct("504", "");
    data["attachments"] = json!([
        {"id": "11", "filename": "a.png", "size": 1234, "content_type": "image/png", "width": 10, "height": 10,
         "url": "https://cdn.discordapp.com/attachments/700/11/a.png?ex=65d903de&is=65c68ede&hm=00ff&"},
        {"id": "12", "filename": "voice-message.ogg", "size": 4321, "content_type": "audio/ogg", "duration_secs": 3.2, "waveform": "AAA=",
         "url": "https://cdn.discordapp.com/attachments/700/12/v.ogg"}]);
    data["sticker_items"] = json!([{"id": "9", "name": "wave", "format_type": 4}]);
    let it = message(data);
    let kinds: Vec<_> = it.attachments.iter().map(|it| it.kind).collect();
    assert_eq!(
        kinds,
        [
            AttachmentKind::Image,
            AttachmentKind::Voice,
            AttachmentKind::Sticker
        ]
    );
    assert_eq!(it.attachments[0].bytes, Some(1234));
    assert!(it.attachments[2].id.as_str().ends_with("/stickers/9.gif"));
}

#[test]
fn a_forwarded_message_says_what_was_forwarded() {
    let mut data = direct("505", "");
    data["message_reference"] = json!({"type": 1, "message_id": "800", "channel_id": "1"});
    data["message_snapshots"] = json!([{"message": {"content": "from afar", "attachments": []}}]);
    let it = message(data.clone());
    assert_eq!((it.text.as_str(), it.reply_to), ("from afar", None));
    // With a comment it says only that, and that more came along.
    data["content"] = json!("look");
    let it = message(data);
    assert_eq!((it.text.as_str(), it.quotes), ("look", true));
    assert!(!message(direct("506", "look")).quotes);
}

#[test]
fn bots_are_marked_and_what_nobody_wrote_is_ignored() {
    let mut webhook = grouped("506", GROUP, "build passed");
    webhook["webhook_id"] = json!("77");
    assert_eq!(message(webhook).sender.kind, SenderKind::Bot);
    let mut own = direct("507", "mine");
    own["author"]["id"] = json!(ME);
    assert!(read("MESSAGE_CREATE", own.clone()).is_none());
    // An answer to an interaction.
    own["webhook_id"] = json!(ME);
    assert!(read("MESSAGE_CREATE", own).is_none());
    for kind in [1, 6, 7, 8, 18, 21, 22, 24, 46] {
        let mut system = grouped("508", GROUP, "");
        system["type"] = json!(kind);
        assert!(read("MESSAGE_CREATE", system).is_none(), "{kind}");
    }
}

#[test]
fn only_what_was_written_anew_is_an_edit() {
    let mut data = grouped("502", GROUP, "hi!");
    assert!(
        read("MESSAGE_UPDATE", data.clone()).is_none(),
        "a preview of a link"
    );
    data["edited_timestamp"] = json!("2026-11-20T12:01:00.000000+00:00");
    let event = read("MESSAGE_UPDATE", data).unwrap();
    assert_eq!(event.id.as_str(), "502:2026-11-20T12:01:00.000000+00:00");
    assert!(matches!(event.kind, EventKind::Edited(message) if message.text == "hi!"));
}

#[test]
fn deletions_and_reactions_are_read() {
    let event = read(
        "MESSAGE_DELETE",
        json!({"id": "502", "channel_id": GROUP, "guild_id": GUILD}),
    );
    let EventKind::Deleted(deleted) = event.unwrap().kind else {
        panic!()
    };
    assert_eq!(deleted.messages[0].id.as_str(), "502");
    let event = read(
        "MESSAGE_DELETE_BULK",
        json!({"ids": ["1", "2"], "channel_id": GROUP}),
    );
    let EventKind::Deleted(deleted) = event.unwrap().kind else {
        panic!()
    };
    assert_eq!(deleted.messages.len(), 2);
    for (name, emoji, wanted) in [
        (
            "MESSAGE_REACTION_ADD",
            json!({"id": null, "name": "\u{1f525}"}),
            "\u{1f525}",
        ),
        (
            "MESSAGE_REACTION_REMOVE",
            json!({"id": "5", "name": "party"}),
            "party:5",
        ),
    ] {
        let data = json!({"user_id": ADA, "channel_id": GROUP, "message_id": "1300", "guild_id": GUILD, "emoji": emoji, "burst": false, "type": 0});
        let EventKind::Reaction(reaction) = read(name, data).unwrap().kind else {
            panic!()
        };
        let all = [reaction.added, reaction.removed].concat();
        assert_eq!(all, [wanted]);
    }
}

#[test]
fn ids_may_be_numbers_and_unknown_fields_may_be_null() {
    let mut data = direct("509", "x");
    data["id"] = json!(1_300_000_000_000_000_501_u64);
    data["application_id"] = Value::Null;
    data["something_new"] = json!({"deep": [1, {"er": null}]});
    assert_eq!(message(data).id.as_str(), "1300000000000000501");
}

#[test]
fn history_is_read_alike() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.run(async {
        discord.probe().await.unwrap();
        let to = channel_core::Target::chat(DIRECT);
        let sent = channel_core::OutboundMessage::new(to.clone(), "said");
        discord.send(&sent).await.unwrap();
        let history = discord.as_history().unwrap();
        let read = history.history(&to, None, 10).await.unwrap();
        assert_eq!(read[0].text, "said");
        assert_eq!(read[0].sender.kind, SenderKind::Bot);
        assert_eq!(read[0].addressed(), Addressed::No);
    });
}
