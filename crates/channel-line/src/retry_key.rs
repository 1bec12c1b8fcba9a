//! Names of attempts: the same message has the same one, before and after a restart.

use std::fmt;

use channel_core::{ChannelId, ChatId, IdempotencyKey, Random};
use sha1::{Digest as _, Sha1};

/// The namespace of the names that are made here (RFC 9562, section 5.5); random, and fixed
/// for ever.
const NAMESPACE: [u8; 16] = [
    0x6e, 0x0b, 0x1c, 0x9d, 0x35, 0x42, 0x4f, 0x70, 0x9a, 0x11, 0x8c, 0x27, 0x5d, 0xe4, 0x03, 0xb6,
];

/// What `X-Line-Retry-Key` carries: a UUID
/// (<https://developers.line.biz/en/docs/messaging-api/retrying-api-request/>).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryKey([u8; 16]);

impl RetryKey {
    /// The key of one call of a message: stable for a message with a key of its own, new
    /// for any other.
    pub(crate) fn of(
        key: Option<&IdempotencyKey>,
        channel: &ChannelId,
        chat: &ChatId,
        call: usize,
        random: &dyn Random,
    ) -> Self {
        match key {
            Some(key) => Self::named(&[
                channel.as_str(),
                chat.as_str(),
                key.as_str(),
                &call.to_string(),
            ]),
            None => Self::random(random),
        }
    }

    /// Version 5: made of names. SHA-1 is what the version asks for; whoever could make two
    /// names collide holds the names already.
    fn named(names: &[&str]) -> Self {
        let mut hash = Sha1::new();
        hash.update(NAMESPACE);
        for name in names {
            // With their lengths, so that no byte can move from one to the next.
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name.as_bytes());
        }
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Self(versioned(bytes, 5))
    }

    /// Version 4.
    fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(versioned(bytes, 4))
    }
}

fn versioned(bytes: [u8; 16], version: u8) -> [u8; 16] {
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf << 76) | u128::from(version) << 76;
    (number & !(0b11 << 62) | 0b10 << 62).to_be_bytes()
}

impl fmt::Display for RetryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RetryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetryKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Ones;

    impl Random for Ones {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0xff);
        }
    }

    fn key(channel: &str, chat: &str, key: &str, call: usize) -> String {
        let id = IdempotencyKey::from(key);
        RetryKey::of(Some(&id), &channel.into(), &chat.into(), call, &Ones).to_string()
    }

    #[test]
    fn a_key_of_a_message_never_changes() {
        // Written down: a release that makes another one doubles what the last one sent.
        assert_eq!(
            key("line", "U1", "event/0", 0),
            "8912678a-49d4-5c53-89b6-b8908fafa9ca"
        );
    }

    #[test]
    fn keys_differ_in_channel_chat_key_and_call() {
        let keys = [
            key("line", "U1", "k", 0),
            key("line", "U1", "k", 1),
            key("line", "U1", "k2", 0),
            key("line", "U2", "k", 0),
            key("line2", "U1", "k", 0),
            key("lin", "eU1", "k", 0),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys.iter().skip(index + 1).any(|other| other == key));
        }
    }

    #[test]
    fn keys_are_uuids() {
        let random = RetryKey::of(None, &"line".into(), &"U1".into(), 0, &Ones).to_string();
        assert_eq!(random, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let named = key("line", "U1", "k", 0);
        assert_eq!(named.get(14..15), Some("5"));
        assert!(matches!(named.get(19..20), Some("8" | "9" | "a" | "b")));
    }
}
