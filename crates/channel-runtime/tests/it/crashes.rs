//! What processes leave that have died, and what others have of it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{AllowEveryone, Clock as _, OutboundMessage, Target, Transport};
use channel_delivery::{EventState, MemoryStore, NewDelivery, Store as _, WorkerId};
use channel_runtime::Bot;
use channel_testkit::{MemoryChannel, VirtualClock};

use crate::durable::{crash, until_counted};

const LEASE: Duration = Duration::from_secs(30);

/// Lets all tasks do what they can without time passing.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// An event that is given up after ten deaths has nobody who waits for its reply any more,
/// and a worker that took the reply over may have died as well, without anybody knowing yet.
#[tokio::test]
async fn the_reply_of_an_event_that_is_given_up_comes_before_the_next() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let clock = VirtualClock::new();
    let mut transport: Transport = channel_http::transport();
    transport.clock = Arc::new(clock.clone());
    let bot = || {
        Bot::new(AllowEveryone)
            .transport(transport.clone())
            .store(store.clone())
            .channel(channel.clone())
    };
    let first = bot().on_message(|_| pending()).start().await.unwrap();
    channel.user("ada").says("one");
    channel.user("ada").says("two");
    until_counted(&store, EventState::Received, 1).await;
    crash(first);
    clock.advance(LEASE * 2);

    let enroll = |name: &str| {
        let worker = WorkerId::new(name);
        let (store, now) = (store.clone(), clock.now());
        async move { store.enroll(&worker, LEASE, now).await.unwrap() }
    };
    let dies = enroll("dies again and again").await;
    let events = store.claim(dies, 9, clock.now()).await.unwrap();
    for _ in 0..10 {
        store.begin(dies, events[0].seq, clock.now()).await.unwrap();
    }
    let chat = events[0].event.conversation().unwrap().chat;
    let reply = OutboundMessage::new(Target::chat(chat), "to the first");
    let reply = NewDelivery::new(events[0].event.channel.clone(), "key".into(), reply, 1);
    let reply = reply.answering(events[0].seq);
    store.plan(dies, reply, clock.now()).await.unwrap();
    store.leave(dies, clock.now()).await.unwrap();
    let has = enroll("has taken it over").await;
    let taken = store.claim_deliveries(has, 9, clock.now()).await.unwrap();
    assert_eq!(taken.len(), 1);

    let echo = bot().on_message(|message| async move {
        message.reply(format!("echo: {}", message.text)).await?;
        Ok(())
    });
    let running = echo.start().await.unwrap();
    until_counted(&store, EventState::Dead, 1).await;
    settle().await;
    assert!(channel.texts().is_empty(), "{:?}", channel.texts());
    for _ in 0..40 {
        clock.advance(Duration::from_secs(1));
        settle().await;
    }
    assert_eq!(channel.texts(), ["to the first", "echo: two"]);
    until_counted(&store, EventState::Handled, 1).await;
    running.stop().await;
}
