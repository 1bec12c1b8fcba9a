//! The API for owners, as a browser and as somebody who pretends to be one.

mod attacks;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use channel_binding::{
    Bindings, ConnectPlatform, CookieSessions, MemoryBindings, OwnerApi, PlatformState, SqlBindings,
};
use channel_core::{OwnerId, Platform, Secret};
use channel_testkit::{SeededRandom, VirtualClock, assert_absent};
use http::{Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::fixture::{Database, Kind, Kit, builder, secret};

pub(crate) struct Site {
    kit: Kit,
    router: Router,
    sessions: Arc<CookieSessions>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn error(&self) -> (u16, String) {
        let error = self.json()["error"].as_str().unwrap().to_owned();
        (self.status.as_u16(), error)
    }
}

pub(crate) fn sessions(clock: &VirtualClock) -> CookieSessions {
    let random = Arc::new(SeededRandom::new(3));
    CookieSessions::new(secret('c'), Arc::new(clock.clone()), random).unwrap()
}

fn api(bindings: Bindings, sessions: &Arc<CookieSessions>) -> OwnerApi {
    OwnerApi::new(bindings, sessions.clone(), &SeededRandom::new(4))
}

async fn site() -> Site {
    let kit = Kit::new(Kind::Memory).await;
    let sessions = Arc::new(sessions(&kit.clock));
    let router = api(kit.bindings.clone(), &sessions).router().unwrap();
    Site {
        kit,
        router,
        sessions,
    }
}

/// A request as the page makes it: method, path, and the headers that it sends.
async fn send(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    send_body(router, method, path, headers, String::new()).await
}

pub(crate) async fn send_body(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header(header::HOST, "kit.example");
    let response = router
        .clone()
        .oneshot(request.body(Body::from(body)).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

impl Site {
    fn cookie(&self, owner: &str) -> String {
        let set = self.sessions.sign_in(&OwnerId::new(owner)).unwrap();
        set.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    async fn token(&self, cookie: &str) -> String {
        let page = self.get(cookie, "/connect").await;
        let (_, rest) = page
            .text
            .split_once(r#"name="csrf-token" content=""#)
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    async fn get(&self, cookie: &str, path: &str) -> Answer {
        send(&self.router, "GET", path, &[("cookie", cookie)]).await
    }

    async fn change(&self, cookie: &str, method: &str, path: &str) -> Answer {
        let token = self.token(cookie).await;
        let headers = [("cookie", cookie), ("x-csrf-token", &token)];
        send(&self.router, method, path, &headers).await
    }
}

const CONNECT: &str = "/connect/api/platforms/acme/connect";

#[tokio::test]
async fn an_owner_connects_sees_it_and_disconnects() {
    let site = site().await;
    let ada = site.cookie("ada");
    let list = site.get(&ada, "/connect/api/platforms").await.json();
    assert_eq!(list[0]["platform"], "acme");
    assert_eq!(list[0]["connection_status"], "not_connected");
    assert_eq!(list[0]["auth_mode"], "binding_code");
    assert_eq!(list[1]["auth_mode"], "deep_link");
    assert_eq!(list[0]["connectable"], true);

    let offer = site.change(&ada, "POST", CONNECT).await;
    assert_eq!(offer.status, StatusCode::OK);
    let offer = offer.json();
    assert_eq!(
        (&offer["mode"], &offer["expires_in"]),
        (&"binding_code".into(), &600.into())
    );
    assert!(offer["url"].is_null());
    let code = offer["code"].as_str().unwrap();
    assert_eq!(
        offer["instruction"],
        format!("Send /connect {code} to the Kit Acme bot")
    );
    assert_eq!(site.kit.send("a", code).await, "connected");

    let shown = site.get(&ada, "/connect/api/platforms/acme").await;
    assert_eq!(shown.json()["connection_status"], "connected");
    let id = shown.json()["bindings"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for _ in 0..2 {
        let gone = site
            .change(&ada, "DELETE", &format!("/connect/api/bindings/{id}"))
            .await;
        assert_eq!(
            (gone.status, &gone.json()["status"]),
            (StatusCode::OK, &"revoked".into())
        );
    }
    let shown = site.get(&ada, "/connect/api/platforms/acme").await.json();
    assert_eq!(shown["connection_status"], "revoked");
    let trail = site.get(&ada, "/connect/api/trail").await.json();
    assert_eq!(trail.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_sixth_code_is_too_many() {
    let site = site().await;
    let ada = site.cookie("ada");
    for _ in 0..5 {
        assert_eq!(
            site.change(&ada, "POST", CONNECT).await.status,
            StatusCode::OK
        );
    }
    let sixth = site.change(&ada, "POST", CONNECT).await;
    assert_eq!(sixth.error(), (429, "too_many_codes".into()));
}

#[tokio::test]
async fn what_cannot_be_connected_says_why() {
    let kit = Kit::new(Kind::Memory).await;
    let sessions = Arc::new(sessions(&kit.clock));
    let bindings = builder(MemoryBindings::new(), &kit.clock)
        .platform(ConnectPlatform::by_link(
            Platform::new("nameless"),
            "N",
            |_| None,
        ))
        .platform(ConnectPlatform::by_code(Platform::new("stopped"), "S"))
        .platform(ConnectPlatform::by_code(Platform::new("off"), "O"))
        .build()
        .unwrap();
    let states = |platform: &Platform| match platform.as_str() {
        "stopped" => PlatformState::NotRunning,
        "off" => PlatformState::Disabled,
        _ => PlatformState::Running,
    };
    let router = api(bindings.clone(), &sessions)
        .states(states)
        .router()
        .unwrap();
    let closed = api(bindings, &sessions).enabled(false).router().unwrap();
    let site = Site {
        kit,
        router,
        sessions,
    };
    let ada = site.cookie("ada");
    let list = site.get(&ada, "/connect/api/platforms").await.json();
    let shown: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["platform"].as_str().unwrap(),
                it["unavailable_reason"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("acme", None),
            ("linked", None),
            ("nameless", Some("not_configured")),
            ("stopped", Some("not_running")),
        ]
    );
    for (name, error) in [
        ("nameless", "not_configured"),
        ("stopped", "not_running"),
        ("off", "disabled"),
    ] {
        let path = format!("/connect/api/platforms/{name}/connect");
        let answer = site.change(&ada, "POST", &path).await;
        assert_eq!(answer.error(), (400, error.into()));
    }
    let site = Site {
        router: closed,
        ..site
    };
    assert_eq!(
        site.change(&ada, "POST", CONNECT).await.error(),
        (400, "disabled".into())
    );
    let list = site.get(&ada, "/connect/api/platforms").await.json();
    assert_eq!(list[0]["connectable"], false);
}

#[tokio::test]
async fn the_state_of_a_platform_is_that_of_the_row_that_was_updated_last() {
    let kit = Kit::new(Kind::Memory).await;
    let sessions = Arc::new(sessions(&kit.clock));
    let stopped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_stopped = Arc::clone(&stopped);
    let states = move |_: &Platform| match is_stopped.load(std::sync::atomic::Ordering::SeqCst) {
        true => PlatformState::NotRunning,
        false => PlatformState::Running,
    };
    let router = api(kit.bindings.clone(), &sessions).states(states);
    let site = Site {
        router: router.router().unwrap(),
        kit,
        sessions,
    };
    let ada = site.cookie("ada");
    let owner = OwnerId::new("ada");
    let state = async || {
        let shown = site.get(&ada, "/connect/api/platforms/acme").await.json();
        shown["connection_status"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "not_connected");
    for sender in ["a", "b"] {
        site.kit.connect("ada", sender).await;
        site.kit.clock.advance(crate::fixture::SECOND);
    }
    assert_eq!(state().await, "connected");
    stopped.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(state().await, "not_connected", "nothing is behind it");
    // The older one is taken back, and is the last that was updated.
    let all = site.kit.bindings.list(&owner).await.unwrap();
    let disconnect = site.kit.bindings.disconnect(&owner, &all[1].id);
    disconnect.await.unwrap();
    assert_eq!(state().await, "revoked", "kept, whether it runs or not");
    stopped.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(state().await, "revoked");
    site.kit.clock.advance(crate::fixture::SECOND);
    site.kit.connect("ada", "a").await;
    assert_eq!(state().await, "connected");
}

#[tokio::test]
async fn without_the_store_the_list_is_there_and_nothing_can_be_done() {
    let database = Database::new(Kind::Sqlite).await;
    let store = SqlBindings::connect(&database.url).await.unwrap();
    let kit = Kit::on(store.clone(), database);
    let sessions = Arc::new(sessions(&kit.clock));
    let router = api(kit.bindings.clone(), &sessions).router().unwrap();
    let site = Site {
        kit,
        router,
        sessions,
    };
    store.close().await;
    let ada = site.cookie("ada");
    let list = site.get(&ada, "/connect/api/platforms").await;
    assert_eq!(list.status, StatusCode::OK);
    assert_eq!(list.json()[0]["connection_status"], "unknown");
    assert_eq!(list.json()[0]["unavailable_reason"], "store_unavailable");
    for (method, path) in [
        ("POST", CONNECT),
        ("DELETE", "/connect/api/bindings/b"),
        ("GET", "/connect/api/trail"),
    ] {
        let answer = site.change(&ada, method, path).await;
        assert_eq!(answer.error(), (503, "store_unavailable".into()), "{path}");
    }
}

#[tokio::test]
async fn nothing_that_is_said_can_be_cached_framed_or_used_twice() {
    let site = site().await;
    let ada = site.cookie("ada");
    let credential = channel_testkit::canary();
    site.kit.connect("ada", "a").await;
    let owner = OwnerId::new("ada");
    let binding = &site.kit.bindings.list(&owner).await.unwrap()[0];
    let kept = Secret::new(credential.clone());
    site.kit
        .bindings
        .put_credential(&owner, &binding.id, &kept)
        .await
        .unwrap();
    let offer = site.change(&ada, "POST", CONNECT).await.json();
    let code = offer["code"].as_str().unwrap();
    let (_, session) = ada.split_once('=').unwrap();
    for path in [
        "/connect",
        "/connect/connect.css",
        "/connect/connect.js",
        "/connect/api/platforms",
        "/connect/api/platforms/acme",
        "/connect/api/trail",
        "/connect/api/openapi.json",
        "/connect/api/nothing",
    ] {
        let answer = site.get(&ada, path).await;
        for shown in [&answer.text, &format!("{:?}", answer.headers)] {
            for secret in [&credential, code, session, &"c".repeat(32)] {
                assert_absent(secret, shown);
            }
        }
        if answer.status != StatusCode::NOT_FOUND {
            assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
            assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        }
    }
    let page = site.get(&ada, "/connect").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(
        !page.text.contains("http://") && !page.text.contains("https://"),
        "all our own"
    );
    assert!(!page.text.contains("{{"), "everything was filled in");
}

#[tokio::test]
async fn a_name_cannot_break_out_of_the_page() {
    let clock = VirtualClock::new();
    let sessions = Arc::new(sessions(&clock));
    let name = r#"</title><script>"'&"#;
    let random = Arc::new(SeededRandom::new(1));
    let bindings = Bindings::builder(name, MemoryBindings::new(), Arc::new(clock), random);
    let router = api(bindings.build().unwrap(), &sessions).router().unwrap();
    let cookie = sessions.sign_in(&OwnerId::new("ada")).unwrap();
    let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
    let page = send(&router, "GET", "/connect", &[("cookie", cookie)]).await;
    assert!(!page.text.contains(name));
    assert!(
        page.text
            .contains("&lt;/title&gt;&lt;script&gt;&quot;&#39;&amp;")
    );
}

#[tokio::test]
async fn the_description_names_every_route_and_each_is_there() {
    let site = site().await;
    let ada = site.cookie("ada");
    let description = site.get(&ada, "/connect/api/openapi.json").await.json();
    assert_eq!(description["servers"][0]["url"], "/connect");
    let paths = description["paths"].as_object().unwrap();
    let mut named: Vec<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    named.sort();
    assert_eq!(
        named,
        [
            "DELETE /api/bindings/{id}",
            "DELETE /api/runtime/{platform}",
            "GET /api/platforms",
            "GET /api/platforms/{platform}",
            "GET /api/trail",
            "POST /api/platforms/{platform}/connect",
            "PUT /api/runtime/{platform}",
        ]
    );
    for route in named {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path
            .replace("{platform}", "acme")
            .replace("{id}", "nothing");
        let answer = site.change(&ada, method, &format!("/connect{path}")).await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{route}");
        assert!(
            answer.json().is_object() || answer.json().is_array(),
            "{route}"
        );
    }
    // What a code-free view shows is what its schema says.
    let schema = &description["components"]["schemas"]["PlatformView"]["properties"];
    let shown = site.get(&ada, "/connect/api/platforms/acme").await.json();
    let mut shown: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
    let mut known: Vec<_> = schema.as_object().unwrap().keys().cloned().collect();
    shown.sort();
    known.sort();
    assert_eq!(shown, known);
}

#[tokio::test]
async fn what_cannot_be_served_safely_is_refused() {
    let site = site().await;
    for base in [
        "connect",
        "/",
        "/a b",
        "/a/",
        "/{x}",
        "/a//b",
        "/\"><script>",
    ] {
        let api = api(site.kit.bindings.clone(), &site.sessions).at(base);
        assert!(api.router().is_err(), "{base}");
    }
    let weak = api(site.kit.bindings.clone(), &site.sessions).csrf_secret("short");
    assert!(weak.router().is_err());
    let clock = Arc::new(VirtualClock::new());
    let random = Arc::new(SeededRandom::new(1));
    assert!(CookieSessions::new(Secret::new("short"), clock, random).is_err());
    let set = site.sessions.sign_in(&OwnerId::new("ada")).unwrap();
    let set = set.to_str().unwrap();
    for wanted in ["__Host-", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(wanted), "{set}");
    }
}
