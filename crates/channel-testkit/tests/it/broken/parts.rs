//! Parts, cards and history, badly.

use std::sync::atomic::Ordering;

use channel_core::{
    Card, Cards, Channel as _, Error, ErrorKind, History, Message, MessageId, MessageRef,
    OutboundMessage, Parts, Receipt, Result, Target, async_trait,
};

use super::Broken;
use super::send::text_of;

#[async_trait]
impl Parts for Broken {
    fn parts(&self, message: &OutboundMessage) -> Result<usize> {
        if message.is_empty() {
            return Ok(0);
        }
        let planned = self.plan(message, &text_of(&message.body)).len();
        // Counts what has been sent meanwhile.
        let forgets = self.has("plans_the_same_parts_for_the_same_message");
        let sent = if forgets {
            self.0.channel.sent().len()
        } else {
            0
        };
        Ok(planned.saturating_sub(sent))
    }

    async fn send_part(&self, message: &OutboundMessage, part: usize) -> Result<Receipt> {
        let mut plan = self.plan(message, &text_of(&message.body));
        let mut part = part;
        if self.has("refuses_a_part_out_of_range") {
            part = part.min(plan.len().saturating_sub(1));
        }
        if part >= plan.len() {
            return Err(Error::new(ErrorKind::Invalid, "there is no such part"));
        }
        let mut planned = plan.remove(part);
        planned.key.clone_from(&message.key);
        if part > 1 && self.has("sends_all_parts_as_it_sends_the_whole") {
            planned.attachments.clear();
            planned.body = "...".into();
        }
        match self.0.channel.send(&planned).await {
            Err(error) if self.has("sends_a_failed_part_alone") => {
                // Makes up for it together with the next one that works.
                self.0.owes.store(true, Ordering::Relaxed);
                Err(error)
            }
            Ok(sent) if self.0.owes.load(Ordering::Relaxed) => {
                self.0.channel.send(&planned).await?;
                Ok(sent)
            }
            result => result,
        }
    }
}

#[async_trait]
impl Cards for Broken {
    async fn update_card(&self, target: &MessageRef, card: &Card) -> Result<()> {
        if self.has("updates_a_card") {
            return Ok(());
        }
        self.0.channel.update_card(target, card).await
    }
}

#[async_trait]
impl History for Broken {
    async fn history(
        &self,
        of: &Target,
        before: Option<&MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let more = self.has("reads_no_more_history_than_asked_for") && limit != 5 && limit != 2;
        let limit = if more { limit + 1 } else { limit };
        let ignores = self.has("reads_only_history_before_a_message");
        let before = before.filter(|_| !ignores);
        let mut read = self.0.channel.history(of, before, limit).await?;
        if self.has("reads_history_newest_first") && before.is_none() {
            read.reverse();
        }
        Ok(read)
    }

    async fn find(&self, sent: &OutboundMessage) -> Result<Option<MessageRef>> {
        if self.has("finds_nothing_under_another_key") {
            // Goes by the words.
            let text = text_of(&sent.body);
            let same = self.0.channel.sent().into_iter().find(|it| it.text == text);
            return Ok(same.map(|it| it.at));
        }
        if self.has("finds_what_was_sent_under_a_key") {
            return Ok(None);
        }
        self.0.channel.find(sent).await
    }
}
