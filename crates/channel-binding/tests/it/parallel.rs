//! Many at once.

use std::sync::Arc;

use channel_core::OwnerId;

use crate::fixture::{Kit, account, on_every_store};

const ROUNDS: usize = 200;

async fn at_once<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

on_every_store! {
    async fn of_64_redemptions_one_succeeds_and_63_are_told_the_same(kit) {
        let kit = Arc::new(kit);
        for round in 0..ROUNDS {
            let code = kit.mint("ada").await;
            let settled = at_once((0..64).map(|n| {
                let (kit, code) = (kit.clone(), code.clone());
                async move {
                    // Different senders and messages, one code.
                    let sender = format!("s{round}-{n}");
                    let message = kit.direct(&sender, &format!("/connect {code}"));
                    let settled = kit.settle(&message).await;
                    (settled.reason.as_str(), settled.answer)
                }
            }))
            .await;
            let count = |reason| settled.iter().filter(|it| it.0 == reason).count();
            assert_eq!(count("connected"), 1, "round {round}: {settled:?}");
            assert_eq!(count("connect_invalid"), 63, "round {round}");
            let mut answers: Vec<_> = settled.iter().filter(|it| it.0 != "connected").collect();
            answers.dedup();
            assert_eq!(answers.len(), 1);
        }
    }

    async fn of_100_redemptions_one_succeeds(kit) {
        let kit = Arc::new(kit);
        let code = kit.mint("ada").await;
        let settled = at_once((0..100).map(|n| {
            let (kit, code) = (kit.clone(), code.clone());
            async move { kit.send(&format!("s{n}"), &code).await }
        }))
        .await;
        assert_eq!(settled.iter().filter(|it| **it == "connected").count(), 1, "{settled:?}");
    }

    async fn of_64_owners_who_bind_one_account_one_holds_it(kit) {
        let kit = Arc::new(kit);
        let mut codes = Vec::new();
        for n in 0..64 {
            codes.push(kit.mint(&format!("o{n}")).await);
        }
        let reasons = at_once(codes.into_iter().map(|code| {
            let kit = kit.clone();
            async move { kit.bindings_redeem(&code).await }
        }))
        .await;
        assert!(reasons.iter().all(|reason| *reason == "connected"), "{reasons:?}");
        let holder = kit.owner("target").await.unwrap();
        let mut holding = 0;
        for n in 0..64 {
            let owner = format!("o{n}");
            for binding in kit.bindings.list(&OwnerId::new(&owner)).await.unwrap() {
                let holds = binding.status == channel_binding::BindingStatus::Connected;
                holding += usize::from(holds);
                assert!(!holds || owner == holder);
            }
        }
        assert_eq!(holding, 1);
    }

    async fn of_64_mintings_five_succeed(kit) {
        let kit = Arc::new(kit);
        for owner in 0..5 {
            let minted = at_once((0..64).map(|_| {
                let kit = kit.clone();
                async move {
                    let owner = OwnerId::new(format!("o{owner}"));
                    kit.bindings.mint(&owner, "acme").await.map_err(|error| error.kind())
                }
            }))
            .await;
            assert_eq!(minted.iter().filter(|it| it.is_ok()).count(), 5);
            assert!(minted.iter().all(|it| match it {
                Ok(_) => true,
                Err(kind) => *kind == channel_core::ErrorKind::RateLimited,
            }));
        }
    }

    async fn of_64_mintings_where_the_newest_code_alone_holds_one_holds(kit) {
        let bindings = kit.same_store().newest_code_only().build().unwrap();
        let kit = Arc::new(kit);
        for round in 0..5 {
            let owner = OwnerId::new(format!("o{round}"));
            let minted = at_once((0..64).map(|_| {
                let (bindings, owner) = (bindings.clone(), owner.clone());
                async move {
                    let offer = bindings.mint(&owner, "acme").await.unwrap();
                    offer.code.expose().to_owned()
                }
            }))
            .await;
            // One after the other, so that none is refused because another is being used.
            let mut connected = 0;
            for (n, code) in minted.iter().enumerate() {
                let reason = kit.send(&format!("s{round}-{n}"), code).await;
                connected += usize::from(reason == "connected");
            }
            assert_eq!(connected, 1, "round {round}");
        }
    }

    /// While 64 are made, somebody tries all that have been made so far.
    async fn never_two_codes_hold_where_the_newest_alone_does(kit) {
        let bindings = kit.same_store().newest_code_only().build().unwrap();
        let kit = Arc::new(kit);
        let owner = OwnerId::new("ada");
        for round in 0..20 {
            let old = bindings.mint(&owner, "acme").await.unwrap();
            let new = bindings.mint(&owner, "acme").await.unwrap();
            let codes = [old, new].map(|offer| offer.code.expose().to_owned());
            let reasons = at_once(codes.into_iter().enumerate().map(|(n, code)| {
                let kit = kit.clone();
                async move { kit.send(&format!("r{round}-{n}"), &code).await }
            }))
            .await;
            assert_eq!(reasons, ["connect_invalid", "connected"]);
        }
    }

    async fn of_64_first_messages_one_makes_the_thread(kit) {
        kit.connect("ada", "a").await;
        let binding = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        let bound = binding.bound(&account("a"));
        let kit = Arc::new(kit);
        for chat in 0..5 {
            let mut threads = at_once((0..64).map(|_| {
                let (kit, bound) = (kit.clone(), bound.clone());
                async move {
                    let chat = format!("chat{chat}");
                    kit.bindings.thread(&bound, &chat, None).await.unwrap()
                }
            }))
            .await;
            threads.dedup();
            assert_eq!(threads.len(), 1);
        }
    }
}

impl Kit {
    /// One account, whose lockout must not count what 64 honest owners do at once: each
    /// comes through a gate of its own.
    async fn bindings_redeem(&self, code: &str) -> &'static str {
        let gate = channel_binding::ConnectGate::new(self.bindings.clone());
        let message = self.direct("target", &format!("/connect {code}"));
        let settled = channel_policy::Identities::connect(&gate, &message).await;
        settled.unwrap().reason.as_str()
    }
}
