//! Card entities and their streaming. <https://open.feishu.cn/document/cardkit-v1/feishu-card-resource-overview>

use serde_json::{Value, json};

use super::Context;
use crate::common::json::Parts as _;
use crate::feishu::answer::{Answer, ApiError, Reply};
use crate::feishu::check;
use crate::feishu::model::CardView;

/// Entities kept; they live 14 days.
const MAX_CARDS: usize = 10_000;
/// How long an entity can be changed.
const LIFE_MS: i64 = 14 * 24 * 3600 * 1000;
/// The largest text of one element, in characters.
const MAX_CONTENT: usize = 100_000;
/// A callback token can be used so often for a late update, and for so long.
const LATE_UPDATES: u32 = 2;
const LATE_MS: i64 = 30 * 60 * 1000;

fn parsed(text: &str) -> Result<Value, ApiError> {
    let card: Value =
        serde_json::from_str(text).map_err(|_| ApiError::new(300_301, "card data is not json"))?;
    check::card(&card)?;
    Ok(card)
}

pub(super) fn create(context: &mut Context<'_>) -> Answer {
    if context.body.at("type") != "card_json" {
        return Err(ApiError::field("type"));
    }
    let card = parsed(context.text("data")?)?;
    if card.at("schema") != "2.0" {
        return Err(ApiError::new(300_301, "only card schema 2.0 is supported"));
    }
    if context.state.cards.len() >= MAX_CARDS {
        context.state.cards.pop_first();
    }
    // Digits only, and growing.
    let number = context.state.random() % 1_000_000;
    let id = format!("7{:012}{number:06}", context.state.cards.len());
    let view = CardView {
        id: id.clone(),
        app: context.app.to_owned(),
        card,
        sequence: 0,
        texts: Vec::new(),
        message: None,
        at_ms: context.state.now_ms,
    };
    context.state.cards.insert(id.clone(), view);
    Ok(Reply::Data(json!({ "card_id": id })))
}

impl CardView {
    /// The elements of the body; checked when the card was made.
    fn elements(&mut self) -> Option<&mut Value> {
        let body = self.card.as_object_mut();
        let body = body.map(|card| card.entry("body").or_insert_with(|| json!({})));
        body.and_then(Value::as_object_mut)
            .map(|body| body.entry("elements").or_insert_with(|| json!([])))
    }
}

impl Context<'_> {
    /// The card in the path, after its `sequence` has been moved on.
    fn card(&mut self) -> Result<&mut CardView, ApiError> {
        let now = self.state.now_ms;
        let sequence = self
            .body
            .at("sequence")
            .as_i64()
            .filter(|sequence| *sequence > 0)
            .ok_or_else(|| ApiError::field("sequence"))?;
        let card = self
            .state
            .cards
            .get_mut(self.id)
            .filter(|card| card.app == self.app)
            .ok_or_else(|| ApiError::new(200_740, "cardid is invalid or expired"))?;
        if now - card.at_ms > LIFE_MS {
            return Err(ApiError::new(200_740, "cardid is invalid or expired"));
        }
        if sequence <= card.sequence {
            return Err(ApiError::new(300_317, "sequence number compare failed"));
        }
        card.sequence = sequence;
        Ok(card)
    }
}

/// The list that holds an element, and its place there.
fn find<'a>(elements: &'a mut Value, id: &str) -> Option<(&'a mut Vec<Value>, usize)> {
    let list = elements.as_array_mut()?;
    if let Some(at) = list
        .iter()
        .position(|element| element.at("element_id") == id)
    {
        return Some((list, at));
    }
    list.iter_mut().find_map(|element| {
        let key = ["elements", "columns"]
            .into_iter()
            .find(|key| element.at(key).is_array())?;
        find(element.get_mut(key)?, id)
    })
}

fn missing() -> ApiError {
    ApiError::new(300_305, "component id not found")
}

pub(super) fn content(context: &mut Context<'_>) -> Answer {
    let text = context
        .body
        .at("content")
        .as_str()
        .filter(|text| !text.is_empty() && text.chars().count() <= MAX_CONTENT)
        .ok_or_else(|| ApiError::field("content"))?
        .to_owned();
    let element = context.second.to_owned();
    let card = context.card()?;
    if !card.is_streaming() {
        return Err(ApiError::new(300_309, "streaming mode is closed"));
    }
    let (list, at) = card
        .elements()
        .and_then(|elements| find(elements, &element))
        .ok_or_else(missing)?;
    if let Some(element) = list.get_mut(at) {
        element.set("content", text.clone().into());
    }
    card.texts.push(text);
    Ok(Reply::Data(json!({})))
}

pub(super) fn settings(context: &mut Context<'_>) -> Answer {
    let settings = context.text("settings")?;
    let settings: Value =
        serde_json::from_str(settings).map_err(|_| ApiError::field("settings"))?;
    let config = match &settings.at("config") {
        Value::Object(config) => config.clone(),
        _ => settings.as_object().cloned().unwrap_or_default(),
    };
    let card = context.card()?;
    if let Some(fields) = card.card.as_object_mut() {
        let own = fields.entry("config").or_insert_with(|| json!({}));
        for (name, value) in config {
            own.set(&name, value);
        }
    }
    Ok(Reply::Data(json!({})))
}

pub(super) fn replace(context: &mut Context<'_>) -> Answer {
    let card = parsed(context.body.at("card").text("data"))?;
    context.card()?.card = card;
    Ok(Reply::Data(json!({})))
}

pub(super) fn add(context: &mut Context<'_>) -> Answer {
    let elements: Vec<Value> =
        serde_json::from_str(context.text("elements")?).map_err(|_| ApiError::field("elements"))?;
    let kind = context
        .body
        .at("type")
        .as_str()
        .unwrap_or("append")
        .to_owned();
    let target = context.body.text("target_element_id").to_owned();
    let card = context.card()?;
    let body = card.elements().ok_or_else(missing)?;
    if target.is_empty() {
        let list = body.as_array_mut().ok_or_else(missing)?;
        list.extend(elements);
    } else {
        let (list, at) = find(body, &target).ok_or_else(missing)?;
        let at = if kind == "insert_before" { at } else { at + 1 };
        list.splice(at..at, elements);
    }
    check::card(&card.card)?;
    Ok(Reply::Data(json!({})))
}

pub(super) fn element(context: &mut Context<'_>, name: &str) -> Answer {
    let field = if name == "patch_element" {
        "partial_element"
    } else {
        "element"
    };
    let new: Value = match name {
        "delete_element" => Value::Null,
        _ => serde_json::from_str(context.text(if field == "element" {
            "element"
        } else {
            "partial_element"
        })?)
        .map_err(|_| ApiError::field("element"))?,
    };
    let id = context.second.to_owned();
    let card = context.card()?;
    let (list, at) = card
        .elements()
        .and_then(|elements| find(elements, &id))
        .ok_or_else(missing)?;
    match (name, list.get_mut(at)) {
        ("delete_element", _) => {
            list.remove(at);
        }
        ("patch_element", Some(element)) => {
            for (name, value) in new.as_object().cloned().unwrap_or_default() {
                element.set(&name, value);
            }
        }
        (_, Some(element)) => *element = new,
        _ => return Err(missing()),
    }
    Ok(Reply::Data(json!({})))
}

/// Takes the sequence; what the actions say is kept in the ledger only.
pub(super) fn batch(context: &mut Context<'_>) -> Answer {
    let actions: Vec<Value> =
        serde_json::from_str(context.text("actions")?).map_err(|_| ApiError::field("actions"))?;
    if actions.is_empty() {
        return Err(ApiError::field("actions"));
    }
    context.card()?;
    Ok(Reply::Data(json!({})))
}

pub(super) fn id_convert(context: &mut Context<'_>) -> Answer {
    let id = context.text("message_id")?.to_owned();
    let message = context.state.messages.get(&id).ok_or_else(ApiError::gone)?;
    let card = message
        .card
        .clone()
        .ok_or_else(|| ApiError::new(300_301, "the message has no card entity"))?;
    Ok(Reply::Data(json!({ "card_id": card })))
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message-card/delay-update-message-card>
pub(super) fn late_update(context: &mut Context<'_>) -> Answer {
    let token = context.text("token")?.to_owned();
    check::card(context.body.at("card"))?;
    let card = context.body.at("card").clone();
    let (app, now) = (context.app.to_owned(), context.state.now_ms);
    let press = context
        .state
        .presses
        .iter_mut()
        .find(|press| press.token == token && press.app == app)
        .ok_or_else(|| ApiError::new(200_732, "token is invalid"))?;
    if press.answer.is_none() || now - press.at_ms > LATE_MS || press.updates >= LATE_UPDATES {
        return Err(ApiError::new(200_732, "token is invalid"));
    }
    press.updates += 1;
    let message = press.message.clone();
    if let Some(message) = context.state.messages.get_mut(&message) {
        message
            .earlier
            .push(std::mem::replace(&mut message.content, card));
    }
    Ok(Reply::Data(json!({})))
}
