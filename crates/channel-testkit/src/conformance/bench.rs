//! What checks are made with.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Accepted, Body, Channel, Clock, Connection, Error, Event, EventKind, Message, MessageRef,
    OutboundMessage, Receipt, Received, Rejection, Target, Webhook, timeout,
};
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use http::Request;

use super::subject::{Ability, FakePlatform, Happened, Happening, Place, Shown};
use crate::failure::Failure;

/// The longest silence that a connection may keep, and our patience with everything else.
pub(crate) const SILENCE: Duration = Duration::from_secs(90);

/// Why a check did not pass.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(String),
    Ignored(String),
}

pub(crate) type Check<T = ()> = Result<T, Stop>;

pub(crate) fn failed<T>(reason: impl Into<String>) -> Check<T> {
    Err(Stop::Failed(reason.into()))
}

pub(crate) fn ignored<T>(reason: impl Into<String>) -> Check<T> {
    Err(Stop::Ignored(reason.into()))
}

/// Fails the check with a reason unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Err($crate::conformance::bench::Stop::Failed(format!($($reason)+)));
        }
    };
}
pub(crate) use ensure;

/// Turns an error of the channel into the reason of a failure.
pub(crate) fn worked<T>(what: &str, result: Result<T, Error>) -> Check<T> {
    result.map_err(|error| Stop::Failed(format!("{what}: {}: {error}", error.kind())))
}

/// One channel and its platform, for one check.
pub(crate) struct Bench {
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) platform: Box<dyn FakePlatform>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) virtual_time: bool,
}

impl Bench {
    /// Waits, but not for ever.
    pub(crate) async fn within<F>(&self, what: &str, future: F) -> Check<F::Output>
    where
        F: Future + Send,
    {
        match timeout(self.clock.as_ref(), SILENCE, future).await {
            Ok(output) => Ok(output),
            Err(_) => failed(format!("{what}: nothing came within 90 s")),
        }
    }

    pub(crate) fn ability<T>(&self, ability: Ability, of: Option<T>) -> Check<T> {
        match of {
            Some(offered) => Ok(offered),
            None => ignored(format!("the channel does not offer {ability:?}")),
        }
    }

    pub(crate) fn direct(&self) -> Check<Target> {
        match self.platform.place(Place::Direct) {
            Some(target) => Ok(target),
            None => ignored("the platform has no direct chat"),
        }
    }

    pub(crate) fn message(&self, body: impl Into<Body>) -> Check<OutboundMessage> {
        Ok(OutboundMessage::new(self.direct()?, body))
    }

    /// Sends to the direct chat.
    pub(crate) async fn send(&self, body: impl Into<Body> + Send) -> Check<Receipt> {
        let message = self.message(body)?;
        self.send_message(&message).await
    }

    pub(crate) async fn send_message(&self, message: &OutboundMessage) -> Check<Receipt> {
        let sent = self.within("send", self.channel.send(message)).await?;
        worked("send", sent)
    }

    /// Sends one message that fits, and gives its only part.
    pub(crate) async fn send_one(&self, text: &str) -> Check<MessageRef> {
        let receipt = self.send(text).await?;
        match receipt.messages.as_slice() {
            [only] => Ok(only.clone()),
            all => failed(format!("a short text made {} messages", all.len())),
        }
    }

    /// The message on show under an id.
    pub(crate) async fn find(&self, at: &MessageRef) -> Check<Shown> {
        let shown = self.platform.shown().await;
        match shown.into_iter().find(|shown| shown.at == *at) {
            Some(shown) => Ok(shown),
            None => failed("a message of the receipt is not on show"),
        }
    }

    pub(crate) async fn break_down(&self, failure: Failure) -> Check {
        if self.platform.fail(0, Some(failure)).await {
            Ok(())
        } else {
            ignored(format!("the fake platform cannot fail with {failure:?}"))
        }
    }

    /// How a send fails while the platform is broken.
    pub(crate) async fn send_broken(&self, failure: Failure) -> Check<Error> {
        self.break_down(failure).await?;
        let message = self.message("hello")?;
        match self.within("send", self.channel.send(&message)).await? {
            Ok(_) => failed(format!("sending succeeded in spite of {failure:?}")),
            Err(error) => Ok(error),
        }
    }

    /// An inbox that has not been opened.
    pub(crate) const fn closed_inbox(&self) -> Inbox<'_> {
        Inbox {
            bench: self,
            stream: None,
            queue: VecDeque::new(),
            requests: Vec::new(),
        }
    }

    /// Begins to receive: opens the channel's connection, where it has one.
    pub(crate) async fn inbox(&self) -> Check<Inbox<'_>> {
        let mut inbox = self.closed_inbox();
        match (self.channel.as_events(), self.channel.as_webhook()) {
            (Some(_), _) => inbox.open().await?,
            (None, Some(_)) => {}
            (None, None) => return ignored("the channel receives nothing"),
        }
        Ok(inbox)
    }

    /// The webhook and a good request to it.
    pub(crate) async fn request(&self) -> Check<(&dyn Webhook, Request<Bytes>)> {
        let webhook = self.ability(Ability::Webhook, self.channel.as_webhook())?;
        let text = Happening::Text {
            place: Place::Direct,
            text: "a text to be signed",
        };
        match self.platform.happen(text).await.and_then(|it| it.request) {
            Some(request) => Ok((webhook, request)),
            None => ignored("the fake platform makes no webhook request"),
        }
    }

    pub(crate) fn receive(&self, request: &Request<Bytes>) -> Result<Accepted, Rejection> {
        match self.channel.as_webhook() {
            Some(webhook) => webhook.receive(request, self.clock.now()),
            None => Err(Rejection::malformed("no webhook")),
        }
    }
}

/// An event that has come, with its duty where it has one.
pub(crate) struct Arrived {
    pub(crate) event: Event,
    pub(crate) received: Option<Received>,
}

impl Arrived {
    pub(crate) async fn ack(self) -> Check {
        match self.received {
            Some(received) => worked("ack", received.ack().await),
            None => Ok(()),
        }
    }

    pub(crate) fn message(&self) -> Check<&Message> {
        match self.event.message() {
            Some(message) => Ok(message),
            None => failed(format!("expected a message, got {}", self.event.name())),
        }
    }
}

/// The receiving end of a channel, of either kind.
pub(crate) struct Inbox<'a> {
    pub(crate) bench: &'a Bench,
    stream: Option<BoxStream<'static, channel_core::Result<Received>>>,
    queue: VecDeque<Arrived>,
    /// The webhook requests that were accepted, to be delivered again.
    requests: Vec<Request<Bytes>>,
}

impl Inbox<'_> {
    /// Whether events come over the channel's own connection.
    pub(crate) const fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// Opens the connection and looks at nothing yet.
    pub(crate) fn connect(&mut self) {
        let events = self.bench.channel.as_events();
        self.stream = events.map(channel_core::Events::events);
    }

    /// Opens the connection and waits for its first news, because a platform may send
    /// nothing to those who are not there.
    async fn open(&mut self) -> Check {
        self.connect();
        if !self.is_connected() {
            return Ok(());
        }
        if let Ok(Some(first)) = self.bench.within("connect", self.poll()).await {
            self.queue.extend(first?);
        }
        Ok(())
    }

    /// The next item: an event, or news about the connection (`None`).
    async fn poll(&mut self) -> Option<Check<Option<Arrived>>> {
        let item = self.stream.as_mut()?.next().await?;
        Some(match worked("events", item) {
            Ok(mut received) => match received.take() {
                Some(event) if matches!(event.kind, EventKind::Connection(_)) => Ok(None),
                Some(event) => Ok(Some(Arrived {
                    event,
                    received: Some(received),
                })),
                None => failed("an item of the stream holds no event"),
            },
            Err(stop) => Err(stop),
        })
    }

    /// The next news about the connection; events on the way are acknowledged.
    pub(crate) async fn news(&mut self) -> Check<Connection> {
        loop {
            let Some(stream) = self.stream.as_mut() else {
                return ignored("the channel does not offer Events");
            };
            let item = self.bench.within("news", stream.next()).await?;
            let Some(item) = item else {
                return failed("the stream has ended");
            };
            let received = worked("events", item)?;
            if let Some(Event {
                kind: EventKind::Connection(news),
                ..
            }) = received.event()
            {
                return Ok(news.clone());
            }
            worked("ack", received.ack().await)?;
        }
    }

    /// Drops the connection, without acknowledging anything, and opens another.
    pub(crate) async fn reopen(&mut self) -> Check {
        self.stream = None;
        self.queue.clear();
        self.open().await
    }

    /// Lets something happen that is expected to be delivered.
    pub(crate) async fn happen(&mut self, what: Happening<'_>) -> Check<Happened> {
        let Some(mut happened) = self.bench.platform.happen(what).await else {
            return ignored(format!("the fake platform cannot do {}", name(what)));
        };
        if let Some(request) = happened.request.take() {
            match self.bench.receive(&request) {
                Ok(accepted) => self.accept(accepted),
                Err(_) if matches!(what, Happening::Malformed) => {}
                Err(rejection) => {
                    return failed(format!("a good request was {rejection}"));
                }
            }
            self.requests.push(request);
        }
        Ok(happened)
    }

    fn accept(&mut self, accepted: Accepted) {
        let arrived = |event| Arrived {
            event,
            received: None,
        };
        self.queue.extend(accepted.events.into_iter().map(arrived));
    }

    pub(crate) async fn text(&mut self, text: &str) -> Check<Happened> {
        let place = Place::Direct;
        self.happen(Happening::Text { place, text }).await
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Check<Arrived> {
        if let Some(arrived) = self.queue.pop_front() {
            return Ok(arrived);
        }
        if !self.is_connected() {
            return failed("the request brought no event");
        }
        let bench = self.bench;
        // Proofs of life are no events: they must not make the wait endless.
        let next = async {
            loop {
                match self.poll().await {
                    Some(Ok(None)) => {}
                    Some(Ok(Some(arrived))) => return Ok(arrived),
                    Some(Err(stop)) => return Err(stop),
                    None => return failed("the stream has ended"),
                }
            }
        };
        bench.within("receive an event", next).await?
    }

    /// The next event, which is to be a message with these words.
    pub(crate) async fn expect(&mut self, text: &str) -> Check<Arrived> {
        let arrived = self.next().await?;
        let got = &arrived.message()?.text;
        ensure!(got == text, "expected the text {text:?}, got {got:?}");
        Ok(arrived)
    }

    /// A user's text, from the platform to the event.
    pub(crate) async fn deliver(&mut self, text: &str) -> Check<Arrived> {
        self.text(text).await?;
        self.expect(text).await
    }

    /// Lets the platform deliver again what was not acknowledged.
    pub(crate) async fn redeliver(&mut self) -> Check {
        if self.is_connected() {
            if !self.bench.platform.redelivers() {
                return ignored("the platform delivers each event once");
            }
            return self.reopen().await;
        }
        let Some(request) = self.requests.last().cloned() else {
            return failed("nothing was delivered yet");
        };
        match self.bench.receive(&request) {
            Ok(accepted) => self.accept(accepted),
            Err(rejection) => return failed(format!("a repeated request was {rejection}")),
        }
        Ok(())
    }
}

pub(crate) const fn name(what: Happening<'_>) -> &'static str {
    match what {
        Happening::Text { place, .. } => match place {
            Place::Direct => "a user's text",
            Place::Thread => "a text in a thread",
        },
        Happening::File { .. } => "a file",
        Happening::Press { .. } => "a press of a button",
        Happening::OwnText { .. } => "an echo of the bot's own message",
        Happening::Unknown => "an unknown event",
        Happening::Malformed => "a malformed payload",
        Happening::Again => "a repeated delivery",
    }
}
