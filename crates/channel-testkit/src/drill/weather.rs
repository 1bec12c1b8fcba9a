//! A network that fails on demand, over real sockets and over fakes alike.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use channel_core::{
    BoxSocket, Error, ErrorKind, HandshakeRefused, HttpClient, HttpError, HttpErrorKind,
    HttpRequest, Result, SocketConnector, SocketRequest, Transport,
};
use http::{HeaderMap, Response, StatusCode};

use crate::wait::lock;

/// What stands between a channel and its platform.
///
/// Clones share the switches.
#[derive(Clone, Default)]
pub struct Weather(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    no_names: bool,
    refusing: bool,
    no_ticket: bool,
    tickets: usize,
    handshakes: usize,
}

impl fmt::Debug for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Weather").field(&*lock(&self.0)).finish()
    }
}

impl Weather {
    /// Fair weather.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A transport that is exposed to it. `ticket` is the end of the path of the call by which the
    /// platform is asked where to connect.
    #[must_use]
    pub fn over(&self, mut transport: Transport, ticket: &'static str) -> Transport {
        transport.http = Arc::new(Calls {
            weather: self.clone(),
            inner: transport.http,
            ticket,
        });
        transport.sockets = Arc::new(Handshakes {
            weather: self.clone(),
            inner: transport.sockets,
        });
        transport
    }

    /// No name is resolved: nothing leaves the machine.
    pub fn no_names(&self, on: bool) {
        lock(&self.0).no_names = on;
    }

    /// Every handshake is refused with 429.
    pub fn refusing(&self, on: bool) {
        lock(&self.0).refusing = on;
    }

    /// Whoever asks where to connect is refused, with 503 and 429 by turns.
    pub fn no_ticket(&self, on: bool) {
        lock(&self.0).no_ticket = on;
    }

    /// How often it was tried to connect.
    #[must_use]
    pub fn attempts(&self) -> usize {
        let state = lock(&self.0);
        state.tickets.max(state.handshakes)
    }
}

struct Calls {
    weather: Weather,
    inner: Arc<dyn HttpClient>,
    ticket: &'static str,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Calls {
    async fn execute(&self, request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        let is_ticket = request.request.uri().path().ends_with(self.ticket);
        let refusal = {
            let mut state = lock(&self.weather.0);
            state.tickets += usize::from(is_ticket);
            if state.no_names {
                return Err(HttpError::unsent(HttpErrorKind::Connect));
            }
            (is_ticket && state.no_ticket).then_some(state.tickets)
        };
        let Some(number) = refusal else {
            return self.inner.execute(request).await;
        };
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = match number % 2 {
            0 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        };
        Ok(response)
    }
}

struct Handshakes {
    weather: Weather,
    inner: Arc<dyn SocketConnector>,
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes").finish_non_exhaustive()
    }
}

#[async_trait]
impl SocketConnector for Handshakes {
    async fn connect(&self, request: SocketRequest) -> Result<BoxSocket> {
        {
            let mut state = lock(&self.weather.0);
            state.handshakes += 1;
            if state.no_names {
                return Err(HttpError::unsent(HttpErrorKind::Connect).into_error(true));
            }
            if state.refusing {
                let refused =
                    HandshakeRefused::new(StatusCode::TOO_MANY_REQUESTS, HeaderMap::new());
                let error = Error::new(ErrorKind::RateLimited, "the server refuses");
                return Err(error.with_source(refused));
            }
        }
        self.inner.connect(request).await
    }
}
