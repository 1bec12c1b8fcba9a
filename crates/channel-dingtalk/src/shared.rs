//! What all clones of a channel share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use channel_core::{
    ChannelInfo, Error, ErrorKind, Identity, ReplyLedger, Result, Route, Secret, TokenCache,
};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::{Call, Client, Payload};
use crate::config::{DingTalkConfig, Mode};
use crate::error::{CREDENTIALS, Failure, Fault, Reason};
use crate::memory::Memory;
use crate::presses::Presses;
use crate::typing::Signs;
use crate::{PLATFORM, limits};

const GET_TOKEN: Call = Call::repeatable("get token");
/// How often one call is made again because DingTalk wanted a pause.
const FLOOD_RETRIES: u32 = 3;
/// How often a call with a name of its own is made again after its answer was lost.
const LOST_RETRIES: u32 = 2;
/// The wait before that.
const LOST_WAIT: Duration = Duration::from_millis(500);

/// Where a call goes, and with which right.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A path of version 1.0, with the token of the app.
    Api(&'a Method, &'a str),
    /// An address with a right of its own.
    Session(&'a Secret),
    /// An older path with a right of its own.
    Old(&'a Secret),
}

/// Everything behind a [`DingTalk`](crate::DingTalk).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) info: ChannelInfo,
    pub(crate) config: DingTalkConfig,
    pub(crate) routes: Vec<Route>,
    pub(crate) client: Client,
    token: TokenCache,
    old_token: TokenCache,
    /// How often each session webhook may still be used.
    pub(crate) ledger: ReplyLedger,
    pub(crate) presses: Presses,
    pub(crate) signs: Signs,
    pub(crate) memory: Memory,
    /// When the bucket of card calls is full again.
    cards: Mutex<Duration>,
    #[cfg(feature = "net")]
    pub(crate) link: crate::events::Link,
}

/// <https://open.dingtalk.com/document/orgapp/obtain-the-access_token-of-an-internal-app>
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    app_key: &'a str,
    app_secret: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Granted {
    access_token: Secret,
    #[serde(default)]
    expire_in: u64,
}

/// <https://open.dingtalk.com/document/orgapp/obtain-orgapp-token>
#[derive(Deserialize)]
struct OldGranted {
    access_token: Secret,
    #[serde(default)]
    expires_in: u64,
}

/// A token is refused because of the credentials, whatever the code is.
fn token_error(failure: Failure) -> Error {
    let error = failure.into_error(GET_TOKEN.operation, true);
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Unauthenticated | ErrorKind::Forbidden
            if error.code().is_some() =>
        {
            let code = error.code().unwrap_or_default().to_owned();
            Error::new(ErrorKind::Unauthenticated, CREDENTIALS)
                .with_code(code)
                .on(PLATFORM, GET_TOKEN.operation)
        }
        _ => error,
    }
}

impl Shared {
    pub(crate) fn new(config: DingTalkConfig, client: Client) -> Self {
        let routes = match config.mode {
            Mode::Webhook => vec![Route::post(config.webhook_path.as_str(), limits::BODY)],
            Mode::Stream => Vec::new(),
        };
        let clock = &client.transport.clock;
        let cache = || TokenCache::new(Arc::clone(clock), limits::TOKEN_EARLY);
        Self {
            info: ChannelInfo::new(config.id.clone(), PLATFORM, limits::limits())
                .guarantees(limits::guarantees())
                .pacing(limits::pacing()),
            routes,
            token: cache(),
            old_token: cache(),
            config,
            client,
            ledger: ReplyLedger::new(vec![limits::SESSION, limits::ROBOT]),
            presses: Presses::default(),
            signs: Signs::default(),
            memory: Memory::default(),
            cards: Mutex::default(),
            #[cfg(feature = "net")]
            link: crate::events::Link::default(),
        }
    }

    /// How long a send waits when DingTalk wants a pause.
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.config.patience_seconds)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.client.transport.clock.elapsed()
    }

    /// Whether a card may be changed now for a preview: all streams of the app share a limit,
    /// and what ends an answer is not to wait for what only shows its growth.
    pub(crate) fn may_preview(&self) -> bool {
        let now = self.elapsed();
        let mut due = lock(&self.cards);
        let at = limits::CARDS.slot(*due, now);
        if at > now {
            return false;
        }
        *due = limits::CARDS.taken(*due, at);
        true
    }

    /// A token proves the credentials. DingTalk tells a robot nothing about itself, so its name
    /// is its code.
    pub(crate) async fn identify(&self) -> Result<Identity> {
        self.token().await?;
        let code = self.config.robot_code();
        Ok(Identity::new(code, code))
    }

    /// The token of the app.
    pub(crate) async fn token(&self) -> Result<Secret> {
        let fetch = async {
            let payload = Payload::json(&Credentials {
                app_key: &self.config.client_id,
                app_secret: self.config.client_secret.expose(),
            });
            let granted: Granted = self
                .client
                .call(Method::POST, "/v1.0/oauth2/accessToken", None, payload)
                .await
                .map_err(token_error)?;
            Ok((granted.access_token, Duration::from_secs(granted.expire_in)))
        };
        self.token.get(fetch).await
    }

    /// The token of the older calls, of which uploads are one.
    pub(crate) async fn old_token(&self) -> Result<Secret> {
        let fetch = async {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let path = format!(
                "/gettoken?appkey={}&appsecret={}",
                encode(&self.config.client_id),
                encode(self.config.client_secret.expose())
            );
            let granted: OldGranted = self
                .client
                .old(Method::GET, &path, Payload::none())
                .await
                .map_err(token_error)?;
            Ok((
                granted.access_token,
                Duration::from_secs(granted.expires_in),
            ))
        };
        self.old_token.get(fetch).await
    }

    pub(crate) async fn old_token_refused(&self, token: &Secret) {
        self.old_token.refused(token).await;
    }

    /// Makes a call; with a new token, once, if DingTalk does not take the present one.
    async fn try_call<T: DeserializeOwned>(
        &self,
        place: Place<'_>,
        payload: &Payload,
    ) -> Result<T, Failure> {
        let (method, path) = match place {
            Place::Api(method, path) => (method, path),
            Place::Session(url) => return self.client.post(url, payload.clone()).await,
            Place::Old(path) => {
                let path = path.expose();
                return self.client.old(Method::POST, path, payload.clone()).await;
            }
        };
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

    /// Makes a call of version 1.0, with patience where DingTalk wants a pause.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        call: Call,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<T> {
        let place = Place::Api(&method, path);
        let patience = Some(self.patience());
        Ok(self.call_within(call, place, payload, patience).await?)
    }

    /// Makes a call; `patience` is how long a pause may be that DingTalk asks for, `None` for
    /// one that is better left out than waited for. Tells what went wrong.
    ///
    /// A call with a name of its own whose answer was lost is made again, which brings the
    /// answer and no second effect.
    pub(crate) async fn call_within<T: DeserializeOwned>(
        &self,
        call: Call,
        place: Place<'_>,
        payload: Payload,
        patience: Option<Duration>,
    ) -> Result<T, Fault> {
        let mut waits = 0;
        let mut lost = 0;
        loop {
            let failure = match self.try_call(place, &payload).await {
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
}

/// Locks; the data behind our locks is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
