//! Connected and deaf: every way in which a connection dies without saying so, on virtual
//! time. In each the stream says so within 90 s and is back within 30 s of the end of the
//! fault, and nothing hammers the server.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use channel_core::{
    Clock as _, Connection, Error, ErrorKind, Events as _, HandshakeRefused, HttpErrorKind,
};
use channel_testkit::Reply;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::fake::{Fake, Mood, Wire, direct, envelope};
use crate::socket::{Stream, latest, news, next, ready, settle};

const SECOND: Duration = Duration::from_secs(1);
const RED: Duration = Duration::from_secs(90);
const BACK: Duration = Duration::from_secs(30);

/// Waits until the stream says that the connection is lost.
async fn lost(stream: &mut Stream) {
    while !matches!(news(stream).await, Connection::Lost { .. }) {}
}

/// Waits until the stream says that it is back; what else it says.
async fn back(stream: &mut Stream) -> Vec<Connection> {
    let mut said = Vec::new();
    loop {
        match news(stream).await {
            Connection::Ready => return said,
            other => said.push(other),
        }
    }
}

/// Runs the stream for so long.
async fn run_for(fake: &Fake, stream: &mut Stream, span: Duration) {
    let until = fake.transport.clock.sleep(span);
    let poll = async {
        loop {
            let _ = stream.next().await;
        }
    };
    tokio::select! { () = poll => {}, () = until => {} }
}

/// Lets the server fail for as long as the flag is up.
fn down(fake: &Fake, reply: fn() -> Reply) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&flag);
    fake.transport.http.post("/callback/ws/endpoint", move |_| {
        if is_down.load(Ordering::Relaxed) {
            return reply();
        }
        Reply::ok(&json!({"code": 0, "msg": "", "data": {
            "URL": "wss://msg.feishu.cn/ws/v2?device_id=1&service_id=7",
            "ClientConfig": {"ReconnectCount": 1, "ReconnectInterval": 120, "ReconnectNonce": 30, "PingInterval": 120}}}))
    });
    flag
}

#[tokio::test]
async fn pain_20_a_half_open_connection_is_noticed_and_replaced() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            for _ in 0..5 {
                latest(&fake).hang();
                let before = fake.elapsed();
                lost(&mut stream).await;
                let red = fake.elapsed();
                assert!(red - before <= RED, "{:?}", red - before);
                back(&mut stream).await;
                assert!(fake.elapsed() - red <= BACK);
                settle(&fake).await;
            }
            assert_eq!(fake.transport.sockets.attempts(), 6);
        })
        .await;
}

#[tokio::test]
async fn pain_21_a_platform_that_says_nothing_is_noticed_although_its_transport_answers() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            fake.state.lock().unwrap().mood = Mood::Silent;
            // Pings of the transport, every ten seconds: they prove nothing.
            let peer = latest(&fake);
            let clock = fake.transport.clock.clone();
            tokio::spawn(async move {
                loop {
                    clock.sleep(SECOND * 10).await;
                    peer.send(channel_core::Frame::Ping("x".into()));
                }
            });
            let before = fake.elapsed();
            lost(&mut stream).await;
            assert!(
                fake.elapsed() - before <= RED,
                "{:?}",
                fake.elapsed() - before
            );
            fake.state.lock().unwrap().mood = Mood::Alive;
            let ended = fake.elapsed();
            back(&mut stream).await;
            assert!(fake.elapsed() - ended <= BACK);
        })
        .await;
}

#[tokio::test]
async fn a_quiet_day_is_a_day_of_pings_and_no_reconnect() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            run_for(&fake, &mut stream, SECOND * 86_400).await;
            assert_eq!(fake.transport.sockets.attempts(), 1);
            let pings = fake.state.lock().unwrap().pings;
            assert!((2800..2900).contains(&pings), "every 30 s: {pings}");
        })
        .await;
}

#[tokio::test]
async fn the_server_sets_the_pace_of_pings_and_may_change_it() {
    let fake = Fake::new();
    fake.state.lock().unwrap().config = json!({"PingInterval": 20});
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            run_for(&fake, &mut stream, SECOND * 200).await;
            let pings = fake.state.lock().unwrap().pings;
            assert!((10..=12).contains(&pings), "{pings}");
            fake.state.lock().unwrap().config = json!({"PingInterval": 10});
            run_for(&fake, &mut stream, SECOND * 220).await;
            let more = fake.state.lock().unwrap().pings - pings;
            assert!((20..=24).contains(&more), "{more}");
        })
        .await;
}

#[tokio::test]
async fn who_asks_for_faster_pings_is_missed_earlier() {
    let fake = Fake::new();
    fake.state.lock().unwrap().config = json!({"PingInterval": 6});
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            run_for(&fake, &mut stream, SECOND * 31).await;
            fake.state.lock().unwrap().mood = Mood::Silent;
            let before = fake.elapsed();
            lost(&mut stream).await;
            let red = fake.elapsed() - before;
            // One ping was unanswered, and the next was not due yet.
            assert!(red <= SECOND * 12 && red > SECOND * 5, "{red:?}");
        })
        .await;
}

#[tokio::test]
async fn a_server_that_drains_loses_no_event() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let mut seen = HashSet::new();
            for number in 0..1000 {
                let event = direct(&format!("om_{number}"), "x");
                fake.push("event", &envelope(number, "im.message.receive_v1", event));
                if number % 200 == 150 {
                    latest(&fake).close(1001, "going away");
                }
                while seen.len() <= usize::try_from(number).unwrap() {
                    let received = next(&mut stream).await;
                    seen.insert(received.event().unwrap().id.clone());
                    received.ack().await.unwrap();
                    settle(&fake).await;
                    fake.redeliver();
                }
            }
            assert_eq!(seen.len(), 1000);
            assert_eq!(fake.transport.sockets.attempts(), 6);
        })
        .await;
}

#[tokio::test]
async fn an_hour_of_sleep_ends_with_a_new_connection() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let old = latest(&fake);
            old.hang();
            fake.transport.clock.jump_forward(SECOND * 3600);
            let before = fake.elapsed();
            while fake.transport.sockets.attempts() < 2 {
                run_for(&fake, &mut stream, SECOND).await;
            }
            assert!(
                fake.elapsed() - before <= BACK,
                "{:?}",
                fake.elapsed() - before
            );
            settle(&fake).await;
            fake.push(
                "event",
                &envelope(1, "im.message.receive_v1", direct("om_1", "awake")),
            );
            assert_eq!(next(&mut stream).await.message().unwrap().text, "awake");
        })
        .await;
}

#[tokio::test]
async fn pain_22_ten_minutes_without_names_and_then_back() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let flag = down(&fake, || Reply::Unsent(HttpErrorKind::Connect));
            let before = fake.elapsed();
            latest(&fake).cut();
            lost(&mut stream).await;
            assert!(fake.elapsed() - before <= RED);
            run_for(&fake, &mut stream, SECOND * 600).await;
            let tried = fake.calls("POST", "/callback/ws/endpoint").len() - 1;
            assert!(
                (40..=100).contains(&tried),
                "no loop, and no giving up: {tried}"
            );
            flag.store(false, Ordering::Relaxed);
            let ended = fake.elapsed();
            back(&mut stream).await;
            assert!(
                fake.elapsed() - ended <= BACK,
                "{:?}",
                fake.elapsed() - ended
            );
        })
        .await;
}

#[tokio::test]
async fn a_server_that_takes_calls_and_never_answers_is_outwaited() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let flag = down(&fake, || Reply::Hang);
            latest(&fake).cut();
            lost(&mut stream).await;
            run_for(&fake, &mut stream, SECOND * 600).await;
            flag.store(false, Ordering::Relaxed);
            let ended = fake.elapsed();
            back(&mut stream).await;
            assert!(
                fake.elapsed() - ended <= BACK,
                "{:?}",
                fake.elapsed() - ended
            );
            // The same behind the handshake.
            settle(&fake).await;
            fake.transport.sockets.hang_next();
            latest(&fake).cut();
            let ended = fake.elapsed();
            lost(&mut stream).await;
            back(&mut stream).await;
            assert!(fake.elapsed() - ended <= RED);
        })
        .await;
}

fn refused(status: u16, headers: &[(&'static str, &'static str)]) -> Error {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_static(value));
    }
    let status = StatusCode::from_u16(status).unwrap();
    let kind = match status.as_u16() {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        429 => ErrorKind::RateLimited,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, "refused").with_source(HandshakeRefused::new(status, map))
}

#[tokio::test]
async fn a_refused_handshake_is_tried_again_with_a_fresh_ticket() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            for error in [
                refused(429, &[]).with_retry_after(SECOND * 7),
                refused(401, &[]),
                refused(403, &[]),
                refused(
                    514,
                    &[
                        ("handshake-status", "514"),
                        ("handshake-autherrcode", "1000040343"),
                    ],
                ),
            ] {
                fake.transport.sockets.refuse_with(error);
            }
            fake.serve();
            let mut stream = fake.linked().events();
            let began = fake.elapsed();
            let before = back(&mut stream).await;
            assert_eq!(before.len(), 4, "{before:?}");
            let Connection::Lost { retry_in, .. } = &before[0] else {
                panic!("{before:?}");
            };
            assert!(*retry_in >= SECOND * 7, "what was asked for is kept to");
            assert!(fake.elapsed() - began < SECOND * 40);
            assert_eq!(fake.calls("POST", "/callback/ws/endpoint").len(), 5);
        })
        .await;
}

#[tokio::test]
async fn flapping_for_an_hour_is_no_storm() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            let until = fake.elapsed() + SECOND * 3600;
            while fake.elapsed() < until {
                run_for(&fake, &mut stream, SECOND * 5).await;
                if let Some(peer) = fake.state.lock().unwrap().peers.last() {
                    peer.cut();
                }
            }
            let attempts = fake.transport.sockets.attempts();
            assert!((100..=500).contains(&attempts), "{attempts}");
            // A stable while later it is quick again.
            run_for(&fake, &mut stream, SECOND * 120).await;
            latest(&fake).cut();
            let ended = fake.elapsed();
            lost(&mut stream).await;
            back(&mut stream).await;
            assert!(fake.elapsed() - ended <= BACK);
        })
        .await;
}

#[tokio::test]
async fn a_gap_is_told_only_where_feishu_has_given_up_repeating() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let (_channel, mut stream) = ready(&fake).await;
            for (hours, gaps) in [(6, 0), (8, 1)] {
                let flag = down(&fake, || Reply::Unsent(HttpErrorKind::Connect));
                let since = fake.now();
                latest(&fake).cut();
                run_for(&fake, &mut stream, SECOND * 3600 * hours).await;
                flag.store(false, Ordering::Relaxed);
                back(&mut stream).await;
                let mut told = 0;
                while let Ok(said) = tokio_timeout(&fake, &mut stream).await {
                    if let Connection::Gap { since: said, .. } = said {
                        told += 1;
                        let off = since.duration_since(said).unwrap_or_default();
                        assert!(off < SECOND * 60, "{off:?}");
                    }
                }
                assert_eq!(told, gaps, "{hours} h");
            }
        })
        .await;
}

async fn tokio_timeout(fake: &Fake, stream: &mut Stream) -> Result<Connection, ()> {
    let clock = &fake.transport.clock;
    channel_core::timeout(clock, SECOND, news(stream))
        .await
        .map_err(|_| ())
}

#[tokio::test]
async fn what_waiting_cannot_mend_stops_with_a_sentence_that_names_the_remedy() {
    for (call, status, code, kind, remedy) in [
        (
            "POST /callback",
            200,
            514,
            ErrorKind::Unauthenticated,
            "copy both from the console",
        ),
        (
            "POST /callback",
            200,
            403,
            ErrorKind::Forbidden,
            "publish a version",
        ),
        (
            "POST /callback",
            200,
            1_000_040_350,
            ErrorKind::Config,
            "stop other processes",
        ),
        (
            "POST /callback",
            200,
            424_242,
            ErrorKind::Config,
            "publish a version",
        ),
        (
            "POST /open-apis/auth",
            200,
            10_014,
            ErrorKind::Unauthenticated,
            "copy both from the console",
        ),
        (
            "GET /open-apis/bot",
            400,
            99_991_672,
            ErrorKind::Forbidden,
            "publish a new version",
        ),
        (
            "GET /open-apis/bot",
            400,
            11_205,
            ErrorKind::Config,
            "add the bot ability",
        ),
    ] {
        let fake = Fake::new();
        fake.transport
            .clock
            .clone()
            .drive(async {
                fake.serve();
                fake.refuse(call, status, code);
                let mut stream = fake.linked().events();
                let error = stream.next().await.unwrap().unwrap_err();
                assert_eq!(error.kind(), kind, "{error}");
                assert!(error.to_string().contains(remedy), "{error}");
                assert!(stream.next().await.is_none());
                assert_eq!(fake.transport.sockets.attempts(), 0, "no retry");
                assert!(fake.transport.http.count() <= 3);
            })
            .await;
    }
    for headers in [
        &[
            ("handshake-status", "514"),
            ("handshake-autherrcode", "1000040350"),
        ][..],
        &[("handshake-status", "403")],
    ] {
        let fake = Fake::new();
        fake.transport
            .clock
            .clone()
            .drive(async {
                fake.transport.sockets.refuse_with(refused(400, headers));
                let mut stream = fake.linked().events();
                assert!(stream.next().await.unwrap().is_err());
                assert!(stream.next().await.is_none());
                assert_eq!(fake.transport.sockets.attempts(), 1);
            })
            .await;
    }
}

#[tokio::test]
async fn what_waiting_mends_is_waited_for() {
    for (status, code) in [
        (200, 1),
        (200, 1_000_040_343),
        (500, 0),
        (502, 7),
        (429, 0),
        (404, 0),
    ] {
        let fake = Fake::new();
        fake.transport
            .clock
            .clone()
            .drive(async {
                fake.refuse("POST /callback", status, code);
                fake.serve();
                let mut stream = fake.linked().events();
                let before = back(&mut stream).await;
                assert_eq!(before.len(), 1, "{status} {code}: {before:?}");
            })
            .await;
    }
}

#[tokio::test]
async fn the_ticket_goes_out_as_it_came_and_only_to_a_socket_with_tls() {
    let fake = Fake::new();
    fake.transport
        .clock
        .clone()
        .drive(async {
            let channel = fake.linked();
            let mut stream = channel.events();
            let accepted = async {
                let peer = fake.transport.sockets.accept().await;
                let query = peer.request().uri().query().unwrap().to_owned();
                assert!(
                    query.starts_with("device_id=1&service_id=7&ticket=secret"),
                    "{query}"
                );
                peer.send(Wire::new(0, &[("type", "pong")], b"{}").frame());
                peer
            };
            let (peer, first) = tokio::join!(accepted, news(&mut stream));
            assert_eq!(first, Connection::Ready);
            drop(peer);
        })
        .await;
    let fake = Fake::new();
    fake.transport.http.post("/callback/ws/endpoint", |_| {
        Reply::ok(&json!({"code": 0, "data": {"URL": "ws://evil.example/?service_id=7"}}))
    });
    fake.transport
        .clock
        .clone()
        .drive(async {
            let mut stream = fake.linked().events();
            lost(&mut stream).await;
            assert_eq!(fake.transport.sockets.attempts(), 0);
        })
        .await;
}
