//! Opening the long connection
//! (<https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/request-url-configuration-case>),
//! whose protocol only the official SDKs tell
//! (<https://github.com/larksuite/oapi-sdk-python/tree/v2_main/lark_oapi/ws>).

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    Backoff, BoxSocket, Error, ErrorKind, Frame as SocketFrame, HandshakeRefused, Result,
    SocketRequest, async_trait,
};
use channel_http::reconnect::{Dial, Dialed, ReconnectSettings};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};

use crate::PLATFORM;
use crate::error::{CREDENTIALS, Failure};
use crate::frame::Frame;
use crate::shared::{Shared, lock};

const OPERATION: &str = "open connection";
/// The largest frame, in bytes; larger events come in several.
const MAX_FRAME: usize = 1 << 20;
/// How long opening may take, from the address to the first word of the platform.
const OPEN: Duration = Duration::from_secs(15);
/// How soon the bot is back after the end of an outage, and the longest wait between two attempts.
const BACK: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(14);
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// The widest spread of the first attempt after a cut.
const WIDEST_SPREAD: Duration = Duration::from_secs(10);
/// How often the connection is asked for a sign of life at least and at most. Feishu asks for
/// 120 s; death has to show within 90 s.
const SLOWEST_PING: Duration = Duration::from_secs(30);
const FASTEST_PING: Duration = Duration::from_secs(5);
/// How long a connection may be silent at the slowest pace: less than two pings, of which one has
/// gone unanswered for most of the time to the next.
const SILENCE: Duration = Duration::from_secs(55);

const UNPUBLISHED: &str = "feishu does not let the app open a long connection: choose the long connection in the console, page Events & Callbacks, add the bot ability, and publish a version of the app; apps of the app store need webhooks";
const TOO_MANY: &str =
    "the app has as many long connections as feishu allows: stop other processes of the same app";

/// How the server wants the connection to be kept, in seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClientConfig {
    reconnect_interval: Option<i64>,
    reconnect_nonce: Option<i64>,
    ping_interval: Option<i64>,
}

/// The same within our bounds. How often to try at most is not heeded: a bot that gives up is
/// deaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) ping: Duration,
    longest_wait: Duration,
    spread: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping: SLOWEST_PING,
            longest_wait: LONGEST_WAIT,
            spread: Duration::ZERO,
        }
    }
}

impl Pace {
    /// Takes over what the server says.
    pub(crate) fn heed(&mut self, said: &ClientConfig) {
        let seconds = |said: Option<i64>| {
            let said = said.and_then(|it| u64::try_from(it).ok());
            said.map(Duration::from_secs)
        };
        if let Some(ping) = seconds(said.ping_interval).filter(|ping| !ping.is_zero()) {
            self.ping = ping.clamp(FASTEST_PING, SLOWEST_PING);
        }
        if let Some(wait) = seconds(said.reconnect_interval).filter(|wait| !wait.is_zero()) {
            self.longest_wait = wait.min(LONGEST_WAIT);
        }
        if let Some(spread) = seconds(said.reconnect_nonce) {
            self.spread = spread.min(WIDEST_SPREAD);
        }
    }

    /// How long a connection may be silent: less than two pings, at whatever pace the server wants
    /// them.
    pub(crate) fn silence(self) -> Duration {
        self.ping * 2 - self.ping / 6
    }

    pub(crate) fn backoff(self) -> Backoff {
        Backoff::new(SHORTEST_WAIT, self.longest_wait)
    }

    /// Zero leaves the spread to the crowd.
    pub(crate) fn spread(self) -> Option<Duration> {
        (!self.spread.is_zero()).then_some(self.spread)
    }
}

/// The socket's numbers. The platform's own heartbeat is sent by the stream.
pub(crate) fn settings() -> ReconnectSettings {
    ReconnectSettings::new()
        .heartbeat(None)
        .alive_within(SILENCE)
        .open_timeout(OPEN)
        .back_within(BACK)
        .backoff(Pace::default().backoff())
}

/// What the last opening has told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The number that has to stand in every ping.
    service: AtomicI32,
    pace: Mutex<Pace>,
}

impl Told {
    pub(crate) fn service(&self) -> i32 {
        self.service.load(Ordering::Acquire)
    }

    pub(crate) fn pace(&self) -> Pace {
        *lock(&self.pace)
    }

    pub(crate) fn heed(&self, said: &ClientConfig) {
        lock(&self.pace).heed(said);
    }
}

/// Opens sockets: each address is good once.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) told: Arc<Told>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials<'a> {
    #[serde(rename = "AppID")]
    app_id: &'a str,
    app_secret: &'a str,
}

#[derive(Deserialize)]
struct Endpoint {
    data: Address,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "URL")]
    url: String,
    #[serde(rename = "ClientConfig", default)]
    config: Option<ClientConfig>,
}

#[async_trait]
impl Dial for Door {
    async fn dial(&self) -> Result<Dialed> {
        let shared = &self.shared;
        // Without its own id the bot cannot tell when it is mentioned.
        if shared.me().is_none() {
            shared.identify().await?;
        }
        let credentials = Credentials {
            app_id: &shared.config.app_id,
            app_secret: shared.config.app_secret.expose(),
        };
        let Endpoint { data } = shared
            .client
            .endpoint(&credentials)
            .await
            .map_err(endpoint_error)?;
        if let Some(config) = &data.config {
            self.told.heed(config);
        }
        let wrong = |message| Error::new(ErrorKind::Protocol, message).on(PLATFORM, OPERATION);
        let is_socket = data.url.starts_with("wss://")
            || (data.url.starts_with("ws://") && shared.client.is_plain());
        // The address goes out as it came: its query is the ticket.
        let request = http::Request::get(&data.url)
            .body(())
            .ok()
            .filter(|_| is_socket)
            .ok_or_else(|| wrong("the address is not one of a socket"))?;
        let service = service_of(request.uri().query().unwrap_or_default());
        self.told.service.store(service, Ordering::Release);
        let mut request = SocketRequest::new(request);
        request.max_message = MAX_FRAME;
        let connect = shared.client.transport.sockets.connect(request);
        let mut socket = connect.await.map_err(handshake_error)?;
        let first = proof(&mut socket, service).await?;
        Ok(Dialed::new(socket).with_frames(vec![first]))
    }
}

/// Asks for a sign of life at once, as both official SDKs do, and waits for it: a handshake proves
/// the server at the door, and a frame the platform behind it. An event is as good as an answer.
async fn proof(socket: &mut BoxSocket, service: i32) -> Result<SocketFrame> {
    let ended = || {
        Error::new(ErrorKind::Unavailable, "feishu closes the connection").on(PLATFORM, OPERATION)
    };
    let ping = SocketFrame::Binary(Frame::ping(service).write());
    socket.send(ping).await?;
    loop {
        let frame = socket.next().await.ok_or_else(ended)??;
        match &frame {
            SocketFrame::Binary(bytes) if Frame::read(bytes.clone()).is_some() => return Ok(frame),
            SocketFrame::Close(_) => return Err(ended()),
            _ => {}
        }
    }
}

fn service_of(query: &str) -> i32 {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("service_id="));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}

/// What the codes of the endpoint mean; whatever is not listed as passing stays.
fn endpoint_error(failure: Failure) -> Error {
    let code = match &failure {
        Failure::Refused { code, .. } => *code,
        _ => 0,
    };
    let stop = match code {
        514 | 401 => Some((ErrorKind::Unauthenticated, CREDENTIALS)),
        403 => Some((ErrorKind::Forbidden, UNPUBLISHED)),
        1_000_040_350 => Some((ErrorKind::Config, TOO_MANY)),
        _ => None,
    };
    if let Some((kind, message)) = stop {
        return Error::new(kind, message)
            .with_code(code.to_string())
            .on(PLATFORM, OPERATION);
    }
    let error = failure.into_error(OPERATION, true);
    // The statuses of HTTP are those of something between Feishu and us.
    if error.kind().is_retryable() || (400..600).contains(&code) || code == 0 {
        return error;
    }
    match error.kind() {
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Config => error,
        _ => Error::config(UNPUBLISHED)
            .with_code(code.to_string())
            .on(PLATFORM, OPERATION),
    }
}

/// What a refused handshake means. A ticket that was not taken is replaced by the next one,
/// whatever the status.
fn handshake_error(error: Error) -> Error {
    let header = |name: &str| -> Option<i64> {
        let refused = HandshakeRefused::of(&error)?;
        refused.headers().get(name)?.to_str().ok()?.parse().ok()
    };
    let stop = match (header("handshake-status"), header("handshake-autherrcode")) {
        (Some(514), Some(1_000_040_350)) => Some((ErrorKind::Config, TOO_MANY)),
        (Some(403), _) => Some((ErrorKind::Forbidden, UNPUBLISHED)),
        _ => None,
    };
    if let Some((kind, message)) = stop {
        return Error::new(kind, message).on(PLATFORM, OPERATION);
    }
    let kind = match error.kind() {
        ErrorKind::RateLimited => ErrorKind::RateLimited,
        _ => ErrorKind::Unavailable,
    };
    let wait = error.retry_after();
    let error = Error::new(kind, "feishu does not open the connection")
        .on(PLATFORM, OPERATION)
        .with_source(error);
    match wait {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_sets_the_pace_within_bounds() {
        let of = |text: &str| {
            let mut pace = Pace::default();
            pace.heed(&serde_json::from_str(text).unwrap());
            pace
        };
        let usual = of(
            r#"{"ReconnectCount":-1,"ReconnectInterval":120,"ReconnectNonce":30,"PingInterval":120}"#,
        );
        assert_eq!(
            (usual.ping, usual.longest_wait),
            (SLOWEST_PING, LONGEST_WAIT)
        );
        assert_eq!(usual.spread(), Some(WIDEST_SPREAD));
        let quick = of(r#"{"ReconnectInterval":3,"ReconnectNonce":2,"PingInterval":20}"#);
        let seconds = Duration::from_secs;
        assert_eq!((quick.ping, quick.longest_wait), (seconds(20), seconds(3)));
        assert_eq!(quick.spread(), Some(seconds(2)));
        for odd in [
            "{}",
            r#"{"PingInterval":0,"ReconnectNonce":0,"ReconnectInterval":-5}"#,
        ] {
            assert_eq!(of(odd), Pace::default(), "{odd}");
        }
        assert_eq!(of(r#"{"PingInterval":1}"#).ping, FASTEST_PING);
    }

    #[test]
    fn the_service_stands_in_the_query() {
        assert_eq!(service_of("device_id=1&service_id=7&x=y"), 7);
        for odd in ["", "service_id=", "service_id=x", "xservice_id=7"] {
            assert_eq!(service_of(odd), 0, "{odd}");
        }
    }
}
