//! Everything that the connections and the application share, behind one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use channel_core::{ChatId, ChatKind, IdempotencyKey, MessageId, SenderId};

use crate::config::StandardConfig;
use crate::history::{History, replayed};
use crate::inbox::Inbox;
use crate::link::{Closing, Link, Replay, Step};
use crate::media::MediaStore;
use crate::wire::server::{Ack, ResumeState, Resumed, ServerFrame};
use crate::wire::{is_client_id, is_id};

/// Conversations whose history is kept.
const MAX_CONVERSATIONS: usize = 10_000;
/// Conversations of one client whose history is kept, so that one client cannot push out
/// the histories of all others.
const MAX_CONVERSATIONS_OF_CLIENT: usize = 256;
/// Bytes of all histories together.
const MAX_HISTORY_BYTES: usize = 64 << 20;
/// Idempotency keys of sends that are remembered.
const MAX_KEYS: usize = 10_000;
/// The prefix of the conversations that several clients share.
const ROOM: &str = "room:";

/// A conversation of a client, or a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chat: ChatId,
    /// The client of a direct conversation.
    client: Option<SenderId>,
    /// Where the conversation begins in the chat id.
    offset: usize,
}

impl Place {
    /// The conversation of a client; `None` if it is a room.
    pub(crate) fn direct(client: &SenderId, conversation: &str) -> Self {
        Self {
            chat: ChatId::from(format!("{client}/{conversation}")),
            client: Some(client.clone()),
            offset: client.as_str().len() + 1,
        }
    }

    pub(crate) fn room(conversation: &str) -> Self {
        Self {
            chat: ChatId::new(conversation),
            client: None,
            offset: 0,
        }
    }

    pub(crate) fn is_room(conversation: &str) -> bool {
        conversation.starts_with(ROOM)
    }

    /// Reads a chat id back.
    pub(crate) fn parse(chat: &ChatId) -> Option<Self> {
        match chat.as_str().split_once('/') {
            Some((client, conversation)) => {
                (is_client_id(client) && is_id(conversation) && !Self::is_room(conversation))
                    .then(|| Self::direct(&SenderId::new(client), conversation))
            }
            None => {
                let room = chat.as_str();
                (Self::is_room(room) && is_id(room)).then(|| Self::room(room))
            }
        }
    }

    /// The conversation as frames name it.
    pub(crate) fn conversation(&self) -> &str {
        self.chat.as_str().get(self.offset..).unwrap_or_default()
    }

    pub(crate) const fn client(&self) -> Option<&SenderId> {
        self.client.as_ref()
    }

    pub(crate) const fn kind(&self) -> ChatKind {
        match self.client {
            Some(_) => ChatKind::Direct,
            None => ChatKind::Group,
        }
    }
}

/// Counts of what was given up, for [`StandardHealth`](crate::StandardHealth).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) dropped: u64,
    pub(crate) undelivered: u64,
}

/// What the connections and the application share.
#[derive(Debug)]
pub(crate) struct Hub {
    links: HashMap<SenderId, Vec<Arc<Link>>>,
    histories: HashMap<ChatId, History>,
    history_bytes: usize,
    /// Tells the histories of this process from those of others.
    boot: String,
    /// Counts histories that were given up.
    generation: u64,
    rooms: BTreeMap<String, BTreeSet<SenderId>>,
    resume_limit: usize,
    resume_window: Duration,
    pub(crate) inbox: Inbox,
    pub(crate) media: MediaStore,
    keys: HashMap<(ChatId, IdempotencyKey), Vec<MessageId>>,
    key_order: VecDeque<(ChatId, IdempotencyKey)>,
    pub(crate) counters: Counters,
    pub(crate) now: Duration,
    pub(crate) stopping: bool,
}

impl Hub {
    pub(crate) fn new(config: &StandardConfig, boot: String) -> Self {
        let rooms = config
            .rooms
            .iter()
            .map(|(name, members)| {
                let members: BTreeSet<SenderId> = members.iter().map(SenderId::new).collect();
                (format!("{ROOM}{name}"), members)
            })
            .collect();
        Self {
            links: HashMap::new(),
            histories: HashMap::new(),
            history_bytes: 0,
            boot,
            generation: 0,
            rooms,
            resume_limit: config.resume_limit,
            resume_window: config.resume_window(),
            inbox: Inbox::new(config.event_queue),
            media: MediaStore::new(config.media_total_bytes, config.media_ttl()),
            keys: HashMap::new(),
            key_order: VecDeque::new(),
            counters: Counters::default(),
            now: Duration::ZERO,
            stopping: false,
        }
    }

    /// Where a client's frame belongs; `None` if it is a room that the client is not in.
    pub(crate) fn place(&self, client: &SenderId, conversation: &str) -> Option<Place> {
        if Place::is_room(conversation) {
            let members = self.rooms.get(conversation)?;
            return members.contains(client).then(|| Place::room(conversation));
        }
        Some(Place::direct(client, conversation))
    }

    pub(crate) fn has_room(&self, conversation: &str) -> bool {
        self.rooms.contains_key(conversation)
    }

    // Connections.

    pub(crate) fn attach(&mut self, client: &SenderId, link: &Arc<Link>) {
        self.links
            .entry(client.clone())
            .or_default()
            .push(Arc::clone(link));
    }

    pub(crate) fn detach(&mut self, client: &SenderId, link: &Arc<Link>) {
        if let Some(links) = self.links.get_mut(client) {
            links.retain(|other| !Arc::ptr_eq(other, link));
            if links.is_empty() {
                self.links.remove(client);
            }
        }
    }

    pub(crate) fn links_of(&self, client: &SenderId) -> &[Arc<Link>] {
        self.links.get(client).map_or(&[], Vec::as_slice)
    }

    fn links_in<'a>(&'a self, place: &'a Place) -> Box<dyn Iterator<Item = &'a Arc<Link>> + 'a> {
        match place.client() {
            Some(client) => Box::new(self.links_of(client).iter()),
            None => {
                let members = self.rooms.get(place.conversation()).into_iter().flatten();
                Box::new(members.flat_map(|client| self.links_of(client)))
            }
        }
    }

    // Histories.

    fn epoch(&self, generation: u64) -> String {
        match generation {
            0 => self.boot.clone(),
            _ => format!("{}-{generation:x}", self.boot),
        }
    }

    fn cursor(&self, generation: u64, seq: u64) -> String {
        format!("{}.{seq}", self.epoch(generation))
    }

    pub(crate) fn history(&self, place: &Place) -> Option<&History> {
        self.histories.get(&place.chat)
    }

    /// The history of a conversation, begun if there is none.
    pub(crate) fn history_mut(&mut self, place: &Place) -> &mut History {
        if !self.histories.contains_key(&place.chat) {
            self.make_room_for(place);
        }
        self.histories
            .entry(place.chat.clone())
            .or_insert_with(|| History::new(self.generation, self.now))
    }

    /// Gives up the history that was not used for longest, where there are too many.
    fn make_room_for(&mut self, place: &Place) {
        let longest_unused = |of: &dyn Fn(&ChatId) -> bool| {
            self.histories
                .iter()
                .filter(|(chat, _)| of(chat))
                .min_by_key(|(_, history)| history.touched)
                .map(|(chat, _)| chat.clone())
        };
        let mut victim = None;
        if let Some(client) = place.client() {
            let prefix = format!("{client}/");
            let own = |chat: &ChatId| chat.as_str().starts_with(&prefix);
            let count = self.histories.keys().filter(|chat| own(chat)).count();
            if count >= MAX_CONVERSATIONS_OF_CLIENT {
                victim = longest_unused(&own);
            }
        }
        if victim.is_none() && self.histories.len() >= MAX_CONVERSATIONS {
            victim = longest_unused(&|_| true);
        }
        if let Some(chat) = victim {
            self.give_up(&chat);
        }
    }

    fn give_up(&mut self, chat: &ChatId) {
        if let Some(history) = self.histories.remove(chat) {
            self.history_bytes = self.history_bytes.saturating_sub(history.bytes());
            self.counters.undelivered += history.unacked();
            self.generation += 1;
        }
    }

    /// Numbers and stores a durable frame and sends it to every connection of the place
    /// but `except`. `message` names the message whose waiting preview it replaces.
    pub(crate) fn publish(
        &mut self,
        place: &Place,
        message: Option<&str>,
        except: Option<&Link>,
        frame: impl FnOnce(u64, &str) -> Bytes,
    ) -> u64 {
        let (limit, window, now) = (self.resume_limit, self.resume_window, self.now);
        let history = self.history_mut(place);
        let (generation, seq) = (history.epoch, history.head + 1);
        let cursor = self.cursor(generation, seq);
        let bytes = frame(seq, &cursor);
        let history = self.history_mut(place);
        let before = history.bytes();
        history.append(bytes.clone(), now);
        let undelivered = history.trim(limit, window, now);
        let after = history.bytes();
        self.history_bytes = (self.history_bytes + after).saturating_sub(before);
        self.counters.undelivered += undelivered;
        self.bound_history_bytes(place);
        for link in self.links_in(place) {
            if !except.is_some_and(|except| std::ptr::eq(except, Arc::as_ptr(link))) {
                link.push_live(&place.chat, message, bytes.clone());
            }
        }
        seq
    }

    fn bound_history_bytes(&mut self, keep: &Place) {
        while self.history_bytes > MAX_HISTORY_BYTES {
            let victim = self
                .histories
                .iter()
                .filter(|(chat, _)| **chat != keep.chat)
                .min_by_key(|(_, history)| history.touched)
                .map(|(chat, _)| chat.clone());
            let Some(chat) = victim else { break };
            self.give_up(&chat);
        }
    }

    /// Sends a preview of a message, which a newer one may replace.
    pub(crate) fn preview(
        &mut self,
        place: &Place,
        message: &str,
        except: Option<&Link>,
        bytes: &Bytes,
    ) {
        let mut dropped = 0;
        for link in self.links_in(place) {
            if !except.is_some_and(|except| std::ptr::eq(except, Arc::as_ptr(link))) {
                dropped += u64::from(!link.push_preview(&place.chat, message, bytes.clone()));
            }
        }
        self.counters.dropped += dropped;
    }

    /// The id of a message of ours; unique across restarts.
    pub(crate) fn message_id(&self, generation: u64, seq: u64) -> String {
        format!("s-{seq}-{}", self.epoch(generation))
    }

    /// The id that the next durable frame of a place gives to its message.
    pub(crate) fn next_message_id(&mut self, place: &Place) -> String {
        let history = self.history_mut(place);
        let (generation, seq) = (history.epoch, history.head + 1);
        self.message_id(generation, seq)
    }

    /// A client has processed everything up to a cursor.
    pub(crate) fn acknowledge(&mut self, place: &Place, cursor: &str) {
        let Some(generation) = self.history(place).map(|history| history.epoch) else {
            return;
        };
        let epoch = self.epoch(generation);
        if let Some(seq) = seq_of(cursor, &epoch)
            && let Some(history) = self.histories.get_mut(&place.chat)
        {
            history.acknowledge(seq);
        }
    }

    /// Where a client's conversation goes on, and the replay that is due, if any.
    pub(crate) fn resume(
        &mut self,
        place: &Place,
        cursor: Option<&str>,
    ) -> (Resumed, Option<Replay>) {
        let (limit, window, now) = (self.resume_limit, self.resume_window, self.now);
        if let Some(history) = self.histories.get_mut(&place.chat) {
            let before = history.bytes();
            self.counters.undelivered += history.trim(limit, window, now);
            self.history_bytes = (self.history_bytes + history.bytes()).saturating_sub(before);
        }
        let (generation, head, oldest) = match self.history(place) {
            Some(history) => (history.epoch, history.head, history.oldest()),
            None => (self.generation, 0, 1),
        };
        let epoch = self.epoch(generation);
        let known = cursor.and_then(|cursor| seq_of(cursor, &epoch));
        let (state, next) = match (cursor, known) {
            (None, _) => (ResumeState::New, head + 1),
            (Some(_), Some(seq)) if seq <= head && seq + 1 >= oldest => (ResumeState::Ok, seq + 1),
            (Some(_), _) => (ResumeState::Gap, oldest),
        };
        let replaying = (head + 1).saturating_sub(next);
        let resumed = Resumed {
            state,
            cursor: self.cursor(generation, head),
            oldest: (state == ResumeState::Gap && replaying > 0)
                .then(|| self.cursor(generation, oldest)),
            replaying,
        };
        let replay = (state != ResumeState::New).then(|| Replay {
            chat: place.chat.clone(),
            conversation: place.conversation().to_owned(),
            epoch: generation,
            next,
            until: head,
            told: false,
        });
        (resumed, replay)
    }

    /// The next frame of a connection's replays; `None` when they are done.
    pub(crate) fn next_replayed(&self, link: &Link) -> Option<Bytes> {
        loop {
            // A replay that is done is dropped, and the next one begins.
            let mut more = false;
            let frame = link.step_replay(|replay| {
                more = true;
                self.step_replay(replay)
            });
            if frame.is_some() || !more {
                return frame;
            }
        }
    }

    fn step_replay(&self, replay: &mut Replay) -> Step<Bytes> {
        let history = self
            .histories
            .get(&replay.chat)
            .filter(|history| history.epoch == replay.epoch);
        if replay.next <= replay.until {
            // Frames may have expired since the replay began.
            let oldest = history.map_or(replay.until + 1, History::oldest);
            replay.next = replay.next.max(oldest);
            if replay.next <= replay.until
                && let Some(frame) = history.and_then(|history| history.frame(replay.next))
            {
                replay.next += 1;
                return Step::Send(replayed(frame));
            }
        }
        if !replay.told {
            replay.told = true;
            let ack = ServerFrame::Ack(Ack {
                of: "resume",
                conversation: &replay.conversation,
                status: None,
                duplicate: None,
                ts: None,
                cursor: Some(&self.cursor(replay.epoch, replay.until)),
                notice: None,
            });
            return Step::Send(ack.encode());
        }
        let Some(history) = history else {
            return Step::Done;
        };
        if replay.next > history.head {
            return Step::Done;
        }
        match history.frame(replay.next) {
            Some(frame) => {
                replay.next += 1;
                Step::Send(frame.clone())
            }
            None => {
                // Live frames were trimmed before this slow connection could take them:
                // it has to come back and be told of the gap.
                Step::Close(Closing::SLOW)
            }
        }
    }

    // Sends.

    /// The messages that a send with this key has made before.
    pub(crate) fn sent_before(&self, place: &Place, key: &IdempotencyKey) -> Option<&[MessageId]> {
        self.keys
            .get(&(place.chat.clone(), key.clone()))
            .map(Vec::as_slice)
    }

    pub(crate) fn remember_send(
        &mut self,
        place: &Place,
        key: IdempotencyKey,
        messages: Vec<MessageId>,
    ) {
        while self.key_order.len() >= MAX_KEYS {
            if let Some(old) = self.key_order.pop_front() {
                self.keys.remove(&old);
            }
        }
        let key = (place.chat.clone(), key);
        if self.keys.insert(key.clone(), messages).is_none() {
            self.key_order.push_back(key);
        }
    }

    /// Drops what is too old.
    pub(crate) fn sweep(&mut self) {
        let (limit, window, now) = (self.resume_limit, self.resume_window, self.now);
        self.media.expire(now);
        let mut bytes = 0;
        let mut undelivered = 0;
        for history in self.histories.values_mut() {
            undelivered += history.trim(limit, window, now);
            bytes += history.bytes();
        }
        self.history_bytes = bytes;
        self.counters.undelivered += undelivered;
    }

    /// How long the oldest frame waits that no client has acknowledged.
    pub(crate) fn oldest_unacked(&self) -> Option<Duration> {
        let at = self
            .histories
            .values()
            .filter_map(History::oldest_unacked)
            .min()?;
        Some(self.now.saturating_sub(at))
    }
}

fn seq_of(cursor: &str, epoch: &str) -> Option<u64> {
    let digits = cursor.strip_prefix(epoch)?.strip_prefix('.')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}
