//! Changing what is in a chat: edits, deletions, reactions, the typing sign, answers to
//! presses.

use channel_core::{
    Action, CommandInfo, Destination, Error, ErrorKind, MessageId, MessageRef, OutboundMessage,
    Result,
};
use serde::Serialize;

use crate::PLATFORM;
use crate::address::Address;
use crate::call::{Fault, Pace, Room};
use crate::client::{Method, Payload, json};
use crate::error::{Reason, invalid};
use crate::limits;
use crate::plan;
use crate::render::{self, Entity, Keyboard, Words};
use crate::shared::Shared;

#[derive(Serialize)]
struct MessageFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    entities: &'a [Entity],
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    caption_entities: &'a [Entity],
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<&'a Keyboard<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reaction: Option<&'a [ReactionType<'a>]>,
}

impl<'a> MessageFields<'a> {
    fn of(room: &Room<'_>, id: &'a MessageId, method: Method) -> Result<Self, Error> {
        let (message_id, inline_message_id) = match room.address {
            Address::Inline => (None, Some(id.as_str())),
            Address::Guest { .. } => return Err(unsupported(method)),
            _ => match id.as_i64().filter(|id| *id > 0) {
                Some(id) => (Some(id), None),
                None => {
                    return Err(invalid(
                        "a message id is a number above 0",
                        method.operation(),
                    ));
                }
            },
        };
        Ok(Self {
            message_id,
            inline_message_id,
            text: None,
            entities: &[],
            caption: None,
            caption_entities: &[],
            reply_markup: None,
            reaction: None,
        })
    }
}

fn unsupported(method: Method) -> Error {
    Error::new(ErrorKind::Unsupported, "not possible in this kind of chat")
        .on(PLATFORM, method.operation())
}

async fn change(
    shared: &Shared,
    method: Method,
    room: &Room<'_>,
    pace: Pace,
    fields: &MessageFields<'_>,
) -> Result<(), Fault> {
    let fields = json(fields);
    let changed = shared
        .call_chat::<serde::de::IgnoredAny>(method, room, pace, |place| {
            let mut body = fields.clone();
            place.append_to(&mut body);
            Payload::json(body)
        })
        .await;
    match changed {
        Err(fault) if fault.reason == Reason::NotModified => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Replaces the content of a message.
pub(crate) async fn edit(
    shared: &Shared,
    target: &MessageRef,
    message: &OutboundMessage,
) -> Result<()> {
    let message = &*plan::spelled_out(message);
    let method = Method::EditMessageText;
    let operation = method.operation();
    if !message.attachments.is_empty() {
        let error = Error::new(ErrorKind::Unsupported, "an edit cannot bring files");
        return Err(error.on(PLATFORM, operation));
    }
    let keyboard = render::keyboard(&message.buttons, operation)?;
    let words = render::whole(render::flat(&message.body), operation)?;
    let pace = Pace::Turn(shared.patience());
    if render::is_blank(&words.text) {
        if keyboard.is_none() {
            return Err(invalid("an edit needs words or buttons", operation));
        }
        let method = Method::EditMessageReplyMarkup;
        let room = Room::new(&target.chat, None, method)?;
        let mut fields = MessageFields::of(&room, &target.id, method)?;
        fields.reply_markup = keyboard.as_ref();
        return Ok(change(shared, method, &room, pace, &fields).await?);
    }
    Ok(edit_words(shared, target, &words, keyboard.as_ref(), pace).await?)
}

/// Replaces the words of a message: its text, or its caption if it has none.
pub(crate) async fn edit_words(
    shared: &Shared,
    target: &MessageRef,
    words: &Words,
    keyboard: Option<&Keyboard<'_>>,
    pace: Pace,
) -> Result<(), Fault> {
    let method = Method::EditMessageText;
    let room = Room::new(&target.chat, None, method)?;
    let mut fields = MessageFields::of(&room, &target.id, method)?;
    fields.text = Some(&words.text);
    fields.entities = &words.entities;
    fields.reply_markup = keyboard;
    let mut result = change(shared, method, &room, pace, &fields).await;
    if is(&result, Reason::Entities) && !words.entities.is_empty() {
        fields.entities = &[];
        result = change(shared, method, &room, pace, &fields).await;
    }
    if is(&result, Reason::NoText) {
        if !limits::CAPTION.fits(&words.text) {
            let message = format!("a caption has at most {} UTF-16 units", limits::CAPTION.max);
            return Err(invalid(message, method.operation()).into());
        }
        fields.caption = fields.text.take();
        fields.caption_entities = std::mem::take(&mut fields.entities);
        let method = Method::EditMessageCaption;
        result = change(shared, method, &room, pace, &fields).await;
    }
    result
}

fn is(result: &Result<(), Fault>, reason: Reason) -> bool {
    result.as_ref().is_err_and(|fault| fault.reason == reason)
}

/// Deletes a message.
pub(crate) async fn delete(shared: &Shared, target: &MessageRef) -> Result<()> {
    let method = Method::DeleteMessage;
    let room = Room::new(&target.chat, None, method)?;
    if !matches!(room.address, Address::Chat(_)) {
        return Err(unsupported(method));
    }
    let fields = MessageFields::of(&room, &target.id, method)?;
    Ok(change(shared, method, &room, Pace::Free, &fields).await?)
}

/// <https://core.telegram.org/bots/api#reactiontype>
#[derive(Serialize)]
struct ReactionType<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_emoji_id: Option<&'a str>,
}

/// Sets the bot's one reaction, or takes it back.
pub(crate) async fn react(shared: &Shared, target: &MessageRef, emoji: Option<&str>) -> Result<()> {
    let method = Method::SetMessageReaction;
    let room = Room::new(&target.chat, None, method)?;
    if !matches!(room.address, Address::Chat(_)) {
        return Err(unsupported(method));
    }
    // Keyboards add a variation selector that is in none of Telegram's reactions.
    let emoji = emoji.map(|emoji| emoji.replace('\u{fe0f}', ""));
    let reaction = match emoji.as_deref() {
        None => Vec::new(),
        Some("") => return Err(invalid("a reaction is an emoji", method.operation())),
        Some(emoji) => {
            let custom = emoji.strip_prefix("custom:");
            vec![ReactionType {
                r#type: if custom.is_some() {
                    "custom_emoji"
                } else {
                    "emoji"
                },
                emoji: custom.is_none().then_some(emoji),
                custom_emoji_id: custom,
            }]
        }
    };
    let mut fields = MessageFields::of(&room, &target.id, method)?;
    fields.reaction = Some(&reaction);
    Ok(change(shared, method, &room, Pace::Free, &fields).await?)
}

/// Shows that an answer is being written.
pub(crate) async fn start_typing(shared: &Shared, to: &Destination) -> Result<()> {
    let method = Method::SendChatAction;
    let target = to.target();
    let room = Room::new(&target.chat, target.thread.as_ref(), method)?;
    if matches!(room.address, Address::Guest { .. } | Address::Inline) {
        return Err(unsupported(method));
    }
    let done = shared.call_chat::<bool>(method, &room, Pace::Free, |place| {
        let mut body = br#"{"action":"typing"}"#.to_vec();
        place.append_to(&mut body);
        Payload::json(body)
    });
    done.await?;
    Ok(())
}

/// Tells Telegram that a press has arrived.
pub(crate) async fn answer(shared: &Shared, action: &Action, notice: Option<&str>) -> Result<()> {
    #[derive(Serialize)]
    struct Fields<'a> {
        callback_query_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
    }
    let method = Method::AnswerCallbackQuery;
    if let Some(length) = notice.map(|notice| notice.chars().count())
        && length > limits::NOTICE_CHARS
    {
        let message = format!(
            "notice is {length} characters, limit is {}",
            limits::NOTICE_CHARS
        );
        return Err(invalid(message, method.operation()));
    }
    let fields = json(&Fields {
        callback_query_id: action.id.as_str(),
        text: notice,
    });
    let answered = shared
        .client
        .call::<bool>(method, Payload::json(fields))
        .await;
    answered
        .map(|_| ())
        .map_err(|failure| failure.into_error(method))
}

/// Publishes the menu (<https://core.telegram.org/bots/api#setmycommands>).
pub(crate) async fn publish_commands(shared: &Shared, commands: &[CommandInfo]) -> Result<()> {
    #[derive(Serialize)]
    struct Fields<'a> {
        commands: Vec<BotCommand<'a>>,
    }
    #[derive(Serialize)]
    struct BotCommand<'a> {
        command: &'a str,
        description: &'a str,
    }
    let method = Method::SetMyCommands;
    let bad = |message| Err(invalid(message, method.operation()));
    if commands.len() > 100 {
        return bad("a menu has at most 100 commands");
    }
    for command in commands {
        let is_name = (1..=32).contains(&command.name.len())
            && command
                .name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_name {
            return bad("a command's name is 1 to 32 of a-z 0-9 _");
        }
        if !(1..=256).contains(&command.description.chars().count()) {
            return bad("a command's description is 1 to 256 characters");
        }
    }
    let fields = json(&Fields {
        commands: commands
            .iter()
            .map(|command| BotCommand {
                command: &command.name,
                description: &command.description,
            })
            .collect(),
    });
    let published = shared
        .client
        .call::<bool>(method, Payload::json(fields))
        .await;
    published
        .map(|_| ())
        .map_err(|failure| failure.into_error(method))
}
