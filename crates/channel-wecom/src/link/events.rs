//! The events of the connection, for ever.

use std::sync::Arc;

use channel_core::{Received, Result};
use futures_core::stream::BoxStream;

use super::Shared;
use super::pump::News;

/// The stream; it reconnects by itself, and ends when another connection has taken over.
pub(super) fn stream(shared: Arc<Shared>) -> BoxStream<'static, Result<Received>> {
    shared.pump.begin();
    Box::pin(futures_util::stream::unfold(
        Some(shared),
        |shared| async move {
            let shared = shared?;
            let channel = shared.info.id.clone();
            Some(match shared.pump.news().await {
                News::Connection(news) => (Ok(Received::connection(channel, news)), Some(shared)),
                News::Event(token, event) => {
                    let duty = Arc::clone(&shared.pump) as _;
                    (Ok(Received::new(*event, duty, token)), Some(shared))
                }
                News::Ended(error) => (Err(error), None),
            })
        },
    ))
}
