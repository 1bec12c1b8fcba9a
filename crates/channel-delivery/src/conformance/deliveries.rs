//! Plans are written once and found again.

use channel_core::{ChannelId, ChatId, IdempotencyKey, Receipt};

use super::bench::{Bench, Done, at, delivery, ensure, receipt, refused, said, same, step_to};
use crate::outbound::{Part, PartState};
use crate::store::StoreErrorKind::Fenced;

pub(crate) async fn plans_a_key_once(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let seq = bench.recorded(me, said("1", "ada", "hi")).await?;
    let asked = delivery("k", 3).answering(seq);
    let first = store.plan(me, asked.clone(), at(1)).await?;
    ensure(first.is_new, "a new plan is not new")?;
    same("the plan", &first.delivery.delivery, &asked)?;
    same("parts", &first.delivery.parts, &vec![Part::prepared(); 3])?;
    let change = vec![(1, Part::prepared().sending())];
    store.update(me, first.delivery.id, change, at(1)).await?;
    let again = store.plan(me, asked, at(2)).await?;
    ensure(!again.is_new, "a known plan is new")?;
    same("the number", &again.delivery.id, &first.delivery.id)?;
    same(
        "the plan again",
        &again.delivery.delivery,
        &first.delivery.delivery,
    )?;
    let states: Vec<_> = again.delivery.parts.iter().map(|part| part.state).collect();
    let expected = vec![PartState::Prepared, PartState::Sending, PartState::Prepared];
    same("parts again", &states, &expected)?;
    let mut other = delivery("k", 1);
    other.channel = ChannelId::new("other");
    let other = store.plan(me, other, at(2)).await?;
    ensure(other.is_new, "a key belongs to its channel")?;
    ensure(other.delivery.id > first.delivery.id, "numbers do not grow")
}

pub(crate) async fn planning_again_takes_over_from_the_dead_only(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let planned = bench.planned(me, "k", 1).await?;
    let change = || vec![(0, Part::prepared().sending())];
    let next = bench.worker_at("b", at(20)).await?;
    store.plan(next, delivery("k", 1), at(20)).await?;
    let updated = store.update(next, planned.id, change(), at(20)).await;
    refused("of the living", updated, Fenced)?;
    store.plan(next, delivery("k", 1), at(31)).await?;
    store.update(next, planned.id, change(), at(31)).await?;
    let updated = store.update(me, planned.id, change(), at(31)).await;
    refused("by the dead", updated, Fenced)
}

pub(crate) async fn claims_deliveries_that_move_oldest_first(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let mut moving = Vec::new();
    for state in PartState::ALL {
        let planned = bench.part_in(me, state.as_str(), state).await?;
        if !state.is_final() {
            moving.push(planned);
        }
    }
    let living = bench.worker_at("b", at(2)).await?;
    let robbed = store.claim_deliveries(living, 9, at(2)).await?;
    same("of the living", &robbed.len(), &0)?;
    store.leave(me, at(2)).await?;
    let mut claimed = store.claim_deliveries(living, 2, at(2)).await?;
    same("up to the limit", &claimed.len(), &2)?;
    claimed.extend(store.claim_deliveries(living, 2, at(2)).await?);
    claimed.extend(store.claim_deliveries(living, 2, at(2)).await?);
    same("claimed", &claimed, &moving)
}

pub(crate) async fn keeps_receipts_reasons_and_moments(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let planned = bench.planned(me, "k", 3).await?;
    let sending = || Part::prepared().sending();
    let begin = (0..3).map(|at| (at, sending())).collect();
    store.update(me, planned.id, begin, at(1)).await?;
    let parts = vec![
        sending().delivered(receipt()),
        sending().failed(at(600), "busy"),
        step_to(&sending(), PartState::Uncertain),
    ];
    let change = parts.iter().cloned().enumerate().collect();
    store.update(me, planned.id, change, at(1)).await?;
    store.leave(me, at(2)).await?;
    let next = bench.worker_at("b", at(2)).await?;
    let claimed = store.claim_deliveries(next, 9, at(2)).await?;
    let found: Vec<_> = claimed.into_iter().map(|claimed| claimed.parts).collect();
    same("parts", &found, &vec![parts])
}

pub(crate) async fn remembers_dead_targets_until_they_live_again(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let (channel, chat) = (ChannelId::new("acme"), ChatId::new("ada"));
    let dead = (at(3_600), "blocked".to_owned());
    store
        .set_target(&channel, &chat, Some(dead.clone()))
        .await?;
    let found = store.dead_target(&channel, &chat, at(0)).await?;
    same("dead", &found, &Some(dead.clone()))?;
    let other = store.dead_target(&channel, &"bob".into(), at(0)).await?;
    same("another chat", &other, &None)?;
    let found = store.dead_target(&channel, &chat, at(3_600)).await?;
    same("when its time is over", &found, &None)?;
    let longer = (at(7_200), "gone".to_owned());
    store
        .set_target(&channel, &chat, Some(longer.clone()))
        .await?;
    let found = store.dead_target(&channel, &chat, at(3_600)).await?;
    same("dead again", &found, &Some(longer))?;
    store.set_target(&channel, &chat, None).await?;
    let found = store.dead_target(&channel, &chat, at(0)).await?;
    same("alive", &found, &None)
}

pub(crate) async fn says_again_which_moving_deliveries_a_worker_owns(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let other = bench.worker("b").await?;
    bench.part_in(me, "done", PartState::Delivered).await?;
    let first = bench.part_in(me, "first", PartState::Sending).await?;
    bench.planned(other, "other", 1).await?;
    let second = bench.planned(me, "second", 2).await?;
    let owned = store.owned_deliveries(me, None, 9).await?;
    let ids: Vec<_> = owned.iter().map(|stored| stored.id).collect();
    same("what is owned", &ids, &vec![first.id, second.id])?;
    let behind = store.owned_deliveries(me, Some(first.id), 9).await?;
    same("what is behind", &behind, &vec![second])?;
    same(
        "a page",
        &store.owned_deliveries(me, None, 1).await?.len(),
        &1,
    )?;
    store.leave(other, at(2)).await?;
    let dead = store.owned_deliveries(other, None, 9).await;
    refused("for the dead", dead, Fenced)
}

pub(crate) async fn remembers_what_shows_an_answer(bench: &Bench<'_>) -> Done {
    let store = bench.store()?;
    let me = bench.worker("a").await?;
    let (channel, key) = (ChannelId::new("acme"), IdempotencyKey::new("k"));
    let noted = store.preview(&channel, &key).await?;
    same("what was never noted", &noted, &None)?;
    for shown in [Receipt::default(), receipt()] {
        store
            .note_preview(me, &channel, &key, &shown, at(1))
            .await?;
        let noted = store.preview(&channel, &key).await?;
        same("what was noted", &noted, &Some(shown))?;
    }
    let other = store.preview(&ChannelId::new("other"), &key).await?;
    same("a key of another channel", &other, &None)?;
    store.sweep(at(1), 9).await?;
    ensure(
        store.preview(&channel, &key).await?.is_some(),
        "swept too early",
    )?;
    store.sweep(at(2), 9).await?;
    same("what is old", &store.preview(&channel, &key).await?, &None)?;
    store.leave(me, at(3)).await?;
    let shown = Receipt::default();
    let late = store.note_preview(me, &channel, &key, &shown, at(3)).await;
    refused("by the dead", late, Fenced)
}
