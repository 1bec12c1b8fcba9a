//! Who is on a list.

use channel_core::{ChatId, Platform};
use channel_policy::{Allowlist, Case};

use crate::fixture::{ACME, account};

fn of_channel(entries: &[&str]) -> Allowlist {
    Allowlist::of_channel(entries, Case::Sensitive).unwrap()
}

#[test]
fn an_empty_list_has_nobody() {
    assert!(!of_channel(&[]).has(&account("1"), Some("ada")));
    assert!(!of_channel(&[]).has_chat(&ACME, &ChatId::new("1")));
}

#[test]
fn every_spelling_of_an_id_is_understood() {
    for spelling in ["1", " 1 ", "1|Ada Lovelace", "acme:1", "acme:1|Ada", "*"] {
        assert!(
            of_channel(&[spelling]).has(&account("1"), None),
            "{spelling}"
        );
    }
    for spelling in ["2", "11", "Ada|1", "other:1", "@1", "acme", "acme:1:1"] {
        assert!(
            !of_channel(&[spelling]).has(&account("1"), None),
            "{spelling}"
        );
    }
}

#[test]
fn a_handle_is_compared_with_what_the_platform_vouches_for() {
    let list = of_channel(&["@ada"]);
    assert!(list.has(&account("1"), Some("ada")));
    assert!(!list.has(&account("1"), None));
    assert!(!list.has(&account("1"), Some("eve")));
    assert!(!list.has(&account("1"), Some("")));
    assert!(!list.has(&account("ada"), None), "an id is no handle");
}

#[test]
fn an_id_of_another_workspace_is_somebody_else() {
    let list = of_channel(&["T1:U1", "acme:T2:U2", "U3"]);
    let of = |workspace: &str, id: &str| account(id).in_workspace(workspace.into());
    assert!(list.has(&of("T1", "U1"), None));
    assert!(list.has(&of("T2", "U2"), None));
    assert!(!list.has(&of("T2", "U1"), None));
    assert!(
        !list.has(&of("T1", "U3"), None),
        "the list does not say where"
    );
    assert!(list.has(&account("U3"), None));
}

#[test]
fn case_counts_unless_the_platform_ignores_it() {
    assert!(!of_channel(&["Ada"]).has(&account("ada"), None));
    let list = Allowlist::of_channel(&["Ada", "@Bob"], Case::Insensitive).unwrap();
    assert!(list.has(&account("aDA"), None));
    assert!(list.has(&account("1"), Some("bOB")));
}

#[test]
fn a_list_for_all_channels_names_the_platform() {
    let list = Allowlist::of_all(&["acme:1"]).unwrap();
    assert!(list.has(&account("1"), None));
    let elsewhere = channel_core::AccountRef::new(Platform::new("other"), "1".into());
    assert!(!list.has(&elsewhere, None));
    for bad in ["1", "", "  ", "|Ada", "acme:"] {
        assert!(Allowlist::of_all(&[bad]).is_err(), "{bad:?}");
    }
}

#[test]
fn chats_and_senders_are_compared_alike() {
    let list = of_channel(&["acme:team", "-100"]);
    assert!(list.has_chat(&ACME, &ChatId::new("team")));
    assert!(list.has_chat(&ACME, &ChatId::new("-100")));
    assert!(!list.has_chat(&ACME, &ChatId::new("100")));
}
