//! Many reconnecting sockets that are cut at once, on virtual time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use channel_core::Crowd;
use channel_http::reconnect::{Cause, ReconnectSettings, SocketEvent};

use crate::fake::{Dice, FakeClock, Outcome, World, fake_clock};

const TENTH: Duration = Duration::from_millis(100);

/// Sockets that have been open for an hour.
fn accounts(
    count: usize,
    seed: u64,
    settings: &ReconnectSettings,
) -> (&'static FakeClock, Vec<World>) {
    let clock = fake_clock();
    let dice = Arc::new(Dice::new(seed));
    let mut worlds: Vec<_> = (0..count)
        .map(|_| World::with(clock, dice.clone(), settings.clone(), [] as [Outcome; 0]))
        .collect();
    for world in &mut worlds {
        world.settle();
        assert_eq!(world.opened(), 1);
    }
    for _ in 0..60 {
        clock.advance(Duration::from_secs(60));
        for world in &mut worlds {
            world.settle();
        }
    }
    (clock, worlds)
}

/// When each of them is back, in tenths of a second after the cut.
fn back_after(clock: &FakeClock, worlds: &mut [World], seconds: usize) -> Vec<usize> {
    let mut times = Vec::new();
    for tenth in 0..seconds * 10 {
        for world in &mut *worlds {
            let events = world.settle();
            let back = events.iter().flatten().filter(|event| {
                matches!(
                    event,
                    SocketEvent::Opened { .. } | SocketEvent::Replaced { .. }
                )
            });
            times.extend(back.map(|_| tenth));
        }
        clock.advance(TENTH);
    }
    times
}

/// The most that come back within any span of so many tenths of a second.
fn busiest(times: &[usize], span: usize) -> usize {
    let within = |from: usize| {
        times
            .iter()
            .filter(move |at| (from..from + span).contains(*at))
    };
    times
        .iter()
        .map(|from| within(*from).count())
        .max()
        .unwrap()
}

fn cut(worlds: &[World]) {
    for world in worlds {
        world.peer(0).breaks();
    }
}

/// 100 accounts of one process: this is the default.
#[test]
fn of_a_hundred_sockets_cut_at_once_the_first_ten_seconds_see_no_more_than_a_fifth() {
    for seed in 0..20 {
        let settings = ReconnectSettings::new().crowd(Crowd::new());
        let (clock, mut worlds) = accounts(100, seed, &settings);
        cut(&worlds);
        let times = back_after(clock, &mut worlds, 30);
        assert_eq!(times.len(), 100, "all are back within half a minute");
        let first = times.iter().filter(|at| **at < 100).count();
        assert!((10..=20).contains(&first), "{first} with seed {seed}");
        let most = busiest(&times, 10);
        assert!(most <= 8, "{most} in a second with seed {seed}");
    }
}

/// Some platforms tell a span, and think of one socket.
#[test]
fn a_span_that_is_told_does_not_narrow_that_of_a_crowd() {
    let settings = ReconnectSettings::new()
        .crowd(Crowd::new())
        .spread(Duration::from_secs(10));
    let (clock, mut worlds) = accounts(100, 7, &settings);
    cut(&worlds);
    let times = back_after(clock, &mut worlds, 30);
    assert_eq!(times.len(), 100);
    let first = times.iter().filter(|at| **at < 100).count();
    assert!(
        (10..=20).contains(&first),
        "{first} in the first ten seconds"
    );
}

/// What a thousand sockets do in each second after a cut, and when the last of them is open again.
/// Their servers take `outage` seconds to come up.
fn thousand_after(seed: u64, outage: usize) -> (Vec<usize>, usize) {
    let settings = ReconnectSettings::new()
        .crowd(Crowd::new())
        .back_within(Duration::from_secs(30));
    let (clock, mut worlds) = accounts(1000, seed, &settings);
    for world in &worlds {
        world.dial.is_down.store(outage > 0, Ordering::SeqCst);
    }
    cut(&worlds);
    let tried = |worlds: &[World]| -> usize {
        let attempts = worlds
            .iter()
            .map(|it| it.dial.attempts.load(Ordering::SeqCst));
        attempts.sum()
    };
    let mut seconds = Vec::new();
    let mut back = 0;
    let mut last = 0;
    for second in 0..outage + 31 {
        if second == outage {
            for world in &worlds {
                world.dial.is_down.store(false, Ordering::SeqCst);
            }
        }
        let before = tried(&worlds);
        let times = back_after(clock, &mut worlds, 1);
        if !times.is_empty() {
            back += times.len();
            last = second + 1;
        }
        seconds.push(tried(&worlds) - before);
    }
    assert_eq!(back, 1000, "all are back {outage}");
    (seconds, last - outage)
}

#[test]
fn a_thousand_sockets_are_back_within_half_a_minute_and_no_second_sees_a_storm() {
    let (seconds, last) = thousand_after(1, 0);
    assert!(last <= 26, "the last is back in second {last}");
    let most = seconds.iter().max().unwrap();
    assert!(*most <= 60, "{most} attempts in a second: {seconds:?}");
    assert!(seconds[..10].iter().sum::<usize>() <= 200, "{seconds:?}");
    assert_eq!(seconds.iter().sum::<usize>(), 1000, "one attempt each");
}

#[test]
fn a_thousand_sockets_are_back_within_half_a_minute_of_the_end_of_an_outage() {
    let (seconds, last) = thousand_after(2, 120);
    assert!(last <= 26, "the last is back in second {last}");
    let most = seconds.iter().max().unwrap();
    assert!(*most <= 260, "{most} attempts in a second: {seconds:?}");
    let steady = seconds[60..120].iter().max().unwrap();
    assert!(*steady <= 100, "{steady} attempts in a second: {seconds:?}");
}

/// The same hundred without the spreading: the test can tell.
#[test]
fn without_the_spread_they_all_come_back_within_a_second() {
    let settings = ReconnectSettings::new()
        .crowd(Crowd::new())
        .spread(Duration::ZERO);
    let (clock, mut worlds) = accounts(100, 1, &settings);
    cut(&worlds);
    let times = back_after(clock, &mut worlds, 61);
    assert_eq!(busiest(&times, 100), 100);
    assert!(times.iter().all(|at| (5..=11).contains(at)), "{times:?}");
}

#[test]
fn a_single_bot_is_back_within_a_second() {
    for (count, seed) in [(1, 3), (9, 4)] {
        let settings = ReconnectSettings::new().crowd(Crowd::new());
        let (clock, mut worlds) = accounts(count, seed, &settings);
        cut(&worlds);
        let times = back_after(clock, &mut worlds, 5);
        assert_eq!(times.len(), count);
        assert!(times.iter().all(|at| *at <= 11), "{times:?}");
    }
}

#[test]
fn a_span_can_be_set_for_many_processes_of_one_socket_each() {
    let mut times = Vec::new();
    for seed in 0..100 {
        let settings = ReconnectSettings::new()
            .crowd(Crowd::new())
            .spread(Duration::from_secs(80));
        let (clock, mut worlds) = accounts(1, seed * 7919 + 13, &settings);
        cut(&worlds);
        times.extend(back_after(clock, &mut worlds, 81));
    }
    assert_eq!(times.len(), 100);
    assert!(busiest(&times, 100) <= 25, "{}", busiest(&times, 100));
}

#[test]
fn sockets_of_a_machine_that_has_slept_come_back_one_after_the_other() {
    let settings = ReconnectSettings::new().crowd(Crowd::new());
    let (clock, mut worlds) = accounts(100, 5, &settings);
    clock.sleep_machine(Duration::from_secs(8 * 3600));
    // The jump shows at the next look at the clocks, 10 s later at most.
    let times = back_after(clock, &mut worlds, 40);
    assert_eq!(times.len(), 100);
    assert!(busiest(&times, 10) <= 8, "{}", busiest(&times, 10));
    let jumps: u64 = worlds.iter().map(|it| it.count(Cause::ClockJump)).sum();
    assert_eq!(jumps, 100);
}

#[test]
fn a_crowd_counts_the_sockets_that_live() {
    let crowd = Crowd::new();
    let settings = ReconnectSettings::new().crowd(crowd.clone());
    let (_, mut worlds) = accounts(12, 6, &settings);
    assert_eq!(crowd.members(), 12);
    worlds.truncate(3);
    assert_eq!(crowd.members(), 3);
}
