//! Connected and deaf: every way in which a connection dies without saying so, on virtual time.
//! In each the stream says so within 90 s and is back within 30 s of the end of the fault, and
//! nothing hammers the server.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use channel_core::{
    Clock as _, Connection, Error, ErrorKind, EventId, Events as _, Frame, HandshakeRefused,
    HttpErrorKind,
};
use channel_testkit::Reply;
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::fake::{Fake, Mood, direct, frame};
use crate::socket::{Stream, latest, news, next, ready, ready_with, settle};

const SECOND: Duration = Duration::from_secs(1);
const RED: Duration = Duration::from_secs(90);
const BACK: Duration = Duration::from_secs(30);
const OPEN: &str = "/v1.0/gateway/connections/open";

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

/// Runs the stream for so long; what it says about itself.
async fn run_for(fake: &Fake, stream: &mut Stream, span: Duration) -> Vec<Connection> {
    let mut said = Vec::new();
    let until = fake.transport.clock.sleep(span);
    let poll = async {
        loop {
            let received = stream.next().await.unwrap().unwrap();
            if let channel_core::EventKind::Connection(news) = &received.event().unwrap().kind {
                said.push(news.clone());
            }
        }
    };
    tokio::select! { () = poll => {}, () = until => {} }
    said
}

/// Runs the stream for so long, and acknowledges what comes.
async fn drain_for(fake: &Fake, stream: &mut Stream, span: Duration) -> Vec<EventId> {
    let until = fake.elapsed() + span;
    let mut seen = Vec::new();
    while fake.elapsed() < until {
        let clock = &fake.transport.clock;
        if let Ok(received) = channel_core::timeout(clock, SECOND, next(stream)).await {
            seen.push(received.event().unwrap().id.clone());
            received.ack().await.unwrap();
        }
    }
    seen
}

/// Lets the ticket office fail for as long as the flag is up.
fn down(fake: &Fake, reply: fn() -> Reply) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&flag);
    fake.transport.http.post(OPEN, move |_| {
        if is_down.load(Ordering::Relaxed) {
            return reply();
        }
        Reply::ok(&json!({"endpoint": "wss://wss.example/connect", "ticket": "t/secret"}))
    });
    flag
}

macro_rules! drive {
    ($fake:ident, $body:block) => {
        $fake.transport.clock.clone().drive(async $body).await
    };
}

#[tokio::test]
async fn pain_20_a_half_open_connection_is_noticed_and_replaced() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        for _ in 0..5 {
            run_for(&fake, &mut stream, SECOND * 61).await;
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
    });
}

/// soimy/openclaw-channel-dingtalk#308: the socket was alive and no message came.
#[tokio::test]
async fn pain_21_a_platform_that_says_nothing_is_noticed_although_its_transport_answers() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        run_for(&fake, &mut stream, SECOND * 60).await;
        fake.feels(Mood::Silent);
        let silent = fake.now();
        let peer = latest(&fake);
        let clock = fake.transport.clock.clone();
        tokio::spawn(async move {
            loop {
                clock.sleep(SECOND * 10).await;
                peer.send(Frame::Ping("x".into()));
            }
        });
        let before = fake.elapsed();
        lost(&mut stream).await;
        let took = fake.elapsed() - before;
        assert!(took <= RED, "{took:?}");
        fake.feels(Mood::Alive);
        let ended = fake.elapsed();
        back(&mut stream).await;
        assert!(fake.elapsed() - ended <= BACK);
        // What it said last counts, and not what its transport did.
        let Connection::Gap { since, .. } = news(&mut stream).await else {
            panic!("what was said meanwhile may be missing");
        };
        assert!(since <= silent, "{:?}", since.duration_since(silent));
    });
}

/// As the README says: 40 s after the last sign of life, which may be a pong of 13 s ago, unless
/// something was asked meanwhile and may still be answered.
#[tokio::test]
async fn a_transport_that_answers_nothing_is_given_up_within_54_seconds() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        run_for(&fake, &mut stream, SECOND * 60).await;
        latest(&fake).hang();
        let before = fake.elapsed();
        lost(&mut stream).await;
        let took = fake.elapsed() - before;
        assert!(took > SECOND * 26 && took <= SECOND * 54, "{took:?}");
    });
}

#[tokio::test]
async fn ready_is_said_once_the_server_answers_and_not_on_the_handshake() {
    let fake = Fake::new();
    fake.feels(Mood::Mute);
    drive!(fake, {
        fake.serve();
        let channel = fake.linked();
        let mut stream = channel.events();
        let said = run_for(&fake, &mut stream, SECOND * 50).await;
        let is_lost = |it: &Connection| matches!(it, Connection::Lost { .. });
        assert!(!said.is_empty() && said.iter().all(is_lost), "{said:?}");
        let attempts = fake.transport.sockets.attempts();
        assert!((2..=4).contains(&attempts), "{attempts}");
        fake.feels(Mood::Alive);
        let ended = fake.elapsed();
        back(&mut stream).await;
        assert!(fake.elapsed() - ended <= BACK);
    });
}

#[tokio::test]
async fn an_event_that_comes_first_is_proof_enough_and_is_not_lost() {
    let fake = Fake::new();
    fake.feels(Mood::Mute);
    fake.say(&direct("msg1", "early"));
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        let received = next(&mut stream).await;
        assert_eq!(received.message().unwrap().text, "early");
        received.ack().await.unwrap();
        settle(&fake).await;
        let state = fake.state.lock().unwrap();
        assert!(state.queue.is_empty(), "it is answered where it came by");
    });
}

#[tokio::test]
async fn a_server_that_begins_with_a_notice_or_an_end_is_not_ready() {
    let fake = Fake::new();
    drive!(fake, {
        let channel = fake.linked();
        let mut stream = channel.events();
        let server = fake.clone();
        tokio::spawn(async move {
            let sockets = &server.transport.sockets;
            let first = sockets.accept().await;
            first.send_json(&frame(
                "SYSTEM",
                "disconnect",
                "s1",
                &json!({"reason": "x"}),
            ));
            let second = sockets.accept().await;
            second.close(1001, "going away");
            server.serve();
        });
        let said = back(&mut stream).await;
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(fake.transport.sockets.attempts(), 3);
    });
}

/// Nothing documents the signs of life: a server that sends none is no reason to reconnect for
/// ever, as long as its transport answers.
#[tokio::test]
async fn a_quiet_day_needs_no_reconnect_whether_the_platform_beats_or_not() {
    for mood in [Mood::Alive, Mood::Silent] {
        let fake = Fake::new();
        fake.feels(mood);
        drive!(fake, {
            let (_channel, mut stream) = ready(&fake).await;
            let said = run_for(&fake, &mut stream, SECOND * 86_400).await;
            assert_eq!(fake.transport.sockets.attempts(), 1, "{mood:?}");
            assert!(said.len() > 86_400 / 90, "{mood:?}: {}", said.len());
            assert!(said.iter().all(|it| *it == Connection::Alive));
        });
    }
}

#[tokio::test]
async fn ten_thousand_numbered_events_outlive_drains_and_cuts() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        let mut seen = HashSet::new();
        for number in 0..10_000_usize {
            fake.say(&direct(&format!("msg{number}"), "x"));
            if number % 250 == 249 {
                // What comes next befalls a connection that was stable.
                seen.extend(drain_for(&fake, &mut stream, SECOND * 65).await);
            }
            match number % 1000 {
                250 => fake.drain(),
                500 => latest(&fake).cut(),
                750 => latest(&fake).close(1001, "going away"),
                _ => {}
            }
            while seen.len() <= number {
                let received = next(&mut stream).await;
                seen.insert(received.event().unwrap().id.clone());
                received.ack().await.unwrap();
                settle(&fake).await;
                if seen.len() <= number {
                    fake.redeliver();
                }
            }
        }
        assert_eq!(seen.len(), 10_000);
        assert!(
            fake.state.lock().unwrap().queue.is_empty(),
            "all are answered"
        );
        assert_eq!(fake.transport.sockets.attempts(), 31);
    });
}

/// A server that gives notice on each new connection made a tight loop of the official SDK.
#[tokio::test]
async fn a_server_that_always_drains_is_no_tight_loop() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        let until = fake.elapsed() + SECOND * 3600;
        while fake.elapsed() < until {
            fake.drain();
            run_for(&fake, &mut stream, SECOND).await;
        }
        let attempts = fake.transport.sockets.attempts();
        assert!((50..=200).contains(&attempts), "{attempts}");
    });
}

#[tokio::test]
async fn an_hour_of_sleep_ends_with_a_new_connection() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        let old = latest(&fake);
        old.hang();
        fake.transport.clock.jump_forward(SECOND * 3600);
        let before = fake.elapsed();
        let mut said = Vec::new();
        while fake.transport.sockets.attempts() < 2 {
            said.extend(run_for(&fake, &mut stream, SECOND).await);
        }
        let took = fake.elapsed() - before;
        assert!(took <= BACK, "{took:?}");
        said.extend(run_for(&fake, &mut stream, SECOND).await);
        let is_gap = |it: &&Connection| matches!(it, Connection::Gap { .. });
        assert_eq!(said.iter().filter(is_gap).count(), 1, "{said:?}");
        fake.say(&direct("msg1", "awake"));
        assert_eq!(next(&mut stream).await.message().unwrap().text, "awake");
    });
}

#[tokio::test]
async fn pain_22_ten_minutes_without_names_and_then_back() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        let flag = down(&fake, || Reply::Unsent(HttpErrorKind::Connect));
        let before = fake.elapsed();
        latest(&fake).cut();
        lost(&mut stream).await;
        assert!(fake.elapsed() - before <= RED);
        run_for(&fake, &mut stream, SECOND * 600).await;
        let tried = fake.calls("POST", OPEN).len() - 1;
        assert!(
            (25..=60).contains(&tried),
            "no loop, and no giving up: {tried}"
        );
        flag.store(false, Ordering::Relaxed);
        let ended = fake.elapsed();
        back(&mut stream).await;
        let took = fake.elapsed() - ended;
        assert!(took <= BACK, "{took:?}");
    });
}

#[tokio::test]
async fn a_refused_ticket_or_handshake_is_tried_again_with_a_fresh_one_up_the_ladder() {
    let refused = |status: u16, kind| {
        let status = StatusCode::from_u16(status).unwrap();
        let source = HandshakeRefused::new(status, HeaderMap::new());
        Error::new(kind, "refused").with_source(source)
    };
    let fake = Fake::new();
    drive!(fake, {
        for error in [
            refused(429, ErrorKind::RateLimited).with_retry_after(SECOND * 7),
            refused(401, ErrorKind::Unauthenticated),
            refused(403, ErrorKind::Forbidden),
            refused(400, ErrorKind::Invalid),
        ] {
            fake.transport.sockets.refuse_with(error);
        }
        fake.serve();
        let channel = fake.linked();
        let mut stream = channel.events();
        let before = back(&mut stream).await;
        let waits: Vec<_> = before
            .iter()
            .map(|it| match it {
                Connection::Lost { retry_in, .. } => retry_in.as_secs_f64(),
                other => panic!("{other:?}"),
            })
            .collect();
        let rungs = [(7.0, 7.0), (2.5, 5.0), (5.0, 10.0), (15.0, 30.0)];
        assert_eq!(waits.len(), rungs.len());
        for (wait, (least, most)) in waits.iter().zip(rungs) {
            assert!((least..=most).contains(wait), "{waits:?}");
        }
        assert_eq!(
            fake.calls("POST", OPEN).len(),
            5,
            "each has a ticket of its own"
        );
    });
}

#[tokio::test]
async fn flapping_every_five_seconds_for_an_hour_is_no_storm() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        let until = fake.elapsed() + SECOND * 3600;
        while fake.elapsed() < until {
            run_for(&fake, &mut stream, SECOND * 5).await;
            if let Some(peer) = fake.state.lock().unwrap().peers.last() {
                peer.cut();
            }
        }
        // One attempt in 12 to 24 s, as being back within 30 s needs.
        let attempts = fake.transport.sockets.attempts();
        assert!((50..=200).contains(&attempts), "{attempts}");
        // A stable while later it is quick again.
        run_for(&fake, &mut stream, SECOND * 130).await;
        latest(&fake).cut();
        let ended = fake.elapsed();
        lost(&mut stream).await;
        back(&mut stream).await;
        assert!(fake.elapsed() - ended <= SECOND * 2);
    });
}

/// Nothing says that DingTalk sends again what came while nobody was there.
#[tokio::test]
async fn a_gap_is_told_after_each_loss_and_not_after_a_replacement() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        let is_gap = |it: &&Connection| matches!(it, Connection::Gap { .. });
        run_for(&fake, &mut stream, SECOND * 70).await;
        fake.drain();
        let said = run_for(&fake, &mut stream, SECOND * 60).await;
        assert_eq!(said.iter().filter(is_gap).count(), 0, "{said:?}");
        latest(&fake).cut();
        let since = fake.now();
        let said = run_for(&fake, &mut stream, SECOND * 60).await;
        let gaps: Vec<_> = said.iter().filter(is_gap).collect();
        let [Connection::Gap { since: told, .. }] = gaps.as_slice() else {
            panic!("{said:?}");
        };
        let off = since.duration_since(*told).unwrap_or_default();
        assert!(off <= SECOND * 60, "{off:?}");
    });
}

/// DingTalk delivers nothing on a connection that it has given notice to.
#[tokio::test]
async fn a_gap_is_told_where_the_next_connection_came_late_after_a_notice() {
    let fake = Fake::new();
    drive!(fake, {
        let (_channel, mut stream) = ready(&fake).await;
        run_for(&fake, &mut stream, SECOND * 70).await;
        let flag = down(&fake, || Reply::Unsent(HttpErrorKind::Connect));
        let since = fake.now();
        fake.drain();
        let mut said = run_for(&fake, &mut stream, SECOND * 5).await;
        flag.store(false, Ordering::Relaxed);
        said.extend(run_for(&fake, &mut stream, SECOND * 30).await);
        let is_gap = |it: &&Connection| matches!(it, Connection::Gap { .. });
        let gaps: Vec<_> = said.iter().filter(is_gap).collect();
        let [Connection::Gap { since: told, .. }] = gaps.as_slice() else {
            panic!("{said:?}");
        };
        assert_eq!(*told, since);
    });
}

#[tokio::test]
async fn what_waiting_cannot_mend_stops_with_a_sentence_that_names_the_remedy() {
    use ErrorKind::{Forbidden, Unauthenticated};
    let credentials = "copy both from the developer console";
    let unpublished = "publish a version";
    for (status, code, kind, remedy) in [
        (401, "", Unauthenticated, credentials),
        (400, "invalidAuthentication", Unauthenticated, credentials),
        (401, "InvalidAuthentication", Unauthenticated, credentials),
        (400, "INVALIDAPPKEY", Unauthenticated, credentials),
        (404, "appNotExist", Unauthenticated, credentials),
        (400, "unauthorizedClient", Unauthenticated, credentials),
        (403, "", Forbidden, unpublished),
        (400, "subscription.notPermitted", Forbidden, unpublished),
        (403, "Forbidden.AccessDenied", Forbidden, unpublished),
    ] {
        let fake = Fake::new();
        drive!(fake, {
            fake.serve();
            fake.refuse("POST /v1.0/gateway", status, json!({ "code": code }));
            let channel = fake.linked();
            let mut stream = channel.events();
            let error = stream.next().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), kind, "{status} {code}: {error}");
            assert!(error.to_string().contains(remedy), "{error}");
            assert!(stream.next().await.is_none());
            assert_eq!(fake.transport.http.count(), 1, "no retry");
        });
    }
}

#[tokio::test]
async fn what_waiting_mends_is_waited_for() {
    for (status, code) in [
        (403, "Forbidden.AccessDenied.QpsLimitForApi"),
        (429, ""),
        (500, "system.err"),
        (502, ""),
        (400, "internalError"),
        (400, "somethingNew"),
        (404, ""),
    ] {
        let fake = Fake::new();
        drive!(fake, {
            fake.refuse("POST /v1.0/gateway", status, json!({ "code": code }));
            fake.serve();
            let channel = fake.linked();
            let mut stream = channel.events();
            let before = back(&mut stream).await;
            assert_eq!(before.len(), 1, "{status} {code}: {before:?}");
        });
    }
}

#[tokio::test]
async fn a_ticket_goes_only_to_a_socket_with_tls() {
    for endpoint in [
        "ws://evil.example/connect",
        "https://x.example",
        "wss://",
        "",
    ] {
        let fake = Fake::new();
        let opened = json!({"endpoint": endpoint, "ticket": "t"});
        fake.transport.http.post(OPEN, move |_| Reply::ok(&opened));
        drive!(fake, {
            let channel = fake.linked();
            let mut stream = channel.events();
            lost(&mut stream).await;
            assert_eq!(fake.transport.sockets.attempts(), 0, "{endpoint}");
        });
    }
}

/// Two apps of one process: each has its own tokens, tickets and events.
#[tokio::test]
async fn two_apps_never_see_what_is_the_other_ones() {
    use channel_core::{Channel as _, OutboundMessage, Target};
    let one = Fake::new();
    let two = Fake::on(one.transport.clock.clone());
    drive!(one, {
        let (first, mut a) = ready_with(&one, one.builder().id("one").build().unwrap()).await;
        let (second, mut b) = ready_with(&two, two.builder().id("two").build().unwrap()).await;
        one.say(&direct("msg1", "for the first"));
        two.say(&direct("msg1", "for the second"));
        let (a, b) = (next(&mut a).await, next(&mut b).await);
        assert_eq!(a.message().unwrap().text, "for the first");
        assert_eq!(b.message().unwrap().text, "for the second");
        let wrong = second.send(&a.message().unwrap().reply("x")).await;
        assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Invalid);
        let hello = OutboundMessage::new(Target::chat(crate::fake::DIRECT), "hello");
        first.send(&hello).await.unwrap();
        assert_eq!((one.sent().len(), two.sent().len()), (1, 0));
        assert_eq!(
            (
                one.state.lock().unwrap().tokens,
                two.state.lock().unwrap().tokens
            ),
            (1, 0)
        );
    });
}
