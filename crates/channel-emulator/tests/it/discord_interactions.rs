//! Commands, components and modals, over the gateway and to an endpoint.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::any;
use channel_emulator::Server;
use channel_emulator::discord::{ActionError, Ask, DiscordConfig};
use ed25519_dalek::{Signature, VerifyingKey};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::discord_api::World;
use crate::line_api::{Answered, PATIENCE};

impl World {
    /// Registers commands of the application.
    async fn register(&self, commands: Value) -> Answered {
        let path = format!("/applications/{}/commands", self.bot);
        self.call(Method::PUT, &path, &commands).await
    }

    /// A command with one text, asked for by Ada; gives what the gateway said.
    async fn asked(&self) -> Value {
        let (mut line, _) = self.ready().await;
        let option = json!({"name": "q", "description": "What", "type": 3, "required": true});
        let command = json!({"name": "ask", "description": "Asks", "options": [option]});
        assert_eq!(self.register(json!([command])).await.status, 200);
        self.run("ask").unwrap();
        line.event("INTERACTION_CREATE").await["d"].clone()
    }

    fn run(&self, name: &str) -> Result<u64, ActionError> {
        let options = BTreeMap::from([("q".to_owned(), json!("hi"))]);
        let name = name.to_owned();
        self.ask(
            self.bot,
            self.general,
            self.ada,
            Ask::Command { name, options },
        )
    }

    async fn answer(&self, asked: &Value, body: Value) -> Answered {
        let id = asked["id"].as_str().unwrap();
        let token = asked["token"].as_str().unwrap();
        let path = format!("/interactions/{id}/{token}/callback");
        self.send(
            Method::POST,
            &path,
            &[("authorization", "")],
            &body.to_string(),
        )
        .await
    }

    async fn webhook(&self, method: Method, asked: &Value, rest: &str, body: Value) -> Answered {
        let token = asked["token"].as_str().unwrap();
        let path = format!("/webhooks/{}/{token}{rest}", self.bot);
        self.send(method, &path, &[("authorization", "")], &body.to_string())
            .await
    }
}

#[tokio::test]
async fn commands_are_checked_replaced_and_kept_apart_by_guild() {
    let world = World::new().await;
    world.faults().rate_limits(false);
    let command = |name: &str| json!({"name": name, "description": "d"});
    let first = world
        .register(json!([command("a"), command("b")]))
        .await
        .json();
    assert_eq!(first[0]["application_id"], world.bot.to_string());
    let second = world.register(json!([command("b")])).await.json();
    assert_eq!(second[0]["id"], first[1]["id"], "a name keeps its id");
    for wrong in [
        json!([command("Upper")]),
        json!([command("two words")]),
        json!([{"name": "x"}]),
        json!([command("a"), command("a")]),
        json!({}),
    ] {
        let refused = world.register(wrong.clone()).await;
        assert_eq!(refused.json()["code"], 50035, "{wrong}");
    }
    let many: Vec<Value> = (0..101)
        .map(|number| command(&format!("c{number}")))
        .collect();
    assert_eq!(world.register(many.into()).await.json()["code"], 30032);
    let path = format!(
        "/applications/{}/guilds/{}/commands",
        world.bot, world.guild
    );
    assert_eq!(
        world
            .call(Method::POST, &path, &command("local"))
            .await
            .status,
        201
    );
    assert_eq!(
        world
            .call(Method::POST, &path, &command("local"))
            .await
            .status,
        200
    );
    assert!(world.run("nowhere").is_err());
    let foreign = world
        .call(Method::GET, "/applications/1/commands", &Value::Null)
        .await;
    assert_eq!(foreign.json()["code"], 10002);
}

#[tokio::test]
async fn an_interaction_is_answered_once_and_in_three_seconds() {
    let world = World::new().await;
    let asked = world.asked().await;
    assert_eq!(
        asked["data"]["options"],
        json!([{"name": "q", "type": 3, "value": "hi"}])
    );
    assert_eq!(
        (&asked["type"], &asked["member"]["user"]["id"]),
        (&json!(2), &json!(world.ada.to_string()))
    );
    let text = || json!({"type": 4, "data": {"content": "hello"}});
    assert_eq!(
        world
            .answer(&asked, json!({"type": 8, "data": {"choices": []}}))
            .await
            .json()["code"],
        50035
    );
    assert_eq!(world.answer(&asked, text()).await.status, 204);
    assert_eq!(world.answer(&asked, text()).await.json()["code"], 40060);
    let sent = &world.sent(world.bot)[0];
    assert_eq!((sent.kind, sent.text.as_str()), (20, "hello"));
    let late = world.run("ask").unwrap();
    world.advance(Duration::from_secs(4));
    let body = json!({"id": late.to_string(), "token": world.token_of(late)});
    assert_eq!(world.answer(&body, text()).await.json()["code"], 10062);
    assert_eq!(world.interaction(late).unwrap().answered, None);
}

#[tokio::test]
async fn a_deferral_is_filled_by_what_follows_and_lives_fifteen_minutes() {
    let world = World::new().await;
    let asked = world.asked().await;
    let text = |text: &str| json!({"content": text});
    let early = world
        .webhook(Method::POST, &asked, "", text("too early"))
        .await;
    assert_eq!(early.json()["code"], 10015);
    let defer = json!({"type": 5, "data": {"flags": 64 | 4}});
    let path_query = world.answer(&asked, defer).await;
    assert_eq!(path_query.status, 204);
    let waiting = world
        .webhook(Method::GET, &asked, "/messages/@original", Value::Null)
        .await
        .json();
    assert_eq!(
        waiting["flags"],
        64 | 128,
        "loading, and of the flags only this one"
    );
    let first = world
        .webhook(Method::POST, &asked, "", text("first"))
        .await
        .json();
    assert_eq!(
        (&first["id"], &first["flags"]),
        (&waiting["id"], &json!(64))
    );
    let second = world
        .webhook(Method::POST, &asked, "", text("second"))
        .await
        .json();
    assert_ne!(second["id"], first["id"]);
    let edited = world
        .webhook(
            Method::PATCH,
            &asked,
            "/messages/@original",
            text("changed"),
        )
        .await;
    assert_eq!(edited.json()["content"], "changed");
    let rest = format!("/messages/{}", second["id"].as_str().unwrap());
    assert_eq!(
        world
            .webhook(Method::DELETE, &asked, &rest, Value::Null)
            .await
            .status,
        204
    );
    let texts: Vec<_> = world
        .sent(world.bot)
        .into_iter()
        .map(|sent| (sent.text, sent.only_for))
        .collect();
    assert_eq!(texts, [("changed".to_owned(), Some(world.ada))]);
    world.advance(Duration::from_secs(15 * 60 + 1));
    let late = world.webhook(Method::POST, &asked, "", text("late")).await;
    assert_eq!((late.status, &late.json()["code"]), (401, &json!(50027)));
}

#[tokio::test]
async fn buttons_menus_and_modals_carry_what_was_chosen() {
    let world = World::new().await;
    let (mut line, _) = world.ready().await;
    let button = json!({"type": 2, "style": 1, "label": "A", "custom_id": "a"});
    let menu = json!({"type": 3, "custom_id": "m", "options": [{"label": "x", "value": "x"}]});
    let rows = json!([{"type": 1, "components": [button]}, {"type": 1, "components": [menu]}]);
    let sent = world
        .write(json!({"content": "choose", "components": rows}))
        .await
        .json();
    line.event("MESSAGE_CREATE").await;
    let message: u64 = sent["id"].as_str().unwrap().parse().unwrap();
    let press = |custom_id: &str, values: &[&str]| {
        let custom_id = custom_id.to_owned();
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        world.ask(
            world.bot,
            world.general,
            world.ada,
            Ask::Component {
                message,
                custom_id,
                values,
            },
        )
    };
    assert!(press("b", &[]).is_err());
    assert!(press("m", &["y"]).is_err());
    press("m", &["x"]).unwrap();
    let asked = line.event("INTERACTION_CREATE").await["d"].clone();
    assert_eq!(
        (&asked["data"]["values"], asked["data"].get("resolved")),
        (&json!(["x"]), None)
    );
    assert_eq!(world.answer(&asked, json!({"type": 6})).await.status, 204);
    press("a", &[]).unwrap();
    let asked = line.event("INTERACTION_CREATE").await["d"].clone();
    assert_eq!(
        (&asked["data"]["component_type"], &asked["message"]["id"]),
        (&json!(2), &sent["id"])
    );
    let input = json!({"type": 1, "components": [{"type": 4, "custom_id": "n", "style": 1, "label": "Name"}]});
    let modal =
        json!({"type": 9, "data": {"custom_id": "who", "title": "Who?", "components": [input]}});
    assert_eq!(world.answer(&asked, modal).await.status, 204);
    let interaction = asked["id"].as_str().unwrap().parse().unwrap();
    let values = BTreeMap::from([("n".to_owned(), "Ada".to_owned())]);
    world
        .ask(
            world.bot,
            world.general,
            world.ada,
            Ask::Modal {
                interaction,
                values,
            },
        )
        .unwrap();
    let asked = line.event("INTERACTION_CREATE").await["d"].clone();
    assert_eq!(
        asked["data"]["components"][0]["components"][0]["value"],
        "Ada"
    );
    let update = json!({"type": 7, "data": {"content": "thanks", "components": []}});
    assert_eq!(world.answer(&asked, update).await.status, 204);
    assert_eq!(line.event("MESSAGE_UPDATE").await["d"]["content"], "thanks");
}

/// An endpoint that verifies, notes and answers.
struct Endpoint {
    key: VerifyingKey,
    notes: Mutex<Vec<(bool, Value)>>,
    answer: Mutex<(u16, Value)>,
}

async fn endpoint(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let signature = hex(&text("x-signature-ed25519"));
    let signed = [text("x-signature-timestamp").as_bytes(), &body].concat();
    let valid = Signature::from_slice(&signature)
        .is_ok_and(|signature| endpoint.key.verify_strict(&signed, &signature).is_ok());
    let value: Value = serde_json::from_slice(&body).unwrap();
    let version = value.get("version") == Some(&json!(1));
    let (ping, event) = (value["type"] == 1, version && value.get("token").is_none());
    endpoint.notes.lock().unwrap().push((valid, value));
    if !valid {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    if event {
        let (status, _) = endpoint.answer.lock().unwrap().clone();
        return (StatusCode::from_u16(status).unwrap(), String::new());
    }
    if ping {
        return (StatusCode::OK, json!({"type": 1}).to_string());
    }
    let (status, answer) = endpoint.answer.lock().unwrap().clone();
    (StatusCode::from_u16(status).unwrap(), answer.to_string())
}

impl World {
    /// An endpoint of the bot that answers with this.
    async fn listen(&self, status: u16, answer: Value) -> (Server, Arc<Endpoint>) {
        let key = hex(&self.public_key(self.bot).unwrap());
        let notes = Arc::new(Endpoint {
            key: VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap(),
            notes: Mutex::new(Vec::new()),
            answer: Mutex::new((status, answer)),
        });
        let router = Router::new()
            .fallback(any(endpoint))
            .with_state(Arc::clone(&notes));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        (Server::start(address, router).await.unwrap(), notes)
    }
}

#[tokio::test]
async fn webhook_events_are_answered_with_204_and_come_again_otherwise() {
    let config = DiscordConfig::default().event_retry(Duration::from_millis(10));
    let world = World::with(config).await;
    let (server, notes) = world.listen(200, Value::Null).await;
    let body = json!({ "event_webhooks_url": server.base_url() });
    let set = async || world.call(Method::PATCH, "/applications/@me", &body).await;
    assert_eq!(
        set().await.json()["code"],
        50035,
        "200 is no answer to this ping"
    );
    notes.answer.lock().unwrap().0 = 204;
    assert_eq!(
        set().await.json()["event_webhooks_url"],
        format!("{}/", server.base_url())
    );
    notes.answer.lock().unwrap().0 = 500;
    world
        .webhook_event(world.bot, "APPLICATION_DEAUTHORIZED", &json!({"user": {}}))
        .unwrap();
    let tried = |count: usize| {
        world.wait_for(PATIENCE, move |discord| {
            (discord.deliveries().len() >= count).then_some(())
        })
    };
    tried(2).await.unwrap();
    notes.answer.lock().unwrap().0 = 204;
    let last = world
        .wait_for(PATIENCE, |discord| {
            discord
                .deliveries()
                .pop()
                .filter(|last| last.error.is_none())
        })
        .await
        .unwrap();
    assert_eq!((last.status, last.interaction), (Some(204), None));
    let (valid, event) = notes.notes.lock().unwrap().last().cloned().unwrap();
    assert!(valid);
    assert_eq!(
        (&event["type"], &event["event"]["type"]),
        (&json!(1), &json!("APPLICATION_DEAUTHORIZED"))
    );
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

#[tokio::test]
async fn an_endpoint_is_tried_and_then_gets_what_the_gateway_no_longer_does() {
    let world = World::new().await;
    let answer = json!({"type": 4, "data": {"content": "over HTTP"}});
    let (server, notes) = world.listen(200, answer).await;
    let body = json!({ "interactions_endpoint_url": server.base_url() });
    let set = world.call(Method::PATCH, "/applications/@me", &body).await;
    assert_eq!(set.status, 200);
    let tried: Vec<bool> = notes
        .notes
        .lock()
        .unwrap()
        .iter()
        .map(|(valid, _)| *valid)
        .collect();
    assert_eq!(
        tried,
        [true, false],
        "a ping, and one with a wrong signature"
    );
    let (mut line, _) = world.ready().await;
    world
        .register(json!([{"name": "plain", "description": "d"}]))
        .await;
    let run = || {
        let options = BTreeMap::new();
        let ask = Ask::Command {
            name: "plain".into(),
            options,
        };
        world.ask(world.bot, world.general, world.ada, ask).unwrap()
    };
    let done = async |count: usize| {
        world
            .wait_for(PATIENCE, |discord| {
                let deliveries = discord.deliveries();
                (deliveries.len() == count).then(|| deliveries.last().cloned().unwrap())
            })
            .await
            .unwrap()
    };
    run();
    assert_eq!(done(1).await.error, None);
    assert_eq!(
        line.event("MESSAGE_CREATE").await["d"]["content"],
        "over HTTP"
    );
    assert!(line.is_quiet().await, "no INTERACTION_CREATE");
    world.faults().wrong_signatures(1);
    run();
    let refused = done(2).await;
    assert_eq!((refused.status, refused.wrong_signature), (Some(401), true));
    *notes.answer.lock().unwrap() = (200, json!({"type": 8}));
    run();
    assert_eq!(done(3).await.error.as_deref(), Some("Invalid Form Body"));
    *notes.answer.lock().unwrap() = (202, Value::Null);
    let asked = run();
    assert_eq!(done(4).await.status, Some(202));
    let body = json!({"id": asked.to_string(), "token": world.token_of(asked)});
    let answer = json!({"type": 4, "data": {"content": "by callback"}});
    assert_eq!(world.answer(&body, answer).await.status, 204);
    drop(server);
    let refused = world
        .call(
            Method::PATCH,
            "/applications/@me",
            &json!({"interactions_endpoint_url": "http://127.0.0.1:9/"}),
        )
        .await;
    assert_eq!(refused.json()["code"], 50035);
}
