//! The webhook over real connections, against the emulator of the workspace.

use bytes::Bytes;
use channel_core::{Channel as _, ErrorKind, Event, Events as _};
use channel_telegram::Telegram;
use futures_util::StreamExt as _;

use crate::emulator::{Inbox, PATIENCE, World};
use crate::webhook::SECRET;

#[tokio::test]
async fn a_webhook_is_set_delivers_and_stands_in_the_way_of_polling() {
    let world = World::new().await;
    let hooked = world
        .builder()
        .webhook_secret(SECRET)
        .username("kit_bot")
        .build()
        .unwrap();
    let (sender, mut events) = tokio::sync::mpsc::channel(16);
    let address = serve(hooked.clone(), sender).await;
    hooked
        .set_webhook(&format!("http://{address}/telegram/webhook"))
        .await
        .unwrap();
    world
        .server
        .private_text(world.bot, world.ada, "over http")
        .unwrap();
    let event: Event = tokio::time::timeout(PATIENCE, events.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(event.message().unwrap().text, "over http");

    let mut stream = world.channel().events();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    // Another secret than the one that was set: refused, and kept by the platform.
    let stranger = world
        .builder()
        .webhook_secret("another-secret")
        .build()
        .unwrap();
    let (sender, mut nothing) = tokio::sync::mpsc::channel(16);
    let address = serve(stranger, sender).await;
    hooked
        .set_webhook(&format!("http://{address}/telegram/webhook"))
        .await
        .unwrap();
    world
        .server
        .private_text(world.bot, world.ada, "not for you")
        .unwrap();
    let status = world
        .server
        .wait_for(PATIENCE, |view| {
            view.deliveries()
                .last()
                .filter(|last| last.status == Some(401))
                .map(|_| ())
        })
        .await;
    status.unwrap();
    assert!(nothing.try_recv().is_err());

    let taker = world.builder().take_over_webhook(true).build().unwrap();
    let mut inbox = Inbox::open(&taker).await;
    assert_eq!(inbox.message().await.text, "not for you");
}

/// The least HTTP server that a webhook needs.
async fn serve(
    channel: Telegram,
    events: tokio::sync::mpsc::Sender<Event>,
) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let (head, length) = loop {
                if socket.read_buf(&mut bytes).await.unwrap() == 0 {
                    break (String::new(), 0);
                }
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, _)) = text.split_once("\r\n\r\n") {
                    let length = head
                        .lines()
                        .filter_map(|line| line.split_once(": "))
                        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                        .map_or(0, |(_, value)| value.trim().parse().unwrap());
                    break (head.to_owned(), length);
                }
            };
            let start = head.len() + 4;
            while bytes.len() < start + length {
                socket.read_buf(&mut bytes).await.unwrap();
            }
            let mut request = http::Request::post("/telegram/webhook");
            for (name, value) in head
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(": "))
            {
                request = request.header(name, value);
            }
            let body = Bytes::copy_from_slice(&bytes[start..start + length]);
            let request = request.body(body).unwrap();
            let webhook = channel.as_webhook().unwrap();
            let status = match webhook.receive(&request, std::time::SystemTime::now()) {
                Ok(accepted) => {
                    for event in accepted.events {
                        events.send(event).await.unwrap();
                    }
                    200
                }
                Err(rejection) => rejection.status().as_u16(),
            };
            let answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}
