//! Gateway sessions, the connections that carry them, and what is dispatched into them.
//!
//! <https://docs.discord.com/developers/events/gateway>

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::model::{Author, Emoji, Id, Message, maybe_text};
use super::shape::{put, timestamp};
use super::state::State;

/// Bits of intents. <https://docs.discord.com/developers/events/gateway#list-of-intents>
pub(crate) mod intent {
    pub(crate) const GUILDS: u64 = 1;
    pub(crate) const GUILD_MEMBERS: u64 = 1 << 1;
    pub(crate) const GUILD_PRESENCES: u64 = 1 << 8;
    pub(crate) const GUILD_MESSAGES: u64 = 1 << 9;
    pub(crate) const GUILD_REACTIONS: u64 = 1 << 10;
    pub(crate) const GUILD_TYPING: u64 = 1 << 11;
    pub(crate) const DIRECT_MESSAGES: u64 = 1 << 12;
    pub(crate) const DIRECT_REACTIONS: u64 = 1 << 13;
    pub(crate) const DIRECT_TYPING: u64 = 1 << 14;
    pub(crate) const MESSAGE_CONTENT: u64 = 1 << 15;
    pub(crate) const PRIVILEGED: u64 = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT;
    /// Every bit that means something: 0 to 16, 20, 21, 24 and 25.
    pub(crate) const KNOWN: u64 = 0x1_ffff | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25;
}

/// Connections remembered after they are closed.
const MAX_CONNECTIONS: usize = 2000;
/// Sessions kept in all.
const MAX_SESSIONS: usize = 2000;

/// A session: what an application is told, whether or not somebody is connected.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) app: Id,
    pub(crate) intents: u64,
    pub(crate) shard: (u64, u64),
    pub(crate) seq: u64,
    /// Dispatches that can be replayed, as they go over the wire.
    pub(crate) events: VecDeque<(u64, Arc<str>)>,
    pub(crate) connection: Option<u64>,
    pub(crate) detached_ms: i64,
}

impl Session {
    /// Dispatches after `seq`, at most `limit`.
    pub(crate) fn after(&self, seq: u64, limit: usize) -> Vec<(u64, Arc<str>)> {
        let from = self.events.partition_point(|(at, _)| *at <= seq);
        self.events.iter().skip(from).take(limit).cloned().collect()
    }

    /// Whether everything after `seq` is still there.
    pub(crate) fn can_replay(&self, seq: u64) -> bool {
        seq <= self.seq
            && self
                .events
                .front()
                .is_none_or(|(first, _)| *first <= seq + 1)
    }

    pub(crate) fn push(&mut self, room: usize, name: &str, data: &Value) {
        self.seq += 1;
        let frame = json!({"op": 0, "s": self.seq, "t": name, "d": data}).to_string();
        if self.events.len() >= room.max(1) {
            self.events.pop_front();
        }
        self.events.push_back((self.seq, frame.into()));
    }

    fn is_of_shard(&self, guild: Option<Id>) -> bool {
        let (shard, count) = self.shard;
        guild.map_or(shard == 0, |guild| (guild >> 22) % count.max(1) == shard)
    }
}

/// What a connection is told to do by the test.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// Sends a frame.
    Send(Value),
    /// Closes with a code.
    Close(u16, &'static str),
    /// Drops the connection without a close frame.
    Cut,
}

/// How a connection is deaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mute {
    /// It works.
    Off,
    /// Heartbeats are answered, but dispatches do not come: they wait in the session.
    Silent,
    /// Nothing is read and nothing is sent, and the connection stays open.
    HalfOpen,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Closed {
    /// `client`, `server`, or `lost` when there was no close frame.
    pub by: &'static str,
    /// The close code, when there was one.
    pub code: Option<u16>,
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
}

/// A connection to the gateway, open or past.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ConnectionView {
    /// Counts from 1.
    pub number: u64,
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
    /// The path that was connected to: `/gateway` or, from READY, `/gateway/resume`.
    pub path: String,
    /// The transport compression, when there is one.
    pub compress: Option<String>,
    /// The bot, once it has identified or resumed.
    #[serde(serialize_with = "maybe_text")]
    pub bot: Option<u64>,
    /// Shard and number of shards.
    pub shard: Option<(u64, u64)>,
    /// `identify` or `resume`: how it got its session.
    pub how: Option<&'static str>,
    /// The intents of its session.
    pub intents: Option<u64>,
    /// The session.
    pub session: Option<String>,
    /// The `seq` that a resume named.
    pub resumed_from: Option<u64>,
    /// Heartbeats received.
    pub heartbeats: u64,
    /// The sequence number in the last heartbeat.
    pub heartbeat_seq: Option<u64>,
    /// How it ended.
    pub closed: Option<Closed>,
}

/// A connection with what the platform needs to serve it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) view: ConnectionView,
    pub(crate) orders: VecDeque<Order>,
    pub(crate) mute: Mute,
    /// Identify asked for payload compression.
    pub(crate) payloads: bool,
    /// Beginning of the minute, and frames received in it.
    pub(crate) frames: (i64, u32),
}

/// To whom an event goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audience {
    pub(crate) app: Id,
    pub(crate) guild: Option<Id>,
    /// Sessions need one of these intents; 0: none.
    pub(crate) intents: u64,
}

impl State {
    pub(crate) fn open_connection(&mut self, path: &str, compress: Option<&str>) -> u64 {
        let number = self.next_connection();
        if self.connections.len() >= MAX_CONNECTIONS {
            let old = self
                .connections
                .iter()
                .find(|(_, connection)| connection.view.closed.is_some());
            if let Some(old) = old.map(|(number, _)| *number) {
                self.connections.remove(&old);
            }
        }
        let view = ConnectionView {
            number,
            at_ms: self.now_ms,
            path: path.chars().take(64).collect(),
            compress: compress.map(str::to_owned),
            bot: None,
            shard: None,
            how: None,
            intents: None,
            session: None,
            resumed_from: None,
            heartbeats: 0,
            heartbeat_seq: None,
            closed: None,
        };
        let connection = Connection {
            view,
            orders: VecDeque::new(),
            mute: self.mute_new,
            payloads: false,
            frames: (self.now_ms, 0),
        };
        self.connections.insert(number, connection);
        number
    }

    /// Notes the end of a connection. A client that closes with 1000 or 1001 ends its session.
    pub(crate) fn close_connection(&mut self, number: u64, by: &'static str, code: Option<u16>) {
        let now = self.now_ms;
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        if connection.view.closed.is_none() {
            connection.view.closed = Some(Closed {
                by,
                code,
                at_ms: now,
            });
        }
        let ends = by == "client" && matches!(code, Some(1000 | 1001));
        if let Some(id) = connection.view.session.clone() {
            let owns = |session: &Session| session.connection == Some(number);
            if ends && self.sessions.get(&id).is_some_and(owns) {
                self.sessions.remove(&id);
            } else if let Some(session) = self.sessions.get_mut(&id).filter(|session| owns(session))
            {
                session.connection = None;
                session.detached_ms = now;
            }
        }
    }

    /// Makes a session for a connection; READY and the guilds are its first dispatches.
    pub(crate) fn open_session(&mut self, number: u64, app: Id, intents: u64, shard: (u64, u64)) {
        let id = self.hex();
        if self.sessions.len() >= MAX_SESSIONS {
            let oldest = self
                .sessions
                .iter()
                .filter(|(_, session)| session.connection.is_none())
                .min_by_key(|(_, session)| session.detached_ms)
                .map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                self.sessions.remove(&oldest);
            }
        }
        let guilds: Vec<Id> = self
            .guilds
            .values()
            .filter(|guild| {
                guild.bots.contains(&app) && (guild.id >> 22) % shard.1.max(1) == shard.0
            })
            .map(|guild| guild.id)
            .collect();
        let stubs: Vec<Value> = guilds
            .iter()
            .map(|id| json!({"id": id.to_string(), "unavailable": true}))
            .collect();
        let mut user = self.user_json(app);
        if let Some(user) = user.as_object_mut() {
            for (name, value) in [
                ("verified", json!(true)),
                ("mfa_enabled", json!(false)),
                ("email", json!(null)),
                ("flags", json!(0)),
            ] {
                put(user, name, Some(value));
            }
        }
        let ready = json!({
            "v": 10, "user": user, "guilds": stubs, "session_id": id, "session_type": "normal",
            "resume_gateway_url": format!("ws://{}/gateway/resume", self.authority), "shard": [shard.0, shard.1],
            "application": {"id": app.to_string(), "flags": self.app_flags(app)}, "private_channels": [],
            "presences": [], "relationships": [], "geo_ordered_rtc_regions": [], "user_settings": {},
            "guild_join_requests": [], "_trace": ["[\"emulator\",{}]"],
        });
        let room = self.config.replay;
        let mut session = Session {
            app,
            intents,
            shard,
            seq: 0,
            events: VecDeque::new(),
            connection: Some(number),
            detached_ms: self.now_ms,
        };
        session.push(room, "READY", &ready);
        if intents & intent::GUILDS != 0 {
            for guild in guilds {
                if let Some(guild) = self.guild_json(guild, app, true) {
                    session.push(room, "GUILD_CREATE", &guild);
                }
            }
        }
        self.sessions.insert(id.clone(), session);
        if let Some(connection) = self.connections.get_mut(&number) {
            let view = &mut connection.view;
            view.how = Some("identify");
            (view.bot, view.shard, view.session) = (Some(app), Some(shard), Some(id));
            view.intents = Some(intents);
        }
    }

    /// Flags of the application: the limited forms of the privileged intents.
    pub(crate) fn app_flags(&self, app: Id) -> u64 {
        let on = self.apps.get(&app).map_or(0, |app| app.privileged);
        [
            (intent::GUILD_PRESENCES, 1_u64 << 13),
            (intent::GUILD_MEMBERS, 1 << 15),
            (intent::MESSAGE_CONTENT, 1 << 19),
        ]
        .into_iter()
        .filter(|(intent, _)| on & intent != 0)
        .fold(0, |flags, (_, flag)| flags | flag)
    }

    /// Puts an event into every session that should have it.
    pub(crate) fn emit(&mut self, to: Audience, name: &str, data: &Value) {
        self.emit_by(to, name, |_| data.clone());
    }

    fn emit_by(&mut self, to: Audience, name: &str, data: impl Fn(u64) -> Value) {
        let room = self.config.replay;
        for session in self.sessions.values_mut().filter(|session| {
            session.app == to.app
                && session.is_of_shard(to.guild)
                && (to.intents == 0 || session.intents & to.intents != 0)
        }) {
            session.push(room, name, &data(session.intents));
        }
    }

    /// The bots that see a channel.
    pub(crate) fn watchers(&self, channel: Id) -> (Option<Id>, Vec<Id>) {
        let Some(channel) = self.channels.get(&channel) else {
            return (None, Vec::new());
        };
        if let Some((bot, _)) = channel.pair {
            return (None, vec![bot]);
        }
        let bots = channel
            .guild
            .and_then(|guild| self.guilds.get(&guild))
            .into_iter()
            .flat_map(|guild| guild.bots.iter().copied())
            .filter(|bot| self.may(*bot, channel, super::model::permission::VIEW_CHANNEL))
            .collect();
        (channel.guild, bots)
    }

    /// Emits to the bots that see the channel, under one intent in guilds and another in direct conversations.
    pub(crate) fn tell(&mut self, channel: Id, intents: (u64, u64), name: &str, mut data: Value) {
        let (guild, bots) = self.watchers(channel);
        if let (Some(guild), Some(fields)) = (guild, data.as_object_mut()) {
            put(fields, "guild_id", Some(guild.to_string()));
        }
        let intents = if guild.is_some() {
            intents.0
        } else {
            intents.1
        };
        for app in bots {
            let to = Audience {
                app,
                guild,
                intents,
            };
            self.emit(to, name, &data);
        }
    }

    /// MESSAGE_CREATE or MESSAGE_UPDATE. Without the intent, a bot reads only its own messages, direct ones, and
    /// those that mention it.
    pub(crate) fn announce(&mut self, message: &Message, name: &str) {
        let (guild, bots) = self.watchers(message.channel);
        let intents = if guild.is_some() && message.only_for.is_none() {
            intent::GUILD_MESSAGES
        } else {
            intent::DIRECT_MESSAGES
        };
        for app in bots {
            // What only one person sees is known to its author alone.
            if message.only_for.is_some() && message.author != Author::Bot(app) {
                continue;
            }
            let full = self.message_event(message, app);
            let readable = guild.is_none()
                || message.author == Author::Bot(app)
                || message.mentions.contains(&app);
            let mut stripped = full.clone();
            if let Some(fields) = stripped.as_object_mut() {
                fields.insert("content".into(), "".into());
                for name in ["embeds", "attachments", "components"] {
                    fields.insert(name.into(), json!([]));
                }
            }
            let to = Audience {
                app,
                guild: guild.filter(|_| message.only_for.is_none()),
                intents,
            };
            self.emit_by(to, name, |intents| {
                if readable || intents & intent::MESSAGE_CONTENT != 0 {
                    full.clone()
                } else {
                    stripped.clone()
                }
            });
        }
    }

    /// THREAD_CREATE, CHANNEL_UPDATE and the like.
    pub(crate) fn announce_channel(&mut self, id: Id, name: &str) {
        let Some(channel) = self.channels.get(&id) else {
            return;
        };
        let mut data = self.channel_json(channel);
        if let (true, Some(fields)) = (name == "THREAD_CREATE", data.as_object_mut()) {
            put(fields, "newly_created", Some(true));
        }
        self.tell(id, (intent::GUILDS, 0), name, data);
    }

    /// MESSAGE_REACTION_ADD or _REMOVE.
    pub(crate) fn announce_reaction(
        &mut self,
        message: &Message,
        user: Id,
        emoji: &Emoji,
        name: &str,
    ) {
        let guild = self
            .channels
            .get(&message.channel)
            .and_then(|channel| channel.guild);
        let mut data = json!({
            "user_id": user.to_string(), "channel_id": message.channel.to_string(),
            "message_id": message.id.to_string(), "emoji": emoji.json(), "burst": false, "type": 0,
        });
        if let (true, Some(fields)) = (name == "MESSAGE_REACTION_ADD", data.as_object_mut()) {
            put(
                fields,
                "message_author_id",
                Some(message.author.id().to_string()),
            );
            put(
                fields,
                "member",
                guild.map(|guild| self.member_with_user(guild, user)),
            );
        }
        let intents = (intent::GUILD_REACTIONS, intent::DIRECT_REACTIONS);
        self.tell(message.channel, intents, name, data);
    }

    /// TYPING_START.
    pub(crate) fn announce_typing(&mut self, channel: Id, user: Id) {
        let guild = self
            .channels
            .get(&channel)
            .and_then(|channel| channel.guild);
        let mut data = json!({
            "channel_id": channel.to_string(), "user_id": user.to_string(), "timestamp": self.now_ms / 1000,
        });
        if let Some(fields) = data.as_object_mut() {
            put(
                fields,
                "member",
                guild.map(|guild| self.member_with_user(guild, user)),
            );
        }
        let intents = (intent::GUILD_TYPING, intent::DIRECT_TYPING);
        self.tell(channel, intents, "TYPING_START", data);
    }

    /// MESSAGE_DELETE.
    pub(crate) fn announce_delete(&mut self, channel: Id, id: Id) {
        let data = json!({"id": id.to_string(), "channel_id": channel.to_string()});
        let intents = (intent::GUILD_MESSAGES, intent::DIRECT_MESSAGES);
        self.tell(channel, intents, "MESSAGE_DELETE", data);
    }

    /// MESSAGE_UPDATE that is no edit: the platform has unfolded a link or pinned the message.
    pub(crate) fn announce_untouched(&mut self, channel: Id, id: Id) {
        if let Some(message) = self.any_message(channel, id).cloned() {
            self.announce(&message, "MESSAGE_UPDATE");
        }
    }

    /// CHANNEL_PINS_UPDATE.
    pub(crate) fn announce_pins(&mut self, channel: Id) {
        let data = json!({"channel_id": channel.to_string(), "last_pin_timestamp": timestamp(self.now_ms)});
        self.tell(
            channel,
            (intent::GUILDS, intent::DIRECT_MESSAGES),
            "CHANNEL_PINS_UPDATE",
            data,
        );
    }
}
