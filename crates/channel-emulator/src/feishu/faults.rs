//! Faults on demand.

use serde::{Deserialize, Serialize};

use crate::common::faults::Rules;

/// What goes wrong with a call. `ws_endpoint` and `ws_upgrade` are calls too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// The frequency limit of the app: HTTP 400 with code 99991400; the call is not executed.
    RateLimited,
    /// HTTP 429 with this `Retry-After`; the call is not executed.
    TooManyRequests {
        /// Seconds.
        retry_after: u64,
    },
    /// A server error without a body of the platform; the call is not executed.
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// Any error of the platform; the call is not executed.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The platform's code; of a refused upgrade the `handshake-autherrcode`.
        code: i64,
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

/// All switches.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Faults of calls.
    pub(crate) rules: Rules<Fault>,
    /// So many events are delivered twice.
    pub(crate) duplicate: u32,
    /// So many fragmented payloads come with their last piece first.
    pub(crate) reorder: u32,
    /// So many webhook bodies carry a wrong signature.
    pub(crate) forge: u32,
    /// Callbacks come in frames of `type` card, as some tenants see them.
    pub(crate) card_frames: bool,
    /// The long connection stays open, but brings neither events nor pongs.
    pub(crate) silent: bool,
}
