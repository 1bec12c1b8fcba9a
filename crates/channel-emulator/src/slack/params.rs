//! Arguments of a call: form fields, a JSON object or the query.
//!
//! <https://docs.slack.dev/apis/web-api/#slack-web-api__basics__post-bodies>

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::answer::ApiError;

/// The arguments, whatever way they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params {
    values: Map<String, Value>,
    /// They came as JSON without a charset, which the platform remarks on.
    pub(crate) lacks_charset: bool,
    /// They came as JSON, where a token in the body does not count.
    pub(crate) is_json: bool,
}

impl Params {
    /// Reads a body of the content type in `headers`, and the query.
    pub(crate) fn read(headers: &HeaderMap, query: &str, body: &[u8]) -> Result<Self, ApiError> {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or("").to_ascii_lowercase();
        let essence = kind.split(';').next().unwrap_or("").trim();
        let mut params = Self {
            values: form(query.as_bytes()),
            ..Self::default()
        };
        match essence {
            // slack_sdk names JSON as the type of no body at all.
            _ if body.is_empty() => {}
            "application/json" => {
                let value: Value =
                    serde_json::from_slice(body).map_err(|_| ApiError::new("invalid_json"))?;
                let Value::Object(values) = value else {
                    return Err(ApiError::new("json_not_object"));
                };
                params.values.extend(values);
                params.lacks_charset = !kind.contains("charset");
                params.is_json = true;
            }
            "application/x-www-form-urlencoded" => params.values.extend(form(body)),
            "" => return Err(ApiError::new("missing_post_type")),
            _ => return Err(ApiError::new("invalid_post_type")),
        }
        Ok(params)
    }

    /// The arguments of a method that takes no JSON: as if there had been none.
    pub(crate) fn without_json(&mut self) {
        if self.is_json {
            self.values.clear();
        }
    }

    /// Adds a token that came in a header, for methods to which it is an argument.
    pub(crate) fn with_token(&mut self, token: Option<String>) {
        if let Some(token) = token {
            self.values.entry("token").or_insert(Value::String(token));
        }
    }

    /// For the ledger, without the token.
    pub(crate) fn shown(&self) -> Value {
        let mut values = self.values.clone();
        for secret in ["token", "client_secret", "refresh_token", "code"] {
            if let Some(value) = values.get_mut(secret) {
                *value = "...".into();
            }
        }
        values.into()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// A text; numbers and booleans as they are written. An empty one counts as absent.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    pub(crate) fn required(&self, name: &str) -> Result<String, ApiError> {
        self.text(name).ok_or_else(|| ApiError::missing(name))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).as_deref(), Some("true" | "1"))
    }

    /// A number within bounds, or the default.
    pub(crate) fn number(
        &self,
        name: &str,
        default: usize,
        most: usize,
    ) -> Result<usize, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let number: usize = text
            .parse()
            .map_err(|_| ApiError::invalid(&format!("must be a number: {name}")))?;
        Ok(if number == 0 {
            default
        } else {
            number.min(most)
        })
    }

    /// A nested value: itself in JSON, a JSON string in a form. `code` is the error when it is no JSON.
    pub(crate) fn nested(&self, name: &str, code: &'static str) -> Result<Option<Value>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| ApiError::new(code)),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// A comma-separated list; in JSON also an array.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(values)) => values
                .iter()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect(),
            _ => self
                .text(name)
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }
}

fn form(bytes: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn read(kind: &'static str, body: &str) -> Result<Params, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Params::read(&headers, "a=query", body.as_bytes())
    }

    #[test]
    fn forms_and_json_say_the_same() {
        let form = read(
            "application/x-www-form-urlencoded",
            "a=x+y&blocks=%5B1%5D&flag=true&n=7&token=secret",
        )
        .unwrap();
        let body = r#"{"a":"x y","blocks":[1],"flag":true,"n":7,"token":"secret"}"#;
        let json = read("application/json; charset=utf-8", body).unwrap();
        for params in [&form, &json] {
            assert_eq!(params.text("a").unwrap(), "x y");
            assert_eq!(params.nested("blocks", "x").unwrap(), Some(json!([1])));
            assert!(params.flag("flag"));
            assert_eq!(params.number("n", 1, 5).unwrap(), 5);
            assert!(!params.shown().to_string().contains("secret"));
        }
        assert!(read("application/json", "{}").unwrap().lacks_charset);
    }

    #[test]
    fn what_is_neither_is_refused_by_name() {
        let code = |kind, body| read(kind, body).unwrap_err().code.into_owned();
        assert_eq!(code("application/json", "[]"), "json_not_object");
        assert_eq!(code("application/json", "{"), "invalid_json");
        assert_eq!(code("text/plain", "x"), "invalid_post_type");
        assert_eq!(code("", "x"), "missing_post_type");
        for kind in ["text/plain", "application/json"] {
            assert_eq!(read(kind, "").unwrap().text("a").unwrap(), "query");
        }
    }
}
