//! What a bot keeps of failures, and when it tries again where it was refused.

use channel_core::{AllowEveryone, Error, ErrorKind};
use channel_delivery::{EventState, MemoryStore, PartState, Store as _};
use channel_runtime::{Bot, Running};
use channel_testkit::{Failure, MemoryChannel};

use crate::durable::{crash, later, until_counted};

async fn echo(store: &MemoryStore, channel: &MemoryChannel, is_next: bool) -> Running {
    let bot = Bot::new(AllowEveryone)
        .store(store.clone())
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply(message.text.clone()).await?;
            Ok(())
        });
    let bot = match is_next {
        true => bot.transport(later()),
        false => bot,
    };
    bot.start().await.unwrap()
}

#[tokio::test]
async fn whoever_unblocks_the_bot_and_writes_is_answered() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let running = echo(&store, &channel, false).await;
    for (number, text) in ["again", "and after a restart"].into_iter().enumerate() {
        channel.fail(Failure::Blocked);
        channel.user("ada").says("blocked");
        until_counted(&store, EventState::Handled, 2 * number as u64 + 1).await;
        channel.mend();
        channel.user("ada").says(text);
        channel.wait_for_sent(number + 1).await;
        until_counted(&store, EventState::Handled, 2 * number as u64 + 2).await;
    }
    // Who was refused in the life before is known from the store alone.
    channel.fail(Failure::Blocked);
    channel.user("bob").says("blocked");
    until_counted(&store, EventState::Handled, 5).await;
    channel.mend();
    crash(running);
    let next = echo(&store, &channel, true).await;
    channel.user("bob").says("hello");
    channel.wait_for_sent(3).await;
    assert_eq!(channel.texts(), ["again", "and after a restart", "hello"]);
    next.stop().await;
}

#[tokio::test]
async fn a_group_that_does_not_let_the_bot_write_is_left_alone() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let running = echo(&store, &channel, false).await;
    channel.fail(Failure::Blocked);
    channel.user("ada").in_group("den").mentions_bot("one");
    until_counted(&store, EventState::Handled, 1).await;
    channel.mend();
    channel.user("bob").in_group("den").mentions_bot("two");
    until_counted(&store, EventState::Handled, 2).await;
    assert!(channel.texts().is_empty());
    let tally = running.deliveries().unwrap();
    assert_eq!((tally.dead, tally.delivered), (2, 0));
    running.stop().await;
}

#[tokio::test]
async fn what_is_set_aside_says_the_kind_and_the_code_and_nothing_that_was_written() {
    let (store, channel) = (MemoryStore::new(), MemoryChannel::new());
    let running = Bot::new(AllowEveryone)
        .store(store.clone())
        .attempts(1)
        .channel(channel.clone())
        .on_message(|message| async move {
            let failure = Error::new(ErrorKind::Unavailable, message.text.clone());
            let code = message.text.clone();
            Err(Box::new(Wrapped(failure.with_code(code))).into())
        })
        .start()
        .await
        .unwrap();
    for (number, text) in ["502", "what they wrote"].into_iter().enumerate() {
        channel.user("ada").says(text);
        until_counted(&store, EventState::Dead, number as u64 + 1).await;
    }
    let dead = store.dead_events(None, 10).await.unwrap();
    let reasons: Vec<_> = dead.iter().map(|event| event.reason.as_str()).collect();
    let kind = ErrorKind::Unavailable;
    let wanted = [
        format!("the handler failed: {kind} (502)"),
        format!("the handler failed: {kind}"),
    ];
    assert_eq!(reasons, wanted);
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.parts.get(&PartState::Dead), None);
    running.stop().await;
}

/// An application's own error.
#[derive(Debug)]
struct Wrapped(Error);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the application has failed")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
