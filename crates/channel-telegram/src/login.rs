//! Logins that Telegram signs for web pages.
//!
//! Pure functions of bytes, secret and time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use channel_core::{AccountRef, Error, ErrorKind, Proof, Result, Secret, Sender};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use crate::PLATFORM;
use crate::wire::User;

/// The longest signed data that is looked at, in bytes.
const MAX_DATA: usize = 16 * 1024;
/// How far ahead of ours Telegram's clock may be.
const AHEAD: Duration = Duration::from_secs(60);

/// A login that Telegram has signed: proof that whoever presents it owns the account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// The account, proven ([`Proof::Verified`]), and its name.
    pub sender: Sender,
    /// When the person logged in.
    pub at: SystemTime,
    /// All signed fields, decoded, such as `start_param` or `chat_instance`.
    pub fields: BTreeMap<String, String>,
}

/// Verifies the `initData` of a Mini App
/// (<https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app>).
///
/// The data says when the person opened the app; it is refused when that is more than
/// `max_age` before `now`.
///
/// ```
/// # use std::time::{Duration, UNIX_EPOCH};
/// use channel_telegram::verify_init_data;
///
/// let token = "123456:TEST-TOKEN-SYNTHETIC".into();
/// let init_data = "auth_date=1700000000&query_id=AAHSYNTH\
///     &user=%7B%22id%22%3A4242%2C%22first_name%22%3A%22Ada%22%2C%22username%22%3A%22ada_t%22%7D\
///     &hash=b6ecfa05139e81e6bac17993e99694be26248624aa9ae9dc0ff63ad19ecc558c";
/// let now = UNIX_EPOCH + Duration::from_secs(1_700_000_100);
///
/// let login = verify_init_data(&token, init_data, now, Duration::from_secs(3600))?;
/// assert_eq!(login.sender.account.to_string(), "telegram:4242");
/// # Ok::<(), channel_core::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if the data is malformed, [`ErrorKind::Forbidden`] if it is not
/// signed with this token or is too old.
pub fn verify_init_data(
    token: &Secret,
    init_data: &str,
    now: SystemTime,
    max_age: Duration,
) -> Result<Login> {
    let mut key = keyed(b"WebAppData");
    key.update(token.expose().as_bytes());
    let key = key.finalize().into_bytes();
    let (fields, at) = verify(&key, init_data, now, max_age)?;
    let user = fields
        .get("user")
        .and_then(|user| serde_json::from_str::<User>(user).ok())
        .ok_or_else(|| malformed("the data names no user"))?;
    Ok(login(user, at, fields))
}

/// Verifies the query string that the Login Widget sends
/// (<https://core.telegram.org/widgets/login#checking-authorization>).
///
/// It is refused when the login is more than `max_age` before `now`.
///
/// # Errors
///
/// As [`verify_init_data`].
pub fn verify_login(
    token: &Secret,
    query: &str,
    now: SystemTime,
    max_age: Duration,
) -> Result<Login> {
    let key = Sha256::digest(token.expose().as_bytes());
    let (fields, at) = verify(&key, query, now, max_age)?;
    let text = |name: &str| fields.get(name).cloned();
    let id = fields.get("id").and_then(|id| id.parse().ok());
    let user = User {
        id: id.ok_or_else(|| malformed("the data names no user"))?,
        is_bot: false,
        first_name: text("first_name").unwrap_or_default(),
        last_name: text("last_name"),
        username: text("username"),
        language_code: None,
    };
    Ok(login(user, at, fields))
}

fn login(mut user: User, at: SystemTime, fields: BTreeMap<String, String>) -> Login {
    let account = AccountRef::new(PLATFORM, user.id.into());
    let mut sender = Sender::new(account, Proof::Verified);
    sender.name = user.take_name();
    Login { sender, at, fields }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC accepts keys of any length")
}

/// Checks the hash over all other fields, then the time.
fn verify(
    key: &[u8],
    query: &str,
    now: SystemTime,
    max_age: Duration,
) -> Result<(BTreeMap<String, String>, SystemTime)> {
    let mut fields = parse(query)?;
    let hash = fields
        .remove("hash")
        .filter(|hash| hash.len() == 64 && hash.bytes().all(is_lower_hex))
        .and_then(|hash| hex::decode(hash).ok())
        .ok_or_else(|| malformed("the data has no hash"))?;
    let mut mac = keyed(key);
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            mac.update(b"\n");
        }
        mac.update(name.as_bytes());
        mac.update(b"=");
        mac.update(value.as_bytes());
    }
    mac.verify_slice(&hash)
        .map_err(|_| refused("the data is not signed with the token of this bot"))?;

    let at = fields
        .get("auth_date")
        .filter(|date| date.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|date| date.parse().ok())
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .ok_or_else(|| malformed("the data does not say when it was signed"))?;
    let is_fresh = match now.duration_since(at) {
        Ok(age) => age <= max_age,
        Err(ahead) => ahead.duration() <= AHEAD,
    };
    if !is_fresh {
        return Err(refused(
            "the data was signed too long ago, or in the future",
        ));
    }
    Ok((fields, at))
}

fn parse(query: &str) -> Result<BTreeMap<String, String>> {
    if query.len() > MAX_DATA {
        return Err(malformed("the data is too long"));
    }
    let mut fields = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| malformed("the data is not a query string"))?;
        let (name, value) = (decode(name)?, decode(value)?);
        // The signed text is `name=value` lines: with a line feed in a value, or a sign of
        // equality in a name, other fields would have the same signature.
        if name.contains(['=', '\n']) || value.contains('\n') {
            return Err(malformed("the data holds a line feed"));
        }
        if fields.insert(name, value).is_some() {
            return Err(malformed("the data names a field twice"));
        }
    }
    Ok(fields)
}

fn decode(text: &str) -> Result<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8();
    Ok(decoded
        .map_err(|_| malformed("the data is not UTF-8"))?
        .into_owned())
}

const fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn malformed(message: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message).on(PLATFORM, "verify login")
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::Forbidden, message).on(PLATFORM, "verify login")
}
