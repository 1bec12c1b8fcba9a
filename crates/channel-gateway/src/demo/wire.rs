//! What goes over the wire, written down on its way.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use channel_core::{Clock, HttpBody, HttpClient, HttpError, HttpRequest, async_trait};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Response, Uri};
use serde::Serialize;
use serde_json::Value;

use super::recorder::{Recorder, lock};

/// Bytes of a body that are kept to be shown.
const SHOWN: usize = 32 << 10;
/// Exchanges kept for one call: a call that is tried again and again must not fill memory.
pub(crate) const EXCHANGES: usize = 16;

tokio::task_local! {
    /// The exchanges of the call that runs in this task.
    static EXCHANGED: Arc<Mutex<Vec<Exchange>>>;
}

/// Bytes as text, for people.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// How many bytes there were.
    pub(crate) bytes: usize,
    /// Not everything is shown.
    pub(crate) cut: bool,
}

impl Text {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let shown = bytes.get(..SHOWN).unwrap_or(bytes);
        Self {
            text: String::from_utf8_lossy(shown).into_owned(),
            bytes: bytes.len(),
            cut: shown.len() < bytes.len(),
        }
    }

    /// The same without its content, if there are credentials in it.
    fn discreet(self) -> Self {
        if !CREDENTIALS.iter().any(|name| self.text.contains(name)) {
            return self;
        }
        Self {
            text: "(credentials, not shown)".to_owned(),
            ..self
        }
    }

    fn of_pieces(body: &HttpBody) -> Self {
        let length = usize::try_from(body.len()).unwrap_or(usize::MAX);
        let mut shown = Vec::with_capacity(length.min(SHOWN));
        for piece in body.pieces() {
            let room = SHOWN - shown.len();
            shown.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
        Self {
            cut: shown.len() < length,
            text: String::from_utf8_lossy(&shown).into_owned(),
            bytes: length,
        }
    }
}

/// One HTTP request and its response.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// The address, without secrets.
    pub(crate) address: String,
    pub(crate) request_headers: Vec<(String, String)>,
    pub(crate) request: Text,
    pub(crate) status: Option<u16>,
    pub(crate) response_headers: Vec<(String, String)>,
    pub(crate) response: Text,
    /// Why there is no response.
    pub(crate) error: Option<String>,
    pub(crate) took_ms: f64,
    /// When the response was there, by the clock's `elapsed`.
    #[serde(skip)]
    pub(crate) ended: Duration,
    #[serde(skip)]
    pub(crate) response_bytes: Bytes,
}

/// Fields that hold credentials, whichever platform it is.
const CREDENTIALS: [&str; 6] = [
    "app_secret",
    "access_token",
    "refresh_token",
    "appSecret",
    "clientSecret",
    "accessToken",
];
/// Parameters of addresses that do.
const PARAMETERS: [&str; 3] = ["access_token", "appsecret", "session"];

impl Exchange {
    /// A frame that a platform has taken, and its answer.
    pub(crate) fn frame(command: &str, body: &Value, answer: &Value) -> Self {
        Self {
            method: "frame".to_owned(),
            address: command.to_owned(),
            request: Text::of(body.to_string().as_bytes()).discreet(),
            response: Text::of(answer.to_string().as_bytes()).discreet(),
            ..Self::default()
        }
    }
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter()
        .map(|(name, value)| {
            // Adapters mark what they put a token into.
            let value = match *name == AUTHORIZATION || value.is_sensitive() {
                true => "<token>".to_owned(),
                false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            };
            (name.as_str().to_owned(), value)
        })
        .collect()
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    // Three digits after the point are what a page can use.
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// Runs a call and gives its exchanges back with its result.
pub(crate) async fn collecting<F: Future>(call: F) -> (F::Output, Vec<Exchange>) {
    let exchanges = Arc::new(Mutex::new(Vec::new()));
    let output = EXCHANGED.scope(Arc::clone(&exchanges), call).await;
    let exchanges = std::mem::take(&mut *lock(&exchanges));
    (output, exchanges)
}

/// An HTTP client around an HTTP client: writes down what passes through.
#[derive(Debug)]
pub(crate) struct RecordingHttp {
    pub(crate) inner: Arc<dyn HttpClient>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recorder: Recorder,
    pub(crate) secret: channel_core::Secret,
}

impl RecordingHttp {
    /// The path of an address, with the token of the bot and every other right blotted out.
    fn shown(&self, uri: &Uri) -> String {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = path.replace(self.secret.expose(), "<token>");
        let Some((path, query)) = path.split_once('?') else {
            return path;
        };
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if PARAMETERS.contains(&name) => format!("{name}=<token>"),
            _ => pair.to_owned(),
        });
        format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
    }
}

#[async_trait]
impl HttpClient for RecordingHttp {
    async fn execute(&self, request: HttpRequest) -> Result<Response<Bytes>, HttpError> {
        let parts = &request.request;
        let mut exchange = Exchange {
            method: parts.method().to_string(),
            address: self.shown(parts.uri()),
            request_headers: headers(parts.headers()),
            request: Text::of_pieces(parts.body()).discreet(),
            status: None,
            response_headers: Vec::new(),
            response: Text::default(),
            error: None,
            took_ms: 0.0,
            ended: Duration::ZERO,
            response_bytes: Bytes::new(),
        };
        let is_poll = parts.uri().path().ends_with("/getUpdates");
        let began = self.clock.elapsed();
        let result = self.inner.execute(request).await;
        exchange.ended = self.clock.elapsed();
        exchange.took_ms = milliseconds(exchange.ended.saturating_sub(began));
        match &result {
            Ok(response) => {
                exchange.status = Some(response.status().as_u16());
                exchange.response_headers = headers(response.headers());
                exchange.response = Text::of(response.body()).discreet();
                exchange.response_bytes = response.body().clone();
            }
            Err(error) => exchange.error = Some(error.to_string()),
        }
        if is_poll {
            self.recorder.polled(exchange);
        } else {
            // Outside of a call there is nobody to show it to.
            let _ = EXCHANGED.try_with(|exchanges| {
                let mut exchanges = lock(exchanges);
                if exchanges.len() < EXCHANGES {
                    exchanges.push(exchange);
                }
            });
        }
        result
    }
}
