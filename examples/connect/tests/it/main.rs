//! The application as a browser without a screen: sign in, connect, be known.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod secrets;
mod unbinding;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use connect::{App, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Browser {
    host: String,
    cookie: String,
}

impl Browser {
    async fn send(&self, head: &str, headers: &str, body: &str) -> String {
        let mut socket = TcpStream::connect(&self.host).await.unwrap();
        let (host, cookie, length) = (&self.host, &self.cookie, body.len());
        let request = format!(
            "{head} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\
             {headers}\r\n{body}"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path}"), "", "").await
    }

    /// Looks until a page says something.
    async fn wait_for(&self, path: &str, words: &str) {
        let found = tokio::time::timeout(Duration::from_secs(20), async {
            while !self.get(path).await.contains(words) {
                tokio::task::yield_now().await;
            }
        });
        found.await.unwrap();
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_connects_telegram_and_the_bot_knows_who_writes() {
    let mut settings = Settings::default();
    settings.bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let app = App::start(settings).await.unwrap();
    let mut browser = Browser {
        host: between(&app.url(), "http://", "/").to_owned(),
        cookie: String::new(),
    };
    assert!(browser.get("/connect").await.starts_with("HTTP/1.1 401"));
    let wrong = browser.send("POST /login", "", "user=ada&password=x").await;
    assert!(wrong.starts_with("HTTP/1.1 403"));
    let foreign = "sec-fetch-site: cross-site\r\n";
    let forged = browser
        .send("POST /login", foreign, "user=ada&password=demo")
        .await;
    assert!(forged.starts_with("HTTP/1.1 403"));
    let signed_in = browser
        .send("POST /login", "", "user=ada&password=demo")
        .await;
    browser.cookie = between(&signed_in, "set-cookie: ", ";").to_owned();

    let page = browser.get("/connect").await;
    let token = between(&page, "name=\"csrf-token\" content=\"", "\"");
    let headers = format!("x-csrf-token: {token}\r\n");
    let path = "POST /connect/api/platforms/telegram/connect";
    let offer = browser.send(path, &headers, "").await;
    let code = between(&offer, "\"code\":\"", "\"");
    assert!(offer.contains(&format!("/phone/telegram?start={code}")));

    let phone = "/phone/telegram";
    browser
        .send("POST /phone/telegram", "", "text=before")
        .await;
    browser
        .wait_for(phone, "This account is not connected yet.")
        .await;
    let start = format!("text=%2Fstart+{code}");
    browser.send("POST /phone/telegram", "", &start).await;
    browser.wait_for(phone, "Connected to Acme.").await;
    let shown = browser.get("/connect/api/platforms/telegram").await;
    assert!(shown.contains("\"connection_status\":\"connected\""));
    assert!(!shown.contains(code));
    browser.send("POST /phone/telegram", "", "text=after").await;
    browser.wait_for(phone, "Hello ada, you said: after").await;
    app.stop().await;
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let mut settings = Settings::default();
    settings.bind = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = App::start(settings).await.unwrap_err();
    assert_eq!(error.kind(), channel_kit::core::ErrorKind::Config);
}
