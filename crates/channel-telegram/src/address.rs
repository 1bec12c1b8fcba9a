//! What stands in a [`ChatId`] and a [`MessageId`] of this channel.
//!
//! Telegram has several id spaces. An ordinary chat keeps its number; a chat in another
//! space gets a prefix, so that the two never share a key:
//!
//! | chat id | is |
//! |---|---|
//! | `42`, `-1001234567890` | a chat by number |
//! | `@name` | a public group or channel by name, for sending only |
//! | `business:<connection>:42` | a chat of a business account that the bot serves |
//! | `guest:<query>` | a chat that the bot is not in and was summoned to once |
//! | `inline:<instance>` | wherever an inline message was posted, for editing only |

use channel_core::{ChatId, Error, MessageId, ThreadId};

use crate::error::invalid;

/// The one chat of a message, as the Bot API wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    Chat(ChatKey<'a>),
    Business { connection: &'a str, chat: i64 },
    Guest { query: &'a str },
    Inline,
}

/// A chat by number or by public name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChatKey<'a> {
    Id(i64),
    Name(&'a str),
}

impl<'a> Address<'a> {
    /// Reads a chat id.
    pub(crate) fn parse(chat: &'a ChatId, operation: &'static str) -> Result<Self, Error> {
        let text = chat.as_str();
        if let Some(id) = chat.as_i64() {
            return Ok(Self::Chat(ChatKey::Id(id)));
        }
        if let Some(name) = text.strip_prefix('@') {
            let is_name = !name.is_empty()
                && name.len() <= 32
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if is_name {
                return Ok(Self::Chat(ChatKey::Name(text)));
            }
        }
        let parsed = match text.split_once(':') {
            Some(("business", rest)) => rest.rsplit_once(':').and_then(|(connection, chat)| {
                Some(Self::Business {
                    connection,
                    chat: chat.parse().ok()?,
                })
            }),
            Some(("guest", query)) => Some(Self::Guest { query }),
            Some(("inline", _)) => Some(Self::Inline),
            _ => None,
        };
        parsed.ok_or_else(|| {
            invalid(
                "a chat id is a number, or the @name of a public group or channel",
                operation,
            )
        })
    }

    /// Whether one person sits at the other end.
    pub(crate) const fn is_private(self) -> bool {
        match self {
            Self::Chat(ChatKey::Id(id)) => id > 0,
            Self::Business { .. } => true,
            Self::Chat(ChatKey::Name(_)) | Self::Guest { .. } | Self::Inline => false,
        }
    }
}

/// The id of a chat that a business account talks in.
pub(crate) fn business_chat(connection: &str, chat: i64) -> ChatId {
    ChatId::from(format!("business:{connection}:{chat}"))
}

/// The id of a chat that the bot was summoned to.
pub(crate) fn guest_chat(query: &str) -> ChatId {
    ChatId::from(format!("guest:{query}"))
}

/// The id of the unknown place of an inline message.
pub(crate) fn inline_chat(instance: &str) -> ChatId {
    ChatId::from(format!("inline:{instance}"))
}

/// The id of a message that only one member sees and that has no number in the chat.
pub(crate) fn ephemeral_message(id: i64) -> MessageId {
    MessageId::from(format!("ephemeral:{id}"))
}

/// A thread id that Telegram can know: 1 to 10 digits, above 0.
pub(crate) fn thread_number(thread: &ThreadId) -> Option<i64> {
    let text = thread.as_str();
    let digits = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    thread.as_i64().filter(|id| digits && *id > 0)
}

/// The fields that say which chat a request is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) address: Address<'a>,
    pub(crate) thread: Option<i64>,
    /// Whether the chat has moved there: ids of messages begin anew, so that none of the
    /// old chat may be named.
    pub(crate) is_new: bool,
}

impl Place<'_> {
    /// Puts the fields behind those of a serialised JSON object.
    pub(crate) fn append_to(self, json: &mut Vec<u8>) {
        let closed = json.pop();
        debug_assert_eq!(closed, Some(b'}'), "an object ends in a brace");
        let mut separator = if json.len() > 1 { b',' } else { b' ' };
        let mut field = |json: &mut Vec<u8>, name: &str, value: &[u8]| {
            json.push(separator);
            json.push(b'"');
            json.extend_from_slice(name.as_bytes());
            json.extend_from_slice(b"\":");
            json.extend_from_slice(value);
            separator = b',';
        };
        let mut number = itoa::Buffer::new();
        match self.address {
            Address::Chat(ChatKey::Id(id)) => {
                field(json, "chat_id", number.format(id).as_bytes());
            }
            Address::Chat(ChatKey::Name(name)) => field(json, "chat_id", &quoted(name)),
            Address::Business { connection, chat } => {
                field(json, "business_connection_id", &quoted(connection));
                field(json, "chat_id", number.format(chat).as_bytes());
            }
            Address::Guest { query } => field(json, "guest_query_id", &quoted(query)),
            Address::Inline => {}
        }
        if let Some(thread) = self.thread {
            field(json, "message_thread_id", number.format(thread).as_bytes());
        }
        json.push(b'}');
    }

    /// The same as form fields.
    pub(crate) fn fields(self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        match self.address {
            Address::Chat(ChatKey::Id(id)) => fields.push(("chat_id", id.to_string())),
            Address::Chat(ChatKey::Name(name)) => fields.push(("chat_id", name.to_owned())),
            Address::Business { connection, chat } => {
                fields.push(("business_connection_id", connection.to_owned()));
                fields.push(("chat_id", chat.to_string()));
            }
            Address::Guest { query } => fields.push(("guest_query_id", query.to_owned())),
            Address::Inline => {}
        }
        if let Some(thread) = self.thread {
            fields.push(("message_thread_id", thread.to_string()));
        }
        fields
    }
}

fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(chat: &str, thread: Option<i64>, start: &str) -> String {
        let chat = ChatId::from(chat);
        let address = Address::parse(&chat, "test").unwrap();
        let mut json = start.as_bytes().to_vec();
        let is_new = false;
        Place {
            address,
            thread,
            is_new,
        }
        .append_to(&mut json);
        let text = String::from_utf8(json).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        text
    }

    #[test]
    fn places_are_appended_to_an_object() {
        assert_eq!(json("42", None, "{}"), r#"{ "chat_id":42}"#);
        assert_eq!(
            json("-1001234567890", Some(7), r#"{"text":"x"}"#),
            r#"{"text":"x","chat_id":-1001234567890,"message_thread_id":7}"#
        );
        assert_eq!(json("@kit_news", None, "{}"), r#"{ "chat_id":"@kit_news"}"#);
        assert_eq!(
            json("business:a:b\"c:42", None, "{}"),
            r#"{ "business_connection_id":"a:b\"c","chat_id":42}"#
        );
    }

    #[test]
    fn refuses_what_is_no_chat() {
        for chat in ["", "@", "@a b", "@a\"", "general", "business:x", "4 2"] {
            assert!(
                Address::parse(&ChatId::from(chat), "test").is_err(),
                "{chat}"
            );
        }
    }

    #[test]
    fn thread_ids_have_one_to_ten_digits() {
        let number = |text: &str| thread_number(&ThreadId::from(text));
        assert_eq!(number("7"), Some(7));
        assert_eq!(number("9999999999"), Some(9_999_999_999));
        for bad in ["", "0", "-1", "+1", "12345678901", "x", "1 "] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
