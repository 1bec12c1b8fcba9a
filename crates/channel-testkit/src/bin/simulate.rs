//! Runs simulations of the whole pipeline; see `channel_testkit::simulation`.
//!
//! `simulate --seeds 10000` runs seeds 0 to 9999 on all cores, `--from N` begins elsewhere;
//! `simulate --seed N` runs one and prints what happens; `--bug NAME` plants a bug in either;
//! `simulate --bugs` plants one bug after the other and says after how many seeds each was
//! found, looking at `--seeds` at most. With `--hours 24` each of them lasts for so many
//! simulated hours, with something going on in each. `--within 300` fails if it all takes
//! longer than that, in seconds.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{available_parallelism, scope};
use std::time::Instant;

use channel_testkit::simulation::{Bug, Run, run_for};

/// What to do.
#[derive(Debug, Clone)]
struct Task {
    from: u64,
    seeds: u64,
    seed: Option<u64>,
    bug: Option<Bug>,
    all_bugs: bool,
    hours: u64,
    within: Option<u64>,
}

const USAGE: &str = "usage: simulate [--seeds N] [--from N] [--seed N] [--bug NAME] [--bugs] [--hours N] [--within S]";

fn main() -> ExitCode {
    match task(std::env::args().skip(1)) {
        Err(error) => {
            say(&format!("{error}\n{USAGE}"));
            ExitCode::from(2)
        }
        Ok(Task {
            seed: Some(seed),
            bug,
            hours,
            ..
        }) => one(hours, seed, bug),
        Ok(task) => in_time(&task, if task.all_bugs { bugs } else { many }),
    }
}

/// Runs it and says how long it has taken.
fn in_time(task: &Task, run: fn(&Task) -> ExitCode) -> ExitCode {
    let began = Instant::now();
    let code = run(task);
    let took = began.elapsed().as_secs_f64();
    say(&format!("took {took:.0} s"));
    match task.within {
        Some(within) if took > within as f64 => {
            say(&format!("expected {within} s at most"));
            ExitCode::FAILURE
        }
        _ => code,
    }
}

fn task(mut arguments: impl Iterator<Item = String>) -> Result<Task, String> {
    let mut task = Task {
        from: 0,
        seeds: 1000,
        seed: None,
        bug: None,
        all_bugs: false,
        hours: 0,
        within: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let missing = format!("{argument} wants a value");
            arguments.next().ok_or(missing)
        };
        let number = |text: String| text.parse().map_err(|_| format!("not a number: {text}"));
        match argument.as_str() {
            "--seeds" => task.seeds = number(value()?)?,
            "--from" => task.from = number(value()?)?,
            "--seed" => task.seed = Some(number(value()?)?),
            "--bug" => {
                let name = value()?;
                let bug = name.parse().map_err(|error| format!("{error}: {name}"))?;
                task.bug = Some(bug);
            }
            "--hours" => task.hours = number(value()?)?,
            "--bugs" => task.all_bugs = true,
            "--within" => task.within = Some(number(value()?)?),
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(task)
}

fn say(line: &str) {
    // Whoever has stopped reading does not want to know.
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Runs one seed and tells what happens.
fn one(hours: u64, seed: u64, bug: Option<Bug>) -> ExitCode {
    let run = run_for(hours, seed, bug, true);
    run.trace.iter().for_each(|line| say(line));
    match &run.violation {
        None => {
            say(&format!("seed {seed}: every promise was kept"));
            ExitCode::SUCCESS
        }
        Some(violation) => {
            say(&format!("seed {seed}: {violation}"));
            ExitCode::FAILURE
        }
    }
}

/// What many seeds have come to.
#[derive(Default)]
struct Sum {
    broken: Vec<Run>,
    runs: u64,
    events: u64,
    shown: u64,
    processes: u64,
    hours: f64,
}

/// Runs seeds on all cores; with `first`, until one of them breaks a promise.
fn seeds(task: &Task, bug: Option<Bug>, first: bool) -> Sum {
    let next = AtomicU64::new(0);
    let enough = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    let threads = available_parallelism().map_or(1, std::num::NonZero::get);
    scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= task.seeds {
                        break;
                    }
                    let run = run_for(task.hours, task.from + number, bug, false);
                    let broken = run.violation.is_some();
                    add(&sum, run);
                    if broken && first {
                        enough.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_default();
    sum.broken.sort_by_key(|run| run.seed);
    sum
}

fn add(sum: &Mutex<Sum>, run: Run) {
    let Ok(mut sum) = sum.lock() else { return };
    sum.runs += 1;
    sum.events += run.events as u64;
    sum.shown += run.shown as u64;
    sum.processes += run.processes;
    sum.hours += run.elapsed.as_secs_f64() / 3600.0;
    if let Some(violation) = &run.violation {
        say(&format!("seed {}: {violation}", run.seed));
        sum.broken.push(run);
    }
}

fn many(task: &Task) -> ExitCode {
    let sum = seeds(task, task.bug, false);
    say(&format!(
        "{} seeds: {} events, {} messages, {} processes, {:.1} virtual hours",
        sum.runs, sum.events, sum.shown, sum.processes, sum.hours
    ));
    match sum.broken.first() {
        None => {
            say("every promise was kept");
            ExitCode::SUCCESS
        }
        Some(run) => {
            let hours = match task.hours {
                0 => String::new(),
                hours => format!(" --hours {hours}"),
            };
            say(&format!(
                "{} seeds broke a promise; the first is --seed {}{hours}",
                sum.broken.len(),
                run.seed
            ));
            ExitCode::FAILURE
        }
    }
}

fn bugs(task: &Task) -> ExitCode {
    let mut missed = 0;
    for bug in Bug::ALL {
        let sum = seeds(task, Some(*bug), true);
        match sum.broken.first().and_then(|run| run.violation.as_ref()) {
            None => {
                missed += 1;
                say(&format!("{bug}: NOT FOUND in {} seeds", sum.runs));
            }
            Some(violation) => {
                let meant = bug.breaks().contains(&violation.invariant);
                let by = violation.invariant;
                let note = if meant {
                    ""
                } else {
                    missed += 1;
                    ", which it is not meant to break"
                };
                say(&format!(
                    "{bug}: found after {} seeds: {by}{note}",
                    sum.runs
                ));
            }
        }
    }
    let all = Bug::ALL.len();
    say(&format!("{} of {all} planted bugs found", all - missed));
    if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
