//! A gate whose store is down, and gates that share one.

use std::sync::Arc;
use std::time::SystemTime;

use channel_core::{
    AccountRef, Addressed, Error, ErrorKind, Platform, Result, Verdict, async_trait,
};
use channel_policy::{
    AccessConfig, Asked, DirectPolicy, Gate, Invite, Pairing, PairingRequest, PolicyStore, Reason,
    Tries,
};
use channel_testkit::VirtualClock;

use crate::fixture::{Desk, account, direct, group, judge, now, random, reason};

/// A store that is down: everything fails.
#[derive(Debug)]
struct Down;

fn down<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, "down"))
}

#[async_trait]
impl PolicyStore for Down {
    async fn begin(&self, _: Tries, _: &str, _: SystemTime) -> Result<bool> {
        down()
    }
    async fn succeeded(&self, _: Tries, _: &str) -> Result<()> {
        down()
    }
    async fn withdraw(&self, _: Tries, _: &str) -> Result<()> {
        down()
    }
    async fn settle(&self, _: &str, _: SystemTime) -> Result<bool> {
        down()
    }
    async fn unsettle(&self, _: &str) -> Result<()> {
        down()
    }
    async fn is_paired(&self, _: &AccountRef) -> Result<bool> {
        down()
    }
    async fn ask(&self, _: &PairingRequest) -> Result<Asked> {
        down()
    }
    async fn requests(&self, _: SystemTime) -> Result<Vec<PairingRequest>> {
        down()
    }
    async fn approve(&self, _: &str, _: SystemTime) -> Result<Option<AccountRef>> {
        down()
    }
    async fn reject(&self, _: &str) -> Result<Option<AccountRef>> {
        down()
    }
    async fn add_alias(&self, _: &AccountRef, _: &AccountRef) -> Result<bool> {
        down()
    }
    async fn revoke(&self, _: &AccountRef) -> Result<bool> {
        down()
    }
    async fn issue(&self, _: &Invite) -> Result<bool> {
        down()
    }
    async fn invites(&self, _: &Platform, _: SystemTime) -> Result<Vec<Invite>> {
        down()
    }
    async fn use_invite(&self, _: &str, _: &AccountRef, _: SystemTime) -> Result<bool> {
        down()
    }
}

fn gate(access: AccessConfig, store: Arc<dyn PolicyStore>) -> (Gate, Desk) {
    let clock = Arc::new(VirtualClock::new());
    let pairing = Arc::new(Pairing::new(clock.clone(), random()).keep_in(store));
    let gate = Gate::builder(clock)
        .channel("acme", access)
        .pairing(pairing.clone())
        .build()
        .unwrap();
    (gate, Desk(pairing))
}

#[test]
fn a_store_that_is_down_lets_those_pass_whom_a_list_names_and_nobody_else() {
    let access = AccessConfig::new()
        .allow_from("1")
        .direct(DirectPolicy::Pairing);
    let (gate, _) = gate(access, Arc::new(Down));
    assert_eq!(reason(&gate, direct("1", "hi")), "allowlist");
    let Verdict::Answer("store_unavailable", answer) = judge(&gate, direct("2", "hi")) else {
        panic!("it is closed");
    };
    assert_eq!(
        answer,
        "This is temporarily unavailable. Please try again later."
    );
    // In front of others strangers learn nothing.
    assert_eq!(
        judge(&gate, group("2", "hi", Addressed::Mention)),
        Verdict::Refuse("store_unavailable")
    );
    assert_eq!(gate.count(Reason::StoreUnavailable), 2);
}

#[test]
fn an_open_bot_needs_no_store() {
    let open = AccessConfig::new().direct(DirectPolicy::Open);
    let (gate, _) = gate(open, Arc::new(Down));
    assert_eq!(reason(&gate, direct("2", "hi")), "direct_open");
}

#[test]
fn pain_37_a_second_replica_knows_whom_the_first_has_paired_and_revoked() {
    let access = || AccessConfig::new().direct(DirectPolicy::Pairing);
    let store = Arc::new(channel_policy::MemoryPolicies::new());
    let (one, desk) = gate(access(), store.clone());
    let (two, other_desk) = gate(access(), store);
    assert_eq!(reason(&one, direct("ada", "hi")), "pairing_requested");
    assert_eq!(
        reason(&two, direct("ada", "hi")),
        "pairing_waiting",
        "one code, not two"
    );
    let id = other_desk.pending()[0].id.clone();
    assert_eq!(other_desk.approve("root", &id), Ok(account("ada")));
    assert_eq!(reason(&one, direct("ada", "hi")), "paired");
    assert!(desk.revoke("root", &account("ada")));
    assert_ne!(reason(&two, direct("ada", "hi")), "paired");
    assert!(!now(desk.0.is_paired(&account("ada"))).unwrap());
}
