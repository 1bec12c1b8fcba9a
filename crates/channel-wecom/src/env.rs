//! Settings that all four channels read alike.

use channel_core::{Error, Result, Secret, Transport};
use channel_wechat_crypto::MessageCipher;

use crate::PLATFORM;
use crate::error::bad;

/// Reads variables of one prefix; a blank value counts as absent.
pub(crate) struct Variables<'a> {
    pub(crate) prefix: &'static str,
    pub(crate) read: &'a dyn Fn(&str) -> Option<String>,
}

impl Variables<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = (self.read)(&format!("{}{name}", self.prefix));
        value.filter(|value| !value.trim().is_empty())
    }

    pub(crate) fn need(&self, name: &str) -> Result<String> {
        let missing = || bad(format!("{}{name} is not set", self.prefix));
        self.get(name).ok_or_else(missing)
    }
}

/// The process's own environment.
pub(crate) fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The cipher of a callback address, from what the console shows.
pub(crate) fn cipher(token: &Secret, key: &Secret, receiver: &str) -> Result<MessageCipher> {
    let fits = (1..=32).contains(&token.expose().len())
        && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        return Err(bad(
            "token has to be the 1 to 32 letters and digits of the console",
        ));
    }
    MessageCipher::new(token.clone(), key, receiver)
        .map_err(|error| Error::config(error.message()).on(PLATFORM, "configure"))
}

pub(crate) fn path(path: &str) -> Result<()> {
    if path.starts_with('/') && !path.contains(['?', '#', '{', '}']) {
        return Ok(());
    }
    Err(bad("webhook_path has to start with a slash"))
}

/// The given seams, or the default ones.
pub(crate) fn transport(given: Option<Transport>) -> Result<Transport> {
    match given {
        Some(transport) => Ok(transport),
        None => default_transport(),
    }
}

#[cfg(feature = "net")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "without `net` there is no transport"
)]
fn default_transport() -> Result<Transport> {
    Ok(channel_http::transport())
}

#[cfg(not(feature = "net"))]
fn default_transport() -> Result<Transport> {
    Err(bad(
        "a transport is needed: enable the feature `net` or call transport()",
    ))
}
