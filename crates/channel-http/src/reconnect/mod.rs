//! A websocket that stays open.
//!
//! [`ReconnectingSocket`] keeps one socket to a platform for as long as it is polled. Each
//! step has a deadline: opening, writing, closing, and the silence in between. A socket is
//! replaced before its planned lifetime ends and after the machine has slept, the new one
//! open before the old one closes. Only errors that waiting cannot mend end it:
//! `Unauthenticated`, `Forbidden` and `Config`.
//!
//! It does nothing unless it is polled; poll it in a loop and act on the events.

mod acked;
mod alarm;
mod event;
mod live;
mod retired;
mod settings;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{
    Backoff, Clock, CrowdMember, Error, ErrorKind, Frame, HttpError, Random, Result, Transport,
    random_unit,
};
use futures_core::Stream;
use futures_core::future::BoxFuture;

pub use acked::AckedSocket;
pub use alarm::{Alarm, Woken};
pub use event::{Cause, ReconnectCounters, SocketEvent, SocketId};
use live::{Live, Step};
pub use retired::Retired;
pub use settings::{Dial, DialAddress, Dialed, Heartbeat, ReconnectSettings};

/// How often the wall clock is compared with the monotonic one.
const CLOCK_CHECK: Duration = Duration::from_secs(10);

/// The least that is left of a wait that is cut short.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// A websocket that is opened again and again; a stream of [`SocketEvent`]s.
///
/// Ends after [`SocketEvent::Ended`], or when [`close`](Self::close) is done.
pub struct ReconnectingSocket {
    dial: Arc<dyn Dial>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: ReconnectSettings,
    counters: ReconnectCounters,
    backoff: Backoff,
    crowd: CrowdMember,
    attempt: Attempt,
    /// When the last attempt began.
    began: Duration,
    current: Option<Live>,
    retiring: Option<Live>,
    /// Why the socket to come replaces the present one.
    replacing: Cause,
    /// The last sign of life, if what came after it may be lost.
    gap: Option<SystemTime>,
    events: VecDeque<SocketEvent>,
    watch: Watch,
    timer: Option<(Duration, BoxFuture<'static, ()>)>,
    sockets: u64,
    ended: bool,
}

/// On the way to the next socket.
enum Attempt {
    /// There is one, and it is not to be replaced yet.
    None,
    /// Not before this time.
    Waiting(Duration),
    /// Not longer than until this time.
    Opening(BoxFuture<'static, Result<Dialed>>, Duration),
}

/// In the place of a [`Dial`] that is not needed again.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Dial for Nowhere {
    async fn dial(&self) -> Result<Dialed> {
        Err(not_open())
    }
}

/// Both clocks at the last comparison.
struct Watch {
    wall: SystemTime,
    elapsed: Duration,
}

impl fmt::Debug for ReconnectingSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectingSocket")
            .field("current", &self.current.as_ref().map(|live| live.id))
            .field("retiring", &self.retiring.as_ref().map(|live| live.id))
            .field("failures", &self.backoff.failures())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl ReconnectingSocket {
    /// Opens the first socket when polled first. Takes clock, randomness and, if the settings
    /// name none, the crowd from the transport.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, transport: &Transport, settings: ReconnectSettings) -> Self {
        let clock = Arc::clone(&transport.clock);
        let watch = Watch {
            wall: clock.now(),
            elapsed: clock.elapsed(),
        };
        Self {
            dial,
            random: Arc::clone(&transport.random),
            counters: ReconnectCounters::default(),
            backoff: settings.backoff.clone(),
            crowd: settings.crowd.as_ref().unwrap_or(&transport.crowd).join(),
            attempt: Attempt::Waiting(watch.elapsed),
            began: watch.elapsed,
            current: None,
            retiring: None,
            replacing: Cause::Requested,
            gap: None,
            events: VecDeque::new(),
            timer: None,
            sockets: 0,
            ended: false,
            watch,
            clock,
            settings,
        }
    }

    /// How often it was lost, replaced or not opened; may be kept and read elsewhere.
    #[must_use]
    pub fn counters(&self) -> ReconnectCounters {
        self.counters.clone()
    }

    /// The socket that sends, if one is open.
    #[must_use]
    pub fn current(&self) -> Option<SocketId> {
        self.current.as_ref().map(|live| live.id)
    }

    /// Sends a frame on the present socket, when polled next.
    ///
    /// # Errors
    ///
    /// `Unavailable` if no socket is open or too many frames wait.
    pub fn send(&mut self, frame: Frame) -> Result<()> {
        self.current.as_mut().ok_or_else(not_open)?.send(frame)
    }

    /// Sends a frame on the socket that an event came from, which during a replacement may
    /// be the old one.
    ///
    /// # Errors
    ///
    /// `Unavailable` if that socket is gone or too many frames wait.
    pub fn send_on(&mut self, socket: SocketId, frame: Frame) -> Result<()> {
        [&mut self.current, &mut self.retiring]
            .into_iter()
            .flatten()
            .find(|live| live.id == socket)
            .ok_or_else(not_open)?
            .send(frame)
    }

    /// The platform has answered the last [`Heartbeat`] of this socket.
    pub fn answered(&mut self, socket: SocketId) {
        let mut live = [&mut self.current, &mut self.retiring]
            .into_iter()
            .flatten();
        if let Some(live) = live.find(|live| live.id == socket) {
            live.answered();
        }
    }

    /// Opens a new socket and gives up the present one once the new one is open. For
    /// platforms that announce the end of a connection.
    ///
    /// At once, unless [`ReconnectSettings::wary_of_notices`] and the sockets before this one
    /// did not last either.
    pub fn replace(&mut self) {
        self.begin_replacement(Cause::Requested, self.clock.elapsed());
    }

    /// Gives up the present socket at once and opens a new one after the usual wait. For
    /// platforms whose own heartbeat has failed.
    pub fn reconnect(&mut self) {
        let now = self.clock.elapsed();
        self.lose(Cause::Requested, None, now);
    }

    /// Changes the waits between attempts and the spread of the first one after a cut, for
    /// platforms that tell them; `None` leaves the spread to the crowd, which a narrower one than
    /// its own does not narrow either. What has failed so far is forgotten if the waits are others.
    pub fn set_waits(&mut self, backoff: Backoff, spread: Option<Duration>) {
        if !self.settings.backoff.is_like(&backoff) {
            self.settings.backoff = backoff.clone();
            self.backoff = backoff;
        }
        self.settings.spread = spread;
    }

    /// Closes for good. The stream ends when the peer has answered, or after 5 s.
    pub fn close(&mut self) {
        let now = self.clock.elapsed();
        self.ended = true;
        self.attempt = Attempt::None;
        for live in [&mut self.current, &mut self.retiring]
            .into_iter()
            .flatten()
        {
            live.close(now, &self.settings);
        }
    }

    /// Opens no other socket: the present one is for what is still to be sent, and the stream
    /// ends with it. Lets go of whoever opened it.
    pub fn retire(&mut self) {
        self.ended = true;
        self.attempt = Attempt::None;
        self.dial = Arc::new(Nowhere);
    }

    fn begin_replacement(&mut self, cause: Cause, now: Duration) {
        let Some(live) = &mut self.current else {
            return;
        };
        live.expires = None;
        let opened = live.opened;
        if !self.ended && matches!(self.attempt, Attempt::None) {
            self.counters.add(cause);
            self.replacing = cause;
            // The machine's sleep befell all sockets at once.
            let jumped = cause == Cause::ClockJump;
            let mut wait = jumped.then(|| self.spread()).flatten();
            if cause == Cause::Requested && self.settings.wary {
                self.backoff.failed(now.saturating_sub(opened));
                if self.backoff.failures() > 1 {
                    wait = Some(self.wait_for_passing(Duration::ZERO));
                }
            }
            self.attempt = Attempt::Waiting(now + wait.unwrap_or_default());
        }
    }

    /// The wall-clock time of a moment since the last comparison of the clocks.
    fn wall(&self, moment: Duration) -> SystemTime {
        let ahead = moment.checked_sub(self.watch.elapsed);
        let time = match ahead {
            Some(ahead) => self.watch.wall.checked_add(ahead),
            None => self
                .watch
                .wall
                .checked_sub(self.watch.elapsed.saturating_sub(moment)),
        };
        time.unwrap_or(self.watch.wall)
    }

    fn lose(&mut self, cause: Cause, error: Option<Error>, now: Duration) {
        let Some(live) = self.current.take() else {
            return;
        };
        let heard = self.wall(live.heard);
        self.gap.get_or_insert(heard);
        if self.ended {
            return;
        }
        self.counters.add(cause);
        self.backoff.failed(now.saturating_sub(live.opened));
        if matches!(self.attempt, Attempt::None) {
            self.attempt = Attempt::Waiting(now + self.wait_after_cut());
        }
        self.events.push_back(SocketEvent::Lost {
            socket: live.id,
            cause,
            code: live.code,
            error,
        });
    }

    /// The wait after the loss of a socket. What cut this one may have cut others too; where
    /// it was not the first failure in a row they are spread already.
    fn wait_after_cut(&self) -> Duration {
        let usual = self.wait_for_passing(Duration::ZERO);
        if self.backoff.failures() > 1 {
            return usual;
        }
        self.spread().unwrap_or(usual)
    }

    /// The wait for the end of something that passes by itself, after an attempt that took so long.
    fn wait_for_passing(&self, took: Duration) -> Duration {
        let cap = self.settings.apart.saturating_sub(took).max(LEAST_WAIT);
        self.backoff.wait_within(cap, &*self.random)
    }

    /// Where this socket's turn is when many have to come back at once.
    fn spread(&self) -> Option<Duration> {
        self.crowd.wait(self.settings.spread, &*self.random)
    }

    fn fail(&mut self, cause: Cause, error: Option<Error>, now: Duration) {
        self.counters.add(cause);
        let hopeless = error.as_ref().is_some_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Config
            )
        });
        match error {
            // While the present socket delivers, there is something left to hope for.
            Some(error) if hopeless && self.current.is_none() => {
                self.attempt = Attempt::None;
                self.ended = true;
                self.events.push_back(SocketEvent::Ended { error });
            }
            error => {
                self.backoff.failed(Duration::ZERO);
                let asked = error
                    .as_ref()
                    .and_then(Error::retry_after)
                    .map_or(Duration::ZERO, |wait| wait.min(MAX_RETRY_AFTER));
                let passes = |error: &Error| error.kind().is_retryable() || never_left(error);
                let wait = if error.as_ref().is_none_or(passes) {
                    self.wait_for_passing(now.saturating_sub(self.began))
                } else {
                    self.backoff.wait(&*self.random)
                };
                let retry_in = wait.max(asked);
                self.attempt = Attempt::Waiting(now + retry_in);
                self.events.push_back(SocketEvent::Failed {
                    cause,
                    error,
                    retry_in,
                });
            }
        }
    }

    fn install(&mut self, dialed: Dialed, now: Duration) {
        self.sockets += 1;
        let id = SocketId(self.sockets);
        let mut live = Live::new(id, dialed.socket, now).beating(dialed.heartbeat);
        live.expires = self
            .settings
            .lifetime
            .map(|lifetime| now + lifetime.mul_f64(0.95 - random_unit(&*self.random) / 10.0));
        match self.current.replace(live) {
            None => self.events.push_back(SocketEvent::Opened { socket: id }),
            Some(mut old) => {
                self.events.push_back(SocketEvent::Replaced {
                    old: old.id,
                    new: id,
                    cause: self.replacing,
                });
                old.expires = None;
                old.retires = Some(now + self.settings.overlap);
                self.retiring = Some(old);
            }
        }
        if let Some(since) = self.gap.take() {
            self.events.push_back(SocketEvent::Gap { since });
        }
        let frames = dialed.frames.into_iter();
        self.events
            .extend(frames.map(|frame| SocketEvent::Frame { socket: id, frame }));
    }

    /// Compares the clocks. One that ran ahead means that the machine has slept and the
    /// peer may have given up long ago; one that was set back means nothing.
    fn check_clock(&mut self, now: Duration) {
        let wall = self.clock.now();
        let passed = now.saturating_sub(self.watch.elapsed);
        let ahead = wall
            .duration_since(self.watch.wall)
            .unwrap_or_default()
            .saturating_sub(passed);
        if ahead > self.settings.clock_jump {
            if let Some(live) = &self.current {
                let heard = self.wall(live.heard);
                self.gap.get_or_insert(heard);
            }
            if let Some(live) = &mut self.current {
                live.doubt(now, &self.settings);
            }
            // Whatever was under way was under way before the sleep.
            if !matches!(self.attempt, Attempt::None) {
                self.attempt = Attempt::Waiting(now);
            }
            self.begin_replacement(Cause::ClockJump, now);
        }
        self.watch = Watch { wall, elapsed: now };
    }

    fn poll_attempt(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        match &mut self.attempt {
            Attempt::Waiting(at) if now >= *at => {
                let dial = Arc::clone(&self.dial);
                let opening = Box::pin(async move { dial.dial().await });
                self.began = now;
                self.attempt = Attempt::Opening(opening, now + self.settings.open_timeout);
                true
            }
            Attempt::None | Attempt::Waiting(_) => false,
            Attempt::Opening(opening, deadline) => {
                let deadline = *deadline;
                match opening.as_mut().poll(cx) {
                    Poll::Ready(outcome) => {
                        self.attempt = Attempt::None;
                        match outcome {
                            Ok(dialed) => self.install(dialed, now),
                            Err(error) => self.fail(Cause::Unopened, Some(error), now),
                        }
                        true
                    }
                    Poll::Pending if now >= deadline => {
                        self.fail(Cause::OpenTimeout, None, now);
                        true
                    }
                    Poll::Pending => false,
                }
            }
        }
    }

    fn poll_current(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let Some(live) = &mut self.current else {
            return false;
        };
        if live.expires.is_some_and(|at| now >= at) {
            self.begin_replacement(Cause::Lifetime, now);
            return true;
        }
        match live.poll(cx, now, &self.settings) {
            Poll::Ready(Step::Event(event)) => self.events.push_back(event),
            Poll::Ready(Step::Gone(cause, error)) => self.lose(cause, error, now),
            Poll::Pending => return live.ask(now, &self.settings),
        }
        true
    }

    fn poll_retiring(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let Some(live) = &mut self.retiring else {
            return false;
        };
        if live.retires.is_some_and(|at| now >= at) {
            live.retires = None;
            live.close(now, &self.settings);
        }
        match live.poll(cx, now, &self.settings) {
            Poll::Ready(Step::Event(event)) => self.events.push_back(event),
            Poll::Ready(Step::Gone(..)) => self.retiring = None,
            Poll::Pending => return live.ask(now, &self.settings),
        }
        true
    }

    fn wakes_at(&self) -> Duration {
        let attempt = match &self.attempt {
            Attempt::None => Duration::MAX,
            Attempt::Waiting(at) | Attempt::Opening(_, at) => *at,
        };
        [&self.current, &self.retiring]
            .into_iter()
            .flatten()
            .map(|live| live.wakes_at(&self.settings))
            .fold(self.watch.elapsed + CLOCK_CHECK, Duration::min)
            .min(attempt)
    }

    /// Sets the timer to the next moment at which something is due; whether that is now.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let wakes_at = self.wakes_at();
        // A timer that rings early costs one look; a late one is set anew.
        let (_, sleep) = match &mut self.timer {
            Some(timer) if timer.0 <= wakes_at => timer,
            timer => timer.insert((wakes_at, self.clock.sleep(wakes_at.saturating_sub(now)))),
        };
        let due = sleep.as_mut().poll(cx).is_ready();
        if due {
            self.timer = None;
        }
        due
    }
}

impl Stream for ReconnectingSocket {
    type Item = SocketEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SocketEvent>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.events.pop_front() {
                return Poll::Ready(Some(event));
            }
            if this.ended && this.current.is_none() && this.retiring.is_none() {
                return Poll::Ready(None);
            }
            let now = this.clock.elapsed();
            if now >= this.watch.elapsed + CLOCK_CHECK {
                this.check_clock(now);
            }
            let mut busy = this.poll_attempt(cx, now);
            busy |= this.poll_current(cx, now);
            busy |= this.poll_retiring(cx, now);
            if !busy && !this.poll_timer(cx, now) {
                return Poll::Pending;
            }
        }
    }
}

/// Whether nothing of an attempt has left this machine.
fn never_left(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<HttpError>())
        .is_some_and(|error| !error.may_have_arrived())
}

fn not_open() -> Error {
    Error::new(ErrorKind::Unavailable, "the socket is not open")
}
