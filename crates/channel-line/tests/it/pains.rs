//! What users of other libraries suffered.

use channel_core::{Channel as _, ErrorKind, OutboundMessage, Target};
use serde_json::json;

use crate::fake::{ADA, Fake, callback, person};

#[test]
fn pain_13_an_ambiguous_push_is_resolved_by_its_retry_key() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        fake.lose("/message/push", true);
        fake.lose("/message/push", true);
        let message = OutboundMessage::new(Target::chat(ADA), "once");
        let receipt = channel.send(&message).await.unwrap();
        assert_eq!(receipt.messages.len(), 1);
    });
    assert_eq!(fake.texts(), ["once"]);
}

#[test]
fn pain_14_a_network_error_is_not_resent_under_another_key() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        for _ in 0..3 {
            fake.lose("/message/push", true);
        }
        let message = OutboundMessage::new(Target::chat(ADA), "once").key("k");
        let error = channel.send(&message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Uncertain);
        channel.send(&message).await.unwrap();
    });
    assert_eq!(fake.texts(), ["once"]);
}

#[test]
fn pain_31_the_reply_token_is_used_once_expires_and_may_be_a_dummy() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        // Several messages: one reply, and what does not fit is pushed.
        let question = fake.deliver_message(&channel, fake.text("?"));
        channel
            .send(&question.reply("word ".repeat(6000)))
            .await
            .unwrap();
        assert_eq!(fake.calls("/message/reply").len(), 1);
        // Too late: pushed and not lost.
        let question = fake.deliver_message(&channel, fake.text("?"));
        fake.advance(61);
        channel.send(&question.reply("late")).await.unwrap();
        assert_eq!(fake.texts().last().unwrap(), "late");
    });
    // The console's verification: nobody is answered.
    let calls = fake.transport.http.count();
    for digit in ["0", "f"] {
        let mut event = fake.text("Hello, world");
        event["replyToken"] = json!(digit.repeat(32));
        assert_eq!(fake.deliver(&channel, event).name(), "unknown");
    }
    assert_eq!(fake.transport.http.count(), calls);
    // A redelivery is the same event.
    let mut event = fake.event(person(), json!({"type": "follow"}));
    let first = fake.deliver(&channel, event.clone());
    event["deliveryContext"]["isRedelivery"] = json!(true);
    fake.advance(3600);
    assert_eq!(fake.deliver(&channel, event).id, first.id);
}

#[test]
fn pain_32_emojis_do_not_make_a_text_longer_than_it_may_be() {
    let fake = Fake::new();
    let channel = fake.channel();
    let text = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} ".repeat(2000);
    fake.run(channel.send(&OutboundMessage::new(Target::chat(ADA), text)))
        .unwrap();
    let lengths = fake.texts().into_iter().map(|it| it.encode_utf16().count());
    assert!(lengths.max().unwrap() <= 5000);
}

#[test]
fn pain_35_two_accounts_in_one_process_do_not_see_each_other() {
    let fake = Fake::new();
    let one = fake.channel();
    let two = fake.builder().id("line-2").channel_secret("another-secret");
    let two = two.channel_access_token("another-token").build().unwrap();
    let request = callback(&[fake.text("for one")]);
    assert_eq!(fake.receive(&one, &request).unwrap().len(), 1);
    assert!(fake.receive(&two, &request).is_err());
    fake.run(async {
        let question = fake.deliver_message(&one, fake.text("?"));
        assert!(two.send(&question.reply("x")).await.is_err());
        assert_eq!(
            fake.transport.http.count(),
            0,
            "the token of one never left through two"
        );
        let message = OutboundMessage::new(Target::chat(ADA), "x");
        let error = two.send(&message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        let call = &fake.transport.http.requests()[0];
        assert_eq!(call.header("authorization"), Some("Bearer another-token"));
    });
}

#[test]
fn a_monthly_limit_is_not_waited_for() {
    let fake = Fake::new();
    let channel = fake.channel();
    fake.run(async {
        fake.refuse("/message/push", 429, "You have reached your monthly limit.");
        let message = OutboundMessage::new(Target::chat(ADA), "x");
        let error = channel.send(&message).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (ErrorKind::Forbidden, None)
        );
        assert_eq!(fake.calls("/message/push").len(), 1);
        // Answers cost nothing, so they still go out.
        let question = fake.deliver_message(&channel, fake.text("?"));
        channel.send(&question.reply("y")).await.unwrap();
    });
}
