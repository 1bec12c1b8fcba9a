//! The long poll.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use channel_core::{
    Backoff, Clock, Connection, Error, ErrorKind, Event, Received, Result, timeout,
};
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use futures_util::future::join;

use crate::client::{Method, Payload};
use crate::cursor::{Duty, LIMIT, token_of};
use crate::error::{Failure, Reason};
use crate::inbound;
use crate::limits::KEPT;
use crate::shared::{Me, Shared};
use crate::wire::scan;

/// Everything that [`inbound`] maps; what is left out would only be counted
/// (<https://core.telegram.org/bots/api#getupdates>).
pub(crate) const ALLOWED_UPDATES: &str = r#"["message","edited_message","channel_post","edited_channel_post","business_message","edited_business_message","deleted_business_messages","guest_message","message_reaction","callback_query","my_chat_member","chat_member"]"#;

/// The largest answer, in bytes: 100 updates with the longest texts, and room to spare.
const MAX_ANSWER: usize = 32 << 20;
/// The pause between polls while updates are out: Telegram then answers at once, so there
/// is nothing to wait for on its side, but what others write meanwhile has to come through
/// without delay. The longer the same updates have been out, the longer it is.
const fn pause_after(quiet_polls: u32) -> Duration {
    match quiet_polls {
        // About the first second,
        0..50 => Duration::from_millis(20),
        // about ten seconds more,
        50..300 => Duration::from_millis(40),
        _ => LAST_PAUSE,
    }
}
const LAST_PAUSE: Duration = Duration::from_millis(250);
/// After an outage the wait starts anew once polls have succeeded for this long.
const STABLE: Duration = Duration::from_secs(2);
/// The longest wait for another instance to end. It mostly ends within seconds; if both
/// stay, each is in the way of the other about this often.
const LONGEST_HAND_OVER: Duration = Duration::from_secs(5);
/// How long the stream may stay silent before it proves life.
const PROOF_OF_LIFE: Duration = Duration::from_secs(30);
/// How long a wait may last without a word: streams prove life at least every 90 s.
const LONGEST_SILENCE: Duration = Duration::from_secs(75);

/// The events of a channel, for ever.
pub(crate) fn stream(shared: Arc<Shared>) -> BoxStream<'static, Result<Received>> {
    futures_util::stream::unfold(None, move |poller: Option<Poller>| {
        let shared = Arc::clone(&shared);
        async move {
            let mut poller = poller.unwrap_or_else(|| Poller::new(shared));
            let item = poller.next().await?;
            Some((item, Some(poller)))
        }
    })
    .boxed()
}

/// Tells Telegram what has been acknowledged since the last poll.
pub(crate) async fn confirm(shared: &Shared) -> Result<()> {
    let Some(offset) = shared.cursor.untold() else {
        return Ok(());
    };
    // What the answer holds lies behind the offset, so it stays unconfirmed.
    let body = request(Some(offset), Duration::ZERO, 1);
    let answer = shared.client.poll(body, Duration::ZERO, MAX_ANSWER).await;
    answer.map_err(|failure| failure.into_error(Method::GetUpdates))?;
    shared.cursor.told(Some(offset));
    Ok(())
}

fn request(offset: Option<i64>, wait: Duration, limit: usize) -> Vec<u8> {
    let offset = offset.map_or_else(String::new, |offset| format!("\"offset\":{offset},"));
    format!(
        r#"{{{offset}"limit":{limit},"timeout":{},"allowed_updates":{ALLOWED_UPDATES}}}"#,
        wait.as_secs()
    )
    .into_bytes()
}

enum Item {
    Event(i64, Event),
    News(Connection),
}

/// The next attempt after a failure.
struct Retry {
    at: Duration,
    cause: String,
}

struct Poller {
    shared: Arc<Shared>,
    duty: Arc<Duty>,
    queue: VecDeque<Item>,
    retry: Option<Retry>,
    backoff: Backoff,
    /// The waits while another instance polls.
    hand_over: Backoff,
    /// Since when, by the clock's `elapsed`, polls have succeeded.
    connected: Option<Duration>,
    /// The wall-clock time of the last good poll.
    last_good: Option<SystemTime>,
    last_item: Duration,
    /// Polls in a row that brought nothing new while updates were out.
    quiet_polls: u32,
    /// Whether the last poll brought anything new.
    busy: bool,
    /// Whether the server has answered a long poll at once and with nothing.
    is_hasty: bool,
    is_identified: bool,
    took_over: bool,
    ended: bool,
}

impl Poller {
    fn new(shared: Arc<Shared>) -> Self {
        let clock = Arc::clone(&shared.client.transport.clock);
        let duty = Duty {
            generation: shared.cursor.begin(),
            cursor: Arc::clone(&shared.cursor),
            clock: Arc::clone(&clock),
        };
        Self {
            is_identified: shared.me().username.is_some(),
            shared,
            duty: Arc::new(duty),
            queue: VecDeque::new(),
            retry: None,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60))
                .stable_after(STABLE),
            hand_over: Backoff::new(Duration::from_millis(500), LONGEST_HAND_OVER)
                .stable_after(PROOF_OF_LIFE),
            connected: None,
            last_good: None,
            last_item: clock.elapsed(),
            quiet_polls: 0,
            busy: false,
            is_hasty: false,
            took_over: false,
            ended: false,
        }
    }

    fn now(&self) -> Duration {
        self.shared.client.transport.clock.elapsed()
    }

    async fn next(&mut self) -> Option<Result<Received>> {
        loop {
            if self.ended || !self.shared.cursor.is_current(self.duty.generation) {
                return None;
            }
            if let Some(item) = self.queue.pop_front() {
                self.last_item = self.now();
                return Some(Ok(self.hand_over(item)));
            }
            self.rest().await;
            if !self.queue.is_empty() {
                continue;
            }
            if let Err(failure) = self.poll().await
                && let Err(error) = self.failed(failure).await
            {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    fn hand_over(&self, item: Item) -> Received {
        match item {
            Item::Event(id, event) => {
                let duty = Arc::clone(&self.duty);
                Received::new(event, duty, token_of(id))
            }
            Item::News(news) => Received::connection(self.shared.info.id.clone(), news),
        }
    }

    /// Waits as long as a poll would be pointless.
    async fn rest(&mut self) {
        let clock = Arc::clone(&self.shared.client.transport.clock);
        if let Some(retry) = self.retry.take() {
            let wait = retry.at.saturating_sub(self.now());
            clock.sleep(wait.min(LONGEST_SILENCE)).await;
            if wait > LONGEST_SILENCE {
                self.queue.push_back(Item::News(Connection::Lost {
                    cause: retry.cause.clone(),
                    retry_in: wait.saturating_sub(LONGEST_SILENCE),
                }));
                self.retry = Some(retry);
            }
            return;
        }
        if std::mem::take(&mut self.is_hasty) {
            clock.sleep(LAST_PAUSE).await;
            return;
        }
        let pause = pause_after(self.quiet_polls);
        let out = self.shared.cursor.pending();
        let is_over = if out >= LIMIT {
            self.rest_full(&*clock, pause).await
        } else if out > 0 && !self.busy {
            let drained = self.shared.cursor.drained_to(0);
            timeout(&*clock, pause, drained).await.is_err()
        } else {
            return;
        };
        if is_over {
            self.quiet_polls = self.quiet_polls.saturating_add(1);
        }
    }

    /// Waits while an answer has no room for anything new. Half of it makes a poll worth
    /// while, or an update that was refused and may come again; after a while the poll
    /// serves as proof of life. Says whether there is still no room.
    async fn rest_full(&self, clock: &dyn Clock, pause: Duration) -> bool {
        let cursor = &self.shared.cursor;
        let latest = self.now() + PROOF_OF_LIFE;
        loop {
            let due = cursor.next_due();
            let until = due.map_or(latest, |due| due.max(self.now() + pause).min(latest));
            let room = cursor.drained_or_refused(LIMIT / 2, due);
            match timeout(clock, until.saturating_sub(self.now()), room).await {
                Ok(true) => return false,
                // Another one was refused: its time may come first.
                Ok(false) => {}
                Err(_) => return true,
            }
        }
    }

    async fn poll(&mut self) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let offset = shared.cursor.offset();
        // A connection that is not proven, and a server that has something to repeat,
        // answer at once.
        let is_long = self.connected.is_some() && shared.cursor.pending() == 0;
        let wait = if is_long {
            Duration::from_secs(shared.config.poll_seconds)
        } else {
            Duration::ZERO
        };
        let body = request(offset, wait, LIMIT);
        let asked = self.now();
        let answer = shared.client.poll(body, wait, MAX_ANSWER);
        let answer = if self.is_identified {
            answer.await
        } else {
            let (answer, identity) = join(answer, shared.identify()).await;
            identity?;
            self.is_identified = true;
            answer
        };
        let body = answer?;
        let me = shared.me();
        let busy = self.take(&body, &me)?;
        shared.cursor.told(offset);
        self.succeeded();
        // Some servers do not keep `timeout`, or repeat what has been confirmed.
        self.is_hasty = is_long && !busy && self.now().saturating_sub(asked) < wait / 2;
        if busy {
            self.quiet_polls = 0;
        } else if (is_long && !self.is_hasty)
            || self.now().saturating_sub(self.last_item) >= PROOF_OF_LIFE
        {
            self.queue.push_back(Item::News(Connection::Alive));
        }
        self.busy = busy;
        Ok(())
    }

    /// Queues what is new in an answer; says whether there was anything.
    fn take(&mut self, body: &Bytes, me: &Me) -> Result<bool, Failure> {
        let Some(updates) = scan::updates(body) else {
            return Err(Failure::of_response(200, body));
        };
        let (ids, raws): (Vec<i64>, Vec<&[u8]>) = updates
            .iter()
            .filter_map(|raw| Some((scan::update_id(raw)?, *raw)))
            .unzip();
        if ids.len() < updates.len() {
            tracing::warn!(
                channel = %self.shared.info.id,
                count = updates.len() - ids.len(),
                "updates without a readable id are skipped"
            );
            if ids.is_empty() {
                // Nothing to confirm, so the same answer would come at once.
                return Err(Failure::Unreadable { status: 200 });
            }
        }
        let fresh = self
            .shared
            .cursor
            .offer(&ids, self.duty.generation, self.now());
        let before = self.queue.len();
        for ((id, raw), fresh) in ids.into_iter().zip(raws).zip(fresh) {
            if fresh {
                let event = inbound::event(&self.shared.info.id, me, id, body.slice_ref(raw));
                self.shared.heard_from(&event);
                self.queue.push_back(Item::Event(id, event));
            }
        }
        Ok(self.queue.len() > before)
    }

    fn succeeded(&mut self) {
        let clock = &self.shared.client.transport.clock;
        let now = clock.now();
        if self.connected.is_none() {
            self.connected = Some(clock.elapsed());
            // In front of what the poll has brought.
            self.queue.push_front(Item::News(Connection::Ready));
            if let Some(since) = self.last_good
                && now.duration_since(since).is_ok_and(|away| away > KEPT)
            {
                self.queue.push_front(Item::News(Connection::Gap {
                    since,
                    cause: "away for longer than telegram keeps updates".to_owned(),
                }));
            }
        }
        self.last_good = Some(now);
        self.took_over = false;
    }

    /// Decides how to go on after a failed poll.
    async fn failed(&mut self, failure: Failure) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let reason = failure.reason();
        let wanted = failure.refusal().and_then(|refusal| refusal.retry_after);
        if reason == Reason::WebhookActive && shared.config.take_over_webhook && !self.took_over {
            let payload = Payload::json(b"{}".to_vec());
            match shared
                .client
                .call::<bool>(Method::DeleteWebhook, payload)
                .await
            {
                Ok(_) => {
                    self.took_over = true;
                    return Ok(());
                }
                Err(failure) => return self.lost(failure.into_error(Method::DeleteWebhook), None),
            }
        }
        let error = failure.into_error(Method::GetUpdates);
        match reason {
            // The other instance is about to end, or will find our poll in its way.
            Reason::OtherPoller => {
                self.hand_over.failed(self.healthy());
                let wait = self.hand_over.wait(&*shared.client.transport.random);
                self.lost(error, Some(wait))
            }
            Reason::WebhookActive => Err(error),
            _ => self.lost(error, wanted),
        }
    }

    /// How long polls have succeeded.
    fn healthy(&self) -> Duration {
        self.connected
            .map_or(Duration::ZERO, |since| self.now().saturating_sub(since))
    }

    /// Reports a loss and plans the next attempt; gives the error back if there is none.
    fn lost(&mut self, error: Error, wait: Option<Duration>) -> Result<(), Error> {
        if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Config) {
            return Err(error);
        }
        let now = self.now();
        let retry_in = wait.unwrap_or_else(|| {
            self.backoff.failed(self.healthy());
            self.backoff.wait(&*self.shared.client.transport.random)
        });
        self.connected = None;
        tracing::debug!(channel = %self.shared.info.id, %error, ?retry_in, "poll failed");
        let cause = error.message().to_owned();
        self.retry = Some(Retry {
            at: now + retry_in,
            cause: cause.clone(),
        });
        self.queue
            .push_back(Item::News(Connection::Lost { cause, retry_in }));
        Ok(())
    }
}
