//! Showing that an answer is being written, where Slack shows such a thing: in threads
//! (<https://docs.slack.dev/reference/methods/assistant.threads.setStatus/>).

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{Destination, ErrorKind, Result};

use crate::client::Method;
use crate::methods;
use crate::outbound::Envelope;
use crate::shared::{Shared, lock};

/// What Slack shows behind the name of the app.
const STATUS: &str = "is typing...";
/// How long nothing is shown where Slack has refused to.
const REFUSED_FOR: Duration = Duration::from_secs(10 * 60);
/// How many refusals are remembered.
const CAPACITY: usize = 4096;

/// Where Slack has refused to show a status, and until when it is not asked again.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, Duration>>);

impl Refusals {
    fn holds(&self, place: &str, now: Duration) -> bool {
        let refused = lock(&self.0);
        refused.get(place).is_some_and(|until| now < *until)
    }

    fn note(&self, place: String, now: Duration) {
        let mut refused = lock(&self.0);
        if refused.len() >= CAPACITY {
            refused.retain(|_, until| now < *until);
        }
        if refused.len() >= CAPACITY
            && let Some(any) = refused.keys().next().cloned()
        {
            refused.remove(&any);
        }
        refused.insert(place, now + REFUSED_FOR);
    }
}

/// Shows it once. A chat without a thread has no place for it, and an app or a thread that
/// may not have it is left alone for a while: that is nobody's failure.
pub(crate) async fn start(shared: &Shared, to: &Destination) -> Result<()> {
    let method = Method::SetStatus;
    let envelope = Envelope::new(shared, to, method)?;
    let Some(thread) = envelope.thread else {
        return Ok(());
    };
    let workspace = envelope.at.workspace.unwrap_or_default().to_owned();
    let place = format!("{}/{thread}", envelope.chat);
    let now = shared.elapsed();
    if shared.no_status.holds(&workspace, now) || shared.no_status.holds(&place, now) {
        return Ok(());
    }
    let Err(error) = methods::set_status(shared, envelope.at, thread, STATUS).await else {
        return Ok(());
    };
    match error.kind() {
        ErrorKind::Unauthenticated
        | ErrorKind::RateLimited
        | ErrorKind::Unavailable
        | ErrorKind::Uncertain => Err(error),
        kind => {
            tracing::debug!(channel = %shared.info.id, ?kind, "slack shows no status there");
            // A scope is missing in every chat of the workspace.
            let is_everywhere = error.code() == Some("missing_scope");
            let refused = if is_everywhere { workspace } else { place };
            shared.no_status.note(refused, shared.elapsed());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_end_and_are_bounded() {
        let refusals = Refusals::default();
        let at = Duration::from_secs;
        refusals.note("a".to_owned(), at(0));
        assert!(refusals.holds("a", at(599)) && !refusals.holds("a", at(600)));
        assert!(!refusals.holds("b", at(0)));
        for number in 0..2 * CAPACITY {
            refusals.note(number.to_string(), at(1));
        }
        assert!(lock(&refusals.0).len() <= CAPACITY);
    }
}
