//! Cards: made, delivered, streamed and changed.
//!
//! <https://open.dingtalk.com/document/orgapp/create-and-deliver-cards>,
//! <https://open.dingtalk.com/document/orgapp/interactive-card-update-interface>,
//! <https://open.dingtalk.com/document/orgapp/api-streamingupdate>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Context, success};
use crate::common::json::Parts as _;
use crate::dingtalk::answer::{Answer, ApiError, Reply};
use crate::dingtalk::model::{CardView, Via};

/// Calls of one card whose `guid` is remembered.
const MAX_GUIDS: usize = 1000;

/// The variables of a card, all of which have to be texts.
pub(crate) fn variables(body: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    let map = match body.at("cardData").at("cardParamMap") {
        Value::Null => return Ok(BTreeMap::new()),
        map => map.as_object(),
    };
    let map = map.ok_or_else(|| ApiError::invalid("cardParamMap has to be an object"))?;
    map.iter()
        .map(|(name, value)| match value.as_str() {
            Some(value) => Ok((name.clone(), value.to_owned())),
            None => Err(ApiError::invalid("values of cardParamMap have to be texts")),
        })
        .collect()
}

impl Context<'_> {
    /// Makes the card of the body. The same `outTrackId` again is the same card, as it was.
    fn create(&mut self) -> Result<String, ApiError> {
        let id = self.text("outTrackId")?.to_owned();
        let template = self.text("cardTemplateId")?.to_owned();
        let app = self.state.apps.get(self.app).ok_or_else(ApiError::token)?;
        if !app.templates.is_empty() && !app.templates.contains_key(&template) {
            let code = "param.templateUnpublished";
            return Err(ApiError::new(400, code, code));
        }
        let callback = match self.body.text("callbackType") {
            callback @ ("" | "STREAM" | "HTTP") => callback.to_owned(),
            _ => return Err(ApiError::invalid("callbackType is neither STREAM nor HTTP")),
        };
        if callback == "HTTP" && self.body.text("callbackRouteKey").is_empty() {
            return Err(ApiError::invalid("callbackRouteKey is missing"));
        }
        let variables = variables(self.body)?;
        let spaces = [
            ("imGroupOpenSpaceModel", "IM_GROUP"),
            ("imRobotOpenSpaceModel", "IM_ROBOT"),
        ]
        .into_iter()
        .filter(|(model, _)| self.body.at(model).is_object())
        .map(|(_, space)| space.to_owned())
        .collect();
        match self.state.cards.get(&id) {
            Some(card) if card.app != self.app => {
                return Err(ApiError::invalid("the outTrackId belongs to another app"));
            }
            Some(_) => return Ok(id),
            None => {}
        }
        let card = CardView {
            id: id.clone(),
            app: self.app.to_owned(),
            template,
            callback,
            variables,
            private: BTreeMap::new(),
            data: Value::Null,
            texts: Vec::new(),
            is_final: false,
            is_error: false,
            chats: Vec::new(),
            spaces,
            guids: BTreeSet::new(),
            updates: 0,
            at_ms: self.state.now_ms,
        };
        self.state.keep_card(card);
        Ok(id)
    }

    /// A card of the app.
    fn card(&mut self, id: &str) -> Result<&mut CardView, ApiError> {
        let app = self.app;
        self.state
            .cards
            .get_mut(id)
            .filter(|card| card.app == app)
            .ok_or_else(|| ApiError::invalid("the card does not exist"))
    }

    /// Puts a card into the space that the body names; gives the delivery results.
    fn deliver(&mut self, id: &str) -> Result<Value, ApiError> {
        let wrong = || {
            let code = "param.openSpaceIdInvalid";
            ApiError::new(400, code, code)
        };
        let space = self.text("openSpaceId")?.strip_prefix("dtv1.card//");
        let (kind, target) = space
            .and_then(|space| space.split_once('.'))
            .ok_or_else(wrong)?;
        let (kind, target) = (kind.to_owned(), target.to_owned());
        let model = match kind.as_str() {
            "IM_GROUP" => "imGroupOpenDeliverModel",
            "IM_ROBOT" => "imRobotOpenDeliverModel",
            _ => return Err(wrong()),
        };
        let model = self.body.at(model);
        if !model.is_object() {
            return Err(ApiError::invalid(
                "the deliver model of the space is missing",
            ));
        }
        match model.text("robotCode") {
            "" if kind == "IM_GROUP" => {
                return Err(ApiError::parameter(
                    "robotCode.empty",
                    "the robotCode of the robot is empty",
                ));
            }
            "" => {}
            code => self.own_robot(code)?,
        }
        let chat = if kind == "IM_GROUP" {
            let group = self.state.chats.get(&target);
            let is_group = group.is_some_and(|group| group.title.is_some());
            if !is_group || !self.state.is_inside(self.app, &target) {
                return Err(wrong());
            }
            target.clone()
        } else {
            let user = self.state.users.get(&target);
            user.and_then(|user| user.staff_id.as_ref())
                .ok_or_else(wrong)?;
            self.state.direct(self.app, &target)
        };
        let card = self.card(id)?;
        if !card.spaces.contains(&kind) {
            return Err(ApiError::invalid("the card has no model of the space"));
        }
        if !card.chats.contains(&chat) {
            card.chats.push(chat.clone());
            let key = self.state.hex();
            self.put(
                &chat,
                Via::Card,
                "card",
                json!({ "outTrackId": id }),
                &key,
                Some(id.to_owned()),
            );
        }
        let carrier = self.state.hex();
        Ok(json!([{
            "spaceType": kind,
            "spaceId": target,
            "success": true,
            "carrierId": carrier,
            "errorMsg": "",
        }]))
    }
}

pub(super) fn create(context: &mut Context<'_>) -> Answer {
    let id = context.create()?;
    Ok(Reply::Json(json!({"success": true, "result": id})))
}

pub(super) fn deliver(context: &mut Context<'_>) -> Answer {
    let id = context.text("outTrackId")?.to_owned();
    let results = context.deliver(&id)?;
    Ok(Reply::Json(json!({"success": true, "result": results})))
}

pub(super) fn create_and_deliver(context: &mut Context<'_>) -> Answer {
    let known = context.body.text("outTrackId");
    let is_new = !context.state.cards.contains_key(known);
    let id = context.create()?;
    let results = match context.deliver(&id) {
        Ok(results) => results,
        Err(error) => {
            // Both or nothing.
            if is_new {
                context.state.cards.remove(&id);
            }
            return Err(error);
        }
    };
    Ok(Reply::Json(json!({
        "success": true,
        "result": {"outTrackId": id, "deliverResults": results},
    })))
}

/// `PUT /v1.0/card/instances`: all variables at once, or those that are named.
pub(super) fn update(context: &mut Context<'_>) -> Answer {
    let id = context.text("outTrackId")?.to_owned();
    let (variables, body) = (variables(context.body)?, context.body);
    apply(context.card(&id)?, variables, body);
    Ok(success())
}

/// What `PUT` and the answer to a press say about a card.
pub(crate) fn apply(card: &mut CardView, variables: BTreeMap<String, String>, body: &Value) {
    let options = body.at("cardUpdateOptions");
    if body.at("cardData").at("cardParamMap").is_object() {
        if options.at("updateCardDataByKey") != true {
            card.variables.clear();
        }
        card.variables.extend(variables);
    }
    let private = body.at("privateData").as_object();
    for (user, data) in private.into_iter().flatten() {
        card.private.insert(user.clone(), data.clone());
    }
    card.updates += 1;
}

/// `PUT /v1.0/card/streaming`.
pub(super) fn stream(context: &mut Context<'_>) -> Answer {
    let id = context.text("outTrackId")?.to_owned();
    let guid = context.text("guid")?.to_owned();
    let key = context.text("key")?.to_owned();
    let content = context.body.at("content").as_str();
    let content = content
        .ok_or_else(|| ApiError::invalid("content is missing"))?
        .to_owned();
    let flag = |name: &str| match context.body.at(name) {
        Value::Null => Ok(false),
        Value::Bool(flag) => Ok(*flag),
        _ => Err(ApiError::invalid("a flag is neither true nor false")),
    };
    let (is_full, is_final, is_error) = (flag("isFull")?, flag("isFinalize")?, flag("isError")?);
    let app = context.state.apps.get(context.app);
    let templates = app.map(|app| app.templates.clone()).unwrap_or_default();
    let card = context.card(&id)?;
    let known = templates.get(&card.template);
    if known.is_some_and(|variables| !variables.is_empty() && !variables.contains(&key)) {
        // What the platform says when the template has no such variable.
        return Err(ApiError::new(500, "unknownError", "unknown error"));
    }
    if card.guids.contains(&guid) {
        return Ok(success());
    }
    if card.guids.len() >= MAX_GUIDS {
        card.guids.pop_first();
    }
    card.guids.insert(guid);
    let text = match card.variables.get(&key) {
        Some(before) if !is_full => format!("{before}{content}"),
        _ => content,
    };
    card.texts.push(text.clone());
    card.variables.insert(key, text);
    card.is_final = is_final;
    card.is_error = is_error;
    Ok(success())
}

/// Cards of the older kind. <https://open.dingtalk.com/document/orgapp/robots-send-interactive-cards>
pub(super) fn send_old(context: &mut Context<'_>) -> Answer {
    context.robot()?;
    let id = context.text("cardBizId")?.to_owned();
    let template = context.text("cardTemplateId")?.to_owned();
    let data = old_data(context)?;
    let chat = if context.body.text("openConversationId").is_empty() {
        let receiver = context.body.text("singleChatReceiver");
        let receiver: Value = serde_json::from_str(receiver).unwrap_or_default();
        let user = receiver.text("userId").to_owned();
        if !context.state.users.contains_key(&user) {
            return Err(ApiError::invalid("singleChatReceiver names no user"));
        }
        context.state.direct(context.app, &user)
    } else {
        context.group()?
    };
    if !context.state.cards.contains_key(&id) {
        let card = CardView {
            id: id.clone(),
            app: context.app.to_owned(),
            template,
            callback: "STREAM".to_owned(),
            variables: BTreeMap::new(),
            private: BTreeMap::new(),
            data,
            texts: Vec::new(),
            is_final: false,
            is_error: false,
            chats: Vec::new(),
            spaces: BTreeSet::new(),
            guids: BTreeSet::new(),
            updates: 0,
            at_ms: context.state.now_ms,
        };
        context.state.keep_card(card);
    }
    let key = context.state.hex();
    let card = context.card(&id)?;
    if !card.chats.contains(&chat) {
        card.chats.push(chat.clone());
        let content = json!({ "cardBizId": id });
        context.put(&chat, Via::Card, "interactiveCard", content, &key, Some(id));
    }
    Ok(Reply::Json(json!({ "processQueryKey": key })))
}

fn old_data(context: &Context<'_>) -> Result<Value, ApiError> {
    let data: Option<Value> = serde_json::from_str(context.text("cardData")?).ok();
    data.filter(Value::is_object)
        .ok_or_else(|| ApiError::invalid("cardData has to be JSON in a string"))
}

pub(super) fn update_old(context: &mut Context<'_>) -> Answer {
    let id = context.text("cardBizId")?.to_owned();
    let data = old_data(context)?;
    let card = context.card(&id)?;
    card.data = data;
    card.updates += 1;
    Ok(Reply::Json(json!({ "processQueryKey": id })))
}
