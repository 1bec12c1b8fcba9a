//! One channel, its clients and the application around it, in one thread on virtual time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use channel_core::{
    Channel as _, Error, ErrorKind, Event, Events as _, Frame, OutboundMessage, Received, Result,
    SocketServer as _, Upgrade,
};
use channel_standard::{Standard, StandardBuilder};
use channel_testkit::{FakeTransport, fake_transport};
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, Sink, Stream, StreamExt as _};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "tok-standard-0001";

/// The world: nothing happens in it but what a test makes happen.
pub(crate) struct World {
    pub(crate) fake: FakeTransport,
    pub(crate) channel: Standard,
    events: BoxStream<'static, Result<Received>>,
    tasks: Tasks,
}

/// The running connections.
#[derive(Default)]
pub(crate) struct Tasks(FuturesUnordered<BoxFuture<'static, ()>>);

impl Tasks {
    /// Lets everything run that can run, and has the context woken when more can.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(())) = self.0.poll_next_unpin(context) {}
    }
}

impl Tasks {
    /// Lets everything run that can run, without time passing.
    pub(crate) fn settle(&mut self) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        while flag.0.swap(false, Ordering::AcqRel) {
            while let Poll::Ready(Some(())) = self.0.poll_next_unpin(&mut context) {}
        }
    }

    pub(crate) fn serve(&mut self, upgrade: Upgrade) -> Client {
        let wire = Arc::new(Mutex::new(Wire {
            capacity: usize::MAX,
            ..Wire::default()
        }));
        let socket = Box::pin(Server {
            wire: Arc::clone(&wire),
            max_message: upgrade.max_message,
        });
        self.0.push((upgrade.serve)(socket));
        self.settle();
        Client { wire }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(change: impl FnOnce(StandardBuilder) -> StandardBuilder) -> Self {
        let fake = fake_transport();
        let builder = Standard::builder().token(TOKEN);
        let channel = change(builder)
            .transport(fake.transport())
            .build()
            .expect("the configuration is valid");
        let mut events = channel.events();
        // The stream says first that it is ready.
        let first = events.next().now_or_never().flatten();
        assert!(matches!(first, Some(Ok(_))));
        Self {
            fake,
            channel,
            events,
            tasks: Tasks::default(),
        }
    }

    /// Lets everything run that can run, without time passing.
    pub(crate) fn settle(&mut self) {
        self.tasks.settle();
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn advance(&mut self, by: Duration) {
        let mut left = by;
        self.settle();
        while let Some(next) = self.fake.clock.next_deadline().filter(|next| *next <= left) {
            self.fake.clock.advance(next);
            left -= next;
            self.settle();
        }
        self.fake.clock.advance(left);
        self.settle();
    }

    pub(crate) fn upgrade(
        &self,
        request: &http::Request<()>,
    ) -> Result<Upgrade, Box<http::Response<Bytes>>> {
        let peer = Some([192, 0, 2, 7].into());
        self.channel.accept(request, peer)
    }

    /// Opens a connection with the shared token, without a hello.
    pub(crate) fn connect(&mut self) -> Client {
        self.connect_with(TOKEN)
    }

    pub(crate) fn connect_with(&mut self, token: &str) -> Client {
        let upgrade = self
            .upgrade(&bearer(token))
            .expect("the upgrade is granted");
        self.serve(upgrade)
    }

    pub(crate) fn serve(&mut self, upgrade: Upgrade) -> Client {
        self.tasks.serve(upgrade)
    }

    /// Opens a connection and says hello; the welcome is dropped.
    pub(crate) fn join(&mut self, client: &str) -> Client {
        let socket = self.connect();
        let hello = json!({"v":1,"type":"hello","id":"h-1","client_id":client});
        let welcome = self.ask(&socket, &hello);
        assert_eq!(types(&welcome), ["welcome"], "{welcome:?}");
        socket
    }

    /// Joins again and resumes the default conversation; everything that comes back.
    pub(crate) fn rejoin(&mut self, client: &str, cursor: &str) -> (Client, Vec<Value>) {
        let socket = self.connect();
        let hello = json!({
            "v":1,"type":"hello","id":"h-2","client_id":client,"resume":{"default":cursor},
        });
        let frames = self.ask(&socket, &hello);
        (socket, frames)
    }

    /// Sends a frame and returns what comes back at once.
    pub(crate) fn ask(&mut self, client: &Client, frame: &Value) -> Vec<Value> {
        client.send(frame);
        self.settle();
        client.frames()
    }

    /// The next event, if there is one; signs of life are skipped.
    pub(crate) fn received(&mut self) -> Option<Received> {
        loop {
            self.settle();
            let received = self.events.next().now_or_never()??.expect("an event");
            let is_news = received
                .event()
                .is_some_and(|event| event.name() == "connection");
            if !is_news {
                return Some(received);
            }
        }
    }

    /// Takes and acknowledges the next event.
    pub(crate) fn event(&mut self) -> Option<Event> {
        let mut received = self.received()?;
        let event = received.take();
        ack(received);
        self.settle();
        event
    }

    /// Starts a new stream of events in the place of the old one.
    pub(crate) fn restart_events(&mut self) {
        let mut events = self.channel.events();
        let first = events.next().now_or_never().flatten();
        assert!(matches!(first, Some(Ok(_))));
        self.events = events;
    }

    pub(crate) fn send(&mut self, message: &OutboundMessage) -> Vec<String> {
        let receipt = now(self.channel.send(message)).expect("sent");
        self.settle();
        receipt
            .messages
            .iter()
            .map(|it| it.id.to_string())
            .collect()
    }
}

pub(crate) fn ack(received: Received) {
    now(received.ack()).expect("acknowledged");
}

/// The result of a future that does not wait for anything.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("ready at once")
}

pub(crate) fn bearer(token: &str) -> http::Request<()> {
    http::Request::get("/standard/ws")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .expect("a request")
}

pub(crate) fn types(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .map(|frame| frame["type"].as_str().unwrap_or("?"))
        .collect()
}

/// The codes of error frames.
pub(crate) fn codes(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .filter_map(|frame| frame["code"].as_str())
        .collect()
}

pub(crate) fn message(id: &str, text: &str) -> Value {
    json!({"v":1,"type":"message","id":id,"conversation":"default","text":text})
}

#[derive(Default)]
struct Wire {
    to_server: VecDeque<Result<Frame>>,
    to_client: VecDeque<Frame>,
    /// Frames that the server may write before the client reads.
    capacity: usize,
    client_gone: bool,
    server_gone: bool,
    /// Whether the closing frame of the client has been read.
    said_goodbye: bool,
    /// Whether pings are left unanswered.
    mute: bool,
    wakers: Vec<Waker>,
}

impl Wire {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

/// The client's end.
pub(crate) struct Client {
    wire: Arc<Mutex<Wire>>,
}

impl Client {
    fn change<T>(&self, change: impl FnOnce(&mut Wire) -> T) -> T {
        let mut wire = self.wire.lock().expect("no test panics inside");
        let value = change(&mut wire);
        wire.wake();
        value
    }

    pub(crate) fn send(&self, frame: &Value) {
        self.send_text(&frame.to_string());
    }

    pub(crate) fn send_text(&self, text: &str) {
        self.send_frame(Frame::text(text));
    }

    pub(crate) fn send_frame(&self, frame: Frame) {
        self.change(|wire| wire.to_server.push_back(Ok(frame)));
    }

    /// Everything that has arrived, closing frame included.
    pub(crate) fn raw(&self) -> Vec<Frame> {
        self.change(|wire| wire.to_client.drain(..).collect())
    }

    /// The text frames that have arrived; pings are dropped, a closing frame is put back.
    pub(crate) fn frames(&self) -> Vec<Value> {
        let mut out = Vec::new();
        for frame in self.raw() {
            match frame {
                Frame::Text(bytes) => out.push(serde_json::from_slice(&bytes).expect("JSON")),
                close @ Frame::Close(_) => self.change(|wire| wire.to_client.push_back(close)),
                _ => {}
            }
        }
        out
    }

    /// The code with which the server has closed.
    pub(crate) fn closed(&self) -> Option<u16> {
        self.raw().into_iter().find_map(|frame| match frame {
            Frame::Close(close) => close.map(|close| close.code),
            _ => None,
        })
    }

    /// Lets the server write only so many frames before the client reads.
    pub(crate) fn stall(&self, capacity: usize) {
        self.change(|wire| wire.capacity = capacity);
    }

    pub(crate) fn mute(&self) {
        self.change(|wire| wire.mute = true);
    }

    /// The socket reports an error instead of a frame.
    pub(crate) fn fail(&self, kind: ErrorKind) {
        self.change(|wire| {
            wire.to_server
                .push_back(Err(Error::new(kind, "the socket broke")))
        });
    }

    pub(crate) fn leave(self) {}

    pub(crate) fn is_over(&self) -> bool {
        self.change(|wire| wire.server_gone)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.change(|wire| wire.client_gone = true);
    }
}

/// The server's end.
struct Server {
    wire: Arc<Mutex<Wire>>,
    max_message: usize,
}

impl Stream for Server {
    type Item = Result<Frame>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut wire = self.wire.lock().expect("no test panics inside");
        if wire.said_goodbye {
            return Poll::Ready(None);
        }
        match wire.to_server.pop_front() {
            Some(Ok(close @ Frame::Close(_))) => {
                wire.said_goodbye = true;
                Poll::Ready(Some(Ok(close)))
            }
            Some(Ok(Frame::Text(bytes))) if bytes.len() > self.max_message => {
                Poll::Ready(Some(Err(Error::new(ErrorKind::Invalid, "too large"))))
            }
            Some(frame) => Poll::Ready(Some(frame)),
            None if wire.client_gone => Poll::Ready(None),
            None => {
                wire.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Sink<Frame> for Server {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut wire = self.wire.lock().expect("no test panics inside");
        if wire.client_gone {
            return Poll::Ready(Err(Error::new(ErrorKind::Unavailable, "gone")));
        }
        if wire.to_client.len() < wire.capacity {
            return Poll::Ready(Ok(()));
        }
        wire.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, frame: Frame) -> Result<()> {
        let mut wire = self.wire.lock().expect("no test panics inside");
        // A client answers a ping and a closing frame by itself.
        match &frame {
            Frame::Ping(bytes) if !wire.mute => {
                wire.to_server.push_back(Ok(Frame::Pong(bytes.clone())));
            }
            Frame::Close(_) => wire.to_server.push_back(Ok(Frame::Close(None))),
            _ => {}
        }
        wire.to_client.push_back(frame);
        wire.wake();
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut wire = self.wire.lock().expect("no test panics inside");
        wire.server_gone = true;
        wire.wake();
    }
}
