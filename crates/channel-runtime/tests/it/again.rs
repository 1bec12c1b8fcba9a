//! What a second attempt, or the next process, must not do once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use channel_core::{AllowEveryone, Transport};
use channel_delivery::{EventState, MemoryStore, PartState, Store as _};
use channel_runtime::{Bot, Overlap};
use channel_testkit::{MemoryChannel, VirtualClock};
use tokio::sync::Semaphore;

use crate::durable::{crash, later};

async fn count(store: &MemoryStore, state: EventState) -> u64 {
    let counts = store.counts().await.unwrap();
    counts.events.get(&state).copied().unwrap_or_default()
}

async fn until_counted(store: &MemoryStore, state: EventState, wanted: u64) {
    while count(store, state).await != wanted {
        tokio::task::yield_now().await;
    }
}

fn virtual_time() -> (VirtualClock, Transport) {
    let clock = VirtualClock::new();
    let mut transport = channel_http::transport();
    transport.clock = Arc::new(clock.clone());
    (clock, transport)
}

/// Lets all tasks do what they can without time passing.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_joined_is_not_handled_again_after_a_stop() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let (clock, transport) = virtual_time();
    let gate = Arc::new(Semaphore::new(0));
    let in_handler = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .transport(transport)
        .store(store.clone())
        .channel(channel.clone())
        .overlap(Overlap::debounce())
        .on_message(move |message| {
            let gate = Arc::clone(&in_handler);
            async move {
                gate.acquire().await?.forget();
                message.reply(message.text.clone()).await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    let ada = channel.user("ada");
    ada.says("one");
    ada.says("two");
    settle().await;
    clock.advance(Duration::from_millis(800));
    until_counted(&store, EventState::Handling, 1).await;
    let stop = tokio::spawn(running.stop());
    settle().await;
    gate.add_permits(1);
    stop.await.unwrap();
    assert_eq!(channel.texts(), ["one\ntwo"]);
    assert_eq!(count(&store, EventState::Handled).await, 2);
}

#[tokio::test]
async fn what_was_passed_over_is_not_handled_after_a_stop() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let gate = Arc::new(Semaphore::new(0));
    let in_handler = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .overlap(Overlap::Latest)
        .on_message(move |message| {
            let gate = Arc::clone(&in_handler);
            async move {
                gate.acquire().await?.forget();
                message.reply(message.text.clone()).await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    for text in ["slow", "old", "new"] {
        channel.user("ada").says(text);
    }
    until_counted(&store, EventState::Received, 2).await;
    settle().await;
    let stop = tokio::spawn(running.stop());
    settle().await;
    gate.add_permits(1);
    stop.await.unwrap();
    assert_eq!(channel.texts(), ["slow"]);
    assert_eq!(count(&store, EventState::Handled).await, 2);
    assert_eq!(count(&store, EventState::Received).await, 1, "the newest");
}

#[tokio::test]
async fn what_was_joined_is_kept_while_the_first_is_not_handled() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let (clock, transport) = virtual_time();
    let bot = |fails: bool, transport: Transport| {
        Bot::new(AllowEveryone)
            .transport(transport)
            .store(store.clone())
            .channel(channel.clone())
            .overlap(Overlap::debounce())
            .on_message(move |message| async move {
                if fails {
                    return Err("as asked".into());
                }
                message.reply(message.text.clone()).await?;
                Ok(())
            })
            .start()
    };
    let running = bot(true, transport.clone()).await.unwrap();
    let ada = channel.user("ada");
    ada.says("one");
    ada.says("two");
    settle().await;
    clock.advance(Duration::from_millis(800));
    until_counted(&store, EventState::Retrying, 1).await;
    running.stop().await;
    assert_eq!(count(&store, EventState::Received).await, 1);
    let next = bot(false, transport).await.unwrap();
    settle().await;
    clock.advance(Duration::from_millis(800));
    settle().await;
    clock.advance(Duration::from_secs(2));
    channel.wait_for_sent(1).await;
    until_counted(&store, EventState::Handled, 2).await;
    assert_eq!(channel.texts(), ["one\ntwo"]);
    next.stop().await;
}

/// A bot that handles all at once; the handler of `slow` waits for the gate.
fn concurrent(store: &MemoryStore, channel: &MemoryChannel, gate: &Arc<Semaphore>) -> Bot {
    let gate = Arc::clone(gate);
    Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .overlap(Overlap::Concurrent)
        .on_message(move |message| {
            let gate = Arc::clone(&gate);
            async move {
                if message.text == "slow" {
                    gate.acquire().await?.forget();
                }
                message.reply(message.text.clone()).await?;
                Ok(())
            }
        })
}

#[tokio::test]
async fn concurrent_handles_all_at_once_from_a_store_too() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let gate = Arc::new(Semaphore::new(0));
    let bot = concurrent(&store, &channel, &gate);
    let running = bot.start().await.unwrap();
    for text in ["slow", "quick", "slow"] {
        channel.user("ada").says(text);
    }
    until_counted(&store, EventState::Handled, 1).await;
    until_counted(&store, EventState::Handling, 2).await;
    assert_eq!(channel.texts(), ["quick"]);
    assert_eq!(channel.unacknowledged(), 0, "recorded is enough");
    gate.add_permits(2);
    until_counted(&store, EventState::Handled, 3).await;
    assert_eq!(channel.texts(), ["quick", "slow", "slow"]);
    running.stop().await;
}

#[tokio::test]
async fn of_what_was_handled_at_once_the_next_process_handles_what_had_no_end() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let gate = Arc::new(Semaphore::new(0));
    let bot = concurrent(&store, &channel, &gate);
    let running = bot.start().await.unwrap();
    channel.user("ada").says("slow");
    channel.user("ada").says("quick");
    until_counted(&store, EventState::Handled, 1).await;
    until_counted(&store, EventState::Handling, 1).await;
    crash(running);
    gate.add_permits(1);
    let bot = concurrent(&store, &channel, &gate);
    let next = bot.transport(later()).start().await.unwrap();
    until_counted(&store, EventState::Handled, 2).await;
    assert_eq!(channel.texts(), ["quick", "slow"]);
    next.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_hold_a_conversation() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let (clock, transport) = virtual_time();
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let running = Bot::new(AllowEveryone)
        .transport(transport)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(move |message| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    return Err("as asked".into());
                }
                message.reply(message.text.clone()).await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("hi");
    until_counted(&store, EventState::Retrying, 1).await;
    settle().await;
    clock.jump_back(Duration::from_secs(3600));
    clock.advance(Duration::from_secs(2));
    settle().await;
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    until_counted(&store, EventState::Handled, 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_streamed_answer_that_is_on_record_is_not_shown_again() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let (clock, transport) = virtual_time();
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let running = Bot::new(AllowEveryone)
        .transport(transport)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(move |message| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                let mut stream = message.stream().await?;
                stream.show("half").await?;
                let receipt = stream.finish("half and whole").await?;
                assert_eq!(receipt.messages.len(), 1, "what the first attempt got");
                if first {
                    return Err("as asked".into());
                }
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("hi");
    until_counted(&store, EventState::Retrying, 1).await;
    settle().await;
    clock.advance(Duration::from_secs(2));
    until_counted(&store, EventState::Handled, 1).await;
    assert_eq!(channel.texts(), ["half and whole"]);
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.parts.get(&PartState::Delivered), Some(&1));
    running.stop().await;
}
