//! Between processes that share a PostgreSQL server: its advisory locks.
//!
//! They belong to a session, so one connection has all of this process. A task keeps it and
//! takes what waits in one round trip. A connection that is lost loses its locks with it.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use channel_core::{Error, ErrorKind, Result};
use sha2::{Digest as _, Sha256};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tokio::sync::{mpsc, oneshot};

use crate::store::Closed;

/// How long the server may take, as for the other connections.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many requests share a round trip.
const BATCH: usize = 256;

/// The locks of one schema, as this process has them. Clones share the connection.
#[derive(Clone)]
pub(crate) struct PostgresHolds {
    asks: mpsc::UnboundedSender<Ask>,
    /// What the keys begin with: locks are the whole database's.
    schema: Arc<str>,
}

/// What one asks of the server.
struct Ask {
    wanted: Wanted,
    /// Absent for what is let go.
    answer: Option<oneshot::Sender<Result<Option<Held>>>>,
}

#[derive(Clone, Copy)]
enum Wanted {
    /// Passes the entry of a slot and holds `under_way` together with others.
    Begin { entry: i64, under_way: i64 },
    /// Has a lock to itself.
    Alone(i64),
    /// Lets go of one that is held together with others, in a session.
    Over { under_way: i64, session: u64 },
    /// Lets go of one that is held alone, in a session.
    Free { lock: i64, session: u64 },
    /// Ends the connection.
    End,
}

/// A lock, until it is dropped.
struct Held {
    asks: mpsc::UnboundedSender<Ask>,
    over: Wanted,
}

/// Nobody begins.
pub(super) struct Kept {
    holds: PostgresHolds,
    /// Let go before the entries: whoever passes one finds it free.
    landed: tokio::sync::Mutex<Vec<Held>>,
    slots: Vec<(u8, Held)>,
}

impl PostgresHolds {
    /// How many accounts are told apart.
    pub(super) const SLOTS: u8 = 64;

    /// Locks for the tables of one schema, on a connection of their own that is made when it is
    /// needed.
    pub(crate) fn new(options: Arc<AnyConnectOptions>, schema: &str) -> Self {
        // Each request is one of a caller who waits, or gives back what one had.
        let (asks, asked) = mpsc::unbounded_channel();
        drop(tokio::spawn(keep(options, asked, asks.downgrade())));
        Self {
            asks,
            schema: schema.into(),
        }
    }

    pub(super) async fn begin(&self, slot: u8) -> Result<Option<impl Send + Sync + 'static>> {
        let entry = self.key("entry", slot);
        let under_way = self.key("under way", slot);
        self.ask(Wanted::Begin { entry, under_way }).await
    }

    pub(super) async fn close(&self, slots: BTreeSet<u8>) -> Result<Option<Kept>> {
        let mut kept = Vec::new();
        for slot in slots {
            match self.ask(Wanted::Alone(self.key("entry", slot))).await? {
                Some(held) => kept.push((slot, held)),
                None => return Ok(None),
            }
        }
        Ok(Some(Kept {
            holds: self.clone(),
            slots: kept,
            landed: tokio::sync::Mutex::default(),
        }))
    }

    pub(super) fn end(&self) {
        let wanted = Wanted::End;
        drop(self.asks.send(Ask {
            wanted,
            answer: None,
        }));
    }

    async fn ask(&self, wanted: Wanted) -> Result<Option<Held>> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask {
            wanted,
            answer: Some(answer),
        };
        self.asks.send(ask).map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }

    fn key(&self, role: &str, slot: u8) -> i64 {
        let mut hash = Sha256::new();
        for part in ["channel-binding", &self.schema, role] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update([slot]);
        let digest: [u8; 32] = hash.finalize().into();
        digest.first_chunk().map_or(0, |it| i64::from_le_bytes(*it))
    }
}

impl fmt::Debug for PostgresHolds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresHolds").finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Where nobody keeps the connection any more the lock has ended with it.
        drop(self.asks.send(Ask {
            wanted: self.over,
            answer: None,
        }));
    }
}

#[async_trait]
impl Closed for Kept {
    async fn landed(&self) -> Result<bool> {
        let mut landed = self.landed.lock().await;
        while let Some((slot, _)) = self.slots.get(landed.len()) {
            let lock = self.holds.key("under way", *slot);
            match self.holds.ask(Wanted::Alone(lock)).await? {
                Some(held) => landed.push(held),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

/// The connection of this process.
struct Session {
    connection: AnyConnection,
    number: u64,
}

/// Keeps the connection until nobody needs it any more.
async fn keep(
    options: Arc<AnyConnectOptions>,
    mut asked: mpsc::UnboundedReceiver<Ask>,
    asks: mpsc::WeakUnboundedSender<Ask>,
) {
    let mut session = None;
    let mut number = 0;
    let mut batch = Vec::new();
    while asked.recv_many(&mut batch, BATCH).await > 0 {
        if batch.iter().any(|ask| matches!(ask.wanted, Wanted::End)) {
            asked.close();
        }
        let (wanted, mut answers): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|ask| (ask.wanted, ask.answer)).unzip();
        let mut outcome = run(&mut session, &mut number, &options, &wanted).await;
        if outcome.is_err() && session.take().is_some() {
            // It may have been idle for so long that somebody on the way has cut it. Whatever it
            // held is gone: what is let go is not there any more.
            outcome = run(&mut session, &mut number, &options, &wanted).await;
        }
        if outcome.is_err() {
            session = None;
        }
        for ((place, wanted), answer) in wanted.iter().enumerate().zip(answers.drain(..)) {
            let Some(answer) = answer else { continue };
            let told = match (&outcome, asks.upgrade()) {
                (Ok(granted), Some(asks)) => Ok(granted
                    .get(place)
                    .is_some_and(|granted| *granted)
                    .then(|| Held {
                        asks,
                        over: wanted.undone(number),
                    })),
                (Err(code), _) => Err(failed(code.as_deref())),
                _ => Err(lost()),
            };
            // Whoever asked may be gone: then it is dropped, and let go, here.
            drop(answer.send(told));
        }
    }
    if let Some(Session { connection, .. }) = session {
        drop(tokio::time::timeout(PATIENCE, connection.close()).await);
    }
}

impl Wanted {
    /// What lets go of it, in the session that has it.
    const fn undone(self, session: u64) -> Self {
        match self {
            Self::Begin { under_way, .. } => Self::Over { under_way, session },
            Self::Alone(lock) => Self::Free { lock, session },
            other => other,
        }
    }

    /// The call on the server; none for a lock that ended with its session. A lock of a
    /// transaction is let go at once, when the statement is over: that is how an entry is passed.
    fn call(self, now: u64) -> Option<String> {
        match self {
            Self::Begin { entry, under_way } => Some(format!(
                "CASE WHEN pg_try_advisory_xact_lock_shared({entry}) \
                 THEN pg_try_advisory_lock_shared({under_way}) ELSE FALSE END"
            )),
            Self::Alone(lock) => Some(format!("pg_try_advisory_lock({lock})")),
            Self::Over { under_way, session } if session == now => {
                Some(format!("pg_advisory_unlock_shared({under_way})"))
            }
            Self::Free { lock, session } if session == now => {
                Some(format!("pg_advisory_unlock({lock})"))
            }
            Self::Over { .. } | Self::Free { .. } | Self::End => None,
        }
    }
}

/// Asks for all of it in one statement; the code of the error, if there is one.
async fn run(
    session: &mut Option<Session>,
    number: &mut u64,
    options: &AnyConnectOptions,
    wanted: &[Wanted],
) -> std::result::Result<Vec<bool>, Option<String>> {
    let code = |error: sqlx::Error| {
        let code = error.as_database_error().and_then(|error| error.code());
        code.map(|code| code.into_owned())
    };
    let work = async {
        if session.is_none() {
            *number += 1;
            let connection = options.connect().await.map_err(code)?;
            *session = Some(Session {
                connection,
                number: *number,
            });
        }
        let Some(session) = session else {
            return Err(None);
        };
        // Columns are worked out from the left to the right, one row that has them all.
        let mut statement = String::from("SELECT TRUE");
        for wanted in wanted {
            match wanted.call(session.number) {
                Some(call) => drop(write!(statement, ", {call}")),
                None => statement.push_str(", FALSE"),
            }
        }
        // Numbers of ours are all that is in it.
        let row = sqlx::query(AssertSqlSafe(statement))
            .persistent(false)
            .fetch_one(&mut session.connection)
            .await
            .map_err(code)?;
        (1..=wanted.len())
            .map(|column| row.try_get(column).map_err(code))
            .collect()
    };
    // The time of the driver's own waits, as with the pool's.
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or(Err(None))
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the locks of the bindings are not kept any more",
    )
}

fn failed(code: Option<&str>) -> Error {
    let error = Error::new(
        ErrorKind::Unavailable,
        "the locks of the bindings cannot be asked for",
    );
    match code {
        Some(code) => error.with_code(code.to_owned()),
        None => error,
    }
}
