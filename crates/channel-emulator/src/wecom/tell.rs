//! What all payloads of a product have in common.

use serde_json::{Map, Value, json};

use super::limits::MEDIA_URL_MS;
use super::state::{State, bound};
use super::xml::Element;

/// <https://developer.work.weixin.qq.com/document/path/99399>
pub(super) fn group(
    state: &mut State,
    (bot, chat): (&str, &str),
    user: &str,
    id: &str,
    kind: &str,
    xml: Element,
    (name, content): (&str, Value),
) -> String {
    let Some(account) = state.bot(bot) else {
        return String::new();
    };
    let is_json = account.is_json();
    let webhook = format!("{}/cgi-bin/webhook/send?key={}", state.base, account.key.0);
    let called = state.users.get(user).cloned().unwrap_or_default();
    let code = state.id("CI");
    bound(&mut state.chat_codes);
    let until = state.now_ms + MEDIA_URL_MS;
    state
        .chat_codes
        .insert(code.clone(), (chat.to_owned(), until));
    let info = format!("{}/cgi-bin/webhook/get_chat_info?code={code}", state.base);
    let place = if state.is_group(chat) {
        "group"
    } else {
        "single"
    };
    if is_json {
        let mut body = json!({
            "webhook_url": webhook, "msgid": id, "chatid": chat, "chattype": place,
            "from": {"userid": user, "name": called, "alias": ""},
            "get_chat_info_url": info, "msgtype": kind,
        });
        if let Some(body) = body.as_object_mut() {
            body.insert(name.to_owned(), content);
        }
        return body.to_string();
    }
    let from = vec![
        Element::text("UserId", user),
        Element::text("Name", &called),
        Element::text("Alias", ""),
    ];
    let fields = vec![
        Element::text("WebhookUrl", &webhook),
        Element::text("MsgId", id),
        Element::text("ChatId", chat),
        Element::text("ChatType", place),
        Element::node("From", from),
        Element::text("GetChatInfoUrl", &info),
        Element::text("MsgType", kind),
        xml,
    ];
    Element::node("xml", fields).write()
}

/// <https://developer.work.weixin.qq.com/document/path/90239>, and of events
/// <https://developer.work.weixin.qq.com/document/path/90240>
pub(super) fn app(
    state: &State,
    bot: &str,
    user: &str,
    kind: &str,
    fields: Vec<Element>,
    id: Option<&str>,
) -> String {
    let Some(account) = state.bot(bot) else {
        return String::new();
    };
    let mut all = vec![
        Element::text("ToUserName", &account.corp),
        Element::text("FromUserName", user),
        Element::number("CreateTime", state.now_ms / 1000),
        Element::text("MsgType", kind),
    ];
    all.extend(fields);
    all.extend(id.map(|id| Element::number("MsgId", id)));
    all.push(Element::number("AgentID", account.agent));
    Element::node("xml", all).write()
}

/// <https://developer.work.weixin.qq.com/document/path/100719>
pub(super) fn ai(
    state: &State,
    (bot, chat): (&str, &str),
    user: &str,
    id: &str,
) -> Map<String, Value> {
    let is_group = state.is_group(chat);
    let mut body = Map::from_iter([
        ("msgid".to_owned(), Value::from(id)),
        ("create_time".to_owned(), (state.now_ms / 1000).into()),
        ("aibotid".to_owned(), bot.into()),
        (
            "chattype".to_owned(),
            if is_group { "group" } else { "single" }.into(),
        ),
        ("from".to_owned(), json!({"userid": user})),
    ]);
    if is_group {
        body.insert("chatid".into(), chat.into());
    }
    body
}
