//! Slack's own message and what only Slack tells, read back from the payload.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use channel_core::{
    AccountRef, Addressed, Attachment, ChannelId, ChatId, ChatKind, Content, Error, ErrorKind,
    Event, EventKind, InboundMessage, Message, MessageId, NativeMessage, Platform, Proof, Quoted,
    Raw, Result, SenderKind, ThreadId,
};
use serde::Deserialize;

use crate::inbound::Reader;
use crate::wire::{Envelope, Form, Loose};
use crate::{PLATFORM, command};

/// A message or slash command as Slack sent it.
///
/// Made by [`Message::native`](channel_core::Message::native). The payload names its
/// workspace beside the chat: [`chat`](InboundMessage::chat) is the bare id of Slack's.
#[derive(Debug)]
pub struct SlackMessage {
    message: Message,
    team: String,
    event_id: Option<String>,
    blocks: Option<Box<serde_json::value::RawValue>>,
    client_msg_id: Option<String>,
}

#[derive(Deserialize)]
struct Extras {
    event: Option<EventExtras>,
}

#[derive(Deserialize)]
struct EventExtras {
    blocks: Option<Box<serde_json::value::RawValue>>,
    client_msg_id: Option<String>,
}

impl SlackMessage {
    /// The workspace that the event was delivered for.
    #[must_use]
    pub fn team_id(&self) -> &str {
        &self.team
    }

    /// Slack's id of the event; a slash command has none.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.event_id.as_deref()
    }

    /// The id that the sender's client gave the message.
    #[must_use]
    pub fn client_msg_id(&self) -> Option<&str> {
        self.client_msg_id.as_deref()
    }

    /// The blocks of the message, as JSON: how it looks in Slack.
    #[must_use]
    pub fn blocks(&self) -> Option<&str> {
        self.blocks.as_deref().map(serde_json::value::RawValue::get)
    }
}

impl NativeMessage for SlackMessage {
    const PLATFORM: Platform = PLATFORM;

    fn from_raw(raw: &Raw) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Protocol, "the payload holds no message")
                .on(PLATFORM, "read message")
        };
        let channel = ChannelId::new(PLATFORM.as_str());
        let reader = Reader {
            channel: &channel,
            many: false,
            me: None,
            proof: Proof::Asserted,
        };
        let body = raw.as_slice();
        let (event, team, event_id) = match serde_json::from_slice::<Envelope<'_>>(body) {
            Ok(envelope) => {
                let event = reader.event(&envelope, raw.clone());
                let team = envelope.workspace().map(str::to_owned);
                let event_id = envelope.event_id.as_deref().map(str::to_owned);
                (event, team, event_id)
            }
            Err(_) => {
                let (event, team) = slash(reader, raw).ok_or_else(wrong)?;
                (event, team, None)
            }
        };
        let (EventKind::Message(message) | EventKind::Edited(message)) =
            event.ok_or_else(wrong)?.kind
        else {
            return Err(wrong());
        };
        let extras = serde_json::from_slice::<Extras>(body).ok();
        let extras = extras.and_then(|extras| extras.event);
        let (blocks, client_msg_id) = extras
            .map(|it| (it.blocks, it.client_msg_id))
            .unwrap_or_default();
        Ok(Self {
            message: *message,
            team: team.unwrap_or_default(),
            event_id,
            blocks,
            client_msg_id,
        })
    }
}

/// A slash command, of a form or of a socket.
fn slash(reader: Reader<'_>, raw: &Raw) -> Option<(Option<Event>, Option<String>)> {
    use command::Fields as _;
    let body = raw.as_slice();
    if let Ok(command) = serde_json::from_slice::<command::Command<'_>>(body) {
        let event = command::event(reader, &command, raw.clone(), UNIX_EPOCH);
        return Some((event, command.field("team_id").map(str::to_owned)));
    }
    let form = Form::parse(body)?;
    let event = command::event(reader, &form, raw.clone(), UNIX_EPOCH);
    Some((event, form.get("team_id").map(str::to_owned)))
}

impl InboundMessage for SlackMessage {
    fn platform(&self) -> Platform {
        PLATFORM
    }
    fn id(&self) -> MessageId {
        self.message.id.clone()
    }
    fn chat(&self) -> ChatId {
        self.message.chat.id.clone()
    }
    fn chat_kind(&self) -> ChatKind {
        self.message.chat.kind
    }
    fn thread(&self) -> Option<ThreadId> {
        self.message.thread.clone()
    }
    fn account(&self) -> AccountRef {
        self.message.sender.account.clone()
    }
    fn sender_name(&self) -> Option<&str> {
        self.message.sender.name.as_deref()
    }
    fn sender_kind(&self) -> SenderKind {
        self.message.sender.kind
    }
    fn text(&self) -> &str {
        &self.message.text
    }
    fn content(&self) -> Cow<'_, Content> {
        self.message.content()
    }
    fn attachments(&self) -> Cow<'_, [Attachment]> {
        Cow::Borrowed(&self.message.attachments)
    }
    fn addressed(&self) -> Addressed {
        self.message.addressed
    }
    fn reply_to(&self) -> Option<Quoted> {
        self.message.reply_to.clone()
    }
    fn sent_at(&self) -> Option<SystemTime> {
        self.message.sent_at.filter(|at| *at != UNIX_EPOCH)
    }
}

/// What has become of an installation
/// (<https://docs.slack.dev/reference/events/tokens_revoked/>,
/// <https://docs.slack.dev/reference/events/app_uninstalled/>).
///
/// Both may come, in any order and more than once: what is done about them has to do no harm
/// when it is done again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifecycle {
    /// The workspace.
    pub team_id: String,
    /// The app.
    pub app_id: String,
    /// What has happened.
    pub change: LifecycleChange,
}

/// What has happened to an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleChange {
    /// The app was removed from the workspace: no token works any more.
    Uninstalled,
    /// Tokens were revoked.
    TokensRevoked {
        /// The bots, by user id, whose tokens are dead.
        bots: Vec<String>,
        /// The people whose tokens are dead.
        users: Vec<String>,
    },
}

impl Lifecycle {
    /// Reads an event; `None` if it is about something else. Such events come to a bot as
    /// unknown ones.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        #[derive(Default, Deserialize)]
        struct Tokens {
            #[serde(default)]
            oauth: Vec<String>,
            #[serde(default)]
            bot: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Inner {
            #[serde(default)]
            tokens: Tokens,
        }
        #[derive(Deserialize)]
        struct Outer {
            event: Inner,
        }
        let EventKind::Unknown(unknown) = &event.kind else {
            return None;
        };
        let body = unknown.raw.as_slice();
        let change = match unknown.name.as_str() {
            "app_uninstalled" => LifecycleChange::Uninstalled,
            "tokens_revoked" => {
                let outer: Outer = serde_json::from_slice(body).ok()?;
                LifecycleChange::TokensRevoked {
                    bots: outer.event.tokens.bot,
                    users: outer.event.tokens.oauth,
                }
            }
            _ => return None,
        };
        let envelope: Loose<'_> = serde_json::from_slice(body).ok()?;
        Some(Self {
            team_id: envelope.team_id.as_deref().unwrap_or_default().to_owned(),
            app_id: envelope
                .api_app_id
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            change,
        })
    }
}
