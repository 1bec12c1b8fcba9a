//! The suite that every adapter runs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Channel, Clock, Events as _, InboundMessage as _, Message, MessageRef, Target, Webhook as _,
    async_trait,
};
use channel_dingtalk::DingTalkMessage;
use channel_testkit::Failure;
use channel_testkit::conformance::{
    Ability, FakePlatform, Happened, Happening, Place, Setup, Shown, Signing, Subject, run,
};
use http::HeaderName;
use serde_json::{Value, json};

use crate::fake::{
    ADA, DIRECT, Fake, ME, PRESSES, ROBOT_SECRET, ROBOT_TOKEN, SECRET, direct, message, press,
    with_session,
};
use crate::socket::next;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Webhook,
    Stream,
    Cards,
}

struct Bot {
    fake: Fake,
    kind: Kind,
}

struct Platform {
    fake: Fake,
    kind: Kind,
}

#[async_trait]
impl Subject for Bot {
    /// Ada has written before: DingTalk names a direct conversation with what is said in it and
    /// nowhere else.
    async fn start(&self) -> Setup {
        let fake = Fake::on(self.fake.transport.clock.clone());
        let hello = direct("msg0", "hello");
        let channel = match self.kind {
            Kind::Webhook => {
                let channel = fake.channel();
                channel.receive(&fake.request(&hello), fake.now()).unwrap();
                channel
            }
            Kind::Stream | Kind::Cards => {
                fake.serve();
                let channel = if self.kind == Kind::Cards {
                    fake.carded()
                } else {
                    fake.linked()
                };
                let mut stream = channel.events();
                fake.say(&hello);
                next(&mut stream).await.ack().await.unwrap();
                channel
            }
        };
        let kind = self.kind;
        Setup::new(
            Arc::new(channel) as Arc<dyn Channel>,
            Platform { fake, kind },
        )
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.fake.transport.clock.clone())
    }
}

/// The words of a card, as people see them, and its buttons: label and value.
pub(crate) fn card(content: &Value) -> (String, Vec<(String, String)>) {
    let text = content["msgContent"].as_str().unwrap().replace('\\', "");
    let whole: Value =
        serde_json::from_str(content["sys_full_json_obj"].as_str().unwrap()).unwrap();
    let buttons = whole["msgButtons"].as_array().unwrap().iter();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let buttons = buttons.map(|it| (text_of(&it["text"]), text_of(&it["id"])));
    (text, buttons.collect())
}

/// The words of any message.
pub(crate) fn words(content: &Value) -> String {
    let found = [&content["content"], &content["text"]];
    let found = found.into_iter().find_map(Value::as_str);
    found.unwrap_or_default().to_owned()
}

impl Platform {
    fn deliver(&self, topic: &str, payload: &Value) -> Happened {
        if self.kind == Kind::Webhook {
            return Happened::requested(self.fake.request(payload));
        }
        self.fake.push("CALLBACK", topic, payload);
        Happened::queued()
    }

    fn say(&self, message: Value) -> Happened {
        self.deliver(crate::fake::MESSAGES, &message)
    }

    fn id(&self) -> String {
        format!("msg/+{}=", self.fake.id())
    }
}

#[async_trait]
impl FakePlatform for Platform {
    fn claims(&self) -> Vec<Ability> {
        let mut claims = vec![
            Ability::Delete,
            Ability::React,
            Ability::Typing,
            Ability::Media,
            Ability::Parts,
        ];
        claims.push(match self.kind {
            Kind::Webhook => Ability::Webhook,
            _ => Ability::Events,
        });
        if self.kind == Kind::Cards {
            claims.extend([Ability::Stream, Ability::Cards, Ability::Actions]);
        }
        claims
    }
    fn secrets(&self) -> Vec<String> {
        [SECRET, ROBOT_SECRET, ROBOT_TOKEN, "sendBySession?session="]
            .map(str::to_owned)
            .to_vec()
    }
    fn place(&self, place: Place) -> Option<Target> {
        (place == Place::Direct).then(|| Target::chat(DIRECT))
    }
    async fn shown(&self) -> Vec<Shown> {
        let state = self.fake.state.lock().unwrap();
        let show = |sent: &crate::fake::Sent| {
            let at = MessageRef::new(sent.chat.as_str().into(), sent.id.as_str().into());
            if sent.kind == "card" {
                let (text, buttons) = card(&sent.content);
                let shown = Shown::new(at, None, text);
                return buttons
                    .into_iter()
                    .fold(shown, |shown, (label, _)| shown.button(label));
            }
            let shown = Shown::new(at, None, words(&sent.content));
            match sent.content["mediaId"].as_str() {
                Some(id) => shown.file(state.files[id].0.as_str(), state.files[id].1.clone()),
                None => shown,
            }
        };
        state.sent.iter().map(show).collect()
    }
    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        Some(match what {
            Happening::Text {
                place: Place::Direct,
                text,
            } => {
                let id = self.id();
                let ends = self.fake.millis() + 5_400_000;
                let message = with_session(direct(&id, text), "direct", ends);
                self.say(message).message(id.as_str()).sender(ADA)
            }
            Happening::File { name, bytes } => {
                let id = self.id();
                let code = format!("dc{}", self.fake.id());
                let file = (name.to_owned(), Bytes::copy_from_slice(bytes));
                self.fake
                    .state
                    .lock()
                    .unwrap()
                    .files
                    .insert(code.clone(), file);
                let content = json!({"downloadCode": code, "fileName": name, "fileId": "1"});
                self.say(message(&id, "file", content))
                    .message(id.as_str())
                    .sender(ADA)
            }
            Happening::Press { message, value } => {
                let found = {
                    let state = self.fake.state.lock().unwrap();
                    let mut sent = state.sent.iter();
                    let sent = sent.find(|sent| sent.id == message.id.as_str()).unwrap();
                    card(&sent.content).1.into_iter().any(|(_, it)| it == value)
                };
                assert!(found);
                let card = message.id.as_str().strip_prefix("card:").unwrap();
                self.deliver(PRESSES, &press(card, None, value)).sender(ADA)
            }
            Happening::OwnText { text } => {
                let mut message = direct(&self.id(), text);
                message["senderId"] = json!(ME);
                message["senderStaffId"] = Value::Null;
                self.say(message)
            }
            Happening::Unknown if self.kind == Kind::Webhook => return None,
            Happening::Unknown => self.deliver("/v9.9/telepathy", &json!({"thought": "?"})),
            Happening::Malformed => {
                let mut message = direct(&self.id(), "x");
                message["text"] = json!([5]);
                message["senderId"] = json!({});
                self.say(message)
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
        self.kind != Kind::Webhook
    }
    fn calls(&self) -> Option<u64> {
        u64::try_from(self.fake.transport.http.count()).ok()
    }
    fn signing(&self) -> Option<Signing> {
        let signing = Signing::header(HeaderName::from_static("sign"))
            .and_header(HeaderName::from_static("timestamp"))
            .valid_for(Duration::from_secs(3600));
        (self.kind == Kind::Webhook).then_some(signing)
    }
    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let read = |message: &Message| message.native::<DingTalkMessage>();
        Some(match (read(came), read(stored)) {
            (Ok(a), Ok(b))
                if a.text() == came.text
                    && b.text() == came.text
                    && a.account() == came.sender.account
                    && a.account() == b.account() =>
            {
                Ok(())
            }
            (a, b) => Err(format!("{a:?} {b:?}")),
        })
    }
    async fn reactions(&self, to: &MessageRef) -> Option<Vec<String>> {
        let state = self.fake.state.lock().unwrap();
        let on = state.reactions.iter();
        let on = on.filter(|row| row.0 == to.id.as_str() && row.1 == "cid1");
        Some(on.map(|row| row.2.clone()).collect())
    }
    async fn answered(&self) -> Option<usize> {
        // The fake reads what was written.
        self.fake
            .transport
            .clock
            .sleep(Duration::from_millis(1))
            .await;
        let state = self.fake.state.lock().unwrap();
        let is_notice =
            |(_, data): &&(String, Value)| data["response"]["userPrivateData"].is_object();
        (self.kind == Kind::Cards).then(|| state.answered.iter().filter(is_notice).count())
    }
    fn shows_files(&self) -> bool {
        true
    }
    fn shows_buttons(&self) -> bool {
        self.kind == Kind::Cards
    }
}

fn bot(kind: Kind) -> Bot {
    Bot {
        fake: Fake::new(),
        kind,
    }
}

#[test]
fn conforms_behind_a_signed_webhook() {
    let bot = bot(Kind::Webhook);
    let clock = bot.fake.transport.clock.clone();
    clock.block_on(run(&bot)).assert_conforms();
}

#[tokio::test]
async fn conforms_in_stream_mode() {
    let bot = bot(Kind::Stream);
    let clock = bot.fake.transport.clock.clone();
    clock.drive(run(&bot)).await.assert_conforms();
}

#[tokio::test]
async fn conforms_with_cards() {
    let bot = bot(Kind::Cards);
    let clock = bot.fake.transport.clock.clone();
    clock.drive(run(&bot)).await.assert_conforms();
}
