//! Sending, badly.

use std::sync::atomic::Ordering;

use channel_core::{
    Body, Card, CardBlock, Channel as _, ChatId, Destination, Error, ErrorKind, MessageRef,
    OutboundMessage, Receipt, Result, Target, TextLimit,
};
use unicode_segmentation::UnicodeSegmentation as _;

use super::Broken;

pub(super) fn text_of(body: &Body) -> String {
    match body {
        Body::Plain(text) | Body::Markdown(text) => text.clone(),
        Body::Content(content) => content.to_plain(),
        _ => String::new(),
    }
}

impl Broken {
    pub(super) fn limit(&self) -> TextLimit {
        self.0.info.limits.text
    }

    pub(super) async fn send_badly(&self, message: &OutboundMessage) -> Result<Receipt> {
        let text = text_of(&message.body);
        if self.has("hides_secrets_in_logs") {
            tracing::trace!(token = ?self.0.secret.as_bytes(), "sending");
        }
        if self.has("hides_content_in_logs") {
            tracing::debug!("sending {text}");
        }
        if self.0.gave_up.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "given up"));
        }
        match self.send_all(message, &text).await {
            Ok(mut receipt) => {
                if self.has("names_every_part_in_the_receipt") && receipt.messages.len() > 1 {
                    receipt.messages.pop();
                }
                Ok(receipt)
            }
            Err(error) => Err(self.bend_error(error, message, &text).await),
        }
    }

    /// What the platform takes at once, part by part.
    pub(super) fn plan(&self, message: &OutboundMessage, text: &str) -> Vec<OutboundMessage> {
        let mut message = message.clone();
        message.to = self.bend_destination(message.to);
        if self.has("sends_a_file") {
            for file in &mut message.attachments {
                "file".clone_into(&mut file.name);
            }
        }
        let text = self.bend_text(text, !message.attachments.is_empty());
        let mut parts: Vec<_> = self
            .split(&text, self.0.bug)
            .into_iter()
            .map(|part| OutboundMessage::new(message.to.clone(), part))
            .collect();
        if let Some(card) = &message.card {
            let card = self.bend_card(card);
            parts.push(OutboundMessage::new(message.to.clone(), "").card(card));
        }
        for file in &message.attachments {
            parts.push(OutboundMessage::new(message.to.clone(), "").attach(file.clone()));
        }
        if let Some(last) = parts.last_mut() {
            last.buttons.clone_from(&message.buttons);
        }
        parts
    }

    async fn send_all(&self, message: &OutboundMessage, text: &str) -> Result<Receipt> {
        let mut receipt = Receipt::default();
        for (number, mut part) in self.plan(message, text).into_iter().enumerate() {
            part.key = match (number, &message.key) {
                (0, key) => key.clone(),
                (number, key) => key.as_ref().map(|key| format!("{key}/{number}").into()),
            };
            self.bend_key(&mut part);
            match self.0.channel.send(&part).await {
                Ok(sent) => receipt.messages.extend(sent.messages),
                Err(error) => return Err(error.with_delivered(receipt)),
            }
        }
        Ok(receipt)
    }

    fn bend_key(&self, part: &mut OutboundMessage) {
        let forgets = self.has("shows_a_message_once_when_its_key_is_repeated");
        if forgets && self.takes_keys() {
            part.key = None;
        }
    }

    fn bend_card(&self, card: &Card) -> Card {
        let mut card = card.clone();
        match self.0.bug {
            "shows_every_word_of_a_card" => {
                card.blocks
                    .retain(|block| !matches!(block, CardBlock::Note(_)));
            }
            "shows_every_button_of_a_card" => {
                card.blocks
                    .retain(|block| !matches!(block, CardBlock::Actions(_)));
            }
            _ => {}
        }
        card
    }

    fn bend_text(&self, text: &str, has_files: bool) -> String {
        match self.0.bug {
            "sends_text_and_returns_its_id" => text.replace(',', ""),
            "sends_nothing_for_an_empty_message" if text.is_empty() && !has_files => {
                "(empty)".to_owned()
            }
            "sends_plain_text_to_the_letter" => text.replace('*', ""),
            _ => text.to_owned(),
        }
    }

    fn bend_destination(&self, to: Destination) -> Destination {
        let Destination::Reply(reply) = &to else {
            return to;
        };
        let target = reply.target();
        match (self.0.bug, &target.thread) {
            ("replies_into_the_same_chat", None) => Target::chat("elsewhere").into(),
            ("replies_into_the_same_thread", Some(_)) => {
                Target::chat(ChatId::clone(&target.chat)).into()
            }
            _ => to,
        }
    }

    /// Parts within the limit, cut between graphemes where that is possible.
    pub(super) fn split(&self, text: &str, bug: &str) -> Vec<String> {
        let limit = self.limit();
        let max = limit.max + usize::from(bug == "splits_within_the_limit");
        let too_big = |grapheme: &str| !limit.fits(grapheme);
        if bug == "sends_a_grapheme_over_the_limit_or_refuses_it"
            && text.graphemes(true).any(too_big)
        {
            return Vec::new();
        }
        let mut parts = vec![String::new()];
        let mut size = 0;
        for grapheme in text.graphemes(true) {
            let cut_in_two = bug == "splits_between_graphemes"
                && grapheme.contains('\u{200d}')
                && size > max - 100;
            if cut_in_two || too_big(grapheme) {
                for c in grapheme.chars() {
                    if size + c.len_utf16() > limit.max || (cut_in_two && c == '\u{200d}') {
                        parts.push(String::new());
                        size = 0;
                    }
                    size += c.len_utf16();
                    parts.last_mut().unwrap().push(c);
                }
                continue;
            }
            let more = limit.unit.measure(grapheme);
            if size + more > max {
                parts.push(String::new());
                size = 0;
                if bug == "loses_nothing_when_it_splits" && !grapheme.trim().is_empty() {
                    continue;
                }
            }
            size += more;
            parts.last_mut().unwrap().push_str(grapheme);
        }
        if bug == "sends_a_huge_text" {
            parts.truncate(8);
        }
        parts.retain(|part| !part.is_empty());
        parts
    }

    async fn bend_error(&self, error: Error, message: &OutboundMessage, text: &str) -> Error {
        let kind = error.kind();
        match (self.0.bug, kind) {
            ("maps_401_to_unauthenticated", ErrorKind::Unauthenticated) => {
                like(&error, ErrorKind::Config, error.message())
            }
            ("maps_403_to_forbidden", ErrorKind::Forbidden) => {
                like(&error, ErrorKind::NotFound, error.message())
            }
            ("maps_429_to_rate_limited_with_its_wait", ErrorKind::RateLimited) => {
                Error::new(kind, "too many calls")
            }
            ("maps_500_to_a_later_attempt", ErrorKind::Unavailable) => {
                like(&error, ErrorKind::Invalid, error.message())
            }
            ("maps_a_lost_answer_to_uncertain", ErrorKind::Uncertain) => {
                like(&error, ErrorKind::Unavailable, error.message())
            }
            ("sends_once_when_the_answer_is_lost", ErrorKind::Uncertain) => {
                let _ = self.0.channel.send(message).await;
                error
            }
            ("names_the_delivered_parts_of_a_failed_message", _) => {
                like(&error, kind, error.message()).with_delivered(Receipt::default())
            }
            ("names_platform_and_operation_in_errors", _) => {
                let delivered = error.delivered().cloned().unwrap_or_default();
                let wait = error.retry_after().unwrap_or_default();
                Error::new(kind, error.message())
                    .with_delivered(delivered)
                    .with_retry_after(wait)
            }
            ("works_again_after_a_failure", _) => {
                self.0.gave_up.store(true, Ordering::Relaxed);
                error
            }
            ("hides_secrets_in_errors", _) => {
                let address = format!("no answer from /bot{}/send", self.0.secret);
                like(&error, kind, &address)
            }
            ("hides_content_in_errors", _) => like(&error, kind, &format!("refused: {text}")),
            _ => error,
        }
    }

    /// Sends the parts of a text that follow the first.
    pub(super) async fn send_rest(
        &self,
        message: &OutboundMessage,
        rest: Vec<String>,
    ) -> Result<Vec<MessageRef>> {
        let mut sent = Vec::new();
        for part in rest {
            let one = OutboundMessage::new(message.to.clone(), part);
            sent.extend(self.0.channel.send(&one).await?.messages);
        }
        Ok(sent)
    }
}

/// The same error of another kind or with other words.
fn like(error: &Error, kind: ErrorKind, message: &str) -> Error {
    let mut other =
        Error::new(kind, message).with_delivered(error.delivered().cloned().unwrap_or_default());
    if let (Some(platform), Some(operation)) = (error.platform(), error.operation()) {
        other = other.on(platform.clone(), operation);
    }
    match error.retry_after() {
        Some(wait) => other.with_retry_after(wait),
        None => other,
    }
}
