//! Template cards. <https://developer.work.weixin.qq.com/document/path/101032>, of apps
//! <https://developer.work.weixin.qq.com/document/path/90236>

use serde_json::Value;

use super::answer::ApiError;
use super::model::Product;

/// Buttons of a card with buttons.
const BUTTONS: usize = 6;
/// Options of a vote.
const VOTES: usize = 20;
/// Selects of a card, and options of one.
const SELECTS: (usize, usize) = (3, 10);
/// Lines with a name and a value, links, and lines of two.
const LISTS: [(&str, usize); 3] = [
    ("horizontal_content_list", 6),
    ("jump_list", 3),
    ("vertical_content_list", 4),
];
/// A `task_id`, in bytes.
const TASK: usize = 128;
/// A key, in bytes.
const KEY: usize = 1024;

fn list<'a>(card: &'a Value, name: &str) -> &'a [Value] {
    card.get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(card: &'a Value, name: &str) -> &'a str {
    card.get(name).and_then(Value::as_str).unwrap_or("")
}

fn bad(field: &str) -> ApiError {
    ApiError::parameter(&format!("template_card.{field}"))
}

/// Checks a card as a product takes it; gives its `task_id`.
pub(crate) fn check(product: Product, card: &Value) -> Result<Option<String>, ApiError> {
    let kind = text(card, "card_type");
    let is_notice = matches!(kind, "text_notice" | "news_notice");
    let is_known = is_notice
        || (product != Product::Group
            && matches!(
                kind,
                "button_interaction" | "vote_interaction" | "multiple_interaction"
            ));
    if !is_known {
        return Err(bad("card_type"));
    }
    let has_title = card
        .get("main_title")
        .is_some_and(|title| !text(title, "title").is_empty() || !text(title, "desc").is_empty());
    if !has_title && text(card, "sub_title_text").is_empty() {
        return Err(bad("main_title"));
    }
    if is_notice && card.get("card_action").is_none() {
        return Err(bad("card_action"));
    }
    for (name, most) in LISTS {
        if list(card, name).len() > most {
            return Err(bad(name));
        }
    }
    let task = text(card, "task_id");
    let is_task = task.len() <= TASK
        && task
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-@".contains(&byte));
    let needs_task = !is_notice || card.get("action_menu").is_some();
    if !is_task || (needs_task && task.is_empty()) {
        return Err(bad("task_id"));
    }
    menu(product, card)?;
    match kind {
        "button_interaction" => buttons(card)?,
        "vote_interaction" => vote(card)?,
        "multiple_interaction" => selects(card)?,
        _ => {}
    }
    Ok((!task.is_empty()).then(|| task.to_owned()))
}

fn menu(product: Product, card: &Value) -> Result<(), ApiError> {
    let Some(menu) = card.get("action_menu") else {
        return Ok(());
    };
    let most = if product == Product::App { 10 } else { 3 };
    let actions = list(menu, "action_list");
    let fits = (1..=most).contains(&actions.len()) && actions.iter().all(|a| is_key(a, "key"));
    fits.then_some(()).ok_or_else(|| bad("action_menu"))
}

fn is_key(value: &Value, name: &str) -> bool {
    (1..=KEY).contains(&text(value, name).len())
}

fn buttons(card: &Value) -> Result<(), ApiError> {
    let buttons = list(card, "button_list");
    let is_button = |button: &Value| {
        let is_link = button.get("type").and_then(Value::as_u64) == Some(1);
        !text(button, "text").is_empty()
            && (is_key(button, "key") || (is_link && !text(button, "url").is_empty()))
    };
    if !(1..=BUTTONS).contains(&buttons.len()) || !buttons.iter().all(is_button) {
        return Err(bad("button_list"));
    }
    match card.get("button_selection") {
        Some(select) if !is_select(select) => Err(bad("button_selection")),
        _ => Ok(()),
    }
}

fn submit(card: &Value) -> Result<(), ApiError> {
    let is_there = card
        .get("submit_button")
        .is_some_and(|button| !text(button, "text").is_empty() && is_key(button, "key"));
    is_there.then_some(()).ok_or_else(|| bad("submit_button"))
}

fn are_options(options: &[Value], most: usize) -> bool {
    (1..=most).contains(&options.len())
        && options
            .iter()
            .all(|option| is_key(option, "id") && !text(option, "text").is_empty())
}

fn vote(card: &Value) -> Result<(), ApiError> {
    let is_vote = card.get("checkbox").is_some_and(|vote| {
        is_key(vote, "question_key") && are_options(list(vote, "option_list"), VOTES)
    });
    if !is_vote {
        return Err(bad("checkbox"));
    }
    submit(card)
}

fn is_select(select: &Value) -> bool {
    is_key(select, "question_key") && are_options(list(select, "option_list"), SELECTS.1)
}

fn selects(card: &Value) -> Result<(), ApiError> {
    let selects = list(card, "select_list");
    if !(1..=SELECTS.0).contains(&selects.len()) || !selects.iter().all(is_select) {
        return Err(bad("select_list"));
    }
    submit(card)
}

/// Whether a card can be pressed with this key.
pub(crate) fn has_key(card: &Value, key: &str) -> bool {
    let of_menu = card
        .get("action_menu")
        .map_or(&[][..], |menu| list(menu, "action_list"));
    let of_submit = card.get("submit_button");
    list(card, "button_list")
        .iter()
        .chain(of_menu)
        .chain(of_submit)
        .any(|button| text(button, "key") == key)
}

/// Greys the buttons of a card out behind these words.
pub(crate) fn disable(card: &mut Value, words: &str) {
    let Some(card) = card.as_object_mut() else {
        return;
    };
    card.remove("button_list");
    card.remove("submit_button");
    card.insert("replace_text".into(), words.into());
}
