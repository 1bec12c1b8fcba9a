//! Deduplication, record and cursor are one write.

use std::sync::Arc;

use channel_core::{ChannelId, Event};
use futures_util::future::join;

use super::bench::{
    Bench, Done, Stop, at, dead, ensure, handled, nowhere, refused, retry, said, same,
};
use crate::inbound::{Attempt, EventState, NewEvent, Outcome, Recorded};
use crate::store::StoreErrorKind;

pub(crate) async fn records_an_event_once(bench: &Bench<'_>) -> Done {
    let me = bench.worker("a").await?;
    let seq = bench.recorded(me, said("1", "ada", "hi")).await?;
    let again = bench.record(me, said("1", "ada", "hi")).await?;
    same("again", &again, &Recorded::Known(EventState::Received))?;
    let next = bench.recorded(me, said("2", "ada", "hi")).await?;
    ensure(next > seq, "places do not grow")?;
    let counts = bench.store()?.counts().await?;
    same(
        "events",
        &counts.events.get(&EventState::Received),
        &Some(&2),
    )
}

pub(crate) async fn of_two_with_one_id_in_a_call_the_second_is_known(bench: &Bench<'_>) -> Done {
    let me = bench.worker("a").await?;
    let events = ["1", "1", "2"].map(|id| NewEvent::new(nowhere(id)));
    let answers = bench.store()?.record(me, events.into(), at(0)).await?;
    let fresh = |answer: &Recorded| matches!(answer, Recorded::Fresh { .. });
    let fresh: Vec<bool> = answers.iter().map(fresh).collect();
    same("fresh", &fresh, &vec![true, false, true])
}

pub(crate) async fn an_id_belongs_to_its_channel(bench: &Bench<'_>) -> Done {
    let me = bench.worker("a").await?;
    bench.recorded(me, nowhere("1")).await?;
    let mut other = nowhere("1");
    other.channel = ChannelId::new("other");
    bench.recorded(me, other).await.map(drop)
}

pub(crate) async fn moves_the_cursor_in_the_same_write(bench: &Bench<'_>) -> Done {
    let (store, channel) = (bench.store()?, ChannelId::new("acme"));
    let me = bench.worker("a").await?;
    same("cursor", &store.cursor(&channel).await?, &None)?;
    let with = |id: &str, cursor: &str| NewEvent::new(nowhere(id)).cursor(cursor);
    let events = vec![with("1", "c1"), with("2", "c2")];
    store.record(me, events, at(0)).await?;
    let moved = store.cursor(&channel).await?;
    same("the last cursor of a call", &moved.as_deref(), &Some("c2"))?;
    store.record(me, vec![with("1", "c3")], at(0)).await?;
    let moved = store.cursor(&channel).await?;
    same(
        "the cursor of a known event",
        &moved.as_deref(),
        &Some("c3"),
    )?;
    store.leave(me, at(1)).await?;
    let late = store.record(me, vec![with("3", "c4")], at(1)).await;
    refused("a record without a lease", late, StoreErrorKind::Fenced)?;
    let moved = store.cursor(&channel).await?;
    same(
        "the cursor of a refused call",
        &moved.as_deref(),
        &Some("c3"),
    )?;
    let counts = store.counts().await?;
    same("events", &counts.events.values().sum::<u64>(), &2)
}

pub(crate) async fn says_in_which_state_a_known_event_is(bench: &Bench<'_>) -> Done {
    let me = bench.worker("a").await?;
    let refusal = Outcome::Refused {
        reason: "stranger".to_owned(),
    };
    let ends = [
        ("1", Some(handled()), EventState::Handled),
        ("2", Some(refusal), EventState::Refused),
        ("3", Some(retry(at(60))), EventState::Retrying),
        ("4", Some(dead()), EventState::Dead),
        ("5", None, EventState::Handling),
    ];
    for (id, end, state) in ends {
        let seq = bench.recorded(me, nowhere(id)).await?;
        match end {
            Some(end) => bench.ended(me, seq, end).await?,
            None => drop(bench.store()?.begin(me, seq, at(1)).await?),
        }
        let again = bench.record(me, nowhere(id)).await?;
        same("again", &again, &Recorded::Known(state))?;
    }
    Ok(())
}

pub(crate) async fn one_of_64_recorders_at_once_is_first(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let mut recorders = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = Arc::clone(&store);
        let event = NewEvent::new(said("1", "ada", "hi"));
        recorders.spawn(async move { store.record(me, vec![event], at(0)).await });
    }
    let mut fresh = 0;
    while let Some(joined) = recorders.join_next().await {
        let answers = joined.map_err(|_| Stop::Failed("a recorder panicked".to_owned()))??;
        let is_fresh = |answer: &&Recorded| matches!(answer, Recorded::Fresh { .. });
        fresh += answers.iter().filter(is_fresh).count();
    }
    same("recorders that were first", &fresh, &1)
}

pub(crate) async fn keeps_the_order_of_calls_that_are_made_together(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    for id in 0..50 {
        let seq = bench.recorded(me, nowhere(&id.to_string())).await?;
        let begin = store.begin(me, seq, at(1));
        let finish = store.finish(me, seq, handled(), at(1));
        let (begun, finished) = join(begin, finish).await;
        same("the attempt", &begun?, &Attempt::new(1))?;
        finished?;
    }
    Ok(())
}

pub(crate) async fn keeps_records_over_a_restart(bench: &Bench<'_>) -> Done {
    let me = bench.worker("a").await?;
    let event: Event = said("1", "ada", "words \u{0} \u{1f600} that must come back");
    let first = NewEvent::new(event.clone()).cursor("c1");
    bench.store()?.record(me, vec![first], at(0)).await?;
    let store = bench.restart().await?;
    let channel = ChannelId::new("acme");
    let cursor = store.cursor(&channel).await?;
    same("the cursor", &cursor.as_deref(), &Some("c1"))?;
    let later = at(3_600);
    let me = bench.worker_at("b", later).await?;
    let again = bench.record(me, event.clone()).await?;
    same("again", &again, &Recorded::Known(EventState::Received))?;
    let claimed = store.claim(me, 10, later).await?;
    let events: Vec<_> = claimed.into_iter().map(|claimed| claimed.event).collect();
    same("the event", &events, &vec![event])
}
