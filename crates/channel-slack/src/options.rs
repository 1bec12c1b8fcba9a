//! Menus whose options the application knows
//! (<https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element/#external_select>).

use std::fmt;

use channel_core::{Chat, Raw, Result, Sender, async_trait};
use serde_json::{Value, json};

use crate::error::invalid;
use crate::limits;

/// What these errors are about.
const OPERATION: &str = "offer options";

/// Says what there is to choose from in a menu of the type `external_select` or
/// `multi_external_select`.
///
/// Set by [`SlackBuilder::option_source`](crate::SlackBuilder::option_source). Slack asks when
/// somebody opens the menu and as they type, and waits 3 s. After 2 s, and if the source fails
/// or panics, nothing is offered. Being asked is no event. The source is asked before any
/// [`Policy`](channel_core::Policy): it offers what whoever asks may see.
///
/// ```
/// use channel_core::{Result, async_trait};
/// use channel_slack::{MenuOption, OptionQuery, OptionSource, MenuOptions};
///
/// #[derive(Debug)]
/// struct Cities;
///
/// #[async_trait]
/// impl OptionSource for Cities {
///     async fn options(&self, asked: &OptionQuery) -> Result<MenuOptions> {
///         let known = ["Aachen", "Berlin", "Bern"];
///         let fits = known.iter().filter(|name| name.starts_with(&asked.typed));
///         MenuOptions::new(fits.map(|name| MenuOption::new(*name, name.to_lowercase())))
///     }
/// }
/// ```
#[async_trait]
pub trait OptionSource: fmt::Debug + Send + Sync {
    /// The options that fit what was typed.
    ///
    /// # Errors
    ///
    /// With any error nothing is offered.
    async fn options(&self, asked: &OptionQuery) -> Result<MenuOptions>;
}

/// Who wants to choose in which menu, and what they have typed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionQuery {
    /// Who asks; not authorized yet.
    pub sender: Sender,
    /// Where the menu is; the direct chat of whoever asks if it is in a dialog.
    pub chat: Chat,
    /// The `action_id` of the menu.
    pub action_id: String,
    /// The `block_id` around it.
    pub block_id: String,
    /// The `callback_id` of the dialog or home tab, if the menu is in one.
    pub callback_id: Option<String>,
    /// What was typed so far, at most 3000 bytes of it; empty when the menu was just opened.
    pub typed: String,
    /// Slack's payload.
    pub raw: Raw,
}

/// One option of a menu
/// (<https://docs.slack.dev/reference/block-kit/composition-objects/option-object/>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuOption {
    text: String,
    value: String,
    description: Option<String>,
}

impl MenuOption {
    /// What is shown, at most 75 characters, and the value that comes back, at most 150.
    #[must_use]
    pub fn new(text: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            value: value.into(),
            description: None,
        }
    }

    /// Adds a line below it, at most 75 characters.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    fn check(&self) -> Result<()> {
        check("the text of an option", &self.text, limits::LABEL)?;
        check("the value of an option", &self.value, limits::OPTION_VALUE)?;
        match &self.description {
            Some(text) => check("the description of an option", text, limits::LABEL),
            None => Ok(()),
        }
    }

    fn json(&self) -> Value {
        let mut option = json!({ "text": plain(&self.text), "value": self.value });
        if let (Some(text), Some(map)) = (&self.description, option.as_object_mut()) {
            map.insert("description".to_owned(), plain(text));
        }
        option
    }
}

/// What there is to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MenuOptions {
    options: Vec<MenuOption>,
    groups: Vec<(String, Vec<MenuOption>)>,
}

impl MenuOptions {
    /// One list of at most 100 options.
    ///
    /// # Errors
    ///
    /// `Invalid` if there are more, or one is over a limit.
    pub fn new(options: impl IntoIterator<Item = MenuOption>) -> Result<Self> {
        Ok(Self {
            options: bounded(options)?,
            groups: Vec::new(),
        })
    }

    /// Up to 100 groups, each with a label of at most 75 characters and one to 100 options
    /// (<https://docs.slack.dev/reference/block-kit/composition-objects/option-group-object/>).
    ///
    /// # Errors
    ///
    /// `Invalid` if there are more, a group is empty, or something is over a limit.
    pub fn grouped<L, O>(groups: impl IntoIterator<Item = (L, O)>) -> Result<Self>
    where
        L: Into<String>,
        O: IntoIterator<Item = MenuOption>,
    {
        let mut all = Vec::new();
        for (label, options) in groups {
            if all.len() == limits::OPTIONS {
                return Err(too_many());
            }
            let (label, options) = (label.into(), bounded(options)?);
            check("the label of a group", &label, limits::LABEL)?;
            if options.is_empty() {
                return Err(invalid("a group has one option at least", OPERATION));
            }
            all.push((label, options));
        }
        Ok(Self {
            options: Vec::new(),
            groups: all,
        })
    }

    /// What Slack is told.
    pub(crate) fn payload(&self) -> Value {
        if self.groups.is_empty() {
            return json!({ "options": list(&self.options) });
        }
        let group = |(label, options): &(String, Vec<MenuOption>)| json!({ "label": plain(label), "options": list(options) });
        json!({ "option_groups": self.groups.iter().map(group).collect::<Vec<_>>() })
    }
}

fn bounded(options: impl IntoIterator<Item = MenuOption>) -> Result<Vec<MenuOption>> {
    let mut all = Vec::new();
    for option in options {
        // An endless source is not drained.
        if all.len() == limits::OPTIONS {
            return Err(too_many());
        }
        option.check()?;
        all.push(option);
    }
    Ok(all)
}

fn too_many() -> channel_core::Error {
    invalid("slack shows 100 options, or 100 groups of them", OPERATION)
}

fn list(options: &[MenuOption]) -> Vec<Value> {
    options.iter().map(MenuOption::json).collect()
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text })
}

/// A text of one character at least and `most` at most.
fn check(what: &str, text: &str, most: usize) -> Result<()> {
    limits::check_text(what, text, most, OPERATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(count: usize) -> impl Iterator<Item = MenuOption> {
        (0..count).map(|n| MenuOption::new(format!("Option {n}"), n.to_string()))
    }

    #[test]
    fn a_list_and_its_groups_are_written_as_slack_reads_them() {
        let one = MenuOption::new("One", "1").description("the first");
        let written = json!({"text": {"type": "plain_text", "text": "One"}, "value": "1",
            "description": {"type": "plain_text", "text": "the first"}});
        let list = MenuOptions::new([one.clone()]).unwrap();
        assert_eq!(list.payload(), json!({"options": [written]}));
        let groups = MenuOptions::grouped([("Numbers", [one])]).unwrap();
        let label = json!({"type": "plain_text", "text": "Numbers"});
        assert_eq!(
            groups.payload(),
            json!({"option_groups": [{"label": label, "options": [written]}]})
        );
        assert_eq!(MenuOptions::default().payload(), json!({"options": []}));
    }

    #[test]
    fn a_hundred_options_fit_and_no_more() {
        assert!(MenuOptions::new(some(100)).is_ok());
        assert!(MenuOptions::new(some(101)).is_err());
        assert!(MenuOptions::new(std::iter::repeat(MenuOption::new("a", "a"))).is_err());
        let groups = |count: usize, each: usize| {
            MenuOptions::grouped((0..count).map(|n| (format!("Group {n}"), some(each))))
        };
        assert!(groups(100, 100).is_ok());
        assert!(groups(101, 1).is_err());
        assert!(groups(1, 101).is_err());
        assert!(groups(1, 0).is_err());
    }

    #[test]
    fn texts_are_within_slacks_limits() {
        let is_good = |option: MenuOption| MenuOptions::new([option]).is_ok();
        let (text, value) = ("t".repeat(75), "v".repeat(150));
        assert!(is_good(MenuOption::new(&text, &value).description(&text)));
        assert!(!is_good(MenuOption::new("t".repeat(76), "v")));
        assert!(!is_good(MenuOption::new("", "v")));
        assert!(!is_good(MenuOption::new("t", "v".repeat(151))));
        assert!(!is_good(MenuOption::new("t", "")));
        let described = MenuOption::new("t", "v").description("d".repeat(76));
        assert!(!is_good(described));
        let label = |label: &str| MenuOptions::grouped([(label, some(1))]).is_ok();
        assert!(label(&"l".repeat(75)) && !label(&"l".repeat(76)) && !label(""));
        // Emoji count twice.
        assert!(!is_good(MenuOption::new("\u{1f600}".repeat(38), "v")));
    }
}
