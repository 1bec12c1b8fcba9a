//! Faults on demand.

use serde::{Deserialize, Serialize};

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
    /// So many webhook bodies are delivered twice.
    pub(crate) duplicate: u32,
    /// So many webhook bodies of several events are delivered in reverse order.
    pub(crate) reorder: u32,
    /// So many webhook bodies carry a wrong signature.
    pub(crate) forge: u32,
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
