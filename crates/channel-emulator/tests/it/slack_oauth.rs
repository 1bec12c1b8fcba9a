//! Installing, rotating and revoking.

use channel_emulator::slack::NewApp;
use http::Method;
use serde_json::Value;

use crate::line_api::exchange;
use crate::slack_api::{SECRET, World, quick};

const BACK: &str = "http://127.0.0.1:9/callback";

async fn world(rotates: bool) -> World {
    let mut app = NewApp::new("Kit", SECRET).oauth("1.2", "client-secret");
    app.redirect_urls = vec!["http://127.0.0.1:9/".to_owned()];
    app.rotation = rotates;
    World::with(quick(), app).await
}

/// Agrees on the consent page; gives the code.
async fn agree(world: &World) -> String {
    let path =
        format!("/oauth/v2/authorize?client_id=1.2&scope=chat:write&state=s1&redirect_uri={BACK}");
    let base = world.server.base_url();
    let answered = exchange(&base, Method::GET, &path, &[], "").await.unwrap();
    assert_eq!(answered.status, 302);
    let target: url::Url = answered.headers["location"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let query: Vec<(String, String)> = target.query_pairs().into_owned().collect();
    assert_eq!(query[1], ("state".to_owned(), "s1".to_owned()));
    query[0].1.clone()
}

/// `oauth.v2.access` with these fields; the credentials are Basic, or others.
async fn access(world: &World, fields: &[(&str, &str)], basic: &str) -> Value {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", basic),
    ];
    world.send("oauth.v2.access", &headers, &body).await.json()
}

/// `1.2:client-secret`.
const BASIC: &str = "Basic MS4yOmNsaWVudC1zZWNyZXQ=";

#[tokio::test]
async fn a_code_becomes_a_bot_token_once() {
    let world = world(false).await;
    let code = agree(&world).await;
    let fields = [("code", code.as_str()), ("redirect_uri", BACK)];
    assert_eq!(
        access(&world, &fields, "Basic eDp5").await["error"],
        "invalid_client_id"
    );
    let granted = access(&world, &fields, BASIC).await;
    assert_eq!(granted["team"]["id"], world.team);
    assert_eq!(granted["bot_user_id"], world.bot.bot_user);
    assert_eq!(granted["scope"], "chat:write");
    let token = granted["access_token"].as_str().unwrap();
    assert!(token.starts_with("xoxb-") && granted.get("refresh_token").is_none());
    let bearer = format!("Bearer {token}");
    let answer = world
        .send("auth.test", &[("authorization", &bearer)], "{}")
        .await
        .json();
    assert_eq!(answer["bot_id"], world.bot.bot_id);
    assert_eq!(
        access(&world, &fields, BASIC).await["error"],
        "invalid_code"
    );
    let code = agree(&world).await;
    let elsewhere = [
        ("code", code.as_str()),
        ("redirect_uri", "http://127.0.0.1:9/other"),
    ];
    assert_eq!(
        access(&world, &elsewhere, BASIC).await["error"],
        "bad_redirect_uri"
    );
    // No token is left in the ledger.
    let shown = serde_json::to_string(&world.calls()).unwrap();
    assert!(!shown.contains(token) && !shown.contains("client-secret"));
}

#[tokio::test]
async fn rotated_tokens_expire_and_a_refresh_token_works_once() {
    let world = world(true).await;
    let code = agree(&world).await;
    let granted = access(&world, &[("code", &code), ("redirect_uri", BACK)], BASIC).await;
    assert_eq!(granted["expires_in"], 43_200);
    let token = granted["access_token"].as_str().unwrap().to_owned();
    let refresh = granted["refresh_token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("xoxe.xoxb-") && refresh.starts_with("xoxe-"));
    let test = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let answer = world
            .send("auth.test", &[("authorization", bearer.as_str())], "{}")
            .await;
        answer.json()["error"].as_str().unwrap_or("none").to_owned()
    };
    assert_eq!(test(&token).await, "none");
    world.advance(std::time::Duration::from_secs(43_200));
    assert_eq!(test(&token).await, "token_expired");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
    ];
    let renewed = access(&world, &fields, BASIC).await;
    assert_eq!(
        test(renewed["access_token"].as_str().unwrap()).await,
        "none"
    );
    assert_eq!(
        access(&world, &fields, BASIC).await["error"],
        "invalid_refresh_token"
    );
}

#[tokio::test]
async fn an_app_hears_of_its_end() {
    let world = world(false).await;
    world.uninstall(&world.app, &world.team);
    let events = world.events(&world.app);
    let kinds: Vec<&str> = events
        .iter()
        .map(|e| e["event"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["tokens_revoked", "app_uninstalled"]);
    assert_eq!(events[0]["event"]["tokens"]["bot"][0], world.bot.bot_user);
}
