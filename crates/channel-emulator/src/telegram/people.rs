//! What people do, and what bots get to know of it.

use serde_json::{Map, Value, json};

use super::files::Stored;
use super::markup::{Formatted, detect};
use super::model::{Author, Chat, Message, Place, Sort, Standing, Topic, fields};
use super::post::{ActionError, Group, Post};
use super::state::State;
use super::view::Callback;

type Done<T> = Result<T, ActionError>;

/// Topics of one forum.
const MAX_TOPICS: usize = 10_000;
/// Pressed buttons kept.
const MAX_CALLBACKS: usize = 10_000;

impl State {
    pub(crate) fn add_group(&mut self, group: &Group) -> Done<()> {
        if group.id >= 0 {
            return Err(ActionError::Invalid("ids of groups are negative"));
        }
        if !self.has_room_for_chats() {
            return Err(ActionError::Invalid("too many chats"));
        }
        let sort = if group.channel {
            Sort::Channel
        } else if group.id <= -1_000_000_000_000 {
            Sort::Supergroup
        } else {
            Sort::Group
        };
        let mut chat = Chat::new(Place::Shared(group.id), sort, &group.title);
        chat.username.clone_from(&group.username);
        chat.forum = group.forum;
        chat.bots
            .extend(group.bots.iter().map(|bot| (*bot, Standing::Member)));
        chat.bots.extend(
            group
                .admins
                .iter()
                .map(|bot| (*bot, Standing::Administrator)),
        );
        self.chats.insert(chat.place, chat);
        Ok(())
    }

    /// Checks that `user` can act in `place`, and gives the chat; the first step into a private chat starts it.
    fn enter(&mut self, place: Place, user: i64) -> Done<&mut Chat> {
        let person = self
            .users
            .get(&user)
            .ok_or(ActionError::UnknownUser(user))?;
        if person.deactivated {
            return Err(ActionError::NotAllowed(user));
        }
        if let Place::Private { bot, user: owner } = place {
            if owner != user {
                return Err(ActionError::NotAllowed(user));
            }
            if !self.bots.contains_key(&bot) {
                return Err(ActionError::UnknownBot(bot));
            }
        }
        let chat = self
            .chat_or_new(place)
            .ok_or(ActionError::UnknownChat(place.chat_id()))?;
        if let Place::Private { bot, .. } = place
            && *chat.bots.entry(bot).or_insert(Standing::Member) == Standing::Kicked
        {
            return Err(ActionError::NotAllowed(user));
        }
        if chat.migrated_to.is_some() {
            return Err(ActionError::Invalid("the group has become a supergroup"));
        }
        chat.people.entry(user).or_insert(Standing::Member);
        Ok(chat)
    }

    /// Writes a message and shows it to the bots.
    pub(crate) fn post(&mut self, place: Place, user: i64, post: Post) -> Done<i64> {
        self.post_as(place, user, post, None)
    }

    /// Writes several files as an album: one message each, with a common `media_group_id`.
    pub(crate) fn album(&mut self, place: Place, user: i64, posts: Vec<Post>) -> Done<Vec<i64>> {
        let group = (self.random() >> 8).to_string();
        posts
            .into_iter()
            .map(|post| self.post_as(place, user, post, Some(&group)))
            .collect()
    }

    fn post_as(&mut self, place: Place, user: i64, post: Post, album: Option<&str>) -> Done<i64> {
        let chat = self.enter(place, user)?;
        if let Some(thread) = post.thread
            && !chat.topics.contains_key(&thread)
        {
            return Err(ActionError::UnknownTopic(thread));
        }
        if let Some(id) = post.reply_to
            && chat.live(id).is_none()
        {
            return Err(ActionError::UnknownMessage(id));
        }
        let mut content = post.fields;
        if let Some(file) = post.file {
            let number = self
                .files
                .add(Stored::new(file.kind, file.name, file.mime, file.bytes));
            content.extend(self.files.describe(number));
            add_words(&mut content, "caption", post.text, post.entities);
        } else {
            add_words(&mut content, "text", post.text, post.entities);
        }
        if let Some(album) = album {
            content.insert("media_group_id".into(), album.into());
        }
        let mut message = Message::new(Author::User(user), content);
        message.thread = post.thread;
        // In a topic, what answers nothing answers the message that opened it.
        message.reply_to = post.reply_to.or(post.thread);
        let id = self.store(place, message);
        self.announce(place, id, false);
        Ok(id)
    }

    /// Changes the text or caption of one's own message.
    pub(crate) fn edit(&mut self, place: Place, message_id: i64, text: &str) -> Done<()> {
        let now = self.now();
        let chat = self
            .chats
            .get_mut(&place)
            .ok_or(ActionError::UnknownChat(place.chat_id()))?;
        let message = chat
            .live_mut(message_id)
            .ok_or(ActionError::UnknownMessage(message_id))?;
        if !matches!(message.author, Author::User(_)) {
            return Err(ActionError::Invalid(
                "a person can edit only what a person wrote",
            ));
        }
        let mut content = message.fields.clone();
        let field = if content.contains_key("text") {
            "text"
        } else {
            "caption"
        };
        content.retain(|name, _| !matches!(name.as_str(), "entities" | "caption_entities"));
        add_words(&mut content, field, Some(text.to_owned()), None);
        message.change(content, now);
        self.announce(place, message_id, true);
        Ok(())
    }

    /// Takes a message away; bots are not told.
    pub(crate) fn remove(&mut self, place: Place, message_id: i64) -> Done<()> {
        let now = self.now();
        let chat = self
            .chats
            .get_mut(&place)
            .ok_or(ActionError::UnknownChat(place.chat_id()))?;
        let message = chat
            .live_mut(message_id)
            .ok_or(ActionError::UnknownMessage(message_id))?;
        message.deleted = Some(now);
        Ok(())
    }

    /// Presses the button with this `callback_data`; gives the id of the query.
    pub(crate) fn press(
        &mut self,
        place: Place,
        message_id: i64,
        user: i64,
        data: &str,
    ) -> Done<String> {
        let chat = self.enter(place, user)?;
        let message = chat
            .live(message_id)
            .ok_or(ActionError::UnknownMessage(message_id))?;
        let Author::Bot(bot) = message.author else {
            return Err(ActionError::UnknownButton(message_id));
        };
        let keyboard = message
            .fields
            .get("reply_markup")
            .and_then(|markup| markup.get("inline_keyboard"));
        let rows = keyboard.and_then(Value::as_array).into_iter().flatten();
        let mut buttons = rows.filter_map(Value::as_array).flatten();
        if !buttons.any(|button| button.get("callback_data").and_then(Value::as_str) == Some(data))
        {
            return Err(ActionError::UnknownButton(message_id));
        }
        let id = (self.random() >> 1).to_string();
        let instance = place.chat_id().wrapping_mul(7_919).to_string();
        let payload = json!({
            "id": id, "from": self.user_json(user), "chat_instance": instance, "data": data,
            "message": self.message_json(place, message_id, bot),
        });
        if self.callbacks.len() >= MAX_CALLBACKS {
            let oldest = self
                .callbacks
                .values()
                .min_by_key(|callback| callback.at_ms);
            if let Some(oldest) = oldest.map(|callback| callback.id.clone()) {
                self.callbacks.remove(&oldest);
            }
        }
        let at_ms = self.now_ms;
        self.callbacks.insert(
            id.clone(),
            Callback {
                id: id.clone(),
                bot,
                user,
                data: data.to_owned(),
                at_ms,
                answer: None,
            },
        );
        self.emit(bot, "callback_query", payload);
        Ok(id)
    }

    /// Sets all reactions of a person to a message. In groups only administrators hear of it.
    pub(crate) fn react(
        &mut self,
        place: Place,
        message_id: i64,
        user: i64,
        emoji: &[String],
    ) -> Done<()> {
        let now = self.now();
        let chat = self.enter(place, user)?;
        let message = chat
            .live_mut(message_id)
            .ok_or(ActionError::UnknownMessage(message_id))?;
        let old = message
            .reactions
            .insert(user, emoji.to_vec())
            .unwrap_or_default();
        let bots: Vec<i64> = chat
            .bots
            .iter()
            .filter(|(_, standing)| standing.is_admin() || matches!(place, Place::Private { .. }))
            .map(|(bot, _)| *bot)
            .collect();
        let list = |emoji: &[String]| {
            emoji
                .iter()
                .map(|emoji| json!({"type": "emoji", "emoji": emoji}))
                .collect::<Vec<_>>()
        };
        let payload = json!({
            "chat": self.chat_json(place), "message_id": message_id, "user": self.user_json(user), "date": now,
            "old_reaction": list(&old), "new_reaction": list(emoji),
        });
        for bot in bots {
            self.emit(bot, "message_reaction", payload.clone());
        }
        Ok(())
    }

    /// Changes the standing of a bot in a chat: blocked, unblocked, added, promoted, thrown out.
    pub(crate) fn stand(
        &mut self,
        place: Place,
        bot: i64,
        by: i64,
        standing: Standing,
    ) -> Done<()> {
        if !self.bots.contains_key(&bot) {
            return Err(ActionError::UnknownBot(bot));
        }
        if !self.users.contains_key(&by) {
            return Err(ActionError::UnknownUser(by));
        }
        let chat = self
            .chat_or_new(place)
            .ok_or(ActionError::UnknownChat(place.chat_id()))?;
        let old = chat.bots.insert(bot, standing).unwrap_or(Standing::Left);
        let sort = chat.sort;
        if old == standing {
            return Ok(());
        }
        let account = self.user_json(bot);
        let payload = json!({
            "chat": self.chat_json(place), "from": self.user_json(by), "date": self.now(),
            "old_chat_member": old.member(&account), "new_chat_member": standing.member(&account),
        });
        self.emit(bot, "my_chat_member", payload);
        if matches!(sort, Sort::Group | Sort::Supergroup) {
            let service = match (old.is_inside(), standing.is_inside()) {
                (false, true) => json!({"new_chat_members": [account]}),
                (true, false) => json!({"left_chat_member": account}),
                _ => return Ok(()),
            };
            let id = self.store(place, Message::new(Author::User(by), fields(service)));
            self.announce(place, id, false);
        }
        Ok(())
    }

    /// Opens a topic; its id is that of the service message.
    pub(crate) fn open_topic(&mut self, place: Place, author: Author, name: &str) -> Done<i64> {
        let chat = self
            .chats
            .get_mut(&place)
            .ok_or(ActionError::UnknownChat(place.chat_id()))?;
        if !chat.forum && chat.sort != Sort::Private {
            return Err(ActionError::Invalid("the chat has no topics"));
        }
        if chat.topics.len() >= MAX_TOPICS {
            return Err(ActionError::Invalid("too many topics"));
        }
        let created = json!({"forum_topic_created": {"name": name, "icon_color": 0x006F_B9F0}});
        let thread = chat.last_message + 1;
        chat.topics.insert(
            thread,
            Topic {
                name: name.to_owned(),
                closed: false,
            },
        );
        let mut message = Message::new(author, fields(created));
        message.thread = Some(thread);
        let id = self.store(place, message);
        self.announce(place, id, false);
        Ok(id)
    }

    /// Makes a supergroup of a group: bots see a service message on both sides.
    pub(crate) fn migrate(&mut self, group: i64, by: i64) -> Done<i64> {
        let old = Place::Shared(group);
        let new_id = -1_000_000_000_000 - i64::try_from(self.random() >> 36).unwrap_or(1);
        let new = Place::Shared(new_id);
        let chat = self
            .chats
            .get_mut(&old)
            .ok_or(ActionError::UnknownChat(group))?;
        if chat.sort != Sort::Group || chat.migrated_to.is_some() {
            return Err(ActionError::Invalid(
                "only a basic group becomes a supergroup",
            ));
        }
        chat.migrated_to = Some(new_id);
        let mut supergroup = Chat::new(new, Sort::Supergroup, &chat.title);
        supergroup.bots = chat.bots.clone();
        supergroup.people = chat.people.clone();
        self.chats.insert(new, supergroup);
        for (place, service) in [
            (old, json!({"migrate_to_chat_id": new_id})),
            (new, json!({"migrate_from_chat_id": group})),
        ] {
            let id = self.store(place, Message::new(Author::User(by), fields(service)));
            self.announce(place, id, false);
        }
        Ok(new_id)
    }

    /// Queues an update as it is; `update_id` is replaced by the next one. It need not be of a known kind.
    pub(crate) fn inject(&mut self, bot: i64, update: Map<String, Value>) -> Done<i64> {
        if !self.bots.contains_key(&bot) {
            return Err(ActionError::UnknownBot(bot));
        }
        let (kind, payload) = update
            .into_iter()
            .find(|(name, _)| name != "update_id")
            .ok_or(ActionError::Invalid(
                "an update has one field besides update_id",
            ))?;
        self.emit(bot, &kind, payload).ok_or(ActionError::Invalid(
            "the bot does not want updates of this kind",
        ))
    }
}

/// Puts text and its entities under `field`.
fn add_words(
    content: &mut Map<String, Value>,
    field: &str,
    text: Option<String>,
    entities: Option<Vec<Value>>,
) {
    let Some(text) = text else { return };
    let entities = match entities {
        Some(entities) => entities.into(),
        None => Formatted {
            entities: detect(&text),
            text: String::new(),
        }
        .entities_json(),
    };
    content.insert(field.to_owned(), text.into());
    if entities
        .as_array()
        .is_some_and(|entities| !entities.is_empty())
    {
        let name = if field == "text" {
            "entities"
        } else {
            "caption_entities"
        };
        content.insert(name.to_owned(), entities);
    }
}
