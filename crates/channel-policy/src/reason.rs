//! Why: one machine-readable word for each verdict.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The reason of a verdict; its text never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason that there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable lower-case name for metrics, logs and audits.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// Let pass: the platform's own news, of nobody in particular.
    PlatformEvent = "platform_event",
    /// Let pass: the channel answers everyone.
    AllowAll = "allow_all",
    /// Let pass: the sender has a role that may.
    Role = "role",
    /// Let pass: an administrator has approved the sender.
    Paired = "paired",
    /// Let pass: the sender or the chat is on an allowlist.
    Allowlist = "allowlist",
    /// Let pass: every channel answers everyone.
    AllowAllChannels = "allow_all_channels",
    /// Let pass: direct messages of this channel are open.
    DirectOpen = "direct_open",
    /// Refused: no settings for the channel that it came through.
    UnknownChannel = "unknown_channel",
    /// Refused: of a kind that this version does not know.
    UnknownEvent = "unknown_event",
    /// Refused: written by a bot or by the platform.
    NotAPerson = "not_a_person",
    /// Refused: talk in a shared chat that is not meant for the bot.
    NotAddressed = "not_addressed",
    /// Refused: too many messages of the sender or in the chat.
    RateLimited = "rate_limited",
    /// Refused: too long.
    TooLong = "too_long",
    /// Refused: direct messages of this channel are off.
    DirectDisabled = "direct_disabled",
    /// Refused: on no list.
    NotAllowed = "not_allowed",
    /// Answered: a pairing code.
    PairingRequested = "pairing_requested",
    /// Refused: the sender has a pairing code already, or has had one just now.
    PairingWaiting = "pairing_waiting",
    /// Refused: too many wait for approval.
    PairingFull = "pairing_full",
    /// Answered: an invite code was right, the sender is paired from now on.
    InviteAccepted = "invite_accepted",
    /// Refused: an invite code was wrong, used or expired.
    InviteInvalid = "invite_invalid",
    /// Refused: too many wrong invite codes.
    InviteLocked = "invite_locked",
    /// Answered: the account is bound from now on.
    Connected = "connected",
    /// Answered: a connect code was wrong, used or expired.
    ConnectInvalid = "connect_invalid",
    /// Answered once, then refused: too many wrong connect codes.
    ConnectLocked = "connect_locked",
    /// Refused: a connect code where others could read it.
    ConnectShared = "connect_shared",
    /// Answered: the platform does not vouch for the sender.
    ConnectUnproven = "connect_unproven",
    /// Refused: a connect command that was settled before, or is too old to be meant.
    ConnectReplayed = "connect_replayed",
    /// Answered or refused: the account belongs to nobody.
    Unbound = "unbound",
    /// Answered: whose account it is cannot be told now.
    StoreUnavailable = "store_unavailable",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each reason was given.
pub(crate) struct Counts(Vec<AtomicU64>);

impl Counts {
    pub(crate) fn new() -> Self {
        Self(Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn add(&self, reason: Reason) {
        if let Some(count) = self.0.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, reason: Reason) -> u64 {
        self.0
            .get(reason as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                Reason::ALL
                    .iter()
                    .map(|reason| (reason.as_str(), self.get(*reason)))
                    .filter(|(_, count)| *count > 0),
            )
            .finish()
    }
}
