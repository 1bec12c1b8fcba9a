//! Why Discord closes a connection, and what follows
//! (<https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes>).

use channel_core::{Error, ErrorKind};

use crate::PLATFORM;
use crate::client::Op;
use crate::intents::Intents;

/// What follows a close.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The session goes on over a new connection.
    Resume,
    /// The session is over; a new one may be begun.
    Anew,
    /// Trying again cannot help.
    Fatal(Error),
}

/// Sorts a close code.
pub(crate) fn verdict(code: Option<u16>, intents: Intents) -> Verdict {
    let (kind, message) = match code {
        // 1000 and 1001 end a session, as do a position that is none and a time-out.
        Some(1000 | 1001 | 4007 | 4009) => return Verdict::Anew,
        Some(4004) => (
            ErrorKind::Unauthenticated,
            "discord does not accept the bot token; reset it in the Developer Portal under Bot"
                .to_owned(),
        ),
        Some(4010) => (
            ErrorKind::Config,
            "discord does not accept the shard; leave `shards` unset".to_owned(),
        ),
        Some(4011) => (
            ErrorKind::Config,
            "the bot is in too many servers for one connection; raise `shards` or leave it unset"
                .to_owned(),
        ),
        Some(4012) => (
            ErrorKind::Config,
            "discord does not speak version 10 of the gateway any more; update channel-discord"
                .to_owned(),
        ),
        Some(4013) => (
            ErrorKind::Config,
            format!(
                "discord does not know all of the intents {}",
                intents.bits()
            ),
        ),
        Some(4014) => (ErrorKind::Config, disallowed(intents)),
        _ => return Verdict::Resume,
    };
    let error = Error::new(kind, message).on(PLATFORM, Op::Gateway.operation());
    Verdict::Fatal(match code {
        Some(code) => error.with_code(code.to_string()),
        None => error,
    })
}

fn disallowed(intents: Intents) -> String {
    let names = intents.privileged();
    if names.is_empty() {
        return format!("the bot may not ask for the intents {}", intents.bits());
    }
    format!(
        "the bot may not ask for a privileged intent; switch on {} in the Developer Portal under Bot, or leave it out of `intents`",
        names.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_sorted() {
        let of = |code| match verdict(code, Intents::CHAT) {
            Verdict::Resume => "resume",
            Verdict::Anew => "anew",
            Verdict::Fatal(_) => "fatal",
        };
        for code in [4000, 4001, 4002, 4003, 4005, 4008, 1006, 1012, 4999] {
            assert_eq!(of(Some(code)), "resume", "{code}");
        }
        assert_eq!(of(None), "resume");
        for code in [1000, 1001, 4007, 4009] {
            assert_eq!(of(Some(code)), "anew", "{code}");
        }
        for code in [4004, 4010, 4011, 4012, 4013, 4014] {
            assert_eq!(of(Some(code)), "fatal", "{code}");
        }
    }

    #[test]
    fn a_missing_intent_is_named_with_its_remedy() {
        let Verdict::Fatal(error) = verdict(Some(4014), Intents::CHAT) else {
            unreachable!()
        };
        let line = error.to_string();
        assert!(
            line.contains("Message Content") && line.contains("Developer Portal"),
            "{line}"
        );
        assert!(!line.contains("Presence"), "{line}");
    }
}
