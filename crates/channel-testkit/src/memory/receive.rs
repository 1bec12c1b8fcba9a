//! The two ways in: the channel's own connection, and signed requests.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    Accepted, Acknowledge, Answer, ChannelId, Clock, Connection, Error, Events, Received,
    Rejection, Result, Route, Webhook, async_trait,
};
use futures_core::stream::BoxStream;
use futures_util::future::{Either, select};
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response};

use super::platform::State;
use super::wire::decode;
use super::{Inner, MemoryChannel};
use crate::wait::Shared;

const PATH: &str = "/memory/webhook";
const SIGNATURE: &str = "memory-signature";
const TIMESTAMP: &str = "memory-timestamp";

/// How far the clocks of platform and channel may be apart, and how old a request may be.
const WINDOW: Duration = Duration::from_secs(300);

/// How often a connection proves that it lives.
const ALIVE: Duration = Duration::from_secs(60);

pub(super) fn routes() -> [Route; 2] {
    [Route::post(PATH, 1 << 20), Route::get(PATH)]
}

#[derive(Debug)]
struct Inbox(Arc<Shared<State>>);

#[async_trait]
impl Acknowledge for Inbox {
    async fn ack(&self, token: u64) -> Result<()> {
        self.0
            .change(|state| state.inbound.retain(|slot| slot.token != token));
        Ok(())
    }

    async fn nak(&self, token: u64) -> Result<()> {
        self.0.change(|state| {
            let slot = state.inbound.iter_mut().find(|slot| slot.token == token);
            if let Some(slot) = slot {
                slot.out = false;
            }
        });
        Ok(())
    }

    fn abandon(&self, _token: u64) {
        // It stays in the queue, for the next stream.
    }
}

/// What the live stream sees next.
enum Next {
    Event(u64, Bytes),
    Lost,
    /// A newer stream has taken over.
    Over,
}

struct Connected {
    state: Arc<Shared<State>>,
    clock: Arc<dyn Clock>,
    channel: ChannelId,
    stream: u64,
    greeted: bool,
}

impl Connected {
    fn news(&self, news: Connection) -> Received {
        Received::connection(self.channel.clone(), news)
    }

    async fn next(&mut self) -> Option<Received> {
        if !self.greeted {
            self.greeted = true;
            return Some(self.news(Connection::Ready));
        }
        loop {
            let number = self.stream;
            let next = self.state.until(|state| {
                if state.live_stream != number {
                    return Some(Next::Over);
                }
                if std::mem::take(&mut state.lost) {
                    return Some(Next::Lost);
                }
                let slot = state.inbound.iter_mut().find(|slot| !slot.out)?;
                slot.out = true;
                Some(Next::Event(slot.token, slot.payload.clone()))
            });
            let next = std::pin::pin!(next);
            let Either::Left((next, _)) = select(next, self.clock.sleep(ALIVE)).await else {
                return Some(self.news(Connection::Alive));
            };
            match next {
                Next::Over => return None,
                Next::Lost => {
                    self.greeted = false;
                    return Some(self.news(Connection::Lost {
                        cause: "the connection broke".to_owned(),
                        retry_in: Duration::ZERO,
                    }));
                }
                Next::Event(token, payload) => match decode(&payload, &self.channel) {
                    Ok(Some(event)) => {
                        let inbox = Arc::new(Inbox(Arc::clone(&self.state)));
                        return Some(Received::new(event, inbox, token));
                    }
                    verdict => self.state.change(|state| {
                        state.undecodable += u64::from(verdict.is_err());
                        state.inbound.retain(|slot| slot.token != token);
                    }),
                },
            }
        }
    }
}

#[async_trait]
impl Events for MemoryChannel {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        let stream = self.0.state.change(|state| {
            state.inbound.iter_mut().for_each(|slot| slot.out = false);
            state.live_stream += 1;
            state.live_stream
        });
        let connected = Connected {
            state: Arc::clone(&self.0.state),
            clock: Arc::clone(&self.0.clock),
            channel: self.0.info.id.clone(),
            stream,
            greeted: false,
        };
        Box::pin(stream::unfold(connected, |mut connected| async move {
            let received = connected.next().await?;
            Some((Ok(received), connected))
        }))
    }

    async fn close(&self) -> Result<()> {
        self.call("close", |_| Ok(()))
    }
}

impl MemoryChannel {
    /// What users have done since the last call, as signed webhook requests.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request<Bytes>> {
        let payloads = self
            .0
            .state
            .change(|state| std::mem::take(&mut state.inbound));
        payloads
            .into_iter()
            .map(|slot| self.sign(slot.payload))
            .collect()
    }

    fn sign(&self, payload: Bytes) -> Request<Bytes> {
        let now = self.0.clock.now();
        let timestamp = seconds(now);
        let mut request = Request::new(payload);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(PATH);
        let signature = self.0.signature(timestamp, request.body());
        request.headers_mut().insert(TIMESTAMP, timestamp.into());
        if let Ok(value) = signature.parse() {
            request.headers_mut().insert(SIGNATURE, value);
        }
        request
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl Inner {
    /// A keyed checksum. Enough between a test and itself; no signature for real use.
    fn signature(&self, timestamp: u64, body: &[u8]) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.secret.expose().as_bytes());
        hasher.write_u64(timestamp);
        hasher.write(body);
        format!("{:016x}", hasher.finish())
    }

    fn verify(&self, request: &Request<Bytes>, now: SystemTime) -> Result<(), Rejection> {
        let timestamp: u64 = single(request.headers(), TIMESTAMP)?
            .parse()
            .map_err(|_| Rejection::unauthorized("timestamp"))?;
        if seconds(now).abs_diff(timestamp) > WINDOW.as_secs() {
            return Err(Rejection::unauthorized("stale"));
        }
        if single(request.headers(), SIGNATURE)? != self.signature(timestamp, request.body()) {
            return Err(Rejection::unauthorized("signature"));
        }
        Ok(())
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Rejection> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .map_err(|_| Rejection::unauthorized("header is not text")),
        _ => Err(Rejection::unauthorized("header is not there once")),
    }
}

impl Webhook for MemoryChannel {
    fn routes(&self) -> &[Route] {
        &self.0.routes
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Accepted, Rejection> {
        if request.method() == Method::GET {
            let challenge = request
                .uri()
                .query()
                .and_then(|query| query.strip_prefix("challenge="))
                .ok_or(Rejection::malformed("no challenge"))?;
            let answer = Response::new(Bytes::copy_from_slice(challenge.as_bytes()));
            return Ok(Accepted::with(Vec::new(), Answer::Now(answer)));
        }
        self.0.verify(request, now)?;
        let event = decode(request.body(), &self.0.info.id)
            .map_err(|_: Error| Rejection::malformed("not an event"))?;
        Ok(Accepted::ok(event.into_iter().collect()))
    }
}
