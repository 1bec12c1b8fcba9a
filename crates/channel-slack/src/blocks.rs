//! Block Kit: buttons and cards (<https://docs.slack.dev/reference/block-kit/>).

use channel_core::{Button, ButtonAction, Card, CardBlock, Choice, Result, TextUnit};
use serde_json::{Value, json};

use crate::error::invalid;
use crate::limits;
use crate::render::{self, Words, cut, escape, is_blank};

fn fits(text: &str, max: usize) -> bool {
    TextUnit::Utf16.measure(text) <= max
}

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": escape(text), "emoji": false})
}

fn section(text: &str, is_marked: bool) -> Value {
    let text = if is_marked {
        json!({"type": "mrkdwn", "text": text, "verbatim": true})
    } else {
        json!({"type": "plain_text", "text": text, "emoji": false})
    };
    json!({"type": "section", "text": text})
}

/// Words as blocks, so that they read as they would without.
pub(crate) fn words(words: &Words) -> Vec<Value> {
    if let Some(markdown) = &words.markdown {
        return vec![json!({"type": "markdown", "text": markdown})];
    }
    let sections = words.sections();
    sections
        .iter()
        .map(|text| section(text, words.is_marked))
        .collect()
}

/// Rows of buttons.
pub(crate) fn rows(
    rows: &[Vec<Button>],
    first: usize,
    operation: &'static str,
) -> Result<Vec<Value>> {
    let mut blocks = Vec::new();
    let chunks = rows.iter().flat_map(|row| row.chunks(limits::ROW));
    for (index, row) in chunks.filter(|row| !row.is_empty()).enumerate() {
        let elements: Result<Vec<_>> = row
            .iter()
            .enumerate()
            .map(|(column, it)| button(it, &format!("kit-{}-{column}", first + index), operation))
            .collect();
        blocks.push(json!({"type": "actions", "elements": elements?}));
    }
    Ok(blocks)
}

fn button(button: &Button, action_id: &str, operation: &'static str) -> Result<Value> {
    let label = escape(&button.label);
    if is_blank(&label) || !fits(&label, limits::LABEL) {
        let message = format!(
            "the label of a button has to be 1 to {} characters",
            limits::LABEL
        );
        return Err(invalid(message, operation));
    }
    let mut element =
        json!({"type": "button", "action_id": action_id, "text": plain(&button.label)});
    let (name, value) = match &button.action {
        ButtonAction::Press(value) => {
            if value.is_empty() || !fits(value, limits::VALUE) {
                let message = format!(
                    "the value of a button has to be 1 to {} characters",
                    limits::VALUE
                );
                return Err(invalid(message, operation));
            }
            ("value", value)
        }
        ButtonAction::Open(url) => {
            let is_web = url.starts_with("https://") || url.starts_with("http://");
            if !is_web || !fits(url, limits::BUTTON_URL) {
                return Err(invalid(
                    "a button opens an address that starts with https:// or http://",
                    operation,
                ));
            }
            ("url", url)
        }
        _ => return Err(invalid("slack has no such button", operation)),
    };
    if let Some(fields) = element.as_object_mut() {
        fields.insert(name.to_owned(), json!(value));
    }
    Ok(element)
}

/// A card as blocks; `None` if something in it does not fit into what Slack has for it.
pub(crate) fn card(card: &Card, operation: &'static str) -> Option<Vec<Value>> {
    let mut blocks = Vec::new();
    if !card.title.is_empty() {
        if !fits(&escape(&card.title), limits::HEADER) {
            return None;
        }
        blocks.push(json!({"type": "header", "text": plain(&card.title)}));
    }
    for (index, block) in card.blocks.iter().enumerate() {
        blocks.extend(card_block(block, 100 + index, operation)?);
    }
    Some(blocks)
}

fn card_block(block: &CardBlock, index: usize, operation: &'static str) -> Option<Vec<Value>> {
    Some(match block {
        CardBlock::Text(body) => render::words(body).iter().flat_map(words).collect(),
        CardBlock::Fields(fields) => {
            let shown: Option<Vec<_>> = fields
                .iter()
                .map(|(name, value)| field(name, value))
                .collect();
            shown?
                .chunks(limits::FIELDS)
                .map(|fields| json!({"type": "section", "fields": fields}))
                .collect()
        }
        CardBlock::Image { url, alt } => {
            let is_fetched = url.starts_with("https://") && fits(url, limits::BUTTON_URL);
            let alt = if alt.is_empty() { "image" } else { alt };
            is_fetched.then_some(())?;
            vec![json!({"type": "image", "image_url": url, "alt_text": cut(alt, limits::ALT)})]
        }
        CardBlock::Divider => vec![json!({"type": "divider"})],
        CardBlock::Note(text) if is_blank(text) => Vec::new(),
        CardBlock::Note(text) => {
            fits(&escape(text), limits::SECTION.max).then_some(())?;
            vec![json!({"type": "context", "elements": [plain(text)]})]
        }
        CardBlock::Actions(row) => {
            // Wide rows make several blocks, whose elements must not share names.
            rows(std::slice::from_ref(row), index * 1000, operation).ok()?
        }
        CardBlock::Choice(choice) => vec![select(choice, index)?],
        _ => return None,
    })
}

fn field(name: &str, value: &str) -> Option<Value> {
    let text = format!("*{}*\n{}", escape(name), escape(value));
    // A name that holds marks cannot be made bold by them.
    let has_mark = format!("{name}{value}").contains(['*', '_', '~', '`']);
    let text = if has_mark {
        format!("{}\n{}", escape(name), escape(value))
    } else {
        text
    };
    let kind = if has_mark { "plain_text" } else { "mrkdwn" };
    fits(&text, limits::FIELD).then(|| json!({"type": kind, "text": text}))
}

fn select(choice: &Choice, index: usize) -> Option<Value> {
    if choice.options.is_empty() || choice.options.len() > limits::OPTIONS {
        return None;
    }
    let options: Option<Vec<_>> = choice
        .options
        .iter()
        .map(|(label, value)| {
            let is_good = !is_blank(label)
                && fits(&escape(label), limits::LABEL)
                && !value.is_empty()
                && fits(value, limits::OPTION_VALUE);
            is_good.then(|| json!({"text": plain(label), "value": value}))
        })
        .collect();
    let prompt = if is_blank(&choice.prompt) {
        "\u{2026}"
    } else {
        &choice.prompt
    };
    fits(&escape(prompt), limits::SECTION.max).then_some(())?;
    let placeholder = plain(&cut(prompt, limits::LABEL));
    Some(json!({
        "type": "section",
        "text": plain(prompt),
        "accessory": {
            "type": "static_select",
            "action_id": format!("kit-{index}"),
            "placeholder": placeholder,
            "options": options?,
        },
    }))
}

/// Whether blocks stay below the limits that Slack has for all of them together.
pub(crate) fn fit_together(blocks: &[Value]) -> bool {
    let markdown: usize = blocks
        .iter()
        .filter(|block| block["type"] == "markdown")
        .filter_map(|block| block["text"].as_str())
        .map(|text| TextUnit::Utf16.measure(text))
        .sum();
    let size = serde_json::to_vec(blocks).map_or(usize::MAX, |json| json.len());
    blocks.len() <= limits::BLOCKS && markdown <= limits::MARKDOWN && size <= limits::BLOCKS_JSON
}
