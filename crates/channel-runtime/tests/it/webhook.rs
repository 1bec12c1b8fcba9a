use std::sync::Arc;
use std::time::Duration;

use channel_core::{AllowEveryone, Event, EventKind, Refused};
use channel_runtime::Bot;
use channel_testkit::MemoryChannel;
use tokio::sync::Semaphore;

fn event(channel: &MemoryChannel, id: &str) -> Event {
    use channel_core::Channel as _;
    let unknown = channel_core::Unknown::new("x", channel_core::Raw::default());
    Event::new(
        id.into(),
        channel.info().id.clone(),
        EventKind::Unknown(Box::new(unknown)),
    )
}

#[tokio::test]
async fn events_of_webhooks_are_taken_once_and_refused_when_there_is_no_room() {
    let channel = MemoryChannel::builder().webhook().build();
    let gate = Arc::new(Semaphore::new(0));
    let in_handler = Arc::clone(&gate);
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .capacity(3)
        .answer_within(Duration::ZERO)
        .served_elsewhere()
        .on_other(move |_, _| {
            let gate = Arc::clone(&in_handler);
            async move {
                gate.acquire().await?.forget();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    let id = &running.status()[0].channel;
    let intake = running.intake(id).unwrap();
    intake.take(vec![event(&channel, "1")]).await.unwrap();
    intake.take(vec![event(&channel, "1")]).await.unwrap();
    let batch = ["2", "3", "4"].map(|id| event(&channel, id));
    let refused = intake.take(batch.to_vec()).await.err().unwrap();
    assert!(matches!(refused, Refused::Full));
    // What was refused is not taken for a duplicate when it comes again.
    gate.add_permits(100);
    for event in batch {
        while intake.take(vec![event.clone()]).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    while running.status()[0].counters.handled < 4 {
        tokio::task::yield_now().await;
    }
    let counters = running.status()[0].counters;
    assert_eq!((counters.handled, counters.rejected), (4, 3));
    running.stop().await;
}

#[tokio::test]
async fn that_there_is_no_room_is_said_once_a_second_with_the_count_so_far() {
    let channel = MemoryChannel::builder().webhook().build();
    let clock = channel_testkit::VirtualClock::new();
    let mut transport = channel_http::transport();
    transport.clock = Arc::new(clock.clone());
    let running = Bot::new(AllowEveryone)
        .transport(transport)
        .channel(channel.clone())
        .capacity(1)
        .answer_within(Duration::ZERO)
        .served_elsewhere()
        .on_other(|_, _| std::future::pending())
        .start()
        .await
        .unwrap();
    let intake = running.intake(&running.status()[0].channel).unwrap();
    intake.take(vec![event(&channel, "1")]).await.unwrap();
    let ((), logs) = channel_testkit::capture_tracing(async {
        for n in 0..30 {
            let refused = intake.take(vec![event(&channel, &format!("x{n}"))]).await;
            assert!(matches!(refused, Err(Refused::Full)));
            clock.advance(Duration::from_millis(100));
        }
    })
    .await;
    let said: Vec<_> = logs
        .lines()
        .filter(|line| line.contains("no room"))
        .collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for (line, count) in said
        .iter()
        .zip(["rejected=1", "rejected=11", "rejected=21"])
    {
        assert!(line.contains("WARN") && line.contains(count), "{line}");
    }
    drop(running);
}

#[tokio::test]
async fn a_batch_that_could_never_fit_is_taken_when_there_is_nothing_else() {
    let channel = MemoryChannel::builder().webhook().build();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .capacity(2)
        .served_elsewhere()
        .on_other(|_, _| async { Ok(()) })
        .start()
        .await
        .unwrap();
    let intake = running.intake(&running.status()[0].channel).unwrap();
    let batch = ["2", "3", "4"].map(|id| event(&channel, id));
    intake.take(batch.to_vec()).await.unwrap();
    assert_eq!(running.status()[0].counters.handled, 3);
    running.stop().await;
}

#[tokio::test]
async fn a_channel_that_nobody_serves_is_told_so() {
    let error = Bot::new(AllowEveryone)
        .channel(MemoryChannel::builder().webhook().build())
        .start()
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), channel_core::ErrorKind::Config);
}

#[tokio::test]
async fn a_listening_bot_answers_a_signed_request_after_its_handler() {
    use channel_core::{HttpBody, HttpRequest};
    let channel = MemoryChannel::builder()
        .clock(channel_http::transport().clock)
        .webhook()
        .build();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .listen(([127, 0, 0, 1], 0).into())
        .on_message(|message| async move {
            message.reply(message.text.clone()).await?;
            Ok(())
        })
        .start()
        .await
        .unwrap();
    assert!(running.status()[0].state.is_ready());
    channel.user("ada").says("hello");
    let request = channel.take_requests().pop().unwrap();
    let address = running.address().unwrap();
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    parts.uri = format!("http://{address}{path}").parse().unwrap();
    let request = http::Request::from_parts(parts, HttpBody::from(body));
    let http = channel_http::transport().http;
    let answer = http.execute(HttpRequest::new(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(channel.texts(), ["hello"], "answered before it was handled");
    running.stop().await;
}

#[tokio::test]
async fn what_was_dropped_at_the_stop_is_not_acknowledged() {
    let channel = MemoryChannel::builder().webhook().build();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .served_elsewhere()
        .answer_within(Duration::from_secs(3600))
        .drain_within(Duration::ZERO)
        .on_other(|_, _| std::future::pending())
        .start()
        .await
        .unwrap();
    let id = running.status()[0].channel.clone();
    let intake = running.intake(&id).unwrap();
    let event = event(&channel, "1");
    let taking = tokio::spawn(async move { intake.take(vec![event]).await });
    while running.status()[0].counters.received == 0 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    let refused = taking.await.unwrap().err().unwrap();
    assert!(matches!(refused, Refused::Stopping));
}

#[tokio::test]
async fn a_bot_that_is_dropped_drops_its_handlers() {
    let channel = MemoryChannel::new();
    let (alive, mut ended) = tokio::sync::mpsc::channel::<()>(1);
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .on_message(move |message| {
            let alive = alive.clone();
            async move {
                message.reply("started").await?;
                alive.closed().await;
                std::future::pending().await
            }
        })
        .start()
        .await
        .unwrap();
    channel.user("ada").says("hello");
    channel.wait_for_sent(1).await;
    drop(running);
    // Every sender is gone only when the handler is.
    assert_eq!(ended.recv().await, None);
}

#[tokio::test]
async fn two_channels_on_one_path_are_a_matter_of_configuration() {
    let error = Bot::new(AllowEveryone)
        .channel(MemoryChannel::builder().id("a").webhook().build())
        .channel(MemoryChannel::builder().id("b").webhook().build())
        .listen(([127, 0, 0, 1], 0).into())
        .start()
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), channel_core::ErrorKind::Config);
}

#[tokio::test]
async fn an_event_that_comes_again_while_it_is_handled_waits_for_the_same_outcome() {
    let channel = MemoryChannel::builder().webhook().build();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let gate_in = gate.clone();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .served_elsewhere()
        .answer_within(std::time::Duration::from_secs(3600))
        .on_other(move |_, _| {
            let gate = gate_in.clone();
            async move {
                gate.acquire().await?.forget();
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    let intake = running.intake(&running.status()[0].channel).unwrap();
    let mut first = std::pin::pin!(intake.take(vec![event(&channel, "1")]));
    let mut again = std::pin::pin!(intake.take(vec![event(&channel, "1")]));
    for _ in 0..100 {
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        assert!(futures_util::poll!(again.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    first.await.unwrap();
    again.await.unwrap();
    let counters = running.status()[0].counters;
    assert_eq!((counters.handled, counters.duplicates), (1, 1));
    running.stop().await;
}
