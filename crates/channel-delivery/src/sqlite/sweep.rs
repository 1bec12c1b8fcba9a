//! Removing what is done and old.

use sqlx::{Row as _, SqliteConnection};

use super::ask::Answer;
use super::claim::to_limit;
use super::codec::{event_state, parts};
use super::error::Failure;
use super::phase;
use super::rare::Answered;
use super::tally::Tally;
use crate::store::Swept;

/// Rows are recorded in order, so nothing behind the first one that was recorded too late can
/// have been touched in time: no index on times is needed, and none is paid for by every
/// message.
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
                 AND seq < coalesce((SELECT seq FROM events WHERE recorded_at >= ?1 \
                   ORDER BY seq LIMIT 1), 9223372036854775807) \
                 ORDER BY seq LIMIT ?2";
    let query = sqlx::query(query).bind(before).bind(to_limit(limit));
    let rows = query.fetch_all(&mut *connection).await?;
    for row in &rows {
        let seq: i64 = row.try_get(0)?;
        for delete in [
            "DELETE FROM events WHERE seq = ?",
            "DELETE FROM payloads WHERE seq = ?",
        ] {
            let query = sqlx::query(delete).bind(seq);
            query.execute(&mut *connection).await?;
        }
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
                 AND id < coalesce((SELECT id FROM deliveries WHERE planned_at >= ?1 \
                   ORDER BY id LIMIT 1), 9223372036854775807) \
                 ORDER BY id LIMIT ?2";
    let query = sqlx::query(query).bind(before).bind(to_limit(limit));
    let rows = query.fetch_all(&mut *connection).await?;
    for row in &rows {
        let id: i64 = row.try_get(0)?;
        for delete in [
            "DELETE FROM deliveries WHERE id = ?",
            "DELETE FROM messages WHERE delivery = ?",
        ] {
            let query = sqlx::query(delete).bind(id);
            query.execute(&mut *connection).await?;
        }
        if let (phase::DONE, Some(parts)) = (row.try_get(2)?, parts(row.try_get(1)?)) {
            tally.parts(&parts, &[]);
        }
    }
    Ok(rows.len() as u64)
}
