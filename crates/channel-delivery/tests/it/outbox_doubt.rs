//! Parts that may have arrived, crashes, and stores that do not answer.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use channel_core::{
    AccountRef, BindingId, Body, Bound, Error, ErrorKind, OutboundMessage, OwnerId, Platform,
    Receipt, Repeat, ReplyStream, Result,
};
use channel_delivery::{OnUncertain, PartState, Undelivered};
use futures_util::future::{join, join_all};

use crate::outbox_world::{FakePlatform, Fault, KEYED, World, error, fake, secs, to};

const NOTE: &str = "(sent again: the first attempt may have arrived)";

fn marking(repeat: Repeat) -> World {
    let mut world = World::new(repeat);
    world.set(|settings| settings.on_uncertain(OnUncertain::ResendMarked));
    world
}

#[test]
fn the_bot_may_choose_for_each_binding() {
    let mut world = World::new(Repeat::Doubles);
    world.set(|settings| {
        settings
            .on_uncertain(OnUncertain::ResendMarked)
            .on_uncertain_by(|delivery| {
                let owner = delivery
                    .message
                    .bound
                    .as_ref()
                    .map(|bound| bound.owner.as_str());
                match (delivery.channel.as_str(), owner) {
                    ("fake", Some("night watch")) => OnUncertain::ResendMarked,
                    _ => OnUncertain::Hold,
                }
            })
    });
    let outbox = world.start();
    for (chat, owner, is_sent_again) in [("a", "night watch", true), ("b", "ada", false)] {
        let mut message = to(chat, chat);
        let account = AccountRef::new(Platform::new("fake"), chat.into());
        let bound = Bound::new(BindingId::new(chat), OwnerId::new(owner), account);
        message.bound = Some(Box::new(bound));
        world.platform.fault(chat, Fault::LostAnswer);
        let sent = world.run(outbox.send(fake(), message, None));
        assert_eq!(sent.is_ok(), is_sent_again, "{owner}: {sent:?}");
    }
    let again = format!("{NOTE}\na");
    assert_eq!(world.platform.texts(), ["a", again.as_str(), "b"]);
    assert_eq!(world.in_state(PartState::Uncertain), 1);
}

#[test]
fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    for fault in [Fault::LostAnswer, Fault::LostRequest] {
        let world = World::new(KEYED);
        let outbox = world.start();
        world.platform.fault("b", fault);
        world
            .run(outbox.send(fake(), to("c", "a|b|c"), None))
            .unwrap();
        assert_eq!(world.platform.texts(), ["a", "b", "c"]);
        assert_eq!(world.platform.requests(), ["a", "b", "b", "c"]);
    }
}

#[test]
fn a_key_that_the_platform_may_have_forgotten_is_not_relied_on() {
    let world = World::new(Repeat::Keyed(secs(60)));
    let outbox = world.start();
    world.platform.fault("a", Fault::LostAnswer);
    // The first repetition finds the platform busy for longer than keys last.
    world.platform.error(
        "a",
        error(ErrorKind::RateLimited).with_retry_after(secs(70)),
    );
    let failed = world
        .run(outbox.send(fake(), to("c", "a"), None))
        .unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Uncertain);
    assert_eq!(world.platform.texts(), ["a"]);
    assert_eq!(world.in_state(PartState::Uncertain), 1);
}

#[test]
fn repetitions_do_not_prolong_the_life_of_a_key() {
    let world = World::new(Repeat::Keyed(secs(60)));
    let outbox = world.start();
    world.platform.fault("a", Fault::LostAnswer);
    for _ in 0..2 {
        let busy = error(ErrorKind::RateLimited).with_retry_after(secs(30));
        world.platform.error("a", busy);
    }
    let failed = world.run(outbox.send(fake(), to("c", "a"), None));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Uncertain);
    assert_eq!(world.platform.request_times(), [0, 500, 30_500]);
}

#[test]
fn the_life_of_a_key_counts_from_the_first_attempt_that_may_have_arrived() {
    let world = World::new(Repeat::Keyed(secs(60)));
    let outbox = world.start();
    let busy = error(ErrorKind::RateLimited).with_retry_after(secs(100));
    world.platform.error("a", busy);
    world.platform.fault("a", Fault::LostAnswer);
    world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(world.platform.texts(), ["a"]);
}

#[test]
fn a_message_that_can_be_read_back_is_not_sent_again() {
    let world = World::new(Repeat::ReadBack);
    let outbox = world.start();
    world.platform.fault("a", Fault::LostAnswer);
    world.platform.find_fails(error(ErrorKind::Unavailable));
    let receipt = world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(receipt.messages.len(), 1);
    assert_eq!(world.platform.requests(), ["a"]);
}

#[test]
fn a_message_that_is_not_found_is_sent_again() {
    let world = World::new(Repeat::ReadBack);
    let outbox = world.start();
    world.platform.fault("a", Fault::LostRequest);
    world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(world.platform.texts(), ["a"]);
}

#[test]
fn where_the_bot_may_not_read_back_it_decides_as_if_it_could_not() {
    let world = World::new(Repeat::ReadBack);
    let outbox = world.start();
    world.platform.fault("a", Fault::LostRequest);
    world.platform.find_fails(error(ErrorKind::Forbidden));
    let failed = world.run(outbox.send(fake(), to("c", "a"), None));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Uncertain);
    assert_eq!(world.platform.requests(), ["a"]);
}

#[test]
fn a_send_without_a_second_effect_is_simply_repeated() {
    let world = World::new(Repeat::Idempotent);
    let outbox = world.start();
    world.platform.fault("a", Fault::LostRequest);
    world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(world.platform.requests(), ["a", "a"]);
}

#[test]
fn on_a_platform_that_cannot_tell_an_uncertain_part_is_held_and_reported() {
    let world = World::new(Repeat::Doubles);
    let outbox = world.start();
    world.platform.fault("b", Fault::LostRequest);
    let failed = world
        .run(outbox.send(fake(), to("c", "a|b|c"), None))
        .unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Uncertain);
    assert_eq!(failed.delivered().unwrap().messages.len(), 1);
    assert_eq!(
        Undelivered::of(&failed).unwrap().state,
        PartState::Uncertain
    );
    assert_eq!(world.platform.requests(), ["a", "b"]);
    let failures = world.failures.lock().unwrap().clone();
    assert_eq!(
        (failures[0].state, failures[0].part),
        (PartState::Uncertain, 1)
    );
    let dead = world.run(world.store.dead_deliveries(None, 9)).unwrap();
    let reason = dead[0].delivery.parts[2].reason.as_deref();
    assert_eq!(reason, Some("an earlier part is uncertain"));
}

#[test]
fn a_bot_that_wants_at_least_once_gets_it_with_a_note() {
    let world = marking(Repeat::Doubles);
    let outbox = world.start();
    world.platform.fault("a", Fault::LostAnswer);
    world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(
        world.platform.texts(),
        ["a".to_owned(), format!("{NOTE}\na")]
    );
    assert_eq!(outbox.tally().resent_marked, 1);
}

#[test]
fn a_part_of_many_is_sent_again_below_a_message_that_is_the_note() {
    let world = marking(Repeat::Doubles);
    let outbox = world.start();
    world.platform.fault("b", Fault::LostAnswer);
    world
        .run(outbox.send(fake(), to("c", "a|b|c"), None))
        .unwrap();
    assert_eq!(world.platform.texts(), ["a", "b", NOTE, "b", "c"]);
}

#[test]
fn the_note_stays_when_the_repetition_fails_in_between() {
    let world = marking(Repeat::Doubles);
    let outbox = world.start();
    world.platform.fault("a", Fault::LostAnswer);
    let again = format!("{NOTE}\na");
    world.platform.error(&again, error(ErrorKind::Unavailable));
    world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(world.platform.texts(), ["a".to_owned(), again]);
}

#[test]
fn a_refusal_after_a_lost_answer_does_not_prove_that_the_first_attempt_failed() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.fault("a", Fault::LostAnswer);
    world.platform.error("a", error(ErrorKind::Invalid));
    let failed = world
        .run(outbox.send(fake(), to("c", "a"), None))
        .unwrap_err();
    assert_eq!(
        Undelivered::of(&failed).unwrap().state,
        PartState::Uncertain
    );
}

#[test]
fn a_part_in_doubt_stays_in_doubt_over_a_crash() {
    let mut world = marking(Repeat::Doubles);
    let outbox = world.start();
    world.platform.fault("a", Fault::LostAnswer);
    let again = format!("{NOTE}\na");
    world.platform.error(
        &again,
        error(ErrorKind::RateLimited).with_retry_after(secs(50)),
    );
    world.run(async {
        let late = world.clock_sleep(secs(20));
        let send = outbox.send(fake(), to("c", "a"), None);
        futures_util::future::select(Box::pin(send), late).await;
    });
    world.set(|settings| settings.on_uncertain(OnUncertain::Hold));
    world.restart();
    assert_eq!(world.platform.texts(), ["a"]);
    assert_eq!(world.in_state(PartState::Uncertain), 1);
}

#[test]
fn a_request_that_hangs_and_an_adapter_that_panics_are_uncertain() {
    for fault in [Fault::Hang, Fault::Panic] {
        let world = World::new(Repeat::Doubles);
        let outbox = world.start();
        world.platform.fault("a", fault);
        let failed = world.run(outbox.send(fake(), to("c", "a"), None));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Uncertain);
        // The conversation goes on.
        world.run(outbox.send(fake(), to("c", "b"), None)).unwrap();
    }
}

#[test]
fn doubt_without_end_ends_uncertain() {
    for repeat in [KEYED, Repeat::ReadBack, Repeat::Idempotent] {
        let world = World::new(repeat);
        let outbox = world.start();
        for _ in 0..1000 {
            world.platform.fault("a", Fault::LostRequest);
        }
        let failed = world.run(outbox.send(fake(), to("c", "a"), None));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Uncertain);
        world.run(outbox.send(fake(), to("c", "b"), None)).unwrap();
    }
}

#[test]
fn recovered_doubt_without_end_ends_uncertain() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.fault("a", Fault::Crash { shown: false });
    let crashed = world.run_or_crash(outbox.send(fake(), to("c", "a"), None));
    assert!(crashed.is_none());
    for _ in 0..1000 {
        world.platform.fault("a", Fault::LostRequest);
    }
    world.restart();
    assert_eq!(world.in_state(PartState::Uncertain), 1);
}

#[test]
fn a_key_that_a_crash_outlasted_is_not_relied_on() {
    let world = World::new(Repeat::Keyed(secs(600)));
    let outbox = world.start();
    world.platform.fault("a", Fault::Crash { shown: true });
    world.run_or_crash(outbox.send(fake(), to("c", "a"), None));
    world.clock.advance(secs(700));
    world.restart();
    assert_eq!(world.platform.texts(), ["a"]);
    assert_eq!(world.in_state(PartState::Uncertain), 1);
}

#[test]
fn what_a_crash_left_goes_out_before_what_is_new() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error(
        "old1",
        error(ErrorKind::RateLimited).with_retry_after(secs(60)),
    );
    let sends = ["old1", "old2", "old3"].map(|text| outbox.send(fake(), to("c", text), None));
    world.run(async {
        futures_util::future::select(Box::pin(join_all(sends)), world.clock_sleep(secs(1))).await;
    });
    world.crash();
    world.clock.advance(world.lease);
    let outbox = world.start();
    // Nobody has called `recover`: the first send does.
    world
        .run(outbox.send(fake(), to("c", "new"), None))
        .unwrap();
    assert_eq!(world.platform.texts(), ["old1", "old2", "old3", "new"]);
    assert_eq!(outbox.tally().recovered, 3);
}

#[test]
fn a_backlog_larger_than_the_limit_is_taken_over_bit_by_bit_and_in_order() {
    let mut world = World::new(KEYED);
    world.set(|settings| settings.recovered_at_once(2));
    let outbox = world.start();
    world.platform.error(
        "0",
        error(ErrorKind::RateLimited).with_retry_after(secs(60)),
    );
    let texts: Vec<String> = (0..7).map(|n| n.to_string()).collect();
    let sends = texts
        .iter()
        .map(|text| outbox.send(fake(), to("c", text), None));
    world.run(async {
        futures_util::future::select(Box::pin(join_all(sends)), world.clock_sleep(secs(1))).await;
    });
    world.restart();
    assert_eq!(world.platform.texts(), texts);
}

#[test]
fn a_recovered_delivery_is_joined_by_whoever_sends_its_key() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.fault("a", Fault::Crash { shown: true });
    world.run_or_crash(outbox.send(fake(), to("c", "a"), None));
    world.clock.advance(world.lease);
    let outbox = world.start();
    world.run(outbox.send(fake(), to("c", "a"), None)).unwrap();
    assert_eq!(world.platform.texts(), ["a"]);
}

#[test]
fn a_recovered_delivery_waits_for_its_channel_and_not_for_ever() {
    for registered in [true, false] {
        let world = World::new(KEYED);
        let outbox = world.start();
        world.platform.fault("a", Fault::Crash { shown: false });
        world.run_or_crash(outbox.send(fake(), to("c", "a|b"), None));
        world.clock.advance(world.lease);
        let (outbox, _) = world.boot();
        world.run(async {
            outbox.recover().await.unwrap();
            world.clock_sleep(secs(30)).await;
            if registered {
                outbox.register(world.channel());
            }
            outbox.drained().await;
        });
        let state = if registered {
            PartState::Delivered
        } else {
            PartState::Dead
        };
        assert_eq!(world.in_state(state), if registered { 2 } else { 1 });
        assert_eq!(world.unfinished(), 0);
    }
}

#[test]
fn a_plan_that_no_longer_fits_the_channel_is_not_sent_by_halves() {
    let mut world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error(
        "b",
        error(ErrorKind::RateLimited).with_retry_after(secs(60)),
    );
    world.run(async {
        let send = outbox.send(fake(), to("c", "a|b"), None);
        futures_util::future::select(Box::pin(send), world.clock_sleep(secs(1))).await;
    });
    world.parts = false;
    world.restart();
    assert_eq!(world.platform.texts(), ["a"]);
    assert_eq!(world.in_state(PartState::Dead), 1);
}

#[test]
fn an_outbox_that_stops_finishes_what_is_on_the_wire_and_leaves_the_rest_untouched() {
    let world = World::new(Repeat::Doubles);
    let outbox = world.start();
    world.platform.error(
        "wait",
        error(ErrorKind::RateLimited).with_retry_after(secs(60)),
    );
    let stopper = outbox.clone();
    let mut requests = 0;
    world.platform.on_request(move || {
        requests += 1;
        if requests == 2 {
            stopper.stop();
        }
    });
    let waiting = outbox.send(fake(), to("w", "wait"), None);
    let midway = outbox.send(fake(), to("m", "a|b"), None);
    let (waiting, midway) = world.run(join(waiting, midway));
    world.run(outbox.drained());
    assert_eq!(waiting.unwrap_err().kind(), ErrorKind::Unavailable);
    let midway = midway.unwrap_err();
    assert_eq!(midway.kind(), ErrorKind::Unavailable);
    assert_eq!(midway.delivered().unwrap().messages.len(), 1);
    assert!(Undelivered::of(&midway).is_none());
    assert_eq!(world.in_state(PartState::Sending), 0);
    let late = world.run(outbox.send(fake(), to("c", "late"), None));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Unavailable);
    world.platform.on_request(|| {});
    world.restart();
    assert_eq!(world.platform.texts_in("m"), ["a", "b"]);
    assert_eq!(world.platform.texts_in("w"), ["wait"]);
    assert_eq!(world.unfinished(), 0);
}

/// A streamed answer that ends on the platform as an edit: without a key.
struct FakeStream(FakePlatform);

#[async_trait]
impl ReplyStream for FakeStream {
    async fn show(&mut self, _: &Body) -> Result<()> {
        Ok(())
    }

    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        let Body::Plain(text) = &message.body else {
            return Err(Error::new(ErrorKind::Invalid, "plain text only"));
        };
        let chat = message.to.target().chat.to_string();
        self.0.edit(chat, text.clone()).await
    }
}

#[test]
fn the_end_of_a_stream_is_on_record_before_the_platform_hears_of_it() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let store = Arc::clone(&world.store);
    let sending = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&sending);
    world.platform.on_request(move || {
        let counts = futures_util::FutureExt::now_or_never(store.counts());
        let parts = counts.unwrap().unwrap().parts;
        *seen.lock().unwrap() = parts[&PartState::Sending];
    });
    let stream = Box::new(FakeStream(world.platform.clone()));
    let end = outbox.finish_stream(stream, fake(), to("c", "a|b"), None);
    assert_eq!(world.run(end).unwrap().messages.len(), 1);
    assert_eq!(*sending.lock().unwrap(), 1);
    assert_eq!(world.platform.texts(), ["a|b"]);
    assert_eq!(world.in_state(PartState::Delivered), 1);
}

#[test]
fn the_end_of_a_stream_that_was_lost_is_not_sent_again_even_where_there_are_keys() {
    for crash in [false, true] {
        let world = World::new(KEYED);
        let outbox = world.start();
        let fault = if crash {
            Fault::Crash { shown: true }
        } else {
            Fault::LostAnswer
        };
        world.platform.fault("a", fault);
        let stream = Box::new(FakeStream(world.platform.clone()));
        world.run_or_crash(outbox.finish_stream(stream, fake(), to("c", "a"), None));
        world.restart();
        assert_eq!(world.platform.texts(), ["a"], "{crash}");
        assert_eq!(world.in_state(PartState::Uncertain), 1);
    }
}

#[test]
fn a_stream_that_cannot_be_ended_becomes_a_message() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world.platform.error("a", error(ErrorKind::Unavailable));
    let stream = Box::new(FakeStream(world.platform.clone()));
    let end = outbox.finish_stream(stream, fake(), to("c", "a"), None);
    world.run(end).unwrap();
    let shown = world.platform.shown();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].key, "key of a.0");
}

#[test]
fn a_receipt_of_the_past_names_what_the_platform_made() {
    let world = World::new(KEYED);
    let outbox = world.start();
    let first = world
        .run(outbox.send(fake(), to("c", "a|b"), None))
        .unwrap();
    let outbox = world.restart();
    let again = world
        .run(outbox.send(fake(), to("c", "a|b"), None))
        .unwrap();
    assert_eq!(first, again);
    assert_eq!(world.platform.requests().len(), 2);
}
