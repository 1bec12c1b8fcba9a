//! A transport that answers at once and costs next to nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    BoxSocket, Clock, Error, HttpClient, HttpError, HttpRequest, Random, Result, SocketConnector,
    SocketRequest, Transport,
};
use futures_core::future::BoxFuture;
use http::Response;

/// Answers polls with one batch each, and everything else with one answer.
#[derive(Debug)]
pub struct Canned {
    batches: Mutex<Vec<Bytes>>,
    answer: Bytes,
    /// Whether a poll without a batch waits for ever; otherwise it brings nothing.
    waits: AtomicBool,
    sent: AtomicU64,
}

impl Canned {
    /// Polls bring `batches`, the last one first, and then nothing.
    #[must_use]
    pub fn new(batches: Vec<Bytes>, answer: Bytes) -> Arc<Self> {
        Arc::new(Self {
            batches: Mutex::new(batches),
            answer,
            waits: AtomicBool::new(false),
            sent: AtomicU64::new(0),
        })
    }

    /// From now on a poll without a batch waits for ever.
    pub fn wait_when_empty(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// How many requests other than polls there were.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The seams of a channel.
    #[must_use]
    pub fn transport(self: &Arc<Self>) -> Transport {
        let (http, sockets) = (Arc::clone(self), Arc::clone(self));
        Transport::new(http, sockets, Arc::new(Stopped), Arc::new(Zeros))
    }
}

#[async_trait]
impl HttpClient for Canned {
    async fn execute(&self, request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        if !request.request.uri().path().ends_with("/getUpdates") {
            self.sent.fetch_add(1, Ordering::Relaxed);
            return Ok(Response::new(self.answer.clone()));
        }
        let batch = self
            .batches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match batch {
            Some(batch) => Ok(Response::new(batch)),
            None if self.waits.load(Ordering::Relaxed) => std::future::pending().await,
            None => Ok(Response::new(Bytes::from_static(
                br#"{"ok":true,"result":[]}"#,
            ))),
        }
    }
}

#[async_trait]
impl SocketConnector for Canned {
    async fn connect(&self, _request: SocketRequest) -> Result<BoxSocket> {
        Err(Error::config("there are no sockets here"))
    }
}

/// Time stands still, so nothing is ever late.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_763_640_000)
    }
    fn elapsed(&self) -> Duration {
        Duration::from_secs(1000)
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(std::future::pending())
    }
}

/// Nothing here has to be hard to guess.
#[derive(Debug)]
pub(crate) struct Zeros;

impl Random for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
