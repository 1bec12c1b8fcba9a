//! Reading what was written
//! (<https://open.feishu.cn/document/server-docs/im-v1/message/list>).

use channel_core::{Error, ErrorKind, Message, MessageId, Proof, Raw, Result, Target};
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::PLATFORM;
use crate::client::{Call, Data, Payload};
use crate::error::invalid;
use crate::shared::Shared;
use crate::webhook::reader;
use crate::wire::{Listed, is_id};

const HISTORY: Call = Call::repeatable("read history");
/// How many messages one call brings.
const PAGE: usize = 50;
/// How many calls one reading makes.
const PAGES: usize = 20;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    items: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
    page_token: Option<String>,
}

async fn page(
    shared: &Shared,
    container: (&str, &str),
    order: &str,
    size: usize,
    token: Option<&str>,
) -> Result<Page> {
    let (kind, id) = container;
    let mut path = format!(
        "/open-apis/im/v1/messages?container_id_type={kind}&container_id={id}&sort_type={order}&page_size={size}"
    );
    if let Some(token) = token {
        let token =
            percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC);
        path.push_str(&format!("&page_token={token}"));
    }
    let Data { data } = shared
        .call(HISTORY, Method::GET, &path, Payload::none())
        .await?;
    Ok(data)
}

/// The last messages of a chat or thread, newest first.
pub(crate) async fn history(
    shared: &Shared,
    of: &Target,
    before: Option<&MessageId>,
    limit: usize,
) -> Result<Vec<Message>> {
    let chat = of.chat.as_str();
    let container = match &of.thread {
        Some(thread) => ("thread", thread.as_str()),
        None => ("chat", chat),
    };
    if !is_id(chat) || !is_id(container.1) {
        return Err(invalid("the chat is not one of feishu", HISTORY.operation));
    }
    let mut messages = Vec::new();
    if limit == 0 {
        return Ok(messages);
    }
    let mut has_passed = before.is_none();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let size = if before.is_none() {
            limit.min(PAGE)
        } else {
            PAGE
        };
        let found = page(
            shared,
            container,
            "ByCreateTimeDesc",
            size,
            token.as_deref(),
        )
        .await?;
        for raw in found.items {
            let Ok(listed) = serde_json::from_str::<Listed>(raw.get()) else {
                continue;
            };
            if !has_passed {
                has_passed = before.is_some_and(|id| id.as_str() == listed.message_id);
                continue;
            }
            let raw = Raw::new(String::from(Box::<str>::from(raw)).into());
            messages.extend(reader(shared, Proof::Asserted, |it| {
                it.listed(listed, chat, &raw)
            }));
        }
        let next = found.page_token.filter(|next| !next.is_empty());
        if messages.len() >= limit || !found.has_more || next.is_none() || next == token {
            break;
        }
        token = next;
    }
    messages.truncate(limit);
    Ok(messages)
}

/// A message of a thread, by which it is written into: the id of a thread is no address.
pub(crate) async fn message_of(shared: &Shared, thread: &str) -> Result<String> {
    if thread.starts_with("om_") {
        return Ok(thread.to_owned());
    }
    if let Some(known) = shared.memory.message_of(thread) {
        return Ok(known);
    }
    let found = page(shared, ("thread", thread), "ByCreateTimeAsc", 1, None).await?;
    let first = found.items.first();
    let first = first.and_then(|raw| serde_json::from_str::<Listed>(raw.get()).ok());
    let message = first.map(|listed| listed.message_id).filter(|id| is_id(id));
    let message = message.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "there is no message in the thread")
            .on(PLATFORM, HISTORY.operation)
    })?;
    shared.memory.is_in_thread(&message, thread);
    Ok(message)
}
