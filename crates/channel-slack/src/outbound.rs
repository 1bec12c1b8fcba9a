//! Sending: the parts of a message in order up to the first failure, or one of them.

use std::time::Duration;

use channel_core::{
    ChatId, Destination, Error, ErrorKind, IdempotencyKey, MessageId, MessageRef, OutboundMessage,
    Receipt, Result,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::address::{self, Address, is_ts, thread_ts};
use crate::client::{Method, Payload};
use crate::error::{Reason, invalid, unsupported};
use crate::inbound::{ReplyContext, ResponseRight};
use crate::plan::{Part, Post, plan};
use crate::shared::{Fault, Shared};
use crate::{PLATFORM, limits, upload};

/// How long the later parts of a message wait when Slack wants a pause: giving up in the
/// middle is worse than being late.
pub(crate) const MIDWAY_PATIENCE: Duration = Duration::from_secs(60);
/// How often a later part is tried again while nothing has left.
const MIDWAY_RETRIES: u32 = 3;
/// The type of the metadata that the channel hangs on what it sends.
pub(crate) const METADATA: &str = "channel_kit_message";

/// Where the parts of one message go.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) chat: &'a ChatId,
    pub(crate) at: Address<'a>,
    pub(crate) thread: Option<&'a str>,
    pub(crate) context: ReplyContext,
}

impl<'a> Envelope<'a> {
    pub(crate) fn new(shared: &Shared, to: &'a Destination, method: Method) -> Result<Self> {
        let target = to.target();
        let at = Address::parse(&target.chat, shared.is_many(), method.operation())?;
        let context: Option<ReplyContext> = match to {
            Destination::Reply(reply) => reply.context()?,
            _ => None,
        };
        let opened = to
            .quoted()
            .map(MessageId::as_str)
            .filter(|ts| shared.config.start_threads && !at.is_direct() && is_ts(ts));
        Ok(Self {
            chat: &target.chat,
            at,
            thread: thread_ts(target.thread.as_ref()).or(opened),
            context: context.unwrap_or_default(),
        })
    }

    /// The right to answer a slash command, which comes before posting.
    pub(crate) fn response(&self) -> Option<&ResponseRight> {
        self.context.response.as_ref().filter(|right| right.command)
    }
}

/// <https://docs.slack.dev/reference/methods/chat.postMessage/>
#[derive(Serialize)]
struct PostFields<'a> {
    channel: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mrkdwn: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    blocks: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    unfurl_links: bool,
    unfurl_media: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

#[derive(Serialize)]
struct Metadata {
    event_type: &'static str,
    event_payload: MetadataPayload,
}

#[derive(Serialize)]
struct MetadataPayload {
    key: String,
}

/// What a message is marked with, so that it is found again. The key itself may say what is
/// nobody's business, so a digest stands for it.
pub(crate) fn mark(key: &IdempotencyKey, part: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(key.as_str().as_bytes());
    // Part by part each part has a key of its own; sent as a whole, one is shared.
    if part > 0 {
        hash.update(format!("\0{part}").as_bytes());
    }
    hex::encode(hash.finalize())
}

#[derive(Debug, Deserialize)]
pub(crate) struct Posted {
    pub(crate) channel: String,
    pub(crate) ts: String,
}

/// Which way an answer would take.
pub(crate) fn explain(shared: &Shared, to: &Destination) -> String {
    let envelope = match Envelope::new(shared, to, Method::PostMessage) {
        Ok(envelope) => envelope,
        Err(error) => return format!("none, because {}", error.message()),
    };
    let Some(right) = envelope.response() else {
        let way = limits::POST.name;
        return format!("{way}, because it answers no slash command");
    };
    let now = shared.client.transport.clock.now();
    shared.ledger.explain(&right.url, right.since, now)
}

/// Sends a message: all its parts in order.
pub(crate) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let method = Method::PostMessage;
    let envelope = Envelope::new(shared, &message.to, method)?;
    let parts = plan(message)?;
    check_files(&parts)?;
    let count = parts.len();
    let mut receipt = Receipt::default();
    let mut bad_file = None;
    for (index, part) in parts.iter().enumerate() {
        let key = message.key.as_ref().map(|key| mark(key, index));
        match send_part(shared, &envelope, part, key, index > 0).await {
            Ok(at) => receipt.messages.push(at),
            Err(error) => {
                // A file that Slack does not take says nothing about the next one.
                let is_bad_file =
                    matches!(part, Part::File(_)) && error.kind() == ErrorKind::Invalid;
                if !is_bad_file {
                    return Err(error.broken_off(receipt, index, count));
                }
                bad_file.get_or_insert((index, error));
            }
        }
    }
    match bad_file {
        Some((index, error)) => Err(error.broken_off(receipt, index, count)),
        None => Ok(receipt),
    }
}

/// Sends one part of a message. Whoever sends part by part repeats on its own, so that a
/// later part is not more patient than the first.
pub(crate) async fn send_one(
    shared: &Shared,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    let method = Method::PostMessage;
    let envelope = Envelope::new(shared, &message.to, method)?;
    let parts = plan(message)?;
    check_files(&parts)?;
    let Some(planned) = parts.get(part) else {
        let message = format!("there is no part {part}, the message has {}", parts.len());
        return Err(invalid(message, method.operation()));
    };
    let key = message.key.as_ref().map(|key| mark(key, 0));
    let at = send_part(shared, &envelope, planned, key, false).await?;
    Ok(Receipt::new(vec![at]))
}

/// How many parts a message has.
pub(crate) fn count(shared: &Shared, message: &OutboundMessage) -> Result<usize> {
    Envelope::new(shared, &message.to, Method::PostMessage)?;
    let parts = plan(message)?;
    check_files(&parts)?;
    Ok(parts.len())
}

/// Refuses files that cannot be sent before anything else is.
fn check_files(parts: &[Part<'_>]) -> Result<()> {
    for part in parts {
        if let Part::File(file) = part {
            upload::check(file)?;
        }
    }
    Ok(())
}

async fn send_part(
    shared: &Shared,
    envelope: &Envelope<'_>,
    part: &Part<'_>,
    key: Option<String>,
    midway: bool,
) -> Result<MessageRef> {
    let patience = if midway {
        shared.patience().max(MIDWAY_PATIENCE)
    } else {
        shared.patience()
    };
    let mut retries = 0;
    loop {
        let sent = match part {
            Part::Post(post) => send_post(shared, envelope, post, key.clone(), patience).await,
            Part::File(file) => upload::send(shared, envelope, file, patience).await,
        };
        match sent {
            Err(error)
                if midway && error.kind() == ErrorKind::Unavailable && retries < MIDWAY_RETRIES =>
            {
                retries += 1;
                let wait = Duration::from_millis(250) * 2_u32.saturating_pow(retries);
                shared.client.transport.clock.sleep(wait).await;
            }
            other => return other,
        }
    }
}

/// Sends one message, by the right to answer where there is one.
pub(crate) async fn send_post(
    shared: &Shared,
    envelope: &Envelope<'_>,
    post: &Post,
    key: Option<String>,
    patience: Duration,
) -> Result<MessageRef> {
    Ok(post_in_turn(shared, envelope, post, key, Some(patience)).await?)
}

/// The same with what went wrong; without patience it is sent at once or not at all.
pub(crate) async fn post_in_turn(
    shared: &Shared,
    envelope: &Envelope<'_>,
    post: &Post,
    key: Option<String>,
    patience: Option<Duration>,
) -> Result<MessageRef, Fault> {
    if let Some(right) = envelope.response() {
        let now = shared.client.transport.clock.now();
        let way = shared.ledger.take(&right.url, right.since, now);
        if way == Some(limits::RESPONSE) {
            match respond(shared, envelope, right, post).await? {
                Some(at) => return Ok(at),
                None => shared.ledger.refused(&right.url, limits::RESPONSE.name),
            }
        }
    }
    match try_post(shared, envelope, post, key.clone(), patience).await {
        Err(fault)
            if fault.reason == Reason::Blocks
                && post.is_said_by_text
                && !post.blocks.is_empty() =>
        {
            tracing::warn!(channel = %shared.info.id, "blocks refused: sending text");
            let plain = Post {
                blocks: Vec::new(),
                ..post.clone()
            };
            try_post(shared, envelope, &plain, key, patience).await
        }
        other => other,
    }
}

async fn try_post(
    shared: &Shared,
    envelope: &Envelope<'_>,
    post: &Post,
    key: Option<String>,
    patience: Option<Duration>,
) -> Result<MessageRef, Fault> {
    let fields = PostFields {
        channel: envelope.at.channel,
        text: &post.text,
        // Beside blocks it has no say.
        mrkdwn: (!post.is_marked && post.blocks.is_empty()).then_some(false),
        blocks: &post.blocks,
        thread_ts: envelope.thread,
        unfurl_links: false,
        unfurl_media: false,
        metadata: key.map(|key| Metadata {
            event_type: METADATA,
            event_payload: MetadataPayload { key },
        }),
    };
    let method = Method::PostMessage;
    let payload = Payload::json(&fields);
    let posted: Posted = shared
        .call_chat(method, envelope.at, payload, patience)
        .await?;
    // The real chat, also of a person who was named.
    let chat = Address::chat(envelope.at.workspace, &posted.channel);
    Ok(MessageRef::new(chat, posted.ts.into()))
}

/// <https://docs.slack.dev/interactivity/handling-user-interaction/#message_responses>
#[derive(Serialize)]
struct ResponseFields<'a> {
    response_type: &'static str,
    replace_original: bool,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mrkdwn: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    blocks: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
}

/// Answers a slash command; `None` if its right is used up, whatever we have counted.
async fn respond(
    shared: &Shared,
    envelope: &Envelope<'_>,
    right: &ResponseRight,
    post: &Post,
) -> Result<Option<MessageRef>> {
    let method = Method::RespondToCommand;
    let fields = ResponseFields {
        response_type: if shared.config.public_commands {
            "in_channel"
        } else {
            "ephemeral"
        },
        replace_original: false,
        text: &post.text,
        mrkdwn: (!post.is_marked && post.blocks.is_empty()).then_some(false),
        blocks: post.literal_blocks(),
        thread_ts: envelope.thread,
    };
    if !post_response(shared, right, method, &fields).await? {
        return Ok(None);
    }
    // Slack does not tell what has become of it; no id names it twice.
    let mut bytes = [0; 8];
    shared.client.transport.random.fill(&mut bytes);
    let id = format!("response:{}", hex::encode(bytes));
    Ok(Some(MessageRef::new(envelope.chat.clone(), id.into())))
}

/// Posts to a `response_url`, if it is one of Slack's; says whether it still works.
async fn post_response(
    shared: &Shared,
    right: &ResponseRight,
    method: Method,
    fields: &ResponseFields<'_>,
) -> Result<bool> {
    if !address::is_trusted(&right.url, "slack.com", &shared.client.base) {
        return Err(invalid(
            "the response_url is not one of slack",
            method.operation(),
        ));
    }
    match shared
        .client
        .post_to(&right.url, Payload::json(fields))
        .await
    {
        Ok(_) => Ok(true),
        Err(failure) => {
            let error = failure.into_error(method);
            let code = error.code().unwrap_or_default();
            let is_over = matches!(code, "404" | "410" | "used_url" | "expired_url");
            if is_over { Ok(false) } else { Err(error) }
        }
    }
}

/// Answers a press: the press itself was acknowledged when it came in, so only a notice is
/// said, to the one who pressed.
pub(crate) async fn answer_action(
    shared: &Shared,
    action: &channel_core::Action,
    notice: Option<&str>,
) -> Result<()> {
    let Some(notice) = notice.filter(|notice| !crate::render::is_blank(notice)) else {
        return Ok(());
    };
    let method = Method::Respond;
    let context: Option<ReplyContext> = action.return_address.context()?;
    let Some(right) = context.and_then(|context| context.response) else {
        return Err(unsupported(
            "the press brought no way to answer it",
            method.operation(),
        ));
    };
    let now = shared.client.transport.clock.now();
    let gone = || {
        Error::new(ErrorKind::NotFound, "the press is too old to be answered")
            .on(PLATFORM, method.operation())
    };
    if shared.ledger.take(&right.url, right.since, now) != Some(limits::RESPONSE) {
        return Err(gone());
    }
    let fields = ResponseFields {
        response_type: "ephemeral",
        replace_original: false,
        text: &crate::render::escape(notice),
        mrkdwn: Some(false),
        blocks: &[],
        thread_ts: None,
    };
    if post_response(shared, &right, method, &fields).await? {
        return Ok(());
    }
    shared.ledger.refused(&right.url, limits::RESPONSE.name);
    Err(gone())
}
