//! Messages a second beside the floor, and how long a record takes at half of that.

use std::time::{Duration, Instant};

use anyhow::Result;
use channel_delivery::SqliteStore;

use crate::files::{Folder, load, median, spread};
use crate::floor::{Floor, Statement};
use crate::lanes::{LANES, Until, Way, enroll, paced, run};

/// Half of the 5,000 messages a second that a store has to reach.
const PACE: f64 = 2_500.0;

const SPAN: Duration = Duration::from_secs(3);

pub(crate) async fn run_once(folder: &Folder, round: u64) -> Result<(f64, f64, f64, Vec<f64>)> {
    let mut floor = Floor::new(&folder.file(&format!("floor{round}"))).await?;
    let bare = floor.run(Statement::Values, Instant::now() + SPAN).await?;
    let store = SqliteStore::open(folder.file(&format!("store{round}"))).await?;
    let fence = enroll(&store).await?;
    let until = || Until::Moment(Instant::now() + SPAN);
    let inbound = run(&store, fence, Way::In, until()).await?;
    let outbound = run(&store, fence, Way::Out, until()).await?;
    let took = paced(&store, fence, PACE, Instant::now() + SPAN).await?;
    store.close().await;
    Ok((bare, inbound, outbound, took))
}

pub(crate) async fn run_rounds(rounds: u64) -> Result<()> {
    let folder = Folder::new("speed")?;
    println!("{LANES} lanes, files in {}", folder.path().display());
    let (mut bare, mut inbound, mut outbound) = (Vec::new(), Vec::new(), Vec::new());
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    let (mut in_ratio, mut out_ratio) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let (floor, messages, answers, took) = run_once(&folder, round).await?;
        let part = |thousandths: usize| {
            let place = took.len() * thousandths / 1000;
            took.get(place).copied().unwrap_or(f64::NAN)
        };
        println!(
            "round {round}: floor {floor:.0}, inbound {messages:.0}, outbound {answers:.0} a \
             second; record at {PACE} a second p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms; load {}",
            part(500),
            part(990),
            took.last().copied().unwrap_or(f64::NAN),
            load()
        );
        bare.push(floor);
        inbound.push(messages);
        outbound.push(answers);
        in_ratio.push(messages / floor);
        out_ratio.push(answers / floor);
        p50.push(part(500));
        p99.push(part(990));
    }
    println!("floor        {} inserted events a second", spread(&bare, 0));
    println!("inbound      {} messages a second", spread(&inbound, 0));
    println!("outbound     {} messages a second", spread(&outbound, 0));
    println!("in / floor   {}", spread(&in_ratio, 2));
    println!("out / floor  {}", spread(&out_ratio, 2));
    println!("record p50   {} ms", spread(&p50, 2));
    println!("record p99   {} ms", spread(&p99, 2));
    let holds = median(&inbound) >= 5_000.0
        && median(&outbound) >= 2_000.0
        && median(&in_ratio) >= 0.3
        && median(&p99) < 25.0;
    anyhow::ensure!(
        holds,
        "expected 5,000 in, 2,000 out, 0.3 of the floor, p99 under 25 ms"
    );
    Ok(())
}
