//! A long connection from its upgrade to its end.

use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State as Shared};
use axum::response::Response;
use serde_json::{Value, json};

use super::commands::{self, Command};
use crate::common::ledger::Outcome;
use crate::common::socket::{Frame, Frames, Settings, Socket, accept as open};
use crate::server::Closed;
use crate::wecom::answer::{Answer, ApiError, Reply, body};
use crate::wecom::engine::Wecom;
use crate::wecom::faults::Fault;
use crate::wecom::ledger::Call;
use crate::wecom::model::Product;
use crate::wecom::state::{Link, State};

/// The largest frame from a bot: a piece of a file in base64, and what is around it.
const MAX_MESSAGE: usize = 2 * 1024 * 1024;
/// `wss://openws.work.weixin.qq.com`.
pub(in crate::wecom) async fn accept(
    Shared(wecom): Shared<Wecom>,
    closed: Option<Extension<Closed>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    wecom.deliver();
    let closed = closed.map(|Extension(closed)| closed);
    let settings = Settings {
        max_message: MAX_MESSAGE,
        ping: None,
    };
    open(upgrade, closed, settings, move |socket, frames| {
        run(wecom, socket, frames)
    })
}

/// What a connection is.
struct Connection {
    wecom: Wecom,
    number: u64,
    socket: Socket,
    /// Whose it is, once it has subscribed.
    bot: Option<String>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (bot, number) = (self.bot.take(), self.number);
        self.wecom.with(|state| {
            if let Some(bot) = bot
                && state
                    .links
                    .get(&bot)
                    .is_some_and(|link| link.number == number)
            {
                state.links.remove(&bot);
            }
        });
    }
}

async fn run(wecom: Wecom, socket: Socket, mut frames: Frames) {
    let number = wecom.quietly(State::number);
    let mut connection = Connection {
        wecom,
        number,
        socket,
        bot: None,
    };
    while let Some(frame) = frames.next().await {
        if let Frame::Text(text) = frame
            && !connection.hear(&text).await
        {
            connection.socket.cut();
            return;
        }
    }
}

impl Connection {
    /// Takes a frame from the bot; whether the connection goes on.
    async fn hear(&mut self, text: &str) -> bool {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return self.acknowledge("", &Err(ApiError::json()));
        };
        let name = frame.get("cmd").and_then(Value::as_str).unwrap_or("");
        let name: String = name.chars().take(100).collect();
        let request = frame
            .get("headers")
            .and_then(|headers| headers.get("req_id")?.as_str())
            .unwrap_or("")
            .to_owned();
        let content = frame.get("body").cloned().unwrap_or_default();
        let mut noted = content.clone();
        if let Some(fields) = noted.as_object_mut() {
            fields.remove("secret");
            fields.remove("base64_data");
        }
        let entry = self.wecom.begin(Call {
            number: 0,
            at_ms: 0,
            bot: self.bot.clone().unwrap_or_default(),
            method: name.clone(),
            body: noted,
            outcome: Outcome::Pending,
            errcode: None,
            answer: None,
        });
        let fault = self.wecom.with(|state| state.faults.rules.take(&name));
        match &fault {
            Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Some(Fault::DropBefore) => {
                entry.end(Outcome::Dropped, None);
                return false;
            }
            // Nobody answers, and the connection stays open.
            Some(Fault::Hang) => {
                entry.end(Outcome::Dropped, None);
                return true;
            }
            _ => {}
        }
        let answer = match &fault {
            Some(Fault::Refuse { errcode }) => Err(ApiError::new(*errcode, "refused")),
            Some(Fault::ServerError { .. }) => Err(ApiError::new(-1, "system error")),
            _ => self.execute(&name, &request, &content),
        };
        let shown = body(&answer, self.number);
        if matches!(fault, Some(Fault::LoseAnswer)) {
            entry.end(Outcome::AnswerLost, Some((200, shown)));
            return false;
        }
        entry.end(Outcome::Answered, Some((200, shown)));
        self.acknowledge(&request, &answer)
    }

    fn execute(&mut self, name: &str, request: &str, content: &Value) -> Answer {
        match (name, self.bot.clone()) {
            ("aibot_subscribe", None) => self.subscribe(content),
            ("aibot_subscribe", Some(_)) => Ok(Reply::ok()),
            (_, None) => Err(ApiError::new(846_609, "connection not subscribed")),
            ("ping", Some(_)) => Ok(Reply::ok()),
            (_, Some(bot)) => self.wecom.with(|state| {
                let is_mine = state
                    .links
                    .get(&bot)
                    .is_some_and(|link| link.number == self.number);
                if !is_mine {
                    return Err(ApiError::new(846_609, "connection not subscribed"));
                }
                commands::run(
                    name,
                    &mut Command {
                        state,
                        config: self.wecom.config(),
                        bot: &bot,
                        request,
                        body: content,
                    },
                )
            }),
        }
    }

    /// One connection per bot: the one before is told and closed.
    fn subscribe(&mut self, content: &Value) -> Answer {
        let field = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or("");
        let (id, secret) = (field("bot_id"), field("secret"));
        let wecom = self.wecom.clone();
        wecom.with(|state| {
            let bot = state
                .bot(id)
                .filter(|bot| bot.product == Product::Link)
                .ok_or_else(|| ApiError::new(93019, "invalid bot_id"))?;
            if bot.secret.0 != secret {
                let words = "signature is incorrect, please check if the bot secret is correct";
                return Err(ApiError::new(853_000, words));
            }
            if let Some(rate) = wecom.config().subscribe_rate
                && !state.count(id, "subscribe", (rate, u32::MAX))
            {
                return Err(ApiError::rate());
            }
            let link = Link::new(self.number, self.socket.clone());
            if let Some(old) = state.links.insert(id.to_owned(), link) {
                disconnect(&old, id);
            }
            self.bot = Some(id.to_owned());
            Ok(Reply::ok())
        })
    }

    /// An acknowledgement has the `req_id` of the command, and what there is to say under `body`.
    fn acknowledge(&self, request: &str, answer: &Answer) -> bool {
        let mut frame = json!({"headers": {"req_id": request}});
        let whole = body(answer, self.number);
        if let Some(fields) = frame.as_object_mut() {
            for name in ["errcode", "errmsg"] {
                fields.insert(
                    name.to_owned(),
                    whole.get(name).cloned().unwrap_or_default(),
                );
            }
            if let Ok(Reply::Json(Value::Object(content))) = answer {
                fields.insert("body".into(), content.clone().into());
            }
        }
        self.socket.text(frame.to_string())
    }
}

/// Tells a connection that another one took its place, and closes it.
pub(in crate::wecom) fn disconnect(link: &Link, bot: &str) {
    let event = json!({
        "cmd": "aibot_event_callback",
        "headers": {"req_id": format!("disconnected-{}", link.number)},
        "body": {
            "msgid": format!("disconnected-{}", link.number), "aibotid": bot, "msgtype": "event",
            "event": {"eventtype": "disconnected_event"},
        },
    });
    link.socket.text(event.to_string());
    link.socket.close(1000, "");
}
