//! What the calls of the bot do.

use bytes::Bytes;
use channel_testkit::Reply;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{APP, DIRECT, ME, Sent, State};

impl State {
    pub(super) fn act(
        &mut self,
        request: &Request<Bytes>,
        parts: &[&str],
        fields: Value,
        files: Vec<(String, Bytes)>,
    ) -> Result<Value, (u16, u64)> {
        let method = request.method().as_str();
        let found = |state: &Self, id: &str| {
            let at = state.sent.iter().position(|sent| sent.id == id);
            at.ok_or((404, 10_008))
        };
        match (method, parts) {
            ("GET", ["users", "@me"]) => {
                Ok(json!({"id": ME, "username": "kitbot", "global_name": null, "bot": true}))
            }
            ("GET", ["applications", "@me"]) => Ok(json!({"id": APP})),
            ("GET", ["gateway", "bot"]) => Ok(json!({
                "url": "wss://gateway.discord.example/", "shards": self.shards,
                "session_start_limit": {"total": 1000, "remaining": self.remaining, "reset_after": 14_400_000, "max_concurrency": 1},
            })),
            ("PUT", ["applications", APP, "commands"]) => {
                let names = fields.as_array().unwrap().iter();
                self.commands = names
                    .map(|it| it["name"].as_str().unwrap().to_owned())
                    .collect();
                Ok(fields)
            }
            ("POST", ["users", "@me", "channels"]) => Ok(json!({"id": DIRECT})),
            ("POST", ["channels", chat, "messages"]) => Ok(self.create(chat, fields, files)),
            ("GET", ["channels", chat, "messages"]) => Ok(self.history(request, chat)),
            ("PATCH", ["channels", _, "messages", id]) => {
                let at = found(self, id)?;
                self.sent[at].fields = fields;
                Ok(self.sent[at].json())
            }
            ("DELETE", ["channels", _, "messages", id]) => {
                let at = found(self, id)?;
                self.sent.remove(at);
                Ok(Value::Null)
            }
            ("POST", ["channels", _, "messages", id, "threads"]) => Ok(json!({"id": id})),
            ("PUT" | "DELETE", ["channels", _, "messages", id, "reactions", emoji, "@me"]) => {
                let emoji = percent_encoding::percent_decode_str(emoji);
                let row = ((*id).to_owned(), emoji.decode_utf8().unwrap().into_owned());
                self.reactions.retain(|known| *known != row);
                if method == "PUT" {
                    self.reactions.push(row);
                }
                Ok(Value::Null)
            }
            ("POST", ["channels", _, "typing"]) => {
                self.typing += 1;
                Ok(Value::Null)
            }
            ("POST", ["interactions", id, _, "callback"]) => {
                if self.callbacks.iter().any(|(known, _)| known == id) {
                    return Err((400, 40_060));
                }
                self.callbacks.push(((*id).to_owned(), fields));
                Ok(Value::Null)
            }
            ("PATCH", ["webhooks", _, token, "messages", "@original"]) => {
                let id = format!("88{}", token.len());
                self.sent.retain(|sent| sent.id != id);
                self.sent.push(Sent {
                    chat: DIRECT.to_owned(),
                    id,
                    files,
                    fields,
                });
                Ok(self.sent.last().unwrap().json())
            }
            ("PATCH", ["webhooks", _, _, "messages", id]) => {
                let at = found(self, id)?;
                self.sent[at].fields = fields;
                Ok(self.sent[at].json())
            }
            ("POST", ["webhooks", _, _]) => {
                if fields["flags"] == json!(64) {
                    self.notices += 1;
                    return Ok(json!({"id": "1", "channel_id": DIRECT}));
                }
                Ok(self.create(DIRECT, fields, files))
            }
            _ => Err((404, 0)),
        }
    }

    fn create(&mut self, chat: &str, fields: Value, files: Vec<(String, Bytes)>) -> Value {
        let nonce = fields["nonce"].as_str();
        if nonce.is_some() && fields["enforce_nonce"] == json!(true) {
            let known = self
                .sent
                .iter()
                .find(|sent| sent.fields["nonce"].as_str() == nonce);
            if let Some(known) = known {
                return known.json();
            }
        }
        assert!(nonce.is_none_or(|nonce| nonce.len() <= 25));
        let id = self.id().to_string();
        self.sent.push(Sent {
            chat: chat.to_owned(),
            id,
            files,
            fields,
        });
        self.sent.last().unwrap().json()
    }

    fn history(&self, request: &Request<Bytes>, chat: &str) -> Value {
        let query = request.uri().query().unwrap();
        let of = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.to_owned())
        };
        let before = of("before").and_then(|id| id.parse::<u64>().ok());
        let limit: usize = of("limit").unwrap().parse().unwrap();
        let all = self.sent.iter().rev().filter(|sent| sent.chat == chat);
        let all = all.filter(|sent| before.is_none_or(|it| sent.id.parse::<u64>().unwrap() < it));
        all.take(limit).map(Sent::json).collect()
    }
}

impl Sent {
    fn json(&self) -> Value {
        json!({"id": self.id, "channel_id": self.chat, "type": 0, "content": self.fields["content"],
            "author": {"id": ME, "username": "kitbot", "bot": true}})
    }
}

pub(super) fn refusal(status: u16, code: u64) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply::json(status, &json!({"code": code, "message": "no"}))
}

/// The fields of a request, and its files.
pub(crate) fn fields(request: &Request<Bytes>) -> (Value, Vec<(String, Bytes)>) {
    let Some(content_type) = request.headers().get("content-type") else {
        return (Value::Null, Vec::new());
    };
    let content_type = content_type.to_str().unwrap();
    if content_type.starts_with("application/json") {
        return (serde_json::from_slice(request.body()).unwrap(), Vec::new());
    }
    let boundary = format!("--{}", content_type.split_once("boundary=").unwrap().1);
    let find = |bytes: &[u8], wanted: &[u8]| memchr::memmem::find(bytes, wanted);
    let mut fields = Value::Null;
    let mut files = Vec::new();
    let mut rest = request.body().clone();
    while let Some(at) = find(&rest, boundary.as_bytes()) {
        rest = rest.slice(at + boundary.len()..);
        let end = find(&rest, boundary.as_bytes()).unwrap_or(rest.len());
        let part = rest.slice(..end);
        let Some(split) = find(&part, b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(part[..split].to_vec()).unwrap();
        let body = part.slice(split + 4..part.len() - 2);
        if head.contains("name=\"payload_json\"") {
            fields = serde_json::from_slice(&body).unwrap();
        } else {
            let name = head.split_once("filename=\"").unwrap().1;
            let name = name.split_once('"').unwrap().0;
            files.push((name.to_owned(), body));
        }
    }
    assert_eq!(fields["attachments"].as_array().unwrap().len(), files.len());
    (fields, files)
}
