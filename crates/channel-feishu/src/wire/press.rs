//! Presses of cards
//! (<https://open.feishu.cn/document/feishu-cards/card-callback-communication>).

use serde::Deserialize;
use serde_json::{Map, Value};

/// What `card.action.trigger` tells.
#[derive(Deserialize)]
pub(crate) struct PressEvent {
    pub(crate) operator: Operator,
    pub(crate) token: String,
    pub(crate) action: Pressed,
    pub(crate) context: Context,
}

#[derive(Deserialize)]
pub(crate) struct Operator {
    pub(crate) open_id: String,
}

#[derive(Deserialize)]
pub(crate) struct Context {
    pub(crate) open_message_id: Option<String>,
    pub(crate) open_chat_id: String,
}

/// What was pressed, chosen or filled in.
#[derive(Deserialize)]
pub(crate) struct Pressed {
    #[serde(default)]
    pub(crate) value: Value,
    pub(crate) name: Option<String>,
    pub(crate) option: Option<String>,
    pub(crate) input_value: Option<String>,
    pub(crate) form_value: Option<Map<String, Value>>,
}

/// A press of a card of version 1, which comes without an envelope to an address of its own
/// (<https://open.feishu.cn/document/deprecated-guide/message-card/configuring-card-callbacks/card-callback-structure>).
#[derive(Deserialize)]
pub(crate) struct OldPress {
    pub(crate) open_id: String,
    pub(crate) open_message_id: Option<String>,
    pub(crate) open_chat_id: String,
    pub(crate) token: String,
    pub(crate) action: Pressed,
}

impl From<OldPress> for PressEvent {
    fn from(press: OldPress) -> Self {
        Self {
            operator: Operator {
                open_id: press.open_id,
            },
            token: press.token,
            action: press.action,
            context: Context {
                open_message_id: press.open_message_id,
                open_chat_id: press.open_chat_id,
            },
        }
    }
}
