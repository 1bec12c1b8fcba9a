//! Kills a bot at random moments while a platform keeps a ledger of all that it showed.
//!
//! `crash --rounds 1000 --messages 100000` kills a child process that many times, starts it
//! again each time, and in the end compares the ledger with the store: nothing acknowledged
//! may be missing, nothing may be shown twice in silence. With the feature `failpoint`,
//! `--failpoints 50` makes the child die at each named point that many times instead, and
//! `--sigterm 100` tells it to stop in the middle of its work that many times: then nothing
//! may be missing, doubled or uncertain, on any platform.

mod bot;
mod platform;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use channel_delivery::{Counts, EventState, PartState, SqliteStore, Store as _};
use tokio::process::{Child, Command};

use platform::Platform;

/// The points at which a process can be made to die, in the order in which an event passes
/// them.
const POINTS: [&str; 10] = [
    "received", "verified", "inserted", "acked", "claimed", "planned", "sending", "sent",
    "recorded", "deleted",
];

/// How long a process may take to stop.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

struct Wanted {
    rounds: u64,
    messages: u64,
    failpoints: Option<u64>,
    sigterm: Option<u64>,
    keyed: bool,
    gap: (u64, u64),
    seed: u64,
}

/// Small numbers that depend on the seed alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, from: u64, to: u64) -> u64 {
        // xorshift64*: good enough to spread kills.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        from + self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % (to - from + 1)
    }
}

fn main() -> Result<()> {
    if let Ok(base) = std::env::var("CRASH_BOT") {
        return bot::run(&base);
    }
    let wanted = wanted()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        for keyed in [true, false] {
            if wanted.keyed && !keyed {
                continue;
            }
            round_trip(&wanted, keyed).await?;
        }
        Ok(())
    })
}

fn wanted() -> Result<Wanted> {
    let mut wanted = Wanted {
        rounds: 100,
        messages: 10_000,
        failpoints: None,
        sigterm: None,
        keyed: false,
        gap: (50, 600),
        seed: {
            let mut bytes = [0; 8];
            channel_http::transport().random.fill(&mut bytes);
            u64::from_le_bytes(bytes) | 1
        },
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut number = || -> Result<u64> {
            let value = arguments.next().context("a number is missing")?;
            value.parse().context("not a number")
        };
        match name.as_str() {
            "--rounds" => wanted.rounds = number()?,
            "--messages" => wanted.messages = number()?,
            "--failpoints" => wanted.failpoints = Some(number()?),
            "--sigterm" => wanted.sigterm = Some(number()?),
            "--gap-ms" => wanted.gap = (number()?, number()?),
            "--seed" => wanted.seed = number()?.max(1),
            "--keyed" => wanted.keyed = true,
            other => bail!("unknown: {other}"),
        }
    }
    Ok(wanted)
}

/// One store, one ledger, many deaths.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
async fn round_trip(wanted: &Wanted, keyed: bool) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("crash-{}-{keyed}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder)?;
    let database = folder.join("bot.db");
    let platform = Platform::start(keyed).await?;
    let mut dice = Dice(wanted.seed);
    let began = Instant::now();
    let deaths = match (wanted.failpoints, wanted.sigterm) {
        (Some(times), _) => die_at_points(&platform, &database, times, &mut dice).await?,
        (None, Some(times)) => {
            stop_under_load(&platform, &database, times, wanted, &mut dice).await?
        }
        (None, None) => die_at_random(&platform, &database, wanted, &mut dice).await?,
    };
    // One that lives to the end.
    let mut child = start(&platform, &database, None)?;
    ready(&platform).await?;
    let counts = settled(&platform, &database).await?;
    stop(&mut child).await?;
    let verdict = judge(&platform, &counts, keyed);
    println!(
        "{} platform, seed {}: {} deaths, {} messages in {:.0} s: {} shown, {} doubled, {} uncertain, {} missing; {:?}",
        if keyed { "keyed" } else { "unkeyed" },
        wanted.seed,
        deaths,
        platform.said(),
        began.elapsed().as_secs_f64(),
        platform.shown().len(),
        verdict.doubled,
        verdict.uncertain,
        verdict.missing,
        counts,
    );
    drop(std::fs::remove_dir_all(&folder));
    ensure!(verdict.doubled == 0, "something was shown twice");
    ensure!(
        verdict.missing <= verdict.uncertain,
        "something is missing that is not uncertain"
    );
    ensure!(
        !keyed || verdict.missing == 0,
        "something is missing on a platform with keys"
    );
    ensure!(
        wanted.sigterm.is_none() || verdict.missing + verdict.uncertain == 0,
        "a polite stop has left something open"
    );
    Ok(())
}

async fn die_at_random(
    platform: &Arc<Platform>,
    database: &Path,
    wanted: &Wanted,
    dice: &mut Dice,
) -> Result<u64> {
    for round in 0..wanted.rounds {
        let upto = wanted.messages * (round + 1) / wanted.rounds;
        platform.say_up_to(upto);
        let mut child = start(platform, database, None)?;
        tokio::time::sleep(Duration::from_millis(dice.roll(wanted.gap.0, wanted.gap.1))).await;
        child.kill().await?;
        platform.forget_deliveries();
        if round % 100 == 99 {
            eprintln!("{} of {} rounds", round + 1, wanted.rounds);
        }
    }
    Ok(wanted.rounds)
}

/// Tells the process to stop while it works, again and again.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
async fn stop_under_load(
    platform: &Arc<Platform>,
    database: &Path,
    times: u64,
    wanted: &Wanted,
    dice: &mut Dice,
) -> Result<u64> {
    let mut longest = Duration::ZERO;
    let mut busy = 0;
    for round in 0..times {
        platform.say_up_to(wanted.messages * (round + 1) / times);
        let mut child = start(platform, database, None)?;
        ready(platform).await?;
        let began = platform.shown().len();
        let gap = Duration::from_millis(dice.roll(wanted.gap.0, wanted.gap.1));
        tokio::time::sleep(gap).await;
        // Not before it works.
        let until = Instant::now() + STOPS_WITHIN;
        while platform.shown().len() == began && platform.pending() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        busy += u64::from(platform.pending() > 0);
        let told = Instant::now();
        stop(&mut child).await?;
        longest = longest.max(told.elapsed());
        platform.forget_deliveries();
    }
    println!(
        "{times} stops, {busy} of them with events on the way; the slowest took {} ms",
        longest.as_millis()
    );
    Ok(0)
}

async fn die_at_points(
    platform: &Arc<Platform>,
    database: &Path,
    times: u64,
    dice: &mut Dice,
) -> Result<u64> {
    let mut deaths = 0;
    for point in POINTS {
        for _ in 0..times {
            if point == "claimed" {
                // There is something to claim only after a death that has left something.
                deaths += die_at(platform, database, "inserted:2").await?;
            }
            let first = if point == "claimed" {
                1
            } else {
                dice.roll(1, 15)
            };
            let at = format!("{point}:{first}");
            deaths += die_at(platform, database, &at).await?;
        }
        eprintln!("{point}: {times} deaths");
    }
    Ok(deaths)
}

/// One process that dies at a point.
async fn die_at(platform: &Arc<Platform>, database: &Path, at: &str) -> Result<u64> {
    let mut child = start(platform, database, Some(at))?;
    let ended = tokio::time::timeout(Duration::from_secs(30), async {
        // A few at a time: some points are passed once for many events.
        loop {
            platform.say_up_to(platform.said() + 1);
            tokio::select! {
                ended = child.wait() => return ended,
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    })
    .await;
    let Ok(status) = ended else {
        child.kill().await?;
        bail!("the child did not die at {at}; is the feature failpoint on?");
    };
    ensure!(!status?.success(), "the child ended well at {at}");
    platform.forget_deliveries();
    Ok(1)
}

fn start(platform: &Platform, database: &Path, failpoint: Option<&str>) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .env("CRASH_BOT", platform.base())
        .env("CRASH_LIFE", platform.next_life().to_string())
        .env("CRASH_KEYED", platform.is_keyed().to_string())
        .env("CRASH_DATABASE", database)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(failpoint) = failpoint {
        command.env("CHANNEL_FAILPOINT", failpoint);
    }
    Ok(command.spawn()?)
}

/// Waits until the child works. Who is told to stop before that dies of the signal, like any
/// program that has just begun.
async fn ready(platform: &Platform) -> Result<()> {
    let asked = tokio::time::timeout(STOPS_WITHIN, platform.asked()).await;
    asked.context("the child has not begun to work")
}

async fn stop(child: &mut Child) -> Result<()> {
    let id = child.id().context("the child has ended")?;
    let told = Command::new("kill").arg(id.to_string()).status().await?;
    ensure!(told.success(), "the child could not be told to stop");
    let status = tokio::time::timeout(Duration::from_secs(10), child.wait()).await??;
    ensure!(status.success(), "the child ended with {status}");
    Ok(())
}

/// Waits until every event that the platform ever had has a final state.
async fn settled(platform: &Platform, database: &PathBuf) -> Result<Counts> {
    let store = SqliteStore::open(database).await?;
    let until = Instant::now() + Duration::from_secs(300);
    loop {
        let counts = store.counts().await?;
        let of = |state| counts.events.get(&state).copied().unwrap_or_default();
        let done = of(EventState::Handled) + of(EventState::Dead) + of(EventState::Refused);
        if done >= platform.said() && platform.pending() == 0 {
            return Ok(counts);
        }
        ensure!(
            Instant::now() < until,
            "{done} of {} events have a final state after 300 s: {counts:?}",
            platform.said()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Verdict {
    doubled: usize,
    missing: u64,
    uncertain: u64,
}

fn judge(platform: &Platform, counts: &Counts, _keyed: bool) -> Verdict {
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for text in platform.shown() {
        *times.entry(text).or_default() += 1;
    }
    let doubled = times.values().filter(|times| **times > 1).count();
    let missing = (0..platform.said())
        .filter(|number| !times.contains_key(&format!("echo: {number}")))
        .count();
    let uncertain = counts.parts.get(&PartState::Uncertain).copied();
    Verdict {
        doubled,
        missing: missing as u64,
        uncertain: uncertain.unwrap_or_default(),
    }
}
