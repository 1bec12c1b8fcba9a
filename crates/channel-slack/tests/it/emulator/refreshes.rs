//! Sockets that Slack has replaced, one after the other, while people write.

use std::collections::BTreeMap;
use std::time::Duration;

use channel_emulator::slack::{Disconnect, Slack as Emulator, SlackConfig};

use super::{Inbox, PATIENCE, World};

/// Issue 4: none of 10,000 numbered messages is lost in 20 refreshes, and each is one event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_refreshes_lose_none_of_ten_thousand_messages() {
    const MESSAGES: usize = 10_000;
    const REFRESHES: usize = 20;
    let config = SlackConfig::default()
        .rates(false)
        .refresh_grace(Duration::from_millis(300));
    let world = World::with(config).await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    let (server, app) = (world.server.slack().clone(), world.app.clone());
    let (direct, ada) = (world.direct.clone(), world.ada.clone());
    let talking = tokio::spawn(async move {
        let mut last = None;
        for number in 0..MESSAGES {
            server
                .say(&direct, &ada, number.to_string().as_str())
                .unwrap();
            if number % (MESSAGES / REFRESHES) == 0 {
                // The next refresh comes when the last one is over: there is a new socket, and
                // no old one.
                let over = server.wait_for(PATIENCE, |slack| {
                    let newest = slack.newest_socket(&app).filter(|id| Some(*id) > last);
                    newest.filter(|_| slack.sockets(&app) == 1)
                });
                last = Some(over.await.unwrap());
                server.disconnect(&app, Disconnect::RefreshRequested);
            }
            if number % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut copies = 0;
    while seen.len() < MESSAGES {
        let event = inbox.event().await;
        let text = event.message().unwrap().text.clone();
        // A redelivery, which its id tells.
        if let Some(known) = seen.insert(text, event.id.as_str().to_owned()) {
            assert_eq!(known, event.id.as_str());
            copies += 1;
        }
    }
    talking.await.unwrap();
    let wanted: BTreeMap<String, ()> = (0..MESSAGES).map(|n| (n.to_string(), ())).collect();
    assert!(seen.keys().eq(wanted.keys()));
    assert!(openings(&world.server) >= REFRESHES);
    println!("{MESSAGES} messages, {REFRESHES} refreshes, {copies} redelivered");
    let settled = world.server.wait_for(PATIENCE, |slack| {
        (slack.pending(&world.app) == 0).then_some(())
    });
    // Copies may still be on their way: they are acknowledged too.
    tokio::pin!(settled);
    loop {
        tokio::select! {
            settled = &mut settled => break settled.unwrap(),
            _ = inbox.event() => {}
        }
    }
}

/// How many sockets were asked for.
fn openings(slack: &Emulator) -> usize {
    let calls = slack.calls().into_iter();
    calls
        .filter(|call| call.method == "apps.connections.open")
        .count()
}

#[tokio::test]
async fn a_lost_socket_and_a_silent_one_lose_nothing() {
    let config = SlackConfig::default().ack_timeout(Duration::from_millis(200));
    let retries = [
        Duration::ZERO,
        Duration::from_millis(300),
        Duration::from_secs(1),
    ];
    let world = World::with(config.retries(&retries)).await;
    let channel = world.channel();
    let mut inbox = Inbox::open(&channel).await;
    world.says("not acknowledged");
    let first = loop {
        let received = inbox.item().await;
        if received.message().is_some() {
            break received;
        }
    };
    // Dropped without an acknowledgement, it comes again by the same socket.
    let id = first.event().unwrap().id.clone();
    drop(first);
    assert_eq!(inbox.event().await.id, id);
    world.server.cut_sockets(&world.app);
    world.says("while it was away");
    // Copies of the first one, sent before its acknowledgement was there, have the same id.
    loop {
        let event = inbox.event().await;
        if event.id != id {
            assert_eq!(event.message().unwrap().text, "while it was away");
            break;
        }
    }
    let acked = world.server.wait_for(PATIENCE, |slack| {
        (slack.pending(&world.app) == 0).then_some(())
    });
    acked.await.unwrap();
}
