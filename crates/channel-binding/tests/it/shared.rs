//! Two processes share one store: what one has on its way arrives before the other takes the
//! binding back, and nothing does after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use channel_binding::Bindings;
use channel_core::{BindingId, Bound, Clock as _, OwnerId};

use crate::fixture::{Kit, MILLI, SECOND, account, on_every_store};

async fn bound(kit: &Kit, sender: &str) -> Bound {
    let binding = kit.bindings.resolve(&account(sender)).await.unwrap();
    binding.unwrap().bound(&account(sender))
}

async fn disconnect(bindings: Bindings, owner: OwnerId, id: BindingId) {
    bindings.disconnect(&owner, &id).await.unwrap();
}

on_every_store! {
    async fn who_takes_back_waits_for_the_message_of_another_process(kit) {
        kit.connect("ada", "a").await;
        let (here, there) = (&kit.bindings, kit.elsewhere().await);
        let bound = bound(&kit, "a").await;
        let hold = here.hold(&bound).await.unwrap().unwrap();
        let taking = tokio::spawn(disconnect(there, bound.owner.clone(), bound.binding.clone()));
        kit.until_closed("a").await;
        // Long enough for it to have written.
        kit.in_time(tokio::time::sleep(100 * MILLI)).await;
        assert!(!taking.is_finished());
        assert!(here.confirm(&bound).await.unwrap(), "nothing is written yet");
        drop(hold);
        kit.in_time(taking).await.unwrap();
        assert!(kit.in_time(here.hold(&bound)).await.unwrap().is_none());
        assert!(kit.clock.elapsed() < 10 * SECOND, "it has not just given up");
    }

    async fn a_message_that_comes_while_another_process_takes_back_is_not_sent(kit) {
        kit.connect("ada", "a").await;
        let (here, there) = (&kit.bindings, kit.elsewhere().await);
        let bound = bound(&kit, "a").await;
        let hold = here.hold(&bound).await.unwrap().unwrap();
        let taking = tokio::spawn(disconnect(there, bound.owner.clone(), bound.binding.clone()));
        kit.until_closed("a").await;
        let next = tokio::spawn({
            let (here, bound) = (here.clone(), bound.clone());
            async move { here.hold(&bound).await.unwrap().is_some() }
        });
        kit.in_time(tokio::time::sleep(50 * MILLI)).await;
        assert!(!next.is_finished(), "it waits for what becomes of the binding");
        drop(hold);
        kit.in_time(taking).await.unwrap();
        assert!(!kit.in_time(next).await.unwrap());
    }

    async fn an_account_moves_after_the_answers_to_its_former_owner(kit) {
        kit.connect("ada", "a").await;
        let there = kit.elsewhere().await;
        let bound = bound(&kit, "a").await;
        let hold = there.hold(&bound).await.unwrap().unwrap();
        let kit = Arc::new(kit);
        let code = kit.mint("eve").await;
        let moving = tokio::spawn({
            let kit = kit.clone();
            async move { kit.send("a", &code).await }
        });
        kit.until_closed("a").await;
        kit.in_time(tokio::time::sleep(50 * MILLI)).await;
        assert!(!moving.is_finished());
        drop(hold);
        assert_eq!(kit.in_time(moving).await.unwrap(), "connected");
        assert!(kit.in_time(there.hold(&bound)).await.unwrap().is_none());
        assert_eq!(kit.owner("a").await.as_deref(), Some("eve"));
    }

    async fn nobody_waits_for_longer_than_ten_seconds(kit) {
        kit.connect("ada", "a").await;
        let (here, there) = (&kit.bindings, kit.elsewhere().await);
        let bound = bound(&kit, "a").await;
        let hold = here.hold(&bound).await.unwrap().unwrap();
        let began = kit.clock.elapsed();
        let taking = there.disconnect(&bound.owner, &bound.binding);
        kit.in_steps(20 * MILLI, taking).await.unwrap();
        let took = kit.clock.elapsed() - began;
        assert!((10 * SECOND..11 * SECOND).contains(&took), "{took:?}");
        drop(hold);
        assert!(kit.in_time(here.hold(&bound)).await.unwrap().is_none());
    }

    async fn a_whole_platform_waits_too(kit) {
        kit.connect("ada", "a").await;
        let (here, there) = (&kit.bindings, kit.elsewhere().await);
        let bound = bound(&kit, "a").await;
        let hold = here.hold(&bound).await.unwrap().unwrap();
        let taking = tokio::spawn({
            let (there, acme) = (there.clone(), crate::fixture::ACME);
            async move { there.revoke_platform(&acme).await.unwrap() }
        });
        kit.until_closed("a").await;
        kit.in_time(tokio::time::sleep(50 * MILLI)).await;
        assert!(!taking.is_finished());
        drop(hold);
        assert_eq!(kit.in_time(taking).await.unwrap(), 1);
        assert!(kit.in_time(here.hold(&bound)).await.unwrap().is_none());
    }

    /// E5: two processes send as fast as they can, a third takes back. Whatever a message
    /// sees after it has begun, it sees before the removal is written.
    async fn nothing_is_delivered_after_the_removal(kit) {
        let kit = Arc::new(kit);
        let others = [kit.elsewhere().await, kit.elsewhere().await, kit.elsewhere().await];
        let [one, another, there] = &others;
        let mut sent = 0;
        for round in 0..20 {
            let sender = format!("a{round}");
            kit.connect("ada", &sender).await;
            let bound = bound(&kit, &sender).await;
            let removed = Arc::new(AtomicBool::new(false));
            let under_way = Arc::new(AtomicUsize::new(0));
            let mut senders = Vec::new();
            for from in [kit.bindings.clone(), one.clone(), another.clone()] {
                let (removed, under_way) = (removed.clone(), under_way.clone());
                let bound = bound.clone();
                senders.push(tokio::spawn(async move {
                    let mut delivered = 0;
                    while let Some(hold) = from.hold(&bound).await.unwrap() {
                        under_way.fetch_add(1, Ordering::SeqCst);
                        assert!(!removed.load(Ordering::SeqCst), "begun after the removal");
                        tokio::time::sleep(MILLI).await;
                        assert!(!removed.load(Ordering::SeqCst), "delivered after the removal");
                        delivered += 1;
                        under_way.fetch_sub(1, Ordering::SeqCst);
                        drop(hold);
                    }
                    delivered
                }));
            }
            let work = async {
                // They take turns without a gap: who takes back gets in between all the same.
                tokio::time::sleep(20 * MILLI).await;
                there.disconnect(&bound.owner, &bound.binding).await.unwrap();
                assert_eq!(under_way.load(Ordering::SeqCst), 0);
                removed.store(true, Ordering::SeqCst);
                let mut all = 0;
                for sender in senders {
                    all += sender.await.unwrap();
                }
                all
            };
            sent += kit.in_time(work).await;
        }
        assert!(sent >= 20, "only {sent} were sent");
    }
}
