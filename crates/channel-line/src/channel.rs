//! The channel: a table of contents of what it can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Attachment, Channel, ChannelInfo, Destination, Identity, Media, OutboundMessage, Parts,
    Receipt, Result, Typing, Webhook, async_trait,
};

use crate::shared::Shared;
use crate::{account, limits, media, outbound, plan};

/// A LINE official account.
///
/// Cheap to clone; clones share memory and the count of used reply tokens. Made by
/// [`Line::builder`] or [`Line::from_env`].
#[derive(Clone)]
pub struct Line {
    pub(crate) shared: Arc<Shared>,
}

impl Line {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Says which way an answer would take now, and why: by its reply token, or pushed.
    /// Sends nothing and uses nothing up.
    #[must_use]
    pub fn explain(&self, to: &Destination) -> String {
        outbound::explain(&self.shared, to)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Line {
    fn info(&self) -> &ChannelInfo {
        &self.shared.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, message).await
    }
    async fn probe(&self) -> Result<Identity> {
        account::identify(&self.shared).await
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        Some(self)
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        Some(self)
    }
    fn as_media(&self) -> Option<&dyn Media> {
        Some(self)
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
    // A card is sent in LINE's own form, but cannot be changed afterwards: no `Cards`.
    // LINE waits for no answer to a press: no `Actions`.
}

#[async_trait]
impl Typing for Line {
    async fn start_typing(&self, to: &Destination) -> Result<()> {
        account::start_loading(&self.shared, to).await
    }
    fn lasts(&self) -> Duration {
        limits::LOADING
    }
}

#[async_trait]
impl Media for Line {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<Bytes> {
        media::download(&self.shared, attachment, max_bytes).await
    }
}

#[async_trait]
impl Parts for Line {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        plan::count(&self.shared.config, message)
    }
    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        outbound::send_one(&self.shared, message, part).await
    }
}
