//! Faults on demand.

use serde::{Deserialize, Serialize};

use crate::common::faults::Rules;

/// What goes wrong with a call of the API, or with a command on a long connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// An error of the platform; the call is not executed.
    Refuse {
        /// The number.
        errcode: i64,
    },
    /// An HTTP error with the page of a gateway; the call is not executed. On a long connection the platform's -1.
    ServerError {
        /// The HTTP status.
        status: u16,
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
    pub(crate) rules: Rules<Fault>,
    /// So many callbacks are delivered twice.
    pub(crate) duplicate: u32,
    /// So many callbacks carry a wrong signature.
    pub(crate) forge: u32,
    /// So many callbacks were signed ten minutes ago.
    pub(crate) stale: u32,
    /// So many frames of a long connection have control characters in them.
    pub(crate) noise: u32,
}
