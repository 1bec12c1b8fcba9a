//! Websocket upgrades (RFC 6455, section 4.2).

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use channel_core::{BoxSocket, Upgrade};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::linger::Linger;

/// A well-formed upgrade request.
pub(crate) struct Handshake {
    accept: HeaderValue,
}

impl Handshake {
    /// Reads an upgrade request; `None` if it is not one.
    pub(crate) fn read<B>(request: &http::Request<B>) -> Option<Self> {
        let headers = request.headers();
        let wanted = request.method() == Method::GET
            && lists(headers, header::CONNECTION, "upgrade")
            && lists(headers, header::UPGRADE, "websocket")
            && headers
                .get(header::SEC_WEBSOCKET_VERSION)
                .is_some_and(|version| version.as_bytes() == b"13");
        let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
        let accept = derive_accept_key(key.as_bytes());
        let accept = HeaderValue::from_str(&accept).ok()?;
        wanted.then_some(Self { accept })
    }

    /// Answers 101 and runs the connection once it is ours.
    pub(crate) fn grant(self, granted: Upgrade, pending: OnUpgrade) -> Response {
        let Upgrade {
            protocol,
            max_message,
            serve,
            ..
        } = granted;
        tokio::spawn(async move {
            match pending.await {
                Ok(upgraded) => serve(socket(upgraded, max_message).await).await,
                Err(error) => tracing::debug!(%error, "upgrade not completed"),
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(Ok(protocol)) = protocol.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}

/// Takes the connection out of a request, to be had after the 101 has been sent.
pub(crate) fn pending(request: &mut Request) -> OnUpgrade {
    hyper::upgrade::on(request)
}

/// Whether a comma-separated header names a token, in any case.
pub(crate) fn lists(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(token))
        })
    })
}

async fn socket(upgraded: Upgraded, max_message: usize) -> BoxSocket {
    let config = channel_websocket::server_config(max_message);
    let connection = Linger::new(TokioIo::new(upgraded));
    let stream = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    channel_websocket::wrap(stream)
}
