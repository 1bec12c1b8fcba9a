//! What an idle connection to a platform costs the process that holds it, without TLS:
//! `cargo run --release -p benches --bin bench-idle -- discord 500`.
//!
//! Another process plays the platform. `socket` opens bare websockets of the default
//! transport, `kept` those that are opened again when they break, and `discord` whole
//! channels, each with one session of the gateway. A task holds each of them. Prints what
//! they have added to the resident memory; fails at 40,000 bytes each. `standard` looks at the
//! server of the standard channel, and fails at 10,000.

mod served;

use std::net::Ipv4Addr;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::http::Uri;
use channel_core::{Connection, EventKind, Events as _, SocketRequest, Transport};
use channel_discord::Discord;
use channel_http::reconnect::{DialAddress, ReconnectSettings, ReconnectingSocket, SocketEvent};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

/// What one connection may cost, in bytes.
const LIMIT: usize = 40_000;
/// What one may cost the server of the standard channel.
const SERVED_LIMIT: usize = 10_000;
/// Connections before the first look, so that what is there once is not counted.
const WARM: usize = 50;
/// How long one may take to open.
const OPEN: Duration = Duration::from_secs(10);
/// How long the memory may settle before each look.
const SETTLE: Duration = Duration::from_secs(2);

const HELLO: &str = r#"{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}"#;
const ME: &str = r#"{"id":"1000000000000000001","username":"bench","global_name":null,"bot":true}"#;

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    match what.as_str() {
        "platform" => {
            platform().await?;
            return Ok(ExitCode::SUCCESS);
        }
        "clients" => {
            served::clients(&arguments.next().context("which port?")?).await?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let count = arguments.next().map_or(Ok(500), |count| count.parse())?;
    let (each, limit) = match what.as_str() {
        "standard" => (served::measure(count).await?, SERVED_LIMIT),
        _ => (measure(&what, count).await?, LIMIT),
    };
    println!("bench idle {what} {count}: {each} bytes each (limit {limit})");
    Ok(if each < limit {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(what: &str, count: usize) -> Result<usize> {
    let mut other = tokio::process::Command::new(std::env::current_exe()?)
        .arg("platform")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let said = other.stdout.take().context("it says nothing")?;
    let said = BufReader::new(said).lines().next_line().await?;
    let said = said.context("the platform says no ports")?;
    let (http, sockets) = said.split_once(' ').context("two ports are expected")?;
    let transport = channel_http::transport();
    let (open, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let (mut seen, mut held) = (Vec::new(), Vec::new());
    for more in [WARM, count] {
        for _ in 0..more {
            held.push(hold(what, &transport, (http, sockets), open.clone())?);
            let is_open = tokio::time::timeout(OPEN, opened.recv()).await;
            is_open.context("a connection does not open")?;
        }
        tokio::time::sleep(SETTLE).await;
        seen.push(resident()?);
    }
    if !opened.is_empty() || held.iter().any(JoinHandle::is_finished) {
        bail!("a connection was lost");
    }
    let [before, after] = seen[..] else {
        bail!("there are two looks");
    };
    Ok(after.saturating_sub(before) / count)
}

/// Opens a connection and holds it in a task of its own. Says when it is open, and once
/// more if it opens again.
fn hold(
    what: &str,
    transport: &Transport,
    (http, sockets): (&str, &str),
    open: UnboundedSender<()>,
) -> Result<JoinHandle<()>> {
    let request = http::Request::get(format!("ws://127.0.0.1:{sockets}/")).body(())?;
    let request = SocketRequest::new(request);
    let transport = transport.clone();
    Ok(match what {
        "socket" => tokio::spawn(async move {
            let Ok(mut socket) = transport.sockets.connect(request).await else {
                return;
            };
            while let Some(Ok(_)) = socket.next().await {
                let _ = open.send(());
            }
        }),
        "kept" => {
            let dial = DialAddress::new(Arc::clone(&transport.sockets), request);
            let settings = ReconnectSettings::new();
            let mut socket = ReconnectingSocket::new(Arc::new(dial), &transport, settings);
            tokio::spawn(async move {
                while let Some(event) = socket.next().await {
                    if matches!(event, SocketEvent::Opened { .. }) {
                        let _ = open.send(());
                    }
                }
            })
        }
        "discord" => {
            let discord = Discord::builder()
                .bot_token("bench")
                .api_base(format!("http://127.0.0.1:{http}"))
                .transport(transport)
                .build()?;
            tokio::spawn(async move {
                let mut events = discord.events();
                while let Some(Ok(received)) = events.next().await {
                    let kind = received.event().map(|event| &event.kind);
                    if matches!(kind, Some(EventKind::Connection(Connection::Ready))) {
                        let _ = open.send(());
                    }
                    let _ = received.ack().await;
                }
            })
        }
        _ => bail!("socket, kept, discord or standard?"),
    })
}

/// Plays Discord until the input ends.
#[expect(
    clippy::print_stdout,
    reason = "the ports are told to the other process"
)]
async fn platform() -> Result<()> {
    let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let sockets = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (api, gateway) = (http.local_addr()?.port(), sockets.local_addr()?.port());
    let answer = move |uri: Uri| async move {
        if uri.path().ends_with("/gateway/bot") {
            format!(r#"{{"url":"ws://127.0.0.1:{gateway}/","shards":1}}"#)
        } else {
            ME.to_owned()
        }
    };
    tokio::spawn(axum::serve(http, Router::new().fallback(answer)).into_future());
    tokio::spawn(async move {
        while let Ok((stream, _)) = sockets.accept().await {
            tokio::spawn(session(stream, gateway));
        }
    });
    println!("{api} {gateway}");
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = end.send(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    });
    ended.await??;
    Ok(())
}

/// One websocket: hello, the answer to the greeting, and those to heartbeats.
async fn session(stream: TcpStream, port: u16) -> Result<()> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    socket.send(Message::text(HELLO)).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else {
            continue;
        };
        let answer = if text.contains(r#""op":2"#) {
            format!(
                r#"{{"t":"READY","s":1,"op":0,"d":{{"v":10,"user":{ME},"guilds":[],"session_id":"abc","resume_gateway_url":"ws://127.0.0.1:{port}/"}}}}"#
            )
        } else {
            r#"{"t":null,"s":null,"op":11,"d":null}"#.to_owned()
        };
        socket.send(Message::text(answer)).await?;
    }
    Ok(())
}

/// The resident memory of this process, in bytes.
fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .context("no VmRSS")?;
    Ok(kilobytes.trim().parse::<usize>()? * 1024)
}
