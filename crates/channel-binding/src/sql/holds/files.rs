//! Between processes of one machine: locks on empty files beside the database.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use channel_core::{Error, ErrorKind, Result};

use crate::store::Closed;

/// The locks of one database, as this handle on it has them. Clones share them; another handle
/// is as good as another process.
#[derive(Clone)]
pub(crate) struct FileHolds(Arc<Inner>);

struct Inner {
    /// The database.
    path: PathBuf,
    slots: [Mutex<Slot>; FileHolds::SLOTS as usize],
}

/// What this handle has of a slot. A lock belongs to whoever has opened its file, so each role
/// has files of its own.
#[derive(Default)]
struct Slot {
    /// Messages of this handle that are under way.
    flights: usize,
    /// Those of this handle who keep the entry.
    closers: usize,
    /// The other handles' messages are over, and ours.
    landed: bool,
    passing: Option<File>,
    flying: Option<File>,
    closing: Option<File>,
    landing: Option<File>,
}

/// A message under way.
pub(super) struct Flight {
    holds: FileHolds,
    slot: u8,
}

/// Nobody begins.
pub(super) struct Kept {
    holds: FileHolds,
    slots: Vec<u8>,
}

const ENTRY: &str = "entry";
const UNDER_WAY: &str = "busy";

impl FileHolds {
    /// How many accounts are told apart; each slot is two files.
    pub(super) const SLOTS: u8 = 8;

    /// The locks beside a database that is there.
    pub(crate) fn beside(path: &Path) -> Self {
        // The same files, by whatever way the database is found.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self(Arc::new(Inner {
            path,
            slots: Default::default(),
        }))
    }

    pub(super) fn begin(&self, number: u8) -> Result<Option<Flight>> {
        let mut slot = self.slot(number);
        let entry = self.file(&mut slot.passing, number, ENTRY)?;
        if !granted(entry.try_lock_shared())? {
            return Ok(None);
        }
        let begun = match slot.flights {
            0 => self
                .file(&mut slot.flying, number, UNDER_WAY)
                .and_then(|under_way| granted(under_way.try_lock_shared())),
            _ => Ok(true),
        };
        release(slot.passing.as_ref());
        if !begun? {
            return Ok(None);
        }
        slot.flights += 1;
        drop(slot);
        Ok(Some(Flight {
            holds: self.clone(),
            slot: number,
        }))
    }

    pub(super) fn close(&self, numbers: BTreeSet<u8>) -> Result<Option<Kept>> {
        let mut kept = Kept {
            holds: self.clone(),
            slots: Vec::new(),
        };
        for number in numbers {
            let mut slot = self.slot(number);
            if slot.closers == 0 {
                let entry = self.file(&mut slot.closing, number, ENTRY)?;
                if !granted(entry.try_lock())? {
                    return Ok(None);
                }
            }
            slot.closers += 1;
            drop(slot);
            kept.slots.push(number);
        }
        Ok(Some(kept))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a number modulo the length is below it"
    )]
    fn slot(&self, number: u8) -> MutexGuard<'_, Slot> {
        let slot = &self.0.slots[usize::from(number % Self::SLOTS)];
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a file the first time that it is needed.
    fn file<'a>(&self, place: &'a mut Option<File>, slot: u8, role: &str) -> Result<&'a File> {
        if let Some(file) = place {
            return Ok(file);
        }
        let mut path = self.0.path.clone().into_os_string();
        path.push(format!("-{role}{slot}"));
        let mut options = OpenOptions::new();
        // Nothing is ever in it.
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|error| failed(&error))?;
        Ok(place.insert(file))
    }
}

impl fmt::Debug for FileHolds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileHolds").finish_non_exhaustive()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut slot = self.holds.slot(self.slot);
        slot.flights -= 1;
        if slot.flights == 0 {
            release(slot.flying.as_ref());
        }
    }
}

#[async_trait]
impl Closed for Kept {
    async fn landed(&self) -> Result<bool> {
        for number in &self.slots {
            let mut slot = self.holds.slot(*number);
            if !slot.landed {
                let file = self.holds.file(&mut slot.landing, *number, UNDER_WAY)?;
                if !granted(file.try_lock())? {
                    return Ok(false);
                }
                slot.landed = true;
            }
        }
        Ok(true)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.slots).finish()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for number in &self.slots {
            let mut slot = self.holds.slot(*number);
            slot.closers -= 1;
            if slot.closers == 0 {
                // Whoever passes the entry finds it free.
                if std::mem::take(&mut slot.landed) {
                    release(slot.landing.as_ref());
                }
                release(slot.closing.as_ref());
            }
        }
    }
}

fn granted(locked: std::result::Result<(), TryLockError>) -> Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// A lock that cannot be let go ends when the file is closed.
fn release(file: Option<&File>) {
    if let Some(error) = file.and_then(|file| file.unlock().err()) {
        tracing::warn!(kind = %error.kind(), "a lock beside the bindings was not let go");
    }
}

fn failed(error: &std::io::Error) -> Error {
    let what = format!("the locks beside the bindings: {}", error.kind());
    Error::new(ErrorKind::Unavailable, what)
}
