//! Runs the emulated platforms as a program of their own.

use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use channel_emulator::Server;
use channel_emulator::dingtalk::{self, Dingtalk, DingtalkConfig};
use channel_emulator::discord::{self, Discord, DiscordConfig};
use channel_emulator::feishu::{self, Feishu, FeishuConfig};
use channel_emulator::line::{self, Line, LineConfig};
use channel_emulator::slack::{self, Slack, SlackConfig};
use channel_emulator::telegram::{Telegram, TelegramConfig};
use channel_emulator::wecom::{self, Wecom, WecomConfig};

const USAGE: &str = "usage: channel-emulator [--bind ADDRESS:PORT] \
                     [--telegram-bot TOKEN:USERNAME]... \
                     [--line-data ADDRESS:PORT] [--line-bot SECRET:TOKEN:NAME]... \
                     [--slack-app SIGNING_SECRET:BOT_TOKEN:[APP_TOKEN]:NAME]... \
                     [--wecom-group-bot KEY]... [--wecom-app CORP:SECRET:AGENT]... [--wecom-ai-bot ID]... \
                     [--wecom-link-bot ID:SECRET]... \
                     [--discord-bot TOKEN:NAME]... \
                     [--feishu-fast] [--feishu-app APP_ID:SECRET:NAME]... \
                     [--dingtalk-fast] [--dingtalk-app CLIENT_ID:SECRET:[ROBOT_CODE]:[CORP]:NAME]... \
                     [--dingtalk-user STAFF_ID:NAME]...";
/// Options without a value.
const FLAGS: [&str; 2] = ["--feishu-fast", "--dingtalk-fast"];

/// Where to listen, and what is there from the start; the control APIs add more.
struct Arguments {
    bind: SocketAddr,
    line_data: SocketAddr,
    telegram: Telegram,
    line: Line,
    slack: Slack,
    wecom: Wecom,
    discord: Discord,
    feishu: Feishu,
    dingtalk: Dingtalk,
}

fn arguments(given: &[String]) -> Result<Arguments, String> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let has = |flag: &str| given.iter().any(|option| option == flag);
    let mut arguments = Arguments {
        bind: loopback,
        line_data: loopback,
        telegram: Telegram::new(TelegramConfig::default()),
        line: Line::new(LineConfig::default()),
        slack: Slack::new(SlackConfig::default()),
        wecom: Wecom::new(WecomConfig::default()),
        discord: Discord::new(DiscordConfig::default()),
        feishu: Feishu::new(feishu_config(has("--feishu-fast"))),
        dingtalk: Dingtalk::new(dingtalk_config(has("--dingtalk-fast"))),
    };
    let mut given = given
        .iter()
        .filter(|option| !FLAGS.contains(&option.as_str()));
    while let Some(option) = given.next() {
        let value = given
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        arguments.take(option, value)?;
    }
    Ok(arguments)
}

/// With `--feishu-fast`, who is cut off comes back after a second, and so do events.
fn feishu_config(is_fast: bool) -> FeishuConfig {
    let config = FeishuConfig::default();
    if is_fast {
        let second = Duration::from_secs(1);
        config.connection(2, 1, 1).redelivery(&[second, second])
    } else {
        config
    }
}

/// With `--dingtalk-fast`, what was not acknowledged comes again after two seconds, connections are asked every half second
/// whether they are there, and end a second after the notice.
fn dingtalk_config(is_fast: bool) -> DingtalkConfig {
    let config = DingtalkConfig::default();
    if is_fast {
        let second = Duration::from_secs(1);
        config
            .redelivery(second * 2, 10)
            .heartbeat(second / 2, second / 2, second * 5)
            .drain_grace(second)
    } else {
        config
    }
}

impl Arguments {
    fn take(&mut self, option: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("{option} needs a value of another form; see --help");
        let parts: Vec<&str> = value.split(':').collect();
        match (option, parts.as_slice()) {
            ("--bind", _) => self.bind = value.parse().map_err(|_| wrong())?,
            ("--line-data", _) => self.line_data = value.parse().map_err(|_| wrong())?,
            // The token itself has a colon.
            ("--telegram-bot", [id, secret, name]) => {
                done(self.telegram.add_bot(&format!("{id}:{secret}"), name))?;
            }
            ("--line-bot", [secret, token, name]) => {
                done(self.line.add_bot(&line::NewBot::new(secret, token, name)))?;
            }
            ("--slack-app", [secret, bot_token, app_token, name]) => {
                let mut app = slack::NewApp::new(name, secret);
                if !app_token.is_empty() {
                    app = app.socket_mode(app_token);
                }
                let team = self.slack.workspace("Kit");
                let app = self.slack.add_app(&app);
                done(app.and_then(|app| self.slack.install(&app, &team, bot_token)))?;
            }
            ("--wecom-group-bot", [key]) => done(self.wecom.add_bot(&wecom::NewBot::group(key)))?,
            ("--wecom-ai-bot", [id]) => done(self.wecom.add_bot(&wecom::NewBot::ai(id)))?,
            ("--wecom-link-bot", [id, secret]) => {
                done(self.wecom.add_bot(&wecom::NewBot::link(id, secret)))?;
            }
            ("--wecom-app", [corp, secret, agent]) => {
                let agent = agent.parse().map_err(|_| wrong())?;
                done(self.wecom.add_bot(&wecom::NewBot::app(corp, secret, agent)))?;
            }
            ("--discord-bot", [token, name]) => {
                done(self.discord.add_bot(&discord::NewBot::new(*token, *name)))?;
            }
            ("--feishu-app", [id, secret, name]) => {
                done(self.feishu.add_app(&feishu::NewApp::new(id, secret, name)))?;
            }
            ("--dingtalk-app", [id, secret, code, corp, name]) => {
                let or = |given: &str, usual: &str| {
                    if given.is_empty() { usual } else { given }.to_owned()
                };
                let app = dingtalk::NewApp::new(id, secret, name)
                    .robot(&or(code, id), &or(corp, "corp1"));
                done(self.dingtalk.add_app(&app))?;
            }
            ("--dingtalk-user", [id, name]) => self.dingtalk.user(id, name),
            _ if USAGE.contains(&format!("[{option} ")) => return Err(wrong()),
            _ => return Err(format!("unknown option {option}")),
        }
        Ok(())
    }

    /// Everything but LINE's second host.
    fn router(&self) -> Router {
        self.telegram
            .router()
            .merge(self.line.router())
            .merge(self.slack.router())
            .merge(self.wecom.router())
            .merge(self.discord.router())
            .merge(self.feishu.router())
            .merge(self.dingtalk.router())
    }
}

fn done<T>(made: Result<T, impl Display>) -> Result<(), String> {
    made.map(drop).map_err(|error| error.to_string())
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let listen = async |address: SocketAddr, router| {
        Server::start(address, router)
            .await
            .map_err(|error| format!("cannot listen on {address}: {error}"))
    };
    let api = listen(arguments.bind, arguments.router()).await?;
    let data = listen(arguments.line_data, arguments.line.data_router()).await?;
    arguments.slack.set_base(&api.base_url());
    arguments.wecom.set_public_base(&api.base_url());
    arguments.dingtalk.set_base(&api.base_url());
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
    let given: Vec<String> = std::env::args().skip(1).collect();
    if given.iter().any(|argument| argument == "--help") {
        let _ = writeln!(std::io::stdout(), "{USAGE}");
        return ExitCode::SUCCESS;
    }
    match arguments(&given) {
        Err(error) => fail(&format!("{error}\n{USAGE}")),
        Ok(arguments) => match run(arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
    }
}
