//! Sending, changing and reading messages. <https://open.feishu.cn/document/server-docs/im-v1/introduction>

use serde_json::{Value, json};

use super::Context;
use crate::common::json::Parts as _;
use crate::feishu::answer::{Answer, ApiError, Reply};
use crate::feishu::check;
use crate::feishu::model::{Author, MessageView};
use crate::feishu::state::State;

/// A `uuid` is remembered for an hour.
const UUID_LIFE_MS: i64 = 3600 * 1000;
/// The longest `uuid`, in characters.
const MAX_UUID: usize = 50;
/// Changes of one text or post.
const MAX_EDITS: usize = 20;
/// Cards can be changed for 14 days.
const CARD_LIFE_MS: i64 = 14 * 24 * 3600 * 1000;
/// Messages on one page of the history.
const MAX_PAGE: usize = 50;

/// Where a new message goes.
#[derive(Default)]
struct Place {
    chat: String,
    root: Option<String>,
    parent: Option<String>,
    thread: Option<String>,
}

pub(super) fn send(context: &mut Context<'_>) -> Answer {
    let kind = (context.query)("receive_id_type").unwrap_or_default();
    let id = context.text("receive_id")?.to_owned();
    let app = context.app;
    let person = |prefix: &str| {
        let person = context.state.person(app, &id);
        person.filter(|_| prefix.is_empty() || id.starts_with(prefix))
    };
    let chat = match kind.as_str() {
        "chat_id" if id.starts_with("oc_") => id.clone(),
        "open_id" | "union_id" | "user_id" => {
            let prefix = match kind.as_str() {
                "open_id" => "ou_",
                "union_id" => "on_",
                _ => "",
            };
            let person = person(prefix).ok_or_else(|| ApiError::invalid("invalid receive_id"))?;
            context.state.p2p(app, &person)
        }
        _ => return Err(ApiError::invalid("invalid receive_id")),
    };
    if !context.state.is_inside(app, &chat) {
        return Err(ApiError::not_in_chat());
    }
    create(
        context,
        Place {
            chat,
            ..Place::default()
        },
    )
}

pub(super) fn reply(context: &mut Context<'_>) -> Answer {
    let in_thread = context.body.at("reply_in_thread") == true;
    let fresh = format!("omt_{}", context.state.hex());
    let parent = context.message()?;
    if parent.recalled {
        return Err(ApiError::recalled());
    }
    let root = parent.root.clone().unwrap_or_else(|| parent.id.clone());
    if in_thread && parent.thread.is_none() {
        parent.thread = Some(fresh);
    }
    let place = Place {
        chat: parent.chat.clone(),
        root: Some(root),
        parent: Some(parent.id.clone()),
        thread: parent.thread.clone(),
    };
    create(context, place)
}

fn create(context: &mut Context<'_>, mut place: Place) -> Answer {
    let kind = context.text("msg_type")?.to_owned();
    let content = check::content(context.state, context.app, &kind, context.body)?;
    let uuid = match &context.body.at("uuid") {
        Value::Null => None,
        Value::String(uuid) if uuid.chars().count() <= MAX_UUID => {
            Some(uuid.clone()).filter(|uuid| !uuid.is_empty())
        }
        _ => return Err(ApiError::field("uuid")),
    };
    let (app, now) = (context.app.to_owned(), context.state.now_ms);
    if let Some(uuid) = &uuid {
        let known = context.state.uuids.get(&(app.clone(), uuid.clone()));
        if let Some((id, at)) = known
            && now - at < UUID_LIFE_MS
            && let Some(message) = context.state.messages.get(id)
        {
            return Ok(Reply::Data(shown(&app, message)));
        }
    }
    if !context
        .state
        .allows(&format!("chat {}", place.chat), 5, 1000)
        && context.rates()
    {
        return Err(ApiError::chat_rate());
    }
    let id = context.state.id("om_");
    let is_topic = context
        .state
        .chats
        .get(&place.chat)
        .is_some_and(|chat| chat.kind == "topic");
    if is_topic && place.thread.is_none() {
        // In a topic group whatever is not a reply opens a topic.
        place.thread = Some(format!("omt_{}", context.state.hex()));
    }
    let card = content.at("data").at("card_id").as_str().map(str::to_owned);
    if let Some(card) = card
        .as_ref()
        .and_then(|card| context.state.cards.get_mut(card))
    {
        card.message = Some(id.clone());
    }
    let mentions = check::mentions(context.state, &app, &kind, &content);
    let message = MessageView {
        id: id.clone(),
        chat: place.chat,
        author: Author::App(app.clone()),
        kind,
        content,
        earlier: Vec::new(),
        root: place.root,
        parent: place.parent,
        thread: place.thread,
        mentions,
        reactions: Vec::new(),
        card,
        uuid: uuid.clone(),
        at_ms: now,
        recalled: false,
    };
    let answer = shown(&app, &message);
    context.state.keep(message);
    if let Some(uuid) = uuid {
        context
            .state
            .uuids
            .retain(|_, (_, at)| now - *at < UUID_LIFE_MS);
        context.state.uuids.insert((app, uuid), (id, now));
    }
    Ok(Reply::Data(answer))
}

/// A message as the API shows it.
pub(in crate::feishu) fn shown(app: &str, message: &MessageView) -> Value {
    let mut value = json!({
        "message_id": message.id,
        "msg_type": message.kind,
        "create_time": message.at_ms.to_string(),
        "update_time": message.at_ms.to_string(),
        "deleted": message.recalled,
        "updated": !message.earlier.is_empty(),
        "chat_id": message.chat,
        "sender": State::sender(app, &message.author),
        "body": {"content": if message.recalled { "This message was recalled".to_owned() } else { message.content.to_string() }},
    });
    let optional = [
        ("root_id", &message.root),
        ("parent_id", &message.parent),
        ("thread_id", &message.thread),
    ];
    for (name, id) in optional {
        if let Some(id) = id {
            value.set(name, json!(id));
        }
    }
    if !message.mentions.is_empty() {
        value.set(
            "mentions",
            message
                .mentions
                .iter()
                .map(|mention| {
                    json!({
                        "key": mention.at("key"),
                        "id": mention.at("id").at("open_id"),
                        "id_type": "open_id",
                        "name": mention.at("name"),
                        "tenant_key": mention.at("tenant_key"),
                    })
                })
                .collect(),
        );
    }
    value
}

impl Context<'_> {
    /// Whether limits of chats and messages are enforced.
    fn rates(&self) -> bool {
        self.state.enforces_rates
    }

    /// The message in the path, if the app itself wrote it.
    fn own_message(&mut self) -> Result<&mut MessageView, ApiError> {
        let author = Author::App(self.app.to_owned());
        let message = self.message()?;
        if message.author != author {
            return Err(ApiError::not_sender());
        }
        if message.recalled {
            return Err(ApiError::recalled());
        }
        Ok(message)
    }
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message/update>
pub(super) fn edit(context: &mut Context<'_>) -> Answer {
    let kind = context.text("msg_type")?.to_owned();
    if !matches!(kind.as_str(), "text" | "post") {
        return Err(ApiError::invalid("only text and post can be edited"));
    }
    let content = check::content(context.state, context.app, &kind, context.body)?;
    let mentions = check::mentions(context.state, context.app, &kind, &content);
    let app = context.app.to_owned();
    let message = context.own_message()?;
    if !matches!(message.kind.as_str(), "text" | "post") {
        return Err(ApiError::new(
            230_054,
            "This operation is not supported for this message type.",
        ));
    }
    if message.earlier.len() >= MAX_EDITS {
        return Err(ApiError::new(
            230_072,
            "The message has reached the number of times it can be edited.",
        ));
    }
    message
        .earlier
        .push(std::mem::replace(&mut message.content, content));
    message.kind = kind;
    message.mentions = mentions;
    Ok(Reply::Data(shown(&app, message)))
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message-card/patch>
pub(super) fn update_card(context: &mut Context<'_>) -> Answer {
    let content = check::content(context.state, context.app, "interactive", context.body)?;
    let (now, rates, id) = (context.state.now_ms, context.rates(), context.id.to_owned());
    let message = context.own_message()?;
    if message.kind != "interactive" {
        return Err(ApiError::new(230_001, "This message is NOT a card."));
    }
    if now - message.at_ms > CARD_LIFE_MS {
        return Err(ApiError::new(
            230_031,
            "Messages sent more than 14 days ago can NOT be updated.",
        ));
    }
    if message.content.at("config").at("update_multi") == false {
        return Err(ApiError::card(11_246, "only shared cards can be updated"));
    }
    message
        .earlier
        .push(std::mem::replace(&mut message.content, content));
    if !context.state.allows(&format!("card {id}"), 5, 1000) && rates {
        let message = context.own_message()?;
        if let Some(before) = message.earlier.pop() {
            message.content = before;
        }
        return Err(ApiError::chat_rate());
    }
    Ok(Reply::Data(json!({})))
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message/delete>
pub(super) fn recall(context: &mut Context<'_>) -> Answer {
    let message = context.own_message()?;
    message.recalled = true;
    Ok(Reply::Data(json!({})))
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message/get>
pub(super) fn message(context: &mut Context<'_>) -> Answer {
    let app = context.app.to_owned();
    let message = context.message()?;
    Ok(Reply::Data(json!({"items": [shown(&app, message)]})))
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message/list>
pub(super) fn history(context: &mut Context<'_>) -> Answer {
    let query = |name: &str| (context.query)(name).unwrap_or_default();
    let id = query("container_id");
    let by_thread = match query("container_id_type").as_str() {
        "chat" => false,
        "thread" => true,
        _ => return Err(ApiError::invalid("invalid container_id_type")),
    };
    let second = |name: &str| query(name).parse::<i64>().ok().map(|at| at * 1000);
    let (from, to) = (second("start_time"), second("end_time"));
    let size = query("page_size").parse().unwrap_or(20).clamp(1, MAX_PAGE);
    let after = query("page_token");
    let descends = query("sort_type") == "ByCreateTimeDesc";
    let (state, app) = (&context.state, context.app);
    if !by_thread && !state.is_inside(app, &id) {
        return Err(ApiError::not_in_chat());
    }
    let wanted = |message: &&MessageView| {
        let is_there = if by_thread {
            message.thread.as_deref() == Some(&id) && state.is_inside(app, &message.chat)
        } else {
            message.chat == id
        };
        is_there
            && from.is_none_or(|from| message.at_ms >= from)
            && to.is_none_or(|to| message.at_ms <= to)
    };
    let mut found: Vec<&MessageView> = state.messages.values().filter(wanted).collect();
    if descends {
        found.reverse();
    }
    let start = if after.is_empty() {
        0
    } else {
        let at = found.iter().position(|message| message.id == after);
        at.map_or(found.len(), |at| at + 1)
    };
    let page: Vec<&&MessageView> = found.iter().skip(start).take(size).collect();
    let has_more = found.len() > start + page.len();
    let token = page
        .last()
        .filter(|_| has_more)
        .map(|message| message.id.clone());
    let items: Vec<Value> = page.iter().map(|message| shown(app, message)).collect();
    Ok(Reply::Data(json!({
        "items": items,
        "has_more": has_more,
        "page_token": token.unwrap_or_default(),
    })))
}
