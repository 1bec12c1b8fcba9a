//! Apps, workspaces, people, channels and messages as the platform keeps them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::sockets::Sockets;

/// A secret, kept out of every `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// The bot scopes of an app that says nothing else.
pub(crate) const SCOPES: &str = "app_mentions:read,chat:write,im:history,im:read,im:write,channels:read,\
     channels:history,groups:read,groups:history,mpim:read,mpim:history,reactions:read,reactions:write,files:read,\
     files:write,users:read,commands,assistant:write,team:read";

/// An app, as [`Slack::add_app`](super::Slack::add_app) takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NewApp {
    /// The name of the app and of its bot.
    pub name: String,
    /// The secret that signs requests.
    pub signing_secret: String,
    /// The app-level token, which switches Socket Mode on; `xapp-`.
    pub app_token: Option<String>,
    /// The OAuth client.
    pub client_id: Option<String>,
    /// The OAuth client's secret.
    pub client_secret: String,
    /// Addresses to which an installation may return; none allows every one.
    pub redirect_urls: Vec<String>,
    /// Bot scopes, separated by commas.
    pub scopes: String,
    /// Bot events it has subscribed to, such as `message.im`; none is all.
    pub events: Option<BTreeSet<String>>,
    /// The request URL of the Events API.
    pub events_url: Option<String>,
    /// The request URL of interactivity.
    pub interactions_url: Option<String>,
    /// The options URL of external selects.
    pub options_url: Option<String>,
    /// The request URL of all slash commands.
    pub commands_url: Option<String>,
    /// Tokens are rotated.
    pub rotation: bool,
    /// The messages tab of App Home is enabled, so that people can write to the bot.
    pub messages_tab: bool,
}

impl Default for NewApp {
    fn default() -> Self {
        Self {
            name: "kit".to_owned(),
            signing_secret: "synthetic-signing-secret".to_owned(),
            app_token: None,
            client_id: None,
            client_secret: "synthetic-client-secret".to_owned(),
            redirect_urls: Vec::new(),
            scopes: SCOPES.to_owned(),
            events: None,
            events_url: None,
            interactions_url: None,
            options_url: None,
            commands_url: None,
            rotation: false,
            messages_tab: true,
        }
    }
}

impl NewApp {
    /// An app with this name and signing secret, and no request URL.
    #[must_use]
    pub fn new(name: &str, signing_secret: &str) -> Self {
        Self {
            name: name.to_owned(),
            signing_secret: signing_secret.to_owned(),
            ..Self::default()
        }
    }

    /// Switches Socket Mode on.
    #[must_use]
    pub fn socket_mode(mut self, app_token: &str) -> Self {
        self.app_token = Some(app_token.to_owned());
        self
    }

    /// Sets one request URL for events, and one for interactivity and commands.
    #[must_use]
    pub fn urls(mut self, events: &str, interactions: &str) -> Self {
        self.events_url = Some(events.to_owned());
        self.interactions_url = Some(interactions.to_owned());
        self.options_url = Some(interactions.to_owned());
        self.commands_url = Some(interactions.to_owned());
        self
    }

    /// Sets the OAuth client.
    #[must_use]
    pub fn oauth(mut self, client_id: &str, client_secret: &str) -> Self {
        self.client_id = Some(client_id.to_owned());
        client_secret.clone_into(&mut self.client_secret);
        self
    }

    /// Rotates the tokens.
    #[must_use]
    pub const fn rotating(mut self) -> Self {
        self.rotation = true;
        self
    }
}

/// What an app has in a workspace once it is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Installation {
    /// The app.
    pub app: String,
    /// The workspace.
    pub team: String,
    /// The user id of its bot.
    pub bot_user: String,
    /// The bot id of its bot.
    pub bot_id: String,
}

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) signing_secret: Hidden,
    pub(crate) client_id: String,
    pub(crate) client_secret: Hidden,
    pub(crate) redirect_urls: Vec<String>,
    pub(crate) scopes: String,
    pub(crate) events: Option<BTreeSet<String>>,
    pub(crate) urls: Urls,
    pub(crate) rotation: bool,
    pub(crate) messages_tab: bool,
    /// Events come over sockets.
    pub(crate) socket_mode: bool,
    pub(crate) installs: BTreeMap<String, Install>,
    pub(crate) sockets: Sockets,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Urls {
    pub(crate) events: Option<Url>,
    pub(crate) interactions: Option<Url>,
    pub(crate) options: Option<Url>,
    pub(crate) commands: Option<Url>,
}

#[derive(Debug, Clone)]
pub(crate) struct Install {
    pub(crate) bot_user: String,
    pub(crate) bot_id: String,
    pub(crate) active: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bot,
    User,
    App,
}

/// What a token stands for.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) app: String,
    /// Empty for an app-level token.
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) expires_ms: Option<i64>,
    pub(crate) revoked: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Team {
    pub(crate) name: String,
    pub(crate) domain: String,
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) team: String,
    pub(crate) name: String,
    pub(crate) deleted: bool,
    /// App and bot id of a bot.
    pub(crate) bot: Option<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Public,
    Private,
    Direct,
    GroupDirect,
}

impl Place {
    /// The `channel_type` of events.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Public => "channel",
            Self::Private => "group",
            Self::Direct => "im",
            Self::GroupDirect => "mpim",
        }
    }

    /// The event to which an app subscribes for messages here.
    pub(crate) const fn subscription(self) -> &'static str {
        match self {
            Self::Public => "message.channels",
            Self::Private => "message.groups",
            Self::Direct => "message.im",
            Self::GroupDirect => "message.mpim",
        }
    }

    /// The first part of the scopes that reading here takes.
    pub(crate) const fn scope(self) -> &'static str {
        match self {
            Self::Public => "channels",
            Self::Private => "groups",
            Self::Direct => "im",
            Self::GroupDirect => "mpim",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) team: String,
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) members: BTreeSet<String>,
    pub(crate) archived: bool,
    pub(crate) created: i64,
    /// By `ts`, which has the same length for two centuries.
    pub(crate) messages: BTreeMap<String, Message>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) ts: String,
    pub(crate) user: String,
    /// App and bot id, when a bot wrote.
    pub(crate) bot: Option<(String, String)>,
    pub(crate) subtype: Option<&'static str>,
    pub(crate) text: String,
    pub(crate) blocks: Option<Value>,
    pub(crate) attachments: Option<Value>,
    pub(crate) thread_ts: Option<String>,
    pub(crate) files: Vec<String>,
    /// Who edited it, and when.
    pub(crate) edited: Option<(String, String)>,
    pub(crate) reactions: Vec<(String, Vec<String>)>,
    pub(crate) metadata: Option<Value>,
    pub(crate) client_msg_id: Option<String>,
    /// The end of its stream, in milliseconds, while it is one.
    pub(crate) streams_until: Option<i64>,
    /// The only person who sees it.
    pub(crate) only_for: Option<String>,
    /// The method that made it.
    pub(crate) via: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) mime: String,
    pub(crate) bytes: Bytes,
    pub(crate) created: i64,
    /// Channels and messages that show it.
    pub(crate) shares: Vec<(String, String)>,
    pub(crate) state: Upload,
    /// What was announced when the upload was asked for.
    pub(crate) announced: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upload {
    Asked,
    Received,
    Complete,
}

/// A message as a test sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MessageView {
    /// The channel.
    pub channel: String,
    /// Its id in the channel.
    pub ts: String,
    /// Who wrote it.
    pub user: String,
    /// The bot id, when a bot wrote.
    pub bot_id: Option<String>,
    /// The text as the platform keeps it, with `&`, `<` and `>` escaped.
    pub text: String,
    /// The blocks; null without.
    pub blocks: Value,
    /// The root of its thread.
    pub thread_ts: Option<String>,
    /// Ids of its files.
    pub files: Vec<String>,
    /// It has been edited.
    pub edited: bool,
    /// Names of reactions with who reacted.
    pub reactions: Vec<(String, Vec<String>)>,
    /// Its metadata; null without.
    pub metadata: Value,
    /// It is a stream that has not ended.
    pub streaming: bool,
    /// The only person who sees it.
    pub only_for: Option<String>,
    /// The method that made it, `response_url`, `command`, or empty for people.
    pub via: &'static str,
}

/// Why something cannot happen on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// There is no such app, or it is not installed there.
    #[error("slack emulator: the app is not known there")]
    UnknownApp,
    /// There is no such workspace.
    #[error("slack emulator: the workspace is not known")]
    UnknownTeam,
    /// There is no such person.
    #[error("slack emulator: the person is not known")]
    UnknownUser,
    /// There is no such channel.
    #[error("slack emulator: the channel is not known")]
    UnknownChannel,
    /// There is no such message.
    #[error("slack emulator: the message is not known")]
    UnknownMessage,
    /// The message or view has no such button, select or input.
    #[error("slack emulator: there is nothing of that kind to press")]
    NoSuchAction,
    /// The person is not in the channel, or the app takes no direct messages.
    #[error("slack emulator: the person cannot write there")]
    NotAllowed,
    /// Something about the request is not possible.
    #[error("slack emulator: {0}")]
    Invalid(&'static str),
}
