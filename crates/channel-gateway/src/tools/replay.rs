//! An export given to a program once more.

use std::path::Path;
use std::process::Stdio;

use channel_core::{Body, Error, OutboundMessage, Result};
use serde_json::{Value, json};
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
            Some(answer) => texts(&answer)?,
            None => return Err(Error::config("the program ended before the export did")),
        };
        if now == before {
            same += 1;
            continue;
        }
        different += 1;
        line(&format!("e{seq}"))?;
        for text in &before {
            line(&format!("  - {}", tame(text)))?;
        }
        for text in &now {
            line(&format!("  + {}", tame(text)))?;
        }
    }
    drop(stdin);
    // It has said all that it was asked.
    drop(child);
    line(&format!("{same} the same, {different} different"))?;
    Ok(different == 0)
}

/// Place, event and the texts that were sent then.
fn parse(text: &str) -> Result<(i64, Value, Vec<String>)> {
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
        let message = delivery.get("message").cloned().ok_or_else(wrong)?;
        let message: OutboundMessage = serde_json::from_value(message).map_err(|_| wrong())?;
        before.push(match message.body {
            Body::Plain(text) | Body::Markdown(text) => text,
            Body::Content(content) => content.to_plain(),
            _ => String::new(),
        });
    }
    Ok((seq, event, before))
}

/// The answers of a program: a JSON list of texts.
fn texts(answer: &str) -> Result<Vec<String>> {
    serde_json::from_str(answer)
        .map_err(|_| Error::config("the program has to answer each line with a JSON list of texts"))
}
