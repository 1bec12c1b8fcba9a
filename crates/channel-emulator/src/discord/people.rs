//! What people do.

use serde_json::json;

use super::answer::ApiError;
use super::check::kind_of;
use super::mentions;
use super::model::{ActionError, Attachment, Author, Channel, Id, Message, flag, kind, log, sort};
use super::post::Post;
use super::routes::emoji;
use super::state::State;
use super::view::Typing;

impl State {
    /// A person who may write in the channel.
    pub(crate) fn person_in(&self, channel: Id, user: Id) -> Result<&Channel, ActionError> {
        if !self.users.contains_key(&user) {
            return Err(ActionError::UnknownUser);
        }
        let at = self
            .channels
            .get(&channel)
            .ok_or(ActionError::UnknownChannel)?;
        let inside = match (at.pair, at.guild) {
            (Some((_, person)), _) => person == user,
            (None, guild) => guild
                .and_then(|guild| self.guilds.get(&guild))
                .is_some_and(|guild| guild.members.contains(&user)),
        };
        if inside {
            Ok(at)
        } else {
            Err(ActionError::Invalid("that person is not in the channel"))
        }
    }

    pub(crate) fn post(&mut self, channel: Id, user: Id, post: Post) -> Result<Id, ActionError> {
        let at = self.person_in(channel, user)?;
        if !at.takes_messages() {
            return Err(ActionError::Invalid(
                "nobody writes in this kind of channel",
            ));
        }
        let replied = match post.reply_to {
            None => None,
            Some(id) => {
                let of = self
                    .any_message(channel, id)
                    .ok_or(ActionError::UnknownMessage)?;
                Some((id, of.author.id()))
            }
        };
        if let Some((from, id)) = post.forward {
            self.any_message(from, id)
                .ok_or(ActionError::UnknownMessage)?;
        }
        let forward = post.forward.map(|(from, id)| (1, from, id));
        let found = mentions::find(self, &post.text, channel);
        let mut users = found.users;
        if let Some((_, author)) = replied.filter(|(_, author)| !users.contains(author)) {
            users.push(author);
        }
        let id = self.id();
        let attachments = post
            .files
            .into_iter()
            .map(|file| Attachment {
                id: self.id(),
                content_type: file.content_type.or_else(|| kind_of(&file.name, None)),
                name: file.name,
                description: None,
                bytes: file.bytes,
                voice: post.voice.clone(),
            })
            .collect();
        let usual = if replied.is_some() {
            sort::REPLY
        } else {
            sort::DEFAULT
        };
        let stickers = post
            .stickers
            .iter()
            .map(|name| json!({"id": self.id().to_string(), "name": name, "format_type": 1}))
            .collect();
        let message = Message {
            id,
            channel,
            author: Author::User(user),
            kind: post.kind.unwrap_or(usual),
            content: post.text,
            embeds: Vec::new(),
            components: Vec::new(),
            attachments,
            stickers,
            reference: replied.map(|(of, _)| (0, channel, of)).or(forward),
            edited_ms: None,
            nonce: None,
            flags: if post.voice.is_some() { flag::VOICE } else { 0 },
            pinned: false,
            tts: false,
            mentions: users,
            mention_roles: found.roles,
            mention_everyone: found.everyone,
            reactions: Vec::new(),
            interaction: None,
            only_for: None,
        };
        self.store(message.clone());
        self.typing
            .retain(|typing| typing.channel != channel || typing.user != user);
        self.announce(&message, "MESSAGE_CREATE");
        Ok(id)
    }

    pub(crate) fn edit(&mut self, channel: Id, id: Id, text: &str) -> Result<(), ActionError> {
        let now = self.now_ms;
        let found = mentions::find(self, text, channel);
        let message = self
            .any_message_mut(channel, id)
            .filter(|message| matches!(message.author, Author::User(_)))
            .ok_or(ActionError::UnknownMessage)?;
        text.clone_into(&mut message.content);
        message.mentions = found.users;
        message.edited_ms = Some(now);
        let message = message.clone();
        self.announce(&message, "MESSAGE_UPDATE");
        Ok(())
    }

    pub(crate) fn react(
        &mut self,
        at: (Id, Id),
        user: Id,
        text: &str,
        on: bool,
    ) -> Result<(), ActionError> {
        self.person_in(at.0, user)?;
        let emoji = emoji(text).map_err(|_| ActionError::Invalid("that is no emoji"))?;
        self.set_reaction(at, user, &emoji, on)
            .map(drop)
            .map_err(|_: ApiError| ActionError::UnknownMessage)
    }

    pub(crate) fn start_thread(
        &mut self,
        channel: Id,
        user: Id,
        message: Option<Id>,
        name: &str,
    ) -> Result<Id, ActionError> {
        let at = self.person_in(channel, user)?;
        if !matches!(at.kind, kind::TEXT | kind::ANNOUNCEMENT) {
            return Err(ActionError::Invalid("this kind of channel has no threads"));
        }
        if let Some(message) = message {
            let of = self
                .any_message_mut(channel, message)
                .ok_or(ActionError::UnknownMessage)?;
            of.flags |= flag::HAS_THREAD;
        }
        let id = message.unwrap_or_else(|| self.id());
        if self.channels.contains_key(&id) {
            return Err(ActionError::Invalid("the message has a thread already"));
        }
        self.open_thread(
            (channel, id),
            kind::PUBLIC_THREAD,
            name,
            Author::User(user),
            1440,
        );
        Ok(id)
    }

    pub(crate) fn set_pinned(&mut self, channel: Id, id: Id, pinned: bool) {
        if let Some(message) = self.any_message_mut(channel, id) {
            message.pinned = pinned;
            self.announce_pins(channel);
            self.announce_untouched(channel, id);
        }
    }

    pub(crate) fn note_typing(&mut self, channel: Id, user: Id) {
        let at_ms = self.now_ms;
        self.typing
            .retain(|typing| typing.channel != channel || typing.user != user);
        log(
            &mut self.typing,
            Typing {
                channel,
                user,
                at_ms,
            },
        );
    }
}
