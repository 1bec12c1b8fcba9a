//! Whether capitals count: as the adapter declares it, unless the application says otherwise.

use std::sync::Arc;

use channel_core::{
    Addressed, Case, ChannelInfo, ChatId, Event, Message, Platform, Policy as _, Spelling,
};
use channel_policy::{AccessConfig, Directory, Gate, GateBuilder, GroupConfig};
use channel_testkit::VirtualClock;

use crate::fixture::{direct, event, group, info, judge_event, reason};

/// Whoever writes is called `Ada`.
#[derive(Debug)]
struct Called;

impl Directory for Called {
    fn handle(&self, _: &Event) -> Option<String> {
        Some("Ada".to_owned())
    }
    fn roles(&self, _: &Event) -> Vec<String> {
        Vec::new()
    }
}

fn builder() -> GateBuilder {
    Gate::builder(Arc::new(VirtualClock::new())).directory(Arc::new(Called))
}

fn declares(spelling: Spelling) -> ChannelInfo {
    info("acme").spelling(spelling)
}

/// A gate before a channel of which the adapter declares this.
fn before(spelling: Spelling, access: AccessConfig) -> Gate {
    let gate = builder().channel("acme", access).build().unwrap();
    gate.check(&[&declares(spelling)]).unwrap();
    gate
}

fn folds() -> Spelling {
    Spelling::exact()
        .ids(Case::Insensitive)
        .handles(Case::Insensitive)
}

fn in_chat(chat: &str, addressed: Addressed) -> Message {
    let mut message = group("eve", "hi", addressed);
    message.chat.id = ChatId::new(chat);
    message
}

#[test]
fn an_adapter_declares_whether_capitals_count() {
    let is_listed = |spelling, entry: &str, message| {
        let gate = before(spelling, AccessConfig::new().allow_from(entry));
        reason(&gate, message) == "allowlist"
    };
    for (ids, handles) in [(false, false), (true, false), (false, true), (true, true)] {
        let case = |folds| match folds {
            true => Case::Insensitive,
            false => Case::Sensitive,
        };
        let declared = Spelling::exact().ids(case(ids)).handles(case(handles));
        assert!(is_listed(declared, "U1", direct("U1", "hi")));
        assert!(is_listed(declared, "@Ada", direct("7", "hi")));
        assert_eq!(is_listed(declared, "u1", direct("U1", "hi")), ids);
        assert_eq!(is_listed(declared, "acme:u1", direct("U1", "hi")), ids);
        assert_eq!(is_listed(declared, "@ada", direct("7", "hi")), handles);
        assert_eq!(is_listed(declared, "acme:@ADA", direct("7", "hi")), handles);
        assert!(!is_listed(declared, "u2", direct("U1", "hi")));
    }
}

#[test]
fn chats_are_compared_as_ids_are() {
    let allowed = AccessConfig::new().allow_chat("team");
    let talk = || in_chat("Team", Addressed::Mention);
    assert_eq!(
        reason(&before(folds(), allowed.clone()), talk()),
        "allowlist"
    );
    let exact = Spelling::exact().handles(Case::Insensitive);
    assert_eq!(reason(&before(exact, allowed), talk()), "not_allowed");

    let mut groups = GroupConfig::default();
    groups.free_chats = vec!["team".into()];
    let free = AccessConfig::new().allow_all().groups(groups);
    let talk = || in_chat("Team", Addressed::No);
    assert_eq!(reason(&before(folds(), free.clone()), talk()), "allow_all");
    assert_eq!(reason(&before(exact, free), talk()), "not_addressed");
}

#[test]
fn what_the_application_says_wins() {
    let exact = AccessConfig::new().allow_from("u1").respect_case();
    let gate = before(folds(), exact);
    assert_eq!(reason(&gate, direct("U1", "hi")), "not_allowed");
    assert_eq!(reason(&gate, direct("u1", "hi")), "allowlist");
    let folded = AccessConfig::new().allow_from("u1").ignore_case();
    let gate = before(Spelling::exact(), folded);
    assert_eq!(reason(&gate, direct("U1", "hi")), "allowlist");
    for (json, wanted) in [
        (r#"{"allow_from": ["u1"]}"#, "allowlist"),
        (
            r#"{"allow_from": ["u1"], "ignore_case": true}"#,
            "allowlist",
        ),
        (
            r#"{"allow_from": ["u1"], "ignore_case": false}"#,
            "not_allowed",
        ),
    ] {
        let gate = before(folds(), serde_json::from_str(json).unwrap());
        assert_eq!(reason(&gate, direct("U1", "hi")), wanted, "{json}");
    }
}

#[test]
fn the_list_for_all_channels_is_read_as_each_platform_does() {
    let gate = builder()
        .channel("acme", AccessConfig::new())
        .channel("other", AccessConfig::new())
        .allow_from("acme:u1")
        .allow_from("other:u1")
        .build()
        .unwrap();
    let mut other = info("other");
    other.platform = Platform::new("other");
    gate.check(&[&declares(folds()), &other]).unwrap();
    assert_eq!(reason(&gate, direct("U1", "hi")), "allowlist");
    let mut elsewhere = event(direct("U1", "hi"));
    elsewhere.channel = "other".into();
    if let channel_core::EventKind::Message(message) = &mut elsewhere.kind {
        message.sender.account.platform = Platform::new("other");
    }
    assert_eq!(judge_event(&gate, &elsewhere).reason(), "not_allowed");
}

#[test]
fn what_nobody_declares_is_compared_to_the_letter() {
    let access = AccessConfig::new().allow_from("u1");
    let gate = builder().channel("acme", access.clone()).build().unwrap();
    assert_eq!(
        reason(&gate, direct("U1", "hi")),
        "not_allowed",
        "before the start"
    );
    // Two channels of a platform that disagree: nobody is let in who may not be meant.
    let mut second = info("second");
    second.spelling = Spelling::exact();
    for order in [true, false] {
        let gate = builder()
            .channel("acme", access.clone())
            .other_channels(AccessConfig::new())
            .build()
            .unwrap();
        let (first, second) = (declares(folds()), second.clone());
        let infos = match order {
            true => [&first, &second],
            false => [&second, &first],
        };
        gate.check(&infos).unwrap();
        assert_eq!(reason(&gate, direct("U1", "hi")), "not_allowed");
    }
}

/// A gate that does not start learns all the same: a replay judges with it.
#[test]
fn it_is_learnt_whatever_becomes_of_the_start() {
    let access = AccessConfig::new().allow_from("u1");
    let gate = builder()
        .channel("acme", access)
        .channel("typo", AccessConfig::new())
        .build()
        .unwrap();
    assert!(gate.check(&[&declares(folds())]).is_err());
    assert_eq!(reason(&gate, direct("U1", "hi")), "allowlist");
    assert!(gate.foretell(&event(direct("U1", "hi"))).is_yes());
}
