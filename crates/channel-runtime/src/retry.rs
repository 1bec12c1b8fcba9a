//! A channel that tries again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{
    Actions, Backoff, Cards, Channel, ChannelInfo, Clock, Commands, Delete, Edit, ErrorKind,
    Events, History, Identity, Media, OutboundMessage, Parts, Random, React, Receipt, Result,
    SocketServer, Stream, Typing, Webhook,
};

/// Sends again where that is safe: after a rate limit, for as long as the platform says,
/// and where nothing has happened on the platform.
///
/// A send that may have arrived ([`ErrorKind::Uncertain`]), or of which some parts have,
/// is never repeated.
///
/// Everything but `send` and `probe` goes to the inner channel as it is.
#[derive(Debug, Clone)]
pub struct Retry<C> {
    inner: C,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    retries: u32,
    longest_wait: Duration,
}

impl<C> Retry<C> {
    /// Tries three times more, and waits for at most a minute each time.
    #[must_use]
    pub fn new(inner: C, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            inner,
            clock,
            random,
            retries: 3,
            longest_wait: Duration::from_secs(60),
        }
    }

    /// Sets how often to try again.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the longest wait: a platform that asks for more makes the call fail at once.
    #[must_use]
    pub const fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    async fn again<T, F, Fut>(&self, mut call: F) -> Result<T>
    where
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
        T: Send,
        C: Sync,
    {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8));
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let partly_done = error.delivered().is_some();
            if !error.kind().is_retryable() || partly_done || backoff.failures() >= self.retries {
                return Err(error);
            }
            let wait = match (error.kind(), error.retry_after()) {
                (_, Some(wait)) => wait,
                (ErrorKind::RateLimited, None) => Duration::from_secs(1),
                (_, None) => backoff.wait(self.random.as_ref()),
            };
            if wait > self.longest_wait {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "trying again");
            backoff.failed(Duration::ZERO);
            self.clock.sleep(wait).await;
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<C: Channel> Channel for Retry<C> {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }
    async fn send(&self, message: &OutboundMessage) -> Result<Receipt> {
        self.again(|| self.inner.send(message)).await
    }
    async fn probe(&self) -> Result<Identity> {
        self.again(|| self.inner.probe()).await
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        self.inner.as_webhook()
    }
    fn as_events(&self) -> Option<&dyn Events> {
        self.inner.as_events()
    }
    fn as_socket_server(&self) -> Option<&dyn SocketServer> {
        self.inner.as_socket_server()
    }
    fn as_edit(&self) -> Option<&dyn Edit> {
        self.inner.as_edit()
    }
    fn as_delete(&self) -> Option<&dyn Delete> {
        self.inner.as_delete()
    }
    fn as_react(&self) -> Option<&dyn React> {
        self.inner.as_react()
    }
    fn as_typing(&self) -> Option<&dyn Typing> {
        self.inner.as_typing()
    }
    fn as_media(&self) -> Option<&dyn Media> {
        self.inner.as_media()
    }
    fn as_stream(&self) -> Option<&dyn Stream> {
        self.inner.as_stream()
    }
    fn as_actions(&self) -> Option<&dyn Actions> {
        self.inner.as_actions()
    }
    fn as_commands(&self) -> Option<&dyn Commands> {
        self.inner.as_commands()
    }
    fn as_parts(&self) -> Option<&dyn Parts> {
        self.inner.as_parts()
    }
    fn as_cards(&self) -> Option<&dyn Cards> {
        self.inner.as_cards()
    }
    fn as_history(&self) -> Option<&dyn History> {
        self.inner.as_history()
    }
}
