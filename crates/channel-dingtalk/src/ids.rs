//! Ids of DingTalk, kept apart: one kind is never taken for another.
//!
//! | what | how it is written here |
//! |---|---|
//! | the staff id of a person in one organisation (`userId`) | as it is |
//! | the id that a robot sees of anybody (`$:LWCP_v1:$...`) | as it is: no staff id holds a colon |
//! | a union id | `union:` before it |
//! | a direct chat | `staff:` and the staff id; of a person without one the conversation id |
//! | a group | its conversation id |
//! | a group that has a custom robot | `robot:` and the robot's name in the settings |
//! | a card | `card:` and its `outTrackId` |
//! | what was said by a session webhook, which hands out no id | `session:` and a digest |

use channel_core::{ChatId, MessageId, SenderId};

use crate::limits;

const STAFF: &str = "staff:";
const ROBOT: &str = "robot:";
const UNION: &str = "union:";
const CARD: &str = "card:";
const SESSION: &str = "session:";
/// How the ids begin that a robot sees of anybody.
const OPAQUE: &str = "$:";

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To<'a> {
    /// A person of the organisation.
    Staff(&'a str),
    /// A conversation: a group, or a direct one with somebody who has no staff id.
    Conversation(&'a str),
    /// A group, by its custom robot.
    Robot(&'a str),
}

impl<'a> To<'a> {
    pub(crate) fn of(chat: &'a ChatId) -> Option<Self> {
        let text = chat.as_str();
        if let Some(staff) = text.strip_prefix(STAFF) {
            return is_staff(staff).then_some(Self::Staff(staff));
        }
        if let Some(robot) = text.strip_prefix(ROBOT) {
            return is_name(robot).then_some(Self::Robot(robot));
        }
        is_id(text).then_some(Self::Conversation(text))
    }
}

/// A message of the bot, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent<'a> {
    /// By the key that the robot's own calls hand out, or a message of anybody.
    Key(&'a str),
    Card(&'a str),
    Session,
}

impl<'a> Sent<'a> {
    pub(crate) fn of(id: &'a MessageId) -> Option<Self> {
        let text = id.as_str();
        if let Some(card) = text.strip_prefix(CARD) {
            return is_id(card).then_some(Self::Card(card));
        }
        if text.starts_with(SESSION) {
            return Some(Self::Session);
        }
        is_id(text).then_some(Self::Key(text))
    }
}

/// Whether a text is an id of DingTalk's: of a conversation, a message, a robot. They are
/// Base64 and the like.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=limits::ID).contains(&text.len())
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-' | b'.')
        })
}

/// Whether a text is a staff id: chosen by the organisation, up to 64 characters.
pub(crate) fn is_staff(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| {
            b.is_ascii_graphic()
                && !matches!(
                    b,
                    b'$' | b':' | b'/' | b'\\' | b'"' | b'<' | b'>' | b',' | b'?' | b'#'
                )
        })
}

/// Whether a text is the id that a robot sees of somebody.
pub(crate) fn is_opaque(text: &str) -> bool {
    text.len() <= limits::ID
        && text.len() > OPAQUE.len()
        && text.starts_with(OPAQUE)
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

/// Whether a text is a name of the settings.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

pub(crate) fn staff_chat(staff: &str) -> ChatId {
    ChatId::from(format!("{STAFF}{staff}"))
}

pub(crate) fn union_sender(union: &str) -> SenderId {
    SenderId::from(format!("{UNION}{union}"))
}

pub(crate) fn card_message(out_track_id: &str) -> MessageId {
    MessageId::from(format!("{CARD}{out_track_id}"))
}

pub(crate) fn session_message(digest: &str) -> MessageId {
    MessageId::from(format!("{SESSION}{digest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_id_is_never_taken_for_another() {
        let to = |text: &str| To::of(&ChatId::from(text)).map(|to| format!("{to:?}"));
        assert_eq!(to("staff:ada").as_deref(), Some("Staff(\"ada\")"));
        // Somebody may be called like a conversation, or like a robot.
        assert_eq!(to("staff:cid1").as_deref(), Some("Staff(\"cid1\")"));
        assert_eq!(
            to("cid/1+a==").as_deref(),
            Some("Conversation(\"cid/1+a==\")")
        );
        assert_eq!(to("robot:alerts").as_deref(), Some("Robot(\"alerts\")"));
        for wrong in [
            "",
            "staff:",
            "staff:$:LWCP_v1:$x",
            "staff:a:b",
            "robot:",
            "robot:a/b",
            "union:u",
            "$:LWCP_v1:$x",
            "cid 1",
            "cid?x=1",
            "staff:a b",
        ] {
            assert_eq!(to(wrong), None, "{wrong}");
        }
        assert!(is_opaque("$:LWCP_v1:$abc==") && !is_opaque("$:") && !is_opaque("staff1"));
        assert!(!is_staff("$:LWCP_v1:$abc=="));
        let sent = |text: &str| Sent::of(&MessageId::from(text)).is_some();
        assert!(sent("pqk+/=1") && sent("card:abc") && sent("session:x"));
        assert!(!sent("") && !sent("card:") && !sent("card:a b") && !sent("a:b"));
    }
}
