//! From the webhooks of a channel to the lanes.

use std::sync::Arc;

use async_trait::async_trait;
use channel_core::{Event, Intake, Refused, timeout_after_turn};
use tokio::sync::oneshot;

use crate::driver::{Core, Entry};
use crate::durable::{Durable, Unbroken};
use crate::inbox::{AckSlot, Duty, Noted};
use crate::lanes::Place;

/// Takes the events of one channel's webhooks.
pub(crate) struct WebhookIntake {
    pub(crate) core: Arc<Core>,
    pub(crate) entry: Arc<Entry>,
}

impl std::fmt::Debug for WebhookIntake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WebhookIntake")
            .field(&self.entry.channel.info().id)
            .finish()
    }
}

#[async_trait]
impl Intake for WebhookIntake {
    async fn take(&self, mut events: Vec<Event>) -> Result<(), Refused> {
        let (core, meters) = (&self.core, &self.entry.board.meters);
        if *core.stop.borrow() {
            return Err(Refused::Stopping);
        }
        self.entry.board.prove(core.clock.now());
        if let Some(durable) = &core.durable {
            // A secret is not written down, but handled before it is acknowledged.
            let is_secret = |event: &Event| core.policy.is_secret(event);
            let (secret, plain): (Vec<_>, Vec<_>) = events.into_iter().partition(is_secret);
            if !plain.is_empty() {
                self.record(durable, plain).await?;
            }
            if secret.is_empty() {
                return Ok(());
            }
            events = secret;
        }
        let now = core.clock.elapsed();
        // Room comes first: an event noted by one who then finds no room would meanwhile
        // pass for a duplicate, and be acknowledged, where it is delivered twice at once.
        let mut places = match self.places(&events) {
            Ok(places) => places,
            Err(refused) => {
                for _ in &events {
                    meters.received.add();
                }
                return Err(refused);
            }
        };
        let mut safe = Vec::with_capacity(events.len());
        for event in events {
            meters.received.add();
            let key = core.seen.key(&event.channel, &event.id);
            let (done, settled) = oneshot::channel();
            let duty = Duty::Webhook(done);
            match core.seen.note(key, now) {
                Noted::Fresh if core.admits(&event) => {
                    let Some(place) = places.pop() else {
                        // Not reached: there is a place for every event.
                        core.seen.forget(key);
                        return Err(Refused::Full);
                    };
                    core.submit(&self.entry, event, key, AckSlot::new(duty), place);
                }
                Noted::Fresh => {
                    meters.ignored.add();
                    continue;
                }
                Noted::Known => {
                    meters.duplicates.add();
                    continue;
                }
                Noted::UnderWay(slot) => {
                    meters.duplicates.add();
                    if slot.join(duty).is_some() {
                        continue;
                    }
                }
            }
            safe.push((key, settled));
        }
        drop(places);
        // In memory an event is safe once it has been handled. The platform cannot be
        // kept waiting for that for ever. One after the other, because all of them are under
        // way already and the last one decides.
        let all = async {
            let mut dropped = Vec::new();
            for (key, settled) in safe {
                if settled.await.is_err() {
                    dropped.push(key);
                }
            }
            dropped
        };
        let within = timeout_after_turn(core.clock.as_ref(), core.answer_within, all);
        let Ok(dropped) = within.await else {
            tracing::trace!(channel = %self.entry.channel.info().id, "acknowledged before handled");
            return Ok(());
        };
        // Dropped unhandled: the bot stops, and the platform is to come again.
        if dropped.is_empty() {
            return Ok(());
        }
        for key in dropped {
            core.seen.forget(key);
        }
        Err(Refused::Stopping)
    }
}

impl WebhookIntake {
    /// Room for all of them or none. Only a batch that could never fit is taken beyond the
    /// capacity when nothing else is there: refusing it would mean refusing it for ever.
    fn places(&self, events: &[Event]) -> Result<Vec<Place>, Refused> {
        let core = &self.core;
        let (count, lanes) = (events.len(), &core.lanes);
        let at_once = count.min(lanes.capacity());
        let Some(mut places) = lanes.try_reserve(at_once) else {
            self.entry.board.reject(count, core.clock.elapsed());
            if let Some(full) = &core.full {
                // One that has been handled, and comes again, is no news to anybody.
                let is_new =
                    |event: &&Event| !core.seen.knows(core.seen.key(&event.channel, &event.id));
                for event in events.iter().filter(is_new) {
                    full.tell(core, &self.entry, event);
                }
            }
            return Err(Refused::Full);
        };
        for _ in at_once..count {
            places.push(lanes.overbook());
        }
        Ok(places)
    }

    /// With a store: the events are safe when they are on record.
    ///
    /// The write goes on if the caller hangs up meanwhile; the platform comes again then,
    /// and finds its events known.
    async fn record(&self, durable: &Durable, events: Vec<Event>) -> Result<(), Refused> {
        let (core, meters) = (&self.core, &self.entry.board.meters);
        channel_delivery::failpoint::hit("received");
        let mut admitted = Vec::with_capacity(events.len());
        for event in events {
            meters.received.add();
            if core.admits(&event) {
                admitted.push(event);
            } else {
                meters.ignored.add();
            }
        }
        if admitted.is_empty() {
            return Ok(());
        }
        let places = self.places(&admitted)?;
        let events = admitted
            .into_iter()
            .zip(places)
            .map(|(event, place)| (event, None, place))
            .collect();
        let recorded = durable
            .record(&self.entry, &Unbroken::default(), events)
            .await;
        if recorded.is_ok() {
            channel_delivery::failpoint::hit("acked");
        }
        recorded
    }
}
