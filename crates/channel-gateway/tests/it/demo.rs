//! The demo from outside: over HTTP and websockets, as a browser and as others see it.
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use channel_core::{BoxSocket, ErrorKind, Frame, HttpBody, HttpRequest, SocketRequest};
use channel_gateway::demo::{Demo, DemoConfig};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn start() -> Demo {
    Demo::start(DemoConfig::default()).await.unwrap()
}

async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

async fn exchange(request: Request<HttpBody>) -> Response<bytes::Bytes> {
    let client = channel_http::transport().http;
    within(client.execute(HttpRequest::new(request)))
        .await
        .unwrap()
}

async fn get(demo: &Demo, path: &str) -> Response<bytes::Bytes> {
    let url = format!("http://{}{path}", demo.address());
    exchange(Request::get(url).body(HttpBody::empty()).unwrap()).await
}

pub(crate) async fn post(demo: &Demo, path: &str, body: &Value) -> Response<bytes::Bytes> {
    let request = Request::post(format!("http://{}{path}", demo.address()))
        .header("content-type", "application/json")
        .body(HttpBody::from(body.to_string().into_bytes()))
        .unwrap();
    exchange(request).await
}

pub(crate) async fn started(demo: &Demo) -> Value {
    serde_json::from_slice(get(demo, "/api/start").await.body()).unwrap()
}

/// The server-sent events of a page.
pub(crate) struct Feed(Lines<BufReader<TcpStream>>);

impl Feed {
    pub(crate) async fn open(demo: &Demo, client: &str) -> Self {
        let mut socket = TcpStream::connect(demo.address()).await.unwrap();
        let request = format!(
            "GET /api/events?client={client} HTTP/1.1\r\nhost: {}\r\n\r\n",
            demo.address()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        Self(BufReader::new(socket).lines())
    }

    /// The next event of a kind that fits.
    pub(crate) async fn find(
        &mut self,
        kind: &str,
        fits: impl Fn(&Value) -> bool + Send + Sync,
    ) -> Value {
        let named = format!("event: {kind}");
        let search = async {
            let mut is_next = false;
            loop {
                let line = self.0.next_line().await.unwrap().expect("the feed goes on");
                if let Some(data) = line.strip_prefix("data: ").filter(|_| is_next) {
                    let data = serde_json::from_str(data).unwrap();
                    if fits(&data) {
                        return data;
                    }
                }
                is_next = line == named;
            }
        };
        within(search).await
    }
}

pub(crate) fn says(message: &Value, text: &str) -> bool {
    message["text"] == text
}

async fn socket(demo: &Demo, token: &str, origin: &str) -> channel_core::Result<BoxSocket> {
    let request = Request::get(format!("ws://{}/standard/ws", demo.address()))
        .header("origin", origin)
        .header(
            "sec-websocket-protocol",
            format!("channel-kit.v1, bearer.{}", URL_SAFE_NO_PAD.encode(token)),
        )
        .body(())
        .unwrap();
    let sockets = channel_http::transport().sockets;
    within(sockets.connect(SocketRequest::new(request))).await
}

async fn write(socket: &mut BoxSocket, frame: &Value) {
    socket.send(Frame::text(frame.to_string())).await.unwrap();
}

async fn read(socket: &mut BoxSocket, fits: impl Fn(&Value) -> bool + Send + Sync) -> Value {
    let search = async {
        loop {
            if let Frame::Text(text) = socket.next().await.expect("a frame").unwrap() {
                let frame = serde_json::from_slice(&text).unwrap();
                if fits(&frame) {
                    return frame;
                }
            }
        }
    };
    within(search).await
}

#[tokio::test]
async fn serves_the_page_and_its_parts_from_itself_alone() {
    let demo = start().await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/app.css", "text/css"),
        ("/app.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let response = get(&demo, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers();
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with(kind), "{path}");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
    }
    let page = get(&demo, "/").await;
    let page = std::str::from_utf8(page.body()).unwrap();
    for outside in ["http://", "https://", "<style", "style=", "onclick"] {
        // The namespace of SVG is a name and loads nothing.
        assert!(
            !page
                .replace("http://www.w3.org/2000/svg", "")
                .contains(outside),
            "{outside}"
        );
    }
    demo.stop().await;
}

#[tokio::test]
async fn a_message_written_on_telegram_comes_back_and_its_way_is_told() {
    let demo = start().await;
    let mut feed = Feed::open(&demo, "guest-1").await;
    let answer = post(&demo, "/api/telegram/message", &json!({"text": "hello"})).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let news = feed
        .find("telegram", |news| {
            let messages = news["messages"].as_array().unwrap();
            messages
                .iter()
                .any(|message| says(message, "echo: hello") && message["mine"] == false)
        })
        .await;
    assert!(news["messages"].is_array());

    // A reader who comes later sees the whole of it.
    let mut feed = Feed::open(&demo, "guest-1").await;
    let trace = feed
        .find("trace", |trace| {
            trace["event"]["kind"]["message"]["text"] == "hello" && !trace["done"].is_null()
        })
        .await;
    assert_eq!(
        trace["verdict"],
        json!({
            "allowed": true, "answered": false, "reason": "allowlist",
            "at_ms": trace["verdict"]["at_ms"],
        })
    );
    let inbound = &trace["inbound"];
    assert_eq!(inbound["address"], "/bot<token>/getUpdates");
    let native = trace["native"]["text"].as_str().unwrap();
    assert!(
        inbound["response"]["text"]
            .as_str()
            .unwrap()
            .contains(native)
    );
    let call = &trace["calls"][0];
    assert_eq!(call["operation"], "send");
    let exchange = &call["exchanges"][0];
    assert_eq!(exchange["address"], "/bot<token>/sendMessage");
    assert_eq!(exchange["status"], 200);
    assert!(
        exchange["request"]["text"]
            .as_str()
            .unwrap()
            .contains(r#""text":"echo: hello""#)
    );
    assert!(trace["event"]["kind"]["message"].get("raw").is_none());
    assert!(
        !trace.to_string().contains("7000000001:"),
        "the token is not shown"
    );
    demo.stop().await;
}

#[tokio::test]
async fn a_pressed_button_is_answered_on_telegram() {
    let demo = start().await;
    let mut feed = Feed::open(&demo, "guest-1").await;
    post(&demo, "/api/telegram/message", &json!({"text": "/buttons"})).await;
    let news = feed
        .find("telegram", |news| {
            let messages = news["messages"].as_array().unwrap();
            messages
                .iter()
                .any(|message| message["buttons"][0][1]["text"] == "Coffee")
        })
        .await;
    let messages = news["messages"].as_array().unwrap();
    let question = messages
        .iter()
        .find(|message| message["buttons"].is_array())
        .unwrap();
    let press = json!({"message": question["id"], "data": "Coffee"});
    assert_eq!(
        post(&demo, "/api/telegram/press", &press).await.status(),
        StatusCode::OK
    );
    feed.find("telegram", |news| news["notice"] == "Coffee it is")
        .await;
    let missing = json!({"message": question["id"], "data": "Milk"});
    assert_eq!(
        post(&demo, "/api/telegram/press", &missing).await.status(),
        StatusCode::CONFLICT
    );
    demo.stop().await;
}

#[tokio::test]
async fn a_websocket_client_gets_its_echo_and_only_its_own_traces() {
    let demo = start().await;
    let start = started(&demo).await;
    let standard = &start["standard"];
    let (token, client) = (
        standard["token"].as_str().unwrap(),
        standard["client"].as_str().unwrap(),
    );
    let origin = format!("http://{}", demo.address());
    let mut socket = socket(&demo, token, &origin).await.unwrap();
    write(
        &mut socket,
        &json!({"v": 1, "type": "hello", "client_id": client}),
    )
    .await;
    read(&mut socket, |frame| frame["type"] == "welcome").await;
    write(
        &mut socket,
        &json!({"v": 1, "type": "message", "id": "m-1", "text": "hello"}),
    )
    .await;
    let echo = read(&mut socket, |frame| frame["type"] == "message").await;
    assert_eq!(echo["text"], "echo: hello");
    assert_eq!(echo["in_reply_to"], "m-1");

    let is_standard = |trace: &Value| trace["channel"] == "standard";
    let mut own = Feed::open(&demo, client).await;
    let trace = own.find("trace", is_standard).await;
    assert_eq!(trace["message"], "m-1");
    let mut other = Feed::open(&demo, "guest-other").await;
    post(&demo, "/api/telegram/message", &json!({"text": "marker"})).await;
    let seen = other
        .find("trace", |trace| {
            is_standard(trace) || trace["event"]["kind"]["message"]["text"] == "marker"
        })
        .await;
    assert_eq!(
        seen["channel"], "telegram",
        "another page's words are not told"
    );
    demo.stop().await;
}

#[tokio::test]
async fn other_sites_and_other_names_are_refused() {
    let demo = start().await;
    let address = demo.address();
    let with = |method: &str, path: &str, name: &str, value: &str| {
        Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header("content-type", "application/json")
            .header(name, value)
            .body(HttpBody::from(br#"{"text":"forged"}"#.to_vec()))
            .unwrap()
    };
    let rebound = format!("evil.example:{}", address.port());
    for request in [
        with("GET", "/", "host", &rebound),
        with("GET", "/api/start", "host", &rebound),
        with("GET", "/api/start", "origin", "https://evil.example"),
        with("GET", "/api/start", "sec-fetch-site", "cross-site"),
        with(
            "POST",
            "/api/telegram/message",
            "origin",
            "https://evil.example",
        ),
        with(
            "POST",
            "/api/telegram/message",
            "sec-fetch-site",
            "cross-site",
        ),
        with("POST", "/standard/media", "origin", "https://evil.example"),
    ] {
        let what = format!("{request:?}");
        let response = exchange(request).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{what}");
        assert!(response.body().is_empty());
    }
    let token = started(&demo).await["standard"]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let Err(error) = socket(&demo, &token, "https://evil.example").await else {
        panic!("a page of another site was let in");
    };
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let own = format!("http://{address}");
    assert_eq!(
        exchange(with("POST", "/api/telegram/message", "origin", &own))
            .await
            .status(),
        StatusCode::OK
    );
    demo.stop().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_and_bounded() {
    let demo = start().await;
    let url = format!("http://{}/api/telegram/message", demo.address());
    let form = Request::post(&url)
        .header("content-type", "text/plain")
        .body(HttpBody::from(br#"{"text":"x"}"#.to_vec()))
        .unwrap();
    assert_eq!(
        exchange(form).await.status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    for (body, status) in [
        (json!({"text": "  "}), StatusCode::BAD_REQUEST),
        (json!({"text": "x".repeat(4097)}), StatusCode::BAD_REQUEST),
        (
            json!({"text": "x".repeat(4 << 20)}),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (json!({"text": "x", "reply_to": 999}), StatusCode::CONFLICT),
    ] {
        let response = post(&demo, "/api/telegram/message", &body).await;
        assert_eq!(response.status(), status);
    }
    demo.stop().await;
}

#[tokio::test]
async fn every_attack_on_offer_is_held_and_the_bot_goes_on() {
    let demo = start().await;
    let start = started(&demo).await;
    let attacks = start["attacks"].as_array().unwrap();
    assert!(attacks.len() >= 6);
    for attack in attacks {
        let response = post(&demo, "/api/attack", &json!({"name": attack["name"]})).await;
        assert_eq!(response.status(), StatusCode::OK, "{attack}");
        let report: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(report["held"], true, "{report}");
        assert!(!report["transcript"].as_array().unwrap().is_empty());
        let token = start["standard"]["token"].as_str().unwrap();
        assert!(!report.to_string().contains(token), "{attack}");
    }
    let mut feed = Feed::open(&demo, "guest-1").await;
    post(&demo, "/api/telegram/message", &json!({"text": "alive?"})).await;
    feed.find("telegram", |news| {
        let messages = news["messages"].as_array().unwrap();
        messages.iter().any(|message| says(message, "echo: alive?"))
    })
    .await;
    demo.stop().await;
}

#[tokio::test]
async fn only_a_loopback_address_is_taken() {
    let config = DemoConfig::default().bind(([0, 0, 0, 0], 0).into());
    let error = Demo::start(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn stopping_ends_the_feed_and_closes_the_port() {
    let demo = start().await;
    let address = demo.address();
    let mut feed = Feed::open(&demo, "guest-1").await;
    feed.find("telegram", |_| true).await;
    within(demo.stop()).await;
    within(async { while let Ok(Some(_)) = feed.0.next_line().await {} }).await;
    assert!(TcpStream::connect(address).await.is_err());
}

/// The owner's own requests: with the session, and the token of the page.
struct Owner<'a> {
    demo: &'a Demo,
    cookie: String,
    token: String,
}

impl<'a> Owner<'a> {
    async fn sign_in(demo: &'a Demo) -> Self {
        let front = get(demo, "/").await;
        let cookie = front.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut owner = Self {
            demo,
            cookie,
            token: String::new(),
        };
        let page = owner.ask("GET", "").await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none';"),
            "its own, stricter one: {policy}"
        );
        let page = std::str::from_utf8(page.body()).unwrap();
        let token = page.split("name=\"csrf-token\" content=\"").nth(1).unwrap();
        owner.token = token.split('"').next().unwrap().to_owned();
        owner
    }

    async fn ask(&self, method: &str, path: &str) -> Response<bytes::Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/connect{path}", self.demo.address()))
            .header("cookie", &self.cookie)
            .header("x-csrf-token", &self.token)
            .body(HttpBody::empty())
            .unwrap();
        exchange(request).await
    }

    async fn json(&self, method: &str, path: &str) -> Value {
        let answer = self.ask(method, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{method} {path}");
        serde_json::from_slice(answer.body()).unwrap()
    }
}

#[tokio::test]
async fn the_owner_connects_telegram_by_link_is_known_and_disconnects() {
    let demo = start().await;
    assert_eq!(
        get(&demo, "/connect").await.status(),
        StatusCode::UNAUTHORIZED
    );
    let owner = Owner::sign_in(&demo).await;
    let offer = owner.json("POST", "/api/platforms/telegram/connect").await;
    let code = offer["code"].as_str().unwrap();
    assert_eq!(offer["url"], format!("/?start={code}"));
    let mut feed = Feed::open(&demo, "guest-1").await;
    let said = |text: String| {
        move |news: &Value| {
            let messages = news["messages"].as_array().unwrap();
            messages.iter().any(|message| says(message, &text))
        }
    };
    let write = async |text: &str| {
        let answer = post(&demo, "/api/telegram/message", &json!({"text": text})).await;
        assert_eq!(answer.status(), StatusCode::OK);
    };
    write("/whoami").await;
    let unknown = "I do not know whose account this is. Connect it under \"Connected accounts\".";
    feed.find("telegram", said(unknown.to_owned())).await;
    write(&format!("/start {code}")).await;
    feed.find(
        "telegram",
        said("Connected to channel-kit demo.".to_owned()),
    )
    .await;
    let shown = owner.json("GET", "/api/platforms/telegram").await;
    assert_eq!(shown["connection_status"], "connected");
    assert_eq!(shown["bindings"][0]["account_name"], "Ada");
    write("/whoami").await;
    feed.find(
        "telegram",
        said("You are ada: this account is connected.".to_owned()),
    )
    .await;
    let trace = Feed::open(&demo, "guest-1")
        .await
        .find("trace", |trace| trace["verdict"]["reason"] == "connected")
        .await;
    assert_eq!(trace["verdict"]["answered"], true);

    let id = shown["bindings"][0]["id"].as_str().unwrap();
    owner.ask("DELETE", &format!("/api/bindings/{id}")).await;
    let shown = owner.json("GET", "/api/platforms/telegram").await;
    assert_eq!(shown["connection_status"], "revoked");
    write("still here").await;
    feed.find("telegram", said("echo: still here".to_owned()))
        .await;
    demo.stop().await;
}

#[tokio::test]
async fn the_owner_connects_a_websocket_client_by_code() {
    let demo = start().await;
    let owner = Owner::sign_in(&demo).await;
    let standard = started(&demo).await["standard"].clone();
    let origin = format!("http://{}", demo.address());
    let token = standard["token"].as_str().unwrap();
    let mut socket = socket(&demo, token, &origin).await.unwrap();
    let hello = json!({"v": 1, "type": "hello", "client_id": standard["client"], "name": "Ada"});
    write(&mut socket, &hello).await;
    read(&mut socket, |frame| frame["type"] == "welcome").await;
    let offer = owner.json("POST", "/api/platforms/standard/connect").await;
    assert_eq!(offer["url"], Value::Null);
    let code = offer["code"].as_str().unwrap();
    let instruction = format!("Send /connect {code} to the channel-kit demo Standard bot");
    assert_eq!(offer["instruction"], instruction);
    for (id, text, answer) in [
        (
            "m-1",
            format!("/connect {code}"),
            "Connected to channel-kit demo.",
        ),
        (
            "m-2",
            "/whoami".to_owned(),
            "You are ada: this account is connected.",
        ),
        (
            "m-3",
            format!("/connect {code}"),
            "This code is not valid. Please get a new one.",
        ),
    ] {
        let frame = json!({"v": 1, "type": "message", "id": id, "text": text});
        write(&mut socket, &frame).await;
        let reply = read(&mut socket, |frame| frame["type"] == "message").await;
        assert_eq!(reply["text"], answer);
    }
    demo.stop().await;
}

#[tokio::test]
async fn the_databases_are_in_a_folder_that_goes_with_the_demo() {
    let folders = || {
        let all = std::fs::read_dir(std::env::temp_dir()).unwrap();
        let names = all.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.starts_with("channel-kit-demo-"))
            .collect::<std::collections::BTreeSet<_>>()
    };
    let demo = start().await;
    let home = demo.home().to_owned();
    for file in ["accounts.db", "events.db"] {
        assert!(home.join(file).exists(), "{file}");
    }
    let name = home.file_name().unwrap().to_string_lossy().into_owned();
    assert!(folders().contains(&name));
    demo.stop().await;
    assert!(!home.exists());
    assert!(!folders().contains(&name));
}
