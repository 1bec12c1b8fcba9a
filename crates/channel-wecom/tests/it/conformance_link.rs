//! The suite that every adapter runs, over the long connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use channel_core::{Clock, InboundMessage as _, Message, MessageRef, Secret, Target, async_trait};
use channel_testkit::conformance::{
    Ability, FakePlatform, Happened, Happening, Place, Setup, Shown, Subject, run,
};
use channel_testkit::{Failure, Reply, VirtualClock};
use channel_wechat_crypto::AesKey;
use channel_wecom::WecomMessage;
use http::StatusCode;
use serde_json::{Value, json};

use crate::link::text;
use crate::switch::{SECRET, Switch, Tasks};

struct Kit {
    clock: VirtualClock,
    tasks: Tasks,
}

struct Fake {
    switch: Switch,
    next: AtomicU64,
}

#[async_trait]
impl Subject for Kit {
    async fn start(&self) -> Setup {
        let switch = Switch::on(self.clock.clone(), &self.tasks);
        let channel = Arc::new(switch.builder().build().unwrap());
        let next = AtomicU64::new(1);
        Setup::new(channel, Fake { switch, next })
    }
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
}

impl Fake {
    fn said(&self, body: Value) -> Happened {
        let id = body["msgid"].as_str().unwrap().to_owned();
        self.switch.push("aibot_msg_callback", body);
        Happened::queued().message(id).sender("zhangsan")
    }

    fn id(&self) -> String {
        format!("m{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn event(&self, kind: &str, fields: Value) -> Happened {
        let mut body = text(&self.id(), "");
        body["msgtype"] = json!("event");
        body["event"] = fields;
        body["event"]["eventtype"] = json!(kind);
        self.switch.push("aibot_event_callback", body);
        Happened::queued().sender("zhangsan")
    }
}

#[async_trait]
impl FakePlatform for Fake {
    fn claims(&self) -> Vec<Ability> {
        vec![
            Ability::Events,
            Ability::Media,
            Ability::Stream,
            Ability::Actions,
            Ability::Parts,
        ]
    }
    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
    fn place(&self, place: Place) -> Option<Target> {
        (place == Place::Direct).then(|| Target::chat("zhangsan"))
    }
    async fn shown(&self) -> Vec<Shown> {
        let sent = self.switch.sent().into_iter();
        sent.map(|sent| {
            let at = MessageRef::new(sent.chat.as_str().into(), sent.id.as_str().into());
            let markdown = channel_text::parse_markdown(sent.markdown());
            let words = channel_text::flatten(&markdown).text().to_owned();
            let card = sent.body["template_card"].to_string();
            let words = if sent.body["template_card"].is_object() {
                card
            } else {
                words
            };
            let shown = Shown::new(at, None, words).counted(sent.markdown());
            match sent.file {
                Some((name, bytes)) => shown.file(name, bytes),
                None => shown,
            }
        })
        .collect()
    }
    async fn happen(&self, what: Happening<'_>) -> Option<Happened> {
        Some(match what {
            Happening::Text {
                place: Place::Direct,
                text: words,
            } => {
                // The adapter takes control characters out, as WeCom's own SDK does.
                self.said(text(&self.id(), words))
            }
            Happening::File { bytes, .. } => {
                let key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
                let sealed = AesKey::from_base64(&Secret::new(key))
                    .unwrap()
                    .seal_file(bytes)
                    .unwrap();
                let answer =
                    move |_: &http::Request<Bytes>| Reply::bytes(StatusCode::OK, sealed.clone());
                self.switch.fake.http.get("/media", answer);
                let mut body = text(&self.id(), "");
                body["msgtype"] = json!("file");
                body["file"] = json!({"url": "https://cos.example/media?a=1", "aeskey": key});
                self.said(body)
            }
            Happening::Press { message, value } => {
                let event = json!({"card_type": "button_interaction", "event_key": value, "task_id": message.id.as_str()});
                self.event("template_card_event", json!({"template_card_event": event}))
            }
            Happening::Unknown => self.event("telepathy", json!({})),
            Happening::Malformed => {
                let body = json!({"msgid": 5, "from": [], "msgtype": {}});
                self.switch.push("aibot_msg_callback", body);
                Happened::queued()
            }
            _ => return None,
        })
    }
    async fn fail(&self, calls: usize, failure: Option<Failure>) -> bool {
        // WeCom never says how long to wait.
        if matches!(failure, Some(Failure::RateLimited(_))) {
            return false;
        }
        let mut state = self.switch.state.lock().unwrap();
        state.failure = failure.map(|failure| (calls, failure));
        true
    }
    async fn disconnect(&self) -> bool {
        self.switch.cut();
        true
    }
    fn calls(&self) -> Option<u64> {
        Some(self.switch.state.lock().unwrap().frames.len() as u64)
    }
    fn native(&self, came: &Message, stored: &Message) -> Option<Result<(), String>> {
        let read = |message: &Message| message.native::<WecomMessage>();
        Some(match (read(came), read(stored)) {
            (Ok(a), Ok(b))
                if a.text() == b.text() && a.text() == came.text && a.id() == came.id =>
            {
                Ok(())
            }
            (a, b) => Err(format!("{a:?} {b:?}")),
        })
    }
    async fn answered(&self) -> Option<usize> {
        let updates = self.switch.frames("aibot_respond_update_msg");
        let is_notice =
            |frame: &&Value| frame["body"]["template_card"]["button_list"][0]["text"] == "noted";
        Some(updates.iter().filter(is_notice).count())
    }
    fn shows_files(&self) -> bool {
        true
    }
}

#[test]
fn an_ai_bot_conforms_over_its_connection() {
    let kit = Kit {
        clock: VirtualClock::new(),
        tasks: Tasks::default(),
    };
    let report = kit.clock.block_on(kit.tasks.beside(run(&kit)));
    report.assert_conforms();
    assert!(report.passed().len() >= 50, "{report}");
}
