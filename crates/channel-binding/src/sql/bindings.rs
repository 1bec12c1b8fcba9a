//! Bindings: found, listed, revoked, purged.

use std::time::SystemTime;

use channel_core::{AccountRef, BindingId, OwnerId, Platform};

use super::codes::{drop_credential, note_binding};
use super::row::columns;
use super::{SqlBindings, millis, row};
use crate::record::{BindingRecord, workspace_key};
use crate::store::{Details, Disconnected};

const RESOLVE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM channel_bindings
     WHERE platform = $1 AND external_account_id = $2 AND workspace_id = $3
       AND status <> 'revoked'"
);

const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM channel_bindings WHERE id = $1 AND owner_user_id = $2"
);

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM channel_bindings WHERE owner_user_id = $1 ORDER BY updated_at DESC, id DESC"
);

const REVOKE: &str = concat!(
    "UPDATE channel_bindings SET status = 'revoked', updated_at = $1
     WHERE id = $2 AND owner_user_id = $3 AND status <> 'revoked'
     RETURNING ",
    columns!()
);

const REVOKE_PLATFORM: &str = concat!(
    "UPDATE channel_bindings SET status = 'revoked', updated_at = $1
     WHERE platform = $2 AND status <> 'revoked'
     RETURNING ",
    columns!()
);

/// Everything about an owner; what hangs on the bindings before the bindings.
const PURGE: [&str; 4] = [
    "DELETE FROM channel_connect_codes WHERE owner_user_id = $1",
    "DELETE FROM channel_binding_credentials WHERE binding_id IN
     (SELECT id FROM channel_bindings WHERE owner_user_id = $1)",
    "DELETE FROM channel_conversations WHERE binding_id IN
     (SELECT id FROM channel_bindings WHERE owner_user_id = $1)",
    "DELETE FROM channel_binding_trail WHERE owner_user_id = $1",
];

impl SqlBindings {
    pub(super) async fn resolve_once(
        &self,
        account: &AccountRef,
        personal: bool,
    ) -> Result<Option<BindingRecord>, sqlx::Error> {
        let workspace = workspace_key(account);
        let exact = self.active(account, workspace).await?;
        if exact.is_none() && personal && !workspace.is_empty() {
            return self.active(account, "").await;
        }
        Ok(exact)
    }

    async fn active(
        &self,
        account: &AccountRef,
        workspace: &str,
    ) -> Result<Option<BindingRecord>, sqlx::Error> {
        sqlx::query(RESOLVE)
            .bind(account.platform.as_str())
            .bind(account.sender.as_str())
            .bind(workspace)
            .fetch_optional(&self.reads)
            .await?
            .as_ref()
            .map(row::binding)
            .transpose()
    }

    pub(super) async fn find_once(
        &self,
        owner: &OwnerId,
        id: &BindingId,
    ) -> Result<Option<BindingRecord>, sqlx::Error> {
        sqlx::query(FIND)
            .bind(id.as_str())
            .bind(owner.as_str())
            .fetch_optional(&self.reads)
            .await?
            .as_ref()
            .map(row::binding)
            .transpose()
    }

    pub(super) async fn list_once(
        &self,
        owner: &OwnerId,
    ) -> Result<Vec<BindingRecord>, sqlx::Error> {
        sqlx::query(LIST)
            .bind(owner.as_str())
            .fetch_all(&self.reads)
            .await?
            .iter()
            .map(row::binding)
            .collect()
    }

    pub(super) async fn disconnect_once(
        &self,
        owner: &OwnerId,
        id: &BindingId,
        now: SystemTime,
    ) -> Result<Disconnected, sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        let revoked = sqlx::query(REVOKE)
            .bind(millis(now))
            .bind(id.as_str())
            .bind(owner.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(revoked) = revoked {
            let record = row::binding(&revoked)?;
            drop_credential(&mut tx, &record).await?;
            note_binding(&mut tx, "revoked", &record, now).await?;
            tx.commit().await?;
            return Ok(Disconnected::Revoked(Box::new(record)));
        }
        let known = sqlx::query(FIND)
            .bind(id.as_str())
            .bind(owner.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        tx.rollback().await?;
        Ok(match known {
            Some(known) => Disconnected::Already(Box::new(row::binding(&known)?)),
            None => Disconnected::NotFound,
        })
    }

    pub(super) async fn revoke_platform_once(
        &self,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Vec<BindingRecord>, sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        let revoked: Vec<BindingRecord> = sqlx::query(REVOKE_PLATFORM)
            .bind(millis(now))
            .bind(platform.as_str())
            .fetch_all(&mut *tx)
            .await?
            .iter()
            .map(row::binding)
            .collect::<Result<_, _>>()?;
        for record in &revoked {
            drop_credential(&mut tx, record).await?;
            note_binding(&mut tx, "revoked", record, now).await?;
        }
        tx.commit().await?;
        Ok(revoked)
    }

    pub(super) async fn purge_once(&self, owner: &OwnerId) -> Result<u64, sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        for statement in PURGE {
            sqlx::query(statement)
                .bind(owner.as_str())
                .execute(&mut *tx)
                .await?;
        }
        let deleted = sqlx::query("DELETE FROM channel_bindings WHERE owner_user_id = $1")
            .bind(owner.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected())
    }

    pub(super) async fn touch_once(
        &self,
        id: &BindingId,
        at: SystemTime,
        error: bool,
    ) -> Result<(), sqlx::Error> {
        let statement = if error {
            "UPDATE channel_bindings SET last_error_at = $1 WHERE id = $2"
        } else {
            "UPDATE channel_bindings SET last_seen_at = $1 WHERE id = $2"
        };
        sqlx::query(statement)
            .bind(millis(at))
            .bind(id.as_str())
            .execute(&self.writes)
            .await
            .map(drop)
    }

    pub(super) async fn describe_once(
        &self,
        owner: &OwnerId,
        id: &BindingId,
        details: &Details,
    ) -> Result<bool, sqlx::Error> {
        let list = |values: &[String]| serde_json::Value::from(values.to_vec()).to_string();
        let described = sqlx::query(
            "UPDATE channel_bindings SET workspace_name = $1, bot_user_id = $2, scopes = $3,
             capabilities = $4, metadata = $5 WHERE id = $6 AND owner_user_id = $7",
        )
        .bind(details.workspace_name.as_deref())
        .bind(details.bot_user_id.as_deref())
        .bind(list(&details.scopes))
        .bind(list(&details.capabilities))
        .bind(details.metadata.to_string())
        .bind(id.as_str())
        .bind(owner.as_str())
        .execute(&self.writes)
        .await?;
        Ok(described.rows_affected() > 0)
    }
}
