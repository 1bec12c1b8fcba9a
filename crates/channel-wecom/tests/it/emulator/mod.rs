//! End to end over real connections, against the emulator that WeCom's own SDK certifies.
//!
//! Both sides read the same virtual clock: minutes pass when a test says so, and never by themselves.

mod aibot;
mod app;
mod bot;
mod link;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{Channel, Clock as _, Event, Intake, Message, Refused, Transport};
use channel_emulator::wecom::{MessageView, NewBot, Wecom, WecomConfig, WecomServer};
use channel_testkit::VirtualClock;
use channel_webhook::{Host, Server};
use tokio::sync::mpsc;

use crate::sealing::{KEY, TOKEN};

/// Long enough for a busy machine; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ADA: &str = "AdaL";
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest of a picture";

pub(crate) struct World {
    pub(crate) server: WecomServer,
    pub(crate) clock: VirtualClock,
}

impl std::ops::Deref for World {
    type Target = Wecom;

    fn deref(&self) -> &Wecom {
        &self.server
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(WecomConfig::default()).await
    }

    pub(crate) async fn with(config: WecomConfig) -> Self {
        let clock = VirtualClock::new();
        let time = clock.clone();
        let config = config
            .clock(channel_emulator::Clock::new(move || time.now()))
            .callback_timeout(PATIENCE)
            .callback_retry(Duration::from_millis(5), 3)
            .poll_interval(Duration::from_millis(2));
        let server = Wecom::start(config).await.unwrap();
        server.user(ADA, "Ada");
        Self { server, clock }
    }

    pub(crate) fn transport(&self) -> Transport {
        let mut transport = channel_http::transport();
        transport.clock = Arc::new(self.clock.clone());
        transport
    }

    /// Serves a channel's callbacks, and tells the platform where.
    pub(crate) async fn serve(&self, bot: &str, channel: Arc<dyn Channel>) -> Callbacks {
        let path = channel.as_webhook().unwrap().routes()[0].path.clone();
        let (events, inbox) = mpsc::unbounded_channel();
        let clock = Arc::new(self.clock.clone());
        let router = Host::new(clock)
            .mount(channel, Arc::new(Inbox(events)))
            .router();
        let host = Server::bind(([127, 0, 0, 1], 0).into(), router)
            .await
            .unwrap();
        let url = format!("http://{}{path}", host.address());
        self.set_callback(bot, &url, TOKEN, KEY).unwrap();
        Callbacks {
            inbox,
            url,
            _host: host,
        }
    }

    /// A bot without a callback yet.
    pub(crate) fn bot(&self, new: &NewBot) -> String {
        self.add_bot(new).unwrap()
    }

    /// The first message of a bot that fits.
    pub(crate) async fn shown(
        &self,
        bot: &str,
        fits: impl Fn(&MessageView) -> bool + Send + Sync,
    ) -> MessageView {
        let found = self.wait_for(PATIENCE, |wecom| wecom.sent(bot).into_iter().find(&fits));
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("not among {:?}", self.sent(bot)),
        }
    }

    /// Lets time pass by itself, a hundred times as fast as it does outside, until dropped. Everything here runs on
    /// one thread, so nobody is overtaken who has something to do.
    pub(crate) fn flow(&self) -> Flow {
        let clock = self.clock.clone();
        let flowing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                clock.advance(Duration::from_millis(500));
            }
        });
        Flow(flowing.abort_handle())
    }

    /// How often a method was called.
    pub(crate) fn count(&self, method: &str) -> usize {
        let calls = self.calls();
        calls.iter().filter(|call| call.method == method).count()
    }
}

/// Words enough for several messages.
pub(crate) fn many_words(count: usize) -> String {
    (0..count).map(|number| format!("字{number} ")).collect()
}

/// Whether nothing of the words is missing in the messages, whatever their kind.
pub(crate) fn is_whole(sent: &[MessageView], words: &str) -> bool {
    let parts = sent.iter().map(|sent| {
        let kind = sent.body["msgtype"].as_str().unwrap();
        sent.body[kind]["content"].as_str().unwrap()
    });
    parts
        .flat_map(str::split_whitespace)
        .eq(words.split_whitespace())
}

/// Time that passes.
pub(crate) struct Flow(tokio::task::AbortHandle);

impl Drop for Flow {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where the events of a callback end up.
#[derive(Debug)]
struct Inbox(mpsc::UnboundedSender<Event>);

#[async_trait]
impl Intake for Inbox {
    async fn take(&self, events: Vec<Event>) -> Result<(), Refused> {
        for event in events {
            self.0.send(event).map_err(|_| Refused::Stopping)?;
        }
        Ok(())
    }
}

pub(crate) struct Callbacks {
    inbox: mpsc::UnboundedReceiver<Event>,
    pub(crate) url: String,
    _host: Server,
}

impl Callbacks {
    pub(crate) async fn event(&mut self) -> Event {
        let next = tokio::time::timeout(PATIENCE, self.inbox.recv());
        next.await.unwrap().unwrap()
    }

    pub(crate) async fn message(&mut self) -> Message {
        let event = self.event().await;
        event.message().unwrap().clone()
    }

    pub(crate) fn is_empty(&mut self) -> bool {
        self.inbox.try_recv().is_err()
    }
}
