//! Asking the application what Slack is to be answered, whichever way Slack asks.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use channel_core::{Action, ChannelId, Event, EventKind, Proof, Raw, Result};
use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde_json::Value;

use crate::dialogs::SubmissionJudge;
use crate::interaction;
use crate::options::{MenuOptions, OptionQuery, OptionSource};
use crate::shared::Shared;
use crate::webhook::reader;
use crate::wire::Interaction;

/// Whom the application has named to be asked.
#[derive(Debug, Default)]
pub(crate) struct Askable {
    pub(crate) judge: Option<Arc<dyn SubmissionJudge>>,
    pub(crate) source: Option<Arc<dyn OptionSource>>,
}

/// What has happened, and what Slack is told with the acknowledgement.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) payload: Option<Value>,
}

impl Outcome {
    /// What nobody is asked about.
    pub(crate) const fn of(events: Vec<Event>) -> Self {
        Self {
            events,
            payload: None,
        }
    }

    /// What nothing has happened by.
    fn offer(options: &MenuOptions) -> Self {
        Self {
            events: Vec::new(),
            payload: Some(options.payload()),
        }
    }
}

/// A question to the application, and what holds without an answer.
pub(crate) struct Question {
    pub(crate) answer: BoxFuture<'static, Outcome>,
    pub(crate) otherwise: Outcome,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").finish_non_exhaustive()
    }
}

/// What an interaction comes to.
#[derive(Debug)]
pub(crate) enum Interacted {
    Settled(Outcome),
    Asked(Question),
}

/// Reads an interaction, however it came; `None` if it is not from anybody.
pub(crate) fn read(
    shared: &Shared,
    wire: &Interaction<'_>,
    raw: &Raw,
    proof: Proof,
    now: SystemTime,
) -> Option<Interacted> {
    let team = wire.team.as_ref().and_then(|team| team.id.as_deref());
    if &*wire.kind == "block_suggestion" {
        let asked = reader(shared, proof, team, |reader| {
            interaction::query(reader, wire, raw, now)
        });
        return Some(suggested(shared, asked));
    }
    let mut events = reader(shared, proof, team, |reader| {
        interaction::events(reader, wire, raw, now)
    })?;
    if &*wire.kind == "view_submission"
        && let Some(judge) = &shared.askable.judge
        && let [
            Event {
                kind: EventKind::Action(_),
                ..
            },
        ] = events.as_slice()
        && let Some(event) = events.pop()
    {
        return Some(Interacted::Asked(judged(shared, judge, event)));
    }
    Some(Interacted::Settled(Outcome::of(events)))
}

/// Asks for options; that somebody opens a menu is no event.
fn suggested(shared: &Shared, asked: Option<OptionQuery>) -> Interacted {
    let nothing = Outcome::offer(&MenuOptions::default());
    let (Some(source), Some(asked)) = (&shared.askable.source, asked) else {
        return Interacted::Settled(nothing);
    };
    let (source, channel) = (Arc::clone(source), shared.info.id.clone());
    let answer = async move {
        let options = async { source.options(&asked).await };
        let options = guarded(&channel, "the source of options", options).await;
        Outcome::offer(&options.unwrap_or_default())
    };
    Interacted::Asked(Question {
        answer: answer.boxed(),
        otherwise: nothing,
    })
}

/// Asks for a judgement; without one the submission is taken as it is.
fn judged(shared: &Shared, judge: &Arc<dyn SubmissionJudge>, event: Event) -> Question {
    let (judge, channel) = (Arc::clone(judge), shared.info.id.clone());
    let otherwise = Outcome::of(vec![event.clone()]);
    let answer = async move {
        let EventKind::Action(action) = &event.kind else {
            return Outcome::of(vec![event]);
        };
        let judgement = async { judge.judge(action).await };
        let Some(answer) = guarded(&channel, "the judge of submissions", judgement).await else {
            return Outcome::of(vec![event]);
        };
        let inputs = if answer.is_accepted() {
            Vec::new()
        } else {
            inputs(action)
        };
        let events = if answer.is_accepted() {
            vec![event]
        } else {
            Vec::new()
        };
        Outcome {
            events,
            payload: answer.payload(&inputs),
        }
    };
    Question {
        answer: answer.boxed(),
        otherwise,
    }
}

/// What the application's code says, unless it fails or panics. What it says then may hold what
/// people have written, so only the kind of the error is told.
async fn guarded<T>(
    channel: &ChannelId,
    who: &'static str,
    asked: impl Future<Output = Result<T>> + Send,
) -> Option<T> {
    match AssertUnwindSafe(asked).catch_unwind().await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!(channel = %channel, kind = ?error.kind(), "{who} has failed");
            None
        }
        Err(_) => {
            tracing::error!(channel = %channel, "{who} has panicked");
            None
        }
    }
}

/// The ids of the inputs that a submitted dialog has, in order.
fn inputs(submission: &Action) -> Vec<String> {
    #[derive(Deserialize)]
    struct Payload {
        view: View,
    }
    #[derive(Deserialize)]
    struct View {
        blocks: Vec<Block>,
    }
    #[derive(Deserialize)]
    struct Block {
        #[serde(rename = "type")]
        kind: String,
        block_id: String,
    }
    let payload = serde_json::from_slice::<Payload>(submission.raw.as_slice());
    let blocks = payload.map(|payload| payload.view.blocks);
    let blocks = blocks.unwrap_or_default().into_iter();
    blocks
        .filter(|block| block.kind == "input")
        .map(|block| block.block_id)
        .collect()
}
