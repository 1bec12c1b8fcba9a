//! The signature of a webhook request
//! (<https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channel_core::{Error, Result, Secret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::PLATFORM;

/// The header of each webhook request.
const HEADER: HeaderName = HeaderName::from_static("x-line-signature");
/// The length of 32 bytes as Base64.
const LENGTH: usize = 44;

/// Checks signatures made with one channel secret.
#[derive(Clone)]
pub(crate) struct Verifier {
    /// Keyed once: preparing the key costs as much as hashing a short body.
    keyed: Hmac<Sha256>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(***)")
    }
}

impl Verifier {
    pub(crate) fn new(secret: &Secret) -> Result<Self> {
        let keyed = Hmac::new_from_slice(secret.expose().as_bytes())
            .map_err(|_| Error::config("channel_secret is no key").on(PLATFORM, "configure"))?;
        Ok(Self { keyed })
    }

    /// Whether a request carries one signature, and the one made for these very bytes.
    ///
    /// The text of the signature is compared, so that each has one spelling.
    pub(crate) fn accepts(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let mut values = headers.get_all(&HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        let mut mac = self.keyed.clone();
        mac.update(body);
        let mut right = [0; LENGTH];
        let written = STANDARD.encode_slice(mac.finalize().into_bytes(), &mut right);
        written == Ok(LENGTH) && value.as_bytes().ct_eq(&right).into()
    }
}
