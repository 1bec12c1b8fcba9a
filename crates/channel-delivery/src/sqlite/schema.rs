//! The tables, and how older files become newer ones.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, SqliteConnection};

use super::error::{Failure, config};

/// Marks the file as ours: `CHDV`.
const APPLICATION_ID: i64 = 0x4348_4456;

/// Each entry leads to the schema version that is its place, counted from 1. Entries are
/// never changed once released, only added.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// Makes the tables, or brings them up to date.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Failure> {
    if version(connection).await? == MIGRATIONS.len() {
        return Ok(());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Again, now that nobody else can be at it.
    let from = version(&mut transaction).await?;
    for migration in MIGRATIONS.iter().skip(from) {
        transaction.execute(*migration).await?;
    }
    let done = format!(
        "PRAGMA user_version = {}; PRAGMA application_id = {APPLICATION_ID}",
        MIGRATIONS.len()
    );
    transaction.execute(AssertSqlSafe(done)).await?;
    Ok(transaction.commit().await?)
}

/// The version of a store, 0 for an empty file.
///
/// A newer one, and a database that is not a store, are refused.
pub(crate) async fn version(connection: &mut SqliteConnection) -> Result<usize, Failure> {
    let query = "SELECT (SELECT user_version FROM pragma_user_version), \
                 (SELECT application_id FROM pragma_application_id), \
                 (SELECT count(*) FROM sqlite_schema)";
    let row = sqlx::query(query).fetch_one(&mut *connection).await?;
    let (version, application, tables): (i64, i64, i64) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if application != APPLICATION_ID && (tables > 0 || version > 0) {
        return Err(config("the file is a database, but not a store of deliveries").into());
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(config(format!(
            "the store has schema version {version}, made by a newer release; this one knows {}",
            MIGRATIONS.len()
        ))
        .into()),
    }
}
