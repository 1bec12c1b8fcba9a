//! Messages on their way out.

mod ahead;
mod attempt;
mod doubt;
mod drive;
mod ended;
mod hold;
mod limiter;
mod previews;
mod record;
mod registry;
mod report;
mod settings;
mod shared;
mod spawn;
mod task;
mod visibility;

pub use ended::{Undelivered, Unfinished};
pub use previews::Previews;
pub use report::{Failure, LeftBehind, Report, Tally};
pub use settings::{OnUncertain, OutboxSettings};
pub use spawn::{Spawn, TokioSpawn};
pub use visibility::{Audience, Visibility, visibility};

use std::fmt;
use std::sync::Arc;

use channel_core::{
    Channel, ChannelId, ChatId, Clock, Conversation, Destination, Error, ErrorKind, IdempotencyKey,
    OutboundMessage, Random, Receipt, ReplyStream, Result,
};
use tokio::sync::oneshot;

use crate::engine::{Worker, random_name};
use crate::inbound::Seq;
use crate::outbound::NewDelivery;
use crate::store::StoreError;
use registry::{Entry, Place};
use shared::{Halt, Shared};
use task::Job;

/// Sends messages so that none is lost and none is doubled in silence. Cheap to clone.
///
/// A plan of parts is written before the first byte leaves; each part has a key and a
/// state, and a crash resumes at the first part that is not proven delivered. Messages of
/// one conversation go out in the order of the calls, and behind what other workers have
/// planned there before; conversations go out side by side.
///
/// Deliveries run as tasks of their own ([`Spawn`]): dropping a call's future does not
/// stop its delivery.
#[derive(Clone)]
pub struct Outbox(Arc<Shared>);

impl Outbox {
    /// An outbox without channels, on the store of a worker.
    #[must_use]
    pub fn new(
        worker: Worker,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: OutboxSettings,
    ) -> Self {
        Self(Arc::new(Shared::new(worker, clock, random, settings)))
    }

    /// Adds a channel, or replaces the one that has its id.
    pub fn register(&self, channel: Arc<dyn Channel>) {
        self.0.register(channel);
    }

    /// Delivers a message, and returns when its delivery has come to an end.
    ///
    /// The message's key makes it recognisable, across restarts too: the same key again
    /// joins the delivery that is under way, returns what is on record, or goes on where it
    /// stopped; the message that was planned first is the one that is sent. Without a key the message gets a random one. `answers` is the event that it
    /// answers, for the journal and the traces.
    ///
    /// The first call waits until all that older workers left behind is in hand. What of it
    /// belongs to the same conversation, or is left behind there later, comes before the
    /// message ([`Store::ahead`](crate::Store::ahead)).
    ///
    /// # Errors
    ///
    /// With [`Undelivered`] as its source where the end is on record: some part is dead or
    /// uncertain, and `kind` says why. With [`Unfinished`] the end is still open:
    /// `Unavailable` if nothing was sent that is not in [`Error::delivered`], `Uncertain` if
    /// something may have been; the same key goes on.
    ///
    /// # Cancel safety
    ///
    /// Once it was polled to the point of planning, the delivery goes on without the caller.
    pub async fn send(
        &self,
        channel: &ChannelId,
        message: OutboundMessage,
        answers: Option<Seq>,
    ) -> Result<Receipt> {
        self.send_to(channel, message, answers, Audience::default())
            .await
    }

    /// As [`send`](Self::send), to an audience: a message that is not for it is recorded as
    /// suppressed, which is a success with an empty receipt.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn send_to(
        &self,
        channel: &ChannelId,
        message: OutboundMessage,
        answers: Option<Seq>,
        audience: Audience,
    ) -> Result<Receipt> {
        let hidden = visibility(audience, &message);
        self.submit(channel, message, answers, |plan| Job::send(plan, hidden))
            .await
    }

    /// Ends a streamed answer with its final message, which is planned before the platform
    /// hears of it. What was lost in between is resolved as for any part, except that a key
    /// does not help: the end of a stream may be an edit.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn finish_stream(
        &self,
        stream: Box<dyn ReplyStream>,
        channel: &ChannelId,
        message: OutboundMessage,
        answers: Option<Seq>,
    ) -> Result<Receipt> {
        self.submit(channel, message, answers, |plan| {
            Job::stream(plan, Some(stream))
        })
        .await
    }

    /// As [`finish_stream`](Self::finish_stream), for an answer whose previews went through
    /// here, or that could not be shown while it grew.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn finish_previews(
        &self,
        previews: Option<Previews>,
        channel: &ChannelId,
        message: OutboundMessage,
        answers: Option<Seq>,
    ) -> Result<Receipt> {
        let stream = previews.map(Previews::into_stream);
        self.submit(channel, message, answers, |plan| Job::stream(plan, stream))
            .await
    }

    /// Opens the previews of an answer that will end under this key, or goes on with those of
    /// a process that died. What cannot be gone on with is reported
    /// ([`Report::left_behind`]).
    ///
    /// # Errors
    ///
    /// `Config` if there is no such channel, else as [`Stream::stream`]; the answer can do
    /// without previews.
    ///
    /// [`Stream::stream`]: channel_core::Stream::stream
    pub async fn previews(
        &self,
        channel: &ChannelId,
        to: &Destination,
        key: Option<&IdempotencyKey>,
    ) -> Result<Previews> {
        let Some(outlet) = self.0.outlet(channel) else {
            return Err(no_such_channel());
        };
        Previews::open(&self.0, outlet, to, key).await
    }

    /// Takes over what workers that are gone have left unfinished, oldest first, and returns
    /// how many deliveries that were when the last of them is in hand: not when they are
    /// done. To be called at the start, and again every few seconds.
    ///
    /// # Errors
    ///
    /// As the store's.
    ///
    /// # Cancel safety
    ///
    /// The recovery goes on without the caller.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let (told, done) = oneshot::channel();
        let shared = Arc::clone(&self.0);
        self.0.settings.spawn.spawn(Box::pin(async move {
            let recovered = task::recover(&shared).await;
            if let Err(Err(error)) = told.send(recovered) {
                tracing::warn!(%error, "deliveries were not recovered");
            }
        }));
        done.await.unwrap_or_else(|_| {
            Err(StoreError::new(
                crate::store::StoreErrorKind::Unavailable,
                "the recovery was cut off",
            ))
        })
    }

    /// Forgets that a chat did not want us: for whoever sees that it does again.
    ///
    /// # Errors
    ///
    /// As the store's.
    pub async fn revive(&self, channel: &ChannelId, chat: &ChatId) -> Result<(), StoreError> {
        let worker = &self.0.worker;
        let store = worker.store();
        if store
            .dead_target(channel, chat, worker.now())
            .await?
            .is_none()
        {
            return Ok(());
        }
        store.set_target(channel, chat, None).await
    }

    /// Notes that somebody writes to us in a chat of his own: if that chat did not want us, it
    /// does again. Once a chat is known, this asks the store only if there is something to
    /// forget.
    ///
    /// # Errors
    ///
    /// As the store's.
    pub async fn heard_from(&self, channel: &ChannelId, chat: &ChatId) -> Result<(), StoreError> {
        if self.0.exhume(channel, chat).await || self.0.has_heard_from(channel, chat) {
            return Ok(());
        }
        self.revive(channel, chat).await?;
        self.0.now_heard_from(channel, chat);
        Ok(())
    }

    /// Begins nothing new: what waits for its turn or its retry ends as interrupted and is
    /// left to the next worker; what is on the wire comes to its end and is recorded.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Waits until nothing is in hand.
    pub async fn drained(&self) {
        self.0.registry.drained().await;
    }

    /// What it has done and has in hand.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = self.0.counters.tally();
        tally.under_way = self.0.registry.len();
        let now = self.0.worker.now();
        let oldest = self.0.registry.oldest();
        tally.oldest = oldest.map(|planned| now.duration_since(planned).unwrap_or_default());
        tally
    }

    async fn submit(
        &self,
        channel: &ChannelId,
        mut message: OutboundMessage,
        answers: Option<Seq>,
        job: impl FnOnce(NewDelivery) -> Job + Send,
    ) -> Result<Receipt> {
        let shared = &self.0;
        let Some(outlet) = shared.outlet(channel) else {
            return Err(no_such_channel());
        };
        let key = message.key.take();
        let key = key.unwrap_or_else(|| random_name(shared.random.as_ref()).into());
        if let Some(under_way) = shared.registry.find(channel, &key) {
            return under_way.end().await;
        }
        let parts = match outlet.channel.as_parts().map(|parts| parts.parts(&message)) {
            Some(Ok(parts)) => parts,
            // What breaks the platform's rules is planned too, and fails on record.
            Some(Err(_)) => 1,
            None => usize::from(!message.is_empty()),
        };
        if parts == 0 {
            return Ok(Receipt::default());
        }
        self.catch_up().await?;
        let permit = Arc::clone(&outlet.places).acquire_owned().await;
        shared.check().map_err(|halt| not_begun(&halt))?;
        let follow = match shared.registry.enter(
            conversation(channel, &message),
            key.clone(),
            shared.worker.now(),
            Place::Last,
        ) {
            Entry::Joined(follow) => follow,
            Entry::Mine(ticket) => {
                let mut plan = NewDelivery::new(channel.clone(), key, message, parts);
                plan.answers = answers;
                let follow = ticket.follow();
                let job = job(plan).run(Arc::clone(shared), outlet, ticket);
                shared.settings.spawn.spawn(Box::pin(async move {
                    job.await;
                    drop(permit);
                }));
                follow
            }
        };
        follow.end().await
    }

    /// Lets nothing new overtake what older workers left behind.
    async fn catch_up(&self) -> Result<()> {
        if self.0.has_caught_up() {
            return Ok(());
        }
        let recovered = self.recover().await;
        let done = recovered.map(drop);
        done.map_err(|error| not_begun(&Halt::Store(error)))
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("worker", &self.0.worker)
            .field("under_way", &self.0.registry.len())
            .finish_non_exhaustive()
    }
}

fn conversation(channel: &ChannelId, message: &OutboundMessage) -> Conversation {
    let target = message.to.target();
    Conversation::new(channel.clone(), target.chat.clone(), target.thread.clone())
}

fn no_such_channel() -> Error {
    Error::config("the outbox has no channel of this name")
}

fn not_begun(halt: &Halt) -> Error {
    let error = Error::new(ErrorKind::Unavailable, format!("nothing was sent: {halt}"));
    error.with_source(Unfinished)
}
