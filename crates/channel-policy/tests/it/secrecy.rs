//! What is not written into a store, because it holds a code that may still be used.

use std::sync::Arc;

use channel_core::{Addressed, Event, EventKind, Message, Policy as _};
use channel_policy::{AccessConfig, DirectPolicy, Gate, Pairing};
use channel_testkit::VirtualClock;

use crate::fixture::{ACME, Desk, account, direct, event, group, judge, random, reason};

fn gate() -> (Gate, Desk) {
    let clock = Arc::new(VirtualClock::new());
    let desk = Desk(Arc::new(Pairing::new(clock.clone(), random())));
    let access = AccessConfig::new()
        .allow_from("ada")
        .direct(DirectPolicy::Pairing);
    let gate = Gate::builder(clock)
        .channel("acme", access)
        .pairing(desk.0.clone())
        .build()
        .unwrap();
    (gate, desk)
}

fn is_secret(gate: &Gate, message: Message) -> bool {
    gate.is_secret(&event(message))
}

#[test]
fn an_invite_code_is_a_secret_whoever_shows_it_and_wherever() {
    let (gate, desk) = gate();
    let code = desk.invite("root", &ACME).unwrap().expose().to_owned();
    for text in [
        code.clone(),
        code.to_lowercase(),
        code.replace('-', ""),
        format!("is it {}?", code.replace('-', " ")),
    ] {
        for sender in ["ada", "eve"] {
            assert!(is_secret(&gate, direct(sender, &text)), "{text}");
            assert!(
                is_secret(&gate, group(sender, &text, Addressed::No)),
                "{text}"
            );
        }
    }
    let edited = EventKind::Edited(Box::new(direct("eve", &code)));
    assert!(gate.is_secret(&Event::new("e".into(), "acme".into(), edited)));
}

/// Without a look at any store: another process, another start, another issuer.
#[test]
fn a_process_that_has_never_heard_of_a_code_knows_it_for_one() {
    let (_, elsewhere) = gate();
    let (here, _) = gate();
    let code = elsewhere.invite("root", &ACME).unwrap();
    assert!(is_secret(&here, direct("eve", code.expose())));
}

#[test]
fn what_only_looks_like_a_code_is_kept_like_any_message() {
    let (gate, _) = gate();
    for text in [
        "hello",
        "ABCD-EFGH-JKLM-NPQR",
        "order 2345-6789-2345-6789",
        "the quick brown fox jumps, then stays there and sleeps well",
    ] {
        assert!(!is_secret(&gate, direct("ada", text)), "{text}");
    }
    let closed = Gate::builder(Arc::new(VirtualClock::new()))
        .channel("acme", AccessConfig::new().allow_all())
        .build()
        .unwrap();
    let (_, desk) = self::gate();
    let code = desk.invite("root", &ACME).unwrap();
    assert!(
        !is_secret(&closed, direct("ada", code.expose())),
        "where there are no invites there is nothing to hide"
    );
}

#[test]
fn a_stranger_with_a_pairing_code_is_not_written_down_until_paired() {
    let (gate, desk) = gate();
    assert!(!is_secret(&gate, direct("eve", "hi")));
    assert_eq!(reason(&gate, direct("eve", "hi")), "pairing_requested");
    assert!(
        is_secret(&gate, direct("eve", "ABCD2345")),
        "it may be the code"
    );
    assert!(!is_secret(&gate, direct("bob", "ABCD2345")));
    assert!(!is_secret(&gate, group("eve", "hi", Addressed::Mention)));
    let id = desk.pending()[0].id.clone();
    assert_eq!(desk.approve("root", &id), Ok(account("eve")));
    judge(&gate, direct("eve", "hi"));
    assert!(!is_secret(&gate, direct("eve", "ABCD2345")));
}
