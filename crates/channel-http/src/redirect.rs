//! Guarded requests: each step passes the guard.

use bytes::Bytes;
use channel_core::{HttpBody, HttpError, HttpErrorKind};
use http::header::{self, HeaderName, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};

use crate::body::Departure;
use crate::client::Http;
use crate::guard::Refusal;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// The request headers that survive a redirect. Anything else may be a credential.
const KEPT: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::RANGE,
    header::USER_AGENT,
];

/// Sends a request and follows redirects.
pub(crate) async fn follow(
    http: &Http,
    request: Request<HttpBody>,
    max_response: usize,
    departure: &Departure,
) -> Result<Response<Bytes>, HttpError> {
    let (mut parts, mut body) = request.into_parts();
    for _ in 0..=MAX_REDIRECTS {
        http.guard().check(&parts.uri).map_err(|refusal| {
            let error = if departure.may_have_left() {
                HttpError::sent(HttpErrorKind::Refused)
            } else {
                HttpError::unsent(HttpErrorKind::Refused)
            };
            error.with_source(refusal)
        })?;
        let mut step = Request::new(body.clone());
        *step.method_mut() = parts.method.clone();
        *step.uri_mut() = parts.uri.clone();
        step.headers_mut().clone_from(&parts.headers);
        let response = http.exchange_guarded(step, max_response, departure).await?;

        let status = response.status();
        if !is_redirect(status) {
            return Ok(response);
        }
        let target = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| join(&parts.uri, location))
            .ok_or_else(refused)?;
        parts.headers = kept(&parts.headers);
        if becomes_get(status, &parts.method) {
            parts.method = Method::GET;
            parts.headers.remove(header::CONTENT_TYPE);
            body = HttpBody::empty();
        } else if !body.is_empty() && !same_origin(&parts.uri, &target) {
            // What was meant for one server is not handed to another.
            return Err(refused());
        }
        parts.uri = target;
    }
    Err(refused())
}

fn refused() -> HttpError {
    HttpError::sent(HttpErrorKind::Refused).with_source(Refusal::Redirect)
}

const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The table of <https://fetch.spec.whatwg.org/#http-redirect-fetch>, step 12.
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        301 | 302 => *method == Method::POST,
        303 => *method != Method::GET && *method != Method::HEAD,
        _ => false,
    }
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    KEPT.iter()
        .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
        .collect()
}

fn same_origin(a: &Uri, b: &Uri) -> bool {
    a.scheme() == b.scheme() && a.authority() == b.authority()
}

/// Resolves a `Location` against the address it was given at. Dot segments are left to
/// the server.
fn join(base: &Uri, location: &str) -> Option<Uri> {
    let location = location
        .split_once('#')
        .map_or(location, |(before, _)| before);
    let scheme = base.scheme_str()?;
    let authority = base.authority()?;
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    if location.starts_with('/') {
        return format!("{scheme}://{authority}{location}").parse().ok();
    }
    let before_path = location.split(['/', '?']).next().unwrap_or_default();
    if before_path.contains(':') {
        let uri: Uri = location.parse().ok()?;
        return uri.scheme().is_some().then_some(uri);
    }
    let path = base.path();
    let folder = match path.rfind('/') {
        Some(slash) if !location.starts_with('?') => path.get(..=slash)?,
        _ => path,
    };
    format!("{scheme}://{authority}{folder}{location}")
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_locations() {
        let base: Uri = "https://a.example/x/y?q=1".parse().unwrap();
        let joined = |location: &str| join(&base, location).map(|uri| uri.to_string());
        for (location, expected) in [
            ("https://b.example/z", "https://b.example/z"),
            ("//b.example/z", "https://b.example/z"),
            ("/z?k=v#part", "https://a.example/z?k=v"),
            ("z", "https://a.example/x/z"),
            ("?k=v", "https://a.example/x/y?k=v"),
            ("z?next=a:b", "https://a.example/x/z?next=a:b"),
        ] {
            assert_eq!(joined(location).as_deref(), Some(expected), "{location}");
        }
        assert_eq!(joined("file:///etc/passwd"), None);
        assert_eq!(joined("javascript:alert(1)"), None);
    }

    #[test]
    fn turns_into_get_where_browsers_do() {
        assert!(becomes_get(StatusCode::FOUND, &Method::POST));
        assert!(becomes_get(StatusCode::SEE_OTHER, &Method::PUT));
        assert!(!becomes_get(StatusCode::FOUND, &Method::PUT));
        assert!(!becomes_get(StatusCode::TEMPORARY_REDIRECT, &Method::POST));
        assert!(!becomes_get(StatusCode::SEE_OTHER, &Method::HEAD));
    }
}
