//! Kills a bot at random moments while a platform keeps a ledger of all that it showed.
//!
//! `crash --rounds 1000 --messages 100000` kills a child process that many times while people
//! write to it, starts it again each time, and in the end compares the ledger with the store:
//! each part that was not shown has a delivery that says so, nothing is shown twice in
//! silence, and each chat saw its answers in order. `--failpoints 50` makes the child die at
//! each named point that many times instead, and `--sigterm 100` tells it to stop in the middle
//! of its work that many times: then nothing may be missing, repeated or uncertain, on any
//! platform. `--kind keyed`, `reading`, `marked` or `held` does so for one kind of platform.

mod bot;
mod judge;
mod platform;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use channel_delivery::{EventState, SqliteStore, Store as _};
use tokio::process::{Child, Command};

use platform::{Kind, Platform};

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
    kinds: Vec<Kind>,
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
        for kind in &wanted.kinds {
            round_trip(&wanted, *kind).await?;
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
        kinds: Vec::new(),
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
            "--kind" => {
                let name = arguments.next().context("a kind is missing")?;
                let kind = Kind::named(&name).with_context(|| format!("no kind: {name}"))?;
                wanted.kinds.push(kind);
            }
            other => bail!("unknown: {other}"),
        }
    }
    if wanted.kinds.is_empty() {
        wanted.kinds.extend(Kind::ALL);
    }
    Ok(wanted)
}

/// One store, one ledger, many deaths.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
async fn round_trip(wanted: &Wanted, kind: Kind) -> Result<()> {
    let name = kind.name();
    let folder = std::env::temp_dir().join(format!("crash-{}-{name}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder)?;
    let database = folder.join("bot.db");
    let platform = Platform::start(kind).await?;
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
    let store = SqliteStore::open(&database).await?;
    settled(&platform, &store).await?;
    stop(&mut child).await?;
    let verdict = judge::judge(&platform, &store).await?;
    println!(
        "{name} platform, seed {}: {deaths} deaths, {} messages in {:.0} s: {} parts shown, {} of them again with a note, {} uncertain, {} not shown and accounted for",
        wanted.seed,
        platform.said(),
        began.elapsed().as_secs_f64(),
        verdict.shown,
        verdict.marked,
        verdict.uncertain,
        verdict.not_shown,
    );
    store.close().await;
    drop(std::fs::remove_dir_all(&folder));
    ensure!(
        wanted.sigterm.is_none() || verdict.not_shown + verdict.marked + verdict.uncertain == 0,
        "a polite stop has left something open"
    );
    Ok(())
}

/// Kills the process while people write to it, again and again.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
async fn die_at_random(
    platform: &Arc<Platform>,
    database: &Path,
    wanted: &Wanted,
    dice: &mut Dice,
) -> Result<u64> {
    let mut busy = 0;
    for round in 0..wanted.rounds {
        let (from, upto) = (
            platform.said(),
            wanted.messages * (round + 1) / wanted.rounds,
        );
        let mut child = start(platform, database, None)?;
        ready(platform).await?;
        let gap = Duration::from_millis(dice.roll(wanted.gap.0, wanted.gap.1));
        talk(platform, from, upto, gap).await;
        // The last words are heard, on record, in hand or on the wire.
        tokio::time::sleep(Duration::from_micros(dice.roll(0, 4_000))).await;
        child.kill().await?;
        busy += u64::from(platform.is_waiting(from));
        platform.forget_deliveries();
        if round % 100 == 99 {
            eprintln!("{} of {} rounds", round + 1, wanted.rounds);
        }
    }
    println!(
        "{} deaths, {busy} of them with work under way",
        wanted.rounds
    );
    ensure!(
        busy * 10 >= wanted.rounds * 8,
        "too many deaths of a process that had nothing to do"
    );
    Ok(wanted.rounds)
}

/// Says these messages, spread over a while.
async fn talk(platform: &Platform, from: u64, upto: u64, during: Duration) {
    let (began, during) = (Instant::now(), during.as_millis().max(1));
    loop {
        let share = u128::from(upto - from) * began.elapsed().as_millis() / during;
        let now = from.saturating_add(u64::try_from(share).unwrap_or(u64::MAX));
        platform.say_up_to(now.min(upto));
        if now >= upto {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
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
        .env("CRASH_KIND", platform.kind().name())
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
async fn settled(platform: &Platform, store: &SqliteStore) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(300);
    loop {
        let counts = store.counts().await?;
        let of = |state| counts.events.get(&state).copied().unwrap_or_default();
        let done = of(EventState::Handled) + of(EventState::Dead) + of(EventState::Refused);
        if done >= platform.said() && platform.pending() == 0 {
            let handled = of(EventState::Handled);
            ensure!(handled == done, "only {handled} of {done} were handled");
            return Ok(());
        }
        ensure!(
            Instant::now() < until,
            "{done} of {} events have a final state after 300 s: {counts:?}",
            platform.said()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
