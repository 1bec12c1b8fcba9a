//! Both ends of a websocket over a pipe in memory.

use channel_core::{BoxSocket, CloseFrame, ErrorKind, Frame};
use channel_websocket::{config, server_config, wrap};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

async fn end(pipe: DuplexStream, role: Role, max_message: usize) -> BoxSocket {
    let config = match role {
        Role::Client => config(max_message),
        Role::Server => server_config(max_message),
    };
    wrap(WebSocketStream::from_raw_socket(pipe, role, Some(config)).await)
}

/// A client and a server that takes messages of up to 1000 bytes.
async fn pair() -> (BoxSocket, BoxSocket) {
    let (near, far) = tokio::io::duplex(1 << 20);
    (
        end(near, Role::Client, 1 << 20).await,
        end(far, Role::Server, 1000).await,
    )
}

#[tokio::test]
async fn every_kind_of_frame_arrives_as_it_was_sent() {
    let (mut client, mut server) = pair().await;
    let frames = [
        Frame::text("hé 👋"),
        Frame::Binary(vec![0, 255].into()),
        Frame::Ping("x".into()),
        Frame::Pong("y".into()),
        Frame::Close(Some(CloseFrame::new(4403, "not allowed"))),
    ];
    for frame in frames {
        client.send(frame.clone()).await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), frame);
    }
    assert!(server.next().await.is_none());
}

#[tokio::test]
async fn a_message_over_the_bound_is_invalid_and_the_last_thing_that_is_read() {
    let (mut client, mut server) = pair().await;
    client.send(Frame::text("a".repeat(1000))).await.unwrap();
    assert!(server.next().await.unwrap().is_ok());
    client.send(Frame::text("a".repeat(1001))).await.unwrap();
    client.send(Frame::text("after")).await.unwrap();
    let error = server.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(server.next().await.is_none());
    // A closing frame can still be sent.
    let close = Frame::close(1009, "too big");
    server.send(close.clone()).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), close);
}

#[tokio::test]
async fn what_the_protocol_does_not_allow_is_not_sent() {
    let (mut client, mut server) = pair().await;
    let long = "a".repeat(126);
    let refused = [
        Frame::Text(vec![0xff].into()),
        Frame::Ping(long.clone().into()),
        Frame::Pong(long.clone().into()),
        Frame::Close(Some(CloseFrame::new(1000, "a".repeat(124)))),
    ];
    for frame in refused {
        let error = client.send(frame.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{frame:?}");
    }
    let most = Frame::Ping("a".repeat(125).into());
    client.send(most.clone()).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), most);
}

#[tokio::test]
async fn a_broken_protocol_and_a_broken_connection_are_told_apart() {
    // A server has to be sent masked frames (RFC 6455, section 5.1).
    let (mut near, far) = tokio::io::duplex(1 << 10);
    let mut server = end(far, Role::Server, 1000).await;
    near.write_all(b"\x81\x03secret").await.unwrap();
    let error = server.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(!format!("{error:?}").contains("sec"));
    assert!(server.next().await.is_none());

    let (mut near, far) = tokio::io::duplex(1 << 10);
    let mut server = end(far, Role::Server, 1000).await;
    server.send(Frame::text("hi")).await.unwrap();
    let mut greeting = [0; 4];
    near.read_exact(&mut greeting).await.unwrap();
    drop(near);
    let error = server.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// A server end that has read everything until its end, however it came.
async fn ended(end_it: impl AsyncFnOnce(DuplexStream)) -> BoxSocket {
    let (near, far) = tokio::io::duplex(1 << 16);
    let mut server = end(far, Role::Server, 1000).await;
    assert!(server.send(Frame::text("hi")).await.is_ok());
    let reading = async { while let Some(Ok(_)) = server.next().await {} };
    futures_util::future::join(end_it(near), reading).await;
    server
}

#[tokio::test]
async fn a_socket_that_has_ended_stays_ended() {
    let closed = ended(async |pipe| {
        let mut client = end(pipe, Role::Client, 1000).await;
        client.send(Frame::close(1000, "")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Frame::text("hi"));
        let answer = client.next().await.unwrap().unwrap();
        assert!(matches!(answer, Frame::Close(_)));
    });
    let broken = ended(async |pipe| drop(pipe));
    // Too large a message, a broken protocol; each followed by a good frame that is never read.
    let large = ended(async |pipe| {
        let mut client = end(pipe, Role::Client, 1000).await;
        client.send(Frame::text("a".repeat(1001))).await.unwrap();
        client.send(Frame::text("after")).await.unwrap();
    });
    let unmasked = ended(async |mut pipe| {
        pipe.write_all(b"\x81\x02ab\x81\x82\0\0\0\0ab")
            .await
            .unwrap();
    });
    for mut socket in [closed.await, broken.await, large.await, unmasked.await] {
        for _ in 0..3 {
            assert!(socket.next().await.is_none());
        }
    }
}
