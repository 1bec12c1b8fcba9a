//! A bot for measuring the gateway: Discord at `GW_API`, whose gateway replays messages.
//! Prints `FIRST` after a fifth of `N` messages, and `DONE <messages since> <seconds>` at the
//! last one. `GW_WS` is not needed: the address of the gateway is asked for.

use std::io::Write as _;
use std::time::Instant;

use channel_core::{Error, Events as _, Result};
use channel_discord::Discord;
use futures_util::StreamExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let wanted: u64 = variable("N")?
        .parse()
        .map_err(|_| Error::config("N is no number"))?;
    let discord = Discord::builder()
        .bot_token("bench")
        .api_base(variable("GW_API")?)
        .build()?;
    let mut events = discord.events();
    let first = wanted / 5;
    let mut count = 0;
    let mut began = Instant::now();
    while let Some(received) = events.next().await {
        let received = received?;
        let is_message = received.message().is_some();
        received.ack().await?;
        if !is_message {
            continue;
        }
        count += 1;
        if count == first {
            began = Instant::now();
            say("FIRST");
        }
        if count == wanted {
            let seconds = began.elapsed().as_secs_f64();
            say(&format!("DONE {} {seconds:.6}", wanted - first));
        }
    }
    Ok(())
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever reads our output may have gone; that is no reason to stop.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| Error::config(format!("{name} is not set")))
}
