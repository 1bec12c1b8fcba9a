//! One open socket and its deadlines.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;

use channel_core::{BoxSocket, Error, ErrorKind, Frame, Result};

use super::event::{Cause, SocketEvent, SocketId};
use super::settings::{Heartbeat, ReconnectSettings};

/// The most frames that wait to be written.
const MAX_OUTBOX: usize = 256;

/// An open socket. Times are those of the monotonic clock.
pub(super) struct Live {
    pub(super) id: SocketId,
    pub(super) opened: Duration,
    pub(super) heard: Duration,
    /// When the planned replacement begins.
    pub(super) expires: Option<Duration>,
    /// When a replaced socket is closed.
    pub(super) retires: Option<Duration>,
    /// When a socket that is being closed is dropped.
    pub(super) gone_by: Option<Duration>,
    pub(super) code: Option<u16>,
    asked: Option<Duration>,
    unwritten_since: Option<Duration>,
    outbox: VecDeque<Frame>,
    pulse: Option<Pulse>,
    socket: BoxSocket,
}

/// The platform's own heartbeat.
struct Pulse {
    heartbeat: Heartbeat,
    due: Duration,
    /// A beat has been sent, and its answer has not come.
    owed: bool,
}

/// What polling a socket came to.
pub(super) enum Step {
    Event(SocketEvent),
    Gone(Cause, Option<Error>),
}

impl Live {
    pub(super) fn new(id: SocketId, socket: BoxSocket, now: Duration) -> Self {
        Self {
            id,
            opened: now,
            heard: now,
            expires: None,
            retires: None,
            gone_by: None,
            code: None,
            asked: None,
            unwritten_since: None,
            outbox: VecDeque::new(),
            pulse: None,
            socket,
        }
    }

    /// Keeps the platform's own heartbeat.
    pub(super) fn beating(mut self, heartbeat: Option<Heartbeat>) -> Self {
        self.pulse = heartbeat.map(|heartbeat| Pulse {
            due: self.opened + heartbeat.first,
            heartbeat,
            owed: false,
        });
        self
    }

    /// The answer to the last beat has come.
    pub(super) fn answered(&mut self) {
        if let Some(pulse) = &mut self.pulse {
            pulse.owed = false;
        }
    }

    pub(super) fn send(&mut self, frame: Frame) -> Result<()> {
        if self.gone_by.is_some() {
            return Err(Error::new(ErrorKind::Unavailable, "the socket is closing"));
        }
        if self.outbox.len() >= MAX_OUTBOX {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "too many frames wait to be written",
            ));
        }
        self.outbox.push_back(frame);
        Ok(())
    }

    /// Begins to close, unless that has begun.
    pub(super) fn close(&mut self, now: Duration, settings: &ReconnectSettings) {
        if self.gone_by.is_none() {
            self.outbox.push_back(Frame::close(settings.close_code, ""));
            self.gone_by = Some(now + settings.close_timeout);
        }
    }

    /// Asks for a sign of life at the next occasion, whatever has been heard.
    pub(super) fn doubt(&mut self, now: Duration, settings: &ReconnectSettings) {
        if settings.heartbeat.is_some() {
            self.heard = self.heard.min(now.saturating_sub(settings.alive_within));
            self.asked = None;
        }
    }

    /// Writes, then reads one frame.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Duration,
        settings: &ReconnectSettings,
    ) -> Poll<Step> {
        if let Poll::Ready(step) = self.poll_write(cx, now) {
            return Poll::Ready(step);
        }
        match self.socket.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.heard = now;
                self.asked = None;
                if let Frame::Close(close) = &frame {
                    self.code = close.as_ref().map(|close| close.code);
                    // The peer may never finish the closing handshake.
                    self.gone_by.get_or_insert(now + settings.close_timeout);
                }
                Poll::Ready(Step::Event(SocketEvent::Frame {
                    socket: self.id,
                    frame,
                }))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Step::Gone(Cause::Broken, Some(error))),
            Poll::Ready(None) => Poll::Ready(Step::Gone(Cause::Closed, None)),
            Poll::Pending => self.poll_deadlines(now, settings),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, now: Duration) -> Poll<Step> {
        while !self.outbox.is_empty() {
            self.unwritten_since.get_or_insert(now);
            match self.socket.as_mut().poll_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return self.unwritable(error),
                Poll::Ready(Ok(())) => {}
            }
            let Some(frame) = self.outbox.pop_front() else {
                break;
            };
            if let Err(error) = self.socket.as_mut().start_send(frame) {
                if error.kind() == ErrorKind::Invalid {
                    let socket = self.id;
                    return Poll::Ready(Step::Event(SocketEvent::Unsent { socket, error }));
                }
                return self.unwritable(error);
            }
        }
        if self.unwritten_since.is_some() {
            match self.socket.as_mut().poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.unwritten_since = None,
                Poll::Ready(Err(error)) => return self.unwritable(error),
            }
        }
        Poll::Pending
    }

    /// While the peer closes, nothing can be written, but there may be more to read.
    fn unwritable(&mut self, error: Error) -> Poll<Step> {
        if self.gone_by.is_some() {
            self.outbox.clear();
            self.unwritten_since = None;
            return Poll::Pending;
        }
        Poll::Ready(Step::Gone(Cause::Broken, Some(error)))
    }

    fn poll_deadlines(&mut self, now: Duration, settings: &ReconnectSettings) -> Poll<Step> {
        if self.gone_by.is_some_and(|at| now >= at) {
            return Poll::Ready(Step::Gone(Cause::Closed, None));
        }
        if self
            .unwritten_since
            .is_some_and(|since| now >= since + settings.write_timeout)
        {
            return Poll::Ready(Step::Gone(Cause::Stalled, None));
        }
        let owes = |pulse: &Pulse| pulse.owed && now >= pulse.due;
        let silent = self.silent_at(settings).is_some_and(|at| now >= at)
            || self.pulse.as_ref().is_some_and(owes);
        if self.gone_by.is_none() && silent {
            return Poll::Ready(Step::Gone(Cause::Silent, None));
        }
        Poll::Pending
    }

    /// Asks for a sign of life if it is time to. Returns whether there is something to write.
    pub(super) fn ask(&mut self, now: Duration, settings: &ReconnectSettings) -> bool {
        let beats = self.beat(now);
        self.ping(now, settings) || beats
    }

    fn beat(&mut self, now: Duration) -> bool {
        let Some(pulse) = &mut self.pulse else {
            return false;
        };
        if self.gone_by.is_some() || now < pulse.due {
            return false;
        }
        pulse.due = now + pulse.heartbeat.every;
        pulse.owed = true;
        self.outbox.push_back((pulse.heartbeat.frame)());
        true
    }

    fn ping(&mut self, now: Duration, settings: &ReconnectSettings) -> bool {
        let Some(frame) = &settings.heartbeat else {
            return false;
        };
        let due = self.gone_by.is_none() && now >= self.asks_at(settings);
        if due {
            self.asked = Some(now);
            self.outbox.push_back(frame.clone());
        }
        due
    }

    fn asks_at(&self, settings: &ReconnectSettings) -> Duration {
        self.asked.unwrap_or(self.heard) + settings.alive_within / 3
    }

    /// When silence means death: not before it was asked and had the time to answer, even
    /// if the owner has not polled for long.
    fn silent_at(&self, settings: &ReconnectSettings) -> Option<Duration> {
        let silent = self.heard + settings.alive_within;
        match &settings.heartbeat {
            None => Some(silent),
            Some(_) => Some(silent.max(self.asked? + settings.alive_within / 3)),
        }
    }

    /// The next moment at which time alone changes something.
    pub(super) fn wakes_at(&self, settings: &ReconnectSettings) -> Duration {
        let mut next = match self.gone_by {
            Some(at) => at,
            None => {
                let asks = settings.heartbeat.as_ref().map(|_| self.asks_at(settings));
                let silent = self.silent_at(settings);
                let beats = self.pulse.as_ref().map(|pulse| pulse.due);
                [asks, silent, beats, self.expires, self.retires]
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap_or(Duration::MAX)
            }
        };
        if let Some(since) = self.unwritten_since {
            next = next.min(since + settings.write_timeout);
        }
        next
    }
}
