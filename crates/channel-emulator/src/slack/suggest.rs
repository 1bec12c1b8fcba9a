//! Menus whose options the app is asked for.
//!
//! <https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element/#external_select>

use serde_json::{Value, json};

use super::engine::Slack;
use super::interact::Doing;
use super::model::ActionError;
use super::state::State;

/// How much has to be typed before the app is asked, unless the menu says otherwise.
const MIN_QUERY_LENGTH: u64 = 3;

impl Slack {
    /// Lets a person type into a menu of a message whose options the app knows; gives the number of the
    /// [`Interaction`](super::Interaction), whose answer holds what is offered.
    ///
    /// # Errors
    /// When there is no such message or menu, or too little was typed for the app to be asked.
    pub fn suggest(
        &self,
        channel: &str,
        user: &str,
        ts: &str,
        action_id: &str,
        typed: &str,
    ) -> Result<u64, ActionError> {
        self.with(|state| state.suggest(channel, user, ts, action_id, typed))
    }

    /// The same in a modal or home tab.
    ///
    /// # Errors
    /// As for [`Slack::suggest`].
    pub fn suggest_in_view(
        &self,
        view: &str,
        action_id: &str,
        typed: &str,
    ) -> Result<u64, ActionError> {
        self.with(|state| state.suggest_in_view(view, action_id, typed))
    }
}

impl State {
    fn suggest(
        &mut self,
        channel: &str,
        user: &str,
        ts: &str,
        action_id: &str,
        typed: &str,
    ) -> Result<u64, ActionError> {
        let message = self.message(channel, ts).cloned();
        let message = message.ok_or(ActionError::UnknownMessage)?;
        let (app, _) = message.bot.clone().ok_or(ActionError::NoSuchAction)?;
        let block_id = asking(message.blocks.as_ref(), action_id, typed)?;
        let team = self.channels.get(channel).map(|c| c.team.clone());
        let team = team.ok_or(ActionError::UnknownChannel)?;
        let container = json!({"type": "message", "message_ts": ts, "channel_id": channel,
            "is_ephemeral": false});
        let doing = Doing {
            app: &app,
            team: &team,
            user,
            channel: Some(channel),
            message: Some(&message),
            view: None,
        };
        let fields = json!({"container": container, "action_id": action_id, "block_id": block_id,
            "value": typed});
        self.interact("block_suggestion", &doing, fields)
    }

    fn suggest_in_view(
        &mut self,
        id: &str,
        action_id: &str,
        typed: &str,
    ) -> Result<u64, ActionError> {
        let view = self.views.get(id).filter(|view| view.open).cloned();
        let view = view.ok_or(ActionError::UnknownMessage)?;
        let block_id = asking(view.json.get("blocks"), action_id, typed)?;
        let fields = json!({"container": {"type": "view", "view_id": id}, "view": view.json,
            "action_id": action_id, "block_id": block_id, "value": typed});
        let doing = Doing {
            app: &view.app,
            team: &view.team,
            user: &view.user,
            channel: None,
            message: None,
            view: Some(id),
        };
        self.interact("block_suggestion", &doing, fields)
    }
}

/// The block of the menu that asks its app, if so much was typed that it does.
fn asking(blocks: Option<&Value>, action_id: &str, typed: &str) -> Result<Value, ActionError> {
    let blocks = blocks.and_then(Value::as_array);
    for block in blocks.into_iter().flatten() {
        let inner = block.get("elements").and_then(Value::as_array);
        let singles = ["accessory", "element"];
        let singles = singles.into_iter().filter_map(|name| block.get(name));
        for part in inner.into_iter().flatten().chain(singles) {
            let text = |name: &str| part.get(name).and_then(Value::as_str);
            let is_external = matches!(
                text("type"),
                Some("external_select" | "multi_external_select")
            );
            if !is_external || text("action_id") != Some(action_id) {
                continue;
            }
            let least = part.get("min_query_length").and_then(Value::as_u64);
            if (typed.chars().count() as u64) < least.unwrap_or(MIN_QUERY_LENGTH) {
                return Err(ActionError::Invalid("too little was typed"));
            }
            return Ok(block.get("block_id").cloned().unwrap_or_default());
        }
    }
    Err(ActionError::NoSuchAction)
}
