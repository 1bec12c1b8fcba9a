//! Receiving, whichever way.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use channel_core::{Event, EventKind, Rejection};

use crate::conformance::bench::{Arrived, Bench, Check, Stop, ensure, failed, ignored, worked};
use crate::conformance::{Happened, Happening, Place};

fn has_ids(arrived: &Arrived, happened: &Happened, bench: &Bench, place: Place) -> Check {
    let message = arrived.message()?;
    let info = bench.channel.info();
    let Some(target) = bench.platform.place(place) else {
        return ignored("the platform does not have the place");
    };
    if let Some(id) = &happened.message {
        ensure!(message.id == *id, "the message has another id");
    }
    if let Some(sender) = &happened.sender {
        let account = &message.sender.account;
        ensure!(account.sender == *sender, "it is from another sender");
        ensure!(
            account.platform == info.platform,
            "it is of another platform"
        );
    }
    ensure!(message.chat.id == target.chat, "it is in another chat");
    ensure!(message.thread == target.thread, "it is in another thread");
    ensure!(
        *message.return_address.target() == target,
        "its return address leads elsewhere"
    );
    ensure!(*message.channel() == info.id, "it names another channel");
    ensure!(arrived.event.channel == info.id, "it names another channel");
    ensure!(!arrived.event.id.as_str().is_empty(), "it has no event id");
    Ok(())
}

pub(super) async fn receives_a_text_with_its_ids(bench: &Bench) -> Check {
    let mut inbox = bench.inbox().await?;
    let text = "hello \u{1f469}\u{200d}\u{1f680} <b>&amp;</b>";
    let happened = inbox.text(text).await?;
    let arrived = inbox.expect(text).await?;
    has_ids(&arrived, &happened, bench, Place::Direct)?;
    arrived.ack().await
}

pub(super) async fn receives_a_text_of_a_thread_with_its_ids(bench: &Bench) -> Check {
    let mut inbox = bench.inbox().await?;
    let (place, text) = (Place::Thread, "hello");
    let happened = inbox.happen(Happening::Text { place, text }).await?;
    let arrived = inbox.next().await?;
    has_ids(&arrived, &happened, bench, place)?;
    arrived.ack().await
}

pub(super) async fn receives_events_in_order(bench: &Bench) -> Check {
    let mut inbox = bench.inbox().await?;
    for text in ["one", "two", "three"] {
        inbox.text(text).await?;
    }
    for text in ["one", "two", "three"] {
        inbox.expect(text).await?.ack().await?;
    }
    Ok(())
}

pub(super) async fn knows_that_a_direct_message_is_meant_for_it(bench: &Bench) -> Check {
    let mut inbox = bench.inbox().await?;
    let arrived = inbox.deliver("hello").await?;
    let addressed = arrived.message()?.addressed;
    ensure!(addressed.is_to_me(), "it is addressed to nobody");
    arrived.ack().await
}

pub(super) async fn gives_different_events_different_ids(bench: &Bench) -> Check {
    let mut inbox = bench.inbox().await?;
    // The same words twice: an id made of the content would not do.
    let first = inbox.deliver("hello").await?;
    let second = inbox.deliver("hello").await?;
    ensure!(first.event.id != second.event.id, "both have the same id");
    first.ack().await?;
    second.ack().await
}

pub(super) async fn gives_a_repeated_event_the_same_id(bench: &Bench) -> Check {
    let mut inbox = bench.inbox().await?;
    let first = inbox.deliver("hello").await?.event.id.clone();
    match inbox.happen(Happening::Again).await {
        Ok(_) => {}
        Err(Stop::Ignored(_)) => inbox.redeliver().await?,
        Err(stop) => return Err(stop),
    }
    let second = inbox.expect("hello").await?;
    ensure!(first == second.event.id, "its id has changed");
    second.ack().await
}

/// Lets happen what the platform can, and gives the events.
async fn samples(bench: &Bench) -> Check<Vec<Event>> {
    let place = Place::Direct;
    let text = "hello \u{0}\u{7f}\"\\\u{2028}";
    let bytes = b"content";
    let happenings = [
        Happening::Text { place, text },
        Happening::File {
            name: "a.txt",
            bytes,
        },
        Happening::Unknown,
    ];
    let mut inbox = bench.inbox().await?;
    let mut events = Vec::new();
    for what in happenings {
        // What does not come is the matter of other checks.
        if inbox.happen(what).await.is_ok()
            && let Ok(arrived) = inbox.next().await
        {
            events.push(arrived.event.clone());
            arrived.ack().await?;
        }
    }
    if events.is_empty() {
        return ignored("nothing can happen on the fake platform");
    }
    Ok(events)
}

fn stored(event: &Event) -> Check<Event> {
    let stored = serde_json::to_string(event).and_then(|json| serde_json::from_str(&json));
    match stored {
        Ok(event) => Ok(event),
        Err(_) => failed(format!("storing a {} fails", event.name())),
    }
}

pub(super) async fn keeps_events_equal_through_storage(bench: &Bench) -> Check {
    for event in samples(bench).await? {
        let stored = stored(&event)?;
        ensure!(stored == event, "a stored {} is different", event.name());
    }
    Ok(())
}

pub(super) async fn keeps_native_messages_equal_through_storage(bench: &Bench) -> Check {
    let mut compared = 0;
    for event in samples(bench).await? {
        // Whether it can be stored is another check's matter.
        let Ok(stored) = stored(&event) else {
            continue;
        };
        let (Some(came), Some(stored)) = (event.message(), stored.message()) else {
            continue;
        };
        match bench.platform.native(came, stored) {
            Some(Ok(())) => compared += 1,
            Some(Err(difference)) => return failed(difference),
            None => return ignored("the subject names no native type"),
        }
    }
    if compared == 0 {
        return ignored("no message could be stored");
    }
    Ok(())
}

pub(super) async fn does_not_hear_itself(bench: &Bench) -> Check {
    let me = worked("probe", bench.within("probe", bench.channel.probe()).await?)?.id;
    let mut inbox = bench.inbox().await?;
    inbox.happen(Happening::OwnText { text: "mine" }).await?;
    inbox.text("yours").await?;
    loop {
        let arrived = inbox.next().await?;
        let heard = arrived.event.message().map(|message| {
            let own = message.sender.account.sender.as_str() == me;
            (own, message.text.clone())
        });
        arrived.ack().await?;
        match heard {
            // Kept, and marked as the bot's own.
            Some((true, _)) | None => {}
            Some((false, text)) if text == "yours" => return Ok(()),
            Some((false, _)) => return failed("its own message came from somebody"),
        }
    }
}

pub(super) async fn keeps_unknown_events(bench: &Bench) -> Check {
    let mut inbox = bench.inbox().await?;
    inbox.happen(Happening::Unknown).await?;
    let arrived = inbox.next().await?;
    let EventKind::Unknown(unknown) = &arrived.event.kind else {
        return failed(format!("it became a {}", arrived.event.name()));
    };
    ensure!(!unknown.raw.is_empty(), "its payload is lost");
    arrived.ack().await?;
    inbox.deliver("the next one").await?.ack().await
}

pub(super) async fn survives_malformed_payloads(bench: &Bench) -> Check {
    let mut inbox = bench.inbox().await?;
    if let Some(webhook) = bench.channel.as_webhook()
        && let Ok((_, request)) = bench.request().await
    {
        for body in hostile() {
            let mut request = request.clone();
            *request.body_mut() = body;
            let receive = || webhook.receive(&request, bench.clock.now());
            let caught = std::panic::catch_unwind(AssertUnwindSafe(receive));
            let Ok(verdict) = caught else {
                return failed("a body makes it panic");
            };
            let blames_itself = |it: Rejection| it.status().is_server_error();
            ensure!(
                !verdict.is_err_and(blames_itself),
                "a body is answered with a server error"
            );
        }
    }
    inbox.happen(Happening::Malformed).await?;
    inbox.text("the next one").await?;
    // What can be told about the malformed payload may be kept as an unknown event.
    loop {
        let arrived = inbox.next().await?;
        let good = matches!(arrived.event.message(), Some(it) if it.text == "the next one");
        arrived.ack().await?;
        if good {
            return Ok(());
        }
    }
}

/// Bodies that nobody should send.
fn hostile() -> Vec<Bytes> {
    let mut bodies: Vec<Bytes> = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "[{}]",
        "{}",
        "null",
        "true",
        "-1e999",
        "\"",
        "\u{feff}{}",
        "{\"id\":1e400}",
        "{\"a\":\"\\ud800\"}",
        "{\"\":{\"\":{}}}",
        "<xml/>",
        "<!DOCTYPE a>",
        "a=b&c=%zz",
        "payload=%7B",
        "\u{0}",
    ]
    .into_iter()
    .map(Bytes::from)
    .collect();
    bodies.push(Bytes::from_static(b"\xff\xfe\x00{"));
    bodies.push(Bytes::from("[".repeat(100_000)));
    bodies.push(Bytes::from("{\"a\":".repeat(100_000)));
    bodies.push(Bytes::from(vec![b'9'; 100_000]));
    bodies
}
