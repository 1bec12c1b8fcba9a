//! The transport against real servers on the loopback interface.

mod fake;
mod guard;
mod http;
mod proxy;
mod reconnect;
mod server;
mod socket;
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
