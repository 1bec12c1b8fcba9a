//! Cards, version 2.0 of their JSON
//! (<https://open.feishu.cn/document/feishu-cards/card-json-v2-structure>).

use channel_core::{Button, ButtonAction, Card, CardBlock, Choice, Result, Tone};
use serde_json::{Map, Value, json};

use crate::error::invalid;
use crate::{limits, render};

/// The element that a streamed answer grows in.
pub(crate) const STREAMED: &str = "answer";

/// Where the buttons of a card will stand, which a press does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scene<'a> {
    pub(crate) is_direct: bool,
    pub(crate) thread: Option<&'a str>,
}

/// A card that holds these elements.
pub(crate) fn of(elements: &[Value]) -> Value {
    json!({"schema": "2.0", "config": {"update_multi": true}, "body": {"elements": elements}})
}

/// A card whose only element grows
/// (<https://open.feishu.cn/document/cardkit-v1/streaming-updates-openapi-overview>).
pub(crate) fn streaming(markdown: &str) -> Value {
    let element = json!({"tag": "markdown", "element_id": STREAMED, "content": markdown});
    let config = json!({"update_multi": true, "streaming_mode": true,
        "summary": {"content": "\u{2026}"}});
    let mut card = of(&[element]);
    set(&mut card, "config", config);
    card
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// A card of the portable kind below other elements; `None` if it is more than Feishu takes.
pub(crate) fn portable(
    card: &Card,
    above: Vec<Value>,
    below: &[Vec<Button>],
    scene: Scene<'_>,
    operation: &'static str,
) -> Result<Option<Value>> {
    let mut elements = above;
    for block in &card.blocks {
        match block {
            CardBlock::Text(body) => elements.extend(render::elements(body)),
            CardBlock::Fields(fields) => elements.push(fields_element(fields)),
            // Feishu shows pictures that were uploaded; others are a link to look at.
            CardBlock::Image { url, alt } => {
                let shown = if alt.is_empty() { url } else { alt };
                let link = channel_core::Inline::link(url.as_str(), shown.as_str());
                let body = channel_core::Content::paragraph([link]).into();
                elements.extend(render::elements(&body));
            }
            CardBlock::Divider => elements.push(json!({"tag": "hr"})),
            CardBlock::Note(text) => elements.push(json!({"tag": "div",
                "text": {"tag": "plain_text", "content": text, "text_size": "notation", "text_color": "grey"}})),
            CardBlock::Actions(row) => elements.extend(rows(std::slice::from_ref(row), scene, operation)?),
            CardBlock::Choice(choice) => elements.extend(choice_elements(choice, scene, operation)?),
            _ => {}
        }
    }
    elements.extend(rows(below, scene, operation)?);
    let mut value = of(&elements);
    if !card.title.is_empty() {
        let template = match card.tone {
            Tone::Good => "green",
            Tone::Warning => "orange",
            Tone::Bad => "red",
            _ => "blue",
        };
        let header =
            json!({"title": {"tag": "plain_text", "content": card.title}, "template": template});
        set(&mut value, "header", header);
    }
    Ok(fits(&value).then_some(value))
}

/// Whether Feishu takes a card of this size.
pub(crate) fn fits(card: &Value) -> bool {
    card.to_string().len() <= limits::CONTENT
}

fn fields_element(fields: &[(String, String)]) -> Value {
    let lines = fields.iter().map(|(name, value)| {
        let (name, value) = (render::escape(name), render::escape(value));
        format!("**{name}:** {value}")
    });
    json!({"tag": "markdown", "content": lines.collect::<Vec<_>>().join("\n")})
}

/// Rows of buttons, wrapped where one is too long for a phone.
pub(crate) fn rows(
    rows: &[Vec<Button>],
    scene: Scene<'_>,
    operation: &'static str,
) -> Result<Vec<Value>> {
    let mut elements = Vec::new();
    for row in rows.iter().flat_map(|row| row.chunks(limits::ROW)) {
        let columns = row
            .iter()
            .map(|button| {
                let button = self::button(button, scene, operation)?;
                Ok(json!({"tag": "column", "width": "auto", "elements": [button]}))
            })
            .collect::<Result<Vec<_>>>()?;
        elements.push(json!({"tag": "column_set", "flex_mode": "flow", "columns": columns}));
    }
    Ok(elements)
}

fn button(button: &Button, scene: Scene<'_>, operation: &'static str) -> Result<Value> {
    if render::is_blank(&button.label) {
        return Err(invalid("a button needs a label", operation));
    }
    let behavior = match &button.action {
        ButtonAction::Press(value) => {
            json!({"type": "callback", "value": carried(value, scene, operation)?})
        }
        ButtonAction::Open(url) => {
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(invalid(
                    "a button opens http and https addresses",
                    operation,
                ));
            }
            json!({"type": "open_url", "default_url": url})
        }
        _ => return Err(invalid("feishu has no such button", operation)),
    };
    Ok(json!({"tag": "button", "type": "default",
        "text": {"tag": "plain_text", "content": button.label}, "behaviors": [behavior]}))
}

/// What a button carries: its value, and where it stands.
fn carried(value: &str, scene: Scene<'_>, operation: &'static str) -> Result<Value> {
    if value.len() > limits::VALUE {
        let words = format!(
            "the value of a button is {} bytes, limit is {}",
            value.len(),
            limits::VALUE
        );
        return Err(invalid(words, operation));
    }
    let mut fields = place(scene);
    fields.insert("kit".to_owned(), json!(value));
    Ok(Value::Object(fields))
}

fn place(scene: Scene<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    if scene.is_direct {
        fields.insert("direct".to_owned(), json!(true));
    }
    if let Some(thread) = scene.thread {
        fields.insert("thread".to_owned(), json!(thread));
    }
    fields
}

fn choice_elements(
    choice: &Choice,
    scene: Scene<'_>,
    operation: &'static str,
) -> Result<Vec<Value>> {
    let too_long = choice
        .options
        .iter()
        .any(|(_, value)| value.len() > limits::VALUE);
    if too_long || choice.options.is_empty() {
        return Err(invalid(
            "a choice needs options with values of at most 2000 bytes",
            operation,
        ));
    }
    let options: Vec<_> = choice
        .options
        .iter()
        .map(|(label, value)| json!({"text": {"tag": "plain_text", "content": label}, "value": value}))
        .collect();
    let mut elements = render::elements(&channel_core::Body::plain(choice.prompt.as_str()));
    elements.push(json!({"tag": "select_static",
        "placeholder": {"tag": "plain_text", "content": "\u{2026}"}, "options": options,
        "behaviors": [{"type": "callback", "value": place(scene)}]}));
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_what_the_documentation_shows() {
        let card = Card::new("Deploy")
            .tone(Tone::Warning)
            .text("Waits *here*.")
            .field("Branch", "main")
            .divider()
            .note("small")
            .actions([
                Button::press("Go", "go"),
                Button::open("See", "https://e.x"),
            ])
            .choice(Choice::new("which?", [("One", "1")]));
        let scene = Scene {
            is_direct: true,
            thread: Some("omt_1"),
        };
        let value = portable(&card, Vec::new(), &[], scene, "test")
            .unwrap()
            .unwrap();
        assert_eq!(value["schema"], "2.0");
        assert_eq!(value["header"]["template"], "orange");
        let elements = &value["body"]["elements"];
        assert_eq!(elements[0]["text"]["content"], "Waits *here*.");
        assert_eq!(elements[1]["content"], "**Branch:** main");
        let button = &elements[4]["columns"][0]["elements"][0];
        let wanted = json!({"kit": "go", "direct": true, "thread": "omt_1"});
        assert_eq!(button["behaviors"][0]["value"], wanted);
        assert_eq!(elements[6]["options"][0]["value"], "1");
    }

    #[test]
    fn what_feishu_cannot_take_is_said_before() {
        let rows = |button| rows(&[vec![button]], Scene::default(), "test");
        assert!(rows(Button::press(" ", "x")).is_err());
        assert!(rows(Button::press("x", "y".repeat(2001))).is_err());
        assert!(rows(Button::open("x", "javascript:alert(1)")).is_err());
        let huge = Card::new("x").text("y".repeat(40_000));
        assert!(
            portable(&huge, Vec::new(), &[], Scene::default(), "test")
                .unwrap()
                .is_none()
        );
    }
}
