use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{AllowEveryone, Clock as _};
use channel_runtime::{Bot, GroupMode};
use channel_testkit::{MemoryChannel, fake_transport};
use tokio::sync::Semaphore;

#[tokio::test]
async fn one_conversation_is_handled_in_order() {
    let channel = MemoryChannel::new();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .on_message(|message| async move {
            // Gives others every chance to overtake.
            for _ in 0..message.text.len() % 7 {
                tokio::task::yield_now().await;
            }
            message.reply(message.text.clone()).await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    let ada = channel.user("ada");
    for n in 0..100 {
        ada.says(format!("{n}{}", "x".repeat(100 - n)));
    }
    channel.wait_for_sent(100).await;
    let order: Vec<usize> = channel
        .texts()
        .iter()
        .map(|text| text.trim_end_matches('x').parse().unwrap())
        .collect();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test]
async fn a_slow_conversation_does_not_hold_another() {
    let channel = MemoryChannel::new();
    let gate = Arc::new(Semaphore::new(0));
    let (slow, gate_in) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&gate));
    let slow_in = Arc::clone(&slow);
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .on_message(move |message| {
            let (gate, slow) = (Arc::clone(&gate_in), Arc::clone(&slow_in));
            async move {
                if message.text == "slow" {
                    slow.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await?.forget();
                }
                message.reply(message.text.clone()).await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("slow");
    channel.user("bob").says("quick");
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["quick"]);
    assert_eq!(
        slow.load(Ordering::SeqCst),
        1,
        "the slow one is running meanwhile"
    );
    gate.add_permits(1);
    channel.wait_for_sent(2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_does_not_hold_another_conversation() {
    let channel = MemoryChannel::new();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .on_message(move |message| {
            let blocked = Arc::clone(&blocked);
            async move {
                if message.text == "block" {
                    let _ = blocked.lock().map(|gate| gate.recv());
                }
                message.reply(message.text.clone()).await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("block");
    channel.user("bob").says("quick");
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["quick"]);
    drop(release);
    channel.wait_for_sent(2).await;
    running.stop().await;
}

#[tokio::test]
async fn a_panic_is_counted_and_the_next_message_is_handled() {
    let channel = MemoryChannel::new();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .on_message(|message| async move {
            assert!(message.text != "boom", "as asked");
            if message.text == "fail" {
                return Err("as asked".into());
            }
            message.reply(message.text.clone()).await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    let ada = channel.user("ada");
    for text in ["boom", "fail", "fine"] {
        ada.says(text);
    }
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["fine"]);
    while running.status()[0].counters.handled == 0 {
        tokio::task::yield_now().await;
    }
    let counters = running.status()[0].counters;
    assert_eq!(
        (counters.panicked, counters.failed, counters.handled),
        (1, 1, 1)
    );
    running.stop().await;
    assert_eq!(channel.unacknowledged(), 0, "a poison event is set aside");
}

#[tokio::test]
async fn talk_in_groups_is_handled_only_when_meant_for_the_bot() {
    let modes = [
        (GroupMode::WhenAddressed, vec!["direct", "to the bot"]),
        (
            GroupMode::Always,
            vec!["among people", "direct", "to the bot"],
        ),
        (GroupMode::Never, vec!["direct"]),
    ];
    for (mode, expected) in modes {
        let channel = MemoryChannel::new();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let heard_in = Arc::clone(&heard);
        let running = Bot::new(AllowEveryone)
            .channel(channel.clone())
            .groups(mode)
            .on_message(move |message| {
                heard_in.lock().unwrap().push(message.text.clone());
                async { Ok(()) }
            })
            .start()
            .await
            .unwrap();
        channel.user("ada").says("direct");
        channel.user("ada").in_group("room").says("among people");
        channel
            .user("ada")
            .in_group("room")
            .mentions_bot("to the bot");
        while channel.unacknowledged() > 0 {
            tokio::task::yield_now().await;
        }
        running.stop().await;
        let mut heard = heard.lock().unwrap().clone();
        heard.sort();
        let ends = heard
            .iter()
            .zip(&expected)
            .all(|(got, want)| got.ends_with(want));
        assert!(ends && heard.len() == expected.len(), "{mode:?}: {heard:?}");
    }
}

#[tokio::test]
async fn stopping_lets_handlers_finish_and_abandons_those_that_do_not() {
    let channel = MemoryChannel::new();
    let gate = Arc::new(Semaphore::new(0));
    let started = Arc::new(Semaphore::new(0));
    let (gate_in, started_in) = (Arc::clone(&gate), Arc::clone(&started));
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .ack_within(Duration::from_secs(3600))
        .drain_within(Duration::from_millis(100))
        .on_message(move |message| {
            let (gate, started) = (Arc::clone(&gate_in), Arc::clone(&started_in));
            async move {
                started.add_permits(1);
                if message.text == "never" {
                    std::future::pending::<()>().await;
                }
                gate.acquire().await?.forget();
                message.reply("done").await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("finishes");
    channel.user("bob").says("never");
    started.acquire_many(2).await.unwrap().forget();
    gate.add_permits(1);
    running.stop().await;
    assert_eq!(channel.texts(), ["done"]);
    assert_eq!(
        channel.unacknowledged(),
        1,
        "the platform keeps what was not finished"
    );
}

#[tokio::test]
async fn an_event_is_acknowledged_only_when_it_has_been_handled() {
    let channel = MemoryChannel::new();
    let gate = Arc::new(Semaphore::new(0));
    let gate_in = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .ack_within(Duration::from_secs(3600))
        .on_message(move |message| {
            let gate = Arc::clone(&gate_in);
            async move {
                message.reply("started").await?;
                gate.acquire().await?.forget();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("hello");
    channel.wait_for_sent(1).await;
    assert_eq!(channel.unacknowledged(), 1);
    gate.add_permits(1);
    while channel.unacknowledged() > 0 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn an_event_is_acknowledged_after_a_while_even_if_its_handler_goes_on() {
    let channel = MemoryChannel::new();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .ack_within(Duration::from_millis(20))
        .drain_within(Duration::ZERO)
        .on_message(|_| std::future::pending())
        .start()
        .await
        .unwrap();
    channel.user("ada").says("hello");
    while channel.unacknowledged() > 0 || running.status()[0].counters.received == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
}

/// The strictest platforms want it within 3 s of their own sending.
#[tokio::test]
async fn an_event_is_acknowledged_within_a_second_however_long_its_handler_takes() {
    let (channel, fake) = (MemoryChannel::new(), fake_transport());
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .transport(fake.transport())
        .on_message(|_| std::future::pending())
        .start()
        .await
        .unwrap();
    channel.user("ada").says("hello");
    while running.status()[0].counters.received == 0 {
        tokio::task::yield_now().await;
    }
    let began = fake.clock.elapsed();
    while channel.unacknowledged() > 0 {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        fake.clock.advance(Duration::from_millis(10));
    }
    let took = fake.clock.elapsed() - began;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(
        took > Duration::from_millis(500),
        "a quick handler is waited for: {took:?}"
    );
}

#[tokio::test]
async fn a_full_bot_reads_no_further_and_goes_on_when_there_is_room() {
    let channel = MemoryChannel::new();
    let gate = Arc::new(Semaphore::new(0));
    let gate_in = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .capacity(3)
        .on_message(move |message| {
            let gate = Arc::clone(&gate_in);
            async move {
                gate.acquire().await?.forget();
                message.reply(message.text.clone()).await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    for n in 0..10 {
        channel.user(&format!("user-{n}")).says("hello");
    }
    while running.status()[0].counters.received < 3 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.status()[0].counters.received, 3);
    gate.add_permits(10);
    channel.wait_for_sent(10).await;
    running.stop().await;
}

/// A bot without room would be deaf: the default stands in for a slip.
#[tokio::test]
async fn a_capacity_of_nothing_counts_as_the_default() {
    let channel = MemoryChannel::new();
    let gate = Arc::new(Semaphore::new(0));
    let gate_in = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .capacity(0)
        .on_message(move |message| {
            let gate = Arc::clone(&gate_in);
            async move {
                gate.acquire().await?.forget();
                message.reply("done").await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    for n in 0..1001 {
        channel.user(&format!("user-{n}")).says("hello");
    }
    while running.status()[0].counters.received < 1000 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.status()[0].counters.received, 1000);
    gate.add_permits(1001);
    channel.wait_for_sent(1001).await;
    running.stop().await;
}
