//! The requests that are not of every message, one at a time.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::ask::{Answer, Ask};
use super::claim::{DELIVERY, stored_delivery};
use super::codec::parts_to_json;
use super::error::Failure;
use super::hot::Context;
use super::phase;
use super::save::end;
use super::tally::Tally;
use super::{ahead, claim, mixed_up, sweep};
use crate::inbound::EventState;
use crate::rules::{self, fenced};
use crate::store::StoreError;
use crate::worker::Fence;

/// The answer, or the refusal, to one request; `Failure` is the whole transaction's.
pub(crate) type Answered = Result<Result<Answer, StoreError>, Failure>;

pub(crate) async fn run(
    connection: &mut SqliteConnection,
    context: &mut Context,
    ask: &Ask,
    tally: &mut Tally,
) -> Answered {
    match ask {
        Ask::Enroll {
            worker,
            lease_until,
            alone,
        } => enroll(connection, context, worker, *lease_until, *alone).await,
        Ask::Leave { fence } => leave(connection, context, *fence).await,
        Ask::Claim { fence, limit, now } => {
            match end_leases(connection, context, *fence, *now).await? {
                Ok(()) => claim::events(connection, context, *fence, *limit, *now, tally).await,
                Err(refusal) => Ok(Err(refusal)),
            }
        }
        Ask::ClaimDeliveries { fence, limit, now } => {
            match end_leases(connection, context, *fence, *now).await? {
                Ok(()) => claim::deliveries(connection, context, *fence, *limit, *now, tally).await,
                Err(refusal) => Ok(Err(refusal)),
            }
        }
        Ask::Ahead {
            fence,
            delivery,
            limit,
            now,
        } => match end_leases(connection, context, *fence, *now).await? {
            Ok(()) => ahead::run(connection, context, *fence, *delivery, *limit).await,
            Err(refusal) => Ok(Err(refusal)),
        },
        Ask::Owned {
            fence,
            after,
            limit,
        } => match context.check_alive(*fence) {
            Ok(()) => claim::owned_events(connection, *fence, *after, *limit).await,
            Err(refusal) => Ok(Err(refusal)),
        },
        Ask::OwnedDeliveries {
            fence,
            after,
            limit,
        } => match context.check_alive(*fence) {
            Ok(()) => claim::owned_deliveries(connection, *fence, *after, *limit).await,
            Err(refusal) => Ok(Err(refusal)),
        },
        Ask::NotePreview {
            fence,
            channel,
            key,
            shown,
            now,
        } => match context.check_alive(*fence) {
            Ok(()) => note_preview(connection, channel, key, shown, *now).await,
            Err(refusal) => Ok(Err(refusal)),
        },
        Ask::SetTarget {
            channel,
            chat,
            dead,
        } => set_target(connection, channel, chat, dead.as_ref()).await,
        Ask::RetryEvent { event, now } => {
            retry_event(connection, event.number(), *now, tally).await
        }
        Ask::DropEvent { event, now } => drop_event(connection, event.number(), *now, tally).await,
        Ask::RetryDelivery { delivery, now } => {
            retry_delivery(connection, delivery.number(), *now, tally).await
        }
        Ask::DropDelivery { delivery, now } => {
            drop_delivery(connection, delivery.number(), *now, tally).await
        }
        Ask::Sweep { before, limit } => sweep::run(connection, *before, *limit, tally).await,
        _ => Ok(Err(mixed_up())),
    }
}

async fn enroll(
    connection: &mut SqliteConnection,
    context: &mut Context,
    worker: &str,
    until: i64,
    alone: bool,
) -> Answered {
    if alone {
        sqlx::query("DELETE FROM workers")
            .execute(&mut *connection)
            .await?;
        context.workers.clear();
    }
    context.numbers.fence += 1;
    let fence = Fence::new(context.numbers.fence);
    let query = "INSERT INTO workers (fence, worker, lease_until) VALUES (?, ?, ?)";
    let query = sqlx::query(query).bind(fence.number());
    let query = query.bind(worker.to_owned()).bind(until);
    query.execute(connection).await?;
    context.workers.insert(fence, until);
    Ok(Ok(Answer::Enrolled(fence)))
}

async fn leave(connection: &mut SqliteConnection, context: &mut Context, fence: Fence) -> Answered {
    if context.workers.remove(&fence).is_none() {
        return Ok(Err(fenced()));
    }
    end(connection, fence).await?;
    Ok(Ok(Answer::Done))
}

async fn end_leases(
    connection: &mut SqliteConnection,
    context: &mut Context,
    fence: Fence,
    now: i64,
) -> Result<Result<(), StoreError>, Failure> {
    if let Err(refusal) = context.check_alive(fence) {
        return Ok(Err(refusal));
    }
    for ended in context.ended(fence, now) {
        end(connection, ended).await?;
        context.workers.remove(&ended);
    }
    Ok(Ok(()))
}

async fn set_target(
    connection: &mut SqliteConnection,
    channel: &str,
    chat: &str,
    dead: Option<&(i64, String)>,
) -> Answered {
    let query = match dead {
        Some((until, reason)) => sqlx::query(
            "INSERT INTO targets (channel, chat, until, reason) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (channel, chat) DO UPDATE SET until = ?3, reason = ?4",
        )
        .bind(channel.to_owned())
        .bind(chat.to_owned())
        .bind(*until)
        .bind(reason.clone()),
        None => sqlx::query("DELETE FROM targets WHERE channel = ? AND chat = ?")
            .bind(channel.to_owned())
            .bind(chat.to_owned()),
    };
    query.execute(connection).await?;
    Ok(Ok(Answer::Done))
}

async fn note_preview(
    connection: &mut SqliteConnection,
    channel: &str,
    key: &str,
    shown: &str,
    now: i64,
) -> Answered {
    let query = "INSERT INTO previews (channel, key, shown, noted_at) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (channel, key) DO UPDATE SET shown = ?3, noted_at = ?4";
    let query = sqlx::query(query).bind(channel.to_owned());
    let query = query.bind(key.to_owned()).bind(shown.to_owned()).bind(now);
    query.execute(connection).await?;
    Ok(Ok(Answer::Done))
}

async fn retry_event(
    connection: &mut SqliteConnection,
    event: i64,
    now: i64,
    tally: &mut Tally,
) -> Answered {
    let query = "UPDATE events SET phase = 1, owner = 0, state = 'received', attempts = 0, \
                 not_before = 0, reason = NULL, touched_at = ? WHERE seq = ? AND phase = 2";
    let query = sqlx::query(query).bind(now).bind(event);
    let changed = query.execute(connection).await?.rows_affected() > 0;
    if changed {
        tally.event(Some(EventState::Dead), EventState::Received);
    }
    Ok(Ok(Answer::Changed(changed)))
}

async fn drop_event(
    connection: &mut SqliteConnection,
    event: i64,
    now: i64,
    tally: &mut Tally,
) -> Answered {
    let query = "UPDATE events SET phase = 3, touched_at = ? WHERE seq = ? AND phase = 2";
    let query = sqlx::query(query).bind(now).bind(event);
    let changed = query.execute(&mut *connection).await?.rows_affected() > 0;
    if changed {
        tally.no_event(EventState::Dead);
        let query = sqlx::query("DELETE FROM payloads WHERE seq = ?").bind(event);
        query.execute(connection).await?;
    }
    Ok(Ok(Answer::Changed(changed)))
}

async fn retry_delivery(
    connection: &mut SqliteConnection,
    delivery: i64,
    now: i64,
    tally: &mut Tally,
) -> Answered {
    let Some(row) = dead_delivery(connection, delivery).await? else {
        return Ok(Ok(Answer::Changed(false)));
    };
    let (Some(stored), is_whole) = stored_delivery(&row)? else {
        return Ok(Err(super::error::corrupt(
            "the stored parts cannot be read",
        )));
    };
    if is_whole {
        let (channel, chat) = (
            &stored.delivery.channel,
            stored.delivery.message.to.target(),
        );
        let (channel, chat) = (channel.as_str(), chat.chat.as_str());
        if let Err(refusal) = set_target(connection, channel, chat, None).await? {
            return Ok(Err(refusal));
        }
    }
    let before = stored.parts;
    let after = rules::revive_parts(&before);
    tally.parts(&before, &after);
    let query = "UPDATE deliveries SET parts = ?, phase = ?, owner = 0, touched_at = ? \
                 WHERE id = ?";
    let query = sqlx::query(query).bind(parts_to_json(&after)?);
    let query = query.bind(phase::OPEN).bind(now).bind(delivery);
    query.execute(connection).await?;
    Ok(Ok(Answer::Changed(true)))
}

async fn drop_delivery(
    connection: &mut SqliteConnection,
    delivery: i64,
    now: i64,
    tally: &mut Tally,
) -> Answered {
    let Some(row) = dead_delivery(connection, delivery).await? else {
        return Ok(Ok(Answer::Changed(false)));
    };
    // What cannot be read was never counted in a way that could be taken back.
    let before = stored_delivery(&row)?.0.map(|stored| stored.parts);
    tally.parts(&before.unwrap_or_default(), &[]);
    let query = "UPDATE deliveries SET phase = ?, touched_at = ? WHERE id = ?";
    let query = sqlx::query(query).bind(phase::DROPPED);
    let query = query.bind(now).bind(delivery);
    query.execute(&mut *connection).await?;
    let query = sqlx::query("DELETE FROM messages WHERE delivery = ?");
    query.bind(delivery).execute(connection).await?;
    Ok(Ok(Answer::Changed(true)))
}

async fn dead_delivery(
    connection: &mut SqliteConnection,
    delivery: i64,
) -> Result<Option<SqliteRow>, Failure> {
    let query = format!("{DELIVERY} WHERE id = ? AND phase = 2");
    let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(delivery);
    Ok(query.fetch_optional(connection).await?)
}
