//! Reads what a batch needs.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::ask::{Ask, FoundColumns};
use super::codec::{event_state, from_millis, parts};
use super::error::{Failure, corrupt};
use super::hot::{Context, DeliveryRow, EventRow, Hot};
use super::statement::{MAX_ROWS, Many, Statements};
use crate::rules::EventStatus;
use crate::worker::Fence;

const CONTEXT: &str = "SELECT 'worker', fence, lease_until FROM workers \
     UNION ALL SELECT name, seq, 0 FROM sqlite_sequence";

const EVENTS: Many = Many {
    sql: "WITH v(seq) AS (VALUES {rows}) \
          SELECT e.seq, e.owner, e.state, e.attempts, e.not_before, e.reason, e.touched_at \
          FROM v CROSS JOIN events e ON e.seq = v.seq",
    columns: 1,
};

/// Only what stands in the way of a new event: its name is known, or somebody else has
/// something unfinished of its conversation.
const NAMES: Many = Many {
    sql: "WITH v(channel, id, lane, fence) AS (VALUES {rows}), \
          w AS MATERIALIZED (SELECT v.channel, v.id, v.lane, v.fence, e.state, \
            (SELECT owner FROM events WHERE phase = 1 AND lane = v.lane \
             ORDER BY owner LIMIT 1) AS least, \
            (SELECT owner FROM events WHERE phase = 1 AND lane = v.lane \
             ORDER BY owner DESC LIMIT 1) AS greatest \
            FROM v LEFT JOIN events e ON e.channel = v.channel AND e.id = v.id \
            WHERE v.channel IS NOT NULL) \
          SELECT channel, id, lane, state, least, greatest FROM w \
          WHERE state IS NOT NULL OR least <> fence OR greatest <> fence",
    columns: 4,
};

const DELIVERIES: Many = Many {
    sql: "WITH v(id) AS (VALUES {rows}) \
          SELECT d.id, d.owner, d.phase, d.parts, d.touched_at \
          FROM v CROSS JOIN deliveries d ON d.id = v.id",
    columns: 1,
};

const KEYS: Many = Many {
    sql: "WITH v(channel, key) AS (VALUES {rows}) \
          SELECT d.id, d.owner, d.phase, d.parts, d.touched_at, d.answers, d.planned_at, \
            (SELECT message FROM messages m WHERE m.delivery = d.id), d.channel, d.key \
          FROM v CROSS JOIN deliveries d ON d.channel = v.channel AND d.key = v.key",
    columns: 2,
};

/// Who is alive, and the last numbers.
pub(crate) async fn context(connection: &mut SqliteConnection) -> Result<Context, Failure> {
    let mut context = Context::default();
    for row in sqlx::query(CONTEXT).fetch_all(connection).await? {
        let number: i64 = row.try_get(1)?;
        match row.try_get(0)? {
            "worker" => {
                let until = row.try_get(2)?;
                context.workers.insert(Fence::new(number), until);
            }
            "workers" => context.last_fence = number,
            "events" => context.last_seq = number,
            "deliveries" => context.last_delivery = number,
            _ => {}
        }
    }
    Ok(context)
}

/// Everything that these requests touch.
pub(crate) async fn hot<'a>(
    connection: &mut SqliteConnection,
    statements: &mut Statements,
    asks: impl Iterator<Item = &'a Ask>,
) -> Result<Hot<'a>, Failure> {
    let mut wanted = Wanted::default();
    asks.for_each(|ask| wanted.add(ask));
    // One row for each is enough, and the same order each time is kinder to the disk.
    for numbers in [&mut wanted.events, &mut wanted.deliveries] {
        numbers.sort_unstable();
        numbers.dedup();
    }
    let mut hot = Hot::default();
    for seqs in wanted.events.chunks(MAX_ROWS) {
        let mut query = statements.query(EVENTS, seqs.len());
        for seq in seqs {
            query = query.bind(*seq);
        }
        for row in query.fetch_all(&mut *connection).await? {
            hot.events.insert(row.try_get(0)?, event(&row)?);
        }
    }
    for names in wanted.names.chunks(MAX_ROWS) {
        let mut query = statements.query(NAMES, names.len());
        for (channel, id, lane, fence) in names {
            query = query.bind(channel.to_owned()).bind(id.to_owned());
            query = query.bind(lane.map(str::to_owned)).bind(fence.number());
        }
        for row in query.fetch_all(&mut *connection).await? {
            name(&mut hot, &row)?;
        }
    }
    deliveries(connection, statements, &wanted, &mut hot).await?;
    Ok(hot)
}

async fn deliveries(
    connection: &mut SqliteConnection,
    statements: &mut Statements,
    wanted: &Wanted<'_>,
    hot: &mut Hot<'_>,
) -> Result<(), Failure> {
    for ids in wanted.deliveries.chunks(MAX_ROWS) {
        let mut query = statements.query(DELIVERIES, ids.len());
        for id in ids {
            query = query.bind(*id);
        }
        for row in query.fetch_all(&mut *connection).await? {
            hot.deliveries
                .insert(row.try_get(0)?, delivery(&row, None)?);
        }
    }
    for keys in wanted.keys.chunks(MAX_ROWS) {
        let mut query = statements.query(KEYS, keys.len());
        for (channel, key) in keys {
            query = query.bind(channel.to_owned()).bind(key.to_owned());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let id = row.try_get(0)?;
            let found = FoundColumns {
                answers: row.try_get(5)?,
                planned_at: row.try_get(6)?,
                message: row.try_get(7)?,
            };
            hot.deliveries.insert(id, delivery(&row, Some(found))?);
            hot.planned.insert((row.try_get(8)?, row.try_get(9)?), id);
        }
    }
    Ok(())
}

fn event(row: &SqliteRow) -> Result<EventRow, Failure> {
    let state = event_state(row.try_get(2)?).ok_or_else(|| corrupt("unknown state"))?;
    Ok(EventRow {
        status: EventStatus {
            owner: Fence::new(row.try_get(1)?),
            state,
            attempts: row.try_get(3)?,
            not_before: from_millis(row.try_get(4)?),
            reason: row.try_get(5)?,
            touched_at: from_millis(row.try_get(6)?),
        },
        is_dirty: false,
    })
}

fn name(hot: &mut Hot<'_>, row: &SqliteRow) -> Result<(), Failure> {
    let state: Option<&str> = row.try_get(3)?;
    if let Some(state) = state {
        let state = event_state(state).ok_or_else(|| corrupt("unknown state"))?;
        hot.known.insert((row.try_get(0)?, row.try_get(1)?), state);
    }
    let lane: Option<String> = row.try_get(2)?;
    let owners: (Option<i64>, Option<i64>) = (row.try_get(4)?, row.try_get(5)?);
    if let (Some(lane), (Some(least), Some(greatest))) = (lane, owners) {
        let owners = (Fence::new(least), Fence::new(greatest));
        hot.lanes.insert(lane, owners);
    }
    Ok(())
}

fn delivery(row: &SqliteRow, found: Option<FoundColumns>) -> Result<DeliveryRow, Failure> {
    let (owner, phase) = (Fence::new(row.try_get(1)?), row.try_get(2)?);
    Ok(DeliveryRow {
        parts: parts(row.try_get(3)?).ok_or_else(|| corrupt("unknown parts"))?,
        found,
        owner,
        phase,
        was: (phase, owner),
        touched_at: row.try_get(4)?,
        is_dirty: false,
    })
}

/// What is to be read.
#[derive(Default)]
struct Wanted<'a> {
    events: Vec<i64>,
    names: Vec<(&'a str, &'a str, Option<&'a str>, Fence)>,
    deliveries: Vec<i64>,
    keys: Vec<(&'a str, &'a str)>,
}

impl<'a> Wanted<'a> {
    fn add(&mut self, ask: &'a Ask) {
        match ask {
            Ask::Record { fence, events, .. } => {
                let names = events.iter().map(|event| {
                    let lane = event.lane.as_deref();
                    (event.channel.as_str(), event.id.as_str(), lane, *fence)
                });
                self.names.extend(names);
            }
            Ask::Begin { event, .. } | Ask::Finish { event, .. } => {
                self.events.push(event.number());
            }
            Ask::Plan { delivery, .. } => {
                self.keys.push((&delivery.channel, &delivery.key));
            }
            Ask::Update { delivery, .. } => {
                self.deliveries.push(delivery.number());
            }
            _ => {}
        }
    }
}
