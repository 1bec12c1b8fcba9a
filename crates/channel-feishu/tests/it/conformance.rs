//! The suite that every adapter runs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Clock, InboundMessage as _, Message, MessageRef, Target, ThreadId, async_trait,
};
use channel_feishu::FeishuMessage;
use channel_testkit::Failure;
use channel_testkit::conformance::{
    Ability, Challenge, FakePlatform, Happened, Happening, Place, Setup, Shown, Signing, Subject,
    run,
};
use http::HeaderName;
use serde_json::{Value, json};

use crate::fake::{
    ADA, APP_SECRET, BOT, DIRECT, ENCRYPT, Fake, GROUP, THREAD, VERIFICATION, direct, envelope,
    mention, message, press,
};
use crate::look::look;

struct Bot {
    fake: Fake,
    linked: bool,
}

struct Platform {
    fake: Fake,
    linked: bool,
}

#[async_trait]
impl Subject for Bot {
    async fn start(&self) -> Setup {
        let fake = Fake::on(self.fake.transport.clock.clone());
        let channel = if self.linked {
            fake.serve();
            fake.linked()
        } else {
            fake.channel()
        };
        let linked = self.linked;
        Setup::new(Arc::new(channel), Platform { fake, linked })
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.fake.transport.clock.clone())
    }
}

impl Platform {
    /// Delivers an event in the way that is configured.
    fn deliver(&self, kind: &str, event: Value) -> Happened {
        let envelope = envelope(self.fake.id(), kind, event);
        if self.linked {
            self.fake.push("event", &envelope);
            return Happened::queued();
        }
        Happened::requested(self.fake.event(&envelope))
    }

    fn say(&self, message: Value) -> Happened {
        self.deliver("im.message.receive_v1", message)
    }
}

#[async_trait]
impl FakePlatform for Platform {
    fn claims(&self) -> Vec<Ability> {
        let receiving = if self.linked {
            Ability::Events
        } else {
            Ability::Webhook
        };
        let absent = [
            Ability::Webhook,
            Ability::Events,
            Ability::SocketServer,
            Ability::Commands,
        ];
        let all = Ability::ALL.into_iter();
        all.filter(|ability| *ability == receiving || !absent.contains(ability))
            .collect()
    }
    fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![APP_SECRET.to_owned()];
        if !self.linked {
            secrets.extend([ENCRYPT.to_owned(), VERIFICATION.to_owned()]);
        }
        secrets
    }
    fn place(&self, place: Place) -> Option<Target> {
        Some(match place {
            Place::Thread => Target::chat(GROUP).thread(THREAD),
            _ => Target::chat(DIRECT),
        })
    }
    async fn shown(&self) -> Vec<Shown> {
        let state = self.fake.state.lock().unwrap();
        let all = state.sent.iter();
        all.map(|sent| {
            let (text, buttons) = look(&sent.kind, &state.seen(sent));
            let at = MessageRef::new(sent.chat.as_str().into(), sent.id.as_str().into());
            let thread = sent.thread.as_deref().map(ThreadId::from);
            let shown = Shown::new(at, thread, text.as_str());
            let key = [&sent.content["file_key"], &sent.content["image_key"]];
            let key = key.into_iter().find_map(|key| key.as_str());
            let file = state
                .files
                .iter()
                .find(|(known, ..)| Some(known.as_str()) == key);
            let shown = match file {
                Some((_, name, bytes)) => shown.file(name.as_str(), bytes.clone()),
                None => shown,
            };
            buttons
                .into_iter()
                .fold(shown, |shown, (label, _)| shown.button(label))
        })
        .collect()
    }
    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        Some(match what {
            Happening::Text { place, text } => {
                let number = self.fake.id();
                let (id, event) = match place {
                    Place::Thread => {
                        let id = format!("om_thread{number}");
                        let mut event = mention(&id, text);
                        event["message"]["thread_id"] = json!(THREAD);
                        event["message"]["root_id"] = json!("om_thread_root");
                        (id, event)
                    }
                    _ => {
                        let id = format!("om_{number}");
                        let event = direct(&id, text);
                        (id, event)
                    }
                };
                self.say(event).message(id.as_str()).sender(ADA)
            }
            Happening::File { name, bytes } => {
                let number = self.fake.id();
                let (id, key) = (format!("om_{number}"), format!("file_{number}"));
                let file = (key.clone(), name.to_owned(), Bytes::copy_from_slice(bytes));
                self.fake.state.lock().unwrap().files.push(file);
                let content = json!({"file_key": key, "file_name": name});
                let event = message(&id, DIRECT, "file", content);
                self.say(event).message(id.as_str()).sender(ADA)
            }
            Happening::Press { message, value } => {
                let wanted = {
                    let state = self.fake.state.lock().unwrap();
                    let sent = state
                        .sent
                        .iter()
                        .find(|sent| sent.id == message.id.as_str());
                    let sent = sent.unwrap();
                    let (_, buttons) = look(&sent.kind, &state.seen(sent));
                    let found = buttons
                        .into_iter()
                        .find(|(_, carried)| carried["kit"] == value);
                    found.unwrap().1
                };
                let token = format!("c-{}", self.fake.id());
                let event = press(&token, message.chat.as_str(), message.id.as_str(), &wanted);
                self.deliver("card.action.trigger", event).sender(ADA)
            }
            Happening::OwnText { text } => {
                let mut event = direct(&format!("om_{}", self.fake.id()), text);
                event["sender"]["sender_id"]["open_id"] = json!(BOT);
                event["sender"]["sender_type"] = json!("app");
                self.say(event)
            }
            Happening::Unknown => self.deliver("telepathy_v1", json!({"thought": "?"})),
            Happening::Malformed => {
                self.say(json!({"sender": 5, "message": {"message_id": [], "content": {}}}))
            }
            _ => return None,
        })
    }
    async fn fail(&self, calls: usize, failure: Option<Failure>) -> bool {
        self.fake.state.lock().unwrap().failure = failure.map(|failure| (calls, failure));
        true
    }
    async fn disconnect(&self) -> bool {
        if let Some(peer) = self.fake.state.lock().unwrap().peers.pop() {
            peer.cut();
        }
        self.linked
    }
    fn calls(&self) -> Option<u64> {
        u64::try_from(self.fake.transport.http.count()).ok()
    }
    fn signing(&self) -> Option<Signing> {
        let signing = Signing::header(HeaderName::from_static("x-lark-signature"))
            .and_header(HeaderName::from_static("x-lark-request-timestamp"))
            .and_header(HeaderName::from_static("x-lark-request-nonce"))
            .over_body()
            .valid_for(Duration::from_secs(300));
        (!self.linked).then_some(signing)
    }
    fn challenge(&self) -> Option<Challenge> {
        let body =
            json!({"challenge": "c0ffee", "token": VERIFICATION, "type": "url_verification"});
        let request = self.fake.signed("/feishu/events", &body.to_string());
        let answer = r#"{"challenge":"c0ffee"}"#;
        (!self.linked).then(|| Challenge::new(request, answer))
    }
    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let read = |message: &Message| message.native::<FeishuMessage>();
        Some(match (read(came), read(stored)) {
            (Ok(a), Ok(b))
                if a.text() == came.text && b.text() == came.text && a.account() == b.account() =>
            {
                Ok(())
            }
            (a, b) => Err(format!("{a:?} {b:?}")),
        })
    }
    async fn reactions(&self, to: &MessageRef) -> Option<Vec<String>> {
        let state = self.fake.state.lock().unwrap();
        let on = state.reactions.iter().filter(|row| row.0 == to.id.as_str());
        // What people see for the name.
        let emoji = |name: &str| if name == "THUMBSUP" { "\u{1f44d}" } else { "?" };
        Some(on.map(|row| emoji(&row.1).to_owned()).collect())
    }
    async fn answered(&self) -> Option<usize> {
        // The fake reads what was written.
        self.fake
            .transport
            .clock
            .sleep(Duration::from_millis(1))
            .await;
        let state = self.fake.state.lock().unwrap();
        let is_toast = |payload: &&(String, Value)| payload.1.get("data").is_some();
        self.linked
            .then(|| state.answered.iter().filter(is_toast).count())
    }
    fn shows_files(&self) -> bool {
        true
    }
    fn shows_buttons(&self) -> bool {
        true
    }
}

#[test]
fn conforms_behind_a_webhook() {
    let bot = Bot {
        fake: Fake::new(),
        linked: false,
    };
    let clock = bot.fake.transport.clock.clone();
    clock.block_on(run(&bot)).assert_conforms();
}

#[tokio::test]
async fn conforms_over_the_long_connection() {
    let bot = Bot {
        fake: Fake::new(),
        linked: true,
    };
    let clock = bot.fake.transport.clock.clone();
    clock.drive(run(&bot)).await.assert_conforms();
}
