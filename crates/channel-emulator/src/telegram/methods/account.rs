//! The bot itself: who it is, whether it is logged in, and its commands.

use serde_json::{Value, json};

use super::super::answer::{Answer, ApiError};
use super::Context;

/// After `logOut` a bot waits this long before it can log in again; `close` waits as long after the start.
const TEN_MINUTES: i64 = 600;
/// Scopes and languages for which a bot can have commands.
const MAX_COMMAND_LISTS: usize = 1000;

impl Context<'_> {
    pub(super) fn get_me(&mut self) -> Answer {
        let bot = self.state.bot(self.bot)?;
        let mut me = bot.json();
        if let Some(me) = me.as_object_mut() {
            for (ability, offered) in [
                ("can_join_groups", true),
                ("can_read_all_group_messages", !bot.privacy),
                ("supports_inline_queries", false),
                ("can_connect_to_business", false),
                ("has_main_web_app", false),
                ("has_topics_enabled", bot.topics),
                ("allows_users_to_create_topics", bot.topics),
            ] {
                me.insert(ability.to_owned(), offered.into());
            }
        }
        Ok(me)
    }

    pub(super) fn log_out(&mut self) -> Answer {
        let until = self.state.now().saturating_add(TEN_MINUTES);
        self.state.bot_mut(self.bot)?.logged_out_until = until;
        Ok(true.into())
    }

    /// "The method will return error 429 in the first 10 minutes after the bot is launched."
    pub(super) fn close(&mut self) -> Answer {
        let running = self
            .state
            .now()
            .saturating_sub(self.state.bot(self.bot)?.since);
        let left = TEN_MINUTES.saturating_sub(running);
        if left > 0 {
            return Err(ApiError::too_many(u64::try_from(left).unwrap_or(0)));
        }
        Ok(true.into())
    }

    /// The key of a command list: its scope and language.
    fn command_key(&self) -> Result<(String, String), ApiError> {
        let scope = self
            .params
            .nested("scope")
            .map_err(|_| ApiError::bad("can't parse BotCommandScope JSON object"))?
            .unwrap_or_else(|| json!({"type": "default"}));
        let kind = scope
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let known = [
            "default",
            "all_private_chats",
            "all_group_chats",
            "all_chat_administrators",
            "chat",
            "chat_administrators",
            "chat_member",
        ];
        if !known.contains(&kind) {
            return Err(ApiError::bad("unsupported BotCommandScope type"));
        }
        let language = self
            .params
            .text("language_code")
            .unwrap_or_default()
            .into_owned();
        if !matches!(language.len(), 0 | 2) {
            return Err(ApiError::bad("invalid language code specified"));
        }
        Ok((scope.to_string(), language))
    }

    pub(super) fn set_my_commands(&mut self) -> Answer {
        let key = self.command_key()?;
        let unparsable = || ApiError::bad("can't parse commands JSON object");
        let list = self.params.list("commands").ok_or_else(unparsable)?;
        if list.len() > 100 {
            return Err(ApiError::bad("BOT_COMMANDS_TOO_MUCH"));
        }
        let mut commands = Vec::new();
        for item in &list {
            let text = |name: &str| item.get(name).and_then(Value::as_str);
            let name = text("command").ok_or_else(unparsable)?;
            let name = name.strip_prefix('/').unwrap_or(name);
            let description = text("description").ok_or_else(unparsable)?;
            let accepted =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if !(1..=32).contains(&name.len()) || !name.bytes().all(accepted) {
                return Err(ApiError::bad("BOT_COMMAND_INVALID"));
            }
            if !(1..=256).contains(&description.chars().count()) {
                return Err(ApiError::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
            }
            commands.push(json!({"command": name, "description": description}));
        }
        let lists = &mut self.state.bot_mut(self.bot)?.commands;
        if lists.len() >= MAX_COMMAND_LISTS && !lists.contains_key(&key) {
            return Err(ApiError::bad("BOT_COMMANDS_TOO_MUCH"));
        }
        lists.insert(key, commands);
        Ok(true.into())
    }

    pub(super) fn get_my_commands(&mut self) -> Answer {
        let key = self.command_key()?;
        Ok(self
            .state
            .bot(self.bot)?
            .commands
            .get(&key)
            .cloned()
            .unwrap_or_default()
            .into())
    }

    pub(super) fn delete_my_commands(&mut self) -> Answer {
        let key = self.command_key()?;
        self.state.bot_mut(self.bot)?.commands.remove(&key);
        Ok(true.into())
    }
}
