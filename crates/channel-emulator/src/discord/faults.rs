//! Faults on demand.

use serde::{Deserialize, Serialize};

/// What goes wrong with a call of REST or a step of the gateway.
///
/// Calls are named by method and template, such as `POST /channels/{channel}/messages`; steps of the gateway are
/// `gateway.connect` (the upgrade), `gateway.identify`, `gateway.resume` and `gateway.heartbeat`. There, an answer with a
/// status is given to the upgrade only; [`Fault::Delay`], [`Fault::Hang`] and [`Fault::DropBefore`] work in all four.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// 429 with `Retry-After`; the call is not executed.
    TooManyRequests {
        /// Milliseconds.
        retry_after_ms: u64,
        /// The limit of the bot and not of the bucket.
        #[serde(default)]
        global: bool,
        /// The limit of the resource, shared by all; not counted as an invalid request.
        #[serde(default)]
        shared: bool,
    },
    /// 429 of the network before the platform: HTML, without `Via`.
    Banned {
        /// Seconds.
        retry_after: u64,
    },
    /// A server error; the call is not executed. 500 has the platform's body, 502 to 504 the page of a gateway.
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// Any error of the platform; the call is not executed.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The platform's code.
        code: u32,
        /// The platform's words.
        message: String,
    },
    /// The call is executed, then the connection drops without an answer.
    LoseAnswer,
    /// The connection drops and the call is not executed.
    DropBefore,
    /// The call waits before it is executed.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The call is neither executed nor answered; the connection stays open.
    Hang,
}
