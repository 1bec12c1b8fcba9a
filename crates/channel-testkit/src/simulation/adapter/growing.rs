//! Answers that grow, with their previews.

use std::time::Duration;

use channel_core::{
    Body, Channel as _, ChatId, Clock as _, Destination, MessageRef, OutboundMessage, Receipt,
    ReplyStream, Result, Stream, async_trait,
};

use super::{Adapter, Inner, text_of};
use crate::simulation::bug::Bug;

/// How far previews are apart.
const PREVIEW_PAUSE: Duration = Duration::from_secs(1);

/// An answer that grows: a message that is edited.
struct Growing {
    adapter: Adapter,
    chat: ChatId,
    last: Option<Duration>,
    shown: Option<MessageRef>,
    /// Something may be shown that we cannot name.
    blind: bool,
    /// Previews that wait, with the bug that lets them.
    queued: u32,
}

impl Growing {
    fn new(adapter: &Adapter, to: &Destination, shown: Option<MessageRef>) -> Box<Self> {
        Box::new(Self {
            adapter: adapter.clone(),
            chat: to.target().chat.clone(),
            last: None,
            shown,
            blind: false,
            queued: 0,
        })
    }

    /// One preview, from the bot to the platform and back.
    async fn preview(&mut self, of: &str) {
        let Inner {
            gate,
            hazard,
            platform,
            ..
        } = &*self.adapter.inner;
        let (world, rates) = (&hazard.world, hazard.scenario.rates);
        platform.leaves(self.adapter.sender(), self.chat.as_str(), "a preview");
        if hazard.crashes(rates.send_crash) {
            gate.die::<()>("before a preview leaves").await;
        }
        world
            .clock
            .sleep(world.span(hazard.scenario.platform_delay))
            .await;
        if world.fault(rates.send_error) {
            return;
        }
        let at = platform.preview(&self.chat, of, self.shown.as_ref());
        if hazard.crashes(rates.send_crash) {
            gate.die::<()>("after a preview is shown").await;
        }
        let lost = world.fault(rates.lost_answer);
        gate.sleep(world.span(hazard.scenario.platform_delay)).await;
        if !lost {
            self.shown = Some(at);
        } else if self.shown.is_none() {
            self.blind = true;
        }
    }
}

#[async_trait]
impl Stream for Adapter {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        self.inner.gate.pass().await;
        Ok(Growing::new(self, to, None))
    }

    async fn resume(
        &self,
        to: &Destination,
        shown: &Receipt,
    ) -> Result<Option<Box<dyn ReplyStream>>> {
        self.inner.gate.pass().await;
        let shown = shown.first().cloned();
        if self.has(Bug::ResumesAnew) {
            return Ok(Some(Growing::new(self, to, None)));
        }
        let resumes = self.inner.hazard.scenario.resumes;
        Ok(resumes.then(|| Growing::new(self, to, shown) as _))
    }
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        self.adapter.inner.gate.pass().await;
        let now = self.adapter.inner.hazard.world.elapsed();
        let early = self
            .last
            .is_some_and(|last| now.saturating_sub(last) < PREVIEW_PAUSE);
        self.queued += 1;
        if early || self.blind {
            return Ok(());
        }
        self.last = Some(now);
        let more = if self.adapter.has(Bug::ShowsMorePreviews) {
            5
        } else {
            0
        };
        for _ in 0..=more {
            self.preview(text_of(body)).await;
        }
        Ok(())
    }

    fn shown(&self) -> Option<Receipt> {
        let shown = Receipt::new(self.shown.iter().cloned().collect());
        (!self.blind).then_some(shown)
    }

    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        if self.adapter.has(Bug::QueuesPreviews) {
            let wait = PREVIEW_PAUSE * self.queued * 2;
            self.adapter.inner.gate.sleep(wait).await;
        }
        let text = text_of(&message.body);
        let key = message.key.as_ref().map(|key| key.as_str());
        match &self.shown {
            Some(at) => {
                self.adapter
                    .send_text(&self.chat, text, key, Some(at))
                    .await
            }
            None => self.adapter.send(&message).await,
        }
    }
}
