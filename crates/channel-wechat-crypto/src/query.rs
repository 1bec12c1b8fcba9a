//! The query of a callback.

use std::borrow::Cow;

use memchr::memchr;

/// The longest query that is read, in bytes; a challenge is some 200.
const MAX_QUERY: usize = 8 << 10;
/// The longest nonce, in bytes; the platforms send some ten digits.
const MAX_NONCE: usize = 64;

/// The parameters of a callback that take part in its signature
/// (<https://developer.work.weixin.qq.com/document/path/90968>).
///
/// Decoded, bounded, and each of them there at most once. The timestamp is exactly ten
/// digits and the nonce letters, digits, `-` and `_`, so that no byte can be moved from one
/// to the other, or to the encrypted text, without the shapes telling.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CallbackQuery<'a> {
    /// The signature over the encrypted text, or of a WeChat challenge over nothing else.
    pub msg_signature: Option<Cow<'a, str>>,
    /// WeChat's signature of requests in the clear.
    pub signature: Option<Cow<'a, str>>,
    /// The seconds since 1970, as written.
    pub timestamp: Cow<'a, str>,
    /// The nonce.
    pub nonce: Cow<'a, str>,
    /// The challenge.
    pub echostr: Option<Cow<'a, str>>,
    /// WeChat's `encrypt_type`.
    pub encrypt_type: Option<Cow<'a, str>>,
}

impl<'a> CallbackQuery<'a> {
    /// Reads the query of a request; `None` if it is not one of a callback.
    ///
    /// Parameters that are not known are left alone; one that is known may be there once.
    #[must_use]
    pub fn parse(query: &'a str) -> Option<Self> {
        if query.len() > MAX_QUERY {
            return None;
        }
        let mut this = Self::default();
        let (mut timestamp, mut nonce) = (None, None);
        let mut rest = Some(query);
        while let Some(text) = rest {
            let (pair, more) =
                split(text, b'&').map_or((text, None), |(it, rest)| (it, Some(rest)));
            rest = more;
            let (name, value) = split(pair, b'=').unwrap_or((pair, ""));
            // An escaped name would be the same parameter a second time.
            let name = decode(name)?;
            let slot = match &*name {
                "msg_signature" => &mut this.msg_signature,
                "signature" => &mut this.signature,
                "timestamp" => &mut timestamp,
                "nonce" => &mut nonce,
                "echostr" => &mut this.echostr,
                "encrypt_type" => &mut this.encrypt_type,
                _ => continue,
            };
            if slot.replace(decode(value)?).is_some() {
                return None;
            }
        }
        this.timestamp = timestamp.filter(|text| is_timestamp(text))?;
        this.nonce = nonce.filter(|text| is_nonce(text))?;
        Some(this)
    }

    /// The seconds since 1970 that the sender claims.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.timestamp.parse().unwrap_or_default()
    }
}

/// What stands before and behind the first such byte, which is an ASCII one.
fn split(text: &str, at: u8) -> Option<(&str, &str)> {
    let (before, rest) = text.split_at_checked(memchr(at, text.as_bytes())?)?;
    Some((before, rest.get(1..)?))
}

fn is_timestamp(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0')
}

fn is_nonce(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_NONCE).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Undoes percent-encoding; a plus stays one, because base64 has it and the platforms
/// encode it.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if memchr(b'%', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_counts_once_however_it_is_written() {
        let good = "timestamp=1760000000&nonce=n&msg_signature=s&echostr=a%2Bb%3d";
        let read = CallbackQuery::parse(good).unwrap();
        assert_eq!(read.echostr.as_deref(), Some("a+b="));
        assert_eq!(read.seconds(), 1_760_000_000);
        for twice in [
            "nonce=n",
            "non%63e=n",
            "msg_signature=",
            "timestamp",
            "echostr=x",
        ] {
            assert!(
                CallbackQuery::parse(&format!("{good}&{twice}")).is_none(),
                "{twice}"
            );
        }
        assert!(CallbackQuery::parse(&format!("{good}&other=1&other=2&nonce[]=x")).is_some());
    }

    #[test]
    fn timestamps_and_nonces_have_one_shape() {
        let parse = |timestamp: &str, nonce: &str| {
            CallbackQuery::parse(&format!("timestamp={timestamp}&nonce={nonce}")).is_some()
        };
        assert!(parse("1760000000", "nonce-42_X"));
        for bad in [
            "",
            "0",
            "-176000000",
            "1760000000.0",
            "0x68e77800",
            "01760000000",
            "17600000000",
            "1760000000000",
            "%201760000000",
            "1760000000%00",
            "+176000000",
            "%EF%BC%91760000000",
            "176000000%D9%A0",
            "0760000000",
            "1e9",
        ] {
            assert!(!parse(bad, "n"), "{bad}");
        }
        for bad in [
            "", "a+b", "a%2Fb", "a%3D", "a%00", "%ff", "a%2", "a%zz", "a b",
        ] {
            assert!(!parse("1760000000", bad), "{bad}");
        }
        assert!(!parse("1760000000", &"n".repeat(65)));
    }
}
