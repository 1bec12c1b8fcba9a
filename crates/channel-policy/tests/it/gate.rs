//! Every rule, in one order.

use std::sync::Arc;

use channel_core::{
    Addressed, ChatKind, Deleted, Event, EventKind, MessageRef, Policy as _, Raw, Reaction,
    SenderKind, Unknown, Verdict, authorize,
};
use channel_policy::{
    AccessConfig, AuditRing, DirectPolicy, Directory, Gate, GateBuilder, GroupConfig, Pairing,
    RateLimits, Reason, Stage,
};
use channel_testkit::VirtualClock;

use crate::fixture::{
    ACME, Desk, account, by, direct, event, group, info, judge, judge_event, random, reason,
};

fn builder() -> GateBuilder {
    Gate::builder(Arc::new(VirtualClock::new()))
}

fn gate(access: AccessConfig) -> Gate {
    builder().channel("acme", access).build().unwrap()
}

fn with_pairing(access: AccessConfig) -> (Gate, Desk) {
    let clock = Arc::new(VirtualClock::new());
    let pairing = Desk(Arc::new(Pairing::new(clock.clone(), random())));
    let gate = Gate::builder(clock)
        .channel("acme", access)
        .pairing(pairing.0.clone())
        .build()
        .unwrap();
    (gate, pairing)
}

#[derive(Debug)]
struct Staff;

impl Directory for Staff {
    fn handle(&self, event: &Event) -> Option<String> {
        (event.message()?.sender.account == account("1")).then(|| "ada".to_owned())
    }
    fn roles(&self, event: &Event) -> Vec<String> {
        match event.message() {
            Some(message) if message.sender.account == account("2") => vec!["crew".into()],
            _ => Vec::new(),
        }
    }
}

#[test]
fn nobody_passes_whom_the_settings_do_not_name() {
    let closed = gate(AccessConfig::new());
    assert_eq!(
        judge(&closed, direct("ada", "hi")),
        Verdict::Refuse("not_allowed")
    );
    assert_eq!(
        judge(&closed, group("ada", "hi", Addressed::Mention)),
        Verdict::Refuse("not_allowed")
    );
    let elsewhere = builder().channel("other", AccessConfig::new().allow_all());
    assert_eq!(
        reason(&elsewhere.build().unwrap(), direct("ada", "hi")),
        "unknown_channel"
    );
    let others = builder().other_channels(AccessConfig::new().allow_all());
    assert_eq!(
        reason(&others.build().unwrap(), direct("ada", "hi")),
        "allow_all"
    );
}

#[test]
fn a_name_that_a_sender_chose_opens_nothing() {
    let gate = builder()
        .channel(
            "acme",
            AccessConfig::new().allow_from("@ada").allow_from("root"),
        )
        .directory(Arc::new(Staff))
        .build()
        .unwrap();
    assert_eq!(reason(&gate, direct("1", "hi")), "allowlist");
    let mut liar = direct("eve", "hi");
    liar.sender.name = Some("@ada".into());
    assert_eq!(reason(&gate, liar), "not_allowed");
}

#[test]
fn the_checks_of_access_have_their_order() {
    // Each row switches one more check off; the reason names the first that is left.
    let all = || {
        AccessConfig::new()
            .allow_all()
            .allow_role("crew")
            .allow_from("2")
            .direct(DirectPolicy::Open)
    };
    let mut no_platform = all();
    no_platform.allow_all = false;
    let mut no_role = no_platform.clone();
    no_role.allow_roles.clear();
    let mut no_list = no_role.clone();
    no_list.allow_from.clear();
    let mut closed = no_list.clone();
    closed.direct = DirectPolicy::Allowlist;
    for (access, paired, global, expected) in [
        (all(), true, true, "allow_all"),
        (no_platform, true, true, "role"),
        (no_role.clone(), true, true, "paired"),
        (no_role, false, true, "allowlist"),
        (no_list.clone(), false, true, "allow_all_channels"),
        (no_list, false, false, "direct_open"),
        (closed, false, false, "not_allowed"),
    ] {
        let clock = Arc::new(VirtualClock::new());
        let pairing = Desk(Arc::new(Pairing::new(clock.clone(), random())));
        if paired {
            let code = pairing.request(&account("2"), None);
            let channel_policy::Requested::Code(code) = code else {
                panic!()
            };
            pairing.approve("root", code.expose()).unwrap();
        }
        let builder = Gate::builder(clock)
            .channel("acme", access)
            .pairing(pairing.0)
            .directory(Arc::new(Staff));
        let builder = if global { builder.allow_all() } else { builder };
        assert_eq!(
            reason(&builder.build().unwrap(), direct("2", "hi")),
            expected
        );
    }
}

#[test]
fn the_policy_for_direct_messages_holds_in_direct_chats_only() {
    for (policy, expected) in [
        (DirectPolicy::Allowlist, "not_allowed"),
        (DirectPolicy::Open, "direct_open"),
        (DirectPolicy::Disabled, "direct_disabled"),
    ] {
        let gate = gate(AccessConfig::new().direct(policy));
        assert_eq!(reason(&gate, direct("ada", "hi")), expected);
        assert_eq!(
            reason(&gate, group("ada", "hi", Addressed::Mention)),
            "not_allowed"
        );
    }
    let off = gate(
        AccessConfig::new()
            .allow_from("ada")
            .direct(DirectPolicy::Disabled),
    );
    assert_eq!(reason(&off, direct("ada", "hi")), "direct_disabled");
    assert_eq!(
        reason(&off, group("ada", "hi", Addressed::Mention)),
        "allowlist"
    );
}

#[test]
fn a_chat_list_opens_the_chat_and_not_its_members() {
    let gate = gate(AccessConfig::new().allow_chat("team").allow_chat("eve"));
    assert_eq!(
        reason(&gate, group("ada", "hi", Addressed::Mention)),
        "allowlist"
    );
    assert_eq!(reason(&gate, direct("ada", "hi")), "not_allowed");
    assert_eq!(
        reason(&gate, direct("eve", "hi")),
        "not_allowed",
        "her chat has her id"
    );
}

#[test]
fn a_stranger_asks_is_approved_and_passes_until_revoked() {
    let (gate, pairing) = with_pairing(AccessConfig::new().direct(DirectPolicy::Pairing));
    let Verdict::Confide("pairing_requested", answer) = judge(&gate, direct("ada", "hi")) else {
        panic!("no code");
    };
    let code = answer.split(' ').nth(4).unwrap().trim_end_matches('.');
    assert_eq!(
        judge(&gate, direct("ada", "hi")),
        Verdict::Refuse("pairing_waiting")
    );
    assert_eq!(pairing.approve("root", code), Ok(account("ada")));
    assert_eq!(reason(&gate, direct("ada", "hi")), "paired");
    assert_eq!(
        reason(&gate, group("ada", "hi", Addressed::Mention)),
        "paired"
    );
    assert!(pairing.revoke("root", &account("ada")));
    assert_eq!(
        reason(&gate, group("ada", "hi", Addressed::Mention)),
        "not_allowed"
    );
}

#[test]
fn codes_are_never_given_in_groups_or_to_chats() {
    let (gate, pairing) = with_pairing(AccessConfig::new().direct(DirectPolicy::Pairing));
    assert_eq!(
        reason(&gate, group("ada", "hi", Addressed::Mention)),
        "not_allowed"
    );
    assert_eq!(
        reason(&gate, by(direct("ada", "hi"), SenderKind::Chat)),
        "not_allowed"
    );
    let edited = EventKind::Edited(Box::new(direct("ada", "hi")));
    let edited = Event::new("e".into(), "acme".into(), edited);
    assert_eq!(judge_event(&gate, &edited).reason(), "not_allowed");
    assert!(pairing.pending().is_empty());
}

#[test]
fn an_invite_code_comes_before_a_pairing_code() {
    let (gate, pairing) = with_pairing(AccessConfig::new().direct(DirectPolicy::Pairing));
    let code = pairing.invite("root", &ACME).unwrap();
    assert_eq!(
        reason(&gate, direct("eve", "AAAA-BBBB-CCCC-DDDD")),
        "invite_invalid"
    );
    assert_eq!(
        reason(&gate, direct("ada", code.expose())),
        "invite_accepted"
    );
    assert_eq!(reason(&gate, direct("ada", "hi")), "paired");
}

#[test]
fn bots_are_refused_even_on_a_list() {
    let gate = gate(AccessConfig::new().allow_all());
    for kind in [SenderKind::Bot, SenderKind::System] {
        assert_eq!(reason(&gate, by(direct("ada", "hi"), kind)), "not_a_person");
    }
}

#[test]
fn the_length_limit_is_told_with_both_numbers() {
    let gate = gate(AccessConfig::new().allow_all());
    assert_eq!(reason(&gate, direct("ada", &"ä".repeat(4096))), "allow_all");
    assert_eq!(
        judge(&gate, direct("ada", &"ä".repeat(4097))),
        Verdict::Answer(
            "too_long",
            "The message has 4097 characters, the limit is 4096.".into()
        )
    );
    for (asked, max) in [(0, 128), (128, 128), (32_768, 32_768), (usize::MAX, 32_768)] {
        let access = AccessConfig::new().allow_all();
        let gate = builder()
            .channel("acme", access)
            .max_chars(asked)
            .build()
            .unwrap();
        assert_eq!(reason(&gate, direct("ada", &"a".repeat(max))), "allow_all");
        assert_eq!(
            reason(&gate, direct("ada", &"a".repeat(max + 1))),
            "too_long"
        );
    }
}

#[test]
fn the_rate_limit_has_a_fixed_text_that_is_sent_once() {
    let gate = gate(AccessConfig::new().allow_all());
    for _ in 0..10 {
        assert_eq!(reason(&gate, direct("ada", "hi")), "allow_all");
    }
    assert_eq!(
        judge(&gate, direct("ada", "hi")),
        Verdict::Answer(
            "rate_limited",
            "Too many messages. Please try again in a minute.".into()
        )
    );
    assert_eq!(
        judge(&gate, direct("ada", "hi")),
        Verdict::Refuse("rate_limited")
    );
    assert_eq!(reason(&gate, direct("bob", "hi")), "allow_all");
}

#[test]
fn talk_that_is_not_meant_for_the_bot_costs_nothing() {
    let gate = gate(AccessConfig::new().allow_all());
    for _ in 0..100 {
        assert_eq!(
            reason(&gate, group("ada", "chatter", Addressed::No)),
            "not_addressed"
        );
    }
    assert_eq!(
        reason(&gate, group("ada", "hi", Addressed::Mention)),
        "allow_all"
    );
}

#[test]
fn the_order_of_the_rules_is_this_one() {
    assert_eq!(
        Gate::ORDER,
        [
            Stage::Sender,
            Stage::Connect,
            Stage::Trigger,
            Stage::Rate,
            Stage::Length,
            Stage::Access,
            Stage::Identity,
        ]
    );
    // One message that every rule refuses, mended rule by rule: the reason names the rule
    // that came first. Connect and identity have their table in identity.rs.
    let access = AccessConfig::new().allow_from("ada");
    let gate = builder()
        .channel("acme", access)
        .rate_limits(RateLimits::new(1, 600))
        .build()
        .unwrap();
    assert_eq!(
        reason(&gate, direct("eve", "spends the only token")),
        "not_allowed"
    );
    let long = "a".repeat(5000);
    for (message, expected) in [
        (
            by(group("eve", &long, Addressed::No), SenderKind::Bot),
            "not_a_person",
        ),
        (group("eve", &long, Addressed::No), "not_addressed"),
        (group("eve", &long, Addressed::Mention), "rate_limited"),
        (group("bob", &long, Addressed::Mention), "too_long"),
        (group("cleo", "hi", Addressed::Mention), "not_allowed"),
        (group("ada", "hi", Addressed::Mention), "allowlist"),
    ] {
        assert_eq!(reason(&gate, message), expected);
    }
}

#[test]
fn what_is_no_message_is_judged_by_the_same_lists() {
    let gate = gate(AccessConfig::new().allow_from("ada"));
    let reaction = |sender: &str| {
        let message = direct(sender, "");
        let at = MessageRef::new("c".into(), "m".into());
        let reaction = Reaction::new(at, message.sender, message.return_address, Raw::default());
        Event::new(
            "e".into(),
            "acme".into(),
            EventKind::Reaction(Box::new(reaction)),
        )
    };
    assert_eq!(judge_event(&gate, &reaction("ada")).reason(), "allowlist");
    assert_eq!(judge_event(&gate, &reaction("eve")).reason(), "not_allowed");
    let of = |kind| Event::new("e".into(), "acme".into(), kind);
    let gone = of(EventKind::Deleted(Box::new(Deleted::new(
        vec![],
        Raw::default(),
    ))));
    assert_eq!(judge_event(&gate, &gone), Verdict::Allow("platform_event"));
    let odd = of(EventKind::Unknown(Box::new(Unknown::new(
        "x",
        Raw::default(),
    ))));
    assert_eq!(judge_event(&gate, &odd), Verdict::Refuse("unknown_event"));
}

#[test]
fn a_prefix_is_cut_off_before_the_handler() {
    let mut groups = GroupConfig::default();
    groups.mode = "prefix".parse().unwrap();
    groups.prefixes = vec!["!".into()];
    let gate = gate(AccessConfig::new().allow_all().groups(groups));
    let asked = event(group("ada", "! what now", Addressed::No));
    let passed = VirtualClock::new()
        .block_on(authorize(&gate, asked))
        .unwrap();
    assert_eq!(passed.message().unwrap().text, "what now");
}

#[test]
fn the_strict_profile_wants_a_list_for_every_channel() {
    let strict = |access: AccessConfig| builder().channel("a", access).strict(true);
    let check = |builder: GateBuilder, ids: &[&str]| {
        let infos: Vec<_> = ids.iter().map(|id| info(id)).collect();
        let infos: Vec<_> = infos.iter().collect();
        builder
            .build()
            .unwrap()
            .check(&infos)
            .map_err(|error| error.to_string())
    };
    for open in [
        AccessConfig::new(),
        AccessConfig::new().allow_all(),
        AccessConfig::new().direct(DirectPolicy::Open),
    ] {
        let error = check(strict(open), &["a"]).unwrap_err();
        assert_eq!(error, "access to a: the strict profile wants an allowlist");
    }
    for listed in [
        AccessConfig::new().allow_from("1"),
        AccessConfig::new().allow_from("*"),
        AccessConfig::new().allow_chat("team"),
    ] {
        assert_eq!(check(strict(listed.clone()), &["a"]), Ok(()));
        // A channel that nobody thought of is not forgotten.
        let error = check(strict(listed), &["a", "b"]).unwrap_err();
        assert_eq!(error, "access to b: the strict profile wants an allowlist");
    }
    let global = |entry: &str| strict(AccessConfig::new()).allow_from(entry);
    assert_eq!(check(global("acme:1"), &["a"]), Ok(()));
    assert!(check(global("other:1"), &["a"]).is_err());
    assert!(
        check(builder().channel("a", AccessConfig::new()), &["a"]).is_ok(),
        "not strict"
    );
    assert!(check(builder().channel("typo", AccessConfig::new()), &["a"]).is_err());
}

#[test]
fn settings_that_cannot_hold_are_refused_by_name() {
    let error = |builder: GateBuilder| builder.build().unwrap_err().to_string();
    let of = |access: AccessConfig| builder().channel("acme", access);
    for access in [
        AccessConfig::new().allow_from("@ada"),
        AccessConfig::new().allow_role("crew"),
        AccessConfig::new().allow_from(" "),
        AccessConfig::new().direct(DirectPolicy::Pairing),
    ] {
        assert!(error(of(access)).starts_with("access to acme: "));
    }
    assert!(error(builder().allow_from("1")).contains("platform:id"));
    let twice = of(AccessConfig::new()).channel("acme", AccessConfig::new());
    assert!(error(twice).contains("two settings"));
    for unknown in [r#"{"direct": "closed"}"#, r#"{"allow_form": []}"#] {
        assert!(
            serde_json::from_str::<AccessConfig>(unknown).is_err(),
            "{unknown}"
        );
    }
    assert!("closed".parse::<DirectPolicy>().is_err());
}

#[test]
fn every_verdict_is_counted_and_recorded_without_a_word_of_it() {
    let ring = Arc::new(AuditRing::new(2));
    let access = AccessConfig::new().allow_from("ada");
    let gate = builder()
        .channel("acme", access)
        .audit(ring.clone())
        .build()
        .unwrap();
    for sender in ["eve", "eve", "ada"] {
        judge(&gate, direct(sender, "a canary sings"));
    }
    assert_eq!(gate.count(Reason::NotAllowed), 2);
    assert_eq!(gate.count(Reason::Allowlist), 1);
    assert_eq!(ring.dropped(), 1);
    let events = ring.events();
    assert_eq!(events.len(), 2);
    assert!(!events[0].granted && events[1].granted);
    assert_eq!(events[1].account, Some(account("ada")));
    assert_eq!(events[1].reason, "allowlist");
    let written = format!("{events:?} {gate:?}");
    assert!(!written.contains("canary"));
    assert!(written.contains(r#""not_allowed": 2"#), "{written}");
}

#[test]
fn reasons_are_distinct_words() {
    let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let all = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), all);
    assert!(
        words
            .iter()
            .all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    );
    for (index, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, index, "counts are kept by position");
    }
}

#[test]
fn broadcasts_are_shared_chats() {
    let gate = gate(AccessConfig::new().direct(DirectPolicy::Open));
    let mut post = group("news", "hi", Addressed::Mention);
    post.chat.kind = ChatKind::Broadcast;
    assert_eq!(reason(&gate, post), "not_allowed");
}
