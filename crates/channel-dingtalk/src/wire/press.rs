//! Presses of cards (<https://open.dingtalk.com/document/orgapp/event-callback-card>).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Loose;

/// What `/v1.0/card/instances/callback` tells.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PressEvent {
    pub(crate) out_track_id: String,
    pub(crate) corp_id: Option<String>,
    pub(crate) user_id: String,
    /// `1` if `userId` is a staff id, `2` if it is a union id.
    #[serde(default)]
    pub(crate) user_id_type: Loose,
    pub(crate) space_id: Option<String>,
    pub(crate) space_type: Option<String>,
    /// JSON as a text; some write it as `value`.
    pub(crate) content: Option<String>,
    pub(crate) value: Option<String>,
}

/// What `content` holds.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pressed {
    #[serde(default)]
    pub(crate) card_private_data: Private,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Private {
    #[serde(default)]
    pub(crate) action_ids: Vec<String>,
    #[serde(default)]
    pub(crate) params: Map<String, Value>,
}
