//! What the gateway is asked for
//! (<https://docs.discord.com/developers/events/gateway#gateway-intents>).

use serde::Deserialize;

/// A set of intents: kinds of events that Discord is asked to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Intents(u64);

impl Intents {
    /// Servers, their channels and threads.
    pub const GUILDS: Self = Self(1);
    /// Who joins and leaves; privileged.
    pub const GUILD_MEMBERS: Self = Self(1 << 1);
    /// Who is online; privileged.
    pub const GUILD_PRESENCES: Self = Self(1 << 8);
    /// Messages in servers.
    pub const GUILD_MESSAGES: Self = Self(1 << 9);
    /// Reactions in servers.
    pub const GUILD_MESSAGE_REACTIONS: Self = Self(1 << 10);
    /// Direct messages.
    pub const DIRECT_MESSAGES: Self = Self(1 << 12);
    /// Reactions to direct messages.
    pub const DIRECT_MESSAGE_REACTIONS: Self = Self(1 << 13);
    /// What messages say that do not mention the bot; privileged.
    pub const MESSAGE_CONTENT: Self = Self(1 << 15);

    /// What a bot needs that talks: servers, messages, reactions, direct chats and what
    /// messages say.
    pub const CHAT: Self = Self(1 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 15);

    /// Intents by their bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits, as Discord counts them.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of those are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those that have to be switched on in the Developer Portal, by the names there.
    #[cfg(feature = "net")]
    pub(crate) fn privileged(self) -> Vec<&'static str> {
        [
            (Self::MESSAGE_CONTENT, "Message Content"),
            (Self::GUILD_MEMBERS, "Server Members"),
            (Self::GUILD_PRESENCES, "Presence"),
        ]
        .into_iter()
        .filter_map(|(intent, name)| self.has(intent).then_some(name))
        .collect()
    }
}

impl Default for Intents {
    fn default() -> Self {
        Self::CHAT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_that_talks_asks_for_these() {
        assert_eq!(Intents::CHAT.bits(), 46_593);
        assert!(Intents::CHAT.has(Intents::MESSAGE_CONTENT));
        let quiet = Intents::CHAT.without(Intents::MESSAGE_CONTENT);
        assert!(!quiet.has(Intents::MESSAGE_CONTENT));
        assert_eq!(quiet.and(Intents::MESSAGE_CONTENT), Intents::CHAT);
    }
}
