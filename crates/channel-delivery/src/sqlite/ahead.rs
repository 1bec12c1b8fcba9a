//! What stands in front of a delivery in its conversation.
//!
//! No column holds the conversation of a delivery: it is read out of the messages, which costs
//! nobody anything who has the store to himself.

use std::collections::{BTreeSet, HashMap};

use channel_core::Conversation;
use sqlx::SqliteConnection;

use super::ask::Answer;
use super::claim::{self, DELIVERY, stored_delivery};
use super::error::Failure;
use super::hot::Context;
use super::rare::Answered;
use crate::outbound::{Ahead, DeliveryId, StoredDelivery};
use crate::worker::Fence;

pub(crate) async fn run(
    connection: &mut SqliteConnection,
    context: &Context,
    fence: Fence,
    delivery: DeliveryId,
    limit: usize,
) -> Answered {
    let Some(lane) = conversation(connection, delivery).await? else {
        return Ok(Ok(Answer::Ahead(Ahead::default())));
    };
    let query = format!(
        "{DELIVERY} INDEXED BY deliveries_owner WHERE phase = 1 AND id < ? AND channel = ? \
         ORDER BY id"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(delivery.number());
    let query = query.bind(lane.channel.as_str().to_owned());
    let mut mine: Vec<StoredDelivery> = Vec::new();
    let mut more = false;
    for row in &query.fetch_all(&mut *connection).await? {
        let (Some(stored), true) = stored_delivery(row)? else {
            // Set aside by whoever takes it over.
            continue;
        };
        if stored.delivery.conversation() != lane {
            continue;
        }
        let owner = claim::owner(row)?;
        let is_taken = owner != fence && context.workers.contains_key(&owner);
        more = is_taken || mine.len() >= limit;
        if more {
            break;
        }
        mine.push(stored);
    }
    claim::take_deliveries(connection, fence, mine.iter().map(|stored| stored.id)).await?;
    Ok(Ok(Answer::Ahead(Ahead::new(mine, more))))
}

async fn conversation(
    connection: &mut SqliteConnection,
    delivery: DeliveryId,
) -> Result<Option<Conversation>, Failure> {
    let query = format!("{DELIVERY} WHERE id = ?");
    let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(delivery.number());
    let Some(row) = query.fetch_optional(connection).await? else {
        return Ok(None);
    };
    let (stored, is_whole) = stored_delivery(&row)?;
    let stored = stored.filter(|_| is_whole);
    Ok(stored.map(|stored| stored.delivery.conversation()))
}

/// The first unfinished delivery of other living workers in each conversation.
#[derive(Debug, Default)]
pub(crate) struct Others(HashMap<Conversation, i64>);

impl Others {
    pub(crate) async fn read(
        connection: &mut SqliteConnection,
        context: &Context,
        fence: Fence,
    ) -> Result<Self, Failure> {
        let mut first = HashMap::new();
        for other in context.workers.keys().filter(|other| **other != fence) {
            let query = format!("{DELIVERY} WHERE phase = 1 AND owner = ?");
            let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(other.number());
            for row in &query.fetch_all(&mut *connection).await? {
                if let (Some(stored), true) = stored_delivery(row)? {
                    let id = stored.id.number();
                    let place = first.entry(stored.delivery.conversation()).or_insert(id);
                    *place = id.min(*place);
                }
            }
        }
        Ok(Self(first))
    }

    /// Those of these deliveries that stand behind none of them.
    pub(crate) async fn not_behind(
        &self,
        connection: &mut SqliteConnection,
        ids: BTreeSet<i64>,
    ) -> Result<BTreeSet<i64>, Failure> {
        let mut free = BTreeSet::new();
        for id in ids {
            let lane = conversation(connection, DeliveryId::new(id)).await?;
            // What cannot be read is set aside by whoever takes it over.
            let first = lane.and_then(|lane| self.0.get(&lane).copied());
            if first.is_none_or(|first| id < first) {
                free.insert(id);
            }
        }
        Ok(free)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
