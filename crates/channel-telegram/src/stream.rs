//! An answer that grows: edits of one message, or drafts.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Destination, Error, ErrorKind, MessageRef, OutboundMessage, Receipt, ReplyStream, Result,
    async_trait,
};
use serde::Serialize;

use crate::address::Address;
use crate::call::{Fault, Pace, Room};
use crate::change;
use crate::client::{Method, Payload, json};
use crate::error::Reason;
use crate::outbound::{self, Envelope, MIDWAY_PATIENCE, MIDWAY_RETRIES, retry_pause};
use crate::plan;
use crate::render::{self, Entity, Keyboard, Words};
use crate::shared::Shared;

/// Opens a streamed reply.
pub(crate) fn open(shared: &Arc<Shared>, to: &Destination) -> Result<Box<dyn ReplyStream>> {
    Ok(Box::new(growing(shared, to)?))
}

fn growing(shared: &Arc<Shared>, to: &Destination) -> Result<Growing> {
    let envelope = Envelope::new(to, false, Method::SendMessage)?;
    let address = envelope.room.address;
    let private = address.is_private();
    let limits = &shared.info.limits;
    // A business account has no drafts: they would go to the bot's own chat.
    let can_draft = private && matches!(address, Address::Chat(_));
    let draft = (shared.config.drafts && can_draft).then(|| {
        let mut bytes = [0; 4];
        shared.client.transport.random.fill(&mut bytes);
        // Any number but 0.
        i64::from(u32::from_le_bytes(bytes) | 1)
    });
    Ok(Growing {
        shared: Arc::clone(shared),
        to: to.clone(),
        private,
        pause: if private {
            limits.edit_pause_direct
        } else {
            limits.edit_pause_group
        },
        draft,
        shown: Vec::new(),
        last: None,
        // What only one member sees has no number by which it could be edited.
        blind: envelope.ephemeral.is_some(),
    })
}

/// Goes on with messages that another stream has shown: what they show cannot be told.
pub(crate) fn resume(
    shared: &Arc<Shared>,
    to: &Destination,
    shown: &Receipt,
) -> Result<Box<dyn ReplyStream>> {
    let mut growing = growing(shared, to)?;
    growing.draft = None;
    let unknown = |at: &MessageRef| Shown {
        at: at.clone(),
        words: Words::default(),
    };
    growing.shown = shown.messages.iter().map(unknown).collect();
    Ok(Box::new(growing))
}

struct Growing {
    shared: Arc<Shared>,
    to: Destination,
    private: bool,
    /// The shortest time between two previews.
    pause: Duration,
    draft: Option<i64>,
    /// The messages that hold the answer so far: all but the last are full.
    shown: Vec<Shown>,
    last: Option<Duration>,
    /// A preview is, or may have become, a message that we cannot name. No further one is
    /// sent before the end, so that there is at most one of them.
    blind: bool,
}

struct Shown {
    at: MessageRef,
    words: Words,
}

/// Whether nothing that follows can succeed either.
fn is_pointless(fault: &Fault) -> bool {
    matches!(fault.reason, Reason::DeadTarget | Reason::DeadPerson)
        || matches!(
            fault.error.kind(),
            ErrorKind::Unauthenticated | ErrorKind::Forbidden
        )
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let now = self.shared.elapsed();
        if self
            .last
            .is_some_and(|last| now.saturating_sub(last) < self.pause)
        {
            return Ok(());
        }
        let parts = render::parts(&render::flat(body));
        let Some(last) = parts.last() else {
            return Ok(());
        };
        let chat = &self.to.target().chat;
        if !self.shared.pacer.preview(chat, self.private, now) {
            return Ok(());
        }
        self.last = Some(now);
        let shown = match self.draft {
            Some(draft) => self.show_draft(draft, last).await,
            None => self.preview(parts).await,
        };
        match shown {
            Err(fault) if is_pointless(&fault) => Err(fault.error),
            // The next preview, or the end, makes up for it.
            Err(fault) => {
                tracing::debug!(error = %fault.error, "preview skipped");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn shown(&self) -> Option<Receipt> {
        // A draft goes away by itself.
        (self.draft.is_none() && !self.blind).then(|| self.receipt())
    }

    async fn finish(mut self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        if self.shown.is_empty() {
            return outbound::send(&self.shared, &message).await;
        }
        let message = plan::spelled_out(&message).into_owned();
        let operation = Method::EditMessageText.operation();
        let keyboard = render::keyboard(&message.buttons, operation)?;
        let parts = render::parts(&render::flat(&message.body));
        let count = parts.len() + usize::from(!message.attachments.is_empty());
        let has_words = !parts.is_empty();
        let surplus = self.shown.split_off(parts.len().min(self.shown.len()));
        for (index, words) in parts.into_iter().enumerate() {
            let is_last = index + 1 + usize::from(!message.attachments.is_empty()) >= count;
            let keyboard = keyboard.as_ref().filter(|_| is_last);
            if let Err(error) = self.settle(index, words, keyboard, message.silent).await {
                return Err(error.broken_off(self.receipt(), index, count));
            }
        }
        for shown in surplus {
            // A preview that is left over is ugly and no more.
            if let Err(error) = change::delete(&self.shared, &shown.at).await {
                tracing::debug!(%error, "a preview is left over");
            }
        }
        let mut receipt = self.receipt();
        if !message.attachments.is_empty() {
            let mut files = OutboundMessage::new(message.to, "");
            files.attachments = message.attachments;
            files.silent = message.silent;
            if !has_words {
                files.buttons = message.buttons;
            }
            match outbound::send(&self.shared, &files).await {
                Ok(sent) => receipt.messages.extend(sent.messages),
                Err(error) => {
                    receipt.messages.extend(
                        error
                            .delivered()
                            .into_iter()
                            .flat_map(|sent| sent.messages.clone()),
                    );
                    return Err(error.broken_off(receipt, count - 1, count));
                }
            }
        }
        Ok(receipt)
    }
}

impl Growing {
    fn receipt(&self) -> Receipt {
        Receipt::new(self.shown.iter().map(|shown| shown.at.clone()).collect())
    }

    /// Shows what has changed since the last preview.
    async fn preview(&mut self, parts: Vec<Words>) -> Result<(), Fault> {
        for (index, words) in parts.into_iter().enumerate() {
            match self.shown.get_mut(index) {
                Some(shown) if shown.words == words => {}
                Some(shown) => {
                    let edited =
                        change::edit_words(&self.shared, &shown.at, &words, None, Pace::Free).await;
                    match edited {
                        Ok(()) => shown.words = words,
                        Err(fault) => {
                            if fault.error.kind() == ErrorKind::Unavailable {
                                // It may show either version now: equal to neither.
                                shown.words = Words::default();
                            }
                            return Err(fault);
                        }
                    }
                }
                None if self.blind => {}
                None => {
                    let sent = self.send(index, &words, None, index > 0, Pace::Free).await;
                    if let Err(error) = &sent {
                        self.blind = error.kind() == ErrorKind::Uncertain;
                    }
                    let at = sent?;
                    self.shown.push(Shown { at, words });
                }
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        index: usize,
        words: &Words,
        keyboard: Option<&Keyboard<'_>>,
        silent: bool,
        pace: Pace,
    ) -> Result<MessageRef> {
        let mut envelope = Envelope::new(&self.to, silent, Method::SendMessage)?;
        if index > 0 {
            envelope.quote = None;
        }
        let (text, entities) = (&words.text, &words.entities);
        outbound::send_text(&self.shared, &envelope, text, entities, keyboard, pace).await
    }

    /// Brings one message of the answer into its final state, patiently: the person sees
    /// half an answer until then.
    async fn settle(
        &mut self,
        index: usize,
        words: Words,
        keyboard: Option<&Keyboard<'_>>,
        silent: bool,
    ) -> Result<()> {
        let pace = Pace::Turn(self.shared.patience().max(MIDWAY_PATIENCE));
        let mut retries = 0;
        loop {
            let error: Error = match self.shown.get(index) {
                Some(shown) if shown.words == words && keyboard.is_none() => return Ok(()),
                Some(shown) => {
                    let at = &shown.at;
                    match change::edit_words(&self.shared, at, &words, keyboard, pace).await {
                        Ok(()) => return Ok(()),
                        Err(fault) if is_gone(&fault) => {
                            let at = self.send(index, &words, keyboard, silent, pace).await?;
                            if let Some(shown) = self.shown.get_mut(index) {
                                shown.at = at;
                            }
                            return Ok(());
                        }
                        Err(fault) => fault.error,
                    }
                }
                None => match self.send(index, &words, keyboard, silent, pace).await {
                    Ok(at) => {
                        self.shown.push(Shown { at, words });
                        return Ok(());
                    }
                    Err(error) => error,
                },
            };
            if error.kind() != ErrorKind::Unavailable || retries >= MIDWAY_RETRIES {
                return Err(error);
            }
            retries += 1;
            let wait = retry_pause(retries);
            self.shared.client.transport.clock.sleep(wait).await;
        }
    }

    /// Shows a draft, which needs no message and leaves none
    /// (<https://core.telegram.org/bots/api#sendmessagedraft>).
    async fn show_draft(&self, draft_id: i64, words: &Words) -> Result<(), Fault> {
        #[derive(Serialize)]
        struct Fields<'a> {
            draft_id: i64,
            text: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            entities: &'a [Entity],
        }
        let method = Method::SendMessageDraft;
        let target = self.to.target();
        let room = Room::new(&target.chat, target.thread.as_ref(), method)?;
        let fields = json(&Fields {
            draft_id,
            text: &words.text,
            entities: &words.entities,
        });
        let shown = self
            .shared
            .call_chat::<bool>(method, &room, Pace::Free, |place| {
                let mut body = fields.clone();
                place.append_to(&mut body);
                Payload::json(body)
            });
        shown.await.map(|_| ())
    }
}

/// Whether somebody has deleted the message, or its group has moved without it, and the
/// chat is still there.
fn is_gone(fault: &Fault) -> bool {
    fault.error.kind() == ErrorKind::NotFound
        && matches!(fault.reason, Reason::Other | Reason::Moved)
}
