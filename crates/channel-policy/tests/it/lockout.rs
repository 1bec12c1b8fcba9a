//! Who has guessed too often.

use std::time::Duration;

use channel_policy::Lockout;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_sixth_try_is_locked_and_the_one_an_hour_later_is_not() {
    let lockout = Lockout::new(5, HOUR, 10);
    let last = Duration::from_secs(50);
    for second in 0..=4 {
        assert!(lockout.begin(&"eve", Duration::from_secs(10 + second * 10)));
    }
    assert!(!lockout.begin(&"eve", last));
    assert!(!lockout.begin(&"eve", last + HOUR - Duration::from_nanos(1)));
    for _ in 0..5 {
        assert!(lockout.begin(&"eve", last + HOUR));
    }
    assert!(!lockout.begin(&"eve", last + HOUR));
}

#[test]
fn nobody_else_is_locked() {
    let lockout = Lockout::new(5, HOUR, 10);
    for _ in 0..10 {
        let _ = lockout.begin(&"eve", Duration::ZERO);
    }
    assert!(lockout.begin(&"ada", Duration::ZERO));
}

#[test]
fn success_wipes_the_slate() {
    let lockout = Lockout::new(5, HOUR, 10);
    for _ in 0..4 {
        assert!(lockout.begin(&"ada", Duration::ZERO));
    }
    assert!(lockout.begin(&"ada", Duration::ZERO));
    lockout.succeeded(&"ada");
    for _ in 0..5 {
        assert!(lockout.begin(&"ada", Duration::ZERO));
    }
}

#[test]
fn an_attempt_that_could_not_be_judged_does_not_count() {
    let lockout = Lockout::new(1, HOUR, 10);
    for _ in 0..3 {
        assert!(lockout.begin(&"ada", Duration::ZERO));
        lockout.withdraw(&"ada");
    }
}

#[test]
fn many_at_once_get_no_more_tries_than_one_by_one() {
    let lockout = Lockout::new(5, HOUR, 10);
    let begun = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|_| scope.spawn(|| lockout.begin(&"eve", Duration::ZERO)))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .filter(|begun| *begun)
            .count()
    });
    assert_eq!(begun, 5);
}

#[test]
fn a_crowd_of_others_does_not_free_whoever_is_locked() {
    let lockout = Lockout::new(5, HOUR, 10);
    for _ in 0..5 {
        assert!(lockout.begin(&0, Duration::ZERO));
    }
    for other in 1..1000 {
        assert!(lockout.begin(&other, Duration::from_secs(1)));
    }
    assert!(!lockout.begin(&0, Duration::from_secs(2)));
    assert!(format!("{lockout:?}").contains("remembered: 10"));
}
