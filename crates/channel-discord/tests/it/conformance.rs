//! The suite that every adapter runs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{Clock, InboundMessage as _, Message, MessageRef, Target, async_trait};
use channel_discord::DiscordMessage;
use channel_testkit::Failure;
use channel_testkit::conformance::{
    Ability, Challenge, FakePlatform, Happened, Happening, Place, Setup, Shown, Signing, Subject,
    run,
};
use http::HeaderName;
use serde_json::{Value, json};

use crate::fake::{ADA, DIRECT, Fake, ME, THREAD, TOKEN, command, direct, grouped, look, press};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Gateway,
    Endpoint,
}

struct Bot {
    fake: Fake,
    way: Way,
}

struct Platform {
    fake: Fake,
    way: Way,
    server: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Platform {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

#[async_trait]
impl Subject for Bot {
    async fn start(&self) -> Setup {
        let fake = Fake::on(self.fake.transport.clock.clone());
        let way = self.way;
        let (channel, server) = match way {
            Way::Gateway => {
                let server = tokio::spawn(fake.clone().serve());
                (fake.channel(), Some(server))
            }
            Way::Endpoint => (fake.endpoint(), None),
        };
        Setup::new(Arc::new(channel), Platform { fake, way, server })
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.fake.transport.clock.clone())
    }
}

impl Platform {
    fn deliver(&self, name: &str, data: Value) -> Happened {
        match self.way {
            Way::Gateway => {
                self.fake.dispatch(name, data);
                Happened::queued()
            }
            Way::Endpoint => Happened::requested(self.fake.signed(data.to_string())),
        }
    }
}

#[async_trait]
impl FakePlatform for Platform {
    fn claims(&self) -> Vec<Ability> {
        let absent = match self.way {
            Way::Gateway => Ability::Webhook,
            Way::Endpoint => Ability::Events,
        };
        let all = Ability::ALL.into_iter();
        all.filter(|ability| *ability != absent && *ability != Ability::SocketServer)
            .collect()
    }
    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned()]
    }
    fn place(&self, place: Place) -> Option<Target> {
        Some(match place {
            // A thread is a chat of its own.
            Place::Thread => Target::chat(THREAD),
            _ => Target::chat(DIRECT),
        })
    }
    async fn shown(&self) -> Vec<Shown> {
        let sent = self.fake.sent().into_iter();
        sent.map(|sent| {
            let (text, buttons) = look(&sent.fields);
            let at = MessageRef::new(sent.chat.into(), sent.id.into());
            let counted = sent.fields["content"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let shown = Shown::new(at, None, text).counted(counted);
            let shown = sent
                .files
                .into_iter()
                .fold(shown, |shown, (name, bytes)| shown.file(name, bytes));
            buttons.into_iter().fold(shown, Shown::button)
        })
        .collect()
    }
    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        let id = self.fake.id();
        Some(match what {
            // Over HTTP nothing comes but interactions.
            Happening::Text { text, .. } if self.way == Way::Endpoint => {
                let _ = text;
                return None;
            }
            Happening::Text { place, text } => {
                let message = match place {
                    Place::Thread => grouped(id, THREAD, &format!("<@{ME}> {text}")),
                    _ => direct(id, text),
                };
                self.deliver("MESSAGE_CREATE", message)
                    .message(id.to_string())
                    .sender(ADA)
            }
            Happening::File { name, bytes } => {
                if self.way == Way::Endpoint {
                    return None;
                }
                let file = (name.to_owned(), Bytes::copy_from_slice(bytes));
                self.fake.with(|state| state.files.push(file));
                let mut message = direct(id, "");
                let url = format!("https://cdn.discordapp.com/attachments/700/11/{name}");
                message["attachments"] =
                    json!([{"id": "11", "filename": name, "size": bytes.len(), "url": url}]);
                self.deliver("MESSAGE_CREATE", message)
                    .message(id.to_string())
                    .sender(ADA)
            }
            Happening::Press { message, value } => {
                let data = press(id, message.chat.as_str(), message.id.as_str(), value);
                self.deliver("INTERACTION_CREATE", data).sender(ADA)
            }
            Happening::OwnText { text } => {
                if self.way == Way::Endpoint {
                    return None;
                }
                let mut message = direct(id, text);
                message["author"] = json!({"id": ME, "username": "kitbot", "bot": true});
                self.deliver("MESSAGE_CREATE", message)
            }
            Happening::Unknown => match self.way {
                Way::Gateway => self.deliver("TELEPATHY", json!({"thought": "?"})),
                Way::Endpoint => {
                    let mut data = command(id, DIRECT, "ask", "x");
                    data["type"] = json!(77);
                    self.deliver("", data)
                }
            },
            Happening::Malformed => self.deliver(
                "MESSAGE_CREATE",
                json!({"id": {}, "channel_id": 5.5, "author": []}),
            ),
            _ => return None,
        })
    }
    async fn fail(&self, calls: usize, failure: Option<Failure>) -> bool {
        self.fake
            .with(|state| state.failure = failure.map(|failure| (calls, failure)));
        true
    }
    async fn disconnect(&self) -> bool {
        for peer in self.fake.peers() {
            peer.cut();
        }
        self.way == Way::Gateway
    }
    fn calls(&self) -> Option<u64> {
        u64::try_from(self.fake.transport.http.count()).ok()
    }
    fn signing(&self) -> Option<Signing> {
        let signing = Signing::header(HeaderName::from_static("x-signature-ed25519"))
            .and_header(HeaderName::from_static("x-signature-timestamp"))
            .over_body()
            .valid_for(Duration::from_secs(300));
        (self.way == Way::Endpoint).then_some(signing)
    }
    fn challenge(&self) -> Option<Challenge> {
        let body =
            json!({"id": "1", "application_id": "9001", "type": 1, "token": "x", "version": 1});
        let request = self.fake.signed(body.to_string());
        (self.way == Way::Endpoint).then(|| Challenge::new(request, r#"{"type":1}"#))
    }
    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let read = |message: &Message| message.native::<DiscordMessage>();
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
        Some(self.fake.with(|state| {
            let on = state
                .reactions
                .iter()
                .filter(|(id, _)| to.id.as_str() == id);
            on.map(|(_, emoji)| emoji.clone()).collect()
        }))
    }
    async fn typing(&self) -> Option<usize> {
        Some(self.fake.with(|state| state.typing))
    }
    async fn answered(&self) -> Option<usize> {
        // Over HTTP the request itself is the answer.
        Some(self.fake.with(|state| match self.way {
            Way::Gateway => state.callbacks.len(),
            Way::Endpoint => state.notices,
        }))
    }
    async fn commands(&self) -> Option<Vec<String>> {
        Some(self.fake.with(|state| state.commands.clone()))
    }
    fn shows_files(&self) -> bool {
        true
    }
    fn shows_buttons(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn conforms_by_the_gateway() {
    let bot = Bot {
        fake: Fake::new(),
        way: Way::Gateway,
    };
    let clock = bot.fake.transport.clock.clone();
    clock.drive(run(&bot)).await.assert_conforms();
}

#[tokio::test]
async fn conforms_by_the_endpoint() {
    let bot = Bot {
        fake: Fake::new(),
        way: Way::Endpoint,
    };
    let clock = bot.fake.transport.clock.clone();
    clock.drive(run(&bot)).await.assert_conforms();
}
