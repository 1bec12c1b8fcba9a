//! Keeps the pages of other sites away.
//!
//! The demo listens on this machine and asks for no password, so that every page that the
//! same browser shows could talk to it. Three headers that pages cannot choose stop them:
//! `Host` (DNS rebinding), `Origin` and `Sec-Fetch-Site` (cross-site requests).

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, StatusCode};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what does not come from this machine's own page, and says in every answer what
/// the page may do.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let Some(host) = own_host(request.headers()).map(str::to_owned) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let is_front_door = request.uri().path() == "/";
    if !is_same_origin(request.headers(), &host, is_front_door) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    harden(response.headers_mut(), &host);
    response
}

/// The one `Host`, if it names this machine by a name that no DNS server can give away.
fn own_host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return None;
    };
    let host = host.to_str().ok()?;
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let name_is_local = ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own));
    (name_is_local && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then_some(host)
}

fn is_same_origin(headers: &HeaderMap, host: &str, is_front_door: bool) -> bool {
    let own = format!("http://{host}");
    let origin_fits = headers
        .get_all(ORIGIN)
        .iter()
        .all(|origin| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()));
    // A link on another site may lead to the page itself, and to nothing else.
    let site_fits = is_front_door
        || headers
            .get_all(FETCH_SITE)
            .iter()
            .all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    origin_fits && site_fits
}

fn harden(headers: &mut HeaderMap, host: &str) {
    // Older browsers do not count a websocket of the same host as 'self'.
    let policy = format!(
        "default-src 'self'; connect-src 'self' ws://{host}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    );
    // The page for connecting accounts has a stricter one of its own.
    if let (Ok(policy), false) = (
        HeaderValue::from_str(&policy),
        headers.contains_key(CONTENT_SECURITY_POLICY),
    ) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for host in [
            "127.0.0.1:4000",
            "localhost:4000",
            "LOCALHOST",
            "[::1]:4000",
        ] {
            assert!(own_host(&headers(&[("host", host)])).is_some(), "{host}");
        }
        for host in [
            "evil.example:4000",
            "localhost.evil.example",
            "127.0.0.1.evil.example:4000",
            "evil@127.0.0.1:x",
            "",
        ] {
            assert!(own_host(&headers(&[("host", host)])).is_none(), "{host}");
        }
        assert!(own_host(&headers(&[])).is_none());
        let two = headers(&[("host", "localhost"), ("host", "evil.example")]);
        assert!(own_host(&two).is_none());
    }

    #[test]
    fn requests_of_other_sites_do_not_pass() {
        let passes = |pairs: &[(&'static str, &str)], front| {
            is_same_origin(&headers(pairs), "127.0.0.1:4000", front)
        };
        assert!(passes(&[], false));
        assert!(passes(&[("origin", "http://127.0.0.1:4000")], false));
        assert!(passes(&[("sec-fetch-site", "same-origin")], false));
        assert!(passes(&[("sec-fetch-site", "cross-site")], true));
        assert!(!passes(&[("origin", "http://127.0.0.1:4001")], false));
        assert!(!passes(&[("origin", "null")], true));
        assert!(!passes(&[("sec-fetch-site", "cross-site")], false));
        assert!(!passes(&[("sec-fetch-site", "same-site")], false));
    }
}
