//! The platform's side of a webhook: posts events until they are taken.

use std::sync::Arc;
use std::time::Duration;

use channel_core::{Clock as _, Refused, timeout};

use super::bug::Bug;
use super::drive::Simulation;
use super::process::Process;
use crate::wait::lock;

/// How long the platform waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits when nobody is there, or nothing is to be said.
const PAUSE: Duration = Duration::from_millis(300);

/// Posts what users say, for ever.
pub(super) async fn post(simulation: Arc<Simulation>) {
    let world = Arc::clone(&simulation.world);
    loop {
        let Some(process) = reachable(&simulation) else {
            world.clock.sleep(PAUSE).await;
            continue;
        };
        let most = 1 + world.below(3);
        let mut batch = Vec::new();
        for _ in 0..most {
            batch.extend(simulation.platform.next_for(process.gate.number));
        }
        if batch.is_empty() {
            world.clock.sleep(PAUSE).await;
            continue;
        }
        if world.fault(simulation.scenario.rates.duplicate) {
            let again = request(Arc::clone(&simulation), Arc::clone(&process), batch.clone());
            tokio::spawn(again);
        }
        request(Arc::clone(&simulation), process, batch).await;
    }
}

/// A process that listens; the platform's balancer picks one of them.
fn reachable(simulation: &Simulation) -> Option<Arc<Process>> {
    let processes = lock(&simulation.processes);
    let listening: Vec<_> = processes
        .iter()
        .filter(|process| !process.is_over() && lock(&process.intake).is_some())
        .collect();
    let pick = simulation.world.below(listening.len() as u64);
    let pick = usize::try_from(pick).unwrap_or(0);
    listening.get(pick).map(|process| Arc::clone(process))
}

/// One request with several events.
async fn request(simulation: Arc<Simulation>, process: Arc<Process>, batch: Vec<usize>) {
    let (world, number) = (&simulation.world, process.gate.number);
    let delay = world.span(simulation.scenario.platform_delay);
    world.clock.sleep(delay).await;
    let intake = lock(&process.intake).clone();
    let Some(intake) = intake else {
        return batch
            .iter()
            .for_each(|event| simulation.platform.give_back(*event));
    };
    world.note(|| format!("p{number} is posted {batch:?}"));
    if simulation.bug == Some(Bug::AnswersWebhooksFirst) {
        batch
            .iter()
            .for_each(|event| simulation.platform.acknowledge(*event));
    }
    let events = batch
        .iter()
        .map(|event| simulation.platform.event(*event))
        .collect();
    let answer = timeout(&world.clock, PATIENCE, intake.take(events)).await;
    // A process that is dead or stands still answers nobody.
    let answered = !process.gate.is_dead();
    match answer {
        Ok(Ok(())) if answered => batch
            .iter()
            .for_each(|event| simulation.platform.acknowledge(*event)),
        Ok(Err(Refused::Full)) if simulation.bug == Some(Bug::AcknowledgedThoughFull) => batch
            .iter()
            .for_each(|event| simulation.platform.acknowledge(*event)),
        Ok(Err(refused)) => {
            world.note(|| format!("p{number} does not take {batch:?}: {refused}"));
            world.clock.sleep(world.span(Duration::from_secs(5))).await;
            batch
                .iter()
                .for_each(|event| simulation.platform.give_back(*event));
        }
        // No answer: they come again after a while.
        _ => {}
    }
}
