//! `reply_markup`. <https://core.telegram.org/bots/api#inlinekeyboardmarkup>

use serde_json::{Value, json};

use super::super::answer::ApiError;
use super::super::markup::utf16_len;
use super::Context;

/// Buttons of one keyboard.
const MAX_BUTTONS: usize = 100;
/// What a button does; each has exactly one.
const ACTIONS: [&str; 10] = [
    "callback_data",
    "url",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "callback_game",
    "pay",
];

impl Context<'_> {
    /// The inline keyboard of the call, checked; other kinds of markup do not show in the message.
    pub(super) fn reply_markup(&self) -> Result<Option<Value>, ApiError> {
        let unparsable = || ApiError::bad("can't parse reply keyboard markup JSON object");
        let Some(markup) = self
            .params
            .nested("reply_markup")
            .map_err(|_| unparsable())?
        else {
            return Ok(None);
        };
        let object = markup.as_object().ok_or_else(unparsable)?;
        let Some(keyboard) = object.get("inline_keyboard") else {
            let known = ["keyboard", "remove_keyboard", "force_reply"]
                .iter()
                .any(|kind| object.contains_key(*kind));
            return if known || object.is_empty() {
                Ok(None)
            } else {
                Err(ApiError::bad("object expected as reply markup"))
            };
        };
        let rows = keyboard
            .as_array()
            .ok_or_else(|| ApiError::bad("field \"inline_keyboard\" must be of type Array"))?;
        let mut kept = Vec::new();
        let mut count = 0;
        for row in rows {
            let row = row
                .as_array()
                .ok_or_else(|| ApiError::bad("inline keyboard row must be an Array"))?;
            for button in row {
                check(button)?;
            }
            count += row.len();
            if !row.is_empty() {
                kept.push(row.clone());
            }
        }
        if count > MAX_BUTTONS {
            return Err(ApiError::bad("REPLY_MARKUP_TOO_LONG"));
        }
        Ok((!kept.is_empty()).then(|| json!({ "inline_keyboard": kept })))
    }
}

fn check(button: &Value) -> Result<(), ApiError> {
    let wrong =
        |reason: &str| ApiError::bad(format!("can't parse inline keyboard button: {reason}"));
    let text = button
        .get("text")
        .and_then(Value::as_str)
        .ok_or_else(|| wrong("can't find field \"text\""))?;
    if text.is_empty() {
        return Err(wrong("text must be non-empty"));
    }
    let mut actions = ACTIONS
        .iter()
        .filter_map(|action| Some((*action, button.get(*action)?)));
    let Some((action, value)) = actions.next() else {
        return Err(wrong("text buttons are unallowed in the inline keyboard"));
    };
    if actions.next().is_some() {
        return Err(ApiError::bad("BUTTON_TYPE_INVALID"));
    }
    match action {
        // The limit counts bytes of UTF-8.
        "callback_data" => match value.as_str() {
            Some(data) if (1..=64).contains(&data.len()) => Ok(()),
            _ => Err(ApiError::bad("BUTTON_DATA_INVALID")),
        },
        "url" => {
            let url = value.as_str().unwrap_or_default();
            let full = if url.contains("://") {
                url.to_owned()
            } else {
                format!("http://{url}")
            };
            match url::Url::parse(&full) {
                Ok(parsed)
                    if matches!(parsed.scheme(), "http" | "https" | "tg" | "ton")
                        && parsed.has_host() =>
                {
                    Ok(())
                }
                _ => Err(ApiError::bad("BUTTON_URL_INVALID")),
            }
        }
        "web_app" => match value.get("url").and_then(Value::as_str) {
            Some(url) if url.starts_with("https://") => Ok(()),
            _ => Err(ApiError::bad(
                "inline keyboard button Web App URL is invalid: only HTTPS links are allowed",
            )),
        },
        "copy_text" => match value.get("text").and_then(Value::as_str) {
            Some(text) if (1..=256).contains(&utf16_len(text)) => Ok(()),
            _ => Err(ApiError::bad("BUTTON_COPY_TEXT_INVALID")),
        },
        _ => Ok(()),
    }
}
