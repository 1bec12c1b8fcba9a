//! Topics of forums. <https://core.telegram.org/bots/api#createforumtopic>

use serde_json::{Value, json};

use super::super::answer::{Answer, ApiError};
use super::super::model::{Author, Place, Topic};
use super::Context;

impl Context<'_> {
    /// The chat of the call, when it has topics the bot may manage.
    fn forum(&mut self) -> Result<Place, ApiError> {
        let place = self.target()?;
        let is_forum = match place {
            Place::Private { .. } => self.state.bot(self.bot)?.topics,
            Place::Shared(_) => self.state.chats.get(&place).is_some_and(|chat| chat.forum),
        };
        if !is_forum {
            return Err(ApiError::bad("the chat is not a forum"));
        }
        if matches!(place, Place::Shared(_)) && !self.is_admin(place) {
            return Err(ApiError::bad("not enough rights to manage topics"));
        }
        Ok(place)
    }

    fn topic(&mut self) -> Result<&mut Topic, ApiError> {
        let place = self.forum()?;
        let thread = self.params.int("message_thread_id").unwrap_or(0);
        let topic = self
            .state
            .chats
            .get_mut(&place)
            .and_then(|chat| chat.topics.get_mut(&thread));
        topic.ok_or_else(|| ApiError::bad("message thread not found"))
    }

    fn topic_name(&self) -> Result<Option<String>, ApiError> {
        let Some(name) = self.params.text("name") else {
            return Ok(None);
        };
        if (1..=128).contains(&name.chars().count()) {
            Ok(Some(name.into_owned()))
        } else {
            Err(ApiError::bad("TOPIC_TITLE_INVALID"))
        }
    }

    pub(super) fn create_topic(&mut self) -> Answer {
        let place = self.forum()?;
        let name = self
            .topic_name()?
            .ok_or_else(|| ApiError::bad("TOPIC_TITLE_EMPTY"))?;
        let created = self.state.open_topic(place, Author::Bot(self.bot), &name);
        let thread = created.map_err(|_| ApiError::bad("the chat is not a forum"))?;
        Ok(json!({"message_thread_id": thread, "name": name, "icon_color": 0x006F_B9F0}))
    }

    pub(super) fn edit_topic(&mut self) -> Answer {
        let name = self.topic_name()?;
        let topic = self.topic()?;
        if let Some(name) = name {
            if topic.name == name {
                return Err(ApiError::bad("TOPIC_NOT_MODIFIED"));
            }
            topic.name = name;
        }
        Ok(true.into())
    }

    pub(super) fn close_topic(&mut self, close: bool) -> Answer {
        let topic = self.topic()?;
        if topic.closed == close {
            return Err(ApiError::bad("TOPIC_NOT_MODIFIED"));
        }
        topic.closed = close;
        Ok(true.into())
    }

    pub(super) fn delete_topic(&mut self) -> Answer {
        self.topic()?;
        let place = self.target()?;
        let thread = self.params.int("message_thread_id").unwrap_or(0);
        let now = self.state.now();
        if let Some(chat) = self.state.chats.get_mut(&place) {
            chat.topics.remove(&thread);
            for message in chat
                .messages
                .values_mut()
                .filter(|message| message.thread == Some(thread))
            {
                message.deleted.get_or_insert(now);
            }
        }
        Ok(Value::Bool(true))
    }
}
