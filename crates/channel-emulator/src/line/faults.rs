//! Faults on demand.

use serde::{Deserialize, Serialize};

use crate::common::faults::Rules;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// 429 of the rate limit; the call is not executed.
    TooManyRequests,
    /// 429 of the monthly limit; the call is not executed.
    MonthlyLimit,
    /// A server error; the call is not executed. 502 to 504 have the page of a gateway.
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// Any error of the platform; the call is not executed.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The platform's words.
        message: String,
    },
    /// The call is executed, then answered 500, as when the platform stumbles after its work.
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
    /// So many webhook bodies are delivered twice.
    pub(crate) duplicate: u32,
    /// So many webhook bodies of several events are delivered in reverse order.
    pub(crate) reorder: u32,
    /// So many webhook bodies carry a wrong signature.
    pub(crate) forge: u32,
}
