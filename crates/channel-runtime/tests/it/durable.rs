use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use channel_core::{
    AllowEveryone, Error, ErrorKind, Policy, Refused, Transport, Verdict, async_trait,
};
use channel_delivery::{EventState, MemoryStore, PartState, Store as _};
use channel_runtime::{Bot, Running};
use channel_testkit::{Failure, MemoryChannel};
use tokio::sync::Semaphore;

use crate::failing::FailingStore;

fn echo(store: &MemoryStore, channel: &MemoryChannel) -> Bot {
    Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply(format!("echo: {}", message.text)).await?;
            Ok(())
        })
}

async fn count(store: &MemoryStore, state: EventState) -> u64 {
    let counts = store.counts().await.unwrap();
    counts.events.get(&state).copied().unwrap_or_default()
}

pub(crate) async fn until_counted(store: &MemoryStore, state: EventState, wanted: u64) {
    while count(store, state).await != wanted {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A minute later: the lease of the process that crashed has run out.
pub(crate) fn later() -> Transport {
    let now = std::time::SystemTime::now() + Duration::from_secs(60);
    let mut transport = channel_http::transport();
    transport.clock = Arc::new(channel_testkit::VirtualClock::at(now));
    transport
}

/// Ends a bot as a crash does: nothing is told to anybody.
pub(crate) fn crash(running: Running) {
    drop(running);
}

#[tokio::test]
async fn an_event_is_handled_and_its_reply_is_on_record() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let running = echo(&store, &channel).start().await.unwrap();
    channel.user("ada").says("hi");
    channel.wait_for_sent(1).await;
    until_counted(&store, EventState::Handled, 1).await;
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.parts.get(&PartState::Delivered), Some(&1));
    let journal = store.journal(None, 10).await.unwrap();
    assert_eq!(journal[0].deliveries.len(), 1);
    running.stop().await;
    assert_eq!(channel.unacknowledged(), 0);
}

#[tokio::test]
async fn the_platform_is_told_before_the_handler_is_done() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let gate = Arc::new(Semaphore::new(0));
    let in_handler = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(move |_| {
            let gate = Arc::clone(&in_handler);
            async move {
                gate.acquire().await?.forget();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("slow");
    until_counted(&store, EventState::Handling, 1).await;
    while channel.unacknowledged() > 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    until_counted(&store, EventState::Handled, 1).await;
    running.stop().await;
}

#[tokio::test]
async fn what_a_crash_interrupts_is_handled_by_the_next_process_in_order() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let stuck = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|_| std::future::pending())
        .start()
        .await
        .unwrap();
    for n in 0..20 {
        channel.user("ada").says(n.to_string());
    }
    while channel.unacknowledged() > 0 {
        tokio::task::yield_now().await;
    }
    crash(stuck);
    let next = echo(&store, &channel).transport(later());
    let next = next.start().await.unwrap();
    channel.user("ada").says("20");
    channel.wait_for_sent(21).await;
    let wanted: Vec<_> = (0..21).map(|n| format!("echo: {n}")).collect();
    assert_eq!(channel.texts(), wanted);
    until_counted(&store, EventState::Handled, 21).await;
    next.stop().await;
}

#[tokio::test]
async fn a_reply_that_went_out_before_the_crash_is_not_sent_again() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let stuck = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply("first").await?;
            std::future::pending().await
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("hi");
    channel.wait_for_sent(1).await;
    while store
        .counts()
        .await
        .unwrap()
        .parts
        .get(&PartState::Delivered)
        != Some(&1)
    {
        tokio::task::yield_now().await;
    }
    crash(stuck);
    let next = Bot::new(AllowEveryone)
        .transport(later())
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|message| async move {
            let receipt = message.reply("first").await?;
            assert_eq!(receipt.messages.len(), 1, "what the first attempt got");
            message.reply("second").await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    until_counted(&store, EventState::Handled, 1).await;
    assert_eq!(channel.texts(), ["first", "second"]);
    next.stop().await;
}

#[tokio::test]
async fn a_poison_event_is_set_aside_and_one_command_brings_it_back() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let broken = Arc::new(AtomicBool::new(true));
    let in_handler = Arc::clone(&broken);
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .attempts(2)
        .channel(channel.clone())
        .on_message(move |message| {
            let (broken, counted) = (Arc::clone(&in_handler), Arc::clone(&counted));
            async move {
                if message.text == "poison" {
                    counted.fetch_add(1, Ordering::SeqCst);
                    assert!(!broken.load(Ordering::SeqCst), "as asked");
                }
                message.reply(message.text.clone()).await?;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("poison");
    channel.user("ada").says("after");
    channel.user("bob").says("others go on");
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["others go on"]);
    until_counted(&store, EventState::Dead, 1).await;
    channel.wait_for_sent(2).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    let dead = store.dead_events(None, 10).await.unwrap();
    assert_eq!(dead[0].reason, "the handler panicked");
    broken.store(false, Ordering::SeqCst);
    assert!(
        store
            .retry_event(dead[0].seq, std::time::SystemTime::now())
            .await
            .unwrap()
    );
    channel.wait_for_sent(3).await;
    assert_eq!(channel.texts(), ["others go on", "after", "poison"]);
    running.stop().await;
}

#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Policy for Nobody {
    async fn judge(&self, _: &channel_core::Event) -> Verdict {
        Verdict::Refuse("nobody")
    }
}

#[tokio::test]
async fn a_refusal_is_a_final_state() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let running = Bot::new(Nobody)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|_| async { Ok(()) })
        .start()
        .await
        .unwrap();
    channel.user("eve").says("hi");
    until_counted(&store, EventState::Refused, 1).await;
    let journal = store.journal(None, 10).await.unwrap();
    assert_eq!(journal[0].reason.as_deref(), Some("nobody"));
    running.stop().await;
}

#[tokio::test]
async fn an_error_of_the_platform_that_is_final_is_not_tried_again() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let running = echo(&store, &channel).start().await.unwrap();
    channel.fail(Failure::Blocked);
    channel.user("ada").says("hi");
    until_counted(&store, EventState::Handled, 1).await;
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.parts.get(&PartState::Dead), Some(&1));
    running.stop().await;
}

#[tokio::test]
async fn while_the_store_fails_nothing_is_acknowledged_and_nothing_is_lost() {
    let (memory, channel) = (MemoryStore::new(), MemoryChannel::new());
    let store = FailingStore::new(memory.clone());
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply(message.text.clone()).await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    store.fail(true);
    channel.user("ada").says("hi");
    while running.status()[0].counters.rejected == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(channel.unacknowledged(), 1);
    assert!(channel.texts().is_empty());
    store.fail(false);
    channel.wait_for_sent(1).await;
    until_counted(&memory, EventState::Handled, 1).await;
    running.stop().await;
    assert_eq!(channel.unacknowledged(), 0);
}

#[tokio::test]
async fn a_webhook_is_refused_while_the_store_fails() {
    let channel = MemoryChannel::builder().webhook().build();
    let store = FailingStore::new(MemoryStore::new());
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .served_elsewhere()
        .on_other(|_, _| async { Ok(()) })
        .start()
        .await
        .unwrap();
    let intake = running.intake(&running.status()[0].channel).unwrap();
    let event = |id: &str| unknown(&channel, id);
    store.fail(true);
    let refused = intake.take(vec![event("1")]).await.err().unwrap();
    assert!(matches!(refused, Refused::Failed(_)), "{refused:?}");
    store.fail(false);
    intake.take(vec![event("1"), event("2")]).await.unwrap();
    intake.take(vec![event("1")]).await.unwrap();
    let counters = running.status()[0].counters;
    assert_eq!((counters.duplicates, counters.rejected), (1, 1));
    running.stop().await;
}

#[tokio::test]
async fn a_bot_whose_store_was_taken_over_stops() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let clock = channel_testkit::VirtualClock::new();
    let mut transport = channel_http::transport();
    transport.clock = Arc::new(clock.clone());
    let mut running = echo(&store, &channel)
        .transport(transport)
        .start()
        .await
        .unwrap();
    // Somebody enrols after our lease has run out.
    clock.jump_forward(Duration::from_secs(3600));
    let other = channel_delivery::WorkerId::new("other");
    let now = {
        use channel_core::Clock as _;
        clock.now()
    };
    let fence = store
        .enroll(&other, Duration::from_secs(30), now)
        .await
        .unwrap();
    store.claim(fence, 1, now).await.unwrap();
    let error: Error = clock.drive(running.failed()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    running.stop().await;
}

#[tokio::test]
async fn stopping_leaves_what_has_not_begun_to_the_next_process() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let gate = Arc::new(Semaphore::new(0));
    let in_handler = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
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
    for n in 0..5 {
        channel.user("ada").says(n.to_string());
    }
    until_counted(&store, EventState::Received, 4).await;
    let stop = tokio::spawn(running.stop());
    tokio::task::yield_now().await;
    gate.add_permits(1);
    stop.await.unwrap();
    assert_eq!(channel.texts(), ["0"]);
    assert_eq!(count(&store, EventState::Received).await, 4);
    let next = echo(&store, &channel).start().await.unwrap();
    channel.wait_for_sent(5).await;
    next.stop().await;
}

#[tokio::test]
async fn a_replay_says_what_the_handler_answers_now_and_sends_nothing() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let running = echo(&store, &channel).start().await.unwrap();
    channel.user("ada").says("same");
    channel.user("ada").says("other");
    until_counted(&store, EventState::Handled, 2).await;
    running.stop().await;
    let journal = store.journal(None, 10).await.unwrap();
    let replayed = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .on_message(|message| async move {
            let text = match message.text.as_str() {
                "other" => "changed".to_owned(),
                text => format!("echo: {text}"),
            };
            message.reply(text).await?;
            Ok(())
        })
        .replay(journal)
        .await;
    assert_eq!(
        replayed
            .iter()
            .map(channel_runtime::Replayed::is_same)
            .collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(replayed[1].differences().len(), 1);
    assert_eq!(channel.texts().len(), 2, "nothing is sent");
}

#[tokio::test]
async fn an_event_over_which_processes_keep_dying_waits_out_of_the_way() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let start = std::time::SystemTime::now();
    let at = |minutes: u64| {
        let clock = channel_testkit::VirtualClock::at(start + Duration::from_secs(60 * minutes));
        let mut transport = channel_http::transport();
        transport.clock = Arc::new(clock.clone());
        (clock, transport)
    };
    channel.user("ada").says("suspicious");
    for death in 0..3_u32 {
        let stuck = Bot::new(AllowEveryone)
            .store(store.clone())
            .transport(at(death.into()).1)
            .channel(channel.clone())
            .on_message(|_| std::future::pending())
            .start()
            .await
            .unwrap();
        let begun = async {
            loop {
                let journal = store.journal(None, 1).await.unwrap();
                if journal
                    .first()
                    .is_some_and(|entry| entry.event.attempts > death)
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        begun.await;
        crash(stuck);
    }
    let (clock, transport) = at(4);
    let next = echo(&store, &channel).transport(transport);
    let next = next.start().await.unwrap();
    channel.user("bob").says("innocent");
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["echo: innocent"]);
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(channel.texts().len(), 1, "it waits");
    clock.advance(Duration::from_secs(2));
    channel.wait_for_sent(2).await;
    until_counted(&store, EventState::Handled, 2).await;
    next.stop().await;
}

#[tokio::test]
async fn an_event_whose_record_was_not_answered_is_handled_once_and_in_order() {
    let (memory, channel) = (MemoryStore::new(), MemoryChannel::new());
    let store = FailingStore::new(memory.clone());
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply(message.text.clone()).await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("1");
    until_counted(&memory, EventState::Handled, 1).await;
    store.lose_an_answer();
    channel.user("ada").says("2");
    channel.user("ada").says("3");
    channel.wait_for_sent(3).await;
    until_counted(&memory, EventState::Handled, 3).await;
    assert_eq!(channel.texts(), ["1", "2", "3"]);
    running.stop().await;
    assert_eq!(channel.unacknowledged(), 0);
}

#[tokio::test]
async fn what_is_long_finished_is_forgotten_and_nothing_else() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let clock = channel_testkit::VirtualClock::new();
    let mut transport = channel_http::transport();
    transport.clock = Arc::new(clock.clone());
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .transport(transport)
        .keep_for(Duration::from_secs(3600))
        .attempts(1)
        .channel(channel.clone())
        .on_message(|message| async move {
            assert!(message.text != "poison", "as asked");
            message.reply("done").await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("hello");
    channel.user("bob").says("poison");
    until_counted(&store, EventState::Handled, 1).await;
    until_counted(&store, EventState::Dead, 1).await;
    for _ in 0..40 {
        clock.advance(Duration::from_secs(100));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    until_counted(&store, EventState::Handled, 0).await;
    assert_eq!(count(&store, EventState::Dead).await, 1);
    running.stop().await;
}

/// Takes a message that begins with `code` and the event `secret` for secrets, and answers it with another one.
#[derive(Debug)]
struct Codes;

#[async_trait]
impl Policy for Codes {
    async fn judge(&self, event: &channel_core::Event) -> Verdict {
        match self.is_secret(event) {
            true => Verdict::Confide("test", "code 222".to_owned()),
            false => Verdict::Allow("test"),
        }
    }

    fn is_secret(&self, event: &channel_core::Event) -> bool {
        let is_code = |message: &channel_core::Message| message.text.starts_with("code");
        event.id.as_str() == "secret" || event.message().is_some_and(is_code)
    }
}

#[tokio::test]
async fn a_secret_is_judged_and_acknowledged_but_not_written_down() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let running = Bot::new(Codes)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply("fine").await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    let ada = channel.user("ada");
    ada.says("code 111");
    channel.wait_for_sent(1).await;
    ada.says("hello");
    channel.wait_for_sent(2).await;
    until_counted(&store, EventState::Handled, 1).await;
    let journal = store.journal(None, 10).await.unwrap();
    let written = format!("{journal:?}");
    assert_eq!(journal.len(), 1, "{written}");
    assert!(written.contains("hello"), "{written}");
    running.stop().await;
    assert_eq!(channel.unacknowledged(), 0);
    assert_eq!(channel.sent()[0].text, "code 222");
}

#[tokio::test]
async fn a_secret_among_the_events_of_a_webhook_is_not_written_down_either() {
    let channel = MemoryChannel::builder().webhook().build();
    let store = MemoryStore::new();
    let running = Bot::new(Codes)
        .store(store.clone())
        .channel(channel.clone())
        .served_elsewhere()
        .on_other(|_, _| async { Ok(()) })
        .start()
        .await
        .unwrap();
    let intake = running.intake(&running.status()[0].channel).unwrap();
    let batch = ["secret", "plain"].map(|id| unknown(&channel, id));
    intake.take(batch.to_vec()).await.unwrap();
    until_counted(&store, EventState::Handled, 1).await;
    let journal = store.journal(None, 10).await.unwrap();
    assert_eq!(journal.len(), 1);
    assert_eq!(running.status()[0].counters.refused, 1);
    running.stop().await;
}

fn unknown(channel: &MemoryChannel, id: &str) -> channel_core::Event {
    use channel_core::Channel as _;
    let unknown = channel_core::Unknown::new("x", channel_core::Raw::default());
    channel_core::Event::new(
        id.into(),
        channel.info().id.clone(),
        channel_core::EventKind::Unknown(Box::new(unknown)),
    )
}
