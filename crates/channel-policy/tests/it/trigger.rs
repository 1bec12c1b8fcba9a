//! Which talk in shared chats is meant for the bot.

use channel_core::Addressed;
use channel_policy::{Case, GroupConfig, GroupMode, GroupTriggers, Trigger};

use crate::fixture::{ACME, direct, group};

const RESPOND: Trigger = Trigger::Respond { skip: 0 };

fn config(json: &str) -> GroupConfig {
    serde_json::from_str(json).unwrap()
}

fn decide(json: &str, text: &str, addressed: Addressed) -> Trigger {
    let triggers = GroupTriggers::new(&config(json), Case::Sensitive).unwrap();
    triggers.decide(&group("ada", text, addressed), &ACME)
}

#[test]
fn by_default_only_what_is_meant_for_the_bot_is_heard() {
    for addressed in [Addressed::Mention, Addressed::Reply, Addressed::Command] {
        assert_eq!(decide("{}", "hi", addressed), RESPOND);
    }
    assert_eq!(decide("{}", "hi", Addressed::No), Trigger::Ignore);
    assert_eq!(GroupMode::default(), GroupMode::MentionOnly);
}

#[test]
fn the_order_of_triggers_is_fixed() {
    let prefix = r#"{"mode": "prefix", "prefixes": ["!", "!ask"]}"#;
    for (settings, text, addressed, expected) in [
        // A mention responds, whatever else is set, and is not cut.
        (prefix, "!ask it", Addressed::Mention, RESPOND),
        // The longest prefix is cut off with the space around it.
        (
            prefix,
            " !ask it",
            Addressed::No,
            Trigger::Respond { skip: 6 },
        ),
        (prefix, "!it", Addressed::No, Trigger::Respond { skip: 1 }),
        // Prefixes are set and none fits.
        (prefix, "ask !it", Addressed::No, Trigger::Ignore),
        (r#"{"mode": "open"}"#, "hi", Addressed::No, RESPOND),
        (
            r#"{"mode": "off"}"#,
            "hi",
            Addressed::Mention,
            Trigger::Ignore,
        ),
        (r#"{"free_chats": ["team"]}"#, "hi", Addressed::No, RESPOND),
        (
            r#"{"free_chats": ["acme:team"]}"#,
            "hi",
            Addressed::No,
            RESPOND,
        ),
        (
            r#"{"free_chats": ["other"]}"#,
            "hi",
            Addressed::No,
            Trigger::Ignore,
        ),
        (
            r#"{"mention_words": ["Kit"]}"#,
            "hi KIT!",
            Addressed::No,
            RESPOND,
        ),
        (
            r#"{"mention_words": ["kit"]}"#,
            "kitchen",
            Addressed::No,
            Trigger::Ignore,
        ),
    ] {
        assert_eq!(
            decide(settings, text, addressed),
            expected,
            "{settings} {text:?}"
        );
    }
}

#[test]
fn a_direct_chat_needs_no_trigger() {
    let triggers = GroupTriggers::new(&config(r#"{"mode": "off"}"#), Case::Sensitive).unwrap();
    assert_eq!(triggers.decide(&direct("ada", "hi"), &ACME), RESPOND);
}

#[test]
fn settings_that_do_nothing_are_refused() {
    for bad in [
        r#"{"prefixes": ["!"]}"#,
        r#"{"mode": "open", "prefixes": ["!"]}"#,
        r#"{"mode": "prefix"}"#,
        r#"{"mode": "prefix", "prefixes": [" "]}"#,
        r#"{"mention_words": [""]}"#,
    ] {
        assert!(
            GroupTriggers::new(&config(bad), Case::Sensitive).is_err(),
            "{bad}"
        );
    }
    for unknown in [r#"{"mode": "always"}"#, r#"{"modus": "open"}"#] {
        assert!(
            serde_json::from_str::<GroupConfig>(unknown).is_err(),
            "{unknown}"
        );
    }
    assert!("always".parse::<GroupMode>().is_err());
    assert!("mention_only".parse::<GroupMode>().is_ok());
}
