//! Cards: made, delivered, streamed, changed and pressed.

use channel_emulator::dingtalk::{ActionError, DingtalkConfig, NewApp, Via};
use serde_json::{Value, json};

use crate::dingtalk::{ADA, APP, PRESSES, World, data, refusal};

const INSTANCES: &str = "/v1.0/card/instances";
const STREAMING: &str = "/v1.0/card/streaming";

fn card(id: &str) -> Value {
    json!({
        "cardTemplateId": "tpl.schema",
        "outTrackId": id,
        "cardData": {"cardParamMap": {"msgContent": "", "flowStatus": "1"}},
        "callbackType": "STREAM",
        "imGroupOpenSpaceModel": {"supportForward": true},
        "imRobotOpenSpaceModel": {"supportForward": true},
    })
}

/// The same with the fields that deliver it to Ada.
fn to_ada(mut card: Value) -> Value {
    card["openSpaceId"] = json!("dtv1.card//IM_ROBOT.staff1");
    card["imRobotOpenDeliverModel"] = json!({"spaceType": "IM_ROBOT", "robotCode": APP});
    card["userIdType"] = json!(1);
    card
}

async fn delivered(world: &World, id: &str) {
    let path = format!("{INSTANCES}/createAndDeliver");
    world.post_api(&path, &to_ada(card(id))).await;
}

fn stream(guid: &str, content: &str, is_full: bool) -> Value {
    json!({"outTrackId": "card1", "guid": guid, "key": "msgContent", "content": content, "isFull": is_full, "isFinalize": false, "isError": false})
}

#[tokio::test]
async fn a_card_is_made_and_then_delivered() {
    let world = World::new().await;
    let made = world.post_api(INSTANCES, &card("card1")).await;
    assert_eq!(made, json!({"success": true, "result": "card1"}));
    assert!(world.sent(APP).is_empty());
    let path = format!("{INSTANCES}/deliver");
    let group = world.group("Team", &[APP], &[ADA]).unwrap();
    let body = json!({
        "outTrackId": "card1",
        "userIdType": 1,
        "openSpaceId": format!("dtv1.card//IM_GROUP.{group}"),
        "imGroupOpenDeliverModel": {"robotCode": APP},
    });
    let answer = world.post_api(&path, &body).await;
    assert_eq!(answer["result"][0]["spaceId"], json!(group));
    assert_eq!(answer["result"][0]["success"], true);
    let sent = world.sent(APP);
    assert_eq!((sent.len(), sent[0].via), (1, Via::Card));
    assert_eq!(sent[0].card.as_deref(), Some("card1"));
    assert_eq!(world.card("card1").unwrap().chats, [group]);
}

#[tokio::test]
async fn the_same_out_track_id_is_the_same_card() {
    let world = World::new().await;
    delivered(&world, "card1").await;
    world.put(STREAMING, &stream("g1", "hello", true)).await;
    delivered(&world, "card1").await;
    assert_eq!(world.sent(APP).len(), 1);
    let card = world.card("card1").unwrap();
    assert_eq!(card.variables["msgContent"], "hello");
}

#[tokio::test]
async fn a_card_goes_nowhere_else() {
    let world = World::new().await;
    let path = format!("{INSTANCES}/createAndDeliver");
    let invalid = (400, "param.openSpaceIdInvalid".to_owned());
    let others = world.group("Others", &[], &[ADA]).unwrap();
    let spaces = [
        "IM_ROBOT.staff1".to_owned(),
        "dtv1.card//IM_ROBOT.nobody".to_owned(),
        "dtv1.card//IM_OTHER.staff1".to_owned(),
        format!("dtv1.card//IM_GROUP.{others}"),
    ];
    for space in spaces {
        let mut body = to_ada(card("card1"));
        body["openSpaceId"] = json!(space);
        body["imGroupOpenDeliverModel"] = json!({"robotCode": APP});
        assert_eq!(refusal(&world.send(&path, &body).await), invalid, "{space}");
    }
    let mut body = to_ada(card("card1"));
    body["imRobotOpenDeliverModel"]["robotCode"] = json!("other");
    let auth = "invalidParameter.robotCode.auth".to_owned();
    assert_eq!(refusal(&world.send(&path, &body).await), (400, auth));
    let mut body = to_ada(card("card1"));
    body["imRobotOpenSpaceModel"] = Value::Null;
    assert_eq!(world.send(&path, &body).await.status, 400);
    // Nothing is left of a card that could not be delivered.
    assert!(world.card("card1").is_none());
}

#[tokio::test]
async fn what_is_no_card_is_refused() {
    let world = World::new().await;
    let invalid = (400, "invalidParameter.param.invalid".to_owned());
    for (name, value) in [
        ("cardTemplateId", json!("")),
        ("outTrackId", json!(7)),
        ("cardData", json!({"cardParamMap": {"n": 1}})),
        ("cardData", json!({"cardParamMap": []})),
        ("callbackType", json!("OTHER")),
        ("callbackType", json!("HTTP")),
    ] {
        let mut body = card("card1");
        body[name] = value;
        assert_eq!(
            refusal(&world.send(INSTANCES, &body).await),
            invalid,
            "{name}"
        );
    }
}

#[tokio::test]
async fn streaming_shows_each_call_once() {
    let world = World::new().await;
    delivered(&world, "card1").await;
    for body in [
        stream("g1", "one", true),
        stream("g1", "again", true),
        stream("g2", "one two", true),
        stream("g3", " three", false),
    ] {
        assert_eq!(world.put(STREAMING, &body).await.status, 200);
    }
    let shown = world.card("card1").unwrap();
    assert_eq!(shown.texts, ["one", "one two", "one two three"]);
    assert!(!shown.is_final);
    let mut last = stream("g4", "end", true);
    last["isFinalize"] = json!(true);
    let answer = world.put(STREAMING, &last).await;
    assert_eq!(answer.json(), json!({"success": true, "result": true}));
    assert!(world.card("card1").unwrap().is_final);
    last["guid"] = json!("g5");
    last["isError"] = json!(true);
    world.put(STREAMING, &last).await;
    assert!(world.card("card1").unwrap().is_error);
}

#[tokio::test]
async fn streaming_wants_a_card_a_guid_a_key_and_flags() {
    let world = World::new().await;
    delivered(&world, "card1").await;
    for (name, value) in [
        ("outTrackId", json!("none")),
        ("guid", json!("")),
        ("key", Value::Null),
        ("content", json!(1)),
        ("isFull", json!("true")),
    ] {
        let mut body = stream("g", "x", true);
        body[name] = value;
        let answer = world.put(STREAMING, &body).await;
        let code = "invalidParameter.param.invalid".to_owned();
        assert_eq!(refusal(&answer), (400, code), "{name}");
    }
    assert!(world.card("card1").unwrap().texts.is_empty());
}

#[tokio::test]
async fn a_template_has_to_be_published_and_to_have_the_variable() {
    let app = NewApp::default().template("tpl.schema", &["content"]);
    let world = World::with(DingtalkConfig::default(), app).await;
    let mut other = card("card2");
    other["cardTemplateId"] = json!("draft.schema");
    let answer = world.send(INSTANCES, &other).await;
    assert_eq!(
        refusal(&answer),
        (400, "param.templateUnpublished".to_owned())
    );
    delivered(&world, "card1").await;
    let answer = world.put(STREAMING, &stream("g1", "x", true)).await;
    assert_eq!(refusal(&answer), (500, "unknownError".to_owned()));
    let mut right = stream("g1", "x", true);
    right["key"] = json!("content");
    assert_eq!(world.put(STREAMING, &right).await.status, 200);
}

#[tokio::test]
async fn a_change_replaces_all_variables_or_those_that_it_names() {
    let world = World::new().await;
    delivered(&world, "card1").await;
    let mut body = json!({
        "outTrackId": "card1",
        "cardData": {"cardParamMap": {"flowStatus": "3"}},
        "cardUpdateOptions": {"updateCardDataByKey": true},
        "privateData": {ADA: {"cardParamMap": {"mine": "1"}}},
    });
    assert_eq!(world.put(INSTANCES, &body).await.status, 200);
    let card = world.card("card1").unwrap();
    assert_eq!(card.variables["flowStatus"], "3");
    assert_eq!(card.variables["msgContent"], "");
    assert_eq!(card.private[ADA]["cardParamMap"]["mine"], "1");
    body["cardUpdateOptions"] = Value::Null;
    world.put(INSTANCES, &body).await;
    let card = world.card("card1").unwrap();
    assert_eq!((card.variables.len(), card.updates), (1, 2));
    body["outTrackId"] = json!("none");
    assert_eq!(world.put(INSTANCES, &body).await.status, 400);
}

#[tokio::test]
async fn the_forty_first_call_in_a_second_is_over_the_limit() {
    let world = World::new().await;
    delivered(&world, "card1").await;
    for number in 0..39 {
        let body = stream(&number.to_string(), "x", true);
        assert_eq!(world.put(STREAMING, &body).await.status, 200);
    }
    let (status, code) = refusal(&world.put(STREAMING, &stream("g", "x", true)).await);
    assert_eq!(status, 403);
    assert!(code.contains("QpsLimit"), "{code}");
    world.advance(std::time::Duration::from_secs(1));
    let body = stream("g", "x", true);
    assert_eq!(world.put(STREAMING, &body).await.status, 200);
}

#[tokio::test]
async fn a_missing_permission_is_told_apart_from_the_limit() {
    let app = NewApp::default().without("Card.Streaming.Write");
    let world = World::with(DingtalkConfig::default(), app).await;
    delivered(&world, "card1").await;
    let answer = world.put(STREAMING, &stream("g", "x", true)).await;
    let (status, code) = refusal(&answer);
    assert_eq!(status, 403);
    assert!(!code.contains("Qps"), "{code}");
    let message = answer.json()["message"].to_string();
    assert!(message.contains("Card.Streaming.Write"), "{message}");
}

#[tokio::test]
async fn a_press_is_a_callback_whose_answer_changes_the_card() {
    let world = World::new().await;
    delivered(&world, "card1").await;
    let mut stream = world.connect().await;
    let params = json!({"k": "v"});
    let id = world.press("card1", ADA, "approve", &params).unwrap();
    let frame = stream.next().await.unwrap();
    assert_eq!(frame["headers"]["topic"], PRESSES);
    let press = data(&frame);
    assert_eq!(press["outTrackId"], "card1");
    assert_eq!(
        (&press["userId"], &press["userIdType"]),
        (&json!(ADA), &json!(1))
    );
    assert_eq!(press["spaceType"], "IM_ROBOT");
    let content: Value = serde_json::from_str(press["content"].as_str().unwrap()).unwrap();
    let private = &content["cardPrivateData"];
    assert_eq!(private["actionIds"], json!(["approve"]));
    assert_eq!(private["params"], params);
    let response = json!({
        "cardUpdateOptions": {"updateCardDataByKey": true},
        "cardData": {"cardParamMap": {"flowStatus": "3"}},
        "userPrivateData": {"cardParamMap": {"done": "1"}},
    });
    stream
        .ack(&frame, 200, &json!({ "response": response }))
        .await;
    world.deliveries_reach(1).await;
    let seen = world.presses().pop().unwrap();
    assert_eq!((seen.id, seen.answer), (id, Some(response)));
    let card = world.card("card1").unwrap();
    assert_eq!(card.variables["flowStatus"], "3");
    assert_eq!(card.private[ADA]["cardParamMap"]["done"], "1");
    world.press("card1", ADA, "approve", &params).unwrap();
    let frame = stream.next().await.unwrap();
    stream.ack(&frame, 500, &json!({})).await;
    world.deliveries_reach(2).await;
    assert!(world.presses()[1].failed);
}

#[tokio::test]
async fn only_who_sees_a_card_with_a_callback_can_press_it() {
    let world = World::new().await;
    let press = |card: &str, user: &str| world.press(card, user, "x", &json!({}));
    assert_eq!(press("none", ADA), Err(ActionError::UnknownCard));
    world.post_api(INSTANCES, &card("card0")).await;
    assert_eq!(press("card0", ADA), Err(ActionError::UnknownCard));
    delivered(&world, "card1").await;
    assert_eq!(press("card1", "staff2"), Err(ActionError::UnknownCard));
    assert_eq!(press("card1", "nobody"), Err(ActionError::UnknownUser));
    let mut silent = to_ada(card("card2"));
    silent["callbackType"] = Value::Null;
    let path = format!("{INSTANCES}/createAndDeliver");
    world.post_api(&path, &silent).await;
    assert!(press("card2", ADA).is_err());
}

#[tokio::test]
async fn cards_of_the_older_kind_are_sent_and_changed() {
    let world = World::new().await;
    let receiver = json!({ "userId": ADA }).to_string();
    let mut body = json!({
        "cardTemplateId": "StandardCard",
        "robotCode": APP,
        "cardBizId": "b1",
        "cardData": "{\"contents\":[]}",
        "singleChatReceiver": receiver,
    });
    let path = "/v1.0/im/v1.0/robot/interactiveCards/send";
    for _ in 0..2 {
        world.post_api(path, &body).await;
    }
    assert_eq!(world.sent(APP).len(), 1);
    let change = json!({"cardBizId": "b1", "cardData": "{\"contents\":[1]}"});
    let answer = world.put("/v1.0/im/robots/interactiveCards", &change).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.card("b1").unwrap().data, json!({"contents": [1]}));
    body["cardData"] = json!({"contents": []});
    assert_eq!(world.send(path, &body).await.status, 400);
}
