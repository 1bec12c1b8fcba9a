//! What all clones of a channel share.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use channel_core::{
    ChannelInfo, Event, EventId, EventKind, MemberState, ReplyLedger, Route, Transport,
};

use crate::client::Client;
use crate::config::LineConfig;
use crate::limits;
use crate::memory::Memory;
use crate::verify::Verifier;

/// Everything behind a [`Line`](crate::Line).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) info: ChannelInfo,
    pub(crate) config: LineConfig,
    pub(crate) routes: [Route; 1],
    pub(crate) verifier: Verifier,
    pub(crate) client: Client,
    pub(crate) ledger: ReplyLedger,
    pub(crate) memory: Memory,
    /// The bot's user id, once LINE has told it; cleared when it has been found wrong.
    me: RwLock<Option<String>>,
}

impl Shared {
    pub(crate) fn new(config: LineConfig, verifier: Verifier, client: Client) -> Self {
        let info = ChannelInfo::new(config.id.clone(), crate::PLATFORM, limits::all())
            .binding_scope(channel_core::BindingScope::Personal);
        let window = Duration::from_secs(config.reply_window_seconds);
        Self {
            info: info
                .guarantees(limits::guarantees())
                .pacing(limits::pacing()),
            routes: [Route::post(config.webhook_path.as_str(), limits::BODY)],
            ledger: ReplyLedger::new(limits::ways(window)),
            verifier,
            client,
            config,
            memory: Memory::default(),
            me: RwLock::new(None),
        }
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.client.transport
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.client.transport.clock.elapsed()
    }

    pub(crate) fn event(&self, id: EventId, kind: EventKind) -> Event {
        Event::new(id, self.info.id.clone(), kind)
    }

    /// How old an event may be; `None` if it does not matter.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        let seconds = self.config.max_age_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Remembers who LINE says the bot is.
    pub(crate) fn is_known_as(&self, user: &str) {
        *self.me.write().unwrap_or_else(PoisonError::into_inner) = Some(user.to_owned());
    }

    /// Warns, once, if events come for another account than the one that answers: the
    /// channel secret is then not the access token's.
    pub(crate) fn is_meant_for_us(&self, destination: &str) {
        let known = self.me.read().unwrap_or_else(PoisonError::into_inner);
        let differs = known
            .as_deref()
            .is_some_and(|me| !destination.is_empty() && me != destination);
        drop(known);
        if differs {
            tracing::warn!(
                channel = %self.info.id,
                "events are for another account: channel secret and access token do not belong together"
            );
            *self.me.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Notes what an event says about its chat.
    pub(crate) fn heard_from(&self, event: &Event) {
        match &event.kind {
            EventKind::Message(message) => self.memory.lives(&message.chat.id),
            EventKind::Action(action) => self.memory.lives(&action.chat.id),
            EventKind::Membership(change) if change.state == MemberState::Joined => {
                self.memory.lives(&change.chat.id);
            }
            _ => {}
        }
    }
}
