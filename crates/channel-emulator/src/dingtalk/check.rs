//! What a message may hold.
//!
//! <https://open.dingtalk.com/document/orgapp/custom-bot-send-message-type>,
//! <https://open.dingtalk.com/document/orgapp/types-of-messages-sent-by-robots>

use serde_json::Value;

use super::answer::ApiError;
use super::state::State;
use crate::common::json::Parts as _;

/// The largest `msgParam`, in bytes.
const MAX_PARAM: usize = 15_000;
/// Buttons of an action card.
const MAX_BUTTONS: usize = 6;

/// A message in the form of the webhooks: its `msgtype` and what is inside.
pub(crate) fn message(body: &Value) -> Result<(String, Value), ApiError> {
    let kind = body.text("msgtype");
    let content = body.at(kind);
    let missing = |name: &str| ApiError::legacy(40_035, format!("missing parameter {name}"));
    let need = |of: &Value, names: &[&'static str]| match names
        .iter()
        .find(|name| of.text(name).trim().is_empty())
    {
        Some(name) => Err(missing(name)),
        None => Ok(()),
    };
    match kind {
        "" => return Err(missing("msgtype")),
        "text" => need(content, &["content"])?,
        "markdown" => need(content, &["title", "text"])?,
        "link" => need(content, &["title", "text", "messageUrl"])?,
        "actionCard" => {
            need(content, &["title", "text"])?;
            match content.at("btns").as_array() {
                Some(buttons) if !buttons.is_empty() => {
                    for button in buttons {
                        need(button, &["title", "actionURL"])?;
                    }
                }
                _ => need(content, &["singleTitle", "singleURL"])?,
            }
        }
        "feedCard" => {
            let links = content.at("links").as_array();
            let links = links.filter(|links| !links.is_empty());
            for link in links.ok_or_else(|| missing("links"))? {
                need(link, &["title", "messageURL", "picURL"])?;
            }
        }
        _ => return Err(ApiError::legacy(400_105, "unsupported message type")),
    }
    Ok((kind.to_owned(), content.clone()))
}

/// The words of a message that people read.
pub(crate) fn words(kind: &str, content: &Value) -> String {
    match kind {
        "text" => content.text("content").to_owned(),
        "feedCard" => {
            let links = content.at("links").as_array().into_iter().flatten();
            links.map(|link| link.text("title")).collect()
        }
        _ => format!("{}\n{}", content.text("title"), content.text("text")),
    }
}

/// Those whom a message mentions: a mention shows only where the text holds its mark too.
pub(crate) fn mentions(at: &Value, text: &str) -> Vec<String> {
    if at.at("isAtAll") == true {
        return vec!["all".to_owned()];
    }
    let named = ["atUserIds", "atMobiles"];
    let ids = named
        .iter()
        .flat_map(|list| at.at(list).as_array().into_iter().flatten());
    ids.filter_map(Value::as_str)
        .filter(|id| text.contains(&format!("@{id}")))
        .map(str::to_owned)
        .collect()
}

/// A message of the robot API: its `msgKey` and the parsed `msgParam`.
pub(crate) fn template(
    state: &State,
    app: &str,
    body: &Value,
) -> Result<(String, Value), ApiError> {
    let key = body.text("msgKey");
    if key.is_empty() {
        return Err(ApiError::parameter("msgKey.empty", "the msgKey is missing"));
    }
    let needed: &[&str] = match key {
        "sampleText" => &["content"],
        "sampleMarkdown" => &["title", "text"],
        "sampleImageMsg" => &["photoURL"],
        "sampleLink" => &["text", "title", "picUrl", "messageUrl"],
        "sampleActionCard" => &["title", "text", "singleTitle", "singleURL"],
        "sampleAudio" => &["mediaId", "duration"],
        "sampleFile" => &["mediaId", "fileName", "fileType"],
        "sampleVideo" => &["duration", "videoMediaId", "videoType", "picMediaId"],
        _ => {
            let count = key.strip_prefix("sampleActionCard");
            let count = count.and_then(|count| count.parse::<usize>().ok());
            if !count.is_some_and(|count| (2..=MAX_BUTTONS).contains(&count)) {
                return Err(ApiError::parameter(
                    "msgKey.invalid",
                    "the msgKey is invalid",
                ));
            }
            // How the fields of their buttons are called was not confirmed.
            &["title", "text"]
        }
    };
    let wrong = |why: &str| ApiError::parameter("msgParam.invalid", why);
    let param = body.at("msgParam").as_str();
    let param = param.ok_or_else(|| wrong("msgParam has to be JSON in a string"))?;
    if param.len() > MAX_PARAM {
        return Err(wrong("msgParam is longer than 15000 bytes"));
    }
    let content: Option<Value> = serde_json::from_str(param).ok();
    let content = content
        .filter(Value::is_object)
        .ok_or_else(|| wrong("msgParam has to be JSON in a string"))?;
    // An empty picture of a link is how a link without one is sent.
    for name in needed {
        let value = content.at(name).as_str();
        if value.is_none_or(|value| value.trim().is_empty() && *name != "picUrl") {
            return Err(wrong(&format!("{name} of msgParam is missing or no text")));
        }
    }
    media(state, app, key, &content)?;
    Ok((key.to_owned(), content))
}

/// Files that a message names have to be the app's own uploads of the right kind.
fn media(state: &State, app: &str, key: &str, content: &Value) -> Result<(), ApiError> {
    let needed: &[(&str, &str)] = match key {
        "sampleAudio" => &[("mediaId", "voice")],
        "sampleFile" => &[("mediaId", "file")],
        "sampleVideo" => &[("videoMediaId", "video"), ("picMediaId", "image")],
        "sampleImageMsg" if content.text("photoURL").starts_with('@') => &[("photoURL", "image")],
        _ => &[],
    };
    for (name, kind) in needed {
        let file = state.files.get(content.text(name));
        if file.is_none_or(|file| file.app != app || file.kind != *kind) {
            let why = format!("{name} of msgParam names no uploaded {kind}");
            return Err(ApiError::parameter("msgParam.invalid", &why));
        }
    }
    let url = content.text("photoURL");
    if key == "sampleImageMsg" && !url.starts_with('@') && !url.starts_with("http") {
        return Err(ApiError::parameter(
            "msgParam.invalid",
            "photoURL is neither an address nor a mediaId",
        ));
    }
    Ok(())
}
