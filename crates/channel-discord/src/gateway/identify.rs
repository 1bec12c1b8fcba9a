//! Beginning sessions no faster than Discord allows
//! (<https://docs.discord.com/developers/events/gateway#session-start-limit-object>).
//!
//! Too many of them end every session and reset the token.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{Error, ErrorKind, Result};
use http::Method;
use serde::Deserialize;

use crate::PLATFORM;
use crate::client::{Call, Op};
use crate::shared::{Shared, lock};

/// One session may be begun in this time under each key.
const PACE: Duration = Duration::from_millis(5100);
/// The longest wait inside of an attempt to open a socket; a longer one is a wait between
/// attempts.
const LONGEST: Duration = Duration::from_secs(12);
/// The longest wait between attempts: asking whether there is a right costs none, and
/// something has to be heard of the connection every 90 s.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long what Discord has said about the gateway is believed.
const FRESH: Duration = Duration::from_secs(60);

/// What Discord says about the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) url: String,
    pub(crate) shards: u32,
}

/// Hands out the right to begin a session.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    asked: Duration,
    /// How many sessions may be begun, and when there are more.
    left: u32,
    renewed: Duration,
    total: u32,
    concurrency: u32,
    /// By key: when the next session may be begun.
    next: HashMap<u32, Duration>,
}

#[derive(Deserialize)]
struct Said {
    url: String,
    shards: Option<u32>,
    session_start_limit: Option<Limit>,
}

#[derive(Deserialize)]
struct Limit {
    total: Option<u32>,
    remaining: u32,
    /// In milliseconds.
    reset_after: u64,
    max_concurrency: Option<u32>,
}

impl Gate {
    /// How many shards there are, once it is known.
    pub(crate) fn shards(&self) -> Option<u32> {
        lock(&self.0).plan.as_ref().map(|plan| plan.shards)
    }

    /// What Discord has said lately, or says now.
    pub(crate) async fn plan(&self, shared: &Shared) -> Result<Plan> {
        let now = shared.elapsed();
        {
            let state = lock(&self.0);
            if let Some(plan) = &state.plan
                && now.saturating_sub(state.asked) < FRESH
            {
                return Ok(plan.clone());
            }
        }
        let call = Call::new(Op::Gateway, Method::GET, "/gateway/bot");
        let said: Said = shared.call(&call, Some(shared.patience())).await?;
        let mut state = lock(&self.0);
        // Shards are not taken away from under those that are running.
        let before = state.plan.as_ref().map(|plan| plan.shards);
        let shards = shared.config.shards.or(before).or(said.shards).unwrap_or(1);
        let plan = Plan {
            url: said.url,
            shards: shards.clamp(1, super::MAX_SHARDS),
        };
        state.plan = Some(plan.clone());
        state.asked = now;
        let limit = said.session_start_limit;
        state.left = limit.as_ref().map_or(u32::MAX, |it| it.remaining);
        let wait = limit.as_ref().map_or(0, |it| it.reset_after);
        state.renewed = now + Duration::from_millis(wait);
        state.total = limit.as_ref().and_then(|it| it.total).unwrap_or(1000);
        state.concurrency = limit.and_then(|it| it.max_concurrency).unwrap_or(1).max(1);
        Ok(plan)
    }

    /// Takes the right to begin a session; gives the wait before it holds.
    pub(crate) fn take(&self, shard: u32, now: Duration) -> Result<Duration> {
        let mut state = lock(&self.0);
        if state.left == 0 {
            let wait = state.renewed.saturating_sub(now).max(PACE);
            let message = "discord lets the bot begin no more sessions for now";
            return Err(busy(message, wait));
        }
        let key = shard % state.concurrency.max(1);
        // What is left is made to last: something goes wrong again and again.
        let is_scarce = state.left < state.total / 4;
        let pace = if is_scarce {
            (state.renewed.saturating_sub(now) / state.left).max(PACE)
        } else {
            PACE
        };
        let last = state.next.get(&key).copied();
        let slot = last.map_or(now, |last| (last + pace.saturating_sub(PACE)).max(now));
        let wait = slot.saturating_sub(now);
        if wait > LONGEST {
            return Err(busy("other shards begin their sessions first", wait));
        }
        state.left = state.left.saturating_sub(1);
        state.next.insert(key, slot + PACE);
        Ok(wait)
    }
}

fn busy(message: &'static str, wait: Duration) -> Error {
    Error::new(ErrorKind::RateLimited, message)
        .on(PLATFORM, Op::Gateway.operation())
        .with_retry_after(wait.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn gate(left: u32, concurrency: u32) -> Gate {
        let gate = Gate::default();
        {
            let mut state = lock(&gate.0);
            state.left = left;
            state.total = left;
            state.concurrency = concurrency;
            state.renewed = SECOND * 100;
        }
        gate
    }

    #[test]
    fn one_session_is_begun_in_five_seconds_under_each_key() {
        let gate = gate(1000, 2);
        assert_eq!(gate.take(0, SECOND).unwrap(), Duration::ZERO);
        assert_eq!(gate.take(1, SECOND).unwrap(), Duration::ZERO);
        assert_eq!(gate.take(2, SECOND).unwrap(), PACE);
        assert_eq!(gate.take(4, SECOND).unwrap(), PACE * 2);
        let error = gate.take(6, SECOND).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(PACE * 3));
        assert_eq!(gate.take(6, SECOND * 20).unwrap(), Duration::ZERO);
    }

    #[test]
    fn the_last_quarter_of_the_budget_is_made_to_last() {
        let gate = gate(20, 1);
        lock(&gate.0).total = 100;
        lock(&gate.0).renewed = SECOND * 2000;
        assert!(gate.take(0, SECOND).is_ok());
        let error = gate.take(0, SECOND * 10).unwrap_err();
        let wait = error.retry_after().unwrap();
        assert_eq!(wait, LONGEST_PAUSE);
        assert!(gate.take(0, SECOND * 80).is_err());
        assert!(gate.take(0, SECOND * 120).is_ok());
    }

    #[test]
    fn no_session_is_begun_beyond_the_budget() {
        let gate = gate(1, 1);
        assert!(gate.take(0, SECOND).is_ok());
        let error = gate.take(0, SECOND * 10).unwrap_err();
        assert_eq!(error.retry_after(), Some(LONGEST_PAUSE));
        assert!(gate.take(0, SECOND * 99).is_err());
    }
}
