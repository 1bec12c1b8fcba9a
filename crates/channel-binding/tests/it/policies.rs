//! What the policies remember, on every store.

use std::sync::Arc;
use std::time::Duration;

use channel_binding::SqlBindings;
use channel_core::{AccountRef, ErrorKind, Message, Platform};
use channel_policy::{
    ApprovalError, Identities as _, Invited, MemoryPolicies, Pairing, PolicyStore, Requested,
    Tries, account_key,
};
use channel_testkit::{SeededRandom, VirtualClock, assert_absent};

use crate::fixture::{ACME, Database, Kind, Kit, MILLI, SECOND, account, builder};

/// Several processes of one application, on one store.
struct Office {
    store: Arc<dyn PolicyStore>,
    clock: VirtualClock,
    database: Database,
}

impl Office {
    async fn new(kind: Kind) -> Self {
        let database = Database::new(kind).await;
        let store: Arc<dyn PolicyStore> = match kind {
            Kind::Memory => Arc::new(MemoryPolicies::new()),
            Kind::Sqlite | Kind::Postgres => {
                Arc::new(SqlBindings::connect(&database.url).await.unwrap())
            }
        };
        Self {
            store,
            clock: VirtualClock::new(),
            database,
        }
    }

    /// A process with random numbers of its own.
    fn desk(&self, seed: u64) -> Pairing {
        let random = Arc::new(SeededRandom::new(seed));
        Pairing::new(Arc::new(self.clock.clone()), random).keep_in(self.store.clone())
    }
}

async fn ask(pairing: &Pairing, whose: &AccountRef) -> String {
    match pairing.request(whose, Some("Ada")).await.unwrap() {
        Requested::Code(code) => code.expose().to_owned(),
        other => panic!("no code: {other:?}"),
    }
}

/// A code that is of the right form and wrong.
fn wrong(code: &str) -> String {
    let other = if code.starts_with('A') { "B" } else { "A" };
    format!("{other}{}", &code[1..])
}

/// Makes one test for each store, as for bindings.
macro_rules! in_every_office {
    ($(async fn $name:ident($office:ident) $body:block)*) => {$(
        async fn $name($office: Office) $body

        mod $name {
            use super::{Kind, Office};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn memory() {
                super::$name(Office::new(Kind::Memory).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Office::new(Kind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
            async fn postgres() {
                super::$name(Office::new(Kind::Postgres).await).await;
            }
        }
    )*};
}

in_every_office! {
    async fn a_pairing_outlives_the_process_that_made_it(office) {
        let before = office.desk(1);
        let code = ask(&before, &account("ada")).await;
        assert_eq!(before.approve("root", &code.to_lowercase()).await, Ok(account("ada")));
        let waiting = ask(&before, &account("bob")).await;
        let invite = before.invite("root", &ACME).await.unwrap();

        let after = office.desk(2);
        assert!(after.is_paired(&account("ada")).await.unwrap());
        assert!(!after.is_paired(&account("bob")).await.unwrap());
        let elsewhere = AccountRef::new(Platform::new("other"), "ada".into());
        assert!(!after.is_paired(&elsewhere).await.unwrap());
        let there = account("ada").in_workspace("w".into());
        assert!(!after.is_paired(&there).await.unwrap());
        let again = after.request(&account("bob"), None).await.unwrap();
        assert!(matches!(again, Requested::Waiting));
        let pending = after.pending().await.unwrap();
        assert_eq!((pending.len(), pending[0].name.as_deref()), (1, Some("Ada")));
        assert_eq!(after.approve("root", &waiting).await, Ok(account("bob")));
        assert_eq!(after.approve("root", &waiting).await, Err(ApprovalError::Unknown), "used");
        let accepted = after.accept(&account("cleo"), invite.expose()).await.unwrap();
        assert_eq!(accepted, Some(Invited::Accepted));
        assert!(before.is_paired(&account("cleo")).await.unwrap(), "at once, everywhere");
        let used = before.accept(&account("dora"), invite.expose()).await.unwrap();
        assert_eq!(used, Some(Invited::Invalid));
    }

    async fn a_code_holds_for_an_hour_and_a_sender_waits_ten_minutes(office) {
        let pairing = office.desk(1);
        let code = ask(&pairing, &account("ada")).await;
        office.clock.advance(600 * SECOND - MILLI);
        let soon = pairing.request(&account("ada"), None).await.unwrap();
        assert!(matches!(soon, Requested::Waiting));
        office.clock.advance(MILLI);
        let second = ask(&pairing, &account("ada")).await;
        assert_eq!(pairing.pending().await.unwrap().len(), 1, "the new code replaces the old");
        assert!(pairing.approve("root", &code).await.is_err());
        office.clock.advance(3600 * SECOND);
        assert!(pairing.approve("root", &second).await.is_ok());

        let late = ask(&pairing, &account("bob")).await;
        office.clock.advance(3600 * SECOND + MILLI);
        assert!(pairing.pending().await.unwrap().is_empty());
        assert_eq!(pairing.approve("root", &late).await, Err(ApprovalError::Unknown));
    }

    async fn three_wait_and_ten_invites_are_out_per_platform(office) {
        let pairing = office.desk(1);
        for sender in ["a", "b", "c"] {
            ask(&pairing, &account(sender)).await;
        }
        let fourth = pairing.request(&account("d"), None).await.unwrap();
        assert!(matches!(fourth, Requested::Full));
        ask(&pairing, &AccountRef::new(Platform::new("other"), "d".into())).await;
        let first = pairing.pending().await.unwrap()[0].id.clone();
        assert!(pairing.reject("root", &first).await.unwrap());
        assert!(!pairing.reject("root", &first).await.unwrap());
        ask(&pairing, &account("d")).await;

        for _ in 0..10 {
            pairing.invite("root", &ACME).await.unwrap();
        }
        let full = pairing.invite("root", &ACME).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::RateLimited);
        office.clock.advance(86_400 * SECOND + MILLI);
        assert!(pairing.invite("root", &ACME).await.is_ok());
    }

    async fn revoking_takes_every_alias_in_every_process_at_once(office) {
        let (one, two) = (office.desk(1), office.desk(2));
        let code = ask(&one, &account("ada")).await;
        one.approve("root", &code).await.unwrap();
        assert!(two.add_alias(&account("ada"), &account("ada-2")).await.unwrap());
        assert!(!two.add_alias(&account("eve"), &account("eve-2")).await.unwrap());
        assert!(one.is_paired(&account("ada-2")).await.unwrap());
        assert!(two.revoke("root", &account("ada-2")).await.unwrap());
        for alias in ["ada", "ada-2"] {
            assert!(!one.is_paired(&account(alias)).await.unwrap());
        }
        assert!(!one.revoke("root", &account("ada")).await.unwrap());
    }

    // A replica more is no way around a lock.
    async fn pain_37_replicas_share_locks_and_settled_commands(office) {
        let (one, two) = (office.desk(1), office.desk(2));
        let code = ask(&one, &account("ada")).await;
        for guess in 0..5 {
            let desk = if guess % 2 == 0 { &one } else { &two };
            assert_eq!(desk.approve("eve", &wrong(&code)).await, Err(ApprovalError::Unknown));
        }
        for desk in [&one, &two, &office.desk(3)] {
            assert_eq!(desk.approve("eve", &code).await, Err(ApprovalError::Locked));
        }
        office.clock.advance(3600 * SECOND - MILLI);
        assert_eq!(two.approve("eve", &code).await, Err(ApprovalError::Locked));
        assert_eq!(two.approve("root", &code).await, Ok(account("ada")));
        office.clock.advance(MILLI);
        assert_eq!(one.approve("eve", &code).await, Err(ApprovalError::Unknown));

        let now = channel_core::Clock::now(&office.clock);
        let digest = "d".repeat(64);
        assert!(office.store.settle(&digest, now).await.unwrap());
        assert!(!office.store.settle(&digest, now).await.unwrap());
        office.store.unsettle(&digest).await.unwrap();
        assert!(office.store.settle(&digest, now).await.unwrap());
    }

    async fn of_64_tries_at_once_five_are_looked_at(office) {
        let now = channel_core::Clock::now(&office.clock);
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (store, key) = (office.store.clone(), account_key(&account("eve")));
                tokio::spawn(async move { store.begin(Tries::Connect, &key, now).await.unwrap() })
            })
            .collect();
        let mut looked_at = 0;
        for task in tasks {
            looked_at += usize::from(task.await.unwrap());
        }
        assert_eq!(looked_at, 5);
        let (eve, ada) = (account_key(&account("eve")), account_key(&account("ada")));
        assert!(office.store.begin(Tries::Invite, &eve, now).await.unwrap(), "each by itself");
        assert!(office.store.begin(Tries::Connect, &ada, now).await.unwrap());
        office.store.withdraw(Tries::Connect, &eve).await.unwrap();
        assert!(office.store.begin(Tries::Connect, &eve, now).await.unwrap());
        assert!(!office.store.begin(Tries::Connect, &eve, now).await.unwrap());
        office.store.succeeded(Tries::Connect, &eve).await.unwrap();
        assert!(office.store.begin(Tries::Connect, &eve, now).await.unwrap());
    }

    async fn of_64_approvals_at_once_one_succeeds(office) {
        let office = Arc::new(office);
        let code = ask(&office.desk(1), &account("ada")).await;
        let id = office.desk(1).pending().await.unwrap()[0].id.clone();
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let (office, wanted) = (office.clone(), if n % 2 == 0 { &code } else { &id }.clone());
                tokio::spawn(async move {
                    let actor = format!("root-{n}");
                    office.desk(n).approve(&actor, &wanted).await
                })
            })
            .collect();
        let mut approved = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => approved += 1,
                Err(error) => assert_eq!(error, ApprovalError::Unknown),
            }
        }
        assert_eq!(approved, 1);
    }

    async fn of_64_strangers_at_once_three_wait(office) {
        let office = Arc::new(office);
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let office = office.clone();
                tokio::spawn(async move {
                    let stranger = account(&format!("s{n}"));
                    office.desk(n).request(&stranger, None).await.unwrap()
                })
            })
            .collect();
        let mut waiting = 0;
        for task in tasks {
            waiting += usize::from(matches!(task.await.unwrap(), Requested::Code(_)));
        }
        assert_eq!(waiting, 3);
        assert_eq!(office.desk(0).pending().await.unwrap().len(), 3);
    }

    async fn an_id_that_no_database_takes_is_nobody_s(office) {
        let pairing = office.desk(1);
        for id in ["x".repeat(129), "a\0b".to_owned(), String::new()] {
            let odd = account(&id);
            assert!(matches!(pairing.request(&odd, None).await.unwrap(), Requested::Waiting));
            assert!(!pairing.is_paired(&odd).await.unwrap());
            assert!(!pairing.revoke("root", &odd).await.unwrap());
        }
        let longest = account(&"ü".repeat(128));
        let name = format!("\0{}", "n".repeat(500));
        pairing.request(&longest, Some(&name)).await.unwrap();
        let pending = pairing.pending().await.unwrap();
        assert_eq!(pending[0].account, longest);
        assert_eq!(pending[0].name.as_deref(), Some("n".repeat(128).as_str()));
    }
}

async fn a_restart_keeps_locks_and_settled_commands(kind: Kind) {
    let kit = Kit::new(kind).await;
    let code = kit.mint("ada").await;
    let bad = "AAAAAAAAAAAAAAAAAAAAAA";
    let process = async || {
        let store = SqlBindings::connect(&kit.database.url).await.unwrap();
        let bindings = builder(store.clone(), &kit.clock).build().unwrap();
        channel_binding::ConnectGate::new(bindings).keep_in(Arc::new(store))
    };
    let reason = async |gate: &channel_binding::ConnectGate, message: &Message| {
        gate.connect(message).await.unwrap().reason.as_str()
    };
    let before = process().await;
    let first = kit.direct("eve", &format!("/connect {bad}"));
    assert_eq!(reason(&before, &first).await, "connect_invalid");
    let after = process().await;
    assert_eq!(
        reason(&after, &first).await,
        "connect_replayed",
        "answered before the restart"
    );
    for _ in 0..4 {
        let guess = kit.direct("eve", &format!("/connect {bad}"));
        assert_eq!(reason(&after, &guess).await, "connect_invalid");
    }
    let third = process().await;
    let right = kit.direct("eve", &format!("/connect {code}"));
    assert_eq!(reason(&third, &right).await, "connect_locked");
    let honest = kit.direct("ada", &format!("/connect {code}"));
    assert_eq!(reason(&third, &honest).await, "connected");
    kit.clock.advance(Duration::from_secs(3600));
    let late = kit.direct("eve", &format!("/connect {bad}"));
    assert_eq!(reason(&process().await, &late).await, "connect_invalid");
}

#[tokio::test]
async fn a_restart_forgets_no_lock_and_no_command_on_sqlite() {
    a_restart_keeps_locks_and_settled_commands(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
async fn a_restart_forgets_no_lock_and_no_command_on_postgres() {
    a_restart_keeps_locks_and_settled_commands(Kind::Postgres).await;
}

#[tokio::test]
async fn no_pairing_or_invite_code_is_on_the_disk() {
    let office = Office::new(Kind::Sqlite).await;
    let pairing = office.desk(1);
    let code = ask(&pairing, &account("ada")).await;
    let invite = pairing.invite("root", &ACME).await.unwrap();
    let _ = pairing.approve("root", &wrong(&code)).await;
    let disk = office.database.bytes();
    assert!(
        disk.contains("channel_pairing_requests"),
        "the database was looked at"
    );
    for secret in [
        code.as_str(),
        invite.expose(),
        &invite.expose().replace('-', ""),
    ] {
        assert_absent(secret, &disk);
    }
}

#[tokio::test]
async fn a_store_that_is_down_pairs_nobody_and_counts_nothing() {
    let database = Database::new(Kind::Sqlite).await;
    let store = SqlBindings::connect(&database.url).await.unwrap();
    let clock = VirtualClock::new();
    let pairing = Pairing::new(Arc::new(clock), Arc::new(SeededRandom::new(1)))
        .keep_in(Arc::new(store.clone()));
    let code = ask(&pairing, &account("ada")).await;
    store.close().await;
    assert!(pairing.is_paired(&account("ada")).await.is_err());
    assert!(pairing.request(&account("bob"), None).await.is_err());
    assert_eq!(
        pairing.approve("root", &code).await,
        Err(ApprovalError::Unavailable)
    );
    let invite = pairing.accept(&account("bob"), "AAAA-BBBB-CCCC-DDDD").await;
    assert_eq!(invite.unwrap_err().kind(), ErrorKind::Unavailable);
}
