//! Changing and deleting messages. <https://core.telegram.org/bots/api#updating-messages>

use serde_json::{Map, Value};

use super::super::answer::{Answer, ApiError};
use super::super::files::FileKind;
use super::super::model::{Author, Message, Place, put};
use super::super::params::integer;
use super::Context;
use super::media::same_file;
use super::send::{caption_fields, text_fields};

/// "A message can only be deleted if it was sent less than 48 hours ago."
const DELETE_WINDOW: i64 = 48 * 3600;

impl Context<'_> {
    /// The message to edit: it exists, and the bot wrote it.
    fn editable(&mut self) -> Result<(Place, Message), ApiError> {
        if !self.params.has("chat_id") && self.params.has("inline_message_id") {
            return Err(ApiError::bad("MESSAGE_ID_INVALID"));
        }
        let place = self.target()?;
        let id = self
            .params
            .int("message_id")
            .ok_or_else(|| ApiError::bad("message identifier is not specified"))?;
        let message = self
            .state
            .chats
            .get(&place)
            .and_then(|chat| chat.live(id))
            .cloned();
        let message = message.ok_or_else(|| ApiError::bad("message to edit not found"))?;
        if message.author != Author::Bot(self.bot)
            || message.is_service()
            || message.fields.contains_key("forward_origin")
        {
            return Err(ApiError::bad("message can't be edited"));
        }
        Ok((place, message))
    }

    /// Puts the new content in place; without `reply_markup` the keyboard goes.
    fn change(
        &mut self,
        place: Place,
        message: &Message,
        mut content: Map<String, Value>,
    ) -> Answer {
        let markup = self.reply_markup()?;
        put(&mut content, "reply_markup", markup);
        if content == message.fields {
            return Err(ApiError::bad(
                "message is not modified: specified new message content and reply markup are exactly the same as a \
                 current content and reply markup of the message",
            ));
        }
        self.flood(place, 1)?;
        let now = self.state.now();
        if let Some(stored) = self
            .state
            .chats
            .get_mut(&place)
            .and_then(|chat| chat.live_mut(message.id))
        {
            stored.change(content, now);
        }
        Ok(self.state.message_json(place, message.id, self.bot))
    }

    pub(super) fn edit_text(&mut self) -> Answer {
        let (place, message) = self.editable()?;
        let text = self.message_text()?;
        if !message.fields.contains_key("text") {
            return Err(ApiError::bad("there is no text in the message to edit"));
        }
        self.change(place, &message, text_fields(&text))
    }

    pub(super) fn edit_caption(&mut self) -> Answer {
        let (place, message) = self.editable()?;
        let caption = self.caption()?;
        let has_caption = ["photo", "document", "audio", "video", "animation", "voice"];
        if !has_caption
            .iter()
            .any(|kind| message.fields.contains_key(*kind))
        {
            return Err(ApiError::bad("there is no caption in the message to edit"));
        }
        let mut content = message.fields.clone();
        content.retain(|name, _| {
            !matches!(
                name.as_str(),
                "caption" | "caption_entities" | "reply_markup"
            )
        });
        content.extend(caption_fields(&caption));
        self.change(place, &message, content)
    }

    pub(super) fn edit_reply_markup(&mut self) -> Answer {
        let (place, message) = self.editable()?;
        let mut content = message.fields.clone();
        content.remove("reply_markup");
        self.change(place, &message, content)
    }

    pub(super) fn edit_media(&mut self) -> Answer {
        let (place, message) = self.editable()?;
        let media = self
            .params
            .nested("media")?
            .ok_or_else(|| ApiError::bad("can't parse InputMedia: media is not specified"))?;
        if message.fields.contains_key("poll") {
            return Err(ApiError::bad("message can't be edited"));
        }
        let (kind, mut content) = self.input_media(&media)?;
        if kind == FileKind::Photo && same_file(&content, &message.fields, kind) {
            // Describing a photo makes a new small size; the same photo is no change.
            content.insert(
                "photo".into(),
                message.fields.get("photo").cloned().unwrap_or_default(),
            );
        }
        put(
            &mut content,
            "media_group_id",
            message.fields.get("media_group_id").cloned(),
        );
        self.change(place, &message, content)
    }

    /// Whether the bot may delete the message.
    fn may_delete(&self, place: Place, id: i64) -> Result<(), ApiError> {
        let message = self.state.chats.get(&place).and_then(|chat| chat.live(id));
        let message = message.ok_or_else(|| ApiError::bad("message to delete not found"))?;
        if self.state.now().saturating_sub(message.date) >= DELETE_WINDOW {
            return Err(ApiError::bad("message can't be deleted for everyone"));
        }
        let own = message.author == Author::Bot(self.bot);
        if own || matches!(place, Place::Private { .. }) || self.is_admin(place) {
            Ok(())
        } else {
            Err(ApiError::bad("message can't be deleted"))
        }
    }

    fn delete(&mut self, place: Place, id: i64) {
        let now = self.state.now();
        if let Some(message) = self
            .state
            .chats
            .get_mut(&place)
            .and_then(|chat| chat.live_mut(id))
        {
            message.deleted = Some(now);
        }
    }

    pub(super) fn delete_message(&mut self) -> Answer {
        let place = self.target()?;
        let id = self
            .params
            .int("message_id")
            .ok_or_else(|| ApiError::bad("message identifier is not specified"))?;
        self.may_delete(place, id)?;
        self.delete(place, id);
        Ok(true.into())
    }

    /// "If some of the specified messages can't be found, they are skipped."
    pub(super) fn delete_messages(&mut self) -> Answer {
        let place = self.target()?;
        let ids = self.params.list("message_ids").unwrap_or_default();
        if ids.is_empty() {
            return Err(ApiError::bad("message identifiers are not specified"));
        }
        if ids.len() > 100 {
            return Err(ApiError::bad("too many message identifiers specified"));
        }
        let ids: Vec<i64> = ids.iter().filter_map(integer).collect();
        for id in &ids {
            let exists = self
                .state
                .chats
                .get(&place)
                .is_some_and(|chat| chat.live(*id).is_some());
            if exists {
                self.may_delete(place, *id)?;
            }
        }
        ids.into_iter().for_each(|id| self.delete(place, id));
        Ok(Value::Bool(true))
    }
}
