//! The transport against real servers on the loopback interface.

mod http;
mod server;

use channel_http::HttpTransport;

/// A transport that trusts no root certificate.
fn client() -> HttpTransport {
    HttpTransport::builder()
        .system_roots(false)
        .build()
        .unwrap()
}
