//! What a reconnecting socket tells.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use channel_core::{Connection, Error, Frame};

/// One socket in the life of a [`ReconnectingSocket`](super::ReconnectingSocket).
///
/// For a short while there are two: what has to be answered where it came from carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub(super) u64);

/// Why a socket was lost or replaced, or could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The peer closed it.
    Closed,
    /// The connection broke.
    Broken,
    /// Nothing was heard from it for too long.
    Silent,
    /// What was to be sent could not be written in time.
    Stalled,
    /// It could not be opened.
    Unopened,
    /// It was not open in time.
    OpenTimeout,
    /// Its planned lifetime was over.
    Lifetime,
    /// The wall clock jumped ahead: the machine has slept.
    ClockJump,
    /// The owner asked for a new one.
    Requested,
}

impl Cause {
    /// Every cause, in the order of the counters.
    pub const ALL: [Self; 9] = [
        Self::Closed,
        Self::Broken,
        Self::Silent,
        Self::Stalled,
        Self::Unopened,
        Self::OpenTimeout,
        Self::Lifetime,
        Self::ClockJump,
        Self::Requested,
    ];

    /// A stable lower-case name for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::Unopened => "unopened",
            Self::OpenTimeout => "open_timeout",
            Self::Lifetime => "lifetime",
            Self::ClockJump => "clock_jump",
            Self::Requested => "requested",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocketEvent {
    /// There is a socket where there was none.
    Opened {
        /// The new socket.
        socket: SocketId,
    },
    /// A frame arrived; during a replacement the old socket still delivers.
    Frame {
        /// Where it arrived.
        socket: SocketId,
        /// The frame.
        frame: Frame,
    },
    /// A new socket has taken over. The old one stays open for a while.
    Replaced {
        /// The socket that will be closed.
        old: SocketId,
        /// The socket that sends and receives from now on.
        new: SocketId,
        /// Why.
        cause: Cause,
    },
    /// There is no socket any more; a new one will be opened.
    Lost {
        /// The socket that is gone.
        socket: SocketId,
        /// Why.
        cause: Cause,
        /// The code that the peer closed with.
        code: Option<u16>,
        /// What broke.
        error: Option<Error>,
    },
    /// A socket could not be opened; the next attempt comes.
    Failed {
        /// Why.
        cause: Cause,
        /// What the attempt ended with.
        error: Option<Error>,
        /// The wait before the next attempt.
        retry_in: Duration,
    },
    /// The platform may have sent something that nobody received. Comes after the new
    /// socket is open.
    Gap {
        /// The last sign of life before the gap.
        since: SystemTime,
    },
    /// A frame was not sent, because the protocol cannot carry it.
    Unsent {
        /// Where it was to be sent.
        socket: SocketId,
        /// What is wrong with it.
        error: Error,
    },
    /// Trying again cannot help; this is the last event.
    Ended {
        /// What has to be mended.
        error: Error,
    },
}

/// The wait after a loss, as it is announced; the socket spreads it.
const SOON: Duration = Duration::from_secs(1);

impl SocketEvent {
    /// What the event says about the connection, in the words of the core. A gap is not
    /// among it: whether one matters depends on how long the platform repeats its events.
    #[must_use]
    pub fn news(&self) -> Option<Connection> {
        match self {
            Self::Opened { .. } => Some(Connection::Ready),
            Self::Replaced { .. } => Some(Connection::Alive),
            Self::Lost { cause, .. } => Some(Connection::Lost {
                cause: cause.as_str().to_owned(),
                retry_in: SOON,
            }),
            Self::Failed {
                cause,
                error,
                retry_in,
            } => {
                let kind = error.as_ref().map(|error| error.kind().as_str());
                Some(Connection::Lost {
                    cause: kind.unwrap_or(cause.as_str()).to_owned(),
                    retry_in: *retry_in,
                })
            }
            _ => None,
        }
    }
}

/// How often a socket was lost, replaced or not opened, by cause. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct ReconnectCounters(Arc<[AtomicU64; Cause::ALL.len()]>);

impl ReconnectCounters {
    /// How often it happened for this cause.
    #[must_use]
    pub fn count(&self, cause: Cause) -> u64 {
        self.slot(cause)
            .map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    /// Every cause with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL
            .into_iter()
            .map(|cause| (cause, self.count(cause)))
    }

    pub(super) fn add(&self, cause: Cause) {
        if let Some(slot) = self.slot(cause) {
            slot.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn slot(&self, cause: Cause) -> Option<&AtomicU64> {
        self.0.get(cause as usize)
    }
}
