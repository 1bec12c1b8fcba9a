//! One simulation, from its seed to its verdict.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use channel_core::Clock as _;
use channel_delivery::Store as _;

use super::application::Saying;
use super::bug::Bug;
use super::flawed::FlawedStore;
use super::hazard::Hazard;
use super::invariant::{Invariant, Violation};
use super::ledger::Ledger;
use super::platform::Platform;
use super::process::Process;
use super::scenario::{Receiving, Scenario, Window};
use super::world::World;
use super::{verdict, webhook};
use crate::wait::lock;

/// How often the operator looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long after the last fault everything has to be at rest.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How long a process may take to stop.
const STOPS_WITHIN: Duration = Duration::from_secs(120);
/// For how long nothing may happen before it counts as rest.
const REST: Duration = Duration::from_secs(5);

/// What a simulation came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// The promise that was found broken, if one was.
    pub violation: Option<Violation>,
    /// What happened, line by line, where it was asked for.
    pub trace: Vec<String>,
    /// How many events the users have sent.
    pub events: usize,
    /// How many messages of the bot they have seen.
    pub shown: usize,
    /// How many processes there were.
    pub processes: u64,
    /// How often time has moved.
    pub steps: u64,
    /// The virtual time that has passed.
    pub elapsed: Duration,
}

/// Everything in one simulation.
pub(super) struct Simulation {
    pub(super) world: Arc<World>,
    pub(super) scenario: Arc<Scenario>,
    pub(super) platform: Arc<Platform>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) hazard: Arc<Hazard>,
    pub(super) store: Arc<FlawedStore>,
    pub(super) bug: Option<Bug>,
    pub(super) processes: Mutex<Vec<Arc<Process>>>,
    /// Previews that were reported to stay behind: the key of each, and its messages.
    pub(super) left_behind: Mutex<Vec<(String, Vec<String>)>>,
    /// How far each message is that nobody asked for.
    pub(super) sayings: Mutex<Vec<Saying>>,
    attempts: Mutex<BTreeMap<usize, u32>>,
    started: Mutex<u64>,
}

impl Simulation {
    fn new(seed: u64, bug: Option<Bug>, traced: bool, hours: u64) -> Arc<Self> {
        let world = World::new(seed, traced);
        let scenario = Arc::new(Scenario::draw(&world, hours));
        world.note(|| format!("seed {seed}: {scenario:#?}"));
        let ledger = Ledger::new(&world);
        let is_paced = scenario.paced.is_some();
        ledger.is_paced.store(is_paced, Ordering::Relaxed);
        let in_order = scenario.is_in_order();
        ledger.is_in_order.store(in_order, Ordering::Relaxed);
        ledger.skips.store(scenario.skips(), Ordering::Relaxed);
        let unasked = scenario.unasked.len();
        Arc::new(Self {
            platform: Arc::new(Platform::new(&world, &scenario, &ledger)),
            hazard: Hazard::new(&world, &scenario),
            store: FlawedStore::new(&ledger, bug),
            ledger,
            scenario,
            bug,
            processes: Mutex::default(),
            left_behind: Mutex::default(),
            sayings: Mutex::new(vec![Saying::Open; unasked]),
            attempts: Mutex::default(),
            started: Mutex::new(0),
            world,
        })
    }

    /// Counts the attempts at an event, as the application sees them.
    pub(super) fn attempt(&self, event: usize) -> u32 {
        let mut attempts = lock(&self.attempts);
        let count = attempts.entry(event).or_default();
        *count += 1;
        *count
    }

    /// Whether a message of the application is not to be shown.
    pub(super) fn is_hidden(&self, unasked: usize) -> bool {
        let unasked = self.scenario.unasked.get(unasked);
        unasked.is_some_and(|unasked| unasked.hidden)
    }

    /// The processes that are over.
    pub(super) fn over(&self) -> Vec<u64> {
        let processes = lock(&self.processes);
        let over = processes.iter().filter(|process| process.is_over());
        over.map(|process| process.gate.number).collect()
    }

    /// Has every dead event tried again, as an operator does.
    async fn revive(&self) {
        let now = self.world.now();
        let truth = self.store.truth();
        for dead in truth
            .dead_events(None, usize::MAX)
            .await
            .unwrap_or_default()
        {
            if truth.retry_event(dead.seq, now).await.unwrap_or(false) {
                self.world
                    .note(|| format!("{} is to be tried again", dead.id));
                self.ledger.revived(dead.seq);
            }
        }
    }

    fn start_process(self: &Arc<Self>) {
        let number = {
            let mut started = lock(&self.started);
            *started += 1;
            *started
        };
        let process = Process::start(self, number);
        lock(&self.processes).push(process);
    }

    fn alive(&self) -> Vec<Arc<Process>> {
        let processes = lock(&self.processes);
        let alive = processes.iter().filter(|process| !process.is_over());
        alive.cloned().collect()
    }

    /// Runs processes and faults until all is at rest.
    async fn operate(self: &Arc<Self>) {
        let world = &self.world;
        if self.scenario.receiving == Receiving::Webhook {
            tokio::spawn(webhook::post(Arc::clone(self)));
        }
        self.start_process();
        let mut plan = Plan::new(self);
        loop {
            world.clock.sleep(LOOK).await;
            if world.is_broken() {
                return;
            }
            plan.look(self);
            if plan.is_at_rest(self).await {
                break;
            }
            if plan.is_out_of_patience(world) {
                verdict::not_at_rest(self).await;
                return;
            }
        }
        self.wind_up().await;
        verdict::at_the_end(self).await;
    }

    /// Stops everybody politely.
    async fn wind_up(&self) {
        let alive = self.alive();
        alive.iter().for_each(|process| process.stop());
        let until = self.world.elapsed() + STOPS_WITHIN;
        while self.world.elapsed() < until && !alive.iter().all(|process| process.is_over()) {
            self.world.clock.sleep(LOOK).await;
        }
        // Tasks that were told to end get the chance to.
        self.world.clock.sleep(LOOK).await;
        for process in alive {
            let left = process.left_over();
            if !process.is_over() || left > 0 {
                let number = process.gate.number;
                self.world.broken(Invariant::BoundedMemory, || {
                    format!("p{number} has stopped and {left} references to its channel are kept")
                });
            }
        }
    }
}

/// What the operator still has to do.
struct Plan {
    second: Option<Duration>,
    pauses: VecDeque<Window>,
    paused: Option<(Arc<Process>, Duration)>,
    restarts: VecDeque<Duration>,
    jump: Option<(Duration, i64)>,
    revives: bool,
    /// When the next process is started in place of one that is over.
    next_start: Option<Duration>,
    wanted: usize,
    resting_since: Option<Duration>,
    calm_since: Option<Duration>,
}

fn sorted<T: Copy + Ord>(all: &[T]) -> VecDeque<T> {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    sorted.into()
}

impl Plan {
    fn new(simulation: &Simulation) -> Self {
        let scenario = &simulation.scenario;
        Self {
            second: scenario.second,
            pauses: sorted(&scenario.pauses),
            paused: None,
            restarts: sorted(&scenario.restarts),
            jump: scenario.jump,
            revives: scenario.revives,
            next_start: None,
            wanted: 1,
            resting_since: None,
            calm_since: None,
        }
    }

    fn look(&mut self, simulation: &Arc<Simulation>) {
        let world = &simulation.world;
        let now = world.elapsed();
        let is_due = |at: &mut Option<Duration>| at.take_if(|at| now >= *at).is_some();
        if now >= simulation.scenario.calm_at && self.calm_since.is_none() {
            world.calm_down();
            self.calm_since = Some(now);
        }
        if is_due(&mut self.second) {
            self.wanted = 2;
            simulation.start_process();
        }
        let alive = simulation.alive();
        if self.restarts.pop_front_if(|at| now >= *at).is_some()
            && let Some(first) = alive.first()
        {
            first.stop();
        }
        if self.paused.is_none()
            && let Some((_, span)) = self.pauses.pop_front_if(|(from, _)| now >= *from)
            && let Some(first) = alive.first()
        {
            first.gate.pause();
            self.paused = Some((Arc::clone(first), now + span));
        }
        if let Some((_, by)) = self.jump.take_if(|(at, _)| now >= *at) {
            world.jump(by);
        }
        let paused = self.paused.take_if(|(_, until)| now >= *until);
        if let Some((process, _)) = paused {
            process.gate.resume();
        }
        let stands_still = self.paused.iter().filter(|(it, _)| !it.is_over()).count();
        // Whoever watches over a process that stands still takes it for dead.
        if alive.len() - stands_still.min(alive.len()) < self.wanted {
            let longest = Duration::from_secs(40);
            let at = *self
                .next_start
                .get_or_insert_with(|| now + world.span(longest));
            if now >= at {
                self.next_start = None;
                simulation.start_process();
            }
        }
    }

    /// Whether nothing is left to do, and has not been for a while.
    async fn is_at_rest(&mut self, simulation: &Simulation) -> bool {
        let now = simulation.world.elapsed();
        let quiet = self.calm_since.is_some()
            && self.paused.is_none()
            && simulation.platform.is_quiet()
            && verdict::is_finished(simulation).await;
        if !quiet {
            self.resting_since = None;
            return false;
        }
        let rested = now >= *self.resting_since.get_or_insert(now) + REST;
        if rested && std::mem::take(&mut self.revives) {
            simulation.revive().await;
            self.resting_since = None;
            return false;
        }
        rested
    }

    fn is_out_of_patience(&self, world: &World) -> bool {
        self.calm_since
            .is_some_and(|since| world.elapsed() > since + PATIENCE)
    }
}

/// Runs the simulation of one seed. The same seed takes the same steps each time.
#[must_use]
pub fn run(seed: u64, bug: Option<Bug>, traced: bool) -> Run {
    run_for(0, seed, bug, traced)
}

/// Runs one that lasts for so many simulated hours, with something going on in each of them;
/// with none it is [`run`], which lasts for as long as its minute or two take.
#[must_use]
pub fn run_for(hours: u64, seed: u64, bug: Option<Bug>, traced: bool) -> Run {
    let simulation = Simulation::new(seed, bug, traced, hours);
    let idle = Arc::clone(&simulation.world);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || idle.idle())
        .build();
    let Ok(runtime) = runtime else {
        simulation.world.broken(Invariant::EndsInAFinalState, || {
            "there is no thread to run on".to_owned()
        });
        return finish(seed, &simulation, 0);
    };
    runtime.block_on(root(&simulation));
    let shown = simulation.platform.shown().len();
    // Ends the tasks of processes that were killed, which wait for ever.
    drop(runtime);
    lock(&simulation.processes).clear();
    finish(seed, &simulation, shown)
}

fn finish(seed: u64, simulation: &Simulation, shown: usize) -> Run {
    Run {
        seed,
        violation: simulation.world.violation(),
        trace: simulation.world.take_trace(),
        events: simulation.scenario.said.len(),
        shown,
        processes: *lock(&simulation.started),
        steps: simulation.world.steps(),
        elapsed: simulation.world.elapsed(),
    }
}

/// Operates until the end, or until nothing can happen any more.
async fn root(simulation: &Arc<Simulation>) {
    let world = &simulation.world;
    let mut work = pin!(simulation.operate());
    std::future::poll_fn(|cx| {
        world.set_root(cx.waker());
        if world.is_stuck() {
            world.broken(Invariant::EndsInAFinalState, || {
                "everybody waits for somebody else".to_owned()
            });
            return Poll::Ready(());
        }
        work.as_mut().poll(cx)
    })
    .await;
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation")
            .field("world", &self.world)
            .field("bug", &self.bug)
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// Reads the store behind the bug.
    pub(super) async fn counts(&self) -> channel_delivery::Counts {
        self.store.truth().counts().await.unwrap_or_default()
    }
}
