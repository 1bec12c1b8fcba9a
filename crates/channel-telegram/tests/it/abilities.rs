//! Everything but sending: edits, deletions, reactions, presses, menus, downloads.

use std::time::Duration;

use channel_core::{
    AccountRef, Action, ActionId, Actions as _, Attachment, AttachmentKind, Body, Button,
    Channel as _, Chat, ChatKind, CommandInfo, Commands as _, Delete as _, Edit as _, ErrorKind,
    FileId, Media as _, MessageRef, Platform, Proof, Raw, React as _, ReplyTo, Sender, SenderId,
    Target, Typing as _, Upload,
};
use channel_testkit::Reply;
use serde_json::json;

use crate::fake::{ADA, Fake, TOKEN};
use crate::outbound::{at, to_ada};

fn press() -> Action {
    let account = AccountRef::new(Platform::new("telegram"), SenderId::from(ADA));
    let reply = ReplyTo::new("telegram".into(), Target::chat(ADA));
    let chat = Chat::new(ADA.into(), ChatKind::Direct);
    let sender = Sender::new(account, Proof::Asserted);
    Action::new(
        ActionId::from("q"),
        sender,
        "a",
        chat,
        reply,
        Raw::default(),
    )
}

#[test]
fn edits_replace_text_caption_or_buttons() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let receipt = channel.send(&to_ada("one")).await.unwrap();
        let target = receipt.first().unwrap();
        channel
            .edit(target, &to_ada(Body::markdown("*two*")))
            .await
            .unwrap();
        assert_eq!(fake.texts(), ["two"]);
        channel.edit(target, &to_ada("two")).await.unwrap();
        fake.refuse(
            "editMessageText",
            400,
            "Bad Request: there is no text in the message to edit",
        );
        channel.edit(target, &to_ada("caption")).await.unwrap();
        assert_eq!(fake.last("editMessageCaption")["caption"], "caption");
        channel
            .edit(target, &to_ada("").buttons([Button::press("A", "a")]))
            .await
            .unwrap();
        assert!(fake.last("editMessageReplyMarkup")["reply_markup"].is_object());
        for (message, kind) in [
            (to_ada("x".repeat(4097)), ErrorKind::Invalid),
            (to_ada(""), ErrorKind::Invalid),
            (
                to_ada("").attach(Upload::file("f", "f")),
                ErrorKind::Unsupported,
            ),
        ] {
            assert_eq!(
                channel.edit(target, &message).await.unwrap_err().kind(),
                kind
            );
        }
        assert_eq!(
            channel.edit(&at(7), &to_ada("x")).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let nowhere = MessageRef::new(ADA.into(), "x".into());
        assert_eq!(
            channel
                .edit(&nowhere, &to_ada("x"))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Invalid
        );
    });
}

#[test]
fn deletions_reactions_and_typing() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let receipt = channel.send(&to_ada("one")).await.unwrap();
        let target = receipt.first().unwrap();
        channel.react(target, "❤\u{fe0f}").await.unwrap();
        assert_eq!(
            fake.last("setMessageReaction")["reaction"],
            json!([{"type": "emoji", "emoji": "❤"}])
        );
        channel.react(target, "custom:5").await.unwrap();
        assert_eq!(
            fake.last("setMessageReaction")["reaction"][0]["custom_emoji_id"],
            "5"
        );
        channel.unreact(target, "❤").await.unwrap();
        assert_eq!(fake.last("setMessageReaction")["reaction"], json!([]));
        fake.refuse("setMessageReaction", 400, "Bad Request: REACTION_INVALID");
        assert_eq!(
            channel.react(target, "🦖").await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        channel
            .start_typing(&Target::chat(ADA).thread("7").into())
            .await
            .unwrap();
        let typing = json!({"action": "typing", "chat_id": 42, "message_thread_id": 7});
        assert_eq!(fake.last("sendChatAction"), typing);
        assert_eq!(channel.lasts(), Duration::from_secs(5));
        channel.delete(target).await.unwrap();
        assert_eq!(
            channel.delete(target).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        fake.refuse(
            "deleteMessage",
            400,
            "Bad Request: message can't be deleted for everyone",
        );
        assert_eq!(
            channel.delete(target).await.unwrap_err().kind(),
            ErrorKind::Forbidden
        );
    });
}

#[test]
fn presses_are_answered_once_and_in_time() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        channel.answer_action(&press(), Some("done")).await.unwrap();
        assert_eq!(
            fake.last("answerCallbackQuery"),
            json!({"callback_query_id": "q", "text": "done"})
        );
        let long = "x".repeat(201);
        assert_eq!(
            channel
                .answer_action(&press(), Some(&long))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::Invalid
        );
        for text in [
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
            "Bad Request: QUERY_ID_INVALID",
            "Bad Request: query ID is invalid",
        ] {
            fake.refuse("answerCallbackQuery", 400, text);
            let error = channel.answer_action(&press(), None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
        }
    });
}

#[test]
fn the_menu_is_checked_before_it_is_published() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        channel
            .publish_commands(&[CommandInfo::new("run_2", "runs it")])
            .await
            .unwrap();
        assert_eq!(fake.state.lock().unwrap().commands, ["run_2"]);
        for (name, description) in [("Run", "x"), ("", "x"), ("a-b", "x"), ("run", "")] {
            let error = channel
                .publish_commands(&[CommandInfo::new(name, description)])
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
        }
        let many = vec![CommandInfo::new("a", "b"); 101];
        assert!(channel.publish_commands(&many).await.is_err());
        assert_eq!(fake.calls("setMyCommands").len(), 1);
    });
}

#[test]
fn downloads_keep_to_their_bounds() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let content = bytes::Bytes::from(vec![7; 1000]);
        fake.state
            .lock()
            .unwrap()
            .files
            .push(("F".to_owned(), content.clone()));
        let mut file = Attachment::new(FileId::from("F"), AttachmentKind::File);
        assert_eq!(channel.download(&file, 1000).await.unwrap(), content);
        assert_eq!(
            channel.download(&file, 999).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        let calls = fake.transport.http.count();
        file.bytes = Some(20_000_001);
        assert_eq!(
            channel.download(&file, u64::MAX).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert_eq!(fake.transport.http.count(), calls);
        let gone = Attachment::new(FileId::from("G"), AttachmentKind::File);
        assert_eq!(
            channel.download(&gone, 10).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let path = format!("/bot{TOKEN}/getFile");
        for (file_path, kind) in [
            ("/var/lib/telegram/x", ErrorKind::Unsupported),
            ("documents/../../x", ErrorKind::Protocol),
            ("documents/expired", ErrorKind::NotFound),
        ] {
            let answer = json!({"ok": true, "result": {"file_path": file_path}});
            fake.transport.http.once(&path, Reply::ok(&answer));
            assert_eq!(
                channel.download(&gone, 10).await.unwrap_err().kind(),
                kind,
                "{file_path}"
            );
        }
    });
}
