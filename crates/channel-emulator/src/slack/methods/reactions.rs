//! Reactions. <https://docs.slack.dev/reference/methods/?family=reactions>

use serde_json::json;

use super::Call;
use crate::slack::answer::{Answer, ApiError};
use crate::slack::state::State;
use crate::slack::view;

/// Different emoji on one message. <https://docs.slack.dev/reference/methods/reactions.add/>
const MAX_REACTIONS: usize = 50;

pub(crate) fn add(call: &mut Call<'_>) -> Answer {
    let (channel, ts, name) = target(call)?;
    let user = call.token.user.clone();
    call.state
        .react(&channel, &ts, &user, &name, true)
        .map_err(ApiError::new)?;
    Ok(json!({}))
}

/// <https://docs.slack.dev/reference/methods/reactions.remove/>
pub(crate) fn remove(call: &mut Call<'_>) -> Answer {
    let (channel, ts, name) = target(call)?;
    let user = call.token.user.clone();
    call.state
        .react(&channel, &ts, &user, &name, false)
        .map_err(ApiError::new)?;
    Ok(json!({}))
}

/// <https://docs.slack.dev/reference/methods/reactions.get/>
pub(crate) fn get(call: &mut Call<'_>) -> Answer {
    let channel = call.channel()?;
    let ts = call.params.required("timestamp")?;
    let message = call.state.message(&channel, &ts);
    let message = message.ok_or_else(|| ApiError::new("message_not_found"))?;
    let mut json = call.state.message_json(&channel, message);
    crate::slack::events::set(&mut json, "reactions", view::reactions(message));
    Ok(json!({"type": "message", "channel": channel, "message": json}))
}

fn target(call: &mut Call<'_>) -> Result<(String, String, String), ApiError> {
    let name = call.params.required("name")?;
    if call.params.text("timestamp").is_none() {
        return Err(ApiError::new("no_item_specified"));
    }
    let channel = call.channel()?;
    let ts = call.params.required("timestamp")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-+':".contains(c);
    // Skin tones follow after two colons; colons around the name are none.
    if name.starts_with(':') || name.ends_with(':') || !name.chars().all(is_name) {
        return Err(ApiError::new("invalid_name"));
    }
    Ok((channel, ts, name))
}

impl State {
    /// Puts a reaction on a message or takes it away, and tells everybody.
    pub(crate) fn react(
        &mut self,
        channel: &str,
        ts: &str,
        user: &str,
        name: &str,
        wanted: bool,
    ) -> Result<(), &'static str> {
        let message = self.message_mut(channel, ts).ok_or("message_not_found")?;
        let kinds = message.reactions.len();
        let mut found = message
            .reactions
            .iter_mut()
            .filter(|(known, _)| known == name);
        match (found.next(), wanted) {
            (Some((_, users)), true) if users.iter().any(|known| known == user) => {
                return Err("already_reacted");
            }
            (Some((_, users)), true) => users.push(user.to_owned()),
            (None, true) if kinds >= MAX_REACTIONS => return Err("too_many_emoji"),
            (None, true) => message
                .reactions
                .push((name.to_owned(), vec![user.to_owned()])),
            (Some((_, users)), false) if users.iter().any(|known| known == user) => {
                users.retain(|known| known != user);
            }
            (_, false) => return Err("no_reaction"),
        }
        message.reactions.retain(|(_, users)| !users.is_empty());
        let author = message.user.clone();
        let kind = if wanted {
            "reaction_added"
        } else {
            "reaction_removed"
        };
        let event = json!({"type": kind, "user": user, "reaction": name, "item_user": author,
            "item": {"type": "message", "channel": channel, "ts": ts}, "event_ts": self.ts()});
        self.tell_members(channel, kind, &event);
        Ok(())
    }
}
