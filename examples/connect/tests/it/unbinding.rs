//! Bindings are taken back while their messages are in flight, with everything that an
//! application has: a durable bot, a gate, bindings in SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use channel_binding::{Bindings, ConnectGate, ConnectPlatform, SqlBindings};
use channel_kit::core::{
    Body, Channel, ChannelInfo, Events, Identity, OutboundMessage, OwnerId, Platform, Receipt,
    Result, async_trait,
};
use channel_kit::http::transport;
use channel_kit::prelude::SqliteStore;
use channel_kit::runtime::Bot;
use channel_policy::{AccessConfig, Gate};
use channel_testkit::{MemoryChannel, canary};
use tokio::sync::Semaphore;

/// A platform that is some way off: a message takes a while to arrive.
#[derive(Debug)]
struct Far {
    channel: MemoryChannel,
    /// How many messages to each person have set out: whoever waits for one finds it on its
    /// way, and not between two of them, where nothing has to be waited for.
    set_out: Arc<[Semaphore]>,
}

impl Far {
    /// To whom a message of the handler goes: `p7 3` is one to the eighth.
    fn whom(&self, message: &OutboundMessage) -> Option<&Semaphore> {
        let (Body::Plain(text) | Body::Markdown(text)) = &message.body else {
            return None;
        };
        let (who, _) = text.split_once(' ')?;
        self.set_out
            .get(who.strip_prefix('p')?.parse::<usize>().ok()?)
    }
}

#[async_trait]
impl Channel for Far {
    fn info(&self) -> &ChannelInfo {
        self.channel.info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        if let Some(whom) = self.whom(message) {
            whom.add_permits(1);
        }
        tokio::time::sleep(AWAY).await;
        self.channel.send(message).await
    }
    async fn probe(&self) -> Result<Identity> {
        self.channel.probe().await
    }
    fn as_events(&self) -> Option<&dyn Events> {
        self.channel.as_events()
    }
}

const PEOPLE: usize = 40;
/// Longer than all of them together take to write down that they are gone.
const AWAY: Duration = Duration::from_millis(300);
const MEMORY: Platform = Platform::new("memory");

fn received(channel: &MemoryChannel, who: &str) -> usize {
    let is_to = |text: &&String| text.starts_with(&format!("{who} "));
    channel.texts().iter().filter(is_to).count()
}

/// E5: after the removal has been written nothing is delivered, whatever was in flight.
async fn nothing_arrives(is_durable: bool) {
    let folder = std::env::temp_dir().join(canary());
    std::fs::create_dir_all(&folder).unwrap();
    let address = format!("sqlite:{}", folder.join("bindings.db").display());
    let store = SqlBindings::connect(&address).await.unwrap();
    let transport = transport();
    let clock = transport.clock.clone();
    let bindings = Bindings::builder("Acme", store, clock.clone(), transport.random.clone())
        .platform(ConnectPlatform::by_code(MEMORY, "Memory"))
        .build()
        .unwrap();
    let gate = Gate::builder(clock)
        .channel("memory", AccessConfig::new().allow_all())
        .without_rate_limits()
        .identities(Arc::new(ConnectGate::new(bindings.clone())))
        .build()
        .unwrap();
    let channel = MemoryChannel::builder()
        .clock(transport.clock.clone())
        .build();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let set_out: Arc<[Semaphore]> = (0..PEOPLE).map(|_| Semaphore::new(0)).collect();
    let far = Far {
        channel: channel.clone(),
        set_out: Arc::clone(&set_out),
    };
    let mut bot = Bot::new(gate).channel(far).on_message(move |message| {
        let stopped = Arc::clone(&stopped);
        async move {
            // Says more and more, until it may not any more.
            let who = message.sender.account.sender.clone();
            for n in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                message.reply(format!("{who} {n}")).await?;
            }
            Ok(())
        }
    });
    if is_durable {
        let inbox = SqliteStore::open(folder.join("bot.db")).await.unwrap();
        bot = bot.store(inbox).attempts(1);
    }
    let running = bot.start().await.unwrap();
    let people: Vec<String> = (0..PEOPLE).map(|n| format!("p{n}")).collect();
    for who in &people {
        let owner = OwnerId::new(who);
        let code = bindings.mint(&owner, "memory").await.unwrap().code;
        channel
            .user(who)
            .says(format!("/connect {}", code.expose()));
    }
    channel.wait_for_sent(PEOPLE).await;
    for who in &people {
        channel.user(who).says("go on");
    }
    // Half disconnect, the others close their accounts with the application.
    let removals = people.iter().enumerate().map(|(n, who)| {
        let (who, bindings, channel) = (who.clone(), bindings.clone(), channel.clone());
        let set_out = Arc::clone(&set_out);
        tokio::spawn(async move {
            let set_out = set_out.get(n).unwrap().acquire_many(3).await;
            set_out.unwrap().forget();
            let owner = OwnerId::new(&who);
            let binding = bindings.list(&owner).await.unwrap().remove(0);
            if n % 2 == 0 {
                bindings.disconnect(&owner, &binding.id).await.unwrap();
            } else {
                bindings.purge(&owner).await.unwrap();
            }
            let at_the_commit = received(&channel, &who);
            (who, at_the_commit)
        })
    });
    let removals: Vec<_> = removals.collect();
    let mut ends = Vec::new();
    for removal in removals {
        ends.push(removal.await.unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    running.stop().await;
    for (who, at_the_commit) in ends {
        assert_eq!(received(&channel, &who), at_the_commit, "{who}");
        // The third was on its way when the removal began, and has been waited for.
        assert!(at_the_commit >= 3, "{who} {at_the_commit}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_arrives_after_a_binding_was_taken_back() {
    nothing_arrives(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_arrives_after_a_binding_was_taken_back_with_a_store_either() {
    nothing_arrives(true).await;
}
