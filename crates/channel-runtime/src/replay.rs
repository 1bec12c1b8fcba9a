//! Recorded events once more, without a platform.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use channel_core::{
    Channel, ChannelInfo, ChatId, Error, ErrorKind, Identity, MessageRef, OutboundMessage, Receipt,
    Result,
};
use channel_delivery::{JournalEntry, Seq};
use futures_util::FutureExt as _;

use crate::driver::Core;
use crate::handle::{Handling, judge_and_handle};
use crate::status::lock;

/// What a handler answers now to an event that was recorded before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// The event's place in the journal.
    pub seq: Seq,
    /// What was sent in answer then, in order.
    pub before: Vec<OutboundMessage>,
    /// What the handler sends now, in order.
    pub now: Vec<OutboundMessage>,
    /// How the handler ended now.
    pub ended: ReplayEnd,
}

/// How a handler ended in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayEnd {
    /// It has finished, or there is none for such events.
    Handled,
    /// The policy says no.
    Refused,
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
}

impl Replayed {
    /// Whether the same would be said again, in the same order: words, files and buttons.
    /// Keys and addresses do not count.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.before.len() == self.now.len()
            && self
                .before
                .iter()
                .zip(&self.now)
                .all(|(before, now)| says_the_same(before, now))
    }

    /// The messages that differ, by position; `None` where one side has none.
    #[must_use]
    pub fn differences(&self) -> Vec<(Option<&OutboundMessage>, Option<&OutboundMessage>)> {
        (0..self.before.len().max(self.now.len()))
            .map(|at| (self.before.get(at), self.now.get(at)))
            .filter(|pair| match pair {
                (Some(before), Some(now)) => !says_the_same(before, now),
                _ => true,
            })
            .collect()
    }
}

fn says_the_same(one: &OutboundMessage, other: &OutboundMessage) -> bool {
    one.body == other.body
        && one.attachments == other.attachments
        && one.buttons == other.buttons
        && one.card == other.card
}

/// Runs one recorded event through policy and handler; nothing leaves the process.
pub(crate) async fn replay(core: &Core, info: &ChannelInfo, entry: JournalEntry) -> Replayed {
    let recorder = Arc::new(Recorder {
        info: info.clone(),
        sent: Mutex::default(),
    });
    let channel: Arc<dyn Channel> = Arc::clone(&recorder) as _;
    let work = judge_and_handle(core, &channel, entry.event.event);
    let ended = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Handling::Handled | Handling::Ignored) => ReplayEnd::Handled,
        Ok(Handling::Refused(_)) => ReplayEnd::Refused,
        Ok(Handling::Failed(_)) => ReplayEnd::Failed,
        Err(_) => ReplayEnd::Panicked,
    };
    let now = std::mem::take(&mut *lock(&recorder.sent));
    Replayed {
        seq: entry.event.seq,
        before: entry
            .deliveries
            .into_iter()
            .map(|stored| stored.delivery.message)
            .collect(),
        now,
        ended,
    }
}

/// A channel that keeps what is sent and does nothing else.
struct Recorder {
    info: ChannelInfo,
    sent: Mutex<Vec<OutboundMessage>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("id", &self.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Recorder {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        let mut sent = lock(&self.sent);
        sent.push(message.clone());
        let chat: ChatId = message.to.target().chat.clone();
        let id = format!("replay-{}", sent.len());
        Ok(Receipt::new(vec![MessageRef::new(chat, id.into())]))
    }

    async fn probe(&self) -> Result<Identity> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "a replay talks to no platform",
        ))
    }
}
