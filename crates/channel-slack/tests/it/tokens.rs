//! Many workspaces: whose token is used, and when it is replaced.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use channel_core::{
    Channel as _, Clock as _, Error, ErrorKind, OutboundMessage, Result, Secret, Target,
    Webhook as _, async_trait,
};
use channel_slack::{
    Grant, GrantStore, Installed, OauthApp, RotatingTokens, Slack, TokenSource, exchange,
    exchange_form,
};
use channel_testkit::{FakeTransport, Reply};
use serde_json::{Value, json};

use crate::fake::{SECRET, envelope, fields, grouped, signed_at};

#[derive(Debug, Default)]
struct Store {
    grants: Mutex<HashMap<String, Grant>>,
    saves: Mutex<usize>,
    broken: Mutex<bool>,
}

#[async_trait]
impl GrantStore for Store {
    async fn load(&self, workspace: &str) -> Result<Option<Grant>> {
        Ok(self.grants.lock().unwrap().get(workspace).cloned())
    }
    async fn save(&self, workspace: &str, grant: &Grant) -> Result<()> {
        if *self.broken.lock().unwrap() {
            return Err(Error::new(ErrorKind::Unavailable, "the store is away"));
        }
        *self.saves.lock().unwrap() += 1;
        self.grants
            .lock()
            .unwrap()
            .insert(workspace.to_owned(), grant.clone());
        Ok(())
    }
}

const HOUR: Duration = Duration::from_secs(3600);

struct World {
    transport: FakeTransport,
    store: Arc<Store>,
    tokens: Arc<RotatingTokens>,
}

impl World {
    fn new() -> Self {
        let transport = FakeTransport::new();
        let store = Arc::new(Store::default());
        let app = OauthApp::new("1.2", "client-secret");
        let tokens = RotatingTokens::new(
            app,
            store.clone(),
            transport.transport(),
            "https://slack.com/api",
        )
        .unwrap();
        let world = Self {
            transport,
            store,
            tokens: Arc::new(tokens),
        };
        let serial = Mutex::new(0);
        world.transport.http.post("/api/oauth.v2.access", move |request| {
            assert_eq!(request.headers()["authorization"], "Basic MS4yOmNsaWVudC1zZWNyZXQ=");
            let fields = fields(request);
            if fields["refresh_token"] == "xoxe-1-bad" {
                return Reply::ok(&json!({"ok": false, "error": "invalid_refresh_token"}));
            }
            let mut serial = serial.lock().unwrap();
            *serial += 1;
            Reply::ok(&json!({"ok": true, "access_token": format!("xoxe.xoxb-new-{serial}"),
                "refresh_token": format!("xoxe-1-new-{serial}"), "expires_in": 43_200, "token_type": "bot"}))
        });
        world
            .transport
            .http
            .post("/api/chat.postMessage", |request| {
                let token = request.headers()["authorization"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                let fields = fields(request);
                if token.contains("dead") {
                    return Reply::ok(&json!({"ok": false, "error": "token_expired"}));
                }
                Reply::ok(
                    &json!({"ok": true, "channel": fields["channel"], "ts": "1.1", "token": token}),
                )
            });
        world
    }

    fn install(&self, workspace: &str, token: &str, refresh: Option<&str>, left: Duration) {
        let grant = Grant::new(token.into());
        let end = self.transport.clock.now() + left;
        let grant = match refresh {
            Some(refresh) => grant.rotating(refresh.into(), end),
            None => grant,
        };
        self.store
            .grants
            .lock()
            .unwrap()
            .insert(workspace.to_owned(), grant);
    }

    fn slack(&self) -> Slack {
        Slack::builder()
            .token_source(self.tokens.clone())
            .signing_secret(SECRET)
            .transport(self.transport.transport())
            .build()
            .unwrap()
    }

    fn refreshes(&self) -> usize {
        self.transport
            .http
            .requests_to("/api/oauth.v2.access")
            .len()
    }

    fn used(&self) -> Vec<(String, Value)> {
        let calls = self.transport.http.requests_to("/api/chat.postMessage");
        calls
            .iter()
            .map(|call| {
                (
                    call.header("authorization").unwrap().to_owned(),
                    call.json()["channel"].clone(),
                )
            })
            .collect()
    }
}

fn to(chat: &str) -> OutboundMessage {
    OutboundMessage::new(Target::chat(chat), "x")
}

#[test]
fn two_workspaces_never_use_each_others_tokens() {
    let world = World::new();
    world.install("T1", "xoxb-one", None, HOUR);
    world.install("T2", "xoxb-two", None, HOUR);
    let slack = world.slack();
    world.transport.clock.block_on(async {
        // The same channel id in both, as in a shared channel.
        for team in ["T1", "T2"] {
            let mut envelope = envelope(1, grouped("1700000000.000100", "hi"));
            envelope["team_id"] = json!(team);
            let now = world.transport.clock.now();
            let seconds = now
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs()
                .to_string();
            let request = signed_at(
                "/slack/events",
                "application/json",
                envelope.to_string().into(),
                &seconds,
            );
            let event = slack.receive(&request, now).unwrap().events.remove(0);
            let message = event.message().unwrap();
            assert_eq!(message.chat.id.as_str(), format!("{team}/C1"));
            let receipt = slack.send(&message.reply("x")).await.unwrap();
            assert_eq!(receipt.messages[0].chat, message.chat.id);
        }
        let error = slack.send(&to("T3/C1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        for bad in ["C1", "/C1", "T1/", "T1/C1/x"] {
            assert_eq!(
                slack.send(&to(bad)).await.unwrap_err().kind(),
                ErrorKind::Invalid
            );
        }
    });
    let used = world.used();
    assert_eq!(
        used,
        [
            ("Bearer xoxb-one".to_owned(), json!("C1")),
            ("Bearer xoxb-two".to_owned(), json!("C1")),
        ]
    );
}

#[test]
fn a_token_is_refreshed_once_ahead_of_its_end_for_all_who_wait() {
    let world = World::new();
    world.install("T1", "xoxe.xoxb-old", Some("xoxe-1-old"), HOUR * 3);
    world.transport.clock.block_on(async {
        let tokens = &world.tokens;
        assert_eq!(tokens.token("T1").await.unwrap().expose(), "xoxe.xoxb-old");
        assert_eq!(world.refreshes(), 0);
        world
            .transport
            .clock
            .sleep(HOUR + Duration::from_secs(1))
            .await;
        let all = futures_util::future::join_all((0..64).map(|_| tokens.token("T1"))).await;
        let all: std::collections::HashSet<_> = all
            .into_iter()
            .map(|it| it.unwrap().expose().to_owned())
            .collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), ["xoxe.xoxb-new-1"]);
        assert_eq!(
            (world.refreshes(), *world.store.saves.lock().unwrap()),
            (1, 1)
        );
    });
    let kept = world.store.grants.lock().unwrap()["T1"].clone();
    assert_eq!(kept.refresh.unwrap().expose(), "xoxe-1-new-1");
}

#[test]
fn a_new_grant_is_saved_before_it_is_used() {
    let world = World::new();
    world.install("T1", "xoxe.xoxb-old", Some("xoxe-1-old"), HOUR);
    world.transport.clock.block_on(async {
        *world.store.broken.lock().unwrap() = true;
        let error = world.tokens.token("T1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // The exchange has happened: it is saved as soon as that works, and not repeated.
        *world.store.broken.lock().unwrap() = false;
        let token = world.tokens.token("T1").await.unwrap();
        assert_eq!((token.expose(), world.refreshes()), ("xoxe.xoxb-new-1", 1));
    });
}

#[test]
fn a_refused_refresh_is_not_repeated_by_a_crowd_and_the_old_token_lasts_to_its_end() {
    let world = World::new();
    world.install("T1", "xoxe.xoxb-old", Some("xoxe-1-bad"), HOUR);
    world.transport.clock.block_on(async {
        for _ in 0..10 {
            assert_eq!(
                world.tokens.token("T1").await.unwrap().expose(),
                "xoxe.xoxb-old"
            );
        }
        assert_eq!(world.refreshes(), 1);
        world.transport.clock.sleep(HOUR).await;
        for _ in 0..10 {
            let error = world.tokens.token("T1").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        }
        assert_eq!(world.refreshes(), 2);
    });
}

#[test]
fn a_token_that_slack_refuses_is_replaced_and_the_call_made_once_more() {
    let world = World::new();
    world.install("T1", "xoxe.xoxb-dead", Some("xoxe-1-old"), HOUR * 12);
    world.install("T2", "xoxb-dead", None, HOUR);
    let slack = world.slack();
    world.transport.clock.block_on(async {
        slack.send(&to("T1/C1")).await.unwrap();
        assert_eq!(world.used().len(), 2);
        let error = slack.send(&to("T2/C1")).await.unwrap_err();
        assert_eq!(
            (error.kind(), world.used().len()),
            (ErrorKind::Unauthenticated, 3)
        );
        world.tokens.forget("T1");
        world.tokens.forget("T1");
        world.store.grants.lock().unwrap().remove("T1");
        let error = slack.send(&to("T1/C1")).await.unwrap_err();
        assert_eq!(
            (error.kind(), world.used().len()),
            (ErrorKind::Unauthenticated, 3)
        );
    });
}

#[test]
fn an_installation_is_read_and_kept_under_its_workspace() {
    let body = json!({"ok": true, "app_id": "A1", "scope": "chat:write", "token_type": "bot",
        "access_token": "xoxb-synthetic", "bot_user_id": "UBOT", "team": {"id": "T1", "name": "Kit"},
        "enterprise": null, "is_enterprise_install": false, "authed_user": {"id": "U1"}});
    let installed = Installed::from_json(body.to_string().as_bytes()).unwrap();
    assert_eq!(installed.workspace(), Some("T1"));
    let grant = installed.grant(UNIX_EPOCH).unwrap();
    assert!(grant.access.expose() == "xoxb-synthetic" && grant.expires_at.is_none());
    assert!(!format!("{installed:?} {grant:?}").contains("synthetic"));
    let mut whole = body.clone();
    whole["team"] = Value::Null;
    whole["enterprise"] = json!({"id": "E1", "name": "Org"});
    whole["is_enterprise_install"] = json!(true);
    whole["expires_in"] = json!(43_200);
    whole["refresh_token"] = json!("xoxe-1-r");
    let whole = Installed::from_json(whole.to_string().as_bytes()).unwrap();
    assert_eq!(whole.workspace(), Some("E1"));
    let end = whole.grant(UNIX_EPOCH).unwrap().expires_at.unwrap();
    assert_eq!(end, UNIX_EPOCH + HOUR * 12);
    for bad in [
        "",
        "{}",
        r#"{"ok":false,"error":"invalid_code"}"#,
        r#"{"ok":true,"team":5}"#,
    ] {
        let error = Installed::from_json(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
    assert_eq!(
        exchange_form("c&d", "https://x.example/"),
        "code=c%26d&redirect_uri=https%3A%2F%2Fx.example%2F"
    );
}

#[test]
fn a_code_is_exchanged_with_the_apps_credentials() {
    let world = World::new();
    let app = OauthApp::new("1.2", Secret::new("client-secret"));
    let transport = world.transport.transport();
    world.transport.clock.block_on(async {
        let call = exchange(
            &app,
            "code-1",
            "https://x.example/",
            &transport,
            "https://slack.com/api",
        );
        let installed = call.await.unwrap();
        assert_eq!(
            installed.grant(UNIX_EPOCH).unwrap().access.expose(),
            "xoxe.xoxb-new-1"
        );
        let refused = Reply::ok(&json!({"ok": false, "error": "invalid_code"}));
        world.transport.http.once("/api/oauth.v2.access", refused);
        let call = exchange(
            &app,
            "code-1",
            "https://x.example/",
            &transport,
            "https://slack.com/api",
        );
        assert_eq!(call.await.unwrap_err().kind(), ErrorKind::Invalid);
    });
    assert!(!format!("{app:?}").contains("client-secret"));
}
