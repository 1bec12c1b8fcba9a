//! What is shown of an answer while it grows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Call, ChannelId, ChatId, Destination, Error, ErrorKind, IdempotencyKey, Receipt,
    ReplyStream, Result,
};

use super::limiter::Place;
use super::report::{LeftBehind, count};
use super::shared::{Outlet, Shared};

/// The previews of one streamed answer.
///
/// They come no faster than the platform likes to see them, and yield to messages. Which
/// messages show them is on record, so that the end finds them after a crash.
pub struct Previews {
    shared: Arc<Shared>,
    outlet: Arc<Outlet>,
    chat: ChatId,
    /// Without one nothing can be noted.
    key: Option<IdempotencyKey>,
    stream: Box<dyn ReplyStream>,
    pause: Duration,
    last: Option<Duration>,
    /// What the record says.
    noted: Option<Receipt>,
}

impl Previews {
    pub(super) async fn open(
        shared: &Arc<Shared>,
        outlet: Arc<Outlet>,
        to: &Destination,
        key: Option<&IdempotencyKey>,
    ) -> Result<Self> {
        let channel = outlet.channel.info().id.clone();
        let noted = match key {
            Some(key) => shared.preview(&channel, key).await?,
            None => None,
        };
        let resumed = match (&noted, key) {
            (Some(shown), Some(key)) => resume(shared, &outlet, to, key, shown).await?,
            _ => None,
        };
        let stream = match (resumed, outlet.channel.as_stream()) {
            (Some(stream), _) => stream,
            (None, Some(ability)) => ability.stream(to).await?,
            (None, None) => {
                let cannot = "the channel cannot stream";
                return Err(Error::new(ErrorKind::Unsupported, cannot));
            }
        };
        let info = outlet.channel.info();
        let chat = to.target().chat.clone();
        let pause = match info.pacing.is_group(&chat) {
            true => info.limits.edit_pause_group,
            false => info.limits.edit_pause_direct,
        };
        Ok(Self {
            shared: Arc::clone(shared),
            chat,
            key: key.cloned(),
            pause,
            last: None,
            noted: noted.filter(|noted| stream.shown().as_ref() == Some(noted)),
            stream,
            outlet,
        })
    }

    /// Shows the whole text so far. One that comes too early, that would keep a message
    /// waiting, or that could not be put on record is skipped.
    ///
    /// # Errors
    ///
    /// Only where going on is pointless.
    pub async fn show(&mut self, body: &Body) -> Result<()> {
        let shown = self.stream.shown();
        let is_new = shown.as_ref().is_none_or(|shown| shown.messages.is_empty());
        if !self.may_show(if is_new { Call::Send } else { Call::Edit }) {
            return Ok(());
        }
        if !self.note(shown).await {
            return Ok(());
        }
        // What would be shown now could be shown over the answer that a successor has given.
        if self.shared.worker.is_lost() {
            return Ok(());
        }
        let shown = self.stream.show(body).await;
        self.last = Some(self.shared.clock.elapsed());
        // If this fails, the next one tries again, and the record says that there is something.
        self.note(self.stream.shown()).await;
        shown
    }

    fn may_show(&self, call: Call) -> bool {
        let now = self.shared.clock.elapsed();
        let is_early = |last: Duration| now.saturating_sub(last) < self.pause;
        if self.last.is_some_and(is_early) {
            return false;
        }
        let place = Place {
            info: self.outlet.channel.info(),
            chat: &self.chat,
            call,
        };
        self.shared.limiter.preview(&place, now)
    }

    /// Writes what is shown, if it is news; whether the record is right.
    async fn note(&mut self, shown: Option<Receipt>) -> bool {
        let (Some(shown), Some(key)) = (shown, &self.key) else {
            return true;
        };
        if self.noted.as_ref() == Some(&shown) {
            return true;
        }
        let worker = &self.shared.worker;
        let channel = &self.outlet.channel.info().id;
        let noted = worker
            .store()
            .note_preview(worker.fence(), channel, key, &shown, worker.now());
        match noted.await {
            Ok(()) => {
                self.noted = Some(shown);
                true
            }
            Err(error) => {
                tracing::debug!(%channel, %error, "a preview is not on record");
                false
            }
        }
    }

    /// The stream, for its end. What it can no longer name, it cannot end.
    pub(super) fn into_stream(self) -> Box<dyn ReplyStream> {
        if let (Some(_), None, Some(key)) = (&self.noted, self.stream.shown(), &self.key) {
            let channel = &self.outlet.channel.info().id;
            left_behind(&self.shared, channel, key, &Receipt::default());
        }
        self.stream
    }
}

impl fmt::Debug for Previews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Previews")
            .field("channel", &self.outlet.channel.info().id)
            .field("noted", &self.noted)
            .finish_non_exhaustive()
    }
}

/// Goes on with what another stream has shown; reports it if that cannot be.
pub(super) async fn resume(
    shared: &Shared,
    outlet: &Outlet,
    to: &Destination,
    key: &IdempotencyKey,
    shown: &Receipt,
) -> Result<Option<Box<dyn ReplyStream>>> {
    if let Some(ability) = outlet.channel.as_stream()
        && !shown.messages.is_empty()
        && let Some(stream) = ability.resume(to, shown).await?
    {
        return Ok(Some(stream));
    }
    left_behind(shared, &outlet.channel.info().id, key, shown);
    Ok(None)
}

/// Reports what stays, or may stay, beside an answer.
pub(super) fn left_behind(
    shared: &Shared,
    channel: &ChannelId,
    key: &IdempotencyKey,
    shown: &Receipt,
) {
    count(&shared.counters.left_behind);
    let messages = shown.messages.len();
    tracing::warn!(%channel, messages, "a preview is left behind");
    if let Some(report) = &shared.settings.report {
        report.left_behind(&LeftBehind {
            channel: channel.clone(),
            key: key.clone(),
            shown: shown.clone(),
        });
    }
}
