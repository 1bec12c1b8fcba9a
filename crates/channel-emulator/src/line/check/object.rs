//! Message objects and what all of them can have.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Check, KINDS, Length, graphemes, kind, units};

/// Emojis in one text.
const MAX_EMOJIS: usize = 20;
/// Buttons of a quick reply.
const MAX_QUICK: usize = 13;

impl Check {
    pub(super) fn message(&mut self, message: &Value, index: usize) {
        let path = format!("messages[{index}]");
        let path = path.as_str();
        match kind(message) {
            "text" => {
                self.text(message, path, "text", units(5000));
                self.emojis(message, path);
            }
            "textV2" => self.text_v2(message, path),
            "sticker" => {
                self.text(message, path, "packageId", units(20));
                self.text(message, path, "stickerId", units(20));
            }
            "image" => {
                self.media(message, path, "originalContentUrl");
                self.media(message, path, "previewImageUrl");
            }
            "video" => {
                self.media(message, path, "originalContentUrl");
                self.media(message, path, "previewImageUrl");
                self.optional(message, path, "trackingId", units(100));
            }
            "audio" => {
                self.media(message, path, "originalContentUrl");
                self.number(message, path, "duration");
            }
            "location" => {
                self.text(message, path, "title", units(100));
                self.text(message, path, "address", units(100));
                self.number(message, path, "latitude");
                self.number(message, path, "longitude");
            }
            "imagemap" => self.imagemap(message, path),
            "template" => self.template(message, path),
            "flex" => self.flex(message, index),
            "coupon" => self.text(message, path, "couponId", units(100)),
            _ => self.one_of(format!("{path}.type"), KINDS),
        }
        self.common(message, path);
    }

    fn common(&mut self, message: &Value, path: &str) {
        if let Some(sender) = message.get("sender").filter(|sender| !sender.is_null()) {
            let path = format!("{path}.sender");
            self.optional(sender, &path, "name", graphemes(20));
            self.optional_media(sender, &path, "iconUrl");
        }
        if message
            .get("quoteToken")
            .is_some_and(|token| !token.is_null())
        {
            if matches!(kind(message), "text" | "textV2" | "sticker") {
                self.text(message, path, "quoteToken", units(1000));
            } else {
                self.fail(format!("{path}.quoteToken"), "Unknown property");
            }
        }
        if let Some(quick) = message.get("quickReply").filter(|quick| !quick.is_null()) {
            let path = format!("{path}.quickReply");
            let items = self.list(quick, &path, "items", (1, MAX_QUICK));
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}.items[{index}]");
                if kind(item) != "action" {
                    self.one_of(format!("{path}.type"), "action");
                }
                self.optional_media(item, &path, "imageUrl");
                self.action(item, &path, graphemes(20), true);
            }
        }
    }

    fn emojis(&mut self, message: &Value, path: &str) {
        let Some(emojis) = message.get("emojis").filter(|emojis| !emojis.is_null()) else {
            return;
        };
        let path = format!("{path}.emojis");
        let Some(emojis) = emojis.as_array() else {
            return self.fail(path, "Must be an array");
        };
        if emojis.len() > MAX_EMOJIS {
            return self.fail(path, format!("Size must be between 0 and {MAX_EMOJIS}"));
        }
        let text = message.get("text").and_then(Value::as_str).unwrap_or("");
        let text: Vec<u16> = text.encode_utf16().collect();
        for (number, emoji) in emojis.iter().enumerate() {
            let path = format!("{path}[{number}]");
            self.text(emoji, &path, "productId", units(100));
            self.text(emoji, &path, "emojiId", units(100));
            let index = emoji.get("index").and_then(Value::as_u64);
            let index = index.and_then(|index| usize::try_from(index).ok());
            if index.and_then(|index| text.get(index)) != Some(&u16::from(b'$')) {
                self.fail(format!("{path}.index"), "An emoji index is invalid");
            }
        }
    }

    /// <https://developers.line.biz/en/reference/messaging-api/#text-message-v2>
    fn text_v2(&mut self, message: &Value, path: &str) {
        self.text(message, path, "text", units(5000));
        let text = message.get("text").and_then(Value::as_str).unwrap_or("");
        let Some(holes) = holes(text) else {
            return self.fail(format!("{path}.text"), "Invalid placeholder");
        };
        let substitution = message.get("substitution").and_then(Value::as_object);
        for hole in &holes {
            if substitution.is_none_or(|known| !known.contains_key(*hole)) {
                self.fail(format!("{path}.substitution.{hole}"), "May not be null");
            }
        }
        for (name, value) in substitution.into_iter().flatten() {
            let path = format!("{path}.substitution.{name}");
            match kind(value) {
                "mention" => {
                    let mentionee = value.get("mentionee").unwrap_or(&Value::Null);
                    let path = format!("{path}.mentionee");
                    match kind(mentionee) {
                        "user" => self.text(mentionee, &path, "userId", units(33)),
                        "all" => {}
                        _ => self.one_of(format!("{path}.type"), "user, all"),
                    }
                }
                "emoji" => {
                    self.text(value, &path, "productId", units(100));
                    self.text(value, &path, "emojiId", units(100));
                }
                _ => self.one_of(format!("{path}.type"), "mention, emoji"),
            }
        }
    }

    fn imagemap(&mut self, message: &Value, path: &str) {
        self.media(message, path, "baseUrl");
        self.text(message, path, "altText", ALT_TEXT);
        let size = message.get("baseSize").unwrap_or(&Value::Null);
        let size_path = format!("{path}.baseSize");
        self.number(size, &size_path, "width");
        self.number(size, &size_path, "height");
        for (index, action) in self
            .list(message, path, "actions", (0, 50))
            .iter()
            .enumerate()
        {
            let path = format!("{path}.actions[{index}]");
            match kind(action) {
                "uri" => self.text(action, &path, "linkUri", units(1000)),
                "message" => self.text(action, &path, "text", units(400)),
                "clipboard" => self.text(action, &path, "clipboardText", units(1000)),
                _ => self.one_of(format!("{path}.type"), "uri, message, clipboard"),
            }
        }
    }
}

/// Of templates, flex messages and imagemaps.
pub(super) const ALT_TEXT: Length = graphemes(400);

/// The names in the placeholders of a text, in which `{{` and `}}` stand for braces.
fn holes(text: &str) -> Option<BTreeSet<&str>> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (_, found) = rest.split_at(at);
        rest = if let Some(after) = found.strip_prefix("{{").or(found.strip_prefix("}}")) {
            after
        } else {
            let (name, after) = found.strip_prefix('{')?.split_once('}')?;
            let is_name = !name.is_empty()
                && name.len() <= 20
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !is_name {
                return None;
            }
            names.insert(name);
            after
        };
    }
    Some(names)
}
