//! An answer that grows: the platform fetches its state, so showing costs nothing.

use std::sync::Arc;

use channel_core::{Body, Destination, OutboundMessage, Receipt, ReplyStream, Result, async_trait};

use super::{Shared, outbound};
use crate::inbound::ReplyContext;
use crate::render;

/// Opens a streamed reply.
pub(super) fn open(shared: &Arc<Shared>, to: &Destination) -> Result<Box<dyn ReplyStream>> {
    let stream = match to {
        Destination::Reply(reply) => reply
            .context::<ReplyContext>()?
            .and_then(|context| context.request),
        _ => None,
    };
    Ok(Box::new(Growing {
        shared: Arc::clone(shared),
        stream,
    }))
}

struct Growing {
    shared: Arc<Shared>,
    stream: Option<String>,
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        if let Some(stream) = &self.stream
            && let Some(text) = render::for_ai(body).into_iter().next()
        {
            self.shared.sessions.show(stream, text);
        }
        Ok(())
    }

    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        outbound::send(&self.shared, &message).await
    }
}
