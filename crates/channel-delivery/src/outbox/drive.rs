//! Driving one delivery to its end.

use std::time::Duration;

use channel_core::{
    Backoff, Call, ChatId, Error, ErrorKind, NotBound, Receipt, ReplyStream, Target,
};
use tracing::Instrument as _;

use super::attempt::{Request, Shape, attempt, part_key};
use super::ended::{Ended, reason};
use super::limiter::Place;
use super::previews::{left_behind, resume};
use super::record::{Record, Settled, Write};
use super::report::count;
use super::shared::{Halt, Outlet, Shared};
use crate::failpoint;
use crate::outbound::{Part, PartState, StoredDelivery};

/// The first and the longest wait after a failure; doubled in between.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LAST_WAIT: Duration = Duration::from_secs(8);
/// The wait where a platform says "too much" and not for how long.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(1);
/// Stands in the row of a part that the end of a stream was to become: an edit has no key,
/// so that sending it again may double it whatever the platform does with keys.
pub(super) const STREAM: &str = "ends a stream";

/// What to do next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// Wait for the part's turn and write that it is being sent.
    Begin(usize),
    /// That is written: send it.
    Send(usize),
    /// It may have arrived: find out, or decide.
    Doubt(usize),
    /// All parts are final.
    End,
}

pub(super) struct Driver<'a> {
    pub(super) record: Record<'a>,
    pub(super) outlet: &'a Outlet,
    pub(super) shape: Shape,
    /// When it came into hand, on the monotonic clock.
    since: Duration,
    pub(super) backoff: Backoff,
    /// Until when to wait before the next step.
    pub(super) wait_until: Option<Duration>,
    /// Whether the present part may have arrived. From then on it is never `Failed`: what a
    /// later attempt says does not tell what became of the first.
    pub(super) doubt: bool,
    /// When the first attempt began that may have arrived; unknown after a crash.
    pub(super) began: Option<Duration>,
    /// How many attempts at the present part were made here.
    pub(super) attempts: u32,
    /// Whether the next attempt carries the note.
    pub(super) marked: bool,
    moved: bool,
    unrecorded: Option<Receipt>,
    stream: Option<Box<dyn ReplyStream>>,
    /// What shows the answer, if it was streamed: the end edits it, each time that it is tried.
    preview: Option<Receipt>,
    recalls: bool,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        outlet: &'a Outlet,
        stored: StoredDelivery,
        since: Duration,
    ) -> Self {
        let message = &stored.delivery.message;
        let shape = Shape::of(outlet.channel.as_ref(), message, stored.parts.len());
        Self {
            record: Record { shared, stored },
            outlet,
            shape,
            since,
            backoff: Backoff::new(FIRST_WAIT, LAST_WAIT),
            wait_until: None,
            doubt: false,
            began: None,
            attempts: 0,
            marked: false,
            moved: false,
            unrecorded: None,
            stream: None,
            preview: None,
            recalls: false,
        }
    }

    /// Ends a stream with the first attempt.
    pub(super) fn ending(mut self, stream: Box<dyn ReplyStream>) -> Self {
        self.preview = stream.shown().filter(|shown| !shown.messages.is_empty());
        self.stream = Some(stream);
        self
    }

    /// Recalls first what an earlier process, or an earlier attempt, has shown of the answer.
    pub(super) const fn recalling(mut self) -> Self {
        self.recalls = true;
        self
    }

    async fn recall(&mut self) -> Result<(), Halt> {
        let is_one = self.record.stored.parts.len() == 1;
        let is_known = self.stream.is_some() || !self.recalls;
        if is_known || self.outlet.channel.as_stream().is_none() {
            return Ok(());
        }
        let noted = self.record.preview().await?;
        let Some(shown) = noted else {
            return Ok(());
        };
        if is_one && !shown.messages.is_empty() {
            self.preview = Some(shown);
        } else {
            // What has no name, and what becomes several messages, cannot be edited.
            let plan = &self.record.stored.delivery;
            left_behind(self.record.shared, &plan.channel, &plan.key, &shown);
        }
        Ok(())
    }

    /// Goes on with the stream if all that is left to do is one edit, which has no second
    /// effect.
    pub(super) async fn can_edit_again(&mut self) -> bool {
        let shown = self.preview.as_ref().map(|shown| shown.messages.len());
        let message = &self.record.stored.delivery.message;
        let parts = self.outlet.channel.as_parts();
        let is_one = parts.is_some_and(|parts| parts.parts(message).is_ok_and(|count| count == 1));
        if shown != Some(1) || !is_one {
            return false;
        }
        self.stream = self.take_stream().await.ok().flatten();
        self.stream.is_some()
    }

    /// The stream that ends with the next attempt.
    async fn take_stream(&mut self) -> Result<Option<Box<dyn ReplyStream>>, Error> {
        if self.marked {
            return Ok(None);
        }
        if self.stream.is_some() {
            return Ok(self.stream.take());
        }
        let Some(shown) = self.preview.clone() else {
            return Ok(None);
        };
        let plan = &self.record.stored.delivery;
        let (shared, outlet) = (self.record.shared, self.outlet);
        let resumed = resume(shared, outlet, &plan.message.to, &plan.key, &shown).await?;
        if resumed.is_none() {
            self.preview = None;
        }
        Ok(resumed)
    }

    pub(super) async fn run(mut self) -> Ended {
        let stored = &self.record.stored;
        // What the adapter logs meanwhile belongs to this delivery and its event.
        let span = tracing::debug_span!(
            "delivery",
            id = %stored.id,
            event = stored.delivery.answers.map(crate::Seq::number),
            channel = %stored.delivery.channel,
        );
        let ended = match self.steps().instrument(span).await {
            Ok(()) => self.record.ended(),
            Err(halt) => self
                .record
                .interrupted(&halt, self.unrecorded.take(), self.doubt),
        };
        ended.on(&self.outlet.channel.info().platform)
    }

    async fn steps(&mut self) -> Result<(), Halt> {
        self.recall().await?;
        let mut next = self.first();
        loop {
            next = match next {
                Next::Begin(part) => self.begin(part).await?,
                Next::Send(part) => self.send(part).await?,
                Next::Doubt(part) => self.resolve(part).await?,
                Next::End => return Ok(()),
            };
        }
    }

    /// Where to go on: at the first part that is not proven delivered.
    pub(super) fn first(&mut self) -> Next {
        let parts = &self.record.stored.parts;
        let open = parts
            .iter()
            .enumerate()
            .find(|(_, part)| !matches!(part.state, PartState::Delivered | PartState::Suppressed));
        let Some((index, part)) = open else {
            return Next::End;
        };
        match part.state {
            PartState::Prepared | PartState::Failed => Next::Begin(index),
            PartState::Sending => {
                self.doubt = true;
                Next::Doubt(index)
            }
            _ => Next::End,
        }
    }

    async fn begin(&mut self, index: usize) -> Result<Next, Halt> {
        self.wait(index).await?;
        if let Some(refused) = self.record.refused_before().await {
            let how = Settled::new(PartState::Dead, format!("{refused} (remembered)"));
            return self.settle(index, how).await;
        }
        if self.shape == Shape::Unfit {
            let how = Settled::new(PartState::Dead, "invalid: the plan no longer fits");
            return self.settle(index, how).await;
        }
        if !pass_hold(self.record.shared, self.outlet, self.end()).await? {
            let how = Settled::new(PartState::Dead, "unauthenticated: the channel is held");
            let how = how.because_of(ErrorKind::Unauthenticated);
            return self.settle(index, how).await;
        }
        self.take_turn().await?;
        let Some(part) = self.begun(index) else {
            return Ok(Next::End);
        };
        self.record
            .write(vec![(index, part)], Write::Intent)
            .await?;
        failpoint::hit("sending");
        Ok(Next::Send(index))
    }

    fn place(&self) -> Place<'_> {
        let call = match &self.preview {
            Some(_) => Call::Edit,
            None => Call::Send,
        };
        Place {
            info: self.outlet.channel.info(),
            chat: &self.record.stored.delivery.message.to.target().chat,
            call,
        }
    }

    /// Waits for its turn. The time does not count towards giving up: nothing has failed.
    pub(super) async fn take_turn(&mut self) -> Result<(), Halt> {
        let shared = self.record.shared;
        loop {
            let wait = shared.limiter.turn(&self.place(), self.now());
            if wait.is_zero() {
                return Ok(());
            }
            shared.pause(wait).await?;
            self.since = self.since.saturating_add(wait);
            // The platform may have asked for a pause meanwhile: then to the end of the row.
            if shared.limiter.blocked(&self.place(), self.now()).is_none() {
                return Ok(());
            }
        }
    }

    /// The part at the beginning of an attempt. `not_before` keeps when the first attempt
    /// began that may have arrived: how long a key is good counts from there.
    pub(super) fn begun(&mut self, index: usize) -> Option<Part> {
        let part = self.record.part(index)?.clone();
        let mut begun = part.sending();
        if !self.doubt {
            begun.not_before = self.record.shared.worker.now();
            self.began = Some(self.now());
            let streamed = self.stream.is_some() || self.preview.is_some();
            begun.reason = streamed.then(|| STREAM.to_owned());
        }
        Some(begun)
    }

    async fn send(&mut self, index: usize) -> Result<Next, Halt> {
        // What would be sent now could be sent by a successor too.
        if let Some(lost) = self.record.shared.worker.why_lost() {
            return Err(Halt::Lost(lost));
        }
        let blocked = self
            .record
            .shared
            .limiter
            .blocked(&self.place(), self.now());
        if let Some(wait) = blocked {
            // The platform has asked for a pause while the attempt was written. A part in doubt
            // stays so.
            let early = Error::new(ErrorKind::RateLimited, "not its turn any more");
            return self.again(index, wait, &early).await;
        }
        self.attempts = self.attempts.saturating_add(1);
        let stream = match self.take_stream().await {
            Ok(stream) => stream,
            Err(error) => return self.failed(index, &error).await,
        };
        let key = part_key(&self.record.stored.delivery.key, index);
        let message = &mut self.record.stored.delivery.message;
        message.key = Some(key);
        let request = match stream {
            Some(stream) => Request::Stream(stream, message),
            None if self.marked => Request::Marked(message, index),
            None => Request::Part(message, index),
        };
        let channel = self.outlet.channel.as_ref();
        match attempt(self.record.shared, channel, self.shape, request).await {
            Ok(receipt) => self.arrived(index, receipt).await,
            Err(error) => self.failed(index, &error).await,
        }
    }

    /// Records what the platform has, and in the same write that the next part is being
    /// sent.
    pub(super) async fn arrived(&mut self, index: usize, receipt: Receipt) -> Result<Next, Halt> {
        failpoint::hit("sent");
        self.outlet.hold.lift();
        let Some(part) = self.record.part(index).cloned() else {
            return Ok(Next::End);
        };
        self.unrecorded = Some(receipt.clone());
        self.doubt = false;
        self.marked = false;
        self.began = None;
        self.attempts = 0;
        self.backoff.reset();
        let mut changes = vec![(index, part.delivered(receipt))];
        let following = index + 1;
        let goes_on = self.goes_on_with(following);
        if goes_on && let Some(part) = self.begun(following) {
            changes.push((following, part));
        }
        self.record.write(changes, Write::Outcome).await?;
        self.unrecorded = None;
        failpoint::hit("recorded");
        self.record.revive().await;
        if goes_on {
            failpoint::hit("sending");
            return Ok(Next::Send(following));
        }
        Ok(self.first())
    }

    fn goes_on_with(&self, index: usize) -> bool {
        let fresh = self
            .record
            .part(index)
            .is_some_and(|part| part.state == PartState::Prepared);
        let shared = self.record.shared;
        fresh
            && !self.outlet.hold.is_held()
            && shared.check().is_ok()
            && shared.limiter.turn_now(&self.place(), self.now())
    }

    pub(super) async fn failed(&mut self, index: usize, error: &Error) -> Result<Next, Halt> {
        if let Some(partly) = error.delivered() {
            // Sending it again would double what has arrived of it.
            let mut how = self.given_up(error, "partly delivered");
            how.partly = Some(partly.clone());
            return self.settle(index, how).await;
        }
        if error.kind() == ErrorKind::Uncertain {
            self.doubt = true;
            self.wait_until = Some(self.later());
            return Ok(Next::Doubt(index));
        }
        if let Some(chat) = error.moved_to()
            && !self.moved
        {
            self.follow(chat.clone());
            return self.again(index, Duration::ZERO, error).await;
        }
        let shared = self.record.shared;
        let wait = match (error.kind(), error.retry_after()) {
            (ErrorKind::RateLimited, wait) => {
                let wait = wait.unwrap_or(RATE_LIMIT_WAIT);
                let place = self.place();
                shared
                    .limiter
                    .limited(&place, error.limited(), wait, self.now());
                wait
            }
            (ErrorKind::Unavailable, wait) => wait.unwrap_or_default().max(self.back_off()),
            (ErrorKind::Unauthenticated, _) => {
                self.outlet.hold.refused(self.now(), shared.random.as_ref())
            }
            _ => return self.refuse(index, error).await,
        };
        if self.is_overdue() || wait > shared.settings.longest_wait {
            let how = self.given_up(error, "given up");
            return self.settle(index, how).await;
        }
        self.again(index, wait, error).await
    }

    /// Writes that the part failed and when it is tried again; one in doubt stays `Sending`.
    async fn again(&mut self, index: usize, wait: Duration, error: &Error) -> Result<Next, Halt> {
        let shared = self.record.shared;
        count(&shared.counters.retried);
        self.wait_until = Some(self.now().saturating_add(wait));
        if self.doubt {
            return Ok(Next::Doubt(index));
        }
        let Some(part) = self.record.part(index).cloned() else {
            return Ok(Next::End);
        };
        let now = shared.worker.now();
        let part = part.failed(now.checked_add(wait).unwrap_or(now), reason(error));
        self.record
            .write(vec![(index, part)], Write::Outcome)
            .await?;
        Ok(Next::Begin(index))
    }

    /// The platform said no.
    async fn refuse(&mut self, index: usize, error: &Error) -> Result<Next, Halt> {
        let to = &self.record.stored.delivery.message.to;
        // What is not found may be the thread or the quoted message, and the chat is fine.
        let names_more = to.target().thread.is_some() || to.quoted().is_some();
        let of_the_chat = match error.kind() {
            ErrorKind::Forbidden => !is_ours(error),
            ErrorKind::NotFound => !names_more,
            _ => false,
        };
        if of_the_chat {
            let plan = &self.record.stored.delivery;
            let chat = &plan.message.to.target().chat;
            let shared = self.record.shared;
            shared.bury(&plan.channel, chat, &reason(error)).await;
        }
        let how = self.given_up(error, "");
        self.settle(index, how).await
    }

    /// How a part ends that is not sent again. In doubt it is uncertain, whatever the last
    /// attempt said.
    pub(super) fn given_up(&self, error: &Error, remark: &str) -> Settled {
        let in_doubt = self.doubt || error.kind() == ErrorKind::Uncertain;
        let state = if in_doubt {
            PartState::Uncertain
        } else {
            PartState::Dead
        };
        let mut words = reason(error);
        if !remark.is_empty() {
            words = format!("{words} ({remark})");
        }
        Settled::new(state, words).because_of(error.kind())
    }

    pub(super) async fn settle(&mut self, index: usize, how: Settled) -> Result<Next, Halt> {
        self.record.settle(index, how).await?;
        self.doubt = false;
        Ok(Next::End)
    }

    /// The chat lives on under another id; what was quoted there is gone.
    fn follow(&mut self, chat: ChatId) {
        self.moved = true;
        self.record.stored.delivery.message.to = Target::chat(chat).into();
    }

    /// Waits for the moment of the next attempt.
    pub(super) async fn wait(&mut self, index: usize) -> Result<(), Halt> {
        let shared = self.record.shared;
        let wait = match self.wait_until.take() {
            Some(until) => until.saturating_sub(self.now()),
            // Another process has written it, by a clock that may have been another one.
            None => self.record.part(index).map_or(Duration::ZERO, |part| {
                let wait = part.not_before.duration_since(shared.worker.now());
                wait.unwrap_or_default().min(shared.settings.longest_wait)
            }),
        };
        if wait.is_zero() {
            return shared.check();
        }
        shared.pause(wait).await
    }

    pub(super) fn back_off(&mut self) -> Duration {
        let wait = self.backoff.wait(self.record.shared.random.as_ref());
        self.backoff.failed(Duration::ZERO);
        wait
    }

    pub(super) fn later(&mut self) -> Duration {
        let wait = self.back_off();
        self.now().saturating_add(wait)
    }

    pub(super) fn now(&self) -> Duration {
        self.record.shared.clock.elapsed()
    }

    fn end(&self) -> Duration {
        let span = self.record.shared.settings.give_up_after;
        self.since.saturating_add(span)
    }

    /// Whether it has been in hand for so long that the next failure is the last.
    pub(super) fn is_overdue(&self) -> bool {
        self.now() >= self.end()
    }
}

/// Whether it is not the platform that refuses.
fn is_ours(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<NotBound>())
}

/// Waits until the channel is not held; `false` if that takes until `end`.
async fn pass_hold(shared: &Shared, outlet: &Outlet, end: Duration) -> Result<bool, Halt> {
    loop {
        let lifted = outlet.hold.lifted();
        tokio::pin!(lifted);
        // Registered before the look, so that a hold lifted in between is seen.
        lifted.as_mut().enable();
        let now = shared.clock.elapsed();
        let Err(wait) = outlet.hold.pass(now) else {
            return Ok(true);
        };
        if now >= end {
            return Ok(false);
        }
        tokio::select! {
            biased;
            () = lifted => {}
            paused = shared.pause(wait.min(end.saturating_sub(now))) => paused?,
        }
    }
}
