//! What was planned first in a conversation comes first, whoever has planned it.

use channel_core::{OutboundMessage, Target};

use super::bench::{Bench, Done, LEASE, at, delivery, ensure, refused, same};
use crate::outbound::{Ahead, DeliveryId, NewDelivery, Part, PartState, StoredDelivery};
use crate::store::StoreErrorKind::Fenced;

fn elsewhere(key: &str) -> NewDelivery {
    let mut new = delivery(key, 1);
    new.message = OutboundMessage::new(Target::chat("bob"), new.message.body);
    new
}

fn ids(taken: &[StoredDelivery]) -> Vec<DeliveryId> {
    taken.iter().map(|stored| stored.id).collect()
}

fn found(ahead: &Ahead) -> (Vec<DeliveryId>, bool) {
    (ids(&ahead.mine), ahead.more)
}

pub(crate) async fn says_whether_others_have_planned_before(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let first = store.plan(me, delivery("1", 1), at(1)).await?;
    let second = store.plan(me, delivery("2", 1), at(1)).await?;
    for (what, planned) in [("the first", first), ("one's own", second)] {
        ensure(
            !planned.is_behind_others,
            format!("{what} is behind others"),
        )?;
    }
    let other = bench.worker("b").await?;
    let third = store.plan(other, delivery("3", 1), at(1)).await?;
    ensure(third.is_behind_others, "not behind the living")?;
    store.leave(me, at(1)).await?;
    let fourth = store.plan(other, delivery("4", 1), at(1)).await?;
    ensure(fourth.is_behind_others, "not behind the dead")?;
    let again = store.plan(other, delivery("4", 1), at(1)).await?;
    ensure(again.is_behind_others, "not behind them when it is found")
}

pub(crate) async fn takes_over_what_is_ahead_and_waits_for_the_living(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let dead = bench.worker("dead").await?;
    let first = bench.part_in(dead, "1", PartState::Sending).await?;
    bench.part_in(dead, "done", PartState::Delivered).await?;
    store.plan(dead, elsewhere("elsewhere"), at(1)).await?;
    let second = bench.planned(dead, "2", 2).await?.id;
    let lives = bench.worker("lives").await?;
    let third = bench.planned(lives, "3", 1).await?;
    let fourth = bench.planned(dead, "4", 1).await?;
    let me = bench.worker_at("me", at(1)).await?;
    let mine = bench.planned(me, "mine", 1).await?;
    bench.planned(dead, "behind", 1).await?;

    let ahead = store.ahead(me, mine.id, 9, at(1)).await?;
    same("while both live", &found(&ahead), &(vec![], true))?;
    store.leave(dead, at(1)).await?;
    let ahead = store.ahead(me, mine.id, 1, at(1)).await?;
    same("up to the limit", &found(&ahead), &(vec![first.id], true))?;
    let ahead = store.ahead(me, mine.id, 9, at(1)).await?;
    same(
        "up to the living",
        &found(&ahead),
        &(vec![first.id, second], true),
    )?;
    same("as it was", &ahead.mine.first(), &Some(&first))?;
    let sending = Part::prepared().sending();
    let change = vec![(0, sending.because(PartState::Uncertain, "why"))];
    store.update(me, first.id, change, at(1)).await?;
    // Its lease ends.
    store.renew(me, LEASE, at(30)).await?;
    let ahead = store.ahead(me, mine.id, 9, at(30)).await?;
    let expected = vec![second, third.id, fourth.id];
    same("of the dead", &found(&ahead), &(expected, false))?;
    let late = store.ahead(lives, third.id, 9, at(30)).await;
    refused("for the dead", late, Fenced)?;
    let nothing = store.ahead(me, first.id, 9, at(30)).await?;
    same("ahead of the first", &found(&nothing), &(vec![], false))?;
    let nothing = store.ahead(me, DeliveryId::new(999), 9, at(30)).await?;
    same("of what is not there", &found(&nothing), &(vec![], false))
}

pub(crate) async fn claims_nothing_that_stands_behind_the_living(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let lives = bench.worker("lives").await?;
    let first = bench.planned(lives, "1", 1).await?;
    let dead = bench.worker("dead").await?;
    let second = bench.planned(dead, "2", 1).await?;
    let other = store.plan(dead, elsewhere("3"), at(1)).await?.delivery;
    let me = bench.worker("me").await?;
    store.leave(dead, at(1)).await?;
    let claimed = store.claim_deliveries(me, 1, at(1)).await?;
    same("what is free", &ids(&claimed), &vec![other.id])?;
    let claimed = store.claim_deliveries(me, 9, at(1)).await?;
    same("what is behind", &ids(&claimed), &vec![])?;
    store.leave(lives, at(1)).await?;
    let claimed = store.claim_deliveries(me, 9, at(1)).await?;
    same("in order", &ids(&claimed), &ids(&[first, second]))
}
