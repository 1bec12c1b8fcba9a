//! Interactions
//! (<https://docs.discord.com/developers/interactions/receiving-and-responding>).

use serde::Deserialize;

use super::message::{Attachment, Member, User};
use super::text::{Id, Str};
use std::collections::BTreeMap;

/// An interaction, over HTTP and over the gateway.
#[derive(Debug, Deserialize)]
pub(crate) struct Interaction<'a> {
    #[serde(borrow)]
    pub(crate) id: Id<'a>,
    #[serde(borrow)]
    pub(crate) application_id: Id<'a>,
    #[serde(rename = "type")]
    pub(crate) kind: u64,
    #[serde(borrow)]
    pub(crate) token: Str<'a>,
    #[serde(borrow)]
    pub(crate) guild_id: Option<Id<'a>>,
    #[serde(borrow)]
    pub(crate) channel_id: Option<Id<'a>>,
    #[serde(borrow)]
    pub(crate) channel: Option<Room<'a>>,
    #[serde(borrow)]
    pub(crate) member: Option<Member<'a>>,
    #[serde(borrow)]
    pub(crate) user: Option<User<'a>>,
    #[serde(borrow)]
    pub(crate) message: Option<Carrier<'a>>,
    #[serde(borrow)]
    pub(crate) data: Option<Data<'a>>,
    /// 0 in a guild, 1 in the direct chat with the bot, 2 in a chat of others.
    pub(crate) context: Option<u64>,
    /// For whom the app is installed: `0` a guild, `1` a user.
    #[serde(borrow, default)]
    pub(crate) authorizing_integration_owners: BTreeMap<Str<'a>, Id<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Room<'a> {
    #[serde(borrow)]
    pub(crate) id: Option<Id<'a>>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<u64>,
}

/// The message that carries what was pressed.
#[derive(Debug, Deserialize)]
pub(crate) struct Carrier<'a> {
    #[serde(borrow)]
    pub(crate) id: Id<'a>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Data<'a> {
    #[serde(borrow)]
    pub(crate) name: Option<Str<'a>>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) options: Vec<Option_<'a>>,
    #[serde(borrow)]
    pub(crate) custom_id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(crate) values: Vec<Str<'a>>,
    #[serde(borrow)]
    pub(crate) target_id: Option<Id<'a>>,
    #[serde(borrow)]
    pub(crate) resolved: Option<Resolved<'a>>,
    #[serde(borrow, default)]
    pub(crate) components: Vec<Component<'a>>,
}

/// An option of a command: a value, or a subcommand with options of its own.
#[derive(Debug, Deserialize)]
pub(crate) struct Option_<'a> {
    #[serde(borrow)]
    pub(crate) name: Str<'a>,
    #[serde(rename = "type")]
    pub(crate) kind: u64,
    pub(crate) value: Option<serde_json::Value>,
    #[serde(borrow, default)]
    pub(crate) options: Vec<Self>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resolved<'a> {
    #[serde(borrow, default)]
    pub(crate) attachments: BTreeMap<Str<'a>, Attachment<'a>>,
}

/// A component of a submitted dialog: a field, or a row or label around some.
#[derive(Debug, Deserialize)]
pub(crate) struct Component<'a> {
    #[serde(borrow)]
    pub(crate) custom_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(crate) value: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub(crate) values: Vec<Str<'a>>,
    #[serde(borrow, default)]
    pub(crate) components: Vec<Self>,
    #[serde(borrow)]
    pub(crate) component: Option<Box<Self>>,
}
