//! Bindings in SQLite or PostgreSQL, through one code path.

mod bindings;
mod codes;
mod holds;
mod kept;
mod pairing;
mod policies;
mod row;
mod schema;
mod tries;

use std::fmt;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use channel_core::{AccountRef, BindingId, Error, ErrorKind, Hold, OwnerId, Platform, Result};
use sqlx::any::AnyPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyPool, Row as _};

use crate::code::CodeHash;
use crate::flights::{Flights, Whose};
use crate::record::BindingRecord;
use crate::store::{
    BindingStore, Closed, ConversationKey, Details, Disconnected, LiveCodes, Minted, NewCode,
    Redeemed, Redemption, SealedCredential, TrailEntry,
};

use holds::{FileHolds, Holds, PostgresHolds};

/// How often a transaction that collided with another is tried.
const TRIES: u32 = 3;
/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// A [`BindingStore`] in SQLite (`sqlite:path`) or PostgreSQL (`postgres://...`), and a
/// [`PolicyStore`](channel_policy::PolicyStore) in the same database. Clones share it.
///
/// Nothing that a reader of the database could use is in it: codes are hashed, credentials
/// encrypted.
#[derive(Clone)]
pub struct SqlBindings {
    reads: AnyPool,
    /// With SQLite one connection, so that writers wait in line here and not at the file.
    writes: AnyPool,
    /// Messages on their way, and those who wait for them, of all processes.
    holds: Holds,
}

impl fmt::Debug for SqlBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("SqlBindings")
            .field("connections", &self.reads.size())
            .finish_non_exhaustive()
    }
}

impl SqlBindings {
    /// Opens the database, makes the file of SQLite if there is none, and brings the tables
    /// up to date.
    ///
    /// # Errors
    ///
    /// `Config` if the address is not understood or the tables are of a newer version;
    /// `Unavailable` if the database does not answer.
    pub async fn connect(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let store = if url.starts_with("sqlite:") {
            return Self::open_sqlite(url).await;
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let pool = AnyPoolOptions::new()
                .max_connections(10)
                .acquire_timeout(PATIENCE)
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        sqlx::query("SET statement_timeout = 10000")
                            .execute(connection)
                            .await
                            .map(drop)
                    })
                })
                .connect(url)
                .await
                .map_err(|error| failed("connect", &error))?;
            // Locks are told apart by where the tables are.
            let schema: String = sqlx::query("SELECT COALESCE(current_schema(), '')::TEXT")
                .fetch_one(&pool)
                .await
                .and_then(|row| row.try_get(0))
                .map_err(|error| failed("connect", &error))?;
            let server = PostgresHolds::new(pool.connect_options(), &schema);
            Self {
                reads: pool.clone(),
                writes: pool,
                holds: Holds::Postgres(server, Flights::default()),
            }
        } else {
            return Err(Error::config(
                "the address of the bindings has to begin with sqlite: or postgres:",
            ));
        };
        schema::migrate(&store.writes).await?;
        Ok(store)
    }

    async fn open_sqlite(url: &str) -> Result<Self> {
        let in_memory = url.contains(":memory:");
        let url = if in_memory || url.contains('?') {
            url.to_owned()
        } else {
            format!("{url}?mode=rwc")
        };
        let open = async |connections| {
            AnyPoolOptions::new()
                .max_connections(connections)
                // What is in memory is gone with its last connection.
                .min_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(PATIENCE)
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        sqlx::query("PRAGMA journal_mode = WAL")
                            .execute(&mut *connection)
                            .await?;
                        sqlx::query("PRAGMA secure_delete = ON")
                            .execute(connection)
                            .await
                            .map(drop)
                    })
                })
                .connect(&url)
                .await
                .map_err(|error| failed("connect", &error))
        };
        let writes = open(1).await?;
        let reads = if in_memory {
            writes.clone()
        } else {
            open(4).await?
        };
        schema::migrate(&writes).await?;
        let holds = match SqliteConnectOptions::from_str(&url) {
            Ok(options) if !in_memory => Holds::Files(FileHolds::beside(options.get_filename())),
            _ => Holds::Here(Flights::default()),
        };
        Ok(Self {
            reads,
            writes,
            holds,
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
        self.holds.end();
    }
}

/// A call on the database has failed. The cause is told as its code alone: its words may
/// hold values of rows, or the address with its password.
fn failed(operation: &'static str, error: &sqlx::Error) -> Error {
    if let sqlx::Error::Configuration(_) = error {
        return Error::config("the address of the bindings is not understood");
    }
    let code = error.as_database_error().and_then(|error| error.code());
    let error = Error::new(
        ErrorKind::Unavailable,
        format!("the store of bindings: {operation} failed"),
    );
    match code {
        Some(code) => error.with_code(code),
        None => error,
    }
}

/// Whether a transaction collided with another one and may be tried again.
fn collided(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    // PostgreSQL: serialization failure, deadlock. SQLite: busy, locked.
    let busy = ["40001", "40P01", "5", "6", "517"];
    error.is_unique_violation() || error.code().is_some_and(|code| busy.contains(&&*code))
}

/// Runs a transaction, again where it collided with another one.
macro_rules! again {
    ($operation:literal, $run:expr) => {{
        let mut tries = 0;
        loop {
            tries += 1;
            match $run.await {
                Ok(done) => break Ok(done),
                Err(error) if tries < TRIES && collided(&error) => {}
                Err(error) => break Err(failed($operation, &error)),
            }
        }
    }};
}

use again;

/// Milliseconds since 1970.
fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[async_trait]
impl BindingStore for SqlBindings {
    async fn mint(&self, code: &NewCode, live: LiveCodes) -> Result<Minted> {
        again!("mint", self.mint_once(code, live))
    }
    async fn is_live(&self, hash: &CodeHash, platform: &Platform, now: SystemTime) -> Result<bool> {
        let found = self.is_live_once(hash, platform, now).await;
        found.map_err(|error| failed("look for a code", &error))
    }
    async fn redeem(&self, redemption: &Redemption) -> Result<Redeemed> {
        let redeemed = again!("redeem", self.redeem_once(redemption))?;
        self.forget_codes(redemption.now).await;
        Ok(redeemed)
    }
    async fn burn(
        &self,
        hash: &CodeHash,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Option<OwnerId>> {
        again!("burn", self.burn_once(hash, platform, now))
    }
    async fn resolve(&self, account: &AccountRef, personal: bool) -> Result<Option<BindingRecord>> {
        let found = self.resolve_once(account, personal).await;
        found.map_err(|error| failed("resolve", &error))
    }
    async fn begin_message(&self, account: &AccountRef) -> Result<Option<Hold>> {
        self.holds.begin(account).await
    }
    async fn hold_back(&self, whose: &Whose) -> Result<Option<Box<dyn Closed>>> {
        self.holds.close(whose).await
    }
    async fn find(&self, owner: &OwnerId, id: &BindingId) -> Result<Option<BindingRecord>> {
        let found = self.find_once(owner, id).await;
        found.map_err(|error| failed("find", &error))
    }
    async fn list(&self, owner: &OwnerId) -> Result<Vec<BindingRecord>> {
        let found = self.list_once(owner).await;
        found.map_err(|error| failed("list", &error))
    }
    async fn disconnect(
        &self,
        owner: &OwnerId,
        id: &BindingId,
        now: SystemTime,
    ) -> Result<Disconnected> {
        again!("disconnect", self.disconnect_once(owner, id, now))
    }
    async fn revoke_platform(
        &self,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Vec<BindingRecord>> {
        again!("revoke platform", self.revoke_platform_once(platform, now))
    }
    async fn purge(&self, owner: &OwnerId) -> Result<u64> {
        again!("purge", self.purge_once(owner))
    }
    async fn touch(&self, id: &BindingId, at: SystemTime, error: bool) -> Result<()> {
        again!("touch", self.touch_once(id, at, error))
    }
    async fn describe(&self, owner: &OwnerId, id: &BindingId, details: &Details) -> Result<bool> {
        again!("describe", self.describe_once(owner, id, details))
    }
    async fn thread(&self, key: &ConversationKey, fresh: &str, now: SystemTime) -> Result<String> {
        again!("thread", self.thread_once(key, fresh, now))
    }
    async fn put_credential(&self, id: &BindingId, sealed: &str) -> Result<Option<i64>> {
        again!("put credential", self.put_credential_once(id, sealed))
    }
    async fn credential(&self, id: &BindingId) -> Result<Option<SealedCredential>> {
        let found = self.credential_once(id).await;
        found.map_err(|error| failed("read credential", &error))
    }
    async fn credentials(
        &self,
        after: Option<&BindingId>,
        limit: u32,
    ) -> Result<Vec<(BindingRecord, SealedCredential)>> {
        let found = self.credentials_once(after, limit).await;
        found.map_err(|error| failed("read credentials", &error))
    }
    async fn replace_credential(&self, id: &BindingId, version: i64, sealed: &str) -> Result<bool> {
        again!(
            "replace credential",
            self.replace_credential_once(id, version, sealed)
        )
    }
    async fn trail(&self, owner: &OwnerId, limit: u32) -> Result<Vec<TrailEntry>> {
        let found = self.trail_once(owner, limit).await;
        found.map_err(|error| failed("read trail", &error))
    }
    async fn sweep(&self, now: SystemTime, trail_before: SystemTime) -> Result<()> {
        again!("sweep", self.sweep_once(now, trail_before))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;

    use sqlx::error::{DatabaseError, ErrorKind as Cause};

    use super::*;

    /// What a database says when a row is there already.
    #[derive(Debug)]
    struct Taken;

    impl fmt::Display for Taken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("taken")
        }
    }

    impl StdError for Taken {}

    impl DatabaseError for Taken {
        fn message(&self) -> &str {
            "taken"
        }
        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> Cause {
            Cause::UniqueViolation
        }
    }

    /// How often something is tried that fails so many times, and how it ends.
    async fn tried(failures: u32, error: fn() -> sqlx::Error) -> (u32, Result<()>) {
        let mut tries = 0_u32;
        let run = |tries: u32| async move {
            match tries > failures {
                true => Ok(()),
                false => Err(error()),
            }
        };
        let done = again!("try", {
            tries += 1;
            run(tries)
        });
        (tries, done)
    }

    #[tokio::test]
    async fn what_collides_is_tried_three_times_and_what_fails_once() {
        let taken = || sqlx::Error::Database(Box::new(Taken));
        for failures in [0, 1, 2] {
            let (tries, done) = tried(failures, taken).await;
            assert_eq!((tries, done.is_ok()), (failures + 1, true));
        }
        let (tries, done) = tried(3, taken).await;
        assert_eq!(
            (tries, done.unwrap_err().kind()),
            (3, ErrorKind::Unavailable)
        );
        let (tries, done) = tried(3, || sqlx::Error::PoolTimedOut).await;
        assert_eq!(
            (tries, done.unwrap_err().kind()),
            (1, ErrorKind::Unavailable)
        );
    }
}
