//! A bare HTTP client and a platform with one bot and one person.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use channel_emulator::Clock;
use channel_emulator::telegram::{Place, Telegram, TelegramConfig, TelegramServer};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const TOKEN: &str = "123456:TEST-TOKEN";
pub(crate) const BOT: i64 = 123_456;
pub(crate) const ADA: i64 = 42;
/// Long enough for a busy machine; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where Ada and the bot talk.
pub(crate) const DIRECT: Place = Place::Private {
    bot: BOT,
    user: ADA,
};

pub(crate) struct World {
    pub(crate) telegram: TelegramServer,
}

impl std::ops::Deref for World {
    type Target = Telegram;

    fn deref(&self) -> &Telegram {
        &self.telegram
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(TelegramConfig::default()).await
    }

    pub(crate) async fn with(config: TelegramConfig) -> Self {
        let config = config.clock(Clock::fixed(Duration::from_secs(1_700_000_000)));
        let telegram = Telegram::start(config).await.unwrap();
        telegram.add_bot(TOKEN, "kit_bot").unwrap();
        telegram.user(ADA, "Ada");
        Self { telegram }
    }

    /// The same, with the private chat started and nothing pending.
    pub(crate) async fn started() -> Self {
        let world = Self::new().await;
        world.private_text(BOT, ADA, "/start").unwrap();
        world.result("getUpdates", json!({"offset": -1})).await;
        world
            .result("getUpdates", json!({"offset": last_id(&world) + 1}))
            .await;
        world
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.telegram
            .api_base()
            .strip_prefix("http://")
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Calls a method with a JSON body; gives the status and the answer.
    pub(crate) async fn call(&self, method: &str, params: Value) -> (u16, Value) {
        let path = format!("/bot{TOKEN}/{method}");
        self.send(Method::POST, &path, "application/json", params.to_string())
            .await
    }

    /// The result of a call that must succeed.
    pub(crate) async fn result(&self, method: &str, params: Value) -> Value {
        let (status, answer) = self.call(method, params).await;
        assert_eq!(status, 200, "{method}: {answer}");
        assert_eq!(answer["ok"], true);
        answer["result"].clone()
    }

    /// The error of a call that must fail: status and description.
    pub(crate) async fn refusal(&self, method: &str, params: Value) -> (u16, String) {
        let (status, answer) = self.call(method, params).await;
        assert_eq!(answer["ok"], false, "{method}: {answer}");
        assert_eq!(answer["error_code"], status);
        (status, answer["description"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: impl Into<Bytes>,
    ) -> (u16, Value) {
        let (status, body) = exchange(self.address(), method, path, kind, body.into())
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Calls a method with one file and other fields, as multipart.
    pub(crate) async fn upload(
        &self,
        method: &str,
        fields: &[(&str, &str)],
        part: &str,
        name: &str,
        content: &[u8],
    ) -> (u16, Value) {
        let mut body = Vec::new();
        for (field, value) in fields {
            body.extend(
                format!(
                    "--xx\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
                )
                .bytes(),
            );
        }
        let head = format!(
            "--xx\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{name}\"\r\n\r\n"
        );
        body.extend(head.bytes());
        body.extend(content);
        body.extend(b"\r\n--xx--\r\n");
        let path = format!("/bot{TOKEN}/{method}");
        self.send(
            Method::POST,
            &path,
            "multipart/form-data; boundary=xx",
            body,
        )
        .await
    }

    /// Writes bytes as they are and reads to the end.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut socket = TcpStream::connect(self.address()).await.unwrap();
        let _ = socket.write_all(bytes).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        answer
    }

    /// Waits until a long poll of the bot waits.
    pub(crate) async fn polled(&self) {
        self.wait_for(PATIENCE, |view| view.is_listening(BOT).then_some(()))
            .await
            .unwrap();
    }
}

/// The id of the last pending update, or 0.
pub(crate) fn last_id(world: &World) -> i64 {
    world
        .updates_pending(BOT)
        .last()
        .map_or(0, |update| update["update_id"].as_i64().unwrap())
}

/// One request on a connection of its own.
pub(crate) async fn exchange(
    address: SocketAddr,
    method: Method,
    path: &str,
    kind: &str,
    body: Bytes,
) -> Result<(u16, Bytes), hyper::Error> {
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1");
    if !kind.is_empty() {
        request = request.header("content-type", kind);
    }
    let response = sender
        .send_request(request.body(Full::new(body)).unwrap())
        .await?;
    let status = response.status().as_u16();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

/// A PNG header of this size; the platform looks no further.
pub(crate) fn png(width: u16, height: u16) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    image.extend(u32::from(width).to_be_bytes());
    image.extend(u32::from(height).to_be_bytes());
    image.extend([8, 2, 0, 0, 0]);
    image
}

#[tokio::test]
async fn all_platforms_fit_behind_one_port() {
    use channel_emulator::{Dingtalk, Discord, Feishu, Line, Slack, Telegram, Wecom};
    let router = Telegram::new(Default::default())
        .router()
        .merge(Line::new(Default::default()).router())
        .merge(Slack::new(Default::default()).router())
        .merge(Wecom::new(Default::default()).router())
        .merge(Discord::new(Default::default()).router())
        .merge(Feishu::new(Default::default()).router())
        .merge(Dingtalk::new(Default::default()).router());
    let server = channel_emulator::Server::start(([127, 0, 0, 1], 0).into(), router)
        .await
        .unwrap();
    assert!(server.base_url().starts_with("http://127.0.0.1:"));
}
