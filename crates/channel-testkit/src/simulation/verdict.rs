//! What has to hold when all is said and done.

use std::time::Duration;

use channel_core::{ChannelId, OutboundMessage, Target};
use channel_delivery::{
    EventState, JournalEntry, NewDelivery, PartState, Store as _, StoredDelivery, WorkerId,
};

use super::application::Saying;
use super::drive::Simulation;
use super::invariant::Invariant;
use super::platform::CHANNEL;
use super::process::ATTEMPTS;
use super::words::{event_id, event_number, parts, payload, reply_text};
use crate::wait::lock;

/// More rows than a simulation has.
const ALL: usize = 100_000;

/// Whether everything that was said is on record, and every row is final.
pub(super) async fn is_finished(simulation: &Simulation) -> bool {
    let counts = simulation.counts().await;
    let recorded: u64 = counts.events.values().sum();
    let events = counts.events.keys().all(|state| state.is_final());
    let parts = counts.parts.keys().all(|state| state.is_final());
    let said = lock(&simulation.sayings)
        .iter()
        .all(|saying| *saying == Saying::Done);
    recorded >= simulation.scenario.said.len() as u64 && events && parts && said
}

/// Says what is not finished although it had all the time.
pub(super) async fn not_at_rest(simulation: &Simulation) {
    let counts = simulation.counts().await;
    let said = simulation.scenario.said.len();
    simulation.world.broken(Invariant::EndsInAFinalState, || {
        format!("of {said} events and their replies these are where they are: {counts:?}")
    });
}

pub(super) async fn at_the_end(simulation: &Simulation) {
    let truth = simulation.store.truth();
    let journal = truth.journal(None, ALL).await.unwrap_or_default();
    every_event_is_accounted_for(simulation, &journal);
    let mut deliveries = unasked_deliveries(simulation).await;
    deliveries.extend(journal.iter().flat_map(|entry| entry.deliveries.clone()));
    the_store_has_what_it_said(simulation, &journal, &deliveries);
    what_is_delivered_is_shown(simulation, &deliveries);
    no_preview_outlives_its_answer(simulation);
    for entry in &journal {
        what_is_handled_is_answered(simulation, entry);
    }
}

fn every_event_is_accounted_for(simulation: &Simulation, journal: &[JournalEntry]) {
    for number in 0..simulation.scenario.said.len() {
        let id = event_id(number);
        let entry = journal
            .iter()
            .find(|entry| entry.event.event.id.as_str() == id);
        let state = entry.map(|entry| entry.event.state);
        if !state.is_some_and(EventState::is_final) {
            simulation.world.broken(Invariant::EndsInAFinalState, || {
                let state = state.map_or("not on record", EventState::as_str);
                format!("{id} is {state} in the end")
            });
        }
    }
}

fn the_store_has_what_it_said(
    simulation: &Simulation,
    journal: &[JournalEntry],
    deliveries: &[StoredDelivery],
) {
    let rows = lock(&simulation.ledger.rows);
    let lies = |what: String| simulation.world.broken(Invariant::NoLies, || what);
    for (seq, row) in &rows.events {
        let entry = journal
            .iter()
            .find(|entry| entry.event.seq.number() == *seq);
        let there = entry.map(|entry| entry.event.state);
        if there != Some(row.state) {
            let (id, state) = (&row.id, row.state);
            lies(format!("{id} was said to be {state} and is {there:?}"));
        }
    }
    for (id, row) in &rows.deliveries {
        let stored = deliveries.iter().find(|stored| stored.id.number() == *id);
        let there: Option<Vec<_>> =
            stored.map(|stored| stored.parts.iter().map(|part| part.state).collect());
        let said: Vec<_> = row.parts.iter().map(|part| part.state).collect();
        if there.as_ref() != Some(&said) {
            let key = &row.key;
            lies(format!("{key} was said to be {said:?} and is {there:?}"));
        }
    }
}

fn what_is_delivered_is_shown(simulation: &Simulation, deliveries: &[StoredDelivery]) {
    let shown = simulation.platform.shown();
    for stored in deliveries {
        let channel_core::Body::Plain(text) = &stored.delivery.message.body else {
            continue;
        };
        for (words, part) in parts(text).iter().zip(&stored.parts) {
            let payload = payload(words).unwrap_or_default();
            let times = shown.iter().filter(|it| it.payload == payload).count();
            if part.state == PartState::Delivered && times == 0 {
                simulation.world.broken(Invariant::NoLies, || {
                    format!("{payload} is delivered on record and is not shown")
                });
            }
            if matches!(part.state, PartState::Suppressed) && times > 0 {
                simulation.world.broken(Invariant::SentOnlyAsPlanned, || {
                    format!("{payload} is suppressed and is shown")
                });
            }
        }
    }
}

/// A preview beside its answer is one too many, unless somebody was told of it.
fn no_preview_outlives_its_answer(simulation: &Simulation) {
    let shown = simulation.platform.shown();
    let reported = lock(&simulation.left_behind);
    for (at, of) in simulation.platform.previews() {
        let is_answered = shown.iter().any(|shown| shown.payload == of);
        let event = of.split('.').next().unwrap_or_default();
        // Where it is not known what stays, the key of the answer is all there is.
        let is_told = reported.iter().any(|(key, messages)| {
            messages.contains(&at) || (messages.is_empty() && key.split('/').next() == Some(event))
        });
        if is_answered && !is_told {
            simulation.world.broken(Invariant::NoPreviewLeftBehind, || {
                format!("{at} shows a preview of {of}, which is shown, and nobody was told")
            });
        }
    }
}

/// An event that was handled without a remark has all its replies on show.
fn what_is_handled_is_answered(simulation: &Simulation, entry: &JournalEntry) {
    let number = event_number(entry.event.event.id.as_str());
    let said = number.and_then(|number| simulation.scenario.said.get(number));
    let (Some(number), Some(said)) = (number, said) else {
        return;
    };
    let behaviour = &said.behaviour;
    let state = entry.event.state;
    let expected = match state {
        // A reply that was refused ends the handler before it comes to its failure.
        EventState::Handled if entry.reason.is_some() => {
            !behaviour.refused || simulation.scenario.skips()
        }
        EventState::Refused => behaviour.refused,
        EventState::Handled => {
            !behaviour.poison && behaviour.fails < ATTEMPTS && !behaviour.refused
        }
        _ => true,
    };
    if !expected {
        simulation.world.broken(Invariant::NoLies, || {
            format!("e{number} is {state}, which its handler cannot have brought about")
        });
    }
    if state != EventState::Handled || entry.reason.is_some() {
        return;
    }
    let shown = simulation.platform.shown();
    let mut replies = behaviour.replies.clone();
    if behaviour.previews > 0 {
        replies.push(1);
    }
    for (reply, count) in replies.into_iter().enumerate() {
        for part in parts(&reply_text(number, reply, count)) {
            if !shown.iter().any(|shown| shown.payload == part) {
                simulation.world.broken(Invariant::NoLies, || {
                    format!("e{number} is handled and {part} is not shown")
                });
            }
        }
    }
}

/// The deliveries that answer nothing: the journal does not show them, planning them again
/// does.
async fn unasked_deliveries(simulation: &Simulation) -> Vec<StoredDelivery> {
    let truth = simulation.store.truth();
    let now = simulation.world.now();
    let auditor = WorkerId::new("the auditor");
    let Ok(fence) = truth.enroll(&auditor, Duration::from_secs(60), now).await else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for number in 0..simulation.scenario.unasked.len() {
        let to = Target::chat("nowhere");
        let key = format!("unasked-{number}");
        let message = OutboundMessage::new(to, "");
        let again = NewDelivery::new(ChannelId::new(CHANNEL), key.into(), message, 1);
        if let Ok(planned) = truth.plan(fence, again, now).await
            && !planned.is_new
        {
            found.push(planned.delivery);
        }
    }
    found
}
