//! Every rule at exactly its limit, on every store.

use channel_binding::BindingStatus;
use channel_core::{BindingId, ErrorKind, OwnerId, Proof};

use crate::fixture::{MILLI, SECOND, account, on_every_store};

on_every_store! {
    async fn a_code_holds_at_exactly_its_end_and_not_after_it(kit) {
        let code = kit.mint("ada").await;
        kit.clock.advance(600 * SECOND);
        assert_eq!(kit.send("a", &code).await, "connected");
        let code = kit.mint("ada").await;
        kit.clock.advance(600 * SECOND + MILLI);
        assert_eq!(kit.send("b", &code).await, "connect_invalid");
        assert_eq!(kit.owner("a").await.as_deref(), Some("ada"));
        assert_eq!(kit.owner("b").await, None);
    }

    async fn a_code_works_once(kit) {
        let code = kit.mint("ada").await;
        assert_eq!(kit.send("a", &code).await, "connected");
        assert_eq!(kit.send("a", &code).await, "connect_invalid");
        assert_eq!(kit.send("b", &code).await, "connect_invalid");
        assert_eq!(kit.owner("b").await, None);
    }

    async fn the_message_that_used_a_code_is_known_to_every_process(kit) {
        let code = kit.mint("ada").await;
        let first = kit.direct("a", &format!("/connect {code}"));
        assert_eq!(kit.settle(&first).await.reason.as_str(), "connected");
        let other = channel_binding::ConnectGate::new(kit.bindings.clone());
        let again = channel_policy::Identities::connect(&other, &first).await.unwrap();
        assert_eq!((again.reason.as_str(), again.answer), ("connect_replayed", None));
        // The same words in another message are no replay.
        let next = kit.direct("a", &first.text);
        let again = channel_policy::Identities::connect(&other, &next).await.unwrap();
        assert_eq!(again.reason.as_str(), "connect_invalid");
    }

    async fn five_codes_live_and_a_sixth_does_not(kit) {
        let ada = OwnerId::new("ada");
        let mut codes = Vec::new();
        for _ in 0..5 {
            codes.push(kit.mint("ada").await);
        }
        let error = kit.bindings.mint(&ada, "acme").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        // Other owners and other platforms have their own.
        kit.mint("bob").await;
        kit.bindings.mint(&ada, "linked").await.unwrap();
        // A used code makes room.
        assert_eq!(kit.send("a", &codes[0]).await, "connected");
        kit.mint("ada").await;
        assert!(kit.bindings.mint(&ada, "acme").await.is_err());
        // At exactly their end they still count, after it they do not.
        kit.clock.advance(600 * SECOND);
        assert!(kit.bindings.mint(&ada, "acme").await.is_err());
        kit.clock.advance(MILLI);
        for _ in 0..5 {
            kit.mint("ada").await;
        }
        assert!(kit.bindings.mint(&ada, "acme").await.is_err());
    }

    async fn a_code_on_another_platform_fails_and_is_not_used_up(kit) {
        let code = kit.mint("ada").await;
        let mut elsewhere = crate::fixture::message(
            crate::fixture::LINKED,
            "a",
            &format!("/start {code}"),
        );
        elsewhere.id = "elsewhere".into();
        assert_eq!(kit.settle(&elsewhere).await.reason.as_str(), "connect_invalid");
        assert_eq!(kit.send("a", &code).await, "connected");
    }

    async fn the_same_owner_again_keeps_the_binding_and_its_conversations(kit) {
        kit.connect("ada", "a").await;
        let first = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        let bound = first.bound(&account("a"));
        let thread = kit.bindings.thread(&bound, "chat", None).await.unwrap();
        let topic = kit.bindings.thread(&bound, "chat", Some("7")).await.unwrap();
        assert_ne!(thread, topic);

        kit.bindings.disconnect(&first.owner, &first.id).await.unwrap();
        assert_eq!(kit.owner("a").await, None);
        assert!(!kit.bindings.confirm(&bound).await.unwrap(), "what was queued is not done");

        kit.clock.advance(SECOND);
        kit.connect("ada", "a").await;
        let again = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        assert_eq!(again.id, first.id);
        assert_eq!(again.created_at, first.created_at);
        assert!(again.updated_at > first.updated_at);
        assert!(kit.bindings.confirm(&bound).await.unwrap());
        assert_eq!(kit.bindings.thread(&bound, "chat", None).await.unwrap(), thread);
        assert_eq!(kit.bindings.list(&first.owner).await.unwrap().len(), 1);
    }

    async fn a_second_owner_wins_and_the_first_is_told(kit) {
        kit.connect("ada", "a").await;
        let first = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        let bound = first.bound(&account("a"));
        let thread = kit.bindings.thread(&bound, "chat", None).await.unwrap();
        let secret = crate::fixture::secret('s');
        kit.bindings.put_credential(&first.owner, &first.id, &secret).await.unwrap();
        kit.told.take();

        kit.clock.advance(SECOND);
        kit.connect("bob", "a").await;
        assert_eq!(kit.owner("a").await.as_deref(), Some("bob"));
        assert!(!kit.bindings.confirm(&bound).await.unwrap());
        let told = [
            ("ada".to_owned(), "binding_moved_away"),
            ("bob".to_owned(), "binding_connected"),
        ];
        assert_eq!(kit.told.take(), told);
        let former = kit.bindings.list(&first.owner).await.unwrap();
        assert_eq!(former[0].status, BindingStatus::Revoked);
        let gone = kit.bindings.credential(&first.owner, &first.id).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
        let trail = kit.bindings.trail(&first.owner, 10).await.unwrap();
        let actions: Vec<_> = trail.iter().map(|line| line.action.as_str()).collect();
        assert_eq!(actions, ["moved_away", "connected"]);
        let recorded: Vec<_> = kit.ring.events().iter().map(|event| event.action).collect();
        assert!(recorded.contains(&"binding_moved_away"));

        // And back: the first owner's row, its threads, and no credential.
        kit.clock.advance(SECOND);
        kit.connect("ada", "a").await;
        let back = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        assert_eq!(back.id, first.id);
        assert_eq!(kit.bindings.thread(&bound, "chat", None).await.unwrap(), thread);
        assert!(kit.bindings.credential(&back.owner, &back.id).await.unwrap().is_none());
    }

    async fn disconnecting_is_for_the_owner_and_can_be_repeated(kit) {
        kit.connect("ada", "a").await;
        let binding = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        let bob = OwnerId::new("bob");
        for (owner, id) in [
            (&bob, &binding.id),
            (&binding.owner, &BindingId::new("nothing")),
        ] {
            let error = kit.bindings.disconnect(owner, id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        assert_eq!(kit.owner("a").await.as_deref(), Some("ada"));
        for _ in 0..2 {
            let gone = kit.bindings.disconnect(&binding.owner, &binding.id).await.unwrap();
            assert_eq!(gone.status, BindingStatus::Revoked);
        }
        let trail = kit.bindings.trail(&binding.owner, 10).await.unwrap();
        assert_eq!(trail.len(), 2, "nothing happened the second time: {trail:?}");
    }

    async fn another_workspace_is_another_account_unless_the_platform_says_otherwise(kit) {
        let at = |workspace: &str| account("u1").in_workspace(workspace.into());
        let code = kit.mint("ada").await;
        let mut message = kit.direct("u1", &format!("/connect {code}"));
        message.sender.account = at("w1");
        assert_eq!(kit.settle(&message).await.reason.as_str(), "connected");
        assert!(kit.bindings.resolve(&at("w1")).await.unwrap().is_some());
        assert!(kit.bindings.resolve(&at("w2")).await.unwrap().is_none());
        assert!(kit.bindings.resolve(&account("u1")).await.unwrap().is_none());

        // Where ids are unique everywhere one binding serves every workspace.
        let offer = kit.bindings.mint(&OwnerId::new("ada"), "linked").await.unwrap();
        let code = offer.code.expose();
        let mut message = crate::fixture::message(
            crate::fixture::LINKED,
            "u1",
            &format!("/start {code}"),
        );
        let linked = message.sender.account.clone();
        message.sender.account = linked.clone().in_workspace("w1".into());
        assert_eq!(kit.settle(&message).await.reason.as_str(), "connected");
        for somewhere in [linked.clone(), linked.in_workspace("w9".into())] {
            assert!(kit.bindings.resolve(&somewhere).await.unwrap().is_some());
        }
    }

    async fn the_grade_of_proof_is_kept_and_a_claim_is_refused(kit) {
        let code = kit.mint("ada").await;
        let mut message = kit.direct("a", &format!("/connect {code}"));
        message.sender.proof = Proof::Claimed;
        assert_eq!(kit.settle(&message).await.reason.as_str(), "connect_unproven");
        let mut message = kit.direct("a", &format!("/connect {code}"));
        message.sender.proof = Proof::Asserted;
        assert_eq!(kit.settle(&message).await.reason.as_str(), "connected");
        let binding = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        assert_eq!(binding.proof, Proof::Asserted);
    }

    async fn what_is_kept_of_a_binding_is_read_back(kit) {
        let code = kit.mint("ada").await;
        let mut message = kit.direct("a", &format!("/connect {code}"));
        message.sender.name = Some(format!("A\u{0}da {}", "x".repeat(300)));
        assert_eq!(kit.settle(&message).await.reason.as_str(), "connected");
        let binding = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        assert_eq!(binding.account_name.unwrap().chars().count(), 256);
        let mut details = channel_binding::Details::default();
        details.workspace_name = Some("Acme 'Inc'".into());
        details.bot_user_id = Some("B1".into());
        details.scopes = vec!["read".into(), "write".into()];
        details.capabilities = vec!["stream".into()];
        details.metadata = serde_json::json!({"plan": "x\"y"});
        kit.bindings.describe(&binding.owner, &binding.id, &details).await.unwrap();
        let stranger = OwnerId::new("bob");
        let error = kit.bindings.describe(&stranger, &binding.id, &details).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let binding = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        assert_eq!(binding.workspace_name, details.workspace_name);
        assert_eq!(binding.bot_user_id, details.bot_user_id);
        assert_eq!(binding.scopes, details.scopes);
        assert_eq!(binding.capabilities, details.capabilities);
        assert_eq!(binding.metadata, details.metadata);
        assert_eq!(binding.last_seen_at, Some(binding.created_at));
        kit.clock.advance(59 * SECOND);
        kit.bindings.resolve(&account("a")).await.unwrap();
        let binding = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        assert_eq!(binding.last_seen_at, Some(binding.created_at));
        kit.clock.advance(SECOND);
        kit.bindings.resolve(&account("a")).await.unwrap();
        let binding = kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        assert_eq!(binding.last_seen_at, Some(binding.created_at + 60 * SECOND));
    }

    async fn what_has_failed_with_a_binding_is_noted(kit) {
        kit.connect("ada", "a").await;
        let find = async || kit.bindings.resolve(&account("a")).await.unwrap().unwrap();
        let binding = find().await;
        assert_eq!(binding.last_error_at, None);
        kit.clock.advance(SECOND);
        kit.bindings.failed(&binding.id).await.unwrap();
        assert_eq!(find().await.last_error_at, Some(binding.created_at + SECOND));
        // So is a credential that no key opens, which reads as absent.
        let written = crate::fixture::secret('x');
        kit.bindings.put_credential(&binding.owner, &binding.id, &written).await.unwrap();
        let other = channel_binding::Sealer::new(&crate::fixture::secret('o')).unwrap();
        let other = kit.same_store().sealer(other).build().unwrap();
        kit.clock.advance(SECOND);
        assert!(other.credential(&binding.owner, &binding.id).await.unwrap().is_none());
        assert_eq!(find().await.last_error_at, Some(binding.created_at + 2 * SECOND));
    }

    async fn a_platform_and_an_owner_can_be_cleared(kit) {
        kit.connect("ada", "a").await;
        kit.connect("ada", "a2").await;
        kit.connect("bob", "b").await;
        assert_eq!(kit.bindings.purge(&OwnerId::new("ada")).await.unwrap(), 2);
        assert_eq!(kit.owner("a").await, None);
        assert!(kit.bindings.list(&OwnerId::new("ada")).await.unwrap().is_empty());
        assert!(kit.bindings.trail(&OwnerId::new("ada"), 10).await.unwrap().is_empty());
        assert_eq!(kit.owner("b").await.as_deref(), Some("bob"));
        assert_eq!(kit.bindings.revoke_platform(&crate::fixture::LINKED).await.unwrap(), 0);
        assert_eq!(kit.bindings.revoke_platform(&crate::fixture::ACME).await.unwrap(), 1);
        assert_eq!(kit.owner("b").await, None);
        let now = channel_core::Clock::now(&kit.clock);
        kit.bindings.sweep(now + MILLI).await.unwrap();
        assert!(kit.bindings.trail(&OwnerId::new("bob"), 10).await.unwrap().is_empty());
    }

    async fn what_does_not_fit_is_refused_before_anything_is_written(kit) {
        for owner in ["", "a\nb", &"x".repeat(65)] {
            let error = kit.bindings.mint(&OwnerId::new(owner), "acme").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{owner:?}");
        }
        let error = kit.bindings.mint(&OwnerId::new("ada"), "other").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let code = kit.mint(&"x".repeat(64)).await;
        for sender in ["", "a\u{0}b", &"x".repeat(129)] {
            assert_eq!(kit.send(sender, &code).await, "connect_unproven", "{sender:?}");
        }
        assert_eq!(kit.send(&"ä".repeat(128), &code).await, "connected");
    }
}
