//! Proof that the gateway delivers.
//!
//! Answered heartbeats prove the connection and not that events come over it. Where none come for a
//! while, Discord is asked something that it answers with an event: who the bot itself is in one of
//! its servers (<https://docs.discord.com/developers/events/gateway-events#request-guild-members>),
//! which needs no intent. Once it has answered so, a question that stays without any event at all
//! means that the session is deaf, and it is resumed by another connection.

use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{Clock, Frame};
use futures_core::future::BoxFuture;
use serde::Serialize;

/// The event that answers.
pub(super) const ANSWER: &str = "GUILD_MEMBERS_CHUNK";
/// How often it is looked. Three looks after its last event a deaf session is given up: within 90 s.
const EVERY: Duration = Duration::from_secs(25);

/// The state of one line.
#[derive(Default)]
pub(super) struct Evidence {
    look: Option<BoxFuture<'static, ()>>,
    /// Whether an event has come since the last look.
    pub(super) heard: bool,
    /// Whether Discord was asked at the last look.
    pub(super) asked: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Ask for an event.
    Ask,
    /// Nothing has come although it was asked for.
    Deaf,
}

impl Evidence {
    /// A connection is open, or none is.
    pub(super) fn begin(&mut self, is_open: bool, clock: &dyn Clock) {
        *self = Self::default();
        self.look = is_open.then(|| clock.sleep(EVERY));
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, clock: &dyn Clock) -> Poll<Due> {
        loop {
            let Some(look) = &mut self.look else {
                return Poll::Pending;
            };
            if look.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.look = Some(clock.sleep(EVERY));
            let is_quiet = !std::mem::take(&mut self.heard);
            match (is_quiet, std::mem::take(&mut self.asked)) {
                (false, _) => {}
                (true, false) => {
                    self.asked = true;
                    return Poll::Ready(Due::Ask);
                }
                (true, true) => return Poll::Ready(Due::Deaf),
            }
        }
    }
}

/// When the last event of a session has come at the earliest that is found to be deaf now.
pub(super) fn heard_before(now: SystemTime) -> SystemTime {
    now.checked_sub(EVERY * 3).unwrap_or(UNIX_EPOCH)
}

/// Asks who somebody is in a server.
pub(super) fn question(guild: &str, user: &str) -> Frame {
    #[derive(Serialize)]
    struct Ask<'a> {
        op: u8,
        d: Of<'a>,
    }
    #[derive(Serialize)]
    struct Of<'a> {
        guild_id: &'a str,
        user_ids: [&'a str; 1],
        limit: u8,
        nonce: &'a str,
    }
    let d = Of {
        guild_id: guild,
        user_ids: [user],
        limit: 1,
        nonce: "proof",
    };
    // Texts and numbers always serialise.
    Frame::text(serde_json::to_string(&Ask { op: 8, d }).unwrap_or_default())
}
