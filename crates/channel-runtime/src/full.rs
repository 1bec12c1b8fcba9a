//! A word to those whose messages find no room.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{
    Event, EventKind, OutboundMessage, Proof, Purpose, SenderKind, Verdict, timeout,
};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::mpsc;

use crate::driver::{Core, Entry};
use crate::status::lock;

/// How many conversations are told at most until there is room again.
const MOST: usize = 10_000;
/// How many words wait to be sent; what finds none of these places is not said.
const WAITING: usize = 16;
/// How many are sent at once.
const AT_ONCE: usize = 4;
/// How long the platform may take for one.
const WITHIN: Duration = Duration::from_secs(10);

/// Tells the senders of refused messages that there is no room: each conversation once until
/// there is room again.
pub(crate) struct FullNotice {
    text: String,
    key: RandomState,
    told: Mutex<Told>,
    queue: mpsc::Sender<Word>,
    /// Taken by whoever sends.
    queued: Mutex<Option<mpsc::Receiver<Word>>>,
}

#[derive(Default)]
struct Told {
    /// Which time it is that there is no room.
    shortage: u64,
    /// Keyed hashes of conversations.
    conversations: HashSet<u64>,
}

/// What is to be said to somebody.
struct Word {
    entry: Arc<Entry>,
    message: OutboundMessage,
}

impl fmt::Debug for FullNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FullNotice").finish_non_exhaustive()
    }
}

impl FullNotice {
    pub(crate) fn new(text: String) -> Self {
        let (queue, queued) = mpsc::channel(WAITING);
        Self {
            text,
            key: RandomState::new(),
            told: Mutex::default(),
            queue,
            queued: Mutex::new(Some(queued)),
        }
    }

    /// Tells the sender of an event for which there was no room, unless the conversation has been
    /// told, or the sender is nobody whom the bot would answer. No I/O, and no waiting: what is
    /// said goes out behind the refusal.
    pub(crate) fn tell(&self, core: &Core, entry: &Arc<Entry>, event: &Event) {
        let EventKind::Message(message) = &event.kind else {
            return;
        };
        let is_vouched_for = message.proof() > Proof::Claimed;
        if message.sender.kind != SenderKind::Person || !is_vouched_for || !core.admits(event) {
            return;
        }
        let conversation = self.key.hash_one(message.conversation());
        if !self.may_tell(conversation, core.lanes.shortage()) {
            return;
        }
        let bound = match core.policy.foretell(event) {
            Verdict::Allow(_) => None,
            Verdict::Grant(grant) => grant.bound,
            _ => return,
        };
        let Ok(place) = self.queue.try_reserve() else {
            return;
        };
        if !lock(&self.told).conversations.insert(conversation) {
            return;
        }
        // Not an answer to this message: the right to one may be good for a single use, and is
        // the handler's, when the message comes again.
        let to = message.return_address.target().clone();
        let mut word = OutboundMessage::new(to, self.text.as_str()).purpose(Purpose::System);
        if let Some(bound) = bound {
            word = word.bound(bound);
        }
        place.send(Word {
            entry: Arc::clone(entry),
            message: word,
        });
    }

    fn may_tell(&self, conversation: u64, shortage: u64) -> bool {
        let mut told = lock(&self.told);
        if told.shortage != shortage {
            told.shortage = shortage;
            told.conversations.clear();
        }
        told.conversations.len() < MOST && !told.conversations.contains(&conversation)
    }

    /// Sends what is to be said, for ever.
    pub(crate) async fn send(core: Arc<Core>) {
        let queued = core.full.as_ref();
        let Some(queued) = queued.and_then(|full| lock(&full.queued).take()) else {
            return;
        };
        let words = stream::unfold(queued, async |mut queued| {
            let word = queued.recv().await?;
            Some((word, queued))
        });
        let clock = core.clock.as_ref();
        let send = words.for_each_concurrent(AT_ONCE, |Word { entry, message }| async move {
            let sending = AssertUnwindSafe(entry.channel.send(&message)).catch_unwind();
            let channel = &entry.channel.info().id;
            match timeout(clock, WITHIN, sending).await {
                Ok(Ok(Ok(_))) => tracing::debug!(%channel, "a sender was told that there is no room"),
                Ok(Ok(Err(error))) => {
                    tracing::debug!(%channel, %error, "a sender was not told that there is no room");
                }
                Ok(Err(_)) => tracing::error!(%channel, "sending panicked"),
                Err(_) => tracing::debug!(%channel, "a sender was not told in time"),
            }
        });
        send.await;
    }
}
