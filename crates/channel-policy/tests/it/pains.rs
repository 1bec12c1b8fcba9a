//! What users of other libraries have suffered.

use std::sync::Arc;

use channel_core::{AccountRef, Addressed, ChatKind, Platform, Proof};
use channel_policy::{AccessConfig, Allowlist, Case, DirectPolicy, Gate, RateLimits};
use channel_testkit::VirtualClock;

use crate::fixture::{ACME, account, direct, event, group, judge_event, reason};

fn gate(channels: &[(&'static str, AccessConfig)]) -> Gate {
    let builder = Gate::builder(Arc::new(VirtualClock::new()));
    let with = |builder: channel_policy::GateBuilder,
                (id, access): &(&'static str, AccessConfig)| {
        builder.channel(*id, access.clone())
    };
    channels.iter().fold(builder, with).build().unwrap()
}

/// Settings left out, or half written, open nothing to strangers.
#[test]
fn pain_38_what_is_not_set_is_closed() {
    let nothing = Gate::builder(Arc::new(VirtualClock::new()))
        .build()
        .unwrap();
    assert_eq!(reason(&nothing, direct("eve", "hi")), "unknown_channel");
    for access in [
        AccessConfig::new(),
        AccessConfig::new().allow_chat("somewhere-else"),
        AccessConfig::new().direct(DirectPolicy::Allowlist),
    ] {
        let gate = gate(&[("acme", access)]);
        assert_eq!(reason(&gate, direct("eve", "hi")), "not_allowed");
        let mentioned = group("eve", "hi", Addressed::Mention);
        assert_eq!(reason(&gate, mentioned), "not_allowed");
    }
    let empty = Allowlist::of_channel::<&str>(&[], Case::Sensitive).unwrap();
    assert!(!empty.has(&account("eve"), None));
}

/// A name is shown, never compared: whoever takes the administrator's name stays a stranger.
#[test]
fn pain_38_a_display_name_bypasses_no_allowlist() {
    for entry in ["42", "42|Ada", "acme:42"] {
        let gate = gate(&[("acme", AccessConfig::new().allow_from(entry))]);
        for name in ["42", "Ada", "42|Ada", "acme:42", "@Ada"] {
            let mut message = direct("666", "hi");
            message.sender.name = Some(name.to_owned());
            assert_eq!(reason(&gate, message), "not_allowed", "{name} on {entry}");
        }
        let mut known = direct("42", "hi");
        known.sender.name = Some("somebody else".to_owned());
        assert_eq!(reason(&gate, known), "allowlist");
    }
}

/// Every kind of event meets the same gate, whatever the platform says it is.
#[test]
fn pain_38_no_kind_of_chat_is_a_way_around_the_list() {
    let gate = gate(&[("acme", AccessConfig::new().allow_from("42"))]);
    for kind in [ChatKind::Direct, ChatKind::Group, ChatKind::Broadcast] {
        let mut message = direct("666", "hi");
        message.chat.kind = kind;
        message.addressed = Addressed::Mention;
        message.sender.proof = Proof::Claimed;
        assert!(!judge_event(&gate, &event(message)).is_yes(), "{kind:?}");
    }
}

/// Two bots on one platform: the settings, and what is counted, belong to each by itself.
#[test]
fn pain_35_two_channels_of_one_platform_have_their_own_lists_and_buckets() {
    let builder = Gate::builder(Arc::new(VirtualClock::new()))
        .channel("work", AccessConfig::new().allow_from("1"))
        .channel("home", AccessConfig::new().allow_from("2"))
        .rate_limits(RateLimits::new(600, 1));
    let gate = builder.build().unwrap();
    let through = |channel: &'static str, sender: &str| {
        let mut event = event(direct(sender, "hi"));
        event.channel = channel.into();
        judge_event(&gate, &event).reason()
    };
    assert_eq!(through("work", "1"), "allowlist");
    assert_eq!(through("home", "1"), "not_allowed");
    assert_eq!(through("home", "2"), "allowlist");
    // The chat of the same id behind the other bot is another chat.
    assert_eq!(through("work", "1"), "rate_limited");
    assert_eq!(through("work", "2"), "not_allowed");
}

/// The same id on another platform, or in another workspace, is somebody else.
#[test]
fn pain_36_an_id_is_worth_something_on_its_own_platform_only() {
    let list = Allowlist::of_all(&["acme:42"]).unwrap();
    assert!(list.has(&AccountRef::new(ACME, "42".into()), None));
    assert!(!list.has(&AccountRef::new(Platform::new("other"), "42".into()), None));
}
