//! Where connect commands and bindings stand among the rules.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{AccountRef, Addressed, Bound, Message, Policy as _, Verdict, authorize};
use channel_policy::{
    AccessConfig, DirectPolicy, Gate, GateBuilder, Identities, Pairing, Reason, Resolution, Settled,
};
use channel_testkit::VirtualClock;

use crate::fixture::{Desk, account, direct, event, group, judge, random, reason};

/// Knows Ada, settles `/connect`, and is down for Dora.
#[derive(Debug)]
struct Known;

#[async_trait]
impl Identities for Known {
    async fn connect(&self, message: &Message) -> Option<Settled> {
        message
            .text
            .starts_with("/connect")
            .then(|| Settled::with(Reason::Connected, "connected"))
    }

    async fn resolve(&self, whose: &AccountRef) -> Resolution {
        match whose.sender.as_str() {
            "ada" => Resolution::Bound(Bound::new("b1".into(), "owner-1".into(), whose.clone())),
            "dora" => Resolution::Unavailable,
            _ => Resolution::Unbound,
        }
    }

    fn instruction(&self, _account: &AccountRef) -> String {
        "connect first".into()
    }
}

fn builder(access: AccessConfig) -> (GateBuilder, VirtualClock) {
    let clock = VirtualClock::new();
    let builder = Gate::builder(Arc::new(clock.clone()))
        .channel("acme", access)
        .identities(Arc::new(Known));
    (builder, clock)
}

fn gate(access: AccessConfig) -> Gate {
    builder(access).0.build().unwrap()
}

#[test]
fn a_connect_command_comes_before_every_list_and_trigger() {
    let closed = gate(AccessConfig::new());
    let off = gate(AccessConfig::new().direct(DirectPolicy::Disabled));
    let long = format!("/connect {}", "a".repeat(5000));
    for (gate, message) in [
        (&closed, direct("eve", "/connect code")),
        (&closed, group("eve", "/connect code", Addressed::No)),
        (&closed, direct("eve", &long)),
        (&off, direct("eve", "/connect code")),
    ] {
        assert_eq!(
            judge(gate, message),
            Verdict::Answer("connected", "connected".into())
        );
    }
    assert_eq!(reason(&closed, direct("eve", "hi")), "not_allowed");
}

#[test]
fn without_bindings_a_connect_command_is_ordinary_text() {
    let access = AccessConfig::new().allow_from("ada");
    let gate = Gate::builder(Arc::new(VirtualClock::new()))
        .channel("acme", access)
        .build()
        .unwrap();
    for text in ["/connect code", "/start code"] {
        assert_eq!(
            judge(&gate, direct("ada", text)),
            Verdict::Allow("allowlist")
        );
        assert_eq!(reason(&gate, direct("eve", text)), "not_allowed");
    }
}

#[test]
fn a_message_that_is_rate_limited_may_still_connect() {
    let gate = gate(AccessConfig::new().allow_all());
    for _ in 0..20 {
        let _ = judge(&gate, direct("eve", "hi"));
    }
    assert_eq!(reason(&gate, direct("eve", "hi")), "rate_limited");
    assert_eq!(reason(&gate, direct("eve", "/connect code")), "connected");
}

#[test]
fn only_bound_accounts_pass_and_the_handler_learns_whose_they_are() {
    let gate = gate(AccessConfig::new().allow_all());
    let passed = VirtualClock::new()
        .block_on(authorize(&gate, event(direct("ada", "/run it"))))
        .unwrap();
    assert_eq!(passed.reason(), "allow_all");
    assert_eq!(passed.bound().unwrap().owner.as_str(), "owner-1");
    let denied = VirtualClock::new()
        .block_on(authorize(&gate, event(direct("eve", "/run it"))))
        .unwrap_err();
    assert_eq!(denied.reason, "unbound", "commands are gated too");
    assert_eq!(denied.answer.as_deref(), Some("connect first"));
}

#[test]
fn whose_account_it_is_is_foretold_only_after_a_look() {
    let gate = gate(AccessConfig::new().allow_all());
    let ada = event(direct("ada", "hi"));
    assert_eq!(gate.foretell(&ada), Verdict::Refuse("unbound"));
    let _ = judge(&gate, direct("ada", "hi"));
    let Verdict::Grant(grant) = gate.foretell(&ada) else {
        panic!("not foretold");
    };
    assert_eq!(grant.bound.unwrap().owner.as_str(), "owner-1");
    let _ = judge(&gate, direct("eve", "hi"));
    assert!(!gate.foretell(&event(direct("eve", "hi"))).is_yes());
}

#[test]
fn the_instruction_comes_once_in_a_while() {
    let (builder, clock) = builder(AccessConfig::new().allow_all());
    let gate = builder.build().unwrap();
    assert!(matches!(
        judge(&gate, direct("eve", "hi")),
        Verdict::Answer("unbound", _)
    ));
    assert_eq!(
        judge(&gate, direct("eve", "hi")),
        Verdict::Refuse("unbound")
    );
    assert!(matches!(
        judge(&gate, direct("bob", "hi")),
        Verdict::Answer("unbound", _)
    ));
    clock.advance(Duration::from_secs(1200));
    assert!(matches!(
        judge(&gate, direct("cleo", "hi")),
        Verdict::Answer("unbound", _)
    ));
    clock.advance(Duration::from_secs(600));
    assert!(matches!(
        judge(&gate, direct("eve", "hi")),
        Verdict::Answer("unbound", _)
    ));
}

#[test]
fn a_store_that_is_down_lets_nobody_pass() {
    let gate = gate(AccessConfig::new().allow_all());
    let Verdict::Answer("store_unavailable", answer) = judge(&gate, direct("dora", "hi")) else {
        panic!("let pass");
    };
    assert!(answer.contains("temporarily unavailable"));
}

#[test]
fn bound_accounts_may_be_a_bonus_instead_of_a_rule() {
    let (builder, _) = builder(AccessConfig::new().allow_all());
    let gate = builder.require_bound_identity(false).build().unwrap();
    for sender in ["eve", "dora"] {
        assert_eq!(
            judge(&gate, direct(sender, "hi")),
            Verdict::Allow("allow_all")
        );
    }
    assert!(matches!(
        judge(&gate, direct("ada", "hi")),
        Verdict::Grant(_)
    ));
}

#[test]
fn access_comes_before_identity() {
    // Whoever is on no list does not learn that there is something to connect to.
    let gate = gate(AccessConfig::new().allow_from("bob"));
    assert_eq!(
        judge(&gate, direct("ada", "hi")),
        Verdict::Refuse("not_allowed")
    );
    assert_eq!(reason(&gate, direct("bob", "hi")), "unbound");
}

#[test]
fn a_paired_stranger_still_has_to_connect() {
    let (builder, clock) = builder(AccessConfig::new().direct(DirectPolicy::Pairing));
    let pairing = Desk(Arc::new(Pairing::new(Arc::new(clock), random())));
    let gate = builder.pairing(pairing.0.clone()).build().unwrap();
    assert_eq!(reason(&gate, direct("bob", "hi")), "pairing_requested");
    let id = pairing.pending()[0].id.clone();
    assert_eq!(pairing.approve("root", &id), Ok(account("bob")));
    assert_eq!(reason(&gate, direct("bob", "hi")), "unbound");
}
