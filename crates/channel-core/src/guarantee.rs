//! What a platform makes possible to promise, as data.

use std::fmt;
use std::time::Duration;

use crate::outbound::Destination;

/// What happens to an event of which the platform has seen no acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redelivery {
    /// The platform sends each event once and keeps nothing.
    Never,
    /// It comes again for about this long.
    For(Duration),
    /// It comes again until it is acknowledged.
    UntilAcknowledged,
}

impl fmt::Display for Redelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::For(span) => write!(f, "for {}", Span(*span)),
            Self::UntilAcknowledged => f.write_str("until acknowledged"),
        }
    }
}

/// What a second attempt does after the answer to the first was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// It may show the message twice, and nothing tells: after a lost answer the call is
    /// uncertain, and the outbox does not repeat it unless the bot wants that.
    Doubles,
    /// The platform recognises the [`IdempotencyKey`](crate::IdempotencyKey) for this long
    /// and does nothing twice.
    Keyed(Duration),
    /// [`History::find`](crate::History::find) tells whether the first attempt arrived.
    ReadBack,
    /// By its nature it has no second effect, such as a deletion.
    Idempotent,
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubles => f.write_str("uncertain"),
            Self::Keyed(span) => write!(f, "recognised by key for {}", Span(*span)),
            Self::ReadBack => f.write_str("read back"),
            Self::Idempotent => f.write_str("no second effect"),
        }
    }
}

/// What a channel can promise, call by call. The guarantee tables of the READMEs are
/// written from it.
///
/// ```
/// use std::time::Duration;
/// use channel_core::{Guarantees, Redelivery, Repeat};
///
/// let guarantees = Guarantees::new(Redelivery::Never, Repeat::Doubles)
///     .call("send a file", Repeat::Keyed(Duration::from_secs(3600)));
/// assert_eq!(guarantees.send(), Repeat::Doubles);
/// assert!(guarantees.to_markdown().contains("| send a file | recognised by key for 1 h |"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarantees {
    redelivery: Redelivery,
    send: Repeat,
    reply: Option<Repeat>,
    calls: Vec<(&'static str, Repeat)>,
}

impl Default for Guarantees {
    /// What can be promised of a platform of which nothing is known.
    fn default() -> Self {
        Self::new(Redelivery::Never, Repeat::Doubles)
    }
}

impl Guarantees {
    /// What becomes of unacknowledged events, and of [`Channel::send`](crate::Channel::send)
    /// when its answer is lost.
    #[must_use]
    pub const fn new(redelivery: Redelivery, send: Repeat) -> Self {
        Self {
            redelivery,
            send,
            reply: None,
            calls: Vec::new(),
        }
    }

    /// Adds a call that differs from sending, named as the caller thinks of it.
    #[must_use]
    pub fn call(mut self, name: &'static str, repeat: Repeat) -> Self {
        self.calls.push((name, repeat));
        self
    }

    /// What a second attempt at an answer does, where that differs from a message on our own
    /// account, as it does where answers have a token instead of a key.
    #[must_use]
    pub const fn replying(mut self, repeat: Repeat) -> Self {
        self.reply = Some(repeat);
        self
    }

    /// What a second attempt at sending one part to there does.
    #[must_use]
    pub fn sending_to(&self, to: &Destination) -> Repeat {
        match (to, self.reply) {
            (Destination::Reply(_), Some(reply)) => reply,
            _ => self.send,
        }
    }

    /// What happens to events that were not acknowledged.
    #[must_use]
    pub const fn redelivery(&self) -> Redelivery {
        self.redelivery
    }

    /// What a second attempt at sending one part on our own account does.
    #[must_use]
    pub const fn send(&self) -> Repeat {
        self.send
    }

    /// Every call with what a second attempt does, sending first.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, Repeat)> + '_ {
        let reply = self.reply.map(|reply| ("answer a message", reply));
        std::iter::once(("send a message", self.send))
            .chain(reply)
            .chain(self.calls.iter().copied())
    }

    /// The table of a README.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::from("| call | after a lost answer |\n|---|---|\n");
        for (call, repeat) in self.calls() {
            out.push_str(&format!("| {call} | {repeat} |\n"));
        }
        out.push_str(&format!(
            "\nThe platform delivers an event that was not acknowledged again: {}.\n",
            self.redelivery
        ));
        out
    }
}

/// A span of time in its largest whole unit.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            s if s >= 86_400 && s.is_multiple_of(86_400) => write!(f, "{} d", s / 86_400),
            s if s >= 3600 && s.is_multiple_of(3600) => write!(f, "{} h", s / 3600),
            s if s >= 60 && s.is_multiple_of(60) => write!(f, "{} min", s / 60),
            s => write!(f, "{s} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_in_their_largest_whole_unit() {
        let of = |seconds| Span(Duration::from_secs(seconds)).to_string();
        assert_eq!(
            [of(5), of(60), of(90), of(7200), of(86_400)],
            ["5 s", "1 min", "90 s", "2 h", "1 d"]
        );
    }

    #[test]
    fn the_table_names_every_call() {
        let table = Guarantees::new(Redelivery::UntilAcknowledged, Repeat::ReadBack)
            .call("edit a message", Repeat::Idempotent)
            .to_markdown();
        assert!(table.contains("| send a message | read back |"));
        assert!(table.contains("| edit a message | no second effect |"));
        assert!(table.ends_with("until acknowledged.\n"));
    }
}
