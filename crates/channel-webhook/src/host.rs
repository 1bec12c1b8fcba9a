//! From HTTP requests to channels and their intake.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use bytes::{Bytes, BytesMut};
use channel_core::{
    Accepted, Answer, Channel, Clock, Held, Intake, Refused, timeout, timeout_after_turn,
};
use http::{Extensions, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;

use crate::upgrade;

/// How long a request body may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Puts the webhooks and websocket endpoints of channels on an axum router.
///
/// The raw body goes to the channel untouched, and the address of the peer, where the server
/// tells it as `ConnectInfo<SocketAddr>`, as an `IpAddr` among the request's extensions. The
/// platform is answered only after the
/// [`Intake`] has taken the events; when it has no room the answer is 503, so that the
/// platform comes again.
#[derive(Clone)]
#[must_use]
pub struct Host {
    clock: Arc<dyn Clock>,
    mounts: Vec<Arc<Mount>>,
}

pub(crate) struct Mount {
    channel: Arc<dyn Channel>,
    intake: Arc<dyn Intake>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = self.mounts.iter().map(|mount| &mount.channel.info().id);
        f.debug_struct("Host")
            .field("channels", &channels.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Host {
    /// A host without channels.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            mounts: Vec::new(),
        }
    }

    /// Adds a channel; its events go to `intake`.
    ///
    /// A channel that receives neither by webhook nor by websocket adds no path.
    pub fn mount(mut self, channel: Arc<dyn Channel>, intake: Arc<dyn Intake>) -> Self {
        self.mounts.push(Arc::new(Mount {
            channel,
            intake,
            clock: Arc::clone(&self.clock),
        }));
        self
    }

    /// The router, to be served by [`Server`](crate::Server) or nested into an
    /// application's own.
    ///
    /// Where it is served by something else, that has to bound the time for request heads
    /// itself: `axum::serve` does not.
    ///
    /// # Panics
    ///
    /// If two channels serve the same path with the same method, as axum does.
    pub fn router(&self) -> Router {
        let mut router = Router::new();
        for mount in &self.mounts {
            if let Some(webhook) = mount.channel.as_webhook() {
                for route in webhook.routes() {
                    let Ok(filter) = MethodFilter::try_from(route.method.clone()) else {
                        continue;
                    };
                    let (mount, max_body) = (Arc::clone(mount), route.max_body);
                    let handler = move |request: Request| async move {
                        mount.webhook(request, max_body).await
                    };
                    router = router.route(&route.path, on(filter, handler));
                }
            }
            if let Some(server) = mount.channel.as_socket_server() {
                for path in server.paths() {
                    let mount = Arc::clone(mount);
                    let handler = move |request: Request| async move { mount.upgrade(request) };
                    router = router.route(path, on(MethodFilter::GET, handler));
                }
            }
        }
        router
    }
}

/// A body that is there as a whole; most are empty, and those cost nothing.
fn whole(bytes: Bytes) -> Body {
    if bytes.is_empty() {
        Body::empty()
    } else {
        Body::from(bytes)
    }
}

/// An answer without a body; says nothing about why.
fn bare(status: StatusCode) -> Response {
    status.into_response()
}

/// Ends the connection after the answer: what follows on it cannot be trusted.
fn and_close(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The address that a request came from, where the server tells.
fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|peer| peer.0.ip())
}

/// Puts the pieces of a body together; one that is the only one is not copied.
async fn collect(mut body: Limited<Body>) -> Result<Bytes, StatusCode> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                StatusCode::PAYLOAD_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            }
        })?;
        // Trailers are nobody's business.
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if first.is_empty() && all.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

impl Mount {
    async fn webhook(&self, request: Request, max_body: usize) -> Response {
        let id = &self.channel.info().id;
        let Some(webhook) = self.channel.as_webhook() else {
            return bare(StatusCode::NOT_FOUND);
        };
        let (mut parts, body) = request.into_parts();
        if let Some(peer) = peer(&parts.extensions) {
            parts.extensions.insert(peer);
        }
        // Nothing on this path becomes another protocol; whoever thinks so is confused.
        if parts.headers.contains_key(header::UPGRADE) {
            return and_close(bare(StatusCode::BAD_REQUEST));
        }
        let encoded = parts
            .headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
        if encoded {
            return and_close(bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = match self.body(body, max_body).await {
            Ok(body) => body,
            Err(status) => return and_close(bare(status)),
        };
        let began = self.clock.elapsed();
        let request = http::Request::from_parts(parts, body);
        let Accepted { events, answer, .. } = match webhook.receive(&request, self.clock.now()) {
            Ok(accepted) => accepted,
            Err(rejection) => {
                tracing::debug!(channel = %id, reason = rejection.reason(), "webhook refused");
                return rejection.response().map(whole);
            }
        };
        if !events.is_empty()
            && let Err(refused) = self.intake.take(events).await
        {
            if let Refused::Failed(error) = &refused {
                tracing::warn!(channel = %id, %error, "events not taken");
            }
            return Response::builder()
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .header(header::RETRY_AFTER, "1")
                .body(Body::empty())
                .unwrap_or_else(|_| bare(StatusCode::SERVICE_UNAVAILABLE));
        }
        match answer {
            Answer::Now(response) => response.map(whole),
            Answer::Held(held) => self.hold(held, began).await,
            _ => bare(StatusCode::OK),
        }
    }

    /// Keeps the platform waiting for the reply, for as long as it waits.
    async fn hold(&self, held: Held, began: Duration) -> Response {
        let Held {
            reply,
            deadline,
            otherwise,
            ..
        } = held;
        let left = deadline.saturating_sub(self.clock.elapsed().saturating_sub(began));
        match timeout(self.clock.as_ref(), left, reply).await {
            Ok(Some(response)) => response.map(whole),
            Ok(None) | Err(_) => otherwise.map(whole),
        }
    }

    async fn body(&self, body: Body, max: usize) -> Result<Bytes, StatusCode> {
        // A length that is too large is not waited for.
        if body.size_hint().lower() > max as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        // A short body is there already, or comes with the next step of its connection.
        let whole = collect(Limited::new(body, max));
        timeout_after_turn(self.clock.as_ref(), BODY_WITHIN, whole)
            .await
            .unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
    }

    fn upgrade(&self, mut request: Request) -> Response {
        let Some(server) = self.channel.as_socket_server() else {
            return bare(StatusCode::NOT_FOUND);
        };
        let Some(handshake) = upgrade::Handshake::read(&request) else {
            return Response::builder()
                .status(StatusCode::UPGRADE_REQUIRED)
                .header(header::UPGRADE, "websocket")
                .header(header::CONNECTION, "Upgrade, close")
                .header(header::SEC_WEBSOCKET_VERSION, "13")
                .body(Body::empty())
                .unwrap_or_else(|_| bare(StatusCode::UPGRADE_REQUIRED));
        };
        let peer = peer(request.extensions());
        let pending = upgrade::pending(&mut request);
        let mut head = http::Request::new(());
        *head.method_mut() = Method::GET;
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = std::mem::take(request.headers_mut());
        match server.accept(&head, peer) {
            Ok(granted) => handshake.grant(granted, pending),
            Err(response) => and_close(response.map(Body::from)),
        }
    }
}
