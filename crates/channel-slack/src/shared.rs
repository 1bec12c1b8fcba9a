//! What all clones of a channel share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use channel_core::{ChannelInfo, Error, ErrorKind, Identity, ReplyLedger, Result, Route, Secret};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::address::Address;
use crate::asked::Askable;
use crate::client::{Client, Credentials, Method, Payload};
use crate::config::{SlackConfig, Tokens};
use crate::error::{Failure, Reason};
use crate::pacing::{Pacer, Turn};
use crate::typing::Refusals;
use crate::verify::Verifier;
use crate::{PLATFORM, limits};

/// How many workspaces are remembered.
const WORKSPACES: usize = 4096;
/// How often one call is made again because Slack wanted a pause.
const FLOOD_RETRIES: u32 = 3;

/// Everything behind a [`Slack`](crate::Slack).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) info: ChannelInfo,
    pub(crate) config: SlackConfig,
    pub(crate) routes: [Route; 3],
    pub(crate) verifier: Option<Verifier>,
    pub(crate) client: Client,
    pub(crate) tokens: Tokens,
    pub(crate) pacer: Pacer,
    pub(crate) ledger: ReplyLedger,
    pub(crate) askable: Askable,
    pub(crate) no_status: Refusals,
    #[cfg(feature = "net")]
    pub(crate) link: crate::events::Link,
    me: RwLock<HashMap<Box<str>, Arc<Me>>>,
}

/// What is known about the bot in a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Me {
    pub(crate) user_id: Option<String>,
    pub(crate) bot_id: Option<String>,
    pub(crate) team_id: Option<String>,
    /// Whether one token serves every workspace of an organisation.
    pub(crate) is_enterprise: bool,
}

impl Me {
    /// Whether an event that says these ids was made by the bot itself.
    pub(crate) fn is(&self, user: Option<&str>, bot: Option<&str>) -> bool {
        let same = |known: &Option<String>, said: Option<&str>| {
            known.is_some() && known.as_deref() == said
        };
        same(&self.user_id, user) || same(&self.bot_id, bot)
    }
}

/// <https://docs.slack.dev/reference/methods/auth.test/>
#[derive(Deserialize)]
struct AuthTest {
    #[serde(default)]
    user: String,
    user_id: String,
    team_id: Option<String>,
    bot_id: Option<String>,
    #[serde(default)]
    is_enterprise_install: bool,
}

/// A failed call, with what the adapter may do about it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) error: Error,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self {
            reason: Reason::Other,
            error,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

impl Shared {
    pub(crate) fn new(
        config: SlackConfig,
        client: Client,
        tokens: Tokens,
        verifier: Option<Verifier>,
        pacer: Pacer,
        askable: Askable,
    ) -> Self {
        Self {
            info: ChannelInfo::new(config.id.clone(), PLATFORM, limits::limits())
                .guarantees(limits::guarantees())
                .pacing(pacer.declared()),
            routes: [
                Route::post(config.events_path.as_str(), limits::BODY),
                Route::post(config.interactions_path.as_str(), limits::BODY),
                Route::post(config.commands_path.as_str(), limits::BODY),
            ],
            config,
            verifier,
            client,
            tokens,
            pacer,
            ledger: ReplyLedger::new(vec![limits::RESPONSE, limits::POST]),
            askable,
            no_status: Refusals::default(),
            #[cfg(feature = "net")]
            link: crate::events::Link::default(),
            me: RwLock::default(),
        }
    }

    /// Whether each workspace has a token of its own.
    pub(crate) const fn is_many(&self) -> bool {
        matches!(self.tokens, Tokens::Source(_))
    }

    /// How long a send waits when Slack wants a pause.
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.config.patience_seconds)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.client.transport.clock.elapsed()
    }

    /// What has been learnt about the bot in a workspace.
    pub(crate) fn me(&self, workspace: Option<&str>) -> Option<Arc<Me>> {
        let me = self.me.read().unwrap_or_else(PoisonError::into_inner);
        me.get(workspace.unwrap_or_default()).cloned()
    }

    fn remember(&self, workspace: Option<&str>, me: Me) {
        let mut all = self.me.write().unwrap_or_else(PoisonError::into_inner);
        let key = workspace.unwrap_or_default();
        if all.len() >= WORKSPACES
            && !all.contains_key(key)
            && let Some(any) = all.keys().next().cloned()
        {
            all.remove(&any);
        }
        all.insert(key.into(), Arc::new(me));
    }

    /// Asks Slack who the bot is, and remembers it.
    pub(crate) async fn identify(&self, workspace: Option<&str>) -> Result<Identity> {
        let method = Method::AuthTest;
        let payload = Payload::form(&[]);
        let said: AuthTest = self
            .call(workspace, method, payload)
            .await
            .map_err(|failure| failure.into_error(method))?;
        let me = Me {
            user_id: Some(said.user_id.clone()),
            bot_id: said.bot_id,
            team_id: said.team_id,
            is_enterprise: said.is_enterprise_install,
        };
        self.remember(workspace, me);
        let name = if said.user.is_empty() {
            said.user_id.clone()
        } else {
            said.user
        };
        Ok(Identity::new(said.user_id, name.as_str()).with_username(name))
    }

    /// The token of a workspace.
    pub(crate) async fn token(&self, workspace: Option<&str>) -> Result<Secret> {
        match (&self.tokens, workspace) {
            (Tokens::One(token), _) => Ok(token.clone()),
            (Tokens::Source(source), Some(workspace)) => source.token(workspace).await,
            // There is no token that is good everywhere.
            (Tokens::Source(_), None) => Err(Error::new(
                ErrorKind::Invalid,
                "the call names no workspace",
            )),
        }
    }

    /// Calls a method with the token of a workspace; once more if the token was refused and
    /// its source has another.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        workspace: Option<&str>,
        method: Method,
        payload: Payload,
    ) -> Result<T, Failure> {
        let token = self.token(workspace).await.map_err(Failure::Ours)?;
        let credentials = Credentials::Token(&token);
        let failure = match self.client.call(method, credentials, payload.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let (Reason::Token, Tokens::Source(source), Some(workspace)) =
            (failure.reason(), &self.tokens, workspace)
        else {
            return Err(failure);
        };
        source.refused(workspace, &token).await;
        match source.token(workspace).await {
            Ok(other) if other.expose() != token.expose() => {
                self.client
                    .call(method, Credentials::Token(&other), payload)
                    .await
            }
            _ => Err(failure),
        }
    }

    /// Makes a call about a chat, in its turn. `patience` is how long a pause may be that
    /// Slack asks for; `None` for a call that is better left out than waited for.
    pub(crate) async fn call_chat<T: DeserializeOwned>(
        &self,
        method: Method,
        at: Address<'_>,
        payload: Payload,
        patience: Option<Duration>,
    ) -> Result<T, Fault> {
        let workspace = at.workspace.unwrap_or_default();
        let chat = match at.workspace {
            Some(workspace) => format!("{workspace}/{}", at.channel),
            None => at.channel.to_owned(),
        };
        let place = Pacer::place(method, workspace, &chat);
        let mut waits = 0;
        loop {
            self.take_turn(method, place, patience).await?;
            let failure = match self.call(at.workspace, method, payload.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let reason = failure.reason();
            if reason == Reason::Flood {
                let wait = failure.retry_after().unwrap_or(Duration::from_secs(1));
                self.pacer.limited(method, place, wait, self.elapsed());
                if patience.is_some_and(|patience| wait <= patience) && waits < FLOOD_RETRIES {
                    waits += 1;
                    continue;
                }
            }
            let error = failure.into_error(method);
            return Err(Fault { reason, error });
        }
    }

    async fn take_turn(
        &self,
        method: Method,
        place: &str,
        patience: Option<Duration>,
    ) -> Result<(), Fault> {
        match self.pacer.turn(method, place, self.elapsed(), patience) {
            Turn::After(Duration::ZERO) => Ok(()),
            Turn::After(wait) => {
                self.client.transport.clock.sleep(wait).await;
                Ok(())
            }
            Turn::TooLong(wait) => Err(Fault {
                reason: Reason::Flood,
                error: Error::new(ErrorKind::RateLimited, "too much is being sent to slack")
                    .on(PLATFORM, method.operation())
                    .with_retry_after(wait),
            }),
        }
    }
}

/// Locks; the data behind our locks is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
