//! Who is paired, who waits, and which invites are out.

use std::time::SystemTime;

use channel_core::{AccountRef, Platform};
use channel_policy::{Asked, Invite, PairingRequest, SaltedHash};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::codes::take_slot;
use super::{SqlBindings, millis, row};
use crate::record::workspace_key;

const FORGET_ASKED: &str = "DELETE FROM channel_pairing_asked WHERE asked_at <= $1";
const FORGET_REQUESTS: &str = "DELETE FROM channel_pairing_requests WHERE requested_at < $1";
const FORGET_INVITES: &str = "DELETE FROM channel_pairing_invites WHERE issued_at < $1";

const ASKED: &str = "INSERT INTO channel_pairing_asked
    (platform, workspace_id, external_account_id, asked_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING";

const DROP_REQUEST: &str = "DELETE FROM channel_pairing_requests
    WHERE platform = $1 AND workspace_id = $2 AND external_account_id = $3";

const COUNT_REQUESTS: &str =
    "SELECT COUNT(*) AS live FROM channel_pairing_requests WHERE platform = $1";

const ADD_REQUEST: &str = "INSERT INTO channel_pairing_requests
    (id, platform, workspace_id, external_account_id, external_account_name, code_hash,
     requested_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";

const REQUESTS: &str = "SELECT id, platform, workspace_id, external_account_id,
    external_account_name, code_hash, requested_at FROM channel_pairing_requests
    WHERE requested_at >= $1 ORDER BY requested_at, id";

/// The one place where a request is approved: of many at once, one deletes the row.
const TAKE_REQUEST: &str = "DELETE FROM channel_pairing_requests
    WHERE id = $1 AND requested_at >= $2
    RETURNING platform, workspace_id, external_account_id";

const REJECT: &str = "DELETE FROM channel_pairing_requests WHERE id = $1
    RETURNING platform, workspace_id, external_account_id";

const PAIR: &str = "INSERT INTO channel_pairings
    (platform, workspace_id, external_account_id, pairing_id) VALUES ($1, $2, $3, $4)
    ON CONFLICT (platform, workspace_id, external_account_id) DO UPDATE SET
     pairing_id = excluded.pairing_id";

const ALIAS: &str = "INSERT INTO channel_pairings
    (platform, workspace_id, external_account_id, pairing_id)
    SELECT $1, $2, $3, pairing_id FROM channel_pairings
    WHERE platform = $4 AND workspace_id = $5 AND external_account_id = $6
    ON CONFLICT (platform, workspace_id, external_account_id) DO UPDATE SET
     pairing_id = excluded.pairing_id";

const IS_PAIRED: &str = "SELECT pairing_id FROM channel_pairings
    WHERE platform = $1 AND workspace_id = $2 AND external_account_id = $3";

const UNPAIR: &str = "DELETE FROM channel_pairings WHERE pairing_id IN
    (SELECT pairing_id FROM channel_pairings
     WHERE platform = $1 AND workspace_id = $2 AND external_account_id = $3)";

const COUNT_INVITES: &str =
    "SELECT COUNT(*) AS live FROM channel_pairing_invites WHERE platform = $1";

const ADD_INVITE: &str = "INSERT INTO channel_pairing_invites
    (id, platform, code_hash, issued_at, issued_by) VALUES ($1, $2, $3, $4, $5)";

const INVITES: &str = "SELECT id, platform, code_hash, issued_at, issued_by
    FROM channel_pairing_invites WHERE platform = $1 AND issued_at >= $2
    ORDER BY issued_at, id";

const TAKE_INVITE: &str = "DELETE FROM channel_pairing_invites
    WHERE id = $1 AND platform = $2 AND issued_at >= $3";

/// The three columns that are an account.
fn columns(account: &AccountRef) -> [&str; 3] {
    [
        account.platform.as_str(),
        workspace_key(account),
        account.sender.as_str(),
    ]
}

/// A statement about an account, whose columns come first.
macro_rules! about {
    ($statement:expr, $account:expr $(, $value:expr)*) => {{
        let [platform, workspace, sender] = columns($account);
        sqlx::query($statement).bind(platform).bind(workspace).bind(sender)$(.bind($value))*
    }};
}

impl SqlBindings {
    pub(super) async fn is_paired_once(&self, account: &AccountRef) -> Result<bool, sqlx::Error> {
        let found = about!(IS_PAIRED, account)
            .fetch_optional(&self.reads)
            .await?;
        Ok(found.is_some())
    }

    pub(super) async fn ask_once(&self, request: &PairingRequest) -> Result<Asked, sqlx::Error> {
        let (account, now) = (&request.account, request.requested_at);
        let platform = account.platform.as_str();
        let mut tx = self.writes.begin().await?;
        take_slot(&mut tx, 0, &["pairing", platform]).await?;
        for (statement, over) in [
            (FORGET_ASKED, PairingRequest::AGAIN),
            (FORGET_REQUESTS, PairingRequest::TTL),
        ] {
            sqlx::query(statement)
                .bind(millis(now - over))
                .execute(&mut *tx)
                .await?;
        }
        let asked = about!(ASKED, account, millis(now))
            .execute(&mut *tx)
            .await?;
        if asked.rows_affected() == 0 {
            tx.rollback().await?;
            return Ok(Asked::TooSoon);
        }
        about!(DROP_REQUEST, account).execute(&mut *tx).await?;
        let waiting: i64 = sqlx::query(COUNT_REQUESTS)
            .bind(platform)
            .fetch_one(&mut *tx)
            .await?
            .try_get("live")?;
        if usize::try_from(waiting).unwrap_or(usize::MAX) >= PairingRequest::MOST {
            tx.rollback().await?;
            return Ok(Asked::Full);
        }
        sqlx::query(ADD_REQUEST)
            .bind(request.id.as_str())
            .bind(platform)
            .bind(workspace_key(account))
            .bind(account.sender.as_str())
            .bind(request.name.as_deref())
            .bind(request.hash.to_hex())
            .bind(millis(now))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Asked::Kept)
    }

    pub(super) async fn requests_once(
        &self,
        now: SystemTime,
    ) -> Result<Vec<PairingRequest>, sqlx::Error> {
        let rows = sqlx::query(REQUESTS)
            .bind(millis(now - PairingRequest::TTL))
            .fetch_all(&self.reads)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(PairingRequest::new(
                    row.try_get("id")?,
                    row::account(row)?,
                    row.try_get("external_account_name")?,
                    hash(row)?,
                    row::moment(row.try_get("requested_at")?),
                ))
            })
            .collect()
    }

    pub(super) async fn approve_once(
        &self,
        id: &str,
        now: SystemTime,
    ) -> Result<Option<AccountRef>, sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        let taken = sqlx::query(TAKE_REQUEST)
            .bind(id)
            .bind(millis(now - PairingRequest::TTL))
            .fetch_optional(&mut *tx)
            .await?;
        let account = taken.as_ref().map(row::account).transpose()?;
        if let Some(account) = &account {
            about!(PAIR, account, id).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(account)
    }

    pub(super) async fn reject_once(&self, id: &str) -> Result<Option<AccountRef>, sqlx::Error> {
        let rejected = sqlx::query(REJECT)
            .bind(id)
            .fetch_optional(&self.writes)
            .await?;
        rejected.as_ref().map(row::account).transpose()
    }

    pub(super) async fn add_alias_once(
        &self,
        account: &AccountRef,
        alias: &AccountRef,
    ) -> Result<bool, sqlx::Error> {
        let [platform, workspace, sender] = columns(account);
        let added = about!(ALIAS, alias, platform)
            .bind(workspace)
            .bind(sender)
            .execute(&self.writes)
            .await?;
        Ok(added.rows_affected() > 0)
    }

    pub(super) async fn revoke_pairing_once(
        &self,
        account: &AccountRef,
    ) -> Result<bool, sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        let unpaired = about!(UNPAIR, account).execute(&mut *tx).await?;
        let dropped = about!(DROP_REQUEST, account).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(unpaired.rows_affected() + dropped.rows_affected() > 0)
    }

    pub(super) async fn issue_once(&self, invite: &Invite) -> Result<bool, sqlx::Error> {
        let platform = invite.platform.as_str();
        let mut tx = self.writes.begin().await?;
        take_slot(&mut tx, 0, &["invites", platform]).await?;
        sqlx::query(FORGET_INVITES)
            .bind(millis(invite.issued_at - Invite::TTL))
            .execute(&mut *tx)
            .await?;
        let out: i64 = sqlx::query(COUNT_INVITES)
            .bind(platform)
            .fetch_one(&mut *tx)
            .await?
            .try_get("live")?;
        let has_room = usize::try_from(out).unwrap_or(usize::MAX) < Invite::MOST;
        if has_room {
            sqlx::query(ADD_INVITE)
                .bind(invite.id.as_str())
                .bind(platform)
                .bind(invite.hash.to_hex())
                .bind(millis(invite.issued_at))
                .bind(invite.issued_by.as_str())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(has_room)
    }

    pub(super) async fn invites_once(
        &self,
        platform: &Platform,
        now: SystemTime,
    ) -> Result<Vec<Invite>, sqlx::Error> {
        let rows = sqlx::query(INVITES)
            .bind(platform.as_str())
            .bind(millis(now - Invite::TTL))
            .fetch_all(&self.reads)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Invite::new(
                    row.try_get("id")?,
                    platform.clone(),
                    hash(row)?,
                    row::moment(row.try_get("issued_at")?),
                    row.try_get("issued_by")?,
                ))
            })
            .collect()
    }

    pub(super) async fn use_invite_once(
        &self,
        id: &str,
        account: &AccountRef,
        now: SystemTime,
    ) -> Result<bool, sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        let used = sqlx::query(TAKE_INVITE)
            .bind(id)
            .bind(account.platform.as_str())
            .bind(millis(now - Invite::TTL))
            .execute(&mut *tx)
            .await?
            .rows_affected()
            > 0;
        if used {
            about!(DROP_REQUEST, account).execute(&mut *tx).await?;
            about!(PAIR, account, id).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(used)
    }
}

fn hash(row: &AnyRow) -> Result<SaltedHash, sqlx::Error> {
    let text: String = row.try_get("code_hash")?;
    SaltedHash::from_hex(&text).ok_or_else(|| sqlx::Error::Decode("not a salted hash".into()))
}
