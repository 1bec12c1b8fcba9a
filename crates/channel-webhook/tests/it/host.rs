use channel_core::Refused;

use crate::support::{Site, failed, read_all, status_of};
use tokio::io::AsyncWriteExt as _;

const SECRET: &str = "X-Secret: s\r\n";

#[tokio::test]
async fn a_good_request_is_taken_and_answered() {
    let site = Site::open().await;
    assert_eq!(site.status("POST", "/hook", SECRET, "{}").await, 200);
    assert_eq!(site.taken(), 1);
}

#[tokio::test]
async fn a_rejected_request_gets_its_status_and_no_words() {
    let site = Site::open().await;
    let answer = site
        .talk("POST /hook HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        .await;
    assert_eq!(status_of(&answer), 401);
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(site.taken(), 0);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let site = Site::open().await;
    assert_eq!(site.status("POST", "/nowhere", SECRET, "").await, 404);
    assert_eq!(site.status("GET", "/hook", SECRET, "").await, 405);
    assert_eq!(site.status("POST", "/info", SECRET, "").await, 405);
    assert_eq!(site.taken(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let site = Site::open().await;
    let fits = "x".repeat(1000);
    let too_long = "x".repeat(1001);
    assert_eq!(site.status("POST", "/hook", SECRET, &fits).await, 200);
    assert_eq!(site.status("POST", "/hook", SECRET, &too_long).await, 413);
    let chunked = format!(
        "POST /hook HTTP/1.1\r\nHost: a\r\n{SECRET}Transfer-Encoding: chunked\r\n\r\n3e9\r\n{too_long}\r\n0\r\n\r\n"
    );
    assert_eq!(status_of(&site.talk(chunked).await), 413);
    assert_eq!(site.taken(), 1);
}

#[tokio::test]
async fn a_length_that_lies_is_not_waited_for_beyond_the_limit() {
    let site = Site::open().await;
    let request =
        format!("POST /hook HTTP/1.1\r\nHost: a\r\n{SECRET}Content-Length: 10000000000\r\n\r\nx");
    assert_eq!(status_of(&site.talk(request).await), 413);
}

#[tokio::test]
async fn an_encoded_body_is_refused() {
    let site = Site::open().await;
    for encoding in ["gzip", "br", "identity, gzip", ""] {
        let headers = format!("{SECRET}Content-Encoding: {encoding}\r\n");
        assert_eq!(
            site.status("POST", "/hook", &headers, "{}").await,
            415,
            "{encoding}"
        );
    }
    let headers = format!("{SECRET}Content-Encoding: identity\r\n");
    assert_eq!(site.status("POST", "/hook", &headers, "{}").await, 200);
}

#[tokio::test]
async fn events_that_cannot_be_taken_make_the_platform_come_again() {
    let site = Site::open().await;
    for refused in [Refused::Full, Refused::Stopping, failed()] {
        *site.intake.refuse.lock().unwrap() = Some(refused);
        let answer = site
            .talk(format!(
                "POST /hook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{SECRET}Content-Length: 2\r\n\r\n{{}}"
            ))
            .await;
        assert_eq!(status_of(&answer), 503);
        assert!(answer.to_lowercase().contains("retry-after: 1"), "{answer}");
        assert!(!answer.contains("disk full"), "{answer}");
    }
    assert_eq!(site.taken(), 0);
}

#[tokio::test]
async fn a_held_answer_is_the_reply_when_it_comes_in_time() {
    let site = Site::open().await;
    let asking = site.talk(format!(
        "POST /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{SECRET}Content-Length: 2\r\n\r\n{{}}"
    ));
    let replying = async {
        loop {
            if let Some(reply) = site.stub.held.lock().unwrap().take() {
                reply.send("the reply").unwrap();
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(asking, replying);
    assert!(answer.ends_with("the reply"), "{answer}");
}

#[tokio::test]
async fn a_held_answer_is_given_up_at_its_deadline() {
    let site = Site::open().await;
    let request = format!(
        "POST /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{SECRET}Content-Length: 2\r\n\r\n{{}}"
    );
    let asking = site.talk(request);
    let ringing = async {
        while site.stub.held.lock().unwrap().is_none() || site.taken() == 0 {
            tokio::task::yield_now().await;
        }
        // Rings until the timer of the held answer is among those rung.
        loop {
            site.clock.ring();
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::select! {
        answer = asking => answer,
        () = ringing => unreachable!(),
    };
    assert!(answer.ends_with("otherwise"), "{answer}");
}

fn to_be_decided() -> String {
    format!(
        "POST /decided HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{SECRET}Content-Length: 2\r\n\r\n{{}}"
    )
}

/// Says whether a request is good, and gives its answer.
async fn decide(site: &Site, is_good: bool) -> String {
    let deciding = async {
        loop {
            let asked = site.stub.decided.lock().unwrap().take();
            if let Some(decide) = asked {
                assert_eq!(site.taken(), 0, "nothing has happened before the decision");
                decide.send(is_good).unwrap();
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(site.talk(to_be_decided()), deciding);
    answer
}

#[tokio::test]
async fn what_is_refused_has_not_happened_and_what_is_accepted_is_taken_first() {
    let site = Site::open().await;
    assert!(decide(&site, false).await.ends_with("refused"));
    assert_eq!(site.taken(), 0);
    // No room: the platform is not told that it was accepted.
    *site.intake.refuse.lock().unwrap() = Some(failed());
    assert_eq!(status_of(&decide(&site, true).await), 503);
    assert_eq!(site.taken(), 0);
    assert!(decide(&site, true).await.ends_with("accepted"));
    assert_eq!(site.taken(), 1);
}

#[tokio::test]
async fn a_decision_that_takes_too_long_is_made_without_it() {
    let site = Site::open().await;
    let asking = site.talk(to_be_decided());
    let ringing = async {
        while site.stub.decided.lock().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        loop {
            site.clock.ring();
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::select! {
        answer = asking => answer,
        () = ringing => unreachable!(),
    };
    assert!(answer.ends_with("otherwise"), "{answer}");
    assert_eq!(site.taken(), 1);
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let site = Site::open().await;
    let mut stream = site.connect().await;
    stream
        .write_all(
            format!("POST /hook HTTP/1.1\r\nHost: a\r\n{SECRET}Content-Length: 100\r\n\r\nhalf")
                .as_bytes(),
        )
        .await
        .unwrap();
    let reading = read_all(&mut stream);
    let ringing = async {
        loop {
            site.clock.ring();
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::select! {
        answer = reading => answer,
        () = ringing => unreachable!(),
    };
    assert_eq!(status_of(&answer), 408);
}
