//! The deafness drill: whatever happens to the connection, the bot knows it within 90 s, is
//! back within 30 s of its end, and has lost nothing that Discord repeats.

use std::time::Duration;

use channel_core::{Connection, ErrorKind};

use crate::fake::{Fake, direct};
use crate::gateway::{SECOND, Watch};

const MINUTE: Duration = Duration::from_secs(60);

/// Numbered events, told to every session.
fn tell(fake: &Fake, numbers: std::ops::Range<u64>) {
    for number in numbers {
        fake.dispatch("MESSAGE_CREATE", direct(1000 + number, &number.to_string()));
    }
}

fn assert_complete(watch: &Watch, count: u64) {
    let wanted: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(watch.texts.len(), wanted.len(), "lost or doubled");
    assert_eq!(watch.texts, wanted);
}

/// hermes-agent#79445: a stale socket, and the bot was offline for three hours.
#[test]
fn pain_23_a_half_open_connection_is_noticed_and_nothing_is_lost() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(SECOND * 5).await;
        let mut told = 0;
        for _ in 0..4 {
            let began = fake.elapsed();
            fake.peers()[0].hang();
            tell(&fake, told..told + 2500);
            told += 2500;
            watch.run(MINUTE * 3).await;
            let (lost, back) = watch.lost_and_back(began);
            assert!(lost - began <= SECOND * 90, "red after {:?}", lost - began);
            assert!(back - lost <= SECOND * 30, "back after {:?}", back - lost);
        }
        assert_complete(&watch, 10_000);
        assert_eq!(watch.gaps(), 0);
        assert_eq!(fake.with(|state| state.identifies.len()), 1);
        assert!(fake.transport.sockets.attempts() <= 6);
    });
}

#[test]
fn a_server_that_stops_answering_is_noticed_by_one_missing_answer() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(SECOND * 5).await;
        let began = fake.elapsed();
        fake.with(|state| state.mute = true);
        // Events still come: they are no answer.
        for number in 0..40 {
            tell(&fake, number..number + 1);
            watch.run(SECOND * 2).await;
        }
        fake.with(|state| state.mute = false);
        watch.run(MINUTE).await;
        let (lost, _) = watch.lost_and_back(began);
        assert!(lost - began <= Duration::from_millis(82_500));
        assert_complete(&watch, 40);
    });
}

/// Heartbeats prove the connection and not that events come over it.
#[test]
fn a_gateway_that_answers_heartbeats_and_delivers_nothing_is_noticed() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        // Quiet enough to be asked for proof.
        watch.run(MINUTE * 3).await;
        let mut told = 0;
        for _ in 0..4 {
            let began = fake.elapsed();
            fake.withhold();
            tell(&fake, told..told + 2500);
            told += 2500;
            watch.run(MINUTE * 3).await;
            let (lost, back) = watch.lost_and_back(began);
            assert!(lost - began <= SECOND * 90, "red after {:?}", lost - began);
            assert!(back - lost <= SECOND * 30, "back after {:?}", back - lost);
        }
        assert_complete(&watch, 10_000);
        assert_eq!(watch.gaps(), 0);
        assert_eq!(fake.with(|state| state.identifies.len()), 1);
        assert_eq!(fake.transport.sockets.attempts(), 5);
    });
}

/// A gap begins with the last event, and not with the last heartbeat.
#[test]
fn a_deaf_session_that_is_gone_has_missed_what_came_since_its_last_event() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(MINUTE * 3).await;
        let deaf = fake.now();
        fake.withhold();
        fake.with(|state| state.amnesia = true);
        watch.run(MINUTE * 3).await;
        let gaps = watch.news.iter().filter_map(|(_, news)| match news {
            Connection::Gap { since, .. } => Some(*since),
            _ => None,
        });
        let gaps: Vec<_> = gaps.collect();
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0] <= deaf, "{:?}", gaps[0].duration_since(deaf));
    });
}

/// Nobody is taken for deaf who has never answered so.
#[test]
fn a_quiet_day_needs_no_reconnect_whether_discord_answers_questions_or_not() {
    for ignorant in [false, true] {
        let fake = Fake::new();
        fake.with(|state| state.ignorant = ignorant);
        fake.live(async {
            let mut watch = Watch::new(&fake, &fake.channel());
            watch.run(MINUTE * 60 * 24).await;
            assert_eq!(fake.transport.sockets.attempts(), 1, "{ignorant}");
            let questions = fake.with(|state| state.questions);
            assert!(
                (1700..=1730).contains(&questions),
                "every 50 s: {questions}"
            );
        });
    }
}

#[test]
fn a_draining_server_is_left_at_once() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(SECOND * 5).await;
        for round in 0..10 {
            let began = fake.elapsed();
            let ask = serde_json::json!({"t": null, "s": null, "op": 7, "d": null});
            fake.peers()[0].send_json(&ask);
            tell(&fake, round * 100..(round + 1) * 100);
            watch.run(MINUTE * 2).await;
            let (_, back) = watch.lost_and_back(began);
            assert!(back - began <= SECOND * 30);
        }
        assert_complete(&watch, 1000);
        assert_eq!(fake.with(|state| state.identifies.len()), 1);
    });
}

#[test]
fn a_machine_that_has_slept_for_an_hour_is_back_and_says_what_it_may_have_missed() {
    for forgets in [false, true] {
        let fake = Fake::new();
        fake.live(async {
            let mut watch = Watch::new(&fake, &fake.channel());
            watch.run(SECOND * 5).await;
            fake.with(|state| state.amnesia = forgets);
            fake.peers()[0].hang();
            fake.transport.clock.jump_forward(MINUTE * 60);
            tell(&fake, 0..10);
            watch.run(SECOND * 90).await;
            tell(&fake, 10..20);
            watch.run(MINUTE).await;
            assert_eq!(watch.gaps(), usize::from(forgets), "{:?}", watch.news);
            if forgets {
                let late: Vec<String> = (10..20).map(|n: u64| n.to_string()).collect();
                assert_eq!(watch.texts, late);
            } else {
                assert_complete(&watch, 20);
            }
            assert!(fake.transport.sockets.attempts() <= 4);
        });
    }
}

#[test]
fn ten_minutes_without_a_name_server_cost_no_session_and_no_loop() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(SECOND * 5).await;
        let began = fake.elapsed();
        // As many as ten minutes take, and some are left over.
        for _ in 0..200 {
            fake.transport.sockets.refuse(ErrorKind::Unavailable);
        }
        fake.peers()[0].cut();
        tell(&fake, 0..100);
        watch.run(MINUTE * 10).await;
        let attempts = fake.transport.sockets.attempts();
        assert!((15..=60).contains(&attempts), "{attempts} attempts");
        let silent = watch.news.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(
            silent.max().unwrap() <= SECOND * 90,
            "it says so all the time"
        );
        // The name server is back.
        while fake.transport.sockets.attempts() < 200 {
            watch.run(MINUTE).await;
        }
        let mended = fake.elapsed();
        watch.run(SECOND * 31).await;
        assert_complete(&watch, 100);
        assert!(fake.elapsed() - mended <= SECOND * 31 && mended > began);
        assert_eq!(fake.with(|state| state.identifies.len()), 1);
        assert_eq!(watch.gaps(), 0);
    });
}

#[test]
fn a_handshake_that_is_refused_with_429_is_tried_again_slowly() {
    let fake = Fake::new();
    fake.live(async {
        for _ in 0..6 {
            fake.transport.sockets.refuse(ErrorKind::RateLimited);
        }
        fake.transport.sockets.refuse(ErrorKind::Forbidden);
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(MINUTE * 4).await;
        assert_eq!(
            watch.news.last().map(|(_, news)| news.clone()),
            Some(Connection::Alive)
        );
        assert!(watch.error.is_none());
        assert_eq!(fake.with(|state| state.identifies.len()), 1);
    });
}

/// One that is cut every five seconds, for an hour; with and without its session.
#[test]
fn a_flapping_connection_begins_no_storm_of_sessions() {
    for forgets in [false, true] {
        let fake = Fake::new();
        fake.live(async {
            let mut watch = Watch::new(&fake, &fake.channel());
            fake.with(|state| state.amnesia = forgets);
            let began = fake.elapsed();
            let mut told = 0;
            while fake.elapsed() - began < MINUTE * 60 {
                watch.run(SECOND * 5).await;
                tell(&fake, told..told + 1);
                told += 1;
                for peer in fake.peers() {
                    peer.cut();
                }
            }
            let attempts = fake.transport.sockets.attempts();
            assert!(attempts <= 400, "{attempts} attempts in an hour");
            let identifies = fake.with(|state| state.identifies.clone());
            assert!(
                identifies.len() <= if forgets { 250 } else { 1 },
                "{}",
                identifies.len()
            );
            for pair in identifies.windows(2) {
                assert!(pair[1].0 - pair[0].0 >= SECOND * 5);
            }
            fake.with(|state| state.amnesia = false);
            watch.run(MINUTE).await;
            if !forgets {
                assert_complete(&watch, told);
                assert_eq!(watch.gaps(), 0);
            } else {
                assert!(watch.gaps() > 0);
            }
        });
    }
}

#[test]
fn no_session_is_begun_when_discord_allows_no_more() {
    let fake = Fake::new();
    fake.with(|state| state.remaining = 0);
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(MINUTE * 60).await;
        assert_eq!(fake.with(|state| state.identifies.len()), 0);
        let lost = watch
            .news
            .iter()
            .filter(|(_, news)| matches!(news, Connection::Lost { .. }));
        assert!((40..=80).contains(&lost.count()));
        fake.with(|state| state.remaining = 1000);
        watch.run(MINUTE * 16).await;
        assert_eq!(fake.with(|state| state.identifies.len()), 1);
    });
}
