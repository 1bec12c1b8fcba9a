//! The suite that every channel runs, with a client as the platform.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use bytes::Bytes;
use channel_core::{Clock, Message, MessageRef, SocketServer as _, Target, async_trait};
use channel_standard::{Standard, StandardMessage};
use channel_testkit::conformance::{
    Ability, FakePlatform, Happened, Happening, Place, Setup, Shown, Subject, run,
};
use channel_testkit::{FakeTransport, VirtualClock};
use serde_json::{Value, json};

use crate::world::{Client, Tasks, bearer};

/// Channels whose connections run beside the suite.
struct Channels {
    clock: VirtualClock,
    tasks: Arc<Mutex<Running>>,
}

#[derive(Default)]
struct Running {
    tasks: Tasks,
    waker: Option<Waker>,
}

impl Running {
    /// Lets the connections run as far as they can, and goes on waking the suite.
    fn settle(&mut self) {
        self.tasks.settle();
        if let Some(waker) = &self.waker {
            self.tasks.poll(&mut Context::from_waker(waker));
        }
    }
}

#[async_trait]
impl Subject for Channels {
    async fn start(&self) -> Setup {
        let token = channel_testkit::canary();
        let channel = Standard::builder()
            .token(token.as_str())
            .room("team", ["web-1"])
            .configure(|config| {
                // The suite moves time by minutes without letting the client answer.
                config.ping_interval = 0;
                config.read_timeout = 100 * 86_400;
            })
            .transport(FakeTransport::with(self.clock.clone(), 0).transport())
            .build()
            .unwrap();
        let upgrade = channel.accept(&bearer(&token), None).unwrap();
        let tasks = Arc::clone(&self.tasks);
        let client = tasks.lock().unwrap().tasks.serve(upgrade);
        client.send(&json!({"v":1,"type":"hello","client_id":"web-1"}));
        tasks.lock().unwrap().settle();
        client.frames();
        let page = Page {
            client,
            tasks,
            sent: 0,
            last: None,
            shown: Vec::new(),
            buttons: Vec::new(),
            reactions: Vec::new(),
            typing: 0,
            answered: 0,
        };
        let browser = Browser {
            page: Mutex::new(page),
            token,
        };
        Setup::new(Arc::new(channel), browser)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
}

/// A client that does what the protocol asks of clients.
struct Browser {
    page: Mutex<Page>,
    token: String,
}

struct Page {
    client: Client,
    tasks: Arc<Mutex<Running>>,
    sent: usize,
    last: Option<Value>,
    shown: Vec<Shown>,
    buttons: Vec<(String, Value)>,
    reactions: Vec<(String, String, bool)>,
    typing: usize,
    answered: usize,
}

fn place(conversation: &str) -> String {
    match conversation.starts_with("room:") {
        true => conversation.to_owned(),
        false => format!("web-1/{conversation}"),
    }
}

impl Page {
    fn send(&mut self, frame: Value) {
        self.read();
        self.client.send(&frame);
        self.last = Some(frame);
        self.read();
    }

    fn say(&mut self, mut frame: Value) -> Happened {
        self.sent += 1;
        let id = format!("m-{}", self.sent);
        frame["v"] = json!(1);
        frame["type"] = json!("message");
        frame["id"] = json!(id);
        self.send(frame);
        Happened::queued().message(id.as_str()).sender("web-1")
    }

    /// Reads what has come, as a page would.
    fn read(&mut self) {
        self.tasks.lock().unwrap().settle();
        let frames = self.client.frames();
        for frame in frames {
            let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
            let chat = place(&text("conversation"));
            match text("type").as_str() {
                "message" => {
                    let at = MessageRef::new(chat.as_str().into(), text("id").as_str().into());
                    let thread = frame["thread"].as_str().map(Into::into);
                    let mut shown = Shown::new(at, thread, words(&frame));
                    for file in frame["attachments"].as_array().into_iter().flatten() {
                        let name = file["name"].as_str().unwrap_or_default();
                        shown = shown.file(name, data(file));
                    }
                    self.shown.push(shown);
                    self.keep_buttons(&frame);
                }
                "edit" => {
                    let id = text("id");
                    for shown in self.shown.iter_mut().filter(|it| it.at.id.as_str() == id) {
                        shown.text = words(&frame);
                    }
                    self.keep_buttons(&frame);
                }
                "delete" => self.shown.retain(|it| it.at.id.as_str() != text("id")),
                "reaction" => {
                    let remove = frame["remove"] == true;
                    self.reactions.push((text("target"), text("emoji"), remove));
                }
                "typing" => self.typing += 1,
                "ack" if text("of").starts_with("a-") => self.answered += 1,
                // A client that is told to come again later does so.
                "error" if text("code") == "busy" => {
                    let last = self.last.clone().unwrap_or_default();
                    assert_eq!(last["id"], frame["of"]);
                    self.client.send(&last);
                    self.tasks.lock().unwrap().settle();
                }
                _ => {}
            }
        }
    }

    fn keep_buttons(&mut self, frame: &Value) {
        let message = frame["id"].as_str().unwrap_or_default();
        let rows = frame["buttons"].as_array().into_iter().flatten();
        for button in rows.filter_map(Value::as_array).flatten() {
            self.buttons.push((message.to_owned(), button.clone()));
        }
    }
}

fn words(frame: &Value) -> String {
    let text = frame["text"].as_str().unwrap_or_default();
    match frame["format"] == "markdown" {
        true => channel_text::to_plain(&channel_text::parse_markdown(text)),
        false => text.to_owned(),
    }
}

fn data(file: &Value) -> Bytes {
    use base64::Engine as _;
    let data = file["data"].as_str().unwrap_or_default();
    Bytes::from(
        base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap(),
    )
}

#[async_trait]
impl FakePlatform for Browser {
    fn claims(&self) -> Vec<Ability> {
        let without = [Ability::Commands, Ability::Cards, Ability::History];
        let all = Ability::ALL.into_iter();
        all.filter(|ability| !without.contains(ability)).collect()
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.token.clone()]
    }

    fn place(&self, place: Place) -> Option<Target> {
        match place {
            Place::Direct => Some(Target::chat("web-1/default")),
            Place::Thread => Some(Target::chat("room:team").thread("t1")),
            _ => None,
        }
    }

    async fn shown(&self) -> Vec<Shown> {
        let mut page = self.page.lock().unwrap();
        page.read();
        page.shown.clone()
    }

    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        use base64::Engine as _;
        let mut page = self.page.lock().unwrap();
        match what {
            Happening::Text {
                place: Place::Direct,
                text,
            } => Some(page.say(json!({"text":text}))),
            Happening::Text { text, .. } => Some(page.say(json!({
                "text":text,"conversation":"room:team","thread":"t1","meta":{"mention":true},
            }))),
            Happening::File { name, bytes } => {
                let data = base64::engine::general_purpose::STANDARD.encode(bytes);
                Some(page.say(json!({"attachments":[{"name":name,"data":data}]})))
            }
            Happening::Press { message, value } => {
                page.read();
                let (_, button) = page
                    .buttons
                    .iter()
                    .find(|(of, button)| of == message.id.as_str() && button["value"] == value)?;
                let frame = json!({
                    "v":1,"type":"action","id":"a-1","message":message.id,"button":button["id"],
                    "value":value,
                });
                page.send(frame);
                Some(Happened::queued().sender("web-1"))
            }
            Happening::Malformed => {
                page.send(json!({"v":1,"type":"message","id":"m-x","text":5}));
                Some(Happened::queued())
            }
            Happening::Again => {
                let frame = page.last.clone()?;
                page.send(frame);
                Some(Happened::queued())
            }
            _ => None,
        }
    }

    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let [came, stored] = [came, stored].map(|it| it.native::<StandardMessage>());
        let same = match (came, stored) {
            (Ok(came), Ok(stored)) => {
                use channel_core::InboundMessage as _;
                came.text() == stored.text()
                    && came.id() == stored.id()
                    && came.meta() == stored.meta()
                    && came.sent_at() == stored.sent_at()
            }
            _ => false,
        };
        Some(if same {
            Ok(())
        } else {
            Err("they differ".to_owned())
        })
    }

    async fn reactions(&self, to: &MessageRef) -> Option<Vec<String>> {
        let mut page = self.page.lock().unwrap();
        page.read();
        let mut out = Vec::new();
        for (target, emoji, remove) in &page.reactions {
            if target != to.id.as_str() {
                continue;
            }
            match remove {
                true => out.retain(|other| other != emoji),
                false => out.push(emoji.clone()),
            }
        }
        Some(out)
    }

    async fn typing(&self) -> Option<usize> {
        let mut page = self.page.lock().unwrap();
        page.read();
        Some(page.typing)
    }

    async fn answered(&self) -> Option<usize> {
        let mut page = self.page.lock().unwrap();
        page.read();
        Some(page.answered)
    }

    fn shows_files(&self) -> bool {
        true
    }
}

#[test]
fn pain_39_the_channel_conforms_on_virtual_time_without_a_network() {
    let clock = VirtualClock::new();
    let tasks = Arc::<Mutex<Running>>::default();
    let channels = Channels {
        clock: clock.clone(),
        tasks: Arc::clone(&tasks),
    };
    let mut suite = pin!(run(&channels));
    let report = clock.block_on(poll_fn(|cx| {
        let mut running = tasks.lock().unwrap();
        running.tasks.poll(cx);
        running.waker = Some(cx.waker().clone());
        drop(running);
        suite.as_mut().poll(cx)
    }));
    println!(
        "passed {:?}\nignored {:?}",
        report.passed(),
        report.ignored()
    );
    report.assert_conforms();
    for check in [
        "splits_within_the_limit",
        "redelivers_what_was_not_acknowledged",
        "redelivers_what_was_refused",
        "replies_into_the_same_thread",
        "proves_life_within_90_seconds",
    ] {
        assert!(report.passed().contains(&check), "{check}");
    }
}
