//! The rules for message objects. <https://developers.line.biz/en/reference/messaging-api/#message-objects>

mod action;
mod flex;
mod object;
mod template;

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation as _;

use super::answer::{ApiError, Detail};

/// Messages in one call.
const MAX_MESSAGES: usize = 5;
/// Every kind of message object.
const KINDS: &str =
    "text, textV2, sticker, image, video, audio, location, imagemap, template, flex, coupon";

/// Collects what is wrong with a body.
#[derive(Debug, Default)]
pub(crate) struct Check {
    details: Vec<Detail>,
    /// Flex messages are checked by another part of the platform, which answers for the first one that is wrong.
    flex: Option<(usize, Vec<Detail>)>,
}

/// How long a text may be.
#[derive(Clone, Copy)]
pub(crate) struct Length {
    min: usize,
    max: usize,
    unit: fn(&str) -> usize,
}

/// Counted in UTF-16 code units.
const fn units(max: usize) -> Length {
    Length {
        min: 1,
        max,
        unit: |text| text.encode_utf16().count(),
    }
}

/// Counted in grapheme clusters.
const fn graphemes(max: usize) -> Length {
    Length {
        min: 1,
        max,
        unit: |text| text.graphemes(true).count(),
    }
}

impl Check {
    pub(crate) fn fail(&mut self, property: impl Into<String>, message: impl Into<String>) {
        self.details.push(Detail {
            message: message.into(),
            property: property.into(),
        });
    }

    fn one_of(&mut self, property: impl Into<String>, values: &str) {
        self.fail(
            property,
            format!("Must be one of the following values: [{values}]"),
        );
    }

    /// A text that has to be there.
    pub(crate) fn text(&mut self, object: &Value, path: &str, field: &str, length: Length) {
        match object.get(field) {
            None | Some(Value::Null) => self.fail(format!("{path}.{field}"), "May not be empty"),
            Some(_) => self.optional(object, path, field, length),
        }
    }

    /// A text that may be left out.
    pub(crate) fn optional(&mut self, object: &Value, path: &str, field: &str, length: Length) {
        let property = format!("{path}.{field}");
        match object.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                let count = (length.unit)(text);
                if count < length.min {
                    self.fail(property, "May not be empty");
                } else if count > length.max {
                    let message = format!("Length must be between 0 and {}", length.max);
                    self.fail(property, message);
                }
            }
            Some(_) => self.fail(property, "Must be a string"),
        }
    }

    /// An address for media: HTTPS and at most 2000 characters.
    fn media(&mut self, object: &Value, path: &str, field: &str) {
        let before = self.details.len();
        self.text(object, path, field, units(2000));
        let is_https = object
            .get(field)
            .and_then(Value::as_str)
            .and_then(|text| url::Url::parse(text).ok())
            .is_some_and(|url| url.scheme() == "https");
        if self.details.len() == before && !is_https {
            self.fail(format!("{path}.{field}"), "Must be a valid HTTPS URL");
        }
    }

    /// A media address that may be left out.
    fn optional_media(&mut self, object: &Value, path: &str, field: &str) {
        if object.get(field).is_some_and(|value| !value.is_null()) {
            self.media(object, path, field);
        }
    }

    fn number(&mut self, object: &Value, path: &str, field: &str) {
        match object.get(field) {
            Some(Value::Number(_)) => {}
            None | Some(Value::Null) => self.fail(format!("{path}.{field}"), "May not be null"),
            Some(_) => self.fail(format!("{path}.{field}"), "Must be a number"),
        }
    }

    /// A list with a bounded number of elements.
    fn list<'a>(
        &mut self,
        object: &'a Value,
        path: &str,
        field: &str,
        (min, max): (usize, usize),
    ) -> &'a [Value] {
        let property = format!("{path}.{field}");
        let Some(list) = object.get(field).and_then(Value::as_array) else {
            self.fail(property, "May not be empty");
            return &[];
        };
        if !(min..=max).contains(&list.len()) {
            self.fail(property, format!("Size must be between {min} and {max}"));
        }
        list.get(..max.min(list.len())).unwrap_or_default()
    }

    /// `messages` of a body.
    pub(crate) fn messages<'a>(&mut self, body: &'a Value) -> &'a [Value] {
        let Some(list) = body.get("messages").and_then(Value::as_array) else {
            self.fail("messages", "May not be empty");
            return &[];
        };
        if list.is_empty() || list.len() > MAX_MESSAGES {
            self.fail(
                "messages",
                format!("Size must be between 1 and {MAX_MESSAGES}"),
            );
            return &[];
        }
        for (index, message) in list.iter().enumerate() {
            self.message(message, index);
        }
        list
    }

    pub(crate) fn done(self) -> Result<(), ApiError> {
        if !self.details.is_empty() {
            return Err(ApiError::body(self.details));
        }
        match self.flex {
            Some((index, details)) => Err(ApiError {
                details,
                ..ApiError::bad(format!(
                    "A message (messages[{index}]) in the request body is invalid"
                ))
            }),
            None => Ok(()),
        }
    }
}

fn kind(object: &Value) -> &str {
    object.get("type").and_then(Value::as_str).unwrap_or("")
}
