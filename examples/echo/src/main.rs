//! The reference bot: answers everyone, on every platform whose variables are set.
//!
//! It is also the black box that other programs drive from outside, so what it answers is
//! fixed: see README.md.

mod answers;
mod platforms;

use std::net::SocketAddr;
use std::process::ExitCode;

use channel_kit::core::{AllowEveryone, Error};
use channel_kit::delivery::SqliteStore;
use channel_kit::runtime::{Bot, ChannelState, ChannelStatus};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match bot().await {
        Ok(bot) => match bot.run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Err(error) => fail(&error),
    }
}

/// One sentence on standard error; 2 for what has to be mended in the configuration.
fn fail(error: &Error) -> ExitCode {
    use channel_kit::core::ErrorKind;
    eprintln!("echo: {error}");
    match error.kind() {
        ErrorKind::Config => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

async fn bot() -> Result<Bot, Error> {
    let mut bot = Bot::new(AllowEveryone)
        .on_message(answers::message)
        .on_edited(answers::edited)
        .on_action(answers::pressed)
        .on_status(report)
        .listen(address()?);
    for channel in platforms::configured()? {
        bot = bot.channel(channel);
    }
    if let Some(path) = store()? {
        bot = bot.store(SqliteStore::open(path).await?);
    }
    Ok(bot)
}

/// Says once per platform that its transport is proven.
fn report(status: &ChannelStatus) {
    use std::io::Write as _;
    use std::sync::Mutex;
    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
    if status.state != ChannelState::Ready {
        return;
    }
    let platform = status.platform.as_str();
    let Ok(mut said) = SAID.lock() else { return };
    if said.iter().any(|known| known == platform) {
        return;
    }
    said.push(platform.to_owned());
    let mut out = std::io::stdout().lock();
    // Whoever reads our output may have gone; that is no reason to stop.
    let _ = writeln!(out, "ready {platform}").and_then(|()| out.flush());
}

fn address() -> Result<SocketAddr, Error> {
    let text = std::env::var("CHANNEL_BIND").unwrap_or_else(|_| "127.0.0.1:8780".to_owned());
    text.parse()
        .map_err(|_| Error::config("CHANNEL_BIND has to be an address such as 127.0.0.1:8780"))
}

/// The path of the store; none for memory.
fn store() -> Result<Option<String>, Error> {
    let wanted = std::env::var("CHANNEL_STORE").unwrap_or_default();
    match wanted.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(Some(path.to_owned())),
        None if matches!(wanted.as_str(), "" | "memory") => Ok(None),
        _ => Err(Error::config(
            "CHANNEL_STORE has to be memory or sqlite:PATH",
        )),
    }
}
