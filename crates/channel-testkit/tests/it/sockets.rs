use channel_core::{BoxSocket, ErrorKind, Frame, SocketConnector as _, SocketRequest};
use channel_testkit::{FakePeer, FakeSockets, VirtualClock, socket_pair};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};

fn run<T>(test: impl Future<Output = T>) -> T {
    VirtualClock::new().block_on(test)
}

fn request() -> SocketRequest {
    let request = http::Request::get("wss://chat.example/socket?ticket=1").body(());
    SocketRequest::new(request.unwrap())
}

async fn connected() -> (BoxSocket, FakePeer) {
    let sockets = FakeSockets::new();
    let socket = sockets.connect(request()).await.unwrap();
    (socket, sockets.accept().await)
}

#[test]
fn frames_go_both_ways() {
    run(async {
        let (mut socket, peer) = connected().await;
        assert_eq!(peer.request().uri().query(), Some("ticket=1"));
        peer.send_json(&serde_json::json!({"op": 10}));
        let frame = socket.next().await.unwrap().unwrap();
        assert_eq!(frame, Frame::text(r#"{"op":10}"#));
        socket.send(Frame::text("[1]")).await.unwrap();
        assert_eq!(peer.receive_json().await.unwrap(), serde_json::json!([1]));
    });
}

#[test]
fn pings_are_answered_by_the_transport() {
    run(async {
        let (mut socket, peer) = connected().await;
        peer.send(Frame::Ping("x".into()));
        assert!(matches!(socket.next().await, Some(Ok(Frame::Ping(_)))));
        assert_eq!(peer.receive().await, Some(Frame::Pong("x".into())));
    });
}

#[test]
fn a_close_from_the_server_ends_the_stream() {
    run(async {
        let (mut socket, peer) = connected().await;
        peer.close(4004, "bad token");
        let Some(Ok(Frame::Close(Some(reason)))) = socket.next().await else {
            panic!("expected a closing frame");
        };
        assert_eq!(reason.code, 4004);
        assert!(socket.next().await.is_none());
        assert!(matches!(peer.receive().await, Some(Frame::Close(_))));
        assert!(socket.send(Frame::text("late")).await.is_err());
    });
}

#[test]
fn a_close_from_the_client_is_answered() {
    run(async {
        let (mut socket, peer) = connected().await;
        socket.send(Frame::close(1000, "bye")).await.unwrap();
        assert!(matches!(peer.receive().await, Some(Frame::Close(Some(_)))));
        assert!(matches!(socket.next().await, Some(Ok(Frame::Close(_)))));
        assert!(socket.next().await.is_none());
        drop(socket);
        assert_eq!(peer.receive().await, None);
    });
}

#[test]
fn a_cut_connection_is_an_error_after_what_was_on_the_way() {
    run(async {
        let (mut socket, peer) = connected().await;
        peer.send_text("last words");
        drop(peer);
        assert_eq!(
            socket.next().await.unwrap().unwrap(),
            Frame::text("last words")
        );
        let error = socket.next().await.unwrap().expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(socket.next().await.is_none());
    });
}

#[test]
fn a_half_open_connection_swallows_everything_silently() {
    run(async {
        let (mut socket, peer) = connected().await;
        peer.hang();
        peer.send_text("lost");
        socket.send(Frame::text("lost too")).await.unwrap();
        assert!(socket.next().now_or_never().is_none());
        assert!(peer.receive().now_or_never().is_none());
    });
}

#[test]
fn a_client_that_drops_its_end_is_gone() {
    run(async {
        let (socket, peer) = connected().await;
        assert!(!peer.client_is_gone());
        drop(socket);
        peer.gone().await;
        assert_eq!(peer.receive().await, None);
    });
}

#[test]
fn attempts_can_be_refused_or_left_hanging() {
    run(async {
        let sockets = FakeSockets::new();
        sockets.refuse(ErrorKind::Unauthenticated);
        sockets.hang_next();
        let error = sockets.connect(request()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(sockets.connect(request()).now_or_never().is_none());
        assert!(sockets.connect(request()).await.is_ok());
        assert_eq!(sockets.attempts(), 3);
    });
}

#[test]
fn a_message_over_the_bound_is_an_error() {
    run(async {
        let (mut socket, peer) = socket_pair(4);
        peer.send_text("1234");
        peer.send_text("12345");
        assert!(socket.next().await.unwrap().is_ok());
        let error = socket.next().await.unwrap().expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(socket.next().await.is_none());
    });
}

#[test]
fn text_to_send_has_to_be_text() {
    run(async {
        let (mut socket, _peer) = socket_pair(1_000);
        let bad = Frame::Text(bytes::Bytes::from_static(&[0xff]));
        let error = socket.send(bad).await.expect_err("not UTF-8");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    });
}

#[test]
fn a_client_that_reconnects_for_ever_is_stopped_by_the_backlog() {
    run(async {
        let sockets = FakeSockets::new();
        for _ in 0..128 {
            assert!(sockets.connect(request()).await.is_ok());
        }
        let error = sockets.connect(request()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        drop(sockets.accept().await);
        assert!(sockets.connect(request()).await.is_ok());
    });
}
