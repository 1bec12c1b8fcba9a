//! Receiving, badly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{
    Accepted, Acknowledge, Addressed, Answer, Connection, Error, ErrorKind, Event, EventId,
    EventKind, Events, MessageId, Raw, Received, Rejection, Result, Route, Webhook, async_trait,
};
use futures_core::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::{Request, Response};

use super::Broken;

impl Broken {
    /// Changes an event, or loses it.
    fn bend_event(&self, mut event: Event) -> Option<Event> {
        match self.0.bug {
            "gives_different_events_different_ids" => {
                let text = event.message().map(|message| message.text.clone());
                event.id = EventId::from(text.unwrap_or_else(|| event.name().to_owned()));
            }
            "gives_a_repeated_event_the_same_id" => {
                event.id = EventId::from(format!("{}-{}", event.id, self.count()));
            }
            "keeps_unknown_events" if matches!(event.kind, EventKind::Unknown(_)) => return None,
            _ => {}
        }
        match (&mut event.kind, self.0.bug) {
            (EventKind::Message(message), bug) => match bug {
                "receives_a_text_with_its_ids" if message.thread.is_none() => {
                    message.id = MessageId::from("another");
                }
                "receives_a_text_of_a_thread_with_its_ids" => message.thread = None,
                "knows_that_a_direct_message_is_meant_for_it" => message.addressed = Addressed::No,
                "keeps_events_equal_through_storage" => {
                    message.sent_at = UNIX_EPOCH.checked_sub(Duration::from_secs(1));
                }
                "keeps_native_messages_equal_through_storage" => message.raw = Raw::default(),
                _ => {}
            },
            (EventKind::Action(action), "receives_a_press_with_its_value") => {
                "value".clone_into(&mut action.value);
            }
            _ => {}
        }
        Some(event)
    }
}

/// The events that wait for their acknowledgement, by the wrapper's own tokens.
#[derive(Debug)]
struct Duties {
    bug: &'static str,
    waiting: Mutex<BTreeMap<u64, Received>>,
    abandoned: Mutex<Option<Received>>,
}

impl Duties {
    fn remove(&self, token: u64) -> Option<Received> {
        self.waiting.lock().unwrap().remove(&token)
    }
}

#[async_trait]
impl Acknowledge for Duties {
    async fn ack(&self, token: u64) -> Result<()> {
        let mut done: Vec<_> = self.remove(token).into_iter().collect();
        {
            let mut waiting = self.waiting.lock().unwrap();
            if self.bug == "takes_acknowledgements_in_any_order" {
                // The cursor simply moves here.
                let later = waiting.split_off(&token);
                done.extend(std::mem::replace(&mut *waiting, later).into_values());
            }
            if self.bug == "forgets_what_was_acknowledged" && waiting.is_empty() {
                // The cursor stops one short.
                return Ok(());
            }
        }
        for received in done {
            received.ack().await?;
        }
        Ok(())
    }

    async fn nak(&self, token: u64) -> Result<()> {
        match self.remove(token) {
            Some(received) if self.bug == "redelivers_what_was_refused" => received.ack().await,
            Some(received) => received.nak().await,
            None => Ok(()),
        }
    }

    fn abandon(&self, token: u64) {
        let Some(received) = self.remove(token) else {
            return;
        };
        if self.bug == "redelivers_what_was_not_acknowledged" {
            // Only one event is kept for the next connection.
            let earlier = self.abandoned.lock().unwrap().replace(received);
            if let Some(earlier) = earlier {
                earlier.ack().now_or_never().unwrap().unwrap();
            }
        }
    }
}

struct Connected {
    channel: Broken,
    inner: BoxStream<'static, Result<Received>>,
    duties: Arc<Duties>,
    first_stream: bool,
    greeted: bool,
    ended: bool,
    held_back: Option<Received>,
}

impl Connected {
    async fn next(&mut self) -> Option<Result<Received>> {
        loop {
            if self.ended {
                return None;
            }
            let mut received = match self.held_back.take() {
                Some(received) => received,
                None => match self.inner.next().await? {
                    Ok(received) => received,
                    Err(error) => return Some(Err(error)),
                },
            };
            if self.first_stream
                && self.channel.has("receives_events_in_order")
                && received.message().is_some()
                && let Some(Some(Ok(later))) = self.inner.next().now_or_never()
            {
                self.held_back = Some(std::mem::replace(&mut received, later));
            }
            if let Some(EventKind::Connection(news)) = received.event().map(|event| &event.kind) {
                let lost = matches!(news, Connection::Lost { .. });
                match (self.channel.0.bug, news) {
                    ("reports_ready_first", Connection::Ready) if !self.greeted => {
                        self.greeted = true;
                        continue;
                    }
                    ("proves_life_within_90_seconds", Connection::Alive) => continue,
                    ("reconnects_by_itself", _) if lost => self.ended = true,
                    _ => {}
                }
                return Some(Ok(received));
            }
            let event = received.take()?;
            let Some(event) = self.channel.bend_event(event) else {
                received.ack().await.ok()?;
                continue;
            };
            let token = self.channel.count();
            self.duties.waiting.lock().unwrap().insert(token, received);
            let duties = Arc::clone(&self.duties);
            return Some(Ok(Received::new(event, duties, token)));
        }
    }
}

#[async_trait]
impl Events for Broken {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        let connected = Connected {
            channel: self.clone(),
            inner: self.0.channel.events(),
            duties: Arc::new(Duties {
                bug: self.0.bug,
                waiting: Mutex::default(),
                abandoned: Mutex::default(),
            }),
            first_stream: !self
                .0
                .connected
                .swap(true, std::sync::atomic::Ordering::Relaxed),
            greeted: false,
            ended: false,
            held_back: None,
        };
        Box::pin(stream::unfold(connected, |mut connected| async move {
            let item = connected.next().await?;
            Some((item, connected))
        }))
    }

    async fn close(&self) -> Result<()> {
        if self.has("closes_cleanly") {
            return Err(Error::new(ErrorKind::Unavailable, "the platform is gone"));
        }
        self.0.channel.close().await
    }
}

const SIGNATURE: &str = "memory-signature";
const TIMESTAMP: &str = "memory-timestamp";

fn value<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn is_single(request: &Request<Bytes>, name: &str) -> bool {
    request.headers().get_all(name).iter().count() == 1
}

impl Broken {
    /// Another request that was accepted before, taken for this one by mistake.
    fn mistaken_for(&self, request: &Request<Bytes>) -> Option<Request<Bytes>> {
        let seen = self.0.seen.lock().unwrap();
        let same = |good: &Request<Bytes>, name| value(good, name) == value(request, name);
        let found = seen.iter().find(|good| match self.0.bug {
            "rejects_a_changed_body" => {
                is_single(request, SIGNATURE)
                    && is_single(request, TIMESTAMP)
                    && same(good, SIGNATURE)
                    && same(good, TIMESTAMP)
            }
            "rejects_a_missing_signature" => {
                value(request, SIGNATURE).is_none()
                    && is_single(request, TIMESTAMP)
                    && same(good, TIMESTAMP)
            }
            "rejects_a_wrong_signature" => {
                let prefix = |request| value(request, SIGNATURE).and_then(|it| it.get(..8));
                is_single(request, SIGNATURE)
                    && is_single(request, TIMESTAMP)
                    && prefix(request).is_some()
                    && prefix(good) == prefix(request)
                    && good.body() == request.body()
                    && same(good, TIMESTAMP)
            }
            _ => false,
        });
        found.cloned()
    }
}

impl Webhook for Broken {
    fn routes(&self) -> &[Route] {
        &self.0.routes
    }

    fn receive(&self, request: &Request<Bytes>, now: SystemTime) -> Result<Accepted, Rejection> {
        let mut request = self
            .mistaken_for(request)
            .unwrap_or_else(|| request.clone());
        assert!(
            !self.has("survives_malformed_payloads") || !request.body().starts_with(b"[["),
            "nested too deeply"
        );
        if self.has("rejects_a_doubled_signature")
            && let Some(first) = request.headers().get(SIGNATURE).cloned()
        {
            request.headers_mut().insert(SIGNATURE, first);
        }
        let sent = value(&request, TIMESTAMP).and_then(|it| it.parse().ok());
        let sent = UNIX_EPOCH + Duration::from_secs(sent.unwrap_or_default());
        let now = match self.0.bug {
            "rejects_an_old_timestamp" => now.min(sent.max(UNIX_EPOCH)),
            "rejects_a_timestamp_from_the_future" => now.max(sent),
            _ => now,
        };
        let mut accepted = match self.0.channel.receive(&request, now) {
            Ok(accepted) => accepted,
            Err(it) if self.has("tells_a_stranger_nothing") && it.reason() == "signature" => {
                return Err(Rejection::malformed("signature"));
            }
            Err(rejection) => return Err(rejection),
        };
        self.0.seen.lock().unwrap().push(request);
        let events = std::mem::take(&mut accepted.events);
        accepted.events = events
            .into_iter()
            .filter_map(|event| self.bend_event(event))
            .collect();
        if self.has("answers_the_challenge") && accepted.events.is_empty() {
            accepted.answer = Answer::Now(Response::new(Bytes::from("ok")));
        }
        Ok(accepted)
    }
}
