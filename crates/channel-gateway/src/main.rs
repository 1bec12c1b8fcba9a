//! The command line of the gateway.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};

use channel_core::{Error, ErrorKind, Result};
use channel_gateway::demo::{Demo, DemoConfig};
use channel_gateway::tools::{DeadCommand, JournalCommand};
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Chat platforms for your program, behind one gateway.
#[derive(Debug, Parser)]
#[command(name = "channel-gateway", version)]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Debug, Subcommand)]
enum Cmd {
    /// Shows a bot at work on emulated platforms, in the browser; needs no configuration.
    Demo(DemoArgs),
    /// Shows, retries and drops events and deliveries that were set aside.
    Dead(DeadCommand),
    /// Exports recorded events with their answers, and replays them.
    Journal(JournalCommand),
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Where the page is served: a loopback address and a port, 0 for any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    bind: SocketAddr,
    /// Leaves the browser alone.
    #[arg(long)]
    no_open: bool,
    /// How many events may be queued or in handlers at once.
    #[arg(long, value_name = "EVENTS", default_value_t = 1000)]
    capacity: usize,
    /// What people are told, once, for whose messages there is no room; nothing without it.
    #[arg(long, value_name = "TEXT")]
    tell_when_full: Option<String>,
}

impl DemoArgs {
    fn config(&self) -> DemoConfig {
        let config = DemoConfig::default()
            .bind(self.bind)
            .capacity(self.capacity);
        match &self.tell_when_full {
            Some(text) => config.tell_when_full(text),
            None => config,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let result = match command {
        Cmd::Demo(args) => demo(args).await.map(|()| true),
        Cmd::Dead(command) => command.run().await.map(|()| true),
        Cmd::Journal(command) => command.run().await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "channel-gateway: {error}");
            match error.kind() {
                ErrorKind::Config => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

async fn demo(args: DemoArgs) -> Result<()> {
    // Listens for the signal before anybody can know that there is a process to stop.
    let stop = Stop::new()?;
    let demo = Demo::start(args.config()).await?;
    let url = demo.url();
    let mut out = std::io::stdout();
    // Whoever reads our output may have gone; the page is served all the same.
    let _ = writeln!(out, "demo {url}").and_then(|()| out.flush());
    if !args.no_open && out.is_terminal() {
        open(&url);
    }
    stop.wait().await;
    demo.stop().await;
    Ok(())
}

/// Shows the page in a browser, where there is one.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        if !has_screen {
            return;
        }
        "xdg-open"
    };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        // Reaped here, so that it does not stay behind as a zombie.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(error) => tracing::debug!(%error, "no browser was opened"),
    }
}

/// SIGTERM and Ctrl-C.
struct Stop {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .map_err(|source| {
                    Error::config("signals cannot be received").with_source(source)
                })?,
        })
    }

    async fn wait(self) {
        let interrupted = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        #[cfg(unix)]
        {
            let mut terminate = self.terminate;
            tokio::select! {
                () = interrupted => {}
                _ = terminate.recv() => {}
            }
        }
        #[cfg(not(unix))]
        interrupted.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &[&str]) -> DemoConfig {
        let line = ["channel-gateway", "demo"].iter().chain(options);
        match Cli::try_parse_from(line) {
            Ok(Cli {
                command: Cmd::Demo(args),
            }) => args.config(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_of_the_demo_is_a_setting() {
        let default = config(&[]);
        assert_eq!((default.capacity, default.tell_when_full), (1000, None));
        let set = config(&["--capacity", "7", "--tell-when-full", "Come back later."]);
        assert_eq!(set.capacity, 7);
        assert_eq!(set.tell_when_full.as_deref(), Some("Come back later."));
        let bind = "127.0.0.1:4000";
        assert_eq!(config(&["--bind", bind]).bind.to_string(), bind);
    }
}
