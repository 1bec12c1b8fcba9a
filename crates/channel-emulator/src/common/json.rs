//! Reading and changing JSON of unknown shape without a panic.

use serde_json::Value;

/// What a value that is missing reads as.
static NULL: Value = Value::Null;

/// Looks at and changes parts of a value.
pub(crate) trait Parts {
    /// The field of this name; null when there is none.
    fn at(&self, name: &str) -> &Value;
    /// The field of this name as text; empty when it is none.
    fn text(&self, name: &str) -> &str;
    /// Sets a field; nothing happens to what is no object.
    fn set(&mut self, name: &str, value: Value);
}

impl Parts for Value {
    fn at(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NULL)
    }

    fn text(&self, name: &str) -> &str {
        self.at(name).as_str().unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: Value) {
        if let Some(fields) = self.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    }
}
