//! Discord's gateway: from the bytes of its websocket to the acknowledged event.
//!
//! Path and floor read the same bytes through the same websocket library, so that what a
//! frame costs anyway is in both. Hello and greeting are over before either is measured.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use channel_core::{
    BoxSocket, Connection, Event, EventKind, Events as _, HttpClient, HttpError, HttpRequest,
    Received, Result, SocketConnector, SocketRequest, Transport,
};
use channel_discord::Discord;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::canned::{Stopped, Zeros};

/// How many dispatches there are.
pub const BATCH: usize = 200;

const HELLO: &str = r#"{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250,"_trace":[]}}"#;
const ME: &str = r#"{"id":"1000000000000000001","username":"bench","discriminator":"0000","global_name":null,"avatar":null,"bot":true,"verified":true,"flags":0}"#;
const ADDRESS: &str = r#"{"url":"ws://127.0.0.1:3700/","shards":1,"session_start_limit":{"total":1000,"remaining":999,"reset_after":86400000,"max_concurrency":1}}"#;

/// The events to be read.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Kind {
    /// Messages of people in a server.
    Message,
    /// What somebody is doing, which nobody has asked for.
    Presence,
}

fn dispatch(kind: Kind, n: usize) -> String {
    let user = format!(
        r#"{{"id":"20000000000000{n:05}","username":"ann{n:05}","discriminator":"0","global_name":"Ann {n}","avatar":"a1b2c3d4e5f60718293a4b5c6d7e8f90","avatar_decoration_data":null,"bot":false,"public_flags":0}}"#
    );
    let seq = n + 2;
    match kind {
        Kind::Message => format!(
            r#"{{"t":"MESSAGE_CREATE","s":{seq},"op":0,"d":{{"type":0,"tts":false,"timestamp":"2026-11-20T12:00:00.000000+00:00","pinned":false,"nonce":"14000000000000{n:05}","mentions":[],"mention_roles":[],"mention_everyone":false,"member":{{"roles":["3000000000000000002"],"premium_since":null,"pending":false,"nick":null,"mute":false,"joined_at":"2024-01-01T00:00:00.000000+00:00","flags":0,"deaf":false,"communication_disabled_until":null,"avatar":null}},"id":"13000000000000{n:05}","flags":0,"embeds":[],"edited_timestamp":null,"content":"Could someone look at the deploy of build {n}? The canary reports a higher error rate than yesterday, mostly timeouts, and I would like a second opinion.","components":[],"channel_type":0,"channel_id":"3000000000000000003","author":{user},"attachments":[],"guild_id":"3000000000000000001"}}}}"#
        ),
        Kind::Presence => format!(
            r#"{{"t":"PRESENCE_UPDATE","s":{seq},"op":0,"d":{{"user":{user},"status":"online","processed_at_timestamp":0,"guild_id":"3000000000000000001","client_status":{{"desktop":"online"}},"broadcast":null,"activities":[{{"type":0,"timestamps":{{"start":1763640000123}},"state":"In a match","session_id":"5f2b7c52a81e4f5e9d3a000000000001","party":{{"size":[2,5],"id":"ae488379351d4a4fbd3bd04c16ab6e52"}},"name":"A game of patience","id":"d11307d8c0abb135","details":"Competitive | two and one","created_at":1763640000456,"assets":{{"small_text":"Patience","small_image":"410952014361067523","large_text":"The green table","large_image":"410952014361067524"}},"application_id":"379286085710381999"}}]}}}}"#
        ),
    }
}

/// What the gateway writes, frame by frame.
#[must_use]
pub fn bytes(kind: Kind) -> Bytes {
    let ready = format!(
        r#"{{"t":"READY","s":1,"op":0,"d":{{"v":10,"user":{ME},"guilds":[{{"id":"3000000000000000001","unavailable":true}}],"session_id":"abc","resume_gateway_url":"ws://127.0.0.1:3700/","shard":[0,1],"application":{{"id":"1000000000000000001","flags":0}}}}}}"#
    );
    let mut out = Vec::new();
    let mut write = |text: &str| {
        out.push(0x81);
        match u16::try_from(text.len()).expect("the frames are short") {
            length if length < 126 => out.extend(length.to_be_bytes().get(1)),
            length => {
                out.push(126);
                out.extend(length.to_be_bytes());
            }
        }
        out.extend_from_slice(text.as_bytes());
    };
    write(HELLO);
    write(&ready);
    (0..BATCH).for_each(|n| write(&dispatch(kind, n)));
    out.into()
}

/// A connection that brings bytes and then nothing more, and takes whatever is written.
#[derive(Debug)]
pub struct Wire(Bytes);

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Pending;
        }
        let length = into.remaining().min(self.0.len());
        into.put_slice(self.0.get(..length).unwrap_or_default());
        self.0.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A Discord that answers at once.
#[derive(Debug)]
struct Gateway(Bytes);

#[async_trait]
impl HttpClient for Gateway {
    async fn execute(&self, request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        let is_gateway = request.request.uri().path().ends_with("/gateway/bot");
        let answer = if is_gateway { ADDRESS } else { ME };
        Ok(Response::new(Bytes::from_static(answer.as_bytes())))
    }
}

#[async_trait]
impl SocketConnector for Gateway {
    async fn connect(&self, request: SocketRequest) -> Result<BoxSocket> {
        // As the default transport does it, but for the handshake.
        let config = channel_websocket::config(request.max_message);
        let wire = Wire(self.0.clone());
        let stream = WebSocketStream::from_raw_socket(wire, Role::Client, Some(config));
        Ok(channel_websocket::wrap(stream.await))
    }
}

/// A stream whose session has begun.
#[must_use]
pub fn stream(kind: Kind) -> (Discord, BoxStream<'static, Result<Received>>) {
    let gateway = Arc::new(Gateway(bytes(kind)));
    let (http, sockets) = (Arc::clone(&gateway), gateway);
    let discord = Discord::builder()
        .bot_token("bench")
        .api_base("http://127.0.0.1:3700")
        .transport(Transport::new(
            http,
            sockets,
            Arc::new(Stopped),
            Arc::new(Zeros),
        ))
        .build()
        .expect("the settings are right");
    let mut stream = discord.events();
    let ready = stream.next().now_or_never().flatten();
    let ready = ready.expect("the session begins").expect("it does");
    let kind = ready.event().map(|event| &event.kind);
    assert!(matches!(
        kind,
        Some(EventKind::Connection(Connection::Ready))
    ));
    (discord, stream)
}

/// Takes what comes, looks at each event and acknowledges it, until nothing more comes; says
/// how many there were.
pub fn receive(
    stream: &mut BoxStream<'static, Result<Received>>,
    mut handle: impl FnMut(Event),
) -> usize {
    let mut count = 0;
    while let Some(Some(Ok(mut received))) = stream.next().now_or_never() {
        if let Some(event) = received.take() {
            handle(event);
            count += 1;
        }
        let _done = received.ack().now_or_never();
    }
    count
}

/// The floors: tungstenite with the buffers that it has by itself.
#[expect(dead_code, reason = "reading the fields is what is measured")]
pub mod floor {
    use futures_util::{FutureExt as _, StreamExt as _};
    use serde::Deserialize;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message as Frame;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::{Kind, Wire, bytes};

    #[derive(Debug, Deserialize)]
    struct Dispatch {
        op: u64,
        s: u64,
        t: String,
        d: Message,
    }

    #[derive(Debug, Deserialize)]
    struct Message {
        id: String,
        channel_id: String,
        guild_id: Option<String>,
        channel_type: Option<u64>,
        author: User,
        member: Option<Member>,
        content: String,
        edited_timestamp: Option<String>,
        r#type: u64,
        flags: Option<u64>,
        mentions: Vec<User>,
        attachments: Vec<Attachment>,
        webhook_id: Option<String>,
        message_reference: Option<Reference>,
    }

    #[derive(Debug, Deserialize)]
    struct User {
        id: String,
        username: String,
        global_name: Option<String>,
        bot: Option<bool>,
    }

    #[derive(Debug, Deserialize)]
    struct Member {
        nick: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    struct Attachment {
        filename: String,
        size: u64,
        content_type: Option<String>,
        url: String,
    }

    #[derive(Debug, Deserialize)]
    struct Reference {
        message_id: Option<String>,
    }

    /// An open websocket from which hello and greeting have been read.
    #[must_use]
    pub fn socket(kind: Kind) -> WebSocketStream<Wire> {
        let socket = WebSocketStream::from_raw_socket(Wire(bytes(kind)), Role::Client, None);
        let mut socket = socket.now_or_never().expect("nothing is waited for");
        for _ in 0..2 {
            let frame = socket.next().now_or_never().flatten();
            assert!(frame.is_some_and(|frame| frame.is_ok()));
        }
        socket
    }

    /// Reads messages; says how many there were.
    pub fn decode(socket: &mut WebSocketStream<Wire>) -> usize {
        let mut count = 0;
        while let Some(Some(Ok(Frame::Text(text)))) = socket.next().now_or_never() {
            let Ok(dispatch) = serde_json::from_str::<Dispatch>(&text) else {
                break;
            };
            count += usize::from(dispatch.op == 0);
            std::hint::black_box(dispatch);
        }
        count
    }

    /// Takes frames, and looks at nothing but what they are; says how many there were.
    pub fn skip(socket: &mut WebSocketStream<Wire>) -> usize {
        let mut count = 0;
        while let Some(Some(Ok(Frame::Text(text)))) = socket.next().now_or_never() {
            let Some((op, seq, name)) = head(&text) else {
                break;
            };
            count += usize::from(op == "0" && name != "MESSAGE_CREATE");
            std::hint::black_box((text, seq));
        }
        count
    }

    /// Opcode, number and name in the order in which Discord writes them.
    fn head(text: &str) -> Option<(&str, u64, &str)> {
        let (name, rest) = text.strip_prefix(r#"{"t":""#)?.split_once('"')?;
        let (seq, rest) = rest.strip_prefix(r#","s":"#)?.split_once(',')?;
        let (op, _) = rest.strip_prefix(r#""op":"#)?.split_once(',')?;
        Some((op, seq.parse().ok()?, name))
    }
}
