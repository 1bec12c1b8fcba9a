//! An answer that grows: the whole text in each frame of one stream.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Destination, ErrorKind, MessageRef, OutboundMessage, Receipt, ReplyStream, Result,
    async_trait,
};

use super::Shared;
use super::outbound::{self, Part};
use crate::error::Reason;
use crate::limits::STREAM_LASTS;
use crate::render;

/// How much earlier than the platform we give a stream up.
const MARGIN: Duration = Duration::from_secs(30);

/// Opens a streamed reply.
pub(super) fn open(shared: &Arc<Shared>, to: &Destination) -> Result<Box<dyn ReplyStream>> {
    Ok(Box::new(Growing {
        request: outbound::request_of(to)?,
        to: to.clone(),
        stream: outbound::stream_id(shared),
        shared: Arc::clone(shared),
        began: None,
        last: None,
    }))
}

struct Growing {
    shared: Arc<Shared>,
    to: Destination,
    /// What it answers; without it nothing can be streamed.
    request: Option<String>,
    stream: String,
    /// When the first frame went out.
    began: Option<Duration>,
    last: Option<Duration>,
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let Some(request) = &self.request else {
            return Ok(());
        };
        let now = self.shared.pump.transport.clock.elapsed();
        let pause = self.shared.info.limits.edit_pause_direct;
        let is_early = self
            .last
            .is_some_and(|last| now.saturating_sub(last) < pause);
        if is_early || self.is_over(now) {
            return Ok(());
        }
        let Some(text) = render::for_ai(body).into_iter().next() else {
            return Ok(());
        };
        self.last = Some(now);
        self.began.get_or_insert(now);
        let frame = outbound::stream_frame(&self.stream, &text, false);
        match outbound::respond(&self.shared, request, frame).await {
            Ok(()) => Ok(()),
            Err(fault) if fault.reason == Reason::TooLate => {
                // The end goes another way.
                self.request = None;
                Ok(())
            }
            Err(fault) if is_pointless(fault.error.kind()) => Err(fault.error),
            Err(fault) => {
                tracing::debug!(error = %fault.error, "preview skipped");
                Ok(())
            }
        }
    }

    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        let parts = outbound::plan(&self.shared, &message)?;
        let now = self.shared.pump.transport.clock.elapsed();
        let (Some(request), Some(_), Some((Part::Words(text), rest))) =
            (&self.request, self.began, parts.split_first())
        else {
            return outbound::send_parts(&self.shared, &self.to, &parts, Receipt::default()).await;
        };
        if !self.is_over(now) {
            let frame = outbound::stream_frame(&self.stream, text, true);
            match outbound::respond(&self.shared, request, frame).await {
                Ok(()) => {
                    let chat = self.to.target().chat.clone();
                    let first = MessageRef::new(chat, self.stream.as_str().into());
                    let receipt = Receipt::new(vec![first]);
                    return outbound::send_parts(&self.shared, &self.to, rest, receipt).await;
                }
                Err(fault) if fault.reason == Reason::TooLate => {}
                Err(fault) => return Err(fault.error),
            }
        }
        outbound::send_parts(&self.shared, &self.to, &parts, Receipt::default()).await
    }
}

impl Growing {
    /// Whether the platform is about to end the stream by itself.
    fn is_over(&self, now: Duration) -> bool {
        self.began
            .is_some_and(|began| now.saturating_sub(began) >= STREAM_LASTS.saturating_sub(MARGIN))
    }
}

const fn is_pointless(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Config
    )
}
