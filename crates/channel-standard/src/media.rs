//! Files kept in memory for a while.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

/// A file in memory.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) bytes: Bytes,
    at: Duration,
    /// Whether somebody has fetched it: such files make room first.
    fetched: bool,
}

/// Files by id: bounded in bytes and in time.
#[derive(Debug)]
pub(crate) struct MediaStore {
    blobs: HashMap<String, Blob>,
    order: VecDeque<String>,
    total: usize,
    limit: usize,
    ttl: Duration,
}

/// There is no room for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Files beyond this many are refused, however small.
const MAX_FILES: usize = 16_384;

impl MediaStore {
    pub(crate) fn new(limit: usize, ttl: Duration) -> Self {
        Self {
            blobs: HashMap::new(),
            order: VecDeque::new(),
            total: 0,
            limit,
            ttl,
        }
    }

    /// Makes room for `bytes` more bytes in `files` more files.
    ///
    /// Files that are too old go first, then those that have been fetched; a file that
    /// nobody has fetched yet is never given up for another.
    pub(crate) fn make_room(
        &mut self,
        bytes: usize,
        files: usize,
        now: Duration,
    ) -> Result<(), Full> {
        self.expire(now);
        let fits = |store: &Self| {
            store.total.saturating_add(bytes) <= store.limit
                && store.blobs.len().saturating_add(files) <= MAX_FILES
        };
        if fits(self) {
            return Ok(());
        }
        if bytes > self.limit {
            return Err(Full);
        }
        let mut kept = VecDeque::with_capacity(self.order.len());
        while let Some(id) = self.order.pop_front() {
            let fetched = self.blobs.get(&id).is_some_and(|blob| blob.fetched);
            if fetched && !fits(self) {
                self.forget(&id);
            } else {
                kept.push_back(id);
            }
        }
        self.order = kept;
        if fits(self) { Ok(()) } else { Err(Full) }
    }

    /// Keeps a file for which room has been made.
    pub(crate) fn insert(&mut self, id: String, bytes: Bytes, now: Duration) {
        self.total += bytes.len();
        let blob = Blob {
            bytes,
            at: now,
            fetched: false,
        };
        if let Some(old) = self.blobs.insert(id.clone(), blob) {
            self.total = self.total.saturating_sub(old.bytes.len());
        } else {
            self.order.push_back(id);
        }
    }

    /// Fetches a file.
    pub(crate) fn get(&mut self, id: &str, now: Duration) -> Option<Blob> {
        self.expire(now);
        let blob = self.blobs.get_mut(id)?;
        blob.fetched = true;
        Some(blob.clone())
    }

    /// The size of a file, without fetching it.
    pub(crate) fn size(&self, id: &str) -> Option<usize> {
        self.blobs.get(id).map(|blob| blob.bytes.len())
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some(id) = self.order.front() {
            let old = self
                .blobs
                .get(id)
                .is_none_or(|blob| now.saturating_sub(blob.at) > self.ttl);
            if !old {
                break;
            }
            if let Some(id) = self.order.pop_front() {
                self.forget(&id);
            }
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(blob) = self.blobs.remove(id) {
            self.total = self.total.saturating_sub(blob.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn put(store: &mut MediaStore, id: &str, size: usize, now: Duration) -> Result<(), Full> {
        store.make_room(size, 1, now)?;
        store.insert(id.to_owned(), Bytes::from(vec![0; size]), now);
        Ok(())
    }

    #[test]
    fn files_expire() {
        let mut store = MediaStore::new(100, SECOND * 10);
        put(&mut store, "a", 60, SECOND).unwrap();
        assert!(store.get("a", SECOND * 11).is_some());
        assert!(store.get("a", SECOND * 12).is_none());
        assert_eq!(store.total, 0);
    }

    #[test]
    fn only_fetched_files_make_room() {
        let mut store = MediaStore::new(100, SECOND * 10);
        put(&mut store, "a", 60, SECOND).unwrap();
        put(&mut store, "b", 30, SECOND).unwrap();
        assert_eq!(put(&mut store, "c", 50, SECOND), Err(Full));
        assert!(store.get("a", SECOND).is_some());
        put(&mut store, "c", 50, SECOND).unwrap();
        assert!(store.get("a", SECOND).is_none());
        assert!(store.get("b", SECOND).is_some());
        assert_eq!(put(&mut store, "d", 101, SECOND), Err(Full));
    }
}
