//! Reading what was written
//! (<https://docs.slack.dev/reference/methods/conversations.history/>).

use std::time::{Duration, UNIX_EPOCH};

use channel_core::{
    ErrorKind, Message, MessageId, MessageRef, OutboundMessage, Proof, Raw, Result, Target,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::address::{self, Address, thread_ts};
use crate::client::{Method, Payload};
use crate::error::unsupported;
use crate::outbound::{Envelope, METADATA, mark};
use crate::shared::Shared;
use crate::wire::Event;
use crate::{PLATFORM, webhook};

/// How many messages one call brings.
const PAGE: usize = 200;
/// How many calls one reading makes.
const PAGES: usize = 10;
/// How far back a sent message is looked for: longer than any delivery is tried.
const REACH: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    messages: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
    response_metadata: Option<Cursor>,
}

#[derive(Deserialize)]
struct Cursor {
    #[serde(default)]
    next_cursor: String,
}

/// One reading of a chat or a thread.
struct Reading<'a> {
    shared: &'a Shared,
    at: Address<'a>,
    thread: Option<&'a str>,
    latest: Option<&'a str>,
    oldest: Option<String>,
    metadata: bool,
    size: usize,
    cursor: String,
}

impl<'a> Reading<'a> {
    fn new(shared: &'a Shared, at: Address<'a>, thread: Option<&'a str>) -> Self {
        Self {
            shared,
            at,
            thread,
            latest: None,
            oldest: None,
            metadata: false,
            size: PAGE,
            cursor: String::new(),
        }
    }

    /// The next page, and whether there is another. A chat comes newest first, a thread
    /// oldest first.
    async fn next(&mut self) -> Result<(Vec<Box<RawValue>>, bool)> {
        let method = match self.thread {
            Some(_) => Method::Replies,
            None => Method::History,
        };
        let size = self.size.to_string();
        let mut fields = vec![("channel", self.at.channel), ("limit", size.as_str())];
        fields.extend(self.thread.map(|ts| ("ts", ts)));
        fields.extend(self.latest.map(|latest| ("latest", latest)));
        fields.extend(self.oldest.as_deref().map(|oldest| ("oldest", oldest)));
        if self.metadata {
            fields.push(("include_all_metadata", "true"));
        }
        if !self.cursor.is_empty() {
            fields.push(("cursor", &self.cursor));
        }
        let payload = Payload::form(&fields);
        let patience = Some(self.shared.patience());
        let page: Page = self
            .shared
            .call_chat(method, self.at, payload, patience)
            .await?;
        let next = page
            .response_metadata
            .map(|it| it.next_cursor)
            .unwrap_or_default();
        let has_more = page.has_more && !next.is_empty() && next != self.cursor;
        self.cursor = next;
        Ok((page.messages, has_more))
    }
}

/// The last messages of a chat or thread, newest first.
pub(crate) async fn history(
    shared: &Shared,
    of: &Target,
    before: Option<&MessageId>,
    limit: usize,
) -> Result<Vec<Message>> {
    let operation = Method::History.operation();
    let at = Address::parse(&of.chat, shared.is_many(), operation)?;
    if limit == 0 {
        return Ok(Vec::new());
    }
    let thread = thread_ts(of.thread.as_ref());
    let mut reading = Reading::new(shared, at, thread);
    reading.latest = before.map(|id| address::ts(id, operation)).transpose()?;
    if thread.is_none() {
        reading.size = limit.min(PAGE);
    }
    let mut messages = Vec::new();
    for _ in 0..PAGES {
        let (page, has_more) = reading.next().await?;
        for raw in page {
            messages.extend(message(shared, at, &raw));
        }
        // Of a thread the end is wanted, which comes last.
        let is_enough = thread.is_none() && messages.len() >= limit;
        if is_enough || !has_more {
            break;
        }
    }
    // The bound itself does not belong to what is before it.
    if let Some(before) = before {
        messages.retain(|message| message.id.as_str() < before.as_str());
    }
    if thread.is_some() {
        messages.reverse();
    }
    messages.truncate(limit);
    Ok(messages)
}

fn message(shared: &Shared, at: Address<'_>, raw: &RawValue) -> Option<Message> {
    let wire: Event<'_> = serde_json::from_str(raw.get()).ok()?;
    let raw = Raw::new(raw.get().to_owned().into());
    webhook::reader(shared, Proof::Asserted, at.workspace, |reader| {
        let team = reader.me.and_then(|me| me.team_id.as_deref());
        let team = at.workspace.or(team).unwrap_or_default();
        reader.posted(team, at.channel, &wire, &raw)
    })
}

/// Looks for a message that was sent under a key.
pub(crate) async fn find(shared: &Shared, sent: &OutboundMessage) -> Result<Option<MessageRef>> {
    let method = Method::History;
    let Some(key) = &sent.key else {
        return Ok(None);
    };
    let envelope = Envelope::new(shared, &sent.to, method)?;
    let is_unmarked = !sent.attachments.is_empty() || envelope.response().is_some();
    let wanted = mark(key, 0);
    let now = shared.client.transport.clock.now();
    let oldest = now.checked_sub(REACH).unwrap_or(UNIX_EPOCH);
    let oldest = oldest.duration_since(UNIX_EPOCH).unwrap_or_default();

    let mut reading = Reading::new(shared, envelope.at, envelope.thread);
    reading.metadata = true;
    reading.oldest = Some(format!("{}.000000", oldest.as_secs()));
    let mut is_whole = false;
    for _ in 0..PAGES {
        let (page, has_more) = reading.next().await?;
        for raw in page {
            let wire: Option<Event<'_>> = serde_json::from_str(raw.get()).ok();
            if let Some(ts) = wire.as_ref().and_then(|wire| ts_if_marked(wire, &wanted)) {
                let at = MessageRef::new(envelope.chat.clone(), ts.into());
                return Ok(Some(at));
            }
        }
        if !has_more {
            is_whole = true;
            break;
        }
    }
    // Saying "not there" would make somebody send it again.
    if is_unmarked {
        let message = "files and answers to slash commands carry no mark to be found by";
        return Err(unsupported(message, method.operation()));
    }
    if !is_whole {
        let message = "too much was written since to look through all of it";
        return Err(channel_core::Error::new(ErrorKind::Unsupported, message)
            .on(PLATFORM, method.operation()));
    }
    Ok(None)
}

fn ts_if_marked<'a>(wire: &'a Event<'_>, wanted: &str) -> Option<&'a str> {
    let metadata = wire.metadata.as_ref()?;
    let is_ours = metadata.event_type.as_deref() == Some(METADATA);
    let key = metadata.event_payload.as_ref()?.key.as_deref()?;
    wire.ts.as_deref().filter(|_| is_ours && key == wanted)
}
