//! Ways around the signature: a table that is generated for each callback address.
//!
//! Every row is refused with 401 and nothing else, so that nobody learns which step failed;
//! the few that have to pass, pass.

mod contents;
mod writing;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use channel_core::{Channel as _, Clock as _, Webhook};
use http::{HeaderName, HeaderValue, Method, Request};
use sha1::{Digest as _, Sha1};

use crate::sealing::{CORP, NONCE, Platform, TOKEN, Wrap};
use crate::server::{AGENT, Server};

/// A request in parts, to be changed.
#[derive(Clone)]
struct Parts {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(HeaderName, &'static str)>,
    body: Vec<u8>,
}

struct Row {
    family: u8,
    name: String,
    request: Request<Bytes>,
    passes: bool,
}

/// The parts of one good request, and what it takes to make others.
struct Table {
    platform: Platform,
    wrap: Wrap,
    good: Parts,
    encrypted: String,
    signature: String,
    timestamp: String,
    rows: Vec<Row>,
}

fn sign(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    hex::encode(Sha1::digest(sorted.concat()))
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> String {
    let mut block = key.to_vec();
    block.resize(64, 0);
    let pad = |byte: u8| block.iter().map(|key| key ^ byte).collect::<Vec<_>>();
    let inner = Sha1::digest([pad(0x36).as_slice(), message].concat());
    hex::encode(Sha1::digest([pad(0x5c).as_slice(), &inner].concat()))
}

impl Parts {
    fn set(mut self, name: &str, values: &[&str]) -> Self {
        self.query.retain(|(known, _)| known != name);
        for value in values {
            self.query.push((name.to_owned(), (*value).to_owned()));
        }
        self
    }

    fn build(self) -> Request<Bytes> {
        let pairs: Vec<_> = self.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{}?{}", self.path, pairs.join("&")))
            .body(Bytes::from(self.body))
            .unwrap();
        for (name, value) in self.headers {
            request
                .headers_mut()
                .append(name, HeaderValue::from_static(value));
        }
        request
    }
}

impl Table {
    fn new(platform: Platform, plain: &str) -> Self {
        let wrap = platform.wrap;
        let sealed = platform.seal(plain);
        let timestamp = sealed.timestamp.to_string();
        let mut table = Self {
            good: Parts {
                method: Method::POST,
                path: platform.path.to_owned(),
                query: Vec::new(),
                headers: Vec::new(),
                body: Vec::new(),
            },
            encrypted: sealed.encrypt,
            signature: sealed.signature,
            timestamp,
            platform,
            wrap,
            rows: Vec::new(),
        };
        table.good = table.signed(&table.timestamp, NONCE, &table.encrypted);
        table
    }

    fn body(&self, encrypted: &str) -> Vec<u8> {
        match self.wrap {
            Wrap::Xml => format!(
                "<xml><ToUserName>x</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
            ),
            Wrap::Json => serde_json::json!({ "encrypt": encrypted }).to_string(),
        }
        .into_bytes()
    }

    /// A request whose signature is right for what it says.
    fn signed(&self, timestamp: &str, nonce: &str, encrypted: &str) -> Parts {
        let signature = sign(&[TOKEN, timestamp, nonce, encrypted]);
        self.with(&signature, timestamp, nonce, encrypted)
    }

    fn with(&self, signature: &str, timestamp: &str, nonce: &str, encrypted: &str) -> Parts {
        let mut parts = self.good.clone();
        parts.query = [
            ("msg_signature", signature),
            ("timestamp", timestamp),
            ("nonce", nonce),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        parts.body = self.body(encrypted);
        parts
    }

    fn refuse(&mut self, family: u8, name: impl Into<String>, parts: Parts) {
        self.row(family, name.into(), parts, false);
    }

    fn pass(&mut self, family: u8, name: impl Into<String>, parts: Parts) {
        self.row(family, name.into(), parts, true);
    }

    fn row(&mut self, family: u8, name: String, parts: Parts, passes: bool) {
        self.rows.push(Row {
            family,
            name,
            request: parts.build(),
            passes,
        });
    }

    /// Judges every row; how many there are of each family.
    fn judge(self, webhook: &dyn Webhook) -> BTreeMap<u8, usize> {
        let now: SystemTime = UNIX_EPOCH + Duration::from_secs(self.timestamp.parse().unwrap());
        let mut counts = BTreeMap::new();
        for row in &self.rows {
            *counts.entry(row.family).or_default() += 1;
            let verdict = webhook.receive(&row.request, now);
            if row.passes {
                assert!(verdict.is_ok(), "{} {}: {verdict:?}", row.family, row.name);
                continue;
            }
            let rejection = match verdict {
                Ok(accepted) => panic!("{} {}: {accepted:?}", row.family, row.name),
                Err(rejection) => rejection,
            };
            let response = rejection.response();
            assert_eq!(response.status(), 401, "{} {}", row.family, row.name);
            assert!(response.body().is_empty() && response.headers().is_empty());
        }
        counts
    }
}

/// The rows of each callback address: product, families, rows.
pub(crate) fn counts() -> Vec<(&'static str, BTreeMap<u8, usize>)> {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let bot = server.bot().build().unwrap();
    let aibot = crate::aibot::builder(&server).build().unwrap();
    let app_text = format!(
        "<xml><ToUserName>{CORP}</ToUserName><FromUserName>u</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType>\
        <Content>hi</Content><MsgId>1</MsgId><AgentID>{AGENT}</AgentID></xml>"
    );
    let bot_text = "<xml><MsgId>1</MsgId><ChatId>c</ChatId><From><UserId>u</UserId></From><MsgType>text</MsgType><Text><Content>hi</Content></Text></xml>";
    let ai_text = r#"{"msgid":"1","aibotid":"a","from":{"userid":"u"},"msgtype":"text","text":{"content":"hi"}}"#;
    let cases: [(&str, &dyn Webhook, Platform, &str, &str); 3] = [
        (
            "custom app",
            app.as_webhook().unwrap(),
            server.app_callbacks(),
            &app_text,
            CORP,
        ),
        (
            "group bot",
            bot.as_webhook().unwrap(),
            server.bot_callbacks(),
            bot_text,
            "",
        ),
        (
            "AI bot",
            aibot.as_webhook().unwrap(),
            crate::aibot::callbacks(&server),
            ai_text,
            "",
        ),
    ];
    cases
        .into_iter()
        .map(|(name, webhook, platform, plain, receiver)| {
            let mut table = Table::new(platform, plain);
            table.writing();
            table.encodings();
            table.algorithms();
            table.times();
            table.bodies();
            table.routing(plain, receiver);
            table.sealing();
            (name, table.judge(webhook))
        })
        .collect()
}

#[test]
fn every_way_around_the_signature_is_closed() {
    for (name, families) in counts() {
        let rows: usize = families.values().sum();
        assert!(rows >= 400, "{name}: {rows}");
        assert_eq!(families.len(), 13, "{name}: {families:?}");
    }
}

/// Family 7: a request that comes again is let in, and is the same event, so that the host
/// drops it; whatever it says then, the first is the one that counts.
#[test]
fn a_replayed_request_is_the_same_event() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let callbacks = server.app_callbacks();
    let xml = |id: &str, words: &str| {
        format!(
            "<xml><ToUserName>{CORP}</ToUserName><FromUserName>u</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType>\
            <Content>{words}</Content><MsgId>{id}</MsgId><AgentID>{AGENT}</AgentID></xml>"
        )
    };
    let first = callbacks.event(&app, &xml("1", "a")).id;
    assert_eq!(callbacks.event(&app, &xml("1", "a")).id, first);
    assert_eq!(callbacks.event(&app, &xml("1", "other words")).id, first);
    assert_ne!(callbacks.event(&app, &xml("2", "a")).id, first);
    // After a restart, and in a second process.
    let again = server.app().build().unwrap();
    assert_eq!(callbacks.event(&again, &xml("1", "a")).id, first);
    // After its time it is not let in at all.
    let request = callbacks.request(&xml("1", "a"));
    let late = server.fake.clock.now() + Duration::from_secs(301);
    assert!(Webhook::receive(&app, &request, late).is_err());
}

#[test]
fn a_challenge_is_nothing_to_look_at() {
    let server = Server::new();
    let app = server.app().build().unwrap();
    let request = server
        .app_callbacks()
        .challenge("<script>alert(1)</script>");
    let accepted = Webhook::receive(&app, &request, server.fake.clock.now()).unwrap();
    let response = crate::sealing::now(&accepted);
    assert_eq!(response.body(), "<script>alert(1)</script>");
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}
