//! A channel that accepts what carries the right secret, and a client that sends bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use channel_core::{
    Accepted, Answer, BoxSocket, Channel, ChannelId, ChannelInfo, Clock, Decided, Decision, Error,
    ErrorKind, Event, EventId, EventKind, Held, Identity, Intake, Limits, OutboundMessage,
    Platform, Raw, Receipt, Refused, Rejection, Result, Route, SocketServer, TextLimit, TextUnit,
    Unknown, Upgrade, Webhook, async_trait,
};
use channel_webhook::{Host, Server, ServerConfig};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

#[derive(Debug)]
pub(crate) struct Stub {
    info: ChannelInfo,
    routes: Vec<Route>,
    sockets: Vec<String>,
    pub(crate) held: Mutex<Option<oneshot::Sender<&'static str>>>,
    /// Whether the request that is being decided about is accepted.
    pub(crate) decided: Mutex<Option<oneshot::Sender<bool>>>,
}

impl Stub {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            info: ChannelInfo::new(
                ChannelId::new("stub"),
                Platform::new("stub"),
                Limits::new(TextLimit::new(100, TextUnit::CodePoints)),
            ),
            routes: vec![
                Route::post("/hook", 1000),
                Route::post("/held", 1000),
                Route::post("/decided", 1000),
                Route::get("/info"),
            ],
            sockets: vec!["/ws".to_owned()],
            held: Mutex::new(None),
            decided: Mutex::new(None),
        })
    }
}

#[async_trait]
impl Channel for Stub {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }
    async fn send(&self, _message: &OutboundMessage) -> Result<Receipt> {
        Ok(Receipt::default())
    }
    async fn probe(&self) -> Result<Identity> {
        Ok(Identity::new("1", "stub"))
    }
    fn as_webhook(&self) -> Option<&dyn Webhook> {
        Some(self)
    }
    fn as_socket_server(&self) -> Option<&dyn SocketServer> {
        Some(self)
    }
}

impl Webhook for Stub {
    fn routes(&self) -> &[Route] {
        &self.routes
    }

    fn receive(
        &self,
        request: &http::Request<Bytes>,
        _now: SystemTime,
    ) -> Result<Accepted, Rejection> {
        let peer = request.extensions().get::<std::net::IpAddr>();
        assert!(peer.is_some_and(std::net::IpAddr::is_loopback));
        if request.headers().get("x-secret").is_none_or(|it| it != "s") {
            return Err(Rejection::unauthorized("secret"));
        }
        let event = Event::new(
            EventId::new("1"),
            self.info.id.clone(),
            EventKind::Unknown(Box::new(Unknown::new(
                "x",
                Raw::new(request.body().clone()),
            ))),
        );
        if request.uri().path() == "/held" {
            let (reply, replied) = oneshot::channel();
            *self.held.lock().unwrap() = Some(reply);
            let reply = replied
                .map(|reply| {
                    reply
                        .ok()
                        .map(|text| http::Response::new(Bytes::from(text)))
                })
                .boxed();
            let otherwise = http::Response::new(Bytes::from_static(b"otherwise"));
            let held = Held::new(reply, Duration::from_secs(5), otherwise);
            return Ok(Accepted::with(vec![event], Answer::Held(held)));
        }
        if request.uri().path() == "/decided" {
            let (decide, decided) = oneshot::channel();
            *self.decided.lock().unwrap() = Some(decide);
            let answer = |text: &'static str| http::Response::new(Bytes::from(text));
            let accepted = event.clone();
            let decision = decided
                .map(move |is_good| match is_good {
                    Ok(true) => Decision::new(vec![accepted], answer("accepted")),
                    _ => Decision::new(Vec::new(), answer("refused")),
                })
                .boxed();
            let otherwise = Decision::new(vec![event], answer("otherwise"));
            let decided = Decided::new(decision, Duration::from_secs(2), otherwise);
            return Ok(Accepted::with(
                Vec::new(),
                Answer::Decided(Box::new(decided)),
            ));
        }
        Ok(Accepted::ok(vec![event]))
    }
}

impl SocketServer for Stub {
    fn paths(&self) -> &[String] {
        &self.sockets
    }

    fn accept(
        &self,
        request: &http::Request<()>,
        peer: Option<std::net::IpAddr>,
    ) -> Result<Upgrade, Box<http::Response<Bytes>>> {
        assert!(peer.is_some(), "the peer's address is known");
        if !request.headers().contains_key("x-secret") {
            let mut refusal = http::Response::new(Bytes::new());
            *refusal.status_mut() = http::StatusCode::UNAUTHORIZED;
            return Err(Box::new(refusal));
        }
        let echo = |mut socket: BoxSocket| {
            async move {
                while let Some(frame) = socket.next().await {
                    let frame = match frame {
                        Ok(frame) => frame,
                        Err(error) if error.kind() == ErrorKind::Invalid => {
                            channel_core::Frame::close(1009, "too big")
                        }
                        Err(_) => break,
                    };
                    if socket.send(frame).await.is_err() {
                        break;
                    }
                }
            }
            .boxed()
        };
        Ok(Upgrade::new(Some("stub.v1".to_owned()), 1000, echo))
    }
}

/// Counts events; takes them or not.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) taken: AtomicUsize,
    pub(crate) refuse: Mutex<Option<Refused>>,
}

#[async_trait]
impl Intake for Counting {
    async fn take(&self, events: Vec<Event>) -> Result<(), Refused> {
        if let Some(refused) = self.refuse.lock().unwrap().take() {
            return Err(refused);
        }
        self.taken.fetch_add(events.len(), Ordering::SeqCst);
        Ok(())
    }
}

/// A clock whose sleeps end when told to.
#[derive(Debug, Default)]
pub(crate) struct Hand(Mutex<Vec<oneshot::Sender<()>>>);

impl Hand {
    pub(crate) fn ring(&self) {
        self.0.lock().unwrap().clear();
    }

    /// How many sleep, or have given up sleeping, since the last ring.
    pub(crate) fn sleepers(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Lets those who sleep now sleep for ever.
    pub(crate) fn forget(&self) {
        for ring in self.0.lock().unwrap().drain(..) {
            std::mem::forget(ring);
        }
    }
}

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _duration: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        let (ring, rung) = oneshot::channel();
        self.0.lock().unwrap().push(ring);
        rung.map(|_| ()).boxed()
    }
}

pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) stub: Arc<Stub>,
    pub(crate) intake: Arc<Counting>,
    pub(crate) clock: Arc<Hand>,
    pub(crate) server: Server,
}

impl Site {
    pub(crate) async fn open() -> Self {
        Self::open_with(ServerConfig::default()).await
    }

    pub(crate) async fn open_with(config: ServerConfig) -> Self {
        let (stub, intake, clock) = (
            Stub::new(),
            Arc::<Counting>::default(),
            Arc::<Hand>::default(),
        );
        let router = Host::new(clock.clone())
            .mount(stub.clone(), intake.clone())
            .router();
        let server = Server::bind_with(config, ([127, 0, 0, 1], 0).into(), router)
            .await
            .unwrap();
        Self {
            address: server.address(),
            stub,
            intake,
            clock,
            server,
        }
    }

    pub(crate) fn taken(&self) -> usize {
        self.intake.taken.load(Ordering::SeqCst)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    pub(crate) async fn talk(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request.as_ref()).await;
        read_all(&mut stream).await
    }

    /// The status of one request, which asks for the connection to be closed.
    pub(crate) async fn status(&self, method: &str, path: &str, headers: &str, body: &str) -> u16 {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        status_of(&self.talk(request).await)
    }
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn status_of(answer: &str) -> u16 {
    answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

pub(crate) fn failed() -> Refused {
    Refused::Failed(Error::new(ErrorKind::Unavailable, "disk full"))
}
