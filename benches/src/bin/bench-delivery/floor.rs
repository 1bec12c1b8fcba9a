//! A bare loop of the same batched inserts: what the disk and SQLite allow.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use channel_delivery::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, SqliteConnection};

use crate::files::Folder;
use crate::lanes::{LANES, event};

/// How the rows of a batch reach SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statement {
    /// One statement with a list of values for each column of each row.
    Values,
    /// One statement with all rows as one JSON text.
    Json,
    /// One statement for each row.
    Rows,
}

pub(crate) struct Floor {
    connection: SqliteConnection,
    next: i64,
    payload: String,
    insert_events: String,
    insert_payloads: String,
}

impl Floor {
    /// A store's own tables, without the store.
    pub(crate) async fn new(path: &Path) -> Result<Self> {
        drop(SqliteStore::open(path).await?);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .pragma("wal_autocheckpoint", "4096")
            .pragma("cache_size", "-16384")
            .disable_statement_logging();
        let event = event(1).event;
        let rows = |row: &str| vec![row; LANES].join(",");
        Ok(Self {
            connection: options.connect().await?,
            next: 1,
            payload: serde_json::to_string(&event)?,
            insert_events: format!(
                "INSERT INTO events (seq, channel, id, lane, owner, recorded_at, touched_at, \
                 phase, state, attempts, not_before) VALUES {}",
                rows("(?,?,?,?,?,?,?,1,'received',0,0)")
            ),
            insert_payloads: format!("INSERT INTO payloads VALUES {}", rows("(?,?)")),
        })
    }

    /// Inserts one batch of events in one transaction.
    pub(crate) async fn batch(&mut self, how: Statement) -> Result<()> {
        let seqs = self.next..self.next + LANES as i64;
        self.next = seqs.end;
        self.connection.execute("BEGIN IMMEDIATE").await?;
        match how {
            Statement::Values => self.values(seqs).await?,
            Statement::Json => self.json(seqs).await?,
            Statement::Rows => self.rows(seqs).await?,
        }
        self.connection.execute("COMMIT").await?;
        Ok(())
    }

    async fn values(&mut self, seqs: std::ops::Range<i64>) -> Result<()> {
        let mut query = sqlx::query(AssertSqlSafe(self.insert_events.clone()));
        for seq in seqs.clone() {
            query = query.bind(seq).bind("telegram").bind(seq.to_string());
            query = query.bind(lane(seq)).bind(1).bind(1_700_000_000_000_i64);
            query = query.bind(1_700_000_000_000_i64);
        }
        query.execute(&mut self.connection).await?;
        let mut query = sqlx::query(AssertSqlSafe(self.insert_payloads.clone()));
        for seq in seqs {
            query = query.bind(seq).bind(self.payload.clone());
        }
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    async fn json(&mut self, seqs: std::ops::Range<i64>) -> Result<()> {
        let row = |seq: i64| (seq, "telegram", seq.to_string(), lane(seq), &self.payload);
        let rows = serde_json::to_string(&seqs.map(row).collect::<Vec<_>>())?;
        let insert = "INSERT INTO events (seq, channel, id, lane, owner, recorded_at, \
                      touched_at, phase, state, attempts, not_before) \
                      SELECT value->>0, value->>1, value->>2, value->>3, 1, 1700000000000, \
                      1700000000000, 1, 'received', 0, 0 FROM json_each(?)";
        let query = sqlx::query(insert).bind(rows.clone());
        query.execute(&mut self.connection).await?;
        let insert = "INSERT INTO payloads SELECT value->>0, value->>4 FROM json_each(?)";
        sqlx::query(insert)
            .bind(rows)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn rows(&mut self, seqs: std::ops::Range<i64>) -> Result<()> {
        let insert = "INSERT INTO events (seq, channel, id, lane, owner, recorded_at, \
                      touched_at, phase, state, attempts, not_before) \
                      VALUES (?,?,?,?,?,?,?,1,'received',0,0)";
        for seq in seqs {
            let query = sqlx::query(insert).bind(seq).bind("telegram");
            let query = query.bind(seq.to_string()).bind(lane(seq)).bind(1);
            let query = query
                .bind(1_700_000_000_000_i64)
                .bind(1_700_000_000_000_i64);
            query.execute(&mut self.connection).await?;
            let query = sqlx::query("INSERT INTO payloads VALUES (?,?)").bind(seq);
            let query = query.bind(self.payload.clone());
            query.execute(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Events a second until then.
    pub(crate) async fn run(&mut self, how: Statement, end: Instant) -> Result<f64> {
        let (start, mut count) = (Instant::now(), 0_usize);
        while Instant::now() < end {
            self.batch(how).await?;
            count += LANES;
        }
        Ok(count as f64 / start.elapsed().as_secs_f64())
    }
}

fn lane(seq: i64) -> String {
    format!("8:telegram2:{}", seq % LANES as i64)
}

/// The three ways of writing many rows, side by side.
pub(crate) async fn statements() -> Result<()> {
    let folder = Folder::new("statements")?;
    let ways = [Statement::Values, Statement::Json, Statement::Rows];
    for round in 0..3 {
        for how in ways {
            let mut floor = Floor::new(&folder.file(&format!("{how:?}{round}"))).await?;
            let end = Instant::now() + Duration::from_secs(3);
            let rate = floor.run(how, end).await?;
            println!("{how:?}: {rate:.0} events a second in batches of {LANES}");
        }
    }
    Ok(())
}
