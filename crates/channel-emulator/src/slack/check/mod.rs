//! The rules of Block Kit. <https://docs.slack.dev/reference/block-kit/>

mod element;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::ApiError;
use element::element;

/// Blocks of a message. <https://docs.slack.dev/reference/block-kit/blocks/>
pub(crate) const MAX_BLOCKS: usize = 50;
/// Blocks of a view.
const MAX_VIEW_BLOCKS: usize = 100;
/// All blocks of a message together, in characters of JSON. Not documented; the number is one that users have met.
const MAX_JSON: usize = 13_200;
/// A view, in bytes. <https://docs.slack.dev/reference/methods/views.open/>
const MAX_VIEW: usize = 250 * 1024;
/// Markdown blocks of a message together. <https://docs.slack.dev/reference/block-kit/blocks/markdown-block/>
const MAX_MARKDOWN: usize = 12_000;

/// The length in the stricter of the two units that "characters" may mean.
pub(crate) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// What is wrong, with where.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn add(&mut self, at: &str, what: &str) {
        if self.0.len() < 20 {
            self.0.push(format!("[ERROR] {what} [json-pointer:{at}]"));
        }
    }

    fn end(self, code: &'static str) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ApiError::new(code).says(&self.0))
        }
    }

    /// A text of `least` to `most` characters, when it is there or `required`.
    pub(crate) fn text(
        &mut self,
        at: &str,
        owner: &Value,
        name: &str,
        (least, most): (usize, usize),
        required: bool,
    ) {
        let at = format!("{at}/{name}");
        match owner.get(name) {
            None if required => self.add(&at, &format!("missing required field: {name}")),
            None => {}
            Some(Value::String(text)) => {
                let length = length(text);
                if length > most {
                    self.add(&at, &format!("must be less than {} characters", most + 1));
                } else if length < least {
                    self.add(
                        &at,
                        &format!("must be more than {} characters", least.saturating_sub(1)),
                    );
                }
            }
            Some(_) => self.add(&at, "must provide a string"),
        }
    }

    /// A text object: `plain_text`, or `mrkdwn` where that is allowed.
    pub(crate) fn text_object(
        &mut self,
        at: &str,
        owner: &Value,
        name: &str,
        most: usize,
        rules: (bool, bool),
    ) {
        let (required, mrkdwn) = rules;
        let at = format!("{at}/{name}");
        match owner.get(name) {
            None if required => self.add(&at, &format!("missing required field: {name}")),
            None => {}
            Some(text) => {
                match text.get("type").and_then(Value::as_str) {
                    Some("plain_text") => {}
                    Some("mrkdwn") if mrkdwn => {}
                    _ => self.add(&format!("{at}/type"), "unsupported type"),
                }
                self.text(&at, text, "text", (1, most), true);
            }
        }
    }

    /// An array of at most `most` entries, when it is there or `required`.
    pub(crate) fn list<'a>(
        &mut self,
        at: &str,
        owner: &'a Value,
        name: &str,
        most: usize,
        required: bool,
    ) -> &'a [Value] {
        let at = format!("{at}/{name}");
        match owner.get(name) {
            None if required => {
                self.add(&at, &format!("missing required field: {name}"));
                &[]
            }
            None => &[],
            Some(Value::Array(entries)) => {
                if entries.len() > most {
                    self.add(&at, &format!("no more than {most} items allowed"));
                } else if entries.is_empty() && required {
                    self.add(&at, "must contain at least 1 item");
                }
                entries
            }
            Some(_) => {
                self.add(&at, "must be an array");
                &[]
            }
        }
    }
}

/// Checks the blocks of a message.
pub(crate) fn blocks(blocks: &Value, most: usize) -> Result<(), ApiError> {
    let list = blocks
        .as_array()
        .ok_or_else(|| ApiError::new("invalid_blocks_format"))?;
    let mut faults = Faults::default();
    if list.len() > most {
        faults.add("/blocks", &format!("no more than {most} items allowed"));
    }
    each(list, &mut faults);
    faults.end("invalid_blocks")?;
    let markdown = list.iter().filter(|block| is(block, "markdown"));
    let texts = markdown.filter_map(|block| block.get("text").and_then(Value::as_str));
    if texts.map(length).sum::<usize>() > MAX_MARKDOWN {
        return Err(ApiError::new("msg_too_long"));
    }
    if blocks.to_string().chars().count() > MAX_JSON {
        return Err(ApiError::new("msg_blocks_too_long"));
    }
    Ok(())
}

/// Checks a modal or a home tab. <https://docs.slack.dev/reference/views/>
pub(crate) fn view(view: &Value, kind: &str) -> Result<(), ApiError> {
    if view.to_string().len() > MAX_VIEW {
        return Err(ApiError::new("view_too_large"));
    }
    let mut faults = Faults::default();
    if !is(view, kind) {
        faults.add("/type", &format!("must be a valid enum value: {kind}"));
    }
    if kind == "modal" {
        faults.text_object("/view", view, "title", 24, (true, false));
        faults.text_object("/view", view, "submit", 24, (false, false));
        faults.text_object("/view", view, "close", 24, (false, false));
    }
    faults.text("/view", view, "private_metadata", (0, 3000), false);
    faults.text("/view", view, "callback_id", (0, 255), false);
    faults.text("/view", view, "external_id", (0, 255), false);
    let list = faults.list("/view", view, "blocks", MAX_VIEW_BLOCKS, true);
    each(list, &mut faults);
    let has_inputs = list.iter().any(|block| is(block, "input"));
    if kind == "modal" && has_inputs && view.get("submit").is_none_or(Value::is_null) {
        faults.add("/view/submit", "missing required field: submit");
    }
    faults.end("invalid_arguments")
}

/// Checks what an app offers in a menu; nothing is an offer too.
pub(crate) fn offer(answer: &Value) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    if answer.get("options").is_none() && answer.get("option_groups").is_none() {
        faults.add("/options", "missing required field: options");
    }
    element::choices("", answer, false, &mut faults);
    faults.end("invalid_options")
}

/// The ids of the blocks in which something can be filled in.
pub(crate) fn inputs(view: &Value) -> BTreeSet<&str> {
    let blocks = view.get("blocks").and_then(Value::as_array);
    let inputs = blocks.into_iter().flatten().filter(|it| is(it, "input"));
    inputs
        .filter_map(|it| it.get("block_id").and_then(Value::as_str))
        .collect()
}

fn is(value: &Value, kind: &str) -> bool {
    value.get("type").and_then(Value::as_str) == Some(kind)
}

fn each(list: &[Value], faults: &mut Faults) {
    let mut blocks_seen = BTreeSet::new();
    let mut actions_seen = BTreeSet::new();
    for (index, block) in list.iter().enumerate() {
        let at = format!("/blocks/{index}");
        faults.text(&at, block, "block_id", (0, 255), false);
        if let Some(id) = block.get("block_id").and_then(Value::as_str)
            && !id.is_empty()
            && !blocks_seen.insert(id)
        {
            faults.add(&at, "`block_id` values must be unique");
        }
        one(&at, block, &mut actions_seen, faults);
    }
}

fn one<'a>(at: &str, block: &'a Value, seen: &mut BTreeSet<&'a str>, faults: &mut Faults) {
    match block.get("type").and_then(Value::as_str) {
        Some("section") => section(at, block, seen, faults),
        Some("header") => faults.text_object(at, block, "text", 150, (true, false)),
        Some("divider" | "rich_text" | "video" | "file" | "table" | "task_card" | "plan") => {}
        Some("markdown") => faults.text(at, block, "text", (1, MAX_MARKDOWN), true),
        Some("image") => {
            faults.text(at, block, "alt_text", (1, 2000), true);
            faults.text_object(at, block, "title", 2000, (false, false));
            image(at, block, faults);
        }
        Some("context") => {
            for (index, part) in faults
                .list(at, block, "elements", 10, true)
                .iter()
                .enumerate()
            {
                let at = format!("{at}/elements/{index}");
                match part.get("type").and_then(Value::as_str) {
                    Some("image") => {
                        faults.text(&at, part, "alt_text", (1, 2000), true);
                        image(&at, part, faults);
                    }
                    Some("plain_text" | "mrkdwn") => {
                        faults.text(&at, part, "text", (1, 3000), true)
                    }
                    _ => faults.add(&at, "unsupported type"),
                }
            }
        }
        Some("actions" | "context_actions") => {
            for (index, part) in faults
                .list(at, block, "elements", 25, true)
                .iter()
                .enumerate()
            {
                element(&format!("{at}/elements/{index}"), part, seen, faults);
            }
        }
        Some("input") => {
            faults.text_object(at, block, "label", 2000, (true, false));
            faults.text_object(at, block, "hint", 2000, (false, false));
            match block.get("element") {
                Some(part) => element(&format!("{at}/element"), part, seen, faults),
                None => faults.add(at, "missing required field: element"),
            }
        }
        Some(other) => faults.add(
            at,
            &format!(
                "unsupported type: {}",
                other.chars().take(40).collect::<String>()
            ),
        ),
        None => faults.add(at, "missing required field: type"),
    }
}

fn section<'a>(at: &str, block: &'a Value, seen: &mut BTreeSet<&'a str>, faults: &mut Faults) {
    if block.get("text").is_none() && block.get("fields").is_none() {
        faults.add(at, "missing required field: text");
    }
    faults.text_object(at, block, "text", 3000, (false, true));
    for (index, field) in faults
        .list(at, block, "fields", 10, false)
        .iter()
        .enumerate()
    {
        faults.text(
            &format!("{at}/fields/{index}"),
            field,
            "text",
            (1, 2000),
            true,
        );
    }
    if let Some(part) = block.get("accessory") {
        element(&format!("{at}/accessory"), part, seen, faults);
    }
}

fn image(at: &str, owner: &Value, faults: &mut Faults) {
    if owner.get("image_url").is_none() && owner.get("slack_file").is_none() {
        faults.add(at, "missing required field: image_url");
    }
    faults.text(at, owner, "image_url", (1, 3000), false);
}

/// Gives a `block_id` to the blocks that have none, and an `action_id` to their elements.
pub(crate) fn name_blocks(blocks: &mut Value) {
    for (index, block) in blocks.as_array_mut().into_iter().flatten().enumerate() {
        let name = |owner: &mut Value, field: &str, id: String| {
            if owner.get(field).is_none() {
                super::events::set(owner, field, json!(id));
            }
        };
        name(block, "block_id", format!("b{index}"));
        let elements = block.get_mut("elements").and_then(Value::as_array_mut);
        for (inner, part) in elements.into_iter().flatten().enumerate() {
            if part.get("value").is_some() || part.get("options").is_some() {
                name(part, "action_id", format!("a{index}-{inner}"));
            }
        }
        for single in ["element", "accessory"] {
            if let Some(part) = block.get_mut(single) {
                name(part, "action_id", format!("a{index}"));
            }
        }
    }
}
