//! Emulated platforms on the page: one seam for all of them.

mod dingtalk;
mod discord;
mod feishu;
mod line;
mod slack;
mod wecom;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use channel_core::{Channel, Error, ErrorKind, Random, Result, Secret, Transport, async_trait};
use channel_emulator::{
    DingtalkServer, DiscordServer, FeishuServer, LineServer, SlackServer, WecomServer,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::wire::Exchange;

/// How many of the last messages the page shows.
const SHOWN: usize = 200;
/// How long one look at an emulator waits; it looks again at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// The person at the page.
const PERSON_NAME: &str = "Ada";

/// What the page says about a platform.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct About {
    /// The channel's id.
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether texts are in a dialect of Markdown.
    pub(crate) markdown: bool,
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Choice {
    label: String,
    /// What to press it by.
    value: String,
    url: Option<String>,
}

/// A message as the person sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Shown {
    id: String,
    /// What the channel calls it, where that is something else.
    alias: Option<String>,
    mine: bool,
    text: String,
    buttons: Vec<Choice>,
    /// Names of files.
    files: Vec<String>,
    reactions: Vec<String>,
    edited: bool,
    deleted: bool,
    /// More is to come.
    growing: bool,
}

/// A look at a platform, again after every change.
pub(crate) type Look<'a> = &'a mut (dyn FnMut() -> Option<Value> + Send);

/// The person's side of one emulated platform, with one chat.
#[async_trait]
pub(crate) trait Emulated: fmt::Debug + Send + Sync {
    fn about(&self) -> &'static About;
    /// The person, as the channel names senders.
    fn person(&self) -> String;
    /// Writes as the person.
    fn say(&self, text: &str) -> Result<()>;
    /// Presses a button as the person.
    fn press(&self, message: &str, value: &str) -> Result<()>;
    /// The chat, oldest message first.
    fn messages(&self) -> Vec<Shown>;
    /// Where the platform is served.
    fn server(&self) -> &dyn Served;
    /// Tells a platform that calls where to call.
    fn call(&self, base: &str) -> Result<()> {
        let _ = base;
        Ok(())
    }
    /// Waits until what is said reaches the bot.
    async fn reachable(&self) {}
    /// What the platform has heard over a connection after a frame with this number, and
    /// the number of the last one; nothing where the wire itself is recorded.
    fn frames(&self, after: u64) -> (u64, Vec<Exchange>) {
        let _ = after;
        (0, Vec::new())
    }
}

/// An emulator behind ports of its own.
#[async_trait]
pub(crate) trait Served: Send + Sync {
    /// Waits until the look gives something; `None` after a while.
    async fn wait(&self, look: Look<'_>) -> Option<Value>;
    fn stop(&self);
}

macro_rules! served {
    ($($server:ty),*) => {$(
        #[async_trait]
        impl Served for $server {
            async fn wait(&self, look: Look<'_>) -> Option<Value> {
                self.wait_for(PATIENCE, |_| look()).await.ok()
            }
            fn stop(&self) {
                <$server>::stop(self);
            }
        }
    )*};
}

served!(
    LineServer,
    SlackServer,
    DiscordServer,
    FeishuServer,
    WecomServer,
    DingtalkServer
);

/// A platform and the channel that talks to it.
pub(crate) type Pair = (Arc<dyn Emulated>, Arc<dyn Channel>);

/// What opening a platform takes.
pub(crate) struct Opening<'a> {
    pub(crate) random: &'a dyn Random,
    /// The transport, with a record of what it sends; the secret is blotted out.
    pub(crate) recorded: &'a (dyn Fn(&Secret) -> Transport + Sync),
}

impl Opening<'_> {
    /// A secret of this run.
    fn secret(&self, prefix: &str) -> Secret {
        Secret::new(format!("{prefix}{}", super::random_hex(self.random, 16)))
    }
}

/// Starts every platform.
pub(crate) async fn open(opening: &Opening<'_>) -> Result<Vec<Pair>> {
    Ok(vec![
        line::open(opening).await?,
        slack::open(opening).await?,
        discord::open(opening).await?,
        feishu::open(opening).await?,
        wecom::open(opening).await?,
        dingtalk::open(opening).await?,
    ])
}

/// An emulator that does not do as it is told.
fn failed(error: impl std::error::Error) -> Error {
    Error::config(error.to_string())
}

/// A platform's refusal of what a person did.
fn refused(error: impl std::error::Error) -> Error {
    Error::new(ErrorKind::Invalid, error.to_string())
}

/// What came of something that a person did.
fn done<T>(result: Result<T, impl std::error::Error>) -> Result<()> {
    result.map(drop).map_err(refused)
}

/// What one reader of a chat has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    is_late: bool,
    last: u64,
    messages: HashMap<String, (u64, Shown)>,
}

impl Seen {
    /// What is new since the last look; `None` if nothing is.
    pub(crate) fn news(&mut self, channel: &str, messages: Vec<Shown>) -> Option<Value> {
        let skipped = messages.len().saturating_sub(SHOWN);
        let mut news = Vec::new();
        let mut there = HashSet::new();
        for message in messages.into_iter().skip(skipped) {
            there.insert(message.id.clone());
            let known = self.messages.get(&message.id);
            if known.is_some_and(|(_, known)| *known == message) {
                continue;
            }
            let order = known.map(|(order, _)| *order).unwrap_or_else(|| {
                self.last += 1;
                self.last
            });
            news.push(json!({"order": order, "message": message}));
            self.messages.insert(message.id.clone(), (order, message));
        }
        self.messages.retain(|id, _| there.contains(id));
        // The first look is always an answer, so that a page knows an empty chat.
        let is_first = !std::mem::replace(&mut self.is_late, true);
        (is_first || !news.is_empty()).then(|| json!({"channel": channel, "messages": news}))
    }
}

/// Every object in a value, outer ones first.
fn objects(value: &Value) -> Vec<&Map<String, Value>> {
    let mut found = Vec::new();
    let mut next = vec![value];
    while let Some(value) = next.pop() {
        match value {
            Value::Object(object) => {
                found.push(object);
                next.extend(object.values().rev());
            }
            Value::Array(values) => next.extend(values.iter().rev()),
            _ => {}
        }
    }
    found
}

/// A string of an object, by a path such as `/text/content`.
fn words(value: &Value, path: &str) -> Option<String> {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .map(str::to_owned)
}

/// A string of an object.
fn field(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}
