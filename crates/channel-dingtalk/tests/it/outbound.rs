//! What goes out, and which way.

use std::time::Duration;

use channel_core::{
    Body, Channel as _, Clock as _, Content, Delete as _, Destination, ErrorKind, EventKind,
    Inline, Message, MessageRef, OutboundMessage, Parts as _, React as _, Target, Typing as _,
    Upload, Webhook as _,
};
use channel_dingtalk::DingTalk;
use channel_testkit::Failure;
use serde_json::{Value, json};

use crate::fake::{DIRECT, Fake, GROUP, direct, mention, with_session};

pub(crate) const HOUR_AND_A_HALF: u64 = 5_400_000;

pub(crate) fn to(chat: &str, body: impl Into<Body>) -> OutboundMessage {
    OutboundMessage::new(Target::chat(chat), body)
}

/// A message that has come in by a request.
pub(crate) fn came(fake: &Fake, channel: &DingTalk, message: &Value) -> Message {
    let accepted = channel.receive(&fake.request(message), fake.now()).unwrap();
    match accepted.events.into_iter().next().unwrap().kind {
        EventKind::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn kinds(fake: &Fake) -> Vec<String> {
    fake.sent().into_iter().map(|sent| sent.kind).collect()
}

#[test]
fn an_answer_goes_by_the_session_until_it_ends_and_by_the_robot_then() {
    let fake = Fake::new();
    let channel = fake.channel();
    let ends = fake.millis() + HOUR_AND_A_HALF;
    let asked = came(
        &fake,
        &channel,
        &with_session(direct("msg1", "hi"), "direct", ends),
    );
    let in_group = came(
        &fake,
        &channel,
        &with_session(mention("msg2", "hi"), "group", ends),
    );
    fake.run(async {
        for question in [&asked, &in_group] {
            channel.send(&question.reply("one")).await.unwrap();
        }
        assert_eq!(fake.state.lock().unwrap().tokens, 0);
        let to: Destination = asked.return_address.clone().into();
        assert_eq!(
            channel.explain_way(&to),
            "session webhook, the first choice"
        );
        fake.transport.clock.sleep(Duration::from_secs(5371)).await;
        assert_eq!(
            channel.explain_way(&to),
            "robot, because for session webhook its window has passed"
        );
        for question in [&asked, &in_group] {
            channel.send(&question.reply("two")).await.unwrap();
        }
        assert_eq!(kinds(&fake), ["text", "text", "sampleText", "sampleText"]);
        let chats: Vec<_> = fake.sent().into_iter().map(|sent| sent.chat).collect();
        assert_eq!(chats, [DIRECT, GROUP, DIRECT, GROUP]);
    });
}

#[test]
fn a_session_that_ends_before_its_time_is_not_tried_twice() {
    let fake = Fake::new();
    let channel = fake.channel();
    let ends = fake.millis() + HOUR_AND_A_HALF;
    let asked = came(
        &fake,
        &channel,
        &with_session(direct("msg1", "hi"), "direct", ends),
    );
    fake.run(async {
        let over = json!({"errcode": 300_001, "errmsg": "session expired"});
        fake.refuse("POST /robot/sendBySession", 200, over);
        channel.send(&asked.reply("one")).await.unwrap();
        channel.send(&asked.reply("two")).await.unwrap();
        assert_eq!(kinds(&fake), ["sampleText", "sampleText"]);
        assert_eq!(fake.calls("POST", "/robot/sendBySession").len(), 1);
    });
}

#[test]
fn nothing_is_ever_sent_to_an_address_that_is_not_dingtalks() {
    let fake = Fake::new();
    let channel = fake.channel();
    let ends = fake.millis() + HOUR_AND_A_HALF;
    let good = "https://oapi.dingtalk.com/robot/sendBySession?session=direct";
    let mut tried = 0;
    for url in [
        "http://oapi.dingtalk.com/x",
        "https://oapi.dingtalk.com.evil.example/x",
        "https://evil.example/oapi.dingtalk.com",
        "https://oapi.dingtalk.com@evil.example/x",
        "https://evil.example#oapi.dingtalk.com",
        "https://oapi.dingtalk.com:8443/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/x",
        "https://oapi.dingtalk.com\\@evil.example/x",
        "https://oapi\u{3002}dingtalk.com/x",
        "file:///etc/passwd",
        "//oapi.dingtalk.com/x",
        "oapi.dingtalk.com/x",
        "",
        " https://oapi.dingtalk.com/x",
        "https://dingtalk.com/x",
        "https://xoapi.dingtalk.com/x",
    ] {
        let mut asked = with_session(direct("msg1", "hi"), "direct", ends);
        asked["sessionWebhook"] = json!(url);
        let mut asked = came(&fake, &channel, &asked);
        fake.run(async {
            channel.send(&asked.reply("one")).await.unwrap();
            // One that was changed where it was stored is looked at again.
            let stored = serde_json::to_string(&asked.return_address).unwrap();
            let kept = came(
                &fake,
                &channel,
                &with_session(direct("m", "hi"), "direct", ends),
            );
            let kept = serde_json::to_string(&kept.return_address).unwrap();
            let changed = kept.replace(good, &url.replace('\\', "\\\\\\\\").replace('"', ""));
            assert_ne!(stored, changed);
            asked.return_address = serde_json::from_str(&changed).unwrap();
            channel.send(&asked.reply("two")).await.unwrap();
        });
        tried += 1;
    }
    let hosts: Vec<_> = fake
        .transport
        .http
        .requests()
        .iter()
        .map(|it| it.request.uri().host().unwrap().to_owned())
        .collect();
    assert!(
        hosts.iter().all(|host| host == "api.dingtalk.com"),
        "{hosts:?}"
    );
    assert_eq!(fake.sent().len(), tried * 2);
}

#[test]
fn people_outside_of_the_organisation_get_answers_by_session_alone() {
    let fake = Fake::new();
    let channel = fake.channel();
    let mut guest = with_session(
        direct("msg1", "hi"),
        "direct",
        fake.millis() + HOUR_AND_A_HALF,
    );
    guest["senderStaffId"] = Value::Null;
    let asked = came(&fake, &channel, &guest);
    assert_eq!(asked.sender.account.sender.as_str(), "$:LWCP_v1:$u1");
    assert_eq!(asked.chat.id.as_str(), "cid1");
    fake.run(async {
        channel.send(&asked.reply("one")).await.unwrap();
        let with_file = asked.reply("two").attach(Upload::file("a", "x"));
        let error = channel.send(&with_file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        fake.transport.clock.sleep(Duration::from_secs(5400)).await;
        let error = channel.send(&asked.reply("three")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(kinds(&fake), ["text"]);
    });
}

#[test]
fn a_custom_robot_is_written_to_with_its_signature() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        fake.transport
            .clock
            .sleep(Duration::from_millis(1234))
            .await;
        let mention = Inline::Mention {
            id: Some("staff1".into()),
            name: "@Ada".to_owned(),
        };
        let body = Content::paragraph([mention, Inline::text(" "), Inline::strong("look")]);
        channel.send(&to("robot:alerts", body)).await.unwrap();
        let sent = fake.sent();
        assert_eq!(sent[0].kind, "markdown");
        assert_eq!(sent[0].content["text"], "@staff1 **look**");
        assert_eq!(sent[0].at, json!(["staff1"]));
        assert_eq!(fake.state.lock().unwrap().tokens, 0);
        let error = channel.send(&to("robot:nobody", "x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let file = to("robot:alerts", "x").attach(Upload::file("a", "x"));
        let error = channel.send(&file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let signed = json!({"errcode": 310_000, "errmsg": "sign not match"});
        fake.refuse("POST /robot/send", 200, signed);
        let error = channel.send(&to("robot:alerts", "x")).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Config && error.to_string().contains("secret"),
            "{error}"
        );
        assert_eq!(fake.sent().len(), 1);
    });
}

#[test]
fn status_200_is_not_delivered_where_the_answer_says_so() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let error = channel.send(&to("staff:nobody", "x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let call = "POST /v1.0/robot/oToMessages";
        let held = json!({"processQueryKey": "k", "flowControlledStaffIdList": ["staff1"]});
        fake.refuse(call, 200, held);
        let error = channel.send(&to(DIRECT, "x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
        fake.refuse(
            call,
            200,
            json!({"errcode": 42_424, "errmsg": "what we sent"}),
        );
        let error = channel.send(&to(DIRECT, "x")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Invalid, Some("42424"))
        );
        for odd in [json!({}), json!([]), json!({"processQueryKey": 5})] {
            fake.refuse(call, 200, odd);
            let error = channel.send(&to(DIRECT, "x")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Uncertain, "it may have arrived");
        }
        for wrong in ["", "staff:", "union:x", "a b", "$:LWCP_v1:$u1"] {
            let error = channel.send(&to(wrong, "x")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
        }
    });
}

#[test]
fn a_token_that_has_ended_is_fetched_once_for_all_who_wait() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        channel.send(&to(DIRECT, "one")).await.unwrap();
        // Somebody else has fetched another one, and the first does not work any more.
        fake.state.lock().unwrap().tokens += 1;
        let message = to(DIRECT, "two");
        let all = (0..8).map(|_| channel.send(&message));
        for sent in futures_util::future::join_all(all).await {
            sent.unwrap();
        }
        assert_eq!(fake.calls("POST", "/v1.0/oauth2/accessToken").len(), 2);
        assert_eq!(fake.sent().len(), 9);
        // Refused twice is refused.
        let call = "POST /v1.0/robot/oToMessages";
        for _ in 0..2 {
            fake.refuse(call, 401, json!({"code": "InvalidAuthentication"}));
        }
        let error = channel.send(&to(DIRECT, "x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    });
}

#[test]
fn wrong_credentials_name_the_remedy() {
    let fake = Fake::new();
    let channel = fake.builder().app("ding0001", "wrong").build().unwrap();
    fake.run(async {
        let error = channel.probe().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(
            error
                .to_string()
                .contains("copy both from the developer console"),
            "{error}"
        );
        for _ in 0..3 {
            channel.probe().await.unwrap_err();
        }
        assert_eq!(
            fake.transport.http.count(),
            1,
            "a refusal is believed for a while"
        );
    });
}

#[test]
fn a_limit_is_waited_for_and_a_lost_answer_is_not_repeated() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let call = "POST /v1.0/robot/oToMessages";
        let limit = json!({"code": "Forbidden.AccessDenied", "message": "exceeds the QPS limit"});
        fake.refuse(call, 403, limit);
        let before = fake.elapsed();
        channel.send(&to(DIRECT, "one")).await.unwrap();
        assert_eq!(fake.elapsed() - before, Duration::from_secs(2));
        fake.state.lock().unwrap().failure = Some((0, Failure::LostAnswer));
        let error = channel.send(&to(DIRECT, "two").key("k")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Uncertain);
        assert_eq!(fake.calls("POST", "/v1.0/robot/oToMessages").len(), 3);
    });
}

#[test]
fn what_cannot_be_taken_back_says_so() {
    let fake = Fake::new();
    let channel = fake.carded();
    fake.run(async {
        for (chat, id) in [
            (DIRECT, "session:abc"),
            (GROUP, "card:abc"),
            ("robot:alerts", "key"),
        ] {
            let at = MessageRef::new(chat.into(), id.into());
            let error = channel.delete(&at).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{id}");
        }
        let sent = channel.send(&to(GROUP, "x")).await.unwrap();
        channel.delete(sent.first().unwrap()).await.unwrap();
        let call = fake.calls("POST", "/v1.0/robot/groupMessages/recall")[0].json();
        assert_eq!(call["openConversationId"], GROUP);
        assert!(fake.sent().is_empty());
    });
}

#[test]
fn reactions_race_with_fresh_messages_and_are_tried_again() {
    let fake = Fake::new();
    let channel = fake.channel();
    let asked = came(&fake, &channel, &mention("msg1", "hi"));
    fake.run(async {
        for _ in 0..2 {
            fake.refuse(
                "POST /v1.0/robot/emotion/reply",
                500,
                json!({"code": "system.err"}),
            );
        }
        let before = fake.elapsed();
        channel.react(&asked.at(), "\u{1f44d}").await.unwrap();
        assert_eq!(fake.elapsed() - before, Duration::from_millis(1600));
        let rows = fake.state.lock().unwrap().reactions.clone();
        assert_eq!(
            rows,
            [("msg1".to_owned(), GROUP.to_owned(), "\u{1f44d}".to_owned())]
        );
        // A person who has never written has no conversation that is known.
        let stranger = MessageRef::new("staff:stranger".into(), "msg9".into());
        let error = channel.react(&stranger, "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let card = MessageRef::new(GROUP.into(), "card:x".into());
        assert_eq!(
            channel.react(&card, "x").await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
    });
}

#[test]
fn the_sign_of_writing_is_a_reaction_that_goes_with_the_answer() {
    let fake = Fake::new();
    let channel = fake.channel();
    let asked = came(&fake, &channel, &direct("msg1", "hi"));
    fake.run(async {
        let to: Destination = asked.return_address.clone().into();
        channel.start_typing(&to).await.unwrap();
        channel.start_typing(&to).await.unwrap();
        assert_eq!(fake.state.lock().unwrap().reactions.len(), 1);
        channel.send(&asked.reply("hello")).await.unwrap();
        assert!(fake.state.lock().unwrap().reactions.is_empty());
        // Nothing to show it at.
        channel
            .start_typing(&Target::chat(GROUP).into())
            .await
            .unwrap();
        assert!(fake.state.lock().unwrap().reactions.is_empty());
    });
}

#[test]
fn an_answer_to_what_the_bot_said_is_known_by_its_key() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        let sent = channel.send(&to(GROUP, "question")).await.unwrap();
        let key = sent.first().unwrap().id.clone();
        let mut answer = mention("msg1", "answer");
        answer["isInAtList"] = json!(false);
        answer["originalProcessQueryKey"] = json!(key.as_str());
        answer["originalMsgId"] = json!("msg0");
        answer["text"]["isReplyMsg"] = json!(true);
        answer["text"]["repliedMsg"] =
            json!({"msgType": "text", "msgId": "msg0", "senderId": "$:LWCP_v1:$u2"});
        let came = came(&fake, &channel, &answer);
        assert_eq!(came.addressed, channel_core::Addressed::Reply);
        let quoted = came.reply_to.unwrap();
        assert!(quoted.mine && quoted.id == key);
    });
}

#[test]
fn words_that_come_along_without_an_id_are_told_of() {
    let fake = Fake::new();
    let channel = fake.channel();
    let quotes = |more: &dyn Fn(&mut serde_json::Value)| {
        let mut answer = mention("msg1", "answer");
        more(&mut answer);
        let came = came(&fake, &channel, &answer);
        (came.reply_to.is_some(), came.quotes)
    };
    let replied = json!({"msgType": "text", "content": {"text": "old"}});
    assert_eq!(quotes(&|_| ()), (false, false));
    assert_eq!(
        quotes(&|it| it["text"]["repliedMsg"] = replied.clone()),
        (false, true)
    );
    assert_eq!(
        quotes(&|it| it["quoteMessage"] = json!({"text": "old"})),
        (false, true)
    );
    // Where the message has an id, that tells enough.
    assert_eq!(
        quotes(&|it| {
            it["text"]["repliedMsg"] = replied.clone();
            it["originalMsgId"] = json!("msg0");
        }),
        (true, false)
    );
    let record = json!({"title": "t", "summary": "s", "chatRecord": "[]"});
    assert!(
        quotes(&|it| {
            it["msgtype"] = json!("chatRecord");
            it["content"] = record.clone();
        })
        .1
    );
}

#[test]
fn parts_and_pace_are_declared() {
    let channel = Fake::new().channel();
    assert_eq!(channel.parts(&to(GROUP, "x".repeat(8000))).unwrap(), 3);
    let pacing = &channel.info().pacing;
    let robot = "robot:alerts".into();
    let rules: Vec<_> = pacing
        .rules_for(&robot, channel_core::Call::Send)
        .map(|(_, rule)| (rule.bucket.rate.count, rule.bucket.rate.per.as_secs()))
        .collect();
    assert_eq!(rules, [(15, 60), (20, 1)]);
    let staff = DIRECT.into();
    assert_eq!(
        pacing.rules_for(&staff, channel_core::Call::Send).count(),
        1
    );
}
