//! Template cards (<https://developer.work.weixin.qq.com/document/path/101032>).

use channel_core::{
    Body, Button, ButtonAction, Card, CardBlock, Choice, Error, ErrorKind, OutboundMessage, Random,
    Result,
};
use serde_json::{Value, json};

use crate::PLATFORM;
use crate::error::invalid;
use crate::limits::{BUTTONS, CARD_JUMPS, CARD_ROWS, KEY_BYTES, OPTIONS};
use crate::render;

const OPERATION: &str = "send card";
/// How much of a title and of the words below it is shown, in characters.
const TITLE: usize = 26;
const WORDS: usize = 112;
/// The same of a field's name and of a link.
const FIELD_NAME: usize = 12;
const LINK: usize = 13;
/// Where a card leads that leads nowhere: WeCom insists on an address.
pub(crate) const NOWHERE: &str = "https://work.weixin.qq.com";
/// The key of a button that sends a choice; the option is what counts.
const SUBMIT: &str = "submit";

/// What the parts of a card come to.
#[derive(Default)]
struct Parts<'a> {
    words: Vec<String>,
    fields: Vec<Value>,
    links: Vec<(String, String)>,
    presses: Vec<(&'a str, &'a str)>,
    choices: Vec<&'a Choice>,
}

/// Whether people see all of a card: WeCom shows the beginning of what is longer.
fn fits(card: &Card) -> bool {
    let mut parts = Parts::default();
    card.blocks.iter().for_each(|block| parts.add(block));
    let short = |text: &str, max: usize| text.chars().count() <= max;
    let fields = card.blocks.iter().filter_map(|block| match block {
        CardBlock::Fields(fields) => Some(fields),
        _ => None,
    });
    short(&card.title, TITLE)
        && short(&parts.words.join("\n"), WORDS)
        && fields
            .flatten()
            .all(|(name, value)| short(name, FIELD_NAME) && short(value, TITLE))
        && parts.links.iter().all(|(title, _)| short(title, LINK))
}

/// A card in WeCom's form; `None` if it has none for it, and the card is to be sent as
/// words. `task` has to be unique for the bot. A card that nobody can press has to lead
/// somewhere: to its first link, or to `otherwise`.
pub(crate) fn template(card: &Card, task: &str, otherwise: Option<&str>) -> Result<Option<Value>> {
    let mut parts = Parts::default();
    for block in &card.blocks {
        parts.add(block);
    }
    if !parts.presses.is_empty() || parts.choices.len() > 1 {
        let prompts = parts.choices.iter().map(|choice| choice.prompt.clone());
        parts.words.extend(prompts.collect::<Vec<_>>());
    }
    if parts.fields.len() > CARD_ROWS || parts.links.len() > CARD_JUMPS {
        return Ok(None);
    }
    let mut template = json!({"task_id": task});
    let fields = &mut template;
    let title = render::cut(&card.title, TITLE);
    let words = render::cut(&parts.words.join("\n"), WORDS);
    set(
        fields,
        "main_title",
        (!title.is_empty()).then(|| json!({"title": title})),
    );
    let links = parts
        .links
        .iter()
        .map(|(title, url)| json!({"type": 1, "title": render::cut(title, LINK), "url": url}));
    match (parts.presses.as_slice(), parts.choices.as_slice()) {
        ([], [choice]) => vote(fields, choice)?,
        ([], []) => {
            // A notice has to lead somewhere.
            let first = parts.links.first().map(|(_, url)| url.as_str());
            let Some(url) = first.or(otherwise) else {
                return Ok(None);
            };
            set(fields, "card_type", Some(json!("text_notice")));
            set(fields, "card_action", Some(json!({"type": 1, "url": url})));
        }
        (presses, choices) => {
            let options = choices.iter().flat_map(|choice| &choice.options);
            let options = options.map(|(label, value)| (label.as_str(), value.as_str()));
            let all: Vec<_> = presses.iter().copied().chain(options).collect();
            press(fields, &all)?;
        }
    }
    if fields.get("checkbox").is_none() {
        set(
            fields,
            "sub_title_text",
            (!words.is_empty()).then(|| json!(words)),
        );
        let links: Vec<_> = links.collect();
        set(
            fields,
            "jump_list",
            (!links.is_empty()).then(|| json!(links)),
        );
        let rows = parts.fields;
        set(
            fields,
            "horizontal_content_list",
            (!rows.is_empty()).then(|| json!(rows)),
        );
        if title.is_empty() && words.is_empty() {
            return Ok(None);
        }
    } else if let Some(main) = fields.get_mut("main_title") {
        set(
            main,
            "desc",
            (!words.is_empty()).then(|| json!(render::cut(&words, 30))),
        );
    }
    Ok(Some(template))
}

/// Sets a field of an object, if there is something to set.
pub(crate) fn set(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(name.to_owned(), value);
    }
}

fn press(fields: &mut Value, presses: &[(&str, &str)]) -> Result<()> {
    if presses.len() > BUTTONS {
        return Err(invalid(
            format!("a card has {} buttons, limit is {BUTTONS}", presses.len()),
            OPERATION,
        ));
    }
    let mut list = Vec::with_capacity(presses.len());
    for (label, value) in presses {
        list.push(json!({"text": render::cut(label, 10), "style": 1, "key": key(value)?}));
    }
    set(fields, "card_type", Some(json!("button_interaction")));
    set(fields, "button_list", Some(json!(list)));
    Ok(())
}

fn vote(fields: &mut Value, choice: &Choice) -> Result<()> {
    if choice.options.is_empty() || choice.options.len() > OPTIONS {
        return Err(invalid(
            format!("a choice has 1 to {OPTIONS} options"),
            OPERATION,
        ));
    }
    let mut options = Vec::with_capacity(choice.options.len());
    for (label, value) in &choice.options {
        options.push(json!({"id": key(value)?, "text": render::cut(label, 11)}));
    }
    if fields.get("main_title").is_none() {
        let title = render::cut(&choice.prompt, TITLE);
        set(fields, "main_title", Some(json!({"title": title})));
    }
    set(fields, "card_type", Some(json!("vote_interaction")));
    let list = json!({"question_key": "choice", "mode": 0, "option_list": options});
    set(fields, "checkbox", Some(list));
    set(
        fields,
        "submit_button",
        Some(json!({"text": "OK", "key": SUBMIT})),
    );
    Ok(())
}

fn key(value: &str) -> Result<&str> {
    if value.is_empty() || value.len() > KEY_BYTES {
        return Err(invalid(
            format!(
                "a button's value is {} bytes, it has to be 1 to {KEY_BYTES}",
                value.len()
            ),
            OPERATION,
        ));
    }
    Ok(value)
}

impl<'a> Parts<'a> {
    fn add(&mut self, block: &'a CardBlock) {
        match block {
            CardBlock::Text(body) => self.words.push(render::plain(body)),
            CardBlock::Note(text) => self.words.push(text.clone()),
            CardBlock::Fields(fields) => {
                let rows = fields.iter().map(|(name, value)| {
                    json!({"keyname": render::cut(name, FIELD_NAME), "value": render::cut(value, TITLE)})
                });
                self.fields.extend(rows);
            }
            CardBlock::Image { url, alt } => {
                let title = if alt.is_empty() { url } else { alt };
                self.links.push((title.clone(), url.clone()));
            }
            CardBlock::Actions(row) => row.iter().for_each(|button| self.button(button)),
            CardBlock::Choice(choice) => self.choices.push(choice),
            _ => {}
        }
    }

    fn button(&mut self, button: &'a Button) {
        match &button.action {
            ButtonAction::Press(value) => self.presses.push((&button.label, value)),
            ButtonAction::Open(url) => self.links.push((button.label.clone(), url.clone())),
            _ => {}
        }
    }
}

/// A message whose card and buttons are to be sent natively: what goes first as words, and
/// the card. `None` if there is no native form.
pub(crate) struct Split {
    /// Whether the words of the message are in the card already.
    pub(crate) holds_words: bool,
    /// What people would not see of the card, to be sent before it.
    pub(crate) before: Option<Body>,
    pub(crate) card: Value,
}

/// Finds the native form of a message's card and buttons.
pub(crate) fn of_message(message: &OutboundMessage, random: &dyn Random) -> Result<Option<Split>> {
    let buttons = message.buttons.iter().flatten().cloned();
    if let Some(card) = &message.card {
        let mut card = (**card).clone();
        let buttons: Vec<_> = buttons.collect();
        if !buttons.is_empty() {
            card = card.actions(buttons);
        }
        let before = (!fits(&card)).then(|| Body::Content(card.to_content()));
        let template = template(&card, &task(random), None)?;
        return Ok(template.map(|card| Split {
            holds_words: false,
            before,
            card,
        }));
    }
    if message.buttons.iter().all(Vec::is_empty) {
        return Ok(None);
    }
    let words = render::plain(&message.body);
    let short = words.chars().count() <= WORDS && message.attachments.is_empty();
    let last = words.lines().last().unwrap_or_default();
    let card = if short && words.chars().count() > TITLE {
        Card::new("").text(words.as_str())
    } else {
        Card::new(render::cut(last, TITLE))
    };
    let template = template(&card.actions(buttons), &task(random), None)?;
    Ok(template.map(|card| Split {
        holds_words: short,
        before: None,
        card,
    }))
}

/// A card that takes the place of one that was sent: it has to have a form.
pub(crate) fn for_update(card: &Card, task: &str) -> Result<Value> {
    template(card, task, Some(NOWHERE))?.ok_or_else(|| {
        let message = "wecom has no form for the card";
        Error::new(ErrorKind::Unsupported, message).on(PLATFORM, "update card")
    })
}

/// The id of a card.
pub(crate) fn task_of(card: &Value) -> Option<&str> {
    card.get("task_id")?.as_str()
}

/// A task id: letters and digits, unique for the bot.
pub(crate) fn task(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_become_what_wecom_has_for_them() {
        let buttons = Card::new("Deploy #42")
            .text("Waits for your word.")
            .field("Branch", "main")
            .actions([
                Button::press("Approve", "yes"),
                Button::open("Log", "https://x.example"),
            ]);
        assert_eq!(
            template(&buttons, "t1", None).unwrap().unwrap(),
            json!({"task_id": "t1", "card_type": "button_interaction", "main_title": {"title": "Deploy #42"},
                "sub_title_text": "Waits for your word.",
                "button_list": [{"text": "Approve", "style": 1, "key": "yes"}],
                "jump_list": [{"type": 1, "title": "Log", "url": "https://x.example"}],
                "horizontal_content_list": [{"keyname": "Branch", "value": "main"}]})
        );
        let vote =
            Card::new("Lunch?").choice(Choice::new("what", [("Rice", "r"), ("Noodles", "n")]));
        let vote = template(&vote, "t2", None).unwrap().unwrap();
        assert_eq!(vote["card_type"], "vote_interaction");
        assert_eq!(
            vote["checkbox"]["option_list"][1],
            json!({"id": "n", "text": "Noodles"})
        );
        let notice = Card::new("Done").actions([Button::open("See", "https://x.example")]);
        let notice = template(&notice, "t3", None).unwrap().unwrap();
        assert_eq!(notice["card_action"]["url"], "https://x.example");
        // Nothing to press and nowhere to lead: words.
        assert!(
            template(&Card::new("Hello").text("there"), "t4", None)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn cards_that_wecom_would_refuse_are_refused_here() {
        let row = |n: usize| (0..n).map(|n| Button::press(n.to_string(), n.to_string()));
        assert!(
            template(&Card::new("x").actions(row(6)), "t", None)
                .unwrap()
                .is_some()
        );
        assert!(template(&Card::new("x").actions(row(7)), "t", None).is_err());
        let long = Card::new("x").actions([Button::press("a", "v".repeat(1025))]);
        assert!(template(&long, "t", None).is_err());
    }
}
