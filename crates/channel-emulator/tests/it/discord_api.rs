//! A bare client of REST and of the gateway, and a platform with one bot, one person and one guild.

use std::time::Duration;

use channel_emulator::Clock;
use channel_emulator::discord::{Discord, DiscordConfig, DiscordServer, NewBot, NewGuild};
use futures_util::{SinkExt as _, StreamExt as _};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::line_api::{Answered, PATIENCE, exchange};

pub(crate) const TOKEN: &str = "synthetic.discord.token";
pub(crate) const AGENT: &str = "DiscordBot (https://example.org, 1)";
/// What a chat bot needs.
pub(crate) const INTENTS: u64 = 46_593;

pub(crate) struct World {
    pub(crate) server: DiscordServer,
    pub(crate) bot: u64,
    pub(crate) ada: u64,
    pub(crate) guild: u64,
    pub(crate) general: u64,
}

impl std::ops::Deref for World {
    type Target = Discord;

    fn deref(&self) -> &Discord {
        &self.server
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(DiscordConfig::default()).await
    }

    pub(crate) async fn with(config: DiscordConfig) -> Self {
        let config = config.clock(Clock::fixed(Duration::from_secs(1_790_000_000)));
        let server = Discord::start(config).await.unwrap();
        let bot = server.add_bot(&NewBot::new(TOKEN, "kit")).unwrap();
        let ada = server.user("Ada");
        let new = NewGuild::new("Team", &[bot], &[ada]);
        let (guild, general) = server.guild(&new).unwrap();
        Self {
            server,
            bot,
            ada,
            guild,
            general,
        }
    }

    /// A call below the version, with the bot's token.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Answered {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(method, path, &[], &body).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answered {
        let bearer = format!("Bot {TOKEN}");
        let mut all = headers.to_vec();
        for (name, value) in [("authorization", bearer.as_str()), ("user-agent", AGENT)] {
            if !headers.iter().any(|(given, _)| *given == name) {
                all.push((name, value));
            }
        }
        let path = format!("/api/v10{path}");
        exchange(&self.server.base_url(), method, &path, &all, body)
            .await
            .unwrap()
    }

    /// Where messages of the guild go.
    pub(crate) fn messages(&self) -> String {
        format!("/channels/{}/messages", self.general)
    }

    /// Writes to the guild's channel.
    pub(crate) async fn write(&self, body: Value) -> Answered {
        self.call(Method::POST, &self.messages(), &body).await
    }

    /// Status and code of a refused message.
    pub(crate) async fn refused(&self, body: Value) -> (u16, u64) {
        let answer = self.write(body).await;
        (answer.status, answer.json()["code"].as_u64().unwrap())
    }

    /// Closes a connection and waits until the platform knows.
    pub(crate) async fn end(&self, line: Line, code: u16) {
        line.close(code).await;
        self.wait_for(PATIENCE, |discord| {
            let over = discord.connections().iter().all(|at| at.closed.is_some());
            over.then_some(())
        })
        .await
        .unwrap();
    }

    /// A connection that has been greeted.
    pub(crate) async fn connect(&self) -> Line {
        self.connect_to(&self.server.gateway_url(), "v=10&encoding=json")
            .await
    }

    pub(crate) async fn connect_to(&self, url: &str, query: &str) -> Line {
        let mut line = Line::open(url, query).await;
        assert_eq!(line.next().await["op"], 10);
        line
    }

    /// A connection that has identified and read its guild.
    pub(crate) async fn ready(&self) -> (Line, Value) {
        let mut line = self.connect().await;
        line.identify(INTENTS).await;
        let ready = line.event("READY").await;
        line.event("GUILD_CREATE").await;
        (line, ready)
    }
}

/// A client's end of the gateway.
pub(crate) struct Line {
    stream: WebSocketStream<TcpStream>,
}

impl Line {
    pub(crate) async fn open(url: &str, query: &str) -> Self {
        let address = url
            .strip_prefix("ws://")
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let url = format!("{url}?{query}");
        let (stream, _) = tokio_tungstenite::client_async(url, socket).await.unwrap();
        Self { stream }
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.stream.send(frame.to_string().into()).await.unwrap();
    }

    pub(crate) async fn identify(&mut self, intents: u64) {
        self.identify_with(json!({ "intents": intents })).await;
    }

    /// Identifies with other fields.
    pub(crate) async fn identify_with(&mut self, fields: Value) {
        let mut data = json!({"token": TOKEN, "properties": {"os": "linux", "browser": "kit", "device": "kit"}});
        data.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        self.send(json!({"op": 2, "d": data})).await;
    }

    pub(crate) async fn resume(&mut self, session: &Value, seq: u64) {
        let data = json!({"token": TOKEN, "session_id": session, "seq": seq});
        self.send(json!({"op": 6, "d": data})).await;
    }

    /// The next message as it comes; `None` at the end.
    pub(crate) async fn raw(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        next.unwrap().and_then(Result::ok)
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        match self.raw().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => unreachable!("expected a text, got {other:?}"),
        }
    }

    /// The next frame, which is this event; gives the whole frame.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["t"], name, "{frame}");
        frame
    }

    /// The code the server closes with, after whatever came before.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.raw().await {
                Some(Message::Close(close)) => return close.map(|close| close.code.into()),
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// Whether a heartbeat is answered and nothing came before the answer.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        self.send(json!({"op": 1, "d": null})).await;
        self.next().await["op"] == 11
    }

    async fn close(mut self, code: u16) {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        self.stream.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}
