//! Plans, parts, order, keys and errors.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    ChatId, Destination, ErrorKind, MessageId, MessageRef, OutboundMessage, Receipt, Repeat,
    ReplyTo, Target,
};
use channel_delivery::{Audience, PartState, Seq, Undelivered, Visibility};
use channel_testkit::{VirtualClock, capture_tracing};
use futures_util::future::{join, join_all};

use crate::outbox_world::{Fault, KEYED, World, error, fake, secs, to};

#[test]
fn the_parts_of_a_message_arrive_in_order_each_under_a_key_of_its_own() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let receipt = world
        .run(outbox.send(fake(), to("c", "a|b|c"), None))
        .unwrap();
    assert_eq!(receipt.messages.len(), 3);
    assert_eq!(world.platform.texts(), ["a", "b", "c"]);
    let keys: Vec<_> = world.platform.shown().into_iter().map(|s| s.key).collect();
    assert_eq!(keys, ["key of a|b|c.0", "key of a|b|c.1", "key of a|b|c.2"]);
    assert_eq!(world.in_state(PartState::Delivered), 3);
}

#[test]
fn an_attempt_is_on_record_before_its_request_and_its_result_before_the_next() {
    let world = World::new(KEYED);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let store = Arc::clone(&world.store);
    let note = Arc::clone(&seen);
    world.platform.on_request(move || {
        let counts = futures_util::FutureExt::now_or_never(store.counts());
        let parts = counts.unwrap().unwrap().parts;
        let of = |state| parts.get(&state).copied().unwrap_or(0);
        let row = [
            PartState::Delivered,
            PartState::Sending,
            PartState::Prepared,
        ];
        note.lock().unwrap().push(row.map(of));
    });
    let outbox = world.start();
    world
        .run(outbox.send(fake(), to("c", "a|b|c"), None))
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), [[0, 1, 2], [1, 1, 1], [2, 1, 0]]);
}

#[test]
fn what_is_logged_on_the_way_of_a_part_names_its_event_and_its_delivery() {
    let world = World::new(KEYED);
    world
        .platform
        .on_request(|| tracing::info!("an adapter is at work"));
    let outbox = world.start();
    let sent = async { world.run(outbox.send(fake(), to("c", "a|b"), Some(Seq::new(7)))) };
    let (sent, logs) = VirtualClock::new().block_on(capture_tracing(sent));
    assert_eq!(sent.unwrap().messages.len(), 2);
    let named = "delivery{id=1 event=7 channel=fake}";
    let of_delivery = |what: &str| {
        let lines = logs.lines().filter(|line| line.contains(what));
        lines.filter(|line| line.contains(named)).count()
    };
    assert_eq!(of_delivery("an adapter is at work"), 2, "{logs}");
    assert_eq!(of_delivery("state=delivered"), 2, "{logs}");
}

#[test]
fn an_empty_message_is_nothing_and_leaves_no_row() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let receipt = world.run(outbox.send(fake(), to("c", ""), None)).unwrap();
    assert_eq!(receipt, Receipt::default());
    assert!(world.counts().parts.is_empty());
}

#[test]
fn a_channel_without_parts_gets_the_message_whole() {
    let mut world = World::new(KEYED);
    world.parts = false;
    let outbox = world.start();
    world
        .run(outbox.send(fake(), to("c", "a|b"), None))
        .unwrap();
    assert_eq!(world.platform.texts(), ["a|b"]);
}

#[test]
fn a_key_that_is_under_way_is_joined_and_one_that_is_on_record_returns_its_receipt() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error("a", error(ErrorKind::Unavailable));
    let channel = fake();
    let first = outbox.send(channel, to("c", "a"), None);
    let second = outbox.send(channel, to("c", "a"), None);
    let (first, second) = world.run(join(first, second));
    let again = world.run(outbox.send(fake(), to("c", "a"), None));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(again.unwrap().messages.len(), 1);
    assert_eq!(world.platform.requests(), ["a", "a"]);
    assert_eq!(world.platform.texts(), ["a"]);
}

#[test]
fn a_message_without_a_key_gets_one() {
    let world = World::new(KEYED);
    let outbox = world.start();
    for _ in 0..2 {
        let message = OutboundMessage::new(Target::chat("c"), "a");
        world.run(outbox.send(fake(), message, None)).unwrap();
    }
    assert_eq!(world.platform.texts(), ["a", "a"]);
}

#[test]
fn a_conversation_keeps_its_order_and_a_retry_blocks_no_other() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let wait = error(ErrorKind::RateLimited).with_retry_after(secs(60));
    world.platform.error("a1", wait);
    let channel = fake();
    let texts = [
        ("a", "a1"),
        ("a", "a2|a3"),
        ("b", "b1"),
        ("a", "a4"),
        ("b", "b2"),
    ];
    let sends = texts.map(|(chat, text)| outbox.send(channel, to(chat, text), None));
    world.run(join_all(sends));
    assert_eq!(world.platform.texts(), ["b1", "b2", "a1", "a2", "a3", "a4"]);
}

#[test]
fn threads_of_one_chat_are_conversations_of_their_own() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error("t1", error(ErrorKind::Unavailable));
    let channel = fake();
    let threaded = OutboundMessage::new(Target::chat("c").thread("1"), "t1");
    let sends = [threaded, to("c", "main")].map(|m| outbox.send(channel, m, None));
    world.run(join_all(sends));
    assert_eq!(world.platform.texts(), ["main", "t1"]);
}

#[test]
fn a_rate_limit_is_waited_for_as_long_as_the_platform_says() {
    let world = World::new(Repeat::Doubles);
    let outbox = world.start();
    world.platform.error("a", error(ErrorKind::RateLimited));
    let long = error(ErrorKind::RateLimited).with_retry_after(secs(900));
    world.platform.error("a", long);
    world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(world.platform.request_times(), [0, 1000, 901_000]);
}

#[test]
fn a_rate_limit_after_the_time_to_give_up_is_the_end() {
    let world = World::new(Repeat::Doubles);
    let outbox = world.start();
    for _ in 0..2 {
        let long = error(ErrorKind::RateLimited).with_retry_after(secs(900));
        world.platform.error("a", long);
    }
    let failed = world
        .run(outbox.send(fake(), to("c", "a"), None))
        .unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::RateLimited);
    assert_eq!(world.platform.request_times(), [0, 900_000]);
}

#[test]
fn a_platform_that_asks_for_more_than_the_longest_wait_is_given_up_at_once() {
    let world = World::new(Repeat::Doubles);
    let outbox = world.start();
    let day = error(ErrorKind::RateLimited).with_retry_after(secs(86_400));
    world.platform.error("a", day);
    let failed = world.run(outbox.send(fake(), to("c", "a"), None));
    assert!(Undelivered::of(&failed.unwrap_err()).is_some());
    assert_eq!(world.platform.request_times(), [0]);
}

#[test]
fn an_outage_is_met_with_waits_that_double_up_to_8_s_and_ends_after_600() {
    let world = World::new(Repeat::Doubles);
    let outbox = world.start();
    for _ in 0..1000 {
        world.platform.error("a", error(ErrorKind::Unavailable));
    }
    let failed = world
        .run(outbox.send(fake(), to("c", "a|b"), None))
        .unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    let times = world.platform.request_times();
    let near: Vec<u128> = times.iter().take(7).map(|ms| (ms + 5) / 10 * 10).collect();
    assert_eq!(near, [0, 500, 1500, 3500, 7500, 15_500, 23_500]);
    let last = times.last().unwrap();
    assert!((600_000..608_000).contains(last), "{last}");
    assert_eq!(world.in_state(PartState::Dead), 2);
}

#[test]
fn what_the_platform_refuses_for_good_ends_at_once_with_all_behind_it_and_is_reported() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world
        .platform
        .error("b", error(ErrorKind::Invalid).with_code("42"));
    let send = outbox.send(fake(), to("c", "a|b|c"), Some(Seq::new(7)));
    let failed = world.run(send).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Invalid);
    assert_eq!(failed.delivered().unwrap().messages.len(), 1);
    let undelivered = Undelivered::of(&failed).unwrap();
    assert_eq!(undelivered.state, PartState::Dead);
    assert_eq!(world.platform.requests(), ["a", "b"]);

    let failures = world.failures.lock().unwrap().clone();
    assert_eq!(failures.len(), 1);
    let failure = &failures[0];
    assert_eq!((failure.part, failure.parts), (1, 3));
    assert_eq!(failure.reason, "invalid 42");
    assert_eq!(failure.answers, Some(Seq::new(7)));
    assert_eq!(failure.delivery, undelivered.delivery);
    assert_eq!(failure.delivered.messages.len(), 1);

    let dead = world.run(world.store.dead_deliveries(None, 9)).unwrap();
    let parts = &dead[0].delivery.parts;
    let states: Vec<_> = parts.iter().map(|part| part.state).collect();
    assert_eq!(
        states,
        [PartState::Delivered, PartState::Dead, PartState::Dead]
    );
    assert_eq!(parts[2].reason.as_deref(), Some("an earlier part failed"));
}

#[test]
fn a_retry_by_hand_resumes_at_the_part_that_failed() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error("b", error(ErrorKind::Invalid));
    let failed = world
        .run(outbox.send(fake(), to("c", "a|b|c"), None))
        .unwrap_err();
    let id = Undelivered::of(&failed).unwrap().delivery;
    let retried = world.store.retry_delivery(id, world.clock_now());
    assert!(world.run(retried).unwrap());
    world.run(async {
        assert_eq!(outbox.recover().await.unwrap(), 1);
        outbox.drained().await;
    });
    assert_eq!(world.platform.texts(), ["a", "b", "c"]);
    assert_eq!(world.in_state(PartState::Delivered), 3);
}

#[test]
fn a_message_that_breaks_the_rules_fails_on_record() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world
        .platform
        .error("forbidden words", error(ErrorKind::Invalid));
    let failed = world.run(outbox.send(fake(), to("c", "forbidden words"), None));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(world.in_state(PartState::Dead), 1);
}

#[test]
fn a_chat_that_forbids_us_is_left_alone_for_an_hour() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world
        .platform
        .error("a", error(ErrorKind::Forbidden).with_code("403"));
    let send = |text: &str| world.run(outbox.send(fake(), to("c", text), None));
    assert_eq!(send("a").unwrap_err().kind(), ErrorKind::Forbidden);
    world.run(world.clock_sleep(secs(3590)));
    let refused = send("b").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    assert_eq!(Undelivered::of(&refused).unwrap().state, PartState::Dead);
    world
        .run(outbox.send(fake(), to("other", "x"), None))
        .unwrap();
    assert_eq!(world.platform.requests(), ["a", "x"]);
    world.run(world.clock_sleep(secs(20)));
    send("c").unwrap();
}

#[test]
fn a_chat_that_shows_that_it_wants_us_is_sent_to_again() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error("a", error(ErrorKind::NotFound));
    let send = |text: &str| world.run(outbox.send(fake(), to("c", text), None));
    assert!(send("a").is_err());
    assert!(send("b").is_err());
    world.run(outbox.revive(fake(), &ChatId::new("c"))).unwrap();
    send("c").unwrap();
}

#[test]
fn a_success_forgets_that_the_chat_was_dead() {
    let world = World::new(KEYED);
    let outbox = world.start();
    // Its answer is lost before the chat refuses, and it is sent again after that.
    world.platform.fault("lost", Fault::LostRequest);
    world.platform.error("bad", error(ErrorKind::Forbidden));
    let channel = fake();
    let thread = OutboundMessage::new(Target::chat("c").thread("1"), "lost");
    let lost = outbox.send(channel, thread, None);
    let (lost, bad) = world.run(join(lost, outbox.send(channel, to("c", "bad"), None)));
    assert!(lost.is_ok() && bad.is_err());
    let now = world.clock_now();
    let chat = ChatId::new("c");
    let dead = world.run(world.store.dead_target(channel, &chat, now));
    assert_eq!(dead.unwrap(), None);
}

#[test]
fn a_quoted_message_or_thread_that_is_gone_does_not_make_the_chat_dead() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error("a", error(ErrorKind::NotFound));
    let reply = ReplyTo::new(fake().clone(), Target::chat("c")).quoting(MessageId::new("9"));
    let quoting = OutboundMessage::new(Destination::from(reply), "a");
    assert!(world.run(outbox.send(fake(), quoting, None)).is_err());
    world.run(outbox.send(fake(), to("c", "b"), None)).unwrap();
}

#[test]
fn refused_credentials_hold_the_channel_and_lose_nothing() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let channel = fake();
    for _ in 0..5 {
        world.platform.error("a", error(ErrorKind::Unauthenticated));
    }
    let first = outbox.send(channel, to("a", "a"), None);
    let rest = async {
        world.clock_sleep(secs(2)).await;
        let more =
            (0..20).map(|n| outbox.send(channel, to(&n.to_string(), &format!("m{n}")), None));
        for result in join_all(more).await {
            result.unwrap();
        }
    };
    let (first, ()) = world.run(join(first, rest));
    first.unwrap();
    let requests = world.platform.requests();
    // While the token was bad, at most one delivery at a time tried it.
    assert!(
        requests.iter().filter(|text| *text == "a").count() >= 3,
        "{requests:?}"
    );
    assert_eq!(world.in_state(PartState::Delivered), 21);
    assert_eq!(world.unfinished(), 0);
}

#[test]
fn a_held_channel_is_tried_by_one_delivery_at_a_time_and_given_up_in_the_end() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let channel = fake();
    world.platform.takes(Duration::from_millis(100));
    let texts: Vec<String> = (0..10).map(|n| format!("m{n}")).collect();
    for text in &texts {
        for _ in 0..100 {
            world
                .platform
                .error(text, error(ErrorKind::Unauthenticated));
        }
    }
    let sends = texts
        .iter()
        .map(|text| outbox.send(channel, to(text, text), None));
    for failed in world.run(join_all(sends)) {
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    let times = world.platform.request_times();
    let later: Vec<u128> = times.into_iter().filter(|at| *at > 0).collect();
    // One each minute and a few at the start, however many wait.
    assert!(later.len() < 20, "{later:?}");
    assert_eq!(world.in_state(PartState::Dead), 10);
}

#[test]
fn a_chat_that_has_moved_is_followed() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let moved = error(ErrorKind::Invalid).with_moved_to(ChatId::new("new"));
    world.platform.error("a", moved);
    world
        .run(outbox.send(fake(), to("old", "a|b"), None))
        .unwrap();
    assert_eq!(world.platform.texts_in("new"), ["a", "b"]);
}

#[test]
fn a_chat_that_moves_in_circles_is_not_followed_for_ever() {
    let world = World::new(KEYED);
    let outbox = world.start();
    for _ in 0..9 {
        let moved = error(ErrorKind::Invalid).with_moved_to(ChatId::new("new"));
        world.platform.error("a", moved);
    }
    assert!(
        world
            .run(outbox.send(fake(), to("old", "a"), None))
            .is_err()
    );
    assert_eq!(world.platform.requests().len(), 2);
}

#[test]
fn a_message_of_which_a_piece_has_arrived_is_never_sent_again_whole() {
    let mut world = World::new(KEYED);
    world.parts = false;
    let outbox = world.start();
    let piece = MessageRef::new("c".into(), "1".into());
    for (text, kind) in [("a", ErrorKind::Unavailable), ("b", ErrorKind::Uncertain)] {
        let receipt = Receipt::new(vec![piece.clone()]);
        world
            .platform
            .error(text, error(kind).with_delivered(receipt));
        let failed = world
            .run(outbox.send(fake(), to("c", text), None))
            .unwrap_err();
        assert_eq!(failed.delivered().unwrap().first(), Some(&piece));
    }
    assert_eq!(world.platform.requests(), ["a", "b"]);
    assert_eq!(world.in_state(PartState::Dead), 1);
    assert_eq!(world.in_state(PartState::Uncertain), 1);
}

#[test]
fn what_is_not_to_be_shown_is_a_success_on_record() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let audience = Audience::new(Visibility::Internal);
    let send = outbox.send_to(fake(), to("c", "a|b"), None, audience);
    assert_eq!(world.run(send).unwrap(), Receipt::default());
    assert!(world.platform.requests().is_empty());
    assert_eq!(world.in_state(PartState::Suppressed), 1);
    assert_eq!(outbox.tally().suppressed, 1);
}

#[test]
fn a_channel_that_nobody_registered_is_a_matter_of_configuration() {
    let world = World::new(KEYED);
    let (outbox, _) = world.boot();
    let failed = world.run(outbox.send(fake(), to("c", "a"), None));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn deliveries_beyond_the_limit_wait_for_their_place() {
    let mut world = World::new(KEYED);
    world.set(|settings| settings.at_once(2));
    let outbox = world.start();
    let channel = fake();
    let most = Arc::new(Mutex::new(0));
    let (watched, seen) = (outbox.clone(), Arc::clone(&most));
    world.platform.on_request(move || {
        let mut most = seen.lock().unwrap();
        *most = watched.tally().under_way.max(*most);
    });
    for n in 0..10 {
        world
            .platform
            .error(&n.to_string(), error(ErrorKind::Unavailable));
    }
    let sends = (0..10).map(|n| outbox.send(channel, to(&n.to_string(), &n.to_string()), None));
    for sent in world.run(join_all(sends)) {
        sent.unwrap();
    }
    assert_eq!(*most.lock().unwrap(), 2);
    assert_eq!(outbox.tally().under_way, 0);
}

#[test]
fn a_delivery_goes_on_when_its_caller_is_gone() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error("b", error(ErrorKind::Unavailable));
    world.run(async {
        let channel = fake();
        let send = outbox.send(channel, to("c", "a|b"), None);
        let late = world.clock_sleep(Duration::from_millis(100));
        futures_util::future::select(Box::pin(send), Box::pin(late)).await;
    });
    assert_eq!(world.platform.texts(), ["a"]);
    world.run(outbox.drained());
    assert_eq!(world.platform.texts(), ["a", "b"]);
}

#[test]
fn the_tally_knows_the_age_of_the_oldest_delivery_in_hand() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error(
        "a",
        error(ErrorKind::RateLimited).with_retry_after(secs(50)),
    );
    let channel = fake();
    let look = async {
        world.clock_sleep(secs(20)).await;
        outbox.tally()
    };
    let (_, tally) = world.run(join(outbox.send(channel, to("c", "a"), None), look));
    assert_eq!(tally.oldest, Some(secs(20)));
    assert_eq!(tally.under_way, 1);
    let tally = outbox.tally();
    assert_eq!((tally.oldest, tally.under_way), (None, 0));
    assert_eq!((tally.delivered, tally.retried), (1, 1));
}
