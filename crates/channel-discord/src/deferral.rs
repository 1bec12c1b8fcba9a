//! Telling Discord in time that an interaction has arrived.
//!
//! It wants to hear within three seconds, and once: a second answer is an error. Whoever
//! comes first tells it, be it the acknowledgement, the answer itself or the clock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_core::{MessageRef, Result};
use futures_util::lock::Mutex as AsyncMutex;
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::{Call, Op, Payload};
use crate::error::Reason;
use crate::held::Answering;
use crate::interaction::Right;
use crate::limits;
use crate::shared::{Shared, lock};

/// How many interactions wait to be told of.
const CAPACITY: usize = 4096;
/// How many messages are remembered that a token has made.
const TOKENS: usize = 1024;
/// How often it is tried: a second attempt that was not needed is refused without harm.
const ATTEMPTS: u32 = 3;

/// What Discord is told first
/// (<https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response-object-interaction-callback-type>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deferral {
    /// "Thinking": a message will come.
    Message { ephemeral: bool },
    /// Nothing to be seen.
    Update,
    /// No suggestions.
    Nothing,
}

/// The body of a callback, inline or by a call.
#[derive(Debug, Serialize)]
pub(crate) struct Callback {
    r#type: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<serde_json::Value>,
}

impl Deferral {
    pub(crate) fn callback(self) -> Callback {
        match self {
            Self::Message { ephemeral } => Callback {
                r#type: 5,
                data: ephemeral.then(|| json!({ "flags": 64 })),
            },
            Self::Update => Callback {
                r#type: 6,
                data: None,
            },
            Self::Nothing => Callback {
                r#type: 8,
                data: Some(json!({ "choices": [] })),
            },
        }
    }
}

/// How Discord is told.
#[derive(Debug)]
pub(crate) enum Way {
    /// By a call with this token.
    #[cfg_attr(
        not(feature = "net"),
        expect(
            dead_code,
            reason = "only the gateway brings interactions that want one"
        )
    )]
    Call(String),
    /// By the answer to the request that brought the interaction.
    Answer(Answering),
}

#[derive(Debug)]
struct Pending {
    way: Way,
    deferral: Deferral,
}

type Slot = Arc<AsyncMutex<Option<Pending>>>;

/// Interactions that Discord has not been told of.
#[derive(Debug, Default)]
pub(crate) struct Deferrals(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<Box<str>, Slot>,
    order: VecDeque<Box<str>>,
}

impl Deferrals {
    /// Notes an interaction that has come.
    pub(crate) fn begin(&self, id: &str, way: Way, deferral: Deferral) {
        let pending = Pending { way, deferral };
        let mut table = lock(&self.0);
        if table.slots.contains_key(id) {
            return;
        }
        while table.order.len() >= CAPACITY {
            let Some(oldest) = table.order.pop_front() else {
                break;
            };
            table.slots.remove(&oldest);
        }
        table.order.push_back(id.into());
        table
            .slots
            .insert(id.into(), Arc::new(AsyncMutex::new(Some(pending))));
    }

    fn slot(&self, id: &str) -> Option<Slot> {
        lock(&self.0).slots.get(id).cloned()
    }

    /// Forgets an interaction that Discord has been told of.
    fn done(&self, id: &str) {
        let mut table = lock(&self.0);
        table.slots.remove(id);
        table.order.retain(|known| **known != *id);
    }
}

/// Tells Discord that an interaction has arrived, unless that has been done.
pub(crate) async fn ensure(shared: &Shared, id: &str) -> Result<()> {
    let Some(slot) = shared.deferrals.slot(id) else {
        return Ok(());
    };
    // Whoever else is here waits until it is told.
    let mut pending = slot.lock().await;
    // Late or not, there is nothing more to be done about it.
    let Some(it) = pending.take() else {
        return Ok(());
    };
    let callback = serde_json::to_value(it.deferral.callback()).unwrap_or_default();
    let told = tell(shared, Op::Callback, id, it.way, callback).await;
    drop(pending);
    shared.deferrals.done(id);
    // A request that is not open any more was answered with the same.
    told.map(|_| ())
}

/// Answers with something else than the deferral, if nothing has been told so far; says
/// whether it could.
pub(crate) async fn instead(shared: &Shared, id: &str, op: Op, callback: Value) -> Result<bool> {
    let Some(slot) = shared.deferrals.slot(id) else {
        return Ok(false);
    };
    let mut pending = slot.lock().await;
    let Some(it) = pending.take() else {
        return Ok(false);
    };
    let told = tell(shared, op, id, it.way, callback).await;
    drop(pending);
    shared.deferrals.done(id);
    told
}

/// Tells Discord; `false` if it has been told meanwhile.
async fn tell(shared: &Shared, op: Op, id: &str, way: Way, callback: Value) -> Result<bool> {
    let token = match way {
        Way::Answer(answering) => return Ok(answering.with(callback)),
        Way::Call(token) => token,
    };
    let payload = Payload::json(&callback);
    let path = format!("/interactions/{id}/{token}/callback");
    let call = Call::of_token(op, Method::POST, path, id).with(payload);
    let mut attempts = 1;
    loop {
        let told = shared.call_raw(&call, Some(limits::FIRST_ANSWER)).await;
        let Err(fault) = told else {
            return Ok(true);
        };
        if fault.reason == Reason::Answered {
            return Ok(true);
        }
        let is_over = fault.reason != Reason::Other || !may_help(&fault.error);
        if is_over || attempts >= ATTEMPTS {
            return Err(fault.error);
        }
        attempts += 1;
        let wait = Duration::from_millis(100);
        shared.client.transport.clock.sleep(wait).await;
    }
}

fn may_help(error: &channel_core::Error) -> bool {
    use channel_core::ErrorKind;
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Uncertain)
}

/// Which messages were made by the token of an interaction: it changes them where the bot
/// is no member, or where only one person sees them.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<VecDeque<(channel_core::MessageId, Right)>>);

impl Tokens {
    pub(crate) fn remember(&self, at: &MessageRef, right: &Right) {
        let mut known = lock(&self.0);
        if known.iter().any(|(id, _)| *id == at.id) {
            return;
        }
        if known.len() >= TOKENS {
            known.pop_front();
        }
        known.push_back((at.id.clone(), right.clone()));
    }

    /// The right that made a message, while it lasts.
    pub(crate) fn of(&self, at: &MessageRef, now: std::time::SystemTime) -> Option<Right> {
        let known = lock(&self.0);
        let (_, right) = known.iter().rev().find(|(id, _)| *id == at.id)?;
        let age = now.duration_since(right.since).unwrap_or_default();
        (age < limits::TOKEN).then(|| right.clone())
    }
}
