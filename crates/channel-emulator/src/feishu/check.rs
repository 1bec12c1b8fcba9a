//! What a message may hold. <https://open.feishu.cn/document/server-docs/im-v1/message-content-description/create_json>

use serde_json::{Value, json};

use super::answer::ApiError;
use super::state::{State, TENANT};
use crate::common::json::Parts as _;

/// The largest body of a text, in bytes.
const MAX_TEXT: usize = 150 * 1024;
/// The largest body of a post or card, in bytes.
const MAX_RICH: usize = 30 * 1024;
/// Tables that the markdown of one card can have. Measured by the official plugin, 2026-03.
const MAX_TABLES: usize = 3;
/// Elements of a card, at all depths.
const MAX_ELEMENTS: usize = 200;
/// Tags of a paragraph of a post.
const TAGS: [&str; 9] = [
    "text",
    "a",
    "at",
    "img",
    "media",
    "emotion",
    "hr",
    "code_block",
    "md",
];

/// The content of a new message, checked.
pub(crate) fn content(
    state: &State,
    app: &str,
    kind: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    let text = body
        .at("content")
        .as_str()
        .ok_or_else(|| ApiError::field("content"))?;
    let limit = match kind {
        "text" => MAX_TEXT,
        _ => MAX_RICH,
    };
    if body.to_string().len() > limit {
        return Err(ApiError::new(
            230_025,
            "The length of the message content reaches its limit.",
        ));
    }
    let content: Value = serde_json::from_str(text)
        .map_err(|_| ApiError::invalid("content is not a string in json format"))?;
    if !content.is_object() {
        return Err(ApiError::invalid("content is not a string in json format"));
    }
    match kind {
        "text" => {
            let text = content.text("text");
            if text.trim().is_empty() {
                return Err(ApiError::invalid("text content is empty"));
            }
        }
        "post" => post(&content)?,
        "image" => stored(state, app, &content, "image_key", true)?,
        "file" | "audio" | "media" => {
            stored(state, app, &content, "file_key", false)?;
        }
        "sticker" => {
            let key = content.text("file_key");
            if !state.files.contains_key(key) {
                return Err(ApiError::invalid("invalid file_key"));
            }
        }
        "interactive" => interactive(state, app, &content)?,
        "share_chat" => {
            let chat = content.text("chat_id");
            if !state.is_inside(app, chat) {
                return Err(ApiError::invalid("invalid chat_id"));
            }
        }
        "share_user" => {
            let user = content.text("user_id");
            if state.person(app, user).is_none() {
                return Err(ApiError::invalid("invalid user_id"));
            }
        }
        _ => return Err(ApiError::invalid("invalid msg_type")),
    }
    Ok(content)
}

/// A key of the app's own uploads.
fn stored(
    state: &State,
    app: &str,
    content: &Value,
    field: &str,
    is_image: bool,
) -> Result<(), ApiError> {
    let key = content.at(field).as_str().unwrap_or_default();
    let file = state.files.get(key);
    if file.is_some_and(|file| file.is_image == is_image && file.app.as_deref() == Some(app)) {
        Ok(())
    } else {
        Err(ApiError::invalid(&format!("invalid {field}")))
    }
}

fn post(content: &Value) -> Result<(), ApiError> {
    let wrong = || ApiError::invalid("invalid message content");
    let locales = content.as_object().ok_or_else(wrong)?;
    // An outer `post` is the form of another API and refused here.
    if locales.is_empty() || locales.contains_key("post") {
        return Err(wrong());
    }
    for (locale, post) in locales {
        if !matches!(locale.as_str(), "zh_cn" | "en_us" | "ja_jp") {
            return Err(wrong());
        }
        let lines = post.at("content").as_array().ok_or_else(wrong)?;
        for line in lines {
            for part in line.as_array().ok_or_else(wrong)? {
                let tag = part.at("tag").as_str().ok_or_else(wrong)?;
                if !TAGS.contains(&tag) || (tag == "a" && !part.at("href").is_string()) {
                    return Err(wrong());
                }
            }
        }
    }
    Ok(())
}

fn interactive(state: &State, app: &str, content: &Value) -> Result<(), ApiError> {
    match content.at("type").as_str() {
        Some("card") => {
            let id = content.at("data").text("card_id");
            let entity = state
                .cards
                .get(id)
                .filter(|card| card.app == app)
                .ok_or_else(|| ApiError::card(11_310, "cardid is invalid"))?;
            if entity.message.is_some() {
                return Err(ApiError::card(11_311, "the card entity was already sent"));
            }
            Ok(())
        }
        Some("template") => {
            let id = content.at("data").at("template_id").as_str();
            id.map(|_| ())
                .ok_or_else(|| ApiError::card(11_232, "template_id is empty"))
        }
        _ => card(content),
    }
}

/// A card as JSON. <https://open.feishu.cn/document/feishu-cards/card-json-v2-structure>
pub(crate) fn card(card: &Value) -> Result<(), ApiError> {
    let is_second = card.at("schema") == "2.0";
    let elements = if is_second {
        &card.at("body").at("elements")
    } else {
        &card.at("elements")
    };
    let elements = elements
        .as_array()
        .ok_or_else(|| ApiError::card(11_232, "elements of the card are missing"))?;
    if is_second && card.at("config").at("update_multi") == false {
        return Err(ApiError::card(
            200_621,
            "update_multi has to be true in schema 2.0",
        ));
    }
    let (mut count, mut tables) = (0, 0);
    visit(elements, is_second, 0, &mut count, &mut tables)?;
    if count > MAX_ELEMENTS {
        return Err(ApiError::card(11_310, "element exceeds the limit"));
    }
    if tables > MAX_TABLES {
        return Err(ApiError::card(11_310, "card table number over limit"));
    }
    Ok(())
}

fn visit(
    elements: &[Value],
    is_second: bool,
    depth: usize,
    count: &mut usize,
    tables: &mut usize,
) -> Result<(), ApiError> {
    if depth > 8 {
        return Err(ApiError::card(11_310, "element nesting too deep"));
    }
    for element in elements {
        *count += 1;
        let tag = element
            .at("tag")
            .as_str()
            .ok_or_else(|| ApiError::card(200_621, "unknown property, tag is missing"))?;
        if is_second && matches!(tag, "action" | "note") {
            return Err(ApiError::card(
                200_861,
                "unsupported type of block in schema V2",
            ));
        }
        if tag == "markdown" {
            let text = element.text("content");
            *tables += text.lines().filter(|line| is_rule(line)).count();
        }
        if let Some(id) = element.at("element_id").as_str()
            && !(id.len() <= 20
                && id.starts_with(|c: char| c.is_ascii_alphabetic())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        {
            return Err(ApiError::card(300_301, "element_id is invalid"));
        }
        for inner in ["elements", "columns", "actions"] {
            if let Some(inner) = element.at(inner).as_array() {
                visit(inner, is_second, depth + 1, count, tables)?;
            }
        }
    }
    Ok(())
}

/// The line between head and body of a Markdown table.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.contains('|')
        && line.contains("--")
        && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

/// Those whom a text or post of an app mentions.
pub(crate) fn mentions(state: &State, app: &str, kind: &str, content: &Value) -> Vec<Value> {
    let text = if matches!(kind, "text" | "post") {
        content.to_string()
    } else {
        return Vec::new();
    };
    let marks = ["user_id=\\\"", "\"user_id\":\""];
    let ids = marks.iter().flat_map(|mark| {
        text.split(mark)
            .skip(1)
            .filter_map(|rest| rest.split(['\\', '"']).next())
    });
    ids.filter_map(|id| state.person(app, id))
        .enumerate()
        .map(|(nth, union)| mention(state, app, &union, nth + 1))
        .collect()
}

/// A person who is mentioned, as events show it.
pub(crate) fn mention(state: &State, app: &str, union: &str, nth: usize) -> Value {
    let name = state.users.get(union).map(|user| user.name.clone());
    json!({
        "key": format!("@_user_{nth}"),
        "id": State::ids(app, union),
        "name": name,
        "tenant_key": TENANT,
    })
}
