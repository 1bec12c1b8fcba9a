//! Runs the emulated platforms as a program of their own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use channel_emulator::telegram::{Telegram, TelegramConfig};

const USAGE: &str =
    "usage: channel-emulator [--bind ADDRESS:PORT] [--telegram-bot TOKEN:USERNAME]...";

struct Arguments {
    bind: SocketAddr,
    telegram_bots: Vec<(String, String)>,
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        telegram_bots: Vec::new(),
    };
    while let Some(option) = given.next() {
        let mut value = || {
            given
                .next()
                .ok_or_else(|| format!("{option} needs a value"))
        };
        match option.as_str() {
            "--bind" => {
                arguments.bind = value()?
                    .parse()
                    .map_err(|_| "--bind needs ADDRESS:PORT".to_owned())?;
            }
            "--telegram-bot" => {
                let value = value()?;
                // The token itself has a colon.
                let (token, username) = value
                    .rsplit_once(':')
                    .filter(|(token, _)| token.contains(':'))
                    .ok_or_else(|| "--telegram-bot needs TOKEN:USERNAME".to_owned())?;
                arguments
                    .telegram_bots
                    .push((token.to_owned(), username.to_owned()));
            }
            _ => return Err(format!("unknown option {option}")),
        }
    }
    Ok(arguments)
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let telegram = Telegram::start_at(TelegramConfig::default(), arguments.bind)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.bind))?;
    for (token, username) in &arguments.telegram_bots {
        telegram
            .add_bot(token, username)
            .map_err(|error| error.to_string())?;
    }
    let mut output = std::io::stdout();
    writeln!(output, "emulator {}", telegram.api_base())
        .and_then(|()| output.flush())
        .map_err(|error| error.to_string())?;
    shutdown().await.map_err(|error| error.to_string())
}

/// Waits for SIGTERM or Ctrl-C.
async fn shutdown() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt,
    }
}

fn fail(error: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "channel-emulator: {error}");
    ExitCode::from(2)
}

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        let _ = writeln!(std::io::stdout(), "{USAGE}");
        return ExitCode::SUCCESS;
    }
    match arguments(std::env::args().skip(1)) {
        Err(error) => fail(&format!("{error}\n{USAGE}")),
        Ok(arguments) => match run(arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
    }
}
