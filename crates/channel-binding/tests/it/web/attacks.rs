//! Somebody who pretends to be an owner, or to be the page.

use channel_core::OwnerId;
use http::StatusCode;
use serde_json::Value;

use super::{CONNECT, Site, api, send, site};
use crate::fixture::SECOND;

#[tokio::test]
async fn nobody_gets_in_without_a_session() {
    let site = site().await;
    for (method, path) in [
        ("GET", "/connect"),
        ("GET", "/connect/connect.js"),
        ("GET", "/connect/api/platforms"),
        ("GET", "/connect/api/platforms/acme"),
        ("POST", CONNECT),
        ("DELETE", "/connect/api/bindings/b"),
        ("GET", "/connect/api/trail"),
        ("GET", "/connect/api/openapi.json"),
    ] {
        let answer = send(&site.router, method, path, &[]).await;
        assert_eq!(answer.error(), (401, "signed_out".into()), "{path}");
    }
}

#[tokio::test]
async fn a_forged_cookie_is_refused() {
    let site = site().await;
    let ada = site.cookie("ada");
    let (name, value) = ada.split_once('=').unwrap();
    let (claim, mac) = value.rsplit_once('.').unwrap();
    let other = site.cookie("eve");
    let (_, other) = other.split_once('=').unwrap();
    let eve = other.split('.').next().unwrap();
    let rest = claim.split_once('.').unwrap().1;
    for forged in [
        format!("{name}={eve}.{rest}.{mac}"),
        format!("{name}={claim}.{}", "0".repeat(64)),
        format!("{name}={claim}."),
        format!("{name}={claim}"),
        format!("{name}="),
        format!("{name}={value}0"),
        format!("other={value}"),
        // Two of them: one was planted.
        format!("{ada}; {name}={other}"),
        format!("{name}={}", "a".repeat(5000)),
    ] {
        let answer = site.get(&forged, "/connect/api/platforms").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{forged}");
    }
    assert_eq!(
        site.get(&ada, "/connect/api/platforms").await.status,
        StatusCode::OK
    );
    site.kit.clock.advance(12 * 3600 * SECOND);
    assert_eq!(
        site.get(&ada, "/connect/api/platforms").await.status,
        StatusCode::OK
    );
    site.kit.clock.advance(SECOND);
    assert_eq!(
        site.get(&ada, "/connect/api/platforms").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_request_that_another_site_makes_is_refused() {
    let site = site().await;
    let ada = site.cookie("ada");
    let token = site.token(&ada).await;
    let stranger = site.token(&site.cookie("eve")).await;
    let session = site.token(&site.cookie("ada")).await;
    assert_ne!(token, session, "a token is of one session");
    let good = ("x-csrf-token", token.as_str());
    for extra in [
        vec![],
        vec![("x-csrf-token", "")],
        vec![("x-csrf-token", stranger.as_str())],
        vec![("x-csrf-token", session.as_str())],
        vec![good, good],
        vec![good, ("sec-fetch-site", "cross-site")],
        vec![good, ("sec-fetch-site", "same-site")],
        vec![good, ("origin", "https://evil.example")],
        vec![good, ("origin", "null")],
        vec![good, ("origin", "https://kit.example.evil.example")],
    ] {
        let mut headers = vec![("cookie", ada.as_str())];
        headers.extend(extra);
        let answer = send(&site.router, "POST", CONNECT, &headers).await;
        assert_eq!(answer.error(), (403, "forged".into()), "{headers:?}");
    }
    let headers = [
        ("cookie", ada.as_str()),
        good,
        ("origin", "https://kit.example"),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(
        send(&site.router, "POST", CONNECT, &headers).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn behind_a_proxy_the_origin_is_the_one_that_browsers_see() {
    let site = site().await;
    let api = api(site.kit.bindings.clone(), &site.sessions).origin("https://app.example");
    let site = Site {
        router: api.router().unwrap(),
        ..site
    };
    let ada = site.cookie("ada");
    let token = site.token(&ada).await;
    for (origin, status) in [
        ("https://app.example", 200),
        ("http://app.example", 403),
        ("https://kit.example", 403),
        ("https://app.example.evil.example", 403),
    ] {
        let headers = [
            ("cookie", ada.as_str()),
            ("x-csrf-token", token.as_str()),
            ("origin", origin),
        ];
        let answer = send(&site.router, "POST", CONNECT, &headers).await;
        assert_eq!(answer.status.as_u16(), status, "{origin}");
    }
}

#[tokio::test]
async fn an_owner_reaches_nothing_of_another_s() {
    let site = site().await;
    site.kit.connect("ada", "a").await;
    let binding = &site.kit.bindings.list(&OwnerId::new("ada")).await.unwrap()[0];
    let path = format!("/connect/api/bindings/{}", binding.id);
    let eve = site.cookie("eve");
    assert_eq!(
        site.change(&eve, "DELETE", &path).await.error(),
        (404, "not_found".into())
    );
    let list = site.get(&eve, "/connect/api/platforms").await;
    assert_eq!(list.json()[0]["bindings"], Value::Array(vec![]));
    assert_eq!(
        site.get(&eve, "/connect/api/trail").await.json(),
        Value::Array(vec![])
    );
    assert_eq!(site.kit.owner("a").await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn methods_cannot_be_confused() {
    let site = site().await;
    site.kit.connect("ada", "a").await;
    let binding = &site.kit.bindings.list(&OwnerId::new("ada")).await.unwrap()[0];
    let path = format!("/connect/api/bindings/{}", binding.id);
    let ada = site.cookie("ada");
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE"] {
        let answer = site.change(&ada, method, CONNECT).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    for method in ["GET", "POST", "PUT"] {
        let answer = site.change(&ada, method, &path).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let headers = [
        ("cookie", ada.as_str()),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "DELETE"),
    ];
    let answer = send(
        &site.router,
        "GET",
        &format!("{path}?_method=DELETE"),
        &headers,
    )
    .await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(site.kit.owner("a").await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn only_declared_platforms_are_known() {
    let site = site().await;
    let ada = site.cookie("ada");
    for name in [
        "other",
        "ACME",
        "acme%00",
        "__proto__",
        "platforms",
        "%ff",
        "acme%2f",
        "base",
    ] {
        let path = format!("/connect/api/platforms/{name}/connect");
        let answer = site.change(&ada, "POST", &path).await;
        assert_eq!(answer.error(), (404, "unknown_platform".into()), "{name}");
    }
}
