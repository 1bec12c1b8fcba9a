//! Nothing is delivered to an account after its binding was taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use std::time::Duration;

use channel_core::{
    AccountRef, BindingId, Bound, Error, ErrorKind, Event, Grant, Hold, OwnerId, Platform, Policy,
    Result, Verdict, async_trait,
};
use channel_delivery::{EventState, MemoryStore, PartState, Store as _};
use channel_runtime::Bot;
use channel_testkit::{Failure, MemoryChannel};
use tokio::sync::Notify;

use crate::durable::{crash, later, until_counted};

/// Everybody belongs to Ada, for as long as the switch is on.
#[derive(Debug, Clone, Default)]
struct Ada {
    revoked: Arc<AtomicBool>,
    /// Nobody can tell.
    down: Arc<AtomicBool>,
    /// How often nobody could.
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl Policy for Ada {
    async fn judge(&self, event: &Event) -> Verdict {
        let account = event.sender().map(|sender| sender.account.clone());
        let account =
            account.unwrap_or_else(|| AccountRef::new(Platform::new("memory"), "x".into()));
        let bound = Bound::new(BindingId::new("b1"), OwnerId::new("ada"), account);
        Verdict::Grant(Box::new(Grant::new("test").bound(Some(bound))))
    }

    async fn still_holds(&self, bound: &Bound) -> bool {
        assert_eq!(bound.owner.as_str(), "ada");
        !self.revoked.load(Ordering::SeqCst)
    }

    async fn hold(&self, bound: &Bound) -> Result<Option<Hold>> {
        if self.down.load(Ordering::SeqCst) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::Unavailable, "down"));
        }
        Ok(self.still_holds(bound).await.then(Hold::default))
    }
}

#[tokio::test]
async fn an_answer_under_way_stops_where_the_binding_is_taken_back() {
    let policy = Ada::default();
    let (began, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let refused = Arc::new(Notify::new());
    let channel = MemoryChannel::new();
    let running = {
        let (began, go_on, refused) = (began.clone(), go_on.clone(), refused.clone());
        Bot::new(policy.clone())
            .channel(channel.clone())
            .on_message(move |message| {
                let (began, go_on, refused) = (began.clone(), go_on.clone(), refused.clone());
                async move {
                    message.reply("first").await?;
                    let mut stream = message.stream().await?;
                    began.notify_one();
                    go_on.notified().await;
                    let to = message.compose("around the corner");
                    let errors = [
                        message.reply("second").await.unwrap_err(),
                        message.channel().send(&to).await.unwrap_err(),
                        stream.show("grown").await.err().unwrap(),
                        stream.finish("grown up").await.unwrap_err(),
                        message.stream().await.err().unwrap(),
                    ];
                    for error in errors {
                        assert_eq!(error.kind(), ErrorKind::Forbidden);
                    }
                    refused.notify_one();
                    Ok(())
                }
            })
            .start()
            .await
            .unwrap()
    };
    channel.user("ada").says("hi");
    began.notified().await;
    policy.revoked.store(true, Ordering::SeqCst);
    go_on.notify_one();
    refused.notified().await;
    running.stop().await;
    assert_eq!(channel.texts(), ["first"]);
}

const SOON: Failure = Failure::RateLimited(Duration::from_millis(100));

fn echo(policy: &Ada, channel: &MemoryChannel) -> Bot {
    Bot::new(policy.clone())
        .channel(channel.clone())
        .on_message(|message| async move {
            message.reply(format!("echo: {}", message.text)).await?;
            Ok(())
        })
}

async fn until_called(channel: &MemoryChannel) {
    let before = channel.calls();
    while channel.calls() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Until the outbox says so; nothing arrives meanwhile.
async fn until_part(store: &MemoryStore, channel: &MemoryChannel, state: PartState, wanted: u64) {
    let count = async || {
        let counts = store.counts().await.unwrap();
        counts.parts.get(&state).copied().unwrap_or_default()
    };
    while count().await != wanted {
        assert_eq!(channel.texts(), [""; 0]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn an_answer_that_waits_in_the_outbox_dies_with_the_binding_and_the_chat_does_not() {
    let (policy, store, channel) = (Ada::default(), MemoryStore::new(), MemoryChannel::new());
    let running = echo(&policy, &channel).store(store.clone());
    let running = running.start().await.unwrap();
    channel.fail(SOON);
    channel.user("ada").says("one");
    until_called(&channel).await;
    policy.revoked.store(true, Ordering::SeqCst);
    channel.mend();
    until_part(&store, &channel, PartState::Dead, 1).await;
    assert!(channel.texts().is_empty());
    // It was not the chat that refused: connected again, it is answered at once.
    policy.revoked.store(false, Ordering::SeqCst);
    channel.user("ada").says("two");
    channel.wait_for_sent(1).await;
    assert_eq!(channel.texts(), ["echo: two"]);
    running.stop().await;
}

#[tokio::test]
async fn an_answer_that_a_crash_left_behind_is_not_sent_to_who_is_not_connected_any_more() {
    let (policy, store, channel) = (Ada::default(), MemoryStore::new(), MemoryChannel::new());
    let running = echo(&policy, &channel).store(store.clone());
    let running = running.start().await.unwrap();
    channel.fail(Failure::RateLimited(Duration::from_secs(20)));
    channel.user("ada").says("one");
    until_part(&store, &channel, PartState::Failed, 1).await;
    crash(running);
    policy.revoked.store(true, Ordering::SeqCst);
    channel.mend();
    let next = echo(&policy, &channel).store(store.clone());
    let next = next.transport(later()).start().await.unwrap();
    until_part(&store, &channel, PartState::Dead, 1).await;
    next.stop().await;
    assert!(channel.texts().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_tried_again_without_a_store_asks_again() {
    let (policy, channel) = (Ada::default(), MemoryChannel::new());
    let running = echo(&policy, &channel).start().await.unwrap();
    channel.fail(SOON);
    channel.user("ada").says("one");
    until_called(&channel).await;
    policy.revoked.store(true, Ordering::SeqCst);
    channel.mend();
    while running.status()[0].counters.failed == 0 {
        assert_eq!(channel.texts(), [""; 0]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.stop().await;
    assert!(channel.texts().is_empty());
}

/// Nothing goes out while nobody can tell, and nothing is lost over it.
#[tokio::test]
async fn an_answer_waits_while_nobody_can_tell_whether_the_binding_holds() {
    let (policy, store, channel) = (Ada::default(), MemoryStore::new(), MemoryChannel::new());
    let running = echo(&policy, &channel).store(store.clone());
    let running = running.start().await.unwrap();
    channel.fail(SOON);
    channel.user("ada").says("one");
    until_called(&channel).await;
    policy.down.store(true, Ordering::SeqCst);
    channel.mend();
    while policy.asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(channel.texts().is_empty());
    policy.down.store(false, Ordering::SeqCst);
    channel.wait_for_sent(1).await;
    until_counted(&store, EventState::Handled, 1).await;
    assert_eq!(channel.texts(), ["echo: one"]);
    running.stop().await;
}
