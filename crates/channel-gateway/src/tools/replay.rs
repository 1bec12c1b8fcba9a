//! An export given to a program once more.

use std::path::Path;
use std::process::Stdio;

use channel_core::{Body, Error, OutboundMessage, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::{line, tame};

/// Runs the program over the export; `true` if all its answers are those of then.
pub(crate) async fn replay(file: &Path, command: &[String]) -> Result<bool> {
    let unreadable = |source| Error::config("the export cannot be read").with_source(source);
    let export = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let mut export = BufReader::new(export).lines();
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::config("there is no program"));
    };
    let broken = |source| Error::config("the program cannot be talked to").with_source(source);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::config("the program has no standard input or output"));
    };
    let mut answers = BufReader::new(stdout).lines();
    let (mut same, mut different) = (0_u64, 0_u64);
    while let Some(text) = export.next_line().await.map_err(unreadable)? {
        let (seq, event, before) = parse(&text)?;
        stdin
            .write_all(format!("{event}\n").as_bytes())
            .await
            .map_err(broken)?;
        stdin.flush().await.map_err(broken)?;
        let now = match answers.next_line().await.map_err(broken)? {
            Some(answer) => answers_of(&answer)?,
            None => return Err(Error::config("the program ended before the export did")),
        };
        let mut pairs = before.iter().zip(&now);
        if before.len() == now.len() && pairs.all(|(then, now)| now.is(then)) {
            same += 1;
            continue;
        }
        different += 1;
        line(&format!("e{seq}"))?;
        for (place, then) in before.iter().enumerate() {
            line(&format!("  - {}", tame(&then.beside(now.get(place)))))?;
        }
        for answer in &now {
            line(&format!("  + {}", tame(&answer.to_string())))?;
        }
    }
    drop(stdin);
    // It has said all that it was asked.
    drop(child);
    line(&format!("{same} the same, {different} different"))?;
    Ok(different == 0)
}

/// What was sent then.
struct Sent {
    text: String,
    message: Map<String, Value>,
}

impl Sent {
    /// What of it is beside an answer: the same fields, or its text.
    fn beside(&self, answer: Option<&Answer>) -> String {
        let Some(Answer::Fields(fields)) = answer else {
            return self.text.clone();
        };
        let of_then = |name: &String| {
            let value = self.message.get(name).cloned().unwrap_or_default();
            (name.clone(), value)
        };
        Value::Object(fields.keys().map(of_then).collect()).to_string()
    }
}

/// What a program answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    /// The text of a message.
    Text(String),
    /// Fields of a message, as the export has them: `{"body": {"markdown": "..."}, "buttons": []}`.
    Fields(Map<String, Value>),
}

impl Answer {
    /// Whether it is what was sent then, as far as it goes.
    fn is(&self, then: &Sent) -> bool {
        match self {
            Self::Text(text) => *text == then.text,
            Self::Fields(fields) => fields.iter().all(|(name, value)| {
                // What is empty is not written into an export.
                let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                then.message
                    .get(name)
                    .map_or(is_empty, |sent| sent == value)
            }),
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Fields(fields) => write!(f, "{}", Value::Object(fields.clone())),
        }
    }
}

/// Place, event and what was sent then.
fn parse(text: &str) -> Result<(i64, Value, Vec<Sent>)> {
    let wrong = || Error::config("the export has a line that is not of a journal");
    let mut entry: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    if entry.get("redacted") == Some(&json!(true)) {
        return Err(Error::config(
            "the export is redacted; make one with --with-content",
        ));
    }
    let seq = entry.get("seq").and_then(Value::as_i64).ok_or_else(wrong)?;
    let deliveries = entry.get_mut("deliveries").map(Value::take);
    let event = entry.get_mut("event").map(Value::take).ok_or_else(wrong)?;
    let mut before = Vec::new();
    for delivery in deliveries
        .as_ref()
        .and_then(Value::as_array)
        .ok_or_else(wrong)?
    {
        let fields = delivery.get("message").and_then(Value::as_object);
        let fields = fields.cloned().ok_or_else(wrong)?;
        let message = serde_json::from_value(Value::Object(fields.clone()));
        let message: OutboundMessage = message.map_err(|_| wrong())?;
        let text = match message.body {
            Body::Plain(text) | Body::Markdown(text) => text,
            Body::Content(content) => content.to_plain(),
            _ => String::new(),
        };
        before.push(Sent {
            text,
            message: fields,
        });
    }
    Ok((seq, event, before))
}

/// The answers of a program: a JSON list of texts, or of objects with fields of a message.
fn answers_of(answer: &str) -> Result<Vec<Answer>> {
    let wrong = "the program has to answer each line with a JSON list of texts or of messages";
    serde_json::from_str(answer).map_err(|_| Error::config(wrong))
}
