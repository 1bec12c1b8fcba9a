//! Who is on a list: the one matcher.

use std::borrow::Cow;
use std::collections::HashSet;

use channel_core::{AccountRef, Case, ChatId, Error, Platform, Result, Spelling};

/// A list of senders, or of chats.
///
/// An entry is an id, `platform:id`, `id|name` with a name for the human eye, `@handle`, or
/// `*` for everyone. Where a workspace scopes the sender ids of a platform the id is
/// `workspace:id`: the same sender id in another workspace is somebody else. Names that
/// senders choose for themselves are never compared.
///
/// ```
/// use channel_core::{AccountRef, Case, Platform};
/// use channel_policy::Allowlist;
///
/// let list = Allowlist::of_channel(&["42|Ada", "acme:43"], Case::Sensitive)?;
/// let account = |id: &str| AccountRef::new(Platform::new("acme"), id.into());
/// assert!(list.has(&account("42"), None));
/// assert!(list.has(&account("43"), None));
/// assert!(!list.has(&account("Ada"), None));
/// # Ok::<(), channel_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Allowlist {
    entries: HashSet<Box<str>>,
    /// The same in small letters.
    folded: HashSet<Box<str>>,
    everyone: bool,
    handles: bool,
    /// Absent where it is for the platform to say.
    case: Option<Case>,
    /// Whether an entry has to name its platform.
    qualified: bool,
}

impl Allowlist {
    /// Reads the list of one channel, whose entries need not name the platform.
    ///
    /// # Errors
    ///
    /// `Config` if an entry is blank.
    pub fn of_channel<T: AsRef<str>>(entries: &[T], case: Case) -> Result<Self> {
        Self::read(entries, Some(case), false)
    }

    /// The same, compared as the channel's platform does it unless somebody has said how.
    pub(crate) fn of_platform<T: AsRef<str>>(entries: &[T], case: Option<Case>) -> Result<Self> {
        Self::read(entries, case, false)
    }

    /// Reads a list for all channels: each entry is `platform:id` or `*`. A [`Gate`](crate::Gate)
    /// compares each entry as its platform does.
    ///
    /// # Errors
    ///
    /// `Config` if an entry is blank or does not name its platform.
    pub fn of_all<T: AsRef<str>>(entries: &[T]) -> Result<Self> {
        Self::read(entries, None, true)
    }

    fn read<T: AsRef<str>>(entries: &[T], case: Option<Case>, qualified: bool) -> Result<Self> {
        let mut list = Self {
            case,
            qualified,
            ..Self::default()
        };
        for entry in entries {
            list.add(entry.as_ref())?;
        }
        Ok(list)
    }

    fn add(&mut self, entry: &str) -> Result<()> {
        let id = entry.split_once('|').map_or(entry, |(id, _)| id).trim();
        if id.is_empty() {
            return Err(Error::config("an allowlist has a blank entry"));
        }
        if id == "*" {
            self.everyone = true;
            return Ok(());
        }
        let bare = id.split_once(':').map(|(_, bare)| bare);
        if bare.is_some_and(str::is_empty) {
            return Err(Error::config(
                "an allowlist entry names a platform and no id",
            ));
        }
        if self.qualified && bare.is_none() {
            return Err(Error::config(
                "an entry of the allowlist for all channels has to be platform:id or *",
            ));
        }
        self.handles |= id.starts_with('@') || bare.is_some_and(|bare| bare.starts_with('@'));
        self.entries.insert(id.into());
        if self.case != Some(Case::Sensitive) {
            self.folded.insert(id.to_lowercase().into());
        }
        Ok(())
    }

    /// Whether nobody is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.everyone
    }

    /// Whether an entry is a handle, which only a [`Directory`](crate::Directory) can tell.
    #[must_use]
    pub const fn has_handles(&self) -> bool {
        self.handles
    }

    /// Whether a list for all channels says something about a platform.
    pub(crate) fn concerns(&self, platform: &Platform) -> bool {
        let is_of = |entry: &str| {
            entry
                .split_once(':')
                .is_some_and(|(name, _)| name == platform.as_str())
        };
        self.everyone || self.entries.iter().any(|entry| is_of(entry))
    }

    /// Whether a sender is on it; the handle is what the platform vouches for. Where the list
    /// does not say how names are compared every character counts.
    #[must_use]
    pub fn has(&self, account: &AccountRef, handle: Option<&str>) -> bool {
        self.has_spelt(account, handle, Spelling::exact())
    }

    /// The same, compared as the platform does it where the list does not say how.
    pub(crate) fn has_spelt(
        &self,
        account: &AccountRef,
        handle: Option<&str>,
        declared: Spelling,
    ) -> bool {
        if self.everyone {
            return true;
        }
        if self.entries.is_empty() {
            return false;
        }
        let workspace = account.workspace.as_ref().map(AsRef::as_ref);
        let platform = &account.platform;
        self.find(platform, workspace, account.sender.as_str(), declared.ids)
            || self.handles
                && handle.is_some_and(|handle| {
                    let handle = handle.trim_start_matches('@');
                    let entry = format!("@{handle}");
                    !handle.is_empty() && self.find(platform, None, &entry, declared.handles)
                })
    }

    /// Whether a chat is on it.
    #[must_use]
    pub fn has_chat(&self, platform: &Platform, chat: &ChatId) -> bool {
        self.has_chat_spelt(platform, chat, Spelling::exact())
    }

    /// The same, compared as the platform does it where the list does not say how.
    pub(crate) fn has_chat_spelt(
        &self,
        platform: &Platform,
        chat: &ChatId,
        declared: Spelling,
    ) -> bool {
        let id = chat.as_str();
        self.everyone || !self.entries.is_empty() && self.find(platform, None, id, declared.ids)
    }

    fn find(&self, platform: &Platform, workspace: Option<&str>, id: &str, declared: Case) -> bool {
        let id = match workspace {
            Some(workspace) => Cow::Owned(format!("{workspace}:{id}")),
            None => Cow::Borrowed(id),
        };
        let (entries, id) = match self.case.unwrap_or(declared) {
            Case::Insensitive => (&self.folded, Cow::Owned(id.to_lowercase())),
            _ => (&self.entries, id),
        };
        !self.qualified && entries.contains(id.as_ref())
            || entries.contains(format!("{platform}:{id}").as_str())
    }
}
