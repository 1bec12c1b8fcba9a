//! Which talk in shared chats is meant for the bot.

use channel_core::{Addressed, Case, ChatId, ChatKind, Error, Message, Platform, Result, Spelling};
use serde::Deserialize;

use crate::allowlist::Allowlist;

/// What a bot listens to in shared chats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupMode {
    /// To what mentions it, replies to it or commands it.
    #[default]
    MentionOnly,
    /// Also to what begins with one of the prefixes.
    Prefix,
    /// To everything that the platform delivers.
    Open,
    /// To nothing.
    Off,
}

impl std::str::FromStr for GroupMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "mention_only" => Ok(Self::MentionOnly),
            "prefix" => Ok(Self::Prefix),
            "open" => Ok(Self::Open),
            "off" => Ok(Self::Off),
            _ => Err(Error::config(
                "a group mode is mention_only, prefix, open or off",
            )),
        }
    }
}

/// The group triggers of one channel, as a configuration file holds them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GroupConfig {
    /// What the bot listens to; `mention_only` if absent.
    pub mode: GroupMode,
    /// What calls the bot in mode `prefix`; it is cut off before the handler.
    pub prefixes: Vec<String>,
    /// Chats where it listens to everything.
    pub free_chats: Vec<String>,
    /// Words that count as a mention wherever they stand, in any case.
    pub mention_words: Vec<String>,
    /// How many messages that were not meant for the bot are put before the next one that is:
    /// 0 to 20, 0 if absent. See the README for what is kept.
    pub context: usize,
}

/// Why talk is meant for the bot, or that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// It is.
    Respond {
        /// How many bytes of the text only called the bot.
        skip: usize,
    },
    /// It is not.
    Ignore,
}

/// Decides which talk in shared chats is meant for the bot.
#[derive(Debug, Clone, Default)]
pub struct GroupTriggers {
    mode: GroupMode,
    prefixes: Vec<String>,
    free_chats: Allowlist,
    mention_words: Vec<String>,
    context: usize,
}

/// How many messages of a chat are kept at most.
const MOST_CONTEXT: usize = 20;

impl GroupTriggers {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// `Config` if prefixes are set in a mode that has none, or missing in the one that
    /// needs them, or an entry is blank.
    pub fn new(config: &GroupConfig, case: Case) -> Result<Self> {
        Self::read(config, Some(case))
    }

    /// The same; chats are compared as the platform does it unless somebody has said how.
    pub(crate) fn read(config: &GroupConfig, case: Option<Case>) -> Result<Self> {
        if (config.mode == GroupMode::Prefix) == config.prefixes.is_empty() {
            return Err(Error::config(
                "group prefixes belong to the group mode prefix, which needs at least one",
            ));
        }
        let words = config.prefixes.iter().chain(&config.mention_words);
        if words.into_iter().any(|word| word.trim().is_empty()) {
            return Err(Error::config("a group prefix or mention word is blank"));
        }
        let context = config.context.min(MOST_CONTEXT);
        if context != config.context {
            tracing::warn!(context, "the group context was longer than 20 messages");
        }
        Ok(Self {
            context,
            mode: config.mode,
            prefixes: config.prefixes.clone(),
            free_chats: Allowlist::of_platform(&config.free_chats, case)?,
            mention_words: config
                .mention_words
                .iter()
                .map(|word| word.to_lowercase())
                .collect(),
        })
    }

    /// Decides. Only what the adapter marks as addressed is: where it does not know the
    /// bot's own name, nothing is a mention.
    #[must_use]
    pub fn decide(&self, message: &Message, platform: &Platform) -> Trigger {
        self.decide_spelt(message, platform, Spelling::exact())
    }

    /// The same where a platform has its own way to compare ids.
    pub(crate) fn decide_spelt(
        &self,
        message: &Message,
        platform: &Platform,
        declared: Spelling,
    ) -> Trigger {
        const RESPOND: Trigger = Trigger::Respond { skip: 0 };
        if message.chat.kind == ChatKind::Direct {
            return RESPOND;
        }
        if self.mode == GroupMode::Off {
            return Trigger::Ignore;
        }
        if message.addressed != Addressed::No
            || self.is_free(platform, &message.chat.id, declared)
            || self.is_called(&message.text)
        {
            return RESPOND;
        }
        match self.mode {
            GroupMode::Open => RESPOND,
            GroupMode::Prefix => self.prefix(&message.text),
            GroupMode::MentionOnly | GroupMode::Off => Trigger::Ignore,
        }
    }

    /// How many messages that were not meant for the bot are kept in each chat.
    pub(crate) const fn context(&self) -> usize {
        match self.mode {
            GroupMode::Off => 0,
            _ => self.context,
        }
    }

    fn is_free(&self, platform: &Platform, chat: &ChatId, declared: Spelling) -> bool {
        self.free_chats.has_chat_spelt(platform, chat, declared)
    }

    fn is_called(&self, text: &str) -> bool {
        if self.mention_words.is_empty() {
            return false;
        }
        let text = text.to_lowercase();
        self.mention_words.iter().any(|word| has_word(&text, word))
    }

    fn prefix(&self, text: &str) -> Trigger {
        let start = text.trim_start();
        let matched = self
            .prefixes
            .iter()
            .filter_map(|prefix| start.strip_prefix(prefix.as_str()))
            .min_by_key(|rest| rest.len());
        match matched {
            Some(rest) => Trigger::Respond {
                skip: text.len() - rest.trim_start().len(),
            },
            None => Trigger::Ignore,
        }
    }
}

/// Whether a word stands in a text with no letter or digit beside it.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text
            .get(at + word.len()..)
            .and_then(|text| text.chars().next());
        !is_part(before) && !is_part(after)
    })
}
