//! Faults on demand.

use serde::{Deserialize, Serialize};

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

/// A fault with the calls it is meant for.
#[derive(Debug, Clone)]
struct Rule {
    method: Option<String>,
    remaining: u32,
    fault: Fault,
}

/// All switches.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    rules: Vec<Rule>,
    /// So many callbacks are delivered twice.
    pub(crate) duplicate: u32,
    /// So many callbacks carry a wrong signature.
    pub(crate) forge: u32,
    /// So many callbacks were signed ten minutes ago.
    pub(crate) stale: u32,
    /// So many frames of a long connection have control characters in them.
    pub(crate) noise: u32,
}

impl Plan {
    /// Rules kept at most; a script that sets them in a loop forgets the oldest.
    const MAX_RULES: usize = 1000;

    pub(crate) fn add(&mut self, method: Option<&str>, count: u32, fault: Fault) {
        if self.rules.len() >= Self::MAX_RULES {
            self.rules.remove(0);
        }
        self.rules.push(Rule {
            method: method.map(str::to_owned),
            remaining: count,
            fault,
        });
    }

    /// The fault for a call of `method`, counted down.
    pub(crate) fn take(&mut self, method: &str) -> Option<Fault> {
        let matches =
            |rule: &&mut Rule| rule.method.as_deref().is_none_or(|wanted| wanted == method);
        let rule = self.rules.iter_mut().find(matches)?;
        rule.remaining = rule.remaining.saturating_sub(1);
        let fault = rule.fault.clone();
        self.rules.retain(|rule| rule.remaining > 0);
        Some(fault)
    }
}

/// Counts a switch down; whether it was on.
pub(crate) const fn take(switch: &mut u32) -> bool {
    let due = *switch > 0;
    *switch = switch.saturating_sub(1);
    due
}
