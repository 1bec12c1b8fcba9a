//! Reads what a batch needs, in one trip.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::ask::{Ask, EventColumns, FoundColumns};
use super::codec::{event_state, from_millis, parts};
use super::error::{Failure, corrupt};
use super::heap::{Heap, Rows};
use super::hot::{Context, DeliveryRow, EventRow, Hot};
use crate::rules::EventStatus;
use crate::worker::Fence;

/// Who is alive, and the last numbers.
const CONTEXT: &str = include_str!("sql/context.sql");
const HOT: &str = include_str!("sql/load.sql");
/// The beginning of a transaction that begins with a batch.
const BEGIN: &str = concat!(
    "BEGIN IMMEDIATE;",
    include_str!("sql/context.sql"),
    include_str!("sql/load.sql")
);

/// Begins a transaction.
pub(crate) async fn begin(connection: &mut SqliteConnection) -> Result<Context, Failure> {
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await?;
    let mut context = Context::default();
    for row in sqlx::query(CONTEXT).fetch_all(connection).await? {
        number(&mut context, &row)?;
    }
    Ok(context)
}

/// Everything that these requests touch. Without a context it begins the transaction.
pub(crate) async fn hot<'a>(
    connection: &mut SqliteConnection,
    context: &mut Option<Context>,
    asks: &'a [Ask],
) -> Result<Hot<'a>, Failure> {
    let mut wanted = Wanted::default();
    asks.iter().for_each(|ask| wanted.add(ask));
    let query = sqlx::query(if context.is_some() { HOT } else { BEGIN });
    let query = query.bind(wanted.words.into_bytes());
    let query = query.bind(wanted.events.into_json());
    let query = query.bind(wanted.new_events.into_json());
    let query = query.bind(wanted.deliveries.into_json());
    let query = query.bind(wanted.new_deliveries.into_json());
    let rows = query.fetch_all(connection).await?;
    let context = context.get_or_insert_default();
    let mut hot = Hot::default();
    for row in &rows {
        match row.try_get(0)? {
            "event" => drop(hot.events.insert(row.try_get(1)?, event(row)?)),
            "name" => name(&mut hot, row, &wanted.names)?,
            "delivery" => {
                let found = delivery(row, None)?;
                hot.deliveries.entry(row.try_get(1)?).or_insert(found);
            }
            "key" => key(&mut hot, row, &wanted.keys)?,
            "movers" => {
                let owners: (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
                if let (Some(least), Some(greatest)) = owners {
                    hot.movers = Some((Fence::new(least), Fence::new(greatest)));
                }
            }
            _ => number(context, row)?,
        }
    }
    Ok(hot)
}

fn number(context: &mut Context, row: &SqliteRow) -> Result<(), Failure> {
    let number: i64 = row.try_get(1)?;
    match row.try_get(0)? {
        "worker" => {
            let until = row.try_get(2)?;
            context.workers.insert(Fence::new(number), until);
        }
        "workers" => context.numbers.fence = number,
        "events" => context.numbers.seq = number,
        "deliveries" => context.numbers.delivery = number,
        _ => {}
    }
    Ok(())
}

fn event(row: &SqliteRow) -> Result<EventRow, Failure> {
    let state = event_state(row.try_get(3)?).ok_or_else(|| corrupt("unknown state"))?;
    Ok(EventRow {
        status: EventStatus {
            owner: Fence::new(row.try_get(2)?),
            state,
            attempts: row.try_get(4)?,
            not_before: from_millis(row.try_get(5)?),
            reason: row.try_get(6)?,
            touched_at: from_millis(row.try_get(7)?),
        },
        is_dirty: false,
    })
}

/// A column, and what was asked for there.
fn asked<'a, T>(row: &SqliteRow, column: usize, all: &'a [T]) -> Result<&'a T, Failure> {
    let place: i64 = row.try_get(column)?;
    let found = usize::try_from(place).ok().and_then(|place| all.get(place));
    Ok(found.ok_or_else(|| corrupt("an answer to nothing"))?)
}

fn name(
    hot: &mut Hot<'_>,
    row: &SqliteRow,
    names: &[(&str, &str, Option<&str>)],
) -> Result<(), Failure> {
    let (channel, id, lane) = *asked(row, 1, names)?;
    let seq: Option<i64> = row.try_get(2)?;
    if let Some(seq) = seq {
        let state = event_state(row.try_get(5)?).ok_or_else(|| corrupt("unknown state"))?;
        let name = (channel.to_owned(), id.to_owned());
        hot.known.insert(name, (seq, state));
    }
    let owners: (Option<i64>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    if let (Some(lane), (Some(least), Some(greatest))) = (lane, owners) {
        let owners = (Fence::new(least), Fence::new(greatest));
        hot.lanes.insert(lane.to_owned(), owners);
    }
    Ok(())
}

fn key(hot: &mut Hot<'_>, row: &SqliteRow, keys: &[(&str, &str)]) -> Result<(), Failure> {
    let id = row.try_get(1)?;
    let found = FoundColumns {
        answers: row.try_get(6)?,
        planned_at: row.try_get(7)?,
        message: row.try_get(8)?,
    };
    let (channel, key) = *asked(row, 9, keys)?;
    hot.planned.insert((channel.to_owned(), key.to_owned()), id);
    // Over what was read without the message.
    hot.deliveries.insert(id, delivery(row, Some(found))?);
    Ok(())
}

fn delivery(row: &SqliteRow, found: Option<FoundColumns>) -> Result<DeliveryRow, Failure> {
    let (owner, phase) = (Fence::new(row.try_get(2)?), row.try_get(3)?);
    Ok(DeliveryRow {
        parts: parts(row.try_get(4)?).ok_or_else(|| corrupt("unknown parts"))?,
        found,
        owner,
        phase,
        was: (phase, owner),
        touched_at: row.try_get(5)?,
        is_dirty: false,
    })
}

/// What is to be read.
#[derive(Default)]
struct Wanted<'a> {
    words: Heap,
    events: Rows,
    new_events: Rows,
    deliveries: Rows,
    new_deliveries: Rows,
    /// Channel, id and lane of new events.
    names: Vec<(&'a str, &'a str, Option<&'a str>)>,
    /// Channel and key of new deliveries.
    keys: Vec<(&'a str, &'a str)>,
}

impl<'a> Wanted<'a> {
    fn add(&mut self, ask: &'a Ask) {
        match ask {
            Ask::Record { fence, events, .. } => {
                for event in events {
                    self.name(*fence, event);
                }
            }
            Ask::Begin { event, .. } | Ask::Finish { event, .. } => {
                self.events.push(&[event.number().into()]);
            }
            Ask::Plan { delivery, .. } => {
                let channel = self.words.put(&delivery.channel);
                let key = self.words.put(&delivery.key);
                self.new_deliveries.push(&[channel.into(), key.into()]);
                self.keys.push((&delivery.channel, &delivery.key));
            }
            Ask::Update { delivery, .. } => {
                self.deliveries.push(&[delivery.number().into()]);
            }
            _ => {}
        }
    }

    fn name(&mut self, fence: Fence, event: &'a EventColumns) {
        let channel = self.words.put(&event.channel);
        let id = self.words.put(&event.id);
        let lane = event.lane.as_deref().map(|lane| self.words.put(lane));
        let fence = fence.number().into();
        let row = [channel.into(), id.into(), lane.into(), fence];
        self.new_events.push(&row);
        let lane = event.lane.as_deref();
        self.names.push((&event.channel, &event.id, lane));
    }
}
