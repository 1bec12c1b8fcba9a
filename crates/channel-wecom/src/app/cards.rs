//! Changing cards that were sent
//! (<https://developer.work.weixin.qq.com/document/path/94888>).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use channel_core::{Action, Card, Error, ErrorKind, MessageRef, Result, Secret};
use serde_json::{Value, json};

use super::Shared;
use crate::PLATFORM;
use crate::api::{Call, Done, Payload};
use crate::inbound::ReplyContext;
use crate::{card, render};

const UPDATE: Call = Call::once("update card");
/// How many cards can still be changed; the oldest is forgotten first.
const CARDS: usize = 1000;

/// What WeCom wants back to change a card, by the id of its message. Works once, within
/// 72 hours.
#[derive(Debug, Default)]
pub(super) struct SentCards(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    codes: HashMap<String, Secret>,
    order: VecDeque<String>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} cards)", self.codes.len())
    }
}

impl SentCards {
    pub(super) fn remember(&self, message: &str, code: Secret) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.order.len() >= CARDS
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.codes.remove(&oldest);
        }
        if memory.codes.insert(message.to_owned(), code).is_none() {
            memory.order.push_back(message.to_owned());
        }
    }

    fn take(&self, message: &str) -> Option<Secret> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.order.retain(|known| known != message);
        memory.codes.remove(message)
    }
}

fn gone(message: &'static str) -> Error {
    Error::new(ErrorKind::NotFound, message).on(PLATFORM, UPDATE.operation)
}

/// Replaces a card that was sent.
pub(super) async fn update(shared: &Shared, target: &MessageRef, card: &Card) -> Result<()> {
    let task = card::task(&*shared.api.transport.random);
    let template = card::for_update(card, &task)?;
    let code = shared.sent_cards.take(target.id.as_str());
    let code = code.ok_or_else(|| gone("the card can no longer be changed"))?;
    let change = json!({"template_card": template});
    let updated = post(shared, target.chat.as_str(), &code, change).await;
    if updated
        .as_ref()
        .is_err_and(|error| error.kind().is_retryable())
    {
        // It was not used.
        shared.sent_cards.remember(target.id.as_str(), code);
    }
    updated
}

/// Answers a press: the button says so and can be pressed no more. Without a notice the
/// card stays as it is, because WeCom waits for nothing.
pub(super) async fn answer(shared: &Shared, action: &Action, notice: Option<&str>) -> Result<()> {
    let Some(notice) = notice.filter(|notice| !notice.trim().is_empty()) else {
        return Ok(());
    };
    let context: Option<ReplyContext> = action.return_address.context()?;
    // A menu's press has nothing to change.
    let code = context.and_then(|context| context.request);
    let code = code.ok_or_else(|| gone("the press is not one of a card"))?;
    let code = Secret::new(code);
    let change = json!({"button": {"replace_name": render::cut(notice, 10)}});
    post(shared, action.chat.id.as_str(), &code, change).await
}

async fn post(shared: &Shared, user: &str, code: &Secret, mut change: Value) -> Result<()> {
    if let Some(fields) = change.as_object_mut() {
        fields.insert("userids".to_owned(), json!([user]));
        fields.insert("agentid".to_owned(), json!(shared.config.agent_id));
        fields.insert("response_code".to_owned(), json!(code.expose()));
    }
    let payload = Payload::json(&change);
    let path = "message/update_template_card";
    let done: Done = shared.post(UPDATE, path, &[], &payload).await?;
    let Done {} = done;
    Ok(())
}
