//! Opening a connection: hello, then identify or resume
//! (<https://docs.discord.com/developers/events/gateway#connections>).

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    BoxSocket, Error, ErrorKind, Frame, Result, SocketRequest, async_trait, random_unit,
};
use channel_http::reconnect::{Dial, Dialed, Heartbeat};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::close::{Verdict, verdict};
use super::inflate::Inflating;
use super::shard::{Resume, Shard};
use crate::PLATFORM;
use crate::client::Op;
use crate::shared::Shared;
use crate::wire::head;

/// The longest interval between heartbeats that is believed, in milliseconds; Discord's is
/// 41,250.
const LONGEST_INTERVAL: u64 = 60_000;
/// The largest message; a server with many members comes in one.
const MAX_MESSAGE: usize = 16 << 20;
/// The most frames that may come before the answer.
const EARLY_FRAMES: usize = 64;
/// How often the address of a session is tried before the common one is.
const OWN_ADDRESS: u32 = 3;

/// Opens the connections of one shard.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) shard: Arc<Shard>,
}

#[derive(Deserialize)]
struct Hello {
    heartbeat_interval: u64,
}

#[derive(Serialize)]
struct Command<T> {
    op: u8,
    d: T,
}

/// <https://docs.discord.com/developers/events/gateway-events#identify>
#[derive(Serialize)]
struct Identify<'a> {
    token: &'a str,
    intents: u64,
    properties: Properties,
    shard: [u32; 2],
}

#[derive(Serialize)]
struct Properties {
    os: &'static str,
    browser: &'static str,
    device: &'static str,
}

/// <https://docs.discord.com/developers/events/gateway-events#resume>
#[derive(Serialize)]
struct ResumeFields<'a> {
    token: &'a str,
    session_id: &'a str,
    seq: u64,
}

/// A frame with a command.
fn command<T: Serialize>(op: u8, d: T) -> Frame {
    // Plain structs of texts and numbers always serialise.
    Frame::text(serde_json::to_string(&Command { op, d }).unwrap_or_default())
}

pub(super) fn beat(last: Option<u64>) -> Frame {
    command(1, last)
}

fn wrong(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).on(PLATFORM, Op::Gateway.operation())
}

#[async_trait]
impl Dial for Door {
    async fn dial(&self) -> Result<Dialed> {
        let opened = self.open().await;
        if opened.is_err() {
            self.shard.failed();
        }
        opened
    }
}

impl Door {
    async fn open(&self) -> Result<Dialed> {
        let shared = &self.shared;
        // Without its own id the bot cannot tell when it is mentioned.
        if shared.me().is_none() {
            shared.identify().await?;
        }
        let plan = shared.link.gate.plan(shared).await?;
        let resume = self.shard.resume(Some(plan.shards));
        if resume.is_none() {
            self.shard.forget("the number of shards has changed");
            let wait = shared.link.gate.take(self.shard.index, shared.elapsed())?;
            shared.client.transport.clock.sleep(wait).await;
        }
        // The address of the session is the better one, as long as it works.
        let address = match &resume {
            Some(resume) if self.shard.failures() % (OWN_ADDRESS + 1) < OWN_ADDRESS => &*resume.url,
            _ => plan.url.as_str(),
        };
        let mut socket = self.connect(address).await?;
        let interval = self.hello(&mut socket).await?;
        socket
            .send(self.greeting(resume.as_ref(), plan.shards)?)
            .await?;
        let first = self.answer(&mut socket, resume.is_some()).await?;
        if !self.shard.opened(resume.as_ref()) {
            let message = "the session was given up while it was resumed";
            return Err(wrong(ErrorKind::Unavailable, message));
        }
        let random = random_unit(&*shared.client.transport.random);
        let shard = Arc::clone(&self.shard);
        let heartbeat = Heartbeat::new(interval, move || beat(shard.last()))
            .first_after(interval.mul_f64(random));
        Ok(Dialed::new(socket)
            .with_frames(vec![first])
            .with_heartbeat(heartbeat))
    }

    async fn connect(&self, address: &str) -> Result<BoxSocket> {
        let client = &self.shared.client;
        let is_plain = client.base.starts_with("http://");
        let is_socket = address.starts_with("wss://") || (is_plain && address.starts_with("ws://"));
        let base = address.split(['?', '#']).next().unwrap_or_default();
        let is_compressed = self.shared.config.compress;
        let compress = if is_compressed {
            "&compress=zlib-stream"
        } else {
            ""
        };
        let slash = if base.ends_with('/') { "" } else { "/" };
        let address = format!("{base}{slash}?v=10&encoding=json{compress}");
        let request = http::Request::get(address).body(()).ok();
        let request = request.filter(|_| is_socket).ok_or_else(|| {
            wrong(
                ErrorKind::Protocol,
                "the address of the gateway is not one of a socket",
            )
        })?;
        let mut request = SocketRequest::new(request);
        request.max_message = MAX_MESSAGE;
        let socket = client.transport.sockets.connect(request).await;
        // Nobody says who we are before the greeting: what refuses the handshake itself is
        // something in between.
        let socket = socket.map_err(|error| match error.kind() {
            ErrorKind::Unauthenticated | ErrorKind::Forbidden => {
                wrong(ErrorKind::Unavailable, "the gateway refuses the connection")
                    .with_source(error)
            }
            _ => error,
        })?;
        Ok(if is_compressed {
            Box::pin(Inflating::new(socket))
        } else {
            socket
        })
    }

    /// Waits for the first frame, which tells the pace of heartbeats.
    async fn hello(&self, socket: &mut BoxSocket) -> Result<Duration> {
        let frame = self.next(socket).await?;
        let text = text(&frame);
        let hello = text
            .and_then(head)
            .filter(|frame| frame.op == 10)
            .and_then(|frame| serde_json::from_str::<Hello>(frame.data).ok())
            .ok_or_else(|| wrong(ErrorKind::Protocol, "the gateway does not say hello"))?;
        let interval = hello.heartbeat_interval.clamp(100, LONGEST_INTERVAL);
        Ok(Duration::from_millis(interval))
    }

    fn greeting(&self, resume: Option<&Resume>, of: u32) -> Result<Frame> {
        let config = &self.shared.config;
        let missing = || wrong(ErrorKind::Config, "bot_token is missing");
        let token = config.bot_token.as_ref().ok_or_else(missing)?.expose();
        Ok(match resume {
            Some(resume) => command(
                6,
                ResumeFields {
                    token,
                    session_id: &resume.session,
                    seq: resume.seq,
                },
            ),
            None => command(
                2,
                Identify {
                    token,
                    intents: config.intents.bits(),
                    properties: Properties {
                        os: std::env::consts::OS,
                        browser: "channel-kit",
                        device: "channel-kit",
                    },
                    shard: [self.shard.index, of],
                },
            ),
        })
    }

    /// Waits for the first event, which proves that the greeting was accepted.
    async fn answer(&self, socket: &mut BoxSocket, is_resume: bool) -> Result<Frame> {
        for _ in 0..EARLY_FRAMES {
            let frame = self.next(socket).await?;
            let Some(read) = text(&frame).and_then(head) else {
                continue;
            };
            match read.op {
                0 if is_resume || read.name == "READY" => return Ok(frame),
                1 => socket.send(beat(self.shard.last())).await?,
                7 => {
                    return Err(wrong(
                        ErrorKind::Unavailable,
                        "the gateway asks to come back",
                    ));
                }
                9 => {
                    if read.data != "true" {
                        self.shard.forget("discord knows the session no more");
                    }
                    // Discord wants a pause of one to five seconds here.
                    let random = random_unit(&*self.shared.client.transport.random);
                    let wait = Duration::from_secs(1) + Duration::from_secs(4).mul_f64(random);
                    let error = wrong(ErrorKind::Unavailable, "the session is not valid");
                    return Err(error.with_retry_after(wait));
                }
                _ => {}
            }
        }
        Err(wrong(
            ErrorKind::Protocol,
            "the gateway does not answer the greeting",
        ))
    }

    async fn next(&self, socket: &mut BoxSocket) -> Result<Frame> {
        let ended = || wrong(ErrorKind::Unavailable, "the gateway closes the connection");
        let frame = socket.next().await.ok_or_else(ended)??;
        let Frame::Close(close) = &frame else {
            return Ok(frame);
        };
        let code = close.as_ref().map(|close| close.code);
        match verdict(code, self.shared.config.intents) {
            Verdict::Fatal(error) => Err(error),
            Verdict::Anew => {
                self.shard.forget("discord has ended the session");
                Err(ended())
            }
            Verdict::Resume => Err(ended()),
        }
    }
}

/// The text of a frame.
pub(super) fn text(frame: &Frame) -> Option<&str> {
    match frame {
        Frame::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}
