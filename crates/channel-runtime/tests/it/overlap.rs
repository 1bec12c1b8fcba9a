use std::sync::Arc;
use std::time::Duration;

use channel_core::{AllowEveryone, Transport};
use channel_runtime::{Bot, Overlap, Running};
use channel_testkit::{MemoryChannel, VirtualClock};
use tokio::sync::Semaphore;

/// A bot that repeats what it hears; `slow` waits for the gate first.
async fn repeats(
    channel: &MemoryChannel,
    overlap: Overlap,
    gate: &Arc<Semaphore>,
    transport: Option<Transport>,
) -> Running {
    let gate = Arc::clone(gate);
    let bot = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .overlap(overlap)
        .on_message(move |message| {
            let gate = Arc::clone(&gate);
            async move {
                if message.text == "slow" {
                    gate.acquire().await?.forget();
                }
                let joined = message.joined.len();
                let files: Vec<_> = message.attachments.iter().collect();
                let files = files.iter().filter_map(|file| file.name.as_deref());
                let files: String = files.map(|name| format!(" +{name}")).collect();
                message
                    .reply(format!("{} [{joined}]{files}", message.text))
                    .await?;
                Ok(())
            }
        });
    let bot = match transport {
        Some(transport) => bot.transport(transport),
        None => bot,
    };
    bot.start().await.unwrap()
}

#[tokio::test]
async fn latest_handles_only_the_newest_of_those_that_wait() {
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::Latest, &gate, None).await;
    let ada = channel.user("ada");
    ada.says("slow");
    for text in ["a", "b", "c"] {
        ada.says(text);
    }
    channel.user("bob").says("bob");
    channel.wait_for_sent(1).await;
    // All four are in before the gate opens: the fourth acknowledgement waits.
    while running.status()[0].counters.received < 5 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    channel.wait_for_sent(3).await;
    assert_eq!(channel.texts(), ["bob [0]", "slow [0]", "c [0]"]);
    assert_eq!(running.status()[0].counters.passed_over, 2);
    running.stop().await;
    assert_eq!(channel.unacknowledged(), 0);
}

#[tokio::test]
async fn concurrent_handles_all_at_once() {
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::Concurrent, &gate, None).await;
    let ada = channel.user("ada");
    ada.says("slow");
    ada.says("quick");
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["quick [0]"]);
    gate.add_permits(1);
    channel.wait_for_sent(2).await;
    running.stop().await;
}

fn debounced() -> (VirtualClock, Transport) {
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
async fn debounce_joins_what_one_sender_writes_quickly() {
    let (clock, transport) = debounced();
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::debounce(), &gate, Some(transport)).await;
    let ada = channel.user("ada");
    ada.says("one");
    settle().await;
    clock.advance(Duration::from_millis(799));
    ada.says("two");
    settle().await;
    clock.advance(Duration::from_millis(799));
    settle().await;
    assert!(channel.texts().is_empty(), "the sender is not quiet yet");
    clock.advance(Duration::from_millis(1));
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["one\ntwo [1]"]);
    settle().await;
    assert_eq!(running.status()[0].counters.joined, 1);
    running.stop().await;
}

#[tokio::test]
async fn debounce_waits_no_longer_than_it_may() {
    let (clock, transport) = debounced();
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::debounce(), &gate, Some(transport)).await;
    let ada = channel.user("ada");
    for word in 0..10 {
        ada.says(word.to_string());
        settle().await;
        clock.advance(Duration::from_millis(500));
        settle().await;
    }
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["0\n1\n2\n3\n4\n5\n6\n7\n8\n9 [9]"]);
    running.stop().await;
}

#[tokio::test]
async fn a_command_flushes_what_waits_and_runs_alone() {
    let (_clock, transport) = debounced();
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::debounce(), &gate, Some(transport)).await;
    let ada = channel.user("ada");
    ada.says("one");
    ada.says("two");
    ada.says("/now");
    channel.wait_for_sent(2).await;
    assert_eq!(channel.texts(), ["one\ntwo [1]", "/now [0]"]);
    running.stop().await;
}

/// Platforms send one message for each file of an album.
#[tokio::test]
async fn files_that_come_together_are_one_turn() {
    let (clock, transport) = debounced();
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::debounce(), &gate, Some(transport)).await;
    let ada = channel.user("ada");
    for (name, caption) in [("a", "look"), ("b", ""), ("c", "three")] {
        ada.sends_file(name, "bytes", caption);
        settle().await;
        clock.advance(Duration::from_millis(749));
        settle().await;
    }
    assert!(channel.texts().is_empty(), "the sender is not quiet yet");
    clock.advance(Duration::from_millis(1));
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["look\nthree [2] +a +b +c"]);
    settle().await;
    // One that comes later is a turn of its own.
    ada.sends_file("d", "bytes", "");
    settle().await;
    clock.advance(Duration::from_millis(750));
    channel.wait_for_sent(2).await;
    assert_eq!(channel.texts()[1], " [0] +d");
    running.stop().await;
    assert_eq!(channel.unacknowledged(), 0);
}

#[tokio::test]
async fn files_keep_their_order_among_words_and_commands() {
    let (clock, transport) = debounced();
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::debounce(), &gate, Some(transport)).await;
    let ada = channel.user("ada");
    ada.says("one");
    ada.sends_file("a", "bytes", "");
    ada.sends_file("b", "bytes", "");
    ada.says("/now");
    ada.says("two");
    ada.says("three");
    channel.wait_for_sent(3).await;
    settle().await;
    clock.advance(Duration::from_millis(800));
    channel.wait_for_sent(4).await;
    let all = ["one [0]", " [1] +a +b", "/now [0]", "two\nthree [1]"];
    assert_eq!(channel.texts(), all);
    running.stop().await;
}

#[tokio::test]
async fn what_waits_is_flushed_on_stop() {
    let (_clock, transport) = debounced();
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::debounce(), &gate, Some(transport)).await;
    channel.user("ada").says("last words");
    settle().await;
    running.stop().await;
    assert_eq!(channel.texts(), ["last words [0]"]);
}

#[tokio::test]
async fn two_senders_in_one_chat_are_not_joined() {
    let (clock, transport) = debounced();
    let (channel, gate) = (MemoryChannel::new(), Arc::new(Semaphore::new(0)));
    let running = repeats(&channel, Overlap::debounce(), &gate, Some(transport)).await;
    channel.user("ada").in_group("team").mentions_bot("ada 1");
    channel.user("bob").in_group("team").mentions_bot("bob 1");
    channel.user("ada").in_group("team").mentions_bot("ada 2");
    settle().await;
    for _ in 0..4 {
        clock.advance(Duration::from_millis(800));
        settle().await;
    }
    channel.wait_for_sent(2).await;
    let texts = channel.texts();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts[0].contains("ada 1") && texts[0].contains("ada 2"),
        "{texts:?}"
    );
    assert!(texts[1].contains("bob 1"), "{texts:?}");
    running.stop().await;
}
