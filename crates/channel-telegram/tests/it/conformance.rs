//! The suite that every adapter runs.

use std::sync::Arc;

use bytes::Bytes;
use channel_core::{
    Clock, InboundMessage as _, Message, MessageRef, Target, ThreadId, async_trait,
};
use channel_telegram::TelegramMessage;
use channel_testkit::Failure;
use channel_testkit::conformance::{
    Ability, FakePlatform, Happened, Happening, Place, Report, Setup, Shown, Signing, Subject, run,
};
use serde_json::{Value, json};

use crate::fake::{ADA, BOT, Fake, TOKEN, grouped, private};
use crate::webhook::{HEADER, SECRET, request};

struct Bot {
    fake: Fake,
    hooked: bool,
}

struct Platform {
    fake: Fake,
    hooked: bool,
}

impl Bot {
    fn run(hooked: bool) -> Report {
        let bot = Self {
            fake: Fake::new(),
            hooked,
        };
        let clock = bot.fake.transport.clock.clone();
        clock.block_on(run(&bot))
    }
}

#[async_trait]
impl Subject for Bot {
    async fn start(&self) -> Setup {
        let fake = Fake::on(self.fake.transport.clock.clone());
        let mut builder = fake.builder();
        if self.hooked {
            builder = builder.webhook_secret(SECRET).username("kit_bot");
        }
        let channel = Arc::new(builder.build().unwrap());
        let hooked = self.hooked;
        Setup::new(channel, Platform { fake, hooked })
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.fake.transport.clock.clone())
    }
}

impl Platform {
    /// Delivers an update in the way that is configured.
    fn deliver(&self, raw: impl FnOnce(&Fake) -> i64) -> Happened {
        let id = raw(&self.fake);
        if !self.hooked {
            return Happened::queued();
        }
        let queue = &mut self.fake.state.lock().unwrap().queue;
        let at = queue.iter().position(|(known, _)| *known == id).unwrap();
        Happened::requested(request(queue.remove(at).1))
    }
}

/// The labels of a keyboard; inside a form it is JSON text.
fn labels(markup: &Value) -> Vec<String> {
    let parsed = markup
        .as_str()
        .map(|text| serde_json::from_str(text).unwrap());
    let markup: Value = parsed.unwrap_or_else(|| markup.clone());
    let rows = markup["inline_keyboard"].as_array();
    let keys = rows.into_iter().flatten().filter_map(Value::as_array);
    keys.flatten()
        .map(|key| key["text"].as_str().unwrap().to_owned())
        .collect()
}

#[async_trait]
impl FakePlatform for Platform {
    fn claims(&self) -> Vec<Ability> {
        let receiving = if self.hooked {
            Ability::Webhook
        } else {
            Ability::Events
        };
        Ability::ALL
            .into_iter()
            .filter(|ability| {
                *ability == receiving
                    || !matches!(
                        ability,
                        Ability::Webhook
                            | Ability::Events
                            | Ability::SocketServer
                            | Ability::Cards
                            | Ability::History
                    )
            })
            .collect()
    }
    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned(), SECRET.to_owned()]
    }
    fn place(&self, place: Place) -> Option<Target> {
        Some(match place {
            Place::Thread => Target::chat("-1001234567890").thread("77"),
            _ => Target::chat(ADA),
        })
    }
    async fn shown(&self) -> Vec<Shown> {
        let sent = self.fake.sent().into_iter();
        sent.map(|sent| {
            let at = MessageRef::new(sent.chat.into(), sent.id.into());
            let thread = sent.thread.map(ThreadId::from);
            let labels = labels(&sent.fields["reply_markup"]);
            let shown = Shown::new(at, thread, sent.text);
            let shown = sent
                .files
                .into_iter()
                .fold(shown, |shown, (name, bytes)| shown.file(name, bytes));
            labels.into_iter().fold(shown, Shown::button)
        })
        .collect()
    }
    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        Some(match what {
            Happening::Text { place, text } => {
                let message = match place {
                    Place::Thread => {
                        let mut message = grouped(&format!("@kit_bot {text}"));
                        message["message_thread_id"] = json!(77);
                        message["is_topic_message"] = json!(true);
                        message["entities"] =
                            json!([{"type": "mention", "offset": 0, "length": 8}]);
                        message
                    }
                    _ => private(7, text),
                };
                let id = message["message_id"].as_i64().unwrap();
                self.deliver(|fake| fake.push(json!({ "message": message })))
                    .message(id)
                    .sender(ADA)
            }
            Happening::File { name, bytes } => {
                let file = (name.to_owned(), Bytes::copy_from_slice(bytes));
                self.fake.state.lock().unwrap().files.push(file);
                let mut message = private(8, "");
                message["document"] = json!({"file_id": name, "file_unique_id": "u",
                    "file_name": name, "mime_type": "text/plain", "file_size": bytes.len()});
                self.deliver(|fake| fake.push(json!({ "message": message })))
                    .message(8)
                    .sender(ADA)
            }
            Happening::Press { message, value } => {
                let mut carrier = private(message.id.as_i64().unwrap(), "?");
                carrier["chat"]["id"] = json!(message.chat.as_i64().unwrap());
                let query = json!({"callback_query": {"id": "77", "data": value, "chat_instance": "1",
                    "from": {"id": ADA, "is_bot": false, "first_name": "Ada"}, "message": carrier}});
                self.deliver(|fake| fake.push(query)).sender(ADA)
            }
            Happening::OwnText { text } => {
                let mut message = private(9, text);
                message["from"] = json!({"id": BOT, "is_bot": true, "first_name": "Kit"});
                self.deliver(|fake| fake.push(json!({ "message": message })))
            }
            Happening::Unknown => {
                self.deliver(|fake| fake.push(json!({"telepathy": {"thought": "?"}})))
            }
            Happening::Malformed => {
                self.deliver(|fake| fake.push_raw(r#""message":{"message_id":"x","chat":[]}"#))
            }
            // The queue repeats by itself what was not confirmed.
            _ => return None,
        })
    }
    async fn fail(&self, calls: usize, failure: Option<Failure>) -> bool {
        self.fake.state.lock().unwrap().failure = failure.map(|failure| (calls, failure));
        true
    }
    async fn disconnect(&self) -> bool {
        self.fake.state.lock().unwrap().cut = true;
        !self.hooked
    }
    fn calls(&self) -> Option<u64> {
        u64::try_from(self.fake.transport.http.count()).ok()
    }
    fn signing(&self) -> Option<Signing> {
        self.hooked.then(|| Signing::header(HEADER))
    }
    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let read = |message: &Message| message.native::<TelegramMessage>();
        Some(match (read(came), read(stored)) {
            (Ok(a), Ok(b)) if a.text() == b.text() && a.account() == b.account() => Ok(()),
            (a, b) => Err(format!("{a:?} {b:?}")),
        })
    }
    async fn reactions(&self, to: &MessageRef) -> Option<Vec<String>> {
        let state = self.fake.state.lock().unwrap();
        let found = state
            .reactions
            .iter()
            .find(|(id, _)| to.id.as_i64() == Some(*id));
        Some(found.map(|(_, emoji)| emoji.clone()).unwrap_or_default())
    }
    async fn typing(&self) -> Option<usize> {
        Some(self.fake.state.lock().unwrap().typing)
    }
    async fn answered(&self) -> Option<usize> {
        Some(self.fake.state.lock().unwrap().answered)
    }
    async fn commands(&self) -> Option<Vec<String>> {
        Some(self.fake.state.lock().unwrap().commands.clone())
    }
    fn shows_files(&self) -> bool {
        true
    }
    fn shows_buttons(&self) -> bool {
        true
    }
}

#[test]
fn conforms_when_it_polls() {
    Bot::run(false).assert_conforms();
}

#[test]
fn conforms_behind_a_webhook() {
    Bot::run(true).assert_conforms();
}
