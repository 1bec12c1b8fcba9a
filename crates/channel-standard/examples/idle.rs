//! What an idle client costs: `cargo run --release -p channel-standard --example idle -- 1000`.
//!
//! Serves the standard channel, lets another process open that many websockets and say
//! hello, and prints what each has added to the resident memory of the server.
#![expect(clippy::print_stdout, reason = "prints what it has measured")]

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use channel_core::{Event, Frame, Intake, Refused, SocketRequest, Transport, async_trait};
use channel_standard::Standard;
use channel_webhook::{Host, Server};
use futures_util::{SinkExt as _, StreamExt as _};

const TOKEN: &str = "idle-clients";

/// Connections before the first look, so that what is there once is not counted.
const WARM: usize = 50;

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Intake for Nowhere {
    async fn take(&self, _: Vec<Event>) -> Result<(), Refused> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let transport = channel_http::transport();
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(_), Some(address), Some(count)) => {
            clients(&transport, &address, count.parse()?).await
        }
        (count, ..) => {
            let count = count.map_or(Ok(1000), |count| count.parse())?;
            measure(&transport, count).await
        }
    }
}

async fn measure(transport: &Transport, count: usize) -> Result<(), Box<dyn Error>> {
    let standard = Standard::builder()
        .token(TOKEN)
        .configure(|config| config.max_connections = count + WARM)
        .transport(transport.clone())
        .build()?;
    let router = Host::new(Arc::clone(&transport.clock))
        .mount(Arc::new(standard.clone()), Arc::new(Nowhere))
        .router();
    let server = Server::bind(([127, 0, 0, 1], 0).into(), router).await?;
    let mut seen = Vec::new();
    let mut others = Vec::new();
    for (more, all) in [(WARM, WARM), (count, count + WARM)] {
        let other = Command::new(std::env::current_exe()?)
            .args(["clients", &server.address().to_string(), &more.to_string()])
            .stdin(Stdio::piped())
            .spawn()?;
        others.push(other);
        while standard.health().connections < all {
            transport.clock.sleep(Duration::from_millis(50)).await;
        }
        transport.clock.sleep(Duration::from_secs(2)).await;
        seen.push(resident()?);
    }
    for mut other in others {
        // The end of its input ends it.
        drop(other.stdin.take());
        other.wait()?;
    }
    if let [before, after] = seen[..] {
        let each = after.saturating_sub(before) / count;
        println!("{count} idle clients: {each} bytes each");
    }
    Ok(())
}

/// Opens sockets and holds them until the input ends.
async fn clients(transport: &Transport, address: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        let request = http::Request::get(format!("ws://{address}/standard/ws"))
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(())?;
        let mut socket = transport
            .sockets
            .connect(SocketRequest::new(request))
            .await?;
        let process = std::process::id();
        let hello = format!(r#"{{"v":1,"type":"hello","client_id":"c{process}-{number}"}}"#);
        socket.send(Frame::text(hello)).await?;
        socket.next().await;
        open.push(socket);
    }
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// The resident memory of this process, in bytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .ok_or("no VmRSS")?;
    Ok(kilobytes.trim().parse::<usize>()? * 1024)
}
