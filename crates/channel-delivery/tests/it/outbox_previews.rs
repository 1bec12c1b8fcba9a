//! What is shown of an answer while it grows.

use std::sync::Arc;

use channel_core::{Channel as _, IdempotencyKey, Target};
use channel_testkit::MemoryChannel;

use crate::outbox_world::{KEYED, LEASE, World, secs};

/// A process that stood still does not write over the answer of its successor.
#[test]
fn who_lost_the_lease_shows_no_more_previews() {
    let world = World::new(KEYED);
    let (outbox, _) = world.boot();
    let clock = Arc::new(world.clock.clone());
    let channel = MemoryChannel::builder().clock(clock).build();
    outbox.register(Arc::new(channel.clone()));
    let id = channel.info().id.clone();
    let key = IdempotencyKey::new("answer");
    let to = Target::chat("c").into();
    let mut previews = world.run(outbox.previews(&id, &to, Some(&key))).unwrap();
    world.run(previews.show(&"a".into())).unwrap();
    world.clock.advance(secs(2));
    world.run(previews.show(&"a b".into())).unwrap();
    assert_eq!(channel.texts(), ["a b"]);
    // Nobody runs while time passes.
    world.clock.advance(LEASE + secs(1));
    world.run(previews.show(&"a b c".into())).unwrap();
    assert_eq!(channel.texts(), ["a b"]);
}
