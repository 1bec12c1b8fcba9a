//! The demo's owner, and the chat accounts that she connects.

use std::fs::DirBuilder;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use channel_binding::{
    Bindings, ConnectGate, ConnectPlatform, CookieSessions, OwnerApi, OwnerAuth as _, SqlBindings,
};
use channel_core::{
    BindingScope, Error, Event, OwnerId, Platform, Proof, Random, Result, Secret, Transport,
};
use channel_policy::{AccessConfig, Directory, Gate, RateLimits};
use http::HeaderMap;
use http::header::SET_COOKIE;

use super::platforms::Pair;
use super::telegram::{PERSON, PERSON_NAME};
use super::{GUEST, STANDARD, TELEGRAM, random_hex};

/// The application's own user, as whom the page signs its visitor in.
const OWNER: &str = "ada";
/// What the page's own clients are to the gate.
const GUEST_ROLE: &str = "guest";
/// What the demo calls itself where people connect their accounts.
const APPLICATION: &str = "channel-kit demo";

/// A folder for the databases of one run; gone with it.
#[derive(Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new(random: &dyn Random) -> Result<Self> {
        let name = format!("channel-kit-demo-{}", random_hex(random, 8));
        let path = std::env::temp_dir().join(name);
        let mut folder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(&path).map_err(|source| {
            Error::config("there is no room for a temporary folder").with_source(source)
        })?;
        Ok(Self(path))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the temporary folder is still there");
        }
    }
}

/// Who is connected, and who is signed in.
pub(crate) struct Accounts {
    bindings: Bindings,
    store: SqlBindings,
    sessions: Arc<CookieSessions>,
}

impl Accounts {
    pub(crate) async fn open(home: &Home, transport: &Transport) -> Result<Self> {
        let (clock, random) = (Arc::clone(&transport.clock), Arc::clone(&transport.random));
        let url = format!("sqlite:{}", home.file("accounts.db").display());
        let store = SqlBindings::connect(&url).await?;
        let telegram = ConnectPlatform::by_link(Platform::new("telegram"), "Telegram", |code| {
            // What stands for https://t.me/<bot> here: the emulated chat on the demo's page.
            Some(format!("/?start={code}"))
        });
        let standard = ConnectPlatform::by_code(Platform::new("standard"), "Standard");
        let bindings = Bindings::builder(APPLICATION, store.clone(), clock, random)
            .platform(telegram.scope(BindingScope::Personal))
            .platform(standard)
            .build()?;
        let secret = Secret::new(random_hex(transport.random.as_ref(), 32));
        let (clock, random) = (Arc::clone(&transport.clock), Arc::clone(&transport.random));
        let sessions = CookieSessions::new(secret, clock, random)?.over_plain_http();
        Ok(Self {
            bindings,
            store,
            sessions: Arc::new(sessions),
        })
    }

    /// The policy: the person at the page may, on any platform, and is known as the owner
    /// once the account is connected.
    pub(crate) fn gate(&self, transport: &Transport, others: &[Pair]) -> Result<Gate> {
        let connect = ConnectGate::new(self.bindings.clone()).keep_in(Arc::new(self.store.clone()));
        let person = AccessConfig::new().allow_from(format!("{PERSON}|{PERSON_NAME}"));
        let gate = Gate::builder(Arc::clone(&transport.clock)).channel(TELEGRAM, person);
        others
            .iter()
            .fold(gate, |gate, (platform, _)| {
                let person = AccessConfig::new().allow_from(platform.person());
                gate.channel(platform.about().id, person)
            })
            .channel(STANDARD, AccessConfig::new().allow_role(GUEST_ROLE))
            .directory(Arc::new(Guests))
            .identities(Arc::new(connect))
            // The demo is for looking around first.
            .require_bound_identity(false)
            // Whoever tries everything out is faster than people are.
            .rate_limits(RateLimits::new(600, 600))
            .strict(true)
            .build()
    }

    /// The front page, which signs its visitor in, and the page for connecting accounts.
    pub(crate) fn router(&self, random: &dyn Random) -> Result<Router> {
        let api = OwnerApi::new(self.bindings.clone(), Arc::clone(&self.sessions), random);
        let front = Router::new()
            .route("/", get(front))
            .with_state(Arc::clone(&self.sessions));
        Ok(front.merge(api.router()?))
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
    }
}

/// The page; whoever opens it is signed in as its one owner, without a password: it is
/// served to this machine alone.
async fn front(State(sessions): State<Arc<CookieSessions>>, headers: HeaderMap) -> Response {
    let page = Html(include_str!("../../assets/index.html"));
    if sessions.caller(&headers).await.is_some() {
        return page.into_response();
    }
    match sessions.sign_in(&OwnerId::new(OWNER)) {
        Ok(cookie) => ([(SET_COOKIE, cookie)], page).into_response(),
        Err(_) => page.into_response(),
    }
}

/// Knows the page's own clients: the channel has checked their token.
#[derive(Debug)]
struct Guests;

impl Directory for Guests {
    fn handle(&self, _event: &Event) -> Option<String> {
        None
    }

    fn roles(&self, event: &Event) -> Vec<String> {
        let is_guest = event.sender().is_some_and(|sender| {
            sender.proof == Proof::Verified && sender.account.sender.as_str().starts_with(GUEST)
        });
        if is_guest {
            vec![GUEST_ROLE.to_owned()]
        } else {
            Vec::new()
        }
    }
}
