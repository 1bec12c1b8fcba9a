//! From HTTP requests to channels and their intake.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on, on_service};
use bytes::{Bytes, BytesMut};
use channel_core::{
    Accepted, Answer, Channel, Clock, Decided, Event, Held, Intake, Refused, timeout,
    timeout_after_turn,
};
use http::request::Parts;
use http::{Extensions, HeaderValue, Method, StatusCode, header};
use http_body_util::{LengthLimitError, Limited};
use hyper::body::Body as _;

use tower::service_fn;

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
                    let hook = service_fn(move |request| mount.webhook(request, max_body));
                    router = router.route(&route.path, on_service(filter, hook));
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
///
/// A future of its own, because a function would keep everything twice.
struct Collect {
    body: Limited<Body>,
    first: Bytes,
    all: BytesMut,
}

impl Future for Collect {
    type Output = Result<Bytes, StatusCode>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) {
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
            if this.first.is_empty() && this.all.is_empty() {
                this.first = piece;
                continue;
            }
            if this.all.is_empty() {
                this.all.extend_from_slice(&std::mem::take(&mut this.first));
            }
            this.all.extend_from_slice(&piece);
        }
        Poll::Ready(Ok(if this.all.is_empty() {
            std::mem::take(&mut this.first)
        } else {
            std::mem::take(&mut this.all).freeze()
        }))
    }
}

impl Mount {
    /// Nothing of a request is kept in the future but what is still needed, and the parts of
    /// its head behind a pointer: the future is moved more often than the request is read.
    fn webhook(
        self: &Arc<Self>,
        request: Request,
        max_body: usize,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let mount = Arc::clone(self);
        let opened = mount.open(request, max_body);
        async move {
            let (head, body) = match opened {
                Ok(opened) => opened,
                Err(refused) => return Ok(*refused),
            };
            // A short body is there already, or comes with the next step of its connection.
            let body = timeout_after_turn(mount.clock.as_ref(), BODY_WITHIN, body).await;
            let body = match body.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT)) {
                Ok(body) => body,
                Err(status) => return Ok(and_close(bare(status))),
            };
            let began = mount.clock.elapsed();
            let (events, answer) = match mount.receive(head, body) {
                Ok(accepted) => accepted,
                Err(refused) => return Ok(*refused),
            };
            if !events.is_empty()
                && let Err(refused) = mount.intake.take(events).await
            {
                return Ok(mount.no_room(&refused));
            }
            match answer {
                Answer::Now(response) => Ok(response.map(whole)),
                // Few are held, and all would have to keep room for it.
                Answer::Held(held) => Ok(Box::pin(mount.hold(held, began)).await),
                Answer::Decided(decided) => Ok(Box::pin(mount.decide(*decided, began)).await),
                _ => Ok(bare(StatusCode::OK)),
            }
        }
    }

    /// Looks at the head of a request and begins to read its body.
    fn open(
        &self,
        request: Request,
        max_body: usize,
    ) -> Result<(Box<Parts>, Collect), Box<Response>> {
        if self.channel.as_webhook().is_none() {
            return Err(bare(StatusCode::NOT_FOUND).into());
        }
        let (parts, body) = request.into_parts();
        // Nothing on this path becomes another protocol; whoever thinks so is confused.
        if parts.headers.contains_key(header::UPGRADE) {
            return Err(and_close(bare(StatusCode::BAD_REQUEST)).into());
        }
        let encoded = parts
            .headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
        if encoded {
            return Err(and_close(bare(StatusCode::UNSUPPORTED_MEDIA_TYPE)).into());
        }
        // A length that is too large is not waited for.
        if body.size_hint().lower() > max_body as u64 {
            return Err(and_close(bare(StatusCode::PAYLOAD_TOO_LARGE)).into());
        }
        let body = Collect {
            body: Limited::new(body, max_body),
            first: Bytes::new(),
            all: BytesMut::new(),
        };
        Ok((Box::new(parts), body))
    }

    /// Lets the channel judge a request.
    fn receive(
        &self,
        mut head: Box<Parts>,
        body: Bytes,
    ) -> Result<(Vec<Event>, Answer), Box<Response>> {
        let Some(webhook) = self.channel.as_webhook() else {
            return Err(bare(StatusCode::NOT_FOUND).into());
        };
        // In the place of the other: nobody behind here knows that type, and a map that does
        // not grow is not made anew.
        if let Some(peer) = head.extensions.remove::<ConnectInfo<SocketAddr>>() {
            head.extensions.insert(peer.0.ip());
        }
        let request = http::Request::from_parts(*head, body);
        match webhook.receive(&request, self.clock.now()) {
            Ok(Accepted { events, answer, .. }) => Ok((events, answer)),
            Err(rejection) => {
                let (id, reason) = (&self.channel.info().id, rejection.reason());
                tracing::debug!(channel = %id, reason, "webhook refused");
                Err(rejection.response().map(whole).into())
            }
        }
    }

    fn no_room(&self, refused: &Refused) -> Response {
        if let Refused::Failed(error) = refused {
            tracing::warn!(channel = %self.channel.info().id, %error, "events not taken");
        }
        Response::builder()
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .header(header::RETRY_AFTER, "1")
            .body(Body::empty())
            .unwrap_or_else(|_| bare(StatusCode::SERVICE_UNAVAILABLE))
    }

    /// Keeps the platform waiting for the reply, for as long as it waits.
    async fn hold(&self, held: Held, began: Duration) -> Response {
        let Held {
            reply,
            deadline,
            otherwise,
            ..
        } = held;
        let left = self.left(deadline, began);
        match timeout(self.clock.as_ref(), left, reply).await {
            Ok(Some(response)) => response.map(whole),
            Ok(None) | Err(_) => otherwise.map(whole),
        }
    }

    /// Waits for the decision about what has happened, and takes that before it is answered.
    async fn decide(&self, decided: Decided, began: Duration) -> Response {
        let Decided {
            decision,
            deadline,
            otherwise,
            ..
        } = decided;
        let left = self.left(deadline, began);
        let decision = timeout(self.clock.as_ref(), left, decision).await;
        let decision = decision.unwrap_or_else(|_| {
            tracing::warn!(channel = %self.channel.info().id, "not decided in time");
            otherwise
        });
        if !decision.events.is_empty()
            && let Err(refused) = self.intake.take(decision.events).await
        {
            return self.no_room(&refused);
        }
        decision.response.map(whole)
    }

    /// What is left of the time that a platform waits.
    fn left(&self, deadline: Duration, began: Duration) -> Duration {
        deadline.saturating_sub(self.clock.elapsed().saturating_sub(began))
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
