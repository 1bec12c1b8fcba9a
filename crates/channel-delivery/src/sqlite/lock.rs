//! The lock that proves that no other process works on the store.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::error::{config, unavailable};
use crate::store::StoreError;
use crate::worker::Fence;

/// Held from the first enrolment until the last worker leaves or the store is dropped. The
/// system lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct WorkerLock {
    path: PathBuf,
    held: Option<File>,
    workers: BTreeSet<Fence>,
}

impl WorkerLock {
    pub(crate) fn beside(store: &Path) -> Self {
        Self {
            path: beside(store, "-lock"),
            held: None,
            workers: BTreeSet::new(),
        }
    }

    /// Takes the lock; says whether it was free, so that all workers before are dead.
    pub(crate) fn take(&mut self) -> Result<bool, StoreError> {
        if self.held.is_some() {
            return Ok(false);
        }
        let file = private(OpenOptions::new().create(true).append(true))
            .open(&self.path)
            .map_err(|error| unavailable("the lock file cannot be opened").with_source(error))?;
        match file.try_lock() {
            Ok(()) => self.held = Some(file),
            Err(TryLockError::WouldBlock) => return Err(config("in use by another process")),
            Err(TryLockError::Error(error)) => {
                return Err(unavailable("the lock file cannot be locked").with_source(error));
            }
        }
        Ok(true)
    }

    pub(crate) fn entered(&mut self, worker: Fence) {
        self.workers.insert(worker);
    }

    /// Lets go when nobody is left.
    pub(crate) fn left(&mut self, worker: Fence) {
        self.workers.remove(&worker);
        self.let_go_if_unused();
    }

    pub(crate) fn let_go(&mut self) {
        self.workers.clear();
        self.held = None;
    }

    pub(crate) fn let_go_if_unused(&mut self) {
        if self.workers.is_empty() {
            self.held = None;
        }
    }
}

/// The path of a file that stands beside the store.
pub(crate) fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(store);
    path.push(suffix);
    path.into()
}

/// New files are for their owner alone: they hold what people wrote.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}
