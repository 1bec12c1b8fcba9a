//! Sending: the parts of a message in order up to the first failure, or one of them.

use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Action, Destination, Error, ErrorKind, IdempotencyKey, MessageId, MessageRef, OutboundMessage,
    Receipt, Result, UploadSource,
};
use http::Method;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::call::Fault;
use crate::client::{Call, Op, Payload};
use crate::error::{Reason, unsupported};
use crate::interaction::{ReplyContext, Right};
use crate::plan::{Post, plan};
use crate::shared::Shared;
use crate::wire::Resource;
use crate::{PLATFORM, address, deferral, limits, render};

/// How long the later parts of a message wait when Discord wants a pause: giving up in the
/// middle is worse than being late.
pub(crate) const MIDWAY_PATIENCE: Duration = Duration::from_secs(60);
/// How often a later part is tried again while nothing has left.
const MIDWAY_RETRIES: u32 = 3;
/// Only the one who asked sees it
/// (<https://docs.discord.com/developers/resources/message#message-object-message-flags>).
const EPHEMERAL: u64 = 1 << 6;
/// It makes no sound.
const SILENT: u64 = 1 << 12;
/// How often an answer is tried again that has overtaken the deferral of its interaction.
const OVERTAKEN: u32 = 8;
/// Only then can it have done so.
const OVERTAKES_FOR: Duration = Duration::from_secs(5);

/// Where the parts of one message go.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) room: &'a str,
    quote: Option<&'a str>,
    pub(crate) right: Option<Right>,
    silent: bool,
}

impl<'a> Envelope<'a> {
    pub(crate) fn new(to: &'a Destination, silent: bool) -> Result<Self> {
        let operation = Op::CreateMessage.operation();
        let context: Option<ReplyContext> = match to {
            Destination::Reply(reply) => reply.context()?,
            _ => None,
        };
        Ok(Self {
            room: address::room(to.target(), operation)?,
            quote: to
                .quoted()
                .map(MessageId::as_str)
                .filter(|id| address::is_id(id)),
            right: context.map(|context| context.right),
            silent,
        })
    }
}

/// <https://docs.discord.com/developers/resources/message#create-message>
#[derive(Serialize)]
struct Fields<'a> {
    content: &'a str,
    embeds: &'a [Value],
    components: &'a [Value],
    allowed_mentions: Mentions,
    #[serde(skip_serializing_if = "is_zero")]
    flags: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Described<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_reference: Option<Reference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_nonce: Option<bool>,
}

/// Nobody is called by what the bot writes.
#[derive(Serialize)]
struct Mentions {
    parse: [&'static str; 0],
    replied_user: bool,
}

#[derive(Serialize)]
struct Described<'a> {
    id: usize,
    filename: &'a str,
}

#[derive(Serialize)]
struct Reference<'a> {
    message_id: &'a str,
    fail_if_not_exists: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(flags: &u64) -> bool {
    *flags == 0
}

impl<'a> Fields<'a> {
    fn of(post: &'a Post<'_>) -> Self {
        let files = post.files.iter().enumerate();
        Self {
            content: &post.content,
            embeds: &post.embeds,
            components: &post.rows,
            allowed_mentions: Mentions {
                parse: [],
                replied_user: false,
            },
            flags: 0,
            attachments: files
                .map(|(id, file)| Described {
                    id,
                    filename: name(&file.name),
                })
                .collect(),
            message_reference: None,
            nonce: None,
            enforce_nonce: None,
        }
    }

    fn payload(&self, shared: &Shared, post: &Post<'_>) -> Payload {
        let files: Vec<(&str, &str, Bytes)> = post
            .files
            .iter()
            .filter_map(|file| match &file.source {
                UploadSource::Bytes(bytes) => {
                    let mime = file.mime.as_deref().unwrap_or("application/octet-stream");
                    Some((name(&file.name), mime, bytes.clone()))
                }
                _ => None,
            })
            .collect();
        if files.is_empty() {
            Payload::json(self)
        } else {
            Payload::form(self, &files, &*shared.client.transport.random)
        }
    }
}

fn name(name: &str) -> &str {
    if render::is_blank(name) { "file" } else { name }
}

/// What a changed message says.
pub(crate) fn edited(shared: &Shared, post: &Post<'_>) -> Payload {
    Fields::of(post).payload(shared, post)
}

/// What Discord knows a message again by. The key itself may say what is nobody's business,
/// so a digest stands for it.
pub(crate) fn nonce(key: &IdempotencyKey, part: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(key.as_str().as_bytes());
    // Part by part each part has a key of its own; sent as a whole, one is shared.
    if part > 0 {
        hash.update(format!("\0{part}").as_bytes());
    }
    let mut text = hex::encode(hash.finalize());
    text.truncate(limits::NONCE - 1);
    text
}

pub(crate) fn random_nonce(shared: &Shared) -> String {
    let mut bytes = [0; 12];
    shared.client.transport.random.fill(&mut bytes);
    hex::encode(bytes)
}

/// Sends a message: all its parts in order.
pub(crate) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let envelope = Envelope::new(&message.to, message.silent)?;
    let posts = plan(message)?;
    let count = posts.len();
    let mut receipt = Receipt::default();
    for (index, post) in posts.iter().enumerate() {
        let key = message.key.as_ref().map(|key| nonce(key, index));
        match send_part(shared, &envelope, post, key, index > 0).await {
            Ok(at) => receipt.messages.push(at),
            Err(error) => return Err(error.broken_off(receipt, index, count)),
        }
    }
    Ok(receipt)
}

/// Sends one part of a message. Whoever sends part by part repeats on its own, so that a
/// later part is not more patient than the first.
pub(crate) async fn send_one(
    shared: &Shared,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    let envelope = Envelope::new(&message.to, message.silent)?;
    let posts = plan(message)?;
    let Some(post) = posts.get(part) else {
        let message = format!("there is no part {part}, the message has {}", posts.len());
        return Err(crate::error::invalid(
            message,
            Op::CreateMessage.operation(),
        ));
    };
    let key = message.key.as_ref().map(|key| nonce(key, 0));
    let at = send_part(shared, &envelope, post, key, false).await?;
    Ok(Receipt::new(vec![at]))
}

/// How many parts a message has.
pub(crate) fn count(message: &OutboundMessage) -> Result<usize> {
    Envelope::new(&message.to, message.silent)?;
    Ok(plan(message)?.len())
}

async fn send_part(
    shared: &Shared,
    envelope: &Envelope<'_>,
    post: &Post<'_>,
    key: Option<String>,
    midway: bool,
) -> Result<MessageRef> {
    let patience = if midway {
        shared.patience().max(MIDWAY_PATIENCE)
    } else {
        shared.patience()
    };
    // The same for every attempt, so that they count as one.
    let nonce = key.unwrap_or_else(|| random_nonce(shared));
    let mut retries = 0;
    loop {
        match send_post(shared, envelope, post, &nonce, Some(patience)).await {
            Err(fault)
                if midway
                    && fault.error.kind() == ErrorKind::Unavailable
                    && retries < MIDWAY_RETRIES =>
            {
                retries += 1;
                let wait = Duration::from_millis(250) * 2_u32.saturating_pow(retries);
                shared.client.transport.clock.sleep(wait).await;
            }
            other => return Ok(other?),
        }
    }
}

/// Sends one message, by the right to answer where there is one; without patience it is
/// sent at once or not at all.
pub(crate) async fn send_post(
    shared: &Shared,
    envelope: &Envelope<'_>,
    post: &Post<'_>,
    nonce: &str,
    patience: Option<Duration>,
) -> Result<MessageRef, Fault> {
    let Some(right) = &envelope.right else {
        return create(shared, envelope, post, nonce, patience).await;
    };
    match deferral::ensure(shared, &right.id).await {
        Ok(()) => {}
        Err(error) if right.member => {
            tracing::warn!(channel = %shared.info.id, %error, "an interaction was not answered in time");
            return create(shared, envelope, post, nonce, patience).await;
        }
        Err(error) => return Err(error.into()),
    }
    if right.command
        && let Some(at) = announced(shared, right, post, patience).await?
    {
        return Ok(at);
    }
    // A message of its own carries a nonce, and a follow-up none; but what only one is to
    // see cannot be posted.
    let is_private = right.command && shared.config.ephemeral_commands;
    if right.member && !is_private {
        match create(shared, envelope, post, nonce, patience).await {
            Err(fault) if fault.reason == Reason::NoAccess => {}
            other => return other,
        }
    }
    follow_up(shared, right, post, is_private, patience).await
}

/// Fills the message that was announced; `None` if that has been done, or is too late.
async fn announced(
    shared: &Shared,
    right: &Right,
    post: &Post<'_>,
    patience: Option<Duration>,
) -> Result<Option<MessageRef>, Fault> {
    let now = shared.client.transport.clock.now();
    let ledger = &shared.commands;
    match ledger.take(&right.id, right.since, now) {
        Some(way) if way == limits::ORIGINAL => {}
        Some(way) => {
            ledger.give_back(&right.id, way.name);
            return Ok(None);
        }
        None => return Ok(None),
    }
    let path = format!("/webhooks/{}/{}/messages/@original", right.app, right.token);
    let call = Call::of_token(Op::EditOriginal, Method::PATCH, path, &right.id)
        .with(Fields::of(post).payload(shared, post));
    match by_token(shared, right, &call, patience).await {
        Ok(at) => Ok(Some(at)),
        Err(fault) if fault.reason == Reason::Late => {
            ledger.refused(&right.id, limits::ORIGINAL.name);
            Ok(None)
        }
        Err(fault) => {
            // Filling it twice with the same does no harm.
            ledger.give_back(&right.id, limits::ORIGINAL.name);
            Err(fault)
        }
    }
}

async fn follow_up(
    shared: &Shared,
    right: &Right,
    post: &Post<'_>,
    is_private: bool,
    patience: Option<Duration>,
) -> Result<MessageRef, Fault> {
    let path = format!("/webhooks/{}/{}", right.app, right.token);
    let mut fields = Fields::of(post);
    if is_private {
        fields.flags |= EPHEMERAL;
    }
    let call = Call::of_token(Op::FollowUp, Method::POST, path, &right.id)
        .with(fields.payload(shared, post));
    by_token(shared, right, &call, patience).await
}

/// Makes a call by an interaction's token. Discord may not have seen yet that the
/// interaction was deferred.
async fn by_token(
    shared: &Shared,
    right: &Right,
    call: &Call,
    patience: Option<Duration>,
) -> Result<MessageRef, Fault> {
    let mut attempts = 0;
    loop {
        match shared.call::<Resource>(call, patience).await {
            Ok(resource) => {
                let at = MessageRef::new(resource.channel_id.into(), resource.id.into());
                shared.tokens.remember(&at, right);
                return Ok(at);
            }
            Err(fault) if fault.reason == Reason::Late && attempts < OVERTAKEN => {
                let now = shared.client.transport.clock.now();
                let age = now.duration_since(right.since).unwrap_or_default();
                if age > OVERTAKES_FOR {
                    return Err(fault);
                }
                attempts += 1;
                let wait = Duration::from_millis(250);
                shared.client.transport.clock.sleep(wait).await;
            }
            Err(fault) => return Err(fault),
        }
    }
}

async fn create(
    shared: &Shared,
    envelope: &Envelope<'_>,
    post: &Post<'_>,
    nonce: &str,
    patience: Option<Duration>,
) -> Result<MessageRef, Fault> {
    let mut fields = Fields::of(post);
    fields.nonce = Some(nonce);
    fields.enforce_nonce = Some(true);
    fields.message_reference = envelope.quote.map(|message_id| Reference {
        message_id,
        fail_if_not_exists: false,
    });
    if envelope.silent {
        fields.flags |= SILENT;
    }
    let call = Call::of_channel(Op::CreateMessage, Method::POST, envelope.room, "/messages")
        .with(fields.payload(shared, post))
        .keyed();
    let mut opened = false;
    loop {
        match shared.call::<Resource>(&call, patience).await {
            Ok(made) => return Ok(MessageRef::new(made.channel_id.into(), made.id.into())),
            Err(fault) if fault.reason == Reason::Archived && !opened => {
                opened = true;
                let payload = Payload::json(&serde_json::json!({ "archived": false }));
                let open = Call::of_channel(Op::Unarchive, Method::PATCH, envelope.room, "");
                shared.call_raw(&open.with(payload), patience).await?;
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// Answers a press: Discord is told that it has arrived, and a notice is shown to the one
/// who pressed.
pub(crate) async fn answer_action(
    shared: &Shared,
    action: &Action,
    notice: Option<&str>,
) -> Result<()> {
    let operation = Op::Callback.operation();
    let context: Option<ReplyContext> = action.return_address.context()?;
    let Some(right) = context.map(|context| context.right) else {
        return Err(unsupported(
            "the press brought no way to answer it",
            operation,
        ));
    };
    deferral::ensure(shared, &right.id).await?;
    let Some(notice) = notice.filter(|notice| !render::is_blank(notice)) else {
        return Ok(());
    };
    let now = shared.client.transport.clock.now();
    let age = now.duration_since(right.since).unwrap_or_default();
    let gone = || {
        Error::new(ErrorKind::NotFound, "the press is too old to be answered")
            .on(PLATFORM, operation)
    };
    if age >= limits::TOKEN {
        return Err(gone());
    }
    let content = render::cut(&render::escape(notice), limits::TEXT.max);
    let post = Post {
        content,
        ..Post::default()
    };
    match follow_up(shared, &right, &post, true, Some(shared.patience())).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.reason == Reason::Late => Err(gone()),
        Err(fault) => Err(fault.error),
    }
}
