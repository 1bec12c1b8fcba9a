//! The reconnecting socket on virtual time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use channel_core::Crowd;
use channel_core::{Backoff, Clock as _, CloseFrame, ErrorKind, Frame};
use channel_http::reconnect::{Cause, ReconnectSettings, SocketEvent};

use crate::fake::{Outcome, World, short, shorts, source_of};

/// The defaults, apart from the sockets of other tests in this process.
fn settings() -> ReconnectSettings {
    ReconnectSettings::new().crowd(Crowd::new())
}

const HOUR: u64 = 3600;

#[test]
fn opens_and_delivers() {
    let hello = Outcome::Welcome(Frame::text("hello"));
    let mut world = World::new(settings(), [hello]);
    assert_eq!(shorts(&world.run(0)), ["opened", "hello"]);
    world.peer(0).says("one");
    world.peer(0).says("two");
    assert_eq!(shorts(&world.run(0)), ["one", "two"]);
    world.socket.send(Frame::text("answer")).unwrap();
    world.run(0);
    assert_eq!(world.peer(0).heard(), [Frame::text("answer")]);
}

/// larksuite/oapi-sdk-python#169: the reconnect call had no time limit, and the bot was deaf
/// for three days and a half.
#[test]
fn pain_20_an_attempt_that_never_ends_is_given_up() {
    let mut world = World::new(settings(), [Outcome::Hang, Outcome::Open, Outcome::Hang]);
    let events = world.run(60);
    assert_eq!(shorts(&events), ["failed open_timeout", "opened"]);
    assert!(events[1].0 <= 30, "open after {} s", events[1].0);
    // Later in its life too.
    world.peer(0).breaks();
    let events = world.run(60);
    assert_eq!(
        shorts(&events),
        ["lost broken", "failed open_timeout", "opened", "gap"]
    );
    assert_eq!(world.count(Cause::OpenTimeout), 2);
}

/// The same complaint from the other side: a write into a dead connection never ends.
#[test]
fn pain_20_a_write_that_never_ends_is_given_up() {
    let mut world = World::new(settings(), []);
    world.run(0);
    world.peer(0).stalls.store(true, Ordering::SeqCst);
    world.socket.send(Frame::text("into the void")).unwrap();
    let events = world.run(20);
    assert_eq!(shorts(&events), ["lost stalled", "opened", "gap"]);
    assert_eq!(events[0].0, 10);
}

/// larksuite/openclaw-lark#158: quiet accounts died without anybody noticing.
#[test]
fn pain_21_silence_is_noticed_within_the_limit() {
    let mut world = World::new(settings(), []);
    world.run(0);
    world.peer(0).answers_pings.store(false, Ordering::SeqCst);
    let events = world.run(120);
    assert_eq!(shorts(&events), ["lost silent", "opened", "gap"]);
    assert_eq!(events[0].0, 90);
    assert!(events[1].0 <= 92);
    assert!(world.peer(0).heard().len() >= 2, "it was asked first");
    assert!(world.peer(0).is_dropped());
}

#[test]
fn pain_21_a_quiet_socket_that_answers_stays() {
    let mut world = World::new(settings(), []);
    let events = world.run(24 * HOUR);
    assert_eq!(shorts(&events), ["opened"]);
    // Its pongs are events, so the owner hears of it at least every 90 s.
    let times: Vec<_> = events.iter().map(|(second, _)| *second).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 90));
}

/// riba2534/happyclaw#650: closing the lid killed the bot for ever.
#[test]
fn pain_21_a_machine_that_has_slept_gets_a_new_socket() {
    let mut world = World::new(settings(), []);
    world.run(100);
    let before = world.clock.now();
    world.clock.sleep_machine(Duration::from_secs(8 * HOUR));
    let events = world.run(10);
    assert_eq!(shorts(&events), ["replaced clock_jump", "gap"]);
    let since = events.iter().find_map(|(_, event)| match event {
        SocketEvent::Gap { since } => Some(since),
        _ => None,
    });
    let since = since.unwrap();
    assert!(*since <= before && before.duration_since(*since).unwrap().as_secs() <= 31);
    assert_eq!(world.count(Cause::ClockJump), 1);
    assert_eq!(world.opened(), 2);
}

#[test]
fn pain_21_a_machine_that_slept_while_waiting_tries_at_once() {
    let slow = settings().backoff(Backoff::new(
        Duration::from_secs(600),
        Duration::from_secs(600),
    ));
    let mut world = World::new(slow, [Outcome::Fail(ErrorKind::Unavailable)]);
    world.run(5);
    world.clock.sleep_machine(Duration::from_secs(HOUR));
    assert_eq!(shorts(&world.run(10)), ["opened"]);
}

#[test]
fn a_clock_that_is_set_back_or_corrected_a_little_changes_nothing() {
    let mut world = World::new(settings(), []);
    world.run(0);
    world.clock.set_back(Duration::from_secs(24 * HOUR));
    assert!(shorts(&world.run(60)).is_empty());
    world.clock.sleep_machine(Duration::from_secs(20));
    assert!(shorts(&world.run(60)).is_empty());
    assert_eq!(world.opened(), 1);
}

/// hermes-agent#80598: after an outage the loop gave up while the process looked healthy.
#[test]
fn pain_22_never_gives_up_and_never_keeps_quiet() {
    let outage = (0..2000).map(|number| match number % 3 {
        0 => Outcome::Fail(ErrorKind::Unavailable),
        1 => Outcome::Hang,
        _ => Outcome::Fail(ErrorKind::Protocol),
    });
    let mut world = World::new(settings(), outage);
    let events = world.run(48 * HOUR);
    let names = shorts(&events);
    assert_eq!(names.last().map(String::as_str), Some("opened"));
    assert_eq!(names.len(), 2001);
    let times: Vec<_> = events.iter().map(|(second, _)| *second).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 90));
    // No more than one attempt every 30 s once it is clear that nothing helps.
    assert!(times[2000] - times[1000] >= 30 * 1000);
}

#[test]
fn pain_22_a_server_that_accepts_and_drops_is_not_hammered() {
    let mut world = World::new(settings(), []);
    let mut opened = 0;
    for _ in 0..HOUR {
        world.run(1);
        if world.opened() > opened {
            opened = world.opened();
            world.peer(opened - 1).push(None);
        }
    }
    assert!(opened <= 130, "{opened} sockets in an hour");
    assert!(opened >= 50, "{opened} sockets in an hour");
}

#[test]
fn ends_only_when_waiting_cannot_help() {
    for kind in [
        ErrorKind::Unauthenticated,
        ErrorKind::Forbidden,
        ErrorKind::Config,
    ] {
        let mut world = World::new(settings(), [Outcome::Fail(kind)]);
        let events = world.settle();
        assert!(matches!(&events[0], Some(SocketEvent::Ended { error })
            if error.kind() == kind));
        assert!(events[1].is_none());
    }
    for kind in [
        ErrorKind::Invalid,
        ErrorKind::NotFound,
        ErrorKind::RateLimited,
        ErrorKind::Unavailable,
        ErrorKind::Uncertain,
        ErrorKind::Unsupported,
        ErrorKind::Protocol,
    ] {
        let mut world = World::new(settings(), [Outcome::Fail(kind)]);
        assert_eq!(
            shorts(&world.run(5)),
            ["failed unopened", "opened"],
            "{kind:?}"
        );
    }
}

#[test]
fn waits_as_long_as_the_server_asks_but_not_for_ever() {
    let mut world = World::new(settings(), [Outcome::RetryAfter(Duration::from_secs(120))]);
    let events = world.run(200);
    assert_eq!(shorts(&events), ["failed unopened", "opened"]);
    assert_eq!(events[1].0, 120);
    let year = Duration::from_secs(365 * 24 * HOUR);
    let mut world = World::new(settings(), [Outcome::RetryAfter(year)]);
    assert_eq!(world.run(HOUR)[1].0, 15 * 60);
}

/// bolt-js#1906, dingtalk-stream-sdk-nodejs#13: sockets died of old age after hours or days.
#[test]
fn pain_24_is_replaced_before_its_lifetime_ends_without_a_gap() {
    let lifetime = Duration::from_secs(HOUR);
    let mut world = World::new(settings().lifetime(lifetime), []);
    let events = world.run(HOUR);
    assert_eq!(shorts(&events), ["opened", "replaced lifetime"]);
    // Well before the server would have closed it, whatever the dice say.
    let replaced = events
        .iter()
        .find(|(_, event)| matches!(event, SocketEvent::Replaced { .. }));
    assert_eq!(replaced.unwrap().0, 3420);
}

#[test]
fn pain_24_two_sockets_overlap() {
    let lifetime = Duration::from_secs(HOUR);
    let mut world = World::new(settings().lifetime(lifetime), []);
    world.run(3420);

    // Both deliver during the overlap, and the old one still sends.
    world.peer(0).says("old");
    world.peer(1).says("new");
    let events = world.run(0);
    let old = source_of(&events, "old").unwrap();
    let new = source_of(&events, "new").unwrap();
    assert_ne!(old, new);
    assert_eq!(world.socket.current(), Some(new));
    world.socket.send_on(old, Frame::text("ack old")).unwrap();
    world.socket.send(Frame::text("to new")).unwrap();
    world.run(1);
    assert!(world.peer(0).heard().contains(&Frame::text("ack old")));
    assert_eq!(world.peer(1).heard(), [Frame::text("to new")]);

    // Then the old one is closed, politely first.
    world.run(6);
    assert_eq!(world.peer(0).heard().last(), Some(&Frame::close(1000, "")));
    assert!(!world.peer(0).is_dropped());
    world.peer(0).says("last words");
    assert_eq!(shorts(&world.run(0)), ["last words"]);
    world.run(6);
    assert!(world.peer(0).is_dropped());
    assert!(world.socket.send_on(old, Frame::text("late")).is_err());
    assert!(!world.peer(1).is_dropped());
}

#[test]
fn pain_24_the_old_socket_stays_while_the_new_one_cannot_be_opened() {
    let script = [
        Outcome::Open,
        Outcome::Fail(ErrorKind::Unavailable),
        Outcome::Hang,
        Outcome::Fail(ErrorKind::Unauthenticated),
    ];
    let lifetime = Duration::from_secs(HOUR);
    let mut world = World::new(settings().lifetime(lifetime), script);
    let events = world.run(HOUR);
    assert_eq!(
        shorts(&events),
        [
            "opened",
            "failed unopened",
            "failed open_timeout",
            "failed unopened",
            "replaced lifetime"
        ]
    );
    assert_eq!(world.count(Cause::Lifetime), 1);
}

#[test]
fn pain_24_lives_through_a_month_of_replacements() {
    let lifetime = Duration::from_secs(HOUR);
    let mut world = World::new(settings().lifetime(lifetime), []);
    let events = world.run(30 * 24 * HOUR);
    let names = shorts(&events);
    assert_eq!(names.len(), 1 + 30 * 24 * 3600 / 3420);
    assert!(names[1..].iter().all(|name| name == "replaced lifetime"));
    let alive = (0..world.opened())
        .filter(|number| !world.peer(*number).is_dropped())
        .count();
    assert!(alive <= 2, "{alive} sockets left open");
}

#[test]
fn an_old_socket_that_dies_during_its_replacement_leaves_a_gap() {
    let lifetime = Duration::from_secs(HOUR);
    let script = [Outcome::Open, Outcome::Hang];
    let mut world = World::new(settings().lifetime(lifetime), script);
    world.run(3425);
    world.peer(0).breaks();
    assert_eq!(
        shorts(&world.run(60)),
        ["lost broken", "failed open_timeout", "opened", "gap"]
    );
}

#[test]
fn the_owner_asks_for_a_new_socket() {
    let mut world = World::new(settings(), []);
    world.run(0);
    world.socket.replace();
    world.socket.replace();
    assert_eq!(shorts(&world.run(1)), ["replaced requested"]);
    world.socket.reconnect();
    assert!(world.peer(1).is_dropped());
    assert_eq!(shorts(&world.run(5)), ["lost requested", "opened", "gap"]);
    assert_eq!(world.count(Cause::Requested), 2);
}

/// The waits that were announced, in seconds.
fn waits(events: &[(u64, SocketEvent)]) -> Vec<f64> {
    let wait = |(_, event): &(u64, SocketEvent)| match event {
        SocketEvent::Failed { retry_in, .. } => Some(retry_in.as_secs_f64()),
        _ => None,
    };
    events.iter().filter_map(wait).collect()
}

const LADDER: &[Duration] = &[
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

#[test]
fn a_ladder_is_climbed_rung_by_rung_and_begun_anew_after_a_stable_while() {
    let laddered = || settings().backoff(Backoff::ladder(LADDER));
    let outage = (0..7).map(|_| Outcome::Fail(ErrorKind::Unavailable));
    let mut world = World::new(laddered(), outage);
    // Every random number of the fake is the smallest: half of each rung.
    let events = world.run(300);
    assert_eq!(waits(&events), [1.0, 2.5, 5.0, 15.0, 30.0, 30.0, 30.0]);
    assert_eq!(world.opened(), 1);
    world.peer(0).breaks();
    let events = world.run(5);
    assert_eq!(shorts(&events), ["lost broken", "opened", "gap"]);
    assert_eq!(events[1].0, 1, "the first rung again");
}

#[test]
fn what_passes_by_itself_is_tried_at_most_so_far_apart_and_what_looks_lasting_is_not() {
    let laddered = settings()
        .backoff(Backoff::ladder(LADDER))
        .back_within(Duration::from_secs(30));
    use ErrorKind::{Invalid, NotFound, RateLimited, Unavailable};
    let outage = [
        Outcome::Fail(RateLimited),
        Outcome::Fail(Unavailable),
        Outcome::Unsent,
        Outcome::Unsent,
        // The limit of 25 s is over before anything is heard.
        Outcome::Hang,
        Outcome::Fail(Invalid),
        Outcome::Fail(NotFound),
        Outcome::Fail(Unavailable),
    ];
    let mut world = World::new(laddered, outage);
    // Every random number of the fake is the smallest: half of each wait.
    let events = world.run(300);
    let wanted = [1.0, 2.5, 5.0, 12.0, 0.5, 30.0, 30.0, 12.0];
    assert_eq!(waits(&events), wanted);
}

#[test]
fn a_socket_that_breaks_again_and_again_is_back_in_time_too() {
    let laddered = settings()
        .backoff(Backoff::ladder(LADDER))
        .back_within(Duration::from_secs(30));
    let mut world = World::new(laddered, []);
    for _ in 0..12 {
        while world.socket.current().is_none() {
            world.run(1);
        }
        let broken = world.opened();
        world.peer(broken - 1).breaks();
        world.run(12);
        assert_eq!(world.opened(), broken + 1);
    }
}

/// A server that wants each new socket replaced made a tight loop of the official SDK of one
/// platform.
#[test]
fn a_server_that_always_wants_a_new_socket_is_waited_for() {
    let settings = settings().backoff(Backoff::ladder(LADDER));
    let mut world = World::new(settings.wary_of_notices(), []);
    let mut replaced = 0;
    for _ in 0..600 {
        world.socket.replace();
        let events = world.run(1);
        replaced += events
            .iter()
            .filter(|(_, event)| matches!(event, SocketEvent::Replaced { .. }))
            .count();
    }
    assert!((10..=30).contains(&replaced), "{replaced}");
    // After a stable while it is done at once.
    world.run(120);
    world.socket.replace();
    assert_eq!(shorts(&world.run(0)), ["replaced requested"]);
}

#[test]
fn a_closing_peer_is_not_waited_for() {
    let mut world = World::new(settings(), []);
    world.run(0);
    let close = Frame::Close(Some(CloseFrame::new(4009, "session timed out")));
    world.peer(0).push(Some(Ok(close)));
    let events = world.run(8);
    let lost = events
        .iter()
        .find(|(_, event)| short(event).unwrap_or_default() == "lost closed");
    let Some((second, SocketEvent::Lost { code, .. })) = lost else {
        panic!("not lost: {events:?}");
    };
    assert_eq!((*second, *code), (5, Some(4009)));
}

#[test]
fn closes_for_good() {
    let mut world = World::new(settings(), []);
    world.run(0);
    world.socket.close();
    assert!(world.run(1).is_empty());
    assert_eq!(world.peer(0).heard(), [Frame::close(1000, "")]);
    world.peer(0).push(None);
    assert!(matches!(world.settle()[..], [None]));
    assert_eq!(world.opened(), 1);

    // A peer that does not answer does not hold it up.
    let mut world = World::new(settings(), []);
    world.run(0);
    world.socket.close();
    world.run(4);
    world.clock.advance(Duration::from_secs(2));
    assert!(matches!(world.settle()[..], [None]));
}

#[test]
fn a_slow_owner_does_not_lose_a_healthy_socket() {
    let mut world = World::new(settings(), []);
    world.run(0);
    // Nobody polls for ten minutes.
    world.clock.advance(Duration::from_secs(600));
    assert!(shorts(&world.run(60)).is_empty());
    assert_eq!(world.opened(), 1);
}

#[test]
fn a_frame_that_cannot_be_sent_costs_nothing_but_itself() {
    let mut world = World::new(settings(), []);
    world.run(0);
    world
        .socket
        .send(Frame::Text(Bytes::from_static(&[0xff])))
        .unwrap();
    world.socket.send(Frame::text("fine")).unwrap();
    assert_eq!(shorts(&world.run(1)), ["unsent"]);
    assert_eq!(world.peer(0).heard(), [Frame::text("fine")]);
}

#[test]
fn what_waits_to_be_written_is_bounded() {
    let mut world = World::new(settings(), []);
    assert!(world.socket.send(Frame::text("too early")).is_err());
    world.run(0);
    let accepted = (0..1000)
        .filter(|_| world.socket.send(Frame::text("x")).is_ok())
        .count();
    assert_eq!(accepted, 256);
}

#[test]
fn without_a_heartbeat_silence_still_counts() {
    let mut world = World::new(settings().heartbeat(None), []);
    world.run(0);
    let events = world.run(95);
    assert_eq!(shorts(&events), ["lost silent", "opened", "gap"]);
    assert_eq!(events[0].0, 90);
    assert!(world.peer(0).heard().is_empty());
}

/// What a platform's own heartbeat owes counts, whatever else is heard.
#[test]
fn a_beat_without_an_answer_is_silence() {
    let beating = || Outcome::Beating(Duration::from_secs(40));
    let mut world = World::new(settings().heartbeat(None), [beating(), beating()]);
    world.run(0);
    let mut events = Vec::new();
    for _ in 0..79 {
        world.peer(0).says("noise");
        events.extend(world.run(1));
    }
    assert!(shorts(&events).iter().all(|event| event == "noise"));
    assert_eq!(world.peer(0).heard(), [Frame::text("beat")]);
    let events = world.run(3);
    assert_eq!(shorts(&events), ["lost silent", "opened", "gap"]);
}

#[test]
fn a_beat_that_is_answered_goes_on() {
    let beating = Outcome::Beating(Duration::from_secs(40));
    let mut world = World::new(settings().heartbeat(None), [beating]);
    world.run(0);
    let socket = world.socket.current().unwrap();
    for _ in 0..100 {
        world.peer(0).says("ack");
        world.socket.answered(socket);
        assert!(!shorts(&world.run(30)).contains(&"lost silent".to_owned()));
    }
    assert_eq!(world.peer(0).heard().len(), 75);
    assert_eq!(world.socket.current(), Some(socket));
}

#[test]
fn sockets_are_closed_with_the_code_that_the_platform_wants() {
    let mut world = World::new(settings().close_code(4000), []);
    world.run(0);
    world.socket.close();
    world.run(1);
    let last = world.peer(0).heard().pop();
    assert!(matches!(last, Some(Frame::Close(Some(close))) if close.code == 4000));
}
