//! What goes out, and what becomes of it.

use std::time::Duration;

use channel_core::{
    AttachmentKind, Body, Button, Card, Channel as _, ChatId, Delete as _, Destination, Edit as _,
    ErrorKind, History as _, Media as _, Message, MessageRef, OutboundMessage, Parts as _,
    React as _, Repeat, Target, Typing as _, Upload, UploadSource, Webhook as _,
};
use channel_testkit::{Failure, Reply};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::fake::{APP_SECRET, DIRECT, Fake, GROUP, THREAD, direct, envelope, mention};

const SECOND: Duration = Duration::from_secs(1);

fn to(chat: &str, body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat(chat), body)
}

/// A message that came in.
fn came(fake: &Fake, event: Value) -> Message {
    let request = fake.event(&envelope(1, "im.message.receive_v1", event));
    let accepted = fake.channel().receive(&request, fake.now()).unwrap();
    accepted.events[0].message().unwrap().clone()
}

fn fields(fake: &Fake, method: &str, prefix: &str) -> Value {
    fake.calls(method, prefix).pop().unwrap().json()
}

#[test]
fn the_kind_of_a_receiver_is_told_by_its_id() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        for (chat, kind) in [
            ("oc_1", "chat_id"),
            ("ou_1", "open_id"),
            ("on_1", "union_id"),
            ("ada@example.org", "email"),
            ("u1", "user_id"),
        ] {
            let _ = channel.send(&to(chat, "hi")).await;
            let call = fake
                .calls("POST", "/open-apis/im/v1/messages")
                .pop()
                .unwrap();
            let query = call.request.uri().query().unwrap();
            assert_eq!(query, format!("receive_id_type={kind}"));
            assert_eq!(call.json()["receive_id"], chat);
        }
        for wrong in ["", "oc_1/../x", "oc_1?x", "a b@c"] {
            let error = channel.send(&to(wrong, "hi")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
        }
        // Whoever is named by person is told where the message really is.
        let receipt = channel.send(&to("ou_1", "hi")).await.unwrap();
        assert_eq!(receipt.first().unwrap().chat, ChatId::from(DIRECT));
    });
}

#[test]
fn answers_go_where_the_question_is() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        channel
            .send(&came(&fake, direct("om_1", "hi")).reply("a"))
            .await
            .unwrap();
        let call = fake
            .calls("POST", "/open-apis/im/v1/messages/om_1/reply")
            .pop()
            .unwrap();
        assert_eq!(call.json()["reply_in_thread"], false);

        let mut event = mention("om_thread1", "hi");
        event["message"]["thread_id"] = json!(THREAD);
        let long = "word ".repeat(2000);
        channel
            .send(&came(&fake, event).reply(long.as_str()))
            .await
            .unwrap();
        let calls = fake.calls("POST", "/open-apis/im/v1/messages/om_thread1/reply");
        assert!(
            calls.len() > 1
                && calls
                    .iter()
                    .all(|call| call.json()["reply_in_thread"] == true)
        );

        // On our own account a thread is reached by a message in it, looked up once.
        let thread = Target::chat(GROUP).thread(THREAD);
        for _ in 0..2 {
            let message = OutboundMessage::new(thread.clone(), "x");
            channel.send(&message).await.unwrap();
        }
        let lookups = fake.calls("GET", "/open-apis/im/v1/messages").len();
        assert_eq!(lookups, 1);
        assert!(
            fake.sent()
                .iter()
                .skip(1)
                .all(|sent| sent.thread.as_deref() == Some(THREAD))
        );
    });
}

#[test]
fn a_question_that_was_taken_back_is_answered_beside_it_but_in_no_new_thread() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        fake.refuse("POST /open-apis/im/v1/messages/om_1/reply", 400, 230_011);
        channel
            .send(&came(&fake, direct("om_1", "hi")).reply("a"))
            .await
            .unwrap();
        let sent = fake.sent();
        assert_eq!((sent.len(), sent[0].parent.as_ref()), (1, None));
        let mut event = mention("om_thread1", "hi");
        event["message"]["thread_id"] = json!(THREAD);
        fake.refuse(
            "POST /open-apis/im/v1/messages/om_thread1/reply",
            400,
            230_011,
        );
        let error = channel
            .send(&came(&fake, event).reply("a"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(fake.sent().len(), 1);
    });
}

#[test]
fn pain_13_a_lost_answer_is_resolved_by_uuid_and_never_doubled() {
    let fake = Fake::new();
    let channel = fake.channel();
    assert!(matches!(channel.info().guarantees.send(), Repeat::Keyed(_)));
    fake.run(async {
        // The message arrives and its answer does not: the same uuid brings the answer.
        let message = to(DIRECT, "once").key("k1");
        channel.probe().await.unwrap();
        for _ in 0..2 {
            fake.state.lock().unwrap().failure = Some((0, Failure::LostAnswer));
            let state = fake.state.clone();
            let mend = async {
                fake.transport
                    .clock
                    .clone()
                    .sleep(Duration::from_millis(100))
                    .await;
                state.lock().unwrap().failure = None;
            };
            use channel_core::Clock as _;
            let (sent, ()) = tokio::join!(channel.send(&message), mend);
            assert_eq!(sent.unwrap().messages.len(), 1);
            assert_eq!(fake.sent().len(), 1);
        }
        let calls = fake.calls("POST", "/open-apis/im/v1/messages");
        let uuids: std::collections::HashSet<_> = calls
            .iter()
            .map(|call| call.json()["uuid"].to_string())
            .collect();
        assert_eq!((calls.len(), uuids.len()), (4, 1));
        // The key itself is nobody's business.
        assert!(!uuids.iter().any(|uuid| uuid.contains("k1")));
        // One that stays lost is uncertain, after three attempts.
        fake.state.lock().unwrap().failure = Some((0, Failure::LostAnswer));
        let before = fake.calls("POST", "/open-apis/im/v1/messages").len();
        let error = channel.send(&to(DIRECT, "twice")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Uncertain);
        assert_eq!(
            fake.calls("POST", "/open-apis/im/v1/messages").len() - before,
            3
        );
        assert_eq!(fake.sent().len(), 2);
    });
}

#[test]
fn a_refused_token_is_replaced_once_and_a_wrong_secret_stops() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        channel.send(&to(DIRECT, "a")).await.unwrap();
        channel.send(&to(DIRECT, "b")).await.unwrap();
        assert_eq!(fake.state.lock().unwrap().tokens, 1, "one token for both");
        fake.refuse("POST /open-apis/im", 400, 99_991_663);
        channel.send(&to(DIRECT, "c")).await.unwrap();
        assert_eq!(fake.state.lock().unwrap().tokens, 2);
        use channel_core::Clock as _;
        fake.transport.clock.sleep(SECOND * 6601).await;
        channel.send(&to(DIRECT, "d")).await.unwrap();
        assert_eq!(fake.state.lock().unwrap().tokens, 3, "ahead of its end");
        let wrong = fake
            .builder()
            .app("cli_0000000000000001", "wrong")
            .build()
            .unwrap();
        let before = fake.transport.http.count();
        for _ in 0..5 {
            let error = wrong.send(&to(DIRECT, "x")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            assert!(
                error.to_string().contains("copy both from the console"),
                "{error}"
            );
        }
        assert_eq!(fake.transport.http.count() - before, 1);
        assert_ne!(APP_SECRET, "wrong");
    });
}

#[test]
fn a_crowd_that_needs_a_token_asks_for_one() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let texts: Vec<_> = (0..50).map(|n| to(DIRECT, n.to_string())).collect();
        let all = texts.iter().map(|message| channel.send(message));
        for sent in futures_util::future::join_all(all).await {
            sent.unwrap();
        }
        assert_eq!(fake.state.lock().unwrap().tokens, 1);
    });
}

#[test]
fn short_pauses_are_waited_for_and_long_ones_told() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        for code in [99_991_400, 230_020, 11_020] {
            let began = fake.elapsed();
            fake.refuse("POST /open-apis/im", 400, code);
            channel.send(&to(DIRECT, code.to_string())).await.unwrap();
            assert_eq!(fake.elapsed() - began, SECOND, "{code}");
        }
        let name = HeaderName::from_static("x-ogw-ratelimit-reset");
        let reply = Reply::json(StatusCode::BAD_REQUEST, &json!({"code": 99_991_400}));
        let reply = reply.header(name, HeaderValue::from_static("30"));
        fake.transport.http.once("/open-apis/im", reply);
        let error = channel.send(&to(DIRECT, "x")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (ErrorKind::RateLimited, Some(SECOND * 30))
        );
    });
}

#[test]
fn buttons_stand_in_a_card_and_remember_where() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let answer = came(&fake, direct("om_1", "hi")).reply("choose *one*");
        let answer = answer.buttons([Button::press("A", "a"), Button::open("B", "https://e.x")]);
        channel.send(&answer).await.unwrap();
        let card = &fake.sent()[0].content;
        assert_eq!(card["schema"], "2.0");
        assert_eq!(card["config"]["update_multi"], true);
        let elements = &card["body"]["elements"];
        assert_eq!(
            elements[0]["text"],
            json!({"tag": "plain_text", "content": "choose *one*"})
        );
        let columns = &elements[1]["columns"];
        let behaviors = &columns[0]["elements"][0]["behaviors"];
        assert_eq!(
            behaviors[0],
            json!({"type": "callback", "value": {"kit": "a", "direct": true}})
        );
        assert_eq!(
            columns[1]["elements"][0]["behaviors"][0]["default_url"],
            "https://e.x"
        );
    });
}

#[test]
fn a_card_that_is_too_large_becomes_words_and_buttons() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let card = Card::new("Long")
            .text("word ".repeat(8000))
            .actions([Button::press("Go", "go")]);
        let receipt = channel.send(&to(DIRECT, "").card(card)).await.unwrap();
        let sent = fake.sent();
        assert_eq!(receipt.messages.len(), sent.len());
        assert!(sent.len() > 5 && sent.last().unwrap().kind == "interactive");
    });
}

#[test]
fn files_are_uploaded_and_sent_as_what_they_are() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let upload =
            |kind, name: &str| Upload::new(kind, name, UploadSource::Bytes("bytes".into()));
        let message = to(DIRECT, "look")
            .attach(Upload::image("a.png", "png"))
            .attach(upload(AttachmentKind::Voice, "a.opus"))
            .attach(upload(AttachmentKind::Video, "a.mp4"))
            .attach(Upload::file("a.pdf", "pdf"))
            .attach(Upload::new(
                AttachmentKind::Sticker,
                "",
                UploadSource::Existing("om_9/st_1/sticker".into()),
            ));
        channel.send(&message).await.unwrap();
        let kinds: Vec<_> = fake.sent().into_iter().map(|sent| sent.kind).collect();
        assert_eq!(
            kinds,
            ["text", "image", "audio", "media", "file", "sticker"]
        );
        let form = fake
            .calls("POST", "/open-apis/im/v1/files")
            .pop()
            .unwrap()
            .text();
        assert!(form.contains("name=\"file_type\"\r\n\r\npdf"), "{form}");
        assert!(form.contains("name=\"file_name\"\r\n\r\na.pdf"));
        assert_eq!(fake.sent()[5].content, json!({"file_key": "st_1"}));

        // What somebody else wrote is fetched under guard, and without the token.
        fake.transport
            .http
            .get("/outside", |_| Reply::bytes(StatusCode::OK, "x"));
        let url = UploadSource::Url("https://e.example/outside".to_owned());
        channel
            .send(&to(DIRECT, "").attach(Upload::new(AttachmentKind::File, "x", url)))
            .await
            .unwrap();
        let call = fake.calls("GET", "/outside").pop().unwrap();
        assert!(call.guarded && call.header("authorization").is_none());
        // A file of a message is fetched and becomes one of the bot's.
        let file = ("file_77".to_owned(), "n".to_owned(), "content".into());
        fake.state.lock().unwrap().files.push(file);
        let existing = UploadSource::Existing("om_1/file_77/file".into());
        channel
            .send(&to(DIRECT, "").attach(Upload::new(AttachmentKind::File, "n", existing)))
            .await
            .unwrap();
        let state = fake.state.lock().unwrap();
        assert_eq!(state.files.last().unwrap().2, "content");
    });
}

#[test]
fn what_feishu_refuses_of_files_is_said_before_anything_leaves() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let message = to(DIRECT, "look").attach(Upload::file("a", ""));
        let error = channel.send(&message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(channel.parts(&message).is_err());
        assert_eq!(fake.transport.http.count(), 0);
        // One bad file does not stop the others.
        let two = to(DIRECT, "")
            .attach(Upload::file("a", "1"))
            .attach(Upload::file("b", "2"));
        fake.refuse("POST /open-apis/im/v1/files", 400, 234_001);
        let error = channel.send(&two).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.delivered().unwrap().messages.len(), 1);
    });
}

#[test]
fn edits_take_the_form_of_the_message() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let words = channel
            .send(&to(DIRECT, "a"))
            .await
            .unwrap()
            .messages
            .remove(0);
        let buttons = to(DIRECT, "b").buttons([Button::press("x", "x")]);
        let card = channel.send(&buttons).await.unwrap().messages.remove(0);
        channel.edit(&words, &to(DIRECT, "c")).await.unwrap();
        channel.edit(&card, &to(DIRECT, "d")).await.unwrap();
        assert_eq!(
            (
                fake.calls("PUT", "/open-apis/im").len(),
                fake.calls("PATCH", "/open-apis/im").len()
            ),
            (1, 1)
        );
        // Another process does not remember, and finds out.
        let other = fake.channel();
        other.edit(&card, &to(DIRECT, "e")).await.unwrap();
        assert_eq!(
            (
                fake.calls("PUT", "/open-apis/im").len(),
                fake.calls("PATCH", "/open-apis/im").len()
            ),
            (2, 2)
        );
        for (code, kind) in [
            (230_072, ErrorKind::NotFound),
            (230_031, ErrorKind::NotFound),
            (230_012, ErrorKind::Forbidden),
        ] {
            fake.refuse("PUT /open-apis/im", 400, code);
            let error = channel.edit(&words, &to(DIRECT, "f")).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{code}");
        }
        channel.delete(&words).await.unwrap();
        assert_eq!(
            channel.delete(&words).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
    });
}

#[test]
fn reactions_are_taken_back_by_their_id_remembered_or_looked_up() {
    let fake = Fake::new();
    let channel = fake.channel();
    let at = MessageRef::new(DIRECT.into(), "om_1".into());
    fake.run(async {
        for channel_two in [channel.clone(), fake.channel()] {
            channel.react(&at, "\u{1f44d}").await.unwrap();
            assert_eq!(fake.state.lock().unwrap().reactions[0].1, "THUMBSUP");
            channel_two.unreact(&at, "\u{1f44d}").await.unwrap();
            assert!(fake.state.lock().unwrap().reactions.is_empty());
        }
        assert_eq!(
            fake.calls("GET", "/open-apis/im/v1/messages/om_1/reactions")
                .len(),
            1
        );
        // What is not there needs no taking back.
        fake.channel().unreact(&at, "OK").await.unwrap();
        let error = channel.react(&at, "\u{1f9ff}").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    });
}

#[test]
fn the_sign_of_typing_goes_with_the_answer() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let question = came(&fake, direct("om_1", "hi"));
        let to: Destination = question.return_address.clone().into();
        channel.start_typing(&to).await.unwrap();
        channel.start_typing(&to).await.unwrap();
        assert_eq!(fake.state.lock().unwrap().reactions.len(), 1);
        assert_eq!(fake.state.lock().unwrap().reactions[0].1, "Typing");
        channel.send(&question.reply("a")).await.unwrap();
        assert!(fake.state.lock().unwrap().reactions.is_empty());
        // One that no answer takes away goes after a while.
        let silent = came(&fake, direct("om_2", "hi"));
        channel
            .start_typing(&silent.return_address.clone().into())
            .await
            .unwrap();
        use channel_core::Clock as _;
        fake.transport.clock.sleep(SECOND * 301).await;
        channel
            .start_typing(&Target::chat(DIRECT).into())
            .await
            .unwrap();
        assert!(fake.state.lock().unwrap().reactions.is_empty());
    });
}

#[test]
fn downloads_are_bounded_and_stickers_stay() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let attachment = |id: &str| channel_core::Attachment::new(id.into(), AttachmentKind::File);
        let file = ("file_1".to_owned(), "n".to_owned(), "12345".into());
        fake.state.lock().unwrap().files.push(file);
        let good = attachment("om_1/file_1/file");
        assert_eq!(channel.download(&good, 5).await.unwrap(), "12345");
        assert_eq!(
            channel.download(&good, 4).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        let sticker = attachment("om_1/f/sticker");
        assert_eq!(
            channel.download(&sticker, 9).await.unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        let odd = attachment("https://evil.example/x");
        assert_eq!(
            channel.download(&odd, 9).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        fake.refuse("GET /open-apis/im", 400, 234_043);
        assert_eq!(
            channel.download(&good, 9).await.unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    });
}

#[test]
fn a_history_is_read_page_by_page() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        for n in 0..120 {
            channel.send(&to(DIRECT, n.to_string())).await.unwrap();
        }
        let of = Target::chat(DIRECT);
        let all = channel.history(&of, None, 110).await.unwrap();
        assert_eq!(
            (all.len(), all[0].text.as_str(), all[109].text.as_str()),
            (110, "119", "10")
        );
        let before = all[100].id.clone();
        let older = channel.history(&of, Some(&before), 50).await.unwrap();
        assert_eq!((older.len(), older[0].text.as_str()), (19, "18"));
    });
}

#[test]
fn chats_and_people_are_shared_as_cards_of_theirs() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        channel.share(Target::chat(DIRECT), GROUP).await.unwrap();
        channel.share(Target::chat(DIRECT), "ou_7").await.unwrap();
        let sent = fake.sent();
        assert_eq!(
            (sent[0].kind.as_str(), &sent[0].content),
            ("share_chat", &json!({"chat_id": GROUP}))
        );
        assert_eq!(
            (sent[1].kind.as_str(), &sent[1].content),
            ("share_user", &json!({"user_id": "ou_7"}))
        );
        assert!(channel.share(Target::chat(DIRECT), "a b").await.is_err());
    });
}

#[test]
fn a_post_is_not_wrapped_twice() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        channel
            .send(&to(DIRECT, Body::markdown("**b**")))
            .await
            .unwrap();
        let fields = fields(&fake, "POST", "/open-apis/im/v1/messages");
        let content: Value = serde_json::from_str(fields["content"].as_str().unwrap()).unwrap();
        assert!(content.get("post").is_none() && content["zh_cn"]["content"].is_array());
    });
}
