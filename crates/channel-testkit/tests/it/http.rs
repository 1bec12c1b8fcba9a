use std::time::Duration;

use bytes::Bytes;
use channel_core::{Clock as _, HttpBody, HttpClient as _, HttpErrorKind, HttpRequest, timeout};
use channel_testkit::{FakeTransport, Reply, fake_transport};
use futures_util::future::join;
use http::{Request, StatusCode};
use serde_json::json;

fn post(path: &str, body: &'static str) -> HttpRequest {
    let uri = format!("https://chat.example{path}");
    let pieces = vec![Bytes::from(body), Bytes::from("!")];
    HttpRequest::new(
        Request::post(uri)
            .body(HttpBody::from_pieces(pieces))
            .unwrap(),
    )
}

fn status(fake: &FakeTransport, path: &str) -> StatusCode {
    let reply = fake.http.execute(post(path, ""));
    fake.clock.block_on(reply).unwrap().status()
}

#[test]
fn the_longest_prefix_answers() {
    let fake = fake_transport();
    fake.http
        .post("/a", |_| Reply::status(StatusCode::ACCEPTED));
    fake.http
        .post("/a/b", |_| Reply::status(StatusCode::CREATED));
    assert_eq!(status(&fake, "/a/x"), StatusCode::ACCEPTED);
    assert_eq!(status(&fake, "/a/b/c"), StatusCode::CREATED);
    assert_eq!(status(&fake, "/other"), StatusCode::NOT_FOUND);
}

#[test]
fn scripted_replies_go_first_and_once() {
    let fake = fake_transport();
    fake.http.post("/a", |_| Reply::ok(&json!({})));
    fake.http.once("/a", Reply::status(StatusCode::BAD_GATEWAY));
    fake.http.once("/a", Reply::status(StatusCode::CONFLICT));
    assert_eq!(status(&fake, "/a"), StatusCode::BAD_GATEWAY);
    assert_eq!(status(&fake, "/a"), StatusCode::CONFLICT);
    assert_eq!(status(&fake, "/a"), StatusCode::OK);
}

#[test]
fn the_ledger_holds_whole_requests() {
    let fake = fake_transport();
    fake.clock.advance(Duration::from_secs(3));
    status(&fake, "/a");
    let late = async {
        let both = fake.http.wait_for_path("/b", 1).await;
        (both[0].text(), both[0].at)
    };
    let reply = fake.http.execute(post("/b?c=d", "hello"));
    let ((text, at), _) = fake.clock.block_on(join(late, reply));
    assert_eq!((text.as_str(), at), ("hello!", Duration::from_secs(3)));
    assert_eq!(fake.http.count(), 2);
    assert_eq!(fake.http.requests()[1].path(), "/b");
}

#[test]
fn a_server_that_hangs_runs_into_the_deadline() {
    let fake = fake_transport();
    fake.http.once("/", Reply::Hang);
    let request = post("/a", "").deadline(Duration::from_secs(12));
    let error = fake
        .clock
        .block_on(fake.http.execute(request))
        .expect_err("hangs");
    assert_eq!(error.kind(), HttpErrorKind::Timeout);
    assert!(error.may_have_arrived());
    assert_eq!(fake.clock.elapsed(), Duration::from_secs(12));
}

#[test]
fn tells_failures_before_and_after_sending_apart() {
    let fake = fake_transport();
    fake.http.once("/", Reply::Unsent(HttpErrorKind::Connect));
    fake.http.once("/", Reply::Sent(HttpErrorKind::Interrupted));
    let arrived = || {
        let reply = fake.http.execute(post("/", ""));
        fake.clock.block_on(reply).expect_err("fails")
    };
    assert!(!arrived().may_have_arrived());
    assert!(arrived().may_have_arrived());
}

#[test]
fn a_response_over_the_bound_is_an_error() {
    let fake = fake_transport();
    fake.http
        .post("/", |_| Reply::bytes(StatusCode::OK, "12345"));
    let within = fake.http.execute(post("/", "").max_response(5));
    assert!(fake.clock.block_on(within).is_ok());
    let beyond = fake.http.execute(post("/", "").max_response(4));
    let error = fake.clock.block_on(beyond).expect_err("too large");
    assert_eq!(error.kind(), HttpErrorKind::TooLarge);
}

#[test]
fn an_answer_can_come_later() {
    let fake = fake_transport();
    let clock = fake.clock.clone();
    fake.http.post("/poll", move |_| {
        let clock = clock.clone();
        Reply::later(async move {
            clock.sleep(Duration::from_secs(20)).await;
            Reply::ok(&json!([]))
        })
    });
    assert_eq!(status(&fake, "/poll"), StatusCode::OK);
    assert_eq!(fake.clock.elapsed(), Duration::from_secs(20));
}

#[test]
fn whoever_asks_without_a_wait_still_runs_into_a_deadline() {
    let fake = fake_transport();
    let spinning = async {
        loop {
            let _ = fake.http.execute(post("/", "")).await;
        }
    };
    let ended = timeout(&fake.clock, Duration::from_secs(60), spinning);
    let ended: Result<(), _> = fake.clock.block_on(ended);
    assert!(ended.is_err());
}
