//! What came out.

use std::fmt;

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed(String),
    /// It does not apply: the reason says what is not offered.
    Ignored(String),
}

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// The check, as a sentence.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

/// How all checks ended. `Display` prints a line for each and a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a report that nobody reads fails no test"]
#[non_exhaustive]
pub struct Report {
    /// The checks, in the order in which they ran.
    pub checks: Vec<Checked>,
}

impl Report {
    /// The names of the checks that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&'static str> {
        self.names(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    /// The names of the checks that passed.
    #[must_use]
    pub fn passed(&self) -> Vec<&'static str> {
        self.names(|outcome| matches!(outcome, Outcome::Passed))
    }

    /// The names of the checks that did not apply.
    #[must_use]
    pub fn ignored(&self) -> Vec<&'static str> {
        self.names(|outcome| matches!(outcome, Outcome::Ignored(_)))
    }

    /// Makes a test of it.
    ///
    /// # Panics
    ///
    /// If a check failed; the message is the whole report.
    #[track_caller]
    pub fn assert_conforms(&self) {
        assert!(self.failed().is_empty(), "\n{self}");
    }

    fn names(&self, wanted: impl Fn(&Outcome) -> bool) -> Vec<&'static str> {
        let checks = self.checks.iter().filter(|check| wanted(&check.outcome));
        checks.map(|check| check.name).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Checked { name, outcome } in &self.checks {
            match outcome {
                Outcome::Passed => writeln!(f, "passed   {name}")?,
                Outcome::Failed(reason) => writeln!(f, "FAILED   {name}: {reason}")?,
                Outcome::Ignored(reason) => writeln!(f, "ignored  {name}: {reason}")?,
            }
        }
        write!(
            f,
            "{} passed, {} failed, {} ignored",
            self.passed().len(),
            self.failed().len(),
            self.ignored().len()
        )
    }
}
