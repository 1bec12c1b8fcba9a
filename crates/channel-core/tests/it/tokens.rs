use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::{Clock, Error, ErrorKind, Platform, Secret, TokenCache};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join, pending, ready};

/// Time that a test moves.
#[derive(Debug, Default)]
struct Hands(Mutex<Duration>);

impl Hands {
    fn turn(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }
}

fn cache(early: u64) -> (Arc<Hands>, TokenCache) {
    let hands = Arc::new(Hands::default());
    let cache = TokenCache::new(hands.clone(), Duration::from_secs(early));
    (hands, cache)
}

/// The token that the cache gives; each fetch brings another, good for so long.
fn get(cache: &TokenCache, fetches: &AtomicU32, lasts: u64) -> String {
    let fetch = async {
        let number = fetches.fetch_add(1, Ordering::Relaxed);
        let token = Secret::new(format!("t{number}"));
        Ok((token, Duration::from_secs(lasts)))
    };
    let token = cache.get(fetch).now_or_never().unwrap().unwrap();
    token.expose().to_owned()
}

#[test]
fn a_token_is_fetched_anew_ahead_of_its_end() {
    let (hands, cache) = cache(600);
    let fetches = AtomicU32::new(0);
    for (turn, wanted) in [(0, "t0"), (6599, "t0"), (1, "t1"), (6600, "t2")] {
        hands.turn(turn);
        assert_eq!(get(&cache, &fetches, 7200), wanted);
    }
    // A short one is used for half of its time, and not for none.
    hands.turn(10_000);
    assert_eq!(get(&cache, &fetches, 100), "t3");
    hands.turn(49);
    assert_eq!(get(&cache, &fetches, 100), "t3");
    hands.turn(1);
    assert_eq!(get(&cache, &fetches, 100), "t4");
}

#[test]
fn whoever_comes_meanwhile_waits_for_the_same_token() {
    let (_, cache) = cache(0);
    let first = cache.get(async { Ok((Secret::new("one"), Duration::from_secs(60))) });
    let second = cache.get(pending());
    let (first, second) = join(first, second).now_or_never().unwrap();
    assert_eq!(first.unwrap().expose(), "one");
    assert_eq!(second.unwrap().expose(), "one");
}

#[test]
fn a_caller_that_is_dropped_holds_nobody_up() {
    let (_, cache) = cache(0);
    assert!(cache.get(pending()).now_or_never().is_none());
    assert_eq!(get(&cache, &AtomicU32::new(0), 60), "t0");
}

#[test]
fn only_the_token_that_was_refused_is_forgotten() {
    let (_, cache) = cache(0);
    let fetches = AtomicU32::new(0);
    assert_eq!(get(&cache, &fetches, 60), "t0");
    let forget = |token: &str| cache.refused(&Secret::new(token)).now_or_never().unwrap();
    forget("another");
    assert_eq!(get(&cache, &fetches, 60), "t0");
    forget("t0");
    assert_eq!(get(&cache, &fetches, 60), "t1");
}

#[test]
fn wrong_credentials_are_asked_about_once_in_five_seconds() {
    let (hands, cache) = cache(0);
    let asked = AtomicU32::new(0);
    let refuse = |kind| {
        let fetch = async {
            asked.fetch_add(1, Ordering::Relaxed);
            let error = Error::new(kind, "no").with_code("7");
            Err(error.on(Platform::new("x"), "get token"))
        };
        cache.get(fetch).now_or_never().unwrap().unwrap_err()
    };
    for _ in 0..3 {
        let error = refuse(ErrorKind::Unauthenticated);
        assert_eq!(error.to_string(), "x: get token: no");
        assert_eq!(error.code(), Some("7"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    hands.turn(5);
    refuse(ErrorKind::Unavailable);
    refuse(ErrorKind::Unavailable);
    assert_eq!(asked.load(Ordering::Relaxed), 3, "waiting mends these");
}
