//! What all clones of a channel share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use channel_core::{
    Case, ChannelInfo, Event, EventKind, Identity, Limits, MemberState, Result, Route, Spelling,
};
use serde::Deserialize;

use crate::PLATFORM;
use crate::client::{Client, Method, Payload};
use crate::config::TelegramConfig;
use crate::cursor::Cursor;
use crate::error::Failure;
use crate::limits;
use crate::memory::Memory;
use crate::pacing::{Pacer, Pacing};
use crate::webhook::MAX_BODY;

/// Everything behind a [`Telegram`](crate::Telegram).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) info: ChannelInfo,
    pub(crate) config: TelegramConfig,
    pub(crate) routes: [Route; 1],
    pub(crate) client: Client,
    pub(crate) pacer: Pacer,
    pub(crate) memory: Memory,
    pub(crate) cursor: Arc<Cursor>,
    me: RwLock<Arc<Me>>,
}

/// What is known about the bot itself.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    /// From the token.
    pub(crate) id: i64,
    /// Without `@`; unknown until it is configured or asked for.
    pub(crate) username: Option<String>,
}

impl Me {
    pub(crate) const fn new(id: i64, username: Option<String>) -> Self {
        Self { id, username }
    }

    /// Whether a name, without `@`, is the bot's; names differ in more than case only.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.username
            .as_deref()
            .is_some_and(|me| me.eq_ignore_ascii_case(name))
    }
}

#[derive(Deserialize)]
struct BotUser {
    id: i64,
    #[serde(default)]
    first_name: String,
    username: Option<String>,
}

impl Shared {
    pub(crate) fn new(
        config: TelegramConfig,
        client: Client,
        limits: Limits,
        pacing: Pacing,
        me: Me,
    ) -> Self {
        Self {
            info: ChannelInfo::new(config.id.clone(), PLATFORM, limits)
                .binding_scope(channel_core::BindingScope::Personal)
                // https://core.telegram.org/bots/features#botfather: case counts in no username.
                .spelling(Spelling::exact().handles(Case::Insensitive))
                .guarantees(limits::guarantees())
                .pacing(pacing.declared()),
            routes: [Route::post(config.webhook_path.as_str(), MAX_BODY)],
            config,
            client,
            pacer: Pacer::new(pacing),
            memory: Memory::default(),
            cursor: Arc::default(),
            me: RwLock::new(Arc::new(me)),
        }
    }

    /// What is known about the bot.
    pub(crate) fn me(&self) -> Arc<Me> {
        Arc::clone(&self.me.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what an event says about its chat.
    pub(crate) fn heard_from(&self, event: &Event) {
        match &event.kind {
            EventKind::Message(message) => self.memory.lives(&message.chat.id),
            EventKind::Action(action) => self.memory.lives(&action.chat.id),
            EventKind::Membership(change) if change.state == MemberState::Joined => {
                self.memory.lives(&change.chat.id);
            }
            EventKind::Moved(moved) => {
                if let (Some(from), Some(to)) = (moved.from.as_i64(), moved.to.as_i64()) {
                    self.memory.moved(from, to);
                }
            }
            _ => {}
        }
    }

    /// Asks Telegram who the bot is and remembers its name.
    pub(crate) async fn identify(&self) -> Result<Identity, Failure> {
        let payload = Payload::json(b"{}".to_vec());
        let bot: BotUser = self.client.call(Method::GetMe, payload).await?;
        let me = Me::new(bot.id, bot.username.clone());
        *self.me.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(me);
        let identity = Identity::new(bot.id.to_string(), bot.first_name);
        Ok(match bot.username {
            Some(username) => identity.with_username(username),
            None => identity,
        })
    }
}

/// Locks; the data behind our locks is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
