//! AI cards (<https://open.dingtalk.com/document/orgapp/typewriter-effect-streaming-ai-card>):
//! instances of a template with variables, all of them texts.
//!
//! One variable holds the words. Buttons go into `sys_full_json_obj`, which the template of the
//! official SDKs reads
//! (<https://github.com/open-dingtalk/dingtalk-stream-sdk-python>); the form of one is from
//! connectors and not from the documentation.

use channel_core::{
    Body, Button, ButtonAction, Card, Destination, Error, ErrorKind, MessageRef, OutboundMessage,
    Result, Target,
};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Call, Done, Payload};
use crate::error::{Fault, invalid, unsupported};
use crate::ids::{Sent, To, card_message};
use crate::outbound::Envelope;
use crate::plan::{self, Part, Scene};
use crate::shared::{Place, Shared};
use crate::{PLATFORM, render};

pub(crate) const CREATE: Call = Call::keyed(plan::OPERATION);
const UPDATE: Call = Call::idempotent("update card");

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Writing,
    Done,
}

impl Flow {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Writing => "2",
            Self::Done => "3",
        }
    }
}

/// What a card shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) text: String,
    buttons: Vec<Value>,
}

impl Shown {
    pub(crate) fn new(text: String, buttons: &[&Button]) -> Self {
        let button = |button: &&Button| match &button.action {
            ButtonAction::Open(url) => {
                json!({"text": button.label, "color": "blue", "url": url})
            }
            ButtonAction::Press(value) => {
                json!({"text": button.label, "color": "blue", "id": value, "request": true})
            }
            _ => json!({"text": button.label}),
        };
        Self {
            text,
            buttons: buttons.iter().map(button).collect(),
        }
    }

    /// The variables of the template.
    pub(crate) fn variables(&self, shared: &Shared, flow: Flow) -> Value {
        let order = [
            "msgTitle",
            "msgContent",
            "msgTextList",
            "msgImages",
            "msgButtons",
        ];
        let whole = json!({"order": order, "msgButtons": self.buttons}).to_string();
        json!({shared.config.card_template_key.as_str(): self.text, "flowStatus": flow.as_str(),
            "sys_full_json_obj": whole})
    }
}

#[derive(Deserialize)]
struct Created {
    result: Option<Delivered>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivered {
    #[serde(default)]
    deliver_results: Vec<OneDelivered>,
}

#[derive(Deserialize)]
struct OneDelivered {
    success: Option<bool>,
}

/// Makes a card and delivers it; the same `outTrackId` is the same card
/// (<https://open.dingtalk.com/document/orgapp/create-and-deliver-cards>).
pub(crate) async fn create(
    shared: &Shared,
    envelope: &Envelope<'_>,
    shown: &Shown,
    flow: Flow,
    out_track_id: &str,
    patience: Option<std::time::Duration>,
) -> Result<MessageRef, Fault> {
    let template = shared
        .config
        .card_template_id
        .as_deref()
        .unwrap_or_default();
    let robot = shared.config.robot_code();
    let mut fields = json!({"cardTemplateId": template, "outTrackId": out_track_id,
        "cardData": {"cardParamMap": shown.variables(shared, flow)},
        "imGroupOpenSpaceModel": {"supportForward": true},
        "imRobotOpenSpaceModel": {"supportForward": true}, "userIdType": 1});
    let (space, deliver) = match envelope.to {
        To::Staff(staff) => (
            format!("dtv1.card//IM_ROBOT.{staff}"),
            (
                "imRobotOpenDeliverModel",
                json!({"spaceType": "IM_ROBOT", "robotCode": robot}),
            ),
        ),
        To::Conversation(id) if !envelope.is_direct => (
            format!("dtv1.card//IM_GROUP.{id}"),
            ("imGroupOpenDeliverModel", json!({"robotCode": robot})),
        ),
        _ => return Err(unsupported("a card has nowhere to go there", CREATE.operation).into()),
    };
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("openSpaceId".to_owned(), json!(space));
        fields.insert(deliver.0.to_owned(), deliver.1);
        if shared.config.has_presses() {
            fields.insert("callbackType".to_owned(), json!("STREAM"));
        }
    }
    let place = Place::Api(&Method::POST, "/v1.0/card/instances/createAndDeliver");
    let created: Created = shared
        .call_within(CREATE, place, Payload::json(&fields), patience)
        .await?;
    let results = created
        .result
        .map(|it| it.deliver_results)
        .unwrap_or_default();
    if results.iter().any(|it| it.success == Some(false)) {
        let message = "dingtalk has made the card and not delivered it";
        return Err(Error::new(ErrorKind::NotFound, message)
            .on(PLATFORM, CREATE.operation)
            .into());
    }
    shared.memory.sent(out_track_id);
    crate::typing::end(shared, envelope.chat).await;
    Ok(MessageRef::new(
        envelope.chat.clone(),
        card_message(out_track_id),
    ))
}

/// Replaces the variables of a card
/// (<https://open.dingtalk.com/document/orgapp/interactive-card-update-interface>).
pub(crate) async fn put(
    shared: &Shared,
    out_track_id: &str,
    shown: &Shown,
    flow: Flow,
    patience: Option<std::time::Duration>,
) -> Result<(), Fault> {
    let fields = json!({"outTrackId": out_track_id,
        "cardData": {"cardParamMap": shown.variables(shared, flow)},
        "cardUpdateOptions": {"updateCardDataByKey": true}});
    let place = Place::Api(&Method::PUT, "/v1.0/card/instances");
    let Done {} = shared
        .call_within(UPDATE, place, Payload::json(&fields), patience)
        .await?;
    Ok(())
}

/// Replaces a card that was sent.
pub(crate) async fn update(shared: &Shared, target: &MessageRef, card: &Card) -> Result<()> {
    let Some(Sent::Card(out_track_id)) = Sent::of(&target.id) else {
        return Err(invalid("the message is no card", UPDATE.operation));
    };
    let to = Destination::Chat(Target::chat(target.chat.clone()));
    let message = OutboundMessage::new(to, Body::default()).card(card.clone());
    let scene = Scene {
        has_cards: true,
        has_presses: shared.config.has_presses(),
    };
    let mut parts = plan::posts(&message, scene)?;
    let shown = match (parts.pop(), parts.is_empty()) {
        (Some(Part::Card(shown)), true) => shown,
        // Buttons that nobody can press here are words.
        (Some(Part::Words(_)), true) => {
            Shown::new(render::card(&plan::spelled_out(&message).body), &[])
        }
        _ => return Err(invalid("the card does not fit into one", UPDATE.operation)),
    };
    let patience = Some(shared.patience());
    Ok(put(shared, out_track_id, &shown, Flow::Done, patience).await?)
}
