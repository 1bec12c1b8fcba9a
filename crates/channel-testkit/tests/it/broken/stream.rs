//! Streamed answers, badly.

use std::time::Duration;

use channel_core::{
    Body, Channel as _, Delete as _, Destination, Error, ErrorKind, MessageRef, OutboundMessage,
    Receipt, ReplyStream, Result, Stream, async_trait,
};

use super::Broken;
use super::send::text_of;

struct Growing {
    channel: Broken,
    inner: Box<dyn ReplyStream>,
    to: Destination,
    placeholder: Option<MessageRef>,
    shows: u32,
    last: Option<Duration>,
}

#[async_trait]
impl Stream for Broken {
    async fn stream(&self, to: &Destination) -> Result<Box<dyn ReplyStream>> {
        let mut placeholder = None;
        if self.has("shows_nothing_before_the_first_words") {
            let wait = OutboundMessage::new(to.clone(), "...");
            placeholder = self.0.channel.send(&wait).await?.first().cloned();
        }
        let inner = self.0.channel.as_stream().unwrap().stream(to).await?;
        Ok(Box::new(Growing {
            channel: self.clone(),
            inner,
            to: to.clone(),
            placeholder,
            shows: 0,
            last: None,
        }))
    }
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let channel = &self.channel;
        self.shows += 1;
        if channel.0.channel.probe().await.is_ok() {
            self.last = Some(channel.0.clock.elapsed());
        }
        if self.shows == 20 && channel.has("shows_the_final_message_after_many_previews") {
            let another = OutboundMessage::new(self.to.clone(), body.clone());
            channel.0.channel.send(&another).await?;
        }
        if channel.has("finishes_a_stream_whose_previews_failed") {
            channel.0.channel.probe().await?;
        }
        self.inner.show(body).await
    }

    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        let Self {
            channel,
            inner,
            placeholder,
            last,
            ..
        } = *self;
        if let Some(placeholder) = placeholder {
            channel.0.channel.delete(&placeholder).await?;
        }
        if channel.has("shows_the_final_message_of_a_stream")
            && last == Some(channel.0.clock.elapsed())
        {
            // Too early after the last preview.
            return Err(Error::new(ErrorKind::RateLimited, "throttled"));
        }
        let mut parts = channel.split(&text_of(&message.body), "none");
        let rest = parts.split_off(1);
        let mut first = message.clone();
        first.body = Body::Plain(parts.concat());
        let mut receipt = inner.finish(first).await?;
        if !channel.has("splits_a_final_message_that_is_too_long") {
            let more = channel.send_rest(&message, rest).await?;
            receipt.messages.extend(more);
        }
        Ok(receipt)
    }
}
