//! Streamed answers: a card whose text grows, which Feishu types out by itself
//! (<https://open.feishu.cn/document/cardkit-v1/streaming-updates-openapi-overview>).

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Destination, Error, ErrorKind, MessageRef, OutboundMessage, Receipt, ReplyStream, Result,
    async_trait,
};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Call, Data, Done, Payload};
use crate::error::Fault;
use crate::outbound::{self, Envelope, MIDWAY_PATIENCE};
use crate::render::{self, Outgoing};
use crate::shared::Shared;
use crate::{card, change, plan};

const CREATE: Call = Call::once("start stream");
const GROW: Call = Call::keyed("append to stream");
const FINISH: Call = Call::keyed("finish stream");
/// Feishu ends a stream by itself after ten minutes; the words after that come with the end.
const LASTS: Duration = Duration::from_secs(9 * 60);
/// How often the final state is tried for while nothing has left.
const RETRIES: u32 = 3;

/// Opens a stream; nothing is shown before the first words.
pub(crate) fn open(shared: &Arc<Shared>, to: &Destination) -> Result<Box<dyn ReplyStream>> {
    Envelope::new(to)?;
    Ok(Box::new(Growing {
        shared: Arc::clone(shared),
        to: to.clone(),
        state: State::New,
        shown: String::new(),
        last: None,
    }))
}

struct Growing {
    shared: Arc<Shared>,
    to: Destination,
    state: State,
    /// The Markdown that Feishu has.
    shown: String,
    last: Option<Duration>,
}

enum State {
    New,
    /// A card that grows by Feishu's own means.
    Card(Flow),
    /// A card that is replaced each time: the app may not make growing ones.
    Patched(MessageRef),
    /// A preview is, or may have become, a message that we cannot name: none is shown before
    /// the end.
    Blind,
}

struct Flow {
    at: MessageRef,
    card: String,
    /// Counts every change of the card.
    sequence: u64,
    since: Duration,
}

#[derive(Deserialize)]
struct Created {
    card_id: String,
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
        // What is too long for one card is shown at the end, in several messages.
        let words = render::words(body);
        let [words] = words.as_slice() else {
            return Ok(());
        };
        let text = words.markdown();
        if text == self.shown || !card::fits(&card::streaming(&text)) {
            return Ok(());
        }
        self.last = Some(now);
        match self.grow(&text, now).await {
            Ok(()) => {
                self.shown = text;
                Ok(())
            }
            Err(fault) if is_pointless(&fault) => Err(fault.error),
            // The next preview, or the end, makes up for it.
            Err(fault) => {
                tracing::debug!(error = %fault.error, "preview skipped");
                Ok(())
            }
        }
    }

    async fn finish(mut self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        let at = match &self.state {
            State::New | State::Blind => return outbound::send(&self.shared, &message).await,
            State::Card(flow) => flow.at.clone(),
            State::Patched(at) => at.clone(),
        };
        let to = self.to.clone();
        let envelope = Envelope::new(&to)?;
        let posts = plan::posts(&message, envelope.scene())?;
        let count = posts.len() + message.attachments.len();
        let Some((first, others)) = posts.split_first() else {
            // Nothing is left to be said: nothing is left of what was shown.
            change::delete(&self.shared, &at).await?;
            return self.rest(message, Receipt::default(), count, 0).await;
        };
        let last_card = as_card(first, &message.body, others.is_empty());
        if let Err(error) = self.settle(&last_card).await {
            return Err(error.broken_off(Receipt::new(vec![at]), 0, count));
        }
        let mut receipt = Receipt::new(vec![at]);
        for (index, post) in others.iter().enumerate() {
            let name = (index + 1).to_string();
            let uuid = outbound::uuid(&self.shared, message.key.as_ref(), &name);
            let patience = Some(self.shared.patience().max(MIDWAY_PATIENCE));
            let sent = outbound::post(&self.shared, &envelope, post, false, &uuid, patience).await;
            match sent {
                Ok(at) => receipt.messages.push(at),
                Err(fault) => return Err(fault.error.broken_off(receipt, index + 1, count)),
            }
        }
        let done = posts.len();
        self.rest(message, receipt, count, done).await
    }
}

/// A message as the card that it replaces a preview by.
fn as_card(post: &Outgoing, body: &Body, is_only: bool) -> Value {
    if post.is_card() {
        return serde_json::from_str(&post.content).unwrap_or_default();
    }
    let words = render::words(body);
    let first = words.first();
    let markdown = |it: &render::Words| json!({"tag": "markdown", "element_id": card::STREAMED, "content": it.markdown()});
    let element = match first {
        Some(first) if is_only => markdown(first),
        Some(first) => first.element(),
        None => json!({"tag": "markdown", "content": ""}),
    };
    card::of(&[element])
}

/// Whether nothing that follows can succeed either.
fn is_pointless(fault: &Fault) -> bool {
    matches!(
        fault.error.kind(),
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::NotFound
    ) && fault.error.operation() == Some(plan::OPERATION)
}

impl Growing {
    /// The files of a message whose words are there.
    async fn rest(
        &self,
        message: OutboundMessage,
        mut receipt: Receipt,
        count: usize,
        done: usize,
    ) -> Result<Receipt> {
        if message.attachments.is_empty() {
            return Ok(receipt);
        }
        let mut files = OutboundMessage::new(message.to, "");
        files.attachments = message.attachments;
        // Another key than that of the words.
        files.key = message.key.map(|key| format!("{key}/files").into());
        match outbound::send(&self.shared, &files).await {
            Ok(sent) => {
                receipt.messages.extend(sent.messages);
                Ok(receipt)
            }
            Err(error) => {
                let sent = error.delivered().map(|sent| sent.messages.clone());
                receipt.messages.extend(sent.unwrap_or_default());
                Err(error.broken_off(receipt, done, count))
            }
        }
    }

    async fn grow(&mut self, text: &str, now: Duration) -> Result<(), Fault> {
        match &mut self.state {
            State::New => self.start(text, now).await,
            State::Blind => Ok(()),
            State::Card(flow) if now.saturating_sub(flow.since) >= LASTS => Ok(()),
            State::Card(flow) => {
                flow.sequence += 1;
                let path = format!(
                    "/open-apis/cardkit/v1/cards/{}/elements/{}/content",
                    flow.card,
                    card::STREAMED
                );
                let uuid = outbound::uuid(&self.shared, None, "");
                let fields = json!({"content": text, "sequence": flow.sequence, "uuid": uuid});
                let payload = Payload::json(&fields);
                let Done {} = self
                    .shared
                    .call_within(GROW, Method::PUT, &path, payload, None)
                    .await?;
                Ok(())
            }
            State::Patched(at) => {
                let card = card::streaming(text).to_string();
                change::patch(&self.shared, at.id.as_str(), &card, None).await
            }
        }
    }

    /// Makes a card that grows and sends it; or an ordinary one, where the app lacks the
    /// permission for the others.
    async fn start(&mut self, text: &str, now: Duration) -> Result<(), Fault> {
        let envelope = Envelope::new(&self.to)?;
        let whole = card::streaming(text).to_string();
        let payload = Payload::json(&json!({"type": "card_json", "data": whole}));
        let path = "/open-apis/cardkit/v1/cards";
        let created: Result<Data<Created>, Fault> = self
            .shared
            .call_within(CREATE, Method::POST, path, payload, None)
            .await;
        let card = match created {
            Ok(Data { data }) if crate::wire::is_id(&data.card_id) => Some(data.card_id),
            Err(fault) if fault.error.kind().is_retryable() => return Err(fault),
            other => {
                if let Err(fault) = other {
                    tracing::debug!(error = %fault.error, "the stream goes on by edits");
                }
                None
            }
        };
        let content = match &card {
            Some(card) => json!({"type": "card", "data": {"card_id": card}}).to_string(),
            None => {
                let element = json!({"tag": "markdown", "content": text});
                card::of(&[element]).to_string()
            }
        };
        let outgoing = Outgoing {
            kind: "interactive",
            content,
        };
        let uuid = outbound::uuid(&self.shared, None, "");
        let sent = outbound::post(&self.shared, &envelope, &outgoing, true, &uuid, None).await;
        if let Err(fault) = &sent
            && fault.error.kind() == ErrorKind::Uncertain
        {
            self.state = State::Blind;
        }
        let at = sent?;
        self.state = match card {
            Some(card) => State::Card(Flow {
                at,
                card,
                sequence: 0,
                since: now,
            }),
            None => State::Patched(at),
        };
        Ok(())
    }

    /// Brings the card into its final state, patiently: the person sees half an answer until
    /// then.
    async fn settle(&mut self, card: &Value) -> Result<()> {
        let patience = Some(self.shared.patience().max(MIDWAY_PATIENCE));
        let mut retries = 0;
        loop {
            let fault = match self.finalise(card, patience).await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            let is_lost = matches!(
                fault.error.kind(),
                ErrorKind::Unavailable | ErrorKind::Uncertain
            );
            if !is_lost || retries >= RETRIES {
                return Err(fault.error);
            }
            retries += 1;
            let wait = Duration::from_millis(250) * 2_u32.saturating_pow(retries);
            self.shared.client.transport.clock.sleep(wait).await;
        }
    }

    async fn finalise(&mut self, whole: &Value, patience: Option<Duration>) -> Result<(), Fault> {
        let flow = match &mut self.state {
            State::Card(flow) => flow,
            State::Patched(at) => {
                let content = whole.to_string();
                return change::patch(&self.shared, at.id.as_str(), &content, patience).await;
            }
            State::New | State::Blind => {
                let words = "nothing was shown that could be finished";
                return Err(Error::new(ErrorKind::Invalid, words).into());
            }
        };
        let mut last = whole.clone();
        if let Some(config) = last.get_mut("config").and_then(Value::as_object_mut) {
            config.insert("streaming_mode".to_owned(), json!(false));
        }
        flow.sequence += 1;
        let path = format!("/open-apis/cardkit/v1/cards/{}", flow.card);
        let uuid = outbound::uuid(&self.shared, None, "");
        let card = json!({"type": "card_json", "data": last.to_string()});
        let fields = json!({"card": card, "sequence": flow.sequence, "uuid": uuid});
        let done: Result<Done, Fault> = self
            .shared
            .call_within(FINISH, Method::PUT, &path, Payload::json(&fields), patience)
            .await;
        match done {
            Ok(Done {}) => Ok(()),
            Err(fault) if fault.error.kind().is_retryable() => Err(fault),
            Err(fault) if fault.error.kind() == ErrorKind::Uncertain => Err(fault),
            // The card of the message can be replaced whole, too.
            Err(fault) => {
                tracing::debug!(error = %fault.error, "the stream ends by an edit");
                let content = last.to_string();
                change::patch(&self.shared, flow.at.id.as_str(), &content, patience).await
            }
        }
    }
}
