//! The menu of commands, and what only Discord has: threads, direct chats, dialogs
//! (<https://docs.discord.com/developers/interactions/application-commands>).

use channel_core::{Action, ChatId, CommandInfo, Message, MessageRef, ReplyTo, Result, SenderId};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::channel::Discord;
use crate::client::{Call, Op, Payload};
use crate::error::{invalid, unsupported};
use crate::interaction::ReplyContext;
use crate::render::measure;
use crate::shared::Shared;
use crate::{address, deferral, limits};

/// Replaces the menu. Each command takes one text, which is what follows the command in
/// [`Message::text`](channel_core::Message::text).
pub(crate) async fn publish(shared: &Shared, commands: &[CommandInfo]) -> Result<()> {
    let operation = Op::PutCommands.operation();
    if commands.len() > limits::COMMANDS {
        let message = format!("discord takes at most {} commands", limits::COMMANDS);
        return Err(invalid(message, operation));
    }
    let commands: Vec<Value> = commands.iter().map(command).collect::<Result<_>>()?;
    let application = shared.application().await?;
    let path = format!("/applications/{application}/commands");
    let call = Call::new(Op::PutCommands, Method::PUT, path).with(Payload::json(&commands));
    shared.call_raw(&call, Some(shared.patience())).await?;
    Ok(())
}

fn command(command: &CommandInfo) -> Result<Value> {
    let operation = Op::PutCommands.operation();
    let name = &command.name;
    let is_name = (1..=limits::COMMAND_NAME).contains(&measure(name))
        && name
            .chars()
            .all(|c| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '-' | '_' | '\''));
    if !is_name {
        return Err(invalid(
            "the name of a command has to be 1 to 32 small letters",
            operation,
        ));
    }
    let description = &command.description;
    if !(1..=limits::COMMAND_DESCRIPTION).contains(&measure(description)) {
        return Err(invalid(
            "a command has to be described in 1 to 100 characters",
            operation,
        ));
    }
    let text = json!({ "type": 3, "name": "text", "description": "What you want to say", "required": false });
    Ok(json!({ "type": 1, "name": name, "description": description, "options": [text] }))
}

#[derive(Deserialize)]
struct Room {
    id: String,
}

impl Discord {
    /// Opens the direct chat with a user, or finds it
    /// (<https://docs.discord.com/developers/resources/user#create-dm>).
    ///
    /// # Errors
    ///
    /// `Invalid` if that is no user's id, `Forbidden` if the user does not want to.
    pub async fn open_direct(&self, user: &SenderId) -> Result<ChatId> {
        let op = Op::OpenDirect;
        if !address::is_id(user.as_str()) {
            return Err(invalid("that is not the id of a user", op.operation()));
        }
        let fields = json!({ "recipient_id": user.as_str() });
        let call = Call::new(op, Method::POST, "/users/@me/channels").with(Payload::json(&fields));
        let room: Room = self
            .shared
            .call(&call, Some(self.shared.patience()))
            .await?;
        Ok(room.id.into())
    }

    /// Starts a thread from a message; it is a chat of its own
    /// (<https://docs.discord.com/developers/resources/channel#start-thread-from-message>).
    ///
    /// # Errors
    ///
    /// `Invalid` if the name is empty or longer than 100 characters, or if the message has a
    /// thread already.
    pub async fn start_thread(&self, from: &MessageRef, name: &str) -> Result<ChatId> {
        let op = Op::StartThread;
        let operation = op.operation();
        let room = address::chat(&from.chat, operation)?;
        let id = address::message(&from.id, operation)?;
        if !(1..=limits::THREAD_NAME).contains(&measure(name)) {
            return Err(invalid(
                "a thread has to have a name of 1 to 100 characters",
                operation,
            ));
        }
        let call = Call::of_channel(op, Method::POST, room, &format!("/messages/{id}/threads"))
            .with(Payload::json(&json!({ "name": name })));
        let room: Room = self
            .shared
            .call(&call, Some(self.shared.patience()))
            .await?;
        Ok(room.id.into())
    }

    /// Opens a dialog for whoever pressed a button
    /// (<https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response-object-modal>).
    /// `dialog` holds `custom_id`, `title` and `components`; what is filled in comes back as an
    /// [`Action`] with the fields.
    ///
    /// # Errors
    ///
    /// `Unsupported` if Discord was told already that the press has arrived: by its
    /// acknowledgement, after 1.5 s, or because it came by the interactions endpoint, where the
    /// answer to the request says so unless
    /// [`hold_interactions`](crate::DiscordBuilder::hold_interactions) is set.
    pub async fn open_dialog(&self, action: &Action, dialog: &Value) -> Result<()> {
        self.dialog(&action.return_address, dialog).await
    }

    /// Opens a dialog for whoever gave a command; see [`open_dialog`](Self::open_dialog).
    ///
    /// # Errors
    ///
    /// As for [`open_dialog`](Self::open_dialog).
    pub async fn open_dialog_for(&self, command: &Message, dialog: &Value) -> Result<()> {
        self.dialog(&command.return_address, dialog).await
    }

    async fn dialog(&self, to: &ReplyTo, dialog: &Value) -> Result<()> {
        let op = Op::Modal;
        let wrong = |message| unsupported(message, op.operation());
        let context: Option<ReplyContext> = to.context()?;
        let Some(right) = context.map(|context| context.right) else {
            return Err(wrong("only an interaction can be answered with a dialog"));
        };
        let callback = json!({ "type": 9, "data": dialog });
        if deferral::instead(&self.shared, &right.id, op, callback).await? {
            return Ok(());
        }
        let config = &self.shared.config;
        if config.public_key.is_some() && !config.hold_interactions {
            let words = "the interaction is answered already: set hold_interactions to open dialogs by the interactions endpoint";
            return Err(wrong(words));
        }
        Err(wrong("the interaction is answered already"))
    }
}
