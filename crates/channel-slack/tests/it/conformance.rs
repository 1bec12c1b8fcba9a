//! The suite that every adapter runs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Clock, InboundMessage as _, Message, MessageRef, Target, ThreadId, async_trait,
};
use channel_slack::SlackMessage;
use channel_testkit::Failure;
use channel_testkit::conformance::{
    Ability, Challenge, FakePlatform, Happened, Happening, Place, Setup, Shown, Signing, Subject,
    run,
};
use http::HeaderName;
use serde_json::{Value, json};

use crate::fake::{
    ADA, APP_TOKEN, BOT, DIRECT, Fake, GROUP, ROOT, SECRET, TOKEN, direct, envelope, grouped,
};
use crate::look::look;

struct Bot {
    fake: Fake,
    socket: bool,
}

struct Platform {
    fake: Fake,
    socket: bool,
}

#[async_trait]
impl Subject for Bot {
    async fn start(&self) -> Setup {
        let fake = Fake::on(self.fake.transport.clock.clone());
        let builder = if self.socket {
            fake.serve();
            fake.builder().app_token(APP_TOKEN)
        } else {
            fake.builder().signing_secret(SECRET)
        };
        let socket = self.socket;
        Setup::new(
            Arc::new(builder.build().unwrap()),
            Platform { fake, socket },
        )
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.fake.transport.clock.clone())
    }
}

impl Platform {
    fn ts(&self) -> String {
        format!("1700000000.{:06}", self.fake.id())
    }

    /// Delivers an event in the way that is configured.
    fn deliver(&self, event: Value) -> Happened {
        if self.socket {
            self.fake
                .push("events_api", envelope(self.fake.id(), event));
            return Happened::queued();
        }
        Happened::requested(self.fake.event(event))
    }
}

#[async_trait]
impl FakePlatform for Platform {
    fn claims(&self) -> Vec<Ability> {
        let receiving = if self.socket {
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
        let way = if self.socket { APP_TOKEN } else { SECRET };
        vec![TOKEN.to_owned(), way.to_owned()]
    }
    fn place(&self, place: Place) -> Option<Target> {
        Some(match place {
            Place::Thread => Target::chat(GROUP).thread(ROOT),
            _ => Target::chat(DIRECT),
        })
    }
    async fn shown(&self) -> Vec<Shown> {
        let sent = self.fake.sent().into_iter();
        sent.map(|sent| {
            let (text, buttons) = look(&sent);
            let at = MessageRef::new(sent.chat.into(), sent.ts.into());
            let counted = sent.fields["text"].as_str().unwrap_or_default().to_owned();
            let shown = Shown::new(at, sent.thread.map(ThreadId::from), text).counted(counted);
            let shown = sent
                .files
                .into_iter()
                .fold(shown, |shown, (name, bytes)| shown.file(name, bytes));
            buttons.into_iter().fold(shown, Shown::button)
        })
        .collect()
    }
    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        let ts = self.ts();
        Some(match what {
            Happening::Text { place, text } => {
                let message = match place {
                    Place::Thread => {
                        let mut message = grouped(&ts, &format!("<@{BOT}> {text}"));
                        message["thread_ts"] = json!(ROOT);
                        message
                    }
                    _ => direct(&ts, text),
                };
                self.deliver(message).message(ts.as_str()).sender(ADA)
            }
            Happening::File { name, bytes } => {
                let file = (name.to_owned(), Bytes::copy_from_slice(bytes));
                self.fake.state.lock().unwrap().files.push(file);
                let mut message = direct(&ts, "");
                message["subtype"] = json!("file_share");
                let url = format!("https://files.slack.com/files-pri/T1-F1/{name}");
                message["files"] = json!([{"id": "F1", "name": name, "mimetype": "application/octet-stream",
                    "size": bytes.len(), "url_private": url, "url_private_download": url}]);
                self.deliver(message).message(ts.as_str()).sender(ADA)
            }
            Happening::Press { message, value } => {
                let payload = press(&ts, message.chat.as_str(), message.id.as_str(), value);
                let happened = if self.socket {
                    self.fake.push("interactive", payload);
                    Happened::queued()
                } else {
                    Happened::requested(self.fake.interaction(payload))
                };
                happened.sender(ADA)
            }
            Happening::OwnText { text } => {
                let mut message = direct(&ts, text);
                message["user"] = json!(BOT);
                message["bot_id"] = json!("BBOT");
                message["app_id"] = json!("A1");
                self.deliver(message)
            }
            Happening::Unknown => self.deliver(json!({"type": "telepathy", "thought": "?"})),
            Happening::Malformed => {
                self.deliver(json!({"type": "message", "channel": 5, "ts": {}, "user": []}))
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
        self.socket
    }
    fn calls(&self) -> Option<u64> {
        u64::try_from(self.fake.transport.http.count()).ok()
    }
    fn signing(&self) -> Option<Signing> {
        let signing = Signing::header(HeaderName::from_static("x-slack-signature"))
            .and_header(HeaderName::from_static("x-slack-request-timestamp"))
            .over_body()
            .valid_for(Duration::from_secs(300));
        (!self.socket).then_some(signing)
    }
    fn challenge(&self) -> Option<Challenge> {
        let body = json!({"type": "url_verification", "token": "x", "challenge": "ch4ll3ng3"});
        let request = self
            .fake
            .signed("/slack/events", "application/json", body.to_string());
        (!self.socket).then(|| Challenge::new(request, "ch4ll3ng3"))
    }
    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let read = |message: &Message| message.native::<SlackMessage>();
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
        let on = state
            .reactions
            .iter()
            .filter(|(ts, _)| to.id.as_str() == ts);
        // What people see for the name.
        let emoji = |name: &str| if name == "+1" { "\u{1f44d}" } else { "?" };
        Some(on.map(|(_, name)| emoji(name).to_owned()).collect())
    }
    async fn answered(&self) -> Option<usize> {
        Some(self.fake.state.lock().unwrap().responses.len())
    }
    fn shows_files(&self) -> bool {
        true
    }
    fn shows_buttons(&self) -> bool {
        true
    }
}

/// A press as Slack tells of it.
pub(crate) fn press(at: &str, chat: &str, message: &str, value: &str) -> Value {
    json!({"type": "block_actions", "team": {"id": "T1", "domain": "kit"},
        "user": {"id": ADA, "username": "ada", "team_id": "T1"}, "api_app_id": "A1", "token": "x",
        "container": {"type": "message", "message_ts": message, "channel_id": chat, "is_ephemeral": false},
        "trigger_id": "1.2.3", "channel": {"id": chat, "name": "directmessage"},
        "message": {"ts": message, "text": "?"}, "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [{"type": "button", "action_id": "kit-0-1", "block_id": "b1", "value": value, "action_ts": at}]})
}

#[test]
fn conforms_behind_a_webhook() {
    let bot = Bot {
        fake: Fake::new(),
        socket: false,
    };
    let clock = bot.fake.transport.clock.clone();
    clock.block_on(run(&bot)).assert_conforms();
}

#[tokio::test]
async fn conforms_in_socket_mode() {
    let bot = Bot {
        fake: Fake::new(),
        socket: true,
    };
    let clock = bot.fake.transport.clock.clone();
    clock.drive(run(&bot)).await.assert_conforms();
}
