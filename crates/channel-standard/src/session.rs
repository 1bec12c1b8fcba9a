//! What one client says, frame by frame.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{Frame, SenderId};

use crate::auth::random_text;
use crate::code::{Code, Refusal};
use crate::hub::Place;
use crate::link::{Closing, Link};
use crate::message::Client;
use crate::mirror::from_client;
use crate::standard::{Shared, Slot};
use crate::wire::client::{AckFrame, ClientFrame, FrameError, Hello, TypingFrame, TypingState};
use crate::wire::decode::decode_frame;
use crate::wire::server::{self, ServerFrame};
use crate::wire::{DEFAULT_CONVERSATION, is_client_id, is_id};

/// Frames a second that a client may send for long.
const RATE: f64 = 20.0;
/// Frames that a client may send at once.
const BURST: f64 = 40.0;
/// Refused frames in a row after which the connection is closed.
const IGNORED: u32 = 40;
/// Malformed frames in a minute after which the connection is closed.
const BAD_FRAMES: usize = 3;
const BAD_WINDOW: Duration = Duration::from_secs(60);
/// Conversations that one hello may resume.
const MAX_RESUMED: usize = 256;
/// Characters of a client's name that are kept.
const MAX_NAME: usize = 128;

/// One client's side of a connection.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    slot: Slot,
    pub(crate) client: Option<Client>,
    flow: Flow,
    bad: VecDeque<Duration>,
}

/// A bucket of tokens, one for each frame.
struct Flow {
    tokens: f64,
    at: Duration,
    refused: u32,
}

impl Flow {
    /// Takes a token; the time until there is one if there is none.
    fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = passed.mul_add(RATE, self.tokens).min(BURST);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            self.refused = 0;
            return Ok(());
        }
        self.refused += 1;
        Err(Duration::from_secs_f64((1.0 - self.tokens) / RATE))
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, slot: Slot) -> Self {
        let at = shared.transport.clock.elapsed();
        Self {
            shared,
            slot,
            client: None,
            flow: Flow {
                tokens: BURST,
                at,
                refused: 0,
            },
            bad: VecDeque::new(),
        }
    }

    pub(crate) const fn link(&self) -> &Arc<Link> {
        &self.slot.link
    }

    /// Whether the client has said hello.
    pub(crate) const fn is_open(&self) -> bool {
        self.client.is_some()
    }

    /// Takes a frame of the client.
    pub(crate) fn receive(&mut self, frame: &Frame, now: Duration) {
        // An answer to our ping is a sign of life and nothing else.
        if matches!(frame, Frame::Pong(_)) {
            return;
        }
        if let Err(wait) = self.flow.take(now) {
            if self.flow.refused > IGNORED {
                self.link().close(Closing::FLOODING);
            } else if matches!(frame, Frame::Text(_)) {
                let refusal = Refusal {
                    code: Code::RateLimited,
                    retry_after: Some(wait),
                };
                self.refuse(None, None, refusal);
            }
            return;
        }
        match frame {
            Frame::Text(bytes) => self.read(bytes, now),
            Frame::Binary(_) => self.link().close(Closing::BINARY),
            _ => {}
        }
    }

    fn read(&mut self, bytes: &Bytes, now: Duration) {
        let frame = match decode_frame(bytes) {
            Ok(frame) => frame,
            Err(FrameError::Version) => {
                return self.fail(Code::UnsupportedVersion, Closing::PROTOCOL);
            }
            Err(FrameError::Malformed) => return self.bad_frame(now),
        };
        if !self.is_open() {
            return match frame {
                ClientFrame::Hello(hello) => self.hello(&hello),
                _ => self.fail(Code::HelloRequired, Closing::PROTOCOL),
            };
        }
        match frame {
            ClientFrame::Hello(hello) => {
                self.refuse(hello.id.as_deref(), None, Code::AlreadyOpen.into());
            }
            ClientFrame::Message(message) => self.message(&message, bytes),
            ClientFrame::Edit(edit) => self.edit(&edit, bytes, now),
            ClientFrame::Delete(delete) => self.delete(&delete, bytes),
            ClientFrame::Reaction(reaction) => self.reaction(&reaction, bytes, now),
            ClientFrame::Action(action) => self.action(&action, bytes, now),
            ClientFrame::Typing(typing) => self.typing(&typing),
            ClientFrame::Ack(ack) => self.acknowledge(&ack),
            ClientFrame::Ping(ping) => {
                let id = ping.id.as_deref().filter(|id| is_id(id));
                self.link()
                    .push(ServerFrame::Pong(server::Pong { id }).encode());
            }
            ClientFrame::Pong => {}
            ClientFrame::Unknown(unknown) => {
                self.refuse(unknown.id.as_deref(), None, Code::UnknownType.into());
            }
        }
    }

    /// Counts a malformed frame; the third of a minute ends the connection.
    pub(crate) fn bad_frame(&mut self, now: Duration) {
        while self
            .bad
            .front()
            .is_some_and(|&at| now.saturating_sub(at) >= BAD_WINDOW)
        {
            self.bad.pop_front();
        }
        self.bad.push_back(now);
        if self.bad.len() >= BAD_FRAMES {
            self.fail(Code::BadFrame, Closing::PROTOCOL);
        } else {
            self.refuse(None, None, Code::BadFrame.into());
        }
    }

    /// Refuses a frame; the connection stays.
    pub(crate) fn refuse(&self, of: Option<&str>, conversation: Option<&str>, refusal: Refusal) {
        self.link().push(error(of, conversation, refusal, false));
    }

    /// Refuses a frame and closes the connection.
    fn fail(&self, code: Code, closing: Closing) {
        self.link().push(error(None, None, code.into(), true));
        self.link().close(closing);
    }

    fn hello(&mut self, hello: &Hello<'_>) {
        let id = hello.id.as_deref();
        if id.is_some_and(|id| !is_id(id)) {
            return self.refuse(None, None, Code::InvalidId.into());
        }
        let claimed = hello.client_id.as_deref();
        if claimed.is_some_and(|claimed| !is_client_id(claimed)) {
            return self.refuse(id, None, Code::InvalidId.into());
        }
        let shared = Arc::clone(&self.shared);
        let (client, verified) = match (&self.slot.grant.client, claimed) {
            (Some(own), Some(claimed)) if own.as_str() != claimed => {
                return self.fail(Code::Forbidden, Closing::FORBIDDEN);
            }
            (Some(own), _) => (own.clone(), true),
            // An id that has a token of its own belongs to whoever has that token.
            (None, Some(claimed)) if shared.credentials().has_own_token(claimed) => {
                return self.fail(Code::Forbidden, Closing::FORBIDDEN);
            }
            (None, Some(claimed)) => (SenderId::new(claimed), false),
            (None, None) => return self.refuse(id, None, Code::InvalidId.into()),
        };
        if !shared.admits(&client) {
            return self.fail(Code::Forbidden, Closing::FORBIDDEN);
        }
        let name = hello.name.as_deref().map(clean_name);
        let client = Client {
            id: client,
            verified,
            name: name.filter(|name| !name.is_empty()),
        };
        self.open(client, id, hello.resume.as_ref());
    }

    fn open(
        &mut self,
        client: Client,
        id: Option<&str>,
        wanted: Option<&BTreeMap<crate::wire::Str<'_>, Option<crate::wire::Str<'_>>>>,
    ) {
        let shared = Arc::clone(&self.shared);
        let link = Arc::clone(self.link());
        let mut hub = shared.hub();
        if shared.config.single_device {
            for older in hub.links_of(&client.id) {
                older.close(Closing::REPLACED);
            }
        }
        let mut resume = BTreeMap::new();
        let mut replays = Vec::new();
        let none = BTreeMap::new();
        for (conversation, cursor) in wanted.unwrap_or(&none).iter().take(MAX_RESUMED) {
            if !is_id(conversation) {
                continue;
            }
            let Some(place) = hub.place(&client.id, conversation) else {
                continue;
            };
            let (resumed, replay) = hub.resume(&place, cursor.as_deref());
            resume.insert(conversation.to_string(), resumed);
            replays.extend(replay);
        }
        if !resume.contains_key(DEFAULT_CONVERSATION) {
            let place = Place::direct(&client.id, DEFAULT_CONVERSATION);
            let (resumed, _) = hub.resume(&place, None);
            resume.insert(DEFAULT_CONVERSATION.to_owned(), resumed);
        }
        let config = &shared.config;
        let welcome = server::Welcome {
            id,
            session: &format!("s-{}", random_text(&*shared.transport.random, 9)),
            client_id: client.id.as_str(),
            verified: client.verified,
            heartbeat: config.ping_interval,
            max_frame_bytes: config.max_frame_bytes,
            resume,
            bot: server::From {
                id: &config.bot_id,
                name: Some(&config.bot_name),
                kind: None,
            },
            server: concat!("channel-kit/", env!("CARGO_PKG_VERSION")),
        };
        // All of it under one lock, so that nothing falls between replay and live frames.
        link.push(ServerFrame::Welcome(welcome).encode());
        for replay in replays {
            link.start_replay(replay);
        }
        hub.attach(&client.id, &link);
        drop(hub);
        self.client = Some(client);
    }

    /// The conversation of a frame; an error has been sent if it cannot be.
    pub(crate) fn place(&self, of: Option<&str>, conversation: Option<&str>) -> Option<Place> {
        let client = self.client.as_ref()?;
        let conversation = conversation.unwrap_or(DEFAULT_CONVERSATION);
        if !is_id(conversation) {
            self.refuse(of, None, Code::InvalidId.into());
            return None;
        }
        let place = self.shared.hub().place(&client.id, conversation);
        if place.is_none() {
            self.refuse(of, Some(conversation), Code::Forbidden.into());
        }
        place
    }

    fn typing(&self, typing: &TypingFrame<'_>) {
        let Some(place) = self.place(None, typing.conversation.as_deref()) else {
            return;
        };
        let Some(client) = &self.client else { return };
        let ttl = match typing.state {
            TypingState::Start => typing.ttl.unwrap_or(10).clamp(1, 60),
            TypingState::Stop => 0,
        };
        let frame = ServerFrame::Typing(server::Typing {
            conversation: place.conversation(),
            from: from_client(client.id.as_str()),
            state: typing.state,
            ttl,
        });
        // `typing/` is no id of a message, so only typing of the same client is replaced.
        let key = format!("typing/{}", client.id);
        let mut hub = self.shared.hub();
        hub.preview(&place, &key, Some(self.link()), &frame.encode());
    }

    fn acknowledge(&self, ack: &AckFrame<'_>) {
        let Some(cursor) = ack.cursor.as_deref() else {
            return;
        };
        if let Some(place) = self.place(None, ack.conversation.as_deref()) {
            self.shared.hub().acknowledge(&place, cursor);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(client) = &self.client {
            self.shared.hub().detach(&client.id, &self.slot.link);
        }
    }
}

impl Shared {
    /// Whether `allow_from` lets a client in.
    pub(crate) fn admits(&self, client: &SenderId) -> bool {
        let allowed = &self.config.allow_from;
        allowed.is_empty() || allowed.iter().any(|id| id == client.as_str())
    }
}

/// An error frame; ids that break the rules are not repeated.
pub(crate) fn error(
    of: Option<&str>,
    conversation: Option<&str>,
    refusal: Refusal,
    fatal: bool,
) -> Bytes {
    ServerFrame::Error(server::Error {
        of: of.filter(|of| is_id(of)),
        conversation,
        code: refusal.code.as_str(),
        message: refusal.code.message(),
        retry_after: refusal.retry_after.map(|wait| wait.as_secs_f64()),
        supported: if refusal.code == Code::UnsupportedVersion {
            &[1]
        } else {
            &[]
        },
        fatal,
    })
    .encode()
}

fn clean_name(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME)
        .collect::<String>()
        .trim()
        .to_owned()
}
