//! Who gets which event, and when.

use super::bench::{Bench, Done, at, handled, nowhere, refused, retry, said, same, seqs};
use crate::inbound::{Attempt, EventState, Recorded};
use crate::store::StoreErrorKind::Fenced;

pub(crate) async fn claims_the_oldest_first_up_to_the_limit(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let mut recorded = Vec::new();
    for number in 0..12 {
        let (id, chat) = (number.to_string(), (number % 3).to_string());
        recorded.push(bench.recorded(me, said(&id, &chat, "hi")).await?);
    }
    store.leave(me, at(1)).await?;
    let next = bench.worker_at("b", at(1)).await?;
    let mut claimed = seqs(&store.claim(next, 5, at(1)).await?);
    same("the first claim", &claimed.len(), &5)?;
    claimed.extend(seqs(&store.claim(next, 5, at(1)).await?));
    claimed.extend(seqs(&store.claim(next, 5, at(1)).await?));
    same("three claims", &claimed, &recorded)
}

pub(crate) async fn claims_an_event_once(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let seq = bench.recorded(me, nowhere("1")).await?;
    same("one's own", &bench.claimed(me, at(1)).await?, &vec![])?;
    store.leave(me, at(1)).await?;
    let next = bench.worker_at("b", at(1)).await?;
    let third = bench.worker_at("c", at(1)).await?;
    same("the first", &bench.claimed(next, at(1)).await?, &vec![seq])?;
    same("the second", &bench.claimed(third, at(1)).await?, &vec![])?;
    same("once more", &bench.claimed(next, at(1)).await?, &vec![])
}

pub(crate) async fn leaves_the_conversation_of_another_worker_alone(bench: &Bench<'_>) -> Done {
    let me = bench.worker("a").await?;
    let other = bench.worker("b").await?;
    let mine = bench.recorded(me, said("1", "ada", "hi")).await?;
    let behind = match bench.record(other, said("2", "ada", "hi")).await? {
        Recorded::Fresh { seq, .. } => seq,
        known @ Recorded::Known(_) => return same("fresh", &Some(known), &None),
    };
    let free = bench.recorded(other, said("3", "bob", "hi")).await?;
    let store = bench.store()?;
    store.leave(other, at(1)).await?;
    let third = bench.worker_at("c", at(1)).await?;
    same("free", &bench.claimed(third, at(1)).await?, &vec![free])?;
    bench.ended(me, mine, handled()).await?;
    same("then", &bench.claimed(third, at(2)).await?, &vec![behind])
}

pub(crate) async fn gives_a_new_event_to_its_recorder_only_in_a_free_conversation(
    bench: &Bench<'_>,
) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let other = bench.worker("b").await?;
    let first = bench.recorded(me, said("1", "ada", "hi")).await?;
    let second = bench.recorded(me, said("2", "ada", "hi")).await?;
    let is_mine = |recorded| matches!(recorded, Recorded::Fresh { mine: true, .. });
    let third = is_mine(bench.record(other, said("3", "ada", "hi")).await?);
    same("behind another's", &third, &false)?;
    let fourth = is_mine(bench.record(me, said("4", "ada", "hi")).await?);
    same("behind nobody's", &fourth, &false)?;
    bench.ended(me, first, handled()).await?;
    bench.ended(me, second, handled()).await?;
    let claimed = store.claim(other, 9, at(2)).await?;
    same("claimed", &claimed.len(), &2)?;
    for event in claimed {
        bench.ended(other, event.seq, handled()).await?;
    }
    bench.recorded(me, said("5", "ada", "hi")).await.map(drop)
}

pub(crate) async fn claims_what_waits_with_its_moment(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let seq = bench.recorded(me, said("1", "ada", "hi")).await?;
    let behind = bench.recorded(me, said("2", "ada", "hi")).await?;
    bench.ended(me, seq, retry(at(600))).await?;
    store.leave(me, at(2)).await?;
    let next = bench.worker_at("b", at(2)).await?;
    let claimed = store.claim(next, 9, at(2)).await?;
    same("claimed", &seqs(&claimed), &vec![seq, behind])?;
    let waiting = claimed.first().map(|event| (event.state, event.not_before));
    let expected = Some((EventState::Retrying, at(600)));
    same("the one that waits", &waiting, &expected)
}

pub(crate) async fn counts_attempts_when_they_begin(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let seq = bench.recorded(me, nowhere("1")).await?;
    for number in 1..=3 {
        let attempt = store.begin(me, seq, at(1)).await?;
        same("attempt", &attempt, &Attempt::new(number))?;
    }
    store.finish(me, seq, retry(at(60)), at(1)).await?;
    store.leave(me, at(2)).await?;
    let next = bench.worker_at("b", at(2)).await?;
    let claimed = store.claim(next, 9, at(2)).await?;
    let attempts: Vec<u32> = claimed.iter().map(|event| event.attempts).collect();
    same("attempts on record", &attempts, &vec![3])
}

pub(crate) async fn finished_events_are_not_claimed(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let done = bench.recorded(me, nowhere("1")).await?;
    let open = bench.recorded(me, nowhere("2")).await?;
    bench.ended(me, done, handled()).await?;
    store.leave(me, at(2)).await?;
    let next = bench.worker_at("b", at(2)).await?;
    same("claimed", &bench.claimed(next, at(2)).await?, &vec![open])
}

pub(crate) async fn says_again_which_unfinished_events_a_worker_owns(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let other = bench.worker("b").await?;
    let mut mine = Vec::new();
    for id in ["1", "2", "3"] {
        mine.push(bench.recorded(me, nowhere(id)).await?);
    }
    bench.recorded(other, nowhere("4")).await?;
    if let Some(done) = mine.first() {
        store.begin(me, *done, at(1)).await?;
        store.finish(me, *done, handled(), at(1)).await?;
    }
    let owned = store.owned(me, None, 9).await?;
    same("what is owned", &seqs(&owned), &mine.split_off(1))?;
    let first = owned.first().map(|event| event.seq);
    let rest = store.owned(me, first, 9).await?;
    same("what is behind", &rest.len(), &1)?;
    same("a page", &store.owned(me, None, 1).await?.len(), &1)?;
    store.leave(other, at(2)).await?;
    refused("for the dead", store.owned(other, None, 9).await, Fenced)
}
