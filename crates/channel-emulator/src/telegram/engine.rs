//! The platform as one shared value, and the calls that run on it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{Answer, ApiError};
use super::config::TelegramConfig;
use super::ledger::Call;
use super::methods::{self, Context};
use super::model::Wanted;
use super::params::Params;
use super::state::State;
use super::webhook;
use crate::common::faults::take;
use crate::common::ledger::{Entry, Outcome};
use crate::common::shared::{Platform, Shared};

/// The longest a poll waits, whatever the bot asks for.
const MAX_POLL: u64 = 50;

/// An emulated Telegram: the state of the platform, without a listener. Clones share it.
///
/// [`Telegram::start`] puts it behind a port of its own; [`Telegram::router`] is for programs that have one already.
#[derive(Clone)]
pub struct Telegram {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    config: TelegramConfig,
    shared: Shared<State>,
}

impl From<Arc<Inner>> for Telegram {
    fn from(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl std::fmt::Debug for Telegram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telegram").finish_non_exhaustive()
    }
}

impl Platform for Telegram {
    type State = State;

    fn shared(&self) -> &Shared<State> {
        &self.inner.shared
    }
}

impl Telegram {
    /// An empty platform.
    #[must_use]
    pub fn new(config: TelegramConfig) -> Self {
        let shared = Shared::new(config.clock.clone(), State::new(&config));
        Self {
            inner: Arc::new(Inner { config, shared }),
        }
    }

    pub(crate) fn config(&self) -> &TelegramConfig {
        &self.inner.config
    }

    /// Moves the platform's time forward.
    pub fn advance(&self, by: Duration) {
        self.inner.shared.advance(by);
    }

    /// Works on the state without telling those who wait.
    pub(crate) fn quietly<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.inner.shared.quietly(work)
    }

    /// Works on the state, then wakes those who wait for a change.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.inner.shared.with(work)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.shared.changes()
    }

    /// Opens an entry in the ledger.
    pub(crate) fn begin(
        &self,
        bot: i64,
        method: &str,
        params: &Params,
        in_webhook_reply: bool,
    ) -> Entry<Self> {
        // Method names are a word; what else is in the path is cut.
        let method: String = method.chars().take(64).collect();
        let call = Call {
            number: 0,
            at_ms: self.quietly(|state| state.now_ms),
            bot,
            method,
            params: params.record(),
            in_webhook_reply,
            outcome: Outcome::Pending,
            status: None,
            answer: None,
        };
        Entry::begin(self, call)
    }

    /// Runs any method but `getUpdates`; `method` in lower case.
    pub(crate) fn execute(&self, bot: i64, method: &str, params: &Params) -> Answer {
        let config = self.config();
        let (answer, unserved) = self.with(|state| {
            let answer = if state.bot(bot)?.logged_out_until > state.now() {
                Err(ApiError::new(400, "Logged out"))
            } else {
                let mut context = Context {
                    state,
                    config,
                    bot,
                    params,
                };
                methods::run(method, &mut context).unwrap_or_else(|| Err(ApiError::not_found()))
            };
            let webhook = state
                .bot_mut(bot)?
                .webhook
                .as_mut()
                .filter(|webhook| !webhook.is_served);
            let unserved = webhook.map(|webhook| {
                webhook.is_served = true;
                webhook.generation
            });
            Ok::<_, ApiError>((answer, unserved))
        })?;
        if let Some(generation) = unserved {
            tokio::spawn(webhook::serve(self.downgrade(), bot, generation));
        }
        answer
    }

    fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    /// `getUpdates`. <https://core.telegram.org/bots/api#getupdates>
    pub(crate) async fn get_updates(&self, id: i64, params: &Params) -> Answer {
        let limit = params
            .int("limit")
            .filter(|limit| (1..=100).contains(limit))
            .unwrap_or(100);
        let limit = usize::try_from(limit).unwrap_or(100);
        let timeout = params
            .int("timeout")
            .and_then(|timeout| u64::try_from(timeout).ok())
            .unwrap_or(0);
        let deadline = Instant::now() + Duration::from_secs(timeout.min(MAX_POLL));
        let poll = self.with(|state| {
            let now = (state.now(), state.now_ms);
            let bot = state.bot_mut(id)?;
            if bot.logged_out_until > now.0 {
                return Err(ApiError::new(400, "Logged out"));
            }
            no_webhook(bot.webhook.is_some())?;
            if let Some(wanted) = Wanted::read(params.list("allowed_updates")) {
                bot.wanted = wanted;
            }
            bot.queue.expire(now.1);
            bot.queue.confirm(params.int("offset").unwrap_or(0));
            // Whoever polls now sends the one that waits away.
            bot.queue.poll += 1;
            Ok(bot.queue.poll)
        })?;
        loop {
            let mut changes = self.changes();
            let expired = Instant::now() >= deadline;
            let step = self.quietly(|state| {
                let now = state.now_ms;
                if state.faults.hold_polls && timeout > 0 {
                    return Step::Silence;
                }
                match batch(state, id, poll, limit, now) {
                    Ok(updates) if updates.is_empty() && !expired => Step::Wait,
                    answer => Step::Answer(answer.map(Value::Array)),
                }
            });
            match step {
                Step::Answer(answer) => return answer,
                Step::Silence => std::future::pending().await,
                Step::Wait => tokio::select! {
                    _ = changes.changed() => {}
                    () = tokio::time::sleep_until(deadline) => {}
                },
            }
        }
    }
}

/// What a waiting poll does next.
enum Step {
    Answer(Answer),
    Wait,
    /// Nothing ever comes on this connection again.
    Silence,
}

fn no_webhook(is_set: bool) -> Result<(), ApiError> {
    if is_set {
        return Err(ApiError::conflict(
            "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
        ));
    }
    Ok(())
}

/// The updates for a poll, unless it was replaced by a newer one.
fn batch(
    state: &mut State,
    id: i64,
    poll: u64,
    limit: usize,
    now_ms: i64,
) -> Result<Vec<Value>, ApiError> {
    let bot = state.bot_mut(id)?;
    no_webhook(bot.webhook.is_some())?;
    if bot.revoked {
        return Err(ApiError::unauthorized());
    }
    if bot.queue.poll != poll {
        return Err(ApiError::conflict(
            "terminated by other getUpdates request; make sure that only one bot instance is running",
        ));
    }
    bot.queue.expire(now_ms);
    let mut updates = bot.queue.first(limit);
    if updates.len() > 1 && take(&mut state.faults.reorder) {
        updates.reverse();
    }
    let mut delivered = Vec::with_capacity(updates.len());
    for update in updates {
        if take(&mut state.faults.duplicate) {
            delivered.push(update.clone());
        }
        delivered.push(update);
    }
    Ok(delivered)
}
