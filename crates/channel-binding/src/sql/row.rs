//! Rows and records.

use std::time::{Duration, SystemTime};

use channel_core::{AccountRef, Platform, Proof};
use serde::Deserialize as _;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::record::{BindingRecord, BindingStatus};

/// The columns of a binding, in any statement that returns one.
macro_rules! columns {
    () => {
        "id, owner_user_id, platform, status, external_account_id, external_account_name, \
         workspace_id, workspace_name, bot_user_id, proof, scopes, capabilities, metadata, \
         created_at, updated_at, last_seen_at, last_error_at"
    };
}
pub(super) use columns;

pub(super) fn binding(row: &AnyRow) -> Result<BindingRecord, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let optional = |column: &str| row.try_get::<Option<String>, _>(column);
    let time = |column: &str| row.try_get::<Option<i64>, _>(column);
    Ok(BindingRecord {
        id: text("id")?.into(),
        owner: text("owner_user_id")?.into(),
        status: BindingStatus::parse(&text("status")?),
        account: account(row)?,
        proof: proof(&text("proof")?),
        account_name: optional("external_account_name")?,
        workspace_name: optional("workspace_name")?,
        bot_user_id: optional("bot_user_id")?,
        scopes: json(&text("scopes")?),
        capabilities: json(&text("capabilities")?),
        metadata: json(&text("metadata")?),
        created_at: moment(row.try_get("created_at")?),
        updated_at: moment(row.try_get("updated_at")?),
        last_seen_at: time("last_seen_at")?.map(moment),
        last_error_at: time("last_error_at")?.map(moment),
    })
}

/// The three columns that are an account.
pub(super) fn account(row: &AnyRow) -> Result<AccountRef, sqlx::Error> {
    let sender: String = row.try_get("external_account_id")?;
    let platform = platform(&row.try_get::<String, _>("platform")?)?;
    let account = AccountRef::new(platform, sender.into());
    let workspace: String = row.try_get("workspace_id")?;
    Ok(if workspace.is_empty() {
        account
    } else {
        account.in_workspace(workspace.into())
    })
}

fn platform(name: &str) -> Result<Platform, sqlx::Error> {
    let name = IntoDeserializer::<ValueError>::into_deserializer(name);
    Platform::deserialize(name).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(super) fn moment(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

pub(super) const fn proof_name(proof: Proof) -> &'static str {
    match proof {
        Proof::Verified => "verified",
        Proof::Asserted => "asserted",
        _ => "claimed",
    }
}

fn proof(name: &str) -> Proof {
    match name {
        "verified" => Proof::Verified,
        "asserted" => Proof::Asserted,
        _ => Proof::Claimed,
    }
}

/// What cannot be read is as good as absent.
fn json<T: serde::de::DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}
