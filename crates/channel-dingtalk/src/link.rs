//! Opening a stream: a ticket first, which is good for one connection
//! (<https://open.dingtalk.com/document/direction/stream-mode-protocol-access-description>).

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Backoff, BoxSocket, Error, ErrorKind, Frame, Result, SocketRequest, async_trait,
};
use channel_http::reconnect::{Dial, Dialed, ReconnectSettings};
use futures_util::{SinkExt as _, StreamExt as _};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::PLATFORM;
use crate::client::Payload;
use crate::error::{CREDENTIALS, Failure, Reason, UNPUBLISHED};
use crate::frame::{CARDS, Frame as Said, MESSAGES};
use crate::shared::Shared;

const OPERATION: &str = "open stream";
/// The largest frame, in bytes.
const MAX_FRAME: usize = 1 << 20;
/// How long opening may take, from the ticket to the first sign of life.
const OPEN: Duration = Duration::from_secs(15);
/// How long a connection may be silent on the wire: twice the shortest pace at which DingTalk was
/// seen to say something by itself. It is asked after each third of it.
const WIRE_SILENCE: Duration = Duration::from_secs(40);
/// How long a replaced connection stays open: DingTalk keeps one that it has given notice to for
/// about ten seconds.
const OVERLAP: Duration = Duration::from_secs(10);
/// The waits between attempts. The highest rungs are for refusals that look lasting: what passes
/// by itself is tried often enough for [`BACK`], because a robot that is a minute late is taken for
/// a deaf one, and one attempt in 24 s troubles no server.
const LADDER: &[Duration] = &[
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];
/// How soon the robot is back after the end of an outage.
const BACK: Duration = Duration::from_secs(30);

/// The socket's numbers.
pub(crate) fn settings() -> ReconnectSettings {
    ReconnectSettings::new()
        .heartbeat(Some(Frame::Ping(bytes::Bytes::new())))
        .alive_within(WIRE_SILENCE)
        .open_timeout(OPEN)
        .overlap(OVERLAP)
        .backoff(Backoff::ladder(LADDER))
        .back_within(BACK)
        .wary_of_notices()
}

/// Opens sockets: each ticket is good once.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Deserialize)]
struct Opened {
    endpoint: String,
    ticket: String,
}

fn subscriptions(shared: &Shared) -> Vec<Value> {
    let callback = |topic: &str| json!({"type": "CALLBACK", "topic": topic});
    let mut all = vec![callback(MESSAGES)];
    if shared.config.has_presses() {
        all.push(callback(CARDS));
    }
    if shared.config.events {
        all.push(json!({"type": "EVENT", "topic": "*"}));
    }
    all
}

#[async_trait]
impl Dial for Door {
    async fn dial(&self) -> Result<Dialed> {
        let shared = &self.shared;
        let fields = json!({"clientId": shared.config.client_id,
            "clientSecret": shared.config.client_secret.expose(),
            "subscriptions": subscriptions(shared),
            "ua": concat!("channel-kit/", env!("CARGO_PKG_VERSION"))});
        let path = "/v1.0/gateway/connections/open";
        let opened: Opened = shared
            .client
            .call(Method::POST, path, None, Payload::json(&fields))
            .await
            .map_err(open_error)?;
        let wrong = |message| Error::new(ErrorKind::Protocol, message).on(PLATFORM, OPERATION);
        let endpoint = opened.endpoint;
        let is_socket = endpoint.starts_with("wss://")
            || (endpoint.starts_with("ws://") && shared.client.is_plain());
        let ticket = utf8_percent_encode(&opened.ticket, NON_ALPHANUMERIC);
        let mark = if endpoint.contains('?') { '&' } else { '?' };
        let request = http::Request::get(format!("{endpoint}{mark}ticket={ticket}"))
            .body(())
            .ok()
            .filter(|_| is_socket)
            .ok_or_else(|| wrong("the endpoint is not one of a socket"))?;
        let mut request = SocketRequest::new(request);
        request.max_message = MAX_FRAME;
        let connect = shared.client.transport.sockets.connect(request);
        let mut socket = connect.await.map_err(handshake_error)?;
        let first = proof(&mut socket).await?;
        Ok(Dialed::new(socket).with_frames(vec![first]))
    }
}

/// Asks for a sign of life at once and waits for it. A handshake may be
/// answered by whatever stands before the server, a ping is answered by the server that keeps the
/// connection.
///
/// It is the most that DingTalk owes a client who has just come: stream mode knows no question to the
/// platform behind that server, `REGISTERED` does not always come, and what it says by itself comes
/// every 20 to 30 s at best. The official SDKs go by the answer to a ping as well. A word of
/// DingTalk's that comes before is a better proof.
async fn proof(socket: &mut BoxSocket) -> Result<Frame> {
    let ended = || {
        Error::new(ErrorKind::Unavailable, "dingtalk closes the connection").on(PLATFORM, OPERATION)
    };
    socket.send(Frame::Ping(bytes::Bytes::new())).await?;
    loop {
        let frame = socket.next().await.ok_or_else(ended)??;
        let is_proof = match &frame {
            Frame::Pong(_) => true,
            Frame::Text(text) => match Said::read(text) {
                Some(said) if said.is_notice() => return Err(ended()),
                said => said.is_some(),
            },
            Frame::Close(_) => return Err(ended()),
            _ => false,
        };
        if is_proof {
            return Ok(frame);
        }
    }
}

/// What a refusal of a ticket means. Whatever is not listed as lasting passes.
fn open_error(failure: Failure) -> Error {
    let stop = match &failure {
        // A limit comes dressed as 403.
        Failure::Refused {
            reason: Reason::Flood,
            ..
        } => None,
        Failure::Refused { status: 401, .. } => Some((ErrorKind::Unauthenticated, CREDENTIALS)),
        Failure::Refused {
            kind: ErrorKind::Unauthenticated,
            ..
        } => Some((ErrorKind::Unauthenticated, CREDENTIALS)),
        Failure::Refused { status: 403, .. } => Some((ErrorKind::Forbidden, UNPUBLISHED)),
        Failure::Refused {
            kind: ErrorKind::Forbidden,
            ..
        } => Some((ErrorKind::Forbidden, UNPUBLISHED)),
        _ => None,
    };
    let error = failure.into_error(OPERATION, true);
    let Some((kind, message)) = stop else {
        return match error.kind() {
            // Settings of the robot are not asked for here.
            ErrorKind::Config => passing(error),
            _ => error,
        };
    };
    let code = error.code().unwrap_or_default().to_owned();
    Error::new(kind, message)
        .with_code(code)
        .on(PLATFORM, OPERATION)
}

/// What a refused handshake means: a ticket that was not taken is replaced by the next one,
/// whatever the status.
fn handshake_error(error: Error) -> Error {
    passing(error)
}

fn passing(error: Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::RateLimited => ErrorKind::RateLimited,
        _ => ErrorKind::Unavailable,
    };
    let wait = error.retry_after();
    let error = Error::new(kind, "dingtalk does not open the stream")
        .on(PLATFORM, OPERATION)
        .with_source(error);
    match wait {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}
