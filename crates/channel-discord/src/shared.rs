//! What all clones of a channel share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use channel_core::{Case, ChannelInfo, Identity, ReplyLedger, Result, Route, Spelling};
use http::Method;
use serde::Deserialize;

use crate::client::{Call, Client, Op};
use crate::config::DiscordConfig;
use crate::deferral::{Deferrals, Tokens};
use crate::pacing::Pacer;
use crate::verify::Verifier;
use crate::{PLATFORM, limits};

/// Everything behind a [`Discord`](crate::Discord).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) info: ChannelInfo,
    pub(crate) config: DiscordConfig,
    pub(crate) routes: [Route; 2],
    pub(crate) verifier: Option<Verifier>,
    pub(crate) client: Client,
    pub(crate) pacer: Pacer,
    /// Rights to answer commands.
    pub(crate) commands: ReplyLedger,
    pub(crate) deferrals: Deferrals,
    pub(crate) tokens: Tokens,
    #[cfg(feature = "net")]
    pub(crate) link: crate::gateway::Link,
    /// Events that nobody has asked for.
    ignored: AtomicU64,
    me: RwLock<Option<Arc<str>>>,
    application: RwLock<Option<Arc<str>>>,
}

/// <https://docs.discord.com/developers/resources/user#user-object>
#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    username: String,
    global_name: Option<String>,
}

/// <https://docs.discord.com/developers/resources/application#get-current-application>
#[derive(Deserialize)]
struct Application {
    id: String,
}

impl Shared {
    pub(crate) fn new(
        config: DiscordConfig,
        client: Client,
        verifier: Option<Verifier>,
        pacer: Pacer,
    ) -> Self {
        let application = config.application_id.as_deref().map(Arc::from);
        Self {
            info: ChannelInfo::new(config.id.clone(), PLATFORM, limits::limits())
                .binding_scope(channel_core::BindingScope::Personal)
                // https://support.discord.com/hc/en-us/articles/12620128861463: case counts in no username.
                .spelling(Spelling::exact().handles(Case::Insensitive))
                .guarantees(limits::guarantees())
                .pacing(limits::pacing()),
            routes: [
                Route::post(config.interactions_path.as_str(), limits::BODY),
                Route::post(config.events_path.as_str(), limits::BODY),
            ],
            config,
            verifier,
            client,
            pacer,
            commands: ReplyLedger::new(vec![limits::ORIGINAL, limits::FOLLOW_UP, limits::POST]),
            deferrals: Deferrals::default(),
            tokens: Tokens::default(),
            #[cfg(feature = "net")]
            link: crate::gateway::Link::default(),
            ignored: AtomicU64::new(0),
            me: RwLock::default(),
            application: RwLock::new(application),
        }
    }

    /// How long a send waits when Discord wants a pause.
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.config.patience_seconds)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.client.transport.clock.elapsed()
    }

    /// The bot's own id, once it is known.
    pub(crate) fn me(&self) -> Option<Arc<str>> {
        self.me
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn is_me(&self, id: &str) {
        let known = self.me();
        if known.as_deref() != Some(id) {
            let mut me = self.me.write().unwrap_or_else(PoisonError::into_inner);
            *me = Some(id.into());
        }
    }

    #[cfg(feature = "net")]
    pub(crate) fn is_application(&self, id: &str) {
        let mut known = self
            .application
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| id.into());
    }

    pub(crate) fn ignore(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    /// Asks Discord who the bot is, and remembers it.
    pub(crate) async fn identify(&self) -> Result<Identity> {
        let call = Call::new(Op::Me, Method::GET, "/users/@me");
        let user: User = self.call(&call, Some(self.patience())).await?;
        self.is_me(&user.id);
        let name = user
            .global_name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| user.username.clone());
        Ok(Identity::new(user.id, name).with_username(user.username))
    }

    /// The id of the application, asked for once.
    pub(crate) async fn application(&self) -> Result<Arc<str>> {
        let known = self
            .application
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let call = Call::new(Op::Application, Method::GET, "/applications/@me");
        let application: Application = self.call(&call, Some(self.patience())).await?;
        if !crate::address::is_id(&application.id) {
            return Err(crate::error::Failure::Unreadable.into_error(Op::Application, true));
        }
        let id: Arc<str> = application.id.into();
        let mut known = self
            .application
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::clone(&id));
        Ok(id)
    }
}

/// Locks; the data behind our locks is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
