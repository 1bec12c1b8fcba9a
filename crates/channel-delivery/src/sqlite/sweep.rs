//! Removing what is done and old.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::ask::Answer;
use super::claim::{json, to_limit};
use super::codec::{event_state, parts};
use super::error::Failure;
use super::phase;
use super::rare::Answered;
use super::tally::Tally;
use crate::store::Swept;

/// Rows are recorded in order, so nothing behind the first one that was recorded too late can
/// have been touched in time: no index on times is needed, and none is paid for by every
/// message. That first one is looked for among the oldest only: behind so many that are old
/// enough there are as many as are asked for.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    before: i64,
    limit: usize,
    tally: &mut Tally,
) -> Answered {
    let events = events(connection, before, limit, tally).await?;
    let deliveries = deliveries(connection, before, limit, tally).await?;
    let query = "DELETE FROM previews WHERE (channel, key) IN \
                   (SELECT channel, key FROM previews WHERE noted_at < ? \
                    ORDER BY noted_at, channel, key LIMIT ?)";
    let query = sqlx::query(query).bind(before).bind(to_limit(limit));
    query.execute(connection).await?;
    Ok(Ok(Answer::Swept(Swept { events, deliveries })))
}

async fn events(
    connection: &mut SqliteConnection,
    before: i64,
    limit: usize,
    tally: &mut Tally,
) -> Result<u64, Failure> {
    let query = "SELECT seq, state, phase FROM events WHERE phase IN (0, 3) AND touched_at < ?1 \
                 AND seq < coalesce((SELECT seq FROM \
                     (SELECT seq, recorded_at FROM events ORDER BY seq LIMIT 100000) \
                   WHERE recorded_at >= ?1 LIMIT 1), 9223372036854775807) \
                 ORDER BY seq LIMIT ?2";
    let query = sqlx::query(query).bind(before).bind(to_limit(limit));
    let rows = query.fetch_all(&mut *connection).await?;
    let deletes = [
        "DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?))",
        "DELETE FROM payloads WHERE seq IN (SELECT value FROM json_each(?))",
    ];
    delete(connection, &rows, deletes).await?;
    for row in &rows {
        if let (phase::DONE, Some(state)) = (row.try_get(2)?, event_state(row.try_get(1)?)) {
            tally.no_event(state);
        }
    }
    Ok(rows.len() as u64)
}

async fn deliveries(
    connection: &mut SqliteConnection,
    before: i64,
    limit: usize,
    tally: &mut Tally,
) -> Result<u64, Failure> {
    let query = "SELECT id, parts, phase FROM deliveries WHERE phase IN (0, 3) \
                 AND touched_at < ?1 \
                 AND id < coalesce((SELECT id FROM \
                     (SELECT id, planned_at FROM deliveries ORDER BY id LIMIT 100000) \
                   WHERE planned_at >= ?1 LIMIT 1), 9223372036854775807) \
                 ORDER BY id LIMIT ?2";
    let query = sqlx::query(query).bind(before).bind(to_limit(limit));
    let rows = query.fetch_all(&mut *connection).await?;
    let deletes = [
        "DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(?))",
        "DELETE FROM messages WHERE delivery IN (SELECT value FROM json_each(?))",
    ];
    delete(connection, &rows, deletes).await?;
    for row in &rows {
        if let (phase::DONE, Some(parts)) = (row.try_get(2)?, parts(row.try_get(1)?)) {
            tally.parts(&parts, &[]);
        }
    }
    Ok(rows.len() as u64)
}

/// Removes the rows whose numbers stand in the first column.
async fn delete(
    connection: &mut SqliteConnection,
    rows: &[SqliteRow],
    deletes: [&'static str; 2],
) -> Result<(), Failure> {
    let numbers = rows.iter().map(|row| row.try_get::<i64, _>(0));
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    let numbers = json(numbers.into_iter());
    for delete in deletes {
        let query = sqlx::query(delete).bind(numbers.clone());
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
