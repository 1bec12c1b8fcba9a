//! What is read beside the writer, on connections of its own.

use std::time::SystemTime;

use channel_core::Receipt;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::claim::{DELIVERY, stored_delivery, to_limit};
use super::codec::{self, event_state, from_millis, to_millis};
use super::error::{Failure, corrupt};
use super::tally;
use crate::inbound::{DeadEvent, Seq, StoredEvent};
use crate::outbound::{DeadDelivery, DeliveryId, StoredDelivery};
use crate::rules::NOBODY;
use crate::store::{Counts, JournalEntry};
use crate::worker::Fence;

pub(crate) async fn cursor(pool: &SqlitePool, channel: &str) -> Result<Option<String>, Failure> {
    let query = sqlx::query_scalar("SELECT cursor FROM cursors WHERE channel = ?");
    Ok(query.bind(channel.to_owned()).fetch_optional(pool).await?)
}

pub(crate) async fn dead_target(
    pool: &SqlitePool,
    channel: &str,
    chat: &str,
    now: SystemTime,
) -> Result<Option<(SystemTime, String)>, Failure> {
    let query = "SELECT until, reason FROM targets WHERE channel = ? AND chat = ? AND until > ?";
    let query = sqlx::query_as::<_, (i64, String)>(query);
    let query = query.bind(channel.to_owned()).bind(chat.to_owned());
    let found = query.bind(to_millis(now)).fetch_optional(pool).await?;
    Ok(found.map(|(until, reason)| (from_millis(until), reason)))
}

/// What shows an unfinished answer. A note that cannot be read says that there is something.
pub(crate) async fn preview(
    pool: &SqlitePool,
    channel: &str,
    key: &str,
) -> Result<Option<Receipt>, Failure> {
    let query = "SELECT shown FROM previews WHERE channel = ? AND key = ?";
    let query = sqlx::query_scalar::<_, String>(query).bind(channel.to_owned());
    let found = query.bind(key.to_owned()).fetch_optional(pool).await?;
    Ok(found.map(|shown| serde_json::from_str(&shown).unwrap_or_default()))
}

pub(crate) async fn dead_events(
    pool: &SqlitePool,
    after: Option<Seq>,
    limit: usize,
) -> Result<Vec<DeadEvent>, Failure> {
    let query = "SELECT seq, state, attempts, not_before, channel, id, reason, recorded_at, \
                   (SELECT event FROM payloads p WHERE p.seq = e.seq) \
                 FROM events e WHERE phase = 2 AND seq > ? ORDER BY seq LIMIT ?";
    let after = after.map_or(i64::MIN, Seq::number);
    let query = sqlx::query(query).bind(after).bind(to_limit(limit));
    let mut dead = Vec::new();
    for row in query.fetch_all(pool).await? {
        let event = stored_event(&row)?;
        let reason: Option<String> = row.try_get(6)?;
        dead.push(DeadEvent::new(
            event.seq,
            event.event,
            event.attempts,
            reason.unwrap_or_default(),
            from_millis(row.try_get(7)?),
        ));
    }
    Ok(dead)
}

/// An event for somebody to look at: one that cannot be read is shown as unknown.
fn stored_event(row: &SqliteRow) -> Result<StoredEvent, Failure> {
    let state = event_state(row.try_get(1)?).ok_or_else(|| corrupt("unknown state"))?;
    let payload: Option<&str> = row.try_get(8)?;
    let event = match payload.and_then(codec::event) {
        Some(event) => event,
        None => codec::unreadable_event(row.try_get(4)?, row.try_get(5)?),
    };
    Ok(StoredEvent::new(
        Seq::new(row.try_get(0)?),
        event,
        state,
        row.try_get(2)?,
        from_millis(row.try_get(3)?),
    ))
}

pub(crate) async fn dead_deliveries(
    pool: &SqlitePool,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Vec<DeadDelivery>, Failure> {
    let query = format!("{DELIVERY} WHERE phase = 2 AND id > ? ORDER BY id LIMIT ?");
    let after = after.map_or(i64::MIN, DeliveryId::number);
    let query = sqlx::query(AssertSqlSafe(query)).bind(after);
    let rows = query.bind(to_limit(limit)).fetch_all(pool).await?;
    let dead = rows.iter().map(stored_delivery);
    let dead = dead.filter_map(|read| read.map(|(stored, _)| stored).transpose());
    dead.map(|read| read.map(DeadDelivery::new)).collect()
}

pub(crate) async fn counts(pool: &SqlitePool) -> Result<Counts, Failure> {
    let query = sqlx::query_as::<_, (String, i64)>("SELECT name, count FROM tallies");
    let mut counts = Counts::default();
    for (name, count) in query.fetch_all(pool).await? {
        tally::count(&mut counts, &name, count);
    }
    Ok(counts)
}

pub(crate) async fn journal(
    pool: &SqlitePool,
    after: Option<Seq>,
    limit: usize,
) -> Result<Vec<JournalEntry>, Failure> {
    let query = "SELECT seq, state, attempts, not_before, channel, id, reason, recorded_at, \
                   (SELECT event FROM payloads p WHERE p.seq = e.seq), owner \
                 FROM events e WHERE phase <> 3 AND seq > ? ORDER BY seq LIMIT ?";
    let after = after.map_or(i64::MIN, Seq::number);
    let query = sqlx::query(query).bind(after).bind(to_limit(limit));
    let mut entries = Vec::new();
    for row in query.fetch_all(pool).await? {
        let event = stored_event(&row)?;
        let deliveries = answers(pool, event.seq).await?;
        let recorded_at = from_millis(row.try_get(7)?);
        let owner: i64 = row.try_get(9)?;
        let entry = JournalEntry::new(event, row.try_get(6)?, recorded_at, deliveries);
        let owner = (owner != NOBODY.number()).then(|| Fence::new(owner));
        entries.push(entry.owned_by(owner));
    }
    Ok(entries)
}

async fn answers(pool: &SqlitePool, event: Seq) -> Result<Vec<StoredDelivery>, Failure> {
    let query = format!("{DELIVERY} WHERE answers = ? AND phase <> 3 ORDER BY id");
    let query = sqlx::query(AssertSqlSafe(query)).bind(event.number());
    let rows = query.fetch_all(pool).await?;
    let answers = rows.iter().map(stored_delivery);
    answers
        .filter_map(|read| read.map(|(stored, _)| stored).transpose())
        .collect()
}
