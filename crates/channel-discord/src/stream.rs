//! An answer that grows before the reader's eyes: a message that is edited
//! (<https://docs.discord.com/developers/resources/message#edit-message>).

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Destination, ErrorKind, MessageRef, OutboundMessage, Receipt, ReplyStream, Result,
    async_trait,
};

use crate::call::Fault;
use crate::change;
use crate::error::Reason;
use crate::outbound::{self, Envelope, MIDWAY_PATIENCE};
use crate::plan::{self, Post};
use crate::render;
use crate::shared::Shared;

/// How often the last edit is tried again while nothing has left.
const RETRIES: u32 = 3;

/// Opens a streamed reply.
pub(crate) fn open(shared: &Arc<Shared>, to: &Destination) -> Result<Box<dyn ReplyStream>> {
    Envelope::new(to, false)?;
    Ok(Box::new(Growing {
        shared: Arc::clone(shared),
        to: to.clone(),
        shown: Vec::new(),
        last: None,
        nonce: outbound::random_nonce(shared),
        in_doubt: false,
    }))
}

struct Growing {
    shared: Arc<Shared>,
    to: Destination,
    /// The messages that hold the answer so far: all but the last are full.
    shown: Vec<Shown>,
    last: Option<Duration>,
    /// What the next message is known by: the same until it is there, so that one whose
    /// answer was lost is found again.
    nonce: String,
    /// Whether a message under that nonce may be there, with other words.
    in_doubt: bool,
}

struct Shown {
    at: MessageRef,
    /// What it shows; `None` if that cannot be told.
    post: Option<Post<'static>>,
}

fn is_pointless(fault: &Fault) -> bool {
    matches!(
        fault.error.kind(),
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Config
    ) || (fault.error.kind() == ErrorKind::NotFound && fault.error.code() == Some("10003"))
}

/// The words of a preview, one message each.
fn previews(body: &Body) -> Vec<Post<'static>> {
    let words = render::words(body).into_iter();
    words
        .map(|content| Post {
            content,
            ..Post::default()
        })
        .collect()
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let now = self.shared.elapsed();
        let pause = self.shared.info.limits.edit_pause_group;
        if self
            .last
            .is_some_and(|last| now.saturating_sub(last) < pause)
        {
            return Ok(());
        }
        let posts = previews(body);
        if posts.is_empty() {
            return Ok(());
        }
        self.last = Some(now);
        match self.preview(posts).await {
            Err(fault) if is_pointless(&fault) => Err(fault.error),
            // The next preview, or the end, makes up for it.
            Err(fault) => {
                tracing::debug!(error = %fault.error, "preview skipped");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn finish(mut self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        if self.shown.is_empty() {
            return outbound::send(&self.shared, &message).await;
        }
        let posts = plan::plan(&message)?;
        let count = posts.len();
        let surplus = self.shown.split_off(count.min(self.shown.len()));
        for (index, post) in posts.into_iter().enumerate() {
            if let Err(error) = self.settle(index, &post).await {
                return Err(error.broken_off(self.receipt(index), index, count));
            }
        }
        for shown in surplus {
            // A preview that is left over is ugly and no more.
            if let Err(error) = change::delete(&self.shared, &shown.at).await {
                tracing::debug!(%error, "a preview is left over");
            }
        }
        Ok(self.receipt(count))
    }
}

impl Growing {
    fn receipt(&self, done: usize) -> Receipt {
        // What is not brought to its end is there nevertheless.
        let shown = self.shown.iter().take(done.max(self.shown.len()));
        Receipt::new(shown.map(|shown| shown.at.clone()).collect())
    }

    /// Shows what has changed since the last preview.
    async fn preview(&mut self, posts: Vec<Post<'static>>) -> Result<(), Fault> {
        for (index, post) in posts.into_iter().enumerate() {
            match self.shown.get_mut(index) {
                Some(shown) if shown.post.as_ref() == Some(&post) => {}
                Some(shown) => match change::update(&self.shared, &shown.at, &post, None).await {
                    Ok(()) => shown.post = Some(post),
                    Err(fault) => {
                        if fault.error.kind() == ErrorKind::Unavailable {
                            // It may show either version now.
                            shown.post = None;
                        }
                        return Err(fault);
                    }
                },
                None => {
                    let (at, is_new) = self.send(&post, None).await?;
                    let post = is_new.then_some(post);
                    self.shown.push(Shown { at, post });
                }
            }
        }
        Ok(())
    }

    /// Brings one message of the answer into its final state, patiently: the person sees
    /// half an answer until then.
    async fn settle(&mut self, index: usize, post: &Post<'_>) -> Result<()> {
        let patience = Some(self.shared.patience().max(MIDWAY_PATIENCE));
        let mut retries = 0;
        loop {
            let fault = match self.shown.get(index) {
                Some(shown) if shown.post.as_ref() == Some(post) => return Ok(()),
                Some(shown) => {
                    match change::update(&self.shared, &shown.at, post, patience).await {
                        Ok(()) => return Ok(()),
                        Err(fault) if fault.reason == Reason::Gone => {
                            let (at, _) = self.send(post, patience).await?;
                            if let Some(shown) = self.shown.get_mut(index) {
                                shown.at = at;
                            }
                            return Ok(());
                        }
                        Err(fault) => fault,
                    }
                }
                None => match self.send(post, patience).await {
                    Ok((at, is_new)) => {
                        self.shown.push(Shown { at, post: None });
                        if is_new {
                            return Ok(());
                        }
                        // Found again, it shows what was sent first.
                        continue;
                    }
                    Err(fault) => fault,
                },
            };
            if fault.error.kind() != ErrorKind::Unavailable || retries >= RETRIES {
                return Err(fault.error);
            }
            retries += 1;
            let wait = Duration::from_millis(250) * 2_u32.saturating_pow(retries);
            self.shared.client.transport.clock.sleep(wait).await;
        }
    }

    /// Sends a message; says whether it shows these words for sure.
    async fn send(
        &mut self,
        post: &Post<'_>,
        patience: Option<Duration>,
    ) -> Result<(MessageRef, bool), Fault> {
        let envelope = Envelope::new(&self.to, false)?;
        match outbound::send_post(&self.shared, &envelope, post, &self.nonce, patience).await {
            Ok(at) => {
                self.nonce = outbound::random_nonce(&self.shared);
                Ok((at, !std::mem::take(&mut self.in_doubt)))
            }
            Err(fault) => {
                self.in_doubt |= fault.error.kind() == ErrorKind::Uncertain;
                Err(fault)
            }
        }
    }
}
