//! Who calls: the application's own login, and proof that its own page asks.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use channel_core::{OwnerId, Secret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::{HOST, ORIGIN};
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
pub(crate) struct Csrf(Secret);

impl fmt::Debug for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Csrf(***)")
    }
}

impl Csrf {
    pub(crate) const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    fn mac(&self, caller: &Caller) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose().as_bytes()).ok()?;
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
    pub(crate) fn allows(&self, headers: &HeaderMap, caller: &Caller) -> bool {
        let token = one(headers, CSRF_HEADER).and_then(|token| hex::decode(token).ok());
        let (Some(token), Some(mac)) = (token, self.mac(caller)) else {
            return false;
        };
        is_same_origin(headers) && mac.verify_slice(&token).is_ok()
    }
}

/// A header that is there exactly once.
pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    all.next().is_none().then(|| first.to_str().ok())?
}

/// What a browser says about where the request comes from. A client that is no browser says
/// nothing; it has the token.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let site = match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => true,
    };
    let origin = match headers.get(ORIGIN) {
        Some(_) => one(headers, ORIGIN.as_str())
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, host)| Some(host) == one(headers, HOST.as_str())),
        None => true,
    };
    site && origin
}
