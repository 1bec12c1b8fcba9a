#![doc = include_str!("../README.md")]

mod login;
mod platforms;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use channel_binding::{
    Bindings, BindingsBuilder, ConnectGate, ConnectPlatform, MemoryBindings, OwnerApi, SqlBindings,
};
use channel_kit::core::{
    Channel as _, ChannelId, ChannelInfo, Error, Random, Result, Secret, Transport,
};
use channel_kit::http::transport;
use channel_kit::runtime::{Bot, Running};
use channel_kit::standard::Standard;
use channel_kit::telegram::Telegram;
use channel_kit::webhook::{Host, Server};
use channel_policy::{AccessConfig, AuditRing, Gate, MemoryPolicies, PolicyStore};

use login::Login;
use platforms::Phones;

/// The name of the application, for people.
const NAME: &str = "Acme";

/// Where the application is served, and where bindings are kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// An address of this machine: the passwords are on the page.
    pub bind: SocketAddr,
    /// `memory`, `sqlite:PATH` or `postgres://...`.
    pub store: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8790)),
            store: "memory".to_owned(),
        }
    }
}

/// The running application.
pub struct App {
    phones: Phones,
    running: Running,
    server: Server,
    transport: Transport,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("address", &self.server.address())
            .finish_non_exhaustive()
    }
}

impl App {
    /// Starts platforms, bot and pages.
    ///
    /// # Errors
    ///
    /// `Config` if the address is not one of this machine or cannot be bound, or the store
    /// is not understood.
    pub async fn start(settings: Settings) -> Result<Self> {
        if !settings.bind.ip().is_loopback() {
            return Err(Error::config(
                "the passwords are public: CHANNEL_BIND takes a loopback address",
            ));
        }
        let transport = transport();
        let phones = Phones::start(transport.random.as_ref()).await?;
        let telegram = Telegram::builder()
            .token(phones.bot_token().clone())
            .api_base(phones.api_base())
            .build()?;
        // Nobody gets the token that all clients could share.
        let standard = Standard::builder()
            .token(fresh_secret(transport.random.as_ref()))
            .client_token(platforms::CLIENT, phones.client_token().clone())
            .build()?;
        let kept = kept(&settings.store, telegram.info(), &transport).await?;
        let running = bot(&kept, &transport)?
            .channel(telegram)
            .channel(standard.clone())
            .served_elsewhere()
            .start()
            .await?;
        let login = Arc::new(Login::new(&transport)?);
        let owner_api = OwnerApi::new(kept.bindings, Arc::clone(&login), transport.random.as_ref());
        let intake = running
            .intake(&ChannelId::new("standard"))
            .ok_or_else(|| Error::config("there is no standard channel"))?;
        let host = Host::new(Arc::clone(&transport.clock)).mount(Arc::new(standard), intake);
        let router = login::router(login)
            .merge(owner_api.router()?)
            .merge(phones.router())
            .merge(host.router());
        let server = Server::bind(settings.bind, router).await?;
        Ok(Self {
            phones,
            running,
            server,
            transport,
        })
    }

    /// The address of the first page.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.server.address())
    }

    /// Stops pages and bot, then the platforms.
    pub async fn stop(self) {
        self.server.close();
        self.running.stop().await;
        let clock = self.transport.clock.as_ref();
        self.server.finish(Duration::from_secs(2), clock).await;
        self.phones.stop();
    }
}

/// Who is connected, and who is locked or settled, in one store.
struct Kept {
    bindings: Bindings,
    policies: Arc<dyn PolicyStore>,
}

/// Who may be connected, and where that is kept.
async fn kept(store: &str, telegram: &ChannelInfo, transport: &Transport) -> Result<Kept> {
    let clock = Arc::clone(&transport.clock);
    let random = Arc::clone(&transport.random);
    let (builder, policies): (BindingsBuilder, Arc<dyn PolicyStore>) = match store {
        "memory" => (
            Bindings::builder(NAME, MemoryBindings::new(), clock, random),
            Arc::new(MemoryPolicies::new()),
        ),
        url => {
            let store = SqlBindings::connect(url).await?;
            (
                Bindings::builder(NAME, store.clone(), clock, random),
                Arc::new(store),
            )
        }
    };
    let bindings = builder
        .platform(
            ConnectPlatform::by_link(platforms::TELEGRAM, "Telegram", |code| {
                Some(format!("{}?start={code}", platforms::LINK))
            })
            .declared_by(telegram),
        )
        .platform(ConnectPlatform::by_code(platforms::STANDARD, "Chat"))
        .build()?;
    Ok(Kept { bindings, policies })
}

/// The bot: it talks to those who are connected, and to nobody else.
fn bot(kept: &Kept, transport: &Transport) -> Result<Bot> {
    let everyone = AccessConfig::new().allow_from("*");
    let gate = Gate::builder(Arc::clone(&transport.clock))
        .channel("telegram", everyone.clone())
        .channel("standard", everyone)
        .identities(Arc::new(
            ConnectGate::new(kept.bindings.clone()).keep_in(kept.policies.clone()),
        ))
        .audit(Arc::new(AuditRing::default()))
        .strict(true)
        .build()?;
    Ok(Bot::new(gate).on_message(|message| async move {
        let bound = message.authorized().bound();
        let owner = bound.map_or("nobody", |bound| bound.owner.as_str());
        message
            .reply(format!("Hello {owner}, you said: {}", message.text))
            .await?;
        Ok(())
    }))
}

/// A secret that nobody knows before.
fn fresh_secret(random: &dyn Random) -> Secret {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    Secret::new(hex::encode(bytes))
}
