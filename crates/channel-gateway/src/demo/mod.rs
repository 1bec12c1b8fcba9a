//! The demo: a bot on an emulated Telegram and on the standard channel, and a page to
//! watch it from.

mod accounts;
mod api;
mod attacks;
mod bot;
mod feed;
mod guard;
mod observed;
mod page;
mod platforms;
mod policy;
mod recorder;
mod telegram;
mod wire;

use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::middleware;
use channel_core::{
    Action, Channel, ChannelId, ChatId, Error, Message, Random, Result, Secret, Transport,
};
use channel_delivery::SqliteStore;
use channel_emulator::telegram::TelegramConfig;
use channel_policy::Gate;
use channel_runtime::{Bot, ChannelState, HandlerResult, Incoming, Running};
use channel_standard::Standard;
use channel_telegram::Telegram;
use channel_webhook::{Host, Server};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use accounts::{Accounts, Home};
use observed::Observed;
use platforms::{Emulated, Opening};
use policy::Minuted;
use recorder::Recorder;
use telegram::{BOT_NAME, PERSON, PERSON_NAME, Platform, STRANGER};
use wire::RecordingHttp;

const TELEGRAM: &str = "telegram";
const STANDARD: &str = "standard";
/// Where the webhook is, for forgers to try.
const WEBHOOK: &str = "/telegram/webhook";
/// What the ids of the page's clients begin with.
const GUEST: &str = "guest-";
/// Clients for pages; more than there may be at once.
const GUESTS: usize = 256;
/// Pages that are kept up to date at once.
const READERS: usize = 32;
/// How long handlers, and then connections, may go on after the demo was told to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// The settings of a [`Demo`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DemoConfig {
    /// Where the page is served; a free port of 127.0.0.1 by default.
    pub bind: SocketAddr,
    /// How many events may be queued or in handlers at once; 1000 by default.
    pub capacity: usize,
    /// What people are told for whose messages there is no room; nothing by default.
    pub tell_when_full: Option<String>,
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            capacity: 1000,
            tell_when_full: None,
        }
    }
}

impl DemoConfig {
    /// Serves the page on another address, which has to be of this machine alone.
    #[must_use]
    pub const fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = address;
        self
    }

    /// Sets how many events may be queued or in handlers at once; see [`Bot::capacity`].
    #[must_use]
    pub const fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// Tells people in these words that there is no room; see [`Bot::tell_when_full`].
    #[must_use]
    pub fn tell_when_full(mut self, text: impl Into<String>) -> Self {
        self.tell_when_full = Some(text.into());
        self
    }
}

/// A running demo, with its databases in a temporary folder. [`stop`](Self::stop) ends it politely.
pub struct Demo {
    stage: Arc<Stage>,
    running: Running,
    server: Server,
    accounts: Accounts,
    /// Goes last: everything that writes into it has ended by then.
    home: Home,
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demo")
            .field("address", &self.server.address())
            .finish_non_exhaustive()
    }
}

/// What everything behind the page shares.
struct Stage {
    platform: Platform,
    /// The other emulated platforms.
    others: Vec<Arc<dyn Emulated>>,
    recorder: Recorder,
    transport: Transport,
    /// The token of the standard channel that clients could share, another one each time.
    token: Secret,
    guests: Guests,
    /// Known once the page is served.
    address: OnceLock<SocketAddr>,
    /// What each channel promises, for the page.
    promises: Mutex<Vec<Value>>,
    readers: Arc<Semaphore>,
    closing: watch::Sender<bool>,
}

/// Clients of the standard channel for pages, each with a token of its own, so that nobody
/// else can be them.
struct Guests {
    /// Tells this run of the demo from others.
    run: String,
    all: Vec<(String, Secret)>,
    next: AtomicUsize,
}

impl Guests {
    fn new(random: &dyn Random) -> Self {
        let run = random_hex(random, 4);
        let guest = |number| {
            let client = format!("{GUEST}{run}-{number}");
            (client, Secret::new(random_hex(random, 24)))
        };
        Self {
            all: (1..=GUESTS).map(guest).collect(),
            run,
            next: AtomicUsize::new(0),
        }
    }

    /// A client for a page that begins; the first again after the last.
    fn take(&self) -> Option<&(String, Secret)> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.all.get(next.checked_rem(self.all.len())?)
    }
}

impl Stage {
    /// The demo's own address, for attacks on it.
    fn base(&self, scheme: &str) -> String {
        let address = self.address.get();
        let address = address.map_or_else(|| "127.0.0.1:0".to_owned(), ToString::to_string);
        format!("{scheme}://{address}")
    }
}

impl Demo {
    /// Starts platforms, bot and page in the background of the current tokio runtime.
    ///
    /// # Errors
    ///
    /// `Config` if the address is not a loopback address or cannot be bound.
    pub async fn start(config: DemoConfig) -> Result<Self> {
        if !config.bind.ip().is_loopback() {
            return Err(Error::config(
                "the demo has no password: --bind takes a loopback address such as 127.0.0.1:8080",
            ));
        }
        let transport = channel_http::transport();
        let random = transport.random.as_ref();
        let bot_token = Secret::new(format!("7000000001:{}", random_hex(random, 16)));
        let recorder = Recorder::new(Arc::clone(&transport.clock));
        let opening = Opening {
            random,
            recorded: &|secret| recorded(&transport, &recorder, secret),
        };
        let others = platforms::open(&opening).await?;
        let stage = Arc::new(Stage {
            platform: emulated(&bot_token).await?,
            others: others.iter().map(|(one, _)| Arc::clone(one)).collect(),
            recorder,
            token: Secret::new(random_hex(random, 24)),
            guests: Guests::new(random),
            address: OnceLock::new(),
            promises: Mutex::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            closing: watch::Sender::new(false),
            transport,
        });
        let standard = stage
            .guests
            .all
            .iter()
            .fold(Standard::builder(), |builder, (client, token)| {
                builder.client_token(client, token.clone())
            })
            .token(stage.token.expose())
            .build()
            .map(|standard| stage.observe(Arc::new(standard), None))?;
        let polling = Telegram::builder()
            .token(bot_token.clone())
            .api_base(stage.platform.server.api_base())
            .transport(recorded(&stage.transport, &stage.recorder, &bot_token))
            .build()?;
        let home = Home::new(stage.transport.random.as_ref())?;
        let accounts = Accounts::open(&home, &stage.transport).await?;
        let events = SqliteStore::open(home.file("events.db"))
            .await
            .map_err(|source| {
                Error::config("the demo's store cannot be opened").with_source(source)
            })?;
        let mut bot = stage
            .bot(accounts.gate(&stage.transport, &others)?, &config)
            .store(events)
            .served_elsewhere()
            .channel(stage.observe(Arc::new(polling), None))
            .channel(Arc::clone(&standard));
        let mut hosted = Vec::new();
        for (platform, channel) in others {
            let channel = stage.observe(channel, Some(platform));
            if channel.as_webhook().is_some() && channel.as_events().is_none() {
                hosted.push(Arc::clone(&channel));
            }
            bot = bot.channel(channel);
        }
        let running = bot.start().await?;
        // The same bot by webhook: nothing is ever delivered there but forgeries.
        let forgeable = Telegram::builder()
            .token(bot_token)
            .api_base(stage.platform.server.api_base())
            .webhook_secret(random_hex(stage.transport.random.as_ref(), 16))
            .webhook_path(WEBHOOK)
            .build()?;
        let intake = |channel: &str| {
            running
                .intake(&ChannelId::new(channel))
                .ok_or_else(|| Error::config(format!("there is no channel {channel}")))
        };
        let mut host = Host::new(Arc::clone(&stage.transport.clock))
            .mount(standard, intake(STANDARD)?)
            .mount(Arc::new(forgeable), intake(TELEGRAM)?);
        for channel in hosted {
            let intake = intake(channel.info().id.as_str())?;
            host = host.mount(channel, intake);
        }
        let router = page::router()
            .merge(api::router(Arc::clone(&stage)))
            .merge(accounts.router(stage.transport.random.as_ref())?)
            .merge(host.router())
            .layer(middleware::from_fn(guard::guard));
        let server = Server::bind(config.bind, router).await?;
        // Set once, and here only.
        let _ = stage.address.set(server.address());
        // What the button of a fresh chat sends, so that there is something to see.
        let platform = &stage.platform;
        platform
            .emulator()
            .private_text(platform.bot, PERSON, "/start")
            .map_err(|error| Error::config(error.to_string()))?;
        for platform in &stage.others {
            platform.call(&stage.base("http"))?;
            tokio::spawn(Arc::clone(&stage).greet(Arc::clone(platform)));
        }
        Ok(Self {
            stage,
            running,
            server,
            accounts,
            home,
        })
    }

    /// The address of the page.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The address of the page, as a browser takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address())
    }

    /// The temporary folder with the databases.
    #[must_use]
    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// The emulated platform, to look behind the page in a test.
    #[must_use]
    pub fn telegram(&self) -> &channel_emulator::Telegram {
        self.stage.platform.emulator()
    }

    /// Stops the page and the bot, and then the platforms.
    pub async fn stop(self) {
        self.stage.closing.send_replace(true);
        self.server.close();
        self.running.stop().await;
        let clock = Arc::clone(&self.stage.transport.clock);
        self.server.finish(DRAIN, clock.as_ref()).await;
        self.stage.platform.server.stop();
        for platform in &self.stage.others {
            platform.server().stop();
        }
        self.accounts.close().await;
    }
}

impl Stage {
    /// Presses the start of a chat as soon as its channel hears it.
    async fn greet(self: Arc<Self>, platform: Arc<dyn Emulated>) {
        let mut closing = self.closing.subscribe();
        let channel = ChannelId::new(platform.about().id);
        let ready = async {
            self.recorder.becomes(&channel, "ready").await;
            platform.reachable().await;
        };
        tokio::select! {
            () = ready => {
                if let Err(error) = platform.say("/start") {
                    tracing::warn!(%error, "a chat of the demo does not begin");
                }
            }
            // The sender is gone only when the demo is.
            _ = closing.wait_for(|closing| *closing) => {}
        }
    }

    fn observe(
        &self,
        channel: Arc<dyn Channel>,
        platform: Option<Arc<dyn Emulated>>,
    ) -> Arc<dyn Channel> {
        let info = channel.info();
        let calls = info.guarantees.calls();
        let promise = json!({
            "channel": info.id,
            "redelivery": info.guarantees.redelivery().to_string(),
            "calls": calls
                .map(|(call, repeat)| json!({"call": call, "after": repeat.to_string()}))
                .collect::<Vec<_>>(),
        });
        self.promises
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(promise);
        let clock = Arc::clone(&self.transport.clock);
        Arc::new(Observed::new(
            channel,
            platform,
            self.recorder.clone(),
            clock,
        ))
    }

    fn bot(&self, gate: Gate, config: &DemoConfig) -> Bot {
        let policy = Minuted {
            inner: gate,
            recorder: self.recorder.clone(),
        };
        let (on_message, on_edited, on_action, on_status) = (
            self.recorder.clone(),
            self.recorder.clone(),
            self.recorder.clone(),
            self.recorder.clone(),
        );
        let bot = Bot::new(policy).capacity(config.capacity);
        let bot = match &config.tell_when_full {
            Some(text) => bot.tell_when_full(text),
            None => bot,
        };
        bot.drain_within(DRAIN)
            .on_message(move |message| {
                minuted(&on_message, of_message(&message), bot::message(message))
            })
            .on_edited(move |message| {
                minuted(&on_edited, of_message(&message), bot::edited(message))
            })
            .on_action(move |action| minuted(&on_action, of_action(&action), bot::pressed(action)))
            // So that the page shows the verdict on everything that comes in.
            .on_other(|_, _| async { Ok(()) })
            .on_status(move |status| {
                let state = match status.state {
                    ChannelState::Ready => "ready",
                    ChannelState::Starting => "starting",
                    ChannelState::Reconnecting { .. } => "reconnecting",
                    ChannelState::Stopped => "stopped",
                    _ => "failed",
                };
                on_status.state(&status.channel, state);
            })
    }
}

type Place = (ChannelId, ChatId);

fn of_message(message: &Incoming<Message>) -> Place {
    (
        message.channel().info().id.clone(),
        message.return_address.target().chat.clone(),
    )
}

fn of_action(action: &Incoming<Action>) -> Place {
    (action.channel().info().id.clone(), action.chat.id.clone())
}

/// Runs a handler and writes down how it ended.
fn minuted<F>(
    recorder: &Recorder,
    (channel, chat): Place,
    handler: F,
) -> impl Future<Output = HandlerResult> + Send + 'static + use<F>
where
    F: Future<Output = HandlerResult> + Send + 'static,
{
    let recorder = recorder.clone();
    async move {
        let result = handler.await;
        let error = result.as_ref().err().map(ToString::to_string);
        recorder.done(&channel, &chat, error);
        result
    }
}

/// A transport with a record of what it sends.
fn recorded(transport: &Transport, recorder: &Recorder, secret: &Secret) -> Transport {
    let mut transport = transport.clone();
    transport.http = Arc::new(RecordingHttp {
        inner: transport.http,
        clock: Arc::clone(&transport.clock),
        recorder: recorder.clone(),
        secret: secret.clone(),
    });
    transport
}

/// A platform with everybody on it.
async fn emulated(token: &Secret) -> Result<Platform> {
    let failed = |source| Error::config("the emulated Telegram cannot listen").with_source(source);
    let server = channel_emulator::Telegram::start(TelegramConfig::default())
        .await
        .map_err(|error: std::io::Error| failed(error))?;
    let bot = server
        .add_bot(token.expose(), BOT_NAME)
        .map_err(|error| Error::config(error.to_string()))?;
    server.user(PERSON, PERSON_NAME);
    server.user(STRANGER, "Mallory");
    Ok(Platform { server, bot })
}

/// Random bytes in hexadecimal.
fn random_hex(random: &dyn Random, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    random.fill(&mut buffer);
    hex::encode(buffer)
}
