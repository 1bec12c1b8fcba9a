//! Slack and LINE, served on `PORT`.

use std::hint::black_box;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use channel_binding::{Bindings, ConnectGate, ConnectPlatform, MemoryBindings};
use channel_core::{AccountRef, Channel, Error, Event, Intake, Refused, Result};
use channel_line::Line;
use channel_policy::{AccessConfig, Gate, GroupConfig, GroupMode};
use channel_runtime::Bot;
use channel_slack::Slack;
use channel_webhook::{Host, Server};
use tokio::signal::unix::{SignalKind, signal};

use crate::people;

/// Slack, signed with `SLACK_SIGNING_SECRET`; its API is at `SLACK_API_URL`.
pub(crate) fn slack() -> Result<Slack> {
    Slack::builder()
        .bot_token("xoxb-1-bench")
        .signing_secret(variable("SLACK_SIGNING_SECRET")?)
        .api_base(server("SLACK_API_URL"))
        .build()
}

/// LINE, signed with `LINE_CHANNEL_SECRET`; its API is at `LINE_API_URL`.
pub(crate) fn line() -> Result<Line> {
    Line::builder()
        .channel_secret(variable("LINE_CHANNEL_SECRET")?)
        .channel_access_token("bench")
        .webhook_path("/line")
        .api_base(server("LINE_API_URL"))
        .build()
}

/// Verify, parse, normalise: the adapter on a host, and nothing behind it.
pub(crate) async fn adapter(channel: impl Channel + 'static) -> Result<()> {
    // Who the bot is decides what is a mention; without a server it stays unknown.
    drop(channel.probe().await);
    let handled = count_on_signal()?;
    let intake = Arc::new(Counting(Arc::clone(&handled)));
    let clock = channel_http::transport().clock;
    let host = Host::new(clock).mount(Arc::new(channel), intake);
    let _server = Server::bind(address()?, host.router()).await?;
    std::future::pending().await
}

/// The same, and a bot behind it: no event twice, whose account it is, every rule of the
/// gate, the conversation in order.
pub(crate) async fn full(channel: impl Channel + 'static, people: Vec<AccountRef>) -> Result<()> {
    let handled = count_on_signal()?;
    let id = channel.info().id.clone();
    let platform = channel.info().platform.clone();
    let transport = channel_http::transport();
    let bindings = Bindings::builder(
        "Bench",
        MemoryBindings::new(),
        Arc::clone(&transport.clock),
        Arc::clone(&transport.random),
    )
    .platform(ConnectPlatform::by_code(platform, "Bench"))
    .build()?;
    let connect = ConnectGate::new(bindings.clone());
    people::bind(&bindings, &connect, people).await?;
    let mut groups = GroupConfig::default();
    groups.mode = GroupMode::Open;
    let gate = Gate::builder(transport.clock)
        .channel(id, AccessConfig::new().allow_from("*").groups(groups))
        .identities(Arc::new(connect))
        .without_rate_limits()
        .build()?;
    Bot::new(gate)
        .channel(channel)
        .listen(address()?)
        .on_message(move |message| {
            let handled = Arc::clone(&handled);
            async move {
                black_box(&message);
                handled.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        })
        .run()
        .await
}

/// Counts and does nothing.
#[derive(Debug)]
struct Counting(Arc<AtomicU64>);

#[async_trait]
impl Intake for Counting {
    async fn take(&self, events: Vec<Event>) -> Result<(), Refused> {
        for event in events {
            black_box(&event);
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A counter that is printed whenever SIGUSR2 comes.
fn count_on_signal() -> Result<Arc<AtomicU64>> {
    let counter = Arc::new(AtomicU64::new(0));
    let mut signals = signal(SignalKind::user_defined2())
        .map_err(|error| Error::config("no signals here").with_source(error))?;
    let counted = Arc::clone(&counter);
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            let count = counted.load(Ordering::Relaxed);
            // Nobody to read it, nobody to tell.
            drop(writeln!(std::io::stdout(), "HANDLED {count}"));
        }
    });
    Ok(counter)
}

fn address() -> Result<SocketAddr> {
    let port = variable("PORT")?
        .parse()
        .map_err(|_| Error::config("PORT has to be a number"))?;
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

/// The platform's API; nobody answers if the variable is not set.
fn server(name: &str) -> String {
    let base = std::env::var(name).unwrap_or_else(|_| "http://127.0.0.1:9".to_owned());
    base.trim_end_matches('/').to_owned()
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| Error::config(format!("{name} is not set")))
}
