//! The files of a store, the connections to them, and what may happen to them behind our back.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, SqlSafeStr,
    SqliteConnection,
};

use super::Durability;
use super::error::{Failure, config, unavailable};
use super::lock::{beside, private};
use crate::store::StoreError;

/// Readers beside the writer.
const READERS: u32 = 4;

/// Pages that the log may grow to before it is copied back: 4 MB. A page that was written
/// several times until then is copied once.
pub(crate) const CHECKPOINT_PAGES: usize = 1024;

#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) busy_timeout: Duration,
}

impl Files {
    /// Makes the file if there is none. SQLite gives its log the same permissions.
    pub(crate) fn create(&self) -> Result<(), StoreError> {
        let made = private(OpenOptions::new().write(true).create_new(true)).open(&self.path);
        match made {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(config("there is no such directory").with_source(error))
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(config("the file may not be created").with_source(error))
            }
            Err(error) => Err(unavailable("the file cannot be created").with_source(error)),
        }
    }

    /// The one connection that writes.
    pub(crate) async fn writer(&self) -> Result<SqliteConnection, Failure> {
        let synchronous = match self.durability {
            Durability::Full => "FULL",
            Durability::Relaxed => "NORMAL",
        };
        // The writer copies the log back itself, when it has looked at it.
        let settings = format!(
            "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_mode = WAL; \
             PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -16384; \
             PRAGMA temp_store = memory"
        );
        ready(self.options().connect().await?, AssertSqlSafe(settings)).await
    }

    /// A connection that reads nothing more. While it is open, closing the writer does not
    /// copy the log back, and since it may not write, closing it does not either.
    pub(crate) async fn anchor(&self) -> Result<SqliteConnection, Failure> {
        let anchor = self.options().read_only(true).connect().await?;
        let look = "PRAGMA cache_size = 0; SELECT count(*) FROM sqlite_schema";
        ready(anchor, look).await
    }

    /// Connections for reading, opened when they are needed.
    pub(crate) fn readers(&self) -> SqlitePool {
        let options = self.options().read_only(true).pragma("cache_size", "-4096");
        SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(self.busy_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(options)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .busy_timeout(self.busy_timeout)
            .statement_cache_capacity(64)
            .row_buffer_size(512)
            .disable_statement_logging()
    }
}

/// Runs this on a connection that was opened for it. If that fails, the connection is waited for
/// until it is closed: one that is dropped closes later on a thread of its own, and as the last
/// one copies what it takes for the log back and removes the file, while that is put right.
async fn ready(
    mut connection: SqliteConnection,
    statements: impl SqlSafeStr + Send,
) -> Result<SqliteConnection, Failure> {
    match connection.execute(statements.into_sql_str()).await {
        Ok(_) => Ok(connection),
        Err(error) => {
            let _ = connection.close().await;
            Err(error.into())
        }
    }
}

/// Notices when the files are no longer those that a connection has open.
///
/// SQLite goes on writing into a log that was removed or cut short, and every such write is
/// gone with the process. <https://www.sqlite.org/howtocorrupt.html>
#[derive(Debug)]
pub(crate) struct Watch {
    store: PathBuf,
    log: PathBuf,
    seen: Option<(Identity, Identity)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    number: u64,
    size: u64,
}

impl Watch {
    pub(crate) fn on(store: &Path) -> Self {
        Self {
            store: store.to_owned(),
            log: beside(store, "-wal"),
            seen: None,
        }
    }

    pub(crate) fn forget(&mut self) {
        self.seen = None;
    }

    /// Fails if a file was removed, replaced or cut short since the last look.
    pub(crate) fn look(&mut self) -> Result<(), StoreError> {
        let now = (identity(&self.store)?, identity(&self.log)?);
        if let Some((store, log)) = self.seen.replace(now) {
            let same =
                |then: Identity, now: Identity| then.number == now.number && then.size <= now.size;
            // What becomes of the log, SQLite and the writer know better.
            if !same(store, now.0) || log.number != now.1.number {
                return Err(unavailable("its files were removed or cut short"));
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Result<Identity, StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).map_err(gone)?;
    Ok(Identity {
        number: found.ino(),
        size: found.len(),
    })
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Result<Identity, StoreError> {
    let found = std::fs::metadata(path).map_err(gone)?;
    Ok(Identity {
        number: 0,
        size: found.len(),
    })
}

fn gone(error: std::io::Error) -> StoreError {
    unavailable("its files are gone").with_source(error)
}
