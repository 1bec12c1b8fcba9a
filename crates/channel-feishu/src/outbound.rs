//! Sending: the parts of a message in order up to the first failure, or one of them.

use std::time::Duration;

use channel_core::{
    ChatId, Destination, ErrorKind, IdempotencyKey, MessageId, MessageRef, OutboundMessage,
    Receipt, Result,
};
use http::Method;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::card::Scene;
use crate::client::{Call, Data, Payload};
use crate::error::{Fault, Reason, invalid};
use crate::inbound::Context;
use crate::memory::Form;
use crate::plan::{OPERATION, Part, plan};
use crate::render::Outgoing;
use crate::shared::Shared;
use crate::wire::is_id;
use crate::{history, upload};

const SEND: Call = Call::keyed(OPERATION);
/// How long the later parts of a message wait when Feishu wants a pause: giving up in the
/// middle is worse than being late.
pub(crate) const MIDWAY_PATIENCE: Duration = Duration::from_secs(60);

/// Where the parts of one message go.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    chat: &'a ChatId,
    /// The thread inside the chat.
    pub(crate) thread: Option<&'a str>,
    /// The message that is answered.
    quoted: Option<&'a str>,
    is_direct: bool,
}

impl<'a> Envelope<'a> {
    pub(crate) fn new(to: &'a Destination) -> Result<Self> {
        let target = to.target();
        let chat = target.chat.as_str();
        // An address of mail is one of the five kinds of receivers.
        let is_address = chat.len() <= 254
            && chat.contains('@')
            && chat.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        if !is_id(chat) && !is_address {
            return Err(invalid(
                "a chat of feishu is oc_, ou_ or on_ and letters and digits",
                OPERATION,
            ));
        }
        let thread = target.thread.as_ref().map(|thread| thread.as_str());
        let quoted = to.quoted().map(MessageId::as_str);
        if thread.is_some_and(|id| !is_id(id)) || quoted.is_some_and(|id| !is_id(id)) {
            return Err(invalid(
                "the thread or message is not one of feishu",
                OPERATION,
            ));
        }
        let context: Option<Context> = match to {
            Destination::Reply(reply) => reply.context()?,
            _ => None,
        };
        Ok(Self {
            chat: &target.chat,
            thread,
            quoted,
            is_direct: context.is_some_and(|context| context.is_direct),
        })
    }

    pub(crate) const fn scene(&self) -> Scene<'a> {
        Scene {
            is_direct: self.is_direct,
            thread: self.thread,
        }
    }
}

/// Which id of a receiver it is
/// (<https://open.feishu.cn/document/server-docs/im-v1/message/create>).
fn kind_of(receiver: &str) -> &'static str {
    match receiver.get(..3) {
        Some("oc_") => "chat_id",
        Some("ou_") => "open_id",
        Some("on_") => "union_id",
        _ if receiver.contains('@') => "email",
        _ => "user_id",
    }
}

/// The name under which Feishu does a thing once. The key itself may say what is nobody's
/// business, so a digest stands for it.
pub(crate) fn uuid(shared: &Shared, key: Option<&IdempotencyKey>, part: &str) -> String {
    let mut bytes = [0; 16];
    match key {
        None => shared.client.transport.random.fill(&mut bytes),
        Some(key) => {
            let mut hash = Sha256::new();
            hash.update(key.as_str().as_bytes());
            if !part.is_empty() {
                hash.update(format!("\0{part}").as_bytes());
            }
            let digest = hash.finalize();
            bytes.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
        }
    }
    hex::encode(bytes)
}

#[derive(Serialize)]
struct CreateFields<'a> {
    receive_id: &'a str,
    msg_type: &'a str,
    content: &'a str,
    uuid: &'a str,
}

#[derive(Serialize)]
struct ReplyFields<'a> {
    msg_type: &'a str,
    content: &'a str,
    reply_in_thread: bool,
    uuid: &'a str,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    message_id: MessageId,
    chat_id: Option<String>,
}

/// Sends a message: all its parts in order.
pub(crate) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let envelope = Envelope::new(&message.to)?;
    let parts = plan(message, envelope.scene())?;
    check_files(&parts)?;
    let count = parts.len();
    let mut receipt = Receipt::default();
    let mut bad_file = None;
    for (index, part) in parts.iter().enumerate() {
        let name = if index > 0 {
            index.to_string()
        } else {
            String::new()
        };
        let uuid = uuid(shared, message.key.as_ref(), &name);
        match send_part(shared, &envelope, part, index, &uuid).await {
            Ok(at) => receipt.messages.push(at),
            Err(error) => {
                // A file that Feishu does not take says nothing about the next one.
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

/// Sends one part of a message; its key belongs to this part alone.
pub(crate) async fn send_one(
    shared: &Shared,
    message: &OutboundMessage,
    part: usize,
) -> Result<Receipt> {
    let envelope = Envelope::new(&message.to)?;
    let parts = plan(message, envelope.scene())?;
    check_files(&parts)?;
    let Some(planned) = parts.get(part) else {
        let words = format!("there is no part {part}, the message has {}", parts.len());
        return Err(invalid(words, OPERATION));
    };
    let uuid = uuid(shared, message.key.as_ref(), "");
    let at = send_part(shared, &envelope, planned, part, &uuid).await?;
    Ok(Receipt::new(vec![at]))
}

/// How many parts a message has.
pub(crate) fn count(message: &OutboundMessage) -> Result<usize> {
    let envelope = Envelope::new(&message.to)?;
    let parts = plan(message, envelope.scene())?;
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
    index: usize,
    uuid: &str,
) -> Result<MessageRef> {
    let patience = match index {
        0 => shared.patience(),
        _ => shared.patience().max(MIDWAY_PATIENCE),
    };
    let outgoing = match part {
        Part::Post(outgoing) => outgoing.clone(),
        Part::File(file) => upload::upload(shared, file).await?,
    };
    let sent = post(
        shared,
        envelope,
        &outgoing,
        index == 0,
        uuid,
        Some(patience),
    )
    .await;
    Ok(sent?)
}

/// Sends one message. The first of an answer quotes what it answers; in a thread all do,
/// because that is how they get there.
pub(crate) async fn post(
    shared: &Shared,
    envelope: &Envelope<'_>,
    outgoing: &Outgoing,
    is_first: bool,
    uuid: &str,
    patience: Option<Duration>,
) -> Result<MessageRef, Fault> {
    let root = match (envelope.quoted, envelope.thread) {
        (Some(quoted), _) => Some(quoted.to_owned()),
        // The id of a thread is no address: a message in it is.
        (None, Some(thread)) => Some(history::message_of(shared, thread).await?),
        (None, None) => None,
    };
    let sent = match root.filter(|_| is_first || envelope.thread.is_some()) {
        Some(root) => {
            let in_thread = envelope.thread.is_some();
            match reply(shared, &root, outgoing, in_thread, uuid, patience).await {
                // Somebody took the question back. In a thread the answer would begin
                // another one.
                Err(fault) if fault.reason == Reason::Gone && !in_thread => {
                    let other = format!("{}-c", uuid.get(..32).unwrap_or(uuid));
                    create(shared, envelope.chat, outgoing, &other, patience).await
                }
                sent => sent,
            }
        }
        None => create(shared, envelope.chat, outgoing, uuid, patience).await,
    }?;
    let form = if outgoing.is_card() {
        Form::Card
    } else {
        Form::Words
    };
    shared.memory.sent(sent.message_id.as_str(), form);
    if let Some(quoted) = envelope.quoted {
        crate::typing::end(shared, quoted).await;
    }
    // The real chat, also of a person who was named.
    let chat = sent.chat_id.filter(|chat| is_id(chat));
    let chat = chat.map_or_else(|| envelope.chat.clone(), ChatId::from);
    Ok(MessageRef::new(chat, sent.message_id))
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message/create>
async fn create(
    shared: &Shared,
    chat: &ChatId,
    outgoing: &Outgoing,
    uuid: &str,
    patience: Option<Duration>,
) -> Result<Sent, Fault> {
    let receive_id = chat.as_str();
    let path = format!(
        "/open-apis/im/v1/messages?receive_id_type={}",
        kind_of(receive_id)
    );
    let payload = Payload::json(&CreateFields {
        receive_id,
        msg_type: outgoing.kind,
        content: &outgoing.content,
        uuid,
    });
    let Data { data } = shared
        .call_within(SEND, Method::POST, &path, payload, patience)
        .await?;
    Ok(data)
}

/// <https://open.feishu.cn/document/server-docs/im-v1/message/reply>
async fn reply(
    shared: &Shared,
    root: &str,
    outgoing: &Outgoing,
    reply_in_thread: bool,
    uuid: &str,
    patience: Option<Duration>,
) -> Result<Sent, Fault> {
    let path = format!("/open-apis/im/v1/messages/{root}/reply");
    let payload = Payload::json(&ReplyFields {
        msg_type: outgoing.kind,
        content: &outgoing.content,
        reply_in_thread,
        uuid,
    });
    let Data { data } = shared
        .call_within(SEND, Method::POST, &path, payload, patience)
        .await?;
    Ok(data)
}

/// Shares the card of a chat or of a person.
pub(crate) async fn share(shared: &Shared, to: &Destination, whom: &str) -> Result<MessageRef> {
    let envelope = Envelope::new(to)?;
    let kind = match kind_of(whom) {
        "chat_id" => "share_chat",
        "open_id" => "share_user",
        _ => {
            return Err(invalid(
                "what is shared is oc_ or ou_ and letters and digits",
                OPERATION,
            ));
        }
    };
    if !is_id(whom) {
        return Err(invalid(
            "what is shared is oc_ or ou_ and letters and digits",
            OPERATION,
        ));
    }
    let content = match kind {
        "share_chat" => serde_json::json!({ "chat_id": whom }),
        _ => serde_json::json!({ "user_id": whom }),
    };
    let outgoing = Outgoing {
        kind,
        content: content.to_string(),
    };
    let uuid = uuid(shared, None, "");
    let patience = Some(shared.patience());
    Ok(post(shared, &envelope, &outgoing, true, &uuid, patience).await?)
}
