//! An application that sends on its own account, through an outbox of its own.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{ChannelId, Clock, OutboundMessage, Random, Receipt, Result, Target};
use channel_delivery::{Audience, Outbox, OutboxSettings, Store, Undelivered, Visibility, Worker};

use super::adapter::Adapter;
use super::drive::Simulation;
use super::gate::Gate;
use super::invariant::Invariant;
use super::platform::{CHANNEL, chat_name};
use super::words::{parts, unasked_text};
use crate::wait::lock;

/// How long a worker's lease lasts.
const LEASE: Duration = Duration::from_secs(30);
/// How often it looks whether something is to be said.
const LOOK: Duration = Duration::from_millis(600);

/// How far a message is that the application sends on its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saying {
    Open,
    /// A process is at it.
    InHand(u64),
    Done,
}

/// What one process needs for it.
pub(super) struct Application {
    pub(super) simulation: Arc<Simulation>,
    pub(super) gate: Arc<Gate>,
    pub(super) adapter: Adapter,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) settings: OutboxSettings,
    pub(super) stop: tokio::sync::watch::Receiver<bool>,
}

impl Application {
    /// Says what is to be said until it is told to stop. Enrols again when it has lost its
    /// lease.
    pub(super) async fn run(self) {
        if self.simulation.scenario.unasked.is_empty() {
            return;
        }
        while !*self.stop.borrow() {
            let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
            match Worker::start(store, clock, self.random.as_ref(), LEASE).await {
                Ok(worker) => self.work(&worker).await,
                Err(_) => self.gate.sleep(LOOK).await,
            }
        }
    }

    async fn work(&self, worker: &Worker) {
        let outbox = Outbox::new(
            worker.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.random),
            self.settings.clone(),
        );
        outbox.register(Arc::new(self.adapter.clone()));
        let keeper = worker.clone();
        tokio::spawn(async move { keeper.keep().await });
        while !*self.stop.borrow() && !worker.is_lost() {
            match self.next() {
                Some(number) => self.say(&outbox, number).await,
                None => self.gate.sleep(LOOK).await,
            }
        }
        outbox.stop();
        outbox.drained().await;
        // A lease that is not given back ends by itself.
        drop(worker.leave().await);
    }

    /// The next message that is due and that nobody alive is at.
    fn next(&self) -> Option<usize> {
        let simulation = &self.simulation;
        let now = simulation.world.elapsed();
        let over = simulation.over();
        let mut sayings = lock(&simulation.sayings);
        let due = simulation.scenario.unasked.iter().map(|it| it.at <= now);
        let number = due.zip(sayings.iter()).position(|(due, saying)| {
            due && match saying {
                Saying::Open => true,
                Saying::InHand(process) => over.contains(process),
                Saying::Done => false,
            }
        })?;
        *sayings.get_mut(number)? = Saying::InHand(self.gate.number);
        Some(number)
    }

    async fn say(&self, outbox: &Outbox, number: usize) {
        let Some(unasked) = self.simulation.scenario.unasked.get(number) else {
            return;
        };
        let text = unasked_text(number, unasked.parts, unasked.hidden);
        let to = Target::chat(chat_name(unasked.chat));
        let message = OutboundMessage::new(to, text.clone()).key(format!("unasked-{number}"));
        let audience = if unasked.hidden {
            Audience::new(Visibility::Internal)
        } else {
            Audience::default()
        };
        let channel = ChannelId::new(CHANNEL);
        let sent = outbox.send_to(&channel, message, None, audience).await;
        self.gate.pass().await;
        let end = self.heard(number, &text, &sent);
        if end == Saying::Open {
            self.gate.sleep(LOOK).await;
        }
        if let Some(saying) = lock(&self.simulation.sayings).get_mut(number) {
            *saying = end;
        }
    }

    fn heard(&self, number: usize, text: &str, sent: &Result<Receipt>) -> Saying {
        let world = &self.simulation.world;
        let shown = self.simulation.platform.shown();
        match sent {
            Ok(_) if self.simulation.is_hidden(number) => Saying::Done,
            Ok(_) => {
                for part in parts(text) {
                    if !shown.iter().any(|shown| shown.payload == part) {
                        world.broken(Invariant::NoLies, || {
                            format!("the application hears that {part} is delivered, and it is not shown")
                        });
                    }
                }
                Saying::Done
            }
            Err(error) => {
                world.note(|| format!("  the application hears {error}"));
                match Undelivered::of(error) {
                    Some(_) => Saying::Done,
                    // The same key goes on, here or elsewhere.
                    None => Saying::Open,
                }
            }
        }
    }
}
