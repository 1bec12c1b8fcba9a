//! What was said in shared chats before somebody spoke to the bot.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Mutex;

use channel_core::{ChannelId, Conversation, Message, MessageId, MessageRef};

use crate::lock;

/// In how many chats talk is remembered, threads counted apart; where there are more, the one
/// in which nobody has spoken for longest is forgotten.
const CHATS: usize = 2000;
/// How much of a message is remembered, in characters.
const CHARS: usize = 500;
/// How much of a shown name is.
const NAME: usize = 64;

/// Remembers talk in shared chats until the bot is spoken to there; in memory.
pub(crate) struct Overheard(Mutex<Chats>);

#[derive(Default)]
struct Chats {
    talks: HashMap<Conversation, Talk>,
    /// Counts everything that is heard or taken, to know what is the oldest.
    ticks: u64,
}

#[derive(Default)]
struct Talk {
    tick: u64,
    lines: VecDeque<(MessageId, String)>,
    /// What was given last, and with which message: tried again, it is given the same.
    given: Option<(MessageId, String)>,
}

impl Overheard {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Remembers a message, and at most `most` of its chat.
    pub(crate) fn hear(&self, message: &Message, most: usize) {
        if message.text.trim().is_empty() {
            return;
        }
        let mut chats = lock(&self.0);
        let talk = chats.talk(message.conversation());
        if talk.lines.iter().any(|(id, _)| *id == message.id) {
            return;
        }
        talk.lines.push_back((message.id.clone(), line(message)));
        while talk.lines.len() > most {
            talk.lines.pop_front();
        }
    }

    /// A message was changed.
    pub(crate) fn correct(&self, message: &Message) {
        let mut chats = lock(&self.0);
        let talk = chats.talks.get_mut(&message.conversation());
        let mut lines = talk.into_iter().flat_map(|talk| &mut talk.lines);
        if let Some((_, known)) = lines.find(|(id, _)| *id == message.id) {
            *known = line(message);
        }
    }

    /// Messages were deleted, whatever thread they were in.
    pub(crate) fn forget(&self, channel: &ChannelId, gone: &[MessageRef]) {
        let mut chats = lock(&self.0);
        for (place, talk) in &mut chats.talks {
            if place.channel == *channel {
                let is_gone = |id: &MessageId| {
                    let mut gone = gone.iter();
                    gone.any(|gone| gone.chat == place.chat && gone.id == *id)
                };
                talk.lines.retain(|(id, _)| !is_gone(id));
            }
        }
    }

    /// What was said before a message that is meant for the bot; forgotten with that.
    pub(crate) fn take(&self, message: &Message) -> Option<String> {
        let mut chats = lock(&self.0);
        let place = message.conversation();
        if !chats.talks.contains_key(&place) {
            return None;
        }
        let talk = chats.talk(place);
        if let Some((id, given)) = &talk.given
            && *id == message.id
        {
            return Some(given.clone());
        }
        let lines = std::mem::take(&mut talk.lines);
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        let all = (!lines.is_empty()).then(|| lines.join("\n"));
        talk.given = all.clone().map(|all| (message.id.clone(), all));
        all
    }
}

impl Chats {
    fn talk(&mut self, place: Conversation) -> &mut Talk {
        self.ticks += 1;
        if self.talks.len() >= CHATS && !self.talks.contains_key(&place) {
            let oldest = self.talks.iter().min_by_key(|(_, talk)| talk.tick);
            if let Some(oldest) = oldest.map(|(place, _)| place.clone()) {
                self.talks.remove(&oldest);
            }
        }
        let talk = self.talks.entry(place).or_default();
        talk.tick = self.ticks;
        talk
    }
}

impl fmt::Debug for Overheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overheard")
            .field("chats", &lock(&self.0).talks.len())
            .finish_non_exhaustive()
    }
}

/// `name: words`, on one line, so that nobody puts words into another's mouth.
fn line(message: &Message) -> String {
    let id = message.sender.account.sender.as_str();
    let name = message.sender.name.as_deref().unwrap_or(id);
    format!("{}: {}", flat(name, NAME), flat(&message.text, CHARS))
}

/// The first characters, with a space for whatever moves the pen.
fn flat(text: &str, most: usize) -> String {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let plain = text.trim().chars().take(most);
    plain.map(|c| if is_break(c) { ' ' } else { c }).collect()
}
