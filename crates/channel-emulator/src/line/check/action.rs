//! Actions. <https://developers.line.biz/en/reference/messaging-api/#action-objects>

use serde_json::Value;

use super::{Check, Length, kind, units};

impl Check {
    /// The `action` of an object; three kinds are for quick replies only.
    pub(super) fn action(&mut self, object: &Value, path: &str, label: Length, is_quick: bool) {
        let path = format!("{path}.action");
        match object.get("action") {
            Some(action) if action.is_object() => {
                self.one_action(action, &path, Some(label), is_quick);
            }
            _ => self.fail(path, "May not be null"),
        }
    }

    /// The `actions` of a template, which have labels.
    pub(super) fn actions(
        &mut self,
        object: &Value,
        path: &str,
        label: Length,
        range: (usize, usize),
    ) {
        let actions = self.list(object, path, "actions", range);
        for (index, action) in actions.iter().enumerate() {
            let path = format!("{path}.actions[{index}]");
            self.one_action(action, &path, Some(label), false);
        }
    }

    /// One action; without a limit its label is not needed.
    pub(super) fn one_action(
        &mut self,
        action: &Value,
        path: &str,
        label: Option<Length>,
        is_quick: bool,
    ) {
        if let Some(label) = label {
            self.text(action, path, "label", label);
        }
        match kind(action) {
            "postback" => {
                self.text(action, path, "data", units(300));
                self.optional(action, path, "displayText", units(300));
                self.optional(action, path, "text", units(300));
                if action.get("displayText").is_some() && action.get("text").is_some() {
                    self.fail(
                        format!("{path}.text"),
                        "Cannot be used together with displayText",
                    );
                }
            }
            "message" => self.text(action, path, "text", units(300)),
            "uri" => self.uri(action, path),
            "datetimepicker" => {
                self.text(action, path, "data", units(300));
                let mode = action.get("mode").and_then(Value::as_str);
                if !matches!(mode, Some("date" | "time" | "datetime")) {
                    self.one_of(format!("{path}.mode"), "date, time, datetime");
                }
            }
            "clipboard" => self.text(action, path, "clipboardText", units(1000)),
            "camera" | "cameraRoll" | "location" if is_quick => {}
            _ if is_quick => self.one_of(
                format!("{path}.type"),
                "postback, message, uri, datetimepicker, clipboard, camera, cameraRoll, location",
            ),
            _ => self.one_of(
                format!("{path}.type"),
                "postback, message, uri, datetimepicker, clipboard",
            ),
        }
    }

    fn uri(&mut self, action: &Value, path: &str) {
        self.text(action, path, "uri", units(1000));
        if let Some(uri) = action.get("uri").and_then(Value::as_str)
            && !uri.is_empty()
        {
            let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
            if !matches!(scheme, "http" | "https" | "line" | "tel") {
                self.fail(format!("{path}.uri"), "invalid uri scheme");
            }
        }
    }
}
