//! The stream of events and their acknowledgement.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use channel_core::{
    Acknowledge, Action, Connection, Error, ErrorKind, EventId, EventKind, Events, Received,
    Result, async_trait, timeout,
};
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::FutureExt as _;

use crate::Standard;
use crate::code::Refusal;
use crate::config::AckAfter;
use crate::hub::Place;
use crate::inbound::ack;
use crate::inbox::{Answer, Found};
use crate::link::Closing;
use crate::message::PLATFORM;
use crate::session::error;
use crate::standard::Shared;
use crate::time;

/// How often the stream says that it lives.
const ALIVE: Duration = Duration::from_secs(30);
/// How long [`Events::close`] waits for clients to answer the closing frame, beyond the
/// time that one write may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

struct EventStream {
    shared: Arc<Shared>,
    number: u64,
    ready: bool,
    alive: BoxFuture<'static, ()>,
}

impl Stream for EventStream {
    type Item = Result<Received>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let channel = &this.shared.info.id;
        if !this.ready {
            this.ready = true;
            let received = Received::connection(channel.clone(), Connection::Ready);
            return Poll::Ready(Some(Ok(received)));
        }
        let mut hub = this.shared.hub();
        if !hub.inbox.is_live(this.number) {
            return Poll::Ready(None);
        }
        if let Some((token, waiting)) = hub.inbox.take(cx.waker()) {
            let now = this.shared.transport.clock.now();
            let event = waiting.event.clone();
            let at_once = this.shared.config.ack_after == AckAfter::Delivered;
            if at_once && !waiting.answered && !waiting.is_press() {
                waiting.answered = true;
                tell(&waiting.answer, ack(&waiting.answer, false, now, None));
            }
            if let Some(mirror) = waiting.mirror.take() {
                mirror.publish(&mut hub, &event, &time::rfc3339(now));
            }
            drop(hub);
            let duty: Arc<dyn Acknowledge> = Arc::clone(&this.shared) as _;
            return Poll::Ready(Some(Ok(Received::new(event, duty, token))));
        }
        drop(hub);
        if this.alive.poll_unpin(cx).is_pending() {
            return Poll::Pending;
        }
        this.alive = this.shared.transport.clock.sleep(ALIVE);
        this.shared.hub().sweep();
        let received = Received::connection(channel.clone(), Connection::Alive);
        Poll::Ready(Some(Ok(received)))
    }
}

#[async_trait]
impl Events for Standard {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        let number = {
            let mut hub = self.0.hub();
            hub.stopping = false;
            hub.inbox.begin_stream()
        };
        Box::pin(EventStream {
            shared: Arc::clone(&self.0),
            number,
            ready: false,
            alive: self.0.transport.clock.sleep(ALIVE),
        })
    }

    /// Closes all connections with 1001 and takes no new ones until the next stream.
    async fn close(&self) -> Result<()> {
        self.0.hub().stopping = true;
        self.0.close_all(Closing::GOING_AWAY);
        let gone = poll_fn(|cx| {
            if self.0.all_gone(cx.waker()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let limit = self.0.config.write_timeout() + CLOSE_WITHIN;
        timeout(&*self.0.transport.clock, limit, gone)
            .await
            .map_err(|_| {
                Error::new(
                    ErrorKind::Unavailable,
                    "some connections did not end in time",
                )
                .on(PLATFORM, "close")
            })
    }
}

/// Answers on the connection that the frame came through, if it is still there; if not,
/// the client asks again with the same id.
fn tell(answer: &Answer, frame: bytes::Bytes) {
    if let Some(link) = answer.link.upgrade() {
        link.push(frame);
    }
}

#[async_trait]
impl Acknowledge for Shared {
    async fn ack(&self, token: u64) -> Result<()> {
        let now = self.transport.clock.now();
        let mut hub = self.hub();
        let Some(waiting) = hub.inbox.accept(token, now) else {
            return Ok(());
        };
        if let EventKind::Deleted(deleted) = &waiting.event.kind {
            for message in &deleted.messages {
                if let Some(place) = Place::parse(&message.chat)
                    && let Some(known) = hub.history_mut(&place).known_mut(message.id.as_str())
                {
                    known.deleted = true;
                }
            }
        }
        drop(hub);
        // A press has one answer, and the application gives it: see `answer`.
        if !waiting.answered && !waiting.is_press() {
            tell(&waiting.answer, ack(&waiting.answer, false, now, None));
        }
        Ok(())
    }

    async fn nak(&self, token: u64) -> Result<()> {
        let waiting = self.hub().inbox.refuse(token);
        if let Some(waiting) = waiting.filter(|waiting| !waiting.answered) {
            let answer = &waiting.answer;
            let (of, conversation) = (answer.of.as_str(), answer.conversation.as_str());
            let frame = error(Some(of), Some(conversation), Refusal::BUSY, false);
            tell(answer, frame);
        }
        Ok(())
    }

    fn abandon(&self, token: u64) {
        self.hub().inbox.give_back(token);
    }
}

impl Standard {
    /// Tells the client that its press has arrived, with a notice if there is one.
    pub(crate) fn answer(&self, action: &Action, notice: Option<&str>) -> Result<()> {
        let now = self.0.transport.clock.now();
        let mut hub = self.0.hub();
        let found = hub.inbox.find_press(&EventId::new(action.id.as_str()));
        let (answer, answered) = match found {
            Some(Found::Waiting(waiting)) => (&waiting.answer, &mut waiting.answered),
            Some(Found::Accepted(press)) => (&press.answer, &mut press.answered),
            None => {
                let message = "the press is not known, or no longer";
                return Err(Error::new(ErrorKind::NotFound, message).on(PLATFORM, "answer action"));
            }
        };
        // Once it is answered, only a notice is still news.
        if !*answered || notice.is_some() {
            tell(answer, ack(answer, false, now, notice));
            *answered = true;
        }
        Ok(())
    }
}
