//! Faults on demand.

use serde::{Deserialize, Serialize};

use crate::common::faults::Rules;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// 429 with this `Retry-After`, in seconds; the call is not executed.
    RateLimited {
        /// Seconds.
        retry_after: u64,
    },
    /// A server error with a page in HTML; the call is not executed.
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// Any error of the platform; the call is not executed.
    Refuse {
        /// The platform's code, such as `channel_not_found`.
        error: String,
    },
    /// The call is executed, then answered `fatal_error`, as when the platform stumbles after its work.
    FailAfter,
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
    /// So many events are delivered twice over HTTP.
    pub(crate) duplicate: u32,
    /// So many requests carry a wrong signature.
    pub(crate) forge: u32,
}
