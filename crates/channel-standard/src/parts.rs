//! One message as the frames that it becomes.

use channel_core::{MessageId, OutboundMessage, Receipt, Result};

use crate::Standard;
use crate::outbound::{Draft, buttons, fail, receipt};
use crate::render::{Part, render};
use crate::wire::MAX_ATTACHMENTS;
use crate::wire::client::Format;
use crate::wire::server::File;

/// How a message falls into frames: the first files go with the last text, further files
/// after them, the buttons with the last frame.
pub(crate) struct Plan<'a> {
    texts: &'a [Part<'a>],
    batches: usize,
}

impl<'a> Plan<'a> {
    pub(crate) const fn new(texts: &'a [Part<'a>], batches: usize) -> Self {
        Self { texts, batches }
    }

    /// The last text and the first files share a frame.
    fn shared(&self) -> usize {
        usize::from(!self.texts.is_empty() && self.batches > 0)
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len() + self.batches - self.shared()
    }

    /// Which files go with a frame.
    pub(crate) fn batch(&self, index: usize) -> Option<usize> {
        (index + self.shared())
            .checked_sub(self.texts.len())
            .filter(|batch| *batch < self.batches)
    }

    /// A frame with its files.
    pub(crate) fn draft(
        &self,
        message: &'a OutboundMessage,
        index: usize,
        files: &'a [File],
    ) -> Draft<'a> {
        let part = self.texts.get(index);
        let quotes = message.to.quoted().map(MessageId::as_str);
        let thread = message.to.target().thread.as_ref();
        Draft {
            text: part.map_or("", |part| &part.text),
            format: part.map_or(Format::Plain, |part| part.format),
            quotes: quotes.filter(|_| index == 0),
            thread: thread.map(|thread| thread.as_str()),
            files,
            buttons: if index + 1 == self.len() {
                buttons(&message.buttons)
            } else {
                Vec::new()
            },
            purpose: message.purpose,
            is_final: true,
        }
    }
}

impl Standard {
    /// How many frames a message becomes.
    pub(crate) fn count_parts(&self, message: &OutboundMessage) -> usize {
        let message = message.without_card();
        let texts = render(&message.body);
        Plan::new(&texts, message.attachments.chunks(MAX_ATTACHMENTS).len()).len()
    }

    /// Posts one frame of a message; the message's key is that of the frame.
    pub(crate) fn post_part(&self, message: &OutboundMessage, index: usize) -> Result<Receipt> {
        const OPERATION: &str = "send part";
        let message = message.without_card();
        let place = self.place_of(&message.to.target().chat, OPERATION)?;
        let texts = render(&message.body);
        let mut batches = message.attachments.chunks(MAX_ATTACHMENTS);
        let plan = Plan::new(&texts, batches.len());
        if index >= plan.len() {
            let kind = channel_core::ErrorKind::Invalid;
            return Err(fail(kind, "the message has no such part", OPERATION));
        }
        let mut hub = self.0.hub();
        if let Some(key) = &message.key
            && let Some(messages) = hub.sent_before(&place, key)
        {
            return Ok(receipt(&place, messages.to_vec()));
        }
        let uploads = plan.batch(index).and_then(|batch| batches.nth(batch));
        let files = self.files(&mut hub, uploads.unwrap_or_default(), OPERATION)?;
        let files = files.first().map_or(&[][..], Vec::as_slice);
        let id = self
            .0
            .publish(&mut hub, &place, &plan.draft(&message, index, files));
        if let Some(key) = &message.key {
            hub.remember_send(&place, key.clone(), vec![id.clone()]);
        }
        drop(hub);
        Ok(receipt(&place, vec![id]))
    }
}
