//! The long connection: where it is found, and what goes over it.
//!
//! <https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/request-url-configuration-case>

use std::collections::BTreeMap;

use axum::body::to_bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request, State as Shared};
use axum::response::Response;
use axum::{Json, response::IntoResponse as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};
use prost::Message as _;
use serde_json::{Value, json};

use super::crypto::Frame;
use super::engine::Feishu;
use super::faults::Fault;
use super::http::Entered;
use super::model::{Connection, Hidden};
use super::state::State;
use crate::common::json::Parts as _;
use crate::common::ledger::Outcome;
use crate::common::socket::{self, Frames, Settings, Socket};
use crate::server::Closed;

/// The largest frame of a client, in bytes.
const MAX_FRAME: usize = 1024 * 1024;
/// Tickets of one app that wait to be used.
const MAX_TICKETS: usize = 100;

impl State {
    /// A connection of an app, by its number.
    pub(crate) fn connection(&mut self, app: &str, number: u64) -> Option<&mut Connection> {
        let app = self.apps.get_mut(app)?;
        app.connections.iter_mut().find(|one| one.number == number)
    }
}

/// `POST /callback/ws/endpoint`: exchanges the app's credentials for an address.
pub(crate) async fn endpoint(Shared(feishu): Shared<Feishu>, request: Request) -> Response {
    feishu.deliver();
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 * 1024).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let app = body.text("AppID").to_owned();
    let entered = Entered::new(&feishu, "ws_endpoint", &app, &head, json!({"AppID": app}));
    entered
        .run(&feishu, || {
            let secret = body.text("AppSecret");
            let body = feishu.with(|state| ticket(state, &feishu, &app, secret, &host));
            (StatusCode::OK, Json(body)).into_response()
        })
        .await
}

fn ticket(state: &mut State, feishu: &Feishu, id: &str, secret: &str, host: &str) -> Value {
    let fail = |code: i64, message: &str| json!({"code": code, "msg": message, "data": null});
    let ticket = state.hex();
    let service = i32::try_from(state.random() % 1_000_000).unwrap_or(1);
    let device = state.random() >> 1;
    let config = feishu.config();
    let Some(app) = state.apps.get_mut(id) else {
        return fail(514, "auth failed");
    };
    if app.secret.0 != secret {
        return fail(514, "auth failed");
    }
    if app.disabled {
        return fail(403, "forbidden");
    }
    if app.connections.len() >= config.max_connections {
        return fail(1_000_040_350, "exceed max connections");
    }
    if app.tickets.len() >= MAX_TICKETS {
        app.tickets.remove(0);
    }
    app.tickets.push((Hidden(ticket.clone()), service));
    let url = format!(
        "ws://{host}/ws/v2?fpid=493&aid=552564&device_id={device}&access_key={ticket}&service_id={service}&ticket={ticket}"
    );
    json!({"code": 0, "msg": "", "data": {"URL": url, "ClientConfig": client_config(feishu)}})
}

fn client_config(feishu: &Feishu) -> Value {
    let config = feishu.config();
    json!({
        "ReconnectCount": -1,
        "ReconnectInterval": config.reconnect_interval,
        "ReconnectNonce": config.reconnect_nonce,
        "PingInterval": config.ping_interval,
    })
}

/// `GET /ws/v2`: the websocket itself. A ticket opens one connection.
pub(crate) async fn connect(Shared(feishu): Shared<Feishu>, request: Request) -> Response {
    let (mut head, _) = request.into_parts();
    let ticket = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("ticket="))
        .unwrap_or_default()
        .to_owned();
    let found = feishu.with(|state| {
        state.apps.values_mut().find_map(|app| {
            let at = app.tickets.iter().position(|(one, _)| one.0 == ticket)?;
            Some((app.id.clone(), app.tickets.remove(at).1))
        })
    });
    let app = found.as_ref().map_or("", |(app, _)| app.as_str());
    let entered = Entered::new(&feishu, "ws_upgrade", app, &head, Value::Null);
    let fault = entered.fault(&feishu);
    if let Some(Fault::Refuse {
        status,
        code,
        message,
    }) = fault
    {
        entered.end(Outcome::Answered, Some((status, json!({"code": code}))));
        return refused(status, code, &message);
    }
    let Some((app, service)) = found else {
        entered.end(Outcome::Answered, Some((403, Value::Null)));
        return refused(403, 403, "forbidden");
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
        serve(feishu, app, service, socket, frames)
    })
}

/// A refused upgrade says why in headers.
fn refused(status: u16, code: i64, message: &str) -> Response {
    let status_code = StatusCode::from_u16(status)
        .ok()
        .filter(|status| *status != StatusCode::SWITCHING_PROTOCOLS)
        .unwrap_or(StatusCode::FORBIDDEN);
    let mut response = status_code.into_response();
    let headers = response.headers_mut();
    headers.insert("handshake-status", HeaderValue::from(status));
    headers.insert("handshake-autherrcode", HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_str(message) {
        headers.insert("handshake-msg", message);
    }
    response
}

async fn serve(feishu: Feishu, app: String, service: i32, socket: Socket, mut frames: Frames) {
    let number = feishu.with(|state| {
        let number = state.random();
        if let Some(app) = state.apps.get_mut(&app) {
            app.connections.push(Connection {
                number,
                service,
                socket: socket.clone(),
                waiting: BTreeMap::new(),
            });
        }
        number
    });
    while let Some(frame) = frames.next().await {
        if let socket::Frame::Binary(bytes) = frame {
            let Ok(frame) = Frame::decode(bytes) else {
                // Who does not speak the protocol is sent away.
                socket.close(1002, "protocol error");
                break;
            };
            feishu.with(|state| take_in(&feishu, state, (&app, number), &socket, &frame));
        }
    }
    feishu.with(|state| {
        if let Some(app) = state.apps.get_mut(&app) {
            app.connections.retain(|one| one.number != number);
        }
    });
}

fn take_in(
    feishu: &Feishu,
    state: &mut State,
    (app, number): (&str, u64),
    socket: &Socket,
    frame: &Frame,
) {
    if state.faults.silent {
        return;
    }
    if frame.method == 0 {
        if frame.header("type") == Some("ping") {
            let config = client_config(feishu).to_string().into_bytes();
            socket.binary(Frame::pong(frame.service, config).encode_to_vec().into());
        }
        return;
    }
    let Some(id) = frame.header("message_id").map(str::to_owned) else {
        return;
    };
    let payload = frame.payload.as_deref().unwrap_or_default();
    let mut answer: Value = serde_json::from_slice(payload).unwrap_or_default();
    if let Some(data) = answer.at("data").as_str() {
        let data = STANDARD.decode(data).unwrap_or_default();
        let code = answer.at("code").clone();
        answer = serde_json::from_slice(&data).unwrap_or_default();
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("code".to_owned(), code);
        } else {
            answer = json!({ "code": code });
        }
    }
    if let Some(connection) = state.connection(app, number)
        && let Some(waiting) = connection.waiting.remove(&id)
    {
        let _ = waiting.send(answer);
    }
}
