//! Requests of two workers that SQLite is asked at the same moment and answers in one commit.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{Body, IdempotencyKey, OutboundMessage, Target};
use channel_delivery::{
    Fence, NewDelivery, Part, PartState, SqliteStore, Store as _, StoredDelivery, WorkerId,
};
use channel_testkit::disk::Folder;

const LEASE: Duration = Duration::from_secs(30);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn delivery(key: &str) -> NewDelivery {
    let message = OutboundMessage::new(Target::chat("ada"), Body::plain("words"));
    NewDelivery::new("acme".into(), IdempotencyKey::new(key), message, 1)
}

async fn two_workers(folder: &Folder) -> (SqliteStore, Fence, Fence) {
    let store = SqliteStore::open(folder.path().join("store.db")).await;
    let store = store.unwrap();
    let first = store.enroll(&WorkerId::new("a"), LEASE, at(0)).await;
    let second = store.enroll(&WorkerId::new("b"), LEASE * 9, at(0)).await;
    (store, first.unwrap(), second.unwrap())
}

/// Sent, and nobody knows whether it has arrived.
async fn uncertain(store: &SqliteStore, fence: Fence, key: &str) -> StoredDelivery {
    let planned = store.plan(fence, delivery(key), at(0)).await.unwrap();
    let mut stored = planned.delivery;
    let sending = Part::prepared().sending();
    let uncertain = sending.clone().because(PartState::Uncertain, "no answer");
    for part in [sending, uncertain] {
        let change = vec![(0, part.clone())];
        store.update(fence, stored.id, change, at(0)).await.unwrap();
        stored.parts = vec![part];
    }
    stored
}

#[tokio::test]
async fn a_plan_stands_behind_what_is_sent_again_in_the_same_commit() {
    let folder = Folder::new();
    let (store, first, second) = two_workers(&folder).await;
    let stored = uncertain(&store, first, "one").await;
    let again = vec![(0, stored.parts[0].clone().sending())];
    let (updated, planned) = tokio::join!(
        store.update(first, stored.id, again, at(1)),
        store.plan(second, delivery("two"), at(1)),
    );
    updated.unwrap();
    assert!(planned.unwrap().is_behind_others);
}

#[tokio::test]
async fn a_plan_of_the_same_commit_is_taken_over_from_a_worker_whose_lease_is_over() {
    let folder = Folder::new();
    let (store, first, second) = two_workers(&folder).await;
    let later = at(LEASE.as_secs() + 1);
    let (planned, again) = tokio::join!(
        store.plan(first, delivery("one"), at(1)),
        store.plan(second, delivery("one"), later),
    );
    let (planned, again) = (planned.unwrap(), again.unwrap());
    assert_eq!(planned.delivery, again.delivery);
    assert!(planned.is_new && !again.is_new);
    let owned = store.owned_deliveries(second, None, 10).await.unwrap();
    assert_eq!(owned, [again.delivery]);
}
