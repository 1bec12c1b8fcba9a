//! What is around a channel that is fuzzed.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    BoxSocket, Clock, Error, HttpClient, HttpError, HttpRequest, Random, Result, SocketConnector,
    SocketRequest, Transport,
};
use futures_core::future::BoxFuture;
use http::Response;

/// One answer, and then nothing more; time stands still.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) answer: Mutex<Option<Bytes>>,
}

/// Seams that lead nowhere but to the one answer.
pub(crate) fn transport(world: &Arc<World>) -> Transport {
    let world = || Arc::clone(world);
    Transport::new(world(), world(), world(), world())
}

#[async_trait]
impl HttpClient for World {
    async fn execute(&self, _request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        let answer = self.answer.lock().expect("nobody panics with it").take();
        match answer {
            Some(answer) => Ok(Response::new(answer)),
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl SocketConnector for World {
    async fn connect(&self, _request: SocketRequest) -> Result<BoxSocket> {
        Err(Error::config("there are no sockets here"))
    }
}

impl Clock for World {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH
    }
    fn elapsed(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn sleep(&self, _duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

impl Random for World {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
