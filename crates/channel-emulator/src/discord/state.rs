//! Everything the platform knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use url::Url;

use super::answer::{self, ApiError};
use super::config::DiscordConfig;
use super::faults::Fault;
use super::ledger::Call;
use super::limits::Limits;
use super::model::{
    App, Author, Channel, Delivery, EPOCH_MS, Guild, Id, Interaction, Message, Thread, User, kind,
    permission,
};
use super::sessions::{Connection, Mute, Session};
use super::view::Typing;
use crate::common::faults::Rules;
use crate::common::ledger::Ledger;
use crate::common::random::Sequence;

/// Messages kept per channel.
const MAX_MESSAGES: usize = 20_000;
/// Channels kept in all.
const MAX_CHANNELS: usize = 100_000;
/// Interactions kept in all.
const MAX_INTERACTIONS: usize = 10_000;
/// Bodies that wait for endpoints.
const MAX_PARCELS: usize = 1000;
/// Bytes of attachments kept in all.
const MAX_FILES: usize = 256 * 1024 * 1024;

/// A nonce that has been used: when, by whom, where, and the message that came of it.
#[derive(Debug)]
pub(crate) struct Nonce {
    pub(crate) at_ms: i64,
    pub(crate) app: Id,
    pub(crate) channel: Id,
    pub(crate) nonce: String,
    pub(crate) message: Id,
}

/// Something that waits to be posted to an application's endpoint.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) app: Id,
    pub(crate) url: Url,
    pub(crate) interaction: Option<Id>,
    pub(crate) body: String,
}

/// The whole platform.
#[derive(Debug)]
pub(crate) struct State {
    /// The time of the current step, in milliseconds since the epoch.
    pub(crate) now_ms: i64,
    pub(crate) config: DiscordConfig,
    /// Host and port under which clients reach it.
    pub(crate) authority: String,
    /// The port is its own, so what callers say about the host does not matter.
    pub(crate) has_port: bool,
    pub(crate) apps: BTreeMap<Id, App>,
    pub(crate) users: BTreeMap<Id, User>,
    pub(crate) guilds: BTreeMap<Id, Guild>,
    pub(crate) channels: BTreeMap<Id, Channel>,
    pub(crate) interactions: BTreeMap<Id, Interaction>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) nonces: VecDeque<Nonce>,
    pub(crate) typing: VecDeque<Typing>,
    pub(crate) parcels: VecDeque<Parcel>,
    pub(crate) deliveries: VecDeque<Delivery>,
    pub(crate) limits: Limits,
    pub(crate) ledger: Ledger<Call>,
    pub(crate) faults: Rules<Fault>,
    /// The next bodies to the endpoint carry a wrong signature.
    pub(crate) wrong_signatures: u32,
    /// How connections are deaf from their HELLO on.
    pub(crate) mute_new: Mute,
    /// So many dispatches are sent twice.
    pub(crate) duplicate: u32,
    /// So many pairs of dispatches are sent in reverse order.
    pub(crate) reorder: u32,
    last_id: Id,
    last_connection: u64,
    random: Sequence,
    files: usize,
}

impl State {
    pub(crate) fn new(config: DiscordConfig) -> Self {
        Self {
            now_ms: 0,
            limits: Limits::new(&config),
            ledger: Ledger::new(config.ledger),
            faults: Rules::default(),
            config,
            authority: "127.0.0.1".to_owned(),
            has_port: false,
            apps: BTreeMap::new(),
            users: BTreeMap::new(),
            guilds: BTreeMap::new(),
            channels: BTreeMap::new(),
            interactions: BTreeMap::new(),
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            nonces: VecDeque::new(),
            typing: VecDeque::new(),
            parcels: VecDeque::new(),
            deliveries: VecDeque::new(),
            wrong_signatures: 0,
            mute_new: Mute::Off,
            duplicate: 0,
            reorder: 0,
            last_id: 0,
            last_connection: 0,
            random: Sequence::new(0x5eed),
            files: 0,
        }
    }

    /// A fresh snowflake for now.
    pub(crate) fn id(&mut self) -> Id {
        let since = u64::try_from(self.now_ms.saturating_sub(EPOCH_MS)).unwrap_or(0);
        self.last_id = (since << 22).max(self.last_id + 1);
        self.last_id
    }

    /// 32 hexadecimal digits.
    pub(crate) fn hex(&mut self) -> String {
        self.random.hex()
    }

    pub(crate) const fn next_connection(&mut self) -> u64 {
        self.last_connection += 1;
        self.last_connection
    }

    pub(crate) fn app(&self, id: Id) -> Result<&App, ApiError> {
        self.apps
            .get(&id)
            .ok_or_else(|| answer::UNAUTHORIZED.into())
    }

    pub(crate) fn app_mut(&mut self, id: Id) -> Result<&mut App, ApiError> {
        self.apps
            .get_mut(&id)
            .ok_or_else(|| answer::UNAUTHORIZED.into())
    }

    /// The channel, when the bot may see it.
    pub(crate) fn visible(&self, app: Id, channel: Id) -> Result<&Channel, ApiError> {
        let channel = self.channels.get(&channel).ok_or(answer::UNKNOWN_CHANNEL)?;
        let inside = match (channel.pair, channel.guild) {
            (Some((bot, _)), _) => bot == app,
            (None, Some(guild)) => self
                .guilds
                .get(&guild)
                .is_some_and(|guild| guild.bots.contains(&app)),
            (None, None) => false,
        };
        if inside && self.may(app, channel, permission::VIEW_CHANNEL) {
            Ok(channel)
        } else {
            Err(answer::MISSING_ACCESS.into())
        }
    }

    /// As [`Self::visible`], to be changed.
    pub(crate) fn visible_mut(&mut self, app: Id, channel: Id) -> Result<&mut Channel, ApiError> {
        self.visible(app, channel)?;
        self.channels
            .get_mut(&channel)
            .ok_or_else(|| answer::UNKNOWN_CHANNEL.into())
    }

    /// Threads have the permissions of the channel they hang on.
    pub(crate) fn may(&self, app: Id, channel: &Channel, bits: u64) -> bool {
        let ruled = channel
            .parent
            .filter(|_| channel.thread.is_some())
            .and_then(|parent| self.channels.get(&parent))
            .unwrap_or(channel);
        ruled.denied.get(&app).copied().unwrap_or(0) & bits == 0
    }

    /// The message, when the bot may see it.
    pub(crate) fn message(&self, app: Id, channel: Id, id: Id) -> Result<&Message, ApiError> {
        self.visible(app, channel)?
            .messages
            .get(&id)
            .filter(|message| message.only_for.is_none())
            .ok_or_else(|| answer::UNKNOWN_MESSAGE.into())
    }

    /// The message, wherever; for what the platform itself does.
    pub(crate) fn any_message(&self, channel: Id, id: Id) -> Option<&Message> {
        self.channels.get(&channel)?.messages.get(&id)
    }

    pub(crate) fn any_message_mut(&mut self, channel: Id, id: Id) -> Option<&mut Message> {
        self.channels.get_mut(&channel)?.messages.get_mut(&id)
    }

    /// Puts a message into its channel; the oldest makes room.
    pub(crate) fn store(&mut self, message: Message) {
        let size: usize = message
            .attachments
            .iter()
            .map(|file| file.bytes.len())
            .sum();
        self.files = self.files.saturating_add(size);
        let Some(channel) = self.channels.get_mut(&message.channel) else {
            return;
        };
        channel.messages.insert(message.id, message);
        if channel.messages.len() > MAX_MESSAGES {
            channel.messages.pop_first();
        }
        if self.files > MAX_FILES {
            // Old files are forgotten all at once: their addresses answer 404, as expired ones do.
            for message in self
                .channels
                .values_mut()
                .flat_map(|channel| channel.messages.values_mut())
            {
                for file in &mut message.attachments {
                    file.bytes = bytes::Bytes::new();
                }
            }
            self.files = 0;
        }
    }

    pub(crate) fn add_channel(&mut self, channel: Channel) -> bool {
        let room = self.channels.len() < MAX_CHANNELS;
        if room {
            self.channels.insert(channel.id, channel);
        }
        room
    }

    pub(crate) fn remember(&mut self, interaction: Interaction) {
        if self.interactions.len() >= MAX_INTERACTIONS {
            self.interactions.pop_first();
        }
        self.interactions.insert(interaction.id, interaction);
    }

    /// The direct conversation of a bot and a person, made when there is none.
    pub(crate) fn direct(&mut self, app: Id, user: Id) -> Id {
        let found = self
            .channels
            .values()
            .find(|channel| channel.pair == Some((app, user)))
            .map(|channel| channel.id);
        found.unwrap_or_else(|| {
            let id = self.id();
            let mut channel = Channel::new(id, kind::DM, None, "");
            channel.pair = Some((app, user));
            self.add_channel(channel);
            id
        })
    }

    /// Opens a thread and tells everybody who may see it.
    pub(crate) fn open_thread(
        &mut self,
        (parent, id): (Id, Id),
        kind: u64,
        name: &str,
        owner: Author,
        auto_archive: u64,
    ) {
        let guild = self.channels.get(&parent).and_then(|parent| parent.guild);
        let mut channel = Channel::new(id, kind, guild, name);
        channel.parent = Some(parent);
        channel.thread = Some(Thread {
            owner: owner.id(),
            archived: false,
            locked: false,
            auto_archive,
            changed_ms: self.now_ms,
            members: BTreeSet::from([owner.id()]),
        });
        if self.add_channel(channel) {
            self.announce_channel(id, "THREAD_CREATE");
        }
    }

    /// Gives something to the endpoint of an application.
    pub(crate) fn send_parcel(&mut self, parcel: Parcel) {
        if self.parcels.len() >= MAX_PARCELS {
            self.parcels.pop_front();
        }
        self.parcels.push_back(parcel);
    }

    /// Whether the person is known to a bot through a guild.
    pub(crate) fn shares_guild(&self, app: Id, user: Id) -> bool {
        self.guilds
            .values()
            .any(|guild| guild.bots.contains(&app) && guild.members.contains(&user))
    }
}

impl Channel {
    pub(crate) fn new(id: Id, kind: u64, guild: Option<Id>, name: &str) -> Self {
        Self {
            id,
            kind,
            guild,
            parent: None,
            name: name.to_owned(),
            pair: None,
            thread: None,
            messages: BTreeMap::new(),
            denied: BTreeMap::new(),
            slow_mode: 0,
            last_by_bot: BTreeMap::new(),
        }
    }
}
