//! What is kept with a binding: conversations, credentials, the trail.

use std::time::SystemTime;

use channel_core::{BindingId, OwnerId};
use sqlx::Row as _;

use super::row::columns;
use super::{SqlBindings, millis, row};
use crate::record::BindingRecord;
use crate::store::{ConversationKey, SealedCredential, TrailEntry};

const THREAD: &str = "SELECT thread_id FROM channel_conversations
    WHERE binding_id = $1 AND external_conversation_id = $2 AND external_topic_id = $3";

/// Of many at once one makes the thread; all of them read that one.
const FIRST_THREAD: &str = "INSERT INTO channel_conversations
    (binding_id, external_conversation_id, external_topic_id, thread_id, created_at)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

/// Only for a binding that holds: a credential must not outlive its revocation.
const PUT_CREDENTIAL: &str = "INSERT INTO channel_binding_credentials (binding_id, sealed, version)
    SELECT id, $1, 1 FROM channel_bindings WHERE id = $2 AND status <> 'revoked'
    ON CONFLICT (binding_id) DO UPDATE SET
     sealed = excluded.sealed, version = channel_binding_credentials.version + 1
    RETURNING version";

const CREDENTIALS: &str = concat!(
    "SELECT ",
    columns!(),
    ", sealed, version FROM channel_binding_credentials
     JOIN channel_bindings ON id = binding_id
     WHERE binding_id > $1 ORDER BY binding_id LIMIT $2"
);

impl SqlBindings {
    pub(super) async fn thread_once(
        &self,
        key: &ConversationKey,
        fresh: &str,
        now: SystemTime,
    ) -> Result<String, sqlx::Error> {
        if let Some(known) = self.known_thread(&self.reads, key).await? {
            return Ok(known);
        }
        sqlx::query(FIRST_THREAD)
            .bind(key.binding.as_str())
            .bind(key.conversation.as_str())
            .bind(key.topic.as_str())
            .bind(fresh)
            .bind(millis(now))
            .execute(&self.writes)
            .await?;
        self.known_thread(&self.writes, key)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }

    async fn known_thread(
        &self,
        pool: &sqlx::AnyPool,
        key: &ConversationKey,
    ) -> Result<Option<String>, sqlx::Error> {
        sqlx::query(THREAD)
            .bind(key.binding.as_str())
            .bind(key.conversation.as_str())
            .bind(key.topic.as_str())
            .fetch_optional(pool)
            .await?
            .map(|row| row.try_get("thread_id"))
            .transpose()
    }

    pub(super) async fn put_credential_once(
        &self,
        id: &BindingId,
        sealed: &str,
    ) -> Result<Option<i64>, sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        // The binding cannot be revoked while its row is held.
        sqlx::query("UPDATE channel_bindings SET status = status WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        let version = sqlx::query(PUT_CREDENTIAL)
            .bind(sealed)
            .bind(id.as_str())
            .fetch_optional(&mut *tx)
            .await?
            .map(|row| row.try_get("version"))
            .transpose()?;
        tx.commit().await?;
        Ok(version)
    }

    pub(super) async fn credential_once(
        &self,
        id: &BindingId,
    ) -> Result<Option<SealedCredential>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT sealed, version FROM channel_binding_credentials WHERE binding_id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.reads)
        .await?;
        row.map(|row| {
            Ok(SealedCredential::new(
                row.try_get("sealed")?,
                row.try_get("version")?,
            ))
        })
        .transpose()
    }

    pub(super) async fn credentials_once(
        &self,
        after: Option<&BindingId>,
        limit: u32,
    ) -> Result<Vec<(BindingRecord, SealedCredential)>, sqlx::Error> {
        let rows = sqlx::query(CREDENTIALS)
            .bind(after.map_or("", BindingId::as_str))
            .bind(i64::from(limit))
            .fetch_all(&self.reads)
            .await?;
        rows.iter()
            .map(|row| {
                let sealed = SealedCredential::new(row.try_get("sealed")?, row.try_get("version")?);
                Ok((row::binding(row)?, sealed))
            })
            .collect()
    }

    pub(super) async fn replace_credential_once(
        &self,
        id: &BindingId,
        version: i64,
        sealed: &str,
    ) -> Result<bool, sqlx::Error> {
        let replaced = sqlx::query(
            "UPDATE channel_binding_credentials SET sealed = $1, version = version + 1
             WHERE binding_id = $2 AND version = $3",
        )
        .bind(sealed)
        .bind(id.as_str())
        .bind(version)
        .execute(&self.writes)
        .await?;
        Ok(replaced.rows_affected() > 0)
    }

    pub(super) async fn trail_once(
        &self,
        owner: &OwnerId,
        limit: u32,
    ) -> Result<Vec<TrailEntry>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT at, action, platform, external_account_id, binding_id
             FROM channel_binding_trail WHERE owner_user_id = $1 ORDER BY at DESC, id LIMIT $2",
        )
        .bind(owner.as_str())
        .bind(i64::from(limit))
        .fetch_all(&self.reads)
        .await?;
        rows.iter()
            .map(|row| {
                let at = row::moment(row.try_get("at")?);
                let mut line = TrailEntry::new(
                    at,
                    row.try_get::<String, _>("action")?,
                    row.try_get::<String, _>("platform")?,
                );
                line.account = row.try_get("external_account_id")?;
                let binding: Option<String> = row.try_get("binding_id")?;
                line.binding = binding.map(BindingId::from);
                Ok(line)
            })
            .collect()
    }

    pub(super) async fn sweep_once(
        &self,
        now: SystemTime,
        trail_before: SystemTime,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM channel_connect_codes WHERE expires_at < $1")
            .bind(millis(now))
            .execute(&self.writes)
            .await?;
        sqlx::query("DELETE FROM channel_binding_trail WHERE at < $1")
            .bind(millis(trail_before))
            .execute(&self.writes)
            .await
            .map(drop)
    }
}
