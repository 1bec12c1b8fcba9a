//! What the gateway does with each frame of a client, without I/O.
//!
//! <https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway>

use serde_json::{Value, json};

use super::model::{Id, read_id};
use super::sessions::intent;
use super::state::State;

/// Frames a client may send in a minute.
const FRAMES_A_MINUTE: u32 = 120;
/// Bytes of a client's frame.
pub(crate) const MAX_FRAME: usize = 4096;

/// A close code with its words.
pub(crate) type Close = (u16, &'static str);

pub(crate) const DECODE: Close = (4002, "Error while decoding payload.");
const UNKNOWN_OPCODE: Close = (4001, "Unknown opcode.");
const NOT_AUTHENTICATED: Close = (4003, "Not authenticated.");
const AUTHENTICATION_FAILED: Close = (4004, "Authentication failed.");
const ALREADY: Close = (4005, "Already authenticated.");
const INVALID_SEQ: Close = (4007, "Invalid seq.");
const TOO_FAST: Close = (4008, "You are being rate limited.");
pub(crate) const TIMED_OUT: Close = (4009, "Session timed out.");
const INVALID_SHARD: Close = (4010, "Invalid shard.");
const SHARDING_REQUIRED: Close = (4011, "Sharding required.");
pub(crate) const INVALID_VERSION: Close = (4012, "Invalid API version.");
const INVALID_INTENTS: Close = (4013, "Invalid intent(s).");
const DISALLOWED_INTENTS: Close = (4014, "Disallowed intent(s).");

/// What is done about a frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Nothing,
    /// Answers.
    Send(Value),
    /// Dispatches after this sequence number follow; a resume ends with RESUMED.
    Attach(u64),
    Close(Close),
}

/// A frame, read as far as needed to know what it is.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) op: u64,
    data: Value,
}

impl Frame {
    /// # Errors
    /// The close code for what is no frame.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Close> {
        if bytes.len() > MAX_FRAME {
            return Err(DECODE);
        }
        let mut frame: Value = serde_json::from_slice(bytes).map_err(|_| DECODE)?;
        let op = frame.get("op").and_then(Value::as_u64).ok_or(DECODE)?;
        let data = frame.get_mut("d").map(Value::take).unwrap_or_default();
        Ok(Self { op, data })
    }

    /// The name under which faults and the ledger know it.
    pub(crate) const fn name(&self) -> &'static str {
        match self.op {
            1 => "gateway.heartbeat",
            2 => "gateway.identify",
            6 => "gateway.resume",
            _ => "gateway.other",
        }
    }
}

impl State {
    /// Acts on a frame of a client.
    pub(crate) fn receive(&mut self, number: u64, frame: &Frame) -> Step {
        let now = self.now_ms;
        let Some(connection) = self.connections.get_mut(&number) else {
            return Step::Close(TIMED_OUT);
        };
        if now - connection.frames.0 >= 60_000 {
            connection.frames = (now, 0);
        }
        connection.frames.1 += 1;
        if connection.frames.1 > FRAMES_A_MINUTE {
            return Step::Close(TOO_FAST);
        }
        let attached = connection.view.session.is_some();
        match frame.op {
            1 => {
                connection.view.heartbeats += 1;
                connection.view.heartbeat_seq = frame.data.as_u64();
                Step::Send(json!({"op": 11, "d": null, "s": null, "t": null}))
            }
            2 | 6 if attached => Step::Close(ALREADY),
            2 => self
                .identify(number, &frame.data)
                .unwrap_or_else(Step::Close),
            6 => self.resume(number, &frame.data).unwrap_or_else(Step::Close),
            _ if !attached => Step::Close(NOT_AUTHENTICATED),
            8 => {
                self.members_chunk(number, &frame.data);
                Step::Nothing
            }
            3 | 4 | 31 | 43 => Step::Nothing,
            _ => Step::Close(UNKNOWN_OPCODE),
        }
    }

    /// The bot a token belongs to. Some clients send it with the prefix of the HTTP header.
    fn bot_by_token(&self, data: &Value) -> Result<Id, Close> {
        let token = data.get("token").and_then(Value::as_str).ok_or(DECODE)?;
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        self.apps
            .values()
            .find(|app| app.token.0 == token && !app.revoked)
            .map(|app| app.id)
            .ok_or(AUTHENTICATION_FAILED)
    }

    fn identify(&mut self, number: u64, data: &Value) -> Result<Step, Close> {
        if !data.get("properties").is_some_and(Value::is_object) {
            return Err(DECODE);
        }
        let app = self.bot_by_token(data)?;
        let intents = data.get("intents").ok_or(DECODE)?;
        let intents = intents.as_u64().ok_or(INVALID_INTENTS)?;
        if intents & !intent::KNOWN != 0 {
            return Err(INVALID_INTENTS);
        }
        let shard = match data.get("shard") {
            None | Some(Value::Null) => (0, 1),
            Some(Value::Array(pair)) => match pair.as_slice() {
                [id, count] => read_id(id)
                    .zip(read_id(count))
                    .filter(|(id, count)| id < count)
                    .ok_or(INVALID_SHARD)?,
                _ => return Err(INVALID_SHARD),
            },
            Some(_) => return Err(INVALID_SHARD),
        };
        let permit = shard.0 % self.config.max_concurrency.max(1);
        let interval = i64::try_from(self.config.identify_interval.as_millis()).unwrap_or(i64::MAX);
        let (now, most) = (self.now_ms, self.config.session_starts);
        let bot = self.apps.get_mut(&app).ok_or(AUTHENTICATION_FAILED)?;
        if intents & intent::PRIVILEGED & !bot.privileged != 0 {
            return Err(DISALLOWED_INTENTS);
        }
        if shard.1 < bot.shards {
            return Err(SHARDING_REQUIRED);
        }
        let last = bot.identified.get(&permit);
        if last.is_some_and(|last| now - last < interval) {
            return Ok(Step::Send(
                json!({"op": 9, "d": false, "s": null, "t": null}),
            ));
        }
        bot.identified.insert(permit, now);
        if now - bot.starts.0 >= 24 * 60 * 60 * 1000 {
            bot.starts = (now, 0);
        }
        bot.starts.1 += 1;
        if bot.starts.1 > most {
            // All sessions end, and the token is reset.
            bot.revoked = true;
            self.end_sessions(app, AUTHENTICATION_FAILED);
            return Err(AUTHENTICATION_FAILED);
        }
        if let Some(connection) = self.connections.get_mut(&number) {
            let asked = data.get("compress").and_then(Value::as_bool);
            connection.payloads = asked.unwrap_or(false);
        }
        self.open_session(number, app, intents, shard);
        Ok(Step::Attach(0))
    }

    /// Ends every session of a bot, and closes its connections.
    pub(crate) fn end_sessions(&mut self, app: Id, close: Close) {
        self.sessions.retain(|_, session| session.app != app);
        for connection in self.connections.values_mut() {
            if connection.view.bot == Some(app) && connection.view.closed.is_none() {
                let order = super::sessions::Order::Close(close.0, close.1);
                connection.orders.push_back(order);
            }
        }
    }

    /// GUILD_MEMBERS_CHUNK, in one piece: guilds here are small.
    ///
    /// <https://docs.discord.com/developers/events/gateway-events#request-guild-members>
    fn members_chunk(&mut self, number: u64, data: &Value) {
        let room = self.config.replay;
        let connection = self.connections.get(&number);
        let Some(session) = connection.and_then(|at| at.view.session.clone()) else {
            return;
        };
        let app = self.sessions.get(&session).map(|session| session.app);
        let guild = data.get("guild_id").and_then(read_id);
        let guild = guild.and_then(|guild| self.guilds.get(&guild));
        let guild = guild.filter(|guild| app.is_some_and(|app| guild.bots.contains(&app)));
        let Some(guild) = guild else {
            return;
        };
        let wanted: Option<Vec<Id>> = match data.get("user_ids") {
            None | Some(Value::Null) => None,
            Some(Value::Array(ids)) => Some(ids.iter().filter_map(read_id).collect()),
            Some(id) => Some(read_id(id).into_iter().collect()),
        };
        let members: Vec<Value> = guild
            .members
            .iter()
            .chain(&guild.bots)
            .filter(|id| wanted.as_ref().is_none_or(|wanted| wanted.contains(id)))
            .take(1000)
            .map(|id| self.member_with_user(guild.id, *id))
            .collect();
        let chunk = json!({
            "guild_id": guild.id.to_string(), "members": members, "chunk_index": 0, "chunk_count": 1,
            "not_found": [], "nonce": data.get("nonce"),
        });
        if let Some(session) = self.sessions.get_mut(&session) {
            session.push(room, "GUILD_MEMBERS_CHUNK", &chunk);
        }
    }

    fn resume(&mut self, number: u64, data: &Value) -> Result<Step, Close> {
        let app = self.bot_by_token(data)?;
        let id = data.get("session_id").and_then(Value::as_str);
        let id = id.ok_or(DECODE)?.to_owned();
        // A client that has seen nothing may say null.
        let seq = match data.get("seq") {
            None | Some(Value::Null) => 0,
            Some(seq) => seq.as_u64().ok_or(DECODE)?,
        };
        let life = i64::try_from(self.config.session_life.as_millis()).unwrap_or(i64::MAX);
        let (now, room) = (self.now_ms, self.config.replay);
        let alive = self.sessions.get_mut(&id).filter(|session| {
            session.app == app
                && (session.connection.is_some() || now - session.detached_ms <= life)
        });
        let Some(session) = alive else {
            self.sessions.remove(&id);
            return Ok(Step::Send(
                json!({"op": 9, "d": false, "s": null, "t": null}),
            ));
        };
        if seq > session.seq {
            self.sessions.remove(&id);
            return Err(INVALID_SEQ);
        }
        if !session.can_replay(seq) {
            self.sessions.remove(&id);
            return Ok(Step::Send(
                json!({"op": 9, "d": false, "s": null, "t": null}),
            ));
        }
        // An earlier RESUMED is not part of what was missed.
        session
            .events
            .retain(|(_, frame)| !frame.ends_with("\"t\":\"RESUMED\"}"));
        session.push(room, "RESUMED", &json!({"_trace": ["[\"emulator\",{}]"]}));
        let (shard, intents) = (session.shard, session.intents);
        // Who comes later takes the session over; the older connection is of no use any more.
        let before = session
            .connection
            .replace(number)
            .filter(|before| *before != number);
        if let Some(older) = before.and_then(|older| self.connections.get_mut(&older)) {
            older.view.session = None;
            older
                .orders
                .push_back(super::sessions::Order::Close(4000, "Unknown error."));
        }
        if let Some(connection) = self.connections.get_mut(&number) {
            let view = &mut connection.view;
            view.how = Some("resume");
            view.resumed_from = Some(seq);
            view.intents = Some(intents);
            (view.bot, view.shard, view.session) = (Some(app), Some(shard), Some(id));
        }
        Ok(Step::Attach(seq))
    }
}
