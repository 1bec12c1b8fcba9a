//! Flex messages: the shape of containers and components, and their sizes.
//! <https://developers.line.biz/en/reference/messaging-api/#flex-message>

use serde_json::Value;

use super::super::answer::Detail;
use super::object::ALT_TEXT;
use super::{Check, graphemes, kind};

/// Bubbles in a carousel.
const MAX_BUBBLES: usize = 12;
/// A bubble and a carousel as JSON, in bytes.
const MAX_BUBBLE: usize = 30 * 1024;
const MAX_CAROUSEL: usize = 50 * 1024;
/// Nested boxes.
const MAX_DEPTH: usize = 32;

impl Check {
    pub(super) fn flex(&mut self, message: &Value, index: usize) {
        self.text(message, &format!("messages[{index}]"), "altText", ALT_TEXT);
        let mut flex = Flex(Self::default());
        flex.container(message.get("contents").unwrap_or(&Value::Null));
        if self.flex.is_none() && !flex.0.details.is_empty() {
            self.flex = Some((index, flex.0.details));
        }
    }
}

/// What is wrong with a container, at JSON pointers.
struct Flex(Check);

impl Flex {
    fn fail(&mut self, path: &str, message: &str) {
        self.0.details.push(Detail {
            message: message.to_owned(),
            property: if path.is_empty() { "/" } else { path }.to_owned(),
        });
    }

    fn container(&mut self, container: &Value) {
        match kind(container) {
            "bubble" => self.bubble(container, ""),
            "carousel" => {
                let bubbles = container.get("contents").and_then(Value::as_array);
                let bubbles = bubbles.map(Vec::as_slice).unwrap_or_default();
                if bubbles.is_empty() || bubbles.len() > MAX_BUBBLES {
                    return self.fail("/contents", "the number of bubbles is invalid");
                }
                for (index, bubble) in bubbles.iter().enumerate() {
                    let path = format!("/contents/{index}");
                    if kind(bubble) == "bubble" {
                        self.bubble(bubble, &path);
                    } else {
                        self.fail(&format!("{path}/type"), "must be a bubble");
                    }
                }
                if container.to_string().len() > MAX_CAROUSEL {
                    self.fail("", "the carousel is too large");
                }
            }
            _ => self.fail("/type", "must be bubble or carousel"),
        }
    }

    fn bubble(&mut self, bubble: &Value, path: &str) {
        let mut blocks = 0;
        for (block, kinds) in [
            ("header", &["box"][..]),
            ("hero", &["box", "image", "video"]),
            ("body", &["box"]),
            ("footer", &["box"]),
        ] {
            let Some(component) = bubble.get(block).filter(|block| !block.is_null()) else {
                continue;
            };
            blocks += 1;
            let path = format!("{path}/{block}");
            if kinds.contains(&kind(component)) {
                self.component(component, &path, 0);
            } else {
                self.fail(&format!("{path}/type"), "invalid component");
            }
        }
        if blocks == 0 {
            self.fail(path, "At least one block must be specified");
        }
        if bubble.to_string().len() > MAX_BUBBLE {
            self.fail(path, "the bubble is too large");
        }
    }

    fn component(&mut self, component: &Value, path: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return self.fail(path, "too deeply nested");
        }
        match kind(component) {
            "box" => self.children(component, path, depth),
            "button" => {
                if component.get("action").is_none() {
                    self.fail(&format!("{path}/action"), "must be specified");
                }
            }
            "image" | "icon" | "video" => self.words(component, path, "url"),
            "text" if component.get("contents").is_some() => {}
            "text" | "span" => self.words(component, path, "text"),
            "separator" | "filler" => {}
            _ => self.fail(&format!("{path}/type"), "unknown component"),
        }
        if let Some(action) = component.get("action").filter(|action| !action.is_null()) {
            let label = (kind(component) == "button").then_some(graphemes(40));
            let mut check = Check::default();
            check.one_action(action, "", label, false);
            for detail in check.details {
                let property = format!("{path}/action{}", detail.property.replace('.', "/"));
                self.fail(&property, &detail.message);
            }
        }
    }

    fn children(&mut self, component: &Value, path: &str, depth: usize) {
        let layout = component.get("layout").and_then(Value::as_str);
        if !matches!(layout, Some("horizontal" | "vertical" | "baseline")) {
            self.fail(&format!("{path}/layout"), "invalid property");
        }
        let Some(contents) = component.get("contents").and_then(Value::as_array) else {
            return self.fail(&format!("{path}/contents"), "must be specified");
        };
        for (index, child) in contents.iter().enumerate() {
            self.component(child, &format!("{path}/contents/{index}"), depth + 1);
        }
    }

    /// A text that has to be there and have something in it.
    fn words(&mut self, component: &Value, path: &str, field: &str) {
        let words = component.get(field).and_then(Value::as_str);
        if words.is_none_or(str::is_empty) {
            self.fail(&format!("{path}/{field}"), "must be non-empty text");
        }
    }
}
