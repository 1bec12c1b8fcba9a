//! The application's own users and login: as small as can be.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use channel_binding::{Caller, CookieSessions, OwnerAuth};
use channel_kit::core::{OwnerId, Result, Transport, async_trait};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

/// Who there is. A real application has hashes of passwords, in a database.
const USERS: [&str; 2] = ["ada", "bob"];
const PASSWORD: &str = "demo";

/// Signs users in and recognises them.
#[derive(Debug)]
pub(crate) struct Login(CookieSessions);

impl Login {
    pub(crate) fn new(transport: &Transport) -> Result<Self> {
        let secret = crate::fresh_secret(transport.random.as_ref());
        let clock = Arc::clone(&transport.clock);
        let sessions = CookieSessions::new(secret, clock, Arc::clone(&transport.random))?;
        // A page on this machine has no certificate.
        Ok(Self(sessions.over_plain_http()))
    }
}

#[async_trait]
impl OwnerAuth for Login {
    async fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        self.0.caller(headers).await
    }
}

pub(crate) fn router(login: Arc<Login>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/login", post(sign_in))
        .route("/logout", post(sign_out))
        .with_state(login)
}

async fn page() -> Response {
    let page = Html(include_str!("pages/login.html"));
    ([(CACHE_CONTROL, "no-store")], page).into_response()
}

#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: String,
}

async fn sign_in(
    State(login): State<Arc<Login>>,
    headers: HeaderMap,
    Form(credentials): Form<Credentials>,
) -> Response {
    let is_right = credentials.password.as_bytes().ct_eq(PASSWORD.as_bytes());
    let is_known = USERS.contains(&credentials.user.as_str());
    if !is_ours(&headers) || !is_known || !bool::from(is_right) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match login.0.sign_in(&OwnerId::from(credentials.user)) {
        Ok(cookie) => ([(SET_COOKIE, cookie)], Redirect::to("/connect")).into_response(),
        Err(_) => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn sign_out(State(login): State<Arc<Login>>, headers: HeaderMap) -> Response {
    match login.0.sign_out() {
        Some(cookie) if is_ours(&headers) => {
            ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

/// Whether a form was sent from a page of ours, as far as the browser says.
pub(crate) fn is_ours(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_none_or(|site| site == "same-origin")
}
