//! Administrators set platforms up while the program runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use channel_binding::{
    Caller, CookieSessions, CredentialField, OwnerApi, OwnerAuth, Runtime, RuntimeSettings,
    RuntimeValues,
};
use channel_core::{Error, ErrorKind, OwnerId, Platform, Result, Secret, async_trait};
use channel_testkit::{SeededRandom, assert_absent, canary};
use http::StatusCode;
use serde_json::json;

use crate::fixture::{ACME, Kind, Kit};
use crate::web::{Answer, send_body, sessions};

const SETTINGS: &str = "/connect/api/runtime/acme";

/// A channel that starts with every token but `broken`, and remembers what it did.
#[derive(Debug, Default)]
struct Channels {
    did: Mutex<Vec<String>>,
    stuck: Mutex<bool>,
}

impl Channels {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.did.lock().unwrap())
    }
}

#[async_trait]
impl Runtime for Channels {
    fn fields(&self, platform: &Platform) -> Vec<CredentialField> {
        if *platform != ACME {
            return Vec::new();
        }
        vec![
            CredentialField::secret("token", "Token"),
            CredentialField::plain("name", "Name of the bot").optional(),
        ]
    }

    async fn start(&self, _: &Platform, values: &RuntimeValues) -> Result<()> {
        let token = values.get("token").map_or("", Secret::expose);
        self.did.lock().unwrap().push(format!("start {token}"));
        match token {
            "broken" => Err(Error::config("the platform does not know the token")),
            _ => Ok(()),
        }
    }

    async fn stop(&self, _: &Platform) -> Result<()> {
        self.did.lock().unwrap().push("stop".to_owned());
        match *self.stuck.lock().unwrap() {
            true => Err(Error::new(ErrorKind::Unavailable, "it does not stop")),
            false => Ok(()),
        }
    }
}

/// `root` administers.
#[derive(Debug)]
struct Staff(Arc<CookieSessions>);

#[async_trait]
impl OwnerAuth for Staff {
    async fn caller(&self, headers: &http::HeaderMap) -> Option<Caller> {
        let caller = self.0.caller(headers).await?;
        let admin = caller.owner.as_str() == "root";
        Some(caller.admin(admin))
    }
}

struct Site {
    kit: Kit,
    router: Router,
    sessions: Arc<CookieSessions>,
    channels: Arc<Channels>,
    settings: Arc<RuntimeSettings>,
    path: PathBuf,
}

async fn site() -> Site {
    let kit = Kit::new(Kind::Memory).await;
    let folder = kit.database.url.trim_start_matches("sqlite:").to_owned();
    let path = PathBuf::from(folder).with_file_name("runtime.json");
    let channels = Arc::new(Channels::default());
    let settings = Arc::new(RuntimeSettings::open(&path, channels.clone()).unwrap());
    let sessions = Arc::new(sessions(&kit.clock));
    let auth = Staff(sessions.clone());
    let router = OwnerApi::new(kit.bindings.clone(), auth, &SeededRandom::new(4))
        .runtime(settings.clone())
        .router()
        .unwrap();
    Site {
        kit,
        router,
        sessions,
        channels,
        settings,
        path,
    }
}

impl Site {
    async fn send(&self, owner: &str, method: &str, path: &str, body: String) -> Answer {
        let set = self.sessions.sign_in(&OwnerId::new(owner)).unwrap();
        let cookie = set.to_str().unwrap().split(';').next().unwrap();
        let get = [("cookie", cookie)];
        let page = send_body(&self.router, "GET", "/connect", &get, String::new()).await;
        let token = page.text.split(r#"csrf-token" content=""#).nth(1).unwrap();
        let token = token.split('"').next().unwrap();
        let headers = [
            ("cookie", cookie),
            ("x-csrf-token", token),
            ("content-type", "application/json"),
        ];
        send_body(&self.router, method, path, &headers, body).await
    }

    async fn set(&self, values: serde_json::Value) -> Answer {
        self.send("root", "PUT", SETTINGS, values.to_string()).await
    }

    async fn token(&self) -> Option<String> {
        let values = self.settings.values(&ACME, BTreeMap::new()).await;
        values.get("token").map(|token| token.expose().to_owned())
    }
}

#[tokio::test]
async fn secrets_are_masked_and_the_mask_keeps_them() {
    let site = site().await;
    let token = canary();
    let set = site.set(json!({"token": token, "name": "Kit"})).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
    assert_eq!(set.json()[0]["value"], "********");
    assert_eq!(set.json()[1]["value"], "Kit");
    assert_absent(&token, &set.text);
    let list = site
        .send("root", "GET", "/connect/api/platforms/acme", String::new())
        .await;
    assert_eq!(list.json()["fields"][0]["value"], "********");
    assert_absent(&token, &list.text);
    assert_absent(&token, &format!("{:?}", site.settings));

    let set = site
        .set(json!({"token": "********", "name": "Kit 2"}))
        .await;
    assert_eq!(set.json()[1]["value"], "Kit 2");
    assert_eq!(site.token().await, Some(token.clone()));
    // What was set while running wins over the file of the program, also after a restart.
    let file = BTreeMap::from([("token".to_owned(), Secret::new("of the file"))]);
    let again = RuntimeSettings::open(&site.path, site.channels.clone()).unwrap();
    assert_eq!(
        again.values(&ACME, file.clone()).await["token"].expose(),
        token
    );
    let other = again.values(&Platform::new("other"), file).await;
    assert_eq!(other["token"].expose(), "of the file");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_of_the_file_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = site().await;
    // A leftover of a crash, open to everybody.
    let beside = site.path.with_extension("new");
    std::fs::write(&beside, "half").unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o666)).unwrap();
    site.set(json!({"token": "t"})).await;
    let mode = std::fs::metadata(&site.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!beside.exists());
}

/// Whoever has the file open when it changes reads the whole of the old one.
#[cfg(unix)]
#[tokio::test]
async fn the_file_is_replaced_as_a_whole() {
    use std::io::Read as _;
    let site = site().await;
    site.set(json!({"token": "old"})).await;
    let mut open = std::fs::File::open(&site.path).unwrap();
    site.set(json!({"token": "new"})).await;
    let mut before = String::new();
    open.read_to_string(&mut before).unwrap();
    let before: serde_json::Value = serde_json::from_str(&before).unwrap();
    assert_eq!(before["acme"]["token"], "old");
    assert!(std::fs::read_to_string(&site.path).unwrap().contains("new"));
}

#[tokio::test]
async fn what_cannot_be_written_is_rolled_back() {
    let site = site().await;
    site.set(json!({"token": "good"})).await;
    let before = std::fs::read_to_string(&site.path).unwrap();
    site.channels.take();
    // Nothing can be written where a folder is.
    std::fs::create_dir(site.path.with_extension("new")).unwrap();
    assert_eq!(
        site.set(json!({"token": "next"})).await.error(),
        (503, "settings_unavailable".into())
    );
    assert_eq!(site.channels.take(), ["start next", "start good"]);
    assert_eq!(site.token().await.as_deref(), Some("good"));
    assert_eq!(std::fs::read_to_string(&site.path).unwrap(), before);
}

#[tokio::test]
async fn what_does_not_start_is_rolled_back() {
    let site = site().await;
    assert_eq!(
        site.set(json!({"token": "broken"})).await.error(),
        (400, "failed_start".into())
    );
    assert_eq!(site.channels.take(), ["start broken", "stop"]);
    assert_eq!(site.token().await, None);
    assert!(!site.path.exists());
    site.set(json!({"token": "good"})).await;
    assert_eq!(
        site.set(json!({"token": "broken"})).await.error(),
        (400, "failed_start".into())
    );
    assert_eq!(
        site.channels.take(),
        ["start good", "start broken", "start good"]
    );
    assert_eq!(site.token().await.as_deref(), Some("good"));
}

#[tokio::test]
async fn what_is_missing_or_unknown_is_refused_before_anything_starts() {
    let site = site().await;
    for (values, error) in [
        (json!({}), "missing_field"),
        (json!({"token": " "}), "missing_field"),
        (json!({"token": "********"}), "missing_field"),
        (json!({"token": "t", "__class__": "x"}), "unknown_field"),
        (json!({"token": "x".repeat(5000)}), "unknown_field"),
        (json!(["token"]), "malformed"),
        (json!({"token": 7}), "malformed"),
    ] {
        assert_eq!(
            site.set(values.clone()).await.error(),
            (400, error.into()),
            "{values}"
        );
    }
    assert!(site.channels.take().is_empty());
}

#[tokio::test]
async fn only_administrators_set_anything_up() {
    let site = site().await;
    for method in ["PUT", "DELETE"] {
        let answer = site
            .send("ada", method, SETTINGS, json!({"token": "t"}).to_string())
            .await;
        assert_eq!(answer.error(), (403, "not_admin".into()));
        let answer = site
            .send("root", method, "/connect/api/runtime/other", "{}".into())
            .await;
        assert_eq!(answer.error(), (404, "unknown_platform".into()));
    }
    let list = site
        .send("ada", "GET", "/connect/api/platforms", String::new())
        .await;
    assert_eq!(list.json()[0]["fields"], json!([]));
    assert!(site.channels.take().is_empty());
}

#[tokio::test]
async fn an_administrator_in_a_hurry_is_slowed_down() {
    let site = site().await;
    for _ in 0..30 {
        assert_eq!(site.set(json!({"token": "t"})).await.status, StatusCode::OK);
    }
    assert_eq!(
        site.set(json!({"token": "t"})).await.error(),
        (429, "too_often".into())
    );
    site.kit.clock.advance(2 * crate::fixture::SECOND);
    assert_eq!(site.set(json!({"token": "t"})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn removing_stops_revokes_and_forgets_in_this_order() {
    let site = site().await;
    site.set(json!({"token": "good"})).await;
    site.kit.connect("ada", "a").await;
    site.channels.take();

    // A channel that does not stop keeps everything as it is.
    *site.channels.stuck.lock().unwrap() = true;
    let answer = site.send("root", "DELETE", SETTINGS, String::new()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(site.kit.owner("a").await.as_deref(), Some("ada"));
    assert_eq!(site.token().await.as_deref(), Some("good"));

    *site.channels.stuck.lock().unwrap() = false;
    let answer = site.send("root", "DELETE", SETTINGS, String::new()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.json()[0]["value"].is_null());
    assert_eq!(site.kit.owner("a").await, None);
    assert_eq!(site.token().await, None);
    assert!(
        !std::fs::read_to_string(&site.path)
            .unwrap()
            .contains("good")
    );
}

#[tokio::test]
async fn a_broken_file_is_not_taken_for_an_empty_one() {
    let site = site().await;
    std::fs::write(&site.path, "{half").unwrap();
    let error = RuntimeSettings::open(&site.path, site.channels.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
