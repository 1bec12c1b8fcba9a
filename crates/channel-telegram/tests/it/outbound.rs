//! What goes out.

use channel_core::{
    AttachmentKind, Body, Button, Channel as _, Content, Edit as _, ErrorKind, FileId, Inline,
    MessageRef, OutboundMessage, ReplyTo, SenderId, Target, TextUnit, Typing as _, Upload,
    UploadSource,
};
use channel_telegram::Pacing;
use channel_testkit::Reply;
use serde_json::json;

use crate::fake::{ADA, Fake, TOKEN};

pub(crate) fn to_ada(body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat(ADA), body)
}

pub(crate) fn at(id: i64) -> MessageRef {
    MessageRef::new(ADA.into(), id.into())
}

#[test]
fn a_short_text_is_one_small_request() {
    let fake = Fake::new();
    fake.run(async {
        let receipt = fake
            .channel()
            .send(&to_ada("a \"quoted\" <b>*text*</b>\n"))
            .await
            .unwrap();
        assert_eq!(receipt.messages, [at(1000)]);
        let body = fake.calls("sendMessage")[0].text();
        assert_eq!(
            body,
            r#"{"text":"a \"quoted\" <b>*text*</b>\n","chat_id":42}"#
        );
    });
}

#[test]
fn a_reply_quotes_and_stays_in_its_thread() {
    let fake = Fake::new();
    fake.run(async {
        let reply = ReplyTo::new(
            "telegram".into(),
            Target::chat("-1001234567890").thread("77"),
        );
        let message = OutboundMessage::new(reply.quoting("9".into()), "yes").silent();
        fake.channel().send(&message).await.unwrap();
        let fields = fake.last("sendMessage");
        assert_eq!(fields["chat_id"], -1_001_234_567_890_i64);
        assert_eq!(fields["message_thread_id"], 77);
        assert_eq!(fields["disable_notification"], true);
        let quote = json!({"message_id": 9, "allow_sending_without_reply": true});
        assert_eq!(fields["reply_parameters"], quote);
    });
}

#[test]
fn pain_33_formatting_travels_as_entities_and_never_as_markup() {
    let fake = Fake::new();
    fake.run(async {
        let markdown = "**bold** and *it*, `code`, [link](https://a.example) 😀 ~~gone~~\n\n```rust\nlet x = \"*\";\n```\n\n> quoted";
        fake.channel().send(&to_ada(Body::markdown(markdown))).await.unwrap();
        let fields = fake.last("sendMessage");
        assert!(fields["parse_mode"].is_null());
        let text: Vec<u16> = fields["text"].as_str().unwrap().encode_utf16().collect();
        let words: Vec<(String, String)> = fields["entities"].as_array().unwrap().iter().map(|entity| {
            let at = usize::try_from(entity["offset"].as_u64().unwrap()).unwrap();
            let length = usize::try_from(entity["length"].as_u64().unwrap()).unwrap();
            let words = String::from_utf16(&text[at..at + length]).unwrap();
            (entity["type"].as_str().unwrap().to_owned(), words)
        }).collect();
        for (kind, covered) in [
            ("bold", "bold"), ("italic", "it"), ("code", "code"), ("text_link", "link"),
            ("strikethrough", "gone"), ("pre", "let x = \"*\";"), ("blockquote", "quoted"),
        ] {
            assert!(words.contains(&(kind.to_owned(), covered.to_owned())), "{kind}: {words:?}");
        }
        // Refused all the same: the words arrive without it.
        fake.refuse("sendMessage", 400, "Bad Request: can't parse entities: byte offset 3");
        fake.channel().send(&to_ada(Body::markdown("**x**"))).await.unwrap();
        assert_eq!(fake.texts().last().unwrap(), "x");
        assert!(fake.last("sendMessage")["entities"].is_null());
    });
}

#[test]
fn mentions_and_custom_emoji_have_their_entities() {
    let fake = Fake::new();
    fake.run(async {
        let content = Content::paragraph([
            Inline::Mention {
                id: Some(SenderId::from(7)),
                name: "Bob".to_owned(),
            },
            Inline::text(" "),
            Inline::Emoji {
                id: "5".to_owned(),
                fallback: "👍".to_owned(),
            },
        ]);
        fake.channel().send(&to_ada(content)).await.unwrap();
        let entities = &fake.last("sendMessage")["entities"];
        assert_eq!(entities[0]["user"]["id"], 7);
        assert_eq!(entities[1]["custom_emoji_id"], "5");
        assert_eq!(entities[1]["length"], 2);
    });
}

#[test]
fn pain_32_long_texts_are_split_in_telegrams_own_unit() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.builder().pacing(Pacing::off()).build().unwrap();
        let line = "😀".repeat(3000);
        for text in [
            line.clone(),
            "word ".repeat(3000),
            format!("```\n{}\n```", "x".repeat(20_000)),
        ] {
            let before = fake.sent().len();
            let receipt = channel
                .send(&to_ada(Body::plain(text.clone())))
                .await
                .unwrap();
            let parts: Vec<String> = fake.texts().split_off(before);
            assert_eq!(receipt.messages.len(), parts.len());
            assert!(
                parts
                    .iter()
                    .all(|part| TextUnit::Utf16.measure(part) <= 4096)
            );
            let squeeze = |text: &str| {
                text.chars()
                    .filter(|c| !c.is_whitespace())
                    .collect::<String>()
            };
            assert_eq!(squeeze(&parts.concat()), squeeze(&text), "nothing is lost");
        }
        let fitting = "😀".repeat(2048);
        assert_eq!(
            channel.send(&to_ada(fitting)).await.unwrap().messages.len(),
            1
        );
    });
}

#[test]
fn only_the_first_part_quotes_and_only_the_last_has_buttons() {
    let fake = Fake::new();
    fake.run(async {
        let reply = ReplyTo::new("telegram".into(), Target::chat(ADA)).quoting("9".into());
        let message = OutboundMessage::new(reply, "word ".repeat(2000)).buttons([
            Button::press("A", "a"),
            Button::open("B", "https://b.example"),
        ]);
        fake.channel().send(&message).await.unwrap();
        let sent = fake.sent();
        assert!(sent.len() > 2);
        for (index, part) in sent.iter().enumerate() {
            assert_eq!(part.fields["reply_parameters"].is_null(), index > 0);
            assert_eq!(
                part.fields["reply_markup"].is_null(),
                index + 1 < sent.len()
            );
        }
        let keyboard = json!({"inline_keyboard": [[
            {"text": "A", "callback_data": "a"}, {"text": "B", "url": "https://b.example"}]]});
        assert_eq!(sent.last().unwrap().fields["reply_markup"], keyboard);
    });
}

#[test]
fn nothing_to_show_is_not_sent() {
    let fake = Fake::new();
    fake.run(async {
        for body in [
            Body::plain(""),
            Body::plain(" \n\t"),
            Body::markdown(""),
            Body::Content(Content::default()),
        ] {
            assert_eq!(
                fake.channel().send(&to_ada(body)).await.unwrap().messages,
                []
            );
        }
        assert_eq!(fake.transport.http.count(), 0);
    });
}

#[test]
fn what_telegram_would_refuse_is_refused_before_the_network() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let file = |kind, bytes: Vec<u8>| Upload::new(kind, "f", UploadSource::Bytes(bytes.into()));
        let url =
            |url: &str| Upload::new(AttachmentKind::File, "f", UploadSource::Url(url.to_owned()));
        let wrong = [
            to_ada("x").buttons([Button::press("A", "ä".repeat(33))]),
            to_ada("x").buttons([Button::press("A", "")]),
            to_ada("x").buttons([Button::press(" ", "a")]),
            to_ada("x").buttons([Button::open("A", "javascript:alert(1)")]),
            OutboundMessage::new(Target::chat("general"), "x"),
            OutboundMessage::new(Target::chat(""), "x"),
            to_ada("").attach(file(AttachmentKind::Image, vec![0; 10_000_001])),
            to_ada("").attach(file(AttachmentKind::File, vec![0; 50_000_001])),
            to_ada("").attach(file(AttachmentKind::File, Vec::new())),
            to_ada("").attach(url("file:///etc/passwd")),
            to_ada("").attach(Upload::new(
                AttachmentKind::File,
                "f",
                UploadSource::Existing(FileId::from("")),
            )),
            to_ada("")
                .attach(file(AttachmentKind::Image, vec![1]))
                .attach(file(AttachmentKind::Image, vec![1]))
                .buttons([Button::press("A", "a")]),
        ];
        for message in wrong {
            let error = channel.send(&message).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
        assert_eq!(fake.transport.http.count(), 0);
        let error = channel
            .send(&to_ada("x").buttons([Button::press("A", "x".repeat(65))]))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "telegram: send message: a button's value is 65 bytes, it has to be 1 to 64"
        );
    });
}

#[test]
fn files_go_by_the_method_of_their_kind() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        for (kind, method, field) in [
            (AttachmentKind::Image, "sendPhoto", "photo"),
            (AttachmentKind::Audio, "sendAudio", "audio"),
            (AttachmentKind::Voice, "sendVoice", "voice"),
            (AttachmentKind::Video, "sendVideo", "video"),
            (AttachmentKind::Animation, "sendAnimation", "animation"),
            (AttachmentKind::Sticker, "sendSticker", "sticker"),
            (AttachmentKind::File, "sendDocument", "document"),
        ] {
            let upload = Upload::new(kind, "n\".bin", UploadSource::Bytes("content".into()));
            channel.send(&to_ada("").attach(upload)).await.unwrap();
            let call = fake.calls(method).pop().unwrap().text();
            assert!(
                call.contains(&format!("name=\"{field}\"; filename=\"n%22.bin\"")),
                "{call}"
            );
            assert!(call.contains("\r\n\r\ncontent\r\n"));
        }
        let existing = Upload::new(
            AttachmentKind::Image,
            "f",
            UploadSource::Existing(FileId::from("FILE")),
        );
        channel
            .send(&to_ada("look").attach(existing))
            .await
            .unwrap();
        let sent = fake.sent().pop().unwrap();
        assert_eq!(
            (&sent.fields["photo"], sent.text.as_str()),
            (&json!("FILE"), "look")
        );
        let url = Upload::new(
            AttachmentKind::File,
            "f",
            UploadSource::Url("https://a.example/f".to_owned()),
        );
        channel.send(&to_ada("").attach(url)).await.unwrap();
        assert_eq!(
            fake.sent().pop().unwrap().fields["document"],
            "https://a.example/f"
        );
    });
}

#[test]
fn several_pictures_are_an_album_with_one_caption() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.builder().pacing(Pacing::off()).build().unwrap();
        let mut message = to_ada(Body::markdown("**look**"));
        for n in 0..11 {
            message = message.attach(Upload::image(format!("{n}.jpg"), vec![b'0' + n]));
        }
        message = message.attach(Upload::file("notes.txt", "notes"));
        let receipt = channel.send(&message).await.unwrap();
        assert_eq!(receipt.messages.len(), 12);
        let album = &fake.sent()[0].fields;
        let media: serde_json::Value =
            serde_json::from_str(album["media"].as_str().unwrap()).unwrap();
        assert_eq!(media.as_array().unwrap().len(), 10);
        assert_eq!(media[0]["caption"], "look");
        assert_eq!(media[0]["caption_entities"][0]["type"], "bold");
        assert_eq!(media[0]["media"], "attach://file0");
        assert!(media[1]["caption"].is_null());
        assert_eq!(fake.calls("sendPhoto").len(), 1, "the eleventh goes alone");
        assert_eq!(fake.calls("sendDocument").len(), 1);
        assert_eq!(fake.sent()[11].files[0].0, "notes.txt");
    });
}

#[test]
fn a_text_too_long_for_a_caption_goes_first() {
    let fake = Fake::new();
    fake.run(async {
        let message = to_ada("x".repeat(1025)).attach(Upload::file("f", "1"));
        assert_eq!(
            fake.channel().send(&message).await.unwrap().messages.len(),
            2
        );
        assert_eq!(fake.texts(), ["x".repeat(1025), String::new()]);
        let message = to_ada("x".repeat(1024)).attach(Upload::file("f", "1"));
        assert_eq!(
            fake.channel().send(&message).await.unwrap().messages.len(),
            1
        );
    });
}

#[test]
fn a_thread_id_that_cannot_be_one_falls_back_to_the_chat() {
    let fake = Fake::new();
    fake.run(async {
        let message = OutboundMessage::new(Target::chat("-1001").thread("general"), "x");
        fake.channel().send(&message).await.unwrap();
        assert_eq!(fake.sent()[0].thread, None);
        // A thread that is gone is an error, not the general one.
        fake.refuse("sendMessage", 400, "Bad Request: message thread not found");
        let message = OutboundMessage::new(Target::chat("-1001").thread("7"), "x");
        assert_eq!(
            fake.channel().send(&message).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(fake.sent().len(), 1);
    });
}

#[test]
fn a_caption_whose_formatting_is_refused_goes_plain() {
    let fake = Fake::new();
    fake.run(async {
        let text = "Bad Request: can't parse entities: unsupported";
        fake.refuse("sendDocument", 400, text);
        let message = to_ada(Body::markdown("**look**")).attach(Upload::file("f", "f"));
        fake.channel().send(&message).await.unwrap();
        assert_eq!(fake.texts(), ["look"]);
        assert_eq!(fake.last("sendDocument")["caption_entities"], json!(null));
    });
}

#[test]
fn the_general_topic_is_named_for_the_typing_sign_only() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let general = Target::chat(-1_001_234_567_890_i64).thread("1");
        let message = OutboundMessage::new(general.clone(), "x");
        channel.send(&message).await.unwrap();
        channel
            .send(&message.attach(Upload::file("f", "f")))
            .await
            .unwrap();
        assert_eq!(fake.sent()[0].thread, None);
        assert_eq!(fake.sent()[1].thread, None);
        channel.start_typing(&general.into()).await.unwrap();
        assert_eq!(fake.last("sendChatAction")["message_thread_id"], 1);
    });
}

#[test]
fn other_id_spaces_are_answered_in_their_own_way() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let business = OutboundMessage::new(Target::chat("business:bc:1:42"), "x");
        let receipt = channel.send(&business).await.unwrap();
        assert_eq!(receipt.messages[0].chat.as_str(), "business:bc:1:42");
        assert_eq!(fake.last("sendMessage")["business_connection_id"], "bc:1");
        assert_eq!(fake.last("sendMessage")["chat_id"], 42);
        let path = format!("/bot{TOKEN}/answerGuestQuery");
        let answer = json!({"ok": true, "result": {"inline_message_id": "I"}});
        fake.transport.http.once(&path, Reply::ok(&answer));
        let guest = OutboundMessage::new(Target::chat("guest:q1"), "x");
        let receipt = channel.send(&guest).await.unwrap();
        let fields = fake.calls("answerGuestQuery")[0].json();
        assert_eq!(fields["guest_query_id"], "q1");
        assert_eq!(
            fields["result"]["input_message_content"]["message_text"],
            "x"
        );
        channel
            .edit(receipt.first().unwrap(), &to_ada("y"))
            .await
            .unwrap_err();
        assert_eq!(fake.last("editMessageText")["inline_message_id"], "I");
        let inline = OutboundMessage::new(Target::chat("inline:9"), "x");
        assert_eq!(
            channel.send(&inline).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
    });
}
