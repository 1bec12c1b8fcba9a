//! What is not in the tables of states does not happen.

use super::bench::{
    Bench, Done, Stop, at, dead, ensure, handled, nowhere, refused, retry, same, seqs, step_to,
};
use crate::inbound::{EventState, Outcome, Seq};
use crate::outbound::{DeliveryId, Part, PartState};
use crate::store::StoreErrorKind;
use crate::worker::Fence;

fn outcomes() -> [Outcome; 4] {
    let reason = "stranger".to_owned();
    [
        handled(),
        Outcome::Refused { reason },
        retry(at(60)),
        dead(),
    ]
}

async fn event_in(bench: &Bench<'_>, me: Fence, id: &str, state: EventState) -> Result<Seq, Stop> {
    let seq = bench.recorded(me, nowhere(id)).await?;
    match outcomes().into_iter().find(|end| end.state() == state) {
        Some(end) => bench.ended(me, seq, end).await?,
        None if state == EventState::Handling => {
            bench.store()?.begin(me, seq, at(1)).await?;
        }
        None => {}
    }
    Ok(seq)
}

pub(crate) async fn refuses_every_illegal_transition_of_an_event(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    for (round, state) in EventState::ALL.into_iter().enumerate() {
        let steps = outcomes().into_iter().map(Some).chain([None]);
        for (step, end) in steps.enumerate() {
            let next = end.as_ref().map_or(EventState::Handling, Outcome::state);
            let seq = event_in(bench, me, &format!("{round} {step}"), state).await?;
            let before = store.counts().await?;
            let result = match end {
                Some(end) => store.finish(me, seq, end, at(2)).await,
                None => store.begin(me, seq, at(2)).await.map(drop),
            };
            let what = format!("from {state} to {next}");
            if state.may_become(next) {
                ensure(result.is_ok(), format_args!("{what}: {result:?}"))?;
            } else {
                refused(&what, result, StoreErrorKind::Illegal)?;
                same(&what, &store.counts().await?, &before)?;
            }
        }
    }
    Ok(())
}

pub(crate) async fn refuses_every_illegal_transition_of_a_part(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    for from in PartState::ALL {
        for to in PartState::ALL {
            let what = format!("from {from} to {to}");
            let planned = bench.part_in(me, &what, from).await?;
            let part = planned
                .parts
                .first()
                .cloned()
                .unwrap_or_else(Part::prepared);
            let before = store.counts().await?;
            let change = vec![(0, step_to(&part, to))];
            let result = store.update(me, planned.id, change, at(2)).await;
            // Only by hand is anything prepared again.
            if from.may_become(to) {
                ensure(result.is_ok(), format_args!("{what}: {result:?}"))?;
            } else {
                refused(&what, result, StoreErrorKind::Illegal)?;
                same(&what, &store.counts().await?, &before)?;
            }
        }
    }
    Ok(())
}

pub(crate) async fn refuses_what_is_not_there(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let illegal = StoreErrorKind::Illegal;
    let nothing = Seq::new(4_711);
    refused("begin", store.begin(me, nothing, at(1)).await, illegal)?;
    let finished = store.finish(me, nothing, handled(), at(1)).await;
    refused("finish", finished, illegal)?;
    let part = || vec![(0, Part::prepared().sending())];
    let updated = store
        .update(me, DeliveryId::new(4_711), part(), at(1))
        .await;
    refused("update", updated, illegal)?;
    let planned = bench.planned(me, "k", 1).await?;
    let beyond = vec![(1, Part::prepared().sending())];
    let updated = store.update(me, planned.id, beyond, at(1)).await;
    refused("a part that was not planned", updated, illegal)?;
    ensure(!store.retry_event(nothing, at(1)).await?, "retry")?;
    ensure(!store.drop_event(nothing, at(1)).await?, "drop")
}

pub(crate) async fn updates_all_parts_or_none(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let planned = bench.planned(me, "k", 2).await?;
    let change = vec![
        (0, Part::prepared().sending()),
        (1, step_to(&Part::prepared(), PartState::Delivered)),
    ];
    let result = store.update(me, planned.id, change, at(1)).await;
    refused("one of two", result, StoreErrorKind::Illegal)?;
    let found = store.plan(me, planned.delivery, at(2)).await?;
    let states: Vec<_> = found.delivery.parts.iter().map(|part| part.state).collect();
    same("parts", &states, &vec![PartState::Prepared; 2])?;
    same(
        "none claimed",
        &seqs(&store.claim(me, 9, at(2)).await?),
        &vec![],
    )
}
