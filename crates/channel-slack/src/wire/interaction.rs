//! Presses, dialogs and shortcuts
//! (<https://docs.slack.dev/interactivity/handling-user-interaction/>).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::text::Str;

/// The payload of an interaction: one struct for all kinds.
#[derive(Debug, Deserialize)]
pub(crate) struct Interaction<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Str<'a>,
    #[serde(borrow)]
    pub(crate) team: Option<Team<'a>>,
    #[serde(borrow)]
    pub(crate) enterprise: Option<Team<'a>>,
    #[serde(borrow)]
    pub(crate) user: Option<User<'a>>,
    #[serde(borrow)]
    pub(crate) api_app_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) trigger_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) response_url: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) callback_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) action_ts: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) container: Option<Container<'a>>,
    #[serde(borrow)]
    pub(crate) channel: Option<Room<'a>>,
    #[serde(borrow)]
    pub(crate) message: Option<Carrier<'a>>,
    #[serde(borrow, default)]
    pub(crate) actions: Vec<PressedAction<'a>>,
    #[serde(borrow)]
    pub(crate) state: Option<State<'a>>,
    #[serde(borrow)]
    pub(crate) view: Option<View<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Team<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct User<'a> {
    #[serde(borrow)]
    pub(crate) id: Str<'a>,
    #[serde(borrow)]
    pub(crate) username: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) team_id: Option<Str<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Room<'a> {
    #[serde(borrow)]
    pub(crate) id: Str<'a>,
    #[serde(borrow)]
    pub(crate) name: Option<Str<'a>>,
}

/// Where the pressed element is.
#[derive(Debug, Deserialize)]
pub(crate) struct Container<'a> {
    #[serde(borrow)]
    pub(crate) message_ts: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) channel_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) thread_ts: Option<Str<'a>>,
    #[serde(default)]
    pub(crate) is_ephemeral: bool,
}

/// The message that carries the pressed element.
#[derive(Debug, Deserialize)]
pub(crate) struct Carrier<'a> {
    #[serde(borrow)]
    pub(crate) ts: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) thread_ts: Option<Str<'a>>,
}

/// A pressed button, a chosen option, or what else an element holds.
#[derive(Debug, Deserialize)]
pub(crate) struct PressedAction<'a> {
    #[serde(borrow)]
    pub(crate) action_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) action_ts: Option<Str<'a>>,
    #[serde(borrow)]
    value: Option<Str<'a>>,
    #[serde(borrow)]
    selected_option: Option<Choice<'a>>,
    #[serde(borrow)]
    selected_user: Option<Str<'a>>,
    #[serde(borrow)]
    selected_conversation: Option<Str<'a>>,
    #[serde(borrow)]
    selected_channel: Option<Str<'a>>,
    #[serde(borrow)]
    selected_date: Option<Str<'a>>,
    #[serde(borrow)]
    selected_time: Option<Str<'a>>,
    #[serde(borrow)]
    selected_options: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    selected_users: Option<Vec<Str<'a>>>,
}

impl PressedAction<'_> {
    /// What the person chose, in one text; several choices are parted by commas.
    pub(crate) fn value(&self) -> Cow<'_, str> {
        let option = self.selected_option.as_ref().map(|option| &option.value);
        let candidates = [
            self.value.as_ref(),
            option,
            self.selected_user.as_ref(),
            self.selected_conversation.as_ref(),
            self.selected_channel.as_ref(),
            self.selected_date.as_ref(),
            self.selected_time.as_ref(),
        ];
        if let Some(text) = candidates.into_iter().flatten().next() {
            return Cow::Borrowed(text);
        }
        let options = self
            .selected_options
            .iter()
            .flatten()
            .map(|option| &*option.value);
        let users = self.selected_users.iter().flatten().map(|user| &**user);
        Cow::Owned(options.chain(users).collect::<Vec<_>>().join(","))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(borrow)]
    pub(crate) value: Str<'a>,
}

/// What an input holds
/// (<https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload/>).
#[derive(Debug, Deserialize)]
pub(crate) struct Selected<'a> {
    #[serde(borrow)]
    value: Option<Str<'a>>,
    #[serde(borrow)]
    selected_option: Option<Choice<'a>>,
    #[serde(borrow)]
    selected_options: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    selected_user: Option<Str<'a>>,
    #[serde(borrow)]
    selected_users: Option<Vec<Str<'a>>>,
    #[serde(borrow)]
    selected_conversation: Option<Str<'a>>,
    #[serde(borrow)]
    selected_channel: Option<Str<'a>>,
    #[serde(borrow)]
    selected_date: Option<Str<'a>>,
    #[serde(borrow)]
    selected_time: Option<Str<'a>>,
    selected_date_time: Option<i64>,
}

impl Selected<'_> {
    /// The input in one text; several choices are parted by commas. `None` if it is empty.
    pub(crate) fn value(&self) -> Option<String> {
        let single = [
            self.value.as_ref(),
            self.selected_option.as_ref().map(|option| &option.value),
            self.selected_user.as_ref(),
            self.selected_conversation.as_ref(),
            self.selected_channel.as_ref(),
            self.selected_date.as_ref(),
            self.selected_time.as_ref(),
        ];
        if let Some(text) = single.into_iter().flatten().next() {
            return Some(text.to_string());
        }
        if let Some(options) = &self.selected_options {
            let values: Vec<&str> = options.iter().map(|option| &*option.value).collect();
            return Some(values.join(","));
        }
        if let Some(users) = &self.selected_users {
            let users: Vec<&str> = users.iter().map(|user| &**user).collect();
            return Some(users.join(","));
        }
        self.selected_date_time.map(|at| at.to_string())
    }
}

/// A menu that wants options
/// (<https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload/>).
#[derive(Debug, Deserialize)]
pub(crate) struct Suggestion<'a> {
    #[serde(borrow)]
    pub(crate) action_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) block_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) value: Option<Str<'a>>,
}

type Values<'a> = BTreeMap<String, BTreeMap<String, Selected<'a>>>;

#[derive(Debug, Deserialize)]
pub(crate) struct State<'a> {
    #[serde(borrow, default)]
    values: Values<'a>,
}

impl State<'_> {
    /// Every input that holds something, by its `action_id`.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let inputs = self.values.values().flatten();
        inputs
            .filter_map(|(name, input)| Some((name.clone(), input.value()?)))
            .collect()
    }
}

/// <https://docs.slack.dev/reference/views/>
#[derive(Debug, Deserialize)]
pub(crate) struct View<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) hash: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) callback_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) private_metadata: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) state: Option<State<'a>>,
}
