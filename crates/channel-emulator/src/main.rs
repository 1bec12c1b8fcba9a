//! Runs the emulated platforms as a program of their own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use channel_emulator::Server;
use channel_emulator::line::{Line, LineConfig, NewBot};
use channel_emulator::slack::{NewApp, Slack, SlackConfig};
use channel_emulator::telegram::{Telegram, TelegramConfig};

const USAGE: &str = "usage: channel-emulator [--bind ADDRESS:PORT] [--telegram-bot TOKEN:USERNAME]... \
                     [--line-data ADDRESS:PORT] [--line-bot SECRET:TOKEN:NAME]... \
                     [--slack-app SIGNING_SECRET:BOT_TOKEN:[APP_TOKEN]:NAME]...";

struct Arguments {
    bind: SocketAddr,
    telegram_bots: Vec<(String, String)>,
    line_data: SocketAddr,
    line_bots: Vec<NewBot>,
    /// Apps with their bot tokens.
    slack_apps: Vec<(NewApp, String)>,
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        telegram_bots: Vec::new(),
        line_data: SocketAddr::from(([127, 0, 0, 1], 0)),
        line_bots: Vec::new(),
        slack_apps: Vec::new(),
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
            "--line-data" => {
                arguments.line_data = value()?
                    .parse()
                    .map_err(|_| "--line-data needs ADDRESS:PORT".to_owned())?;
            }
            "--line-bot" => {
                let value = value()?;
                let mut parts = value.splitn(3, ':');
                let (Some(secret), Some(token), Some(name)) =
                    (parts.next(), parts.next(), parts.next())
                else {
                    return Err("--line-bot needs SECRET:TOKEN:NAME".to_owned());
                };
                arguments.line_bots.push(NewBot::new(secret, token, name));
            }
            "--slack-app" => {
                let value = value()?;
                let mut parts = value.splitn(4, ':');
                let (Some(secret), Some(bot_token), Some(app_token), Some(name)) =
                    (parts.next(), parts.next(), parts.next(), parts.next())
                else {
                    return Err(
                        "--slack-app needs SIGNING_SECRET:BOT_TOKEN:[APP_TOKEN]:NAME".to_owned(),
                    );
                };
                let mut app = NewApp::new(name, secret);
                if !app_token.is_empty() {
                    app = app.socket_mode(app_token);
                }
                arguments.slack_apps.push((app, bot_token.to_owned()));
            }
            _ => return Err(format!("unknown option {option}")),
        }
    }
    Ok(arguments)
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let telegram = Telegram::new(TelegramConfig::default());
    for (token, username) in &arguments.telegram_bots {
        telegram
            .add_bot(token, username)
            .map_err(|error| error.to_string())?;
    }
    let line = Line::new(LineConfig::default());
    for bot in &arguments.line_bots {
        line.add_bot(bot).map_err(|error| error.to_string())?;
    }
    let slack = Slack::new(SlackConfig::default());
    if !arguments.slack_apps.is_empty() {
        let team = slack.workspace("Kit");
        for (app, bot_token) in &arguments.slack_apps {
            slack
                .add_app(app)
                .and_then(|app| slack.install(&app, &team, bot_token))
                .map_err(|error| error.to_string())?;
        }
    }
    let listen = async |address: SocketAddr, router| {
        Server::start(address, router)
            .await
            .map_err(|error| format!("cannot listen on {address}: {error}"))
    };
    let router = telegram.router().merge(line.router()).merge(slack.router());
    let api = listen(arguments.bind, router).await?;
    slack.set_base(&api.base_url());
    let data = listen(arguments.line_data, line.data_router()).await?;
    let mut output = std::io::stdout();
    writeln!(output, "line-data {}", data.base_url())
        .and_then(|()| writeln!(output, "emulator {}", api.base_url()))
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
