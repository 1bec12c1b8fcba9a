//! The one signature of the platform.
//! <https://open.dingtalk.com/document/orgapp/customize-robot-security-settings>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Base64 of HMAC-SHA256 over `timestamp`, a line feed and the secret, with the secret as key.
pub(crate) fn sign(secret: &str, timestamp: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of any length.
        return String::new();
    };
    mac.update(format!("{timestamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn signs_as_the_two_known_answers_say() {
        let custom = sign("SECsynthetic0000000000000000000001", "1700000000000");
        assert_eq!(custom, "MT8Q052uDT/jtZ4avbtef+FFlff1MAepZAUjGzCFtRg=");
        let app = sign("appSecret-synthetic-0001", "1700000000000");
        assert_eq!(app, "4h6AH54VVOffpjg5bl+w93EgXe97FXGyw4cgThUubcE=");
    }
}
