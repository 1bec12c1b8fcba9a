//! What is not written into a store, because it holds a code that may still be used.

use std::sync::Arc;

use channel_core::{
    Addressed, Deleted, Event, EventKind, Message, Policy as _, Quoted, Raw, Unknown,
};
use channel_policy::{AccessConfig, DirectPolicy, Gate, Pairing, Requested};
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

fn pairing_code(desk: &Desk, sender: &str) -> String {
    match desk.request(&account(sender), None) {
        Requested::Code(code) => code.expose().to_owned(),
        other => panic!("no code: {other:?}"),
    }
}

#[test]
fn a_code_is_a_secret_whoever_shows_it_and_wherever() {
    let (gate, desk) = gate();
    // The gate has never heard of who asks: it happened in another process.
    let codes = [
        desk.invite("root", &ACME).unwrap().expose().to_owned(),
        pairing_code(&desk, "stranger"),
    ];
    for code in codes {
        is_secret_everywhere(&gate, &code);
    }
}

fn is_secret_everywhere(gate: &Gate, code: &str) {
    for text in [
        code.to_owned(),
        code.to_lowercase(),
        code.replace('-', ""),
        format!("my code is {code}, please let me in"),
        format!("is it {}?", code.replace('-', " ")),
        format!("code{code}please"),
        code.replace('-', "\n"),
    ] {
        for sender in ["ada", "eve"] {
            assert!(is_secret(gate, direct(sender, &text)), "{text}");
            assert!(
                is_secret(gate, group(sender, &text, Addressed::No)),
                "{text}"
            );
        }
    }
    let edited = EventKind::Edited(Box::new(direct("eve", code)));
    assert!(gate.is_secret(&Event::new("e".into(), "acme".into(), edited)));
}

/// Without a look at any store: another process, another start, another issuer.
#[test]
fn a_process_that_has_never_heard_of_a_code_knows_it_for_one() {
    let (_, elsewhere) = gate();
    let (here, _) = gate();
    let code = elsewhere.invite("root", &ACME).unwrap();
    assert!(is_secret(&here, direct("eve", code.expose())));
    let code = pairing_code(&elsewhere, "eve");
    assert!(is_secret(&here, direct("eve", &code)));
    assert!(!is_secret(&here, direct("eve", "hello")));
}

/// The platform sends the quoted words along, and they are part of what is kept.
#[test]
fn a_reply_that_quotes_a_code_is_a_secret() {
    let (_, elsewhere) = gate();
    let (here, _) = gate();
    let code = pairing_code(&elsewhere, "eve");
    let quoting = |words: &str| {
        let mut reply = direct("eve", "what is this?");
        reply.reply_to = Some(Quoted::new("m".into(), true));
        let raw = format!(r#"{{"text":"what is this?","quoted":{{"text":"{words}"}}}}"#);
        reply.raw = Raw::new(raw.into_bytes().into());
        reply
    };
    assert!(is_secret(&here, quoting(&format!("Your code is {code}."))));
    // Written the way JSON writes it.
    for words in [
        format!("Your code is:\\n{code}\\nBye."),
        code.replace('-', "-\\n"),
        format!("to=x%3D{code}"),
    ] {
        assert!(is_secret(&here, quoting(&words)), "{words}");
    }
    assert!(!is_secret(&here, quoting("Hello there.")));
    // Where the platform names no message the adapter says that there is one.
    let unnamed = |words: &str| {
        let mut message = quoting(words);
        message.reply_to = None;
        message.quotes = true;
        message
    };
    assert!(is_secret(&here, unnamed(&code)));
    assert!(!is_secret(&here, unnamed("Hello there.")));
}

/// Platforms tell what a message was before it was changed, or deleted.
#[test]
fn an_event_that_brings_a_code_along_is_a_secret() {
    let (_, elsewhere) = gate();
    let (here, _) = gate();
    let code = pairing_code(&elsewhere, "eve");
    for (words, wanted) in [(code.as_str(), true), ("hello", false)] {
        let raw = format!(r#"{{"text":"never mind","before":{{"text":"it is {words}"}}}}"#);
        let raw = Raw::new(raw.into_bytes().into());
        let mut edited = direct("eve", "never mind");
        edited.raw = raw.clone();
        let kinds = [
            EventKind::Edited(Box::new(edited)),
            EventKind::Deleted(Box::new(Deleted::new(Vec::new(), raw.clone()))),
            EventKind::Unknown(Box::new(Unknown::new("pinned", raw))),
        ];
        for kind in kinds {
            let event = Event::new("e".into(), "acme".into(), kind);
            assert_eq!(here.is_secret(&event), wanted, "{event:?}");
        }
    }
}

#[test]
fn what_only_looks_like_a_code_is_kept_like_any_message() {
    let (gate, _) = gate();
    for text in [
        "hello",
        "ABCD-EFGH-JKLM-NPQR",
        "ABCDE-FGHJK-LMNPQ",
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
        "where there are no codes there is nothing to hide"
    );
}

#[test]
fn a_stranger_with_a_pairing_code_is_not_written_down_until_paired() {
    let (gate, desk) = gate();
    assert!(!is_secret(&gate, direct("eve", "hi")));
    assert_eq!(reason(&gate, direct("eve", "hi")), "pairing_requested");
    assert!(
        is_secret(&gate, direct("eve", "ABCDE-23456-ABCDE")),
        "it may be the code"
    );
    assert!(!is_secret(&gate, direct("bob", "ABCDE-23456-ABCDE")));
    assert!(!is_secret(&gate, group("eve", "hi", Addressed::Mention)));
    let id = desk.pending()[0].id.clone();
    assert_eq!(desk.approve("root", &id), Ok(account("eve")));
    judge(&gate, direct("eve", "hi"));
    assert!(!is_secret(&gate, direct("eve", "ABCDE-23456-ABCDE")));
}
