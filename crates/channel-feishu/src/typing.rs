//! The sign that an answer is being written. Feishu has none: by convention a bot reacts to
//! the question with `Typing`, and takes that back with its answer.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{Destination, Result};

use crate::change;
use crate::limits;
use crate::shared::{Shared, lock};
use crate::wire::is_id;

/// The reaction.
const SIGN: &str = "Typing";
/// How many questions carry the sign at a time.
const MOST: usize = 1000;
/// How many signs that nobody took away are taken away at a time.
const SWEPT: usize = 4;

/// Questions that carry the sign, and since when.
#[derive(Debug, Default)]
pub(crate) struct Signs(Mutex<HashMap<String, Duration>>);

/// Shows the sign at the message that is answered; without one there is nothing to show it at.
pub(crate) async fn start(shared: &Shared, to: &Destination) -> Result<()> {
    sweep(shared).await;
    let Some(message) = to.quoted().map(channel_core::MessageId::as_str) else {
        return Ok(());
    };
    let now = shared.elapsed();
    {
        let mut signs = lock(&shared.signs.0);
        if signs.contains_key(message) || !is_id(message) || signs.len() >= MOST {
            return Ok(());
        }
        signs.insert(message.to_owned(), now);
    }
    let shown = change::add_reaction(shared, message, SIGN, None).await;
    if shown.is_err() {
        lock(&shared.signs.0).remove(message);
    }
    Ok(shown?)
}

/// Takes the sign away, if it is there. That this fails is no reason for an answer to.
pub(crate) async fn end(shared: &Shared, message: &str) {
    let known = lock(&shared.signs.0).remove(message);
    if known.is_some()
        && let Err(fault) = change::remove_reaction(shared, message, SIGN, None).await
    {
        tracing::debug!(error = %fault.error, "the typing sign stays");
    }
}

/// Takes away what no answer has.
async fn sweep(shared: &Shared) {
    let now = shared.elapsed();
    let old: Vec<_> = {
        let signs = lock(&shared.signs.0);
        let old = signs
            .iter()
            .filter(|(_, since)| now.saturating_sub(**since) >= limits::TYPING);
        old.take(SWEPT)
            .map(|(message, _)| message.clone())
            .collect()
    };
    for message in old {
        end(shared, &message).await;
    }
}
