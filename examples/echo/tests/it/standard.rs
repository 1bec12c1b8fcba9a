use channel_kit::core::{BoxSocket, Frame, SocketRequest};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};

use crate::process::Echo;

const TOKEN: &str = "tok-standard-0001";

async fn connect(echo: &Echo, path: &str) -> BoxSocket {
    let request = http::Request::builder()
        .uri(format!("ws://127.0.0.1:{}{path}", echo.port))
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(())
        .unwrap();
    let sockets = channel_kit::http::transport().sockets;
    let mut socket = sockets.connect(SocketRequest::new(request)).await.unwrap();
    let hello = json!({"v":1,"type":"hello","id":"h-1","client_id":"web-1","name":"Ada"});
    socket.send(Frame::text(hello.to_string())).await.unwrap();
    assert_eq!(next(&mut socket).await["type"], "welcome");
    socket
}

async fn next(socket: &mut BoxSocket) -> Value {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Frame::Text(text) => return serde_json::from_slice(&text).unwrap(),
            Frame::Ping(_) | Frame::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Waits for a frame of a type.
async fn wait_for(socket: &mut BoxSocket, kind: &str) -> Value {
    loop {
        let frame = next(socket).await;
        assert_ne!(frame["type"], "error", "{frame}");
        if frame["type"] == kind {
            return frame;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_client_gets_its_echo_at_both_paths() {
    let echo = Echo::start(&[("CHANNEL_STANDARD_TOKEN", TOKEN)]).ready("standard");
    for (id, path) in [("m-1", "/standard"), ("m-2", "/standard/ws")] {
        let mut socket = connect(&echo, path).await;
        let message = json!({"v":1,"type":"message","id":id,"text":"hi **there**"});
        socket.send(Frame::text(message.to_string())).await.unwrap();
        let answer = wait_for(&mut socket, "message").await;
        assert_eq!(answer["text"], "echo: hi **there**");
        assert_eq!(answer["in_reply_to"], id);
        assert_eq!(answer["format"].as_str().unwrap_or("plain"), "plain");
    }
    assert_eq!(echo.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_all_its_words() {
    let echo = Echo::start(&[("CHANNEL_STANDARD_TOKEN", TOKEN)]).ready("standard");
    let mut socket = connect(&echo, "/standard").await;
    let message = json!({"v":1,"type":"message","id":"m-1","text":"/stream 5"});
    socket.send(Frame::text(message.to_string())).await.unwrap();
    loop {
        let frame = next(&mut socket).await;
        if frame["final"] == true && frame["text"] == "1 2 3 4 5" {
            return;
        }
    }
}
