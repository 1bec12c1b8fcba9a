//! Template messages. <https://developers.line.biz/en/reference/messaging-api/#template-messages>

use serde_json::Value;

use super::object::ALT_TEXT;
use super::{Check, graphemes, kind};

impl Check {
    pub(super) fn template(&mut self, message: &Value, path: &str) {
        self.text(message, path, "altText", ALT_TEXT);
        let path = format!("{path}.template");
        let Some(template) = message
            .get("template")
            .filter(|template| template.is_object())
        else {
            return self.fail(path, "May not be null");
        };
        let path = path.as_str();
        match kind(template) {
            "buttons" => {
                self.picture(template, path, (160, 60));
                self.actions(template, path, graphemes(20), (1, 4));
            }
            "confirm" => {
                self.text(template, path, "text", graphemes(240));
                self.actions(template, path, graphemes(20), (2, 2));
            }
            "carousel" => self.carousel(template, path),
            "image_carousel" => {
                let columns = self.list(template, path, "columns", (1, 10));
                for (index, column) in columns.iter().enumerate() {
                    let path = format!("{path}.columns[{index}]");
                    self.media(column, &path, "imageUrl");
                    let action = column.get("action").unwrap_or(&Value::Null);
                    let path = format!("{path}.action");
                    self.optional(action, &path, "label", graphemes(12));
                    self.one_action(action, &path, None, false);
                }
            }
            _ => self.one_of(
                format!("{path}.type"),
                "buttons, confirm, carousel, image_carousel",
            ),
        }
    }

    fn carousel(&mut self, template: &Value, path: &str) {
        let columns = self.list(template, path, "columns", (1, 10));
        let count = |column: &Value| {
            column
                .get("actions")
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
        };
        for (index, column) in columns.iter().enumerate() {
            let path = format!("{path}.columns[{index}]");
            self.picture(column, &path, (120, 60));
            self.actions(column, &path, graphemes(20), (1, 3));
        }
        if columns.windows(2).any(|pair| match pair {
            [one, next] => count(one) != count(next),
            _ => false,
        }) {
            self.fail(
                format!("{path}.columns"),
                "The number of actions must be the same in all columns",
            );
        }
    }

    /// Picture, title and text, which is shorter below a picture or title.
    fn picture(&mut self, object: &Value, path: &str, (alone, below): (usize, usize)) {
        self.optional_media(object, path, "thumbnailImageUrl");
        self.optional(object, path, "title", graphemes(40));
        let is_below = ["thumbnailImageUrl", "title"]
            .iter()
            .any(|field| object.get(field).is_some_and(|value| !value.is_null()));
        let limit = if is_below { below } else { alone };
        self.text(object, path, "text", graphemes(limit));
        if let Some(action) = object.get("defaultAction").filter(|a| !a.is_null()) {
            self.one_action(action, &format!("{path}.defaultAction"), None, false);
        }
    }
}
