//! The other way round: this process serves the standard channel, and another one connects.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use channel_core::{Event, Frame, Intake, Refused, SocketRequest};
use channel_standard::{Standard, StandardConfig};
use channel_webhook::{Host, Server};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{OPEN, SETTLE, WARM, resident};

const TOKEN: &str = "bench-token-of-some-length";

/// Takes whatever comes; idle clients send nothing.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Intake for Nobody {
    async fn take(&self, _: Vec<Event>) -> Result<(), Refused> {
        Ok(())
    }
}

/// Bytes that a client costs its server.
pub(crate) async fn measure(count: usize) -> Result<usize> {
    let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let mut config = StandardConfig::default();
    config.max_connections = WARM + count;
    let transport = channel_http::transport();
    let host = Host::new(Arc::clone(&transport.clock));
    let channel = Standard::from_config(config)
        .token(TOKEN)
        .transport(transport)
        .build()?;
    let host = host.mount(Arc::new(channel), Arc::new(Nobody));
    let _server = Server::bind((Ipv4Addr::LOCALHOST, port).into(), host.router()).await?;
    let mut clients = tokio::process::Command::new(std::env::current_exe()?)
        .args(["clients", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let said = clients.stdout.take().context("they say nothing")?;
    let mut said = BufReader::new(said).lines();
    let mut told = clients.stdin.take().context("they hear nothing")?;
    let mut seen = Vec::new();
    for more in [WARM, count] {
        told.write_all(format!("{more}\n").as_bytes()).await?;
        for _ in 0..more {
            let is_open = tokio::time::timeout(OPEN, said.next_line()).await;
            let is_open = is_open.context("a connection does not open")??;
            is_open.context("the clients are gone")?;
        }
        tokio::time::sleep(SETTLE).await;
        seen.push(resident()?);
    }
    let [before, after] = seen[..] else {
        bail!("there are two looks");
    };
    Ok(after.saturating_sub(before) / count)
}

/// Opens as many connections as each line of the input says, one after the other, and holds
/// them until it ends.
#[expect(
    clippy::print_stdout,
    reason = "what is open is told to the other process"
)]
pub(crate) async fn clients(port: &str) -> Result<()> {
    let sockets = channel_http::transport().sockets;
    let mut held = Vec::new();
    // Nothing is missed meanwhile: idle clients have nothing to say.
    loop {
        let mut more = String::new();
        if std::io::stdin().read_line(&mut more)? == 0 {
            return Ok(());
        }
        for _ in 0..more.trim().parse::<usize>()? {
            let request = http::Request::get(format!("ws://127.0.0.1:{port}/standard"))
                .header("authorization", format!("Bearer {TOKEN}"))
                .body(())?;
            let mut socket = sockets.connect(SocketRequest::new(request)).await?;
            let client = held.len();
            let hello =
                format!(r#"{{"v":1,"type":"hello","id":"h","client_id":"client-{client}"}}"#);
            socket.send(Frame::text(hello)).await?;
            let welcome = socket.next().await.context("no welcome")??;
            let Frame::Text(welcome) = welcome else {
                bail!("no welcome");
            };
            let welcome: serde_json::Value = serde_json::from_slice(&welcome)?;
            anyhow::ensure!(
                welcome.get("type").is_some_and(|kind| kind == "welcome"),
                "no welcome: {welcome}"
            );
            held.push(socket);
            println!("open");
        }
    }
}
