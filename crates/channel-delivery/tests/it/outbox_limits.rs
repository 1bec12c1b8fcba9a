//! Whose turn it is: declared buckets, and what the platform asks for besides.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{ErrorKind, Pacing, Rate, Rule, Scope};
use channel_delivery::{Outbox, PartState};

use crate::outbox_world::{KEYED, World, error, fake, secs, to};

const SECOND: Duration = Duration::from_secs(1);

fn rule(scope: Scope, burst: u32) -> Pacing {
    Pacing::off().rule(Rule::new(scope, Rate::new(1, SECOND), burst))
}

fn world(pacing: Pacing) -> World {
    let mut world = World::new(KEYED);
    world.pacing = pacing;
    world
}

/// Sends all of them at once.
fn send_all(world: &World, outbox: &Outbox, messages: &[(&str, &str)]) {
    let sends = messages
        .iter()
        .map(|(chat, text)| outbox.send(fake(), to(chat, text), None));
    let ends = world.run(futures_util::future::join_all(sends));
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
}

#[test]
fn messages_leave_as_the_buckets_of_the_channel_allow() {
    let world = world(rule(Scope::Channel, 2));
    let outbox = world.start();
    let messages = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
    send_all(&world, &outbox, &messages);
    assert_eq!(world.platform.request_times(), [0, 0, 1000, 2000]);
}

#[test]
fn each_chat_has_a_bucket_of_its_own_and_parts_count_one_by_one() {
    let world = world(rule(Scope::Chat, 1));
    let outbox = world.start();
    send_all(&world, &outbox, &[("a", "1|2|3"), ("b", "4")]);
    let mut times = world.platform.request_times();
    times.sort_unstable();
    assert_eq!(times, [0, 0, 1000, 2000]);
    assert_eq!(world.platform.texts_in("a"), ["1", "2", "3"]);
}

#[test]
fn nothing_is_marked_as_being_sent_while_it_waits_for_its_turn() {
    let world = world(rule(Scope::Channel, 1));
    let outbox = world.start();
    let store = Arc::clone(&world.store);
    let sending = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sending);
    world.platform.on_request(move || {
        let counts = futures_util::FutureExt::now_or_never(store.counts());
        let parts = counts.unwrap().unwrap().parts;
        let count = parts.get(&PartState::Sending).copied();
        seen.lock().unwrap().push(count.unwrap_or_default());
    });
    send_all(&world, &outbox, &[("a", "1|2"), ("b", "3"), ("c", "4|5")]);
    assert_eq!(*sending.lock().unwrap(), [1; 5]);
}

#[test]
fn a_pause_for_one_chat_leaves_the_others_alone() {
    let world = world(Pacing::off());
    let outbox = world.start();
    let limited = error(ErrorKind::RateLimited).with_retry_after(secs(5));
    world.platform.error("1", limited);
    send_all(&world, &outbox, &[("a", "1")]);
    send_all(&world, &outbox, &[("a", "2"), ("b", "3")]);
    assert_eq!(world.platform.texts(), ["1", "2", "3"]);

    let limited = error(ErrorKind::RateLimited).with_retry_after(secs(5));
    world.platform.error("4", limited);
    let before = world.clock_now();
    send_all(&world, &outbox, &[("a", "4"), ("b", "5")]);
    assert_eq!(world.platform.texts(), ["1", "2", "3", "5", "4"]);
    let took = world.clock_now().duration_since(before).unwrap();
    assert_eq!(took, secs(5));
}

#[test]
fn a_pause_for_all_chats_holds_all_of_them() {
    let world = world(Pacing::off());
    let outbox = world.start();
    let limited = error(ErrorKind::RateLimited)
        .with_retry_after(secs(5))
        .with_limited(Scope::Channel);
    world.platform.error("1", limited);
    let first = outbox.send(fake(), to("a", "1"), None);
    let second = async {
        world.clock_sleep(secs(1)).await;
        outbox.send(fake(), to("b", "2"), None).await
    };
    let (first, second) = world.run(futures_util::future::join(first, second));
    assert!(first.is_ok() && second.is_ok());
    let times = world.platform.request_times();
    assert_eq!(times.len(), 3, "{times:?}");
    assert!(times.iter().skip(1).all(|at| *at >= 5000), "{times:?}");
}

#[test]
fn a_wait_for_its_turn_does_not_count_towards_giving_up() {
    let mut world = world(rule(Scope::Channel, 1));
    world.set(|settings| settings.give_up_after(secs(2)));
    let outbox = world.start();
    world.platform.error("5", error(ErrorKind::Unavailable));
    let messages = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")];
    send_all(&world, &outbox, &messages);
    assert_eq!(world.in_state(PartState::Delivered), 5);
}
