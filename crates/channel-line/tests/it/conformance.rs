//! The suite that every adapter runs.

use std::sync::Arc;

use bytes::Bytes;
use channel_core::{Clock, InboundMessage as _, Message, MessageRef, Target, async_trait};
use channel_line::LineMessage;
use channel_testkit::Failure;
use channel_testkit::conformance::{
    Ability, FakePlatform, Happened, Happening, Place, Setup, Shown, Signing, Subject, run_some,
};
use serde_json::{Value, json};

use crate::fake::{ADA, BOT, Fake, HEADER, SECRET, TOKEN, callback, labels, person, words};

struct Account(Fake);

struct Platform(Fake);

#[async_trait]
impl Subject for Account {
    async fn start(&self) -> Setup {
        let fake = Fake::on(self.0.transport.clock.clone());
        Setup::new(Arc::new(fake.channel()), Platform(fake))
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.0.transport.clock.clone())
    }
}

impl Platform {
    fn deliver(event: Value) -> Happened {
        let happened = Happened::requested(callback(std::slice::from_ref(&event))).sender(ADA);
        match event["message"]["id"].as_str() {
            Some(id) => happened.message(id),
            None => happened,
        }
    }
}

#[async_trait]
impl FakePlatform for Platform {
    fn claims(&self) -> Vec<Ability> {
        vec![
            Ability::Webhook,
            Ability::Typing,
            Ability::Media,
            Ability::Parts,
        ]
    }
    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned(), SECRET.to_owned()]
    }
    fn place(&self, place: Place) -> Option<Target> {
        (place == Place::Direct).then(|| Target::chat(ADA))
    }
    async fn shown(&self) -> Vec<Shown> {
        let sent = self.0.sent().into_iter();
        sent.map(|sent| {
            let at = MessageRef::new(sent.chat.into(), sent.id.into());
            let shown = Shown::new(at, None, words(&sent.message));
            labels(&sent.message).into_iter().fold(shown, Shown::button)
        })
        .collect()
    }
    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        Some(match what {
            Happening::Text {
                place: Place::Direct,
                text,
            } => Self::deliver(self.0.text(text)),
            Happening::File { name, bytes } => {
                let file = json!({"type": "file", "fileName": name, "fileSize": bytes.len()});
                let event = self.0.message(person(), file);
                let id = event["message"]["id"].as_str().unwrap().to_owned();
                let content = (1, Bytes::copy_from_slice(bytes));
                self.0.state.lock().unwrap().files.insert(id, content);
                Self::deliver(event)
            }
            Happening::Press { message, value } => {
                assert_eq!(message.chat.as_str(), ADA);
                let press = json!({"type": "postback", "postback": {"data": value}});
                Self::deliver(self.0.event(person(), press))
            }
            Happening::OwnText { text } => {
                let me = json!({"type": "user", "userId": BOT});
                let message = json!({"type": "text", "text": text});
                Happened::requested(callback(&[self.0.message(me, message)]))
            }
            Happening::Unknown => {
                Self::deliver(self.0.event(person(), json!({"type": "telepathy"})))
            }
            Happening::Malformed => Happened::requested(callback(&[
                json!({"type": "message", "timestamp": "x", "message": [7]}),
            ])),
            Happening::Again => {
                let mut last = self.0.state.lock().unwrap().last.clone()?;
                last["deliveryContext"]["isRedelivery"] = json!(true);
                Self::deliver(last)
            }
            _ => return None,
        })
    }
    async fn fail(&self, calls: usize, failure: Option<Failure>) -> bool {
        // One call carries five messages, so no text of the suite takes a second call that
        // could fail; `outbound` looks at longer ones.
        self.0.state.lock().unwrap().failure = failure;
        calls == 0
    }
    fn calls(&self) -> Option<u64> {
        u64::try_from(self.0.transport.http.count()).ok()
    }
    fn signing(&self) -> Option<Signing> {
        Some(Signing::header(HEADER).over_body())
    }
    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let read = |message: &Message| message.native::<LineMessage>();
        Some(match (read(came), read(stored)) {
            (Ok(a), Ok(b)) if a.text() == b.text() && a.account() == b.account() => Ok(()),
            (a, b) => Err(format!("{a:?} {b:?}")),
        })
    }
    async fn typing(&self) -> Option<usize> {
        Some(self.0.state.lock().unwrap().loading)
    }
    fn shows_buttons(&self) -> bool {
        true
    }
}

#[test]
fn conforms() {
    let account = Account(Fake::new());
    let clock = account.0.transport.clock.clone();
    // It takes three texts to be three parts; here five are one. `outbound` proves the same
    // with texts that are long enough.
    let wanted = |name: &str| name != "sends_a_failed_part_alone";
    clock.block_on(run_some(&account, wanted)).assert_conforms();
}
