//! What came in and what was answered.

use std::path::PathBuf;

use channel_core::Result;
use channel_delivery::{JournalEntry, Seq, Store as _};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::redact::Redactor;
use super::replay::replay;
use super::{StoreArg, line, millis};

/// How many entries are read at once.
const PAGE: usize = 100;

/// Exports recorded events with their answers, and replays them.
#[derive(Debug, Args)]
#[non_exhaustive]
pub struct JournalCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Writes the journal to standard output, one JSON object a line, oldest first; without
    /// words, names and ids unless asked. Works while the bot runs.
    Export {
        #[command(flatten)]
        store: StoreArg,
        /// Only what was recorded after this place.
        #[arg(long, value_name = "SEQ")]
        after: Option<i64>,
        /// At most so many entries.
        #[arg(long)]
        limit: Option<usize>,
        /// With all that people wrote: only such an export can be replayed.
        #[arg(long)]
        with_content: bool,
    },
    /// Gives the events of an export to a program, one JSON object a line on its standard
    /// input, reads a JSON list of answers for each from its standard output, and shows where
    /// they differ from the answers of then: a text from the words, an object from those fields
    /// of the message that it has. Ends with 1 if any does.
    Replay {
        /// The export, made with --with-content.
        file: PathBuf,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

impl JournalCommand {
    /// Does what was asked; `false` if a replay found differences.
    ///
    /// # Errors
    ///
    /// `Config` for a store, file or program that is not there.
    pub async fn run(self) -> Result<bool> {
        match self.action {
            Action::Export {
                store,
                after,
                limit,
                with_content,
            } => {
                let store = store.open().await?;
                let redactor = Redactor::new(channel_http::transport().random.as_ref());
                let mut after = after.map(Seq::new);
                let mut left = limit.unwrap_or(usize::MAX);
                while left > 0 {
                    let page = store.journal(after, left.min(PAGE)).await?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.event.seq);
                    left = left.saturating_sub(page.len());
                    for entry in &page {
                        let shown = match with_content {
                            true => whole(entry),
                            false => redactor.entry(entry),
                        };
                        line(&shown.to_string())?;
                    }
                }
                Ok(true)
            }
            Action::Replay { file, command } => replay(&file, &command).await,
        }
    }
}

/// An entry with all that people wrote.
fn whole(entry: &JournalEntry) -> Value {
    json!({
        "seq": entry.event.seq.number(),
        "event": entry.event.event,
        "state": entry.event.state.as_str(),
        "attempts": entry.event.attempts,
        "reason": entry.reason,
        "recorded_at": millis(entry.recorded_at),
        "deliveries": entry.deliveries.iter().map(|stored| json!({
            "id": stored.id.number(),
            "message": stored.delivery.message,
            "planned_at": millis(stored.planned_at),
            "parts": stored.parts.iter().map(|part| json!({
                "state": part.state.as_str(),
                "attempts": part.attempts,
                "reason": part.reason,
                "receipt": part.receipt,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}
