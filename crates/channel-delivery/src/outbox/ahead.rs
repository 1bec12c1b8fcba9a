//! What was planned before in the same conversation comes first, whoever has it.

use std::sync::Arc;
use std::time::Duration;

use super::registry::{Entry, Place};
use super::shared::{Halt, Shared};
use super::task::{finish, may_have_given};
use crate::outbound::{Ahead, StoredDelivery};
use crate::store::StoreErrorKind;

/// How many deliveries are taken over at once.
const AT_ONCE: usize = 64;
/// How often to look whether another worker has come to an end, or has died.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Waits until all that stands in front of a delivery whose turn it is has come to its end:
/// goes on with what dead workers have left, and waits for the living.
///
/// A living worker has a delivery for no longer than it fails and the platform lets it wait;
/// when that time has passed and nothing has come of it, it is waited for no more.
pub(super) async fn clear(shared: &Arc<Shared>, stored: &StoredDelivery) -> Result<(), Halt> {
    let settings = &shared.settings;
    let patience = settings.give_up_after.saturating_add(settings.longest_wait);
    let mut progress = shared.clock.elapsed();
    loop {
        let ahead = look(shared, stored).await?;
        let (is_last, is_stuck) = (!ahead.more, ahead.mine.is_empty());
        if is_stuck && is_last {
            return Ok(());
        }
        let mut all_ended = !is_stuck;
        for stored in ahead.mine {
            all_ended &= first(shared, stored).await;
        }
        let now = shared.clock.elapsed();
        if all_ended {
            progress = now;
            continue;
        }
        if now.saturating_sub(progress) >= patience {
            tracing::warn!(delivery = %stored.id, "what is ahead does not come to its end");
            return Ok(());
        }
        shared.pause(LOOK_AGAIN).await?;
    }
}

async fn look(shared: &Shared, stored: &StoredDelivery) -> Result<Ahead, Halt> {
    loop {
        shared.check()?;
        let worker = &shared.worker;
        let store = worker.store();
        let ahead = store.ahead(worker.fence(), stored.id, AT_ONCE, worker.now());
        let error = match ahead.await {
            Ok(ahead) => return Ok(ahead),
            Err(error) => error,
        };
        may_have_given(shared, &error);
        match error.kind() {
            StoreErrorKind::Unavailable => shared.pause(LOOK_AGAIN).await?,
            StoreErrorKind::Fenced => {
                worker.check().await;
                return Err(Halt::Taken);
            }
            _ => return Err(Halt::Store(error)),
        }
    }
}

/// Has one of them end before the one whose turn it is; whether it has.
async fn first(shared: &Arc<Shared>, stored: StoredDelivery) -> bool {
    let plan = &stored.delivery;
    let (channel, key) = (plan.channel.clone(), plan.key.clone());
    let entry = shared.registry.enter(
        plan.conversation(),
        key.clone(),
        stored.planned_at,
        Place::Beside,
    );
    match entry {
        Entry::Mine(ticket) => {
            let since = shared.clock.elapsed();
            let ended = Box::pin(finish(shared, stored, since)).await;
            let is_final = ended.is_final();
            ticket.end(ended);
            is_final
        }
        // It stands behind us, and is let through.
        Entry::Joined(follow) => {
            shared.registry.call(&channel, &key);
            follow.final_end().await
        }
    }
}
