//! The gateway: sessions, heartbeats, close codes, shards and compression.

use std::time::Duration;

use channel_core::{
    Channel as _, Connection, ErrorKind, Event, EventKind, Events as _, Received, Result,
};
use channel_discord::{Discord, Intents};
use channel_testkit::drill::leaves_nothing;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use serde_json::{Value, json};

use crate::fake::{Fake, TOKEN, direct, grouped};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A stream and all that it has said.
pub(crate) struct Watch {
    pub(crate) fake: Fake,
    pub(crate) events: BoxStream<'static, Result<Received>>,
    pub(crate) texts: Vec<String>,
    pub(crate) news: Vec<(Duration, Connection)>,
    pub(crate) others: Vec<Event>,
    pub(crate) cursor: Option<String>,
    pub(crate) error: Option<channel_core::Error>,
}

impl Watch {
    pub(crate) fn new(fake: &Fake, discord: &Discord) -> Self {
        Self {
            fake: fake.clone(),
            events: discord.events(),
            texts: Vec::new(),
            news: Vec::new(),
            others: Vec::new(),
            cursor: None,
            error: None,
        }
    }

    /// Takes and acknowledges everything for so long.
    pub(crate) async fn run(&mut self, span: Duration) {
        use channel_core::Clock as _;
        let mut sleep = self.fake.transport.clock.sleep(span);
        loop {
            match select(self.events.next(), sleep).await {
                Either::Left((item, rest)) => {
                    sleep = rest;
                    match item {
                        Some(Ok(received)) => self.take(received).await,
                        Some(Err(error)) => self.error = Some(error),
                        None => return,
                    }
                }
                Either::Right(_) => return,
            }
        }
    }

    async fn take(&mut self, mut received: Received) {
        let cursor = received.cursor().map(str::to_owned);
        self.cursor = cursor.or(self.cursor.take());
        let event = received.take().unwrap();
        match &event.kind {
            EventKind::Connection(news) => {
                self.news.push((self.fake.elapsed(), news.clone()));
            }
            EventKind::Message(message) => self.texts.push(message.text.clone()),
            _ => self.others.push(event),
        }
        received.ack().await.unwrap();
    }

    pub(crate) fn gaps(&self) -> usize {
        let gaps = self.news.iter();
        gaps.filter(|(_, news)| matches!(news, Connection::Gap { .. }))
            .count()
    }

    /// When the connection was lost, and when it was back, after a moment.
    pub(crate) fn lost_and_back(&self, since: Duration) -> (Duration, Duration) {
        let after = |wanted: fn(&Connection) -> bool| {
            let mut news = self.news.iter().filter(|(at, _)| *at >= since);
            news.find(|(_, news)| wanted(news)).map(|(at, _)| *at)
        };
        let lost = after(|news| matches!(news, Connection::Lost { .. })).unwrap();
        let news = self.news.iter().filter(|(at, _)| *at >= lost);
        let mut ready = news.filter(|(_, news)| matches!(news, Connection::Ready));
        (lost, ready.next().unwrap().0)
    }
}

fn watch(fake: &Fake) -> Watch {
    Watch::new(fake, &fake.channel())
}

#[test]
fn it_identifies_once_and_reads_what_comes() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = watch(&fake);
        watch.run(SECOND).await;
        fake.dispatch("MESSAGE_CREATE", direct(1, "hello"));
        watch.run(SECOND).await;
        assert_eq!(watch.texts, ["hello"]);
        assert_eq!(watch.news[0].1, Connection::Ready);
        assert_eq!(watch.gaps(), 0);
        let identify = fake.with(|state| state.identifies.clone());
        assert_eq!(identify.len(), 1);
        let said = &identify[0].1;
        assert_eq!(said["intents"], 46_593);
        assert_eq!(said["shard"], json!([0, 1]));
        let handshake = fake.with(|state| state.handshakes[0].clone());
        assert_eq!(
            handshake,
            "wss://gateway.discord.example/?v=10&encoding=json"
        );
        assert!(watch.others.is_empty(), "the server was in the greeting");
    });
}

#[test]
fn heartbeats_carry_the_last_number_and_begin_at_a_random_moment() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = watch(&fake);
        watch.run(SECOND * 200).await;
        let beats = fake.with(|state| state.beats.clone());
        assert!(beats[0].0 < Duration::from_millis(41_250));
        assert_eq!(beats[0].1, 2, "after READY and GUILD_CREATE");
        for pair in beats.windows(2) {
            assert_eq!(pair[1].0 - pair[0].0, Duration::from_millis(41_250));
        }
        assert!(beats.len() >= 4);
    });
}

/// remoteclaw/remoteclaw#2968: what a resumed session repeated was handled twice.
#[test]
fn what_a_resumed_session_repeats_comes_once() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = watch(&fake);
        watch.run(SECOND).await;
        fake.dispatch("MESSAGE_CREATE", direct(1, "one"));
        watch.run(SECOND).await;
        // The server repeats more than was missed.
        fake.with(|state| {
            let session = state.sessions.values_mut().next().unwrap();
            let again = session.frames[2].clone();
            session.frames.push(again);
        });
        fake.peers()[0].cut();
        fake.dispatch("MESSAGE_CREATE", direct(2, "two"));
        watch.run(SECOND * 10).await;
        assert_eq!(watch.texts, ["one", "two"]);
        let handshake = fake.with(|state| state.handshakes[1].clone());
        assert!(
            handshake.starts_with("wss://resume.discord.example/?v=10"),
            "{handshake}"
        );
        assert_eq!(fake.with(|state| state.identifies.len()), 1);
        assert_eq!(watch.gaps(), 0);
    });
}

/// sonichi/sutando#3472: a new session was begun, and nobody said what was lost between.
#[test]
fn a_session_that_is_gone_leaves_a_gap() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = watch(&fake);
        watch.run(SECOND * 30).await;
        let cut_at = fake.now();
        fake.with(|state| state.amnesia = true);
        fake.peers()[0].cut();
        watch.run(SECOND * 30).await;
        let gap = watch.news.iter().find_map(|(_, news)| match news {
            Connection::Gap { since, cause } => Some((*since, cause.clone())),
            _ => None,
        });
        let (since, cause) = gap.unwrap();
        assert!(since <= cut_at && cut_at.duration_since(since).unwrap() < SECOND * 45);
        assert_eq!(cause, "discord knows the session no more");
        assert_eq!(fake.with(|state| state.identifies.len()), 2);
        // The second one goes to the common address, after a pause.
        let handshakes = fake.with(|state| state.handshakes.clone());
        assert!(handshakes.last().unwrap().starts_with("wss://gateway."));
    });
}

#[test]
fn another_process_goes_on_where_this_one_has_stopped() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = watch(&fake);
        watch.run(SECOND).await;
        fake.dispatch("MESSAGE_CREATE", direct(1, "one"));
        watch.run(SECOND).await;
        let cursor = watch.cursor.take().unwrap();
        assert!(!cursor.contains(TOKEN));
        drop(watch);
        fake.dispatch("MESSAGE_CREATE", direct(2, "two"));
        let next = fake.channel();
        next.as_events().unwrap().resume(&cursor);
        let mut watch = Watch::new(&fake, &next);
        watch.run(SECOND * 5).await;
        assert_eq!(watch.texts, ["two"]);
        assert_eq!(fake.with(|state| state.identifies.len()), 1);
        assert_eq!(watch.gaps(), 0);
        // A cursor that Discord knows no more leaves a gap.
        fake.with(|state| state.amnesia = true);
        let third = fake.channel();
        third.as_events().unwrap().resume(&cursor);
        let mut watch = Watch::new(&fake, &third);
        watch.run(SECOND * 30).await;
        assert_eq!(watch.gaps(), 1);
        // One that is none is as good as none.
        let fourth = fake.channel();
        fourth.as_events().unwrap().resume("\u{0}nonsense");
        let mut watch = Watch::new(&fake, &fourth);
        watch.run(SECOND * 30).await;
        assert_eq!(watch.gaps(), 0);
    });
}

#[test]
fn what_cannot_be_mended_by_waiting_ends_with_the_remedy() {
    for (code, kind, words) in [
        (
            4004,
            ErrorKind::Unauthenticated,
            "reset it in the Developer Portal",
        ),
        (4010, ErrorKind::Config, "shards"),
        (4011, ErrorKind::Config, "shards"),
        (4012, ErrorKind::Config, "update"),
        (4013, ErrorKind::Config, "intents"),
        (
            4014,
            ErrorKind::Config,
            "switch on Message Content in the Developer Portal",
        ),
    ] {
        for at_once in [true, false] {
            let fake = Fake::new();
            fake.live(async {
                let mut watch = watch(&fake);
                if at_once {
                    fake.with(|state| state.refuses = Some(code));
                } else {
                    watch.run(SECOND).await;
                    fake.peers()[0].close(code, "no");
                }
                watch.run(SECOND * 600).await;
                let error = watch.error.take().unwrap();
                assert_eq!(error.kind(), kind, "{code}");
                assert!(error.to_string().contains(words), "{error}");
                assert_eq!(fake.with(|state| state.identifies.len()), 1, "{code}");
            });
        }
    }
}

#[test]
fn a_token_that_is_refused_before_the_gateway_ends_it_too() {
    let fake = Fake::new();
    fake.live(async {
        let body = json!({"code": 0, "message": "401: Unauthorized"});
        let reply = channel_testkit::Reply::json(http::StatusCode::UNAUTHORIZED, &body);
        fake.transport.http.once("/api/v10/users/@me", reply);
        let mut watch = watch(&fake);
        watch.run(SECOND * 60).await;
        let error = watch.error.take().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.to_string().contains("Developer Portal"));
        assert_eq!(fake.transport.sockets.attempts(), 0);
    });
}

#[test]
fn close_codes_decide_whether_the_session_goes_on() {
    for (code, identifies) in [
        (4000, 1),
        (4008, 1),
        (1012, 1),
        (4007, 2),
        (4009, 2),
        (1000, 2),
    ] {
        let fake = Fake::new();
        fake.live(async {
            let mut watch = watch(&fake);
            watch.run(SECOND).await;
            fake.peers()[0].close(code, "");
            watch.run(SECOND * 30).await;
            let count = fake.with(|state| state.identifies.len());
            assert_eq!(count, identifies, "{code}");
            assert_eq!(watch.gaps(), identifies - 1, "{code}");
            assert!(watch.error.is_none());
        });
    }
}

#[test]
fn a_beat_that_is_asked_for_is_sent_at_once() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = watch(&fake);
        watch.run(SECOND).await;
        let before = fake.with(|state| state.beats.len());
        fake.peers()[0].send_json(&json!({"op": 1, "d": null, "s": null, "t": null}));
        watch.run(Duration::from_millis(1)).await;
        assert_eq!(fake.with(|state| state.beats.len()), before + 1);
    });
}

#[test]
fn shards_begin_one_after_the_other_and_each_has_its_session() {
    let fake = Fake::new();
    fake.with(|state| state.shards = 3);
    fake.live(async {
        let mut watch = watch(&fake);
        watch.run(SECOND * 60).await;
        let identifies = fake.with(|state| state.identifies.clone());
        let shards: Vec<_> = identifies
            .iter()
            .map(|(_, said)| said["shard"][0].clone())
            .collect();
        assert_eq!(shards.len(), 3);
        for pair in identifies.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= SECOND * 5);
        }
        fake.dispatch("MESSAGE_CREATE", grouped(1, "701", "hello"));
        watch.run(SECOND).await;
        assert_eq!(watch.texts.len(), 3, "the fake tells every shard");
        let cursor = watch.cursor.take().unwrap();
        assert_eq!(cursor.trim().lines().count(), 3, "{cursor}");
        // All of them go on in another process.
        let next = fake.channel();
        next.as_events().unwrap().resume(&cursor);
        let mut watch = Watch::new(&fake, &next);
        watch.run(SECOND * 30).await;
        assert_eq!(fake.with(|state| state.identifies.len()), 3);
        assert_eq!(fake.with(|state| state.resumes.len()), 3);
    });
}

#[test]
fn compressed_events_are_read() {
    use flate2::{Compress, Compression, FlushCompress};
    let fake = Fake::new();
    let discord = fake.builder().compress(true).build().unwrap();
    fake.run(async {
        let mut watch = Watch::new(&fake, &discord);
        let server = async {
            let peer = fake.transport.sockets.accept().await;
            assert!(
                peer.request()
                    .uri()
                    .query()
                    .unwrap()
                    .contains("compress=zlib-stream")
            );
            let mut zlib = Compress::new(Compression::default(), true);
            let mut send = |value: Value| {
                let mut out = Vec::with_capacity(4096);
                zlib.compress_vec(value.to_string().as_bytes(), &mut out, FlushCompress::Sync)
                    .unwrap();
                // In two frames, as it may come.
                let rest = out.split_off(out.len() / 2);
                peer.send_binary(out);
                peer.send_binary(rest);
            };
            send(json!({"op": 10, "d": {"heartbeat_interval": 41_250}, "s": null, "t": null}));
            assert_eq!(peer.receive_json().await.unwrap()["op"], 2);
            send(
                json!({"t": "READY", "s": 1, "op": 0, "d": {"session_id": "s", "guilds": [],
                "resume_gateway_url": "wss://resume.discord.example", "user": {"id": "9001"}}}),
            );
            send(json!({"t": "MESSAGE_CREATE", "s": 2, "op": 0, "d": direct(1, "hello")}));
            std::future::pending::<()>().await;
        };
        {
            let test = std::pin::pin!(watch.run(SECOND * 5));
            select(test, std::pin::pin!(server)).await;
        }
        assert_eq!(watch.texts, ["hello"]);
    });
}

#[test]
fn kinds_are_counted_kept_or_handed_on_raw() {
    let fake = Fake::new();
    let quiet = Intents::CHAT.without(Intents::MESSAGE_CONTENT);
    let builder = fake.builder().intents(quiet);
    let discord = builder.raw_events(["VOICE_STATE_UPDATE"]).build().unwrap();
    fake.live(async {
        let mut watch = Watch::new(&fake, &discord);
        watch.run(SECOND).await;
        let before = discord.ignored_events();
        fake.dispatch("TYPING_START", json!({"user_id": "42"}));
        fake.dispatch("VOICE_STATE_UPDATE", json!({"user_id": "42"}));
        fake.dispatch("TELEPATHY", json!({"thought": "?"}));
        fake.dispatch("GUILD_CREATE", json!({"id": "901", "name": "New"}));
        fake.dispatch("GUILD_DELETE", json!({"id": "900", "unavailable": true}));
        fake.dispatch("GUILD_DELETE", json!({"id": "900"}));
        watch.run(SECOND).await;
        let names: Vec<_> = watch
            .others
            .iter()
            .map(|event| match &event.kind {
                EventKind::Unknown(unknown) => unknown.name.as_str(),
                _ => event.name(),
            })
            .collect();
        assert_eq!(
            names,
            [
                "VOICE_STATE_UPDATE",
                "TELEPATHY",
                "GUILD_CREATE",
                "GUILD_DELETE"
            ]
        );
        assert_eq!(discord.ignored_events() - before, 2);
        assert_eq!(
            fake.with(|state| state.identifies[0].1["intents"].clone()),
            13_825
        );
    });
}

#[test]
fn a_refused_event_comes_again_without_a_new_connection() {
    let fake = Fake::new();
    let discord = fake.channel();
    fake.live(async {
        let mut watch = Watch::new(&fake, &discord);
        watch.run(SECOND).await;
        fake.dispatch("MESSAGE_CREATE", direct(1, "one"));
        let received = loop {
            let received = watch.events.next().await.unwrap().unwrap();
            if received.message().is_some() {
                break received;
            }
        };
        let id = received.event().unwrap().id.clone();
        received.nak().await.unwrap();
        let again = watch.events.next().await.unwrap().unwrap();
        assert_eq!(again.event().unwrap().id, id);
        again.ack().await.unwrap();
        assert_eq!(fake.transport.sockets.attempts(), 1);
    });
    let _ = discord.info();
}

/// After a sleep there are two sockets for a while. Whatever code the old one ends with, the session
/// has gone on by the new one.
#[test]
fn the_end_of_a_replaced_socket_is_not_the_end_of_the_session() {
    for code in [1000, 1001, 4007, 4009, 4014] {
        let fake = Fake::new();
        fake.live(async {
            let mut watch = Watch::new(&fake, &fake.channel());
            watch.run(SECOND * 5).await;
            let old = fake.peers().remove(0);
            fake.transport.clock.jump_forward(SECOND * 3600);
            while fake.with(|state| state.resumes.is_empty()) {
                watch.run(SECOND / 10).await;
            }
            watch.run(SECOND).await;
            old.close(code, "elsewhere");
            watch.run(SECOND).await;
            fake.dispatch("MESSAGE_CREATE", direct(1, "hi"));
            watch.run(SECOND).await;
            assert_eq!(watch.texts, ["hi"], "{code}: {:?}", watch.error);
            assert_eq!(fake.with(|state| state.identifies.len()), 1);
            assert_eq!(watch.gaps(), 0);
        });
    }
}

/// A session that is given up on the old socket while the new one resumes it is not gone on with:
/// its events would be nobody's.
#[test]
fn a_session_that_ends_while_it_is_resumed_is_begun_anew() {
    let fake = Fake::new();
    fake.live(async {
        let mut watch = Watch::new(&fake, &fake.channel());
        watch.run(SECOND * 5).await;
        let old = fake.peers().remove(0);
        fake.with(|state| state.pause = SECOND * 3);
        fake.transport.clock.jump_forward(SECOND * 3600);
        while fake.transport.sockets.attempts() < 2 {
            watch.run(SECOND / 10).await;
        }
        old.close(1001, "going away");
        watch.run(SECOND * 30).await;
        fake.dispatch("MESSAGE_CREATE", direct(1, "hi"));
        watch.run(SECOND).await;
        assert_eq!(watch.texts, ["hi"]);
        assert_eq!(fake.with(|state| state.identifies.len()), 2);
        assert_eq!(watch.gaps(), 1);
    });
}

#[test]
fn a_dropped_channel_leaves_no_connection() {
    let fake = Fake::new();
    let ready = || async {
        let channel = fake.channel();
        let mut watch = Watch::new(&fake, &channel);
        watch.run(SECOND * 5).await;
        assert_eq!(fake.peers().len(), 1);
        (channel, watch.events)
    };
    // Nothing is answered over the gateway.
    fake.live(leaves_nothing(&fake.transport.crowd, 0, ready, || {
        fake.peers()[0].cut();
    }));
}
