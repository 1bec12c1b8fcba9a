//! Who is locked, and which commands are settled.

use std::time::{Duration, SystemTime};

use channel_policy::Tries;

use super::{SqlBindings, millis};

/// How long a settled command is remembered; those without a time of their own may be
/// replayed for ever, and a code holds for ten minutes.
const SETTLED_FOR: Duration = Duration::from_secs(86_400);

/// Counts a try in the same statement that asks whether there may be one: of many at once no
/// more get through than one after the other.
const BEGIN: &str = "INSERT INTO channel_policy_tries (kind, key_hash, failures, last_at)
    VALUES ($1, $2, 1, $3)
    ON CONFLICT (kind, key_hash) DO UPDATE SET
     failures = CASE WHEN channel_policy_tries.last_at <= $4 THEN 1
                     ELSE channel_policy_tries.failures + 1 END,
     last_at = excluded.last_at
    WHERE channel_policy_tries.failures < $5 OR channel_policy_tries.last_at <= $4";

const FORGET_TRIES: &str = "DELETE FROM channel_policy_tries WHERE last_at <= $1";

const SETTLE: &str = "INSERT INTO channel_settled_commands (digest, settled_at)
    VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";

const FORGET_SETTLED: &str = "DELETE FROM channel_settled_commands WHERE settled_at < $1";

impl SqlBindings {
    pub(super) async fn begin_once(
        &self,
        tries: Tries,
        key: &str,
        now: SystemTime,
    ) -> Result<bool, sqlx::Error> {
        // A lock ends after exactly its time.
        let over = millis(now - Tries::LOCK_FOR);
        let counted = sqlx::query(BEGIN)
            .bind(tries.as_str())
            .bind(key)
            .bind(millis(now))
            .bind(over)
            .bind(i64::from(Tries::LIMIT))
            .execute(&self.writes)
            .await?;
        Ok(counted.rows_affected() > 0)
    }

    pub(super) async fn succeeded_once(&self, tries: Tries, key: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM channel_policy_tries WHERE kind = $1 AND key_hash = $2")
            .bind(tries.as_str())
            .bind(key)
            .execute(&self.writes)
            .await
            .map(drop)
    }

    pub(super) async fn withdraw_once(&self, tries: Tries, key: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE channel_policy_tries SET failures = failures - 1
             WHERE kind = $1 AND key_hash = $2 AND failures > 0",
        )
        .bind(tries.as_str())
        .bind(key)
        .execute(&self.writes)
        .await
        .map(drop)
    }

    pub(super) async fn settle_once(
        &self,
        digest: &str,
        now: SystemTime,
    ) -> Result<bool, sqlx::Error> {
        let settled = sqlx::query(SETTLE)
            .bind(digest)
            .bind(millis(now))
            .execute(&self.writes)
            .await?;
        Ok(settled.rows_affected() > 0)
    }

    pub(super) async fn unsettle_once(&self, digest: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM channel_settled_commands WHERE digest = $1")
            .bind(digest)
            .execute(&self.writes)
            .await
            .map(drop)
    }

    /// Deletes what is over. Nobody is refused because this fails: what is left is deleted
    /// the next time.
    pub(super) async fn forget_tries(&self, now: SystemTime) {
        for (statement, over) in [
            (FORGET_TRIES, Tries::LOCK_FOR),
            (FORGET_SETTLED, SETTLED_FOR),
        ] {
            let deleted = sqlx::query(statement)
                .bind(millis(now - over))
                .execute(&self.writes)
                .await;
            if let Err(error) = deleted {
                let error = super::failed("forget tries", &error);
                tracing::warn!(%error, "tries that are over are still there");
            }
        }
    }
}
