//! What a message must be like, by product.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::Value;

use super::answer::ApiError;
use super::card;
use super::cipher::hex;
use super::limits;
use super::model::{Bot, Product};
use super::state::State;

type Checked = Result<(), ApiError>;

/// A string of the object behind `kind`, at most `limit` bytes; empty ones are refused.
fn content<'a>(body: &'a Value, kind: &str, limit: usize) -> Result<&'a str, ApiError> {
    let text = body
        .get(kind)
        .and_then(|part| part.get("content"))
        .and_then(Value::as_str)
        .ok_or_else(|| ApiError::parameter(&format!("missing {kind}.content.")))?;
    if text.is_empty() {
        return Err(ApiError::empty());
    }
    if text.len() > limit {
        return Err(ApiError::too_long(&format!("{kind}.content"), limit));
    }
    Ok(text)
}

fn string<'a>(part: &'a Value, name: &str) -> &'a str {
    part.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The `msgtype` of a message, with the object of that name.
pub(crate) fn kind(body: &Value) -> Result<&str, ApiError> {
    let kind = string(body, "msgtype");
    let part = match kind {
        "stream_with_template_card" => "stream",
        other => other,
    };
    if part.is_empty() || !body.get(part).is_some_and(Value::is_object) {
        return Err(ApiError::kind());
    }
    Ok(kind)
}

fn picture(part: &Value, most: usize) -> Checked {
    let bytes = STANDARD
        .decode(string(part, "base64"))
        .map_err(|_| ApiError::new(40009, "invalid image size"))?;
    let is_picture = bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(b"\xff\xd8\xff");
    if bytes.len() > most {
        return Err(ApiError::new(40009, "invalid image size"));
    }
    if !is_picture {
        return Err(ApiError::new(40005, "invalid file type"));
    }
    if hex(&Md5::digest(&bytes)) != string(part, "md5") {
        return Err(ApiError::new(301_019, "md5 not match"));
    }
    Ok(())
}

fn articles(part: &Value) -> Checked {
    let articles = part
        .get("articles")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if !(1..=limits::ARTICLES).contains(&articles.len()) {
        return Err(ApiError::parameter("news.articles"));
    }
    for article in articles {
        let (title, url) = (string(article, "title"), string(article, "url"));
        if title.is_empty() || url.is_empty() {
            return Err(ApiError::parameter("news.articles.title"));
        }
        if title.len() > limits::ARTICLE.0
            || string(article, "description").len() > limits::ARTICLE.1
        {
            return Err(ApiError::too_long("news.articles", limits::ARTICLE.1));
        }
    }
    Ok(())
}

fn media(state: &State, owner: &str, body: &Value, kind: &str) -> Checked {
    let id = body.get(kind).map_or("", |part| string(part, "media_id"));
    let media = state.find_media(owner, id)?;
    (media.kind == kind)
        .then_some(())
        .ok_or_else(ApiError::media)
}

/// Checks a card, and that its `task_id` is new to the bot.
pub(crate) fn new_card(state: &mut State, bot: &str, card: &Value) -> Checked {
    let account = state.bots.get_mut(bot).ok_or_else(ApiError::kind)?;
    let task = card::check(account.product, card)?;
    if needs_callback(account, card) {
        return Err(ApiError::parameter("no callback for template_card"));
    }
    if let Some(task) = task
        && !account.tasks.insert(task)
    {
        return Err(ApiError::parameter("template_card.task_id repeated"));
    }
    Ok(())
}

/// A card that asks for an answer needs somewhere to send it.
fn needs_callback(bot: &Bot, card: &Value) -> bool {
    let is_asking = !string(card, "card_type").ends_with("_notice");
    is_asking && bot.product == Product::App && bot.callback.is_none()
}

fn new_card_of(state: &mut State, bot: &str, body: &Value) -> Checked {
    let card = body.get("template_card").cloned().unwrap_or_default();
    new_card(state, bot, &card)
}

/// A message by webhook. <https://developer.work.weixin.qq.com/document/path/91770>
pub(crate) fn webhook(state: &mut State, bot: &str, body: &Value) -> Checked {
    let kind = kind(body)?;
    match kind {
        "text" => content(body, kind, limits::WEBHOOK_TEXT).map(drop),
        "markdown" | "markdown_v2" => content(body, kind, limits::WEBHOOK_MARKDOWN).map(drop),
        "image" => picture(
            body.get(kind).unwrap_or(&Value::Null),
            limits::WEBHOOK_IMAGE,
        ),
        "news" => articles(body.get(kind).unwrap_or(&Value::Null)),
        "file" | "voice" => media(state, bot, body, kind),
        "template_card" => new_card_of(state, bot, body),
        _ => Err(ApiError::kind()),
    }
}

/// A message of an app; text that is too long is cut.
/// <https://developer.work.weixin.qq.com/document/path/90236>
pub(crate) fn app(state: &mut State, bot: &str, body: &mut Value) -> Checked {
    let kind = kind(body)?.to_owned();
    let corp = state
        .bot(bot)
        .map(|bot| bot.corp.clone())
        .unwrap_or_default();
    match kind.as_str() {
        "text" => {
            let text = content(body, &kind, usize::MAX)?;
            let cut = text.floor_char_boundary(limits::APP_TEXT.min(text.len()));
            let text = text.get(..cut).unwrap_or(text).to_owned();
            if let Some(part) = body.get_mut(&kind).and_then(Value::as_object_mut) {
                part.insert("content".into(), text.into());
            }
            Ok(())
        }
        "markdown" => content(body, &kind, limits::APP_TEXT).map(drop),
        "image" | "voice" | "video" | "file" => media(state, &corp, body, &kind),
        "textcard" => {
            let card = body.get(&kind).unwrap_or(&Value::Null);
            let whole = ["title", "description", "url"]
                .iter()
                .all(|name| !string(card, name).is_empty());
            whole
                .then_some(())
                .ok_or_else(|| ApiError::parameter("textcard."))
        }
        "news" => articles(body.get(&kind).unwrap_or(&Value::Null)),
        "template_card" => new_card_of(state, bot, body),
        _ => Err(ApiError::kind()),
    }
}

/// A stream of an AI bot. <https://developer.work.weixin.qq.com/document/path/101031>
pub(crate) fn stream(part: &Value) -> Checked {
    if string(part, "id").is_empty() {
        return Err(ApiError::parameter("stream.id"));
    }
    if string(part, "content").len() > limits::AI_CONTENT {
        return Err(ApiError::too_long("stream.content", limits::AI_CONTENT));
    }
    let is_finished = part.get("finish").and_then(Value::as_bool) == Some(true);
    let items = part
        .get("msg_item")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if items.len() > limits::STREAM_ITEMS || (!items.is_empty() && !is_finished) {
        return Err(ApiError::parameter("stream.msg_item"));
    }
    for item in items {
        picture(item.get("image").unwrap_or(&Value::Null), 10 * 1024 * 1024)?;
    }
    feedback(part)
}

fn feedback(part: &Value) -> Checked {
    let id = part.get("feedback").map_or("", |f| string(f, "id"));
    if id.len() > limits::FEEDBACK_ID {
        return Err(ApiError::too_long("feedback.id", limits::FEEDBACK_ID));
    }
    Ok(())
}

/// Markdown of an AI bot. <https://developer.work.weixin.qq.com/document/path/101138>
pub(crate) fn ai_markdown(body: &Value) -> Checked {
    content(body, "markdown", limits::AI_CONTENT)?;
    feedback(body.get("markdown").unwrap_or(&Value::Null))
}

/// Text of an AI bot, which greets only. <https://developer.work.weixin.qq.com/document/path/101031>
pub(crate) fn greeting(body: &Value) -> Checked {
    content(body, "text", limits::AI_CONTENT).map(drop)
}

/// Media of a long connection. <https://developer.work.weixin.qq.com/document/path/101463>
pub(crate) fn link_media(state: &State, bot: &str, body: &Value, kind: &str) -> Checked {
    media(state, bot, body, kind)
}
