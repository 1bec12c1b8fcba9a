//! What robots send, take back, upload and put on messages.

use std::time::Duration;

use channel_emulator::dingtalk::{DingtalkConfig, Fault, NewApp, NewRobot, Outcome, Via};
use http::Method;
use serde_json::{Value, json};

use crate::dingtalk::{ADA, APP, NOW, World, errcode, refusal};
use crate::line_api::{Answered, exchange};

const BATCH: &str = "/v1.0/robot/oToMessages/batchSend";
const GROUP: &str = "/v1.0/robot/groupMessages/send";

impl World {
    /// The answer of a call that has to succeed.
    pub(crate) async fn post_api(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        answer.json()
    }

    async fn upload(
        &self,
        query: &str,
        fields: &[(&str, &str)],
        name: &str,
        bytes: &str,
    ) -> Answered {
        let mut body = String::new();
        for (field, value) in fields {
            let head = format!("content-disposition: form-data; name=\"{field}\"");
            body += &format!("--xx\r\n{head}\r\n\r\n{value}\r\n");
        }
        let head = format!("content-disposition: form-data; name=\"media\"; filename=\"{name}\"");
        body += &format!("--xx\r\n{head}\r\n\r\n{bytes}\r\n--xx--\r\n");
        let headers = [("content-type", "multipart/form-data; boundary=xx")];
        let path = format!("/media/upload?{query}");
        exchange(
            &self.server.api_base(),
            Method::POST,
            &path,
            &headers,
            &body,
        )
        .await
        .unwrap()
    }

    async fn media(&self, kind: &str) -> String {
        let query = format!("access_token={}&type={kind}", self.token);
        let answer = self.upload(&query, &[], "a.bin", "bytes").await.json();
        answer["media_id"].as_str().unwrap().to_owned()
    }
}

fn batch(users: &[&str], key: &str, param: &Value) -> Value {
    json!({"robotCode": APP, "userIds": users, "msgKey": key, "msgParam": param.to_string()})
}

/// What follows `invalidParameter.` in a refusal.
fn wrong(answer: &Answered) -> String {
    let (status, code) = refusal(answer);
    assert_eq!(status, 400);
    code.strip_prefix("invalidParameter.").unwrap().to_owned()
}

#[tokio::test]
async fn a_batch_reaches_whom_it_can_and_names_the_others() {
    let world = World::new().await;
    world.limit("staff2", true).unwrap();
    let text = json!({"content": "hi"});
    let body = batch(&[ADA, "staff2", "nobody"], "sampleText", &text);
    let answer = world.post_api(BATCH, &body).await;
    assert_eq!(answer["invalidStaffIdList"], json!(["nobody"]));
    assert_eq!(answer["flowControlledStaffIdList"], json!(["staff2"]));
    let sent = world.sent(APP);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].via, &sent[0].content), (Via::Batch, &text));
    assert_eq!(sent[0].chat, world.direct_chat(APP, ADA));
    assert_eq!(json!(sent[0].key), answer["processQueryKey"]);
}

#[tokio::test]
async fn wrong_receivers_are_refused_with_the_platforms_codes() {
    let world = World::new().await;
    let text = json!({"content": "hi"});
    let body = batch(&[], "sampleText", &text);
    assert_eq!(wrong(&world.send(BATCH, &body).await), "userIds.empty");
    let many: Vec<String> = (0..21).map(|n| format!("u{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let body = batch(&many, "sampleText", &text);
    assert_eq!(wrong(&world.send(BATCH, &body).await), "userIds.overMax");
    let body = batch(&[""], "sampleText", &text);
    assert_eq!(wrong(&world.send(BATCH, &body).await), "userIds.invalid");
    let body = json!({"robotCode": "other", "userIds": [ADA]});
    assert_eq!(wrong(&world.send(BATCH, &body).await), "robotCode.auth");
    let body = json!({"userIds": [ADA]});
    assert_eq!(wrong(&world.send(BATCH, &body).await), "robotCode.empty");
    let others = world.group("Others", &[], &[ADA]).unwrap();
    let direct = world.direct_chat(APP, ADA);
    for chat in [&others, &direct, "none"] {
        let body = json!({"robotCode": APP, "openConversationId": chat});
        let answer = world.send(GROUP, &body).await;
        assert_eq!(wrong(&answer), "openConversationId.invalid", "{chat}");
    }
    assert!(world.sent(APP).is_empty());
}

#[tokio::test]
async fn every_message_key_wants_its_parameters() {
    let world = World::new().await;
    let send = async |key: &str, param: Value| world.send(BATCH, &batch(&[ADA], key, &param)).await;
    let fine = [
        ("sampleText", json!({"content": "x"})),
        ("sampleMarkdown", json!({"title": "t", "text": "x"})),
        (
            "sampleLink",
            json!({"title": "t", "text": "x", "picUrl": "", "messageUrl": "https://e.x"}),
        ),
        (
            "sampleActionCard",
            json!({"title": "t", "text": "x", "singleTitle": "A", "singleURL": "https://e.x"}),
        ),
        ("sampleActionCard3", json!({"title": "t", "text": "x"})),
        ("sampleImageMsg", json!({"photoURL": "https://e.x/p.png"})),
    ];
    for (key, param) in &fine {
        assert_eq!(send(key, param.clone()).await.status, 200, "{key}");
        let empty = send(key, json!({})).await;
        assert_eq!(wrong(&empty), "msgParam.invalid", "{key}");
    }
    for key in ["sampleActionCard1", "sampleActionCard7", "sampleNothing"] {
        assert_eq!(wrong(&send(key, json!({})).await), "msgKey.invalid");
    }
    assert_eq!(wrong(&send("", json!({})).await), "msgKey.empty");
    let text = |bytes: usize| json!({"content": "x".repeat(bytes - r#"{"content":""}"#.len())});
    assert_eq!(send("sampleText", text(15_000)).await.status, 200);
    assert_eq!(
        wrong(&send("sampleText", text(15_001)).await),
        "msgParam.invalid"
    );
    let body = json!({"robotCode": APP, "userIds": [ADA], "msgKey": "sampleText", "msgParam": {"content": "x"}});
    assert_eq!(wrong(&world.send(BATCH, &body).await), "msgParam.invalid");
}

#[tokio::test]
async fn files_are_uploaded_first_and_have_the_right_kind() {
    let world = World::new().await;
    let (voice, video) = (world.media("voice").await, world.media("video").await);
    let (image, file) = (world.media("image").await, world.media("file").await);
    let send = async |key: &str, param: Value| world.send(BATCH, &batch(&[ADA], key, &param)).await;
    let audio = |id: &str| json!({"mediaId": id, "duration": "3000"});
    assert_eq!(send("sampleAudio", audio(&voice)).await.status, 200);
    assert_eq!(
        wrong(&send("sampleAudio", audio(&file)).await),
        "msgParam.invalid"
    );
    let pdf = json!({"mediaId": file, "fileName": "a.pdf", "fileType": "pdf"});
    assert_eq!(send("sampleFile", pdf).await.status, 200);
    let film =
        json!({"duration": "5000", "videoMediaId": video, "videoType": "mp4", "picMediaId": image});
    assert_eq!(send("sampleVideo", film).await.status, 200);
    let picture = |id: &str| json!({"photoURL": id});
    assert_eq!(send("sampleImageMsg", picture(&image)).await.status, 200);
    assert_eq!(
        wrong(&send("sampleImageMsg", picture("@lADnone")).await),
        "msgParam.invalid"
    );
    assert_eq!(
        wrong(&send("sampleImageMsg", picture("p.png")).await),
        "msgParam.invalid"
    );
    let token = format!("access_token={}", world.token);
    // As the official SDK sends it: the type as a field.
    let field = world
        .upload(&token, &[("type", "image")], "a.png", "x")
        .await;
    assert_eq!(errcode(&field), 0);
    assert_eq!(field.json()["type"], "image");
    assert_eq!(
        errcode(&world.upload(&token, &[], "a.png", "x").await),
        40_004
    );
    let file = format!("{token}&type=file");
    assert_eq!(
        errcode(&world.upload(&file, &[], "a.png", "").await),
        41_005
    );
    assert_eq!(
        errcode(
            &world
                .upload("access_token=x&type=file", &[], "a", "x")
                .await
        ),
        40_014
    );
    let voice = format!("{token}&type=voice");
    let large = "x".repeat(2 * 1024 * 1024 + 1);
    assert_eq!(
        errcode(&world.upload(&voice, &[], "a.amr", &large).await),
        40_006
    );
    world.advance(Duration::from_secs(7200));
    assert_eq!(
        errcode(&world.upload(&file, &[], "a.png", "x").await),
        42_001
    );
}

#[tokio::test]
async fn what_was_sent_by_key_can_be_taken_back() {
    let world = World::new().await;
    let group = world.group("Team", &[APP], &[ADA]).unwrap();
    let text = json!({"content": "x"});
    let one = world
        .post_api(BATCH, &batch(&[ADA], "sampleText", &text))
        .await;
    let param = text.to_string();
    let body = json!({"robotCode": APP, "openConversationId": group, "msgKey": "sampleText", "msgParam": param});
    let two = world.post_api(GROUP, &body).await;
    let (one, two) = (&one["processQueryKey"], &two["processQueryKey"]);
    let path = "/v1.0/robot/otoMessages/batchRecall";
    let body = json!({"robotCode": APP, "processQueryKeys": [one, two]});
    let answer = world.post_api(path, &body).await;
    assert_eq!(answer["successResult"], json!([one]));
    assert!(answer["failedResult"][two.as_str().unwrap()].is_string());
    let path = "/v1.0/robot/groupMessages/recall";
    let body = json!({"robotCode": APP, "openConversationId": group, "processQueryKeys": [two]});
    assert_eq!(
        world.post_api(path, &body).await["successResult"],
        json!([two])
    );
    assert!(world.sent(APP).iter().all(|message| message.recalled));
    let body = json!({"robotCode": APP, "openConversationId": group, "processQueryKeys": []});
    assert_eq!(wrong(&world.send(path, &body).await), "param.invalid");
}

#[tokio::test]
async fn an_emotion_is_put_on_a_message_and_taken_off() {
    let world = World::new().await;
    let id = world.say(APP, ADA, "hi").unwrap();
    let chat = world.direct_chat(APP, ADA);
    let mut body = json!({
        "robotCode": APP, "openMsgId": id, "openConversationId": chat,
        "emotionType": 2, "emotionName": "thinking",
        "textEmotion": {"emotionId": "2659900", "emotionName": "thinking", "text": "thinking", "backgroundId": "im_bg_1"},
    });
    for _ in 0..2 {
        world.post_api("/v1.0/robot/emotion/reply", &body).await;
    }
    let emotions = world.message(&id).unwrap().emotions;
    assert_eq!(emotions.len(), 1);
    assert_eq!(emotions[0].id, "2659900");
    world.post_api("/v1.0/robot/emotion/recall", &body).await;
    assert!(world.message(&id).unwrap().emotions.is_empty());
    body["openMsgId"] = json!("none");
    let path = "/v1.0/robot/emotion/reply";
    assert_eq!(wrong(&world.send(path, &body).await), "param.invalid");
    body["textEmotion"] = json!({});
    assert_eq!(wrong(&world.send(path, &body).await), "param.invalid");
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let app = NewApp::default().without("qyapi_robot_sendmsg");
    let world = World::with(DingtalkConfig::default(), app).await;
    let body = batch(&[ADA], "sampleText", &json!({"content": "x"}));
    let answer = world.send(BATCH, &body).await;
    let (status, code) = refusal(&answer);
    assert_eq!(status, 403);
    assert!(code.starts_with("Forbidden.AccessDenied"), "{code}");
    let message = answer.json()["message"].to_string();
    assert!(message.contains("qyapi_robot_sendmsg"), "{message}");
}

#[tokio::test]
async fn a_session_takes_five_kinds_of_message() {
    let world = World::new().await;
    world.say(APP, ADA, "hi").unwrap();
    let url = world.events(APP)[0]["sessionWebhook"].clone();
    let path = world.path(url.as_str().unwrap()).to_owned();
    let link = json!({"title": "T", "messageURL": "https://e.x", "picURL": "https://e.x/p.png"});
    let button = json!({"title": "A", "actionURL": "https://e.x"});
    let fine = [
        json!({"msgtype": "text", "text": {"content": "x"}}),
        json!({"msgtype": "markdown", "markdown": {"title": "T", "text": "x"}}),
        json!({"msgtype": "link", "link": {"title": "T", "text": "t", "messageUrl": "https://e.x", "picUrl": ""}}),
        json!({"msgtype": "actionCard", "actionCard": {"title": "T", "text": "x", "btnOrientation": "0", "btns": [button]}}),
        json!({"msgtype": "feedCard", "feedCard": {"links": [link]}}),
    ];
    for body in &fine {
        assert_eq!(errcode(&world.send(&path, body).await), 0, "{body}");
        let kind = body["msgtype"].as_str().unwrap();
        let empty = json!({"msgtype": kind, kind: {}});
        assert_eq!(errcode(&world.send(&path, &empty).await), 40_035, "{kind}");
    }
    assert_eq!(world.sent(APP).len(), fine.len());
    for kind in ["image", "audio", "file", "video", "interactiveCard"] {
        let body = json!({"msgtype": kind, kind: {"mediaId": "@lAD"}});
        assert_eq!(errcode(&world.send(&path, &body).await), 400_105, "{kind}");
    }
    let text = |length: usize| json!({"msgtype": "text", "text": {"content": "ä".repeat(length)}});
    assert_eq!(errcode(&world.send(&path, &text(20_000)).await), 0);
    assert_eq!(errcode(&world.send(&path, &text(20_001)).await), 460_101);
    assert_eq!(errcode(&world.send(&path, &json!({})).await), 40_035);
}

#[tokio::test]
async fn a_mention_shows_only_where_the_text_has_it_too() {
    let world = World::new().await;
    world.say(APP, ADA, "hi").unwrap();
    let url = world.events(APP)[0]["sessionWebhook"].clone();
    let path = world.path(url.as_str().unwrap()).to_owned();
    let at = json!({"atUserIds": [ADA, "staff2"], "atMobiles": ["138"], "isAtAll": false});
    let body = json!({"msgtype": "text", "text": {"content": "@staff1 and @138"}, "at": at});
    world.post_api(&path, &body).await;
    assert_eq!(world.sent(APP)[0].mentions, [ADA, "138"]);
    let all = json!({"isAtAll": true});
    let body = json!({"msgtype": "text", "text": {"content": "x"}, "at": all});
    world.post_api(&path, &body).await;
    assert_eq!(world.sent(APP)[1].mentions, ["all"]);
}

/// A group with a custom robot that has this setting.
async fn custom(robot: impl FnOnce(NewRobot) -> NewRobot) -> (World, String) {
    let world = World::new().await;
    let group = world.group("Team", &[], &[ADA]).unwrap();
    let url = world
        .add_robot(&robot(NewRobot::new("T1", &group)))
        .unwrap();
    let path = world.path(&url).to_owned();
    (world, path)
}

#[tokio::test]
async fn a_custom_robot_with_a_secret_takes_what_is_signed_within_the_hour() {
    let secret = "SECsynthetic0000000000000000000001";
    let (world, path) = custom(|robot| robot.secret(secret)).await;
    let text = json!({"msgtype": "text", "text": {"content": "x"}});
    assert_eq!(errcode(&world.send(&path, &text).await), 310_000);
    let signed = format!("{path}&timestamp={}&sign={SIGN}", NOW * 1000);
    assert_eq!(errcode(&world.send(&signed, &text).await), 0);
    let other = format!("{path}&timestamp={}&sign={SIGN}", NOW * 1000 + 1);
    assert_eq!(errcode(&world.send(&other, &text).await), 310_000);
    world.advance(Duration::from_secs(3600));
    assert_eq!(errcode(&world.send(&signed, &text).await), 0);
    world.advance(Duration::from_millis(1));
    let stale = world.send(&signed, &text).await;
    assert_eq!(errcode(&stale), 310_000);
    assert_eq!(stale.json()["errmsg"], "invalid timestamp");
    let none = "/robot/send?access_token=none";
    assert_eq!(errcode(&world.send(none, &text).await), 300_001);
}

#[tokio::test]
async fn a_custom_robot_with_a_keyword_wants_to_read_it() {
    let (world, path) = custom(|robot| robot.keyword("build")).await;
    let text = |words: &str| json!({"msgtype": "text", "text": {"content": words}});
    assert_eq!(errcode(&world.send(&path, &text("hello")).await), 310_000);
    assert_eq!(
        errcode(&world.send(&path, &text("the build is done")).await),
        0
    );
    let markdown = json!({"msgtype": "markdown", "markdown": {"title": "build", "text": "x"}});
    assert_eq!(errcode(&world.send(&path, &markdown).await), 0);
    let large = text(&format!("build{}", "x".repeat(20_000)));
    assert_eq!(errcode(&world.send(&path, &large).await), 460_101);
}

#[tokio::test]
async fn a_custom_robot_that_sends_too_fast_is_blocked_for_ten_minutes() {
    let (world, path) = custom(|robot| robot).await;
    let text = json!({"msgtype": "text", "text": {"content": "x"}});
    for _ in 0..20 {
        assert_eq!(errcode(&world.send(&path, &text).await), 0);
    }
    assert_eq!(errcode(&world.send(&path, &text).await), 130_101);
    world.advance(Duration::from_secs(599));
    assert_eq!(errcode(&world.send(&path, &text).await), 130_101);
    world.advance(Duration::from_secs(1));
    assert_eq!(errcode(&world.send(&path, &text).await), 0);
}

#[tokio::test]
async fn calls_fail_on_demand() {
    let world = World::new().await;
    let body = batch(&[ADA], "sampleText", &json!({"content": "x"}));
    let faults = world.faults();
    faults.next("batch_send", 1, Fault::RateLimited);
    let (status, code) = refusal(&world.send(BATCH, &body).await);
    assert_eq!(status, 403);
    assert!(code.contains("QpsLimit"), "{code}");
    faults.next("batch_send", 1, Fault::TooManyRequests { retry_after: 3 });
    let answer = world.send(BATCH, &body).await;
    assert_eq!(
        (answer.status, &answer.headers["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    faults.next("batch_send", 1, Fault::ServerError { status: 502 });
    assert_eq!(world.send(BATCH, &body).await.status, 502);
    let error = Fault::Refuse {
        status: 500,
        code: "system.err".to_owned(),
        message: "try again".to_owned(),
    };
    faults.next("batch_send", 1, error);
    assert_eq!(
        refusal(&world.send(BATCH, &body).await),
        (500, "system.err".to_owned())
    );
    assert!(world.sent(APP).is_empty());
    for (fault, count) in [(Fault::DropBefore, 0), (Fault::LoseAnswer, 1)] {
        faults.next("batch_send", 1, fault);
        let base = world.server.api_base();
        let headers = [("x-acs-dingtalk-access-token", world.token.as_str())];
        let lost = exchange(&base, Method::POST, BATCH, &headers, &body.to_string()).await;
        assert!(lost.is_none());
        assert_eq!(world.sent(APP).len(), count);
    }
    let outcomes: Vec<Outcome> = world
        .calls()
        .iter()
        .rev()
        .take(2)
        .map(|call| call.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::AnswerLost, Outcome::Dropped]);
    let legacy = Fault::Errcode {
        errcode: 130_101,
        errmsg: "send too fast".to_owned(),
    };
    world.faults().next("session_send", 1, legacy);
    world.faults().next("session_send", 1, Fault::RateLimited);
    for code in [130_101, 90_030, 300_001] {
        let path = "/robot/sendBySession?session=none";
        assert_eq!(errcode(&world.send(path, &json!({})).await), code);
    }
}

const SIGN: &str = "gt4khRg1G1pSdZI9zN%2B7omZqco1bJeRl6jh3brSuktg%3D";
