//! Passive replies: what the answer to a callback says.
//!
//! <https://developer.work.weixin.qq.com/document/path/90241>, of AI bots
//! <https://developer.work.weixin.qq.com/document/path/101031>

use serde_json::{Map, Value, json};

use super::answer::ApiError;
use super::card;
use super::check;
use super::cipher::{Refusal, sign};
use super::model::{Bot, Cause, Product, Stream, Topic, Via};
use super::state::{State, bound};
use super::xml;

/// The passive reply in an answer.
pub(super) fn read(state: &State, bot: &str, nonce: &str, body: &[u8]) -> Result<Value, Refusal> {
    let account = state.bot(bot).ok_or(Refusal::Envelope)?;
    let text = std::str::from_utf8(body).map_err(|_| Refusal::Envelope)?;
    let envelope = match account.product {
        Product::Ai => Envelope::json(text, nonce),
        _ => Envelope::xml(text),
    }
    .ok_or(Refusal::Envelope)?;
    let message = envelope.open(account)?;
    let message = String::from_utf8(message).map_err(|_| Refusal::Envelope)?;
    if account.product == Product::Ai || account.is_json() {
        return serde_json::from_str(&message).map_err(|_| Refusal::Envelope);
    }
    let document = xml::parse(&message).filter(|document| document.name == "xml");
    Ok(document.ok_or(Refusal::Envelope)?.to_json())
}

struct Envelope {
    encrypted: String,
    signature: String,
    timestamp: String,
    nonce: String,
}

impl Envelope {
    fn xml(text: &str) -> Option<Self> {
        let document = xml::parse(text)?;
        Some(Self {
            encrypted: document.child("Encrypt")?.text.clone(),
            signature: document.child("MsgSignature")?.text.clone(),
            timestamp: document.child("TimeStamp")?.text.clone(),
            nonce: document.child("Nonce")?.text.clone(),
        })
    }

    /// The time is a number here, and the nonce is that of the request.
    fn json(text: &str, nonce: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(text).ok()?;
        let field = |name: &str| body.get(name)?.as_str().map(str::to_owned);
        let own = Self {
            encrypted: field("encrypt")?,
            signature: field("msgsignature")?,
            timestamp: body.get("timestamp")?.as_i64()?.to_string(),
            nonce: field("nonce")?,
        };
        (own.nonce == nonce).then_some(own)
    }

    fn open(&self, account: &Bot) -> Result<Vec<u8>, Refusal> {
        let callback = account.callback.as_ref().ok_or(Refusal::Envelope)?;
        let wanted = sign(
            &callback.token.0,
            &self.timestamp,
            &self.nonce,
            &self.encrypted,
        );
        if wanted != self.signature {
            return Err(Refusal::Signature);
        }
        callback.key.decrypt(&self.encrypted, account.receive_id())
    }
}

/// Puts a passive reply into the chat; gives the stream that has to be refreshed from now on.
pub(super) fn take(
    state: &mut State,
    bot: &str,
    cause: &Cause,
    reply: Value,
) -> Result<Option<String>, ApiError> {
    match state.bot(bot).map(|bot| bot.product) {
        Some(Product::Ai) => ai(state, bot, cause, reply),
        Some(Product::App) => app(state, bot, cause, &reply).map(|()| None),
        _ => group(state, bot, cause, &reply).map(|()| None),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("")
}

/// <https://developer.work.weixin.qq.com/document/path/99399>
fn group(state: &mut State, bot: &str, cause: &Cause, reply: &Value) -> Result<(), ApiError> {
    let either = |upper: &str, lower: &str| {
        reply
            .get(upper)
            .or_else(|| reply.get(lower))
            .cloned()
            .unwrap_or_default()
    };
    let kind = either("MsgType", "msgtype");
    let part = match kind.as_str() {
        Some("text") => either("Text", "text"),
        Some("markdown") => either("Markdown", "markdown"),
        _ => return Err(ApiError::kind()),
    };
    let words = ["Content", "content"]
        .iter()
        .map(|name| text(&part, name))
        .find(|words| !words.is_empty())
        .ok_or_else(ApiError::empty)?;
    let kind = kind.as_str().unwrap_or("");
    let content = json!({"msgtype": kind, kind: {"content": words}});
    check::webhook(state, bot, &content)?;
    let mut content = content;
    if let Some(fields) = content.as_object_mut() {
        for name in ["Attachment", "attachment"] {
            let of_part = part.get(name).or_else(|| reply.get(name));
            if let Some(attachment) = of_part {
                fields.insert("attachment".into(), attachment.clone());
            }
        }
        if let Some(mentioned) = part.get("MentionedList") {
            fields.insert("mentioned".into(), mentioned.clone());
        }
    }
    state.say((bot, &cause.chat), Via::Passive, content);
    Ok(())
}

/// <https://developer.work.weixin.qq.com/document/path/90241>
fn app(state: &mut State, bot: &str, cause: &Cause, reply: &Value) -> Result<(), ApiError> {
    let kind = text(reply, "MsgType");
    let field = |name: &str| reply.get(name).cloned().unwrap_or_default();
    let content = match kind {
        "text" => {
            let words = text(reply, "Content");
            if words.is_empty() {
                return Err(ApiError::empty());
            }
            json!({"content": words})
        }
        "image" | "voice" | "video" => {
            let name = match kind {
                "image" => "Image",
                "voice" => "Voice",
                _ => "Video",
            };
            let media = field(name);
            let id = text(&media, "MediaId");
            let corp = state
                .bot(bot)
                .map(|bot| bot.corp.clone())
                .unwrap_or_default();
            state.find_media(&corp, id)?;
            json!({"media_id": id})
        }
        "news" => json!({"articles": field("Articles")}),
        "update_button" | "update_template_card" => return change(state, bot, cause, reply),
        _ => return Err(ApiError::kind()),
    };
    // Whom it says it is for, and from, is not asked: it goes to whoever wrote.
    let body = json!({"msgtype": kind, kind: content});
    state.say((bot, &cause.chat), Via::Passive, body);
    Ok(())
}

/// Changes the card that was pressed. <https://developer.work.weixin.qq.com/document/path/90241>
fn change(state: &mut State, bot: &str, cause: &Cause, reply: &Value) -> Result<(), ApiError> {
    let (message, _) = cause.card.clone().ok_or_else(ApiError::kind)?;
    let words = reply
        .get("Button")
        .map(|button| text(button, "ReplaceName").to_owned());
    let fresh = reply.get("TemplateCard").cloned();
    let shown = state
        .message(bot, &message)
        .and_then(|message| message.body.get_mut("template_card"))
        .ok_or_else(|| ApiError::parameter("card"))?;
    match (words, fresh) {
        (Some(words), _) if !words.is_empty() => card::disable(shown, &words),
        (_, Some(fresh)) => *shown = fresh,
        _ => return Err(ApiError::parameter("Button")),
    }
    Ok(())
}

/// <https://developer.work.weixin.qq.com/document/path/101031>
fn ai(
    state: &mut State,
    bot: &str,
    cause: &Cause,
    reply: Value,
) -> Result<Option<String>, ApiError> {
    let is_event = matches!(cause.topic, Topic::Event(_));
    if text(&reply, "response_type") == "update_template_card" {
        return update(state, bot, cause, &reply).map(|()| None);
    }
    match check::kind(&reply).map(str::to_owned)?.as_str() {
        "text" if cause.topic == Topic::Event("enter_chat".to_owned()) => {
            check::greeting(&reply)?;
            state.say((bot, &cause.chat), Via::Passive, reply);
            Ok(None)
        }
        "template_card" if !matches!(cause.topic, Topic::Poll(_)) => {
            let card = reply.get("template_card").cloned().unwrap_or_default();
            check::new_card(state, bot, &card)?;
            state.say((bot, &cause.chat), Via::Passive, reply);
            Ok(None)
        }
        "stream" | "stream_with_template_card" if !is_event => {
            show(state, bot, cause, &reply, Via::Passive)
        }
        _ => Err(ApiError::kind()),
    }
}

/// Changes a card of an AI bot. <https://developer.work.weixin.qq.com/document/path/101032>
pub(crate) fn update(
    state: &mut State,
    bot: &str,
    cause: &Cause,
    reply: &Value,
) -> Result<(), ApiError> {
    let (message, task) = cause.card.clone().ok_or_else(ApiError::request_id)?;
    let product = state.bot(bot).map_or(Product::Ai, |bot| bot.product);
    let fresh = reply
        .get("template_card")
        .cloned()
        .ok_or_else(|| ApiError::parameter("template_card"))?;
    card::check(product, &fresh)?;
    if text(&fresh, "task_id") != task {
        return Err(ApiError::parameter("template_card.task_id"));
    }
    let shown = state
        .message(bot, &message)
        .and_then(|message| message.body.get_mut("template_card"))
        .ok_or_else(|| ApiError::parameter("template_card"))?;
    *shown = fresh;
    Ok(())
}

/// Shows a stream as it is now; gives its id while it goes on. Each frame has the whole text.
pub(crate) fn show(
    state: &mut State,
    bot: &str,
    cause: &Cause,
    reply: &Value,
    via: Via,
) -> Result<Option<String>, ApiError> {
    let part = reply.get("stream").cloned().unwrap_or_default();
    check::stream(&part)?;
    let id = text(&part, "id").to_owned();
    if let Topic::Poll(wanted) = &cause.topic
        && *wanted != id
    {
        return Err(ApiError::parameter("stream.id"));
    }
    let is_finished = part.get("finish").and_then(Value::as_bool) == Some(true);
    let key = (bot.to_owned(), id.clone());
    if !state.streams.contains_key(&key) {
        let mut body = Map::from_iter([("msgtype".to_owned(), Value::from("stream"))]);
        body.insert("stream".into(), part.clone());
        let message = state.say((bot, &cause.chat), via, body.into());
        bound(&mut state.streams);
        let since_ms = if via == Via::Passive {
            cause.at_ms
        } else {
            state.now_ms
        };
        let stream = Stream {
            bot: bot.to_owned(),
            cause: cause.clone(),
            message,
            since_ms,
            is_finished: false,
            has_card: false,
        };
        state.streams.insert(key.clone(), stream);
    }
    let Some(stream) = state.streams.get_mut(&key) else {
        return Ok(None);
    };
    if stream.is_finished || stream.bot != bot {
        return Err(ApiError::stream());
    }
    stream.is_finished = is_finished;
    let message = stream.message.clone();
    let fresh = reply
        .get("template_card")
        .filter(|card| !card.is_null())
        .cloned();
    let is_second = fresh.is_some() && std::mem::replace(&mut stream.has_card, true);
    if is_second {
        return Err(ApiError::parameter("template_card repeated"));
    }
    if let Some(fresh) = &fresh {
        check::new_card(state, bot, fresh)?;
    }
    if let Some(message) = state.message(bot, &message) {
        message.is_finished = is_finished;
        if let Some(body) = message.body.as_object_mut() {
            body.insert("stream".into(), part);
            if let Some(fresh) = fresh {
                body.insert("template_card".into(), fresh);
            }
        }
    }
    Ok((!is_finished).then_some(id))
}
