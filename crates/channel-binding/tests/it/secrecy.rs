//! What shows a connect code, and is not written into any store.

use std::sync::Arc;

use channel_binding::{Bindings, ConnectGate, ConnectPlatform, MemoryBindings};
use channel_core::{Deleted, Event, EventKind, OwnerId, Policy as _, Quoted, Raw};
use channel_policy::{AccessConfig, Gate, Identities as _};
use channel_testkit::{SeededRandom, VirtualClock};

use crate::chat::{event, kit};
use crate::fixture::{ACME, SECOND};

/// A code that is sent in a way that settles nothing still holds: what shows it is a secret.
#[tokio::test]
async fn a_text_that_shows_a_code_is_a_secret_and_other_texts_are_not() {
    let kit = kit().await;
    let code = kit.mint("ada").await;
    let is_secret = |text: String| kit.gate.is_secret(&kit.direct("a", &text));
    for text in [
        format!("/connect {code}"),
        format!("/connect {code} please"),
        format!("/connect: {code}").replace(':', " now"),
        format!("connect {code}"),
        format!("@kit Start {code}"),
        format!("/start {code}"),
        format!("/start@kit_bot {code}"),
        code.clone(),
        format!(" @kit {code}\n"),
        format!("it says https://t.me/kit?start={code}, what now"),
        format!("my code is {code}, is it not?"),
        format!("job {code} is done"),
        format!("/run {code}"),
        // It was made here, and is known exactly.
        format!("job x{code} is done"),
        format!("/run {code}x"),
        format!("code{code}please"),
        format!("{} {}", &code[..11], &code[11..]),
        format!("{}\n{}", &code[..3], &code[3..]),
        format!("{}.\u{3000}{}", &code[..20], &code[20..]),
        code.chars().map(|c| format!("{c} ")).collect(),
    ] {
        assert!(is_secret(text.clone()), "{text}");
    }
    // One character is another one.
    let other = if code.starts_with('y') { 'z' } else { 'y' };
    for text in [
        "hello".to_owned(),
        "/start".to_owned(),
        "/start campaign-7".to_owned(),
        "connect me, please".to_owned(),
        code[1..].to_owned(),
        format!("x{other}{}", &code[1..]),
        "https://acme.example/?start=here".to_owned(),
    ] {
        assert!(!is_secret(text.clone()), "{text}");
    }
    assert!(
        is_secret("/connect wrong".to_owned()),
        "a command, whatever it carries"
    );
}

/// Another process of the same bot, which makes the same codes in each run: what follows counts
/// how many of them are known.
struct Elsewhere(Bindings);

impl Elsewhere {
    fn new(seed: u64) -> Self {
        let random = Arc::new(SeededRandom::new(seed));
        let clock = Arc::new(VirtualClock::new());
        let builder = Bindings::builder("Kit", MemoryBindings::new(), clock, random);
        let platform = ConnectPlatform::by_code(ACME, "Acme");
        Self(builder.platform(platform).build().unwrap())
    }

    async fn mint(&self, owner: u32) -> String {
        let owner = OwnerId::new(format!("o{owner}"));
        let offer = self.0.mint(&owner, "acme").await.unwrap();
        offer.code.expose().to_owned()
    }
}

/// What a code that nobody here has made is known by: its look.
#[tokio::test]
async fn a_code_that_was_made_elsewhere_is_a_secret_glued_to_words_and_broken_by_anything() {
    let (kit, elsewhere) = (kit().await, Elsewhere::new(20_261_130));
    let gate = Gate::builder(Arc::new(kit.clock.clone()))
        .channel("acme", AccessConfig::new().allow_all())
        .identities(Arc::new(ConnectGate::new(kit.bindings.clone())))
        .build()
        .unwrap();
    let (mut known, mut in_payloads) = ([0; 4], 0);
    for n in 0..200 {
        let code = elsewhere.mint(n).await;
        let texts = [
            format!("/connect{code}"),
            format!("it is {code}thanks"),
            format!("it is {}, {}", &code[..9], &code[9..]),
            format!("{}.{}.{}", &code[..5], &code[5..14], &code[14..]),
        ];
        for (known, text) in known.iter_mut().zip(texts) {
            *known += u32::from(kit.gate.is_secret(&kit.direct("a", &text)));
            // In a payload this is what ids look like.
            let mut reply = kit.direct("a", "what is this?");
            reply.reply_to = Some(Quoted::new("m".into(), true));
            let raw = format!(r#"{{"quoted":"{text}"}}"#);
            reply.raw = Raw::new(raw.into_bytes().into());
            in_payloads += u32::from(gate.is_secret(&event(reply)));
        }
    }
    assert!(known.iter().all(|known| *known >= 190), "{known:?} of 200");
    assert!(in_payloads <= 16, "by chance at best: {in_payloads} of 800");
}

/// In another process, or after a restart, a code is known by its form alone.
#[tokio::test]
async fn a_code_that_was_made_elsewhere_is_a_secret_in_pieces_and_not_glued_to_letters() {
    let (kit, elsewhere) = (kit().await, Elsewhere::new(20_261_131));
    let mut in_pieces = 0;
    for n in 0..200 {
        let code = elsewhere.mint(n).await;
        let is_secret = |text: String| kit.gate.is_secret(&kit.direct("a", &text));
        assert!(is_secret(format!("is it {code}?")));
        in_pieces += u32::from(is_secret(format!("it is {}\n{}.", &code[..9], &code[9..])));
        assert!(
            !is_secret(format!("job x{code}x is done")),
            "what is documented"
        );
    }
    assert!(in_pieces >= 195, "{in_pieces} of 200");
}

/// A code dies with its time: what looked like it then is ordinary text again.
#[tokio::test]
async fn a_code_that_has_expired_is_forgotten() {
    let kit = kit().await;
    let code = kit.mint("ada").await;
    let glued = format!("job x{code} is done");
    assert!(kit.gate.is_secret(&kit.direct("a", &glued)));
    kit.clock.advance(600 * SECOND);
    assert!(
        kit.gate.is_secret(&kit.direct("a", &glued)),
        "it still holds"
    );
    kit.clock.advance(601 * SECOND);
    assert!(!kit.gate.is_secret(&kit.direct("a", &glued)));
}

/// The platform sends the quoted words along, and they are part of what is kept.
#[tokio::test]
async fn what_a_message_brings_along_is_a_secret_where_it_shows_a_code() {
    let kit = kit().await;
    let gate = Gate::builder(Arc::new(kit.clock.clone()))
        .channel("acme", AccessConfig::new().allow_all())
        .identities(Arc::new(ConnectGate::new(kit.bindings.clone())))
        .build()
        .unwrap();
    // One that another process has made, as in a reply after a restart.
    let code = crate::chat::kit().await.mint("ada").await;
    for (words, wanted) in [
        (format!("/connect {code}"), true),
        (format!("your code:\\n{code}\\nbye"), true),
        (format!("your code:\\\\n{code}"), true),
        (format!("{}\\n{}", &code[..9], &code[9..]), true),
        (format!("to=https%3A%2F%2Fx%3Fstart%3D{code}"), true),
        ("your code:\\nis not here".to_owned(), false),
    ] {
        let raw = format!(r#"{{"id":"8f14e45f-ceea-467f-a0e6-d4b5a1c2e3f4","quoted":"{words}"}}"#);
        let raw = Raw::new(raw.into_bytes().into());
        let mut reply = kit.direct("a", "what is this?");
        reply.raw = raw.clone();
        assert!(!gate.is_secret(&event(reply.clone())), "it brings nothing");
        let mut quoting = reply.clone();
        quoting.quotes = true;
        reply.reply_to = Some(Quoted::new("m".into(), true));
        let mut forwarded = kit.direct("a", "");
        forwarded.raw = raw.clone();
        let deleted = Deleted::new(Vec::new(), raw);
        let deleted = EventKind::Deleted(Box::new(deleted));
        for event in [
            event(reply),
            event(quoting),
            event(forwarded),
            Event::new("e".into(), "acme".into(), deleted),
        ] {
            assert_eq!(gate.is_secret(&event), wanted, "{words} {event:?}");
        }
    }
}
