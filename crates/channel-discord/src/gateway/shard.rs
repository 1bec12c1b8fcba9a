//! A shard's session, which outlives its sockets.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::acks::Acks;
use super::cursor::{Resumed, head};
use crate::shared::{Shared, lock};

/// What is known about one shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) index: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    session: Option<Session>,
    /// Whether the present socket went on with a session. If not, what came between is lost.
    is_resumed: bool,
    /// A session was given up of which something may have been missed.
    gap: Option<&'static str>,
    /// Since when something may be missing.
    since: Option<SystemTime>,
    /// Attempts to open a socket that have failed in a row.
    failures: u32,
}

#[derive(Debug)]
struct Session {
    id: Box<str>,
    url: Box<str>,
    of: u32,
    acks: Arc<Acks>,
    /// Of another process: nothing of it is acknowledged here yet.
    restored: Option<u64>,
    /// When all was well, in seconds since 1970.
    at: u64,
}

/// What a socket is opened with.
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    pub(crate) session: Box<str>,
    pub(crate) url: Box<str>,
    pub(crate) seq: u64,
}

impl Shard {
    pub(crate) fn new(index: u32) -> Self {
        Self {
            index,
            state: Mutex::default(),
        }
    }

    /// A session of another process.
    pub(crate) fn restore(&self, it: Resumed) {
        let mut state = lock(&self.state);
        if state.session.is_some() {
            return;
        }
        state.since = UNIX_EPOCH.checked_add(Duration::from_secs(it.at));
        state.session = Some(Session {
            id: it.session,
            url: it.url,
            of: it.of,
            acks: Acks::orphan(it.seq),
            restored: Some(it.seq),
            at: it.at,
        });
    }

    /// A new stream begins: what was not acknowledged in the last one comes again.
    pub(crate) fn reopen(&self, shared: &Arc<Shared>) {
        let mut state = lock(&self.state);
        if let Some(session) = &mut state.session {
            let safe = session.restored.unwrap_or_else(|| session.acks.safe());
            session.acks = Acks::new(shared, safe);
            session.restored = None;
        }
    }

    /// The session to go on with, if it is one of so many shards.
    pub(crate) fn resume(&self, of: Option<u32>) -> Option<Resume> {
        let state = lock(&self.state);
        let session = state.session.as_ref()?;
        if of.is_some_and(|of| of != session.of) {
            return None;
        }
        Some(Resume {
            session: session.id.clone(),
            url: session.url.clone(),
            seq: session.acks.last(),
        })
    }

    /// Discord has begun a session.
    pub(crate) fn begin(&self, shared: &Arc<Shared>, id: &str, url: &str, of: u32, at: u64) {
        let mut state = lock(&self.state);
        state.session = Some(Session {
            id: id.into(),
            url: url.into(),
            of,
            acks: Acks::new(shared, 0),
            restored: None,
            at,
        });
    }

    /// Discord knows the session no more.
    pub(crate) fn forget(&self, cause: &'static str) {
        let mut state = lock(&self.state);
        if state.session.take().is_some() {
            state.gap.get_or_insert(cause);
        }
    }

    pub(crate) fn acks(&self) -> Option<Arc<Acks>> {
        let state = lock(&self.state);
        state.session.as_ref().map(|it| Arc::clone(&it.acks))
    }

    /// The last event that has come, for heartbeats.
    pub(crate) fn last(&self) -> Option<u64> {
        let acks = self.acks()?;
        Some(acks.last()).filter(|seq| *seq > 0)
    }

    /// All is well at this moment, if one is given. Gives the cursor of the session up to its
    /// position, and the session's name.
    pub(crate) fn well(&self, at: Option<u64>) -> Option<(String, Arc<str>)> {
        let mut state = lock(&self.state);
        let session = state.session.as_mut()?;
        session.at = at.unwrap_or(session.at);
        let head = head(
            self.index,
            session.of,
            &session.id,
            &session.url,
            session.at,
        );
        Some((head, Arc::from(&*session.id)))
    }

    /// Where another process would go on.
    pub(crate) fn resumed(&self) -> Option<Resumed> {
        let state = lock(&self.state);
        let session = state.session.as_ref()?;
        Some(Resumed {
            session: session.id.clone(),
            url: session.url.clone(),
            seq: session.restored.unwrap_or_else(|| session.acks.safe()),
            at: session.at,
            of: session.of,
        })
    }

    /// A socket is open: with the old session, or with a new one. `false` if the session was given
    /// up while it was resumed: the socket would bring events that belong to none.
    pub(crate) fn opened(&self, resumed: Option<&Resume>) -> bool {
        let mut state = lock(&self.state);
        let session = state.session.as_ref().map(|it| &it.id);
        if resumed.is_some_and(|it| session != Some(&it.session)) {
            return false;
        }
        state.is_resumed = resumed.is_some();
        state.failures = 0;
        true
    }

    pub(crate) fn failed(&self) {
        let mut state = lock(&self.state);
        state.failures = state.failures.saturating_add(1);
    }

    pub(crate) fn failures(&self) -> u32 {
        lock(&self.state).failures
    }

    /// Notes the last moment before something may be missing.
    pub(crate) fn missed(&self, since: SystemTime) {
        let mut state = lock(&self.state);
        state.since.get_or_insert(since);
    }

    /// What may have been missed, once a socket is open again.
    pub(crate) fn gap(&self, now: SystemTime) -> Option<(SystemTime, &'static str)> {
        let mut state = lock(&self.state);
        if state.is_resumed {
            state.since = None;
            return None;
        }
        let cause = state.gap.take();
        let since = state.since.take();
        match (cause, since) {
            (Some(cause), since) => Some((since.unwrap_or(now), cause)),
            (None, Some(since)) => Some((since, "the session could not be resumed")),
            (None, None) => None,
        }
    }
}
