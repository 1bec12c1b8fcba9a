//! Socket Mode: the connections of an app and what they have not acknowledged.
//!
//! <https://docs.slack.dev/apis/events-api/using-socket-mode/>

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::config::SlackConfig;
use super::deliver::{Parcel, Target};
use crate::common::socket::Socket;

/// Envelopes that wait for a connection; beyond that the oldest are lost.
const MAX_WAITING: usize = 50_000;

/// One connection.
#[derive(Debug)]
struct Open {
    id: u64,
    socket: Socket,
}

/// An envelope on its way.
#[derive(Debug, Clone)]
struct Envelope {
    id: String,
    parcel: Parcel,
    /// How often it has been sent before.
    attempt: usize,
    reason: &'static str,
}

/// What is to be done at a time.
#[derive(Debug)]
enum Due {
    /// An envelope should have been acknowledged.
    Ack(String),
    Send(Box<Envelope>),
    /// A connection that was told to leave ends.
    Close(u64),
}

/// How a delivery by socket ended.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) parcel: Parcel,
    pub(crate) attempt: usize,
    /// What came with the acknowledgement, or why there was none.
    pub(crate) outcome: Result<Value, &'static str>,
}

/// All connections of one app.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    open: Vec<Open>,
    turn: usize,
    waiting: VecDeque<Envelope>,
    unacked: BTreeMap<String, (u64, Envelope)>,
    due: BTreeMap<(Instant, u64), Due>,
    count: u64,
}

impl Sockets {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Envelopes that were sent and not acknowledged, or could not be sent yet.
    pub(crate) fn pending(&self) -> usize {
        self.unacked.len() + self.waiting.len()
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn schedule(&mut self, at: Instant, due: Due) {
        let number = self.number();
        self.due.insert((at, number), due);
    }

    /// A connection is open: it is greeted and gets what has waited.
    pub(crate) fn join(&mut self, app: &str, socket: Socket, config: &SlackConfig) -> u64 {
        let id = self.number();
        let hello = json!({"type": "hello", "num_connections": self.open.len() + 1,
            "debug_info": {"host": format!("applink-{id}"), "build_number": 1,
                "approximate_connection_time": 18_060},
            "connection_info": {"app_id": app}});
        socket.text(hello.to_string());
        self.open.push(Open { id, socket });
        for envelope in std::mem::take(&mut self.waiting) {
            self.send(envelope, config);
        }
        id
    }

    /// A connection has ended: what it did not acknowledge is due again.
    pub(crate) fn part(&mut self, id: u64) -> Vec<Settled> {
        self.open.retain(|open| open.id != id);
        let lost: Vec<String> = self
            .unacked
            .iter()
            .filter(|(_, (socket, _))| *socket == id)
            .map(|(envelope, _)| envelope.clone())
            .collect();
        let mut settled = Vec::new();
        for envelope in lost {
            if let Some((_, envelope)) = self.unacked.remove(&envelope) {
                settled.extend(self.again(envelope, Duration::ZERO, "connection_failed"));
            }
        }
        settled
    }

    /// Hands a parcel to one arbitrary connection; gives it back when it cannot wait for one.
    pub(crate) fn offer(
        &mut self,
        id: String,
        parcel: Parcel,
        config: &SlackConfig,
    ) -> Option<Settled> {
        if self.open.is_empty() && parcel.target != Target::Events {
            return Some(Settled {
                parcel,
                attempt: 0,
                outcome: Err("no_connection"),
            });
        }
        let envelope = Envelope {
            id,
            parcel,
            attempt: 0,
            reason: "",
        };
        self.send(envelope, config);
        None
    }

    fn send(&mut self, envelope: Envelope, config: &SlackConfig) {
        let frame = envelope.frame();
        for _ in 0..self.open.len() {
            self.turn = (self.turn + 1) % self.open.len();
            if let Some(open) = self.open.get(self.turn)
                && open.socket.text(frame.clone())
            {
                let socket = open.id;
                let id = envelope.id.clone();
                self.schedule(Instant::now() + config.ack_timeout, Due::Ack(id.clone()));
                self.unacked.insert(id, (socket, envelope));
                return;
            }
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(envelope);
    }

    /// Sends an envelope once more, if it is of a kind that comes again; otherwise it is settled.
    fn again(
        &mut self,
        mut envelope: Envelope,
        wait: Duration,
        reason: &'static str,
    ) -> Option<Settled> {
        if envelope.parcel.target != Target::Events {
            return Some(Settled {
                attempt: envelope.attempt,
                parcel: envelope.parcel,
                outcome: Err("operation_timeout"),
            });
        }
        envelope.attempt += 1;
        envelope.reason = reason;
        self.schedule(Instant::now() + wait, Due::Send(Box::new(envelope)));
        None
    }

    /// A client has acknowledged an envelope.
    pub(crate) fn acknowledge(&mut self, envelope: &str, payload: Value) -> Option<Settled> {
        let (_, envelope) = self.unacked.remove(envelope)?;
        Some(Settled {
            parcel: envelope.parcel,
            attempt: envelope.attempt,
            outcome: Ok(payload),
        })
    }

    /// Tells every connection to leave; with a grace, after which it ends.
    pub(crate) fn disconnect(&mut self, reason: &str, grace: Duration) {
        let mut leaving = Vec::new();
        for open in &self.open {
            let host = format!("applink-{}", open.id);
            let frame =
                json!({"type": "disconnect", "reason": reason, "debug_info": {"host": host}});
            open.socket.text(frame.to_string());
            leaving.push(open.id);
        }
        for id in leaving {
            self.schedule(Instant::now() + grace, Due::Close(id));
        }
    }

    pub(crate) fn newest(&self) -> Option<u64> {
        self.open.iter().map(|open| open.id).max()
    }

    /// Does something to every connection.
    pub(crate) fn each(&self, work: impl Fn(&Socket)) {
        self.open.iter().for_each(|open| work(&open.socket));
    }

    /// Does what is due by now; gives what has been given up, and when to look again.
    pub(crate) fn run(
        &mut self,
        now: Instant,
        config: &SlackConfig,
    ) -> (Vec<Settled>, Option<Instant>) {
        let mut settled = Vec::new();
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            match entry.remove() {
                Due::Send(envelope) => self.send(*envelope, config),
                Due::Close(id) => {
                    if let Some(open) = self.open.iter().find(|open| open.id == id) {
                        open.socket.close(1000, "refresh");
                    }
                }
                Due::Ack(id) => {
                    let Some((_, envelope)) = self.unacked.remove(&id) else {
                        continue;
                    };
                    match config.retries.get(envelope.attempt) {
                        Some(wait) => settled.extend(self.again(envelope, *wait, "timeout")),
                        None => settled.push(Settled {
                            attempt: envelope.attempt,
                            parcel: envelope.parcel,
                            outcome: Err("timeout"),
                        }),
                    }
                }
            }
        }
        (settled, self.due.keys().next().map(|(at, _)| *at))
    }
}

impl Envelope {
    fn frame(&self) -> String {
        let kind = match self.parcel.target {
            Target::Events => "events_api",
            Target::Commands => "slash_commands",
            Target::Interactions | Target::Options => "interactive",
        };
        let mut frame = json!({"envelope_id": self.id, "type": kind, "payload": self.parcel.payload,
            "accepts_response_payload": self.parcel.target != Target::Events});
        if self.parcel.target == Target::Events {
            super::events::set(&mut frame, "retry_attempt", self.attempt.into());
            super::events::set(&mut frame, "retry_reason", self.reason.into());
        }
        frame.to_string()
    }
}
