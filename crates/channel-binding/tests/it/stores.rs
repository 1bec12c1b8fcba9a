//! The tables, over restarts and versions.

use std::time::{Duration, UNIX_EPOCH};

use channel_binding::SqlBindings;
use channel_core::ErrorKind;
use channel_policy::{PolicyStore as _, Tries};

use crate::fixture::{Database, Kind, Kit, MILLI, SECOND};

async fn survives_a_restart(kind: Kind) {
    let kit = Kit::new(kind).await;
    kit.connect("ada", "a").await;
    let code = kit.mint("bob").await;
    let again = SqlBindings::connect(&kit.database.url).await.unwrap();
    let Kit {
        clock, database, ..
    } = kit;
    let mut kit = Kit::on(again, database);
    // The new process has the same time and other random numbers.
    clock.advance(crate::fixture::SECOND);
    assert_eq!(kit.owner("a").await.as_deref(), Some("ada"));
    assert_eq!(kit.send("b", &code).await, "connected");
    kit.clock = clock;
}

#[tokio::test]
async fn a_restart_forgets_nothing_on_sqlite() {
    survives_a_restart(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
async fn a_restart_forgets_nothing_on_postgres() {
    survives_a_restart(Kind::Postgres).await;
}

/// Whatever a program does, the tables hold no account twice.
async fn an_account_has_one_owner_in_the_tables_too(kind: Kind) {
    let kit = Kit::new(kind).await;
    kit.connect("ada", "a").await;
    let pool = sqlx::AnyPool::connect(&kit.database.url).await.unwrap();
    let insert = async |owner: &str, status: &str| {
        sqlx::query(
            "INSERT INTO channel_bindings
             (id, owner_user_id, platform, status, external_account_id, workspace_id, proof,
              scopes, capabilities, metadata, created_at, updated_at)
             VALUES ($1, $2, 'acme', $3, 'a', '', 'verified', '[]', '[]', 'null', 0, 0)",
        )
        .bind(format!("{owner}-{status}"))
        .bind(owner)
        .bind(status)
        .execute(&pool)
        .await
    };
    let is_refused = |error: sqlx::Error| error.as_database_error().unwrap().is_unique_violation();
    assert!(is_refused(insert("bob", "connected").await.unwrap_err()));
    assert!(is_refused(insert("ada", "revoked").await.unwrap_err()));
    insert("bob", "revoked").await.unwrap();
    insert("eve", "revoked").await.unwrap();
    assert_eq!(kit.owner("a").await.as_deref(), Some("ada"));
    pool.close().await;
}

#[tokio::test]
async fn an_account_has_one_owner_in_the_tables_too_on_sqlite() {
    an_account_has_one_owner_in_the_tables_too(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
async fn an_account_has_one_owner_in_the_tables_too_on_postgres() {
    an_account_has_one_owner_in_the_tables_too(Kind::Postgres).await;
}

/// A database as an older version has left it.
async fn database_of(kind: Kind, dump: &'static str) -> Database {
    let database = Database::new(kind).await;
    sqlx::any::install_default_drivers();
    let url = match kind {
        Kind::Postgres => database.url.clone(),
        Kind::Memory | Kind::Sqlite => format!("{}?mode=rwc", database.url),
    };
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    // With the books that sqlx keeps of what was applied.
    sqlx::raw_sql(dump).execute(&pool).await.unwrap();
    pool.close().await;
    database
}

/// The first version of the tables, as it was released: what is in it must be readable for
/// ever. Never change this test; add one for the next version.
async fn version_1_is_still_read(database: Database) {
    let store = SqlBindings::connect(&database.url).await.unwrap();
    let kit = Kit::on(store, database);
    let old = kit
        .bindings
        .resolve(&crate::fixture::account("a"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (old.owner.as_str(), old.scopes.as_slice()),
        ("ada", ["read".to_owned()].as_slice())
    );
    let bound = old.bound(&old.account);
    let thread = kit.bindings.thread(&bound, "chat", None).await.unwrap();
    assert_eq!(thread, "thread-1");
    kit.connect("bob", "a").await;
    assert_eq!(kit.owner("a").await.as_deref(), Some("bob"));
    assert_eq!(kit.bindings.trail(&old.owner, 10).await.unwrap().len(), 2);
    // What has come since works on it.
    let store = SqlBindings::connect(&kit.database.url).await.unwrap();
    assert!(
        !store
            .is_paired(&crate::fixture::account("a"))
            .await
            .unwrap()
    );
    let now = channel_core::Clock::now(&kit.clock);
    assert!(store.settle(&"d".repeat(64), now).await.unwrap());
}

#[tokio::test]
async fn a_database_of_version_1_is_still_read() {
    let dump = include_str!("fixtures/version_1.sql");
    version_1_is_still_read(database_of(Kind::Sqlite, dump).await).await;
}

#[tokio::test]
#[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
async fn a_database_of_version_1_is_still_read_on_postgres() {
    let dump = include_str!("fixtures/version_1_postgres.sql");
    version_1_is_still_read(database_of(Kind::Postgres, dump).await).await;
}

/// The second version: what the policies remember.
async fn version_2_is_still_read(database: Database) {
    let store = SqlBindings::connect(&database.url).await.unwrap();
    let kit = Kit::on(store.clone(), database);
    assert_eq!(kit.owner("a").await.as_deref(), Some("ada"));
    let account = crate::fixture::account;
    assert!(store.is_paired(&account("paired")).await.unwrap());
    assert!(store.is_paired(&account("alias")).await.unwrap());
    let at = UNIX_EPOCH + Duration::from_millis(1_767_225_600_000);
    let requests = store.requests(at).await.unwrap();
    assert_eq!(
        (requests.len(), &requests[0].account),
        (1, &account("waiting"))
    );
    assert_eq!(
        store.approve("0123456789abcdef", at).await.unwrap(),
        Some(account("waiting"))
    );
    let invites = store.invites(&crate::fixture::ACME, at).await.unwrap();
    assert_eq!(invites[0].issued_by, "root");
    let key = "e".repeat(64);
    assert!(
        !store.begin(Tries::Connect, &key, at).await.unwrap(),
        "locked"
    );
    assert!(!store.settle(&"d".repeat(64), at).await.unwrap(), "settled");
}

#[tokio::test]
async fn a_database_of_version_2_is_still_read() {
    let dump = include_str!("fixtures/version_2.sql");
    version_2_is_still_read(database_of(Kind::Sqlite, dump).await).await;
}

#[tokio::test]
#[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
async fn a_database_of_version_2_is_still_read_on_postgres() {
    let dump = include_str!("fixtures/version_2_postgres.sql");
    version_2_is_still_read(database_of(Kind::Postgres, dump).await).await;
}

#[tokio::test]
async fn tables_of_a_newer_version_are_left_alone() {
    let kit = Kit::new(Kind::Sqlite).await;
    let pool = sqlx::AnyPool::connect(&kit.database.url).await.unwrap();
    sqlx::query(
        "INSERT INTO _channel_binding_migrations
         (version, description, installed_on, success, checksum, execution_time)
         VALUES (999, 'future', CURRENT_TIMESTAMP, TRUE, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let error = SqlBindings::connect(&kit.database.url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_closed_database_is_unavailable_and_not_empty() {
    let database = Database::new(Kind::Sqlite).await;
    let store = SqlBindings::connect(&database.url).await.unwrap();
    let kit = Kit::on(store.clone(), database);
    kit.connect("ada", "a").await;
    store.close().await;
    let error = kit
        .bindings
        .resolve(&crate::fixture::account("a"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        kit.send("b", "AAAAAAAAAAAAAAAAAAAAAA").await,
        "store_unavailable"
    );
}

#[tokio::test]
async fn two_crates_may_share_a_database() {
    let database = Database::new(Kind::Sqlite).await;
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("{}?mode=rwc", database.url))
        .await
        .unwrap();
    sqlx::raw_sql("CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, other TEXT)")
        .execute(&pool)
        .await
        .unwrap();
    SqlBindings::connect(&database.url).await.unwrap();
}

/// Minting forgets the expired codes of its owner, redeeming those of everybody; what was used
/// and has not expired stays, so that a replay is known.
async fn expired_codes_are_forgotten(kind: Kind) {
    let kit = Kit::new(kind).await;
    let pool = sqlx::AnyPool::connect(&kit.database.url).await.unwrap();
    let rows = async || -> i64 {
        let count = "SELECT COUNT(*) FROM channel_connect_codes";
        let row = sqlx::query(count).fetch_one(&pool).await.unwrap();
        sqlx::Row::get(&row, 0)
    };
    for owner in ["ada", "ada", "bob", "cleo"] {
        kit.mint(owner).await;
    }
    assert_eq!(rows().await, 4);
    kit.clock.advance(600 * SECOND);
    kit.mint("dora").await;
    kit.mint("ada").await;
    assert_eq!(rows().await, 6, "at exactly their end they hold");
    kit.clock.advance(MILLI);
    let code = kit.mint("ada").await;
    assert_eq!(rows().await, 5, "her own two are gone");
    assert_eq!(kit.send("a", &code).await, "connected");
    assert_eq!(rows().await, 3, "everybody's are gone");
    pool.close().await;
}

#[tokio::test]
async fn expired_codes_are_forgotten_on_sqlite() {
    expired_codes_are_forgotten(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
async fn expired_codes_are_forgotten_on_postgres() {
    expired_codes_are_forgotten(Kind::Postgres).await;
}
