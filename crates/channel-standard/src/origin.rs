//! Which pages may connect.

use channel_core::{Error, Result};

/// The origins that are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origins {
    Any,
    Listed(Vec<String>),
}

impl Origins {
    pub(crate) fn parse(list: &[String]) -> Result<Self> {
        if list.is_empty() || list.iter().any(|origin| origin == "*") {
            return Ok(Self::Any);
        }
        list.iter()
            .map(|origin| {
                canonical(origin).ok_or_else(|| {
                    Error::config(
                        "allow_origins: an origin is scheme://host or scheme://host:port \
                         without a path, or null, or *",
                    )
                })
            })
            .collect::<Result<_>>()
            .map(Self::Listed)
    }

    /// Whether a request with this `Origin` header may pass.
    pub(crate) fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(list) => canonical(origin).is_some_and(|origin| list.contains(&origin)),
        }
    }
}

/// Lower-cases scheme and host and drops the default port; `None` for what is no origin.
fn canonical(origin: &str) -> Option<String> {
    if origin == "null" {
        return Some(origin.to_owned());
    }
    let origin = origin.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://")?;
    let scheme_is_plain = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let authority_is_plain = !authority.is_empty()
        && authority
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'@' | b'\\'));
    if !scheme_is_plain || !authority_is_plain {
        return None;
    }
    let default_port = match scheme {
        "https" | "wss" => ":443",
        "http" | "ws" => ":80",
        _ => "",
    };
    let authority = match authority.strip_suffix(default_port) {
        Some(host) if !default_port.is_empty() && !host.is_empty() => host,
        _ => authority,
    };
    Some(format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(list: &[&str]) -> Origins {
        let list: Vec<String> = list.iter().map(|&origin| origin.to_owned()).collect();
        Origins::parse(&list).unwrap()
    }

    #[test]
    fn compares_scheme_host_and_port() {
        let listed = origins(&["https://App.Example", "http://localhost:3000"]);
        for good in [
            "https://app.example",
            "HTTPS://APP.EXAMPLE:443",
            "http://localhost:3000",
        ] {
            assert!(listed.allow(good), "{good}");
        }
        for bad in [
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.example",
            "https://evil.example/https://app.example",
            "https://app.example/",
            "https://user@app.example",
            "https://app.example:443:443",
            "null",
            "",
            "app.example",
        ] {
            assert!(!listed.allow(bad), "{bad}");
        }
    }

    #[test]
    fn an_empty_list_and_a_star_let_everything_pass() {
        assert!(origins(&[]).allow("https://any.example"));
        assert!(origins(&["https://a.example", "*"]).allow("null"));
    }

    #[test]
    fn null_passes_only_where_listed() {
        assert!(origins(&["null"]).allow("null"));
        assert!(!origins(&["https://a.example"]).allow("null"));
    }
}
