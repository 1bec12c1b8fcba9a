//! How much one sender, and one chat, may say.

use std::time::Duration;

use channel_core::{ChannelId, ChatId};
use channel_policy::{Admission, RateLimiter, RateLimits};

use crate::fixture::account;

const NANO: Duration = Duration::from_nanos(1);

fn admit(limiter: &RateLimiter, sender: &str, chat: &str, now: Duration) -> Admission {
    let channel = ChannelId::new("acme");
    limiter.admit(&account(sender), &channel, &ChatId::new(chat), now)
}

fn admitted(limiter: &RateLimiter, sender: &str, chat: &str, now: Duration, tries: u32) -> usize {
    (0..tries)
        .filter(|_| admit(limiter, sender, chat, now) == Admission::Admitted)
        .count()
}

#[test]
fn a_sender_has_ten_at_once_and_one_more_every_six_seconds() {
    let limiter = RateLimiter::new(RateLimits::default(), 100);
    let start = Duration::from_secs(1000);
    assert_eq!(admitted(&limiter, "ada", "a", start, 20), 10);
    let next = start + Duration::from_secs(6);
    assert_eq!(admitted(&limiter, "ada", "a", next - NANO, 1), 0);
    assert_eq!(admitted(&limiter, "ada", "a", next, 5), 1);
    assert_eq!(
        admitted(&limiter, "ada", "a", next + Duration::from_secs(59), 20),
        9
    );
}

#[test]
fn many_small_steps_fill_as_much_as_one_large_one() {
    let limiter = RateLimiter::new(RateLimits::new(7, 600), 100);
    assert_eq!(admitted(&limiter, "ada", "a", Duration::ZERO, 20), 7);
    let mut got = 0;
    for step in 1..=6_000u64 {
        got += admitted(&limiter, "ada", "a", Duration::from_millis(step * 10), 1);
    }
    assert_eq!(got, 7, "seven a minute, to the nanosecond");
}

#[test]
fn a_chat_has_thirty_whoever_writes() {
    let limiter = RateLimiter::new(RateLimits::default(), 100);
    let got: usize = (0..10)
        .map(|n| admitted(&limiter, &format!("s{n}"), "team", Duration::ZERO, 10))
        .sum();
    assert_eq!(got, 30);
}

#[test]
fn neither_bucket_pays_when_the_other_is_empty() {
    let limiter = RateLimiter::new(RateLimits::new(2, 1), 100);
    assert_eq!(admitted(&limiter, "ada", "full", Duration::ZERO, 1), 1);
    // The chat is empty: these tries must not cost Ada her second token.
    assert_eq!(admitted(&limiter, "ada", "full", Duration::ZERO, 5), 0);
    assert_eq!(admitted(&limiter, "ada", "other", Duration::ZERO, 5), 1);
    // Now Ada is empty: her tries must not cost the third chat its token.
    assert_eq!(admitted(&limiter, "ada", "third", Duration::ZERO, 5), 0);
    assert_eq!(admitted(&limiter, "bob", "third", Duration::ZERO, 5), 1);
}

#[test]
fn the_sender_is_told_once_for_each_drought() {
    let limiter = RateLimiter::new(RateLimits::new(1, 600), 100);
    let say = |seconds| admit(&limiter, "ada", "a", Duration::from_secs(seconds));
    assert_eq!(say(0), Admission::Admitted);
    assert_eq!(say(1), Admission::RefusedFirst);
    assert_eq!(say(2), Admission::Refused);
    assert_eq!(say(60), Admission::Admitted);
    assert_eq!(say(61), Admission::RefusedFirst);
}

#[test]
fn limits_are_clamped() {
    for (asked, got) in [(0, 1), (1, 1), (600, 600), (601, 600), (u32::MAX, 600)] {
        assert_eq!(
            RateLimits::new(asked, asked).clamped(),
            RateLimits::new(got, got)
        );
    }
}

#[test]
fn buckets_are_bounded_and_swept() {
    let limiter = RateLimiter::new(RateLimits::default(), 100);
    for n in 0..10_000 {
        let name = n.to_string();
        admit(&limiter, &name, &name, Duration::from_millis(n));
    }
    assert!(limiter.len() <= 200, "{}", limiter.len());
    admit(&limiter, "a", "a", Duration::from_secs(100));
    admit(&limiter, "b", "b", Duration::from_secs(200));
    assert!(limiter.len() <= 4, "{}", limiter.len());
}

#[test]
fn a_bucket_in_use_survives_the_sweep() {
    let limiter = RateLimiter::new(RateLimits::new(1, 600), 100);
    assert_eq!(
        admitted(&limiter, "ada", "a", Duration::from_secs(59), 1),
        1
    );
    // The generations turn at 60 s; Ada's token is back at 119 s and no sooner.
    assert_eq!(
        admitted(&limiter, "ada", "a", Duration::from_secs(61), 1),
        0
    );
    assert_eq!(
        admitted(&limiter, "ada", "a", Duration::from_secs(118), 1),
        0
    );
    assert_eq!(
        admitted(&limiter, "ada", "a", Duration::from_secs(119), 1),
        1
    );
}
