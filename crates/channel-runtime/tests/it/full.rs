//! A word to those whose messages find no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use channel_core::{
    AccountRef, BindingId, Bound, Channel as _, Chat, ChatKind, Event, EventKind, Grant, Hold,
    Intake, Message, OwnerId, Platform, Policy, Proof, Refused, ReplyTo, Result, Sender,
    SenderKind, Target, Verdict, async_trait,
};
use channel_delivery::MemoryStore;
use channel_runtime::{Bot, ChannelStatus, Running};
use channel_testkit::MemoryChannel;
use tokio::sync::Semaphore;

/// Friends may, strangers may not, and of Bob nobody can tell without a look.
#[derive(Debug, Default, Clone)]
struct Friends {
    /// Ada has been let in by a binding that does not hold any more.
    revoked: Arc<AtomicBool>,
}

#[async_trait]
impl Policy for Friends {
    async fn judge(&self, _event: &Event) -> Verdict {
        Verdict::Allow("friend")
    }

    fn foretell(&self, event: &Event) -> Verdict {
        let sender = event.sender().unwrap();
        match sender.account.sender.as_str() {
            "ada" => {
                let bound = Bound::new(
                    BindingId::new("b"),
                    OwnerId::new("o"),
                    sender.account.clone(),
                );
                Verdict::Grant(Box::new(Grant::new("friend").bound(Some(bound))))
            }
            "stranger" => Verdict::Refuse("stranger"),
            "asked" => Verdict::Answer("unbound", "connect first".into()),
            _ => Verdict::Allow("friend"),
        }
    }

    async fn hold(&self, _bound: &Bound) -> Result<Option<Hold>> {
        Ok((!self.revoked.load(Ordering::SeqCst)).then(Hold::default))
    }
}

fn says(channel: &MemoryChannel, sender: &str, id: &str) -> Message {
    let chat = Chat::new(format!("chat-{sender}").as_str().into(), ChatKind::Direct);
    let to =
        ReplyTo::new(channel.info().id.clone(), Target::chat(chat.id.clone())).quoting(id.into());
    let account = AccountRef::new(Platform::new("memory"), sender.into());
    let mut message = Message::new(id.into(), chat, Sender::new(account, Proof::Verified), to);
    message.text = "hi".into();
    message
}

fn event(channel: &MemoryChannel, message: Message) -> Event {
    let id = format!("{}-{}", message.chat.id, message.id);
    Event::new(
        id.as_str().into(),
        channel.info().id.clone(),
        EventKind::Message(Box::new(message)),
    )
}

/// A bot with room for two, whose handlers wait for the gate.
struct Kit {
    channel: MemoryChannel,
    running: Running,
    intake: Arc<dyn Intake>,
    gate: Arc<Semaphore>,
}

fn status(running: &Running) -> ChannelStatus {
    running.status().into_iter().next().unwrap()
}

impl Kit {
    async fn new(bot: Bot, channel: MemoryChannel) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let in_handler = Arc::clone(&gate);
        let running = bot
            .channel(channel.clone())
            .capacity(2)
            .answer_within(Duration::ZERO)
            .served_elsewhere()
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
        let intake = running.intake(&status(&running).channel).unwrap();
        Self {
            channel,
            running,
            intake,
            gate,
        }
    }

    async fn take(&self, sender: &str, id: &str) -> std::result::Result<(), Refused> {
        let message = says(&self.channel, sender, id);
        self.intake.take(vec![event(&self.channel, message)]).await
    }

    async fn fill(&self, round: &str) {
        for n in 0..2 {
            self.take(&format!("filler-{round}-{n}"), "1")
                .await
                .unwrap();
        }
    }

    async fn refused(&self, sender: &str, id: &str) {
        assert!(matches!(self.take(sender, id).await, Err(Refused::Full)));
    }

    async fn until_empty(&self) {
        let handled = status(&self.running).counters.handled;
        self.gate.add_permits(2);
        while status(&self.running).counters.handled < handled + 2 {
            tokio::task::yield_now().await;
        }
    }

    /// Who was told, once it is as many as are expected, and a while longer.
    async fn told(&self, wanted: usize) -> Vec<String> {
        while self.channel.sent().len() < wanted {
            tokio::task::yield_now().await;
        }
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        let sent = self.channel.sent();
        sent.iter()
            .map(|sent| {
                assert_eq!(sent.quoted, None, "it takes no right to an answer");
                sent.at.chat.to_string()
            })
            .collect()
    }
}

fn webhook() -> MemoryChannel {
    MemoryChannel::builder().webhook().build()
}

#[tokio::test]
async fn the_sender_is_told_once_for_each_conversation_until_there_is_room_again() {
    let kit = Kit::new(
        Bot::new(Friends::default()).tell_when_full("busy"),
        webhook(),
    )
    .await;
    kit.fill("a").await;
    for id in ["1", "2", "3"] {
        kit.refused("eve", id).await;
        kit.refused("ada", id).await;
    }
    let mut told = kit.told(2).await;
    told.sort();
    assert_eq!(told, ["chat-ada", "chat-eve"]);
    assert_eq!(kit.channel.texts(), ["busy", "busy"]);
    kit.until_empty().await;
    kit.fill("b").await;
    kit.refused("eve", "4").await;
    assert_eq!(kit.told(3).await.len(), 3);
    kit.running.stop().await;
}

/// One place that is given back and taken at once is no end of it.
#[tokio::test]
async fn a_single_place_is_not_room_again() {
    let channel = webhook();
    let gate = Arc::new(Semaphore::new(0));
    let in_handler = Arc::clone(&gate);
    let running = Bot::new(Friends::default())
        .tell_when_full("busy")
        .channel(channel.clone())
        .capacity(10)
        .answer_within(Duration::ZERO)
        .served_elsewhere()
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
    let intake = running.intake(&running.status()[0].channel).unwrap();
    let take = async |sender: &str, id: &str| {
        intake
            .take(vec![event(&channel, says(&channel, sender, id))])
            .await
    };
    for n in 0..10 {
        take(&format!("filler-{n}"), "1").await.unwrap();
    }
    for round in 0..4_u64 {
        assert!(take("eve", &format!("x{round}")).await.is_err());
        gate.add_permits(1);
        while running.status()[0].counters.handled <= round {
            tokio::task::yield_now().await;
        }
        take(&format!("more-{round}"), "1").await.unwrap();
    }
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(channel.texts(), ["busy"]);
    gate.add_permits(100);
    running.stop().await;
}

#[tokio::test]
async fn nobody_is_told_whom_the_policy_would_not_let_in_or_nobody_vouches_for() {
    let kit = Kit::new(
        Bot::new(Friends::default()).tell_when_full("busy"),
        webhook(),
    )
    .await;
    kit.fill("a").await;
    for sender in ["stranger", "asked"] {
        kit.refused(sender, "1").await;
    }
    let mut claimed = says(&kit.channel, "claimed", "1");
    claimed.sender.proof = Proof::Claimed;
    let mut bot = says(&kit.channel, "bot", "1");
    bot.sender.kind = SenderKind::Bot;
    let mut system = says(&kit.channel, "system", "1");
    system.sender.kind = SenderKind::System;
    let mut talk = says(&kit.channel, "talk", "1");
    talk.chat.kind = ChatKind::Group;
    for message in [claimed, bot, system, talk] {
        let refused = kit.intake.take(vec![event(&kit.channel, message)]).await;
        assert!(matches!(refused, Err(Refused::Full)));
    }
    // One that has been taken and comes again has nothing to hear.
    kit.refused("filler-a-0", "1").await;
    let changed = EventKind::Edited(Box::new(says(&kit.channel, "changed", "1")));
    let changed = Event::new("c".into(), kit.channel.info().id.clone(), changed);
    assert!(kit.intake.take(vec![changed]).await.is_err());
    kit.refused("eve", "1").await;
    assert_eq!(kit.told(1).await, ["chat-eve"]);
    kit.running.stop().await;
}

#[tokio::test]
async fn an_account_whose_binding_was_taken_back_is_not_told() {
    let policy = Friends::default();
    let kit = Kit::new(Bot::new(policy.clone()).tell_when_full("busy"), webhook()).await;
    kit.fill("a").await;
    policy.revoked.store(true, Ordering::SeqCst);
    kit.refused("ada", "1").await;
    kit.refused("eve", "1").await;
    assert_eq!(kit.told(1).await, ["chat-eve"]);
    kit.running.stop().await;
}

#[tokio::test]
async fn a_bot_says_nothing_unless_it_is_given_words() {
    let kit = Kit::new(Bot::new(Friends::default()), webhook()).await;
    kit.fill("a").await;
    kit.refused("eve", "1").await;
    assert!(kit.told(0).await.is_empty());
    kit.running.stop().await;
}

#[tokio::test]
async fn with_a_store_it_is_the_same() {
    let store = MemoryStore::new();
    let bot = Bot::new(Friends::default())
        .store(store)
        .tell_when_full("busy");
    let kit = Kit::new(bot, webhook()).await;
    kit.fill("a").await;
    kit.refused("eve", "1").await;
    kit.refused("eve", "2").await;
    kit.refused("stranger", "1").await;
    assert_eq!(kit.told(1).await, ["chat-eve"]);
    kit.gate.add_permits(10);
    kit.running.stop().await;
}

/// The platform hears of it at once, however long it takes to tell people: words that find no
/// place in a short queue are not said.
#[tokio::test]
async fn the_refusal_does_not_wait_for_a_platform_that_is_slow() {
    let clock = channel_testkit::VirtualClock::new();
    let mut transport = channel_http::transport();
    transport.clock = Arc::new(clock.clone());
    let channel = webhook();
    // Each is tried again after a while.
    let soon = Duration::from_secs(5);
    channel.fail(channel_testkit::Failure::RateLimited(soon));
    let bot = Bot::new(Friends::default()).transport(transport);
    let kit = Kit::new(bot.tell_when_full("busy"), channel).await;
    kit.fill("a").await;
    // The bot has asked who it is.
    while kit.channel.calls() < 1 {
        tokio::task::yield_now().await;
    }
    for n in 0..100 {
        kit.refused(&format!("s{n}"), "1").await;
        tokio::task::yield_now().await;
    }
    assert_eq!(kit.channel.calls(), 1 + 4, "so many are sent at once");
    kit.channel.mend();
    clock.advance(Duration::from_secs(6));
    // Those, and who waited in the queue.
    let told = kit.told(20).await;
    assert_eq!(told.len(), 20, "{told:?}");
    drop(kit.running);
}
