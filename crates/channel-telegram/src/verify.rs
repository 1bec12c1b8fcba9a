//! The webhook's secret.

use channel_core::Secret;
use http::HeaderMap;
use subtle::ConstantTimeEq as _;

/// The header of each webhook request
/// (<https://core.telegram.org/bots/api#setwebhook>).
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

/// Checks that a webhook request carries the secret, once.
pub(crate) fn has_secret(headers: &HeaderMap, secret: &Secret) -> bool {
    let mut values = headers.get_all(SECRET_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    value.as_bytes().ct_eq(secret.expose().as_bytes()).into()
}
