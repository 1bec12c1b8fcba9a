//! Streamed answers: an AI card whose text grows
//! (<https://open.dingtalk.com/document/orgapp/typewriter-effect-streaming-ai-card>).

use std::sync::Arc;
use std::time::Duration;

use channel_core::{
    Body, Destination, Error, ErrorKind, MessageRef, OutboundMessage, Receipt, ReplyStream, Result,
    async_trait,
};
use http::Method;
use serde_json::json;

use crate::PLATFORM;
use crate::card::{self, Flow, Shown};
use crate::client::{Call, Done, Payload};
use crate::error::{Fault, Reason, VARIABLE};
use crate::ids::Sent;
use crate::outbound::{self, Envelope, MIDWAY_PATIENCE};
use crate::plan::{self, Part, Scene};
use crate::render;
use crate::shared::{Place, Shared};

const GROW: Call = Call::idempotent("append to stream");
/// How often the final state is tried for while nothing has left.
const RETRIES: u32 = 3;

/// Opens a stream; nothing is shown before the first words.
pub(crate) fn open(shared: &Arc<Shared>, to: &Destination) -> Result<Box<dyn ReplyStream>> {
    begin(shared, to, State::New)
}

/// Goes on with an answer of which a card is there.
pub(crate) fn resume(
    shared: &Arc<Shared>,
    to: &Destination,
    shown: &Receipt,
) -> Result<Option<Box<dyn ReplyStream>>> {
    let [at] = shown.messages.as_slice() else {
        return Ok(None);
    };
    let Some(Sent::Card(card)) = Sent::of(&at.id) else {
        return Ok(None);
    };
    let state = State::Card(at.clone(), card.to_owned());
    begin(shared, to, state).map(Some)
}

fn begin(shared: &Arc<Shared>, to: &Destination, state: State) -> Result<Box<dyn ReplyStream>> {
    let has_cards = Envelope::new(shared, to)?.scene(shared).has_cards;
    Ok(Box::new(Growing {
        shared: Arc::clone(shared),
        to: to.clone(),
        state: if has_cards { state } else { State::Blind },
        shown: String::new(),
        last: None,
    }))
}

struct Growing {
    shared: Arc<Shared>,
    to: Destination,
    state: State,
    /// The Markdown that DingTalk has.
    shown: String,
    last: Option<Duration>,
}

enum State {
    New,
    /// A card, by its message and its `outTrackId`.
    Card(MessageRef, String),
    /// No card can be made, or one may be there that was not confirmed: nothing is shown
    /// before the end.
    Blind,
}

#[async_trait]
impl ReplyStream for Growing {
    async fn show(&mut self, body: &Body) -> Result<()> {
        let now = self.shared.elapsed();
        let pause = self.shared.info.limits.edit_pause_group;
        let is_early = |last| now.saturating_sub(last) < pause;
        if matches!(self.state, State::Blind) || self.last.is_some_and(is_early) {
            return Ok(());
        }
        // What is too long for one card is shown at the end, in several messages.
        let words = render::words(body);
        let [words] = words.as_slice() else {
            return Ok(());
        };
        let (text, _) = words.markdown(render::Dialect::Card);
        if text == self.shown || !self.shared.may_preview() {
            return Ok(());
        }
        self.last = Some(now);
        match self.grow(&text).await {
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

    fn shown(&self) -> Option<Receipt> {
        match &self.state {
            State::Card(at, _) => Some(Receipt::new(vec![at.clone()])),
            State::New | State::Blind => None,
        }
    }

    async fn finish(self: Box<Self>, message: OutboundMessage) -> Result<Receipt> {
        let State::Card(at, card) = &self.state else {
            return outbound::send(&self.shared, &message).await;
        };
        let shared = &self.shared;
        let envelope = Envelope::new(shared, &self.to)?;
        let parts = plan::plan(&message, envelope.scene(shared))?;
        let count = parts.len().max(1);
        let mut receipt = Receipt::new(vec![at.clone()]);
        // A card that is not finished turns its wheel for ever, even if nothing is left to say.
        let (shown, done) = match parts.first() {
            Some(Part::Words(words)) => {
                let (text, _) = words.markdown(render::Dialect::Card);
                (Shown::new(text, &[]), 1)
            }
            Some(Part::Card(shown)) => (shown.clone(), 1),
            _ => (Shown::new(String::new(), &[]), 0),
        };
        match settle(shared, card, &shown).await {
            Ok(()) => {}
            // The card has ended and shows nothing: the words follow it.
            Err(fault) if fault.reason == Reason::Variable => {
                tracing::warn!(channel = %shared.info.id, error = %fault.error, "an answer goes out beside its card");
                return beside(shared, &envelope, &message, receipt).await;
            }
            Err(fault) => return Err(fault.error.broken_off(receipt, 0, count)),
        }
        for (index, part) in parts.iter().enumerate().skip(done) {
            let name = outbound::name(shared, message.key.as_ref(), &index.to_string());
            match outbound::send_part(shared, &envelope, part, index.max(1), &name).await {
                Ok(at) => receipt.messages.push(at),
                Err(fault) => return Err(fault.error.broken_off(receipt, index, count)),
            }
        }
        Ok(receipt)
    }
}

/// Says in plain messages what a card does not show.
async fn beside(
    shared: &Shared,
    envelope: &Envelope<'_>,
    message: &OutboundMessage,
    mut receipt: Receipt,
) -> Result<Receipt> {
    let without = Scene {
        has_cards: false,
        has_presses: false,
    };
    let parts = plan::plan(message, without)?;
    let count = parts.len() + 1;
    for (index, part) in (1..).zip(&parts) {
        let name = outbound::name(shared, message.key.as_ref(), &index.to_string());
        match outbound::send_part(shared, envelope, part, index, &name).await {
            Ok(at) => receipt.messages.push(at),
            Err(fault) => return Err(fault.error.broken_off(receipt, index, count)),
        }
    }
    Ok(receipt)
}

/// Whether nothing that follows can succeed either.
fn is_pointless(fault: &Fault) -> bool {
    matches!(
        fault.error.kind(),
        ErrorKind::Unauthenticated | ErrorKind::Config
    )
}

impl Growing {
    async fn grow(&mut self, text: &str) -> Result<(), Fault> {
        if let State::Card(_, card) = &self.state {
            return grow(&self.shared, card, text, false, None).await;
        }
        let envelope = Envelope::new(&self.shared, &self.to)?;
        let name = outbound::name(&self.shared, None, "");
        let shown = Shown::new(text.to_owned(), &[]);
        let made = card::create(&self.shared, &envelope, &shown, Flow::Writing, &name, None);
        match made.await {
            Ok(at) => {
                self.state = State::Card(at, name);
                Ok(())
            }
            Err(fault) => {
                // Another attempt would make another card.
                if !fault.error.kind().is_retryable() {
                    self.state = State::Blind;
                }
                Err(fault)
            }
        }
    }
}

/// <https://open.dingtalk.com/document/orgapp/api-streamingupdate>
async fn grow(
    shared: &Shared,
    card: &str,
    text: &str,
    is_last: bool,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    // Another one for each call, and for each attempt at it that is made anew.
    let guid = outbound::name(shared, None, "");
    let fields = json!({"outTrackId": card, "guid": guid, "key": shared.config.card_template_key,
        "content": text, "isFull": true, "isFinalize": is_last, "isError": false});
    let place = Place::Api(&Method::PUT, "/v1.0/card/streaming");
    let Done {} = shared
        .call_within(GROW, place, Payload::json(&fields), patience)
        .await?;
    Ok(())
}

/// Brings the card into its final state, patiently: the person sees half an answer until then.
async fn settle(shared: &Shared, card: &str, shown: &Shown) -> Result<(), Fault> {
    let patience = Some(shared.patience().max(MIDWAY_PATIENCE));
    let mut retries = 0;
    loop {
        let fault = match finalise(shared, card, shown, patience).await {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        let is_lost = matches!(
            fault.error.kind(),
            ErrorKind::Unavailable | ErrorKind::Uncertain
        );
        if !is_lost || retries >= RETRIES {
            return Err(fault);
        }
        retries += 1;
        let wait = Duration::from_millis(250) * 2_u32.saturating_pow(retries);
        shared.client.transport.clock.sleep(wait).await;
    }
}

async fn finalise(
    shared: &Shared,
    card: &str,
    shown: &Shown,
    patience: Option<Duration>,
) -> Result<(), Fault> {
    let mut wrong = None;
    if let Err(fault) = grow(shared, card, &shown.text, true, patience).await {
        // What DingTalk says where the template has no such variable. It says so again and again,
        // and takes everything else about the card.
        if fault.reason == Reason::Unknown {
            let error = Error::config(VARIABLE).on(PLATFORM, GROW.operation);
            wrong = Some(Fault {
                reason: Reason::Variable,
                error: error.with_source(fault.error),
            });
        } else if fault.error.kind().is_retryable() {
            return Err(fault);
        }
        // The variables of the card can be replaced whole, too.
        tracing::debug!("the stream ends by an update");
    }
    // Whatever the words are shown in, the wheel has to stop.
    card::put(shared, card, shown, Flow::Done, patience).await?;
    wrong.map_or(Ok(()), Err)
}
