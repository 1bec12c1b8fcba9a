use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{Clock as _, Random as _, timeout};
use channel_testkit::{SeededRandom, VirtualClock};
use futures_util::future::{join, join_all};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn wakes_sleepers_in_the_order_of_their_deadlines() {
    let clock = VirtualClock::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let sleepers = [3, 1, 2, 1].map(|seconds| {
        let (clock, order) = (clock.clone(), Arc::clone(&order));
        async move {
            clock.sleep(SECOND * seconds).await;
            order.lock().unwrap().push((seconds, clock.elapsed()));
        }
    });
    clock.block_on(join_all(sleepers));
    let seen = order.lock().unwrap().clone();
    assert_eq!(seen, [1, 1, 2, 3].map(|s| (s, SECOND * s)));
}

#[test]
fn time_stands_still_until_it_is_moved() {
    let clock = VirtualClock::new();
    let before = clock.now();
    clock.advance(SECOND * 90);
    assert_eq!(clock.elapsed(), SECOND * 90);
    assert_eq!(clock.now(), before + SECOND * 90);
}

#[test]
fn the_wall_clock_jumps_alone() {
    let clock = VirtualClock::new();
    let before = clock.now();
    clock.jump_back(SECOND * 600);
    assert_eq!(clock.now(), before - SECOND * 600);
    clock.jump_forward(SECOND * 86_400);
    assert_eq!(clock.now(), before + SECOND * 85_800);
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[test]
fn a_dropped_sleep_is_forgotten() {
    let clock = VirtualClock::new();
    let done = clock.block_on(timeout(&clock, SECOND * 50, clock.sleep(SECOND)));
    assert!(done.is_ok());
    assert_eq!(clock.sleepers(), 0);
    assert_eq!(clock.elapsed(), SECOND);
}

#[test]
fn a_future_that_is_late_is_timed_out() {
    let clock = VirtualClock::new();
    let late = clock.block_on(timeout(&clock, SECOND, std::future::pending::<()>()));
    assert!(late.is_err());
    assert_eq!(clock.elapsed(), SECOND);
}

#[test]
fn waits_for_sleepers_without_moving_time() {
    let clock = VirtualClock::new();
    let watcher = async {
        clock.wait_for_sleepers(1).await;
        let seen = (clock.elapsed(), clock.next_deadline());
        clock.advance(SECOND * 5);
        seen
    };
    let ((), seen) = clock.block_on(join(clock.sleep(SECOND * 5), watcher));
    assert_eq!(seen, (Duration::ZERO, Some(SECOND * 5)));
}

#[tokio::test]
async fn drives_time_while_other_tasks_of_the_runtime_work() {
    let clock = VirtualClock::new();
    let busy = tokio::spawn({
        let clock = clock.clone();
        async move {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.elapsed()
        }
    });
    let sleeper = {
        let clock = clock.clone();
        tokio::spawn(async move { clock.sleep(SECOND * 3_600).await })
    };
    clock
        .drive(async {
            assert_eq!(busy.await.unwrap(), Duration::ZERO);
            sleeper.await.unwrap();
        })
        .await;
    assert_eq!(clock.elapsed(), SECOND * 3_600);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let fill = |seed| {
        let mut bytes = [0; 37];
        SeededRandom::new(seed).fill(&mut bytes);
        bytes
    };
    assert_eq!(fill(7), fill(7));
    assert_ne!(fill(7), fill(8));
    assert!(fill(7).iter().any(|byte| *byte != 0));
}
