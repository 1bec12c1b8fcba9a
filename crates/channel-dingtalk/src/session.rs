//! Session webhooks: addresses that come with a message and answer it, without a token, until
//! they end (<https://open.dingtalk.com/document/orgapp/robot-reply-and-send-messages>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{Destination, Result, Secret};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::shared::Shared;

/// What rides in a reply besides its chat.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Context {
    #[serde(default)]
    pub(crate) is_direct: bool,
    /// The conversation, of a chat that is named by its person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) conversation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// When the session ends, in milliseconds.
    #[serde(default)]
    ends: u64,
}

impl Context {
    pub(crate) fn new(is_direct: bool, conversation: Option<String>) -> Self {
        Self {
            is_direct,
            conversation,
            session: None,
            ends: 0,
        }
    }

    pub(crate) fn with_session(mut self, url: String, ends: u64) -> Self {
        self.session = Some(url);
        self.ends = ends;
        self
    }

    /// Reads what a destination carries.
    pub(crate) fn of(to: &Destination) -> Result<Self> {
        match to {
            Destination::Reply(reply) => Ok(reply.context()?.unwrap_or_default()),
            _ => Ok(Self::default()),
        }
    }

    /// The right to answer. It was stored meanwhile, so its host is looked at again.
    pub(crate) fn session(&self, shared: &Shared) -> Option<Session> {
        let url = self
            .session
            .as_ref()
            .filter(|url| shared.client.is_ours(url))?;
        // The ledger counts from the beginning of a window; this one is known by its end.
        let lasts = limits::SESSION_WINDOW + limits::SESSION_EARLY;
        let ends = UNIX_EPOCH.checked_add(Duration::from_millis(self.ends))?;
        let digest = Sha256::digest(url.as_bytes());
        Some(Session {
            right: hex::encode(digest.first_chunk::<16>().unwrap_or(&[0; 16])),
            url: Secret::new(url.as_str()),
            opened: ends.checked_sub(lasts).unwrap_or(UNIX_EPOCH),
        })
    }
}

/// A session webhook.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) url: Secret,
    /// Its name in the ledger: the address is a secret.
    right: String,
    opened: SystemTime,
}

impl Session {
    /// Takes one use, if it is still open.
    pub(crate) fn take(&self, shared: &Shared) -> bool {
        let now = shared.client.transport.clock.now();
        let way = shared.ledger.take(&self.right, self.opened, now);
        way.is_some_and(|way| way == limits::SESSION)
    }

    /// DingTalk does not take it any more.
    pub(crate) fn refused(&self, shared: &Shared) {
        shared.ledger.refused(&self.right, limits::SESSION.name);
    }

    pub(crate) fn explain(&self, shared: &Shared) -> String {
        let now = shared.client.transport.clock.now();
        shared.ledger.explain(&self.right, self.opened, now)
    }
}
