//! What goes out.

use std::time::Duration;

use channel_core::{
    Actions as _, Body, Button, Card, Channel as _, Choice, Clock as _, Delete as _, Edit as _,
    Error, ErrorKind, EventKind, History as _, Media as _, MessageRef, OutboundMessage, React as _,
    Receipt, ReplyTo, Target, Upload, Webhook as _,
};
use channel_slack::{Pacing, Slack};
use channel_testkit::{Failure, Reply};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::conformance::press;
use crate::fake::{DIRECT, Fake, GROUP, ROOT, TOKEN, direct, grouped};
use crate::inbound::slash;
use crate::look::look;

pub(crate) fn to_ada(body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat(DIRECT), body)
}

fn send(fake: &Fake, message: &OutboundMessage) -> Result<Receipt, Error> {
    fake.run(async { fake.channel().send(message).await })
}

#[test]
fn plain_text_is_escaped_and_its_marks_are_left_alone() {
    let fake = Fake::new();
    send(&fake, &to_ada("*not bold* <!channel> & <@U1>")).unwrap();
    let sent = fake.last("chat.postMessage");
    assert_eq!(
        sent["text"],
        "*not bold* &lt;!channel&gt; &amp; &lt;@U1&gt;"
    );
    assert_eq!(
        (&sent["mrkdwn"], &sent["unfurl_links"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        (&sent["blocks"], &sent["thread_ts"], &sent["metadata"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let call = fake.calls("chat.postMessage").pop().unwrap();
    assert_eq!(
        call.header("authorization"),
        Some(&*format!("Bearer {TOKEN}"))
    );
    assert_eq!(
        call.header("content-type"),
        Some("application/json; charset=utf-8")
    );
}

#[test]
fn formatting_is_mrkdwn_or_a_markdown_block() {
    let fake = Fake::new();
    send(
        &fake,
        &to_ada(Body::markdown("**bold** [x](https://x.example)")),
    )
    .unwrap();
    let sent = fake.last("chat.postMessage");
    assert_eq!(sent["text"], "*bold* <https://x.example|x>");
    assert!(sent["blocks"].is_null() && sent["mrkdwn"].is_null());
    send(
        &fake,
        &to_ada(Body::markdown("# Title\n\n| a |\n|---|\n| 1 |")),
    )
    .unwrap();
    let sent = fake.last("chat.postMessage");
    assert_eq!(sent["blocks"][0]["type"], "markdown");
    assert!(
        sent["blocks"][0]["text"]
            .as_str()
            .unwrap()
            .starts_with("# Title")
    );
    assert!(sent["text"].as_str().unwrap().contains("*Title*"));
}

#[test]
fn blocks_that_slack_refuses_do_not_cost_the_words() {
    let fake = Fake::new();
    for code in ["invalid_blocks", "msg_blocks_too_long"] {
        fake.refuse("chat.postMessage", code);
        send(&fake, &to_ada(Body::markdown("# Title"))).unwrap();
        assert!(fake.last("chat.postMessage")["blocks"].is_null());
    }
    // Buttons are more than their words say.
    fake.refuse("chat.postMessage", "invalid_blocks");
    let error = send(&fake, &to_ada("x").buttons([Button::press("A", "a")])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn answers_stay_in_their_thread_and_open_one_only_when_asked() {
    let fake = Fake::new();
    let reply = |thread: Option<&str>| {
        let target = Target::chat(GROUP);
        let target = thread.map_or(target.clone(), |thread| target.thread(thread));
        let to = ReplyTo::new("slack".into(), target).quoting("1700000000.000900".into());
        OutboundMessage::new(to, "x")
    };
    let thread_of = |slack: &Slack, message: &OutboundMessage| {
        fake.run(async { slack.send(message).await.unwrap() });
        fake.last("chat.postMessage")["thread_ts"].clone()
    };
    let plain = fake.channel();
    let opening = fake
        .builder()
        .start_threads(true)
        .signing_secret("s")
        .build()
        .unwrap();
    assert_eq!(thread_of(&plain, &reply(None)), Value::Null);
    assert_eq!(thread_of(&plain, &reply(Some(ROOT))), ROOT);
    assert_eq!(thread_of(&opening, &reply(None)), "1700000000.000900");
    assert_eq!(thread_of(&opening, &reply(Some(ROOT))), ROOT);
    let to = ReplyTo::new("slack".into(), Target::chat(DIRECT)).quoting("1.2".into());
    assert_eq!(
        thread_of(&opening, &OutboundMessage::new(to, "x")),
        Value::Null
    );
    // Pain 34: a thread that is none costs the thread and not the message.
    let odd = OutboundMessage::new(Target::chat(GROUP).thread("general"), "x");
    assert_eq!(thread_of(&plain, &odd), Value::Null);
}

#[test]
fn buttons_stand_under_the_last_part_within_slacks_limits() {
    let fake = Fake::new();
    let long = "word ".repeat(1500);
    let message = to_ada(long).buttons([
        Button::press("A", "a"),
        Button::open("B", "https://b.example"),
    ]);
    let receipt = send(&fake, &message).unwrap();
    assert_eq!(receipt.messages.len(), 2);
    let sent = fake.sent();
    assert!(sent[0].fields["blocks"].is_null());
    let blocks = sent[1].fields["blocks"].as_array().unwrap();
    let row = &blocks.last().unwrap()["elements"];
    assert_eq!(
        (&row[0]["value"], &row[1]["url"]),
        (&json!("a"), &json!("https://b.example"))
    );
    assert_ne!(row[0]["action_id"], row[1]["action_id"]);
    let sections = blocks.iter().filter(|block| block["type"] == "section");
    assert!(
        sections
            .clone()
            .all(|it| it["text"]["text"].as_str().unwrap().len() <= 3000)
    );
    assert!(sections.count() >= 1);
    let many: Vec<_> = (0..60)
        .map(|n| Button::press(format!("B{n}"), "v"))
        .collect();
    let rows = many.iter().fold(to_ada("x"), |message, button| {
        message.buttons([button.clone()])
    });
    send(&fake, &rows).unwrap();
    let (_, labels) = look(fake.sent().last().unwrap());
    assert_eq!(labels.len(), 60, "rows are joined where there are too many");
    for bad in [
        Button::press("", "v"),
        Button::press("x".repeat(76), "v"),
        Button::press("x", ""),
        Button::press("x", "v".repeat(2001)),
        Button::open("x", "javascript:alert(1)"),
    ] {
        let error = send(&fake, &to_ada("x").buttons([bad])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_card_that_does_not_fit_becomes_words_and_buttons() {
    let fake = Fake::new();
    let fields = (0..12).fold(Card::new("Deploy"), |card, n| {
        card.field(format!("f{n}"), "v")
    });
    send(
        &fake,
        &to_ada("").card(fields.actions([Button::press("Go", "go")])),
    )
    .unwrap();
    let sent = fake.last("chat.postMessage");
    let kinds: Vec<_> = sent["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["type"].clone())
        .collect();
    assert_eq!(kinds, ["header", "section", "section", "actions"]);
    assert!(sent["text"].as_str().unwrap().contains("Deploy"));
    let options: Vec<_> = (0..120)
        .map(|n| (format!("Option {n}"), format!("v{n}")))
        .collect();
    let card = Card::new("Pick").choice(Choice::new("Which?", options));
    send(&fake, &to_ada("").card(card)).unwrap();
    let sent = fake.sent();
    let labels = sent.iter().skip(1).map(|sent| look(sent).1.len());
    assert_eq!(
        labels.sum::<usize>(),
        120,
        "every choice can still be answered"
    );
}

#[test]
fn an_edit_says_which_blocks_are_left() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        let at = slack.send(&to_ada("x")).await.unwrap().messages.remove(0);
        slack.edit(&at, &to_ada("plain words")).await.unwrap();
        assert_eq!(fake.last("chat.update")["blocks"], json!([]));
        // An edit cannot be told to leave marks alone, so they go where none are looked for.
        slack.edit(&at, &to_ada("2 * 3 * 4")).await.unwrap();
        let edited = fake.last("chat.update");
        assert_eq!(edited["blocks"][0]["text"]["type"], "plain_text");
        let gone = MessageRef::new(DIRECT.into(), "1.000001".into());
        let error = slack.edit(&gone, &to_ada("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for bad in ["response:1", "command:1", "x"] {
            let at = MessageRef::new(DIRECT.into(), bad.into());
            let error = slack.delete(&at).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
    });
}

#[test]
fn a_reaction_that_is_there_already_is_a_success() {
    let fake = Fake::new();
    let slack = fake.channel();
    let at = MessageRef::new(GROUP.into(), ROOT.into());
    fake.run(async {
        fake.refuse("reactions.add", "already_reacted");
        slack.react(&at, "\u{1f440}").await.unwrap();
        assert_eq!(fake.last("reactions.add")["name"], "eyes");
        fake.refuse("reactions.remove", "no_reaction");
        slack.unreact(&at, ":eyes:").await.unwrap();
        let error = slack.react(&at, "\u{1f9ff}").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    });
}

#[test]
fn a_file_goes_up_in_three_steps_and_is_named_when_slack_knows() {
    let fake = Fake::new();
    let message = OutboundMessage::new(Target::chat(GROUP).thread(ROOT), "see")
        .attach(Upload::file("a b.txt", "hello"));
    let receipt = send(&fake, &message).unwrap();
    assert_eq!(receipt.messages.len(), 2);
    let asked = fake.last("files.getUploadURLExternal");
    assert_eq!(
        (&asked["filename"], &asked["length"]),
        (&json!("a b.txt"), &json!("5"))
    );
    let upload = fake.transport.http.requests_to("/upload/").pop().unwrap();
    assert_eq!(upload.text(), "hello");
    assert_eq!(
        upload.header("authorization"),
        None,
        "the address is the right"
    );
    assert_eq!(fake.last("files.completeUploadExternal")["thread_ts"], ROOT);
    assert_eq!(receipt.messages[1].id.as_str(), fake.sent()[1].ts);
    // Slack may take its time; the file is there all the same.
    for _ in 0..1 {
        fake.refuse("files.info", "file_not_found");
    }
    let receipt = send(&fake, &to_ada("").attach(Upload::file("b", "x"))).unwrap();
    let id = receipt.messages[0].id.clone();
    assert!(id.as_str().starts_with("file:F"), "{id}");
    let slack = fake.channel();
    fake.run(async { slack.delete(&receipt.messages[0]).await.unwrap() });
    assert_eq!(fake.calls("files.delete").len(), 1);
}

#[test]
fn an_upload_address_elsewhere_gets_nothing() {
    let fake = Fake::new();
    let evil = json!({"ok": true, "file_id": "F9", "upload_url": "https://evil.example/upload/F9"});
    fake.transport
        .http
        .once("/api/files.getUploadURLExternal", Reply::ok(&evil));
    let error = send(&fake, &to_ada("").attach(Upload::file("b", "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(fake.transport.http.requests_to("/upload/").is_empty());
}

#[test]
fn the_token_goes_to_slacks_hosts_only_and_through_the_guard() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.state
        .lock()
        .unwrap()
        .files
        .push(("a.png".to_owned(), "bytes".into()));
    let file =
        |url: &str| channel_core::Attachment::new(url.into(), channel_core::AttachmentKind::Image);
    fake.run(async {
        let good = file("https://files.slack.com/files-pri/T1-F1/a.png");
        assert_eq!(slack.download(&good, 5).await.unwrap(), "bytes");
        let call = fake
            .transport
            .http
            .requests_to("/files-pri/")
            .pop()
            .unwrap();
        assert!(call.guarded && call.max_response == 5);
        let before = fake.transport.http.count();
        for bad in [
            "https://evil.example/files-pri/a.png",
            "http://files.slack.com/files-pri/a.png",
            "file:///etc/passwd",
        ] {
            let error = slack.download(&file(bad), 5).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
        assert_eq!(fake.transport.http.count(), before);
        // Without the scope Slack shows its login page.
        let page = Reply::bytes(StatusCode::OK, "<html>").header(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        fake.transport.http.once("/files-pri/", page);
        let error = slack.download(&good, 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
    });
}

#[test]
fn slack_is_obeyed_when_it_wants_a_pause() {
    let fake = Fake::new();
    let slack = fake.channel();
    let limited = |seconds: u32| {
        let body = json!({"ok": false, "error": "ratelimited"});
        Reply::json(StatusCode::TOO_MANY_REQUESTS, &body)
            .header(http::header::RETRY_AFTER, HeaderValue::from(seconds))
    };
    fake.run(async {
        fake.transport
            .http
            .once("/api/chat.postMessage", limited(3));
        slack.send(&to_ada("waits")).await.unwrap();
        assert_eq!(fake.elapsed(), Duration::from_secs(3));
        fake.transport
            .http
            .once("/api/chat.postMessage", limited(30));
        let error = slack.send(&to_ada("gives up")).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        // Everybody else is spared the call, other chats and methods are not.
        let calls = fake.transport.http.count();
        let error = slack.send(&to_ada("again")).await.unwrap_err();
        assert_eq!(
            (error.kind(), fake.transport.http.count()),
            (ErrorKind::RateLimited, calls)
        );
        let elsewhere = OutboundMessage::new(Target::chat(GROUP), "x");
        slack.send(&elsewhere).await.unwrap();
        fake.transport.clock.sleep(Duration::from_secs(30)).await;
        slack.send(&to_ada("later")).await.unwrap();
    });
}

#[test]
fn pain_19_towards_slack_each_chat_gets_one_message_a_second() {
    let fake = Fake::new();
    let slack = fake.builder().pacing(Pacing::Documented).build().unwrap();
    fake.run(async {
        for _ in 0..10 {
            slack.send(&to_ada("x")).await.unwrap();
        }
    });
    assert_eq!(fake.elapsed(), Duration::from_secs(5));
}

#[test]
fn a_lost_answer_is_looked_up_by_its_key() {
    let fake = Fake::new();
    let slack = fake.channel();
    let message = to_ada("three words here").key("order 66");
    fake.run(async {
        fake.state.lock().unwrap().failure = Some((0, Failure::LostAnswer));
        let error = slack.send(&message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Uncertain);
        fake.state.lock().unwrap().failure = None;
        for n in 0..450 {
            slack.send(&to_ada(format!("noise {n}"))).await.unwrap();
        }
        let found = slack.find(&message).await.unwrap().unwrap();
        assert_eq!(found.id.as_str(), fake.sent()[0].ts);
        let metadata = &fake.sent()[0].fields["metadata"];
        assert!(
            !metadata.to_string().contains("66"),
            "the key itself is nobody's business"
        );
        assert_eq!(
            slack.find(&to_ada("x").key("order 67")).await.unwrap(),
            None
        );
        // Not to be found is not the same as not being there.
        let file = to_ada("").attach(Upload::file("a", "x")).key("order 68");
        assert_eq!(
            slack.find(&file).await.unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    });
}

#[test]
fn too_much_to_look_through_is_said_and_not_taken_for_absent() {
    let fake = Fake::new();
    let slack = fake.channel();
    fake.run(async {
        for n in 0..2001 {
            slack.send(&to_ada(format!("noise {n}"))).await.unwrap();
        }
        let error = slack.find(&to_ada("x").key("k")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    });
}

#[test]
fn a_thread_is_read_from_its_end() {
    let fake = Fake::new();
    let slack = fake.channel();
    let thread = Target::chat(GROUP).thread(ROOT);
    fake.run(async {
        for n in 0..250 {
            slack
                .send(&OutboundMessage::new(thread.clone(), format!("{n}")))
                .await
                .unwrap();
        }
        let last = slack.history(&thread, None, 2).await.unwrap();
        let texts: Vec<_> = last.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, ["249", "248"]);
    });
}

pub(crate) fn asked(fake: &Fake, slack: &Slack) -> channel_core::Message {
    let request = fake.signed(
        "/slack/commands",
        "application/x-www-form-urlencoded",
        slash("hi"),
    );
    let event = slack
        .receive(&request, fake.now())
        .unwrap()
        .events
        .remove(0);
    event.message().unwrap().clone()
}

#[test]
fn a_slash_command_is_answered_by_its_address_and_then_by_posting() {
    let fake = Fake::new();
    let slack = fake.channel();
    let message = asked(&fake, &slack);
    fake.run(async {
        for n in 0..7 {
            slack
                .send(&message.reply(format!("answer *{n}*")))
                .await
                .unwrap();
        }
    });
    let state = fake.state.lock().unwrap();
    assert_eq!((state.responses.len(), state.sent.len()), (5, 2));
    assert_eq!(state.responses[0]["response_type"], "ephemeral");
    assert_eq!(state.responses[0]["replace_original"], false);
    assert_eq!(state.sent[0].chat, GROUP);
    drop(state);
    let fresh = Fake::new();
    let slack = fresh.channel();
    let message = asked(&fresh, &slack);
    fresh.run(async {
        fresh
            .transport
            .clock
            .sleep(Duration::from_secs(30 * 60))
            .await;
        slack.send(&message.reply("late")).await.unwrap();
        assert_eq!(fresh.sent().len(), 1);
        let again = asked(&fresh, &slack);
        fresh
            .transport
            .http
            .once("/actions/", Reply::status(StatusCode::NOT_FOUND));
        slack.send(&again.reply("refused")).await.unwrap();
        assert_eq!(
            fresh.sent().len(),
            2,
            "what slack no longer takes is posted"
        );
    });
}

#[test]
fn a_response_address_that_is_not_slacks_gets_nothing() {
    let fake = Fake::new();
    let slack = fake.channel();
    let mut payload = press("3.0", DIRECT, "1700000000.000100", "v");
    payload["response_url"] = json!("https://evil.example/actions/x");
    let request = fake.interaction(payload);
    let event = slack
        .receive(&request, fake.now())
        .unwrap()
        .events
        .remove(0);
    let EventKind::Action(action) = event.kind else {
        panic!()
    };
    fake.run(async {
        let error = slack
            .answer_action(&action, Some("noted"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        slack.answer_action(&action, None).await.unwrap();
    });
    assert_eq!(fake.transport.http.count(), 0);
}

#[test]
fn dialogs_schedules_and_whispers_are_slacks_own() {
    let fake = Fake::new();
    let slack = fake.channel();
    let request = fake.interaction(press("3.0", DIRECT, "1700000000.000100", "v"));
    let event = slack
        .receive(&request, fake.now())
        .unwrap()
        .events
        .remove(0);
    let EventKind::Action(action) = event.kind else {
        panic!()
    };
    fake.run(async {
        let view = json!({"type": "modal", "callback_id": "deploy"});
        assert_eq!(slack.open_view(&action, &view).await.unwrap(), "V1");
        assert_eq!(fake.last("views.open")["trigger_id"], "1.2.3");
        fake.refuse("views.open", "expired_trigger_id");
        let error = slack.open_view(&action, &view).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let at = fake.now() + Duration::from_secs(3600);
        let scheduled = slack.schedule(&to_ada("later *x*"), at).await.unwrap();
        let fields = fake.last("chat.scheduleMessage");
        assert_eq!(fields["post_at"], 1_767_225_600 + 3600);
        assert_eq!(fields["blocks"][0]["text"]["type"], "plain_text");
        slack.cancel_scheduled(&scheduled).await.unwrap();
        assert_eq!(
            fake.last("chat.deleteScheduledMessage")["scheduled_message_id"],
            "Q1"
        );
        slack
            .send_ephemeral(&"U1".into(), &to_ada("psst"))
            .await
            .unwrap();
        assert_eq!(fake.last("chat.postEphemeral")["user"], "U1");
        let thread = Target::chat(DIRECT).thread(ROOT);
        slack
            .set_status(&thread.into(), "is thinking")
            .await
            .unwrap();
        assert_eq!(
            fake.last("assistant.threads.setStatus")["status"],
            "is thinking"
        );
    });
}

#[test]
fn answers_go_back_through_a_store_to_the_same_thread() {
    let fake = Fake::new();
    let slack = fake.channel();
    for (inner, thread) in [
        (direct("1700000000.000100", "hi"), Value::Null),
        (grouped("1700000000.000300", "hi"), Value::Null),
    ] {
        let event = slack
            .receive(&fake.event(inner), fake.now())
            .unwrap()
            .events
            .remove(0);
        let answer = serde_json::to_string(&event.message().unwrap().reply("x")).unwrap();
        let answer: OutboundMessage = serde_json::from_str(&answer).unwrap();
        fake.run(async { slack.send(&answer).await.unwrap() });
        assert_eq!(fake.last("chat.postMessage")["thread_ts"], thread);
    }
}
