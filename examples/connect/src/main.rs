//! Runs the application until it is told to stop.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use channel_kit::core::{Error, Result};
use connect::{App, Settings};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "connect: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<()> {
    let mut settings = Settings::default();
    if let Ok(bind) = std::env::var("CHANNEL_BIND") {
        settings.bind = bind
            .parse::<SocketAddr>()
            .map_err(|_| Error::config("CHANNEL_BIND has to be an address and a port"))?;
    }
    if let Ok(store) = std::env::var("CHANNEL_STORE") {
        settings.store = store;
    }
    let app = App::start(settings).await?;
    let mut out = std::io::stdout();
    let _ = writeln!(out, "connect {}", app.url()).and_then(|()| out.flush());
    let _ = tokio::signal::ctrl_c().await;
    app.stop().await;
    Ok(())
}
