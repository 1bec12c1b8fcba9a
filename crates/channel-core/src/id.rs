//! Typed identifiers, so that a message id cannot be passed where a chat id belongs.
//!
//! Every id is an opaque string chosen by the platform (or, for [`ChannelId`] and
//! [`OwnerId`], by the application). Ids of up to 23 bytes are stored inline; longer
//! ones are shared, so a clone never copies text.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(SmolStr);

        impl $name {
            /// Wraps an identifier as the platform wrote it.
            #[must_use]
            pub fn new(id: impl AsRef<str>) -> Self {
                Self(SmolStr::new(id))
            }

            /// Borrows the identifier.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// Reads the identifier as a decimal number, where the platform uses numbers.
            #[must_use]
            pub fn as_i64(&self) -> Option<i64> {
                self.0.parse().ok()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0.as_str()).finish()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(SmolStr::new(id))
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(SmolStr::from(id))
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(SmolStr::new(itoa::Buffer::new().format(id)))
            }
        }
    )*};
}

ids! {
    /// One configured channel: the application's own name for it, unique in a process.
    ///
    /// Two instances of one platform differ in their channel id, and every key that is
    /// stored begins with it.
    ChannelId;
    /// A place messages go: a direct chat, a group, a room.
    ChatId;
    /// A sub-line of talk inside a chat.
    ThreadId;
    /// One message, unique inside its chat.
    MessageId;
    /// The platform's id of whoever wrote a message.
    SenderId;
    /// The tenant on the platform: Slack team, Discord guild, Feishu tenant.
    WorkspaceId;
    /// The application's own user.
    OwnerId;
    /// One binding of an account to an owner; the application's own id of it.
    BindingId;
    /// One inbound event, unique inside its channel: the deduplication key.
    EventId;
    /// A file as the platform names it, enough to download it later.
    FileId;
    /// One pressed button or chosen option, as the platform wants it answered.
    ActionId;
    /// Makes a repeated send recognisable to platforms that support it.
    IdempotencyKey;
}

/// A direct chat that has the id of the person; no text is copied.
impl From<&SenderId> for ChatId {
    fn from(person: &SenderId) -> Self {
        Self(person.0.clone())
    }
}

/// The name of a platform: `telegram`, `wecom`, `standard`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Platform(SmolStr);

impl Platform {
    /// Names a platform in lower case; usable in constants for names of up to 23 bytes.
    ///
    /// # Panics
    ///
    /// If the name is longer than 23 bytes; in a constant this is a compile error.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(SmolStr::new_inline(name))
    }

    /// Borrows the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Platform").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
