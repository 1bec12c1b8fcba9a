use channel_core::{AllowEveryone, Event, EventKind, Refused};
use channel_runtime::Bot;
use channel_testkit::MemoryChannel;

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
    let channel = MemoryChannel::new();
    let running = Bot::new(AllowEveryone)
        .channel(channel.clone())
        .capacity(2)
        .on_other(|_, _| async { Ok(()) })
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
    for event in batch {
        intake.take(vec![event]).await.unwrap();
    }
    let counters = running.status()[0].counters;
    assert_eq!(
        (counters.handled, counters.duplicates, counters.rejected),
        (4, 1, 3)
    );
    running.stop().await;
}
