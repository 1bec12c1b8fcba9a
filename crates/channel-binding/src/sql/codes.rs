//! Connect codes: minted, redeemed, spoilt.

use std::time::SystemTime;

use channel_core::{OwnerId, Platform};
use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, Row as _};

use super::row::{columns, proof_name};
use super::{SqlBindings, millis, row};
use crate::code::CodeHash;
use crate::record::{BindingRecord, workspace_key};
use crate::store::{LiveCodes, Minted, NewCode, Redeemed, Redemption, TrailEntry};

const TAKE_SLOT: &str = "UPDATE channel_binding_locks SET taken = taken + 1 WHERE slot = $1";

/// Those that were used stay: who delivers them again is told apart from who guesses.
const DELETE_OWN_LIVE: &str = "DELETE FROM channel_connect_codes
    WHERE owner_user_id = $1 AND platform = $2 AND consumed_at IS NULL";

const DELETE_OWN_EXPIRED: &str = "DELETE FROM channel_connect_codes
    WHERE owner_user_id = $1 AND platform = $2 AND expires_at < $3";

const COUNT_LIVE: &str = "SELECT COUNT(*) AS live FROM channel_connect_codes
    WHERE owner_user_id = $1 AND platform = $2 AND consumed_at IS NULL AND expires_at >= $3";

const INSERT_CODE: &str = "INSERT INTO channel_connect_codes
    (code_hash, owner_user_id, platform, expires_at) VALUES ($1, $2, $3, $4)";

/// The one place where a code is used up: of many at once, one updates the row.
const CONSUME: &str = "UPDATE channel_connect_codes SET consumed_at = $1, consumed_by = $2
    WHERE code_hash = $3 AND platform = $4 AND consumed_at IS NULL AND expires_at >= $1
    RETURNING owner_user_id";

const IS_LIVE: &str = "SELECT expires_at FROM channel_connect_codes
    WHERE code_hash = $1 AND platform = $2 AND consumed_at IS NULL AND expires_at >= $3";

const CONSUMED_BY: &str = "SELECT consumed_by FROM channel_connect_codes
    WHERE code_hash = $1 AND platform = $2";

const REVOKE_OTHERS: &str = concat!(
    "UPDATE channel_bindings SET status = 'revoked', updated_at = $1
     WHERE platform = $2 AND external_account_id = $3 AND workspace_id = $4
       AND owner_user_id <> $5 AND status <> 'revoked'
     RETURNING ",
    columns!()
);

const UPSERT: &str = concat!(
    "INSERT INTO channel_bindings
     (id, owner_user_id, platform, status, external_account_id, external_account_name,
      workspace_id, proof, scopes, capabilities, metadata, created_at, updated_at)
     VALUES ($1, $2, $3, 'connected', $4, $5, $6, $7, '[]', '[]', 'null', $8, $8)
     ON CONFLICT (owner_user_id, platform, external_account_id, workspace_id) DO UPDATE SET
      status = 'connected', external_account_name = excluded.external_account_name,
      proof = excluded.proof, updated_at = excluded.updated_at
     RETURNING ",
    columns!()
);

impl SqlBindings {
    pub(super) async fn mint_once(
        &self,
        code: &NewCode,
        live: LiveCodes,
    ) -> Result<Minted, sqlx::Error> {
        let (owner, platform) = (code.owner.as_str(), code.platform.as_str());
        let now = millis(code.now);
        let mut tx = self.writes.begin().await?;
        take_slot(&mut tx, 0, &[owner, platform]).await?;
        sqlx::query(DELETE_OWN_EXPIRED)
            .bind(owner)
            .bind(platform)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        match live {
            LiveCodes::AtMost(most) => {
                let live: i64 = sqlx::query(COUNT_LIVE)
                    .bind(owner)
                    .bind(platform)
                    .bind(now)
                    .fetch_one(&mut *tx)
                    .await?
                    .try_get("live")?;
                if live >= i64::from(most) {
                    tx.commit().await?;
                    return Ok(Minted::Full);
                }
            }
            LiveCodes::Newest => {
                sqlx::query(DELETE_OWN_LIVE)
                    .bind(owner)
                    .bind(platform)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        sqlx::query(INSERT_CODE)
            .bind(code.hash.as_str())
            .bind(owner)
            .bind(platform)
            .bind(millis(code.expires_at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Minted::Kept)
    }

    pub(super) async fn is_live_once(
        &self,
        hash: &CodeHash,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<bool, sqlx::Error> {
        let found = sqlx::query(IS_LIVE)
            .bind(hash.as_str())
            .bind(platform.as_str())
            .bind(millis(now))
            .fetch_optional(&self.reads)
            .await?;
        Ok(found.is_some())
    }

    pub(super) async fn redeem_once(&self, from: &Redemption) -> Result<Redeemed, sqlx::Error> {
        let platform = from.account.platform.as_str();
        let mut tx = self.writes.begin().await?;
        let owner = consume(&mut tx, &from.hash, platform, &from.message, from.now).await?;
        let Some(owner) = owner else {
            let by: Option<String> = sqlx::query(CONSUMED_BY)
                .bind(from.hash.as_str())
                .bind(platform)
                .fetch_optional(&mut *tx)
                .await?
                .map(|row| row.try_get("consumed_by"))
                .transpose()?
                .flatten();
            tx.rollback().await?;
            return Ok(match by {
                Some(by) if by == from.message => Redeemed::Replayed,
                _ => Redeemed::Invalid,
            });
        };
        let bound = bind(&mut tx, &owner, from).await?;
        tx.commit().await?;
        Ok(bound)
    }

    pub(super) async fn burn_once(
        &self,
        hash: &CodeHash,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Option<OwnerId>, sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        let owner = consume(&mut tx, hash, platform.as_str(), "", now).await?;
        if let Some(owner) = &owner {
            let line = TrailEntry::new(now, "code_exposed", platform.as_str());
            note(&mut tx, owner, &line, hash.as_str()).await?;
        }
        tx.commit().await?;
        Ok(owner.map(OwnerId::from))
    }

    /// Deletes all expired codes. Nobody's redemption fails because this does: what is left
    /// is deleted the next time.
    pub(super) async fn forget_codes(&self, now: SystemTime) {
        let deleted = sqlx::query("DELETE FROM channel_connect_codes WHERE expires_at < $1")
            .bind(millis(now))
            .execute(&self.writes)
            .await;
        if let Err(error) = deleted {
            let error = super::failed("forget codes", &error);
            tracing::warn!(%error, "expired connect codes are still there");
        }
    }
}

async fn consume(
    tx: &mut AnyConnection,
    hash: &CodeHash,
    platform: &str,
    message: &str,
    now: SystemTime,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query(CONSUME)
        .bind(millis(now))
        .bind(message)
        .bind(hash.as_str())
        .bind(platform)
        .fetch_optional(tx)
        .await?
        .map(|row| row.try_get("owner_user_id"))
        .transpose()
}

/// Binds the account to the owner of the code; the newest owner wins.
async fn bind(
    tx: &mut AnyConnection,
    owner: &str,
    from: &Redemption,
) -> Result<Redeemed, sqlx::Error> {
    let account = &from.account;
    let (platform, sender) = (account.platform.as_str(), account.sender.as_str());
    let workspace = workspace_key(account);
    let now = millis(from.now);
    take_slot(tx, 64, &[platform, workspace, sender]).await?;
    let former: Vec<BindingRecord> = sqlx::query(REVOKE_OTHERS)
        .bind(now)
        .bind(platform)
        .bind(sender)
        .bind(workspace)
        .bind(owner)
        .fetch_all(&mut *tx)
        .await?
        .iter()
        .map(row::binding)
        .collect::<Result<_, _>>()?;
    for record in &former {
        drop_credential(tx, record).await?;
        note_binding(tx, "moved_away", record, from.now).await?;
    }
    let bound = sqlx::query(UPSERT)
        .bind(from.id.as_str())
        .bind(owner)
        .bind(platform)
        .bind(sender)
        .bind(from.account_name.as_deref())
        .bind(workspace)
        .bind(proof_name(from.proof))
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
    let binding = row::binding(&bound)?;
    note_binding(tx, "connected", &binding, from.now).await?;
    Ok(Redeemed::Bound {
        binding: Box::new(binding),
        former,
    })
}

pub(super) async fn drop_credential(
    tx: &mut AnyConnection,
    record: &BindingRecord,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM channel_binding_credentials WHERE binding_id = $1")
        .bind(record.id.as_str())
        .execute(tx)
        .await
        .map(drop)
}

pub(super) async fn note_binding(
    tx: &mut AnyConnection,
    action: &str,
    record: &BindingRecord,
    now: SystemTime,
) -> Result<(), sqlx::Error> {
    let line = TrailEntry::new(now, action, record.platform().as_str())
        .about(record.id.clone(), record.account.sender.as_str());
    note(tx, record.owner.as_str(), &line, record.id.as_str()).await
}

/// Writes a line of the trail. The same thing noted twice in a millisecond is one line.
async fn note(
    tx: &mut AnyConnection,
    owner: &str,
    line: &TrailEntry,
    about: &str,
) -> Result<(), sqlx::Error> {
    let at = millis(line.at);
    let id = digest(&[&line.action, about, &at.to_string()]);
    sqlx::query(
        "INSERT INTO channel_binding_trail
         (id, owner_user_id, at, action, platform, external_account_id, binding_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
    )
    .bind(hex::encode(id))
    .bind(owner)
    .bind(at)
    .bind(line.action.as_str())
    .bind(line.platform.as_str())
    .bind(line.account.as_deref())
    .bind(line.binding.as_ref().map(AsRef::<str>::as_ref))
    .execute(tx)
    .await
    .map(drop)
}

/// Has one of the 64 slots from `first` on to itself until the end of the transaction. Being
/// a write it also takes the write lock of SQLite before anything is read.
pub(super) async fn take_slot(
    tx: &mut AnyConnection,
    first: i32,
    key: &[&str],
) -> Result<(), sqlx::Error> {
    let slot = digest(key).first().map_or(0, |byte| i32::from(byte & 63));
    sqlx::query(TAKE_SLOT)
        .bind(first + slot)
        .execute(tx)
        .await
        .map(drop)
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
