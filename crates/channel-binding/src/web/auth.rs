//! Who calls: the application's own login, and proof that its own page asks.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::Request;
use channel_core::{OwnerId, Secret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use sha2::Sha256;

/// The header that carries the token against forged requests.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// Who is signed in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caller {
    /// The application's own user.
    pub owner: OwnerId,
    /// What tells this session from others of the same owner, such as its cookie. The token
    /// against forged requests is derived from it.
    pub session: Secret,
    /// Whether the owner may change how platforms are set up.
    pub admin: bool,
}

impl Caller {
    /// An owner in a session.
    #[must_use]
    pub const fn new(owner: OwnerId, session: Secret) -> Self {
        Self {
            owner,
            session,
            admin: false,
        }
    }

    /// Says whether the owner may change how platforms are set up.
    #[must_use]
    pub const fn admin(mut self, admin: bool) -> Self {
        self.admin = admin;
        self
    }
}

/// The application's own login.
#[async_trait]
pub trait OwnerAuth: fmt::Debug + Send + Sync {
    /// Says who is signed in; `None` if nobody is, or it cannot be told.
    async fn caller(&self, headers: &HeaderMap) -> Option<Caller>;
}

#[async_trait]
impl<T: OwnerAuth + ?Sized> OwnerAuth for Arc<T> {
    async fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        self.as_ref().caller(headers).await
    }
}

/// Tokens that only a page of ours can know.
pub(crate) struct Csrf {
    secret: Secret,
    /// Where browsers find us, if that is not what the request says.
    origin: Option<String>,
}

impl fmt::Debug for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csrf")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Csrf {
    pub(crate) const fn new(secret: Secret, origin: Option<String>) -> Self {
        Self { secret, origin }
    }

    fn mac(&self, caller: &Caller) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).ok()?;
        mac.update(b"channel-binding csrf v1");
        for part in [caller.owner.as_str(), caller.session.expose()] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac)
    }

    /// The token of a session.
    pub(crate) fn token(&self, caller: &Caller) -> Option<String> {
        let mac = self.mac(caller)?;
        Some(hex::encode(mac.finalize().into_bytes()))
    }

    /// Whether a request that changes something comes from a page of ours.
    pub(crate) fn allows(&self, request: &Request, caller: &Caller) -> bool {
        let token = one(request.headers(), CSRF_HEADER).and_then(|token| hex::decode(token).ok());
        let (Some(token), Some(mac)) = (token, self.mac(caller)) else {
            return false;
        };
        self.is_ours(request) && mac.verify_slice(&token).is_ok()
    }

    /// What a browser says about where the request comes from. A client that is no browser
    /// says nothing; it has the token.
    fn is_ours(&self, request: &Request) -> bool {
        let headers = request.headers();
        let site = match headers.get("sec-fetch-site") {
            Some(site) => site == "same-origin",
            None => true,
        };
        if headers.get(ORIGIN).is_none() {
            return site;
        }
        let Some(origin) = one(headers, ORIGIN.as_str()) else {
            return false;
        };
        let is_same = match &self.origin {
            Some(ours) => origin == ours,
            None => {
                // HTTP/2 says it in the address.
                let host = request.uri().authority().map(Authority::as_str);
                let host = host.or_else(|| one(headers, HOST.as_str()));
                origin.split_once("://").map(|(_, host)| host) == host
            }
        };
        site && is_same
    }
}

/// A header that is there exactly once.
pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    all.next().is_none().then(|| first.to_str().ok())?
}
