//! The offset, from outside.

use std::time::Duration;

use channel_core::{Clock as _, Connection, Event, EventKind, Events as _, Received, Result};
use futures_util::StreamExt as _;
use futures_util::future::join;
use futures_util::stream::BoxStream;

use crate::fake::Fake;

pub(crate) type Stream = BoxStream<'static, Result<Received>>;

/// The next event that is no news about the connection.
pub(crate) async fn next(stream: &mut Stream) -> Received {
    loop {
        let received = stream.next().await.unwrap().unwrap();
        if !matches!(received.event().unwrap().kind, EventKind::Connection(_)) {
            return received;
        }
    }
}

/// The next news about the connection; events on the way are acknowledged.
pub(crate) async fn news(stream: &mut Stream) -> Connection {
    loop {
        let received = stream.next().await.unwrap().unwrap();
        if let Some(Event {
            kind: EventKind::Connection(news),
            ..
        }) = received.event()
        {
            return news.clone();
        }
        received.ack().await.unwrap();
    }
}

fn text(received: &Received) -> &str {
    &received.message().unwrap().text
}

fn offsets(fake: &Fake) -> Vec<Option<i64>> {
    let calls = fake.calls("getUpdates");
    let mut offsets: Vec<_> = calls
        .iter()
        .map(|call| call.json()["offset"].as_i64())
        .collect();
    offsets.dedup();
    offsets
}

#[test]
fn acknowledgements_in_any_order_move_the_offset_over_the_contiguous_part() {
    let fake = Fake::new();
    fake.run(async {
        for n in 0..3 {
            fake.text(&format!("m{n}"));
        }
        let channel = fake.channel();
        let mut stream = channel.events();
        let (a, b, c) = (
            next(&mut stream).await,
            next(&mut stream).await,
            next(&mut stream).await,
        );
        c.ack().await.unwrap();
        fake.text("m3");
        let d = next(&mut stream).await;
        assert_eq!(text(&d), "m3");
        assert_eq!(offsets(&fake), [None]);
        a.ack().await.unwrap();
        fake.text("m4");
        let e = next(&mut stream).await;
        assert_eq!(offsets(&fake), [None, Some(501)]);
        for received in [b, d, e] {
            received.ack().await.unwrap();
        }
        drop(stream);
        channel.close().await.unwrap();
        assert_eq!(offsets(&fake).last(), Some(&Some(505)));
        assert!(fake.state.lock().unwrap().queue.is_empty());
    });
}

#[test]
fn a_refused_event_comes_again_and_its_siblings_do_not() {
    let fake = Fake::new();
    fake.run(async {
        fake.text("bad");
        fake.text("good");
        let mut stream = fake.channel().events();
        next(&mut stream).await.nak().await.unwrap();
        next(&mut stream).await.ack().await.unwrap();
        let before = fake.now();
        let again = next(&mut stream).await;
        assert_eq!(text(&again), "bad");
        assert!(fake.now() - before >= std::time::Duration::from_millis(900));
        again.ack().await.unwrap();
        fake.text("next");
        assert_eq!(text(&next(&mut stream).await), "next");
    });
}

#[test]
fn pain_01_a_restart_goes_on_where_the_acknowledgements_ended() {
    let fake = Fake::new();
    fake.run(async {
        fake.text("done");
        fake.text("lost in the crash");
        let channel = fake.channel();
        let mut stream = channel.events();
        next(&mut stream).await.ack().await.unwrap();
        drop(next(&mut stream).await);
        drop(stream);
        channel.close().await.unwrap();

        // Another process: it knows nothing of the first one.
        let mut stream = fake.channel().events();
        let received = next(&mut stream).await;
        assert_eq!(text(&received), "lost in the crash");
        received.ack().await.unwrap();
        fake.text("new");
        assert_eq!(text(&next(&mut stream).await), "new");
    });
}

#[test]
fn a_new_stream_of_the_same_channel_delivers_again_what_was_not_acknowledged() {
    let fake = Fake::new();
    fake.run(async {
        fake.text("a");
        fake.text("b");
        let channel = fake.channel();
        let mut first = channel.events();
        let held = next(&mut first).await;
        let mut second = channel.events();
        let again = next(&mut second).await;
        assert_eq!(text(&again), "a");
        assert_eq!(text(&next(&mut second).await), "b");
        assert!(first.next().await.is_none(), "one stream is live at a time");
        drop(held);
        again.ack().await.unwrap();
    });
}

#[test]
fn no_more_than_a_hundred_updates_are_out_at_once() {
    let fake = Fake::new();
    fake.run(async {
        for n in 0..250 {
            fake.text(&format!("m{n}"));
        }
        let mut stream = fake.channel().events();
        let mut held = Vec::new();
        loop {
            let received = stream.next().await.unwrap().unwrap();
            match received.event().unwrap().kind {
                EventKind::Connection(Connection::Alive) => break,
                EventKind::Connection(_) => {}
                _ => held.push(received),
            }
        }
        assert_eq!(held.len(), 100, "and the stream still proves life");
        for received in held.drain(..) {
            received.ack().await.unwrap();
        }
        for n in 100..250 {
            let received = next(&mut stream).await;
            assert_eq!(text(&received), format!("m{n}"));
            received.ack().await.unwrap();
        }
    });
}

#[test]
fn one_handler_that_never_returns_does_not_block_the_others() {
    let fake = Fake::new();
    fake.run(async {
        fake.text("stuck");
        let mut stream = fake.channel().events();
        let _stuck = next(&mut stream).await;
        for n in 0..200 {
            fake.text(&format!("m{n}"));
            if n >= 99 {
                break;
            }
            let before = fake.now();
            let received = next(&mut stream).await;
            assert_eq!(text(&received), format!("m{n}"));
            assert!((fake.now() - before).as_secs() <= 1);
            received.ack().await.unwrap();
        }
    });
}

#[test]
fn closing_confirms_nothing_that_was_not_acknowledged() {
    let fake = Fake::new();
    fake.run(async {
        fake.text("a");
        let channel = fake.channel();
        let mut stream = channel.events();
        next(&mut stream).await.ack().await.unwrap();
        drop(stream);
        fake.text("came too late");
        channel.close().await.unwrap();
        let last = fake.last("getUpdates");
        assert_eq!(
            (&last["offset"], &last["limit"], &last["timeout"]),
            (&501.into(), &1.into(), &0.into())
        );
        channel.close().await.unwrap();
        assert_eq!(fake.calls("getUpdates").len(), 2, "told once");
        assert_eq!(
            text(&next(&mut fake.channel().events()).await),
            "came too late"
        );
    });
}

#[test]
fn closing_tells_nothing_that_a_poll_has_told() {
    let fake = Fake::new();
    fake.run(async {
        fake.text("a");
        let channel = fake.channel();
        let mut stream = channel.events();
        next(&mut stream).await.ack().await.unwrap();
        assert_eq!(news(&mut stream).await, Connection::Alive);
        drop(stream);
        let calls = fake.calls("getUpdates").len();
        channel.close().await.unwrap();
        assert_eq!(fake.calls("getUpdates").len(), calls);
    });
}

/// A hundred updates out, the first of them held.
async fn a_full_house(fake: &Fake, stream: &mut Stream) -> Received {
    for n in 0..150 {
        fake.text(&format!("m{n}"));
    }
    let first = next(stream).await;
    for _ in 1..100 {
        next(stream).await.ack().await.unwrap();
    }
    first
}

#[test]
fn the_oldest_of_a_hundred_comes_again_as_soon_as_it_may() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        let mut held = a_full_house(&fake, &mut stream).await;
        // Refused before the stream is asked again, then while it waits.
        for (pause, wait) in [(0, 1), (5, 2), (29, 4)] {
            let refused_at = fake.now() + Duration::from_secs(pause);
            let clock = fake.transport.clock.clone();
            let refuse = async {
                clock.sleep(Duration::from_secs(pause)).await;
                drop(held);
            };
            let (again, ()) = join(next(&mut stream), refuse).await;
            assert_eq!(text(&again), "m0");
            let waited = fake.now() - refused_at;
            let due = Duration::from_secs(wait);
            assert!(
                waited >= due && waited <= due + Duration::from_millis(300),
                "{waited:?}"
            );
            held = again;
        }
        let polls = fake.calls("getUpdates").len();
        assert!(polls < 20, "{polls} polls");
        held.ack().await.unwrap();
        assert_eq!(text(&next(&mut stream).await), "m100");
    });
}

#[test]
fn a_new_stream_does_not_wait_for_what_the_old_one_left_out() {
    let fake = Fake::new();
    fake.run(async {
        let channel = fake.channel();
        let mut stream = channel.events();
        let _held = a_full_house(&fake, &mut stream).await;
        let before = fake.now();
        let mut stream = channel.events();
        assert_eq!(text(&next(&mut stream).await), "m0");
        assert!(fake.now() - before < Duration::from_secs(1));
    });
}
