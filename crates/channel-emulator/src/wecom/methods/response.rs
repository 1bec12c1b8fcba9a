//! Answering an AI bot's message later, once. <https://developer.work.weixin.qq.com/document/path/101138>

use super::{Context, done, webhook};
use crate::wecom::answer::{Answer, ApiError};
use crate::wecom::check;
use crate::wecom::limits::RESPONSE_MS;
use crate::wecom::model::Via;

pub(super) fn respond(context: &mut Context<'_>) -> Answer {
    let code = context.param("response_code").to_owned();
    let now = context.state.now_ms;
    let entry = context
        .state
        .response_codes
        .get(&code)
        .filter(|entry| !entry.used && now - entry.at_ms < RESPONSE_MS)
        .cloned()
        .ok_or_else(|| ApiError::parameter("response_code"))?;
    match check::kind(context.body)? {
        "markdown" => check::ai_markdown(context.body)?,
        "template_card" => {
            let card = context
                .body
                .get("template_card")
                .cloned()
                .unwrap_or_default();
            check::new_card(context.state, &entry.bot, &card)?;
        }
        _ => return Err(ApiError::kind()),
    }
    if let Some(entry) = context.state.response_codes.get_mut(&code) {
        entry.used = true;
    }
    let shown = webhook::shown(context.body);
    context
        .state
        .say((&entry.bot, &entry.chat), Via::ResponseUrl, shown);
    done()
}
