//! Strangers ask, an administrator approves.

use std::sync::Arc;
use std::time::Duration;

use channel_core::Platform;
use channel_policy::{ApprovalError, AuditRing, Invited, MemoryPolicies, Pairing, Requested};
use channel_testkit::{VirtualClock, assert_absent};

use crate::fixture::{ACME, Desk, account, random};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

fn pairing(clock: &VirtualClock) -> Desk {
    Desk(Arc::new(Pairing::new(Arc::new(clock.clone()), random())))
}

fn ask(pairing: &Desk, sender: &str) -> String {
    match pairing.request(&account(sender), Some("Ada")) {
        Requested::Code(code) => code.expose().to_owned(),
        other => panic!("no code: {other:?}"),
    }
}

/// A code that is of the right form and wrong.
fn wrong(code: &str) -> String {
    let other = if code.starts_with('A') { "B" } else { "A" };
    format!("{other}{}", &code[1..])
}

#[test]
fn a_code_is_three_groups_of_five_symbols_that_nobody_confuses() {
    let clock = VirtualClock::new();
    let pairing = pairing(&clock);
    for n in 0..100 {
        let code = ask(&pairing, &n.to_string());
        let groups: Vec<usize> = code.split('-').map(str::len).collect();
        assert_eq!(groups, [5, 5, 5], "{code}");
        assert!(
            code.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        );
        assert!(!code.contains(['0', 'O', '1', 'I']), "{code}");
        clock.advance(3601 * SECOND);
    }
}

#[test]
fn an_approved_sender_is_paired_and_nobody_else() {
    let pairing = pairing(&VirtualClock::new());
    let code = ask(&pairing, "ada");
    assert!(!pairing.is_paired(&account("ada")));
    let typed = format!(" {} ", code.to_lowercase());
    assert_eq!(pairing.approve("root", &typed), Ok(account("ada")));
    assert!(pairing.is_paired(&account("ada")));
    assert!(!pairing.is_paired(&account("eve")));
    let bare = ask(&pairing, "bob").replace('-', "");
    assert_eq!(pairing.approve("root", &bare), Ok(account("bob")));
    let elsewhere = channel_core::AccountRef::new(Platform::new("other"), "ada".into());
    assert!(!pairing.is_paired(&elsewhere));
    assert_eq!(
        pairing.approve("root", &code),
        Err(ApprovalError::Unknown),
        "used"
    );
}

#[test]
fn a_code_holds_for_an_hour_to_the_nanosecond() {
    let clock = VirtualClock::new();
    let pairing = pairing(&clock);
    let code = ask(&pairing, "ada");
    clock.advance(3600 * SECOND);
    assert_eq!(pairing.pending().len(), 1);
    assert!(pairing.approve("root", &code).is_ok());

    let code = ask(&pairing, "bob");
    clock.advance(3600 * SECOND + NANO);
    assert!(pairing.pending().is_empty());
    assert_eq!(pairing.approve("root", &code), Err(ApprovalError::Unknown));
}

#[test]
fn a_sender_gets_one_code_in_ten_minutes() {
    let clock = VirtualClock::new();
    let pairing = pairing(&clock);
    let first = ask(&pairing, "ada");
    clock.advance(600 * SECOND - NANO);
    assert!(matches!(
        pairing.request(&account("ada"), None),
        Requested::Waiting
    ));
    clock.advance(NANO);
    let second = ask(&pairing, "ada");
    assert_eq!(
        pairing.pending().len(),
        1,
        "the new code replaces the old one"
    );
    assert!(pairing.approve("root", &first).is_err());
    assert!(pairing.approve("root", &second).is_ok());
}

#[test]
fn three_wait_per_platform_and_a_fourth_does_not() {
    let clock = VirtualClock::new();
    let pairing = pairing(&clock);
    for sender in ["a", "b", "c"] {
        ask(&pairing, sender);
    }
    assert!(matches!(
        pairing.request(&account("d"), None),
        Requested::Full
    ));
    let elsewhere = channel_core::AccountRef::new(Platform::new("other"), "d".into());
    assert!(matches!(
        pairing.request(&elsewhere, None),
        Requested::Code(_)
    ));
    let id = pairing.pending()[0].id.clone();
    assert!(pairing.reject("root", &id));
    assert!(matches!(
        pairing.request(&account("d"), None),
        Requested::Code(_)
    ));
}

#[test]
fn five_wrong_codes_lock_the_actor_before_anything_is_looked_up() {
    let clock = VirtualClock::new();
    let pairing = pairing(&clock);
    let code = ask(&pairing, "ada");
    for _ in 0..5 {
        assert_eq!(
            pairing.approve("eve", &wrong(&code)),
            Err(ApprovalError::Unknown)
        );
    }
    assert_eq!(
        pairing.approve("eve", &code),
        Err(ApprovalError::Locked),
        "right, and too late"
    );
    assert!(!pairing.is_paired(&account("ada")));
    clock.advance(3600 * SECOND - NANO);
    assert_eq!(pairing.approve("eve", &code), Err(ApprovalError::Locked));
    // Another actor is not locked; the code holds for exactly as long as the lock.
    assert!(pairing.approve("root", &code).is_ok());
    clock.advance(NANO);
    assert_eq!(pairing.approve("eve", &code), Err(ApprovalError::Unknown));
}

#[test]
fn a_request_id_is_never_locked_and_not_counted() {
    let pairing = pairing(&VirtualClock::new());
    let code = ask(&pairing, "ada");
    for _ in 0..20 {
        assert_eq!(
            pairing.approve("root", "0123456789abcdef"),
            Err(ApprovalError::Unknown)
        );
    }
    for _ in 0..4 {
        assert_eq!(
            pairing.approve("root", &wrong(&code)),
            Err(ApprovalError::Unknown)
        );
    }
    assert!(
        pairing.approve("root", &code).is_ok(),
        "four wrong codes do not lock"
    );
    ask(&pairing, "bob");
    for _ in 0..9 {
        let _ = pairing.approve("root", &wrong(&code));
    }
    assert_eq!(
        pairing.approve("root", &wrong(&code)),
        Err(ApprovalError::Locked)
    );
    let id = pairing.pending()[0].id.clone();
    assert_eq!(id.len(), 16);
    assert_eq!(
        pairing.approve("root", &id.to_uppercase()),
        Ok(account("bob"))
    );
}

#[test]
fn revoking_takes_every_alias_at_once() {
    let pairing = pairing(&VirtualClock::new());
    let code = ask(&pairing, "ada");
    pairing.approve("root", &code).unwrap();
    assert!(pairing.add_alias(&account("ada"), &account("ada-2")));
    assert!(!pairing.add_alias(&account("eve"), &account("eve-2")));
    assert!(pairing.is_paired(&account("ada-2")));
    assert!(pairing.revoke("root", &account("ada-2")));
    assert!(!pairing.is_paired(&account("ada")));
    assert!(!pairing.is_paired(&account("ada-2")));
    assert!(!pairing.revoke("root", &account("ada")));
}

#[test]
fn an_invite_code_lets_in_the_first_who_sends_it() {
    let clock = VirtualClock::new();
    let pairing = pairing(&clock);
    let code = pairing.invite("root", &ACME).unwrap().expose().to_owned();
    assert_eq!(pairing.accept(&account("ada"), "hello"), None);
    clock.advance(86_400 * SECOND);
    let typed = format!(" {} ", code.to_lowercase());
    assert_eq!(
        pairing.accept(&account("ada"), &typed),
        Some(Invited::Accepted)
    );
    assert!(pairing.is_paired(&account("ada")));
    assert_eq!(
        pairing.accept(&account("eve"), &code),
        Some(Invited::Invalid)
    );

    let code = pairing.invite("root", &ACME).unwrap().expose().to_owned();
    clock.advance(86_400 * SECOND + NANO);
    assert_eq!(
        pairing.accept(&account("bob"), &code),
        Some(Invited::Invalid)
    );

    let elsewhere = pairing.invite("root", &Platform::new("other")).unwrap();
    assert_eq!(
        pairing.accept(&account("bob"), elsewhere.expose()),
        Some(Invited::Invalid)
    );
}

#[test]
fn ten_invite_codes_are_out_and_no_eleventh() {
    let clock = VirtualClock::new();
    let pairing = pairing(&clock);
    for _ in 0..10 {
        assert!(pairing.invite("root", &ACME).is_ok());
    }
    assert!(pairing.invite("root", &ACME).is_err());
    clock.advance(86_400 * SECOND + NANO);
    assert!(pairing.invite("root", &ACME).is_ok());
}

#[test]
fn guessing_invite_codes_locks_the_sender() {
    let pairing = pairing(&VirtualClock::new());
    let code = pairing.invite("root", &ACME).unwrap().expose().to_owned();
    for _ in 0..5 {
        assert_eq!(
            pairing.accept(&account("eve"), &wrong(&code)),
            Some(Invited::Invalid)
        );
    }
    assert_eq!(
        pairing.accept(&account("eve"), &code),
        Some(Invited::Locked)
    );
    assert_eq!(
        pairing.accept(&account("ada"), &code),
        Some(Invited::Accepted)
    );
}

#[test]
fn no_code_is_kept_shown_or_recorded() {
    let clock = VirtualClock::new();
    let ring = Arc::new(AuditRing::default());
    let pairing = Pairing::new(Arc::new(clock), random()).audit(ring.clone());
    let pairing = Desk(Arc::new(pairing));
    let code = ask(&pairing, "ada");
    let invite = pairing.invite("root", &ACME).unwrap();
    let mut written = format!("{:?} {:?}", pairing.0, pairing.pending());
    pairing.approve("root", &code).unwrap();
    assert_eq!(
        pairing.accept(&account("bob"), invite.expose()),
        Some(Invited::Accepted)
    );
    written += &serde_json::to_string(&ring.events()).unwrap();
    let actions: Vec<_> = ring.events().iter().map(|event| event.action).collect();
    assert_eq!(
        actions,
        ["pairing_requested", "pairing_approved", "invite_accepted"]
    );
    assert_eq!(ring.events()[1].actor.as_deref(), Some("root"));
    assert_absent(&code, &written);
    assert_absent(&code.replace('-', ""), &written);
    assert_absent(invite.expose(), &written);
    assert_absent(&invite.expose().replace('-', ""), &written);
}

#[test]
fn what_the_store_keeps_a_restart_does_not_forget() {
    let clock = VirtualClock::new();
    let store = Arc::new(MemoryPolicies::new());
    let process = || {
        let pairing = Pairing::new(Arc::new(clock.clone()), random());
        Desk(Arc::new(pairing.keep_in(store.clone())))
    };
    let before = process();
    let code = ask(&before, "ada");
    before.approve("root", &code).unwrap();
    let waiting = ask(&before, "bob");
    let invite = before.invite("root", &ACME).unwrap();
    for _ in 0..5 {
        let _ = before.approve("eve", &wrong(&waiting));
        let _ = before.accept(&account("eve"), &wrong(invite.expose()));
    }

    let after = process();
    assert!(after.is_paired(&account("ada")));
    assert!(matches!(
        after.request(&account("bob"), None),
        Requested::Waiting
    ));
    assert_eq!(after.approve("eve", &waiting), Err(ApprovalError::Locked));
    assert_eq!(
        after.accept(&account("eve"), invite.expose()),
        Some(Invited::Locked)
    );
    assert_eq!(after.approve("root", &waiting), Ok(account("bob")));
    assert_eq!(
        after.accept(&account("cleo"), invite.expose()),
        Some(Invited::Accepted)
    );
}

#[test]
fn a_day_of_guessing_gets_five_tries_an_hour_and_harms_nobody() {
    let clock = VirtualClock::new();
    let pairing = pairing(&clock);
    let mut looked_up = 0;
    for minute in 0..24 * 60u32 {
        if minute % 60 == 0 {
            // Somebody honest asks and is approved at once, every hour.
            let code = ask(&pairing, &format!("honest-{minute}"));
            assert!(pairing.approve("root", &code).is_ok());
            ask(&pairing, "target");
        }
        for second in 0..60 {
            let guess = (minute * 60 + second) % 8999 + 1000;
            let guess = format!("AAAAA-AAAAA-A{guess:04}");
            let guess = guess.replace(['0', '1'], "Z");
            if pairing.approve("eve", &guess) != Err(ApprovalError::Locked) {
                looked_up += 1;
            }
            clock.advance(SECOND);
        }
    }
    assert!((115..=125).contains(&looked_up), "{looked_up}");
}
