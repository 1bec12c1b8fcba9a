//! Time that a test moves, and sockets that a test plays.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use channel_core::{
    Clock, Error, ErrorKind, Frame, HttpClient, HttpError, HttpErrorKind, HttpRequest, Random,
    Result, SocketConnector, SocketRequest, Transport,
};
use channel_http::reconnect::{
    Cause, Dial, Dialed, Heartbeat, ReconnectSettings, ReconnectingSocket, SocketEvent, SocketId,
};
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::Sink;

#[derive(Debug)]
pub struct FakeClock(Mutex<(SystemTime, Duration)>);

impl FakeClock {
    pub fn advance(&self, by: Duration) {
        let mut times = self.0.lock().unwrap();
        times.0 += by;
        times.1 += by;
    }

    /// The machine sleeps: the wall clock goes on, the other does not.
    pub fn sleep_machine(&self, by: Duration) {
        self.0.lock().unwrap().0 += by;
    }

    pub fn set_back(&self, by: Duration) {
        self.0.lock().unwrap().0 -= by;
    }
}

struct Sleep(&'static FakeClock, Duration);

impl Future for Sleep {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // No waker is kept: the test polls after each move of the clock.
        if self.0.elapsed() >= self.1 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[derive(Debug)]
struct SharedClock(&'static FakeClock);

impl Clock for FakeClock {
    fn now(&self) -> SystemTime {
        self.0.lock().unwrap().0
    }
    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().1
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        unreachable!("only shared clocks sleep")
    }
}

impl Clock for SharedClock {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Sleep(self.0, self.0.elapsed() + duration))
    }
}

/// Every random number is 0.0, the shortest wait.
#[derive(Debug)]
struct Zeros;

impl Random for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

#[derive(Debug)]
struct Nothing;

#[channel_core::async_trait]
impl HttpClient for Nothing {
    async fn execute(&self, _: HttpRequest) -> Result<http::Response<bytes::Bytes>, HttpError> {
        unreachable!()
    }
}

#[channel_core::async_trait]
impl SocketConnector for Nothing {
    async fn connect(&self, _: SocketRequest) -> Result<channel_core::BoxSocket> {
        unreachable!()
    }
}

/// The peer's end of a socket.
#[derive(Debug, Default)]
pub struct Peer {
    inbound: Mutex<VecDeque<Option<Result<Frame>>>>,
    sent: Mutex<Vec<Frame>>,
    pub answers_pings: AtomicBool,
    pub stalls: AtomicBool,
    dropped: AtomicBool,
}

impl Peer {
    pub fn says(&self, text: &str) {
        self.push(Some(Ok(Frame::text(text))));
    }

    pub fn push(&self, item: Option<Result<Frame>>) {
        self.inbound.lock().unwrap().push_back(item);
    }

    pub fn breaks(&self) {
        self.push(Some(Err(Error::new(ErrorKind::Unavailable, "broken"))));
    }

    pub fn heard(&self) -> Vec<Frame> {
        self.sent.lock().unwrap().clone()
    }

    pub fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::SeqCst)
    }
}

struct FakeSocket(Arc<Peer>);

impl Drop for FakeSocket {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

impl Stream for FakeSocket {
    type Item = Result<Frame>;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        match self.0.inbound.lock().unwrap().pop_front() {
            Some(item) => Poll::Ready(item),
            None => Poll::Pending,
        }
    }
}

impl Sink<Frame> for FakeSocket {
    type Error = Error;
    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<()> {
        if let Frame::Ping(payload) = &frame
            && self.0.answers_pings.load(Ordering::SeqCst)
        {
            self.0.push(Some(Ok(Frame::Pong(payload.clone()))));
        }
        if let Frame::Text(text) = &frame
            && std::str::from_utf8(text).is_err()
        {
            return Err(Error::new(ErrorKind::Invalid, "not utf-8"));
        }
        self.0.sent.lock().unwrap().push(frame);
        Ok(())
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        if self.0.stalls.load(Ordering::SeqCst) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What an attempt to open a socket comes to.
#[derive(Debug)]
pub enum Outcome {
    Open,
    Welcome(Frame),
    Fail(ErrorKind),
    /// Fails before anything has left the machine.
    Unsent,
    RetryAfter(Duration),
    Hang,
    /// Opens with a heartbeat of the platform's own.
    Beating(Duration),
}

/// Opens sockets by a script; when it is at its end, each attempt succeeds.
#[derive(Debug, Default)]
pub struct FakeDial {
    script: Mutex<VecDeque<Outcome>>,
    peers: Mutex<Vec<Arc<Peer>>>,
    pub attempts: AtomicUsize,
    /// Whether every attempt fails, whatever the script says.
    pub is_down: AtomicBool,
}

#[channel_core::async_trait]
impl Dial for FakeDial {
    async fn dial(&self) -> Result<Dialed> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "down"));
        }
        let outcome = self.script.lock().unwrap().pop_front();
        let beat = match outcome {
            Some(Outcome::Beating(every)) => Some(Heartbeat::new(every, || Frame::text("beat"))),
            _ => None,
        };
        let frames = match outcome {
            None | Some(Outcome::Open | Outcome::Beating(_)) => Vec::new(),
            Some(Outcome::Welcome(frame)) => vec![frame],
            Some(Outcome::Fail(kind)) => return Err(Error::new(kind, "scripted")),
            Some(Outcome::Unsent) => {
                return Err(HttpError::unsent(HttpErrorKind::Connect).into_error(true));
            }
            Some(Outcome::RetryAfter(wait)) => {
                return Err(Error::new(ErrorKind::RateLimited, "scripted").with_retry_after(wait));
            }
            Some(Outcome::Hang) => std::future::pending().await,
        };
        let peer = Arc::new(Peer::default());
        peer.answers_pings.store(true, Ordering::SeqCst);
        self.peers.lock().unwrap().push(Arc::clone(&peer));
        let dialed = Dialed::new(Box::pin(FakeSocket(peer))).with_frames(frames);
        Ok(match beat {
            Some(beat) => dialed.with_heartbeat(beat),
            None => dialed,
        })
    }
}

/// A reconnecting socket on fake time.
pub struct World {
    pub clock: &'static FakeClock,
    pub dial: Arc<FakeDial>,
    pub socket: ReconnectingSocket,
}

/// A seeded generator (xorshift), so that every run draws the same.
#[derive(Debug)]
pub struct Dice(Mutex<u64>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed * 2 + 1))
    }
}

impl Random for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        for byte in buffer {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *byte = state.to_le_bytes()[4];
        }
    }
}

pub fn fake_clock() -> &'static FakeClock {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Box::leak(Box::new(FakeClock(Mutex::new((
        start,
        Duration::from_secs(1000),
    )))))
}

impl World {
    pub fn new(settings: ReconnectSettings, script: impl IntoIterator<Item = Outcome>) -> Self {
        Self::with(fake_clock(), Arc::new(Zeros), settings, script)
    }

    /// A world whose time and chance are shared with others.
    pub fn with(
        clock: &'static FakeClock,
        random: Arc<dyn Random>,
        settings: ReconnectSettings,
        script: impl IntoIterator<Item = Outcome>,
    ) -> Self {
        let dial = Arc::new(FakeDial::default());
        dial.script.lock().unwrap().extend(script);
        let transport = Transport::new(
            Arc::new(Nothing),
            Arc::new(Nothing),
            Arc::new(SharedClock(clock)),
            random,
        );
        let socket =
            ReconnectingSocket::new(Arc::clone(&dial) as Arc<dyn Dial>, &transport, settings);
        Self {
            clock,
            dial,
            socket,
        }
    }

    /// What happens without time going on; `None` is the end.
    pub fn settle(&mut self) -> Vec<Option<SocketEvent>> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut events = Vec::new();
        while let Poll::Ready(event) = Pin::new(&mut self.socket).poll_next(&mut cx) {
            let end = event.is_none();
            events.push(event);
            if end {
                break;
            }
        }
        events
    }

    /// Lets time go on second by second; the events and the second in which they came.
    pub fn run(&mut self, seconds: u64) -> Vec<(u64, SocketEvent)> {
        let mut events = Vec::new();
        for second in 0..=seconds {
            if second > 0 {
                self.clock.advance(Duration::from_secs(1));
            }
            events.extend(
                self.settle()
                    .into_iter()
                    .flatten()
                    .map(|event| (second, event)),
            );
        }
        events
    }

    pub fn peer(&self, number: usize) -> Arc<Peer> {
        Arc::clone(&self.dial.peers.lock().unwrap()[number])
    }

    pub fn opened(&self) -> usize {
        self.dial.peers.lock().unwrap().len()
    }

    pub fn count(&self, cause: Cause) -> u64 {
        self.socket.counters().count(cause)
    }
}

/// An event in short: its kind, without pongs.
pub fn short(event: &SocketEvent) -> Option<String> {
    Some(match event {
        SocketEvent::Opened { .. } => "opened".to_owned(),
        SocketEvent::Frame {
            frame: Frame::Pong(_),
            ..
        } => return None,
        SocketEvent::Frame {
            frame: Frame::Text(text),
            ..
        } => String::from_utf8_lossy(text).into_owned(),
        SocketEvent::Frame { frame, .. } => format!("{frame:?}"),
        SocketEvent::Replaced { cause, .. } => format!("replaced {cause}"),
        SocketEvent::Lost { cause, .. } => format!("lost {cause}"),
        SocketEvent::Failed { cause, .. } => format!("failed {cause}"),
        SocketEvent::Gap { .. } => "gap".to_owned(),
        SocketEvent::Unsent { .. } => "unsent".to_owned(),
        SocketEvent::Ended { .. } => "ended".to_owned(),
        _ => "?".to_owned(),
    })
}

pub fn shorts(events: &[(u64, SocketEvent)]) -> Vec<String> {
    events
        .iter()
        .filter_map(|(_, event)| short(event))
        .collect()
}

/// The socket that a text came from.
pub fn source_of(events: &[(u64, SocketEvent)], wanted: &str) -> Option<SocketId> {
    events.iter().find_map(|(_, event)| match event {
        SocketEvent::Frame {
            socket,
            frame: Frame::Text(text),
        } if text == wanted.as_bytes() => Some(*socket),
        _ => None,
    })
}
