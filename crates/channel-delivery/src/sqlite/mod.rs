//! A store in one SQLite file.

mod ahead;
mod ask;
mod claim;
mod codec;
#[cfg(test)]
mod durability_tests;
mod error;
mod files;
mod heap;
mod hot;
mod load;
mod lock;
mod phase;
mod rare;
mod read;
mod save;
mod schema;
mod sweep;
mod tally;
mod wal;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{ChannelId, ChatId, IdempotencyKey, Receipt};
use sqlx::sqlite::SqlitePool;
use tokio::sync::{mpsc, oneshot};

use crate::inbound::{Attempt, DeadEvent, NewEvent, Outcome, Recorded, Seq, StoredEvent};
use crate::outbound::{
    Ahead, DeadDelivery, DeliveryId, NewDelivery, Part, Planned, StoredDelivery,
};
use crate::rules;
use crate::store::{Counts, JournalEntry, Store, StoreError, StoreErrorKind, Swept};
use crate::worker::{Fence, WorkerId};
use ask::{Answer, Ask, DeliveryColumns, EventColumns, Request};
use codec::{from_millis, to_json, to_millis};
use files::Files;
use lock::WorkerLock;
use writer::{Readers, Writer, closed};

/// How safe a write is when it has been answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// On the disk: neither a crash of the process nor of the machine takes it back.
    #[default]
    Full,
    /// With the operating system (`PRAGMA synchronous = NORMAL`): a crash of the process takes
    /// nothing back. A crash of the machine or a power cut may take back the last commits,
    /// all since the log was last copied back (about 4 MB of it), though never one without
    /// those after it, and never damages the file: events that were acknowledged are lost
    /// then, and messages that were sent may be sent again.
    Relaxed,
}

/// A store in one SQLite file, for one process at a time.
///
/// Requests of all tasks that wait at the same moment share one commit. The first enrolment
/// takes a lock on the file `PATH-lock`: a second process that enrols is refused with
/// `Config`, and since all workers before must be dead, their leases end at once. Reading,
/// and the tools for dead events and deliveries, need no enrolment and work while a bot runs.
///
/// When the disk is full or read-only, or the files are damaged under it, requests are
/// refused with `Unavailable`; the file is opened and checked again for each batch, so it goes
/// on by itself when the disk is back.
///
/// A clone shares everything. Use it inside a Tokio runtime.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    queue: mpsc::Sender<Request>,
    readers: Readers,
    lock: tokio::sync::Mutex<WorkerLock>,
}

/// Builds a [`SqliteStore`]; made by [`SqliteStore::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteStoreBuilder {
    files: Files,
    queue: usize,
}

impl SqliteStoreBuilder {
    /// How safe a write is when it has been answered; [`Durability::Full`] if not set.
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.files.durability = durability;
        self
    }

    /// How many requests may wait for the writer, at least 1; 1,024 if not set. Further ones
    /// wait for a place.
    pub const fn queue(mut self, requests: usize) -> Self {
        self.queue = requests;
        self
    }

    /// How long a request waits for another process that writes; 5 s if not set.
    pub const fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.files.busy_timeout = timeout;
        self
    }

    /// Opens the store; makes the file, for its owner alone, if there is none.
    ///
    /// # Errors
    ///
    /// `Config` if there is no such directory, the file is no store, or a newer release made
    /// it; `Unavailable` and `Corrupt` for what the disk says.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        if self.queue == 0 {
            return Err(error::config("the queue needs a place"));
        }
        self.files.create()?;
        let readers: Readers = Arc::new(Mutex::new(self.files.readers()));
        let (queue, requests) = mpsc::channel(self.queue);
        let lock = WorkerLock::beside(&self.files.path);
        let path = self.files.path.clone();
        let writer = Writer::new(self.files, Arc::clone(&readers)).await?;
        tokio::spawn(writer.run(requests));
        Ok(SqliteStore {
            inner: Arc::new(Inner {
                path,
                queue,
                readers,
                lock: tokio::sync::Mutex::new(lock),
            }),
        })
    }
}

impl SqliteStore {
    /// Opens a store with the default settings.
    ///
    /// # Errors
    ///
    /// As [`SqliteStoreBuilder::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::builder(path).open().await
    }

    /// Sets how a store is opened.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteStoreBuilder {
        SqliteStoreBuilder {
            files: Files {
                path: path.into(),
                durability: Durability::Full,
                busy_timeout: Duration::from_secs(5),
            },
            queue: 1024,
        }
    }

    /// Waits until everything that was asked is answered, and lets go of the files. Whatever
    /// is asked of this store or a clone afterwards is `Unavailable`.
    ///
    /// Dropping the last clone does the same without waiting.
    pub async fn close(&self) {
        let mut lock = self.inner.lock.lock().await;
        // If it has stopped already, there is nothing to wait for.
        let _ = self.ask(Ask::Close).await;
        lock.let_go();
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { ask, reply };
        self.inner.queue.send(request).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn ask_done(&self, ask: Ask) -> Result<(), StoreError> {
        match self.ask(ask).await? {
            Answer::Done => Ok(()),
            _ => Err(mixed_up()),
        }
    }

    async fn ask_changed(&self, ask: Ask) -> Result<bool, StoreError> {
        match self.ask(ask).await? {
            Answer::Changed(changed) => Ok(changed),
            _ => Err(mixed_up()),
        }
    }

    fn readers(&self) -> SqlitePool {
        let readers = self.inner.readers.lock();
        readers.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

/// A question got the answer to another one: a bug of this module.
fn mixed_up() -> StoreError {
    StoreError::new(
        StoreErrorKind::Illegal,
        "sqlite store: the answer is for another question",
    )
}

fn event_columns(new: &NewEvent) -> Result<EventColumns, StoreError> {
    Ok(EventColumns {
        channel: new.event.channel.as_str().to_owned(),
        id: new.event.id.as_str().to_owned(),
        lane: new.event.conversation().as_ref().map(codec::lane),
        payload: to_json(&new.event, "the event")?,
        cursor: new.cursor.clone(),
    })
}

#[async_trait]
impl Store for SqliteStore {
    /// A year: the lock beside the file proves who is alive, so an outage of the disk may last
    /// as long as it likes.
    fn lease(&self) -> Duration {
        Duration::from_secs(365 * 86_400)
    }

    async fn enroll(
        &self,
        worker: &WorkerId,
        lease: Duration,
        now: SystemTime,
    ) -> Result<Fence, StoreError> {
        let lease_until = to_millis(rules::lease_end(now, lease)?);
        let mut lock = self.inner.lock.lock().await;
        let alone = lock.take()?;
        let ask = Ask::Enroll {
            worker: worker.as_str().to_owned(),
            lease_until,
            alone,
        };
        let answer = self.ask(ask).await;
        if let Ok(Answer::Enrolled(fence)) = answer {
            lock.entered(fence);
            return Ok(fence);
        }
        lock.let_go_if_unused();
        Err(answer.err().unwrap_or_else(mixed_up))
    }

    async fn renew(
        &self,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let lease_until = to_millis(rules::lease_end(now, lease)?);
        self.ask_done(Ask::Renew { fence, lease_until }).await
    }

    async fn leave(&self, fence: Fence, _now: SystemTime) -> Result<(), StoreError> {
        let mut lock = self.inner.lock.lock().await;
        self.ask_done(Ask::Leave { fence }).await?;
        lock.left(fence);
        Ok(())
    }

    async fn record(
        &self,
        fence: Fence,
        events: Vec<NewEvent>,
        now: SystemTime,
    ) -> Result<Vec<Recorded>, StoreError> {
        let events = events.iter().map(event_columns).collect::<Result<_, _>>()?;
        let now = to_millis(now);
        match self.ask(Ask::Record { fence, events, now }).await? {
            Answer::Recorded(answers) => Ok(answers),
            _ => Err(mixed_up()),
        }
    }

    async fn cursor(&self, channel: &ChannelId) -> Result<Option<String>, StoreError> {
        Ok(read::cursor(&self.readers(), channel.as_str()).await?)
    }

    async fn claim(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let now = to_millis(now);
        match self.ask(Ask::Claim { fence, limit, now }).await? {
            Answer::Claimed(events) => Ok(events),
            _ => Err(mixed_up()),
        }
    }

    async fn owned(
        &self,
        fence: Fence,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        match self
            .ask(Ask::Owned {
                fence,
                after,
                limit,
            })
            .await?
        {
            Answer::Claimed(events) => Ok(events),
            _ => Err(mixed_up()),
        }
    }

    async fn begin(
        &self,
        fence: Fence,
        event: Seq,
        now: SystemTime,
    ) -> Result<Attempt, StoreError> {
        let now = to_millis(now);
        match self.ask(Ask::Begin { fence, event, now }).await? {
            Answer::Begun(attempt) => Ok(attempt),
            _ => Err(mixed_up()),
        }
    }

    async fn finish(
        &self,
        fence: Fence,
        event: Seq,
        outcome: Outcome,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let now = to_millis(now);
        self.ask_done(Ask::Finish {
            fence,
            event,
            outcome,
            now,
        })
        .await
    }

    async fn plan(
        &self,
        fence: Fence,
        delivery: NewDelivery,
        now: SystemTime,
    ) -> Result<Planned, StoreError> {
        let columns = DeliveryColumns {
            channel: delivery.channel.as_str().to_owned(),
            key: delivery.key.as_str().to_owned(),
            answers: delivery.answers.map(Seq::number),
            parts: delivery.parts,
            message: to_json(&delivery.message, "the message")?,
        };
        let ask = Ask::Plan {
            fence,
            delivery: columns,
            now: to_millis(now),
        };
        match self.ask(ask).await? {
            Answer::Planned {
                id,
                is_behind_others,
            } => {
                let parts = vec![Part::prepared(); delivery.parts];
                let planned_at = from_millis(to_millis(now));
                let stored = StoredDelivery::new(id, delivery, parts, planned_at);
                Ok(Planned::new(stored, true).behind_others(is_behind_others))
            }
            Answer::Found(found) => {
                let names = (delivery.channel.as_str(), delivery.key.as_str());
                let json = found.columns.message.as_deref();
                let message = json.and_then(codec::message).unwrap_or(delivery.message);
                let (answers, parts) = (found.columns.answers, found.parts);
                let kept = codec::delivery(names, answers, message, parts.len());
                let planned_at = from_millis(found.columns.planned_at);
                let stored = StoredDelivery::new(found.id, kept, parts, planned_at);
                Ok(Planned::new(stored, false).behind_others(found.is_behind_others))
            }
            _ => Err(mixed_up()),
        }
    }

    async fn update(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        parts: Vec<(usize, Part)>,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let now = to_millis(now);
        self.ask_done(Ask::Update {
            fence,
            delivery,
            parts,
            now,
        })
        .await
    }

    async fn claim_deliveries(
        &self,
        fence: Fence,
        limit: usize,
        now: SystemTime,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let now = to_millis(now);
        match self.ask(Ask::ClaimDeliveries { fence, limit, now }).await? {
            Answer::ClaimedDeliveries(deliveries) => Ok(deliveries),
            _ => Err(mixed_up()),
        }
    }

    async fn ahead(
        &self,
        fence: Fence,
        delivery: DeliveryId,
        limit: usize,
        now: SystemTime,
    ) -> Result<Ahead, StoreError> {
        let ask = Ask::Ahead {
            fence,
            delivery,
            limit,
            now: to_millis(now),
        };
        match self.ask(ask).await? {
            Answer::Ahead(ahead) => Ok(ahead),
            _ => Err(mixed_up()),
        }
    }

    async fn owned_deliveries(
        &self,
        fence: Fence,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let ask = Ask::OwnedDeliveries {
            fence,
            after,
            limit,
        };
        match self.ask(ask).await? {
            Answer::ClaimedDeliveries(deliveries) => Ok(deliveries),
            _ => Err(mixed_up()),
        }
    }

    async fn note_preview(
        &self,
        fence: Fence,
        channel: &ChannelId,
        key: &IdempotencyKey,
        shown: &Receipt,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        self.ask_done(Ask::NotePreview {
            fence,
            channel: channel.as_str().to_owned(),
            key: key.as_str().to_owned(),
            shown: to_json(shown, "the preview")?,
            now: to_millis(now),
        })
        .await
    }

    async fn preview(
        &self,
        channel: &ChannelId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        let readers = self.readers();
        Ok(read::preview(&readers, channel.as_str(), key.as_str()).await?)
    }

    async fn set_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        dead: Option<(SystemTime, String)>,
    ) -> Result<(), StoreError> {
        let ask = Ask::SetTarget {
            channel: channel.as_str().to_owned(),
            chat: chat.as_str().to_owned(),
            dead: dead.map(|(until, reason)| (to_millis(until), reason)),
        };
        self.ask_done(ask).await
    }

    async fn dead_target(
        &self,
        channel: &ChannelId,
        chat: &ChatId,
        now: SystemTime,
    ) -> Result<Option<(SystemTime, String)>, StoreError> {
        let readers = self.readers();
        let found = read::dead_target(&readers, channel.as_str(), chat.as_str(), now);
        Ok(found.await?)
    }

    async fn dead_events(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<DeadEvent>, StoreError> {
        Ok(read::dead_events(&self.readers(), after, limit).await?)
    }

    async fn retry_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        let now = to_millis(now);
        self.ask_changed(Ask::RetryEvent { event, now }).await
    }

    async fn drop_event(&self, event: Seq, now: SystemTime) -> Result<bool, StoreError> {
        let now = to_millis(now);
        self.ask_changed(Ask::DropEvent { event, now }).await
    }

    async fn dead_deliveries(
        &self,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>, StoreError> {
        Ok(read::dead_deliveries(&self.readers(), after, limit).await?)
    }

    async fn retry_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let now = to_millis(now);
        self.ask_changed(Ask::RetryDelivery { delivery, now }).await
    }

    async fn drop_delivery(
        &self,
        delivery: DeliveryId,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let now = to_millis(now);
        self.ask_changed(Ask::DropDelivery { delivery, now }).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        Ok(read::counts(&self.readers()).await?)
    }

    async fn journal(
        &self,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(read::journal(&self.readers(), after, limit).await?)
    }

    async fn sweep(&self, before: SystemTime, limit: usize) -> Result<Swept, StoreError> {
        let before = to_millis(before);
        match self.ask(Ask::Sweep { before, limit }).await? {
            Answer::Swept(swept) => Ok(swept),
            _ => Err(mixed_up()),
        }
    }
}
