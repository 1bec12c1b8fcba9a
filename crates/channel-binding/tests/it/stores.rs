//! The tables, over restarts and versions.

use channel_binding::SqlBindings;
use channel_core::ErrorKind;

use crate::fixture::{Database, Kind, Kit};

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

/// The first version of the tables, as it was released: what is in it must be readable for
/// ever. Never change this test; add one for the next version.
#[tokio::test]
async fn a_database_of_version_1_is_still_read() {
    let database = Database::new(Kind::Sqlite).await;
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("{}?mode=rwc", database.url))
        .await
        .unwrap();
    // As sqlx keeps its books of what was applied.
    sqlx::raw_sql(include_str!("fixtures/version_1.sql"))
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
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
