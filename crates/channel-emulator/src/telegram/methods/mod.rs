//! The methods of the Bot API. <https://core.telegram.org/bots/api#available-methods>

mod account;
mod chats;
mod edit;
mod files;
mod keyboard;
mod media;
mod react;
mod send;
mod topics;
mod webhook;

pub(crate) use webhook::is_loopback;

use serde_json::Value;

use super::answer::{Answer, ApiError};
use super::config::TelegramConfig;
use super::files::FileKind;
use super::markup::{self, Formatted, utf16_len};
use super::model::{Place, Sort, Standing};
use super::params::{Params, integer, truth};
use super::state::State;

/// One call under way.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) config: &'a TelegramConfig,
    pub(crate) bot: i64,
    pub(crate) params: &'a Params,
}

/// "A cap on the text before parsing", in bytes.
const MAX_RAW_TEXT: usize = 32 * 1024;

/// Runs `method`, given in lower case; `None` when there is no such method.
pub(crate) fn run(method: &str, cx: &mut Context<'_>) -> Option<Answer> {
    Some(match method {
        "getme" => cx.get_me(),
        "logout" => cx.log_out(),
        "close" => cx.close(),
        "setmycommands" => cx.set_my_commands(),
        "getmycommands" => cx.get_my_commands(),
        "deletemycommands" => cx.delete_my_commands(),
        "setwebhook" => cx.set_webhook(),
        "deletewebhook" => cx.delete_webhook(),
        "getwebhookinfo" => cx.get_webhook_info(),
        "sendmessage" => cx.send_message(),
        "sendphoto" => cx.send_file(FileKind::Photo),
        "senddocument" => cx.send_file(FileKind::Document),
        "sendaudio" => cx.send_file(FileKind::Audio),
        "sendvideo" => cx.send_file(FileKind::Video),
        "sendanimation" => cx.send_file(FileKind::Animation),
        "sendvoice" => cx.send_file(FileKind::Voice),
        "sendvideonote" => cx.send_file(FileKind::VideoNote),
        "sendsticker" => cx.send_file(FileKind::Sticker),
        "sendmediagroup" => cx.send_media_group(),
        "sendlocation" => cx.send_location(),
        "sendvenue" => cx.send_venue(),
        "sendcontact" => cx.send_contact(),
        "sendpoll" => cx.send_poll(),
        "senddice" => cx.send_dice(),
        "sendrichmessage" => cx.send_rich_message(),
        "sendmessagedraft" => cx.send_draft("text"),
        "sendrichmessagedraft" => cx.send_draft("rich_message"),
        "copymessage" => cx.copy_message(),
        "forwardmessage" => cx.forward_message(),
        "editmessagetext" => cx.edit_text(),
        "editmessagecaption" => cx.edit_caption(),
        "editmessagereplymarkup" => cx.edit_reply_markup(),
        "editmessagemedia" => cx.edit_media(),
        "deletemessage" => cx.delete_message(),
        "deletemessages" => cx.delete_messages(),
        "setmessagereaction" => cx.set_message_reaction(),
        "sendchataction" => cx.send_chat_action(),
        "answercallbackquery" => cx.answer_callback_query(),
        "getfile" => cx.get_file(),
        "getchat" => cx.get_chat(),
        "getchatmember" => cx.get_chat_member(),
        "getchatmembercount" => cx.get_chat_member_count(),
        "getchatadministrators" => cx.get_chat_administrators(),
        "leavechat" => cx.leave_chat(),
        "createforumtopic" => cx.create_topic(),
        "editforumtopic" => cx.edit_topic(),
        "closeforumtopic" => cx.close_topic(true),
        "reopenforumtopic" => cx.close_topic(false),
        "deleteforumtopic" => cx.delete_topic(),
        _ => return None,
    })
}

/// Where a message goes, checked.
struct Outgoing {
    place: Place,
    thread: Option<i64>,
    reply_to: Option<i64>,
    markup: Option<Value>,
}

impl Context<'_> {
    /// The chat of the call, when the bot may act in it.
    fn target(&mut self) -> Result<Place, ApiError> {
        let place = self.named_chat("chat_id")?;
        self.admit(place)?;
        Ok(place)
    }

    /// The chat a parameter names, by id or public name.
    fn named_chat(&self, name: &str) -> Result<Place, ApiError> {
        let chat = self
            .params
            .text(name)
            .ok_or_else(|| ApiError::bad(format!("{name} is empty")))?;
        if let Some(username) = chat.strip_prefix('@') {
            let known = self.state.chats.values().find(|chat| {
                chat.username
                    .as_deref()
                    .is_some_and(|known| known.eq_ignore_ascii_case(username))
            });
            return known
                .map(|chat| chat.place)
                .ok_or_else(|| ApiError::bad("chat not found"));
        }
        let id = chat
            .trim()
            .parse()
            .map_err(|_| ApiError::bad("chat not found"))?;
        Ok(Place::new(self.bot, id))
    }

    fn admit(&self, place: Place) -> Result<(), ApiError> {
        let chat = self.state.chats.get(&place);
        if let Place::Private { user, .. } = place {
            if self.state.bots.contains_key(&user) {
                return Err(ApiError::forbidden("bot can't send messages to bots"));
            }
            let person = self
                .state
                .users
                .get(&user)
                .ok_or_else(|| ApiError::bad("chat not found"))?;
            if person.deactivated {
                return Err(ApiError::forbidden("user is deactivated"));
            }
            return match chat.and_then(|chat| chat.bots.get(&self.bot)) {
                None => Err(ApiError::forbidden(
                    "bot can't initiate conversation with a user",
                )),
                Some(Standing::Kicked) => Err(ApiError::forbidden("bot was blocked by the user")),
                Some(_) => Ok(()),
            };
        }
        let chat = chat.ok_or_else(|| ApiError::bad("chat not found"))?;
        if let Some(to) = chat.migrated_to {
            return Err(ApiError::migrated(to));
        }
        let sort = chat.sort.name();
        match chat.bots.get(&self.bot) {
            None => Err(ApiError::bad("chat not found")),
            Some(Standing::Kicked) => Err(ApiError::forbidden(format!(
                "bot was kicked from the {sort} chat"
            ))),
            Some(Standing::Left) => Err(ApiError::forbidden(format!(
                "bot is not a member of the {sort} chat"
            ))),
            Some(Standing::Member) if chat.sort == Sort::Channel => Err(ApiError::bad(
                "need administrator rights in the channel chat",
            )),
            Some(_) => Ok(()),
        }
    }

    /// Whether the bot is an administrator of a shared chat.
    fn is_admin(&self, place: Place) -> bool {
        let standing = self
            .state
            .chats
            .get(&place)
            .and_then(|chat| chat.bots.get(&self.bot));
        standing.is_some_and(|standing| standing.is_admin())
    }

    /// Everything that the methods that send have in common.
    fn outgoing(&mut self) -> Result<Outgoing, ApiError> {
        let place = self.target()?;
        let thread = self.thread(place)?;
        let reply_to = self.reply(place)?;
        let markup = self.reply_markup()?;
        Ok(Outgoing {
            place,
            thread,
            reply_to,
            markup,
        })
    }

    fn thread(&self, place: Place) -> Result<Option<i64>, ApiError> {
        let Some(thread) = self
            .params
            .int("message_thread_id")
            .filter(|thread| *thread != 0)
        else {
            return Ok(None);
        };
        let missing = || ApiError::bad("message thread not found");
        let chat = self.state.chats.get(&place).ok_or_else(missing)?;
        match chat.topics.get(&thread) {
            Some(topic) if topic.closed && !self.is_admin(place) => {
                Err(ApiError::bad("TOPIC_CLOSED"))
            }
            Some(_) => Ok(Some(thread)),
            // Outside forums a thread is a chain of replies, named by its first message.
            None if !chat.forum && chat.sort == Sort::Supergroup && chat.live(thread).is_some() => {
                Ok(Some(thread))
            }
            None => Err(missing()),
        }
    }

    fn reply(&self, place: Place) -> Result<Option<i64>, ApiError> {
        let parameters = self.params.nested("reply_parameters")?;
        let (id, lenient) = if let Some(parameters) = &parameters {
            let id = parameters.get("message_id").and_then(integer);
            (
                id,
                parameters
                    .get("allow_sending_without_reply")
                    .is_some_and(truth),
            )
        } else {
            (
                self.params.int("reply_to_message_id"),
                self.params.flag("allow_sending_without_reply"),
            )
        };
        let Some(id) = id.filter(|id| *id != 0) else {
            return Ok(None);
        };
        let elsewhere = parameters
            .as_ref()
            .and_then(|parameters| parameters.get("chat_id"))
            .and_then(integer);
        let at = elsewhere.map_or(place, |chat| Place::new(self.bot, chat));
        let Some(message) = self.state.chats.get(&at).and_then(|chat| chat.live(id)) else {
            return if lenient {
                Ok(None)
            } else {
                Err(ApiError::bad("message to be replied not found"))
            };
        };
        let quote = parameters
            .as_ref()
            .and_then(|parameters| parameters.get("quote"))
            .and_then(Value::as_str);
        if let Some(quote) = quote
            && (utf16_len(quote) > 1024 || !message.words().unwrap_or_default().contains(quote))
        {
            return Err(ApiError::bad("QUOTE_TEXT_INVALID"));
        }
        Ok((at == place).then_some(id))
    }

    /// Reads formatted text: `field` with `parse_mode`, or with explicit entities.
    fn formatted(&self, field: &str) -> Result<Formatted, ApiError> {
        let entities = if field == "caption" {
            "caption_entities"
        } else {
            "entities"
        };
        let text = self.params.text(field).unwrap_or_default();
        self.format(
            &text,
            self.params.text("parse_mode").as_deref(),
            self.params.list(entities).as_deref(),
        )
    }

    fn format(
        &self,
        text: &str,
        mode: Option<&str>,
        entities: Option<&[Value]>,
    ) -> Result<Formatted, ApiError> {
        if text.len() > MAX_RAW_TEXT {
            return Err(ApiError::bad("message is too long"));
        }
        let parsed = match mode {
            Some(mode) => markup::parse(mode, text),
            None => {
                markup::explicit(text, entities.unwrap_or_default()).map(|entities| Formatted {
                    text: text.to_owned(),
                    entities,
                })
            }
        };
        let mut formatted = parsed.map_err(ApiError::bad)?.finish();
        // A mention by id names a user; one that the bot cannot know is plain text.
        formatted.entities.retain_mut(|entity| {
            if entity.kind != "text_mention" {
                return true;
            }
            let id = entity
                .extra
                .get("user")
                .and_then(|user| user.get("id"))
                .and_then(integer);
            let known = id
                .filter(|id| self.state.users.contains_key(id) || self.state.bots.contains_key(id));
            if let Some(id) = known {
                entity.extra.insert("user".into(), self.state.user_json(id));
            }
            known.is_some()
        });
        Ok(formatted)
    }

    /// The text of a message: 1 to 4096 UTF-16 code units after parsing.
    fn message_text(&self) -> Result<Formatted, ApiError> {
        let formatted = self.formatted("text")?;
        if formatted.text.is_empty() {
            return Err(ApiError::bad("message text is empty"));
        }
        if utf16_len(&formatted.text) > 4096 {
            return Err(ApiError::bad("message is too long"));
        }
        Ok(formatted)
    }

    fn flood(&mut self, place: Place, count: i64) -> Result<(), ApiError> {
        let now = self.state.now_ms;
        self.state
            .flood
            .admit(self.bot, place, count, now)
            .map_err(ApiError::too_many)
    }
}
