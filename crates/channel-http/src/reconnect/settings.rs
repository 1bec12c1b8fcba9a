//! How a socket is kept alive, and how it is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{Backoff, BoxSocket, Crowd, Frame, Result, SocketConnector, SocketRequest};

/// A socket that is ready to deliver.
#[non_exhaustive]
pub struct Dialed {
    /// The socket.
    pub socket: BoxSocket,
    /// Frames that came before it was ready and that the owner has to see too.
    pub frames: Vec<Frame>,
    /// The platform's own heartbeat on this socket, if it has one.
    pub heartbeat: Option<Heartbeat>,
}

impl Dialed {
    /// A socket of which every frame is still to be read.
    #[must_use]
    pub const fn new(socket: BoxSocket) -> Self {
        Self {
            socket,
            frames: Vec::new(),
            heartbeat: None,
        }
    }

    /// Keeps the platform's own heartbeat on this socket.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// Hands on frames that have been read already.
    #[must_use]
    pub fn with_frames(mut self, frames: Vec<Frame>) -> Self {
        self.frames = frames;
        self
    }
}

impl fmt::Debug for Dialed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialed")
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

/// A heartbeat inside the platform's protocol, with a pace that the server has set.
///
/// A beat is sent each time it is due. The owner reports its answer by
/// [`answered`](super::ReconnectingSocket::answered); a socket that owes an answer when the
/// next beat is due counts as silent, whatever else was heard from it.
#[derive(Clone)]
pub struct Heartbeat {
    pub(super) every: Duration,
    pub(super) first: Duration,
    pub(super) frame: Arc<dyn Fn() -> Frame + Send + Sync>,
}

impl Heartbeat {
    /// Sends the frame that `frame` makes each time.
    #[must_use]
    pub fn new(every: Duration, frame: impl Fn() -> Frame + Send + Sync + 'static) -> Self {
        Self {
            // A pace of nothing would be a tight loop.
            every: every.max(Duration::from_millis(100)),
            first: every,
            frame: Arc::new(frame),
        }
    }

    /// How long after the socket was opened the first one is sent; like the others if not
    /// set.
    #[must_use]
    pub const fn first_after(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat")
            .field("every", &self.every)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

/// Opens a socket and does whatever the platform wants before it delivers: fetching an
/// address, waiting for a hello, logging in.
///
/// A socket is taken into use, and an old one given up, only when this is done.
#[async_trait]
pub trait Dial: fmt::Debug + Send + Sync {
    /// Opens one socket. Bounded from outside; may be dropped at any await.
    ///
    /// # Errors
    ///
    /// The kinds that waiting cannot mend, `Unauthenticated`, `Forbidden` and `Config`, end
    /// the reconnecting; all others are tried again for ever.
    async fn dial(&self) -> Result<Dialed>;
}

/// Opens the same address each time.
#[derive(Debug, Clone)]
pub struct DialAddress {
    connector: Arc<dyn SocketConnector>,
    request: SocketRequest,
}

impl DialAddress {
    /// Connects to the address of the request.
    #[must_use]
    pub fn new(connector: Arc<dyn SocketConnector>, request: SocketRequest) -> Self {
        Self { connector, request }
    }
}

#[async_trait]
impl Dial for DialAddress {
    async fn dial(&self) -> Result<Dialed> {
        let socket = self.connector.connect(self.request.clone()).await?;
        Ok(Dialed::new(socket))
    }
}

/// The numbers of a [`ReconnectingSocket`](super::ReconnectingSocket).
#[derive(Debug, Clone)]
#[must_use]
pub struct ReconnectSettings {
    pub(super) alive_within: Duration,
    pub(super) heartbeat: Option<Frame>,
    pub(super) open_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) close_timeout: Duration,
    pub(super) close_code: u16,
    pub(super) lifetime: Option<Duration>,
    pub(super) overlap: Duration,
    pub(super) clock_jump: Duration,
    pub(super) backoff: Backoff,
    pub(super) apart: Duration,
    pub(super) wary: bool,
    pub(super) crowd: Option<Crowd>,
    pub(super) spread: Option<Duration>,
}

impl Default for ReconnectSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl ReconnectSettings {
    /// Proof of life every 90 s, asked for by pings; no planned replacement; waits of 1 s
    /// to 60 s between attempts of at most 25 s, so that something is heard of it at least
    /// every 90 s even while nothing works. A member of the transport's crowd.
    pub fn new() -> Self {
        Self {
            alive_within: Duration::from_secs(90),
            heartbeat: Some(Frame::Ping(Bytes::new())),
            open_timeout: Duration::from_secs(25),
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            close_code: 1000,
            lifetime: None,
            overlap: Duration::from_secs(5),
            clock_jump: Duration::from_secs(30),
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
            apart: Duration::MAX,
            wary: false,
            crowd: None,
            spread: None,
        }
    }

    /// How long a socket may be silent before it counts as dead. It is asked for a sign of
    /// life after each third of that time.
    pub const fn alive_within(mut self, limit: Duration) -> Self {
        self.alive_within = limit;
        self
    }

    /// The frame that asks for a sign of life; a ping if not set. `None` if the platform's
    /// own heartbeat is sent by the owner.
    pub fn heartbeat(mut self, frame: Option<Frame>) -> Self {
        self.heartbeat = frame;
        self
    }

    /// How long opening a socket may take, from the first step to the platform's welcome.
    pub const fn open_timeout(mut self, limit: Duration) -> Self {
        self.open_timeout = limit;
        self
    }

    /// How long a frame may wait to be written before the socket counts as dead.
    pub const fn write_timeout(mut self, limit: Duration) -> Self {
        self.write_timeout = limit;
        self
    }

    /// The code that sockets are closed with; 1000 if not set. For platforms where 1000 ends
    /// what a later socket is to go on with.
    pub const fn close_code(mut self, code: u16) -> Self {
        self.close_code = code;
        self
    }

    /// Replaces each socket before it is this old: the replacement begins at 85 % to 95 %
    /// of the age, so that many sockets opened together do not fall due together.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How long a replaced socket stays open beside the new one.
    pub const fn overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// How far the wall clock may run ahead between two looks before the machine counts as
    /// having slept.
    pub const fn clock_jump(mut self, limit: Duration) -> Self {
        self.clock_jump = limit;
        self
    }

    /// The waits between attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// A server that wants each new socket replaced is waited for like one that cuts them, from
    /// the second on. For platforms whose notices make a tight loop otherwise; not for those
    /// that replace their sockets several times in a row and mean it.
    pub const fn wary_of_notices(mut self) -> Self {
        self.wary = true;
        self
    }

    /// How soon the socket is to be open again once that is over which kept it away, as long as it
    /// is something that passes by itself: a cut, a server that drains, wants fewer requests, is
    /// not available or does not answer, no network or no names. Attempts then begin at most four
    /// fifths of this time apart, however far the waits have grown and however long an attempt took;
    /// the rest is for opening. What looks lasting, as a request that is refused for a reason nobody
    /// knows, has the whole waits, and so has whoever is told to come back later.
    ///
    /// No limit but that of the waits if not set.
    pub fn back_within(mut self, limit: Duration) -> Self {
        self.apart = limit.mul_f64(0.8);
        self
    }

    /// The sockets that this one comes back together with; those of the transport if not set.
    pub fn crowd(mut self, crowd: Crowd) -> Self {
        self.crowd = Some(crowd);
        self
    }

    /// Spreads the first attempt after a cut over this span at least, however few sockets there
    /// are: for many processes with few sockets each. Zero turns the spreading off. The crowd
    /// decides if not set, or if it is wider; see [`Crowd`].
    pub const fn spread(mut self, span: Duration) -> Self {
        self.spread = Some(span);
        self
    }
}
