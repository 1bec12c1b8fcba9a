//! What people do with events and deliveries: look, retry, drop, count, sweep, replay.

use std::collections::BTreeMap;

use channel_core::ChatId;

use super::bench::{
    Bench, Done, Stop, at, dead, delivery, ensure, handled, nowhere, refused, said, same, step_to,
};
use crate::inbound::{EventState, Recorded, Seq};
use crate::outbound::{Part, PartState, StoredDelivery};
use crate::store::StoreErrorKind::Illegal;
use crate::worker::Fence;

pub(crate) async fn lists_dead_events_and_retries_them(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let mut all = Vec::new();
    for id in ["1", "2", "3"] {
        let seq = bench.recorded(me, said(id, "ada", "hi")).await?;
        bench.ended(me, seq, dead()).await?;
        all.push(seq);
    }
    let open = bench.recorded(me, nowhere("4")).await?;
    let listed = store.dead_events(None, 2).await?;
    let after = listed.last().map(|event| event.seq);
    let rest = store.dead_events(after, 9).await?;
    let listed: Vec<_> = listed.into_iter().chain(rest).collect();
    let seqs: Vec<Seq> = listed.iter().map(|event| event.seq).collect();
    same("listed", &seqs, &all)?;
    let Some(first) = listed.first() else {
        return Err(Stop::Failed("nothing is listed".to_owned()));
    };
    same("reason", &first.reason.as_str(), &"too often")?;
    same("attempts", &first.attempts, &1)?;
    same("recorded at", &first.recorded_at, &at(0))?;
    same("event", &first.event, &said("1", "ada", "hi"))?;
    ensure(
        !store.retry_event(open, at(2)).await?,
        "a living one is retried",
    )?;
    ensure(
        store.retry_event(first.seq, at(2)).await?,
        "a dead one is not retried",
    )?;
    ensure(!store.retry_event(first.seq, at(2)).await?, "retried twice")?;
    same("still dead", &store.dead_events(None, 9).await?.len(), &2)?;
    let claimed = store.claim(me, 9, at(2)).await?;
    let found: Vec<_> = claimed
        .iter()
        .map(|e| (e.seq, e.state, e.attempts))
        .collect();
    same("free", &found, &vec![(first.seq, EventState::Received, 0)])
}

pub(crate) async fn a_dropped_event_does_not_come_back(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let seq = bench.recorded(me, nowhere("1")).await?;
    ensure(
        !store.drop_event(seq, at(1)).await?,
        "a living one is dropped",
    )?;
    bench.ended(me, seq, dead()).await?;
    ensure(
        store.drop_event(seq, at(2)).await?,
        "a dead one is not dropped",
    )?;
    ensure(!store.drop_event(seq, at(2)).await?, "dropped twice")?;
    ensure(!store.retry_event(seq, at(2)).await?, "retried after all")?;
    same("listed", &store.dead_events(None, 9).await?.len(), &0)?;
    same("in the journal", &store.journal(None, 9).await?.len(), &0)?;
    same("counted", &store.counts().await?.events, &BTreeMap::new())?;
    let again = bench.record(me, nowhere("1")).await?;
    same("again", &again, &Recorded::Known(EventState::Dead))
}

/// One delivered, one dead and one uncertain part.
async fn stuck(bench: &Bench<'_>, me: Fence, key: &str) -> Result<StoredDelivery, Stop> {
    let store = bench.store()?;
    let mut planned = bench.planned(me, key, 3).await?;
    let sending = Part::prepared().sending();
    let begin = (0..3).map(|at| (at, sending.clone())).collect();
    store.update(me, planned.id, begin, at(1)).await?;
    let ends = [PartState::Delivered, PartState::Dead, PartState::Uncertain];
    for (place, state) in ends.into_iter().enumerate() {
        let listed = store.dead_deliveries(None, 9).await?;
        let early = listed.iter().any(|dead| dead.delivery.id == planned.id);
        ensure(!early, "listed while a part moves")?;
        let change = vec![(place, step_to(&sending, state))];
        store.update(me, planned.id, change, at(1)).await?;
    }
    planned.parts = ends.map(|state| step_to(&sending, state)).into();
    Ok(planned)
}

pub(crate) async fn lists_stuck_deliveries_and_retries_their_lost_parts(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let first = stuck(bench, me, "k1").await?;
    let second = stuck(bench, me, "k2").await?;
    let fine = bench.part_in(me, "k3", PartState::Delivered).await?;
    let listed = store.dead_deliveries(None, 1).await?;
    let rest = store.dead_deliveries(Some(first.id), 9).await?;
    let listed = listed.into_iter().chain(rest).map(|dead| dead.delivery);
    same(
        "listed",
        &listed.collect::<Vec<_>>(),
        &vec![first.clone(), second],
    )?;
    ensure(
        !store.retry_delivery(fine.id, at(2)).await?,
        "a delivered one is retried",
    )?;
    ensure(
        store.retry_delivery(first.id, at(2)).await?,
        "a stuck one is not retried",
    )?;
    ensure(
        !store.retry_delivery(first.id, at(2)).await?,
        "retried twice",
    )?;
    let claimed = store.claim_deliveries(me, 9, at(2)).await?;
    let mut expected = first;
    for part in expected.parts.iter_mut().skip(1) {
        *part = Part::prepared();
    }
    same("free", &claimed, &vec![expected])
}

pub(crate) async fn a_retried_delivery_is_tried_although_its_chat_did_not_want_us(
    bench: &Bench<'_>,
) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let plan = stuck(bench, me, "k").await?;
    let channel = plan.delivery.channel.clone();
    let chat = plan.delivery.message.to.target().chat.clone();
    let other = ChatId::new("somebody else");
    let dead = Some((at(3_600), "blocked".to_owned()));
    for chat in [&chat, &other] {
        store.set_target(&channel, chat, dead.clone()).await?;
    }
    ensure(
        store.retry_delivery(plan.id, at(2)).await?,
        "a stuck one is not retried",
    )?;
    let found = store.dead_target(&channel, &chat, at(2)).await?;
    same("its chat", &found, &None)?;
    let found = store.dead_target(&channel, &other, at(2)).await?;
    same("another chat", &found, &dead)
}

pub(crate) async fn a_dropped_delivery_is_not_sent_again(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let dropped = stuck(bench, me, "k").await?;
    ensure(
        store.drop_delivery(dropped.id, at(2)).await?,
        "a stuck one is not dropped",
    )?;
    ensure(
        !store.drop_delivery(dropped.id, at(2)).await?,
        "dropped twice",
    )?;
    ensure(
        !store.retry_delivery(dropped.id, at(2)).await?,
        "retried after all",
    )?;
    same("listed", &store.dead_deliveries(None, 9).await?.len(), &0)?;
    same("counted", &store.counts().await?.parts, &BTreeMap::new())?;
    let again = store.plan(me, delivery("k", 3), at(2)).await?;
    ensure(!again.is_new, "its key was forgotten")?;
    same("its parts", &again.delivery.parts, &dropped.parts)?;
    let change = vec![(2, step_to(&Part::prepared(), PartState::Sending))];
    let updated = store.update(me, dropped.id, change, at(2)).await;
    refused("an update", updated, Illegal)
}

pub(crate) async fn counts_every_state(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    for (id, end) in [("1", None), ("2", Some(handled())), ("3", Some(dead()))] {
        let seq = bench.recorded(me, nowhere(id)).await?;
        if let Some(end) = end {
            bench.ended(me, seq, end).await?;
        }
    }
    for state in PartState::ALL {
        bench.part_in(me, state.as_str(), state).await?;
    }
    let counts = store.counts().await?;
    let ends = [EventState::Received, EventState::Handled, EventState::Dead];
    same(
        "events",
        &counts.events,
        &ends.map(|state| (state, 1)).into(),
    )?;
    let parts = PartState::ALL.map(|state| (state, 1)).into();
    same("parts", &counts.parts, &parts)
}

pub(crate) async fn sweeps_what_is_done_and_old(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    for (id, end) in [("1", None), ("2", Some(dead()))] {
        let seq = bench.recorded(me, nowhere(id)).await?;
        if let Some(end) = end {
            bench.ended(me, seq, end).await?;
        }
    }
    for id in ["3", "4", "5"] {
        let seq = bench.recorded(me, nowhere(id)).await?;
        bench.ended(me, seq, handled()).await?;
    }
    let young = bench.recorded(me, nowhere("6")).await?;
    store.begin(me, young, at(1)).await?;
    store.finish(me, young, handled(), at(500)).await?;
    for state in PartState::ALL {
        bench.part_in(me, state.as_str(), state).await?;
    }
    let swept = store.sweep(at(100), 2).await?;
    same("swept", &(swept.events, swept.deliveries), &(2, 2))?;
    let swept = store.sweep(at(100), 9).await?;
    same("the rest", &(swept.events, swept.deliveries), &(1, 0))?;
    let left: BTreeMap<_, _> = [
        (EventState::Received, 1),
        (EventState::Handled, 1),
        (EventState::Dead, 1),
    ]
    .into();
    let counts = store.counts().await?;
    same("left", &counts.events, &left)?;
    same("parts left", &counts.parts.values().sum::<u64>(), &5)?;
    bench.recorded(me, nowhere("3")).await?;
    let known = bench.record(me, nowhere("6")).await?;
    same("a young one", &known, &Recorded::Known(EventState::Handled))
}

pub(crate) async fn keeps_a_journal_of_events_and_answers(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let first = bench.recorded(me, said("1", "ada", "hi")).await?;
    let second = bench.recorded(me, said("2", "ada", "hi")).await?;
    let mut answers = Vec::new();
    for key in ["k1", "k2"] {
        let planned = store
            .plan(me, delivery(key, 1).answering(first), at(1))
            .await?;
        answers.push(planned.delivery);
    }
    bench.planned(me, "own account", 1).await?;
    bench.ended(me, first, dead()).await?;
    let journal = store.journal(None, 9).await?;
    let places: Vec<Seq> = journal.iter().map(|entry| entry.event.seq).collect();
    same("places", &places, &vec![first, second])?;
    let Some(entry) = journal.first() else {
        return Err(Stop::Failed("the journal is empty".to_owned()));
    };
    same("event", &entry.event.event, &said("1", "ada", "hi"))?;
    same("state", &entry.event.state, &EventState::Dead)?;
    same("reason", &entry.reason.as_deref(), &Some("too often"))?;
    same("recorded at", &entry.recorded_at, &at(0))?;
    same("answers", &entry.deliveries, &answers)?;
    let rest = store.journal(Some(first), 9).await?;
    let places: Vec<Seq> = rest.iter().map(|entry| entry.event.seq).collect();
    same("after the first", &places, &vec![second])?;
    same("up to the limit", &store.journal(None, 1).await?.len(), &1)
}
