//! Chats and their members.

use serde_json::Value;

use super::super::answer::{Answer, ApiError};
use super::super::model::{Place, Standing, put};
use super::Context;

impl Context<'_> {
    /// `ChatFullInfo`. <https://core.telegram.org/bots/api#chatfullinfo>
    pub(super) fn get_chat(&mut self) -> Answer {
        let place = self.target()?;
        let mut chat = self.state.chat_json(place);
        if let Some(chat) = chat.as_object_mut() {
            chat.insert("accent_color_id".into(), 0.into());
            chat.insert("max_reaction_count".into(), 11.into());
            let gifts = [
                "unlimited_gifts",
                "limited_gifts",
                "unique_gifts",
                "premium_subscription",
                "gifts_from_channels",
            ];
            let gifts = gifts
                .iter()
                .map(|kind| ((*kind).to_owned(), Value::Bool(false)))
                .collect::<serde_json::Map<_, _>>();
            chat.insert("accepted_gift_types".into(), gifts.into());
            let permissions = matches!(place, Place::Shared(_)).then(|| {
                let rights = [
                    "send_messages",
                    "send_audios",
                    "send_documents",
                    "send_photos",
                    "send_videos",
                    "send_video_notes",
                    "send_voice_notes",
                    "send_polls",
                    "send_other_messages",
                    "add_web_page_previews",
                    "change_info",
                    "invite_users",
                    "pin_messages",
                    "manage_topics",
                ];
                rights
                    .iter()
                    .map(|right| (format!("can_{right}"), Value::Bool(true)))
                    .collect::<serde_json::Map<_, _>>()
            });
            put(chat, "permissions", permissions);
        }
        Ok(chat)
    }

    pub(super) fn get_chat_member(&mut self) -> Answer {
        let place = self.target()?;
        let user = self
            .params
            .int("user_id")
            .ok_or_else(|| ApiError::bad("invalid user_id specified"))?;
        let chat = self
            .state
            .chats
            .get(&place)
            .ok_or_else(|| ApiError::bad("chat not found"))?;
        let known = self.state.users.contains_key(&user) || self.state.bots.contains_key(&user);
        if !known {
            return Err(ApiError::bad("user not found"));
        }
        let standing = chat
            .people
            .get(&user)
            .or_else(|| chat.bots.get(&user))
            .copied()
            .unwrap_or(Standing::Left);
        Ok(standing.member(&self.state.user_json(user)))
    }

    pub(super) fn get_chat_member_count(&mut self) -> Answer {
        let place = self.target()?;
        let chat = self
            .state
            .chats
            .get(&place)
            .ok_or_else(|| ApiError::bad("chat not found"))?;
        let inside = chat
            .people
            .values()
            .chain(chat.bots.values())
            .filter(|standing| standing.is_inside())
            .count();
        Ok(inside.into())
    }

    pub(super) fn get_chat_administrators(&mut self) -> Answer {
        let place = self.target()?;
        let chat = self
            .state
            .chats
            .get(&place)
            .ok_or_else(|| ApiError::bad("chat not found"))?;
        if matches!(place, Place::Private { .. }) {
            return Err(ApiError::bad(
                "there are no administrators in the private chat",
            ));
        }
        let members = chat.people.iter().chain(chat.bots.iter());
        let admins = members
            .filter(|(id, standing)| standing.is_admin() && **id != self.bot)
            .map(|(id, standing)| standing.member(&self.state.user_json(*id)));
        Ok(admins.collect::<Vec<_>>().into())
    }

    pub(super) fn leave_chat(&mut self) -> Answer {
        let place = self.target()?;
        if matches!(place, Place::Private { .. }) {
            return Err(ApiError::bad(
                "chat member status can't be changed in private chats",
            ));
        }
        let chat = self
            .state
            .chats
            .get_mut(&place)
            .ok_or_else(|| ApiError::bad("chat not found"))?;
        chat.bots.insert(self.bot, Standing::Left);
        Ok(true.into())
    }
}
