//! A process that is told to die at a point dies there.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use crate::outbox_world::{KEYED, World, fake, to};

const CHILD: &str = "failpoint::the_child_of_the_other_test";
const ABORTED: i32 = 6;

fn child(setting: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD])
        .env("CHANNEL_FAILPOINT", setting)
        .output()
        .unwrap()
        .status
}

/// Three parts: one plan, three attempts, three results.
#[test]
fn the_child_of_the_other_test() {
    let world = World::new(KEYED);
    let outbox = world.start();
    world
        .run(outbox.send(fake(), to("c", "a|b|c"), None))
        .unwrap();
}

#[test]
fn a_point_that_is_armed_ends_the_process_when_it_is_hit_for_the_nth_time() {
    for (point, hits) in [("planned", 1), ("sending", 3), ("sent", 3), ("recorded", 3)] {
        let last = child(&format!("{point}:{hits}"));
        assert_eq!(last.signal(), Some(ABORTED), "{point}");
        let never = child(&format!("{point}:{}", hits + 1));
        assert!(never.success(), "{point}");
    }
}
