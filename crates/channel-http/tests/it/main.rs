//! The transport against real servers on the loopback interface.

mod fake;
mod guard;
mod http;
mod netns;
mod proxy;
mod reconnect;
mod server;
mod socket;
mod storm;
#[cfg(any(feature = "tls-aws-lc", feature = "tls-ring"))]
mod tls;

use ::http::Request;
use channel_core::{HttpBody, HttpRequest};
use channel_http::HttpTransport;

/// A transport that trusts no root certificate.
fn client() -> HttpTransport {
    HttpTransport::builder()
        .system_roots(false)
        .build()
        .unwrap()
}

fn get(url: &str) -> HttpRequest {
    HttpRequest::new(Request::get(url).body(HttpBody::empty()).unwrap())
}

#[test]
fn the_public_types_can_be_shared_or_moved_between_threads() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>() {}
    fn moved<T: Send + Unpin>() {}
    shared::<HttpTransport>();
    shared::<channel_http::HttpTransportBuilder>();
    shared::<channel_http::SystemClock>();
    shared::<channel_http::OsRandom>();
    shared::<channel_http::guard::Guard>();
    shared::<channel_http::reconnect::ReconnectCounters>();
    shared::<channel_http::reconnect::ReconnectSettings>();
    shared::<channel_core::Crowd>();
    moved::<channel_http::reconnect::ReconnectingSocket>();
}
