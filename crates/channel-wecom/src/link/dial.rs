//! Opening the connection: nothing counts before the bot is subscribed.

use std::sync::Mutex;
use std::sync::PoisonError;

use channel_core::{
    Error, ErrorKind, Frame, Result, Secret, SocketRequest, Transport, async_trait,
};
use channel_http::reconnect::{Dial, Dialed};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;

use super::frame;
use crate::PLATFORM;
use crate::error::of_code;

/// How often wrong credentials are believed to be a mistake of the platform.
const REFUSALS: u32 = 5;
/// The most frames that are kept which come before the answer.
const EARLY: usize = 100;

/// Connects and subscribes.
pub(super) struct Subscribe {
    pub(super) transport: Transport,
    pub(super) address: Secret,
    pub(super) bot_id: String,
    pub(super) secret: Secret,
    pub(super) refused: Mutex<Refused>,
}

/// What the platform said to the credentials.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Refused {
    times: u32,
    pub(super) code: Option<i64>,
}

impl std::fmt::Debug for Subscribe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscribe").finish_non_exhaustive()
    }
}

fn failed(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).on(PLATFORM, "subscribe")
}

impl Subscribe {
    /// The code with which the credentials were refused last, unless they were taken since.
    pub(super) fn refusal(&self) -> Option<Error> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.code.map(credentials)
    }

    /// The meaning of a refusal. Waiting mends what is not about the credentials.
    fn refuse(&self, code: i64) -> Error {
        let fault = of_code(code, "subscribe");
        if fault.error.kind().is_retryable() {
            return fault.error;
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.times += 1;
        refused.code = Some(code);
        if refused.times >= REFUSALS {
            return credentials(code);
        }
        failed(ErrorKind::Unavailable, "wecom does not accept the bot yet")
            .with_code(code.to_string())
    }
}

fn credentials(code: i64) -> Error {
    failed(
        ErrorKind::Unauthenticated,
        "wecom does not accept bot id and secret",
    )
    .with_code(code.to_string())
}

#[async_trait]
impl Dial for Subscribe {
    async fn dial(&self) -> Result<Dialed> {
        let request = http::Request::get(self.address.expose()).body(());
        let request = request.map_err(|_| failed(ErrorKind::Config, "ws_url is not an address"))?;
        let connector = &self.transport.sockets;
        let mut socket = connector.connect(SocketRequest::new(request)).await?;
        let id = frame::request_id("aibot_subscribe", &*self.transport.random);
        let body = json!({"bot_id": self.bot_id, "secret": self.secret.expose()});
        let text = frame::write("aibot_subscribe", &id, Some(body));
        socket.send(Frame::text(text)).await?;
        let mut early = Vec::new();
        while let Some(next) = socket.next().await {
            let next = next?;
            let answer = match &next {
                Frame::Text(text) => frame::read(text),
                Frame::Close(_) => break,
                _ => None,
            };
            match answer {
                Some(answer) if answer.command.is_none() && answer.request == id => {
                    if answer.code != 0 {
                        return Err(self.refuse(answer.code));
                    }
                    *self.refused.lock().unwrap_or_else(PoisonError::into_inner) =
                        Refused::default();
                    return Ok(Dialed::new(socket).with_frames(early));
                }
                _ if early.len() < EARLY => early.push(next),
                _ => return Err(failed(ErrorKind::Protocol, "wecom does not answer")),
            }
        }
        Err(failed(
            ErrorKind::Unavailable,
            "wecom closed the connection",
        ))
    }
}
