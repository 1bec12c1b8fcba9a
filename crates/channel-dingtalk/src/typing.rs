//! The sign that an answer is being written. DingTalk has none: by convention a robot reacts to
//! the question, and takes that back with its answer.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use channel_core::{ChatId, Destination, MessageId, Result};

use crate::change;
use crate::ids::is_id;
use crate::limits;
use crate::session::Context;
use crate::shared::{Shared, lock};

/// The reaction.
const SIGN: &str = "\u{1f914}\u{601d}\u{8003}\u{4e2d}";
/// How many chats carry the sign at a time.
const MOST: usize = 1000;
/// How many signs that nobody took away are taken away at a time.
const SWEPT: usize = 4;

#[derive(Debug, Clone)]
struct Sign {
    message: String,
    conversation: String,
    since: Duration,
}

/// Questions that carry the sign, by their chat.
#[derive(Debug, Default)]
pub(crate) struct Signs(Mutex<HashMap<ChatId, Sign>>);

/// Shows the sign at the message that is answered; without one there is nothing to show it at.
pub(crate) async fn start(shared: &Shared, to: &Destination) -> Result<()> {
    sweep(shared).await;
    let chat = &to.target().chat;
    let message = to.quoted().map(MessageId::as_str).filter(|id| is_id(id));
    let conversation = Context::of(to)?.conversation.filter(|id| is_id(id));
    let (Some(message), Some(conversation)) = (message, conversation) else {
        return Ok(());
    };
    let sign = Sign {
        message: message.to_owned(),
        conversation,
        since: shared.elapsed(),
    };
    {
        let mut signs = lock(&shared.signs.0);
        if signs.contains_key(chat) || signs.len() >= MOST {
            return Ok(());
        }
        signs.insert(chat.clone(), sign.clone());
    }
    let shown = change::emotion(shared, message, &sign.conversation, SIGN, true, None).await;
    if shown.is_err() {
        lock(&shared.signs.0).remove(chat);
    }
    Ok(shown?)
}

/// Takes the sign of a chat away, if it is there. That this fails is no reason for an answer to.
pub(crate) async fn end(shared: &Shared, chat: &ChatId) {
    let known = lock(&shared.signs.0).remove(chat);
    let Some(sign) = known else {
        return;
    };
    let ended = change::emotion(shared, &sign.message, &sign.conversation, SIGN, false, None);
    if let Err(fault) = ended.await {
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
            .filter(|(_, sign)| now.saturating_sub(sign.since) >= limits::TYPING);
        old.take(SWEPT).map(|(chat, _)| chat.clone()).collect()
    };
    for chat in old {
        end(shared, &chat).await;
    }
}
