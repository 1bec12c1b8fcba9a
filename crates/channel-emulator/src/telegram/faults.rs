//! Faults on demand.

use serde::{Deserialize, Serialize};

use crate::common::faults::Rules;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// 429 with this `retry_after`; the call is not executed.
    TooManyRequests {
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
        /// HTTP status and `error_code`.
        error_code: u16,
        /// The platform's words.
        description: String,
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
    /// Long polls are never answered, as behind a router that forgot the connection.
    pub(crate) hold_polls: bool,
    /// So many updates are delivered twice.
    pub(crate) duplicate: u32,
    /// So many batches are delivered in reverse order.
    pub(crate) reorder: u32,
}
