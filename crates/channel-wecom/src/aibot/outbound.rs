//! What the bot answers: by its stream while the platform asks, then once by `response_url`
//! (<https://developer.work.weixin.qq.com/document/path/101138>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{
    Destination, Error, ErrorKind, MessageRef, OutboundMessage, Receipt, ReplyLedger, ReplyWay,
    Result, Secret, Upload, UploadSource, timeout,
};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::Shared;
use super::sessions::{Final, Offered};
use crate::api::{Call, Done, Payload, is_ours};
use crate::error::invalid;
use crate::inbound::ReplyContext;
use crate::limits::{AI_PICTURES, PICTURE, RESPONSE_URL_LASTS, STREAM_LASTS};
use crate::upload::is_picture;
use crate::{PLATFORM, card, render};

const SEND: Call = Call::once("send message");
const STREAM: &str = "stream";
const RESPONSE_URL: &str = "response_url";
/// How long the platform may take to fetch an answer before it goes the other way.
const FETCHED_WITHIN: Duration = Duration::from_secs(10);
/// How long a post to a `response_url` may take.
const RESPONSE_DEADLINE: Duration = Duration::from_secs(15);

/// The ways of an answer, in the order in which they are tried.
pub(super) fn ledger() -> ReplyLedger {
    ReplyLedger::new(vec![
        ReplyWay::within(STREAM, STREAM_LASTS, 1),
        ReplyWay::within(RESPONSE_URL, RESPONSE_URL_LASTS, 1),
    ])
}

/// Whether an address that came with a message is one that takes answers.
pub(super) fn is_response_url(url: &str, base: &str) -> bool {
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(_, path)| path);
    path.is_some_and(|path| path.starts_with("cgi-bin/aibot/response?"))
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && !url.contains(['#', '\\'])
        && is_ours(url, base)
}

/// Where an answer belongs.
struct Right {
    stream: String,
    url: Option<Secret>,
    opened: SystemTime,
}

fn right(shared: &Shared, to: &Destination) -> Result<Right> {
    let unasked = || {
        let message = "this bot only answers: the long connection can begin a conversation";
        Error::new(ErrorKind::Unsupported, message).on(PLATFORM, SEND.operation)
    };
    let Destination::Reply(reply) = to else {
        return Err(unasked());
    };
    let context: Option<ReplyContext> = reply.context()?;
    let context = context.ok_or_else(unasked)?;
    let at = Duration::from_secs(context.at);
    // It was stored meanwhile: checked again.
    let url = context.url.filter(|url| is_response_url(url, &shared.base));
    Ok(Right {
        stream: context.request.ok_or_else(unasked)?,
        url: url.map(Secret::new),
        opened: UNIX_EPOCH.checked_add(at).unwrap_or(UNIX_EPOCH),
    })
}

pub(super) fn explain(shared: &Shared, to: &Destination) -> String {
    match right(shared, to) {
        Ok(right) => {
            let now = shared.api.transport.clock.now();
            shared.ledger.explain(&right.stream, right.opened, now)
        }
        Err(error) => error.message().to_owned(),
    }
}

/// What a message becomes: at most one answer for each way that there is.
fn plan(shared: &Shared, message: &OutboundMessage) -> Result<Vec<Final>> {
    let native = card::of_message(message, &*shared.api.transport.random)?;
    let mut texts = match &native {
        Some(native) => {
            let mut texts = render::for_ai(&message.body);
            texts.extend(native.before.iter().flat_map(render::for_ai));
            texts
        }
        None => {
            let message = message.without_card();
            let mut texts = render::for_ai(&message.body);
            let buttons = render::buttons_as_words(&message.buttons);
            texts.extend(render::for_ai(&channel_core::Body::plain(buttons)));
            texts
        }
    };
    texts = join(texts);
    let pictures = pictures(&message.attachments)?;
    let card = native.map(|native| native.card);
    if texts.is_empty() && (card.is_some() || !pictures.is_empty()) {
        texts.push(String::new());
    }
    let mut answers: Vec<_> = texts
        .into_iter()
        .map(|text| Final {
            text,
            ..Final::default()
        })
        .collect();
    if let Some(first) = answers.first_mut() {
        first.card = card;
        first.pictures = pictures;
    }
    Ok(answers)
}

/// Puts texts together where they fit: each answer is precious.
fn join(texts: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        match out.last_mut() {
            Some(last) if last.len() + 2 + text.len() <= crate::limits::AI_TEXT.max => {
                last.push_str("\n\n");
                last.push_str(&text);
            }
            _ => out.push(text),
        }
    }
    out
}

fn pictures(uploads: &[Upload]) -> Result<Vec<Value>> {
    if uploads.len() > AI_PICTURES {
        return Err(invalid(
            format!("{} pictures, limit is {AI_PICTURES}", uploads.len()),
            "send file",
        ));
    }
    let picture = |upload: &Upload| match &upload.source {
        UploadSource::Bytes(bytes) if is_picture(bytes) && bytes.len() as u64 <= PICTURE => {
            let digest = hex::encode(Md5::digest(bytes));
            let image = json!({"base64": STANDARD.encode(bytes), "md5": digest});
            Ok(json!({"msgtype": "image", "image": image}))
        }
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "this bot sends pictures only: png or jpeg of at most 10 MiB",
        )
        .on(PLATFORM, "send file")),
    };
    uploads.iter().map(picture).collect()
}

/// Sends an answer.
pub(super) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let answers = plan(shared, message)?;
    if answers.is_empty() {
        return Ok(Receipt::default());
    }
    let right = right(shared, &message.to)?;
    let now = shared.api.transport.clock.now();
    let options = shared.ledger.options(&right.stream, right.opened, now);
    let open = options
        .iter()
        .filter(|(way, closed)| {
            closed.is_none() && (way.name != RESPONSE_URL || right.url.is_some())
        })
        .count();
    if answers.len() > open.max(1) {
        return Err(invalid(
            format!(
                "the answer takes {} messages, {open} are left",
                answers.len()
            ),
            SEND.operation,
        ));
    }
    let count = answers.len();
    let mut receipt = Receipt::default();
    for (index, answer) in answers.into_iter().enumerate() {
        match send_answer(shared, &right, answer).await {
            Ok(id) => {
                let chat = message.to.target().chat.clone();
                receipt.messages.push(MessageRef::new(chat, id.into()));
            }
            Err(error) => return Err(error.broken_off(receipt, index, count)),
        }
    }
    Ok(receipt)
}

/// Sends one answer by the first way that is open.
async fn send_answer(shared: &Shared, right: &Right, answer: Final) -> Result<String> {
    let clock = &shared.api.transport.clock;
    let task = answer
        .card
        .as_ref()
        .and_then(|card| card::task_of(card).map(str::to_owned));
    if let Some(card) = &answer.card {
        shared.presses.sent(card);
    }
    loop {
        let now = clock.now();
        let way = shared.ledger.take(&right.stream, right.opened, now);
        match (way.map(|way| way.name), &right.url) {
            (Some(STREAM), _) => {
                if by_stream(shared, &right.stream, answer.clone()).await {
                    return Ok(task.unwrap_or_else(|| right.stream.clone()));
                }
                shared.ledger.refused(&right.stream, STREAM);
            }
            (Some(RESPONSE_URL), Some(url)) => {
                let id = by_url(shared, right, url, &answer).await?;
                return Ok(task.unwrap_or(id));
            }
            (Some(other), _) => shared.ledger.refused(&right.stream, other),
            (None, _) => {
                let why = shared.ledger.explain(&right.stream, right.opened, now);
                let error = Error::new(ErrorKind::Forbidden, format!("no way is open: {why}"));
                return Err(error.on(PLATFORM, SEND.operation));
            }
        }
    }
}

/// Whether the platform has fetched the answer, or holds a request open that will carry it.
async fn by_stream(shared: &Shared, stream: &str, answer: Final) -> bool {
    let clock = &shared.api.transport.clock;
    match shared.sessions.finish(stream, answer, clock.elapsed()) {
        Offered::Held => true,
        Offered::Waiting => {
            let taken = shared.sessions.taken(stream);
            let _ = timeout(clock.as_ref(), FETCHED_WITHIN, taken).await;
            shared.sessions.withdraw(stream)
        }
        Offered::Gone => false,
    }
}

async fn by_url(shared: &Shared, right: &Right, url: &Secret, answer: &Final) -> Result<String> {
    let words = &answer.text;
    let fields = match &answer.card {
        Some(card) if words.is_empty() => {
            json!({"msgtype": "template_card", "template_card": card})
        }
        _ if !answer.pictures.is_empty() => {
            let message = "pictures can be sent while the answer is being fetched only";
            return Err(Error::new(ErrorKind::Unsupported, message).on(PLATFORM, "send file"));
        }
        _ => json!({"msgtype": "markdown", "markdown": {"content": words}}),
    };
    let id = card::task(&*shared.api.transport.random);
    let post = shared
        .api
        .post_named::<Done>(SEND, url, Payload::json(&fields), &id);
    let clock = &shared.api.transport.clock;
    let sent = match timeout(clock.as_ref(), RESPONSE_DEADLINE, post).await {
        Ok(sent) => sent.map_err(|fault| fault.error),
        Err(_) => {
            Err(Error::new(ErrorKind::Uncertain, "no answer in time").on(PLATFORM, SEND.operation))
        }
    };
    match sent {
        Ok(Done {}) => Ok(id),
        Err(error) => {
            // What never arrived may be tried again; what WeCom refused is gone.
            if error.kind().is_retryable() {
                shared.ledger.give_back(&right.stream, RESPONSE_URL);
            }
            Err(error)
        }
    }
}
