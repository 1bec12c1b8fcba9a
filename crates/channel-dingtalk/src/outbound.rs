//! Sending: the parts of a message in order up to the first failure, or one of them.
//!
//! An answer goes by the session webhook of its question while that lasts, which needs no
//! token; then, and what is sent on our own account, by the robot's own calls. A group that has
//! a custom robot is written to by that.

use std::time::{Duration, UNIX_EPOCH};

use channel_core::{
    ChatId, Destination, Error, ErrorKind, IdempotencyKey, MessageRef, OutboundMessage, Receipt,
    Result, Secret,
};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::card::{self, Flow};
use crate::client::{Call, Done, Payload};
use crate::error::{Fault, Reason, invalid, unsupported};
use crate::ids::{To, session_message};
use crate::plan::{OPERATION, Part, Scene, plan};
use crate::render::{self, Dialect};
use crate::session::{Context, Session};
use crate::shared::{Place, Shared};
use crate::{PLATFORM, upload, verify};

const SEND: Call = Call::once(OPERATION);
/// How long the later parts of a message wait when DingTalk wants a pause: giving up in the
/// middle is worse than being late.
pub(crate) const MIDWAY_PATIENCE: Duration = Duration::from_secs(60);

/// Where the parts of one message go.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) chat: &'a ChatId,
    pub(crate) to: To<'a>,
    pub(crate) is_direct: bool,
    session: Option<Session>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn new(shared: &Shared, to: &'a Destination) -> Result<Self> {
        let chat = &to.target().chat;
        let Some(place) = To::of(chat) else {
            let words =
                "a chat of dingtalk is staff:<staff id>, the id of a conversation, or robot:<name>";
            return Err(invalid(words, OPERATION));
        };
        if to.target().thread.is_some() {
            // Only a hand-written target can hold one; its chat is still right.
            tracing::warn!("dingtalk has no threads: using the chat itself");
        }
        if let Destination::Reply(reply) = to
            && *reply.channel() != shared.info.id
        {
            // Its session is another app's.
            return Err(invalid(
                "the reply address is of another channel",
                OPERATION,
            ));
        }
        let context = Context::of(to)?;
        Ok(Self {
            chat,
            to: place,
            is_direct: context.is_direct || matches!(place, To::Staff(_)),
            session: context.session(shared),
        })
    }

    /// Whether the robot's own calls reach it.
    fn is_reachable(&self) -> bool {
        match self.to {
            To::Staff(_) => true,
            To::Conversation(_) => !self.is_direct,
            To::Robot(_) => false,
        }
    }

    pub(crate) fn scene(&self, shared: &Shared) -> Scene {
        let has_cards = shared.config.card_template_id.is_some() && self.is_reachable();
        Scene {
            has_cards,
            has_presses: has_cards && shared.config.has_presses(),
        }
    }

    /// What is meant for somebody whom the robot cannot write to on its own account.
    fn unreachable(&self) -> Error {
        let words = match self.to {
            To::Robot(_) => "a custom robot sends words alone",
            _ => {
                "the session is over, and dingtalk does not let the robot write to people outside of the organisation on its own account"
            }
        };
        unsupported(words, OPERATION)
    }
}

/// Which way an answer would take.
pub(crate) fn explain(shared: &Shared, to: &Destination) -> String {
    match Envelope::new(shared, to) {
        Err(error) => format!("none, because {}", error.message()),
        Ok(envelope) => match (&envelope.session, envelope.to) {
            (Some(session), _) => session.explain(shared),
            (None, To::Robot(_)) => "the custom robot, because the chat is one".to_owned(),
            (None, _) => "robot, because there is no session webhook".to_owned(),
        },
    }
}

/// A name for a thing that is to be done once. The key itself may say what is nobody's business,
/// so a digest stands for it.
pub(crate) fn name(shared: &Shared, key: Option<&IdempotencyKey>, part: &str) -> String {
    let mut bytes = [0; 16];
    match key {
        None => shared.client.transport.random.fill(&mut bytes),
        Some(key) => {
            let mut hash = Sha256::new();
            hash.update(shared.info.id.as_str().as_bytes());
            hash.update(format!("\0{key}\0{part}").as_bytes());
            let digest = hash.finalize();
            bytes.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
        }
    }
    hex::encode(bytes)
}

/// Sends a message: all its parts in order.
pub(crate) async fn send(shared: &Shared, message: &OutboundMessage) -> Result<Receipt> {
    let envelope = Envelope::new(shared, &message.to)?;
    let parts = plan(message, envelope.scene(shared))?;
    check_files(&envelope, &parts)?;
    let count = parts.len();
    let mut receipt = Receipt::default();
    let mut bad_file = None;
    for (index, part) in parts.iter().enumerate() {
        let name = name(shared, message.key.as_ref(), &index.to_string());
        match send_part(shared, &envelope, part, index, &name).await {
            Ok(at) => receipt.messages.push(at),
            Err(fault) => {
                let error = fault.error;
                // A file that DingTalk does not take says nothing about the next one.
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
    let envelope = Envelope::new(shared, &message.to)?;
    let parts = plan(message, envelope.scene(shared))?;
    check_files(&envelope, &parts)?;
    let Some(planned) = parts.get(part) else {
        let words = format!("there is no part {part}, the message has {}", parts.len());
        return Err(invalid(words, OPERATION));
    };
    let name = name(shared, message.key.as_ref(), "");
    let at = send_part(shared, &envelope, planned, part, &name).await?;
    Ok(Receipt::new(vec![at]))
}

/// How many parts a message has.
pub(crate) fn count(shared: &Shared, message: &OutboundMessage) -> Result<usize> {
    let envelope = Envelope::new(shared, &message.to)?;
    let parts = plan(message, envelope.scene(shared))?;
    check_files(&envelope, &parts)?;
    Ok(parts.len())
}

/// Refuses files that cannot be sent before anything else is.
fn check_files(envelope: &Envelope<'_>, parts: &[Part<'_>]) -> Result<()> {
    for part in parts {
        if let Part::File(file) = part {
            upload::check(file)?;
            // Sessions and custom robots take no files.
            if !envelope.is_reachable() {
                return Err(envelope.unreachable());
            }
        }
    }
    Ok(())
}

pub(crate) async fn send_part(
    shared: &Shared,
    envelope: &Envelope<'_>,
    part: &Part<'_>,
    index: usize,
    name: &str,
) -> Result<MessageRef, Fault> {
    let patience = match index {
        0 => shared.patience(),
        _ => shared.patience().max(MIDWAY_PATIENCE),
    };
    match part {
        Part::Words(words) => {
            post(shared, envelope, patience, &|| words.session(), &|| {
                words.robot()
            })
            .await
        }
        Part::Links(words, links) => {
            let session = || action_card(words, links);
            let robot = || sample_action_card(words, links);
            post(shared, envelope, patience, &session, &robot).await
        }
        Part::Card(shown) => {
            card::create(shared, envelope, shown, Flow::Done, name, Some(patience)).await
        }
        Part::File(file) => {
            let (key, param) = upload::upload(shared, file).await?;
            by_robot(shared, envelope, key, &param, patience).await
        }
    }
}

type Session_<'a> = &'a (dyn Fn() -> Value + Sync);
type Robot_<'a> = &'a (dyn Fn() -> (&'static str, Value) + Sync);

/// Sends words the first way that is open.
async fn post(
    shared: &Shared,
    envelope: &Envelope<'_>,
    patience: Duration,
    session: Session_<'_>,
    robot: Robot_<'_>,
) -> Result<MessageRef, Fault> {
    if let To::Robot(name) = envelope.to {
        return by_custom_robot(shared, envelope, name, &session(), patience).await;
    }
    if let Some(open) = &envelope.session
        && open.take(shared)
    {
        match by_session(shared, envelope, &open.url, &session(), patience).await {
            // Nothing has been sent: the other way is tried.
            Err(fault) if is_over(&fault) => open.refused(shared),
            sent => return sent,
        }
    }
    if !envelope.is_reachable() {
        return Err(envelope.unreachable().into());
    }
    let (key, param) = robot();
    by_robot(shared, envelope, key, &param, patience).await
}

/// Whether a session has ended before its time.
fn is_over(fault: &Fault) -> bool {
    fault.reason == Reason::Session
        || matches!(
            fault.error.kind(),
            ErrorKind::NotFound | ErrorKind::Unauthenticated | ErrorKind::Forbidden
        )
}

/// What was said without an id in return still has one here.
fn said(shared: &Shared, envelope: &Envelope<'_>, url: &Secret, body: &Value) -> MessageRef {
    let now = shared.client.transport.clock.now();
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(url.expose().as_bytes());
    hash.update(format!("\0{}\0{body}", now.as_millis()).as_bytes());
    let digest = hash.finalize();
    let digest = hex::encode(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
    MessageRef::new(envelope.chat.clone(), session_message(&digest))
}

async fn by_session(
    shared: &Shared,
    envelope: &Envelope<'_>,
    url: &Secret,
    body: &Value,
    patience: Duration,
) -> Result<MessageRef, Fault> {
    let payload = Payload::json(body);
    let Done {} = shared
        .call_within(SEND, Place::Session(url), payload, Some(patience))
        .await?;
    crate::typing::end(shared, envelope.chat).await;
    Ok(said(shared, envelope, url, body))
}

/// <https://open.dingtalk.com/document/robots/custom-robot-access>
async fn by_custom_robot(
    shared: &Shared,
    envelope: &Envelope<'_>,
    name: &str,
    body: &Value,
    patience: Duration,
) -> Result<MessageRef, Fault> {
    let Some(robot) = shared.config.group_robots.get(name) else {
        let words = "the settings have no group robot of this name";
        return Err(Error::new(ErrorKind::NotFound, words)
            .on(PLATFORM, OPERATION)
            .into());
    };
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut path = format!(
        "/robot/send?access_token={}",
        encode(robot.access_token.expose())
    );
    if let Some(secret) = &robot.secret {
        let now = shared.client.transport.clock.now();
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = now.as_millis().to_string();
        let sign = encode(&verify::sign(secret, &timestamp));
        path.push_str(&format!("&timestamp={timestamp}&sign={sign}"));
    }
    let path = Secret::new(path);
    let payload = Payload::json(body);
    let Done {} = shared
        .call_within(SEND, Place::Old(&path), payload, Some(patience))
        .await?;
    Ok(said(shared, envelope, &path, body))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    process_query_key: String,
    #[serde(default)]
    invalid_staff_id_list: Vec<Value>,
    #[serde(default)]
    flow_controlled_staff_id_list: Vec<Value>,
}

/// <https://open.dingtalk.com/document/orgapp/chatbots-send-one-on-one-chat-messages-in-batches>,
/// <https://open.dingtalk.com/document/orgapp/the-robot-sends-a-group-message>
pub(crate) async fn by_robot(
    shared: &Shared,
    envelope: &Envelope<'_>,
    msg_key: &str,
    param: &Value,
    patience: Duration,
) -> Result<MessageRef, Fault> {
    let robot = shared.config.robot_code();
    let param = param.to_string();
    let (path, fields) = match envelope.to {
        To::Staff(staff) => (
            "/v1.0/robot/oToMessages/batchSend",
            json!({"robotCode": robot, "userIds": [staff], "msgKey": msg_key, "msgParam": param}),
        ),
        To::Conversation(id) => (
            "/v1.0/robot/groupMessages/send",
            json!({"robotCode": robot, "openConversationId": id, "msgKey": msg_key, "msgParam": param}),
        ),
        To::Robot(_) => return Err(envelope.unreachable().into()),
    };
    let place = Place::Api(&Method::POST, path);
    let sent: Sent = shared
        .call_within(SEND, place, Payload::json(&fields), Some(patience))
        .await?;
    // Status 200, and not delivered all the same.
    if !sent.invalid_staff_id_list.is_empty() {
        let words = "dingtalk does not know the person, or the robot is not visible to them";
        return Err(Error::new(ErrorKind::NotFound, words)
            .on(PLATFORM, OPERATION)
            .into());
    }
    if !sent.flow_controlled_staff_id_list.is_empty() {
        let error = Error::new(ErrorKind::RateLimited, "the person gets too many messages")
            .with_retry_after(Duration::from_secs(2))
            .on(PLATFORM, OPERATION);
        return Err(Fault {
            reason: Reason::Flood,
            error,
        });
    }
    shared.memory.sent(&sent.process_query_key);
    crate::typing::end(shared, envelope.chat).await;
    let id = sent.process_query_key.into();
    Ok(MessageRef::new(envelope.chat.clone(), id))
}

fn action_card(words: &render::Words, links: &[(String, String)]) -> Value {
    let (text, mentioned) = words.markdown(Dialect::Session);
    let buttons: Vec<_> = links
        .iter()
        .map(|(label, url)| json!({"title": label, "actionURL": url}))
        .collect();
    let card =
        json!({"title": words.title(), "text": text, "btnOrientation": "0", "btns": buttons});
    let mut body = json!({"msgtype": "actionCard", "actionCard": card});
    render::mention(&mut body, &mentioned);
    body
}

/// Each number of buttons has a kind of its own.
fn sample_action_card(words: &render::Words, links: &[(String, String)]) -> (&'static str, Value) {
    let (text, _) = words.markdown(Dialect::Robot);
    let mut param = json!({"title": words.title(), "text": text});
    let key = match links.len() {
        1 => "sampleActionCard",
        2 => "sampleActionCard2",
        3 => "sampleActionCard3",
        4 => "sampleActionCard4",
        _ => "sampleActionCard5",
    };
    if let Some(fields) = param.as_object_mut() {
        for (number, (label, url)) in (1..).zip(links) {
            let (title, target) = match links.len() {
                1 => ("singleTitle".to_owned(), "singleURL".to_owned()),
                _ => (format!("actionTitle{number}"), format!("actionURL{number}")),
            };
            fields.insert(title, json!(label));
            fields.insert(target, json!(url));
        }
    }
    (key, param)
}
