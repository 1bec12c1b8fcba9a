//! Bindings are taken back while their messages are in flight, with everything that an
//! application has: a durable bot, a gate, bindings in SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use channel_binding::{Bindings, ConnectGate, ConnectPlatform, SqlBindings};
use channel_kit::core::{
    Channel, ChannelInfo, Events, Identity, OutboundMessage, OwnerId, Platform, Receipt, Result,
    async_trait,
};
use channel_kit::http::transport;
use channel_kit::prelude::SqliteStore;
use channel_kit::runtime::Bot;
use channel_policy::{AccessConfig, Gate};
use channel_testkit::{MemoryChannel, canary};
use tokio::sync::Semaphore;

/// A platform that is some way off: a message takes a while to arrive.
#[derive(Debug)]
struct Far(MemoryChannel);

#[async_trait]
impl Channel for Far {
    fn info(&self) -> &ChannelInfo {
        self.0.info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        tokio::time::sleep(Duration::from_millis(25)).await;
        self.0.send(message).await
    }
    async fn probe(&self) -> Result<Identity> {
        self.0.probe().await
    }
    fn as_events(&self) -> Option<&dyn Events> {
        self.0.as_events()
    }
}

const PEOPLE: usize = 40;
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
    // How much each has been told.
    let said: Arc<[Semaphore]> = (0..PEOPLE).map(|_| Semaphore::new(0)).collect();
    let counts = Arc::clone(&said);
    let mut bot = Bot::new(gate)
        .channel(Far(channel.clone()))
        .on_message(move |message| {
            let (stopped, counts) = (Arc::clone(&stopped), Arc::clone(&counts));
            async move {
                // Says more and more, until it may not any more.
                let who = message.sender.account.sender.clone();
                let number: usize = who.as_str().trim_start_matches('p').parse()?;
                for n in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    message.reply(format!("{who} {n}")).await?;
                    counts.get(number).ok_or("nobody")?.add_permits(1);
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
        let said = Arc::clone(&said);
        tokio::spawn(async move {
            said.get(n).unwrap().acquire_many(3).await.unwrap().forget();
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
        assert!(at_the_commit >= 3);
        assert_eq!(received(&channel, &who), at_the_commit, "{who}");
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
