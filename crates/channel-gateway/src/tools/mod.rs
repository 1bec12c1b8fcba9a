//! Tools for a store: what was set aside, and the journal.

mod dead;
mod journal;
mod redact;
mod replay;

use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use channel_core::{Error, Result};
use channel_delivery::SqliteStore;
use clap::Args;

pub use dead::DeadCommand;
pub use journal::JournalCommand;

/// Which store.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
pub struct StoreArg {
    /// The store of the bot: `sqlite:PATH`.
    #[arg(long, env = "CHANNEL_STORE", value_name = "sqlite:PATH")]
    pub store: String,
}

impl StoreArg {
    /// Opens a store that is there; never makes one.
    async fn open(&self) -> Result<SqliteStore> {
        let Some(path) = self.store.strip_prefix("sqlite:") else {
            return Err(Error::config("the store has to be sqlite:PATH"));
        };
        if !Path::new(path).is_file() {
            return Err(Error::config("there is no store at this path"));
        }
        Ok(SqliteStore::open(path).await?)
    }
}

/// Writes a line to standard output.
fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .map_err(|source| Error::config("standard output cannot be written to").with_source(source))
}

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Control characters shown as they are escaped, so that stored text cannot steer a
/// terminal.
fn tame(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let hostile = c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let escaped: Box<dyn Iterator<Item = char>> = match hostile {
                true => Box::new(c.escape_unicode()),
                false => Box::new(std::iter::once(c)),
            };
            escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_text_cannot_steer_the_terminal() {
        assert_eq!(tame("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(tame("grüße 👋"), "grüße 👋");
    }
}
