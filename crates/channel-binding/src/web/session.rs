//! A session in a signed cookie, for applications that have none of their own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use channel_core::{Clock, Error, OwnerId, Random, Result, Secret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;

use super::auth::{Caller, OwnerAuth};
use crate::bindings::fits;

/// How long a session lasts.
const LASTS: Duration = Duration::from_secs(12 * 3600);
const NAME: &str = "kit_session";
/// The longest cookie that is looked at.
const LONGEST: usize = 1024;

/// Sessions in cookies that the application signs: nothing is stored, and signing out
/// everywhere means another secret.
pub struct CookieSessions {
    secret: Secret,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    secure: bool,
}

impl fmt::Debug for CookieSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieSessions")
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

impl CookieSessions {
    /// Signs with a secret of at least 32 bytes.
    ///
    /// # Errors
    ///
    /// `Config` if the secret is shorter.
    pub fn new(secret: Secret, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self> {
        if secret.expose().len() < 32 {
            return Err(Error::config(
                "the secret of sessions needs at least 32 bytes",
            ));
        }
        Ok(Self {
            secret,
            clock,
            random,
            secure: true,
        })
    }

    /// Lets the cookie travel over plain http: for a page on this machine, and nowhere else.
    #[must_use]
    pub const fn over_plain_http(mut self) -> Self {
        self.secure = false;
        self
    }

    /// The `Set-Cookie` header that signs an owner in. The application has checked who it
    /// is.
    ///
    /// # Errors
    ///
    /// `Config` if the owner's id is not 1 to 64 plain characters.
    pub fn sign_in(&self, owner: &OwnerId) -> Result<HeaderValue> {
        let bad = || Error::config("the id of an owner is 1 to 64 plain characters");
        if !fits(owner.as_str(), 64) {
            return Err(bad());
        }
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce);
        let until = seconds(self.clock.now() + LASTS);
        let owner = URL_SAFE_NO_PAD.encode(owner.as_str());
        let claim = format!("{owner}.{until}.{}", hex::encode(nonce));
        let mac = self.mac(&claim).ok_or_else(bad)?;
        let mac = hex::encode(mac.finalize().into_bytes());
        self.cookie(&format!("{claim}.{mac}"), LASTS.as_secs())
            .ok_or_else(bad)
    }

    /// The `Set-Cookie` header that signs whoever it is out.
    #[must_use]
    pub fn sign_out(&self) -> Option<HeaderValue> {
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, lasts: u64) -> Option<HeaderValue> {
        let name = self.name();
        let secure = if self.secure { "; Secure" } else { "" };
        HeaderValue::from_str(&format!(
            "{name}={value}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Lax{secure}"
        ))
        .ok()
    }

    /// With the prefix a browser takes the cookie from this host and over https only
    /// (<https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie>).
    fn name(&self) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}{NAME}")
    }

    fn mac(&self, claim: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).ok()?;
        mac.update(b"channel-binding session v1");
        mac.update(claim.as_bytes());
        Some(mac)
    }

    fn verify(&self, cookie: &str) -> Option<Caller> {
        let (claim, signature) = cookie.rsplit_once('.')?;
        let signature = hex::decode(signature).ok()?;
        self.mac(claim)?.verify_slice(&signature).ok()?;
        let mut parts = claim.split('.');
        let owner = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let until: u64 = parts.next()?.parse().ok()?;
        if seconds(self.clock.now()) > until {
            return None;
        }
        let owner = String::from_utf8(owner).ok()?;
        Some(Caller::new(owner.into(), Secret::new(claim)))
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[async_trait]
impl OwnerAuth for CookieSessions {
    async fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let name = self.name();
        let mut ours = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(cookie, _)| *cookie == name);
        let (_, cookie) = ours.next()?;
        // Of two one was planted, and nobody knows which.
        let is_alone = ours.next().is_none() && cookie.len() <= LONGEST;
        is_alone.then(|| self.verify(cookie))?
    }
}
