//! The tables, and how they came to be.

use channel_core::{Error, ErrorKind, Result};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, SqlSafeStr as _};

/// A table of our own, so that other crates may keep theirs in the same database.
const APPLIED: &str = "_channel_binding_migrations";

fn migrator() -> Migrator {
    let migration = |version, name: &'static str, sql: &'static str| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    let mut migrator = Migrator::with_migrations(vec![
        migration(
            1,
            "bindings",
            include_str!("../../migrations/0001_bindings.sql"),
        ),
        migration(
            2,
            "policies",
            include_str!("../../migrations/0002_policies.sql"),
        ),
    ]);
    migrator.dangerous_set_table_name(APPLIED);
    migrator
}

/// Brings the tables up to date.
pub(super) async fn migrate(pool: &AnyPool) -> Result<()> {
    migrator().run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(_)
        | MigrateError::VersionMismatch(_)
        | MigrateError::VersionTooNew(..) => {
            Error::config("the tables of the bindings are of another version of this program")
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            super::failed("migrate", &error)
        }
        _ => Error::new(
            ErrorKind::Unavailable,
            "the store of bindings: migrate failed",
        ),
    })
}
