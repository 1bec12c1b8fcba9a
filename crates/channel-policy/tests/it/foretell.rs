//! What the gate says of a message without a look at any store.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Addressed, Message, Policy as _, SenderKind, Verdict};
use channel_policy::{AccessConfig, DirectPolicy, Gate, Pairing, RateLimits, Reason};
use channel_testkit::VirtualClock;

use crate::fixture::{Desk, account, direct, event, group, judge, random};

fn may(gate: &Gate, message: Message) -> bool {
    gate.foretell(&event(message)).is_yes()
}

fn gate(access: AccessConfig) -> Gate {
    Gate::builder(Arc::new(VirtualClock::new()))
        .channel("acme", access)
        .rate_limits(RateLimits::new(1, 600))
        .build()
        .unwrap()
}

#[test]
fn it_says_what_the_lists_say_and_counts_nothing() {
    let gate = gate(AccessConfig::new().allow_from("ada").allow_chat("hall"));
    for _ in 0..100 {
        assert!(may(&gate, direct("ada", "hi")));
        assert!(!may(&gate, direct("eve", "hi")));
        assert!(!may(&gate, direct("ada", &"x".repeat(5000))));
        assert!(!may(&gate, group("ada", "hi", Addressed::No)));
        assert!(may(&gate, group("ada", "hi", Addressed::Mention)));
    }
    assert_eq!(gate.count(Reason::Allowlist), 0);
    // One a minute: nothing has been taken from the bucket.
    assert!(judge(&gate, direct("ada", "hi")).is_yes());
    let mut bot = direct("ada", "hi");
    bot.sender.kind = SenderKind::Bot;
    assert!(!may(&gate, bot));
    let mut elsewhere = event(direct("ada", "hi"));
    elsewhere.channel = "other".into();
    assert_eq!(
        gate.foretell(&elsewhere),
        Verdict::Refuse("unknown_channel")
    );
}

#[test]
fn it_says_no_where_direct_messages_are_off_and_yes_where_they_are_open() {
    for (policy, wanted) in [(DirectPolicy::Disabled, false), (DirectPolicy::Open, true)] {
        let gate = gate(AccessConfig::new().direct(policy));
        assert_eq!(may(&gate, direct("eve", "hi")), wanted);
    }
}

#[test]
fn who_is_paired_is_known_after_a_look_and_until_the_pairing_is_taken_back() {
    let clock = Arc::new(VirtualClock::new());
    let desk = Desk(Arc::new(Pairing::new(clock.clone(), random())));
    let gate = Gate::builder(clock.clone())
        .channel("acme", AccessConfig::new().direct(DirectPolicy::Pairing))
        .pairing(desk.0.clone())
        .without_rate_limits()
        .build()
        .unwrap();
    judge(&gate, direct("eve", "hi"));
    assert!(!may(&gate, direct("eve", "hi")), "she has only asked");
    let id = desk.pending()[0].id.clone();
    desk.approve("root", &id).unwrap();
    assert!(!may(&gate, direct("eve", "hi")), "nobody has looked yet");
    assert!(judge(&gate, direct("eve", "hi")).is_yes());
    assert!(may(&gate, direct("eve", "hi")));
    clock.advance(Duration::from_secs(599));
    assert!(may(&gate, direct("eve", "hi")));
    clock.advance(Duration::from_secs(601));
    assert!(!may(&gate, direct("eve", "hi")), "too long ago");
    assert!(judge(&gate, direct("eve", "hi")).is_yes());
    assert!(may(&gate, direct("eve", "hi")));
    assert!(
        VirtualClock::new()
            .block_on(desk.0.revoke("root", &account("eve")))
            .unwrap()
    );
    assert!(!may(&gate, direct("eve", "hi")), "at once");
}
