//! Who gets a connection.

use channel_core::{SocketServer as _, Upgrade};
use http::Request;

use crate::world::{TOKEN, World, bearer};

fn status(result: Result<Upgrade, Box<http::Response<bytes::Bytes>>>) -> u16 {
    match result {
        Ok(_) => 101,
        Err(response) => response.status().as_u16(),
    }
}

#[test]
fn both_paths_are_served_and_no_other() {
    let world = World::new();
    assert_eq!(world.channel.paths(), ["/standard/ws", "/standard"]);
    for (path, expected) in [
        ("/standard/ws", 101),
        ("/standard", 101),
        ("/standard/x", 404),
    ] {
        let mut request = bearer(TOKEN);
        *request.uri_mut() = path.parse().expect("a path");
        assert_eq!(status(world.upgrade(&request)), expected, "{path}");
    }
}

#[test]
fn the_subprotocol_is_answered_without_the_token() {
    let world = World::new();
    let request = Request::get("/standard/ws")
        .header(
            "sec-websocket-protocol",
            "channel-kit.v1, bearer.dG9rLXN0YW5kYXJkLTAwMDE",
        )
        .body(())
        .expect("a request");
    let upgrade = world.upgrade(&request).expect("granted");
    assert_eq!(upgrade.protocol.as_deref(), Some("channel-kit.v1"));
    assert_eq!(upgrade.max_message, 1_048_576);
}
