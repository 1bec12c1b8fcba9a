//! The record of every call of REST.

use serde::Serialize;
use serde_json::Value;

use super::model::maybe_text;
use crate::common::ledger::{Outcome, Recorded};

/// One call of REST.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Call {
    /// Counts from 1 over all bots.
    pub number: u64,
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
    /// The bot that called, when its token was good or the path named an interaction of it.
    #[serde(serialize_with = "maybe_text")]
    pub bot: Option<u64>,
    /// Method and template of the path, such as `POST /channels/{channel}/messages`; `unknown` when there is none.
    pub method: String,
    /// The path below the version, without tokens.
    pub path: String,
    /// The body; files stand as name and size.
    pub body: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status of the answer, also of one that was lost.
    pub status: Option<u16>,
    /// Body of the answer, also of one that was lost.
    pub answer: Option<Value>,
}

impl Recorded for Call {
    fn number(&self) -> u64 {
        self.number
    }

    fn set_number(&mut self, number: u64) {
        self.number = number;
    }

    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn end(&mut self, outcome: Outcome, answer: Option<(u16, Value)>) {
        self.outcome = outcome;
        if let Some((status, body)) = answer {
            self.status = Some(status);
            self.answer = Some(body);
        }
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn is_by(&self, bot: &str) -> bool {
        self.bot.is_some_and(|id| id.to_string() == bot)
    }
}
