//! One process of the bot, from its start to its end.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use channel_core::{ChannelId, Event, Intake, Message, Policy, Transport, Verdict};
use channel_delivery::{Failure, LeftBehind, OnUncertain, OutboxSettings, Report};
use channel_runtime::{Bot, BoxError, HandlerResult, Incoming};
use tokio::sync::{Notify, watch};

use super::adapter::{Adapter, Inner};
use super::application::Application;
use super::drive::Simulation;
use super::gate::{Gate, ProcessClock};
use super::invariant::Invariant;
use super::platform::CHANNEL;
use super::scenario::Receiving;
use super::store::ProcessStore;
use super::words::{event_number, parts, payload, reply_text};
use crate::http::FakeHttp;
use crate::random::SeededRandom;
use crate::sockets::FakeSockets;
use crate::wait::lock;

/// How often a failing handler is called.
pub(super) const ATTEMPTS: u32 = 3;

/// A process of the bot.
pub(super) struct Process {
    pub(super) gate: Arc<Gate>,
    /// Takes events of webhooks, once the bot has started.
    pub(super) intake: Mutex<Option<Arc<dyn Intake>>>,
    stop: Notify,
    /// Whether the application is to say nothing more.
    stopping: watch::Sender<bool>,
    /// Whether it has come to its end without being killed.
    ended: Mutex<bool>,
    adapter: Mutex<Weak<Inner>>,
}

impl Process {
    /// Whether it neither works nor will.
    pub(super) fn is_over(&self) -> bool {
        self.gate.is_dead() || *lock(&self.ended)
    }

    /// Tells it to stop, as an operator does.
    pub(super) fn stop(&self) {
        self.stop.notify_one();
    }

    /// How much of it is still there.
    pub(super) fn left_over(&self) -> usize {
        lock(&self.adapter).strong_count()
    }

    /// Starts a process beside those that are there.
    pub(super) fn start(simulation: &Arc<Simulation>, number: u64) -> Arc<Self> {
        let world = &simulation.world;
        let gate = Gate::new(number, world);
        let process = Arc::new(Self {
            gate: Arc::clone(&gate),
            intake: Mutex::default(),
            stop: Notify::new(),
            stopping: watch::Sender::new(false),
            ended: Mutex::new(false),
            adapter: Mutex::default(),
        });
        world.note(|| format!("p{number} starts"));
        let running = Arc::clone(&process).run(Arc::clone(simulation));
        tokio::spawn(running);
        process
    }

    async fn run(self: Arc<Self>, simulation: Arc<Simulation>) {
        let (world, number) = (&simulation.world, self.gate.number);
        let (bot, application) = self.assemble(&simulation);
        match bot.start().await {
            Err(error) => world.note(|| format!("p{number} cannot start: {error}")),
            Ok(mut running) => {
                *lock(&self.intake) = running.intake(&ChannelId::new(CHANNEL));
                let application = tokio::spawn(application.run());
                let why = tokio::select! {
                    biased;
                    () = self.stop.notified() => "it was told to".to_owned(),
                    error = running.failed() => error.to_string(),
                };
                self.gate.pass().await;
                world.note(|| format!("p{number} stops: {why}"));
                *lock(&self.intake) = None;
                self.stopping.send_replace(true);
                running.stop().await;
                drop(application.await);
                self.gate.pass().await;
            }
        }
        world.note(|| format!("p{number} has ended"));
        *lock(&self.ended) = true;
    }

    /// The bot, and the application beside it.
    fn assemble(&self, simulation: &Arc<Simulation>) -> (Bot, Application) {
        let gate = &self.gate;
        let adapter = Adapter::new(
            gate,
            &simulation.hazard,
            &simulation.platform,
            simulation.bug,
        );
        *lock(&self.adapter) = adapter.watch();
        let store = ProcessStore {
            inner: Arc::clone(&simulation.store) as _,
            gate: Arc::clone(gate),
            hazard: Arc::clone(&simulation.hazard),
            ledger: Arc::clone(&simulation.ledger),
        };
        let on_uncertain = if simulation.scenario.at_least_once {
            OnUncertain::ResendMarked
        } else {
            OnUncertain::Hold
        };
        let settings = OutboxSettings::default()
            .on_uncertain(on_uncertain)
            .report(Told(Arc::clone(simulation)));
        let clock = Arc::new(ProcessClock(Arc::clone(gate)));
        let random = || Arc::new(SeededRandom::new(simulation.world.next_u64()));
        let application = Application {
            simulation: Arc::clone(simulation),
            gate: Arc::clone(gate),
            adapter: adapter.beside(),
            store: Arc::new(store.clone()),
            clock: Arc::clone(&clock) as _,
            random: random(),
            settings: settings.clone(),
            stop: self.stopping.subscribe(),
        };
        let transport = Transport::new(
            Arc::new(FakeHttp::new(Arc::clone(&clock) as _)),
            Arc::new(FakeSockets::new()),
            clock,
            random(),
        );
        let handler = Arc::new(Handler {
            simulation: Arc::clone(simulation),
            gate: Arc::clone(gate),
        });
        let bot = Bot::new(Strangers)
            .channel(adapter)
            .store(store)
            .attempts(ATTEMPTS)
            .delivery(settings)
            .transport(transport)
            .overlap(simulation.scenario.overlap)
            .on_message(move |message| Arc::clone(&handler).handle(message));
        let bot = match simulation.scenario.capacity {
            Some(events) => bot.capacity(events),
            None => bot,
        };
        let bot = match simulation.scenario.receiving {
            Receiving::Webhook => bot.served_elsewhere(),
            _ => bot,
        };
        (bot, application)
    }
}

/// Hears what stays behind.
struct Told(Arc<Simulation>);

impl Report for Told {
    fn failed(&self, _: &Failure) {}

    fn left_behind(&self, preview: &LeftBehind) {
        let shown = preview.shown.messages.iter();
        let shown = shown.map(|at| at.id.to_string()).collect();
        self.0
            .world
            .note(|| format!("{} leaves {shown:?} behind", preview.key));
        lock(&self.0.left_behind).push((preview.key.to_string(), shown));
    }
}

/// Lets nobody in who is called a stranger.
#[derive(Debug)]
struct Strangers;

#[async_trait]
impl Policy for Strangers {
    async fn judge(&self, event: &Event) -> Verdict {
        let sender = event.sender().map(|sender| &sender.account.sender);
        if sender.is_some_and(|sender| sender.as_str() == "stranger") {
            return Verdict::Refuse("stranger");
        }
        Verdict::Allow("friend")
    }
}

/// The application: does with each event what the scenario says.
struct Handler {
    simulation: Arc<Simulation>,
    gate: Arc<Gate>,
}

/// A failure of the application itself.
#[derive(Debug)]
struct Clumsy;

impl fmt::Display for Clumsy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handler failed on purpose")
    }
}

impl std::error::Error for Clumsy {}

impl Handler {
    async fn handle(self: Arc<Self>, message: Incoming<Message>) -> HandlerResult {
        let world = &self.simulation.world;
        let process = self.gate.number;
        // Of messages that were joined, what is done is what the first one asks for.
        let first = message.text.lines().next();
        let Some(number) = first.and_then(event_number) else {
            return Ok(());
        };
        let scenario = &self.simulation.scenario;
        let Some(said) = scenario.said.get(number) else {
            return Ok(());
        };
        let behaviour = &said.behaviour;
        world.note(|| format!("p{process} handles e{number}"));
        self.simulation.ledger.handling(&format!("e{number}"));
        for (reply, parts) in behaviour.replies.iter().enumerate() {
            self.gate.sleep(behaviour.thinks / 2).await;
            let text = reply_text(number, reply, *parts);
            let sent = message.reply(text.clone()).await;
            self.heard(&text, &sent);
            sent?;
        }
        if behaviour.previews > 0 {
            self.stream(
                &message,
                number,
                behaviour.replies.len(),
                behaviour.previews,
            )
            .await?;
        }
        if behaviour.poison {
            // Unwinds without a message on the standard error of whoever runs this.
            resume_unwind(Box::new("poison"));
        }
        if self.simulation.attempt(number) <= behaviour.fails {
            return Err(Box::new(Clumsy) as BoxError);
        }
        Ok(())
    }

    async fn stream(
        &self,
        message: &Incoming<Message>,
        number: usize,
        reply: usize,
        previews: usize,
    ) -> HandlerResult {
        let mut stream = message.stream().await?;
        let text = reply_text(number, reply, 1);
        for _ in 0..previews {
            stream.show(text.clone()).await?;
            let pause = self
                .simulation
                .world
                .span(std::time::Duration::from_millis(400));
            self.gate.sleep(pause).await;
        }
        self.simulation.ledger.final_asked(&text);
        let sent = stream.finish(text.clone()).await;
        self.simulation.ledger.final_answered(&text);
        self.heard(&text, &sent);
        sent?;
        Ok(())
    }

    /// What the application is told has to be true.
    fn heard(&self, text: &str, sent: &channel_core::Result<channel_core::Receipt>) {
        if self.gate.is_dead() {
            return;
        }
        let world = &self.simulation.world;
        match sent {
            Err(error) => world.note(|| format!("  the handler hears {error}")),
            Ok(_) => {
                let shown = self.simulation.platform.shown();
                for part in parts(text) {
                    let payload = payload(&part).unwrap_or_default();
                    if !shown.iter().any(|shown| shown.payload == payload) {
                        world.broken(Invariant::NoLies, || {
                            format!(
                                "the handler hears that {payload} is delivered, and it is not shown"
                            )
                        });
                    }
                }
            }
        }
    }
}
