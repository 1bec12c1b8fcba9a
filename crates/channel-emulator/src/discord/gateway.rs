//! The gateway's connections. <https://docs.discord.com/developers/events/gateway>

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, OriginalUri, Query, State as Shared};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::respond;
use super::compress::{Codec, whole};
use super::engine::Discord;
use super::faults::Fault;
use super::http::{banned, server_error};
use super::protocol::{self, Close, Step};
use super::sessions::{Mute, Order};
use crate::common::faults::take;
use crate::common::socket::{Frame, Frames, Settings, Socket, accept};
use crate::server::{Closed, Cut, cut};

/// A message is refused at 4096 bytes with a close code, so that much more has to come in.
const MAX_MESSAGE: usize = 256 * 1024;
/// Dispatches that are handed to a socket at once.
const BATCH: usize = 256;

/// `/gateway` and, from READY, `/gateway/resume`.
pub(crate) async fn connect(
    Shared(discord): Shared<Discord>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    closed: Option<Extension<Closed>>,
    connection: Option<Extension<Cut>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    discord.note_authority(&headers);
    match discord.with(|state| state.faults.take("gateway.connect")) {
        None => {}
        Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::DropBefore | Fault::LoseAnswer) => {
            return cut(connection.map(|Extension(cut)| cut)).await;
        }
        Some(Fault::ServerError { status }) => return server_error(status),
        Some(Fault::TooManyRequests { retry_after_ms, .. }) => {
            return banned(i64::try_from(retry_after_ms).unwrap_or(i64::MAX));
        }
        Some(Fault::Banned { retry_after }) => {
            return banned(i64::try_from(retry_after.saturating_mul(1000)).unwrap_or(i64::MAX));
        }
        Some(Fault::Refuse {
            status,
            code,
            message,
        }) => {
            return respond(status, &json!({"message": message, "code": code}));
        }
    }
    let settings = Settings {
        max_message: MAX_MESSAGE,
        ping: None,
    };
    let closed = closed.map(|Extension(closed)| closed);
    accept(
        upgrade,
        closed,
        settings,
        move |socket, frames| async move {
            let wanted = query.get("compress").map(String::as_str);
            let number = discord.with(|state| state.open_connection(uri.path(), wanted));
            let mut end = End {
                discord: discord.clone(),
                number,
                by: "lost",
                code: None,
            };
            let fits = query.get("v").is_some_and(|version| version == "10");
            let json = query
                .get("encoding")
                .is_none_or(|encoding| encoding == "json");
            let codec = Codec::new(wanted).filter(|_| json);
            let (Some(codec), true) = (codec, fits) else {
                let (code, reason) = if fits {
                    protocol::DECODE
                } else {
                    protocol::INVALID_VERSION
                };
                end.by_server(code);
                socket.close(code, reason);
                return;
            };
            let line = Line {
                discord,
                number,
                socket,
                codec,
                seq: None,
            };
            line.run(frames, &mut end).await;
        },
    )
}

/// Notes how a connection ended, whatever ends it.
struct End {
    discord: Discord,
    number: u64,
    by: &'static str,
    code: Option<u16>,
}

impl End {
    fn by_server(&mut self, code: u16) {
        (self.by, self.code) = ("server", Some(code));
        self.note();
    }

    fn note(&self) {
        self.discord
            .with(|state| state.close_connection(self.number, self.by, self.code));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.note();
    }
}

/// One connection.
struct Line {
    discord: Discord,
    number: u64,
    socket: Socket,
    codec: Codec,
    /// The last dispatch that was sent, once there is a session.
    seq: Option<u64>,
}

/// What is to be done with a connection now.
struct Due {
    orders: Vec<Order>,
    mute: Mute,
    frames: Vec<std::sync::Arc<str>>,
    payloads: bool,
    /// The last of the frames.
    last: Option<u64>,
    more: bool,
}

impl Line {
    async fn run(mut self, mut frames: Frames, end: &mut End) {
        let heartbeat = self.discord.quietly(|state| state.config.heartbeat);
        let millis = u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX);
        self.send(&json!({
            "op": 10, "s": null, "t": null, "d": {"heartbeat_interval": millis, "_trace": ["[\"emulator\",{}]"]},
        }));
        let mut changes = self.discord.changes();
        // A client that stays away for two intervals is gone.
        let mut patience = Instant::now() + heartbeat * 2;
        loop {
            changes.mark_unchanged();
            let due = self.due();
            for order in due.orders {
                match order {
                    Order::Send(frame) => self.send(&frame),
                    Order::Close(code, reason) => {
                        return self.close((code, reason), end, frames).await;
                    }
                    Order::Cut => return self.socket.cut(),
                }
            }
            if due.mute == Mute::HalfOpen {
                return self.deaf().await;
            }
            for frame in due.frames {
                self.dispatch(&frame, due.payloads);
            }
            self.seq = due.last.or(self.seq);
            if due.more {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                frame = frames.next() => {
                    patience = Instant::now() + heartbeat * 2;
                    let step = match frame {
                        None => return,
                        Some(Frame::Close(code)) => {
                            (end.by, end.code) = ("client", code);
                            return;
                        }
                        Some(Frame::Ping | Frame::Pong) => continue,
                        Some(Frame::Text(text)) => self.receive(text.as_bytes()).await,
                        Some(Frame::Binary(bytes)) => self.receive(&bytes).await,
                    };
                    match step {
                        None => return self.socket.cut(),
                        Some(Step::Close(close)) => return self.close(close, end, frames).await,
                        Some(Step::Attach(seq)) => self.seq = Some(seq),
                        Some(Step::Send(answer)) => {
                            self.send(&answer);
                        }
                        Some(Step::Nothing) => {}
                    }
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep_until(patience) => {
                    return self.close(protocol::TIMED_OUT, end, frames).await;
                }
            }
        }
    }

    /// Collects what has come up for this connection.
    fn due(&self) -> Due {
        self.discord.quietly(|state| {
            let reordered = &mut state.reorder;
            let duplicated = &mut state.duplicate;
            let mut due = Due {
                orders: Vec::new(),
                mute: Mute::Off,
                frames: Vec::new(),
                payloads: false,
                last: None,
                more: false,
            };
            let Some(connection) = state.connections.get_mut(&self.number) else {
                due.orders.push(Order::Cut);
                return due;
            };
            due.orders.extend(connection.orders.drain(..));
            due.mute = connection.mute;
            due.payloads = connection.payloads;
            let session = connection
                .view
                .session
                .as_ref()
                .and_then(|id| state.sessions.get(id));
            let (Some(session), Some(seq), Mute::Off) = (session, self.seq, due.mute) else {
                return due;
            };
            let mut events = session.after(seq, BATCH);
            due.more = events.len() == BATCH;
            due.last = events.last().map(|(seq, _)| *seq);
            // READY stays first.
            let from = usize::from(seq == 0);
            if events.len() > from + 1 && take(reordered) {
                events.swap(from, from + 1);
            }
            for (seq, frame) in events {
                if seq > 1 && take(duplicated) {
                    due.frames.push(frame.clone());
                }
                due.frames.push(frame);
            }
            due
        })
    }

    /// Acts on a frame; `None` drops the connection.
    async fn receive(&mut self, bytes: &[u8]) -> Option<Step> {
        let frame = match protocol::Frame::read(bytes) {
            Ok(frame) => frame,
            Err(close) => return Some(Step::Close(close)),
        };
        match self.discord.with(|state| state.faults.take(frame.name())) {
            Some(Fault::Delay { ms }) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Some(Fault::Hang) => return Some(Step::Nothing),
            Some(Fault::DropBefore | Fault::LoseAnswer) => return None,
            _ => {}
        }
        Some(
            self.discord
                .with(|state| state.receive(self.number, &frame)),
        )
    }

    fn send(&mut self, frame: &Value) {
        self.write(&frame.to_string());
    }

    fn dispatch(&mut self, frame: &str, payloads: bool) {
        if payloads && self.codec.is_plain() {
            self.socket.binary(whole(frame).into());
        } else {
            self.write(frame);
        }
    }

    fn write(&mut self, text: &str) {
        match self.codec.encode(text) {
            None => self.socket.text(text.to_owned()),
            Some(bytes) => self.socket.binary(Bytes::from(bytes)),
        };
    }

    /// Closes, and reads on until the client has answered: a connection that is dropped with unread frames may lose
    /// the close code on its way.
    async fn close(&self, (code, reason): Close, end: &mut End, mut frames: Frames) {
        end.by_server(code);
        self.socket.close(code, reason);
        while frames.next().await.is_some() {}
    }

    /// Reads nothing and sends nothing until the test cuts the connection.
    async fn deaf(&self) {
        self.socket.stall();
        let mut changes = self.discord.changes();
        loop {
            changes.mark_unchanged();
            let cut = self.discord.quietly(|state| {
                state
                    .connections
                    .get_mut(&self.number)
                    .is_none_or(|connection| {
                        connection.mute != Mute::HalfOpen || !connection.orders.is_empty()
                    })
            });
            if cut || changes.changed().await.is_err() {
                return self.socket.cut();
            }
        }
    }
}
