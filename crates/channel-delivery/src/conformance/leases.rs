//! A worker that lost its lease changes nothing any more.

use super::bench::{
    Bench, Done, LEASE, at, delivery, ensure, handled, nowhere, refused, said, same, seqs,
};
use crate::inbound::{Attempt, EventState, NewEvent};
use crate::outbound::Part;
use crate::store::StoreErrorKind::{Fenced, Illegal};

pub(crate) async fn each_enrolment_gets_a_greater_fence(bench: &Bench<'_>) -> Done {
    let first = bench.worker("a").await?;
    let second = bench.worker("b").await?;
    ensure(second > first, "the second is not greater")?;
    bench.store()?.leave(second, at(1)).await?;
    let third = bench.worker("c").await?;
    ensure(third > second, "a fence was given twice")
}

pub(crate) async fn a_late_writer_changes_nothing(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let late = bench.worker("late").await?;
    let seq = bench.recorded(late, said("1", "ada", "hi")).await?;
    let planned = bench.planned(late, "k", 1).await?;
    store.begin(late, seq, at(1)).await?;
    // It sleeps; its lease runs out, and somebody takes over.
    let now = at(31);
    let next = bench.worker_at("next", now).await?;
    same("taken over", &bench.claimed(next, now).await?, &vec![seq])?;
    let before = store.counts().await?;
    refused("renew", store.renew(late, LEASE, now).await, Fenced)?;
    let event = NewEvent::new(nowhere("2")).cursor("late");
    refused("record", store.record(late, vec![event], now).await, Fenced)?;
    refused("claim", store.claim(late, 9, now).await, Fenced)?;
    refused("begin", store.begin(late, seq, now).await, Fenced)?;
    let finished = store.finish(late, seq, handled(), now).await;
    refused("finish", finished, Fenced)?;
    refused(
        "plan",
        store.plan(late, delivery("k2", 1), now).await,
        Fenced,
    )?;
    let change = vec![(0, Part::prepared().sending())];
    let updated = store.update(late, planned.id, change, now).await;
    refused("update", updated, Fenced)?;
    let claimed = store.claim_deliveries(late, 9, now).await;
    refused("claim of deliveries", claimed, Fenced)?;
    refused("leave", store.leave(late, now).await, Fenced)?;
    same("counts", &store.counts().await?, &before)?;
    same("cursor", &store.cursor(&"acme".into()).await?, &None)
}

pub(crate) async fn a_lease_nobody_took_over_can_be_renewed(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let seq = bench.recorded(me, nowhere("1")).await?;
    store.renew(me, LEASE, at(100)).await?;
    store.begin(me, seq, at(100)).await.map(drop)?;
    Ok(())
}

pub(crate) async fn a_renewed_lease_keeps_what_it_owns(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let other = bench.worker("b").await?;
    let seq = bench.recorded(me, nowhere("1")).await?;
    bench.planned(me, "k", 1).await?;
    store.renew(me, LEASE, at(20)).await?;
    same("at 40 s", &bench.claimed(other, at(40)).await?, &vec![])?;
    let deliveries = store.claim_deliveries(other, 9, at(40)).await?;
    same("deliveries at 40 s", &deliveries.len(), &0)?;
    same("at 51 s", &bench.claimed(other, at(51)).await?, &vec![seq])
}

pub(crate) async fn leaving_frees_at_once_what_is_unfinished(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let other = bench.worker("b").await?;
    let seq = bench.recorded(me, nowhere("1")).await?;
    let planned = bench.planned(me, "k", 1).await?;
    store.leave(me, at(1)).await?;
    let claimed = store.claim(other, 9, at(1)).await?;
    same("freed", &seqs(&claimed), &vec![seq])?;
    let untouched = |(state, attempts)| (state, attempts) == (EventState::Received, 0);
    let states = claimed.iter().map(|event| (event.state, event.attempts));
    ensure(states.into_iter().all(untouched), "it counts as touched")?;
    let deliveries = store.claim_deliveries(other, 9, at(1)).await?;
    let found: Vec<_> = deliveries.iter().map(|found| found.id).collect();
    same("freed deliveries", &found, &vec![planned.id])
}

pub(crate) async fn only_the_owner_begins_and_finishes(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let other = bench.worker("b").await?;
    let seq = bench.recorded(me, nowhere("1")).await?;
    refused("begin", store.begin(other, seq, at(1)).await, Fenced)?;
    let attempt = store.begin(me, seq, at(1)).await?;
    same("attempt", &attempt, &Attempt::new(1))?;
    let finished = store.finish(other, seq, handled(), at(1)).await;
    refused("finish", finished, Fenced)?;
    store.finish(me, seq, handled(), at(1)).await?;
    let again = store.finish(me, seq, handled(), at(1)).await;
    refused("finish of a finished one", again, Illegal)
}

pub(crate) async fn only_the_owner_updates_a_delivery(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let other = bench.worker("b").await?;
    let planned = bench.planned(me, "k", 1).await?;
    let change = || vec![(0, Part::prepared().sending())];
    let updated = store.update(other, planned.id, change(), at(1)).await;
    refused("update", updated, Fenced)?;
    Ok(store.update(me, planned.id, change(), at(1)).await?)
}

pub(crate) async fn a_crash_frees_what_the_dead_worker_owned(bench: &Bench<'_>) -> Done {
    let me = bench.worker("a").await?;
    let first = bench.recorded(me, said("1", "ada", "hi")).await?;
    let second = bench.recorded(me, said("2", "ada", "hi")).await?;
    bench.store()?.begin(me, first, at(1)).await?;
    let planned = bench.planned(me, "k", 2).await?;
    let store = bench.restart().await?;
    let soon = at(2);
    let next = bench.worker_at("b", soon).await?;
    let mut now = soon;
    let mut claimed = store.claim(next, 9, now).await?;
    if bench.proves_death() {
        ensure(!claimed.is_empty(), "the dead worker's lease was not ended")?;
    } else {
        ensure(claimed.is_empty(), "a living worker was robbed")?;
        now = at(31);
        claimed = store.claim(next, 9, now).await?;
    }
    same("claimed", &seqs(&claimed), &vec![first, second])?;
    let found: Vec<_> = claimed
        .iter()
        .map(|event| (event.state, event.attempts))
        .collect();
    let expected = vec![(EventState::Handling, 1), (EventState::Received, 0)];
    same("states", &found, &expected)?;
    let attempt = store.begin(next, first, now).await?;
    same("the second attempt", &attempt, &Attempt::new(2))?;
    let deliveries = store.claim_deliveries(next, 9, now).await?;
    same("deliveries", &deliveries, &vec![planned])
}
