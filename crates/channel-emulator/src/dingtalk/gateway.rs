//! The stream gateway: the websocket, and what is said about the connection itself.
//! <https://open-dingtalk.github.io/developerpedia/docs/learn/stream/protocol/>

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request, State as Shared};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::config::DingtalkConfig;
use super::engine::Dingtalk;
use super::http::Entered;
use super::model::Connection;
use super::state::State;
use crate::common::json::Parts as _;
use crate::common::ledger::Outcome;
use crate::common::socket::{self, Frames, Settings, Socket};
use crate::server::{Closed, cut};

/// The largest frame of a client, in bytes.
const MAX_FRAME: usize = 1024 * 1024;

/// A frame for a client, in text.
pub(crate) fn frame(kind: &str, headers: &Value, data: &Value) -> String {
    json!({
        "specVersion": "1.0",
        "type": kind,
        "headers": headers,
        "data": data.to_string(),
    })
    .to_string()
}

impl State {
    /// A connection of an app.
    pub(crate) fn connection(&mut self, app: &str, id: &str) -> Option<&mut Connection> {
        let app = self.apps.get_mut(app)?;
        app.connections.iter_mut().find(|one| one.id == id)
    }

    /// Sends a SYSTEM frame; gives its `messageId`. Nothing is sent while the platform is silent.
    pub(crate) fn system(&mut self, app: &str, id: &str, topic: &str, data: &Value) -> String {
        let message_id = self.id("");
        let (now, silent) = (self.now_ms.to_string(), self.faults.silent);
        let app_id = self.apps.get(app).map(|app| app.app_id.clone());
        let headers = json!({
            "appId": app_id,
            "connectionId": id,
            "contentType": "application/json",
            "messageId": message_id,
            "time": now,
            "topic": topic,
        });
        if let Some(connection) = self.connection(app, id).filter(|_| !silent) {
            connection.socket.text(frame("SYSTEM", &headers, data));
        }
        message_id
    }

    /// Announces the end of a connection: nothing is pushed to it from now on.
    pub(crate) fn drain(&mut self, app: &str, id: &str, reason: &str) {
        self.system(app, id, "disconnect", &json!({ "reason": reason }));
        if let Some(connection) = self.connection(app, id) {
            connection.draining = true;
            connection.drained.notify_one();
        }
    }

    /// Asks a connection whether it is there; false when it has not answered for too long.
    fn ping(&mut self, config: &DingtalkConfig, app: &str, id: &str) -> bool {
        let opaque = self.uuid();
        if self.faults.silent {
            return true;
        }
        let Some(connection) = self.connection(app, id) else {
            return false;
        };
        if let Some((_, _, since)) = &connection.ping {
            return since.elapsed() < config.ping_timeout;
        }
        let data = json!({ "opaque": opaque });
        let message_id = self.system(app, id, "ping", &data);
        if let Some(connection) = self.connection(app, id) {
            connection.ping = Some((message_id, data, Instant::now()));
        }
        true
    }

    /// An acknowledgement of a client.
    fn take_in(&mut self, app: &str, id: &str, text: &str) {
        if self.faults.silent {
            return;
        }
        let ack: Value = serde_json::from_str(text).unwrap_or_default();
        let message_id = ack.at("headers").text("messageId").to_owned();
        let code = ack.at("code").as_i64().unwrap_or_default();
        // The data is JSON in a string; what is none counts as nothing.
        let data: Value = serde_json::from_str(ack.text("data")).unwrap_or_default();
        if let Some(connection) = self.connection(app, id)
            && let Some((ping, wanted, _)) = &connection.ping
            && *ping == message_id
        {
            if code == 200 && data == *wanted {
                connection.ping = None;
                connection.pongs += 1;
            }
            return;
        }
        self.acknowledged(app, id, &message_id, code, &data);
    }
}

/// `GET /dingtalk/connect`: the websocket itself. A ticket opens one connection.
pub(crate) async fn connect(Shared(dingtalk): Shared<Dingtalk>, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let ticket = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "ticket")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let found = dingtalk.with(|state| {
        let now = state.now_ms;
        state.apps.values_mut().find_map(|app| {
            let at = app.tickets.iter().position(|one| one.value.0 == ticket)?;
            let ticket = app.tickets.remove(at);
            (ticket.ends > now).then(|| (app.id.clone(), ticket.topics))
        })
    });
    let app = found.as_ref().map_or("", |(app, _)| app.as_str());
    let entered = Entered::new(&dingtalk, "connect", false, app, &head, Value::Null);
    let entered = match entered.meet(&dingtalk).await {
        Ok((entered, false)) => entered,
        // An upgrade whose answer is lost is no connection.
        Ok((entered, true)) => {
            entered.end(Outcome::AnswerLost, None);
            return cut(head.extensions.get().cloned()).await;
        }
        Err(response) => return response,
    };
    let Some((app, topics)) = found else {
        let status = StatusCode::UNAUTHORIZED;
        entered.end(Outcome::Answered, Some((status.as_u16(), Value::Null)));
        return status.into_response();
    };
    let closed = head.extensions.get::<Closed>().cloned();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    entered.end(Outcome::Answered, Some((101, Value::Null)));
    let settings = Settings {
        max_message: MAX_FRAME,
        ping: None,
    };
    socket::accept(upgrade, closed, settings, move |socket, frames| {
        serve(dingtalk, app, topics, socket, frames)
    })
}

async fn serve(
    dingtalk: Dingtalk,
    app: String,
    topics: Vec<(String, String)>,
    socket: Socket,
    mut frames: Frames,
) {
    let drained = Arc::new(Notify::new());
    let id = dingtalk.with(|state| {
        let id = state.uuid();
        if let Some(app) = state.apps.get_mut(&app) {
            app.connections.push(Connection {
                id: id.clone(),
                socket: socket.clone(),
                topics,
                draining: false,
                drained: Arc::clone(&drained),
                ping: None,
                pongs: 0,
            });
        }
        state.system(&app, &id, "CONNECTED", &json!({}));
        if !state.faults.unregistered {
            state.system(&app, &id, "REGISTERED", &json!({}));
        }
        id
    });
    let config = dingtalk.config();
    let every = |period| {
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    };
    let (mut pings, mut alive) = (every(config.ping), every(config.keepalive));
    let mut end: Option<Instant> = None;
    loop {
        tokio::select! {
            frame = frames.next() => match frame {
                Some(socket::Frame::Text(text)) => {
                    dingtalk.with(|state| state.take_in(&app, &id, &text));
                }
                // Who does not speak the protocol is sent away.
                Some(socket::Frame::Binary(_)) => socket.close(1003, "text frames only"),
                Some(_) => {}
                None => break,
            },
            _ = pings.tick(), if end.is_none() => {
                if !dingtalk.quietly(|state| state.ping(config, &app, &id)) {
                    socket.cut();
                    break;
                }
            }
            _ = alive.tick(), if end.is_none() => {
                dingtalk.quietly(|state| state.system(&app, &id, "KEEPALIVE", &json!({})));
            }
            () = drained.notified(), if end.is_none() => {
                end = Some(Instant::now() + config.drain_grace);
            }
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                socket.cut();
                break;
            }
        }
    }
    dingtalk.with(|state| {
        if let Some(app) = state.apps.get_mut(&app) {
            app.connections.retain(|one| one.id != id);
        }
    });
}
