//! Writes what a batch has changed.

use sqlx::SqliteConnection;

use super::codec::{parts_to_json, to_millis};
use super::error::Failure;
use super::hot::Hot;
use super::phase;
use super::statement::{MAX_ROWS, Many, Statements};
use super::tally::Tally;
use crate::worker::Fence;

const INSERT_EVENTS: Many = Many {
    sql: "INSERT INTO events (seq, channel, id, lane, owner, recorded_at, touched_at, phase, \
            state, attempts, not_before) \
          SELECT column1, column2, column3, column4, column5, column6, column6, 1, \
            'received', 0, 0 FROM (VALUES {rows}) WHERE column1 IS NOT NULL",
    columns: 6,
};

const INSERT_PAYLOADS: Many = Many {
    sql: "INSERT INTO payloads (seq, event) \
          SELECT column1, column2 FROM (VALUES {rows}) WHERE column1 IS NOT NULL",
    columns: 2,
};

/// Leaves the phase alone, and so all indexes.
const UPDATE_EVENTS: Many = Many {
    sql: "WITH v(seq, state, attempts, not_before, reason, touched_at) AS (VALUES {rows}) \
          UPDATE events SET state = v.state, attempts = v.attempts, \
            not_before = v.not_before, reason = v.reason, touched_at = v.touched_at \
          FROM v WHERE events.seq = v.seq",
    columns: 6,
};

const FINISH_EVENTS: Many = Many {
    sql: "WITH v(seq, state, attempts, not_before, reason, touched_at, phase) \
            AS (VALUES {rows}) \
          UPDATE events SET state = v.state, attempts = v.attempts, \
            not_before = v.not_before, reason = v.reason, touched_at = v.touched_at, \
            phase = v.phase \
          FROM v WHERE events.seq = v.seq",
    columns: 7,
};

const SET_CURSORS: Many = Many {
    sql: "INSERT INTO cursors (channel, cursor) \
          SELECT column1, column2 FROM (VALUES {rows}) WHERE column1 IS NOT NULL \
          ON CONFLICT (channel) DO UPDATE SET cursor = excluded.cursor",
    columns: 2,
};

const INSERT_DELIVERIES: Many = Many {
    sql: "INSERT INTO deliveries (id, channel, key, answers, owner, parts, phase, planned_at, \
            touched_at) \
          SELECT column1, column2, column3, column4, column5, column6, column7, column8, \
            column8 FROM (VALUES {rows}) WHERE column1 IS NOT NULL",
    columns: 8,
};

const INSERT_MESSAGES: Many = Many {
    sql: "INSERT INTO messages (delivery, message) \
          SELECT column1, column2 FROM (VALUES {rows}) WHERE column1 IS NOT NULL",
    columns: 2,
};

/// Leaves the phase alone, and so all indexes.
const UPDATE_DELIVERIES: Many = Many {
    sql: "WITH v(id, parts, touched_at) AS (VALUES {rows}) \
          UPDATE deliveries SET parts = v.parts, touched_at = v.touched_at \
          FROM v WHERE deliveries.id = v.id",
    columns: 3,
};

const MOVE_DELIVERIES: Many = Many {
    sql: "WITH v(id, parts, touched_at, phase, owner) AS (VALUES {rows}) \
          UPDATE deliveries SET parts = v.parts, touched_at = v.touched_at, \
            phase = v.phase, owner = v.owner \
          FROM v WHERE deliveries.id = v.id",
    columns: 5,
};

const ADD_TALLIES: Many = Many {
    sql: "INSERT INTO tallies (name, count) \
          SELECT column1, column2 FROM (VALUES {rows}) WHERE column1 IS NOT NULL \
          ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
    columns: 2,
};

/// Writes it all.
pub(crate) async fn hot(
    connection: &mut SqliteConnection,
    statements: &mut Statements,
    mut hot: Hot<'_>,
) -> Result<(), Failure> {
    new_events(connection, statements, &hot).await?;
    events(connection, statements, &hot).await?;
    new_deliveries(connection, statements, &hot).await?;
    deliveries(connection, statements, &hot).await?;
    let cursors: Vec<_> = hot.cursors.iter().collect();
    for rows in cursors.chunks(MAX_ROWS) {
        let mut query = statements.query(SET_CURSORS, rows.len());
        for (channel, cursor) in rows {
            query = query.bind((**channel).to_owned());
            query = query.bind((**cursor).to_owned());
        }
        query.execute(&mut *connection).await?;
    }
    for (fence, until) in &hot.renewed {
        renew(connection, *fence, *until).await?;
    }
    for fence in &hot.ended {
        end(connection, *fence).await?;
    }
    tally(connection, statements, &mut hot.tally).await
}

async fn new_events(
    connection: &mut SqliteConnection,
    statements: &mut Statements,
    hot: &Hot<'_>,
) -> Result<(), Failure> {
    for rows in hot.new_events.chunks(MAX_ROWS) {
        let mut query = statements.query(INSERT_EVENTS, rows.len());
        for row in rows {
            query = query.bind(row.seq).bind(row.columns.channel.clone());
            query = query.bind(row.columns.id.clone());
            query = query.bind(row.columns.lane.clone());
            query = query.bind(row.owner.number()).bind(row.now);
        }
        query.execute(&mut *connection).await?;
        let mut query = statements.query(INSERT_PAYLOADS, rows.len());
        for row in rows {
            query = query.bind(row.seq).bind(row.columns.payload.clone());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn events(
    connection: &mut SqliteConnection,
    statements: &mut Statements,
    hot: &Hot<'_>,
) -> Result<(), Failure> {
    let dirty = hot.events.iter().filter(|(_, row)| row.is_dirty);
    let (done, moving): (Vec<_>, Vec<_>) = dirty.partition(|(_, row)| row.status.state.is_final());
    for (many, rows) in [(UPDATE_EVENTS, moving), (FINISH_EVENTS, done)] {
        for rows in rows.chunks(MAX_ROWS) {
            let mut query = statements.query(many, rows.len());
            for (seq, row) in rows {
                let status = &row.status;
                query = query.bind(**seq).bind(status.state.as_str());
                query = query.bind(status.attempts);
                query = query.bind(to_millis(status.not_before));
                query = query.bind(status.reason.clone());
                query = query.bind(to_millis(status.touched_at));
                if many == FINISH_EVENTS {
                    query = query.bind(phase::of_event(status.state));
                }
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn new_deliveries(
    connection: &mut SqliteConnection,
    statements: &mut Statements,
    hot: &Hot<'_>,
) -> Result<(), Failure> {
    for rows in hot.new_deliveries.chunks(MAX_ROWS) {
        let mut query = statements.query(INSERT_DELIVERIES, rows.len());
        for row in rows {
            query = query.bind(row.id).bind(row.columns.channel.clone());
            query = query.bind(row.columns.key.clone());
            query = query.bind(row.columns.answers);
            query = query.bind(row.owner.number());
            query = query.bind(parts_to_json(&row.parts)?);
            query = query.bind(phase::of_parts(&row.parts)).bind(row.now);
        }
        query.execute(&mut *connection).await?;
        let mut query = statements.query(INSERT_MESSAGES, rows.len());
        for row in rows {
            query = query.bind(row.id).bind(row.columns.message.clone());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn deliveries(
    connection: &mut SqliteConnection,
    statements: &mut Statements,
    hot: &Hot<'_>,
) -> Result<(), Failure> {
    let dirty = hot.deliveries.iter().filter(|(_, row)| row.is_dirty);
    let (still, moved): (Vec<_>, Vec<_>) =
        dirty.partition(|(_, row)| row.was == (row.phase, row.owner));
    for (many, rows) in [(UPDATE_DELIVERIES, still), (MOVE_DELIVERIES, moved)] {
        for rows in rows.chunks(MAX_ROWS) {
            let mut query = statements.query(many, rows.len());
            for (id, row) in rows {
                query = query.bind(**id).bind(parts_to_json(&row.parts)?);
                query = query.bind(row.touched_at);
                if many == MOVE_DELIVERIES {
                    query = query.bind(row.phase).bind(row.owner.number());
                }
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

pub(crate) async fn renew(
    connection: &mut SqliteConnection,
    fence: Fence,
    until: i64,
) -> Result<(), Failure> {
    let query = sqlx::query("UPDATE workers SET lease_until = ? WHERE fence = ?");
    let query = query.bind(until).bind(fence.number());
    query.execute(connection).await?;
    Ok(())
}

pub(crate) async fn end(connection: &mut SqliteConnection, fence: Fence) -> Result<(), Failure> {
    let query = sqlx::query("DELETE FROM workers WHERE fence = ?");
    query.bind(fence.number()).execute(connection).await?;
    Ok(())
}

pub(crate) async fn tally(
    connection: &mut SqliteConnection,
    statements: &mut Statements,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let changes = tally.take();
    if changes.is_empty() {
        return Ok(());
    }
    let mut query = statements.query(ADD_TALLIES, changes.len());
    for (name, change) in changes {
        query = query.bind(name).bind(change);
    }
    query.execute(connection).await?;
    Ok(())
}
