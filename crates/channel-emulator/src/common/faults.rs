//! Rules that say which calls go wrong, and switches that count down.

/// A fault with the calls it is meant for.
#[derive(Debug, Clone)]
struct Rule<F> {
    method: Option<String>,
    remaining: u32,
    fault: F,
}

/// Faults that wait for their calls, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Rules<F>(Vec<Rule<F>>);

impl<F> Default for Rules<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Clone> Rules<F> {
    /// Rules kept at most; a script that sets them in a loop forgets the oldest.
    const MAX: usize = 1000;

    /// The next `count` calls of `method` (of any, if `None`) meet this fault.
    pub(crate) fn add(&mut self, method: Option<&str>, count: u32, fault: F) {
        if self.0.len() >= Self::MAX {
            self.0.remove(0);
        }
        self.0.push(Rule {
            method: method.map(str::to_owned),
            remaining: count,
            fault,
        });
    }

    /// The fault for a call of `method`, in any spelling of its name, counted down.
    pub(crate) fn take(&mut self, method: &str) -> Option<F> {
        let matches = |rule: &&mut Rule<F>| {
            rule.method
                .as_deref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        };
        let rule = self.0.iter_mut().find(matches)?;
        rule.remaining = rule.remaining.saturating_sub(1);
        let fault = rule.fault.clone();
        self.0.retain(|rule| rule.remaining > 0);
        Some(fault)
    }
}

/// Counts a switch down; whether it was on.
pub(crate) const fn take(switch: &mut u32) -> bool {
    let due = *switch > 0;
    *switch = switch.saturating_sub(1);
    due
}
