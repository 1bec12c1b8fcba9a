//! The suite that every adapter runs.

use std::sync::Arc;

use bytes::Bytes;
use channel_core::{Channel, Clock, InboundMessage as _, Message, MessageRef, Target, async_trait};
use channel_testkit::Failure;
use channel_testkit::conformance::{
    Ability, Challenge, FakePlatform, Happened, Happening, Place, Report, Setup, Shown, Signing,
    Subject, run,
};
use channel_wecom::WecomMessage;
use serde_json::{Value, json};
use std::time::Duration;

use crate::sealing::{KEY, Platform, TOKEN, seconds};
use crate::server::{AGENT, HOOK, SECRET, Server};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    App,
    Bot,
    /// By callback: it cannot write first, so what needs a place to write to is ignored.
    Aibot,
}

struct Kit {
    server: Server,
    product: Product,
}

struct Fake {
    server: Server,
    product: Product,
    callbacks: Platform,
}

impl Kit {
    fn run(product: Product) -> Report {
        let kit = Self {
            server: Server::new(),
            product,
        };
        let clock = kit.server.fake.clock.clone();
        clock.block_on(run(&kit))
    }
}

#[async_trait]
impl Subject for Kit {
    async fn start(&self) -> Setup {
        let server = Server::on(self.server.fake.clock.clone());
        let product = self.product;
        let (channel, callbacks): (Arc<dyn Channel>, Platform) = match product {
            Product::App => (
                Arc::new(server.app().build().unwrap()),
                server.app_callbacks(),
            ),
            Product::Bot => (
                Arc::new(server.bot().build().unwrap()),
                server.bot_callbacks(),
            ),
            Product::Aibot => (
                Arc::new(crate::aibot::builder(&server).build().unwrap()),
                crate::aibot::callbacks(&server),
            ),
        };
        Setup::new(
            channel,
            Fake {
                server,
                product,
                callbacks,
            },
        )
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.server.fake.clock.clone())
    }
}

impl Fake {
    fn next(&self) -> u64 {
        self.server.fake.http.count() as u64 + seconds(&self.server.fake.clock) + rand()
    }

    fn requested(&self, plain: &str) -> Happened {
        Happened::requested(self.callbacks.request(plain)).sender("zhangsan")
    }

    /// A message of the AI bot.
    fn json(&self, kind: &str, inside: Value) -> Happened {
        let id = self.next().to_string();
        let mut message = json!({"msgid": id, "aibotid": "aib1", "chattype": "single",
            "from": {"userid": "zhangsan"}, "response_url": crate::aibot::URL, "msgtype": kind});
        message[kind] = inside;
        self.requested(&message.to_string()).message(id)
    }

    fn happen_to_aibot(&self, what: Happening<'_>) -> Option<Happened> {
        Some(match what {
            Happening::Text {
                place: Place::Direct,
                text,
            } => self.json("text", json!({"content": text})),
            Happening::File { bytes, .. } => {
                let sealed = self.callbacks.cipher.key().seal_file(bytes).unwrap();
                let answer = move |_: &_| {
                    channel_testkit::Reply::bytes(http::StatusCode::OK, sealed.clone())
                };
                self.server.fake.http.get("/picture", answer);
                self.json("file", json!({"url": "https://cos.example/picture?x=1"}))
            }
            Happening::Unknown => self.json("event", json!({"eventtype": "telepathy"})),
            Happening::Malformed => self.requested(r#"{"msgid":5,"from":[]}"#),
            _ => return None,
        })
    }

    /// A message of a kind of the product, with its id.
    fn xml(&self, kind: &str, inside: &str) -> (String, String) {
        let (id, at) = (self.next().to_string(), seconds(&self.server.fake.clock));
        let xml = match self.product {
            Product::Aibot => unreachable!("it speaks JSON"),
            Product::App => format!(
                "<xml><ToUserName><![CDATA[wwcorp00000000001]]></ToUserName><FromUserName><![CDATA[zhangsan]]></FromUserName>\
                <CreateTime>{at}</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>{inside}<MsgId>{id}</MsgId><AgentID>{AGENT}</AgentID></xml>"
            ),
            Product::Bot => format!(
                "<xml><WebhookUrl><![CDATA[{HOOK}]]></WebhookUrl><MsgId>{id}</MsgId><ChatId>wrC1</ChatId><ChatType>single</ChatType>\
                <From><UserId>zhangsan</UserId><Name>Z</Name><Alias>z</Alias></From><MsgType>{kind}</MsgType>{inside}</xml>"
            ),
        };
        (xml, id)
    }
}

/// A number that no other message has.
fn rand() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(7_000_000_000_000_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace('\0', ""))
}

#[async_trait]
impl FakePlatform for Fake {
    fn claims(&self) -> Vec<Ability> {
        match self.product {
            Product::App => vec![
                Ability::Webhook,
                Ability::Media,
                Ability::Actions,
                Ability::Parts,
                Ability::Cards,
            ],
            Product::Bot => vec![Ability::Webhook, Ability::Media, Ability::Parts],
            Product::Aibot => vec![
                Ability::Webhook,
                Ability::Media,
                Ability::Stream,
                Ability::Actions,
                Ability::Cards,
            ],
        }
    }
    fn secrets(&self) -> Vec<String> {
        [
            TOKEN,
            KEY,
            SECRET,
            "syntheticKEYcanary0001",
            "syntheticTOKENcanary",
        ]
        .map(str::to_owned)
        .to_vec()
    }
    fn place(&self, place: Place) -> Option<Target> {
        let chat = match self.product {
            Product::App => "zhangsan",
            Product::Bot => "wrC1",
            Product::Aibot => return None,
        };
        (place == Place::Direct).then(|| Target::chat(chat))
    }
    async fn shown(&self) -> Vec<Shown> {
        let place = self.place(Place::Direct);
        let chat = place.map_or("zhangsan".into(), |place| place.chat);
        let sent = self.server.sent().into_iter();
        sent.map(|sent| {
            let at = MessageRef::new(chat.clone(), sent.id.as_str().into());
            let shown = sent
                .labels()
                .into_iter()
                .fold(Shown::new(at, None, sent.words()), Shown::button);
            match sent.file {
                Some((name, bytes)) => shown.file(name, bytes),
                None => shown,
            }
        })
        .collect()
    }
    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        if self.product == Product::Aibot {
            return self.happen_to_aibot(what);
        }
        Some(match what {
            Happening::Text {
                place: Place::Direct,
                text,
            } => {
                let content = format!("<Content>{}</Content>", cdata(text));
                let inside = match self.product {
                    Product::App => content,
                    _ => format!("<Text>{content}</Text>"),
                };
                let (xml, id) = self.xml("text", &inside);
                self.requested(&xml).message(id)
            }
            Happening::File { name, bytes } => {
                let file = (
                    name.to_owned(),
                    name.to_owned(),
                    Bytes::copy_from_slice(bytes),
                );
                match self.product {
                    Product::App => {
                        self.server.state.lock().unwrap().media.push(file);
                        let (xml, id) = self.xml("file", &format!("<MediaId>{name}</MediaId>"));
                        self.requested(&xml).message(id)
                    }
                    _ => {
                        let bytes = file.2;
                        let answer = move |_: &_| {
                            channel_testkit::Reply::bytes(http::StatusCode::OK, bytes.clone())
                        };
                        self.server.fake.http.get("/picture", answer);
                        let url = format!(
                            "<ImageUrl>{}</ImageUrl>",
                            cdata("https://wework.example/picture?x=1&y=2")
                        );
                        let (xml, id) = self.xml("image", &format!("<Image>{url}</Image>"));
                        self.requested(&xml).message(id)
                    }
                }
            }
            Happening::Press { message, value } if self.product == Product::App => {
                let inside = format!(
                    "<Event>template_card_event</Event><EventKey>{}</EventKey><TaskId>{}</TaskId>\
                    <CardType>button_interaction</CardType><ResponseCode>RC1</ResponseCode>",
                    cdata(value),
                    message.id
                );
                self.requested(&self.xml("event", &inside).0)
            }
            Happening::Unknown => {
                let inside = match self.product {
                    Product::App => "<Event>telepathy</Event><Thought>?</Thought>",
                    _ => "<Event><EventType>telepathy</EventType></Event>",
                };
                self.requested(&self.xml("event", inside).0)
            }
            Happening::Malformed => {
                self.requested("<xml><MsgType>text</MsgType><From><From/></From>")
            }
            // An app and a bot do not hear themselves at all.
            _ => return None,
        })
    }
    async fn fail(&self, calls: usize, failure: Option<Failure>) -> bool {
        let mut state = self.server.state.lock().unwrap();
        state.failure = failure.map(|failure| (calls, failure));
        true
    }
    fn calls(&self) -> Option<u64> {
        u64::try_from(self.server.fake.http.count()).ok()
    }
    fn signing(&self) -> Option<Signing> {
        let signing = Signing::query("msg_signature")
            .and_query("timestamp")
            .and_query("nonce");
        // The envelope is not signed, only the text in it.
        Some(signing.valid_for(Duration::from_secs(300)))
    }
    fn challenge(&self) -> Option<Challenge> {
        let echo = "1234567890123456";
        Some(Challenge::new(self.callbacks.challenge(echo), echo))
    }
    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let read = |message: &Message| message.native::<WecomMessage>();
        Some(match (read(came), read(stored)) {
            (Ok(a), Ok(b))
                if a.text() == b.text()
                    && a.text() == came.text
                    && a.account() == b.account()
                    && a.id() == came.id =>
            {
                Ok(())
            }
            (a, b) => Err(format!("{a:?} {b:?}")),
        })
    }
    async fn answered(&self) -> Option<usize> {
        let state = self.server.state.lock().unwrap();
        let noted = json!({"replace_name": "noted"});
        let is_notice = |update: &&serde_json::Value| {
            update["button"] == noted && update["response_code"] == "RC1"
        };
        Some(state.updates.iter().filter(is_notice).count())
    }
    fn shows_buttons(&self) -> bool {
        self.product == Product::App
    }
    fn shows_files(&self) -> bool {
        true
    }
}

fn conforms(product: Product) {
    let report = Kit::run(product);
    report.assert_conforms();
}

#[test]
fn an_app_conforms() {
    conforms(Product::App);
}

#[test]
fn a_group_bot_conforms() {
    conforms(Product::Bot);
}

#[test]
fn an_ai_bot_conforms_by_callback() {
    conforms(Product::Aibot);
}
