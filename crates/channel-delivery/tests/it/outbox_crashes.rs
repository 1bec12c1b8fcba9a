//! Every write of a busy outbox fails once and is the last one once, and every request is
//! the last thing that a process does once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{ErrorKind, Repeat};
use channel_delivery::{
    Audience, OnUncertain, Outbox, PartState, Undelivered, Unfinished, Visibility,
};
use futures_util::future::join_all;

use crate::outbox_flaky::{At, FlakyStore};
use crate::outbox_world::{Fault, KEYED, World, error, fake, secs, to};

const PLANNED: [(&str, &str); 4] = [("a", "a1|a2|a3"), ("b", "b1|b2"), ("a", "a4"), ("b", "b3")];
const REPEATS: [Repeat; 4] = [KEYED, Repeat::ReadBack, Repeat::Idempotent, Repeat::Doubles];

/// A process with four messages, one of which meets a busy platform and one a lost answer.
struct Scene {
    world: World,
    store: FlakyStore,
}

impl Scene {
    fn new(repeat: Repeat, on_uncertain: OnUncertain) -> Self {
        let mut world = World::new(repeat);
        world.set(|settings| settings.on_uncertain(on_uncertain));
        let store = FlakyStore::new(&world.platform);
        world.store = Arc::new(store.clone());
        let busy = error(ErrorKind::RateLimited).with_retry_after(secs(3));
        world.platform.error("a2", busy);
        world.platform.error("b1", error(ErrorKind::Unavailable));
        Self { world, store }
    }

    /// Sends everything; says which calls were told that they are done.
    fn send_all(&self, outbox: &Outbox) -> Option<Vec<channel_core::Result<usize>>> {
        let sends = PLANNED.map(|(chat, text)| async move {
            let receipt = outbox.send(fake(), to(chat, text), None).await?;
            Ok(receipt.messages.len())
        });
        self.world.run_or_crash(join_all(sends))
    }

    /// What must hold when everything has come to its end.
    fn check(&self, repeat: Repeat, marking: bool, told_failed: &[&str], what: &str) {
        assert_eq!(self.world.unfinished(), 0, "{what}: unfinished");
        for (chat, expected) in [
            ("a", ["a1", "a2", "a3", "a4"].as_slice()),
            ("b", &["b1", "b2", "b3"]),
        ] {
            let shown = self.world.platform.texts_in(chat);
            self.check_conversation(&shown, expected, marking, told_failed, what);
            let whole = shown
                .iter()
                .filter(|text| expected.contains(&text.as_str()));
            let whole: BTreeSet<_> = whole.collect();
            let can_tell = matches!(repeat, Repeat::Keyed(_) | Repeat::ReadBack);
            if can_tell && self.all_planned() {
                assert_eq!(whole.len(), expected.len(), "{what}: lost, {shown:?}");
            }
        }
        self.check_account(what);
    }

    /// First appearances are in order, and nothing shows twice without the note above it.
    fn check_conversation(
        &self,
        shown: &[String],
        expected: &[&str],
        marking: bool,
        told_failed: &[&str],
        what: &str,
    ) {
        let mut seen: Vec<&str> = Vec::new();
        let mut noted = false;
        for text in shown {
            let bare = text.rsplit('\n').next().unwrap();
            if text.starts_with("(sent again") && bare.starts_with('(') {
                noted = true;
                continue;
            }
            let marked = noted || text.starts_with("(sent again");
            noted = false;
            if seen.contains(&bare) {
                assert!(marking && marked, "{what}: doubled in silence, {shown:?}");
                continue;
            }
            seen.push(bare);
        }
        // A plan whose answer was lost twice comes after what was sent in between: its
        // caller was told that it had failed.
        seen.retain(|text| !told_failed.iter().any(|failed| failed.contains(text)));
        let order: Vec<&str> = expected
            .iter()
            .filter(|text| seen.contains(*text))
            .copied()
            .collect();
        assert_eq!(seen, order, "{what}: order, {shown:?}");
    }

    fn all_planned(&self) -> bool {
        let parts = self.world.counts().parts.into_values();
        parts.sum::<u64>() == 7
    }

    /// What is on record as delivered is on the platform, and the other way round what is
    /// there is delivered or uncertain.
    fn check_account(&self, what: &str) {
        let shown: BTreeSet<String> = self.world.platform.texts().into_iter().collect();
        let bare = |text: &String| text.rsplit('\n').next().unwrap().to_owned();
        let shown: BTreeSet<String> = shown.iter().map(bare).collect();
        let shown = shown.iter().filter(|text| !text.starts_with('(')).count() as u64;
        let delivered = self.world.in_state(PartState::Delivered);
        let uncertain = self.world.in_state(PartState::Uncertain);
        assert!(
            delivered <= shown,
            "{what}: {delivered} delivered, {shown} shown"
        );
        assert!(
            shown <= delivered + uncertain,
            "{what}: {shown} shown, {delivered} delivered, {uncertain} uncertain"
        );
    }
}

fn choices(repeat: Repeat) -> Vec<OnUncertain> {
    match repeat {
        Repeat::Doubles => vec![OnUncertain::Hold, OnUncertain::ResendMarked],
        _ => vec![OnUncertain::Hold],
    }
}

fn all(mut run: impl FnMut(Repeat, OnUncertain)) {
    for repeat in REPEATS {
        for choice in choices(repeat) {
            // A platform on which a repetition has no second effect is not this one: its
            // texts double, which is what the others are tested for.
            if repeat != Repeat::Idempotent {
                run(repeat, choice);
            }
        }
    }
}

fn writes_of_a_quiet_run(repeat: Repeat, choice: OnUncertain) -> usize {
    let scene = Scene::new(repeat, choice);
    let outbox = scene.world.start();
    for sent in scene.send_all(&outbox).unwrap() {
        sent.unwrap();
    }
    scene.check(repeat, false, &[], "quiet");
    assert_eq!(scene.world.in_state(PartState::Delivered), 7);
    scene.store.writes()
}

#[test]
fn every_write_may_fail_or_be_the_last() {
    all(|repeat, choice| {
        let writes = writes_of_a_quiet_run(repeat, choice);
        // Four plans, and for seven parts and two failures an attempt and a result each,
        // of which those in the middle of a message share a write.
        assert!(writes >= 16, "{writes}");
        for write in 1..=writes {
            for at in At::ALL {
                let what = format!("{repeat:?}, {choice:?}, write {write} of {writes}, {at:?}");
                let scene = Scene::new(repeat, choice);
                scene.store.fail(write, 1, at);
                let outbox = scene.world.start();
                let told = scene.send_all(&outbox);
                assert_eq!(
                    told.is_none(),
                    matches!(at, At::CrashBefore | At::CrashAfter),
                    "{what}"
                );
                scene.world.restart();
                scene.check(repeat, choice == OnUncertain::ResendMarked, &[], &what);
                if let Some(told) = told {
                    // A failing write is repeated, so that only plans that failed are told.
                    let failed = told.iter().filter_map(|sent| sent.as_ref().err());
                    for error in failed {
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
                        assert!(Undelivered::of(error).is_none(), "{what}");
                    }
                }
            }
        }
    });
}

#[test]
fn every_write_may_fail_for_a_while() {
    all(|repeat, choice| {
        for write in 1..=writes_of_a_quiet_run(repeat, choice) {
            for at in [At::FailBefore, At::FailAfter] {
                let what = format!("{repeat:?}, {choice:?}, from write {write} on, {at:?}");
                let scene = Scene::new(repeat, choice);
                scene.store.fail(write, 6, at);
                let outbox = scene.world.start();
                let told = scene.send_all(&outbox).unwrap();
                let failed: Vec<&str> = std::iter::zip(PLANNED, &told)
                    .filter_map(|((_, text), sent)| sent.is_err().then_some(text))
                    .collect();
                scene.world.restart();
                scene.check(repeat, choice == OnUncertain::ResendMarked, &failed, &what);
                for error in told.iter().filter_map(|sent| sent.as_ref().err()) {
                    let words = error.to_string();
                    assert!(words.contains("nothing was sent"), "{what}: {words}");
                }
            }
        }
    });
}

#[test]
fn every_request_may_be_the_last_thing_that_a_process_does() {
    all(|repeat, choice| {
        for text in ["a1", "a2", "a3", "a4", "b1", "b2", "b3"] {
            for shown in [true, false] {
                for again in [true, false] {
                    let what = format!("{repeat:?}, {choice:?}, at {text}, {shown}, {again}");
                    let scene = Scene::new(repeat, choice);
                    scene.world.platform.fault(text, Fault::Crash { shown });
                    if again {
                        // And once more, in the process that goes on with it.
                        scene.world.platform.fault(text, Fault::Crash { shown });
                    }
                    let outbox = scene.world.start();
                    assert!(scene.send_all(&outbox).is_none(), "{what}");
                    scene.world.crash();
                    scene.world.clock.advance(scene.world.lease);
                    let outbox = scene.world.start();
                    scene.world.run_or_crash(async {
                        outbox.recover().await.unwrap();
                        outbox.drained().await;
                    });
                    scene.world.restart();
                    scene.check(repeat, choice == OnUncertain::ResendMarked, &[], &what);
                }
            }
        }
    });
}

#[test]
fn a_store_that_fails_for_good_ends_in_an_error_that_says_what_arrived() {
    let scene = Scene::new(KEYED, OnUncertain::Hold);
    // Plan, attempt, and then the result of the first part cannot be written.
    scene.store.fail(3, usize::MAX, At::FailBefore);
    let outbox = scene.world.start();
    scene.store.renewals_fail(true);
    let sent = scene.world.run(outbox.send(fake(), to("c", "x|y"), None));
    let failed = sent.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Uncertain);
    assert_eq!(failed.delivered().unwrap().messages.len(), 1);
    assert!(Undelivered::of(&failed).is_none());
    assert_eq!(scene.world.platform.requests(), ["x"]);
    assert_eq!(outbox.tally().interrupted, 1);
    // The store is back, and a new process goes on.
    scene.store.fail(usize::MAX, 1, At::FailBefore);
    scene.store.renewals_fail(false);
    scene.world.restart();
    assert_eq!(scene.world.platform.texts(), ["x", "y"]);
}

#[test]
fn what_is_not_to_be_shown_is_not_shown_after_a_crash_either() {
    for write in [1, 2] {
        let scene = Scene::new(KEYED, OnUncertain::Hold);
        scene.store.fail(write, 1, At::CrashAfter);
        let outbox = scene.world.start();
        let audience = Audience::new(Visibility::Internal);
        let send = outbox.send_to(fake(), to("c", "secret"), None, audience);
        assert!(scene.world.run_or_crash(send).is_none());
        scene.world.restart();
        assert!(scene.world.platform.requests().is_empty());
        assert_eq!(scene.world.in_state(PartState::Suppressed), 1);
    }
}

#[test]
fn without_a_plan_nothing_is_sent() {
    let scene = Scene::new(KEYED, OnUncertain::Hold);
    scene.store.fail(1, 2, At::FailBefore);
    let outbox = scene.world.start();
    let failed = scene.world.run(outbox.send(fake(), to("c", "x"), None));
    let failed = failed.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert!(failed.to_string().contains("nothing was sent"), "{failed}");
    assert!(scene.world.platform.requests().is_empty());
    // The conversation is free, and so is the key.
    scene
        .world
        .run(outbox.send(fake(), to("c", "x"), None))
        .unwrap();
}

#[test]
fn a_plan_that_fails_lets_nobody_overtake() {
    let scene = Scene::new(KEYED, OnUncertain::Hold);
    let outbox = scene.world.start();
    let busy = error(ErrorKind::RateLimited).with_retry_after(secs(60));
    scene.world.platform.error("first", busy);
    // The plan, attempt and failure of the first are written, the next plan is not.
    scene.store.fail(4, 2, At::FailBefore);
    let texts = ["first", "second", "third"];
    let sends = texts.map(|text| outbox.send(fake(), to("c", text), None));
    let sent = scene.world.run(join_all(sends));
    let fine: Vec<bool> = sent.iter().map(Result::is_ok).collect();
    assert_eq!(fine.iter().filter(|fine| **fine).count(), 2);
    let shown = scene.world.platform.texts();
    let mut sorted = shown.clone();
    sorted.sort_by_key(|text| texts.iter().position(|at| at == text));
    assert_eq!(shown, sorted);
}

#[test]
fn a_write_of_which_the_answer_was_lost_is_recognised() {
    let scene = Scene::new(KEYED, OnUncertain::Hold);
    scene.store.fail(3, 1, At::FailAfter);
    let outbox = scene.world.start();
    scene
        .world
        .run(outbox.send(fake(), to("c", "x"), None))
        .unwrap();
    assert_eq!(outbox.tally().delivered, 1);
    assert_eq!(scene.world.platform.requests(), ["x"]);
}

#[test]
fn a_worker_that_lost_its_lease_sends_nothing() {
    let scene = Scene::new(Repeat::Doubles, OnUncertain::Hold);
    let outbox = scene.world.start();
    scene
        .world
        .run(outbox.send(fake(), to("c", "x"), None))
        .unwrap();
    // Nobody runs while time passes: the process is paused.
    scene
        .world
        .clock
        .advance(scene.world.lease + Duration::from_secs(1));
    let failed = scene.world.run(outbox.send(fake(), to("c", "y"), None));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(scene.world.platform.texts(), ["x"]);
}

#[test]
fn a_lease_that_ends_while_the_attempt_is_written_ends_the_attempt() {
    let scene = Scene::new(KEYED, OnUncertain::Hold);
    scene.store.fail(2, 1, At::Late);
    let outbox = scene.world.start();
    scene.store.renewals_fail(true);
    let failed = scene.world.run(outbox.send(fake(), to("c", "x"), None));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(scene.world.platform.requests().is_empty());
}

#[test]
fn a_delivery_that_another_worker_has_is_left_to_it() {
    let scene = Scene::new(KEYED, OnUncertain::Hold);
    let world = &scene.world;
    let (first, second) = (world.start(), world.start());
    let busy = error(ErrorKind::RateLimited).with_retry_after(secs(60));
    world.platform.error("x", busy);
    let sends = [&first, &second].map(|outbox| outbox.send(fake(), to("c", "x"), None));
    let sent = world.run(join_all(sends));
    assert!(sent[0].is_ok());
    let refused = sent[1].as_ref().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(world.platform.texts(), ["x"]);
    // Both live on.
    world.run(second.send(fake(), to("c", "y"), None)).unwrap();
}

#[test]
fn what_cannot_be_sent_because_the_backlog_cannot_be_read_has_no_end_yet() {
    let mut world = World::new(Repeat::Doubles);
    let store = FlakyStore::new(&world.platform);
    world.store = Arc::new(store.clone());
    let outbox = world.start();
    store.claims_fail(true);
    let failed = world.run(outbox.send(fake(), to("c", "a"), None));
    let failed = failed.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert!(Unfinished::is_cause_of(&failed), "{failed:?}");
    store.claims_fail(false);
    world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(world.platform.texts(), ["a"]);
}
