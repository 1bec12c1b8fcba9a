//! Leases: kept, survived, lost and given back.

use std::sync::Arc;
use std::time::Duration;

use channel_core::Clock;
use channel_delivery::{Lost, MemoryStore, Store, Worker};
use channel_testkit::{SeededRandom, VirtualClock};
use futures_util::future::{Either, join, select};

use crate::outbox_flaky::FlakyStore;
use crate::outbox_world::{KEYED, World, secs};

const LEASE: Duration = Duration::from_secs(30);

fn worker(clock: &VirtualClock, store: &Arc<dyn Store>, seed: u64) -> Worker {
    let seam: Arc<dyn Clock> = Arc::new(clock.clone());
    let random = SeededRandom::new(seed);
    let start = Worker::start(Arc::clone(store), seam, &random, LEASE);
    clock.block_on(start).unwrap()
}

fn flaky() -> (VirtualClock, FlakyStore, Arc<dyn Store>) {
    let world = World::new(KEYED);
    let store = FlakyStore::new(&world.platform);
    (world.clock.clone(), store.clone(), Arc::new(store))
}

/// Keeps the lease for a while; the reason if it was lost.
fn keep_for(clock: &VirtualClock, worker: &Worker, span: Duration) -> Option<Lost> {
    let keep = Box::pin(worker.keep());
    match clock.block_on(select(keep, clock.sleep(span))) {
        Either::Left((lost, _)) => Some(lost),
        Either::Right(_) => None,
    }
}

#[test]
fn workers_have_names_and_fences_of_their_own() {
    let clock = VirtualClock::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (first, second) = (worker(&clock, &store, 1), worker(&clock, &store, 2));
    assert_ne!(first.id(), second.id());
    assert!(first.fence() < second.fence());
}

#[test]
fn a_lease_that_is_kept_outlives_itself_many_times() {
    let clock = VirtualClock::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let worker = worker(&clock, &store, 1);
    assert_eq!(keep_for(&clock, &worker, secs(3600)), None);
    assert!(!worker.is_lost());
}

#[test]
fn an_outage_of_the_store_that_is_shorter_than_the_lease_is_survived() {
    let (clock, flaky, store) = flaky();
    let worker = worker(&clock, &store, 1);
    flaky.renewals_fail(true);
    assert_eq!(keep_for(&clock, &worker, secs(29)), None);
    flaky.renewals_fail(false);
    assert_eq!(keep_for(&clock, &worker, secs(300)), None);
}

#[test]
fn a_lease_that_cannot_be_renewed_is_lost_when_it_runs_out() {
    let (clock, flaky, store) = flaky();
    let worker = worker(&clock, &store, 1);
    flaky.renewals_fail(true);
    let begun = clock.elapsed();
    let (kept, told) = clock.block_on(join(worker.keep(), worker.lost()));
    assert_eq!((kept, told), (Lost::Expired, Lost::Expired));
    assert_eq!(clock.elapsed() - begun, LEASE);
    flaky.renewals_fail(false);
    clock.block_on(worker.check());
    assert!(worker.is_lost(), "a lease that was lost does not come back");
}

#[test]
fn a_worker_that_was_paused_finds_its_lease_lost_by_itself() {
    let clock = VirtualClock::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let worker = worker(&clock, &store, 1);
    clock.advance(LEASE);
    assert_eq!(worker.why_lost(), Some(Lost::Expired));
}

#[test]
fn a_jump_of_the_wall_clock_costs_no_lease() {
    let clock = VirtualClock::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let worker = worker(&clock, &store, 1);
    clock.jump_back(secs(86_400));
    assert_eq!(keep_for(&clock, &worker, secs(100)), None);
    clock.jump_forward(secs(2 * 86_400));
    assert_eq!(keep_for(&clock, &worker, secs(100)), None);
}

#[test]
fn a_worker_that_leaves_is_done_and_its_work_is_free_at_once() {
    let clock = VirtualClock::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let worker = worker(&clock, &store, 1);
    let leave = async {
        clock.sleep(secs(5)).await;
        worker.leave().await
    };
    let (kept, left) = clock.block_on(join(worker.keep(), leave));
    assert_eq!(kept, Lost::Left);
    left.unwrap();
    assert!(worker.is_lost());
}
