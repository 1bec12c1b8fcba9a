//! What the calls of the robot do.

use std::collections::BTreeMap;

use bytes::Bytes;
use channel_testkit::Reply;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{APP, DIRECT, GROUP, ROBOT_SECRET, ROBOT_TOKEN, Sent, State, TEMPLATE, refusal, sign};

fn query(request: &Request<Bytes>) -> BTreeMap<String, String> {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let decode = |text: &str| {
        let text = percent_encoding::percent_decode_str(text).decode_utf8();
        text.unwrap().into_owned()
    };
    pairs
        .map(|(key, value)| (key.to_owned(), decode(value)))
        .collect()
}

impl State {
    pub(super) fn act(
        &mut self,
        call: &str,
        request: &Request<Bytes>,
        fields: &Value,
        now: u64,
    ) -> Reply {
        let ok = || Reply::ok(&json!({"errcode": 0, "errmsg": "ok"}));
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        match call {
            "POST /robot/sendBySession" => {
                let mut hash = Sha256::new();
                hash.update(format!("{}\0{now}\0{fields}", request.uri()));
                let id = format!("session:{}", hex::encode(&hash.finalize()[..16]));
                let chat = match query(request)["session"].as_str() {
                    "group" => GROUP,
                    _ => DIRECT,
                };
                self.show(chat, &id, &text("msgtype"), fields);
                ok()
            }
            "POST /robot/send" => {
                let query = query(request);
                let time = query["timestamp"].parse::<u64>().unwrap();
                if query["access_token"] != ROBOT_TOKEN {
                    return Reply::ok(&json!({"errcode": 300_001, "errmsg": "token"}));
                }
                if query["sign"] != sign(ROBOT_SECRET, &query["timestamp"]) || time != now {
                    return Reply::ok(&json!({"errcode": 310_000, "errmsg": "sign not match"}));
                }
                self.show("robot:alerts", "session:?", &text("msgtype"), fields);
                ok()
            }
            "POST /v1.0/robot/oToMessages/batchSend" => {
                let user = fields["userIds"][0].as_str().unwrap();
                if user == "nobody" {
                    return Reply::ok(
                        &json!({"processQueryKey": "", "invalidStaffIdList": [user], "flowControlledStaffIdList": []}),
                    );
                }
                self.robot(&format!("staff:{user}"), fields)
            }
            "POST /v1.0/robot/groupMessages/send" => {
                self.robot(&text("openConversationId"), fields)
            }
            "POST /v1.0/robot/otoMessages/batchRecall"
            | "POST /v1.0/robot/groupMessages/recall" => {
                let key = fields["processQueryKeys"][0].as_str().unwrap();
                let before = self.sent.len();
                self.sent.retain(|sent| sent.id != key);
                if self.sent.len() == before {
                    return Reply::ok(&json!({"successResult": [], "failedResult": {key: "gone"}}));
                }
                Reply::ok(&json!({"successResult": [key], "failedResult": {}}))
            }
            "POST /v1.0/robot/emotion/reply" => {
                assert_eq!(fields["emotionName"], fields["textEmotion"]["text"]);
                let row = (
                    text("openMsgId"),
                    text("openConversationId"),
                    text("emotionName"),
                );
                self.reactions.push(row);
                Reply::ok(&json!({"success": true}))
            }
            "POST /v1.0/robot/emotion/recall" => {
                let row = (
                    text("openMsgId"),
                    text("openConversationId"),
                    text("emotionName"),
                );
                self.reactions.retain(|known| *known != row);
                Reply::ok(&json!({"success": true}))
            }
            "POST /v1.0/robot/messageFiles/download" => {
                assert_eq!(fields["robotCode"], APP);
                let code = text("downloadCode");
                if !self.files.contains_key(&code) {
                    return refusal(400, &json!({"code": "invalidParameter.downloadCode"}));
                }
                let url = format!("https://files.example/files/{code}?sig=x");
                Reply::ok(&json!({ "downloadUrl": url }))
            }
            "POST /media/upload" => {
                let query = query(request);
                if query["access_token"] != format!("old-{}", self.old_tokens) {
                    return Reply::ok(&json!({"errcode": 40_014, "errmsg": "token"}));
                }
                let (name, bytes) = uploaded(request);
                self.next_id += 1;
                let id = format!("@lAD{}", self.next_id);
                self.files.insert(id.clone(), (name, bytes));
                Reply::ok(
                    &json!({"errcode": 0, "errmsg": "ok", "media_id": id, "type": query["type"], "created_at": 1}),
                )
            }
            "POST /v1.0/card/instances/createAndDeliver" => self.create(fields),
            "PUT /v1.0/card/streaming" => {
                let id = format!("card:{}", text("outTrackId"));
                let key = text("key");
                let content = fields["content"].clone();
                match self.sent.iter_mut().find(|sent| sent.id == id) {
                    Some(sent) => sent.content[key.as_str()] = content,
                    None => return refusal(404, &json!({"code": "param.outTrackIdInvalid"})),
                }
                Reply::ok(&json!({"success": true, "result": true}))
            }
            "PUT /v1.0/card/instances" => {
                let id = format!("card:{}", text("outTrackId"));
                let Some(sent) = self.sent.iter_mut().find(|sent| sent.id == id) else {
                    return refusal(404, &json!({"code": "param.outTrackIdInvalid"}));
                };
                for (name, value) in fields["cardData"]["cardParamMap"].as_object().unwrap() {
                    assert!(value.is_string());
                    sent.content[name.as_str()] = value.clone();
                }
                Reply::ok(&json!({"success": true, "result": true}))
            }
            other => {
                let code = other.strip_prefix("GET /files/");
                let code = code.unwrap_or_else(|| panic!("{other}"));
                let file = &self.files[code];
                assert!(
                    !request
                        .headers()
                        .contains_key("x-acs-dingtalk-access-token")
                );
                Reply::bytes(StatusCode::OK, file.1.clone())
            }
        }
    }

    fn show(&mut self, chat: &str, id: &str, kind: &str, body: &Value) {
        self.sent.push(Sent {
            chat: chat.to_owned(),
            id: id.to_owned(),
            kind: kind.to_owned(),
            content: body[kind].clone(),
            at: body["at"]["atUserIds"].clone(),
        });
    }

    fn robot(&mut self, chat: &str, fields: &Value) -> Reply {
        assert_eq!(fields["robotCode"], APP);
        let param = fields["msgParam"].as_str().unwrap();
        if param.len() > 15_000 {
            return refusal(400, &json!({"code": "invalidParameter.msgParam.invalid"}));
        }
        self.next_id += 1;
        let id = format!("pqk/+={}", self.next_id);
        self.sent.push(Sent {
            chat: chat.to_owned(),
            id: id.clone(),
            kind: fields["msgKey"].as_str().unwrap().to_owned(),
            content: serde_json::from_str(param).unwrap(),
            at: Value::Null,
        });
        Reply::ok(
            &json!({"processQueryKey": id, "invalidStaffIdList": [], "flowControlledStaffIdList": []}),
        )
    }

    fn create(&mut self, fields: &Value) -> Reply {
        assert_eq!(fields["cardTemplateId"], TEMPLATE);
        let space = fields["openSpaceId"].as_str().unwrap();
        let chat = match space.strip_prefix("dtv1.card//IM_ROBOT.") {
            Some(staff) => {
                assert_eq!(fields["imRobotOpenDeliverModel"]["spaceType"], "IM_ROBOT");
                format!("staff:{staff}")
            }
            None => space
                .strip_prefix("dtv1.card//IM_GROUP.")
                .unwrap()
                .to_owned(),
        };
        let id = format!("card:{}", fields["outTrackId"].as_str().unwrap());
        if !self.sent.iter().any(|sent| sent.id == id) {
            self.sent.push(Sent {
                chat,
                id,
                kind: "card".to_owned(),
                content: fields["cardData"]["cardParamMap"].clone(),
                at: Value::Null,
            });
        }
        Reply::ok(&json!({"success": true, "result": {"deliverResults": [{"success": true}]}}))
    }
}

/// The file of a form.
fn uploaded(request: &Request<Bytes>) -> (String, Bytes) {
    let body = request.body();
    let find = |text: &[u8], from: usize| {
        let at = body[from..].windows(text.len()).position(|it| it == text);
        from + at.unwrap()
    };
    let part = find(b"name=\"media\"; filename=\"", 0);
    let start = find(b"filename=\"", part) + b"filename=\"".len();
    let name = &body[start..find(b"\"\r\n", start)];
    let content = find(b"\r\n\r\n", start) + 4;
    let end = find(b"\r\n--form-", content);
    let name = String::from_utf8(name.to_vec()).unwrap();
    (name, body.slice(content..end))
}
