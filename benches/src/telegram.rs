//! Telegram: a batch of updates to events, and an answer to a request.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use channel_core::{Channel as _, Event, Events as _, Message, Received, Result};
use channel_telegram::Telegram;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};

use crate::canned::Canned;

/// How many updates one answer brings at most
/// (<https://core.telegram.org/bots/api#getupdates>).
pub const BATCH: usize = 100;

/// What Telegram answers to `sendMessage`.
pub const SENT: &[u8] = br#"{"ok":true,"result":{"message_id":21,"from":{"id":42,"is_bot":true,"first_name":"Bench","username":"bench_bot"},"chat":{"id":1000001,"first_name":"Ann","last_name":"Example","username":"ann_1000001","type":"private"},"date":1763640001,"text":"echo-00000001 could you please repeat this line back to me as it is?"}}"#;

/// A full answer of text messages in private chats.
#[must_use]
pub fn private_batch() -> Bytes {
    batch(|update, n| {
        let chat = 1_000_000 + n % 50;
        write!(
            update,
            r#"{{"update_id":{},"message":{{"message_id":{},"from":{{"id":{chat},"is_bot":false,"first_name":"Ann","last_name":"Example","username":"ann_{chat}","language_code":"en"}},"chat":{{"id":{chat},"first_name":"Ann","last_name":"Example","username":"ann_{chat}","type":"private"}},"date":1763640000,"text":"echo-{n:08} could you please repeat this line back to me as it is?"}}}}"#,
            500_000_000 + n,
            10 + n
        )
    })
}

/// A full answer as a lively group gives it: topics, replies, mentions, formatting,
/// photos and kinds of update that are rare.
#[must_use]
pub fn group_batch() -> Bytes {
    batch(|update, n| {
        let (id, message, from) = (500_000_000 + n, 10 + n, 7_000_000 + n % 13);
        let head = format!(
            r#""message_id":{message},"message_thread_id":7,"is_topic_message":true,"from":{{"id":{from},"is_bot":false,"first_name":"Zoë","username":"zoe_{from}","language_code":"de"}},"chat":{{"id":-1001234567890,"title":"Build \"night\" room","is_forum":true,"type":"supergroup"}},"date":1763640000"#
        );
        match n % 4 {
            0 => write!(
                update,
                r#"{{"update_id":{id},"message":{{{head},"text":"@bench_bot what does \u201cdone\u201d mean here? see https://example.invalid/a/b","entities":[{{"offset":0,"length":10,"type":"mention"}},{{"offset":11,"length":4,"type":"bold"}},{{"offset":44,"length":27,"type":"url"}}]}}}}"#
            ),
            1 => write!(
                update,
                r#"{{"update_id":{id},"message":{{{head},"reply_to_message":{{"message_id":9,"from":{{"id":42,"is_bot":true,"first_name":"Bench","username":"bench_bot"}},"chat":{{"id":-1001234567890,"title":"Build","type":"supergroup"}},"date":1763639990,"text":"shall I?"}},"text":"ja, bitte 🙂\nund dann weiter"}}}}"#
            ),
            2 => write!(
                update,
                r#"{{"update_id":{id},"message":{{{head},"photo":[{{"file_id":"AgACAgIAAxkBAAIB","file_unique_id":"AQADa","file_size":1024,"width":90,"height":67}},{{"file_id":"AgACAgIAAxkBAAIC","file_unique_id":"AQADb","file_size":90321,"width":1280,"height":960}}],"caption":"the board, after lunch","has_media_spoiler":false}}}}"#
            ),
            _ => write!(
                update,
                r#"{{"update_id":{id},"callback_query":{{"id":"4382bfdwdsb323b2d9","from":{{"id":{from},"is_bot":false,"first_name":"Zoë"}},"message":{{{head},"text":"choose"}},"chat_instance":"-381273","data":"yes:1"}}}}"#
            ),
        }
    })
}

fn batch(mut update: impl FnMut(&mut String, usize) -> std::fmt::Result) -> Bytes {
    let mut body = String::from(r#"{"ok":true,"result":["#);
    for n in 0..BATCH {
        if n > 0 {
            body.push(',');
        }
        // Writing to a string does not fail.
        let _ = update(&mut body, n);
    }
    body.push_str("]}");
    body.into()
}

/// A channel on a canned transport.
///
/// # Errors
///
/// If the settings are refused.
pub fn channel(canned: &Arc<Canned>) -> Result<Telegram> {
    Telegram::builder()
        .token("42:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        .api_base("http://127.0.0.1:3800")
        .username("bench_bot")
        .transport(canned.transport())
        .build()
}

/// A stream whose next poll brings a batch.
#[must_use]
pub fn stream(body: Bytes) -> BoxStream<'static, Result<Received>> {
    let empty = Bytes::from_static(br#"{"ok":true,"result":[]}"#);
    let canned = Canned::new(vec![body, empty], Bytes::from_static(SENT));
    let mut stream = channel(&canned).expect("the settings are right").events();
    // The first poll proves the connection.
    let _ready = stream.next().now_or_never();
    stream
}

/// Takes a whole batch, looks at each event and acknowledges it; says how many there were.
pub fn receive(
    mut stream: BoxStream<'static, Result<Received>>,
    mut handle: impl FnMut(Event),
) -> usize {
    let mut count = 0;
    while count < BATCH {
        let Some(Some(Ok(mut received))) = stream.next().now_or_never() else {
            break;
        };
        if let Some(event) = received.take() {
            handle(event);
        }
        let _done = received.ack().now_or_never();
        count += 1;
    }
    count
}

/// The messages of a batch.
#[must_use]
pub fn messages(body: Bytes) -> Vec<Message> {
    let mut messages = Vec::new();
    receive(stream(body), |event| {
        messages.extend(event.message().cloned())
    });
    messages
}

/// Answers each message with its own words; says how many went out.
pub fn reply(telegram: &Telegram, messages: &[Message]) -> usize {
    let send = |message: &Message| {
        let answer = message.reply(message.text.as_str());
        let sent = telegram.send(&answer).now_or_never();
        matches!(sent, Some(Ok(_)))
    };
    messages.iter().filter(|message| send(message)).count()
}

/// The floor of [`reply`]: the request written and the answer read, by serde.
#[must_use]
pub fn reply_floor(messages: &[Message]) -> usize {
    let send = |message: &Message| {
        let chat = message.chat.id.as_i64().unwrap_or_default();
        let id = message.id.as_i64().unwrap_or_default();
        let request = floor::encode(chat, id, &message.text);
        !std::hint::black_box(request).is_empty() && floor::sent(SENT).is_some()
    };
    messages.iter().filter(|message| send(message)).count()
}

/// The floor: serde into types of the same shape, and nothing else.
#[expect(dead_code, reason = "reading the fields is what is measured")]
pub mod floor {
    use serde::de::IgnoredAny;
    use serde::{Deserialize, Serialize};

    /// What `getUpdates` answers.
    #[derive(Debug, Deserialize)]
    pub struct Updates {
        ok: bool,
        result: Vec<Update>,
    }

    #[derive(Debug, Deserialize)]
    struct Update {
        update_id: i64,
        message: Option<Box<Message>>,
        callback_query: Option<Box<CallbackQuery>>,
    }

    #[derive(Debug, Deserialize)]
    struct User {
        id: i64,
        #[serde(default)]
        is_bot: bool,
        #[serde(default)]
        first_name: String,
        last_name: Option<String>,
        username: Option<String>,
        language_code: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum ChatType {
        Private,
        Group,
        Supergroup,
        Channel,
    }

    #[derive(Debug, Deserialize)]
    struct Chat {
        id: i64,
        r#type: ChatType,
        title: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    struct Message {
        message_id: i64,
        #[serde(default)]
        date: i64,
        chat: Chat,
        from: Option<User>,
        sender_chat: Option<Chat>,
        via_bot: Option<UserId>,
        sender_business_bot: Option<UserId>,
        business_connection_id: Option<String>,
        guest_query_id: Option<String>,
        ephemeral_message_id: Option<i64>,
        message_thread_id: Option<i64>,
        #[serde(default)]
        is_topic_message: bool,
        media_group_id: Option<String>,
        reply_to_message: Option<Box<Replied>>,
        text: Option<String>,
        #[serde(default)]
        entities: Vec<Entity>,
        caption: Option<String>,
        #[serde(default)]
        caption_entities: Vec<Entity>,
        #[serde(default)]
        photo: Vec<File>,
        document: Option<Box<File>>,
        audio: Option<Box<File>>,
        video: Option<Box<File>>,
        animation: Option<Box<File>>,
        voice: Option<Box<File>>,
        video_note: Option<Box<File>>,
        sticker: Option<Box<File>>,
        #[serde(default)]
        new_chat_members: Vec<User>,
        left_chat_member: Option<Box<User>>,
        migrate_to_chat_id: Option<i64>,
        migrate_from_chat_id: Option<i64>,
        pinned_message: Option<IgnoredAny>,
        new_chat_title: Option<IgnoredAny>,
        forum_topic_created: Option<IgnoredAny>,
    }

    #[derive(Debug, Deserialize)]
    struct UserId {
        id: i64,
    }

    #[derive(Debug, Deserialize)]
    struct Replied {
        message_id: i64,
        from: Option<UserId>,
    }

    #[derive(Debug, Deserialize)]
    struct File {
        file_id: String,
        file_name: Option<String>,
        mime_type: Option<String>,
        file_size: Option<u64>,
        #[serde(default)]
        width: i64,
        #[serde(default)]
        height: i64,
    }

    #[derive(Debug, Deserialize)]
    struct Entity {
        r#type: EntityType,
        offset: u64,
        length: u64,
        url: Option<String>,
        user: Option<User>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum EntityType {
        Mention,
        BotCommand,
        Bold,
        Url,
        #[serde(other)]
        Other,
    }

    #[derive(Debug, Deserialize)]
    struct CallbackQuery {
        id: String,
        from: User,
        message: Option<CallbackMessage>,
        #[serde(default)]
        data: String,
    }

    #[derive(Debug, Deserialize)]
    struct CallbackMessage {
        chat: Chat,
        message_id: i64,
        message_thread_id: Option<i64>,
        #[serde(default)]
        is_topic_message: bool,
    }

    /// Decodes a batch.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Updates> {
        serde_json::from_slice(body).ok()
    }

    /// The text messages of a batch: chat, message and words.
    pub fn texts(updates: &Updates) -> impl Iterator<Item = (i64, i64, &str)> {
        updates.result.iter().filter_map(|update| {
            let message = update.message.as_deref()?;
            let text = message.text.as_deref()?;
            Some((message.chat.id, message.message_id, text))
        })
    }

    /// How many updates there are.
    #[must_use]
    pub fn count(updates: &Updates) -> usize {
        if updates.ok { updates.result.len() } else { 0 }
    }

    /// Writes one answer.
    #[must_use]
    pub fn encode(chat_id: i64, message_id: i64, text: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Send<'a> {
            text: &'a str,
            reply_parameters: ReplyParameters,
            chat_id: i64,
        }
        #[derive(Serialize)]
        struct ReplyParameters {
            message_id: i64,
            allow_sending_without_reply: bool,
        }
        let reply_parameters = ReplyParameters {
            message_id,
            allow_sending_without_reply: true,
        };
        serde_json::to_vec(&Send {
            text,
            reply_parameters,
            chat_id,
        })
        .unwrap_or_default()
    }

    /// What `sendMessage` answers.
    #[derive(Debug, Deserialize)]
    pub struct Sent {
        ok: bool,
        result: SentMessage,
    }

    #[derive(Debug, Deserialize)]
    struct SentMessage {
        message_id: i64,
        chat: SentChat,
    }

    #[derive(Debug, Deserialize)]
    struct SentChat {
        id: i64,
    }

    /// Decodes the answer to a send: the message and its chat.
    #[must_use]
    pub fn sent(body: &[u8]) -> Option<(i64, i64)> {
        let sent: Sent = serde_json::from_slice(body).ok()?;
        sent.ok
            .then_some((sent.result.message_id, sent.result.chat.id))
    }
}
