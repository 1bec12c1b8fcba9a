//! How fast a channel may send, as data, and the arithmetic of it.

use std::time::Duration;

use crate::id::ChatId;
use crate::limits::Rate;

/// A token bucket: up to `burst` at once, then at the rate.
///
/// Its state is one moment, `due`, at which it will be full again; whoever keeps it knows by
/// which clock.
///
/// ```
/// use std::time::Duration;
/// use channel_core::{Bucket, Rate};
///
/// let second = Duration::from_secs(1);
/// let bucket = Bucket::new(Rate::new(1, second), 2);
/// let mut due = Duration::ZERO;
/// let left: Vec<u64> = (0..4)
///     .map(|_| {
///         let at = bucket.slot(due, second);
///         due = bucket.taken(due, at);
///         at.as_secs()
///     })
///     .collect();
/// assert_eq!(left, [1, 1, 2, 3]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// How often, in the long run.
    pub rate: Rate,
    /// How many at once after a pause; at least 1.
    pub burst: u32,
}

impl Bucket {
    /// Up to `burst` at once, then at the rate.
    #[must_use]
    pub const fn new(rate: Rate, burst: u32) -> Self {
        Self { rate, burst }
    }

    /// Never lets more than `most` leave within any `window`, up to `burst` of them at once.
    #[must_use]
    pub const fn within(most: u32, window: Duration, burst: u32) -> Self {
        let rest = most.saturating_sub(burst);
        let rest = if rest == 0 { 1 } else { rest };
        Self::new(Rate::new(rest, window), burst)
    }

    /// How far ahead of the rate a burst may run.
    #[must_use]
    pub fn slack(&self) -> Duration {
        self.rate
            .interval()
            .saturating_mul(self.burst.saturating_sub(1))
    }

    /// When the next may leave, if the bucket is full again at `due`.
    #[must_use]
    pub fn slot(&self, due: Duration, now: Duration) -> Duration {
        now.max(due.saturating_sub(self.slack()))
    }

    /// When the bucket is full again after one more has left at `at`.
    #[must_use]
    pub fn taken(&self, due: Duration, at: Duration) -> Duration {
        due.max(at).saturating_add(self.rate.interval())
    }
}

/// What a request does, as far as platforms count it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// Shows a new message.
    Send,
    /// Changes one that is there.
    Edit,
}

/// What a limit is counted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Each chat on its own.
    #[default]
    Chat,
    /// All chats of a channel together.
    Channel,
    /// All channels of the platform together, as where it counts by network address.
    Platform,
}

/// In which chats a limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Chats {
    /// In all of them.
    All,
    /// Where one person sits at the other end.
    Direct,
    /// Where several do.
    Groups,
}

/// One limit of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// How much.
    pub bucket: Bucket,
    /// Counted by what.
    pub scope: Scope,
    /// In which chats.
    pub chats: Chats,
    /// Which requests count; `None` is all.
    pub call: Option<Call>,
}

impl Rule {
    /// A limit on all requests of a scope.
    #[must_use]
    pub const fn new(scope: Scope, rate: Rate, burst: u32) -> Self {
        Self {
            bucket: Bucket::new(rate, burst),
            scope,
            chats: Chats::All,
            call: None,
        }
    }

    /// A limit on all requests of a scope, of which never more than `most` leave within any
    /// `window`.
    #[must_use]
    pub const fn within(scope: Scope, most: u32, window: Duration, burst: u32) -> Self {
        let bucket = Bucket::within(most, window, burst);
        Self::new(scope, bucket.rate, bucket.burst)
    }

    /// Holds in these chats only.
    #[must_use]
    pub const fn only_in(mut self, chats: Chats) -> Self {
        self.chats = chats;
        self
    }

    /// Counts these requests only.
    #[must_use]
    pub const fn only(mut self, call: Call) -> Self {
        self.call = Some(call);
        self
    }
}

/// How fast a channel may send: what a limiter outside the adapter needs to know.
///
/// An adapter declares what is in force, so an adapter that was told not to space requests
/// out declares nothing. Where it has a guard of its own, it declares a burst that is one
/// smaller, so that the guard never speaks up because two requests came a little closer
/// together than they were let go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pacing {
    rules: Vec<Rule>,
    groups: &'static [&'static str],
}

impl Pacing {
    /// No limits.
    #[must_use]
    pub const fn off() -> Self {
        Self {
            rules: Vec::new(),
            groups: &[],
        }
    }

    /// Adds a limit.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Says how the ids of groups begin; all other chats are direct ones.
    #[must_use]
    pub const fn groups(mut self, prefixes: &'static [&'static str]) -> Self {
        self.groups = prefixes;
        self
    }

    /// The limits.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether several people sit at the other end of a chat.
    #[must_use]
    pub fn is_group(&self, chat: &ChatId) -> bool {
        let mut groups = self.groups.iter();
        groups.any(|prefix| chat.as_str().starts_with(prefix))
    }

    /// The limits that a request counts against, each with its place in [`rules`](Self::rules).
    pub fn rules_for(&self, chat: &ChatId, call: Call) -> impl Iterator<Item = (usize, &Rule)> {
        let is_group = self.is_group(chat);
        let holds = move |rule: &Rule| match rule.chats {
            Chats::All => true,
            Chats::Direct => !is_group,
            Chats::Groups => is_group,
        };
        let counts = move |rule: &Rule| rule.call.is_none_or(|counted| counted == call);
        let rules = self.rules.iter().enumerate();
        rules.filter(move |(_, rule)| holds(rule) && counts(rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn places(pacing: &Pacing, chat: &str, call: Call) -> Vec<usize> {
        let chat = ChatId::from(chat);
        pacing.rules_for(&chat, call).map(|(at, _)| at).collect()
    }

    #[test]
    fn a_request_counts_against_the_limits_of_its_chat_and_kind() {
        let rate = Rate::new(1, S);
        let pacing = Pacing::off()
            .groups(&["-", "@"])
            .rule(Rule::new(Scope::Chat, rate, 1).only_in(Chats::Direct))
            .rule(Rule::new(Scope::Chat, rate, 1).only_in(Chats::Groups))
            .rule(Rule::new(Scope::Channel, rate, 1))
            .rule(Rule::new(Scope::Channel, rate, 1).only(Call::Edit));
        assert_eq!(places(&pacing, "42", Call::Send), [0, 2]);
        assert_eq!(places(&pacing, "-42", Call::Send), [1, 2]);
        assert_eq!(places(&pacing, "@news", Call::Edit), [1, 2, 3]);
        assert!(Pacing::off().rules().is_empty());
    }

    #[test]
    fn no_window_sees_more_than_its_most() {
        let window = S * 60;
        for (most, burst) in [(20, 5), (30, 14), (2, 1), (100, 99)] {
            let bucket = Bucket::within(most, window, burst);
            let (mut due, mut left) = (Duration::ZERO, Vec::new());
            while left.len() < 500 {
                // A pause now and then fills the bucket.
                let pause = if left.len() % 70 == 0 {
                    window * 3
                } else {
                    Duration::ZERO
                };
                let now = left.last().copied().unwrap_or(window) + pause;
                let at = bucket.slot(due, now);
                due = bucket.taken(due, at);
                left.push(at);
            }
            for (first, at) in left.iter().enumerate() {
                let end = *at + window;
                let seen = left.iter().skip(first).take_while(|at| **at < end).count();
                assert!(seen <= most as usize, "{seen} of {most} within a window");
            }
        }
    }

    #[test]
    fn a_bucket_of_nothing_is_one_of_one() {
        let bucket = Bucket::new(Rate::new(1, S), 0);
        assert_eq!(bucket.slack(), Duration::ZERO);
        let due = bucket.taken(Duration::ZERO, S);
        assert_eq!(bucket.slot(due, S), S * 2);
    }
}
