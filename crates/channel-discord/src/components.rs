//! Buttons, choices and cards
//! (<https://docs.discord.com/developers/components/reference>,
//! <https://docs.discord.com/developers/resources/message#embed-object>).

use std::collections::HashSet;

use channel_core::{Button, ButtonAction, Card, CardBlock, Choice, Result, Tone};
use serde_json::{Value, json};

use crate::error::invalid;
use crate::limits;
use crate::render::{self, measure};

/// The rows of one message: buttons at most five a row.
pub(crate) fn rows(buttons: &[Vec<Button>], operation: &'static str) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for row in buttons {
        let shown: Vec<Value> = row
            .iter()
            .map(|it| button(it, operation))
            .collect::<Result<_>>()?;
        for chunk in shown.chunks(limits::ROW) {
            rows.push(json!({ "type": 1, "components": chunk }));
        }
    }
    Ok(rows)
}

fn button(button: &Button, operation: &'static str) -> Result<Value> {
    if render::is_blank(&button.label) {
        return Err(invalid("a button has no label", operation));
    }
    let label = render::cut(&button.label, limits::LABEL);
    match &button.action {
        ButtonAction::Press(value) => {
            if value.is_empty() || measure(value) > limits::CUSTOM_ID {
                let message = format!(
                    "the value of a button has to have 1 to {} characters",
                    limits::CUSTOM_ID
                );
                return Err(invalid(message, operation));
            }
            Ok(json!({ "type": 2, "style": 2, "label": label, "custom_id": value }))
        }
        ButtonAction::Open(url) => {
            let is_web = url.starts_with("https://") || url.starts_with("http://");
            if !is_web || measure(url) > limits::BUTTON_URL {
                return Err(invalid(
                    "the address of a button is not one to open",
                    operation,
                ));
            }
            Ok(json!({ "type": 2, "style": 5, "label": label, "url": url }))
        }
        _ => Err(invalid("discord has no such button", operation)),
    }
}

/// Refuses what Discord would: the same value twice in one message.
pub(crate) fn check_values(rows: &[Value], operation: &'static str) -> Result<()> {
    let mut seen = HashSet::new();
    let all = rows
        .iter()
        .filter_map(|row| row.get("components")?.as_array())
        .flatten();
    for id in all.filter_map(|it| it.get("custom_id")?.as_str()) {
        if !seen.insert(id) {
            return Err(invalid(
                "two buttons of a message have the same value",
                operation,
            ));
        }
    }
    Ok(())
}

/// A card in Discord's own form.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shown {
    pub(crate) embed: Value,
    pub(crate) rows: Vec<Value>,
}

/// A card as an embed with rows below; `None` if it does not fit.
pub(crate) fn card(card: &Card, operation: &'static str) -> Result<Option<Shown>> {
    let mut texts: Vec<String> = Vec::new();
    let mut fields = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    let mut image = None;
    let mut rows = Vec::new();
    let mut choices = 0;
    for block in &card.blocks {
        match block {
            CardBlock::Text(body) => texts.extend(render::pieces(body, limits::EMBED_DESCRIPTION)),
            CardBlock::Fields(all) => {
                for (name, value) in all {
                    let fits = measure(name) <= limits::EMBED_NAME
                        && measure(&render::escape(value)) <= limits::EMBED_VALUE
                        && !render::is_blank(name)
                        && !render::is_blank(value);
                    if !fits {
                        return Ok(None);
                    }
                    let value = render::escape(value);
                    fields.push(json!({ "name": name, "value": value, "inline": true }));
                }
            }
            CardBlock::Image { url, alt } => {
                // An embed has one picture and no words beside it.
                if image.is_some() || !url.starts_with("https://") {
                    return Ok(None);
                }
                image = Some(json!({ "url": url }));
                if !render::is_blank(alt) {
                    notes.push(alt.clone());
                }
            }
            CardBlock::Divider => {}
            CardBlock::Note(text) => notes.push(text.clone()),
            CardBlock::Actions(row) => {
                rows.extend(self::rows(std::slice::from_ref(row), operation)?)
            }
            CardBlock::Choice(choice) => {
                let Some(select) = select(choice, choices) else {
                    return Ok(None);
                };
                choices += 1;
                rows.push(select);
            }
            _ => return Ok(None),
        }
    }
    let description = texts.join("\n\n");
    let footer = notes.join("\n");
    let sizes = [
        (measure(&card.title), limits::EMBED_TITLE),
        (measure(&description), limits::EMBED_DESCRIPTION),
        (fields.len(), limits::EMBED_FIELDS),
        (measure(&footer), limits::EMBED_FOOTER),
        (rows.len(), limits::ROWS),
    ];
    let field_size = |it: &Value| {
        let part = |name: &str| it.get(name).and_then(Value::as_str).map_or(0, measure);
        part("name") + part("value")
    };
    let total = measure(&card.title)
        + measure(&description)
        + measure(&footer)
        + fields.iter().map(field_size).sum::<usize>();
    if sizes.iter().any(|(size, max)| size > max) || total > limits::EMBED_TOTAL {
        return Ok(None);
    }
    let mut embed = json!({ "type": "rich" });
    let mut put = |name: &str, value: Value| {
        if let Some(fields) = embed.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    if !card.title.is_empty() {
        put("title", json!(render::escape(&card.title)));
    }
    if !description.is_empty() {
        put("description", json!(description));
    }
    if !fields.is_empty() {
        put("fields", json!(fields));
    }
    if !footer.is_empty() {
        put("footer", json!({ "text": footer }));
    }
    if let Some(image) = image {
        put("image", image);
    }
    if let Some(color) = color(card.tone) {
        put("color", json!(color));
    }
    let embed = if total == 0 { Value::Null } else { embed };
    Ok(Some(Shown { embed, rows }))
}

/// Discord's own green, yellow and red.
const fn color(tone: Tone) -> Option<u32> {
    match tone {
        Tone::Good => Some(0x57_f287),
        Tone::Warning => Some(0xfe_e75c),
        Tone::Bad => Some(0xed_4245),
        _ => None,
    }
}

/// A row with a list to choose from; `None` if it does not fit.
fn select(choice: &Choice, number: usize) -> Option<Value> {
    let fits = |text: &str| (1..=limits::OPTION).contains(&measure(text));
    let is_ok = (1..=limits::OPTIONS).contains(&choice.options.len())
        && measure(&choice.prompt) <= limits::PLACEHOLDER
        && choice
            .options
            .iter()
            .all(|(label, value)| fits(label) && fits(value));
    let mut seen = HashSet::new();
    let is_ok = is_ok && choice.options.iter().all(|(_, value)| seen.insert(value));
    if !is_ok {
        return None;
    }
    let options: Vec<Value> = choice
        .options
        .iter()
        .map(|(label, value)| json!({ "label": label, "value": value }))
        .collect();
    let mut select =
        json!({ "type": 3, "custom_id": format!("choice:{number}"), "options": options });
    if !render::is_blank(&choice.prompt)
        && let Some(fields) = select.as_object_mut()
    {
        fields.insert("placeholder".to_owned(), json!(choice.prompt));
    }
    Some(json!({ "type": 1, "components": [select] }))
}
