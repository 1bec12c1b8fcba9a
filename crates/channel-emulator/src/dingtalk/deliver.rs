//! How messages, presses and events reach an app: over one of its stream connections, or by HTTP mode.

use std::sync::Weak;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::config::DingtalkConfig;
use super::crypto::sign;
use super::engine::{Dingtalk, Inner, upgrade};
use super::gateway::frame;
use super::methods::{apply, say, variables};
use super::model::{Author, Delivery, Parcel, Pushed, Via};
use super::state::State;
use crate::client;
use crate::common::faults::take;
use crate::common::json::Parts as _;

/// The most that is read of an answer in HTTP mode.
const MAX_ANSWER: usize = 256 * 1024;
/// Messages to a robot.
pub(crate) const MESSAGES: &str = "/v1.0/im/bot/messages/get";
/// Presses of buttons.
pub(crate) const PRESSES: &str = "/v1.0/card/instances/callback";
/// How far a stale signature is behind, in milliseconds.
const STALE_MS: i64 = 61 * 60 * 1000;

/// A message that HTTP mode posts.
struct Post {
    app: String,
    url: Url,
    parcel: Parcel,
    timestamp: String,
    sign: String,
}

/// Delivers until the platform is gone.
pub(crate) async fn serve(platform: Weak<Inner>) {
    loop {
        let Some(dingtalk) = upgrade(&platform) else {
            return;
        };
        let mut changes = dingtalk.changes();
        let (posts, next, is_news) =
            dingtalk.quietly(|state| state.push_all(dingtalk.config(), Instant::now()));
        if is_news {
            dingtalk.with(|_| ());
        }
        for post in posts {
            tokio::spawn(deliver(dingtalk.clone(), post));
        }
        drop(dingtalk);
        let retry = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = retry => {}
        }
    }
}

impl State {
    /// Pushes what can be pushed now; gives what is to be posted, when to look again, and whether something ended.
    fn push_all(
        &mut self,
        config: &DingtalkConfig,
        now: Instant,
    ) -> (Vec<Post>, Option<Instant>, bool) {
        let before = self.ended;
        let mut posts = Vec::new();
        let mut next: Option<Instant> = None;
        let ids: Vec<String> = self.apps.keys().cloned().collect();
        for id in ids {
            self.expire(config, &id, now);
            self.push_app(config, &id, now, &mut posts);
            let waiting = self.apps.get(&id).map(|app| &app.waiting);
            if let Some((_, first)) = waiting.and_then(|waiting| waiting.first_key_value()) {
                next = Some(next.map_or(first.deadline, |next| next.min(first.deadline)));
            }
        }
        (posts, next, self.ended > before)
    }

    /// Puts back into the queue what was not acknowledged in time.
    fn expire(&mut self, config: &DingtalkConfig, id: &str, now: Instant) {
        let mut again = Vec::new();
        while let Some(app) = self.apps.get_mut(id)
            && let Some(first) = app.waiting.first_entry()
            && first.get().deadline <= now
        {
            let (message_id, mut pushed) = first.remove_entry();
            let is_last = pushed.parcel.attempt >= config.pushes;
            let error = match (is_last, pushed.refused) {
                (true, _) => Some("given_up"),
                (false, false) => Some("timeout"),
                // It was logged when it was refused.
                (false, true) => None,
            };
            if let Some(error) = error {
                let delivery = Delivery {
                    app: id.to_owned(),
                    id: pushed.parcel.id.clone(),
                    message_id,
                    connection: pushed.connection,
                    attempt: pushed.parcel.attempt,
                    status: None,
                    data: Value::Null,
                    error: Some(error),
                };
                self.note(delivery);
            }
            if !is_last {
                pushed.parcel.attempt += 1;
                again.push(pushed.parcel);
            }
        }
        if let Some(app) = self.apps.get_mut(id) {
            app.queue.extend(again);
        }
    }

    fn push_app(&mut self, config: &DingtalkConfig, id: &str, now: Instant, posts: &mut Vec<Post>) {
        let lossy = self.faults.lossy;
        let mut rest = std::collections::VecDeque::new();
        loop {
            let Some(app) = self.apps.get_mut(id) else {
                return;
            };
            let has_way = app.webhook.is_some() || app.connections.iter().any(|one| !one.draining);
            if !has_way && !lossy {
                break;
            }
            let Some(parcel) = app.queue.pop_front() else {
                break;
            };
            let held = app.held.is_some();
            if !held && take(&mut self.faults.reorder) {
                if let Some(app) = self.apps.get_mut(id) {
                    app.held = Some(parcel);
                }
                continue;
            }
            let twice = take(&mut self.faults.duplicate);
            let mut all = vec![parcel.clone()];
            if twice {
                all.push(parcel);
            }
            if held && let Some(app) = self.apps.get_mut(id) {
                all.extend(app.held.take());
            }
            for parcel in all {
                if let Some(parcel) = self.push(config, id, parcel, now, posts) {
                    rest.push_back(parcel);
                }
            }
        }
        if let Some(app) = self.apps.get_mut(id) {
            rest.append(&mut app.queue);
            app.queue = rest;
        }
    }

    /// Pushes one thing; gives it back when there is no way for it.
    fn push(
        &mut self,
        config: &DingtalkConfig,
        id: &str,
        parcel: Parcel,
        now: Instant,
        posts: &mut Vec<Post>,
    ) -> Option<Parcel> {
        let message_id = self.id("");
        let pick = self.random();
        let now_ms = self.now_ms;
        let (silent, lossy) = (self.faults.silent, self.faults.lossy);
        let app = self.apps.get_mut(id)?;
        if parcel.topic == MESSAGES
            && let Some(url) = app.webhook.clone()
        {
            let secret = if take(&mut self.faults.forge) {
                "another secret"
            } else {
                &app.secret.0
            };
            let late = i64::from(take(&mut self.faults.stale)) * STALE_MS;
            let timestamp = (now_ms - late).to_string();
            posts.push(Post {
                app: id.to_owned(),
                url,
                sign: sign(secret, &timestamp),
                timestamp,
                parcel,
            });
            return None;
        }
        // Each frame goes to one of the connections that want it.
        let able = app
            .connections
            .iter()
            .filter(|one| one.takes(parcel.kind, &parcel.topic));
        let able: Vec<_> = able.collect();
        let count = u64::try_from(able.len()).unwrap_or(u64::MAX);
        let chosen = pick
            .checked_rem(count)
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| able.get(at));
        let Some(connection) = chosen else {
            if !lossy {
                return Some(parcel);
            }
            let delivery = Delivery {
                app: id.to_owned(),
                id: parcel.id,
                message_id: String::new(),
                connection: String::new(),
                attempt: parcel.attempt,
                status: None,
                data: Value::Null,
                error: Some("lost"),
            };
            self.note(delivery);
            return None;
        };
        let mut headers = json!({
            "appId": app.app_id,
            "connectionId": connection.id,
            "contentType": "application/json",
            "messageId": message_id,
            "time": now_ms.to_string(),
            "topic": parcel.topic,
        });
        for (name, value) in &parcel.headers {
            headers.set(name, json!(value));
        }
        // Of a silent platform nothing arrives; it believes to have sent it.
        if !silent
            && !connection
                .socket
                .text(frame(parcel.kind, &headers, &parcel.data))
        {
            return Some(parcel);
        }
        let pushed = Pushed {
            connection: connection.id.clone(),
            parcel,
            deadline: now + config.redelivery,
            refused: false,
        };
        app.waiting.insert(message_id, pushed);
        None
    }

    /// An answer to something that was pushed over a connection.
    pub(crate) fn acknowledged(
        &mut self,
        app: &str,
        connection: &str,
        message_id: &str,
        code: i64,
        data: &Value,
    ) {
        let Some(owner) = self.apps.get_mut(app) else {
            return;
        };
        let Some(pushed) = owner.waiting.get_mut(message_id) else {
            return;
        };
        // An acknowledgement counts on the connection on which the frame came, and once.
        if pushed.connection != connection || pushed.refused {
            return;
        }
        let later = pushed.parcel.kind == "EVENT" && data.at("status") == "LATER";
        let error = match (code, later) {
            (200, false) => None,
            (200, true) => Some("later"),
            _ => Some("refused"),
        };
        pushed.refused = error.is_some();
        let parcel = pushed.parcel.clone();
        if error.is_none() {
            owner.waiting.remove(message_id);
        }
        let delivery = Delivery {
            app: app.to_owned(),
            id: parcel.id.clone(),
            message_id: message_id.to_owned(),
            connection: connection.to_owned(),
            attempt: parcel.attempt,
            status: Some(code),
            data: data.clone(),
            error,
        };
        self.note(delivery);
        if parcel.topic == PRESSES {
            self.answered(&parcel.id, error.is_none().then_some(data));
        }
    }

    /// The answer to a press, or that there was none of use.
    fn answered(&mut self, id: &str, answer: Option<&Value>) {
        let Some(press) = self.presses.iter_mut().find(|press| press.id == id) else {
            return;
        };
        press.failed = answer.is_none();
        let Some(answer) = answer else { return };
        let response = answer.at("response");
        press.answer = Some(response.clone());
        let user = press.user.clone();
        let private = response.at("userPrivateData");
        if let Some(card) = self.cards.get_mut(&press.card)
            && let Ok(variables) = variables(response)
            && response.is_object()
        {
            if private.is_object() {
                card.private.insert(user, private.clone());
            }
            if response.at("cardData").is_object() {
                apply(card, variables, response);
            }
        }
    }
}

/// Posts a message in HTTP mode. The answer may hold a message, which goes into the conversation.
async fn deliver(dingtalk: Dingtalk, post: Post) {
    let mut headers = vec![(
        "content-type",
        HeaderValue::from_static("application/json; charset=utf-8"),
    )];
    for (name, value) in [("timestamp", &post.timestamp), ("sign", &post.sign)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((name, value));
        }
    }
    let body = Bytes::from(post.parcel.data.to_string());
    let timeout = dingtalk.config().answer_timeout;
    let result = client::request(Method::POST, &post.url, headers, body, MAX_ANSWER, timeout).await;
    let (status, data, mut error) = match result {
        Ok((status, answer)) => (
            Some(i64::from(status)),
            serde_json::from_slice(&answer).unwrap_or_default(),
            (status != 200).then_some("refused"),
        ),
        Err(why) if why == "Read timeout expired" => (None, Value::Null, Some("timeout")),
        Err(_) => (None, Value::Null, Some("could_not_connect")),
    };
    dingtalk.with(|state| {
        if error.is_none() && !data.text("msgtype").is_empty() {
            let author = Author::App(post.app.clone());
            let chat = post.parcel.data.text("conversationId").to_owned();
            if say(state, author, &chat, Via::Answer, &data).is_err() {
                error = Some("refused");
            }
        }
        let delivery = Delivery {
            app: post.app,
            id: post.parcel.id,
            message_id: String::new(),
            connection: String::new(),
            attempt: post.parcel.attempt,
            status,
            data,
            error,
        };
        state.note(delivery);
    });
}
