//! What a store costs when there is much in it.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use channel_delivery::{SqliteStore, Store as _};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Executor as _, SqliteConnection};

use crate::files::{Folder, load, median, resident, spread};
use crate::lanes::{Until, Way, enroll, run, start_numbers_at};

/// How far memory may stray once the caches are full, in MB.
const FLAT: f64 = 1.0;

/// Memory while many messages go through.
pub(crate) async fn flat(messages: u64) -> Result<()> {
    let folder = Folder::new("flat")?;
    let store = SqliteStore::open(folder.file("store")).await?;
    let fence = enroll(&store).await?;
    let step = messages / 10;
    let mut full = Vec::new();
    for part in 1..=10 {
        let inbound = run(&store, fence, Way::In, Until::Messages(step)).await?;
        let resident = resident();
        println!(
            "{} messages: {resident:.1} MB resident, {inbound:.0} a second, load {}",
            part * step,
            load()
        );
        if part >= 6 {
            full.push(resident);
        }
    }
    let grown = full
        .last()
        .zip(full.first())
        .map_or(0.0, |(last, first)| last - first);
    println!("grown {grown:.1} MB over the last four tenths");
    anyhow::ensure!(grown <= FLAT, "expected at most {FLAT} MB more");
    Ok(())
}

/// What a message costs in a small and in a large store, in turns.
pub(crate) async fn rows(rows: u64) -> Result<()> {
    let folder = Folder::new("rows")?;
    let (small, large) = (folder.file("small"), folder.file("large"));
    for (path, rows) in [(&small, 10_000), (&large, rows)] {
        let start = Instant::now();
        fill(path, rows, true).await?;
        println!(
            "{rows} finished rows in {:.0} s",
            start.elapsed().as_secs_f64()
        );
    }
    start_numbers_at(100_000_000);
    let (small, large) = (
        SqliteStore::open(small).await?,
        SqliteStore::open(large).await?,
    );
    let (few, many) = (enroll(&small).await?, enroll(&large).await?);
    let mut ratios = (Vec::new(), Vec::new());
    for round in 0..6 {
        for (way, ratios) in [(Way::In, &mut ratios.0), (Way::Out, &mut ratios.1)] {
            let until = || Until::Moment(Instant::now() + Duration::from_secs(3));
            let in_small = run(&small, few, way, until()).await?;
            let in_large = run(&large, many, way, until()).await?;
            // The first round only warms up.
            if round > 0 {
                ratios.push(in_small / in_large);
            }
            println!(
                "{way:?}: {in_small:.0} a second in the small one, {in_large:.0} in the large \
                 one, load {}",
                load()
            );
        }
    }
    println!("cost inbound   {} of the small one's", spread(&ratios.0, 2));
    println!("cost outbound  {} of the small one's", spread(&ratios.1, 2));
    anyhow::ensure!(median(&ratios.0) <= 1.2, "expected at most 1.2 inbound");
    anyhow::ensure!(median(&ratios.1) <= 1.2, "expected at most 1.2 outbound");
    Ok(())
}

/// A start with much to take over.
pub(crate) async fn pending(rows: u64) -> Result<()> {
    let folder = Folder::new("pending")?;
    let mut alone = Vec::new();
    for rows in [1_000, rows] {
        let path = folder.file(&rows.to_string());
        fill(&path, rows, false).await?;
        let (start, before) = (Instant::now(), resident());
        let store = SqliteStore::open(&path).await?;
        let fence = enroll(&store).await?;
        let claimed = store.claim(fence, 1_000, SystemTime::now()).await?;
        let took = start.elapsed().as_secs_f64() * 1e3;
        println!(
            "{rows} pending: {} claimed {took:.0} ms after opening, {:.1} MB more",
            claimed.len(),
            resident() - before
        );
        anyhow::ensure!(took < 1_000.0, "expected a second at most");
        start_numbers_at(200_000_000);
        let until = Until::Moment(Instant::now() + Duration::from_secs(3));
        match run(&store, fence, Way::Out, until).await {
            Ok(rate) => println!("{rows} pending: {rate:.0} messages out a second"),
            Err(error) => println!("{error}"),
        }
        let mut took = Vec::new();
        for _ in 0..500 {
            let (event, start) = (crate::lanes::event(7_000_000), Instant::now());
            store.record(fence, vec![event], SystemTime::now()).await?;
            took.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let took = median(&took);
        println!("{rows} pending: {took:.2} ms for one record alone");
        alone.push(took);
    }
    let ratio = alone
        .last()
        .zip(alone.first())
        .map_or(f64::NAN, |(many, few)| many / few);
    println!("cost of one record {ratio:.2} of that with few");
    anyhow::ensure!(ratio <= 1.3, "expected at most 1.3");
    Ok(())
}

/// Fills a store's tables with direct SQL: finished rows, or pending ones that a dead worker
/// owned.
async fn fill(path: &Path, rows: u64, finished: bool) -> Result<()> {
    drop(SqliteStore::open(path).await?);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(5))
        .pragma("cache_size", "-262144")
        .disable_statement_logging();
    let mut connection: SqliteConnection = options.connect().await?;
    let (phase, state) = if finished {
        (0, "handled")
    } else {
        (1, "received")
    };
    let step = 100_000;
    let mut from = 0;
    while from < rows {
        let to = rows.min(from + step);
        let sql = format!(
            "BEGIN IMMEDIATE; \
             CREATE TEMP TABLE IF NOT EXISTS n (n INTEGER PRIMARY KEY); DELETE FROM n; \
             WITH RECURSIVE c(n) AS (SELECT {from} + 1 UNION ALL SELECT n + 1 FROM c \
               WHERE n < {to}) INSERT INTO n SELECT n FROM c; \
             INSERT INTO events (seq, channel, id, lane, phase, owner, state, attempts, \
               not_before, reason, recorded_at, touched_at) \
             SELECT n, 'telegram', CAST(n AS TEXT), '8:telegram2:' || (n % 64), {phase}, 99, \
               '{state}', 1, 0, NULL, 1700000000000, 1700000000000 FROM n; \
             INSERT INTO payloads SELECT n, (SELECT event FROM payload) FROM n; \
             INSERT INTO deliveries (id, channel, key, answers, phase, owner, parts, \
               planned_at, touched_at) \
             SELECT n, 'telegram', 'answer-' || n, n, 0, 99, '[{{\"state\":\"delivered\"}}]', \
               1700000000000, 1700000000000 FROM n WHERE {finished}; \
             INSERT INTO messages SELECT n, (SELECT event FROM payload) FROM n \
               WHERE {finished}; \
             COMMIT"
        );
        if from == 0 {
            let event = serde_json::to_string(&crate::lanes::event(1).event)?;
            connection
                .execute("CREATE TEMP TABLE payload (event TEXT)")
                .await?;
            let query = sqlx::query("INSERT INTO payload VALUES (?)").bind(event);
            query.execute(&mut connection).await?;
        }
        connection.execute(sqlx::AssertSqlSafe(sql)).await?;
        from = to;
    }
    let copied = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.execute(copied).await?;
    Ok(())
}
