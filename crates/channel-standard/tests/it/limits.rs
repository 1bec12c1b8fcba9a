//! Floods, wrong guesses, identities.

use std::time::{Duration, UNIX_EPOCH};

use channel_core::{Answer, Events as _, Proof, SocketServer as _, Webhook as _};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::world::{TOKEN, World, ack, bearer, codes, message, now, types};

const SECOND: Duration = Duration::from_secs(1);

fn hello(client: &str) -> Value {
    json!({"v":1,"type":"hello","client_id":client})
}

#[test]
fn a_flood_is_slowed_down_and_then_cut_off() {
    let mut world = World::new();
    let (ada, bob) = (world.join("web-1"), world.join("web-2"));
    let ping = json!({"v":1,"type":"ping"});
    for _ in 0..39 {
        ada.send(&ping);
    }
    world.settle();
    assert!(
        codes(&ada.frames()).is_empty(),
        "40 frames at once are allowed"
    );
    ada.send(&ping);
    world.settle();
    let frames = ada.frames();
    assert_eq!(codes(&frames), ["rate_limited"]);
    assert!(frames[0]["retry_after"].as_f64().unwrap() <= 0.05);
    world.advance(SECOND);
    for _ in 0..20 {
        ada.send(&ping);
    }
    world.settle();
    assert!(
        codes(&ada.frames()).is_empty(),
        "20 frames a second are allowed"
    );
    for _ in 0..41 {
        ada.send(&ping);
    }
    world.settle();
    assert_eq!(ada.closed(), Some(4429));
    assert_eq!(types(&world.ask(&bob, &ping)), ["pong"]);
}

#[test]
fn an_address_that_guesses_has_to_wait() {
    let mut world = World::new();
    for _ in 0..10 {
        assert_eq!(world.upgrade(&bearer("wrong")).unwrap_err().status(), 401);
    }
    let refused = world.upgrade(&bearer(TOKEN)).unwrap_err();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "61");
    let other = Some([192, 0, 2, 8].into());
    assert!(world.channel.accept(&bearer(TOKEN), other).is_ok());
    world.advance(60 * SECOND);
    assert!(world.upgrade(&bearer(TOKEN)).is_ok());
}

/// `/info` and `/media` count together with the websocket: a guess is a guess.
#[test]
fn an_address_that_guesses_by_plain_http_has_to_wait_too() {
    let mut world = World::new();
    let ask = |world: &World, path: &str, token: &str, peer: [u8; 4]| {
        let mut request = http::Request::get(path)
            .header("authorization", format!("Bearer {token}"))
            .body(bytes::Bytes::new())
            .unwrap();
        request
            .extensions_mut()
            .insert(std::net::IpAddr::from(peer));
        let accepted = world.channel.receive(&request, UNIX_EPOCH).unwrap();
        let Answer::Now(response) = accepted.answer else {
            panic!("not answered at once");
        };
        response.status().as_u16()
    };
    let (guesser, other, local) = ([192, 0, 2, 7], [192, 0, 2, 8], [127, 0, 0, 1]);
    for path in ["/standard/info", "/standard/media?id=x"] {
        for _ in 0..5 {
            assert_eq!(ask(&world, path, "wrong", guesser), 401);
            assert_eq!(ask(&world, path, "wrong", local), 401);
        }
    }
    for path in ["/standard/info", "/standard/media?id=x"] {
        assert_eq!(ask(&world, path, "wrong", guesser), 429);
        assert_eq!(ask(&world, path, TOKEN, guesser), 429);
    }
    assert_eq!(world.upgrade(&bearer(TOKEN)).unwrap_err().status(), 429);
    assert_eq!(ask(&world, "/standard/info", TOKEN, other), 200);
    assert_eq!(ask(&world, "/standard/info", TOKEN, local), 200);
    world.advance(60 * SECOND);
    assert_eq!(ask(&world, "/standard/info", TOKEN, guesser), 200);
}

#[test]
fn one_client_cannot_make_the_ids_of_another_be_forgotten() {
    let mut world = World::with(|builder| builder.configure(|config| config.event_queue = 50_000));
    let (ada, eve) = (world.join("web-1"), world.join("web-2"));
    ada.send(&message("m-1", "hi"));
    ack(world.received().unwrap());
    // More than are remembered of one client, at the pace that is allowed.
    for number in 0..10_050 {
        eve.send(&message(&format!("e-{number}"), "x"));
        if number % 20 == 0 {
            world.advance(SECOND);
        }
        world.settle();
        ack(world.received().unwrap());
    }
    ada.frames();
    ada.send(&message("m-1", "hi"));
    world.settle();
    assert_eq!(ada.frames()[0]["duplicate"], true);
    assert!(world.received().is_none());
    // Of its own ids the first are forgotten.
    world.advance(SECOND);
    eve.send(&message("e-0", "x"));
    assert!(world.received().is_some());
}

#[test]
fn a_token_of_its_own_proves_who_a_client_is() {
    let mut world = World::with(|builder| builder.client_token("web-1", "own"));
    let ada = world.connect_with("own");
    let welcome = world.ask(&ada, &json!({"v":1,"type":"hello"})).remove(0);
    assert_eq!(
        (&welcome["client_id"], &welcome["verified"]),
        (&json!("web-1"), &json!(true))
    );
    ada.send(&message("m-1", "hi"));
    let event = world.event().unwrap();
    assert_eq!(event.sender().unwrap().proof, Proof::Verified);

    let liar = world.connect_with("own");
    assert_eq!(codes(&world.ask(&liar, &hello("web-2"))), ["forbidden"]);
    assert_eq!(liar.closed(), Some(4403));
    let thief = world.connect();
    assert_eq!(codes(&world.ask(&thief, &hello("web-1"))), ["forbidden"]);
    assert_eq!(thief.closed(), Some(4403));
}

#[test]
fn a_claimed_id_counts_as_asserted_only_where_the_operator_says_so() {
    let mut world =
        World::with(|builder| builder.configure(|config| config.trust_claimed_client_id = true));
    let ada = world.join("web-1");
    ada.send(&message("m-1", "hi"));
    assert_eq!(
        world.event().unwrap().sender().unwrap().proof,
        Proof::Asserted
    );
}

#[test]
fn only_listed_clients_are_let_in() {
    let mut world = World::with(|builder| {
        builder.configure(|config| config.allow_from = vec!["web-1".to_owned()])
    });
    let _ada = world.join("web-1");
    let eve = world.connect();
    assert_eq!(codes(&world.ask(&eve, &hello("web-9"))), ["forbidden"]);
    assert_eq!(eve.closed(), Some(4403));
    let target = channel_core::Target::chat("web-9/default");
    let message = channel_core::OutboundMessage::new(target, "hi");
    let error = now(channel_core::Channel::send(&world.channel, &message)).unwrap_err();
    assert_eq!(error.kind(), channel_core::ErrorKind::Forbidden);
}

#[test]
fn a_bad_client_id_is_refused_and_may_be_mended() {
    let mut world = World::new();
    let ada = world.connect();
    for bad in ["", "a/b", "a:b", "ü", &"x".repeat(65)] {
        assert_eq!(
            codes(&world.ask(&ada, &hello(bad))),
            ["invalid_id"],
            "{bad}"
        );
    }
    assert_eq!(
        codes(&world.ask(&ada, &json!({"v":1,"type":"hello"}))),
        ["invalid_id"]
    );
    assert_eq!(types(&world.ask(&ada, &hello("web-1"))), ["welcome"]);
}

#[test]
fn a_newer_connection_replaces_the_older_one_where_configured() {
    let mut world = World::with(|builder| builder.configure(|config| config.single_device = true));
    let old = world.join("web-1");
    let new = world.join("web-1");
    world.settle();
    assert_eq!((old.closed(), new.closed()), (Some(4409), None));
}

#[test]
fn the_stream_proves_that_it_lives() {
    use channel_core::{Connection, EventKind};
    let world = World::new();
    let mut events = world.channel.events();
    let clock = world.fake.clock.clone();
    let kinds: Vec<_> = clock.block_on(async {
        let three = events.by_ref().take(3).collect::<Vec<_>>().await;
        three
            .into_iter()
            .map(|it| it.unwrap().take().unwrap().kind)
            .collect()
    });
    assert_eq!(
        kinds,
        [Connection::Ready, Connection::Alive, Connection::Alive].map(EventKind::Connection)
    );
    assert!(channel_core::Clock::elapsed(&clock) <= 90 * SECOND);
}

#[test]
fn a_socket_that_breaks_ends_quietly() {
    let mut world = World::new();
    let (ada, bob) = (world.join("web-1"), world.join("web-2"));
    ada.fail(channel_core::ErrorKind::Unavailable);
    world.settle();
    assert!(ada.is_over());
    assert_eq!((ada.closed(), bob.closed()), (None, None));
    bob.fail(channel_core::ErrorKind::Protocol);
    world.settle();
    assert_eq!(bob.closed(), Some(1002));
    world.advance(2 * SECOND);
    assert_eq!(world.channel.health().connections, 0);
}

#[test]
fn many_ids_do_not_grow_the_memory_of_ids() {
    let mut world = World::new();
    let ada = world.join("web-1");
    let mut last = 0;
    for number in 0..10_050 {
        if number % 10 == 0 {
            world.advance(SECOND);
        }
        ada.send(&message(&format!("m-{number}"), "x"));
        assert!(world.event().is_some());
        last = number;
    }
    ada.frames();
    world.advance(SECOND);
    let newest = world.ask(&ada, &message(&format!("m-{last}"), "x"));
    assert_eq!(newest[0]["duplicate"], true);
    assert!(
        world.ask(&ada, &message("m-0", "x")).is_empty(),
        "forgotten, so new again"
    );
}
