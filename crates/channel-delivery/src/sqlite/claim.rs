//! Taking over what nobody alive owns.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::ahead::Others;
use super::ask::Answer;
use super::codec::{self, event_state, from_millis};
use super::error::Failure;
use super::hot::Context;
use super::rare::Answered;
use super::tally::Tally;
use crate::inbound::{EventState, Seq, StoredEvent};
use crate::outbound::{DeliveryId, PartState, StoredDelivery};
use crate::worker::Fence;

const UNREADABLE: &str = "what is stored cannot be read";

pub(crate) async fn events(
    connection: &mut SqliteConnection,
    context: &Context,
    fence: Fence,
    limit: usize,
    now: i64,
    tally: &mut Tally,
) -> Answered {
    let others = json(
        context
            .workers
            .keys()
            .filter(|other| **other != fence)
            .map(|f| f.number()),
    );
    let mut free = BTreeSet::new();
    for owner in free_owners(connection, context, "events").await? {
        let query = "SELECT seq FROM events e WHERE phase = 1 AND owner = ?1 \
                     AND (?2 = '[]' OR NOT EXISTS (SELECT 1 FROM events o WHERE o.phase = 1 \
                       AND o.lane = e.lane AND o.owner IN (SELECT value FROM json_each(?2)))) \
                     ORDER BY seq LIMIT ?3";
        let query = sqlx::query_scalar::<_, i64>(query).bind(owner);
        let query = query.bind(others.clone()).bind(to_limit(limit));
        free.extend(query.fetch_all(&mut *connection).await?);
    }
    let free = json(free.into_iter().take(limit));
    let query = "UPDATE events SET owner = ?1 WHERE seq IN (SELECT value FROM json_each(?2))";
    let query = sqlx::query(query).bind(fence.number()).bind(free.clone());
    query.execute(&mut *connection).await?;
    let query = "SELECT seq, state, attempts, not_before, \
                   (SELECT event FROM payloads p WHERE p.seq = e.seq) \
                 FROM events e WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq";
    let mut claimed = Vec::new();
    for row in sqlx::query(query)
        .bind(free)
        .fetch_all(&mut *connection)
        .await?
    {
        match stored_event(&row)? {
            Some(event) => claimed.push(event),
            None => bury_event(connection, &row, now, tally).await?,
        }
    }
    Ok(Ok(Answer::Claimed(claimed)))
}

/// Owners of unfinished rows that are dead, or nobody.
async fn free_owners(
    connection: &mut SqliteConnection,
    context: &Context,
    table: &str,
) -> Result<Vec<i64>, Failure> {
    // One step for each owner, not for each row.
    let query = match table {
        "events" => "SELECT min(owner) FROM events WHERE phase = 1 AND owner > ?",
        _ => "SELECT min(owner) FROM deliveries WHERE phase = 1 AND owner > ?",
    };
    let mut free = Vec::new();
    let mut last = -1;
    loop {
        let next = sqlx::query_scalar::<_, Option<i64>>(query).bind(last);
        let Some(owner) = next.fetch_one(&mut *connection).await? else {
            return Ok(free);
        };
        if !context.workers.contains_key(&Fence::new(owner)) {
            free.push(owner);
        }
        last = owner;
    }
}

fn stored_event(row: &SqliteRow) -> Result<Option<StoredEvent>, Failure> {
    let state = event_state(row.try_get(1)?);
    let payload: Option<&str> = row.try_get(4)?;
    let event = payload.and_then(codec::event);
    let (Some(state), Some(event)) = (state, event) else {
        return Ok(None);
    };
    Ok(Some(StoredEvent::new(
        Seq::new(row.try_get(0)?),
        event,
        state,
        row.try_get(2)?,
        from_millis(row.try_get(3)?),
    )))
}

/// Sets aside an event that cannot be read, so that it does not stop all others.
async fn bury_event(
    connection: &mut SqliteConnection,
    row: &SqliteRow,
    now: i64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let from = event_state(row.try_get(1)?);
    tally.event(from, EventState::Dead);
    let query = "UPDATE events SET phase = 2, state = 'dead', reason = ?, touched_at = ? \
                 WHERE seq = ?";
    let query = sqlx::query(query).bind(UNREADABLE).bind(now);
    let seq: i64 = row.try_get(0)?;
    query.bind(seq).execute(connection).await?;
    Ok(())
}

pub(crate) async fn deliveries(
    connection: &mut SqliteConnection,
    context: &Context,
    fence: Fence,
    limit: usize,
    now: i64,
    tally: &mut Tally,
) -> Answered {
    let owners = free_owners(connection, context, "deliveries").await?;
    let others = match owners.is_empty() {
        true => Others::default(),
        false => Others::read(connection, context, fence).await?,
    };
    // Of what stands behind others it is not known how much there is.
    let most = if others.is_empty() { limit } else { usize::MAX };
    let mut free = BTreeSet::new();
    for owner in owners {
        let query = "SELECT id FROM deliveries WHERE phase = 1 AND owner = ? ORDER BY id LIMIT ?";
        let query = sqlx::query_scalar::<_, i64>(query).bind(owner);
        let query = query.bind(to_limit(most));
        free.extend(query.fetch_all(&mut *connection).await?);
    }
    if !others.is_empty() {
        free = others.not_behind(connection, free).await?;
    }
    let ids = free.into_iter().take(limit).map(DeliveryId::new);
    let free = take_deliveries(connection, fence, ids).await?;
    let query = format!("{DELIVERY} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id");
    let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(free);
    let mut claimed = Vec::new();
    for row in query.fetch_all(&mut *connection).await? {
        match stored_delivery(&row)? {
            (Some(delivery), true) => claimed.push(delivery),
            _ => bury_delivery(connection, &row, now, tally).await?,
        }
    }
    Ok(Ok(Answer::ClaimedDeliveries(claimed)))
}

/// Makes deliveries a worker's own; their numbers as JSON.
pub(crate) async fn take_deliveries(
    connection: &mut SqliteConnection,
    fence: Fence,
    ids: impl Iterator<Item = DeliveryId> + Send,
) -> Result<String, Failure> {
    let ids = json(ids.map(DeliveryId::number));
    let query = "UPDATE deliveries SET owner = ?1 WHERE id IN (SELECT value FROM json_each(?2))";
    let query = sqlx::query(query).bind(fence.number()).bind(ids.clone());
    query.execute(connection).await?;
    Ok(ids)
}

/// The columns that [`stored_delivery`] reads, and the owner.
pub(crate) const DELIVERY: &str = "SELECT id, channel, key, answers, parts, planned_at, \
     (SELECT message FROM messages m WHERE m.delivery = d.id), owner FROM deliveries d";

pub(crate) fn owner(row: &SqliteRow) -> Result<Fence, Failure> {
    Ok(Fence::new(row.try_get(7)?))
}

/// A delivery, and whether its message could be read; `None` if even its parts could not.
pub(crate) fn stored_delivery(row: &SqliteRow) -> Result<(Option<StoredDelivery>, bool), Failure> {
    let Some(parts) = codec::parts(row.try_get(4)?) else {
        return Ok((None, false));
    };
    let json: Option<&str> = row.try_get(6)?;
    let message = json.and_then(codec::message);
    let is_whole = message.is_some();
    let names: (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    let message = message.unwrap_or_else(codec::empty_message);
    let delivery = codec::delivery(names, row.try_get(3)?, message, parts.len());
    let id = DeliveryId::new(row.try_get(0)?);
    let planned_at = from_millis(row.try_get(5)?);
    let stored = StoredDelivery::new(id, delivery, parts, planned_at);
    Ok((Some(stored), is_whole))
}

/// Sets aside a delivery that cannot be read.
async fn bury_delivery(
    connection: &mut SqliteConnection,
    row: &SqliteRow,
    now: i64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let before = codec::parts(row.try_get(4)?).unwrap_or_default();
    let mut after = before.clone();
    for part in after.iter_mut().filter(|part| !part.state.is_final()) {
        *part = part.clone().because(PartState::Dead, UNREADABLE);
    }
    tally.parts(&before, &after);
    let query = "UPDATE deliveries SET phase = 2, parts = ?, touched_at = ? WHERE id = ?";
    let query = sqlx::query(query).bind(codec::parts_to_json(&after)?);
    let id: i64 = row.try_get(0)?;
    query.bind(now).bind(id).execute(connection).await?;
    Ok(())
}

/// What a worker has, read inside the transaction and so after all that it has written. What
/// cannot be read was set aside when it was claimed, or will be at the next start.
pub(crate) async fn owned_events(
    connection: &mut SqliteConnection,
    fence: Fence,
    after: Option<Seq>,
    limit: usize,
) -> Answered {
    let query = "SELECT seq, state, attempts, not_before, \
                   (SELECT event FROM payloads p WHERE p.seq = e.seq) \
                 FROM events e WHERE phase = 1 AND owner = ? AND seq > ? ORDER BY seq LIMIT ?";
    let after = after.map_or(i64::MIN, Seq::number);
    let query = sqlx::query(query).bind(fence.number()).bind(after);
    let rows = query.bind(to_limit(limit)).fetch_all(connection).await?;
    let mut owned = Vec::new();
    for row in &rows {
        owned.extend(stored_event(row)?);
    }
    Ok(Ok(Answer::Claimed(owned)))
}

/// The same for deliveries.
pub(crate) async fn owned_deliveries(
    connection: &mut SqliteConnection,
    fence: Fence,
    after: Option<DeliveryId>,
    limit: usize,
) -> Answered {
    let query = format!("{DELIVERY} WHERE phase = 1 AND owner = ? AND id > ? ORDER BY id LIMIT ?");
    let after = after.map_or(i64::MIN, DeliveryId::number);
    let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(fence.number());
    let query = query.bind(after).bind(to_limit(limit));
    let mut owned = Vec::new();
    for row in &query.fetch_all(connection).await? {
        if let (Some(delivery), true) = stored_delivery(row)? {
            owned.push(delivery);
        }
    }
    Ok(Ok(Answer::ClaimedDeliveries(owned)))
}

pub(crate) fn json(numbers: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

pub(crate) fn to_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
