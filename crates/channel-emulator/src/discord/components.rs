//! Buttons, select menus, modals and the layouts of the second version.
//!
//! <https://docs.discord.com/developers/components/reference>

use std::collections::BTreeSet;

use serde_json::Value;

use super::answer::Form;
use super::check::chars;

/// Rows of a message of the first version.
const MAX_ROWS: usize = 5;
/// Components of a message of the second version, nested ones included.
const MAX_COMPONENTS: usize = 40;
/// Code points in all text displays of a message.
const MAX_TEXT: usize = 4000;
/// Layouts nest at most so deep.
const MAX_DEPTH: usize = 5;

/// What has been counted on the way down.
struct Walk<'a> {
    form: &'a mut Form,
    v2: bool,
    count: usize,
    text: usize,
    ids: BTreeSet<String>,
}

/// Checks the components of a message, and numbers those that have no id.
pub(crate) fn check(components: &mut [Value], v2: bool, form: &mut Form) {
    let most = if v2 { MAX_COMPONENTS } else { MAX_ROWS };
    form.length(&["components"], components.len(), 0, most);
    let mut walk = Walk {
        form,
        v2,
        count: 0,
        text: 0,
        ids: BTreeSet::new(),
    };
    for (at, component) in components.iter_mut().enumerate().take(most) {
        let path = vec!["components".to_owned(), at.to_string()];
        walk.step(component, &path, true);
    }
    let (count, text) = (walk.count, walk.text);
    if v2 {
        form.length(&["components"], count, 0, MAX_COMPONENTS);
    }
    if text > MAX_TEXT {
        let message = format!("The total text of all components exceeds {MAX_TEXT} characters.");
        form.fail(
            &["components"],
            "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED",
            message,
        );
    }
}

/// Checks what a modal shows. <https://docs.discord.com/developers/interactions/receiving-and-responding>
pub(crate) fn check_modal(data: &Value, form: &mut Form) {
    form.length(&["data", "title"], chars(data.get("title")), 1, 45);
    form.length(&["data", "custom_id"], chars(data.get("custom_id")), 1, 100);
    let count = data
        .get("components")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    form.length(&["data", "components"], count, 1, MAX_ROWS);
}

impl Walk<'_> {
    fn fail(&mut self, path: &[String], more: &[&str], code: &str, message: &str) {
        let path: Vec<&str> = path
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        self.form.fail(&path, code, message);
    }

    fn length(&mut self, path: &[String], field: &str, length: usize, min: usize, max: usize) {
        let path: Vec<&str> = path.iter().map(String::as_str).chain([field]).collect();
        self.form.length(&path, length, min, max);
    }

    fn step(&mut self, component: &mut Value, path: &[String], top: bool) {
        self.count += 1;
        let number = self.count;
        if self.count > 4 * MAX_COMPONENTS || path.len() > 2 * MAX_DEPTH {
            return;
        }
        let Some(kind) = component.get("type").and_then(Value::as_u64) else {
            self.fail(
                path,
                &["type"],
                "BASE_TYPE_REQUIRED",
                "This field is required",
            );
            return;
        };
        let layout = matches!(kind, 9 | 10 | 12 | 13 | 14 | 17);
        if top && kind != 1 && !(self.v2 && layout) {
            let of = if self.v2 {
                "(1, 9, 10, 12, 13, 14, 17)"
            } else {
                "(1,)"
            };
            let message = format!("Value must be one of {of}.");
            self.fail(path, &["type"], "BASE_TYPE_CHOICES", &message);
            return;
        }
        match kind {
            1 => self.row(component, path),
            2 => self.button(component, path),
            3 | 5..=8 => self.select(component, path, kind),
            10 => {
                let length = chars(component.get("content"));
                self.text += length;
                self.length(path, "content", length, 1, MAX_TEXT);
            }
            9 | 17 => self.children(component, path, "components"),
            11..=14 => {}
            _ => self.fail(
                path,
                &["type"],
                "UNION_TYPE_CHOICES",
                "Value of field \"type\" is not known.",
            ),
        }
        if kind == 9
            && let Some(accessory) = component.get_mut("accessory")
        {
            let mut path = path.to_vec();
            path.push("accessory".to_owned());
            self.step(accessory, &path, false);
        }
        if let Some(fields) = component.as_object_mut() {
            fields.entry("id").or_insert_with(|| number.into());
        }
    }

    fn children(&mut self, component: &mut Value, path: &[String], field: &str) {
        let Some(Value::Array(children)) = component.get_mut(field) else {
            self.fail(
                path,
                &[field],
                "BASE_TYPE_REQUIRED",
                "This field is required",
            );
            return;
        };
        for (at, child) in children.iter_mut().enumerate().take(MAX_COMPONENTS) {
            let mut path = path.to_vec();
            path.extend([field.to_owned(), at.to_string()]);
            self.step(child, &path, false);
        }
    }

    fn row(&mut self, row: &mut Value, path: &[String]) {
        let children = row.get("components").and_then(Value::as_array);
        let kinds: Vec<u64> = children
            .into_iter()
            .flatten()
            .map(|child| child.get("type").and_then(Value::as_u64).unwrap_or(0))
            .collect();
        let selects = kinds.iter().filter(|kind| **kind != 2).count();
        if selects > 0 && kinds.len() > 1 {
            let message = "The specified component exceeds the maximum width";
            self.fail(
                path,
                &["components"],
                "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
                message,
            );
        } else {
            self.length(path, "components", kinds.len(), 1, 5);
        }
        self.children(row, path, "components");
    }

    fn custom_id(&mut self, component: &Value, path: &[String]) {
        let id = component.get("custom_id").and_then(Value::as_str);
        let Some(id) = id else {
            self.fail(
                path,
                &["custom_id"],
                "BASE_TYPE_REQUIRED",
                "This field is required",
            );
            return;
        };
        self.length(path, "custom_id", id.chars().count(), 1, 100);
        if !self.ids.insert(id.to_owned()) {
            let message = "Component custom id cannot be duplicated";
            self.fail(
                path,
                &["custom_id"],
                "COMPONENT_CUSTOM_ID_DUPLICATED",
                message,
            );
        }
    }

    fn button(&mut self, button: &Value, path: &[String]) {
        self.length(path, "label", chars(button.get("label")), 0, 80);
        if button.get("label").is_none_or(Value::is_null)
            && button.get("emoji").is_none_or(Value::is_null)
        {
            let message = "A button needs a label or an emoji";
            self.fail(path, &[], "BUTTON_COMPONENT_INVALID", message);
        }
        match button.get("style").and_then(Value::as_u64) {
            Some(1..=4) => self.custom_id(button, path),
            Some(5) => {
                self.length(path, "url", chars(button.get("url")), 1, 512);
                if button.get("custom_id").is_some_and(|id| !id.is_null()) {
                    let message = "A link button cannot have a custom id";
                    self.fail(path, &["custom_id"], "BUTTON_COMPONENT_INVALID", message);
                }
            }
            _ => self.fail(
                path,
                &["style"],
                "BASE_TYPE_CHOICES",
                "Value must be one of (1, 2, 3, 4, 5).",
            ),
        }
    }

    fn select(&mut self, select: &Value, path: &[String], kind: u64) {
        self.custom_id(select, path);
        self.length(
            path,
            "placeholder",
            chars(select.get("placeholder")),
            0,
            150,
        );
        if kind != 3 {
            return;
        }
        let options = select.get("options").and_then(Value::as_array);
        let options = options.map(Vec::as_slice).unwrap_or_default();
        self.length(path, "options", options.len(), 1, 25);
        let mut values = BTreeSet::new();
        for (at, option) in options.iter().enumerate().take(25) {
            let mut path = path.to_vec();
            path.extend(["options".to_owned(), at.to_string()]);
            self.length(&path, "label", chars(option.get("label")), 1, 100);
            self.length(&path, "value", chars(option.get("value")), 1, 100);
            self.length(
                &path,
                "description",
                chars(option.get("description")),
                0,
                100,
            );
            if let Some(value) = option.get("value").and_then(Value::as_str)
                && !values.insert(value)
            {
                let message = "The specified option value is already used";
                self.fail(
                    &path,
                    &["value"],
                    "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
                    message,
                );
            }
        }
    }
}

/// The component with this `custom_id`, wherever it is nested.
pub(crate) fn find<'a>(components: &'a [Value], custom_id: &str) -> Option<&'a Value> {
    let mut open: Vec<&Value> = components.iter().collect();
    while let Some(component) = open.pop() {
        if component.get("custom_id").and_then(Value::as_str) == Some(custom_id) {
            return Some(component);
        }
        let nested = component.get("components").and_then(Value::as_array);
        open.extend(nested.into_iter().flatten());
        open.extend(
            component
                .get("accessory")
                .or_else(|| component.get("component")),
        );
    }
    None
}
