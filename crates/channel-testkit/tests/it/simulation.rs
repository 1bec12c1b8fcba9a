//! The simulation keeps its promises, sees what it is to see, and repeats itself.

use std::collections::BTreeSet;

use channel_testkit::simulation::{Bug, Invariant, run};

/// CI runs 10,000 seeds with the binary; these are for whoever runs the tests.
const SEEDS: u64 = 150;

/// How many seeds a planted bug may stay unseen here. Most are seen by the first.
const UNSEEN: u64 = 400;

#[test]
fn every_promise_is_kept_whatever_goes_wrong() {
    let broken: Vec<_> = (0..SEEDS)
        .filter_map(|seed| {
            Some(format!(
                "--seed {seed}: {}",
                run(seed, None, false).violation?
            ))
        })
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_seed_takes_the_same_steps_each_time() {
    for seed in 0..40 {
        let (first, second) = (run(seed, None, true), run(seed, None, true));
        assert!(first.trace.len() > 50, "seed {seed} does nothing");
        let differs = first
            .trace
            .iter()
            .zip(&second.trace)
            .find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
    }
}

#[test]
fn watching_a_seed_does_not_change_it() {
    for seed in 0..20 {
        let (traced, silent) = (run(seed, None, true), run(seed, None, false));
        assert_eq!(
            (traced.steps, traced.shown, traced.elapsed),
            (silent.steps, silent.shown, silent.elapsed),
            "seed {seed}"
        );
    }
}

#[test]
fn seeds_differ() {
    let steps: BTreeSet<_> = (0..50).map(|seed| run(seed, None, false).steps).collect();
    assert!(steps.len() > 40, "{steps:?}");
}

/// Each planted bug is found, through a promise that it is meant to break, and each
/// promise is the one that gives some bug away.
#[test]
fn each_planted_bug_is_found_and_each_promise_finds_one() {
    let mut missed = Vec::new();
    let mut by = BTreeSet::new();
    for bug in Bug::ALL {
        let found = (0..UNSEEN).find_map(|seed| run(seed, Some(*bug), false).violation);
        match found {
            Some(violation) if bug.breaks().contains(&violation.invariant) => {
                by.insert(violation.invariant);
            }
            other => missed.push(format!("{bug}: {other:?}")),
        }
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
    for invariant in Invariant::ALL {
        assert!(
            by.contains(&invariant) || gives_away_a_bug(invariant),
            "no planted bug is found by: {invariant}"
        );
    }
}

/// Looks further than the first seed that finds a bug.
fn gives_away_a_bug(invariant: Invariant) -> bool {
    let meant = Bug::ALL
        .iter()
        .filter(|bug| bug.breaks().contains(&invariant));
    meant.into_iter().any(|bug| {
        (0..UNSEEN).any(|seed| {
            let violation = run(seed, Some(*bug), false).violation;
            violation.is_some_and(|violation| violation.invariant == invariant)
        })
    })
}

#[test]
fn bugs_have_names_by_which_they_are_asked_for() {
    let names: BTreeSet<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
    assert_eq!(names.len(), Bug::ALL.len());
    assert!(names.len() >= 20);
    for bug in Bug::ALL {
        assert_eq!(bug.name().parse(), Ok(*bug));
    }
    assert!("no-such-bug".parse::<Bug>().is_err());
}
