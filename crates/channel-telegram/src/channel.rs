//! The channel: a table of contents of what it can do.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use channel_core::{
    Accepted, Channel, ChannelInfo, Events, Identity, OutboundMessage, Receipt, Received,
    Rejection, Result, Route, Webhook, async_trait,
};
use futures_core::stream::BoxStream;

use crate::client::Method;
use crate::shared::Shared;
use crate::{events, outbound};

/// A Telegram bot.
///
/// Cheap to clone; clones share connection, cursor and memory. Made by
/// [`Telegram::builder`] or [`Telegram::from_env`].
#[derive(Clone)]
pub struct Telegram {
    pub(crate) shared: Arc<Shared>,
}

impl Telegram {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram")
            .field("id", &self.shared.info.id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Telegram {
    fn info(&self) -> &ChannelInfo {
        &self.shared.info
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, message).await
    }
    async fn probe(&self) -> Result<Identity> {
        let identity = self.shared.identify().await;
        identity.map_err(|failure| failure.into_error(Method::GetMe))
    }
    fn as_events(&self) -> Option<&dyn Events> {
        Some(self)
    }
}

#[async_trait]
impl Events for Telegram {
    fn events(&self) -> BoxStream<'static, Result<Received>> {
        events::stream(Arc::clone(&self.shared))
    }
    async fn close(&self) -> Result<()> {
        events::confirm(&self.shared).await
    }
}
