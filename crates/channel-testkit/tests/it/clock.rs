use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use channel_core::{Clock as _, Random as _, timeout};
use channel_testkit::{SeededRandom, VirtualClock};
use futures_util::future::join;

const SECOND: Duration = Duration::from_secs(1);

/// Notes its number when it is woken.
struct Woken(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn wakes_sleepers_in_the_order_of_their_deadlines_and_then_of_their_coming() {
    let clock = VirtualClock::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut sleeps: Vec<_> = [3, 1, 2, 1].map(|s| clock.sleep(SECOND * s)).into();
    for (number, sleep) in sleeps.iter_mut().enumerate() {
        let waker = Waker::from(Arc::new(Woken(number, Arc::clone(&order))));
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    clock.advance_to_next();
    assert_eq!(*order.lock().unwrap(), [1]);
    clock.advance(SECOND);
    assert_eq!(*order.lock().unwrap(), [1, 3, 2]);
    assert_eq!(clock.next_deadline(), Some(SECOND));
    clock.advance_to_next();
    assert_eq!(*order.lock().unwrap(), [1, 3, 2, 0]);
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
