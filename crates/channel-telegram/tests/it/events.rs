//! The life of the connection.

use std::time::Duration;

use channel_core::{Channel as _, Connection, ErrorKind, Events as _, HttpErrorKind};
use channel_testkit::Reply;
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::json;

use crate::cursor::{news, next};
use crate::fake::{Fake, TOKEN};
use crate::outbound::to_ada;

const OTHER_POLLER: &str = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK: &str = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";

#[test]
fn is_ready_after_one_round_trip_and_then_waits_for_news() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        assert_eq!(fake.now(), Duration::ZERO);
        let first = fake.last("getUpdates");
        assert_eq!(first["timeout"], 0);
        assert_eq!(first["limit"], 100);
        let allowed = first["allowed_updates"].as_array().unwrap();
        for kind in [
            "message",
            "message_reaction",
            "my_chat_member",
            "callback_query",
        ] {
            assert!(allowed.contains(&json!(kind)), "{kind}");
        }
        for round in 1..=4 {
            assert_eq!(news(&mut stream).await, Connection::Alive);
            assert_eq!(fake.now(), Duration::from_secs(30 * round));
        }
        let call = fake.calls("getUpdates").pop().unwrap();
        assert_eq!(call.json()["timeout"], 30);
        assert!(call.deadline > Duration::from_secs(30));
    });
}

#[test]
fn a_known_name_is_not_asked_for() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake
            .builder()
            .username("@Kit_Bot")
            .build()
            .unwrap()
            .events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        assert_eq!(fake.calls("getMe").len(), 0);
    });
}

#[test]
fn pain_26_another_poller_is_a_hand_over() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        let began = fake.now();
        for round in 0..20 {
            fake.refuse("getUpdates", 409, OTHER_POLLER);
            let before = fake.now();
            let Connection::Lost { cause, retry_in } = news(&mut stream).await else {
                panic!("expected a loss");
            };
            assert_eq!(cause, "another instance polls for this bot");
            assert!(
                retry_in >= Duration::from_millis(500) && retry_in <= Duration::from_secs(5),
                "round {round}: {retry_in:?}"
            );
            assert!(fake.now() - before <= Duration::from_secs(5));
        }
        assert!(fake.now() - began >= Duration::from_secs(40), "no hot loop");
        fake.text("after the hand-over");
        let before = fake.now();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        assert!(fake.now() - before <= Duration::from_secs(5));
        next(&mut stream).await.ack().await.unwrap();
    });
}

#[test]
fn a_webhook_in_the_way_is_a_matter_of_configuration() {
    let fake = Fake::new();
    fake.run(async {
        fake.refuse("getUpdates", 409, WEBHOOK);
        let mut stream = fake.channel().events();
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("take_over_webhook"), "{error}");
        assert!(stream.next().await.is_none());

        fake.refuse("getUpdates", 409, WEBHOOK);
        let channel = fake.builder().take_over_webhook(true).build().unwrap();
        assert_eq!(news(&mut channel.events()).await, Connection::Ready);
        assert_eq!(fake.calls("deleteWebhook").len(), 1);
    });
}

#[test]
fn a_webhook_that_cannot_be_deleted_at_once_is_deleted_later() {
    let fake = Fake::new();
    fake.run(async {
        fake.refuse("getUpdates", 409, WEBHOOK);
        fake.refuse("deleteWebhook", 500, "Internal Server Error");
        fake.refuse("getUpdates", 409, WEBHOOK);
        let channel = fake.builder().take_over_webhook(true).build().unwrap();
        let mut stream = channel.events();
        assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
        assert_eq!(news(&mut stream).await, Connection::Ready);
        assert_eq!(fake.calls("deleteWebhook").len(), 2);
    });
}

#[test]
fn a_revoked_token_ends_the_stream() {
    for (code, description) in [(401, "Unauthorized"), (404, "Not Found")] {
        let fake = Fake::new();
        fake.run(async {
            let mut stream = fake.channel().events();
            assert_eq!(news(&mut stream).await, Connection::Ready);
            fake.refuse("getUpdates", code, description);
            let error = stream.next().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            assert!(stream.next().await.is_none());
        });
    }
}

#[test]
fn pain_22_failures_are_retried_for_ever_with_growing_waits() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        let mut longest = Duration::ZERO;
        for round in 0..500 {
            match round % 4 {
                0 => fake.state.lock().unwrap().cut = true,
                1 => fake.refuse("getUpdates", 500, "Internal Server Error"),
                2 => fake.refuse("getUpdates", 502, "Bad Gateway"),
                _ => fake.refuse("getUpdates", 400, "Bad Request: who knows"),
            }
            let Connection::Lost { retry_in, .. } = news(&mut stream).await else {
                panic!("expected a loss");
            };
            longest = longest.max(retry_in);
        }
        assert!(longest > Duration::from_secs(30) && longest <= Duration::from_secs(60));
        fake.text("still here");
        next(&mut stream).await.ack().await.unwrap();
    });
}

#[test]
fn pain_20_a_poll_that_never_ends_is_replaced() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        fake.transport
            .http
            .once(&format!("/bot{TOKEN}/getUpdates"), Reply::Hang);
        let before = fake.now();
        assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
        assert!(fake.now() - before < Duration::from_secs(90));
        assert_eq!(news(&mut stream).await, Connection::Ready);
    });
}

#[test]
fn a_transport_that_ignores_its_deadline_is_left() {
    #[derive(Debug)]
    struct Deaf;
    #[channel_core::async_trait]
    impl channel_core::HttpClient for Deaf {
        async fn execute(
            &self,
            _: channel_core::HttpRequest,
        ) -> Result<http::Response<bytes::Bytes>, channel_core::HttpError> {
            std::future::pending().await
        }
    }
    let fake = Fake::new();
    fake.run(async {
        let mut transport = fake.transport.transport();
        transport.http = std::sync::Arc::new(Deaf);
        let channel = fake.builder().transport(transport).build().unwrap();
        assert!(matches!(
            news(&mut channel.events()).await,
            Connection::Lost { .. }
        ));
        assert!(fake.now() < Duration::from_secs(90));
    });
}

#[test]
fn telegrams_own_wait_is_kept_exactly() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        let text = "Too Many Requests: retry after 17";
        fake.refuse_with("getUpdates", 429, text, json!({"retry_after": 17}));
        let lost = news(&mut stream).await;
        assert!(
            matches!(lost, Connection::Lost { retry_in, .. } if retry_in == Duration::from_secs(17))
        );
    });
}

#[test]
fn a_long_wait_of_telegrams_is_not_a_silent_one() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        let text = "Too Many Requests: retry after 300";
        fake.refuse_with("getUpdates", 429, text, json!({"retry_after": 300}));
        assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
        let polls = fake.calls("getUpdates").len();
        let began = fake.now();
        let mut last = began;
        loop {
            let next = news(&mut stream).await;
            let silent = fake.now().saturating_sub(last);
            assert!(silent <= Duration::from_secs(90), "{silent:?}");
            if next == Connection::Ready {
                break;
            }
            last = fake.now();
        }
        assert_eq!(fake.now().saturating_sub(began), Duration::from_secs(300));
        assert_eq!(fake.calls("getUpdates").len(), polls + 1);
    });
}

#[test]
fn a_server_that_never_waits_is_not_asked_without_a_pause() {
    let fake = Fake::new();
    fake.run(async {
        let path = format!("/bot{TOKEN}/getUpdates");
        for _ in 0..100 {
            let nothing = Reply::ok(&json!({"ok": true, "result": []}));
            fake.transport.http.once(&path, nothing);
        }
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        let began = fake.now();
        assert_eq!(news(&mut stream).await, Connection::Alive);
        let silent = fake.now().saturating_sub(began);
        assert!(silent >= Duration::from_secs(20), "{silent:?}");
    });
}

#[test]
fn a_day_away_is_a_gap() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        fake.state.lock().unwrap().cut = true;
        assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
        fake.transport.clock.advance(Duration::from_secs(25 * 3600));
        assert!(matches!(news(&mut stream).await, Connection::Gap { .. }));
        assert_eq!(news(&mut stream).await, Connection::Ready);
    });
}

#[test]
fn an_unreachable_server_at_the_start_is_retried() {
    let fake = Fake::new();
    fake.run(async {
        let path = format!("/bot{TOKEN}/getMe");
        fake.transport
            .http
            .once(&path, Reply::Unsent(HttpErrorKind::Connect));
        let mut stream = fake.channel().events();
        assert!(matches!(news(&mut stream).await, Connection::Lost { .. }));
        assert_eq!(news(&mut stream).await, Connection::Ready);
    });
}

#[test]
fn a_page_that_telegram_did_not_write_says_nothing_about_the_token() {
    let fake = Fake::new();
    fake.run(async {
        let mut stream = fake.channel().events();
        assert_eq!(news(&mut stream).await, Connection::Ready);
        for status in [StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED] {
            for page in ["<html>no such host</html>", "", r#"{"message":"no Route"}"#] {
                let reply = Reply::bytes(status, page);
                fake.transport
                    .http
                    .once(&format!("/bot{TOKEN}/getUpdates"), reply);
                let lost = news(&mut stream).await;
                assert!(matches!(lost, Connection::Lost { .. }), "{status} {lost:?}");
                assert_eq!(news(&mut stream).await, Connection::Ready);
            }
        }
        let page = Reply::status(StatusCode::NOT_FOUND);
        let path = format!("/bot{TOKEN}/sendMessage");
        fake.transport.http.once(&path, page);
        let channel = fake.channel();
        let sent = channel.send(&to_ada("x")).await;
        assert!(sent.unwrap_err().kind().is_retryable());
    });
}
