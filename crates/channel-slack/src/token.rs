//! Where tokens come from: one that was configured, or one for each workspace.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use channel_core::{Error, ErrorKind, Result, Secret, Transport, async_trait};
use futures_util::lock::Mutex as AsyncMutex;

use crate::PLATFORM;
use crate::client::{Client, Credentials, Method, Payload};
use crate::oauth::{self, OauthApp};
use crate::shared::lock;

/// Gives the token of a workspace for each call.
///
/// A source is asked on every call, so it answers from memory where it can. It is told when
/// Slack no longer accepts a token; with a new one the call is made once more.
#[async_trait]
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// The bot token of a workspace, by its team id such as `T0123`. Where an organisation has
    /// installed the app as a whole, the one token serves each of its workspaces, and the
    /// organisation's id stands where Slack names no workspace.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` if the app is not installed there: nothing of another workspace is
    /// used instead.
    async fn token(&self, workspace: &str) -> Result<Secret>;

    /// Notes that Slack has refused a token: it is revoked or has expired.
    async fn refused(&self, workspace: &str, token: &Secret);
}

/// What an installation holds. Keep it encrypted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Grant {
    /// The bot token.
    pub access: Secret,
    /// What a new token is got with; replaced with each use. Without one the token stays.
    pub refresh: Option<Secret>,
    /// When the token ends.
    pub expires_at: Option<SystemTime>,
}

impl Grant {
    /// A token that stays.
    #[must_use]
    pub const fn new(access: Secret) -> Self {
        Self {
            access,
            refresh: None,
            expires_at: None,
        }
    }

    /// A token that rotates.
    #[must_use]
    pub fn rotating(mut self, refresh: Secret, expires_at: SystemTime) -> Self {
        self.refresh = Some(refresh);
        self.expires_at = Some(expires_at);
        self
    }
}

/// Keeps the grants of workspaces.
#[async_trait]
pub trait GrantStore: fmt::Debug + Send + Sync {
    /// The grant of a workspace; `None` if the app is not installed there.
    ///
    /// # Errors
    ///
    /// If the store does not answer: the call fails, nothing is guessed.
    async fn load(&self, workspace: &str) -> Result<Option<Grant>>;

    /// Replaces the grant of a workspace, durably: the old refresh token is worthless.
    ///
    /// # Errors
    ///
    /// If it is not kept.
    async fn save(&self, workspace: &str, grant: &Grant) -> Result<()>;
}

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(120 * 60);
/// How long a refused refresh is believed, so that a crowd does not ask one by one.
const REFUSAL_LASTS: Duration = Duration::from_secs(30);
/// How many workspaces are remembered.
const CAPACITY: usize = 4096;

/// Tokens of many workspaces, refreshed ahead of their end
/// (<https://docs.slack.dev/authentication/using-token-rotation/>).
///
/// One refresh a workspace is under way at a time, and everybody waits for it: the refresh
/// token is good for one use. The new grant is saved before it is used.
pub struct RotatingTokens {
    app: OauthApp,
    store: Arc<dyn GrantStore>,
    client: Client,
    rooms: Mutex<HashMap<Box<str>, Arc<AsyncMutex<Known>>>>,
}

#[derive(Default)]
struct Known {
    grant: Option<Grant>,
    refused: Option<Duration>,
    /// A grant that was exchanged and is not saved yet.
    unsaved: bool,
}

impl fmt::Debug for RotatingTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingTokens").finish_non_exhaustive()
    }
}

impl RotatingTokens {
    /// Refreshes as this app, over this transport, towards Slack or what `api_base` stands
    /// for it (`https://slack.com/api`).
    ///
    /// # Errors
    ///
    /// `Config` if the address is none.
    pub fn new(
        app: OauthApp,
        store: Arc<dyn GrantStore>,
        transport: Transport,
        api_base: &str,
    ) -> Result<Self> {
        Ok(Self {
            app,
            store,
            client: Client::new(transport, api_base)?,
            rooms: Mutex::default(),
        })
    }

    /// Forgets a workspace, as after `tokens_revoked` or `app_uninstalled`. The store is the
    /// caller's to clean; doing it twice does no harm.
    pub fn forget(&self, workspace: &str) {
        lock(&self.rooms).remove(workspace);
    }

    fn room(&self, workspace: &str) -> Arc<AsyncMutex<Known>> {
        let mut rooms = lock(&self.rooms);
        if rooms.len() >= CAPACITY && !rooms.contains_key(workspace) {
            // Nobody is refreshing what nobody else holds.
            rooms.retain(|_, room| Arc::strong_count(room) > 1);
        }
        Arc::clone(rooms.entry(workspace.into()).or_default())
    }

    /// Gets a new grant for the refresh token of this one.
    async fn refresh(&self, grant: &Grant, refresh: &Secret) -> Result<Grant> {
        let method = Method::OauthAccess;
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose()),
        ];
        let basic = self.app.basic();
        let called = self
            .client
            .call::<oauth::Installed>(method, Credentials::Basic(&basic), Payload::form(&fields))
            .await;
        let installed = called.map_err(|failure| failure.into_error(method))?;
        let now = self.client.transport.clock.now();
        installed.grant(now).map(|new| {
            if new.refresh.is_some() {
                new
            } else {
                Grant {
                    refresh: grant.refresh.clone(),
                    ..new
                }
            }
        })
    }
}

#[async_trait]
impl TokenSource for RotatingTokens {
    async fn token(&self, workspace: &str) -> Result<Secret> {
        let room = self.room(workspace);
        let mut known = room.lock().await;
        if known.grant.is_none() {
            known.grant = self.store.load(workspace).await?;
        }
        let Some(grant) = known.grant.clone() else {
            return Err(not_installed());
        };
        let clock = Arc::clone(&self.client.transport.clock);
        if known.unsaved {
            self.store.save(workspace, &grant).await?;
            known.unsaved = false;
        }
        let left = grant
            .expires_at
            .map(|end| end.duration_since(clock.now()).unwrap_or_default());
        let (Some(left), Some(refresh)) = (left, &grant.refresh) else {
            return Ok(grant.access);
        };
        let is_paused = known.refused.is_some_and(|until| clock.elapsed() < until);
        if left > EARLY || (is_paused && !left.is_zero()) {
            return Ok(grant.access);
        }
        if is_paused {
            return Err(not_installed());
        }
        match self.refresh(&grant, refresh).await {
            Ok(new) => {
                let access = new.access.clone();
                known.grant = Some(new.clone());
                known.refused = None;
                known.unsaved = true;
                self.store.save(workspace, &new).await?;
                known.unsaved = false;
                Ok(access)
            }
            Err(error) => {
                known.refused = Some(clock.elapsed() + REFUSAL_LASTS);
                // The old token is good until its end.
                if left.is_zero() {
                    Err(error)
                } else {
                    Ok(grant.access)
                }
            }
        }
    }

    async fn refused(&self, workspace: &str, token: &Secret) {
        let room = self.room(workspace);
        let mut known = room.lock().await;
        let is_same = |grant: &Grant| grant.access.expose() == token.expose();
        if known.grant.as_ref().is_some_and(is_same) && !known.unsaved {
            // Somebody else may have refreshed, or installed anew: the store knows.
            let stored = self.store.load(workspace).await.ok().flatten();
            known.grant = match stored {
                Some(mut stored) if is_same(&stored) => {
                    if stored.refresh.is_some() {
                        stored.expires_at = Some(SystemTime::UNIX_EPOCH);
                    }
                    Some(stored)
                }
                other => other,
            };
        }
    }
}

fn not_installed() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "the app has no token for the workspace",
    )
    .on(PLATFORM, "get token")
}
