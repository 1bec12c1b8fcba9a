//! Running one connection: a reader and a writer side by side in one future.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use channel_core::{BoxSocket, Clock, CloseFrame, Elapsed, ErrorKind, Frame, timeout};
use futures_core::future::BoxFuture;
use futures_util::future::{Either, select};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};

use crate::link::{Closing, Link, Output};
use crate::session::Session;
use crate::standard::{Shared, Slot};

/// How long a client may take to answer our closing frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Runs a connection until it ends.
pub(crate) async fn serve(shared: Arc<Shared>, slot: Slot, socket: BoxSocket) {
    let (sink, stream) = socket.split();
    let link = Arc::clone(&slot.link);
    let mut session = Session::new(Arc::clone(&shared), slot);
    let read = pin!(read(&shared, &mut session, stream));
    let write = pin!(write(&shared, &link, sink));
    match select(read, write).await {
        // The client has sent what cannot be read: only a closing frame is left to write.
        // A client that is still sending gets the time to see it, because a connection
        // that goes while bytes are unread is reset, and takes the frame along.
        Either::Left((Read::Unreadable, write)) => {
            if let Written::Close = write.await {
                shared.transport.clock.sleep(CLOSE_WITHIN).await;
            }
        }
        Either::Left((Read::Gone, _)) => {}
        // Our closing frame is out: reading on until the client has answered it keeps the
        // network stack from cutting the connection before the frame has arrived.
        Either::Right((Written::Close, read)) => {
            let _ = timeout(&*shared.transport.clock, CLOSE_WITHIN, read).await;
        }
        Either::Right((Written::Nothing, _)) => {}
    }
}

/// Why reading ended.
enum Read {
    /// The client is gone, or has said goodbye.
    Gone,
    /// What it sends cannot be read.
    Unreadable,
}

/// What became of the closing frame.
enum Written {
    Close,
    /// The client takes nothing any more.
    Nothing,
}

/// Reads frames until the client is gone.
async fn read(shared: &Shared, session: &mut Session, mut stream: SplitStream<BoxSocket>) -> Read {
    enum Next {
        Frame(Option<channel_core::Result<Frame>>),
        Alarm,
    }
    let clock = &*shared.transport.clock;
    let link = Arc::clone(session.link());
    let (hello_timeout, read_timeout) =
        (shared.config.hello_timeout(), shared.config.read_timeout());
    let opened = clock.elapsed();
    let mut heard = opened;
    // One alarm serves all deadlines, and looks when it rings whether any has passed: a
    // timer is not set anew with each frame.
    let mut alarm = clock.sleep(hello_timeout.min(read_timeout));
    loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(frame) = stream.poll_next_unpin(cx) {
                return Poll::Ready(Next::Frame(frame));
            }
            alarm.poll_unpin(cx).map(|()| Next::Alarm)
        });
        match next.await {
            Next::Frame(None) => return Read::Gone,
            Next::Frame(Some(Ok(Frame::Close(_)))) => {
                // The transport answers the closing frame when it is asked for more.
                let _ = timeout(clock, CLOSE_WITHIN, stream.next()).await;
                return Read::Gone;
            }
            Next::Frame(Some(Err(error))) => {
                link.close(match error.kind() {
                    ErrorKind::Invalid => Closing::TOO_BIG,
                    ErrorKind::Protocol => Closing::UNREADABLE,
                    _ => return Read::Gone,
                });
                return Read::Unreadable;
            }
            Next::Frame(Some(Ok(frame))) => {
                heard = clock.elapsed();
                if !link.is_closing() {
                    session.receive(&frame, heard);
                }
            }
            Next::Alarm => {
                let now = clock.elapsed();
                let mut deadline = heard + read_timeout;
                if !session.is_open() {
                    deadline = deadline.min(opened + hello_timeout);
                }
                if now >= deadline {
                    link.close(Closing::TIMEOUT);
                    deadline = now + read_timeout;
                }
                alarm = clock.sleep(deadline.saturating_sub(now));
            }
        }
    }
}

/// Writes what is queued, and pings, until the connection is closed.
async fn write(shared: &Shared, link: &Link, mut sink: SplitSink<BoxSocket, Frame>) -> Written {
    let clock = &*shared.transport.clock;
    let limit = shared.config.write_timeout();
    let mut ping = Ping::new(clock, shared.config.ping_interval());
    let mut unflushed = false;
    loop {
        let todo = poll_fn(|cx| match link.poll_output(cx) {
            Poll::Ready(output) => Poll::Ready(Todo::Write(output)),
            Poll::Pending if unflushed => Poll::Ready(Todo::Flush),
            Poll::Pending => ping.poll(cx).map(|()| Todo::Ping),
        });
        let frame = match todo.await {
            Todo::Write(Output::Frame(bytes)) => Frame::Text(bytes),
            Todo::Write(Output::Replay) => match shared.hub().next_replayed(link) {
                Some(bytes) => Frame::Text(bytes),
                None => continue,
            },
            Todo::Ping => Frame::Ping(Bytes::new()),
            Todo::Flush => {
                match timeout(clock, limit, sink.flush()).await {
                    Ok(Ok(())) => unflushed = false,
                    Ok(Err(_)) => return Written::Nothing,
                    Err(Elapsed { .. }) => {
                        link.close(Closing::SLOW);
                        return close(clock, &mut sink, Closing::SLOW).await;
                    }
                }
                continue;
            }
            Todo::Write(Output::Close(closing)) => return close(clock, &mut sink, closing).await,
        };
        match timeout(clock, limit, sink.feed(frame)).await {
            Ok(Ok(())) => unflushed = true,
            Ok(Err(_)) => return Written::Nothing,
            Err(Elapsed { .. }) => {
                link.close(Closing::SLOW);
                return close(clock, &mut sink, Closing::SLOW).await;
            }
        }
    }
}

enum Todo {
    Write(Output),
    Flush,
    Ping,
}

async fn close(
    clock: &dyn Clock,
    sink: &mut SplitSink<BoxSocket, Frame>,
    closing: Closing,
) -> Written {
    let frame = Frame::Close(Some(CloseFrame::new(closing.code, closing.reason)));
    match timeout(clock, CLOSE_WITHIN, sink.send(frame)).await {
        Ok(Ok(())) => Written::Close,
        // It learns of the end when the connection goes.
        Ok(Err(_)) | Err(Elapsed { .. }) => Written::Nothing,
    }
}

/// The server's pings.
struct Ping<'a> {
    clock: &'a dyn Clock,
    every: Option<Duration>,
    next: Option<BoxFuture<'static, ()>>,
}

impl<'a> Ping<'a> {
    fn new(clock: &'a dyn Clock, every: Option<Duration>) -> Self {
        Self {
            clock,
            every,
            next: every.map(|every| clock.sleep(every)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(next) = &mut self.next else {
            return Poll::Pending;
        };
        next.poll_unpin(cx).map(|()| {
            self.next = self.every.map(|every| self.clock.sleep(every));
        })
    }
}
