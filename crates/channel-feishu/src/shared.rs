//! What all clones of a channel share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use channel_core::{ChannelInfo, Error, ErrorKind, Identity, Result, Route, Secret, TokenCache};
use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::{Call, Client, Payload};
use crate::config::{FeishuConfig, Mode};
use crate::crypto::Cipher;
use crate::error::{Failure, Fault, Reason};
use crate::memory::Memory;
use crate::presses::Presses;
use crate::typing::Signs;
use crate::{PLATFORM, limits};

const GET_TOKEN: Call = Call::repeatable("get token");
const GET_IDENTITY: Call = Call::repeatable("get identity");
/// How often one call is made again because Feishu wanted a pause.
const FLOOD_RETRIES: u32 = 3;
/// How often a call with a `uuid` is made again after its answer was lost.
const LOST_RETRIES: u32 = 2;
/// The wait before that.
const LOST_WAIT: Duration = Duration::from_millis(500);

/// Everything behind a [`Feishu`](crate::Feishu).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) info: ChannelInfo,
    pub(crate) config: FeishuConfig,
    pub(crate) routes: Vec<Route>,
    pub(crate) cipher: Option<Cipher>,
    pub(crate) client: Client,
    token: TokenCache,
    pub(crate) presses: Presses,
    pub(crate) signs: Signs,
    pub(crate) memory: Memory,
    #[cfg(feature = "net")]
    pub(crate) link: crate::events::Link,
    me: RwLock<Option<Arc<str>>>,
}

/// <https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal>
#[derive(Serialize)]
struct Credentials<'a> {
    app_id: &'a str,
    app_secret: &'a str,
}

#[derive(Deserialize)]
struct Granted {
    tenant_access_token: Secret,
    #[serde(default)]
    expire: u64,
}

/// <https://open.feishu.cn/document/client-docs/bot-v3/obtain-bot-info>
#[derive(Deserialize)]
struct Info {
    bot: Bot,
}

#[derive(Deserialize)]
struct Bot {
    #[serde(default)]
    app_name: String,
    open_id: String,
}

impl Shared {
    pub(crate) fn new(config: FeishuConfig, client: Client) -> Self {
        let events = Route::post(config.events_path.as_str(), limits::BODY);
        let callback = Route::post(config.callback_path.as_str(), limits::BODY);
        // Callbacks are a setting apart in the console: they may come by request while
        // events come by the long connection.
        let routes = match config.mode {
            Mode::Webhook => vec![events, callback],
            Mode::Websocket => vec![callback],
        };
        let clock = Arc::clone(&client.transport.clock);
        Self {
            info: ChannelInfo::new(config.id.clone(), PLATFORM, limits::limits())
                .binding_scope(channel_core::BindingScope::Personal)
                .guarantees(limits::guarantees())
                .pacing(limits::pacing()),
            routes,
            cipher: config.encrypt_key.clone().map(Cipher::new),
            config,
            client,
            token: TokenCache::new(clock, limits::TOKEN_EARLY),
            presses: Presses::default(),
            signs: Signs::default(),
            memory: Memory::default(),
            #[cfg(feature = "net")]
            link: crate::events::Link::default(),
            me: RwLock::default(),
        }
    }

    /// How long a send waits when Feishu wants a pause.
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.config.patience_seconds)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.client.transport.clock.elapsed()
    }

    /// The open id of the bot, once it is known.
    pub(crate) fn me(&self) -> Option<Arc<str>> {
        self.me
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Asks Feishu who the bot is, and remembers it.
    pub(crate) async fn identify(&self) -> Result<Identity> {
        let Info { bot } = self
            .call(
                GET_IDENTITY,
                Method::GET,
                "/open-apis/bot/v3/info",
                Payload::none(),
            )
            .await?;
        *self.me.write().unwrap_or_else(PoisonError::into_inner) =
            Some(bot.open_id.as_str().into());
        let name = if bot.app_name.is_empty() {
            bot.open_id.clone()
        } else {
            bot.app_name
        };
        Ok(Identity::new(bot.open_id, name.as_str()).with_username(name))
    }

    /// The token of the app in its workspace.
    pub(crate) async fn token(&self) -> Result<Secret> {
        let fetch = async {
            let path = "/open-apis/auth/v3/tenant_access_token/internal";
            let payload = Payload::json(&Credentials {
                app_id: &self.config.app_id,
                app_secret: self.config.app_secret.expose(),
            });
            let granted: Granted = self
                .client
                .call(Method::POST, path, None, payload)
                .await
                .map_err(|failure| failure.into_error(GET_TOKEN.operation, true))?;
            Ok((
                granted.tenant_access_token,
                Duration::from_secs(granted.expire),
            ))
        };
        self.token.get(fetch).await
    }

    /// Makes a call; with a new token, once, if Feishu does not take the present one.
    async fn try_call<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        payload: &Payload,
    ) -> Result<T, Failure> {
        let token = self.token().await.map_err(Failure::Ours)?;
        let call = |token| async move {
            let payload = payload.clone();
            self.client
                .call(method.clone(), path, Some(&token), payload)
                .await
        };
        match call(token.clone()).await {
            Err(failure) if failure.reason() == Reason::Token => {
                self.token.refused(&token).await;
                call(self.token().await.map_err(Failure::Ours)?).await
            }
            first => first,
        }
    }

    /// Makes a call, with patience where Feishu wants a pause.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        call: Call,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<T> {
        let patience = Some(self.patience());
        Ok(self
            .call_within(call, method, path, payload, patience)
            .await?)
    }

    /// The same; `patience` is how long a pause may be that Feishu asks for, `None` for a
    /// call that is better left out than waited for. Tells what went wrong.
    ///
    /// A call with a `uuid` whose answer was lost is made again, which brings the answer and
    /// no second message.
    pub(crate) async fn call_within<T: DeserializeOwned>(
        &self,
        call: Call,
        method: Method,
        path: &str,
        payload: Payload,
        patience: Option<Duration>,
    ) -> Result<T, Fault> {
        let mut waits = 0;
        let mut lost = 0;
        loop {
            let failure = match self.try_call(&method, path, &payload).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let reason = failure.reason();
            let wait = failure.retry_after().unwrap_or_default();
            if patience.is_some_and(|patience| wait <= patience) {
                if reason == Reason::Flood && waits < FLOOD_RETRIES {
                    waits += 1;
                    self.client.transport.clock.sleep(wait).await;
                    continue;
                }
                if call.is_keyed && failure.is_ambiguous() && lost < LOST_RETRIES {
                    lost += 1;
                    let wait = wait.max(LOST_WAIT * lost);
                    self.client.transport.clock.sleep(wait).await;
                    continue;
                }
            }
            let error = failure.into_error(call.operation, call.is_repeatable);
            // An attempt before this one may have arrived, whatever became of this one.
            if lost > 0 && error.kind().is_retryable() {
                let message = "an attempt before this one may have arrived";
                let error = Error::new(ErrorKind::Uncertain, message)
                    .on(PLATFORM, call.operation)
                    .with_source(error);
                return Err(Fault { reason, error });
            }
            return Err(Fault { reason, error });
        }
    }

    /// Makes a call with the present token whose answer is a file.
    pub(crate) async fn fetch(
        &self,
        call: Call,
        path: &str,
        max_bytes: u64,
    ) -> Result<bytes::Bytes> {
        let token = self.token().await?;
        let fetched = match self.client.fetch(path, &token, max_bytes).await {
            Err(failure) if failure.reason() == Reason::Token => {
                self.token.refused(&token).await;
                let token = self.token().await?;
                self.client.fetch(path, &token, max_bytes).await
            }
            first => first,
        };
        fetched.map_err(|failure| failure.into_error(call.operation, call.is_repeatable))
    }
}

/// Locks; the data behind our locks is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
