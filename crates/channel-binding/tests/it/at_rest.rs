//! Nothing in clear at rest: in the database, its log, its backups.

use channel_core::{OwnerId, Secret};
use channel_policy::{Pairing, Requested};
use channel_testkit::{SeededRandom, assert_absent, canary, find_secret};
use sqlx::Row as _;
use std::sync::Arc;

use crate::fixture::{Kind, Kit, account};

/// What a full run leaves behind: secrets that must be nowhere, and a word that is.
struct Left {
    secrets: Vec<String>,
    marker: String,
}

/// Codes minted, used, exposed and left lying; credentials written, overwritten and deleted;
/// people paired and invited.
async fn run(kit: &Kit) -> Left {
    let ada = OwnerId::new("ada");
    let marker = canary();
    let mut secrets = Vec::new();
    for sender in ["a", "b", "c"] {
        let code = kit.mint("ada").await;
        let mut message = kit.direct(sender, &format!("/connect {code}"));
        message.sender.name = Some(marker.clone());
        assert_eq!(kit.settle(&message).await.reason.as_str(), "connected");
        secrets.push(code);
        let id = kit
            .bindings
            .resolve(&account(sender))
            .await
            .unwrap()
            .unwrap()
            .id;
        for _ in 0..3 {
            let credential = canary();
            let written = Secret::new(credential.as_str());
            kit.bindings
                .put_credential(&ada, &id, &written)
                .await
                .unwrap();
            secrets.push(credential);
        }
        if sender == "c" {
            kit.bindings.disconnect(&ada, &id).await.unwrap();
        }
    }
    secrets.push(kit.mint("bob").await);
    let code = kit.mint("bob").await;
    let mut shared = kit.direct("eve", &format!("/connect {code}"));
    shared.chat.kind = channel_core::ChatKind::Group;
    kit.settle(&shared).await;
    secrets.push(code);
    kit.bindings
        .rotate_key(&crate::fixture::secret('n'))
        .await
        .unwrap();

    let random = Arc::new(SeededRandom::new(4));
    let pairing = Pairing::new(Arc::new(kit.clock.clone()), random).keep_in(kit.policies());
    let Requested::Code(code) = pairing.request(&account("p"), None).await.unwrap() else {
        panic!("no code");
    };
    secrets.push(code.expose().to_owned());
    let invite = pairing.invite("root", &crate::fixture::ACME).await.unwrap();
    secrets.push(invite.expose().replace('-', ""));
    secrets.push(invite.expose().to_owned());
    Left { secrets, marker }
}

#[tokio::test]
async fn sqlite_its_wal_and_its_backup_hold_nothing_in_clear() {
    let kit = Kit::new(Kind::Sqlite).await;
    let left = run(&kit).await;
    let pool = sqlx::AnyPool::connect(&kit.database.url).await.unwrap();
    let backup = kit.database.folder().join("backup.db");
    let statement = sqlx::AssertSqlSafe(format!("VACUUM INTO '{}'", backup.display()));
    sqlx::query(statement).execute(&pool).await.unwrap();
    let names: Vec<_> = kit
        .database
        .files()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for wanted in ["bindings.db", "bindings.db-wal", "backup.db"] {
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
    let mut seen = 0;
    for (name, bytes) in kit.database.files() {
        seen += usize::from(find_secret(&left.marker, &bytes).is_some());
        for secret in &left.secrets {
            assert!(
                find_secret(secret, &bytes).is_none(),
                "{name} holds a secret"
            );
        }
    }
    assert!(
        seen >= 2,
        "a word that is there is found, in the log and in the backup"
    );
    pool.close().await;
}

/// The files of the tables and the log are asked of the server itself, which takes a
/// superuser; the backup is `pg_dump`'s.
#[tokio::test]
#[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
async fn postgres_its_wal_and_its_backup_hold_nothing_in_clear() {
    let kit = Kit::new(Kind::Postgres).await;
    let pool = sqlx::AnyPool::connect(&kit.database.url).await.unwrap();
    let began: String = one(&pool, "SELECT pg_current_wal_lsn()::text").await;
    let left = run(&kit).await;
    sqlx::query("CHECKPOINT").execute(&pool).await.unwrap();
    let dump = kit.database.dump();
    assert!(
        find_secret(&left.marker, &dump).is_some(),
        "the dump was looked at"
    );
    for secret in &left.secrets {
        assert_absent(secret, &dump);
    }
    let tables: Vec<String> = sqlx::query(
        "SELECT pg_relation_filepath(c.oid)::text AS path FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'i', 't')
         UNION ALL
         SELECT pg_relation_filepath(c.reltoastrelid)::text FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = current_schema() AND c.reltoastrelid <> 0",
    )
    .fetch_all(&pool)
    .await
    .unwrap()
    .iter()
    .map(|row| row.get("path"))
    .collect();
    assert!(tables.len() > 10, "{tables:?}");
    let segments: Vec<String> = sqlx::query(
        "SELECT 'pg_wal/' || name AS path FROM pg_ls_waldir()
         WHERE name ~ '^[0-9A-F]{24}$' AND name >= pg_walfile_name($1::pg_lsn)
           AND name <= pg_walfile_name(pg_current_wal_lsn())",
    )
    .bind(began)
    .fetch_all(&pool)
    .await
    .unwrap()
    .iter()
    .map(|row| row.get("path"))
    .collect();
    assert!(!segments.is_empty());
    let mut seen = 0;
    for path in tables.iter().chain(&segments) {
        seen += usize::from(holds(&pool, path, &left.marker).await);
        for secret in &left.secrets {
            assert!(!holds(&pool, path, secret).await, "{path} holds a secret");
        }
    }
    assert!(
        seen >= 2,
        "a word that is there is found, in a table and in the log"
    );
    pool.close().await;
}

async fn one(pool: &sqlx::AnyPool, question: &'static str) -> String {
    sqlx::query(question).fetch_one(pool).await.unwrap().get(0)
}

async fn holds(pool: &sqlx::AnyPool, path: &str, word: &str) -> bool {
    let found: i64 = sqlx::query(
        "SELECT COUNT(*) FROM (VALUES ($2), (encode(convert_to($2, 'UTF8'), 'hex'))) AS it (word)
         WHERE position(convert_to(word, 'UTF8') IN pg_read_binary_file($1, 0, 67108864, true)) > 0",
    )
    .bind(path)
    .bind(word)
    .fetch_one(pool)
    .await
    .unwrap()
    .get(0);
    found > 0
}

async fn a_row_that_is_moved_reads_as_absent(kind: Kind) {
    let kit = Kit::new(kind).await;
    let ada = OwnerId::new("ada");
    let mut ids = Vec::new();
    for sender in ["a", "b"] {
        kit.connect("ada", sender).await;
        let id = kit
            .bindings
            .resolve(&account(sender))
            .await
            .unwrap()
            .unwrap()
            .id;
        let secret = Secret::new(format!("secret of {sender}"));
        kit.bindings
            .put_credential(&ada, &id, &secret)
            .await
            .unwrap();
        ids.push(id);
    }
    let pool = sqlx::AnyPool::connect(&kit.database.url).await.unwrap();
    sqlx::query(
        "UPDATE channel_binding_credentials SET sealed =
         (SELECT sealed FROM channel_binding_credentials WHERE binding_id = $1)
         WHERE binding_id = $2",
    )
    .bind(ids[0].as_str())
    .bind(ids[1].as_str())
    .execute(&pool)
    .await
    .unwrap();
    // Nor does it where the account of the binding itself is changed under it.
    assert!(
        kit.bindings
            .credential(&ada, &ids[0])
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        kit.bindings
            .credential(&ada, &ids[1])
            .await
            .unwrap()
            .is_none()
    );
    sqlx::query("UPDATE channel_bindings SET external_account_id = 'eve' WHERE id = $1")
        .bind(ids[0].as_str())
        .execute(&pool)
        .await
        .unwrap();
    assert!(
        kit.bindings
            .credential(&ada, &ids[0])
            .await
            .unwrap()
            .is_none()
    );
    pool.close().await;
}

#[tokio::test]
async fn a_row_that_is_moved_to_another_account_does_not_decrypt_on_sqlite() {
    a_row_that_is_moved_reads_as_absent(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs a server at CHANNEL_TEST_POSTGRES_URL"]
async fn a_row_that_is_moved_to_another_account_does_not_decrypt_on_postgres() {
    a_row_that_is_moved_reads_as_absent(Kind::Postgres).await;
}
