use std::sync::{Arc, Mutex};

use channel_core::{
    AccountRef, Acknowledge, AllowEveryone, AuthorizedEvent, Chat, ChatKind, Connection, Event,
    EventKind, Message, Platform, Proof, Raw, Received, ReplyTo, Result, Sender, Target, Unknown,
    async_trait, authorize,
};
use futures_util::FutureExt as _;

fn message(text: &str) -> Message {
    let account = AccountRef::new(Platform::new("test"), "42".into());
    let address = ReplyTo::new("main".into(), Target::chat("7").thread("t")).quoting("1".into());
    let mut message = Message::new(
        "1".into(),
        Chat::new("7".into(), ChatKind::Group),
        Sender::new(account, Proof::Verified),
        address,
    );
    message.thread = Some("t".into());
    message.text = text.to_owned();
    message.raw = Raw::new("{\"text\":\"hi\"}".into());
    message
}

fn event(kind: EventKind) -> Event {
    Event::new("e1".into(), "main".into(), kind)
}

#[derive(Debug, Default)]
struct Ledger(Mutex<Vec<(&'static str, u64)>>);

impl Ledger {
    fn note(&self, what: &'static str, token: u64) {
        self.0.lock().unwrap().push((what, token));
    }
}

#[async_trait]
impl Acknowledge for Ledger {
    async fn ack(&self, token: u64) -> Result<()> {
        self.note("ack", token);
        Ok(())
    }
    async fn nak(&self, token: u64) -> Result<()> {
        self.note("nak", token);
        Ok(())
    }
    fn abandon(&self, token: u64) {
        self.note("abandon", token);
    }
}

#[test]
fn a_duty_is_settled_exactly_once() {
    let ledger = Arc::new(Ledger::default());
    let received = |token| {
        let unknown = EventKind::Unknown(Box::new(Unknown::new("x", Raw::default())));
        Received::new(event(unknown), ledger.clone(), token)
    };
    received(1).ack().now_or_never().unwrap().unwrap();
    received(2).nak().now_or_never().unwrap().unwrap();
    drop(received(3));
    let mut taken = received(4);
    assert!(taken.take().is_some() && taken.take().is_none());
    taken.ack().now_or_never().unwrap().unwrap();
    drop(received(5).ack());
    let settled = ledger.0.lock().unwrap().clone();
    assert_eq!(
        settled,
        [
            ("ack", 1),
            ("nak", 2),
            ("abandon", 3),
            ("ack", 4),
            ("abandon", 5)
        ]
    );
}

#[test]
fn news_about_a_connection_is_nobodys_duty_and_belongs_to_no_conversation() {
    let news = Received::connection("main".into(), Connection::Alive);
    assert!(news.event().unwrap().conversation().is_none());
    assert!(news.message().is_none());
    news.ack().now_or_never().unwrap().unwrap();
}

#[test]
fn an_event_survives_a_queue() {
    let binary = Raw::new(vec![0xff, 0x00, 0x80].into());
    for kind in [
        EventKind::Message(Box::new(message("hé 👋 \u{0} \u{202e}"))),
        EventKind::Unknown(Box::new(Unknown::new("poll", binary))),
    ] {
        let event = event(kind);
        let stored = serde_json::to_vec(&event).unwrap();
        let back: Event = serde_json::from_slice(&stored).unwrap();
        assert_eq!(back, event);
    }
}

#[test]
fn pain_34_an_answer_cannot_forget_its_thread() {
    let question = message("hi");
    let answer = question.reply("hello");
    assert_eq!(answer.to.target(), &Target::chat("7").thread("t"));
    assert_eq!(answer.to.quoted().unwrap().as_str(), "1");
    let stored = serde_json::to_string(&answer).unwrap();
    let back: channel_core::OutboundMessage = serde_json::from_str(&stored).unwrap();
    assert_eq!(back, answer);
}

#[test]
fn an_adapters_context_rides_in_the_address_and_is_not_mistaken_for_anothers() {
    let address = ReplyTo::new("main".into(), Target::chat("7"));
    let address = address.with_context(&("token", 5)).unwrap();
    let stored = serde_json::to_string(&address).unwrap();
    let back: ReplyTo = serde_json::from_str(&stored).unwrap();
    assert_eq!(
        back.context::<(String, u8)>().unwrap(),
        Some(("token".to_owned(), 5))
    );
    assert!(back.context::<bool>().is_err());
}

#[test]
fn a_verdict_keeps_the_event_and_its_reason() {
    let asked = event(EventKind::Message(Box::new(message("hi"))));
    let allowed = authorize(&AllowEveryone, asked)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(allowed.reason(), "everyone");
    let Some(AuthorizedEvent::Message(message)) = allowed.into_parts() else {
        unreachable!("it was a message");
    };
    assert_eq!(
        (message.text.as_str(), message.reason()),
        ("hi", "everyone")
    );
}

#[test]
fn a_hostile_kind_is_cut_and_never_splits_a_character() {
    let unknown = Unknown::new(&"é".repeat(1000), Raw::default());
    assert_eq!(unknown.name, "é".repeat(32));
    let unknown = Unknown::new(&format!("x{}", "é".repeat(1000)), Raw::default());
    assert_eq!(unknown.name.len(), 63);
}

#[test]
fn a_reply_token_is_not_shown() {
    let target = channel_core::Target::chat("1");
    let address = channel_core::ReplyTo::new("a".into(), target)
        .with_context(&"reply-token-5f2c")
        .unwrap();
    assert!(!format!("{address:?}").contains("5f2c"));
    let to = channel_core::OutboundMessage::new(address, "hi");
    assert!(!format!("{to:?}").contains("5f2c"));
}

#[test]
fn a_file_to_send_is_not_shown() {
    use channel_core::UploadSource;
    let bytes = UploadSource::Bytes(bytes::Bytes::from_static(b"5f2c"));
    assert_eq!(format!("{bytes:?}"), "Bytes(4 bytes)");
    let url = UploadSource::Url("https://a.test/?key=5f2c".to_owned());
    assert!(!format!("{url:?}").contains("5f2c"));
}
