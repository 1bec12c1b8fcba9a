//! The front door.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Action, AuthorizedEvent, Channel, ChannelInfo, Error, Limits, Message, Platform, Policy,
    Result, TextLimit, TextUnit, Transport,
};
use channel_delivery::JournalEntry;
#[cfg(feature = "store")]
use channel_delivery::{OutboxSettings, Store};
use futures_util::FutureExt as _;
use tokio::sync::watch;

use crate::bound::Guarded;
use crate::driver::{Core, Entry, StatusHook};
use crate::durable::Durable;
use crate::full::FullNotice;
use crate::handler::{HandlerResult, Handlers, boxed};
use crate::inbox::Seen;
use crate::incoming::Incoming;
use crate::lanes::Lanes;
use crate::overlap::Overlap;
use crate::replay::{Replayed, replay};
use crate::retry::Retry;
use crate::running::Running;
use crate::status::{Board, ChannelStatus};

/// How many events may be queued or in handlers at once, unless somebody says otherwise.
const CAPACITY: usize = 1000;

/// What a bot does with talk in shared chats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupMode {
    /// Listens when it is mentioned, replied to or commanded.
    #[default]
    WhenAddressed,
    /// Listens to everything that the platform delivers.
    Always,
    /// Listens in direct chats only.
    Never,
}

/// Runs handlers behind any number of channels.
///
/// One conversation is handled in order, all conversations at once. A handler that
/// panics, fails or takes long delays nobody but its own conversation.
///
/// An event is acknowledged to the platform when it has been handled: with nothing but
/// memory to keep it, that is when it is safe. After a crash the platform delivers again
/// what was not acknowledged, so a handler may see an event twice. Platforms do not wait
/// for ever, though: an event whose handler takes longer than
/// [`ack_within`](Self::ack_within) or [`answer_within`](Self::answer_within) is
/// acknowledged before it has been handled, and a crash then loses it.
///
/// With a store (feature `store`) an event is on record before it is acknowledged, and a
/// reply before its first byte leaves; see `Bot::store`.
///
/// # Examples
///
/// ```no_run
/// use channel_core::prelude::*;
/// use channel_runtime::Bot;
///
/// # async fn run(channel: std::sync::Arc<dyn Channel>) -> Result<()> {
/// Bot::new(AllowEveryone)
///     .channel(channel)
///     .on_message(|message| async move {
///         message.reply(format!("echo: {}", message.text)).await?;
///         Ok(())
///     })
///     .run()
///     .await
/// # }
/// ```
#[must_use = "a bot does nothing until it runs"]
pub struct Bot {
    policy: Arc<dyn Policy>,
    channels: Vec<Arc<dyn Channel>>,
    handlers: Handlers,
    groups: GroupMode,
    overlap: Overlap,
    typing: bool,
    capacity: usize,
    full: Option<String>,
    ack_within: Duration,
    answer_within: Duration,
    drain_within: Duration,
    retries: u32,
    transport: Option<Transport>,
    hook: Option<StatusHook>,
    served_elsewhere: bool,
    #[cfg(feature = "store")]
    store: Option<Arc<dyn Store>>,
    #[cfg(feature = "store")]
    attempts: u32,
    #[cfg(feature = "store")]
    keep_for: Duration,
    #[cfg(feature = "store")]
    outbox: OutboxSettings,
    #[cfg(feature = "webhook")]
    listen: Option<std::net::SocketAddr>,
}

impl Bot {
    /// A bot whose handlers are given what this policy lets pass.
    pub fn new(policy: impl Policy + 'static) -> Self {
        Self {
            policy: Arc::new(policy),
            channels: Vec::new(),
            handlers: Handlers::default(),
            groups: GroupMode::default(),
            overlap: Overlap::default(),
            typing: false,
            capacity: CAPACITY,
            full: None,
            ack_within: Duration::from_millis(900),
            answer_within: Duration::from_millis(500),
            drain_within: Duration::from_secs(7),
            retries: 3,
            transport: None,
            hook: None,
            served_elsewhere: false,
            #[cfg(feature = "store")]
            store: None,
            #[cfg(feature = "store")]
            attempts: 3,
            #[cfg(feature = "store")]
            keep_for: Duration::from_secs(7 * 86_400),
            #[cfg(feature = "store")]
            outbox: OutboxSettings::default(),
            #[cfg(feature = "webhook")]
            listen: None,
        }
    }

    /// Adds a channel.
    pub fn channel(mut self, channel: impl Channel) -> Self {
        self.channels.push(Arc::new(channel));
        self
    }

    /// Handles new messages.
    pub fn on_message<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Incoming<Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HandlerResult> + Send + 'static,
    {
        self.handlers.message = Some(boxed(handler));
        self
    }

    /// Handles edited messages; without a handler they are ignored.
    pub fn on_edited<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Incoming<Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HandlerResult> + Send + 'static,
    {
        self.handlers.edited = Some(boxed(handler));
        self
    }

    /// Handles presses of buttons.
    pub fn on_action<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Incoming<Action>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HandlerResult> + Send + 'static,
    {
        self.handlers.action = Some(boxed(handler));
        self
    }

    /// Handles everything else: reactions, deletions, membership, moved chats, events of
    /// unknown kinds.
    pub fn on_other<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Arc<dyn Channel>, AuthorizedEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HandlerResult> + Send + 'static,
    {
        self.handlers.other = Some(Arc::new(move |channel, event| {
            handler(channel, event).boxed()
        }));
        self
    }

    /// Is told of every change of a channel's state.
    pub fn on_status(mut self, hook: impl Fn(&ChannelStatus) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Says what to do with talk in shared chats; by default only what is meant for the
    /// bot is handled.
    pub const fn groups(mut self, mode: GroupMode) -> Self {
        self.groups = mode;
        self
    }

    /// Says what happens to messages that come while another one of their conversation is
    /// handled; by default they are handled one after the other.
    pub const fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Shows that an answer is being written while a handler runs.
    pub const fn typing(mut self, typing: bool) -> Self {
        self.typing = typing;
        self
    }

    /// Sets how many events may be queued or in handlers at once; 1000 by default.
    ///
    /// When there is no more room, connections are read no further and webhooks are
    /// answered with 503, so that the platform comes again. No room at all is a slip: 0 counts
    /// as 1000, with a warning. Each connection holds one place while it waits for its next event, so
    /// with fewer places than connections some of them are not read at all.
    pub const fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// Tells the sender of a message for which there is no [room](Self::capacity), in these words:
    /// each conversation once, until half of the places are free again. Off by default: nothing
    /// is lost without it, because the platform brings the message again, and only the application
    /// knows in which words and which language it speaks to people.
    ///
    /// Told are those whom the policy would let in, as far as it
    /// [can tell without I/O](Policy::foretell), and nobody for whom the platform does not vouch.
    /// The refusal does not wait for it. It goes into the chat as a message of its own, so that an
    /// answer that a platform allows once is left for the handler; where it allows nothing else
    /// nobody is told.
    ///
    /// A message that comes over a connection is not refused: while there is no room nobody
    /// reads it.
    pub fn tell_when_full(mut self, text: impl Into<String>) -> Self {
        self.full = Some(text.into());
        self
    }

    /// Sets how long the acknowledgement of an event that came over a connection waits for
    /// its handler; 900 ms by default, because the strictest platforms want it within 3 s of
    /// their own sending and some are slow on the way.
    ///
    /// Longer loses less in a crash, and costs more where the platform repeats what is not
    /// acknowledged, as Telegram does.
    pub const fn ack_within(mut self, wait: Duration) -> Self {
        self.ack_within = wait;
        self
    }

    /// Sets how long the answer to a webhook waits for the handler of its event; 500 ms by
    /// default, because platforms wait for a few seconds at most.
    pub const fn answer_within(mut self, wait: Duration) -> Self {
        self.answer_within = wait;
        self
    }

    /// Sets how long handlers may go on after the bot was told to stop; 7 s by default, so
    /// that the process ends within 10 s.
    pub const fn drain_within(mut self, wait: Duration) -> Self {
        self.drain_within = wait;
        self
    }

    /// Sets how often a send is tried again where that is safe; 3 times by default. See
    /// [`Retry`].
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Keeps events and replies in a store, so that a crash loses nothing.
    ///
    /// An event is recorded before the platform hears "received", and handled until its
    /// handler has finished: after a crash, or when the handler fails, it is handled again,
    /// up to [`attempts`](Self::attempts) times, and then set aside. Each reply is recorded
    /// before its first byte leaves. The n-th message that an attempt at an event sends
    /// counts as the same message as the n-th of the attempt before, so a reply that went
    /// out is not sent again.
    ///
    /// [`ack_within`](Self::ack_within), [`answer_within`](Self::answer_within) and
    /// [`retries`](Self::retries) of sends have no meaning then.
    #[cfg(feature = "store")]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets after how many attempts an event is set aside; 3 by default. Only with a
    /// [`store`](Self::store).
    #[cfg(feature = "store")]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// Sets how long finished events and replies stay in the [`store`](Self::store); 7 days
    /// by default. Their ids are forgotten with them, so it has to be longer than platforms
    /// deliver again.
    #[cfg(feature = "store")]
    pub const fn keep_for(mut self, span: Duration) -> Self {
        self.keep_for = span;
        self
    }

    /// Sets how replies are delivered, such as what to do with one that may have arrived.
    /// Only with a [`store`](Self::store).
    #[cfg(feature = "store")]
    pub fn delivery(mut self, settings: OutboxSettings) -> Self {
        self.outbox = settings;
        self
    }

    /// Replaces clock and randomness, for tests.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Says that the application serves the webhooks of the channels itself and hands
    /// their events to [`Running::intake`].
    pub const fn served_elsewhere(mut self) -> Self {
        self.served_elsewhere = true;
        self
    }

    /// Serves the webhooks and websockets of the channels on this address.
    #[cfg(feature = "webhook")]
    pub const fn listen(mut self, address: std::net::SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Runs recorded events through this bot's policy and handlers and says what they
    /// answer now, beside what was answered then. Nothing leaves the process and nothing is
    /// recorded; files of the events cannot be downloaded.
    pub async fn replay(mut self, entries: Vec<JournalEntry>) -> Vec<Replayed> {
        let infos: Vec<ChannelInfo> = self
            .channels
            .iter()
            .map(|channel| channel.info().clone())
            .collect();
        let transport = self.take_transport();
        let core = self.core(&transport, None);
        // It judges as it would if it ran, also what it would not run with.
        if let Err(error) = core.policy.check(&infos.iter().collect::<Vec<_>>()) {
            tracing::debug!(%error, "the policy would not start with these channels");
        }
        let mut replayed = Vec::with_capacity(entries.len());
        for entry in entries {
            let id = &entry.event.event.channel;
            let info = infos.iter().find(|info| info.id == *id).cloned();
            let info = info.unwrap_or_else(|| {
                let limit = TextLimit::new(usize::MAX, TextUnit::CodePoints);
                ChannelInfo::new(id.clone(), Platform::new("replay"), Limits::new(limit))
            });
            replayed.push(replay(&core, &info, entry).await);
        }
        replayed
    }

    /// Starts the bot in the background of the current tokio runtime.
    ///
    /// # Errors
    ///
    /// `Config` if there is no channel, two channels have the same id or serve the same
    /// path, a channel can only receive over HTTP and nothing listens, the policy refuses a
    /// channel, the store is in use by another process, or the address cannot be bound;
    /// `Unavailable` if the store does not answer.
    pub async fn start(mut self) -> Result<Running> {
        let transport = self.take_transport();
        if self.channels.is_empty() {
            return Err(Error::config("the bot has no channel"));
        }
        let mut ids = HashSet::new();
        for channel in &self.channels {
            let id = &channel.info().id;
            if !ids.insert(id.clone()) {
                return Err(Error::config(format!(
                    "two channels are called {id}; give one another id"
                )));
            }
        }
        let infos: Vec<_> = self.channels.iter().map(|channel| channel.info()).collect();
        self.policy.check(&infos)?;
        drop(infos);
        // Below whatever keeps messages or tries them again.
        self.channels = std::mem::take(&mut self.channels)
            .into_iter()
            .map(|channel| {
                Arc::new(Guarded::new(channel, Arc::clone(&self.policy))) as Arc<dyn Channel>
            })
            .collect();
        let now = transport.clock.now();
        #[cfg(not(feature = "store"))]
        let (durable, requests) = (None, None);
        #[cfg(feature = "store")]
        let (durable, requests) = match self.store.take() {
            Some(store) => {
                let settings = std::mem::take(&mut self.outbox);
                let limits = (self.attempts, self.keep_for);
                let (durable, requests) =
                    Durable::start(store, &transport, &self.channels, settings, limits).await?;
                (Some(durable), Some(requests))
            }
            None => (None, None),
        };
        let core = self.core(&transport, durable);
        let entries: Vec<Arc<Entry>> = self
            .channels
            .into_iter()
            .map(|channel| {
                let info = channel.info();
                let board = Board::new(info.id.clone(), info.platform.clone(), now);
                let retry = Retry::new(
                    channel,
                    Arc::clone(&transport.clock),
                    Arc::clone(&transport.random),
                )
                .retries(self.retries);
                Arc::new(Entry {
                    channel: Arc::new(retry),
                    board,
                })
            })
            .collect();
        let core = Arc::new(core);
        #[cfg(feature = "webhook")]
        let listen = self.listen;
        #[cfg(not(feature = "webhook"))]
        let listen = None;
        Running::start(
            core,
            entries,
            requests,
            self.drain_within,
            listen,
            self.served_elsewhere,
        )
        .await
    }

    fn take_transport(&mut self) -> Transport {
        self.transport
            .take()
            .unwrap_or_else(channel_http::transport)
    }

    fn core(&self, transport: &Transport, durable: Option<Durable>) -> Core {
        let capacity = match self.capacity {
            0 => {
                tracing::warn!(capacity = CAPACITY, "a bot without room would take nothing");
                CAPACITY
            }
            capacity => capacity,
        };
        Core {
            policy: Arc::clone(&self.policy),
            handlers: self.handlers.clone(),
            groups: self.groups,
            overlap: self.overlap,
            typing: self.typing,
            ack_within: self.ack_within,
            answer_within: self.answer_within,
            clock: Arc::clone(&transport.clock),
            random: Arc::clone(&transport.random),
            lanes: Lanes::new(capacity),
            seen: Seen::new(10_000, Duration::from_secs(600)),
            hook: self.hook.clone(),
            stop: watch::Sender::new(false),
            durable,
            full: self.full.clone().map(FullNotice::new),
        }
    }

    /// Runs until the process is told to stop (SIGTERM or Ctrl-C), then drains.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), and when every channel has failed for good.
    pub async fn run(self) -> Result<()> {
        self.run_until(crate::running::terminated()).await
    }

    /// Runs until `stop` is done, then drains.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send) -> Result<()> {
        let mut running = self.start().await?;
        let failed = tokio::select! {
            () = stop => None,
            error = running.failed() => Some(error),
        };
        running.stop().await;
        failed.map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot")
            .field("policy", &self.policy)
            .field("channels", &self.channels)
            .field("handlers", &self.handlers)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}
