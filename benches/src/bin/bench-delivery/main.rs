//! Durable delivery on SQLite beside a bare loop of the same batched inserts.
//!
//! `bench-delivery [speed [ROUNDS]]`, `bot [ROUNDS]`, `statements`, `flat [MESSAGES]`, `rows [ROWS]` or
//! `pending [ROWS]`; `DIR` says where the files go, the system's temporary folder if not.

#![expect(clippy::print_stdout, reason = "it reports to whoever runs it")]

mod bot;
mod files;
mod floor;
mod lanes;
mod size;
mod speed;

use anyhow::{Context as _, Result, bail};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next();
    let number = arguments.next().map(|number| number.parse::<u64>());
    let number = number.transpose().context("expected a number")?;
    match what.as_deref().unwrap_or("speed") {
        "speed" => speed::run_rounds(number.unwrap_or(5)).await,
        "bot" => bot::run_rounds(number.unwrap_or(5)).await,
        "statements" => floor::statements().await,
        "flat" => size::flat(number.unwrap_or(1_000_000)).await,
        "rows" => size::rows(number.unwrap_or(10_000_000)).await,
        "pending" => size::pending(number.unwrap_or(1_000_000)).await,
        other => bail!("expected speed, bot, statements, flat, rows or pending, not {other}"),
    }
}
