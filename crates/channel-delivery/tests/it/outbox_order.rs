//! What was planned first in a conversation is sent first, whoever has planned it.

use std::sync::Arc;

use channel_core::{Clock as _, ErrorKind};
use channel_delivery::{Fence, NewDelivery, Outbox, PartState, Worker, WorkerId};
use futures_util::future::join;

use crate::outbox_flaky::FlakyStore;
use crate::outbox_world::{KEYED, LEASE, World, error, fake, secs, to};

/// A worker that has planned a message and does nothing about it.
fn idle(world: &World, text: &str) -> Worker {
    let (_, worker) = world.boot();
    plan(world, worker.fence(), text);
    worker
}

fn plan(world: &World, fence: Fence, text: &str) {
    let mut message = to("c", text);
    let key = message.key.take().unwrap();
    let parts = text.split('|').count();
    let new = NewDelivery::new(fake().clone(), key, message, parts);
    let planned = world.store.plan(fence, new, world.clock_now());
    assert!(world.run(planned).unwrap().is_new);
}

/// A process that has taken over what there was.
fn warm(world: &World) -> Outbox {
    let outbox = world.start();
    world.run(outbox.recover()).unwrap();
    outbox
}

fn send(outbox: &Outbox, text: &str) -> impl Future<Output = ()> {
    let sent = outbox.clone();
    let message = to("c", text);
    async move {
        sent.send(fake(), message, None).await.unwrap();
    }
}

#[test]
fn what_a_worker_left_comes_before_what_another_one_says() {
    let world = World::new(KEYED);
    let outbox = warm(&world);
    let gone = idle(&world, "old|older");
    world.run(gone.leave()).unwrap();
    world.run(send(&outbox, "new"));
    assert_eq!(world.platform.texts(), ["old", "older", "new"]);
    assert_eq!(outbox.tally().recovered, 1);
}

#[test]
fn what_a_dead_worker_has_is_waited_for_until_its_lease_ends() {
    let world = World::new(KEYED);
    let outbox = warm(&world);
    let id = WorkerId::new("dies at once");
    let fence = world.store.enroll(&id, LEASE, world.clock_now());
    let fence = world.run(fence).unwrap();
    plan(&world, fence, "old");
    plan(&world, fence, "older");
    let began = world.clock.elapsed();
    world.run(send(&outbox, "new"));
    assert_eq!(world.platform.texts(), ["old", "older", "new"]);
    let waited = world.clock.elapsed() - began;
    assert!((LEASE..LEASE + secs(1)).contains(&waited), "{waited:?}");
}

#[test]
fn other_conversations_do_not_wait() {
    let world = World::new(KEYED);
    let outbox = warm(&world);
    idle(&world, "old");
    let sent = outbox.send(fake(), to("another", "new"), None);
    world.run(sent).unwrap();
    assert_eq!(world.platform.texts(), ["new"]);
}

/// The recovery finds it while others stand in the line already.
#[test]
fn what_is_found_late_is_let_through() {
    let world = World::new(KEYED);
    let outbox = warm(&world);
    let gone = idle(&world, "old");
    let sends = join(send(&outbox, "first"), send(&outbox, "second"));
    world.run(join(sends, async {
        world.clock_sleep(secs(5)).await;
        gone.leave().await.unwrap();
        outbox.recover().await.unwrap();
    }));
    assert_eq!(world.platform.texts(), ["old", "first", "second"]);
    world.run(outbox.drained());
    assert_eq!(world.unfinished(), 0);
    assert_eq!(outbox.tally().interrupted, 0);
}

#[test]
fn one_that_lives_and_does_nothing_is_not_waited_for_for_ever() {
    let mut world = World::new(KEYED);
    world.set(|settings| settings.give_up_after(secs(100)).longest_wait(secs(50)));
    let outbox = warm(&world);
    let _lives = idle(&world, "old");
    let began = world.clock.elapsed();
    world.run(send(&outbox, "new"));
    assert_eq!(world.platform.texts(), ["new"]);
    let waited = world.clock.elapsed() - began;
    assert!((secs(150)..secs(152)).contains(&waited), "{waited:?}");
}

/// What was taken over and not heard of is asked for again.
#[test]
fn an_answer_that_is_lost_lets_nobody_overtake() {
    let mut world = World::new(KEYED);
    let store = FlakyStore::new(&world.platform);
    world.store = Arc::new(store.clone());
    let outbox = warm(&world);
    let gone = idle(&world, "old");
    world.run(gone.leave()).unwrap();
    store.looks_ahead_lose_answers(2);
    world.run(send(&outbox, "new"));
    assert_eq!(world.platform.texts(), ["old", "new"]);
    world.run(outbox.recover()).unwrap();
    world.run(outbox.drained());
    assert_eq!(world.platform.texts(), ["old", "new"]);
}

#[test]
fn what_is_ahead_and_fails_is_waited_for() {
    let world = World::new(KEYED);
    let outbox = warm(&world);
    let gone = idle(&world, "old");
    world.run(gone.leave()).unwrap();
    let busy = error(ErrorKind::RateLimited).with_retry_after(secs(60));
    world.platform.error("old", busy);
    world.run(send(&outbox, "new"));
    assert_eq!(world.platform.texts(), ["old", "new"]);
    assert_eq!(world.in_state(PartState::Delivered), 2);
}
