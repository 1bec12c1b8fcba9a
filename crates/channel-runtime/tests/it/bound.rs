//! Nothing is delivered to an account after its binding was taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use channel_core::{
    AccountRef, BindingId, Bound, ErrorKind, Event, Grant, OwnerId, Platform, Policy, Verdict,
    async_trait,
};
use channel_runtime::Bot;
use channel_testkit::MemoryChannel;
use tokio::sync::Notify;

/// Everybody belongs to Ada, for as long as the switch is on.
#[derive(Debug, Clone, Default)]
struct Ada {
    revoked: Arc<AtomicBool>,
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
