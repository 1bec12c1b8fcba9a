//! The plain HTTP side: `/info` for browsers, which cannot see why an upgrade was
//! refused, and `/media` for files that are too large for a frame.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use channel_core::{Accepted, Answer, Rejection, Route, Webhook};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
    CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue,
};
use http::{Method, Request, Response, StatusCode};

use crate::Standard;
use crate::accept::{Deny, json, share};
use crate::auth::{random_text, values};
use crate::wire::PROTOCOL;

pub(crate) fn routes(base: &str, media_bytes: usize) -> Vec<Route> {
    let (info, media) = (format!("{base}/info"), format!("{base}/media"));
    let preflight = |path: &str| {
        let mut route = Route::get(path);
        route.method = Method::OPTIONS;
        route
    };
    vec![
        preflight(&info),
        preflight(&media),
        Route::get(info),
        Route::get(media.clone()),
        Route::post(media, media_bytes),
    ]
}

impl Webhook for Standard {
    fn routes(&self) -> &[Route] {
        &self.0.routes
    }

    fn receive(&self, request: &Request<Bytes>, _now: SystemTime) -> Result<Accepted, Rejection> {
        let mut response = self
            .answer_http(request)
            .unwrap_or_else(|deny| deny.response());
        share(&self.0, request.headers(), &mut response);
        Ok(Accepted::with(Vec::new(), Answer::Now(response)))
    }
}

impl Standard {
    fn answer_http(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, Deny> {
        let uri = request.uri();
        let last = uri.path().rsplit('/').next().unwrap_or_default();
        let is_info = match last {
            "info" => true,
            "media" => false,
            _ => return Err(Deny::Path),
        };
        if *request.method() == Method::OPTIONS {
            return self.preflight(request, is_info);
        }
        let peer = request.extensions().get::<IpAddr>().copied();
        self.0.authenticate(request.headers(), uri.query(), peer)?;
        match (is_info, request.method()) {
            (true, &Method::GET) => self.info_page(),
            (false, &Method::POST) => Ok(self.upload(request)),
            (false, &Method::GET) => Ok(self.fetch(uri.query().unwrap_or_default())),
            _ => Err(Deny::Method),
        }
    }

    /// What a browser asks before it sends an `Authorization` header.
    fn preflight(&self, request: &Request<Bytes>, is_info: bool) -> Result<Response<Bytes>, Deny> {
        self.0.check_origin(request.headers())?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let methods = if is_info { "GET" } else { "GET, POST" };
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(methods),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Authorization, Content-Type"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Ok(response)
    }

    /// The same verdict that an upgrade would get.
    fn info_page(&self) -> Result<Response<Bytes>, Deny> {
        if self.0.hub().stopping {
            return Err(Deny::Stopping);
        }
        if !self.0.has_room() {
            return Err(Deny::Full);
        }
        let body = format!(r#"{{"protocol":"{PROTOCOL}","ok":true}}"#);
        Ok(json(StatusCode::OK, body))
    }

    fn upload(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let body = request.body();
        let refuse =
            |status, code: &str| json(status, format!(r#"{{"ok":false,"error":"{code}"}}"#));
        if body.is_empty() {
            return refuse(StatusCode::BAD_REQUEST, "empty");
        }
        if body.len() > self.0.config.media_bytes {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "too_large");
        }
        let id = random_text(&*self.0.transport.random, 18);
        let mut hub = self.0.hub();
        let now = hub.now;
        if hub.media.make_room(body.len(), 1, now).is_err() {
            let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, "busy");
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, HeaderValue::from_static("60"));
            return response;
        }
        hub.media.insert(id.clone(), body.clone(), now);
        let answer = format!(r#"{{"media_id":"{id}","size":{}}}"#, body.len());
        json(StatusCode::CREATED, answer)
    }

    /// A file that a frame names by its `media_id`.
    ///
    /// It is always served as a download: a file that a stranger has uploaded must never
    /// run as a page of this host.
    fn fetch(&self, query: &str) -> Response<Bytes> {
        let id = values(query, "id").next().unwrap_or_default();
        let id = String::from_utf8(id).unwrap_or_default();
        let mut hub = self.0.hub();
        let now = hub.now;
        let Some(blob) = hub.media.get(&id, now) else {
            return json(StatusCode::NOT_FOUND, r#"{"ok":false,"error":"not_found"}"#);
        };
        let mut response = json(StatusCode::OK, blob.bytes);
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        response
    }
}
