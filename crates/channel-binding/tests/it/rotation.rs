//! Another master key, while everything goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use channel_binding::{Bindings, Resealed, Sealer, SqlBindings};
use channel_core::{BindingId, ErrorKind, OwnerId, Secret};

use crate::fixture::{Kind, Kit, account, builder, on_every_store, secret};

/// Accounts with a credential each.
const ACCOUNTS: usize = 40;

async fn with_credentials(kit: &Kit, how_many: usize) -> Vec<BindingId> {
    let ada = OwnerId::new("ada");
    let mut ids = Vec::new();
    for n in 0..how_many {
        let sender = format!("s{n}");
        kit.connect("ada", &sender).await;
        let found = kit
            .bindings
            .resolve(&account(&sender))
            .await
            .unwrap()
            .unwrap();
        let credential = Secret::new(format!("{n}:0"));
        kit.bindings
            .put_credential(&ada, &found.id, &credential)
            .await
            .unwrap();
        ids.push(found.id);
    }
    ids
}

async fn read(bindings: &Bindings, id: &BindingId) -> Option<String> {
    let read = bindings.credential(&OwnerId::new("ada"), id).await.unwrap();
    read.map(|secret| secret.expose().to_owned())
}

/// Reads and writes until it is told to stop; every read finds what was last written, or
/// what is being written.
async fn load(
    bindings: Bindings,
    n: usize,
    id: BindingId,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
    let ada = OwnerId::new("ada");
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let expected = format!("{n}:{round}");
        assert_eq!(read(&bindings, &id).await, Some(expected), "a read failed");
        round += 1;
        let next = Secret::new(format!("{n}:{round}"));
        bindings.put_credential(&ada, &id, &next).await.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

on_every_store! {
    async fn the_key_is_changed_under_load_without_a_failure(kit) {
        let ids = with_credentials(&kit, ACCOUNTS).await;
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        // Half of the accounts are read and written all the time, the others are at rest.
        let busy: Vec<_> = ids.iter().take(ACCOUNTS / 2).cloned().enumerate().map(|(n, id)| {
            tokio::spawn(load(kit.bindings.clone(), n, id, stop.clone(), done.clone()))
        }).collect();
        let mut keys = vec![secret('k')];
        for fill in ['l', 'm', 'n', 'o'] {
            let before = done.load(Ordering::Relaxed);
            while done.load(Ordering::Relaxed) < before + 40 {
                tokio::task::yield_now().await;
            }
            let moved = kit.bindings.rotate_key(&secret(fill)).await.unwrap();
            assert!(moved.resealed >= ACCOUNTS as u64 / 2, "those at rest: {moved:?}");
            assert_eq!(moved.unreadable, 0);
            keys.push(secret(fill));
        }
        stop.store(true, Ordering::Relaxed);
        for task in busy {
            task.await.unwrap();
        }
        // Whoever has got hold of an old key reads nothing with it.
        let last = keys.pop().unwrap();
        for (key, opens) in keys.iter().map(|key| (key, false)).chain([(&last, true)]) {
            let sealer = Sealer::new(key).unwrap();
            for (n, id) in ids.iter().enumerate() {
                let kept = kit.raw_credential(id).await;
                let whose = account(&format!("s{n}"));
                assert_eq!(sealer.open(id, &whose, &kept).is_some(), opens, "account {n}");
            }
        }
        assert_eq!(format!("{:?}", kit.sealer), "Sealer { keys: 1 }", "the old ones are gone");
        for (n, id) in ids.iter().enumerate().skip(ACCOUNTS / 2) {
            assert_eq!(read(&kit.bindings, id).await, Some(format!("{n}:0")));
        }
    }

    async fn processes_that_share_a_store_change_the_key_in_three_steps(kit) {
        let ids = with_credentials(&kit, 150).await;
        // First everybody gets the new secret, and the old one as the old one.
        let next = Sealer::new(&secret('n')).unwrap().with_old(&secret('k')).unwrap();
        let moved = kit.same_store().sealer(next).build().unwrap();
        assert_eq!(read(&moved, &ids[0]).await.as_deref(), Some("0:0"));
        // Then one of them moves everything; more than one page.
        let done = moved.reseal().await.unwrap();
        assert_eq!((done.resealed, done.unreadable), (150, 0));
        assert_eq!(moved.reseal().await.unwrap(), Resealed::default(), "nothing is left");
        // Then the old one is taken away.
        let only_new = Sealer::new(&secret('n')).unwrap();
        let only_new = kit.same_store().sealer(only_new).build().unwrap();
        assert_eq!(read(&only_new, &ids[149]).await.as_deref(), Some("149:0"));
        assert_eq!(read(&kit.bindings, &ids[0]).await, None, "the old secret opens nothing");
        // What no key opens is counted and left alone.
        let done = kit.bindings.reseal().await.unwrap();
        assert_eq!((done.resealed, done.unreadable), (0, 150));
        assert_eq!(read(&only_new, &ids[0]).await.as_deref(), Some("0:0"));
    }
}

#[tokio::test]
async fn a_rotation_that_the_store_interrupts_goes_on_with_both_keys() {
    let kit = Kit::new(Kind::Sqlite).await;
    let ids = with_credentials(&kit, 3).await;
    let store = SqlBindings::connect(&kit.database.url).await.unwrap();
    let sealer = Sealer::new(&secret('k')).unwrap();
    let failing = builder(store.clone(), &kit.clock)
        .sealer(sealer.clone())
        .build()
        .unwrap();
    store.close().await;
    let error = failing.rotate_key(&secret('n')).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let sealed = kit.raw_credential(&ids[0]).await;
    assert!(
        sealer.open(&ids[0], &account("s0"), &sealed).is_some(),
        "the old key still opens"
    );
    let again = SqlBindings::connect(&kit.database.url).await.unwrap();
    let again = builder(again, &kit.clock).sealer(sealer).build().unwrap();
    assert_eq!(again.reseal().await.unwrap().resealed, 3);
    let short = again.rotate_key(&Secret::new("short")).await.unwrap_err();
    assert_eq!(short.kind(), ErrorKind::Config);
}
