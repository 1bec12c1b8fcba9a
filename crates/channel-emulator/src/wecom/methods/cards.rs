//! Changing a card later. <https://developer.work.weixin.qq.com/document/path/94888>

use serde_json::Value;

use super::{Context, done};
use crate::wecom::answer::{Answer, ApiError};
use crate::wecom::card;
use crate::wecom::limits::CARD_CODE_MS;
use crate::wecom::model::Product;

pub(super) fn update(context: &mut Context<'_>) -> Answer {
    let app = context.caller("message/update_template_card")?;
    let code = context.field("response_code").to_owned();
    let now = context.state.now_ms;
    let entry = context
        .state
        .card_codes
        .get(&code)
        .filter(|entry| entry.bot == app && now - entry.at_ms < CARD_CODE_MS)
        .cloned()
        .ok_or_else(|| ApiError::parameter("response_code"))?;
    let words = context
        .body
        .get("button")
        .and_then(|button| button.get("replace_name"))
        .and_then(Value::as_str);
    let fresh = context.body.get("template_card");
    if let Some(fresh) = fresh {
        card::check(Product::App, fresh)?;
    } else if words.is_none() {
        return Err(ApiError::parameter("button or template_card"));
    }
    let message = context
        .state
        .message(&app, &entry.message)
        .ok_or_else(|| ApiError::parameter("response_code"))?;
    if let Some(shown) = message.body.get_mut("template_card") {
        match (fresh, words) {
            (Some(fresh), _) => *shown = fresh.clone(),
            (None, Some(words)) => card::disable(shown, words),
            (None, None) => {}
        }
    }
    context.state.card_codes.remove(&code);
    done()
}
