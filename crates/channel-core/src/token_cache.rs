//! Tokens that end and have to be fetched anew.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::lock::Mutex;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Platform;
use crate::secret::Secret;

/// How long a refusal of the credentials is believed, so that a crowd of waiting calls does
/// not ask one after the other.
const REFUSAL_LASTS: Duration = Duration::from_secs(5);

/// A token that is fetched once for all who need it, ahead of its end.
///
/// Whoever comes while it is being fetched waits for the same one. What the platform says
/// about wrong credentials is repeated for five seconds without asking again.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use channel_core::{Clock, Result, Secret, TokenCache};
///
/// async fn bearer(clock: Arc<dyn Clock>) -> Result<Secret> {
///     let cache = TokenCache::new(clock, Duration::from_secs(300));
///     cache
///         .get(async { Ok((Secret::new("from the platform"), Duration::from_secs(7200))) })
///         .await
/// }
/// ```
pub struct TokenCache {
    clock: Arc<dyn Clock>,
    early: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The token, and until when it is handed out, in monotonic time.
    current: Option<(Secret, Duration)>,
    refused: Option<(Refusal, Duration)>,
}

/// What is remembered of an error that asking again cannot mend.
struct Refusal {
    kind: ErrorKind,
    message: String,
    platform: Option<Platform>,
    operation: Option<&'static str>,
    code: Option<String>,
}

impl Refusal {
    fn of(error: &Error) -> Option<Self> {
        let is_final = matches!(
            error.kind(),
            ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Config
        );
        is_final.then(|| Self {
            kind: error.kind(),
            message: error.message().to_owned(),
            platform: error.platform().cloned(),
            operation: error.operation(),
            code: error.code().map(str::to_owned),
        })
    }

    fn error(&self) -> Error {
        let mut error = Error::new(self.kind, self.message.as_str());
        if let (Some(platform), Some(operation)) = (&self.platform, self.operation) {
            error = error.on(platform.clone(), operation);
        }
        match &self.code {
            Some(code) => error.with_code(code.as_str()),
            None => error,
        }
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("early", &self.early)
            .finish_non_exhaustive()
    }
}

impl TokenCache {
    /// An empty cache. A token is fetched anew `early` before its end, or at half of its time
    /// if it lasts less than twice that.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, early: Duration) -> Self {
        Self {
            clock,
            early,
            state: Mutex::default(),
        }
    }

    /// The token; `fetch` asks the platform for one and tells how long it lasts.
    ///
    /// # Errors
    ///
    /// What `fetch` ends with. An error that says that the credentials are wrong is given
    /// again for five seconds.
    ///
    /// # Cancel safety
    ///
    /// May be dropped; the next caller fetches.
    pub async fn get(
        &self,
        fetch: impl Future<Output = Result<(Secret, Duration)>> + Send,
    ) -> Result<Secret> {
        let mut state = self.state.lock().await;
        let now = self.clock.elapsed();
        if let Some((token, until)) = &state.current
            && now < *until
        {
            return Ok(token.clone());
        }
        if let Some((refusal, until)) = &state.refused
            && now < *until
        {
            return Err(refusal.error());
        }
        let fetched = fetch.await;
        // The token ages from the moment at which it was asked for.
        let asked = now;
        match fetched {
            Ok((token, lasts)) => {
                let early = self.early.min(lasts / 2);
                state.refused = None;
                state.current = Some((token.clone(), asked + (lasts - early)));
                Ok(token)
            }
            Err(error) => {
                let until = self.clock.elapsed() + REFUSAL_LASTS;
                state.refused = Refusal::of(&error).map(|refusal| (refusal, until));
                Err(error)
            }
        }
    }

    /// Forgets a token that the platform has refused, unless it was replaced meanwhile.
    pub async fn refused(&self, token: &Secret) {
        let mut state = self.state.lock().await;
        if let Some((current, _)) = &state.current
            && current.expose() == token.expose()
        {
            state.current = None;
        }
    }
}
