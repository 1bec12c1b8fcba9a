//! Writes what a batch has changed, in one trip.

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use super::codec::{parts_to_json, to_millis};
use super::error::Failure;
use super::heap::{Heap, Rows};
use super::hot::{DeliveryRow, EventRow, Hot, NewDeliveryRow, NewRow};
use super::phase;
use super::tally::Tally;
use super::writer::in_log;
use crate::worker::Fence;

const HOT: &str = include_str!("sql/save.sql");
/// The end of a transaction that ends with a batch, and how many frames the log holds then.
const COMMIT: &str = concat!(
    include_str!("sql/save.sql"),
    "COMMIT; PRAGMA wal_checkpoint(NOOP)"
);

/// The parameters of the statements.
#[derive(Default)]
struct Changes {
    words: Heap,
    new_events: Rows,
    events: Rows,
    finished_events: Rows,
    new_deliveries: Rows,
    deliveries: Rows,
    moved_deliveries: Rows,
    cursors: Rows,
    tallies: Rows,
}

/// Writes it all.
pub(crate) async fn hot(connection: &mut SqliteConnection, hot: Hot<'_>) -> Result<(), Failure> {
    let changes = changes(connection, hot).await?;
    changes.write(connection).await
}

/// Writes it all and commits; how many frames the log holds.
pub(crate) async fn last(
    connection: &mut SqliteConnection,
    hot: Hot<'_>,
) -> Result<usize, Failure> {
    let changes = changes(connection, hot).await?;
    let rows = changes.bound(COMMIT).fetch_all(connection).await?;
    rows.last().map_or(Ok(0), in_log)
}

async fn changes(connection: &mut SqliteConnection, mut hot: Hot<'_>) -> Result<Changes, Failure> {
    for (fence, until) in &hot.renewed {
        renew(connection, *fence, *until).await?;
    }
    for fence in &hot.ended {
        end(connection, *fence).await?;
    }
    let mut changes = Changes::default();
    changes.add(&hot)?;
    changes.tally(&mut hot.tally);
    Ok(changes)
}

/// Writes counts alone.
pub(crate) async fn tally(
    connection: &mut SqliteConnection,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut changes = Changes::default();
    changes.tally(tally);
    changes.write(connection).await
}

impl Changes {
    fn add(&mut self, hot: &Hot<'_>) -> Result<(), Failure> {
        hot.new_events.iter().for_each(|row| self.new_event(row));
        for (seq, row) in hot.events.iter().filter(|(_, row)| row.is_dirty) {
            self.event(*seq, row);
        }
        for row in &hot.new_deliveries {
            self.new_delivery(row)?;
        }
        for (id, row) in hot.deliveries.iter().filter(|(_, row)| row.is_dirty) {
            self.delivery(*id, row)?;
        }
        for (channel, cursor) in &hot.cursors {
            let row = [
                self.words.put(channel).into(),
                self.words.put(cursor).into(),
            ];
            self.cursors.push(&row);
        }
        Ok(())
    }

    fn new_event(&mut self, row: &NewRow<'_>) {
        let lane = row.columns.lane.as_deref();
        let columns = [
            row.seq.into(),
            row.owner.number().into(),
            row.now.into(),
            self.words.put(&row.columns.channel).into(),
            self.words.put(&row.columns.id).into(),
            lane.map(|lane| self.words.put(lane)).into(),
            self.words.put(&row.columns.payload).into(),
        ];
        self.new_events.push(&columns);
    }

    fn event(&mut self, seq: i64, row: &EventRow) {
        let status = &row.status;
        let reason = status.reason.as_deref();
        let columns = [
            seq.into(),
            i64::from(status.attempts).into(),
            to_millis(status.not_before).into(),
            to_millis(status.touched_at).into(),
            self.words.put(status.state.as_str()).into(),
            reason.map(|reason| self.words.put(reason)).into(),
            phase::of_event(status.state).into(),
        ];
        if status.state.is_final() {
            self.finished_events.push(&columns);
        } else {
            self.events.push(&columns);
        }
    }

    fn new_delivery(&mut self, row: &NewDeliveryRow<'_>) -> Result<(), Failure> {
        let columns = [
            row.id.into(),
            row.owner.number().into(),
            row.now.into(),
            row.columns.answers.unwrap_or(0).into(),
            phase::of_parts(&row.parts).into(),
            self.words.put(&row.columns.channel).into(),
            self.words.put(&row.columns.key).into(),
            self.words.put(&parts_to_json(&row.parts)?).into(),
            self.words.put(&row.columns.message).into(),
        ];
        self.new_deliveries.push(&columns);
        Ok(())
    }

    fn delivery(&mut self, id: i64, row: &DeliveryRow) -> Result<(), Failure> {
        let columns = [
            id.into(),
            row.touched_at.into(),
            self.words.put(&parts_to_json(&row.parts)?).into(),
            row.phase.into(),
            row.owner.number().into(),
        ];
        if row.was == (row.phase, row.owner) {
            self.deliveries.push(&columns);
        } else {
            self.moved_deliveries.push(&columns);
        }
        Ok(())
    }

    fn tally(&mut self, tally: &mut Tally) {
        for (name, change) in tally.take() {
            let name = self.words.put(&name).into();
            self.tallies.push(&[change.into(), name]);
        }
    }

    async fn write(self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        self.bound(HOT).execute(connection).await?;
        Ok(())
    }

    fn bound(self, statements: &'static str) -> Query<'static, Sqlite, SqliteArguments> {
        let query = sqlx::query(statements);
        let query = query.bind(self.words.into_bytes());
        let query = query.bind(self.new_events.into_json());
        let query = query.bind(self.events.into_json());
        let query = query.bind(self.finished_events.into_json());
        let query = query.bind(self.new_deliveries.into_json());
        let query = query.bind(self.deliveries.into_json());
        let query = query.bind(self.moved_deliveries.into_json());
        let query = query.bind(self.cursors.into_json());
        query.bind(self.tallies.into_json())
    }
}

async fn renew(connection: &mut SqliteConnection, fence: Fence, until: i64) -> Result<(), Failure> {
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
