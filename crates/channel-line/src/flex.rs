//! Cards as Flex messages
//! (<https://developers.line.biz/en/docs/messaging-api/flex-message-elements/>).

use channel_core::{Card, CardBlock, Error, Tone};
use serde_json::{Value, json};

use crate::buttons::Buttons;
use crate::limits;
use crate::render::{cut, is_blank, is_media_url, plain};

/// What is said beside the point.
const PALE: &str = "#888888";

/// A Flex message; the words stand in for it in notices and where it cannot be shown.
pub(crate) fn message(words: &str, bubble: &Value) -> Value {
    let words = if is_blank(words) { "card" } else { words };
    json!({"type": "flex", "altText": cut(words, limits::ALT_TEXT), "contents": bubble})
}

/// A bubble whose body holds these.
pub(crate) fn bubble(contents: &[Value]) -> Value {
    let body = json!({"type": "box", "layout": "vertical", "spacing": "md", "contents": contents});
    json!({"type": "bubble", "body": body})
}

/// A button that does this.
pub(crate) fn button(action: &Value) -> Value {
    json!({"type": "button", "style": "secondary", "height": "sm", "action": action})
}

fn text(words: &str) -> Value {
    // LINE takes no empty text.
    let words = if is_blank(words) { "-" } else { words };
    json!({"type": "text", "text": words, "wrap": true})
}

fn with(mut component: Value, field: &str, value: Value) -> Value {
    if let Some(fields) = component.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
    component
}

/// A card in LINE's form; `None` if it is too large for one, and the card is to be sent as
/// words. Buttons of the message itself stand below those of the card.
pub(crate) fn card(
    card: &Card,
    below: &Buttons<'_>,
    operation: &'static str,
) -> Result<Option<Value>, Error> {
    let mut contents = Vec::new();
    if !is_blank(&card.title) {
        let title = with(text(&card.title), "weight", json!("bold"));
        let title = with(title, "size", json!("lg"));
        contents.push(match color(card.tone) {
            Some(color) => with(title, "color", json!(color)),
            None => title,
        });
    }
    for block in &card.blocks {
        push(&mut contents, block, operation)?;
    }
    push_buttons(&mut contents, below);
    if contents.is_empty() {
        return Ok(None);
    }
    let bubble = bubble(&contents);
    let size = serde_json::to_vec(&bubble).map_or(usize::MAX, |bytes| bytes.len());
    let words = card.to_content().to_plain();
    Ok((size <= limits::BUBBLE_BYTES).then(|| message(&words, &bubble)))
}

const fn color(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Good => Some("#1b7f3b"),
        Tone::Warning => Some("#b26a00"),
        Tone::Bad => Some("#c62828"),
        _ => None,
    }
}

fn push(
    contents: &mut Vec<Value>,
    block: &CardBlock,
    operation: &'static str,
) -> Result<(), Error> {
    match block {
        CardBlock::Text(body) => {
            let words = plain(body);
            if !is_blank(&words) {
                contents.push(text(&words));
            }
        }
        CardBlock::Fields(fields) => {
            contents.extend(fields.iter().map(|(name, value)| field(name, value)));
        }
        CardBlock::Image { url, alt } => picture(contents, url, alt),
        CardBlock::Divider => contents.push(json!({"type": "separator"})),
        CardBlock::Note(words) => {
            let note = with(text(words), "size", json!("xs"));
            contents.push(with(note, "color", json!(PALE)));
        }
        CardBlock::Actions(row) => push_buttons(contents, &Buttons::of(row, operation)?),
        CardBlock::Choice(choice) => {
            if !is_blank(&choice.prompt) {
                contents.push(text(&choice.prompt));
            }
            let options: Vec<_> = choice
                .options
                .iter()
                .map(|(label, value)| channel_core::Button::press(label.as_str(), value.as_str()))
                .collect();
            push_buttons(contents, &Buttons::of(&options, operation)?);
        }
        _ => {}
    }
    Ok(())
}

/// Name and value side by side.
fn field(name: &str, value: &str) -> Value {
    let name = with(with(text(name), "color", json!(PALE)), "flex", json!(2));
    let value = with(text(value), "flex", json!(5));
    json!({"type": "box", "layout": "baseline", "spacing": "sm", "contents": [name, value]})
}

fn picture(contents: &mut Vec<Value>, url: &str, alt: &str) {
    if !is_media_url(url) {
        contents.push(text(&format!("{alt} {url}")));
        return;
    }
    contents.push(json!({"type": "image", "url": url, "size": "full", "aspectMode": "fit"}));
    if !is_blank(alt) {
        let words = with(text(alt), "size", json!("xs"));
        contents.push(with(words, "color", json!(PALE)));
    }
}

fn push_buttons(contents: &mut Vec<Value>, buttons: &Buttons<'_>) {
    contents.extend(buttons.long_labels().map(|words| text(&words)));
    contents.extend(buttons.actions().iter().map(button));
}

#[cfg(test)]
mod tests {
    use channel_core::{Button, Choice};

    use super::*;

    fn of(it: &Card) -> Option<Value> {
        card(it, &Buttons::default(), "test").unwrap()
    }

    #[test]
    fn every_block_has_its_form() {
        let it = Card::new("Deploy #42")
            .tone(Tone::Bad)
            .text("Waits.")
            .field("Branch", "")
            .image("https://x.example/a.png", "a graph")
            .image("http://x.example/b.png", "no https")
            .divider()
            .note("small")
            .choice(Choice::new("where?", [("Live", "to:l")]))
            .actions([Button::open("Log", "https://x.example")]);
        let message = of(&it).unwrap();
        let body = &message["contents"]["body"]["contents"];
        assert_eq!(body[0]["color"], "#c62828");
        assert_eq!(body[2]["contents"][1]["text"], "-");
        assert_eq!(body[3]["url"], "https://x.example/a.png");
        assert_eq!(body[5]["text"], "no https http://x.example/b.png");
        assert_eq!(body[6]["type"], "separator");
        assert_eq!(body[8]["text"], "where?");
        assert_eq!(body[9]["action"]["data"], "to:l");
        assert_eq!(body[10]["action"]["uri"], "https://x.example");
        assert!(
            message["altText"]
                .as_str()
                .unwrap()
                .starts_with("Deploy #42")
        );
    }

    #[test]
    fn a_card_that_is_too_large_has_no_form() {
        assert!(of(&Card::new("x").text("w".repeat(29_000))).is_some());
        assert!(of(&Card::new("x").text("w".repeat(30_000))).is_none());
        assert!(of(&Card::new(" ")).is_none());
    }

    #[test]
    fn buttons_that_line_would_refuse_are_refused_here() {
        let long = Card::new("x").actions([Button::press("a", "v".repeat(301))]);
        let nowhere = Card::new("x").actions([Button::open("a", "javascript:x")]);
        let blank = Card::new("x").choice(Choice::new("?", [(" ", "v")]));
        for it in [long, nowhere, blank] {
            assert!(card(&it, &Buttons::default(), "test").is_err());
        }
    }
}
