//! Faults on demand, and the ledger that shows what came of them.

use std::time::Duration;

use channel_emulator::telegram::{Fault, Outcome, Telegram, TelegramConfig};
use http::Method;
use serde_json::{Value, json};

use crate::api::{ADA, BOT, PATIENCE, TOKEN, World, exchange};

fn path(method: &str) -> String {
    format!("/bot{TOKEN}/{method}")
}

#[tokio::test]
async fn refuses_the_next_calls_and_then_no_more() {
    let world = World::started().await;
    let hello = json!({"chat_id": ADA, "text": "x"});
    world
        .faults()
        .next("sendMessage", 2, Fault::TooManyRequests { retry_after: 5 });
    for _ in 0..2 {
        let (status, answer) = world.call("SendMessage", hello.clone()).await;
        assert_eq!(
            (status, &answer["parameters"]["retry_after"]),
            (429, &json!(5))
        );
    }
    assert!(world.sent(BOT).is_empty());
    world.result("sendMessage", hello.clone()).await;
    world
        .faults()
        .next_any(1, Fault::ServerError { status: 502 });
    let (status, body) = exchange(
        world.address(),
        Method::GET,
        &path("getMe"),
        "",
        bytes::Bytes::new(),
    )
    .await
    .unwrap();
    assert_eq!(status, 502);
    assert!(
        body.starts_with(b"<html>"),
        "a gateway answers in its own way"
    );
    let description = "Forbidden: bot was blocked by the user".to_owned();
    world.faults().next(
        "sendMessage",
        1,
        Fault::Refuse {
            error_code: 403,
            description: description.clone(),
        },
    );
    assert_eq!(
        world.refusal("sendMessage", hello).await,
        (403, description)
    );
}

#[tokio::test]
async fn loses_the_answer_of_a_call_that_was_executed() {
    let world = World::started().await;
    world.faults().next("sendMessage", 1, Fault::LoseAnswer);
    let lost = exchange(
        world.address(),
        Method::GET,
        &path("sendMessage?chat_id=42&text=once"),
        "",
        bytes::Bytes::new(),
    )
    .await;
    assert!(lost.is_err());
    assert_eq!(world.sent(BOT).len(), 1);
    let call = world.calls().pop().unwrap();
    assert_eq!(
        (call.outcome, call.status),
        (Outcome::AnswerLost, Some(200))
    );
    world.faults().next("sendMessage", 1, Fault::DropBefore);
    let dropped = exchange(
        world.address(),
        Method::GET,
        &path("sendMessage?chat_id=42&text=never"),
        "",
        bytes::Bytes::new(),
    )
    .await;
    assert!(dropped.is_err());
    assert_eq!(world.sent(BOT).len(), 1);
    assert_eq!(world.calls().pop().unwrap().outcome, Outcome::Dropped);
}

#[tokio::test]
async fn a_caught_poll_stays_silent_after_the_line_is_back() {
    let world = World::started().await;
    world.faults().hold_polls(true);
    let mut caught = Box::pin(world.call("getUpdates", json!({"timeout": 50})));
    tokio::select! {
        _ = &mut caught => panic!("the line is dead"),
        () = world.polled() => {}
    }
    world.private_text(BOT, ADA, "hello").unwrap();
    world.faults().hold_polls(false);
    // On a live line the update or the newer poll would answer it.
    let updates = tokio::select! {
        _ = &mut caught => panic!("the line is dead"),
        updates = world.result("getUpdates", json!({"timeout": 50})) => updates,
    };
    assert_eq!(updates[0]["message"]["text"], "hello");
    let outcomes: Vec<_> = world
        .calls()
        .iter()
        .rev()
        .take(2)
        .map(|call| call.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Answered, Outcome::Pending]);
}

#[tokio::test]
async fn delivers_updates_twice_and_out_of_order() {
    let world = World::started().await;
    for text in ["one", "two"] {
        world.private_text(BOT, ADA, text).unwrap();
    }
    let texts = |updates: Value| -> Vec<String> {
        updates
            .as_array()
            .unwrap()
            .iter()
            .map(|update| update["message"]["text"].as_str().unwrap().to_owned())
            .collect()
    };
    world.faults().duplicate_updates(1);
    assert_eq!(
        texts(world.result("getUpdates", json!({})).await),
        ["one", "one", "two"]
    );
    world.faults().reorder_updates(1);
    assert_eq!(
        texts(world.result("getUpdates", json!({})).await),
        ["two", "one"]
    );
    assert_eq!(
        texts(world.result("getUpdates", json!({})).await),
        ["one", "two"]
    );
}

#[tokio::test]
async fn a_hung_call_keeps_its_connection() {
    let world = World::started().await;
    world.faults().next("getMe", 1, Fault::Hang);
    let mut hung = Box::pin(world.call("getMe", json!({})));
    let waits = world.wait_for(PATIENCE, |view| {
        view.calls_of("getMe")
            .any(|call| call.outcome == Outcome::Pending)
            .then_some(())
    });
    tokio::select! {
        _ = &mut hung => panic!("a hung call is not answered"),
        waits = waits => waits.unwrap(),
    }
    drop(hung);
    world
        .wait_for(PATIENCE, |view| {
            view.calls_of("getMe")
                .any(|call| call.outcome == Outcome::Abandoned)
                .then_some(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn the_ledger_shows_parameters_and_answers_but_no_token() {
    let world = World::started().await;
    world
        .upload(
            "sendDocument",
            &[("chat_id", "42")],
            "document",
            "a.txt",
            b"hello",
        )
        .await;
    let call = world.calls().pop().unwrap();
    assert_eq!(call.params["chat_id"], "42");
    assert_eq!(
        call.params["document"],
        json!({"file_name": "a.txt", "mime_type": null, "file_size": 5})
    );
    assert_eq!(call.answer.unwrap()["ok"], true);
    assert!(
        !serde_json::to_string(&world.calls())
            .unwrap()
            .contains("TEST-TOKEN")
    );
    assert!(!format!("{:?} {:?}", world.telegram, world.calls()).contains("TEST-TOKEN"));
}

#[tokio::test]
async fn waiting_for_what_never_comes_ends() {
    let world = World::new().await;
    let missed = world
        .wait_for(Duration::from_millis(1), |_| None::<()>)
        .await;
    assert!(missed.is_err());
}

#[tokio::test]
async fn drops_connections_behind_a_foreign_listener_too() {
    let telegram = Telegram::new(TelegramConfig::default());
    telegram.add_bot(TOKEN, "kit_bot").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, telegram.router()).into_future());
    telegram.faults().next("getMe", 1, Fault::DropBefore);
    let get = async || {
        exchange(
            address,
            Method::GET,
            &path("getMe"),
            "",
            bytes::Bytes::new(),
        )
        .await
    };
    assert!(get().await.is_err());
    assert_eq!(get().await.unwrap().0, 200);
}

#[tokio::test]
async fn stopping_drops_connections_and_keeps_the_state() {
    let world = World::started().await;
    let target = path("getUpdates?timeout=50");
    let poll = exchange(
        world.address(),
        Method::GET,
        &target,
        "",
        bytes::Bytes::new(),
    );
    let stop = async {
        world.polled().await;
        world.telegram.stop();
    };
    let (poll, ()) = tokio::join!(poll, stop);
    assert!(poll.is_err());
    world.private_text(BOT, ADA, "still here").unwrap();
    assert_eq!(world.updates_pending(BOT).len(), 1);
}
