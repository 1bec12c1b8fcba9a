//! Faults on demand.

use serde::{Deserialize, Serialize};

use crate::common::faults::Rules;

/// What goes wrong with a call. `open` and `connect` of the stream gateway are calls too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// The limit of calls: HTTP 403 with a code of `QpsLimit`, on legacy endpoints errcode 90030; not executed.
    RateLimited,
    /// HTTP 429, with this `Retry-After` when it is not 0; the call is not executed.
    TooManyRequests {
        /// Seconds.
        #[serde(default)]
        retry_after: u64,
    },
    /// A server error without a body of the platform; the call is not executed.
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// Any error of the API (`{"code","message","requestid"}`); the call is not executed.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The platform's code.
        code: String,
        /// The platform's words.
        message: String,
    },
    /// Any error of a legacy endpoint (HTTP 200 with `errcode`); the call is not executed.
    Errcode {
        /// The platform's code.
        errcode: i64,
        /// The platform's words.
        errmsg: String,
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
    /// So many frames are pushed twice.
    pub(crate) duplicate: u32,
    /// So many frames are held back until the next one has gone.
    pub(crate) reorder: u32,
    /// So many posts of HTTP mode carry a wrong signature.
    pub(crate) forge: u32,
    /// So many posts of HTTP mode carry a signature of more than an hour ago.
    pub(crate) stale: u32,
    /// Connections stay open, but the platform sends nothing any more.
    pub(crate) silent: bool,
    /// What happens while an app has no connection is lost, as some have measured around reconnects.
    pub(crate) lossy: bool,
    /// Connections are not told `REGISTERED`.
    pub(crate) unregistered: bool,
    /// `conversationType` comes as a number.
    pub(crate) numbers: bool,
}
