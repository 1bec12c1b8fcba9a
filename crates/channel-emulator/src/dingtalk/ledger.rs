//! The record of every call.

use serde::Serialize;
use serde_json::Value;

use crate::common::ledger::{Outcome, Recorded};

/// One call of the API, of a webhook, or of the stream gateway.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Call {
    /// Counts from 1 over all apps.
    pub number: u64,
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
    /// The client id that called, or `custom` for a custom robot; empty when the credential is not known.
    pub bot: String,
    /// The short name of the endpoint, such as `batch_send` or `session`.
    pub method: String,
    /// The path of the request.
    pub path: String,
    /// The JSON body, without secrets; null when there is none or it is not JSON.
    pub body: Value,
    /// The `requestid` of errors.
    pub request_id: String,
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
        self.bot == bot
    }
}
